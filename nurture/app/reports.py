"""Reports: the ledger of mails, and counts of mails, people and replies."""

from datetime import date, timedelta
from statistics import median
from typing import Any

import sqlalchemy as sa

from nurture.app.contacts import unknown_measure_message
from nurture.app.services import Services
from nurture.contacts.queries import resolve_contact
from nurture.database.audit import record
from nurture.domain.errors import InputError
from nurture.domain.experiment.programme import PROGRAMME
from nurture.domain.instant import DAY, MINUTE, Instant
from nurture.domain.message import STATES
from nurture.domain.timing import at_local_time, start_of_day
from nurture.feedback import reply_queries
from nurture.measurement.many_verdicts import verdicts_by_chance, works_together
from nurture.measurement.trials import measure_trials
from nurture.playbook.measure_names import load_measure_names
from nurture.reports import ledger
from nurture.reports.day_table import Days
from nurture.reports.day_table_faults import correct, find_faults
from nurture.reports.experiments import experiment_row
from nurture.reports.journeys.stages import StageReport, report_stages
from nurture.reports.person import load_family_ids


def messages(
    services: Services, *, who: str | None, measure: str | None, status: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the newest mails of the ledger, newest first. who: also mails of contacts merged into this one.

    Raises InputError for a state that no mail can have, and for a measure that neither the programme nor a mail names.
    """
    if status is not None and status not in STATES:
        raise InputError(f"--status {status!r}: no mail has that state; write one of: {', '.join(STATES)}")
    with services.database.read() as connection:
        contacts = None if who is None else load_family_ids(connection, resolve_contact(connection, who))
        names = load_measure_names(services.playbooks, connection)
        wanted = None if measure is None else names.stored(measure)
        rows = ledger.list_messages(connection, contacts=contacts, measure=wanted, status=status, limit=limit)
        if wanted is not None and not rows:
            _require_measure(connection, services, measure=str(measure), stored=wanted)
        return [{**row, "measure": names.shown(row["measure"])} for row in rows]


def _require_measure(connection: sa.Connection, services: Services, *, measure: str, stored: str) -> None:
    """Raise InputError for a measure that is not in the programme and of which there is no mail."""
    known = services.playbooks.active(connection).playbook.measures
    if measure not in known and not ledger.list_messages(connection, measure=stored, limit=1):
        raise InputError(f"--measure {unknown_measure_message(measure, list(known))}")


def measures(
    services: Services, *, since: str | None = None, until: str | None = None
) -> list[dict[str, Any]]:
    """Return one row for each measure: its mails by state, and what its newest trial shows.

    The first row is the whole `programme`, where some people get no marketing; mails are counted by measure only.

    since, until: the first and the last day (YYYY-MM-DD) of what happened to the mails. Raises InputError for text
    that is no day.
    `works_together`: it works also beside all other measures that are judged; `compared` is how many these are, and
    `by_chance` how many of them would have a verdict if none had an effect.
    """
    with services.database.read() as connection:
        days = asked_days(services.playbooks.active(connection).playbook.default_zone, since, until)
        names = load_measure_names(services.playbooks, connection)
        rows = {row["measure"]: row for row in ledger.count_by_measure(connection, days)}
        trials = measure_trials(connection, now=services.clock.now())
    programme = trials.pop(PROGRAMME, None)
    together = works_together(trials)
    compared, by_chance = verdicts_by_chance(trials.values())
    shown = sorted(rows.keys() | trials.keys(), key=names.shown)
    all_trials = trials if programme is None else {PROGRAMME: programme, **trials}
    return [
        {
            **(rows.get(root) or ledger.nothing_planned(root)),
            "measure": names.shown(root),
            **experiment_row(all_trials.get(root)),
            "works_together": root in together,
            "compared": compared,
            "by_chance": round(by_chance, 2),
        }
        for root in ([PROGRAMME, *shown] if programme is not None else shown)
    ]


def asked_days(zone: str, since: str | None, until: str | None) -> Days:
    """Return these days of the brand's zone. Raises InputError for text that is no day, or days in the wrong order."""
    for option, text in (("--from", since), ("--to", until)):
        if text is not None and not _is_day(text):
            raise InputError(f"{option} {text}: write a day as YYYY-MM-DD, such as 2026-11-30")
    if since is not None and until is not None and until < since:
        raise InputError(f"--to {until} is before --from {since}")
    return Days(zone, since, until)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def verify_counts(services: Services) -> list[str]:
    """Return in words where the day table differs from the ledger and from the people at each stage."""
    with services.database.read() as connection:
        zone = services.playbooks.active(connection).playbook.default_zone
        return list(find_faults(connection, zone=zone, now=services.clock.now()))


def correct_counts(services: Services, *, actor: str) -> int:
    """Add to the day table what it lacks, on today's day; return how many changes that took."""
    now = services.clock.now()

    def work(connection: sa.Connection) -> int:
        added = correct(connection, now=now)
        if added:
            record(connection, at=now, actor=actor, action="counts.correct", detail={"changes": added})
        return added

    return services.database.run(work)


def replies(services: Services, *, days: int) -> list[dict[str, Any]]:
    """Return one row on how replies were answered: counts, and the median and slowest time in minutes.

    days: only replies of the last so many days.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        found = reply_queries.load_case_times(connection, since=now - days * DAY)
    took = sorted((row.answered_at - row.opened_at) // MINUTE for row in found if row.answered_at is not None)
    late = [row for row in found if (row.answered_at if row.answered_at is not None else now) > row.due_at]
    return [
        {
            "days": days,
            "opened": len(found),
            "open": sum(row.closed_at is None for row in found),
            "answered": len(took),
            "late": len(late),
            "escalated": sum(row.escalated_at is not None for row in found),
            "median_minutes": int(median(took)) if took else None,
            "slowest_minutes": took[-1] if took else None,
        }
    ]


def stages(
    services: Services, *, since: str | None = None, until: str | None = None, stalled: int = 0
) -> StageReport:
    """Return people, time and moves by stage.

    since, until: the first and the last day of the moves, the last 30 days without them; stays are as they stood at the
    end. stalled: list so many people who stay longer than is usual.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        zone = playbook.default_zone
        days = asked_days(zone, since, until)
        end = now if days.last is None else min(_midnight(days.last, zone, days=1), now)
        begin = _midnight(days.first, zone) if days.first is not None else start_of_day(end, zone, days=-30)
        if begin >= end:
            raise InputError(f"--from {since}: that day has not begun")
        return report_stages(connection, playbook, since=begin, until=end, people=stalled)


def _midnight(day: str, zone: str, *, days: int = 0) -> Instant:
    return at_local_time(date.fromisoformat(day) + timedelta(days=days), 0, zone)
