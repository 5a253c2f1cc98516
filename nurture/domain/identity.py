"""Find the owner of an event: canonical names of people, and the rule that joins two contacts or keeps them apart.

Input: the identities an event names, how it was told, who owns them, and what those contacts are known under.
Output: the contact the event goes to, the contacts it joins, and those it must not join. Pure; `journey.drain` and
`journey.merge` carry it out.

The rule of joining:
- Proof is a user id that a trusted source tells, or an address that the person confirmed. An event goes to the
  contact of its user id. Contacts of two user ids are never joined by an event.
- An address that a trusted source tells joins contacts without another user id. With one it is a shared mailbox:
  its row stays with the contact that has it, and both contacts are mailed there.
- A telephone number joins only contacts that differ neither in user id nor in address, a browser (anonymous id)
  only those that do not differ in telephone number either. A browser belongs to whoever identified on it last.
- A hint (a browser key's word) adds an identity and joins only where it contradicts nothing; it never joins two
  contacts that proof knows, and gives no address to a contact that has one or that proof knows. Proof takes an
  identity back from a contact to which only a hint had tied it.
- An alias is a rename where one of its ids is new. Two ids with histories stay apart.
- Whatever stays apart is recorded as a conflict, which people decide (`nurture conflicts`).
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from nurture.domain.event import IDENTITY_KINDS, Identity, IdentityKind
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.placeholders import is_placeholder_id

#: RFC 5321 4.5.3.1: octets of the part before the @, and of the whole path.
_LOCAL_OCTETS_MAX = 64
_ADDRESS_OCTETS_MAX = 254
#: RFC 1035 2.3.4.
_LABEL_OCTETS_MAX = 63
#: 15 digits with space and marks between them.
_PHONE_CHARACTERS_MAX = 64
_ID_CHARACTERS_MAX = 255

_RANKS: Final = {kind: rank for rank, kind in enumerate(IDENTITY_KINDS)}
#: Characters without a width that copying from a page or a document brings along.
_INVISIBLE: Final = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
#: The nought that is dialled only within a country: `+49 (0) 30`. Italy's numbers keep it.
_TRUNK_NOUGHT: Final = re.compile(r"(?<=\d)\s*\(0\)")
_KEEP_NOUGHT: Final = ("39", "378", "379")
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
_PHONE_NOISE = str.maketrans(dict.fromkeys(" \t\u00a0()-./\u2010\u2011\u2013", ""))


# ---- canonical names -------------------------------------------------------------------------------------


def canonical_email(text: str) -> str | None:
    """Return the one spelling of an address, or None when it is none.

    The domain becomes lower-case A-labels; the part before the @ is composed (NFC) and lower-cased, which no
    mail system in use tells apart. Plus tags stay: `a+x@` and `a@` may be two people. Lower-casing follows
    Unicode, not a language: the Turkish dotless i stays itself. Characters without a width are left out.
    `canonical_email` of its own result is itself.
    """
    text = _short(text, _ADDRESS_OCTETS_MAX)
    if not text.isascii():
        text = _INVISIBLE.sub("", text).strip()
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
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _short(text, _PHONE_CHARACTERS_MAX)))
    digits = text.translate(_PHONE_NOISE)
    if not digits.removeprefix("00").removeprefix("+").startswith(_KEEP_NOUGHT):
        digits = _TRUNK_NOUGHT.sub("", text).translate(_PHONE_NOISE)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    number = digits.removeprefix("+")
    if not digits.startswith("+") or not number.isascii() or not number.isdigit() or number.startswith("0"):
        return None
    return digits if 8 <= len(number) <= 15 else None


def canonical_user_id(text: str) -> str | None:
    """Return a user or anonymous id without space around it; None for a placeholder."""
    value = unicodedata.normalize("NFC", _short(text.replace("\x00", ""), _ID_CHARACTERS_MAX))
    if is_placeholder_id(value) or len(value) > _ID_CHARACTERS_MAX:
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
    """Return the identities that an alias's earlier id may name, likeliest last: an address, a user or anonymous id."""
    if "@" in previous_id and (address := canonical_email(previous_id)):
        return (Identity("email", address),)
    value = canonical_user_id(previous_id)
    return (Identity("user_id", value), Identity("anonymous_id", value)) if value else ()


# ---- whose event it is -----------------------------------------------------------------------------------

#: How an event was told. proof: a server, an import, an operator. hint: a browser key. own: an event of nurture
#: itself, which names a contact by an identity that is known already and proves nothing.
Word = Literal["proof", "hint", "own"]
#: The meaning of an earlier id in an event. alias: a rename. merge: somebody merges two people on purpose.
#: page: the person changed their address on our page and confirmed the new one.
Link = Literal["alias", "merge", "page"]

#: The kinds that name a person. An anonymous id names a browser.
_PERSONAL: Final = frozenset({"user_id", "email", "phone"})


@dataclass(frozen=True, slots=True)
class IdentityClaims:
    """The identities that an event names, and how it was told."""

    named: Sequence[Identity]
    # Earlier identities of the person; the likeliest last.
    earlier: Sequence[Identity] = ()
    word: Word = "proof"
    link: Link = "alias"
    at: Instant = FOREVER


class Known(Protocol):
    """Some contacts with all their identities."""

    owners: dict[Identity, int]
    names: dict[int, set[Identity]]
    since: dict[Identity, Instant]
    # Those of the identities that only a hint tied to their contact.
    hints: set[Identity]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Evidence that ties the event's contact to another one and proves nothing."""

    contact: int
    kind: IdentityKind


@dataclass(frozen=True, slots=True)
class EventOwner:
    """The owner of an event. Contacts are numbers that the caller chose."""

    # None: no known contact fits, a new one is needed.
    contact: int | None
    # Contacts that this event shows to be the same person as `contact`.
    joins: tuple[int, ...] = ()
    # Contacts that it does not join; people must look at them.
    conflicts: tuple[Conflict, ...] = ()
    # Identities that leave another contact for `contact`: a device, or one that only a hint had tied to the other.
    takes: tuple[Identity, ...] = ()
    # Named identities without an owner that `contact` does not get: an address that only a hint gives.
    withheld: tuple[Identity, ...] = ()


def find_event_owner(claims: IdentityClaims, known: Known) -> EventOwner:
    """Return the owner of the event, by the rule at the head of this module."""
    search = _Search(claims, known)
    if claims.word == "own":
        search.follow()
    else:
        for identity in strongest_first(claims.named):
            search.meet(identity)
        for identity in claims.earlier:
            search.meet_earlier(identity)
    return search.result()


def proven_names(known: Known, contact: int) -> set[Identity]:
    """Return the names of a person that proof has tied to the contact."""
    names = known.names.get(contact, set())
    return {name for name in names if name.kind in _PERSONAL and name not in known.hints}


class _Search:
    """The contacts met so far while the identities of one event are looked at, the strongest first."""

    def __init__(self, claims: IdentityClaims, known: Known) -> None:
        self._claims, self._known = claims, known
        self._home: int | None = None
        self._joins: list[int] = []
        self._conflicts: dict[int, Conflict] = {}
        self._takes: list[Identity] = []
        # Every identity of the event's contact, as far as it is known.
        self._mine: set[Identity] = set(claims.named)

    def result(self) -> EventOwner:
        """Return the answer."""
        return EventOwner(
            self._home,
            tuple(self._joins),
            tuple(self._conflicts.values()),
            tuple(self._takes),
            self._withheld(),
        )

    def follow(self) -> None:
        """Take the owner of the strongest identity; change nothing else."""
        for identity in (*strongest_first(self._claims.named), *self._claims.earlier):
            if (owner := self._known.owners.get(identity)) is not None:
                self._home = owner
                return

    def meet(self, identity: Identity) -> None:
        """Look at the owner of an identity that the event names."""
        other = self._known.owners.get(identity)
        if other is None or other == self._home or other in self._joins:
            return
        if self._is_unproven(identity, other):
            self._take(identity, other)
        elif other not in self._conflicts and not self._contradicts(identity, other):
            self._adopt(other)
        elif identity.kind == "anonymous_id":
            self._meet_device(identity)
        elif self._is_proof and identity in self._known.hints:
            self._take(identity, other)
        else:
            self._conflicts.setdefault(other, Conflict(other, identity.kind))

    def meet_earlier(self, identity: Identity) -> None:
        """Look at the owner of an id that the person had before."""
        other = self._known.owners.get(identity)
        if other is None or other == self._home or other in self._joins or other in self._conflicts:
            return
        link = self._claims.link
        if link == "merge":
            stays_apart = False
        elif link == "page":
            stays_apart = self._has_other_user(other)
        elif self._home is None and self._is_proof:
            # The new id has no history, so this is a rename.
            stays_apart = False
        else:
            stays_apart = identity.kind == "user_id" or self._contradicts(
                Identity("anonymous_id", identity.value), other
            )
        if stays_apart:
            self._conflicts[other] = Conflict(other, identity.kind)
        else:
            self._adopt(other)

    @property
    def _is_proof(self) -> bool:
        return self._claims.word == "proof"

    def _adopt(self, other: int) -> None:
        if self._home is None:
            self._home = other
        else:
            self._joins.append(other)
        self._mine |= self._known.names[other]

    def _take(self, identity: Identity, other: int) -> None:
        """Proof is stronger than the hint that tied this identity to the other contact."""
        self._takes.append(identity)
        self._conflicts.setdefault(other, Conflict(other, identity.kind))

    def _meet_device(self, identity: Identity) -> None:
        """Assign a browser to the person who identified on it last."""
        if len(self._claims.named) > 1 and self._claims.at >= self._known.since[identity]:
            self._takes.append(identity)

    def _is_unproven(self, identity: Identity, other: int) -> bool:
        """Tell whether only a hint ties the identity to a contact that is proven by names the event does not give."""
        if not self._is_proof or identity not in self._known.hints or identity.kind not in _PERSONAL:
            return False
        proven = self._proven(other) - {identity}
        return bool(proven) and proven.isdisjoint(self._claims.named)

    def _contradicts(self, identity: Identity, other: int) -> bool:
        """Tell whether the contacts differ in a user id, or in a name that this kind of identity cannot join."""
        theirs = self._known.names[other]
        if self._has_other_user(other):
            return True
        if identity.kind == "user_id":
            return False
        if not self._is_proof and self._home is not None:
            mine = [self._home, *self._joins]
            if self._proven(other) and any(self._proven(contact) for contact in mine):
                return True
        if (identity.kind != "email" or not self._is_proof) and _differ(self._mine, theirs, "email"):
            return True
        return identity.kind == "anonymous_id" and _differ(self._mine, theirs, "phone")

    def _has_other_user(self, other: int) -> bool:
        """Tell whether both sides have user ids and none in common; against proof, those of hints do not count."""
        theirs, mine = self._known.names[other], self._mine
        if self._is_proof:
            theirs = theirs - (self._known.hints - set(self._claims.named))
            mine = mine - (self._known.hints - set(self._claims.named))
        return _differ(mine, theirs, "user_id")

    def _proven(self, contact: int) -> set[Identity]:
        return proven_names(self._known, contact)

    def _withheld(self) -> tuple[Identity, ...]:
        """Return the address that only a hint gives for a contact that has another one or that proof knows."""
        if self._is_proof or self._home is None:
            return ()
        mine = [self._home, *self._joins]
        has_address = any(name.kind == "email" for contact in mine for name in self._known.names[contact])
        if not has_address and not any(self._proven(contact) for contact in mine):
            return ()
        unowned = (name for name in self._claims.named if name not in self._known.owners)
        return tuple(name for name in unowned if name.kind == "email")


def strongest_first(identities: Collection[Identity]) -> list[Identity]:
    """Return them as they are trusted: user id, e-mail, phone, anonymous id."""
    if len(identities) < 2:
        return list(identities)
    return sorted(identities, key=_rank)


def _rank(identity: Identity) -> tuple[int, str]:
    return _RANKS[identity.kind], identity.value


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
