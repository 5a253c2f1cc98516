"""Find the owner of an event: canonical names of people, and the rule that joins two contacts or keeps them apart.

Enters: the identities an event names, who owns them, and what those contacts are known under. Leaves: the
contact the event goes to, the contacts it joins, and those it must not join. Pure; `journey.drain` and
`journey.merge` carry it out.

The rule of joining:
- A user id belongs to one person. Contacts of two different user ids are never joined by an event; the event
  goes to the contact of its own user id and the conflict is shown to people (quarantine `conflict_identity`).
- A shared user id, e-mail address or phone number joins. So does an alias, from its earlier id.
- A shared anonymous id is a browser, not a person. It joins unless the two sides have different e-mail
  addresses or different phone numbers: a tablet in a shop must not make one person of all its visitors.
"""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from nurture.domain.event import IDENTITY_KINDS, Identity, IdentityKind
from nurture.domain.instant import Instant

#: RFC 5321 4.5.3.1: octets of the part before the @, and of the whole path.
_LOCAL_OCTETS_MAX = 64
_ADDRESS_OCTETS_MAX = 254
#: RFC 1035 2.3.4.
_LABEL_OCTETS_MAX = 63
#: 15 digits with space and marks between them.
_PHONE_CHARACTERS_MAX = 64
_ID_CHARACTERS_MAX = 255

#: Values that programs send where an id is missing. One such value would make one person of thousands.
_NO_ID = frozenset(
    {"", "0", "-1", "null", "nil", "none", "undefined", "nan", "true", "false", "[object object]"}
    | {"anonymous", "unknown", "guest", "n/a", "na", "00000000-0000-0000-0000-000000000000"}
)

_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
_PHONE_NOISE = str.maketrans(dict.fromkeys(" \t\u00a0()-./\u2010\u2011\u2013", ""))


# ---- canonical names -------------------------------------------------------------------------------------


def canonical_email(text: str) -> str | None:
    """Return the one spelling of an address, or None when it is none.

    The domain becomes lower-case A-labels; the part before the @ is composed (NFC) and lower-cased, which no
    mail system in use tells apart. Plus tags stay: `a+x@` and `a@` may be two people. Lower-casing follows
    Unicode, not a language: the Turkish dotless i stays itself. `canonical_email` of its own result is itself.
    """
    text = _short(text, _ADDRESS_OCTETS_MAX)
    local, at, domain = text.rpartition("@")
    if not at or not local or len(local) > _LOCAL_OCTETS_MAX or _has_space_or_control(local):
        return None
    if len(text.encode("utf-8", "replace")) > _ADDRESS_OCTETS_MAX:
        return None
    host = _canonical_domain(domain)
    local = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())
    if host is None or len(local.encode("utf-8", "replace")) > _LOCAL_OCTETS_MAX:
        return None
    if (
        local.startswith(".")
        or local.endswith(".")
        or ".." in local
        or any(c in '<>()[]\\,;:"@' for c in local)
    ):
        return None
    address = f"{local}@{host}"
    return address if len(address.encode("utf-8", "replace")) <= _ADDRESS_OCTETS_MAX else None


def _canonical_domain(text: str) -> str | None:
    domain = unicodedata.normalize("NFKC", text.translate(_DOTS)).lower()
    labels = unicodedata.normalize("NFC", domain).removesuffix(".").split(".")
    ascii_labels = [_a_label(label) for label in labels]
    if len(labels) < 2 or None in ascii_labels:
        return None
    return ".".join(label for label in ascii_labels if label)


def _a_label(label: str) -> str | None:
    """Return the label as it stands in DNS, or None when it cannot."""
    if len(label) > _LABEL_OCTETS_MAX:
        # Punycode needs one octet or more for a character, and its time grows with the square of their number.
        return None
    if not label.isascii():
        label = "xn--" + label.encode("punycode", "replace").decode()
    is_plain = all(character.isalnum() or character in "-_" for character in label)
    return (
        label
        if 0 < len(label) <= _LABEL_OCTETS_MAX and is_plain and label[0] != "-" and label[-1] != "-"
        else None
    )


def canonical_phone(text: str) -> str | None:
    """Return E.164 (`+4930123456`), or None: without a country code a number is not one person's."""
    digits = (
        unicodedata.normalize("NFKC", _short(text, _PHONE_CHARACTERS_MAX)).strip().translate(_PHONE_NOISE)
    )
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    number = digits.removeprefix("+")
    if not digits.startswith("+") or not number.isascii() or not number.isdigit() or number.startswith("0"):
        return None
    return digits if 8 <= len(number) <= 15 else None


def canonical_user_id(text: str) -> str | None:
    """Return a user or anonymous id without space around it; None for what stands for a missing one."""
    value = unicodedata.normalize("NFC", _short(text.replace("\x00", ""), _ID_CHARACTERS_MAX))
    if value.lower() in _NO_ID or len(value) > _ID_CHARACTERS_MAX:
        return None
    return value


def _short(text: str, characters_max: int) -> str:
    """Return the text without space around it; "" for one that is too long.

    Lengths are checked before anything is converted: composing characters and punycode take time that grows with
    the square of the length.
    """
    text = text.strip()
    return text if len(text) <= characters_max else ""


def _has_space_or_control(text: str) -> bool:
    return any(character.isspace() or unicodedata.category(character) in ("Cc", "Cs") for character in text)


def earlier_identities(previous_id: str) -> tuple[Identity, ...]:
    """Return what the earlier id of an alias may be, likeliest last: an address, or a user or anonymous id."""
    if "@" in previous_id and (address := canonical_email(previous_id)):
        return (Identity("email", address),)
    value = canonical_user_id(previous_id)
    return (Identity("user_id", value), Identity("anonymous_id", value)) if value else ()


# ---- whose event it is -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Home:
    """Where an event belongs. Contacts are numbers; what they are is the caller's."""

    # None: nobody known fits, a new contact is needed.
    contact: int | None
    # Contacts that this event shows to be the same person as `contact`.
    joins: tuple[int, ...] = ()
    # Contacts with another user id that share a name with the event: people must look at it.
    conflicts: tuple[int, ...] = ()


def home_of(
    named: Collection[Identity],
    earlier: Sequence[Identity],
    *,
    owners: Mapping[Identity, int],
    names: Mapping[int, AbstractSet[Identity]],
) -> Home:
    """Decide whose event it is.

    named: the identities the event gives. earlier: what an alias says the person was called before.
    owners: contact of every known identity. names: all identities of each of those contacts.
    """
    mine: set[Identity] = set(named)
    home: int | None = None
    joins: list[int] = []
    conflicts: list[int] = []
    for identity in (*strongest_first(named), *earlier):
        contact = owners.get(identity)
        if contact is None or contact == home or contact in joins or contact in conflicts:
            continue
        theirs = names[contact]
        if _differ(mine, theirs, "user_id"):
            conflicts.append(contact)
            continue
        is_weak = identity.kind == "anonymous_id" and identity not in earlier
        if is_weak and (_differ(mine, theirs, "email") or _differ(mine, theirs, "phone")):
            continue
        if home is None:
            home = contact
        else:
            joins.append(contact)
        mine |= theirs
    return Home(home, tuple(joins), tuple(conflicts))


def strongest_first(identities: Collection[Identity]) -> list[Identity]:
    """Return them as they are trusted: user id, e-mail, phone, anonymous id."""
    return sorted(identities, key=lambda identity: (IDENTITY_KINDS.index(identity.kind), identity.value))


def _differ(mine: AbstractSet[Identity], theirs: AbstractSet[Identity], kind: IdentityKind) -> bool:
    """Tell whether both have names of that kind and none in common."""
    left = {identity for identity in mine if identity.kind == kind}
    right = {identity for identity in theirs if identity.kind == kind}
    return bool(left and right) and left.isdisjoint(right)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One side of a join."""

    contact: int
    first_seen_at: Instant
    has_user_id: bool


def survivor_first(candidates: Collection[Candidate]) -> list[Candidate]:
    """Return who stays, first: the one with a user id, else the one seen first."""
    return sorted(candidates, key=lambda one: (not one.has_user_id, one.first_seen_at, one.contact))
