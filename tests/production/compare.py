"""The state at the end, compared with the expected one: the ledger, the mail server, the events, the runs."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any, Protocol

import sqlalchemy as sa

from nurture.database.bulk import any_of
from nurture.database.engine import Database
from nurture.database.schema import attempts, contacts, events, inbox, messages, quarantine, runs
from nurture.delivery.types import EVIDENCE_WAIT
from nurture.domain.instant import MINUTE, Instant
from tests.production.people import HOLDING_OUT, THANKS, TRANSACTIONAL, Crowd, Mail
from tests.production.processes import SOURCE

_header = BytesHeaderParser()


@dataclass(frozen=True, slots=True)
class Work:
    """The work that is left."""

    events: int
    #: Mails to be sent now, and mails in somebody's hands.
    due: int
    held: int
    #: Transactional mails in doubt.
    doubted: int

    @property
    def done(self) -> bool:
        """Tell whether nothing is left."""
        return not (self.events or self.due or self.held or self.doubted)


def work_left(database: Database, *, now: Instant) -> Work:
    """Count what there still is to do."""
    m = messages.c

    def many(table: sa.FromClause, *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        return sa.select(sa.func.count()).select_from(table).where(*where).scalar_subquery()

    statement = sa.select(
        many(inbox),
        many(messages, m.status == "waiting", m.due_at <= now + MINUTE)
        + many(contacts, contacts.c.survivor.is_(None), contacts.c.wake_at <= now),
        many(messages, m.status.in_(("ready", "on_wire"))),
        many(messages, m.status == "in_doubt", m.settled_at.is_(None)),
    )
    with database.read() as connection:
        return Work(*connection.execute(statement).one())


def let_evidence_wait_pass(database: Database, waited: set[int], *, now: Instant) -> list[str]:
    """Let the wait of transactional mail in doubt be over; returns what was wrong with how it waited.

    It must wait: due again within ten minutes and not before. waited: whose wait is over already; added to.
    """
    m = messages.c
    doubted = sa.and_(m.status == "in_doubt", m.settled_at.is_(None))
    wrong = []
    with database.write() as connection:
        rows = connection.execute(sa.select(m.id, m.purpose, m.due_at).where(doubted).with_for_update()).all()
        for row in rows:
            if row.id in waited:
                continue
            waited.add(row.id)
            if row.purpose != "transactional" or not now < row.due_at <= now + EVIDENCE_WAIT + MINUTE:
                wrong.append(
                    f"message {row.id} ({row.purpose}) in doubt is due in {row.due_at - now} microseconds"
                )
        over = sa.and_(doubted, any_of(m.id, [row.id for row in rows], connection))
        connection.execute(sa.update(messages).values(due_at=sa.func.least(m.due_at, now)).where(over))
    return wrong


@dataclass(slots=True)
class Reckoning:
    """The ledger and the mail server's copies, side by side."""

    crowd: Crowd
    ledger: list[Any]
    #: Message-ID -> the copies that the mail server took.
    copies: dict[str, list[bytes]]
    #: message id -> how often an attempt of it ended in doubt.
    doubts: Counter[int]

    def faults(self) -> Iterator[str]:
        """Yield what is missing, too much or twice."""
        planned = Counter[Mail]((row.email, row.measure, row.step, row.about) for row in self.ledger)
        yield from (
            f"missing in the ledger: {mail} x{count}"
            for mail, count in (self.crowd.expected - planned).items()
        )
        yield from (
            f"too much in the ledger: {mail} x{count}"
            for mail, count in (planned - self.crowd.expected).items()
        )
        known = {row.header_id for row in self.ledger}
        yield from (f"nobody decided {number}" for number in self.copies if number not in known)
        for row in self.ledger:
            yield from self._of_mail(row)

    def _of_mail(self, row: Any) -> Iterator[str]:
        copies = self.copies.get(row.header_id, [])
        doubts = self.doubts[row.id]
        shown = (
            f"{row.measure} to {row.email} ({row.status} {row.reason}, {len(copies)} copies, {doubts} doubts)"
        )
        if row.measure in TRANSACTIONAL:
            # Never lost; again only after a doubt.
            right = row.status == "sent" and 1 <= len(copies) <= 1 + doubts
        elif row.status == "sent":
            right = len(copies) == 1 and doubts == 0
        elif row.status == "in_doubt":
            right = len(copies) <= 1 and doubts == 1
        else:
            right = (
                (row.status, row.reason) == ("skipped", "holdout")
                and row.measure in HOLDING_OUT
                and not copies
            )
        if not right:
            yield shown
        if len(set(copies)) > 1:
            yield f"copies differ: {shown}"

    def doubted_transactional(self) -> set[int]:
        """Return the ids of transactional mails that were in doubt."""
        return {row.id for row in self.ledger if row.measure in TRANSACTIONAL and self.doubts[row.id]}

    def counts(self) -> dict[str, Any]:
        """Return the figures."""
        statuses = Counter(row.status for row in self.ledger)
        marketing = sum(row.status == "in_doubt" for row in self.ledger)
        return {
            "mails": dict(statuses),
            "copies taken": sum(map(len, self.copies.values())),
            "doubts": self.doubts.total(),
            "doubts of marketing": marketing,
            "copies after a doubt": sum(len(copies) - 1 for copies in self.copies.values()),
        }


class Copy(Protocol):
    """A mail that a server took."""

    @property
    def data(self) -> bytes:
        """Its bytes."""
        ...


class Server(Protocol):
    """A mail server that can be asked what it took."""

    @property
    def taken(self) -> Sequence[Copy]:
        """The mails, in the order of acceptance."""
        ...


def reckon(crowd: Crowd, database: Database, sink: Server) -> Reckoning:
    """Read ledger and mail server."""
    m = messages.c
    owner = contacts.alias()
    email = sa.func.coalesce(owner.c.email, contacts.c.email).label("email")
    about = m.run_key.label("about")
    columns = (m.id, m.measure, m.step, about, m.status, m.reason, m.header_id, email)
    joined = messages.join(contacts, contacts.c.id == m.contact_id)
    joined = joined.outerjoin(owner, owner.c.id == contacts.c.survivor)
    count = sa.func.count()
    doubted = sa.select(attempts.c.message_id, count).where(attempts.c.outcome == "in_doubt")
    with database.read() as connection:
        ledger = list(connection.execute(sa.select(*columns).select_from(joined)))
        doubts = Counter(
            {row[0]: row[1] for row in connection.execute(doubted.group_by(attempts.c.message_id))}
        )
    copies: dict[str, list[bytes]] = defaultdict(list)
    for taken in sink.taken:
        copies[str(_header.parsebytes(taken.data)["Message-ID"])].append(taken.data)
    return Reckoning(crowd, ledger, copies, doubts)


def faults_of_events(crowd: Crowd, database: Database) -> Iterator[str]:
    """Yield which events were lost, applied twice, set aside, or applied out of a person's order."""
    statement = sa.select(events.c.message_id).where(events.c.source == SOURCE).order_by(events.c.id)
    with database.read() as connection:
        applied = list(connection.execute(statement).scalars())
        aside = connection.execute(sa.select(quarantine.c.stage, quarantine.c.reason)).all()
    yield from (f"set aside: {row.stage}: {row.reason}" for row in aside)
    given = Counter([*(str(item["messageId"]) for item in crowd.items), "back-in-stock"])
    yield from (f"lost: {message}" for message in given - Counter(applied))
    yield from (f"applied twice: {message}" for message in Counter(applied) - given)
    last: dict[str, int] = {}
    for message in applied:
        person, _, text = message.partition("-")
        if person.isdigit():
            # The first two events of some name nothing in common.
            place = max(1, int(text))
            if place < last.get(person, 0):
                yield f"out of order: {message} after {person}-{last[person]}"
            last[person] = place


def faults_of_runs(crowd: Crowd, database: Database) -> Iterator[str]:
    """Yield first orders after which nobody waits to be thanked, and thanks for nothing."""
    statement = (
        sa.select(contacts.c.email, runs.c.key)
        .join(contacts, contacts.c.id == runs.c.contact_id)
        .where(runs.c.measure == THANKS, runs.c.status == "active")
    )
    with database.read() as connection:
        waiting = {(row.email, row.key) for row in connection.execute(statement)}
    yield from (f"nobody thanks {person}" for person in crowd.thanked - waiting)
    yield from (f"thanks for nothing: {person}" for person in waiting - crowd.thanked)
