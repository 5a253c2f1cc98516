"""Parsing the text of settings; pydantic shows the errors that are raised here."""

from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.exc import ArgumentError

from nurture.domain import retention
from nurture.domain.identity import canonical_email
from nurture.domain.instant import parse_duration

#: Whose webhooks are understood (`mail.providers`).
WEBHOOK_PROVIDERS = ("ses", "sendgrid", "mailgun", "postmark", "resend")
#: Characters before the @ of the bounce address: 64 less a plus and a tag of 31.
BOUNCE_LOCAL_MAX = 32
#: Bytes a secret must have.
SECRET_BYTES_MIN = 16


def words(value: Any) -> Any:
    """Split text at commas and white space; lists stay."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def pairs(value: Any) -> Any:
    """Read `name=value` words as a mapping."""
    parts = words(value)
    if not isinstance(parts, tuple):
        return parts
    split = [part.partition("=") for part in parts]
    if any(not equals for _, equals, _ in split):
        message = "write name=value, several separated by commas"
        raise ValueError(message)
    return {name: secret for name, _, secret in split}


def retained(value: dict[str, int]) -> dict[str, int]:
    """Refuse kinds of data that are not kept by age, and ages that are too low."""
    found = retention.find_faults(value)
    if found:
        raise ValueError("; ".join(found))
    return value


def long_enough(value: SecretStr) -> SecretStr:
    """Refuse a secret that could be guessed."""
    if len(value.get_secret_value().encode()) < SECRET_BYTES_MIN:
        message = f"is shorter than {SECRET_BYTES_MIN} bytes; make one with: openssl rand -base64 32"
        raise ValueError(message)
    return value


def database(value: str) -> str:
    """Return the database URL; raise ValueError for any other kind of URL."""
    try:
        backend = sa.make_url(value).get_backend_name()
    except ArgumentError:
        backend = ""
    if backend not in {"sqlite", "postgresql"}:
        message = "is no database URL; write sqlite:///nurture.db or postgresql://user:password@host/name"
        raise ValueError(message)
    return value


def http_url(value: str) -> str:
    """Return the URL without a slash at its end."""
    if value and not value.startswith(("http://", "https://")):
        message = "must begin with http:// or https://"
        raise ValueError(message)
    return value.rstrip("/")


def address(value: str) -> str:
    """Return the mail address, or the empty text; raise ValueError for any other text."""
    if value and canonical_email(value) is None:
        message = "is no mail address"
        raise ValueError(message)
    return value


def bounce_address(value: str) -> str:
    """Refuse an address that leaves no room for a tag."""
    local = address(value).rpartition("@")[0]
    if len(local) > BOUNCE_LOCAL_MAX or "+" in local:
        message = f"the part before @ may have {BOUNCE_LOCAL_MAX} characters and no +: a tag is added to it"
        raise ValueError(message)
    return value


def duration(value: str) -> str:
    """Return the duration; raise ValueError for any other text."""
    if parse_duration(value) <= 0:
        message = "must be longer than nothing"
        raise ValueError(message)
    return value


def providers(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Refuse names of providers whose webhooks are not understood."""
    unknown = sorted(set(value) - set(WEBHOOK_PROVIDERS))
    if unknown:
        message = f"there is no provider {unknown[0]!r}; known are {', '.join(WEBHOOK_PROVIDERS)}"
        raise ValueError(message)
    return value
