"""Limits for guessing passwords that shut nobody out who is known by more than a name.

Wrong passwords are counted for each pair of account and address, for each address, and for each account over all new
browsers. A browser in which the account signed in before carries a signed token and is counted by itself, so wrong
passwords typed elsewhere never keep it out. `nurture access user unlock` forgets the counts of an account and makes
another browser known. Only keyed hashes are stored.
"""

import hmac
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_hex
from typing import Any

import sqlalchemy as sa

from nurture.access import queries
from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.access import FIRST_ADMIN, parse_user_name
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant, to_iso
from nurture.domain.signing import sign_token, verify_token

#: Failed attempts in one window after which sign-in is locked until the window ends: of an account from one address
#: (or known browser), from one address, and of an account from all new browsers together.
WRONG_MAX = 10
WRONG_MAX_ADDRESS = 30
WRONG_MAX_ACCOUNT = 100
WRONG_WINDOW = 5 * MINUTE
#: For how long a browser is known after its last sign-in, and how long the link of `user unlock` is valid.
KNOWN = 180 * DAY
LINK = HOUR
_PURPOSE = "console device"


class LockedOut(Exception):
    """Sign-in is locked after too many wrong passwords."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One counted attempt: the subjects under which it counts, the first of them its own pair or browser."""

    subjects: tuple[str, ...]


class SignInLimits:
    """Counts attempts to sign in, recognises browsers, and unlocks accounts; all counts are in the database."""

    def __init__(self, services: Services) -> None:
        """Use these services; the key of the stored hashes is derived from the signing key."""
        self._services = services
        self._key = hmac.digest(services.keys.secrets[0], b"nurture sign-in limits", "sha256")

    # ---- attempts ----------------------------------------------------------------------------------------

    def count_attempt(self, name: str, *, address: str, device: str) -> Attempt:
        """Count an attempt before its password is checked, so that simultaneous guesses count each other.

        device: the token that the browser carries, or any other text. Raises LockedOut after too many failures.
        """
        limits = self._limits(name, address=address, device=device)
        now = self._services.clock.now()

        def work(connection: sa.Connection) -> bool:
            counts = queries.count_attempt(connection, list(limits), now=now, window=WRONG_WINDOW)
            over = [count - limit for count, limit in zip(counts, limits.values(), strict=True)]
            if max(over) > 0 and 1 in over:
                record(connection, at=now, actor="console", action="access.locked", detail=_describe(over))
            return max(over) > 0

        if self._services.database.run(work):
            raise LockedOut
        return Attempt(tuple(limits))

    def forget_attempt(self, attempt: Attempt) -> None:
        """Subtract an attempt whose password was right, and forget the wrong ones of its own pair or browser."""
        own, *shared = attempt.subjects
        self._services.database.run(lambda c: queries.uncount_attempt(c, shared, whole=own))

    def _limits(self, name: str, *, address: str, device: str) -> dict[str, int]:
        """Return the subjects of an attempt, each with the failures that it may have."""
        account = self._account(name)
        if browser := self._known_browser(name, device):
            return {f"{account}.{self._hash('device', browser)}": WRONG_MAX}
        of_address = self._hash("address", address)
        return {
            f"{account}.{of_address}": WRONG_MAX,
            of_address: WRONG_MAX_ADDRESS,
            account: WRONG_MAX_ACCOUNT,
        }

    # ---- known browsers ----------------------------------------------------------------------------------

    def make_device(self, name: str, *, valid: int = KNOWN) -> str:
        """Return the token of a browser that is known for this account. It opens nothing without the password."""
        until = self._services.clock.now() + valid
        return sign_token(self._services.keys, _PURPOSE, {"n": name, "d": token_hex(8), "u": until})

    def is_device(self, token: str) -> bool:
        """Tell whether a token makes a browser known for any account."""
        return self._read_device(token) is not None

    def _known_browser(self, name: str, token: str) -> str | None:
        payload = self._read_device(token)
        return str(payload["d"]) if payload is not None and payload["n"] == name else None

    def _read_device(self, token: str) -> dict[str, Any] | None:
        payload = verify_token(self._services.keys, _PURPOSE, token) if token else None
        return payload if payload is not None and payload["u"] > self._services.clock.now() else None

    # ---- locked accounts ---------------------------------------------------------------------------------

    def unlock(self, name: str, *, actor: str) -> dict[str, Any]:
        """Forget the wrong passwords of an account; return a link that makes a browser known. Raises NotFoundError."""
        name = name.strip().lower()
        if name != FIRST_ADMIN:
            name = parse_user_name(name)
        account = self._account(name)

        def work(connection: sa.Connection) -> int:
            if name not in self._account_names(connection):
                raise NotFoundError(f"there is no user {name!r}; `nurture access user list` shows all")
            detail = {"name": name}
            record(
                connection,
                at=self._services.clock.now(),
                actor=actor,
                action="access.user.unlock",
                detail=detail,
            )
            return queries.forget_failures(connection, account)

        forgotten = self._services.database.run(work)
        link = f"{self._services.settings.public_url}/login?device={self.make_device(name, valid=LINK)}"
        return {"user": name, "forgotten": forgotten, "link": link}

    def find_locked(self) -> list[str]:
        """Return a line for each account whose sign-in is locked for somebody now."""
        now = self._services.clock.now()
        with self._services.database.read() as connection:
            rows = queries.list_failures(connection, over=WRONG_MAX, since=now - WRONG_WINDOW)
            accounts = {self._account(name): name for name in self._account_names(connection)}
        lines: dict[str, Instant] = {}
        for row in rows:
            account, _, pair = row.subject.partition(".")
            if account in accounts and (pair or row.failures > WRONG_MAX_ACCOUNT):
                end = row.since + WRONG_WINDOW
                lines[accounts[account]] = max(end, lines.get(accounts[account], end))
        return [
            f"{name}: too many wrong passwords lock the sign-in of new browsers until {to_iso(end)}; let one in with: "
            f"nurture access user unlock {name}"
            for name, end in sorted(lines.items())
        ]

    def _account_names(self, connection: sa.Connection) -> list[str]:
        first = [FIRST_ADMIN] if self._services.settings.admin_password is not None else []
        return first + [row.name for row in queries.list_users(connection)]

    def _account(self, name: str) -> str:
        return self._hash("account", name)

    def _hash(self, kind: str, value: str) -> str:
        return blake2b(f"{kind}:{value}".encode(), digest_size=16, key=self._key).hexdigest()


def _describe(over: list[int]) -> dict[str, bool]:
    """Return which limits an attempt exceeded, for the audit log."""
    names = ("account", "address", "account_everywhere")
    return {name: count > 0 for name, count in zip(names, over, strict=False)}
