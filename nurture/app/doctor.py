"""The doctor: checks every invariant over the whole database and compares stored state with a replay. Reads only.

The test suite runs the same checks after every fault scenario.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from nurture.access.sessions import find_oldest_transaction
from nurture.app import complaints, conflicts, journals
from nurture.app.accounts.access import find_key_faults
from nurture.app.accounts.sign_in_limits import SignInLimits
from nurture.app.feedback import find_unsent_notices
from nurture.app.invariants import CHECKS, CheckContext
from nurture.app.privacy import find_overdue_data, find_unfinished_erasures
from nurture.app.services import Services
from nurture.app.values.show import find_late
from nurture.app.watch import read_signs
from nurture.app.webhooks import outgoing
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.health.judge import judge
from nurture.domain.instant import Instant
from nurture.journey.replay import verify_replay
from nurture.playbook import PlaybookSource
from nurture.reports.doubtful_values import AMOUNTS, TOPICS, find_doubtful_values
from nurture.reports.set_aside import find_set_aside

#: How many of the newest contacts are compared with a replay of their events.
_REPLAYED = 500
#: No transaction of nurture takes this long. One that does (a report, a forgotten shell) keeps dead rows from vacuum.
TRANSACTION_SECONDS_MAX = 15 * 60
#: How many findings of one check are listed.
_SHOWN = 5


#: A check, whether it passed, and its details.
Finding = dict[str, Any]


def examine(services: Services, *, replayed: int = _REPLAYED) -> list[Finding]:
    """Run every check and return one row for each: its name, whether it passed, and what it found.

    replayed: how many contacts to compare with a replay.
    """
    findings = examine_rows(
        services.database,
        services.playbooks,
        now=services.clock.now(),
        suppression_key=services.settings.suppression_secret,
        replayed=replayed,
    )
    with services.database.read() as connection:
        names = MeasureNames(services.playbooks.active(connection).playbook.measures)
        findings.append(_finding("old transactions", list(_old_transactions(connection))))
        findings.append(_notice("amounts", list(find_doubtful_values(connection, AMOUNTS))))
        findings.append(_notice("topics", list(find_doubtful_values(connection, TOPICS))))
        excess = complaints.find_excess(connection, names, now=services.clock.now())
        findings.append(_finding("complaints", list(excess)))
        findings.append(_finding("measures set aside", list(find_set_aside(connection, names))))
    findings.append(_finding("retention", list(find_overdue_data(services))))
    findings.append(_finding("erasures", list(find_unfinished_erasures(services))))
    findings.append(_finding("answers", list(find_unsent_notices(services))))
    findings.append(_finding("hooks", outgoing.find_failed(services)))
    key_faults, assumed = find_key_faults(services)
    findings.append(_finding("keys", key_faults) if key_faults else _notice("keys", assumed))
    findings.append(_notice("sign-in", SignInLimits(services).find_locked()))
    findings.append(_notice("conflicts", _open_conflicts(services)))
    findings.append(_notice("published values", list(find_late(services))))
    findings.append(_finding("delivery journals", list(journals.find_faults(services))))
    return findings


def examine_rows(
    database: Database, playbooks: PlaybookSource, *, now: Instant, suppression_key: bytes, replayed: int
) -> list[Finding]:
    """Return one row for each invariant of the stored rows, in use or restored from a backup."""
    with database.read() as connection:
        loaded = playbooks.active(connection)
        context = CheckContext(loaded.playbook, loaded.id, now, suppression_key)
        findings = [_finding(name, list(check(connection, context))) for name, check in CHECKS.items()]
        newest = sa.select(t.contacts.c.id).where(
            t.contacts.c.survivor.is_(None), t.contacts.c.erased_at.is_(None)
        )
        ids = connection.scalars(newest.order_by(t.contacts.c.id.desc()).limit(replayed)).all()
    differing = [
        f"contact:{contact_id}: {difference}"
        for contact_id in ids
        for difference in verify_replay(database, contact_id, loaded.playbook)
    ]
    return [*findings, _finding("replay", differing)]


#: Findings that say what does not run; nothing has to run while the doctor looks at a database.
_NOT_RUNNING = {"up", "worker", "scheduler", "api"}


def examine_running(services: Services) -> list[Finding]:
    """Return one row for each part of the running installation that `nurture status` finds trouble in.

    Where no process has a row, as after an orderly stop, what does not run is no failed check.
    """
    with services.database.read() as connection:
        signs = read_signs(services, connection)
    findings = judge(signs)
    rows = []
    for part in dict.fromkeys(finding.part for finding in findings):
        mine = [finding for finding in findings if finding.part == part]
        lines = [f"{finding.words}; {finding.remedy}" for finding in mine]
        is_stopped = part in _NOT_RUNNING and not signs.processes
        fails = not is_stopped and any(finding.severity == "problem" for finding in mine)
        rows.append(_finding(f"running: {part}", lines) if fails else _notice(f"running: {part}", lines))
    return rows or [_finding("running", [])]


def _old_transactions(connection: sa.Connection) -> Iterator[str]:
    """Yield a line when a transaction has been open for too long: vacuum cannot remove rows that it may see."""
    oldest = find_oldest_transaction(connection)
    if oldest is not None and oldest.seconds > TRANSACTION_SECONDS_MAX:
        yield (
            f"session {oldest.pid} ({oldest.name or 'no application name'}, {oldest.state}) has held a transaction "
            f"open for {oldest.seconds / 60:.0f} minutes; end it, or let reports read a replica"
        )


def _open_conflicts(services: Services) -> list[str]:
    """Return one line for each of the newest open conflicts of identity."""
    return [
        f"conflict {row['id']}: contact:{row['contact']}"
        + (f" and contact:{row['other']}" if row["other"] else "")
        + f": {row['what']}; decide with: nurture conflicts decide {row['id']} --merge or --separate"
        for row in conflicts.list_all(services)
    ]


def list_findings(name: str, lines: list[str], *, ok: bool) -> Finding:
    """Return one row of a check; its details are the first of these lines."""
    return {"check": name, "ok": ok, "detail": _listed(lines)}


def _finding(name: str, violations: list[str]) -> Finding:
    return list_findings(name, violations, ok=not violations)


def _notice(name: str, lines: list[str]) -> Finding:
    """Return a passed check whose lines still need attention."""
    return list_findings(name, lines, ok=True)


def _listed(lines: list[str]) -> str:
    detail = "; ".join(lines[:_SHOWN])
    return f"{detail} and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else detail
