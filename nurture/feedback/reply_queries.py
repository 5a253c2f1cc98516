"""Statements about cases that replies open (table `dialogues`) and about mails to our own staff (`notices`)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.family_queries import members_of
from nurture.database.bulk import Row, any_of, any_of_parameter, insert, list_text, update
from nurture.database.schema import contacts, dialogues, events, feedback, messages, notices
from nurture.domain.instant import DAY, MINUTE, Duration, Instant
from nurture.domain.journey.position import ActiveHold
from nurture.domain.measure import MARKETING
from nurture.domain.playbook import Hold

#: How long a worker may take to send one notice.
NOTICE_LEASE: Duration = 12 * MINUTE
#: A reply joins an open case only within this time; a later one opens another case.
JOINS_WITHIN: Duration = 30 * DAY
#: Name of the hold that an open case is, beside the playbook's own holds.
REPLY_HOLD: Final = "open_reply"
#: The kinds of a case: a reply opened it, or an answer in a survey or a review.
REPLY: Final = "reply"
ANSWER: Final = "answer"
OF_PEOPLE: Final = (REPLY, ANSWER)


# ---- cases -----------------------------------------------------------------------------------------------


def load_match(connection: sa.Connection, provider: str, event_id: str) -> Any:
    """Return contact_id and message_id of a stored report."""
    statement = sa.select(feedback.c.contact_id, feedback.c.message_id).where(
        feedback.c.provider == provider, feedback.c.event_id == event_id
    )
    return connection.execute(statement).first()


def lock_living(connection: sa.Connection, contact_id: int) -> int:
    """Lock the living contact of a contact, and return its id: two replies at once then open one case."""
    survivor = sa.select(contacts.c.survivor).where(contacts.c.id == contact_id).scalar_subquery()
    living = connection.scalar(sa.select(sa.func.coalesce(survivor, contact_id)))
    connection.execute(sa.select(contacts.c.id).where(contacts.c.id == living).with_for_update())
    return int(living or contact_id)


def living_of(connection: sa.Connection, contact_id: int) -> int:
    """Return the living contact that a contact was merged into, or the contact itself."""
    survivor = connection.scalar(sa.select(contacts.c.survivor).where(contacts.c.id == contact_id))
    return int(survivor or contact_id)


def living_of_many(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, int]:
    """Return contact -> the living contact that it was merged into, or itself."""
    if not contact_ids:
        return {}
    mine = any_of(contacts.c.id, contact_ids, connection)
    rows = connection.execute(sa.select(contacts.c.id, contacts.c.survivor).where(mine))
    return {row.id: row.survivor or row.id for row in rows}


def load_open_case(connection: sa.Connection, contact_id: int, *, now: Instant) -> sa.Row[Any] | None:
    """Return the newest open case, of a living contact and all merged into it, that a reply may still join."""
    members = list(members_of(connection, [contact_id]))
    statement = (
        sa.select(dialogues)
        .where(
            any_of(dialogues.c.contact_id, members, connection),
            dialogues.c.closed_at.is_(None),
            dialogues.c.kind == REPLY,
            dialogues.c.opened_at > now - JOINS_WITHIN,
        )
        .order_by(dialogues.c.id.desc())
        .limit(1)
    )
    return connection.execute(statement).first()


def load_reply_holds(
    connection: sa.Connection, contact_ids: Sequence[int], *, now: Instant
) -> dict[int, ActiveHold]:
    """Return contact -> the hold of its oldest open case: it stops all marketing until the case is closed."""
    rows = connection.execute(_open_cases(connection.dialect.name), {"ids": list_text(contact_ids)}).all()
    return {
        contact_id: ActiveHold(
            # It ends with the case, however long that takes: its end moves along.
            Hold(REPLY_HOLD, MARKETING, owner, JOINS_WITHIN),
            since,
            now + JOINS_WITHIN,
        )
        for contact_id, owner, since in rows
    }


@lru_cache
def _open_cases(dialect: str) -> sa.Select[Any]:
    c = dialogues.c
    return (
        sa.select(c.contact_id, sa.func.min(c.owner), sa.func.min(c.opened_at))
        .where(any_of_parameter(c.contact_id, dialect), c.closed_at.is_(None), c.kind == REPLY)
        .group_by(c.contact_id)
    )


def add_case(connection: sa.Connection, row: Row) -> int:
    """Insert a case, and return its number."""
    statement = sa.insert(dialogues).values(row).returning(dialogues.c.id)
    return int(connection.execute(statement).scalar_one())


def add_answer_cases(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert cases that answers open, in one statement; an answer (`event_id`) that opened one is passed over."""
    insert(connection, dialogues, rows, conflict=["event_id"])


def lock_cases_about(connection: sa.Connection, events: Sequence[int]) -> dict[int, sa.Row[Any]]:
    """Lock the cases about these events, and return event -> case."""
    if not events:
        return {}
    statement = sa.select(dialogues).where(any_of(dialogues.c.event_id, events, connection))
    return {row.event_id: row for row in connection.execute(statement.with_for_update())}


def give_cases(connection: sa.Connection, rows: Sequence[tuple[int, str, Instant, int, Instant]]) -> None:
    """Set (number, owner, due_at, action_id, told_at) of these cases."""
    update(
        connection,
        dialogues,
        rows,
        key=["id"],
        columns=["owner", "due_at", "action_id", "told_at"],
    )


def add_measure_cases(connection: sa.Connection, rows: Sequence[Row]) -> dict[int, int]:
    """Insert cases that measures open, in one statement, and return action -> number."""
    inserted = insert(connection, dialogues, rows, returning=["id", "action_id"])
    return {row.action_id: row.id for row in inserted}


def lock_untold_answers(connection: sa.Connection, *, limit: int) -> list[sa.Row[Any]]:
    """Lock and return open cases of answers that our staff were not told of, the oldest first."""
    c = dialogues.c
    statement = (
        sa.select(dialogues)
        .where(c.closed_at.is_(None), c.kind == ANSWER, c.told_at.is_(None))
        .order_by(c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(statement))


def load_event(connection: sa.Connection, number: int) -> Any:
    """Return name and body of a stored event; None when it is no longer kept."""
    statement = sa.select(events.c.name, events.c.body).where(events.c.id == number)
    return connection.execute(statement).first()


def load_case(connection: sa.Connection, number: int, *, lock: bool = False) -> sa.Row[Any] | None:
    """Return a case by its number."""
    statement = sa.select(dialogues).where(dialogues.c.id == number)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def update_case(connection: sa.Connection, number: int, **values: Any) -> None:
    """Set columns of a case."""
    connection.execute(sa.update(dialogues).where(dialogues.c.id == number).values(values))


def lock_overdue_cases(
    connection: sa.Connection,
    *,
    now: Instant,
    limit: int,
    is_legal: bool = False,
    of_measures_only: bool = False,
) -> list[sa.Row[Any]]:
    """Lock and return unanswered cases that are past due and not escalated yet.

    is_legal: those of a request by law; otherwise those of replies, answers and measures. of_measures_only: only
    those that measures opened.
    """
    statement = (
        sa.select(dialogues)
        .where(
            dialogues.c.closed_at.is_(None),
            dialogues.c.answered_at.is_(None),
            dialogues.c.escalated_at.is_(None),
            dialogues.c.due_at <= now,
            dialogues.c.kind.not_in(OF_PEOPLE) if is_legal else dialogues.c.kind.in_(OF_PEOPLE),
            dialogues.c.action_id.is_not(None) if of_measures_only else sa.true(),
        )
        .order_by(dialogues.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(statement))


def load_open_cases(connection: sa.Connection, *, limit: int) -> list[sa.Row[Any]]:
    """Return open cases, the longest due first."""
    statement = (
        sa.select(dialogues).where(dialogues.c.closed_at.is_(None)).order_by(dialogues.c.due_at).limit(limit)
    )
    return list(connection.execute(statement))


def list_cases(
    connection: sa.Connection,
    *,
    is_open: bool,
    owner: str | None = None,
    due_until: Instant | None = None,
    limit: int,
) -> list[sa.Row[Any]]:
    """Return cases with the address of the person and the mail that was answered; open ones, or all, longest due first.

    due_until: only those due by then. Columns: those of `dialogues`, `email`, `measure`, `mail`.
    """
    living = contacts.alias()
    statement = (
        sa.select(dialogues, living.c.email, messages.c.measure, messages.c.mail)
        .outerjoin(contacts, contacts.c.id == dialogues.c.contact_id)
        .outerjoin(living, living.c.id == sa.func.coalesce(contacts.c.survivor, contacts.c.id))
        .outerjoin(messages, messages.c.id == dialogues.c.message_id)
        .order_by(dialogues.c.due_at, dialogues.c.id)
        .limit(limit)
    )
    if is_open:
        statement = statement.where(dialogues.c.closed_at.is_(None))
    if owner is not None:
        statement = statement.where(dialogues.c.owner == owner)
    if due_until is not None:
        statement = statement.where(dialogues.c.due_at <= due_until)
    return list(connection.execute(statement))


def load_closings(
    connection: sa.Connection, contact_ids: Sequence[int]
) -> dict[int, list[tuple[Instant, str]]]:
    """Return contact -> instant and body of the `Support Case Closed` events of its family, for each contact.

    The event may be of the contact that the case was opened for, or of one that it was merged into since.
    """
    mine = any_of(contacts.c.id, contact_ids, connection)
    rows = connection.execute(sa.select(contacts.c.id, contacts.c.survivor).where(mine))
    person_of = {row.id: row.survivor or row.id for row in rows}
    members = members_of(connection, sorted(set(person_of.values())))
    statement = sa.select(events.c.contact_id, events.c.occurred_at, events.c.body).where(
        any_of(events.c.contact_id, list(members), connection), events.c.name == "Support Case Closed"
    )
    closings: dict[int, list[tuple[Instant, str]]] = {}
    for member, at, body in connection.execute(statement):
        closings.setdefault(members[member], []).append((at, body))
    return {contact: closings.get(person, []) for contact, person in person_of.items()}


def load_case_times(connection: sa.Connection, *, since: Instant) -> list[sa.Row[Any]]:
    """Return the instants of the cases opened since then, for the report."""
    statement = sa.select(
        dialogues.c.opened_at,
        dialogues.c.due_at,
        dialogues.c.answered_at,
        dialogues.c.escalated_at,
        dialogues.c.closed_at,
    ).where(
        dialogues.c.opened_at > since,
        sa.or_(dialogues.c.kind == REPLY, dialogues.c.action_id.is_not(None)),
    )
    return list(connection.execute(statement))


# ---- context of a case -----------------------------------------------------------------------------------


def load_contact(connection: sa.Connection, contact_id: int) -> sa.Row[Any] | None:
    """Return the row of a contact."""
    return connection.execute(sa.select(contacts).where(contacts.c.id == contact_id)).first()


def load_answered_mail(connection: sa.Connection, message_id: int | None) -> Any:
    """Return measure, mail and sent_at of a message; None when there is none."""
    statement = sa.select(messages.c.measure, messages.c.mail, messages.c.sent_at).where(
        messages.c.id == message_id
    )
    return connection.execute(statement).first() if message_id is not None else None


def load_latest_events(connection: sa.Connection, contact_id: int, *, limit: int = 5) -> list[sa.Row[Any]]:
    """Return name and instant of the contact's newest events."""
    statement = (
        sa.select(events.c.name, events.c.occurred_at)
        .where(events.c.contact_id == contact_id)
        .order_by(events.c.id.desc())
        .limit(limit)
    )
    return list(connection.execute(statement))


# ---- notices ---------------------------------------------------------------------------------------------


def add_notice(connection: sa.Connection, case: int | None, row: Row) -> None:
    """Insert a mail to our own staff; case: the number of the case it is about."""
    connection.execute(sa.insert(notices).values({**row, "dialogue_id": case}))


def claim_notices(
    connection: sa.Connection, *, now: Instant, lease: Instant, limit: int
) -> list[sa.Row[Any]]:
    """Lease due notices to the caller and return them; `attempts` includes the present one."""
    due = (
        sa.select(notices.c.id)
        .where(notices.c.sent_at.is_(None), notices.c.due_at <= now, notices.c.lease_until < lease)
        .order_by(notices.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return []
    statement = (
        sa.update(notices)
        .where(any_of(notices.c.id, ids, connection))
        .values(lease_until=lease + NOTICE_LEASE, attempts=notices.c.attempts + 1)
        .returning(notices)
    )
    return sorted(connection.execute(statement), key=lambda row: row.id)


def unsent_since(
    connection: sa.Connection, *, before: Instant, attempts: int = 6, limit: int = 100
) -> list[sa.Row[Any]]:
    """Return id, case, attempts and reply of notices that are due since before an instant, or were refused so often."""
    statement = (
        sa.select(notices.c.id, notices.c.dialogue_id.label("case"), notices.c.attempts, notices.c.reply)
        .where(notices.c.sent_at.is_(None), sa.or_(notices.c.due_at < before, notices.c.attempts >= attempts))
        .order_by(notices.c.id)
        .limit(limit)
    )
    return list(connection.execute(statement))


def settle_notice(connection: sa.Connection, number: int, **values: Any) -> None:
    """Write the result of an attempt at a notice, and end its lease."""
    statement = sa.update(notices).where(notices.c.id == number, notices.c.sent_at.is_(None))
    connection.execute(statement.values(lease_until=0, **values))
