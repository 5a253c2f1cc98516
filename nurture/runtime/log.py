"""One way to log: a line is an event with named values, as JSON for machines or in colour for people.

What Celery, uvicorn and SQLAlchemy log goes the same way. E-mail addresses never reach a log: the last
processor cuts them to `***@domain`, and blanks secrets: those of the settings by value (`keep_secret`), others by
what they are called and by how they look (passwords, tokens, keys, the addresses of public pages). Bind what a
stretch of work is about with `about(contact=..., run=...)`.
"""

import logging
import re
import socket
import sys
from contextlib import AbstractContextManager
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from nurture.domain.instant import to_iso
from nurture.runtime.clock import SystemClock

_ADDRESS = re.compile(r"[^\s<>\"'(),:;@=\[\]{}]+@([\w-]+(?:\.[\w-]+)*)")
#: Values of what is called like a secret, in JSON, in a mapping's repr, in a query or a header.
_NAMED = re.compile(
    r"""(?ix) ( (?:[\w-]*(?:password|passwd|secret|token|api[_-]?key|write_?key|signature)|authorization|cookie)s?
    \\?["']? \s* [=:] \s* ) (?: (\\?") .*? \2 | (') .*? ' | [^\s,;&}"'\\]+ )"""
)
#: Texts shaped like a secret: credentials of a header, our own keys, the token in the address of a public page.
_SHAPED = re.compile(
    r"""(?x) (?i:\b(bearer|basic)\s+)[\w+/=.~-]{8,} | \bnk_[\w-]{20,} | /(u|p|c|o|s|r|confirm)/[\w-]{24,}"""
)
#: The name by which Celery knows the workers of this machine; it looks like an address.
_OUR_NAMES = frozenset({f"celery@{socket.gethostname()}"})
_secrets: set[str] = set()
#: Libraries that tell more than anybody wants at the level of the rest.
_QUIET = ("alembic", "apscheduler", "celery.app.trace", "celery.worker.strategy", "uvicorn.access")


def start_logging(
    *,
    style: Literal["auto", "console", "json"] = "auto",
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
) -> None:
    """Set up logging of this process, ours and the libraries'. stream: default standard error."""
    output = stream or sys.stderr
    machine = style == "json" or (style == "auto" and not output.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _add_time,
        *([structlog.processors.format_exc_info] if machine else []),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    renderer: Processor = structlog.processors.JSONRenderer() if machine else _console(output)
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, redact],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def get_logger(room: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a room."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"nurture.{room}")
    return logger


def about(**values: Any) -> AbstractContextManager[None]:
    """Bind values (contact, run, message, shard, lane: ids) to every line logged inside the block."""
    return structlog.contextvars.bound_contextvars(**values)


def without_addresses(text: str) -> str:
    """Return the text with every e-mail address cut to its domain; names of our own processes stay."""
    return _ADDRESS.sub(_cut, text)


def _cut(found: re.Match[str]) -> str:
    return found[0] if found[0] in _OUR_NAMES else f"***@{found[1]}"


def keep_secret(*values: str) -> None:
    """Never show these values in a log of this process. Those shorter than six characters are left alone."""
    _secrets.update(value for value in values if len(value) >= 6)


def redact(_logger: WrappedLogger, _method: str, line: Any) -> str:
    """Cut every e-mail address in a finished line to its domain, and blank every secret, wherever it came from."""
    text = str(line)
    for value in sorted(_secrets, key=len, reverse=True):
        text = text.replace(value, "***")
    text = _SHAPED.sub(_blank, text)
    text = _NAMED.sub(
        lambda found: f"{found[1]}{found[2] or found[3] or ''}***{found[2] or found[3] or ''}", text
    )
    return without_addresses(text)


def _blank(found: re.Match[str]) -> str:
    """Return what stands in place of something that looks like a secret; its kind stays."""
    if found[1]:
        return f"{found[1]} ***"
    return f"/{found[2]}/***" if found[2] else "***"


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["at"] = to_iso(SystemClock().now())
    return event


def _console(output: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="at"
    )
