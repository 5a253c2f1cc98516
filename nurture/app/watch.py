"""Look for trouble every few seconds, in one process at a time: log when it begins and when it ends, once each."""

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from nurture.app.lane_pauses import pause_lanes
from nurture.app.services import Services
from nurture.domain.health.findings import Finding, format_age
from nurture.domain.health.judge import judge
from nurture.domain.health.signs import BEAT_EVERY, Signs
from nurture.domain.instant import MINUTE, Instant
from nurture.health import queries
from nurture.playbook.measure_names import load_measure_names
from nurture.reports.backlog import count_due
from nurture.reports.signs import load_signs
from nurture.runtime.log import get_logger
from nurture.runtime.settings import Settings

_log = get_logger("health")
#: Names of the slots in `job_slots`, of which one process takes each.
_WATCH, _SAMPLE = "watch", "sample"


@dataclass(frozen=True, slots=True)
class Changes:
    """The trouble that has begun or become more or less urgent since the last look, and that which has ended."""

    begun: list[Finding]
    # Rows of `troubles`.
    ended: list[Any]
    at: Instant = 0


def read_signs(services: Services, connection: sa.Connection, *, counts: bool = True) -> Signs:
    """Return the signs of this installation as of now. counts: False leaves out the counts of waiting mail."""
    now, names = services.clock.lease_now(connection), load_measure_names(services.playbooks, connection)
    signs = load_signs(connection, now=now, takes_mail=receives_mail(services.settings), counts=counts)
    return replace(
        signs,
        pauses=[replace(pause, name=names.shown(pause.name)) for pause in signs.pauses],
        set_aside={names.shown(measure): people for measure, people in signs.set_aside.items()},
    )


def receives_mail(settings: Settings) -> bool:
    """Tell whether `nurture inbound` has the settings that it needs, so that it should run."""
    return bool(settings.bounce_address and settings.replies_to)


def watch(services: Services) -> Changes:
    """Compare the trouble with that of the last look and log the changes; nothing where another process has looked."""
    changes = services.database.run(lambda connection: _watch(services, connection))
    for finding in changes.begun:
        log = _log.error if finding.severity == "problem" else _log.warning
        log("trouble", part=finding.part, about=finding.about, words=finding.words, remedy=finding.remedy)
    for row in changes.ended:
        _log.info(
            "trouble ended", trouble=row.key, words=row.words, lasted=format_age(changes.at - row.since)
        )
    return changes


def _watch(services: Services, connection: sa.Connection) -> Changes:
    now = services.clock.lease_now(connection)
    if not queries.take_slot(connection, _WATCH, now - now % BEAT_EVERY, now=now):
        return Changes([], [])
    if queries.take_slot(connection, _SAMPLE, now - now % MINUTE, now=now):
        queries.save_backlog(connection, count_due(connection, now=now), at=now)
    signs = read_signs(services, connection, counts=False)
    if pause_lanes(services, connection, signs):
        signs = read_signs(services, connection, counts=False)
    findings = {finding.key: finding for finding in judge(signs)}
    before = queries.load_troubles(connection)
    begun = [
        finding
        for key, finding in findings.items()
        if key not in before or before[key].severity != finding.severity
    ]
    ended = [row for key, row in before.items() if key not in findings]
    queries.save_troubles(connection, begun, now=now)
    queries.delete_troubles(connection, [row.key for row in ended])
    return Changes(begun, ended, now)
