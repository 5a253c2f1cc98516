"""Fingerprints of settings: they show that two processes have different values, and not which."""

import hashlib
from collections.abc import Iterable
from typing import Any

from pydantic import SecretStr

from nurture.runtime.settings import Settings

_BYTES = 8


def compute_fingerprints(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Return name -> fingerprint of the value, for names without NURTURE_.

    Hashed under the suppression key, which is the same for all processes of a database and not stored in it, so that
    nobody can try out likely values.
    """
    return {name: _fingerprint(name, getattr(settings, name.lower()), settings) for name in names}


def _fingerprint(name: str, value: Any, settings: Settings) -> str:
    text = f"{name}={_as_text(value)}"
    key = hashlib.blake2b(settings.suppression_secret, person=b"nurture settings").digest()
    return hashlib.blake2b(text.encode(), key=key, digest_size=_BYTES).hexdigest()


def _as_text(value: Any) -> str:
    """Return a text that equal values share, with secrets in full."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return repr(sorted((name, _as_text(part)) for name, part in value.items()))
    if isinstance(value, tuple):
        return repr([_as_text(part) for part in value])
    return str(value)
