"""`messages.verdict`: the guard's newest word on a message, as JSON text.

    {"action", "reason", "at", "until", "checks": [name or [name, passed, detail], ...]}

Some thirty checks a mail, and most pass for the usual reason: such a one is written by its name alone. Of a mail
that is sent that leaves 600 bytes of 1,100, and a row that PostgreSQL need not compress.
"""

from collections.abc import Mapping
from typing import Any, Final

from nurture.database.engine import decode, encode
from nurture.domain.instant import Instant
from nurture.domain.message import Verdict

_CHECK = ("name", "passed", "detail")
#: Check -> what it says nearly always when it passes (`guard.checks`). An entry may be added, never changed: it is
#: what was said of mails that are in the ledger.
_USUAL: Final[Mapping[str, str]] = {
    "restored": "the database is not behind its journals",
    "address": "known",
    "suppression": "none",
    "switches": "none is off",
    "run": "done but for this mail",
    "holdout": "not in the holdout",
    "events_pending": "everything accepted is applied",
    "own_pause": "none",
    "holds": "none",
    "only_to": "no such limit",
    "order": "no earlier step is under way",
    "send_window": "any time",
    "let_rules": "kept",
    "cap": "room",
    "gap": "far enough from the last",
    "own_cap": "none",
    "series": "not a series",
    "when": "nothing asked",
    "send_if": "nothing asked",
}


def encode_verdict(verdict: Verdict, *, at: Instant) -> str:
    """Return the verdict as it is kept."""
    said = {"action": verdict.action, "reason": verdict.reason, "at": at, "until": verdict.until}
    checks = [
        check.name if check.passed and _USUAL.get(check.name) == check.detail else check
        for check in verdict.checks
    ]
    return encode({**said, "checks": checks})


def read_checks(text: str | None) -> list[dict[str, Any]]:
    """Return the checks of a kept verdict, each with name, passed and detail; none where there is no verdict."""
    checks: list[dict[str, Any]] = decode_verdict(text)["checks"] if text else []
    return checks


def decode_verdict(text: str) -> dict[str, Any]:
    """Return a kept verdict in full: action, reason, at, until, and checks with name, passed and detail."""
    kept: dict[str, Any] = decode(text)
    return {**kept, "checks": [_read(check) for check in kept.get("checks", ())]}


def _read(check: str | list[Any] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(check, str):
        return {"name": check, "passed": True, "detail": _USUAL[check]}
    # Until 0.1 a check was written with its parts' names.
    return check if isinstance(check, dict) else dict(zip(_CHECK, check, strict=True))
