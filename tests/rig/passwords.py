"""Hash and compare each password once a session: a hash takes 30 ms on purpose, and most tests sign somebody in."""

import itertools
from functools import cache
from typing import Final, Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from nurture.app.accounts import passwords

#: Hashes of one password: tests see that two users of one password have two.
_SALTS: Final = 3


class _Remembering(PasswordHasher):
    """A hasher of the product's parameters that gives a password a few hashes in turn, and remembers its answers."""

    def __init__(self, real: PasswordHasher) -> None:
        super().__init__(time_cost=real.time_cost, memory_cost=real.memory_cost, parallelism=real.parallelism)
        self._hash = cache(self._hash_anew)
        self._turns = itertools.cycle(range(_SALTS))
        self._matches = cache(self._compare)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Return a hash of the password, with another salt than the one before."""
        return self._hash(password, salt, next(self._turns))

    def _hash_anew(self, password: str | bytes, salt: bytes | None, _turn: int) -> str:
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        """Return True, or raise VerificationError."""
        if not self._matches(hash, password):
            raise VerificationError
        return True

    def _compare(self, stored: str | bytes, password: str | bytes) -> bool:
        try:
            return super().verify(stored, password)
        except VerificationError:
            return False


def share_hashed_passwords() -> None:
    """Let the hasher of this process remember what it hashed and compared."""
    passwords._HASHER = _Remembering(passwords._HASHER)
