"""Log lines: named values, one format for all, no address of anybody."""

import io
import json
import logging
import socket
from collections.abc import Iterator

import pytest
import structlog

from nurture.runtime.log import about, get_logger, start_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()


def test_line_is_json_with_what_it_is_about() -> None:
    stream = io.StringIO()
    start_logging(style="json", stream=stream)
    with about(contact=7, run="lead/convert/cart"):
        get_logger("advance").info("applied", events=3)
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "applied",
        "events": 3,
        "contact": 7,
        "run": "lead/convert/cart",
        "level": "info",
        "logger": "nurture.advance",
    }


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_address_reaches_a_log(style: str) -> None:
    stream = io.StringIO()
    start_logging(style="json" if style == "json" else "console", stream=stream)
    get_logger("wire").warning(
        "refused for ann@x.example", to=["bo@y.example"], reply={"k": b"<cy@z.example>"}
    )
    logging.getLogger("celery").error("task got %r", {"email": "dee@w.example"})
    try:
        int("no such number: Eve <eve+tag@v.example>")
    except ValueError:
        get_logger("wire").exception("failed")
        logging.getLogger("uvicorn").exception("failed")
    text = stream.getvalue()
    for name in ("ann@", "bo@", "cy@", "dee@", "eve+tag"):
        assert name not in text
    assert text.count("***@v.example") >= 2


def test_the_name_of_a_worker_is_no_address() -> None:
    stream = io.StringIO()
    start_logging(style="json", stream=stream)
    host = socket.gethostname()
    logging.getLogger("celery.apps.worker").info("celery@%s ready, ann@%s not", host, host)
    assert json.loads(stream.getvalue())["event"] == f"celery@{host} ready, ***@{host} not"


def test_level_holds_for_libraries_too() -> None:
    stream = io.StringIO()
    start_logging(style="json", level="warning", stream=stream)
    logging.getLogger("celery").info("chatter")
    get_logger("inbox").info("chatter")
    assert stream.getvalue() == ""
