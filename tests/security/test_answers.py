"""Security headers on every route, and no secret in any log line."""

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from nurture.app.services import Services
from nurture.runtime.log import get_logger, keep_secret, start_logging
from nurture.runtime.settings import Settings
from tests.security.people import Line, sign_in, table

House = tuple[Services, str, dict[str, str]]
#: May be kept by a browser: they are the same for everybody.
CACHED = {"/static/nurture.css", "/brand.css"}


@pytest.fixture(scope="module")
def visitors(house: House) -> Iterator[list[httpx.Client]]:
    """Give a client that has not signed in and an admin."""
    with httpx.Client(base_url=house[1]) as stranger, httpx.Client(base_url=house[1]) as admin:
        assert sign_in(admin, "admins").status_code == 303
        yield [stranger, admin]


@pytest.mark.parametrize("line", table(), ids=lambda line: f"{line.method} {line.asked or line.path}")
def test_every_response_has_the_security_headers(line: Line, visitors: list[httpx.Client]) -> None:
    for client in visitors:
        answer = client.request(line.method, line.sample)
        policy = answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe-inline" not in policy or "sandbox" in policy
        assert ("no-store" in answer.headers["cache-control"]) == (line.path not in CACHED)
        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
        if "token" in line.who:
            assert answer.headers["referrer-policy"] == "no-referrer"
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", answer.text, re.IGNORECASE)
            assert "frame-ancestors" in policy


# ---- logs ------------------------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {
    "database_url": "postgresql://nurture:pw-of-database@db/nurture",
    "broker_url": "redis://:pw-of-redis@redis:6379/0",
    "mail_url": "smtp://me:pw-of-smtp@relay:587",
    "secret_key": ("first-secret-key-0001", "second-secret-key-0002"),
    "suppression_key": "suppression-key-0003",
    "write_keys": ("shop=write-key-0004",),
    "admin_password": "admin-password-0005",
    "webhook_secrets": {"postmark": "webhook-secret-0006"},
}
VALUES = (
    *("pw-of-database", "pw-of-redis", "pw-of-smtp", "first-secret-key-0001", "second-secret-key-0002"),
    *("suppression-key-0003", "write-key-0004", "admin-password-0005", "webhook-secret-0006"),
)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers, root.level
    written = io.StringIO()
    start_logging(style="json", stream=written)
    yield written
    root.handlers, root.level = before
    structlog.reset_defaults()


def test_no_secret_of_the_settings_reaches_a_log_whatever_it_is_called(stream: io.StringIO) -> None:
    keep_secret(*Settings(**SETTINGS).secret_values())
    for value in VALUES:
        get_logger("wire").warning(f"said {value}", other=value, deep={"list": [value]})
        logging.getLogger("celery").error("task got %r", [value])
        try:
            float(value)
        except ValueError:
            get_logger("wire").exception("failed")
    assert [value for value in VALUES if value in stream.getvalue()] == []
    assert stream.getvalue().count("***") >= len(VALUES)


@pytest.mark.parametrize(
    "line",
    [
        {"password": "hush-hush"},
        {"event": "x", "smtp_password": "hush-hush"},
        {"headers": {"Authorization": "Basic hush-hush0"}},
        {"headers": {"Cookie": "hush-hush"}},
        {"text": 'body {"writeKey": "hush-hush"}'},
        {"text": "POST /v1/x?token=hush-hush&a=1"},
        {"text": "Authorization: Bearer hush-hush"},
        {"text": "said {'api_key': 'hush-hush'}"},
        {"text": "GET /u/hush-hush-hush-hush-hush-hush"},
        {"text": "key nk_hush-hush-hush-hush-hush"},
    ],
    ids=str,
)
def test_a_value_named_like_a_secret_or_looking_like_one_is_blanked(
    stream: io.StringIO, line: dict[str, object]
) -> None:
    get_logger("wire").warning(
        "told", **{f"given_{name}" if name == "event" else name: value for name, value in line.items()}
    )
    logging.getLogger("uvicorn").error("%s", line)
    assert "hush-hush" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_ordinary_words_stay_as_they_are(stream: io.StringIO) -> None:
    get_logger("wire").info(
        "applied", tokens_left=5, measure="lead/convert/cart", keys=["a"], path="/u/short"
    )
    assert "***" not in stream.getvalue()
