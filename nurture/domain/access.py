"""Authorization: the roles of operators, the scopes of API keys, and the rules for names and passwords."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from nurture.domain.errors import InputError
from nurture.domain.event import SHOPS

#: Each role includes the rights of the roles before it.
Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
KeyScope = Literal["ingest", "send", "read", "admin"]
SCOPES: dict[KeyScope, str] = {
    "ingest": "hand in events; the only scope for a key that stands in a web page",
    "send": "POST /v1/send/email",
    "read": "/metrics",
    "admin": "suppress, unsuppress and erase people over the Track API",
}
#: server: a secret key, what it says is proof. browser: it stands in a page or an app, what it says is a hint.
KeyKind = Literal["server", "browser"]
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
#: The only scope that a browser key uses.
BROWSER_SCOPES: frozenset[KeyScope] = frozenset({"ingest"})
#: Sources of events that this system writes itself; no API key may have one of these names.
OUR_SOURCES = (
    frozenset(
        {
            "account",
            "celery",
            "cli",
            "feedback",
            "import",
            "measure",
            "model",
            "object",
            "ops",
            "timer",
            "web",
        }
    )
    | SHOPS
)
SOURCE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
#: The user name that signs in with ADMIN_PASSWORD; no other user can have it.
FIRST_ADMIN = "admin"
#: Least and greatest number of characters of a password; argon2 reads all of them.
PASSWORD_MIN = 12
PASSWORD_MAX = 1024
NAME_MAX = 64


@dataclass(frozen=True, slots=True)
class Operator:
    """A signed-in user, or the console of this machine when it asks for no password."""

    name: str
    role: Role
    # The session's id, which is the hash of its cookie; "" without a session.
    session: str = ""

    @property
    def actor(self) -> str:
        """The name of the user in the audit log."""
        return f"user:{self.name}"

    def may(self, role: Role) -> bool:
        """Tell whether the user has this role or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


def parse_role(text: str) -> Role:
    """Return the role of this name. Raises InputError, which lists the roles."""
    for role in ROLES:
        if role == text:
            return role
    raise InputError(f"{text!r} is no role; write {', '.join(ROLES)}")


def parse_scopes(words: tuple[str, ...]) -> tuple[KeyScope, ...]:
    """Return the named scopes, each once, in the order of SCOPES. Raises InputError, which lists the scopes."""
    unknown = sorted(set(words) - set(SCOPES))
    if unknown or not words:
        fault = f"{unknown[0]!r} is no scope" if unknown else "give at least one scope"
        raise InputError(f"{fault}; write {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in words)


def parse_kind(text: str) -> KeyKind:
    """Return the kind of this name. Raises InputError, which lists the kinds."""
    for kind in KINDS:
        if kind == text:
            return kind
    raise InputError(f"{text!r} is no kind of key; write {' or '.join(KINDS)}")


def assumed_kind(scopes: Collection[str]) -> KeyKind:
    """Return the kind of a key for which none was set: a key that only hands in events may stand in a page."""
    return "browser" if set(scopes) == BROWSER_SCOPES else "server"


def parse_user_name(text: str) -> str:
    """Return a user name in lower case, as it is stored. Raises InputError for a name that cannot be used."""
    name = text.strip().lower()
    if not name or len(name) > NAME_MAX or not all(sign.isalnum() or sign in "._@+-" for sign in name):
        raise InputError(f"{text!r}: a name has 1 to {NAME_MAX} letters, digits and . _ @ + -")
    if name == FIRST_ADMIN:
        raise InputError(f"{name!r} is the user who signs in with NURTURE_ADMIN_PASSWORD; take another name")
    return name


def parse_key_name(text: str) -> str:
    """Return the name of an API key, which is the source of its events. Raises InputError."""
    if not SOURCE_NAME.fullmatch(text) or text in OUR_SOURCES:
        raise InputError(
            f"{text!r}: a key's name has 1 to 32 of a-z 0-9 _ - and begins with a letter; "
            f"{', '.join(sorted(OUR_SOURCES))} are our own"
        )
    return text


def check_password(password: str, *, name: str) -> None:
    """Raise InputError for a password that is easily guessed (NIST SP 800-63B: length, not composition)."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise InputError(
            f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters; this has {len(password)}"
        )
    if name in password.lower() or len(set(password)) < 5:
        raise InputError("a password neither contains the name nor repeats a few characters")


def may_be_same_person(first: str, second: str) -> bool:
    """Tell whether two actors may be the same person, as `cli:ann` and `user:ann` are.

    An API key, or a console that asks for no password, names no person, so it never counts as a second person.
    """
    kinds = {first.partition(":")[0], second.partition(":")[0]}
    return bool(kinds & {"key"} or {first, second} & {"user:local"}) or _person_name(first) == _person_name(
        second
    )


def _person_name(actor: str) -> str:
    return actor.partition(":")[2].lower()
