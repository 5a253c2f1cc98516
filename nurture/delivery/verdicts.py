"""`messages.verdict`: the newest verdict of the guard on a message, as JSON text.

    {"action", "reason", "at", "until", "checks": [name or [name, passed, detail], ...]}

The guard makes some thirty checks for each mail. Most pass with their usual detail and are written as their name alone.
So the verdict of a sent mail takes 600 bytes instead of 1,100, and PostgreSQL need not compress the row.
"""

from collections.abc import Mapping
from typing import Any, Final

from nurture.database.engine import decode, encode
from nurture.domain.instant import Instant
from nurture.domain.message import Verdict

_CHECK = ("name", "passed", "detail")
#: Check -> the detail it nearly always passes with (`guard.checks`). An entry may be added and never changed: stored
#: verdicts rely on it.
_USUAL: Final[Mapping[str, str]] = {
    "restored": "the database is not behind its journals",
    "address": "known",
    "suppression": "none",
    "switches": "none is off",
    "send": "not paused",
    "send_rate": "no limit",
    "run": "done but for this mail",
    "entity": "about none",
    "holdout": "not in the holdout",
    "programme_holdout": "gets marketing",
    "events_pending": "everything accepted is applied",
    "account": "asks nothing about colleagues",
    "object_lists": "no list",
    "price_bound": "no bound",
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
    """Return the verdict as the JSON text that is stored."""
    head = {"action": verdict.action, "reason": verdict.reason, "at": at, "until": verdict.until}
    checks = [
        check.name if check.passed and _USUAL.get(check.name) == check.detail else check
        for check in verdict.checks
    ]
    return encode({**head, "checks": checks})


def read_checks(text: str | None) -> list[dict[str, Any]]:
    """Return the checks of a stored verdict, each with name, passed and detail; empty when there is no verdict."""
    checks: list[dict[str, Any]] = decode_verdict(text)["checks"] if text else []
    return checks


def decode_verdict(text: str) -> dict[str, Any]:
    """Return a stored verdict in full: action, reason, at, until, and checks with name, passed and detail."""
    stored: dict[str, Any] = decode(text)
    return {**stored, "checks": [_decode_check(check) for check in stored.get("checks", ())]}


def _decode_check(check: str | list[Any] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(check, str):
        return {"name": check, "passed": True, "detail": _USUAL[check]}
    # Before 0.1 a check was stored as an object with these names.
    return check if isinstance(check, dict) else dict(zip(_CHECK, check, strict=True))
