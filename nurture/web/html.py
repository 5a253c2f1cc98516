"""Render HTML pages from templates: Jinja with autoescape, and the security headers of each kind of page."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Response

from nurture.domain.instant import DAY, HOUR, MINUTE, SECOND, Duration, Instant, to_datetime

_HERE = Path(__file__).parent
STATIC = _HERE / "static"

_COMMON = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'"

#: The pages behind the links of a mail. Their URL is a secret, so they send no referrer.
PUBLIC_HEADERS = {
    **_COMMON,
    "Content-Security-Policy": f"{_POLICY}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
#: The console. Referrer policy `same-origin` keeps the Origin header of its own forms.
CONSOLE_HEADERS = {
    **_COMMON,
    "Content-Security-Policy": f"{_POLICY}; frame-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}
#: The HTML part of a mail in a frame of the console: styles, images and links work, scripts and forms do not.
MAIL_HEADERS = {
    **_COMMON,
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'none'; "
        "base-uri 'self'; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    ),
    "Referrer-Policy": "no-referrer",
}


def render_page(name: str, *, status: int = 200, headers: Mapping[str, str], **values: Any) -> Response:
    """Return the page of the template `name` (below templates/), rendered with these values."""
    text = _environment().get_template(name).render(**values)
    return Response(text, status_code=status, media_type="text/html", headers=dict(headers))


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["instant"] = format_instant
    environment.filters["span"] = format_duration
    environment.filters["number"] = format_number
    environment.globals["stylesheet"] = f"/static/nurture.css?{stylesheet_version()}"
    return environment


@lru_cache(maxsize=1)
def stylesheet() -> bytes:
    """Return the style sheet of all pages."""
    return (STATIC / "nurture.css").read_bytes()


def stylesheet_version() -> str:
    """Return a digest of the style sheet for its URL, so that browsers may cache it for long."""
    return blake2b(stylesheet(), digest_size=6).hexdigest()


def format_instant(value: Instant | None) -> str:
    """Return an instant as text: UTC, to the second; empty for None."""
    return "" if value is None else f"{to_datetime(value):%Y-%m-%d %H:%M:%S}"


def format_duration(value: Duration) -> str:
    """Return a duration as text in its largest unit."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if value >= unit:
            return f"{value / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{value / SECOND:.0f} s"


def format_number(value: int) -> str:
    """Return a count with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u2009")
