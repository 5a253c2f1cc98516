"""Secrets that an embedded run makes for itself, in a file that only its owner can read."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from nurture.domain.errors import SettingsError


def make_secrets(path: Path, names: Iterable[str], *, prefix: str) -> dict[str, str]:
    """Add a new secret of each name to the file, through to the disk, and return them. Raises SettingsError."""
    made = {name: secrets.token_urlsafe(32) for name in names}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{prefix}{name.upper()}={value}\n" for name, value in made.items()]
    try:
        _add_privately(path, "".join(lines))
    except OSError as error:
        message = f"{path}: the secrets of this database cannot be kept here: {error.strerror}"
        raise SettingsError(message) from error
    return made


def _add_privately(path: Path, text: str) -> None:
    """Append to a file that nobody but its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
