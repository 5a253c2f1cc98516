"""Read the data of the console: overview, contacts, one contact's page, quarantine. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from nurture.consent.load_permissions import load_permissions
from nurture.database.engine import decode
from nurture.database.schema import (
    consents,
    contacts,
    events,
    identities,
    merges,
    messages,
    milestones,
    quarantine,
    runs,
    transitions,
)
from nurture.delivery.verdicts import read_checks
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.cells.shown_facts import show_facts
from nurture.domain.consent.permissions import ConsentState
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.playbook import Playbook
from nurture.domain.segments import reading_of_row, show_segments
from nurture.reports.actions import load_actions
from nurture.reports.person import load_family_ids

_UNSENT = ("skipped", "cancelled", "expired", "failed", "in_doubt")
#: Rows of each kind that one contact's page reads at most.
_ROWS_MAX = 200


# ---- overview --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageCount:
    """The number of people at one stage."""

    track: str
    stage: str
    people: int


@dataclass(frozen=True, slots=True)
class UnsentCount:
    """The number of messages that were not sent for one reason."""

    status: str
    reason: str
    messages: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The counts of the overview page."""

    people: tuple[StageCount, ...]
    # (status, count), most first.
    messages: tuple[tuple[str, int], ...]
    reasons: tuple[UnsentCount, ...]
    quarantined: int

    @property
    def people_total(self) -> int:
        """The number of people at all stages."""
        return sum(line.people for line in self.people)

    @property
    def people_max(self) -> int:
        """The number of people at the fullest stage, at least 1."""
        return max((line.people for line in self.people), default=1)

    @property
    def messages_by_status(self) -> dict[str, int]:
        """Status -> number of messages."""
        return dict(self.messages)

    @property
    def waiting(self) -> int:
        """Messages decided and not yet settled."""
        return sum(count for status, count in self.messages if status in ("waiting", "ready", "on_wire"))


def load_overview(connection: sa.Connection, *, stages: Sequence[tuple[str, str]] = ()) -> Overview:
    """Return the counts of the overview. stages: (track, stage) in the playbook's order."""
    order = {place: number for number, place in enumerate(stages)}
    standing = connection.execute(
        sa.select(contacts.c.track, contacts.c.stage, sa.func.count())
        .where(contacts.c.survivor.is_(None), contacts.c.erased_at.is_(None))
        .group_by(contacts.c.track, contacts.c.stage)
    )
    people = sorted(
        (StageCount(*row) for row in standing),
        key=lambda line: (line.track != "lead", order.get((line.track, line.stage), len(order)), line.stage),
    )
    by_status = connection.execute(
        sa.select(messages.c.status, sa.func.count())
        .group_by(messages.c.status)
        .order_by(sa.func.count().desc(), messages.c.status)
    )
    by_reason = connection.execute(
        sa.select(messages.c.status, messages.c.reason, sa.func.count())
        .where(messages.c.status.in_(_UNSENT))
        .group_by(messages.c.status, messages.c.reason)
        .order_by(sa.func.count().desc(), messages.c.reason)
        .limit(30)
    )
    return Overview(
        people=tuple(people),
        messages=tuple((str(status), int(count)) for status, count in by_status),
        reasons=tuple(UnsentCount(*row) for row in by_reason),
        quarantined=connection.scalar(sa.select(sa.func.count()).select_from(quarantine)) or 0,
    )


def count_runs_by_measure(connection: sa.Connection) -> dict[str, int]:
    """Return how many runs each measure has had."""
    statement = sa.select(runs.c.measure, sa.func.count()).group_by(runs.c.measure)
    return {str(measure): int(count) for measure, count in connection.execute(statement)}


# ---- quarantine ------------------------------------------------------------------------------------------


def load_quarantine(
    connection: sa.Connection, *, limit: int = 200
) -> tuple[list[tuple[str, int]], Sequence[sa.Row[Any]]]:
    """Return how many items each stage quarantined, and the newest items."""
    counts = connection.execute(
        sa.select(quarantine.c.stage, sa.func.count())
        .group_by(quarantine.c.stage)
        .order_by(quarantine.c.stage)
    )
    newest = connection.execute(sa.select(quarantine).order_by(quarantine.c.id.desc()).limit(limit))
    return [(str(stage), int(count)) for stage, count in counts], newest.all()


# ---- one contact -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a contact's timeline."""

    at: Instant
    # event | track | stage | milestone | mail | action | consent | merge
    kind: str
    title: str
    tag: str = ""
    detail: str = ""
    # The guard's checks of a mail: {"name", "passed", "detail"}.
    checks: tuple[dict[str, Any], ...] = ()
    # The number of a mail in the ledger.
    message: int | None = None


@dataclass(frozen=True, slots=True)
class ContactPage:
    """The data of one contact's page."""

    contact: sa.Row[Any]
    identities: Sequence[sa.Row[Any]]
    consents: Mapping[str, ConsentState]
    # (run, its measure's present path)
    runs: Sequence[tuple[sa.Row[Any], str]]
    facts: list[tuple[str, str]] = field(default_factory=list)
    # Newest first; `cut`: older entries were left out.
    timeline: list[TimelineEntry] = field(default_factory=list)
    cut: bool = False

    @property
    def wakes(self) -> bool:
        """Return whether an alarm is set."""
        return bool(self.contact.wake_at < FOREVER)


def load_contact_page(
    connection: sa.Connection,
    contact_id: int,
    *,
    playbook: Playbook | None,
    now: Instant,
    limit: int = _ROWS_MAX,
) -> ContactPage | None:
    """Return the data of a contact's page, of the survivor for a merged contact; None: there is no such contact.

    playbook: declares the facts; without one none is shown.
    """
    row = connection.execute(sa.select(contacts).where(contacts.c.id == contact_id)).one_or_none()
    if row is not None and row.survivor is not None:
        row = connection.execute(sa.select(contacts).where(contacts.c.id == row.survivor)).one_or_none()
    if row is None:
        return None
    ids = load_family_ids(connection, row.id)
    names = connection.execute(
        sa.select(identities)
        .where(identities.c.contact_id == row.id)
        .order_by(identities.c.kind, identities.c.value)
    ).all()
    entered_runs = connection.execute(
        sa.select(runs).where(runs.c.contact_id.in_(ids)).order_by(runs.c.started_at.desc()).limit(limit)
    ).all()
    shown = MeasureNames({} if playbook is None else playbook.measures)
    entries = sorted(
        _entries(connection, row.id, ids, shown, limit), key=lambda entry: entry.at, reverse=True
    )
    return ContactPage(
        contact=row,
        identities=names,
        consents=load_permissions(connection, [row.id])[row.id].consents,
        runs=[(run, shown.shown(run.measure)) for run in entered_runs],
        facts=_facts(row, playbook, now=now),
        timeline=entries[:limit],
        cut=len(entries) > limit,
    )


def _entries(
    connection: sa.Connection, contact_id: int, ids: Sequence[int], names: MeasureNames, limit: int
) -> list[TimelineEntry]:
    def newest(table: sa.Table, at: sa.Column[Any]) -> Sequence[sa.Row[Any]]:
        statement = sa.select(table).where(table.c.contact_id.in_(ids)).order_by(at.desc()).limit(limit)
        return connection.execute(statement).all()

    joined = connection.execute(
        sa.select(merges).where(merges.c.survivor == contact_id, merges.c.undone_at.is_(None))
    )
    entries = [_of_event(row) for row in newest(events, events.c.id)]
    for row in newest(transitions, transitions.c.at):
        because = f"because of {row.evidence}"
        entries.append(TimelineEntry(row.at, row.kind, f"{row.before} → {row.after}", detail=because))
    entries += [
        TimelineEntry(row.at, "milestone", _words(row.name), detail=row.key)
        for row in newest(milestones, milestones.c.at)
    ]
    entries += [_of_message(row, names) for row in newest(messages, messages.c.decided_at)]
    entries += [
        TimelineEntry(row.at, "topic", row.topic, tag=row.state, detail=row.source)
        for row in newest(consents, consents.c.at)
    ]
    entries += [
        TimelineEntry(
            line.at, "action", f"{line.measure} · {line.what}", tag=line.status, detail=line.because
        )
        for line in load_actions(connection, ids, names, limit=limit)
    ]
    entries += [TimelineEntry(row.at, "merge", f"contact {row.merged} joined") for row in joined]
    return entries


def _of_event(row: sa.Row[Any]) -> TimelineEntry:
    body = decode(row.body)
    values = {**body.get("traits", {}), **body.get("properties", {})}
    detail = ", ".join(
        f"{name} {value}" for name, value in values.items() if isinstance(value, str | int | float)
    )
    return TimelineEntry(row.occurred_at, "event", row.name, detail=detail[:240])


def _of_message(row: sa.Row[Any], names: MeasureNames) -> TimelineEntry:
    checks = (_check_row(check) for check in read_checks(row.verdict))
    return TimelineEntry(
        at=row.sent_at or row.settled_at or row.decided_at,
        kind="mail",
        title=f"{names.shown(row.measure)} · {row.mail}",
        tag=row.status,
        detail=_words(row.reason),
        checks=tuple(checks),
        message=row.id,
    )


def _check_row(check: dict[str, Any]) -> dict[str, Any]:
    detail = check.get("detail")
    return {
        "name": str(check.get("name", "")),
        "passed": bool(check.get("passed")),
        "detail": str(detail or ""),
    }


def _facts(row: sa.Row[Any], playbook: Playbook | None, *, now: Instant) -> list[tuple[str, str]]:
    if playbook is None:
        return []
    shown = show_facts(row.facts or {}, playbook, zone=row.zone, now=now)
    segments = show_segments(reading_of_row(row, playbook, now=now), playbook)
    return [(name, str(value)) for name, value in {**shown, **segments}.items() if value is not None]


def _words(name: str) -> str:
    return name.replace("_", " ")
