"""Read the ledger of a simulation: its mails, runs, people and deferrals as plain rows.

The database is the private SQLite file of one simulation, so whole tables are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.queries import run_of
from nurture.database import schema as t
from nurture.domain.contact import Run
from nurture.domain.event import IDENTITY_KINDS
from nurture.domain.instant import Instant

#: Deferrals of mails, which the ledger itself forgets: a trigger of the private file notes them.
_DEFERRALS: Final = (
    "CREATE TABLE simulated_deferrals (message_id INTEGER, reason TEXT, judged_at INTEGER, until INTEGER)",
    "CREATE TRIGGER simulated_deferral AFTER UPDATE ON messages "
    "WHEN NEW.status = 'waiting' AND NEW.reason <> '' AND NEW.due_at <> OLD.due_at "
    "BEGIN INSERT INTO simulated_deferrals "
    "VALUES (NEW.id, NEW.reason, json_extract(NEW.verdict, '$.at'), NEW.due_at); END",
)


@dataclass(frozen=True, slots=True)
class MailRow:
    """One decided mail and how it ended."""

    id: int
    contact: int
    # The identity of its measure.
    measure: str
    key: str
    step: str
    variant: str
    purpose: str
    status: str
    reason: str
    sent_at: Instant | None
    # When it left or ended, or is due.
    ended_at: Instant
    # Of a mail that was made, else "".
    locale: str
    # The stage at which the person stood when it left, or at the end.
    stage: str


@dataclass(frozen=True, slots=True)
class DeferralRow:
    """One time that a mail was put off."""

    message: int
    reason: str
    judged_at: Instant
    until: Instant


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One living person at the end."""

    id: int
    # The strongest identity, as WHO is written: `id:u7`, an address, or `contact:9`.
    name: str
    track: str
    stage: str
    locale: str
    first_seen_at: Instant


@dataclass(frozen=True, slots=True)
class StageMove:
    """A person came from one stage to another."""

    contact: int
    before: str
    after: str
    at: Instant


@dataclass(frozen=True, slots=True)
class SimulatedLedger:
    """All that a simulation left behind."""

    mails: tuple[MailRow, ...]
    deferrals: tuple[DeferralRow, ...]
    # With the contact that each run belongs to.
    runs: tuple[tuple[int, Run], ...]
    people: tuple[PersonRow, ...]
    moves: tuple[StageMove, ...]
    # (contact, identity of a measure) -> (reason, detail) of the newest trigger that started no run.
    refusals: Mapping[tuple[int, str], tuple[str, str]] = field(default_factory=dict)


def note_deferrals(connection: sa.Connection) -> None:
    """Let the private database of a simulation keep each deferral of a mail."""
    for statement in _DEFERRALS:
        connection.exec_driver_sql(statement)


def load_ledger(connection: sa.Connection) -> SimulatedLedger:
    """Return the ledger of a simulation that is over."""
    people, living = _load_people(connection)
    moves = _load_moves(connection, living)
    return SimulatedLedger(
        mails=_load_mails(connection, living, people, moves),
        deferrals=tuple(
            DeferralRow(*row)
            for row in connection.exec_driver_sql(
                "SELECT message_id, reason, judged_at, until FROM simulated_deferrals ORDER BY rowid"
            )
        ),
        runs=tuple(
            (living.get(row.contact_id, row.contact_id), run_of(row))
            for row in connection.execute(sa.select(t.runs).order_by(t.runs.c.id))
        ),
        people=tuple(people.values()),
        moves=moves,
        refusals={
            (living.get(row.contact_id, row.contact_id), row.measure): (row.reason, row.detail)
            for row in connection.execute(sa.select(t.non_entries))
        },
    )


def _load_people(connection: sa.Connection) -> tuple[dict[int, PersonRow], dict[int, int]]:
    """Return the living people, and the living contact of each merged one."""
    names: dict[int, tuple[int, str]] = {}
    for row in connection.execute(sa.select(t.identities)):
        rank = (IDENTITY_KINDS.index(row.kind), str(row.value))
        names[row.contact_id] = min(names.get(row.contact_id, rank), rank)
    people, living = dict[int, PersonRow](), dict[int, int]()
    for row in connection.execute(sa.select(t.contacts).order_by(t.contacts.c.id)):
        if row.survivor is not None:
            living[row.id] = row.survivor
        else:
            name = _name_of(row.id, names.get(row.id))
            people[row.id] = PersonRow(
                row.id, name, row.track, row.stage, row.locale or "", row.first_seen_at
            )
    return people, living


def _name_of(contact_id: int, name: tuple[int, str] | None) -> str:
    if name is None or IDENTITY_KINDS[name[0]] not in ("user_id", "email"):
        return f"contact:{contact_id}"
    return f"id:{name[1]}" if IDENTITY_KINDS[name[0]] == "user_id" else name[1]


def _load_moves(connection: sa.Connection, living: Mapping[int, int]) -> tuple[StageMove, ...]:
    c = t.transitions.c
    statement = sa.select(c.contact_id, c.before, c.after, c.noticed_at).where(c.kind == "stage")
    return tuple(
        StageMove(living.get(row.contact_id, row.contact_id), row.before, row.after, row.noticed_at)
        for row in connection.execute(statement.order_by(c.noticed_at, c.id))
    )


def _load_mails(
    connection: sa.Connection,
    living: Mapping[int, int],
    people: Mapping[int, PersonRow],
    moves: tuple[StageMove, ...],
) -> tuple[MailRow, ...]:
    m = t.messages.c
    locale = sa.func.coalesce(sa.func.json_extract(m.context, "$.locale"), "")
    columns = (m.id, m.contact_id, m.measure, m.run_key, m.step, m.variant, m.purpose, m.status, m.reason)
    ended_at = sa.func.coalesce(m.sent_at, m.settled_at, m.due_at).label("ended_at")
    statement = sa.select(*columns, m.sent_at, ended_at, locale.label("locale")).order_by(m.id)
    moves_of: dict[int, list[StageMove]] = {}
    for move in moves:
        moves_of.setdefault(move.contact, []).append(move)

    def make(row: Any) -> MailRow:
        contact = living.get(row.contact_id, row.contact_id)
        person = people.get(contact)
        stage = _stage_at(moves_of.get(contact, ()), row.sent_at, person.stage if person else "")
        return MailRow(
            row.id,
            contact,
            row.measure,
            row.run_key,
            row.step,
            row.variant or "",
            row.purpose,
            row.status,
            row.reason,
            row.sent_at,
            row.ended_at,
            row.locale,
            stage,
        )

    return tuple(make(row) for row in connection.execute(statement))


def _stage_at(moves: "list[StageMove] | tuple[()]", at: Instant | None, last: str) -> str:
    """Return the stage at an instant; without one that of the end."""
    if at is None:
        return last
    for move in moves:
        if move.at > at:
            return move.before
    return last
