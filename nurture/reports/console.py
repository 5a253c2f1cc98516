"""What the console shows: figures of the whole, contacts, one contact's story, the quarantine. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from nurture.consent.load_permissions import load_permissions
from nurture.database.engine import decode, encode
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
from nurture.domain.consent.permissions import ConsentState
from nurture.domain.event import IDENTITY_KINDS
from nurture.domain.identity import canonical_email
from nurture.domain.instant import FOREVER, NEVER, Instant, to_iso
from nurture.reports.person import family

_UNSENT = ("skipped", "cancelled", "expired", "failed", "in_doubt")
#: Rows of each kind that one contact's page reads at most.
_STORY_MAX = 200


# ---- the whole -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How many people stand at one stage."""

    track: str
    stage: str
    people: int


@dataclass(frozen=True, slots=True)
class Withheld:
    """How many messages were not sent for one reason."""

    status: str
    reason: str
    messages: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The overview."""

    people: tuple[Standing, ...]
    # (status, count), most first.
    messages: tuple[tuple[str, int], ...]
    reasons: tuple[Withheld, ...]
    quarantined: int

    @property
    def people_total(self) -> int:
        """Everybody."""
        return sum(line.people for line in self.people)

    @property
    def people_max(self) -> int:
        """The fullest stage, at least 1."""
        return max((line.people for line in self.people), default=1)

    @property
    def messages_by_status(self) -> dict[str, int]:
        """Count of each status."""
        return dict(self.messages)

    @property
    def waiting(self) -> int:
        """Messages decided and not yet settled."""
        return sum(count for status, count in self.messages if status in ("waiting", "ready", "on_wire"))


def figures(connection: sa.Connection, *, stages: Sequence[tuple[str, str]] = ()) -> Figures:
    """Return the figures of the overview. stages: (track, stage) in the playbook's order."""
    order = {place: number for number, place in enumerate(stages)}
    standing = connection.execute(
        sa.select(contacts.c.track, contacts.c.stage, sa.func.count())
        .where(contacts.c.survivor.is_(None), contacts.c.erased_at.is_(None))
        .group_by(contacts.c.track, contacts.c.stage)
    )
    people = sorted(
        (Standing(*row) for row in standing),
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
    return Figures(
        people=tuple(people),
        messages=tuple((str(status), int(count)) for status, count in by_status),
        reasons=tuple(Withheld(*row) for row in by_reason),
        quarantined=connection.scalar(sa.select(sa.func.count()).select_from(quarantine)) or 0,
    )


def runs_by_measure(connection: sa.Connection) -> dict[str, int]:
    """Return how many runs each measure has had."""
    statement = sa.select(runs.c.measure, sa.func.count()).group_by(runs.c.measure)
    return {str(measure): int(count) for measure, count in connection.execute(statement)}


# ---- quarantine ------------------------------------------------------------------------------------------


def quarantined(
    connection: sa.Connection, *, limit: int = 200
) -> tuple[list[tuple[str, int]], Sequence[sa.Row[Any]]]:
    """Return how many items each stage set aside, and the newest of them."""
    counts = connection.execute(
        sa.select(quarantine.c.stage, sa.func.count())
        .group_by(quarantine.c.stage)
        .order_by(quarantine.c.stage)
    )
    newest = connection.execute(sa.select(quarantine).order_by(quarantine.c.id.desc()).limit(limit))
    return [(str(stage), int(count)) for stage, count in counts], newest.all()


# ---- contacts --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContactLine:
    """One contact in a list."""

    id: int
    email: str | None
    known_as: str | None
    track: str
    stage: str
    stage_since: Instant
    first_seen_at: Instant


def find_contacts(connection: sa.Connection, query: str, *, limit: int = 50) -> list[ContactLine]:
    """Return the contacts known by an address, `id:USER_ID`, `contact:N` or a bare id; the newest for no query."""
    rank = sa.case({kind: place for place, kind in enumerate(IDENTITY_KINDS)}, value=identities.c.kind)
    known_as = (
        sa.select(identities.c.value)
        .where(identities.c.contact_id == contacts.c.id)
        .order_by(rank, identities.c.value)
        .limit(1)
        .scalar_subquery()
    )
    statement = sa.select(
        contacts.c.id,
        contacts.c.email,
        known_as.label("known_as"),
        contacts.c.track,
        contacts.c.stage,
        contacts.c.stage_since,
        contacts.c.first_seen_at,
    ).where(contacts.c.survivor.is_(None))
    if query:
        statement = statement.where(_is_meant(query))
    rows = connection.execute(statement.order_by(contacts.c.id.desc()).limit(limit))
    return [ContactLine(*row) for row in rows]


def _is_meant(query: str) -> sa.ColumnElement[bool]:
    if query.startswith("contact:"):
        number = query.removeprefix("contact:")
        is_number = number.isascii() and number.isdigit() and len(number) < 19
        return contacts.c.id == int(number) if is_number else sa.false()
    values = {query.removeprefix("id:"), canonical_email(query) or query}
    named = sa.select(identities.c.contact_id).where(identities.c.value.in_(sorted(values)))
    return contacts.c.id.in_(named)


# ---- one contact -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a contact's timeline."""

    at: Instant
    # event | track | stage | milestone | mail | consent | merge
    kind: str
    title: str
    tag: str = ""
    detail: str = ""
    # The guard's checks of a mail: {"name", "passed", "detail"}.
    checks: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """Everything one contact's page shows."""

    contact: sa.Row[Any]
    identities: Sequence[sa.Row[Any]]
    consents: Mapping[str, ConsentState]
    runs: Sequence[sa.Row[Any]]
    facts: list[tuple[str, str]] = field(default_factory=list)
    # Newest first; cut tells whether older entries were left out.
    timeline: list[Entry] = field(default_factory=list)
    cut: bool = False

    @property
    def wakes(self) -> bool:
        """Tell whether an alarm is set."""
        return bool(self.contact.wake_at < FOREVER)


def story(connection: sa.Connection, contact_id: int, *, limit: int = _STORY_MAX) -> Story | None:
    """Return the contact's story; who was merged away leads to the survivor. None: there is no such contact."""
    row = connection.execute(sa.select(contacts).where(contacts.c.id == contact_id)).one_or_none()
    if row is not None and row.survivor is not None:
        row = connection.execute(sa.select(contacts).where(contacts.c.id == row.survivor)).one_or_none()
    if row is None:
        return None
    ids = family(connection, row.id)
    names = connection.execute(
        sa.select(identities)
        .where(identities.c.contact_id == row.id)
        .order_by(identities.c.kind, identities.c.value)
    ).all()
    entered = connection.execute(
        sa.select(runs).where(runs.c.contact_id.in_(ids)).order_by(runs.c.started_at.desc()).limit(limit)
    ).all()
    entries = sorted(_entries(connection, row.id, ids, limit), key=lambda entry: entry.at, reverse=True)
    return Story(
        contact=row,
        identities=names,
        consents=load_permissions(connection, [row.id])[row.id].consents,
        runs=entered,
        facts=[(name, _fact(name, value)) for name, value in sorted((row.facts or {}).items())],
        timeline=entries[:limit],
        cut=len(entries) > limit,
    )


def _entries(connection: sa.Connection, contact_id: int, ids: Sequence[int], limit: int) -> list[Entry]:
    def newest(table: sa.Table, at: sa.Column[Any]) -> Sequence[sa.Row[Any]]:
        statement = sa.select(table).where(table.c.contact_id.in_(ids)).order_by(at.desc()).limit(limit)
        return connection.execute(statement).all()

    joined = connection.execute(
        sa.select(merges).where(merges.c.survivor == contact_id, merges.c.undone_at.is_(None))
    )
    entries = [_of_event(row) for row in newest(events, events.c.id)]
    for row in newest(transitions, transitions.c.at):
        because = f"because of {row.evidence}"
        entries.append(Entry(row.at, row.kind, f"{row.before} → {row.after}", detail=because))
    entries += [
        Entry(row.at, "milestone", _words(row.name), detail=row.key)
        for row in newest(milestones, milestones.c.at)
    ]
    entries += [_of_message(row) for row in newest(messages, messages.c.decided_at)]
    entries += [
        Entry(row.at, "topic", row.topic, tag=row.state, detail=row.source)
        for row in newest(consents, consents.c.at)
    ]
    entries += [Entry(row.at, "merge", f"contact {row.merged} joined") for row in joined]
    return entries


def _of_event(row: sa.Row[Any]) -> Entry:
    body = decode(row.body)
    said = {**body.get("traits", {}), **body.get("properties", {})}
    shown = ", ".join(
        f"{name} {value}" for name, value in said.items() if isinstance(value, str | int | float)
    )
    return Entry(row.occurred_at, "event", row.name, detail=shown[:240])


def _of_message(row: sa.Row[Any]) -> Entry:
    shown = (_check(check) for check in read_checks(row.verdict))
    return Entry(
        at=row.sent_at or row.settled_at or row.decided_at,
        kind="mail",
        title=f"{row.measure} · {row.mail}",
        tag=row.status,
        detail=_words(row.reason),
        checks=tuple(shown),
    )


def _check(said: dict[str, Any]) -> dict[str, Any]:
    detail = said.get("detail")
    return {
        "name": str(said.get("name", "")),
        "passed": bool(said.get("passed")),
        "detail": str(detail or ""),
    }


def _fact(name: str, value: Any) -> str:
    """Return a fact's value for people; instants are kept as whole numbers, told by their names."""
    is_instant = name.startswith(("first:", "last:")) or name.endswith("_at")
    if is_instant and type(value) is int and NEVER < value < FOREVER:
        return to_iso(value)
    return encode(value) if isinstance(value, list | dict | bool) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
