"""Hash and verify passwords with argon2id (RFC 9106) and OWASP's parameters: 19 MiB and two passes.

One hash takes about 30 ms of one core. Higher parameters would let login requests overload the server, and failed
logins are limited by account and by address already.
"""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: At most two hashes at a time in one process: each takes 19 MiB.
_CONCURRENT_HASHES = threading.BoundedSemaphore(2)
#: An unknown user's password is compared with this hash, so that it takes as long as a known user's.
_UNKNOWN_USER_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$5ITxrS4Wp3fQcuF+SW7ahQ$BnXZReKErhA1BIP/ky3ijPTQMfvuIoFrK0ZIn+jT0jA"
)


def hash_password(password: str) -> str:
    """Return the hash to store for a password."""
    with _CONCURRENT_HASHES:
        return _HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether a password matches the stored hash. With None it takes as long and returns False."""
    with _CONCURRENT_HASHES:
        try:
            _HASHER.verify(stored or _UNKNOWN_USER_HASH, password)
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def needs_rehash(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than today's. The next sign-in replaces it."""
    return _HASHER.check_needs_rehash(stored)
