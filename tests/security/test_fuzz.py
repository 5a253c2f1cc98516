"""Made-up input for every reader that strangers reach: it is read or refused, and nothing else happens.

A few hundred of each in every run, a hundred thousand of each in `make fuzz`.
"""

import gzip
import json
import logging
from collections.abc import Callable
from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nurture.app.event_body import NotJson, TooLarge, inflate, split_body
from nurture.app.ingest import TEXT_MAX, read_items
from nurture.domain.conditions import Condition
from nurture.domain.errors import ConditionError
from nurture.domain.signing import SigningKeys, sign_token, verify_token
from nurture.inbound.inbound_mail import InboundMail, read
from nurture.rendering.headers import phrase, unstructured
from tests.domain.conditions.samples import a_condition
from tests.inbound.mails import EXIM, QMAIL, a_dsn, an_answer, an_arf
from tests.web.live import NOW, a_batch, a_track

Check = Callable[[Any], None]

KEYS = SigningKeys((b"a secret of the tests, long enough",))
PAYLOAD = {"c": 7, "m": 12, "t": "offers"}
TOKEN = sign_token(KEYS, "unsubscribe", PAYLOAD)
BODY = json.dumps(a_batch([a_track(1), a_track(2, properties={"a": [1, {"b": None}]})])).encode()
BOUNCES = (a_dsn(), an_arf(), an_answer(), QMAIL, EXIM)
WORDS = (
    *(
        "orders",
        "plan",
        "carts",
        "known",
        "count",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ":",
        "==",
        "!=",
        "<",
    ),
    *(
        ">=",
        "and",
        "or",
        "not",
        "in",
        "is",
        "no",
        "yes",
        "unknown",
        "1",
        "-1",
        "1e999",
        "'a'",
        '"',
        "'",
        "\\",
    ),
    *(
        "lambda x: x",
        "__import__('os')",
        "**",
        "//",
        "%",
        "=",
        ":=",
        "\n",
        "\t",
        "#",
        "f'{1}'",
        "0x1",
        "days_since",
    ),
    *(
        "silent_days",
        "'Order Completed'",
        "𝐨𝐫𝐝𝐞𝐫𝐬",
        "\ud800",
        "\x00",
        "if",
        "else",
        "for",
        "await",
        "...",
        "None",
    ),
)
SIGNS = "\r\n\t\x00\x85\u2028=?utf-8bqQB_ :;<>@,\"'\\().Bcc日\ud83dé\u202e"


@st.composite
def changed(draw: st.DrawFn, *wholes: bytes) -> bytes:
    """Return one of these with a stretch of it replaced by anything."""
    whole = draw(st.sampled_from(wholes))
    start = draw(st.integers(0, len(whole)))
    return whole[:start] + draw(st.binary(max_size=40)) + whole[start + draw(st.integers(0, 60)) :]


def read_body(given_body: tuple[bytes, bool]) -> None:
    body, is_zipped = given_body
    try:
        opened = split_body(inflate(gzip.compress(body, 1) if is_zipped else body))
    except (NotJson, TooLarge):
        return
    intake = read_items(opened, source="shop", received_at=NOW)
    assert len(intake.events) + len(intake.rejected) == len(opened.items)
    for event in intake.events:
        assert 0 < len(event.name) <= TEXT_MAX
        assert event.occurred_at <= NOW
    assert all(item.reason for item in intake.rejected)


def read_condition(text: str) -> None:
    try:
        assert isinstance(a_condition(text), Condition)
    except ConditionError as error:
        assert 0 <= error.column <= len(text)  # noqa: PT017 - either it is read, or the place is told


def read_bounce(data: bytes) -> None:
    arrival = read(data, envelope_sender="")
    assert isinstance(arrival, InboundMail)


def write_headers(text: str) -> None:
    lines = [
        f"From: {phrase(text, room=6)} <a@shop.test>",
        f"Subject: {unstructured(text, room=9)}",
        "To: b@x.test",
    ]
    data = "\r\n".join([*lines, "", "body"]).encode()
    assert data.isascii()
    mail = message_from_bytes(data, policy=policy.default)
    assert mail.keys() == ["From", "Subject", "To"]
    assert mail.get_payload() == "body"
    (sender,) = mail["From"].addresses
    assert sender.addr_spec == "a@shop.test"
    assert not any(sign in str(mail["Subject"]) + sender.display_name for sign in "\r\n\x00")


def read_token(token: str) -> None:
    for purpose in ("unsubscribe", "click"):
        found = verify_token(KEYS, purpose, token)
        assert found == (PAYLOAD if (token, purpose) == (TOKEN, "unsubscribe") else None)


READERS: dict[str, tuple[st.SearchStrategy[Any], Check]] = {
    "bodies": (st.tuples(changed(BODY) | st.binary(max_size=200), st.booleans()), read_body),
    "conditions": (
        st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=40),
        read_condition,
    ),
    "bounces": (changed(*BOUNCES) | st.binary(max_size=300), read_bounce),
    "headers": (st.text(alphabet=SIGNS, max_size=60) | st.text(max_size=120), write_headers),
    "tokens": (
        changed(TOKEN.encode()).map(lambda raw: raw.decode("latin-1"))
        | st.text(max_size=100)
        | st.just(TOKEN),
        read_token,
    ),
}


def run(name: str, count: int) -> int:
    """Give so many made-up inputs to a reader; return how many it got."""
    strategy, check = READERS[name]
    seen = 0

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(value: Any) -> None:
        nonlocal seen
        seen += 1
        check(value)

    # The library of odd bounces tells of each that it stumbles over: a hundred thousand stories for nobody.
    logging.disable(logging.CRITICAL)
    try:
        one()
    finally:
        logging.disable(logging.NOTSET)
    return seen


@pytest.mark.parametrize("name", READERS)
def test_no_input_gets_through_a_reader(name: str) -> None:
    assert run(name, 300) >= 300


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_none_of_a_hundred_thousand_gets_through_a_reader(name: str) -> None:
    assert run(name, 100_000) >= 100_000
