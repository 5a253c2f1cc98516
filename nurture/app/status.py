"""The state of the whole installation as one document, for `nurture status`, doctor, readiness and metrics."""

from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.watch import read_signs
from nurture.domain.guard.input import RESTORED_SWITCH
from nurture.domain.health.findings import Finding
from nurture.domain.health.judge import breaks_off, is_failing, is_growing, judge
from nurture.domain.health.rates import WINDOW, count_mails
from nurture.domain.health.signs import LaneSign, ProcessSign, RateSign, Signs
from nurture.domain.instant import HOUR, SECOND, Instant, to_iso
from nurture.domain.measure import MARKETING_SWITCH
from nurture.reports.sends import list_sends_under_way

_PROVIDERS = {"*": "all", "": "others"}


def find_trouble(services: Services, connection: sa.Connection) -> list[Finding]:
    """Return every finding as of now, problems first."""
    return judge(read_signs(services, connection, counts=False))


def describe(services: Services) -> dict[str, Any]:
    """Return the state of the installation; `ok` is false when something needs a person."""
    with services.database.read() as connection:
        signs = read_signs(services, connection)
        sends = list_sends_under_way(connection, now=signs.now)
    findings = judge(signs)
    return {
        "ok": not any(finding.severity == "problem" for finding in findings),
        "at": to_iso(signs.now),
        "findings": [describe_finding(finding, signs.now) for finding in findings],
        "relay": [_lane(lane, signs) for lane in signs.lanes],
        "broker": _broker(signs),
        "processes": [_process(sign, signs.now) for sign in signs.processes],
        "backlog": [
            {
                "queue": sign.queue,
                "oldest_due_seconds": _seconds(signs.now, sign.due_since) or 0.0,
                "due_rows": sign.rows,
                "growing": is_growing(sign),
            }
            for sign in signs.backlog
        ],
        "pauses": [
            {
                "name": pause.name,
                "reason": pause.reason,
                "since": to_iso(pause.since),
                "by": pause.by,
            }
            for pause in signs.pauses
        ],
        "sends": sends,
        "approvals": signs.approvals,
        "quarantine": dict(signs.quarantine),
        "set_aside": dict(signs.set_aside),
        "conflicts": signs.conflicts,
        "cases": {"open": signs.open_cases, "overdue": signs.overdue_cases},
        "sender": [
            {"check": sign.name, "state": sign.state, "words": sign.words, "at": to_iso(sign.at)}
            for sign in signs.sender
        ],
        "warm_up": [
            {"lane": sign.lane, "provider": _PROVIDERS.get(sign.domain, sign.domain), "today": sign.mails}
            | {"ceiling": sign.ceiling}
            for sign in signs.warm_up
        ],
        "rates": {
            "hours": WINDOW // HOUR,
            "lanes": [_rate(rate) for rate in signs.lane_rates],
            "domains": [_rate(rate) for rate in signs.domain_rates],
        },
    }


def describe_finding(finding: Finding, now: Instant) -> dict[str, Any]:
    """Return a finding as it is shown."""
    return {
        "severity": finding.severity,
        "part": finding.part,
        "about": finding.about,
        "words": finding.words,
        "remedy": finding.remedy,
        "since": None if finding.since is None else to_iso(finding.since),
        "seconds": _seconds(now, finding.since),
    }


def _lane_state(lane: LaneSign, signs: Signs) -> str:
    paused = {pause.name for pause in signs.pauses}
    if paused & {"all", RESTORED_SWITCH, lane.name}:
        return "paused"
    if is_failing(lane) or breaks_off(lane, signs.now):
        return "failing"
    if lane.name + MARKETING_SWITCH in paused:
        return "marketing paused"
    return "unknown" if lane.success_at is None and lane.answered_at is None else "ok"


def _lane(lane: LaneSign, signs: Signs) -> dict[str, Any]:
    return {
        "lane": lane.name,
        "state": _lane_state(lane, signs),
        "seconds_since_success": _seconds(signs.now, lane.success_at),
        "last_success": _iso(lane.success_at),
        "last_answer": _iso(lane.answered_at),
        "last_error": _iso(lane.failure_at),
        "failing_since": _iso(lane.failing_since),
        "words": lane.words,
        "waiting": lane.waiting,
        "oldest_due_seconds": _seconds(signs.now, lane.due_since) or 0.0,
    }


def _broker(signs: Signs) -> dict[str, Any]:
    alive = [sign for sign in signs.processes if sign.is_alive(signs.now)]
    asked = [sign for sign in alive if sign.broker_at is not None or sign.broker_error]
    failing = [sign for sign in asked if sign.broker_error]
    state = "failing" if failing else "ok" if asked else "in this process" if alive else "unknown"
    words = "no process runs that could ask it" if state == "unknown" else ""
    return {
        "state": state,
        "asked_by": len(asked),
        "failing_for": len(failing),
        "last_success": _iso(
            max((sign.broker_at for sign in asked if sign.broker_at is not None), default=None)
        ),
        "words": failing[0].broker_error if failing else words,
    }


def _process(sign: ProcessSign, now: Instant) -> dict[str, Any]:
    return {
        "kind": sign.kind,
        "host": sign.host,
        "pid": sign.pid,
        "version": sign.version,
        "state": "running" if sign.is_alive(now) else "lost",
        "seconds_since_beat": _seconds(now, sign.beat_at),
        "since": to_iso(sign.started_at),
        "doing": sign.doing,
    }


def _rate(rate: RateSign) -> dict[str, Any]:
    tried = count_mails(rate)
    return {
        "about": rate.about or "other domains",
        "sent": rate.sent,
        "hard_bounces": rate.hard_bounces,
        "deferred": rate.deferred,
        "complaints": rate.complaints,
        "hard_bounce_rate": _share(rate.hard_bounces, tried),
        "deferral_rate": _share(rate.deferred, tried + rate.deferred),
        "complaint_rate": _share(rate.complaints, rate.sent),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _seconds(now: Instant, since: Instant | None) -> float | None:
    return None if since is None else round((now - since) / SECOND, 1)


def _iso(at: Instant | None) -> str | None:
    return None if at is None else to_iso(at)
