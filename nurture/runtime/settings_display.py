"""Settings as they may be shown: no secret, and no password in a URL."""

from typing import Any

from pydantic import SecretStr


def show_value(value: Any) -> str:
    """Return the text of a value: every secret and every password of a URL as `***`."""
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, tuple):
        return " ".join(show_value(part) for part in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={show_value(part)}" for name, part in value.items())
    return "" if value is None else _without_passwords(str(value))


def _without_passwords(text: str) -> str:
    """Blank the password of every URL among the words of `text`."""
    words = text.split(" ")
    for place, word in enumerate(words):
        scheme, slashes, rest = word.partition("://")
        login, at, host = rest.rpartition("@")
        if slashes and at and ":" in login:
            words[place] = f"{scheme}://{login.split(':', 1)[0]}:***@{host}"
    return " ".join(words)
