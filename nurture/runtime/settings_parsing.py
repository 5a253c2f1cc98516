"""Parsing the text of settings; pydantic shows the errors that are raised here."""

import ipaddress
import json
import re
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.exc import ArgumentError

from nurture.domain import retention
from nurture.domain.health.providers import name_provider
from nurture.domain.health.warm_up import parse_plan
from nurture.domain.identity import canonical_email
from nurture.domain.instant import parse_duration

#: Senders of webhooks that are understood: mail providers (`inbound.providers`), and shops (`inbound.shops`).
WEBHOOK_PROVIDERS = ("ses", "sendgrid", "mailgun", "postmark", "resend")
WEBHOOK_SHOPS = ("shopify", "woocommerce", "stripe")
_WEBHOOKS = (*WEBHOOK_PROVIDERS, *WEBHOOK_SHOPS)
#: The beginning of a `name=secret` pair: at the start, or after a comma or space.
_PAIR_START = re.compile(rf"(?:^|[,\s]+)({'|'.join(_WEBHOOKS)})=")
#: Its secrets are free text; those of all others hold neither comma nor space, and `|` parts an old and a new one.
_FREE_TEXT = "woocommerce"
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


def webhook_secrets(value: Any) -> Any:
    """Return sender -> its secrets, from pairs, from a JSON object or from a table of a file.

    A pair may be repeated, and a secret reaches to the next known name with its `=`, so it may hold any character.
    """
    if isinstance(value, str):
        value = _secrets_of_json(value) if value.lstrip().startswith("{") else _secrets_of_pairs(value)
    if not isinstance(value, dict):
        return value
    unknown = sorted(str(name) for name in value if name not in _WEBHOOKS)
    if unknown:
        message = f"there is no provider or shop {unknown[0]!r}; known are {', '.join(_WEBHOOKS)}"
        raise ValueError(message)
    return {name: _split_secrets(name, secrets) for name, secrets in value.items()}


def _secrets_of_json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        message = f"begins with a brace and is not JSON ({error}); write " + '{"name": ["secret"]}'
        raise ValueError(message) from error


def _secrets_of_pairs(value: str) -> dict[str, list[str]]:
    starts = list(_PAIR_START.finditer(value.strip()))
    known = ", ".join(_WEBHOOKS)
    if value.strip() and (not starts or starts[0].start() != 0):
        message = f"write name=secret, several separated by commas; there is no other name than {known}"
        raise ValueError(message)
    secrets: dict[str, list[str]] = {}
    ends = [start.start() for start in starts[1:]] + [len(value.strip())]
    for start, end in zip(starts, ends, strict=True):
        name, secret = start[1], value.strip()[start.end() : end]
        if name != _FREE_TEXT and re.search(r"[,\s]", secret := secret.rstrip(", \n")):
            message = f"{name}: its secret holds a comma or space, or a pair behind it has another name than {known}"
            raise ValueError(message)
        secrets.setdefault(name, []).append(secret)
    return secrets


def _split_secrets(name: str, secrets: Any) -> Any:
    """Return the secrets as a tuple; an old and a new one in one text are parted by `|`."""
    texts = secrets if isinstance(secrets, list | tuple) else [secrets]
    if name == _FREE_TEXT:
        return tuple(text for text in texts if text)
    parted = (text.split("|") if isinstance(text, str) else [text] for text in texts)
    return tuple(part for parts in parted for part in parts if part)


def shops(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse names of shops that are not understood."""
    unknown = sorted(set(value) - set(WEBHOOK_SHOPS))
    if unknown:
        message = f"there is no shop {unknown[0]!r}; known are {', '.join(WEBHOOK_SHOPS)}"
        raise ValueError(message)
    return value


def shop_topics(value: dict[str, str]) -> dict[str, str]:
    """Refuse topics of shops that are not understood."""
    shops(tuple(value))
    return value


#: A name of an event, `=`, and an address, up to the next such pair.
_HOOK = re.compile(r"\s*([^=,\n]+?)\s*=\s*(https?://[^\s,]+)\s*(?:[,\n]|$)")


def event_hooks(value: Any) -> Any:
    """Return event -> the addresses to post it to, from pairs, from a JSON object or from a table of a file."""
    if isinstance(value, str):
        value = _secrets_of_json(value) if value.lstrip().startswith("{") else _hooks_of_pairs(value)
    if not isinstance(value, dict):
        return value
    hooks = {name: tuple(urls) if isinstance(urls, list | tuple) else (urls,) for name, urls in value.items()}
    for name, urls in hooks.items():
        for url in urls:
            parts = urlsplit(url) if isinstance(url, str) else None
            if parts is None or parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
                message = f"{name}: {url!r:.60} is no address; write https://host/path"
                raise ValueError(message)
    return hooks


def _hooks_of_pairs(value: str) -> dict[str, list[str]]:
    hooks: dict[str, list[str]] = {}
    place = 0
    while value[place:].strip():
        match = _HOOK.match(value, place)
        if match is None:
            message = f"{value[place:].strip()[:40]!r}: write Event Name=https://host/path, several separated by commas"
            raise ValueError(message)
        hooks.setdefault(match[1], []).append(match[2])
        place = match.end()
    return hooks


def dns_server(value: str) -> str:
    """Return `system`, or an IP address with or without a port. Raises ValueError for anything else."""
    if value in ("", "system"):
        return value
    address, colon, port = value.rpartition(":")
    if colon and address.count(":") == 0 and port.isdigit() and 0 < int(port) < 65_536:
        host = address
    else:
        host = value.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        message = "write `system`, or the address of a resolver such as 9.9.9.9"
        raise ValueError(message) from None
    return value


def warm_up(value: dict[str, str]) -> dict[str, str]:
    """Refuse plans that cannot be read."""
    for plan in value.values():
        parse_plan(plan)
    return value


def provider_limits(value: dict[str, int]) -> dict[str, int]:
    """Refuse domains that are not the name of a large provider, and limits below one."""
    for name, limit in value.items():
        provider = name_provider(f"x@{name}")
        if provider != name:
            hint = (
                f"write {provider}"
                if provider
                else "only large mailbox providers have limits, such as gmail.com"
            )
            raise ValueError(f"{name}: {hint}")
        if limit < 1:
            raise ValueError(f"{name}: write a number of mails above 0")
    return value
