"""Passwords: argon2id (RFC 9106) with OWASP's parameters, 19 MiB and two passes.

Signing in costs 30 ms of one core. More would make the login a way to keep the server busy: wrong passwords are
bounded by account and by address anyway.
"""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: Hashing at once in one process: each takes 19 MiB.
_CONCURRENT_HASHES = threading.BoundedSemaphore(2)
#: What a name that nobody has is compared with, so that it takes as long as one that somebody has.
_UNKNOWN_USER_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$5ITxrS4Wp3fQcuF+SW7ahQ$BnXZReKErhA1BIP/ky3ijPTQMfvuIoFrK0ZIn+jT0jA"
)


def hash_password(password: str) -> str:
    """Return what may be kept of a password."""
    with _CONCURRENT_HASHES:
        return _HASHER.hash(password)


def verify_password(kept: str | None, password: str) -> bool:
    """Tell whether this is the password; takes as long when nothing is kept (None), and then says no."""
    with _CONCURRENT_HASHES:
        try:
            _HASHER.verify(kept or _UNKNOWN_USER_HASH, password)
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def needs_rehash(kept: str) -> bool:
    """Tell whether a hash was made with other parameters than today's; it is made anew at the next sign-in."""
    return _HASHER.check_needs_rehash(kept)
