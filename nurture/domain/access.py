"""Who may do what: the three roles of people, the four scopes of keys, and what a password must be."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from nurture.domain.errors import InputError

#: Each may what those before it may.
Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Scope = Literal["ingest", "send", "read", "admin"]
SCOPES: dict[Scope, str] = {
    "ingest": "hand in events; the only scope for a key that stands in a web page",
    "send": "POST /v1/send/email",
    "read": "/metrics",
    "admin": "suppress, unsuppress and erase people over the Track API",
}
#: Sources of events that are ours: what they say was written down already, so no application may speak as one.
OUR_SOURCES = frozenset({"celery", "cli", "feedback", "import", "object", "ops", "timer", "web"})
SOURCE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
#: The name of whoever signs in with ADMIN_PASSWORD; nobody else can have it.
FIRST_ADMIN = "admin"
#: Characters a password must have, and at most: argon2 reads all of them.
PASSWORD_MIN = 12
PASSWORD_MAX = 1024
NAME_MAX = 64


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who signed in (or this machine's own console, where none is needed)."""

    name: str
    role: Role
    # The session's id, which is the hash of its cookie; empty where there is no session.
    session: str = ""

    @property
    def actor(self) -> str:
        """Who the audit log names."""
        return f"user:{self.name}"

    def may(self, role: Role) -> bool:
        """Tell whether this role or a higher one is theirs."""
        return ROLES.index(self.role) >= ROLES.index(role)


def read_role(text: str) -> Role:
    """Return the role of this name. Raises InputError that lists them."""
    for role in ROLES:
        if role == text:
            return role
    raise InputError(f"{text!r} is no role; write {', '.join(ROLES)}")


def read_scopes(words: tuple[str, ...]) -> tuple[Scope, ...]:
    """Return the scopes named, each once, in the order of the list. Raises InputError that lists them."""
    unknown = sorted(set(words) - set(SCOPES))
    if unknown or not words:
        what = f"{unknown[0]!r} is no scope" if unknown else "give at least one scope"
        raise InputError(f"{what}; write {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in words)


def read_name(text: str) -> str:
    """Return a name as it is kept: small letters. Raises InputError for one that cannot be used."""
    name = text.strip().lower()
    if not name or len(name) > NAME_MAX or not all(sign.isalnum() or sign in "._@+-" for sign in name):
        raise InputError(f"{text!r}: a name has 1 to {NAME_MAX} letters, digits and . _ @ + -")
    if name == FIRST_ADMIN:
        raise InputError(f"{name!r} is whoever signs in with NURTURE_ADMIN_PASSWORD; take another name")
    return name


def read_key_name(text: str) -> str:
    """Return a key's name, which is the source of what it hands in. Raises InputError."""
    if not SOURCE_NAME.fullmatch(text) or text in OUR_SOURCES:
        raise InputError(
            f"{text!r}: a key's name has 1 to 32 of a-z 0-9 _ - and begins with a letter; "
            f"{', '.join(sorted(OUR_SOURCES))} are our own"
        )
    return text


def check_password(password: str, *, name: str) -> None:
    """Raise InputError for a password that is too easily guessed (NIST SP 800-63B: length, not composition)."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise InputError(
            f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters; this has {len(password)}"
        )
    if name in password.lower() or len(set(password)) < 5:
        raise InputError("a password neither contains the name nor repeats a few characters")


def same_person(one: str, other: str) -> bool:
    """Tell whether two actors may be one person: `cli:ann` and `user:ann` are.

    Who works through a key, or on a console that asks for no password, is nobody in particular, and so never a
    second person.
    """
    kinds = {one.partition(":")[0], other.partition(":")[0]}
    return bool(kinds & {"key"} or {one, other} & {"user:local"}) or _person(one) == _person(other)


def _person(actor: str) -> str:
    return actor.partition(":")[2].lower()
