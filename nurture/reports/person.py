"""Report one person: track, stage, facts, permissions, and the timeline of all that happened."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from nurture.consent.load_permissions import load_family_consents, load_permissions
from nurture.consent.queries import load_merges
from nurture.contacts.queries import load_contacts
from nurture.database import schema as t
from nurture.database.engine import decode
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.cells.shown_facts import show_facts
from nurture.domain.consent.permissions import find_deciding_rows
from nurture.domain.facts import reading
from nurture.domain.instant import FOREVER, Instant, format_duration, to_iso
from nurture.domain.journey.position import active_holds
from nurture.domain.playbook import Playbook
from nurture.domain.segments import show_segments
from nurture.feedback.reply_queries import load_reply_holds
from nurture.reports.actions import load_actions
from nurture.reports.conflicts import describe_open_conflicts
from nurture.reports.published_values import describe_values

#: Rows of each kind that a timeline reads at most, newest first.
_ROWS_MAX = 500


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline."""

    at: Instant
    # event | track | stage | milestone | run | mail | consent | wish | merge
    kind: str
    what: str
    detail: str = ""

    def row(self) -> dict[str, Any]:
        """Return the line for machines, the instant as RFC 3339 text."""
        return {**asdict(self), "at": to_iso(self.at)}


def load_family_ids(connection: sa.Connection, contact_id: int) -> list[int]:
    """Return the contact and all merged into it; messages and consents keep the id they were decided for."""
    statement = sa.select(t.contacts.c.id).where(
        sa.or_(t.contacts.c.id == contact_id, t.contacts.c.survivor == contact_id)
    )
    return [int(row.id) for row in connection.execute(statement.order_by(t.contacts.c.id))]


def describe_person(
    connection: sa.Connection, contact_id: int, *, playbook: Playbook, now: Instant
) -> dict[str, Any]:
    """Return the state of a contact as plain values, instants as text."""
    contact = load_contacts(connection, [contact_id], playbook)[contact_id]
    ids = load_family_ids(connection, contact_id)
    row = connection.execute(sa.select(t.contacts).where(t.contacts.c.id == contact_id)).one()
    names = connection.execute(
        sa.select(t.identities.c.kind, t.identities.c.value, t.identities.c.told)
        .where(t.identities.c.contact_id.in_(ids))
        .order_by(t.identities.c.kind, t.identities.c.value)
    )
    measure_names = MeasureNames(playbook.measures)
    counts = connection.execute(
        sa.select(t.messages.c.status, sa.func.count().label("mails"))
        .where(t.messages.c.contact_id.in_(ids))
        .group_by(t.messages.c.status)
    )
    return {
        "contact": contact_id,
        "merged": [other for other in ids if other != contact_id],
        "identities": {f"{name.kind}:{name.value}": name.told for name in names},
        "conflicts": describe_open_conflicts(connection, ids),
        "email": row.email,
        "track": contact.track,
        "track_since": to_iso(contact.track_since),
        "stage": contact.stage,
        "stage_since": to_iso(contact.stage_since),
        "zone": contact.zone,
        "locale": contact.locale,
        "first_seen_at": to_iso(contact.first_seen_at),
        "next_look_at": None if row.wake_at >= FOREVER else to_iso(row.wake_at),
        "facts": dict(sorted(contact.facts.items())),
        "shown_facts": show_facts(contact.facts, playbook, zone=contact.zone, now=now),
        "values": describe_values(contact, playbook),
        "segments": show_segments(reading(contact, playbook, now=now), playbook),
        "holds": [
            {"hold": hold.hold.name, "until": to_iso(hold.until), "owner": hold.hold.owner}
            for hold in (
                *active_holds(contact, now=now, playbook=playbook),
                *load_reply_holds(connection, ids, now=now).values(),
            )
        ],
        "consents": _consents(connection, contact_id),
        "wishes": _describe_preferences(connection, contact_id),
        "runs": [
            {
                "measure": measure_names.shown(run.measure),
                "key": run.key,
                "step": run.step,
                "since": to_iso(run.step_since),
                "due_at": None if run.due_at >= FOREVER else to_iso(run.due_at),
                "holdout": run.holdout,
            }
            for run in sorted(contact.runs.values(), key=lambda run: (run.measure, run.key))
        ],
        "messages": {row.status: row.mails for row in counts},
    }


def _consents(connection: sa.Connection, contact_id: int) -> list[dict[str, Any]]:
    """Return each topic with the state that the guard reads, and when and where the deciding word was said."""
    merges = load_merges(connection, [contact_id])
    rows = find_deciding_rows(contact_id, load_family_consents(connection, contact_id), merges)
    return [
        {"topic": topic, "state": row.state, "at": to_iso(row.at) if row.at else None, "source": row.source}
        for topic, row in sorted(rows.items())
    ]


def _describe_preferences(connection: sa.Connection, contact_id: int) -> dict[str, Any]:
    """Return the person's preferences for all marketing mail, in people's units."""
    preferences = load_permissions(connection, [contact_id])[contact_id].preferences
    return {
        "at_most_one_in": format_duration(preferences.min_gap) if preferences.min_gap else None,
        "paused_until": to_iso(preferences.paused_until) if preferences.paused_until else None,
        "tracking": not preferences.untracked,
    }


def describe_briefly(connection: sa.Connection, contact_id: int) -> dict[str, Any]:
    """Return a contact in one line: number, identities, track, stage, numbers of events and mails."""
    ids = load_family_ids(connection, contact_id)
    row = connection.execute(sa.select(t.contacts).where(t.contacts.c.id == contact_id)).one()
    names = connection.execute(
        sa.select(t.identities.c.kind, t.identities.c.value)
        .where(t.identities.c.contact_id == contact_id)
        .order_by(t.identities.c.kind, t.identities.c.value)
    )
    return {
        "contact": contact_id,
        "names": [f"{name.kind}:{name.value}" for name in names],
        "track": row.track,
        "stage": row.stage,
        "events": _count_rows(connection, t.events, ids),
        "mails": _count_rows(connection, t.messages, ids),
    }


def merged(connection: sa.Connection, contact_id: int) -> dict[str, Any]:
    """Return the identities that an un-merge would return to this contact, and the reason of the merge."""
    merge = connection.execute(
        sa.select(t.merges)
        .where(t.merges.c.merged == contact_id, t.merges.c.undone_at.is_(None))
        .order_by(t.merges.c.id.desc())
    ).first()
    learnt = sa.select(t.identities.c.kind, t.identities.c.value)
    names = connection.execute(learnt.where(t.identities.c.learnt_for == contact_id))
    return {
        "contact": contact_id,
        "survivor": merge.survivor if merge else None,
        "merged_at": to_iso(merge.at) if merge else None,
        "evidence": decode(merge.evidence) if merge else None,
        "names": sorted(f"{name.kind}:{name.value}" for name in names),
        "events": _count_rows(connection, t.events, [contact_id]),
        "mails": _count_rows(connection, t.messages, [contact_id]),
    }


def _count_rows(connection: sa.Connection, table: sa.Table, ids: Sequence[int]) -> int:
    statement = sa.select(sa.func.count()).select_from(table).where(table.c.contact_id.in_(ids))
    return int(connection.scalar(statement) or 0)


def load_timeline(
    connection: sa.Connection, contact_id: int, *, names: MeasureNames, limit: int = 100
) -> list[Moment]:
    """Return the newest `limit` moments of a person, oldest first."""
    ids = load_family_ids(connection, contact_id)
    moments = [
        *_events(connection, ids),
        *_moves(connection, ids),
        *_milestones(connection, ids),
        *_runs(connection, ids, names),
        *_mails(connection, ids, names),
        *_actions(connection, ids, names),
        *_consent_moments(connection, ids),
        *_preference_moments(connection, ids),
        *_merges(connection, contact_id),
    ]
    return sorted(moments, key=lambda moment: moment.at)[-limit:]


def _newest(
    connection: sa.Connection, table: sa.Table, ids: Sequence[int], order: sa.Column[Any]
) -> list[Any]:
    statement = sa.select(table).where(table.c.contact_id.in_(ids)).order_by(order.desc()).limit(_ROWS_MAX)
    return list(connection.execute(statement))


def _events(connection: sa.Connection, ids: Sequence[int]) -> list[Moment]:
    moments = []
    for row in _newest(connection, t.events, ids, t.events.c.id):
        properties = decode(row.body).get("properties", {})
        shown = ", ".join(f"{k}={v}" for k, v in properties.items() if isinstance(v, str | int | float))[:160]
        moments.append(Moment(row.occurred_at, "event", row.name, shown))
    return moments


def _moves(connection: sa.Connection, ids: Sequence[int]) -> list[Moment]:
    rows = _newest(connection, t.transitions, ids, t.transitions.c.id)
    return [
        Moment(row.at, row.kind, f"{row.before} → {row.after}", f"because of {row.evidence}") for row in rows
    ]


def _milestones(connection: sa.Connection, ids: Sequence[int]) -> list[Moment]:
    rows = _newest(connection, t.milestones, ids, t.milestones.c.id)
    return [Moment(row.at, "milestone", row.name, row.key) for row in rows]


def _runs(connection: sa.Connection, ids: Sequence[int], names: MeasureNames) -> list[Moment]:
    moments = []
    for row in _newest(connection, t.runs, ids, t.runs.c.id):
        name = f"{names.shown(row.measure)} {row.key}".strip()
        moments.append(
            Moment(row.started_at, "run", f"{name} begins", "in the holdout" if row.holdout else "")
        )
        if row.ended_at is not None:
            moments.append(Moment(row.ended_at, "run", f"{name} {row.status}", row.reason))
    return moments


def _mails(connection: sa.Connection, ids: Sequence[int], names: MeasureNames) -> list[Moment]:
    moments = []
    for row in _newest(connection, t.messages, ids, t.messages.c.id):
        at = row.sent_at or row.settled_at or row.due_at
        mail = f"{names.shown(row.measure)}/{row.step} {row.status}"
        moments.append(Moment(at, "mail", mail, row.reason))
    return moments


def _actions(connection: sa.Connection, ids: Sequence[int], names: MeasureNames) -> list[Moment]:
    return [
        Moment(line.at, "action", f"{line.measure}/{line.step} {line.status}: {line.what}", line.because)
        for line in load_actions(connection, ids, names, limit=_ROWS_MAX)
    ]


def _consent_moments(connection: sa.Connection, ids: Sequence[int]) -> list[Moment]:
    rows = _newest(connection, t.consents, ids, t.consents.c.id)
    return [Moment(row.at, "consent", f"{row.topic} {row.state}", row.source) for row in rows]


def _preference_moments(connection: sa.Connection, ids: Sequence[int]) -> list[Moment]:
    moments = []
    for row in _newest(connection, t.wishes, ids, t.wishes.c.id):
        sentences = {
            "often": f"at most one in {format_duration(row.value)}" if row.value else "as often as it comes",
            "pause": f"none before {to_iso(row.value)}" if row.value else "no pause",
            "tracking": "without counting opens and clicks" if row.value else "with counting",
        }
        moments.append(Moment(row.at, "wish", f"marketing mail {sentences[row.kind]}", row.source))
    return moments


def _merges(connection: sa.Connection, contact_id: int) -> list[Moment]:
    rows = connection.execute(sa.select(t.merges).where(t.merges.c.survivor == contact_id))
    return [Moment(row.at, "merge", f"contact:{row.merged} joined", row.evidence[:160]) for row in rows]
