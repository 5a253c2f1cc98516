"""`messages.verdict`: the guard's newest word on a message, as JSON text.

    {"action", "reason", "at", "until", "checks": [[name, passed, detail], ...]}

Some thirty checks a mail: their names' names are not written thirty times.
"""

from typing import Any

from nurture.domain.instant import Instant
from nurture.domain.message import Verdict
from nurture.store.database import decode, encode

_CHECK = ("name", "passed", "detail")


def verdict_text(verdict: Verdict, *, at: Instant) -> str:
    """Return the verdict as it is kept."""
    said = {"action": verdict.action, "reason": verdict.reason, "at": at, "until": verdict.until}
    return encode({**said, "checks": verdict.checks})


def checks_of(text: str | None) -> list[dict[str, Any]]:
    """Return the checks of a kept verdict, each with name, passed and detail; none where there is no verdict."""
    kept = decode(text) if text else {}
    # Until 0.1 a check was written with its parts' names.
    return [
        check if isinstance(check, dict) else dict(zip(_CHECK, check, strict=True))
        for check in kept.get("checks", ())
    ]
