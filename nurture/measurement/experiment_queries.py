"""Read experiments: sums of mature people by epoch, arm and entry day, in one statement for all measures.

Read through the family: a person is one however many contacts they were, their earliest enrolment decides the arm, and
a later one within its window is no second person. Nothing is added up beforehand, so late events, merges and refunds
are in the next reading.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nurture.database.schema import (
    contacts,
    enrolments,
    experiments,
    exposures,
    feedback,
    messages,
    outcomes,
    pauses,
)
from nurture.domain.experiment.averages import ArmSums, CovariateSums
from nurture.domain.experiment.judgement import DaySums
from nurture.domain.instant import DAY, Instant
from nurture.playbook.epoch_queries import Epoch

_PERSON = sa.func.coalesce(contacts.c.survivor, contacts.c.id)


def load_day_sums(
    connection: sa.Connection, epochs: Sequence[Epoch], *, now: Instant
) -> dict[int, list[DaySums]]:
    """Return epoch -> sums of its people whose window is over and whose late events are in, by arm and entry day."""
    if not epochs:
        return {}
    rows = connection.execute(_day_sums([epoch.id for epoch in epochs]), {"now": now})
    found: dict[int, list[DaySums]] = {epoch.id: [] for epoch in epochs}
    for row in rows:
        found[row.experiment].append(_sums(row))
    return found


def load_enrolled(connection: sa.Connection, epochs: Sequence[Epoch]) -> dict[int, list[int]]:
    """Return epoch -> people of each of its arms, mature or not."""
    people = _people([epoch.id for epoch in epochs])
    statement = sa.select(people.c.experiment, people.c.arm, sa.func.count().label("number")).group_by(
        people.c.experiment, people.c.arm
    )
    found = {epoch.id: [0] * len(epoch.arms) for epoch in epochs}
    for row in connection.execute(statement):
        if row.arm < len(found[row.experiment]):
            found[row.experiment][row.arm] = row.number
    return found


def load_exposed(connection: sa.Connection, epochs: Sequence[Epoch]) -> dict[int, int]:
    """Return epoch -> contacts whom a mail reached, or would have."""
    statement = (
        sa.select(exposures.c.experiment, sa.func.count().label("number"))
        .where(exposures.c.experiment.in_([epoch.id for epoch in epochs]))
        .group_by(exposures.c.experiment)
    )
    return {row.experiment: row.number for row in connection.execute(statement)}


def load_next_mature(
    connection: sa.Connection, epochs: Sequence[Epoch], *, now: Instant
) -> dict[int, Instant]:
    """Return epoch -> when the outcome of the next of its people is complete; left out where nobody is under way."""
    e = enrolments.c
    statement = (
        sa.select(e.experiment, sa.func.min(e.matures_at).label("at"))
        .where(e.experiment.in_([epoch.id for epoch in epochs]), e.matures_at > now)
        .group_by(e.experiment)
    )
    return {row.experiment: row.at for row in connection.execute(statement)}


def load_guarded(
    connection: sa.Connection, since: Mapping[str, Instant]
) -> dict[str, tuple[int, dict[str, int]]]:
    """Return identity of a measure -> (mails sent, name of a guard -> how many of them had it), since its trial began.

    since: identity of a measure -> when its trial began.
    """
    if not since:
        return {}
    begun = sa.case(since, value=messages.c.measure)
    wanted = messages.c.measure.in_(list(since)), messages.c.sent_at >= begun
    sent = sa.select(messages.c.measure, sa.func.count().label("number")).where(
        messages.c.status == "sent", *wanted
    )
    found: dict[str, tuple[int, dict[str, int]]] = {
        row.measure: (row.number, {"unsubscribed": 0, "complained": 0})
        for row in connection.execute(sent.group_by(messages.c.measure))
    }
    reported = (
        sa.select(
            messages.c.measure,
            feedback.c.kind,
            sa.func.count(sa.distinct(messages.c.id)).label("number"),
        )
        .join(feedback, feedback.c.message_id == messages.c.id)
        .where(feedback.c.kind.in_(("unsubscribe", "complaint")), feedback.c.machine == sa.false(), *wanted)
        .group_by(messages.c.measure, feedback.c.kind)
    )
    names = {"unsubscribe": "unsubscribed", "complaint": "complained"}
    for row in connection.execute(reported):
        if row.measure in found:
            found[row.measure][1][names[row.kind]] = row.number
    return found


def load_entries(connection: sa.Connection, *, since: Instant) -> dict[str, int]:
    """Return identity of a measure -> people who entered it since then."""
    statement = (
        sa.select(experiments.c.measure, sa.func.count().label("number"))
        .join(enrolments, enrolments.c.experiment == experiments.c.id)
        .where(enrolments.c.entered_at >= since)
        .group_by(experiments.c.measure)
    )
    return {row.measure: row.number for row in connection.execute(statement)}


# ---- people and their outcomes ---------------------------------------------------------------------------


def _people(epochs: Sequence[int]) -> sa.Subquery:
    """Return one row for each person and epoch: the earliest enrolment of all contacts that they were."""
    person = _PERSON.label("person")
    order = (enrolments.c.entered_at, enrolments.c.contact_id)
    within = experiments.c.within
    rows = (
        sa.select(
            *(
                enrolments.c[name]
                for name in ("experiment", "arm", "entered_at", "matures_at", "spent_before")
            ),
            person,
            within.label("within"),
            experiments.c.outcome,
            experiments.c.cap,
            experiments.c.currency,
            sa.func.row_number()
            .over(partition_by=(enrolments.c.experiment, _PERSON), order_by=order)
            .label("place"),
            # The end of the windows before it, of the same person in the same measure and trial.
            sa.func.max(enrolments.c.entered_at + within)
            .over(
                partition_by=(experiments.c.measure, experiments.c.trial, _PERSON),
                order_by=order,
                rows=(None, -1),
            )
            .label("closed_until"),
        )
        .join(experiments, experiments.c.id == enrolments.c.experiment)
        .join(contacts, contacts.c.id == enrolments.c.contact_id)
        .where(enrolments.c.experiment.in_(epochs), ~_was_stopped())
        .subquery("entries")
    )
    is_free = sa.or_(rows.c.closed_until.is_(None), rows.c.closed_until <= rows.c.entered_at)
    return sa.select(rows).where(rows.c.place == 1, is_free).subquery("people")


def _was_stopped() -> sa.Exists:
    """Return the SQL for whether nothing could leave when the person entered: such people are in no arm."""
    return sa.exists().where(
        pauses.c.mode == "all",
        sa.or_(pauses.c.name == experiments.c.measure, pauses.c.name == "all"),
        pauses.c.since <= enrolments.c.entered_at,
        sa.or_(pauses.c.until.is_(None), pauses.c.until > enrolments.c.entered_at),
    )


def _day_sums(epochs: Sequence[int]) -> sa.Select[Any]:
    """Return the statement; what people did is looked up by contact, so no relation is joined to another as a whole."""
    rows = _people(epochs)
    now = sa.bindparam("now", type_=sa.BigInteger)
    people = sa.select(rows).where(rows.c.matures_at <= now).cte("mature")
    each = _each(_standing(people))
    # Floor division of microseconds; the day is in UTC on both databases.
    day = sa.literal(DAY, sa.BigInteger)
    nothing, none = sa.literal(0), sa.literal(0.0)
    before = sa.cast(people.c.spent_before, sa.Float)
    amount = sa.cast(sa.case((each.c.amount > each.c.cap, each.c.cap), else_=each.c.amount), sa.Float)
    entered = sa.select(
        people.c.experiment,
        people.c.arm,
        (people.c.entered_at // day).label("day"),
        sa.literal(1).label("people"),
        nothing.label("converted"),
        none.label("amount"),
        none.label("amount_squares"),
        before.label("before"),
        (before * before).label("before_squares"),
        none.label("product"),
    )
    converted = sa.select(
        each.c.experiment,
        each.c.arm,
        each.c.entered_at // day,
        nothing,
        sa.literal(1),
        amount,
        amount * amount,
        none,
        none,
        amount * each.c.spent_before,
    )
    both = sa.union_all(entered, converted).subquery("both")
    summed = ("people", "converted", "amount", "amount_squares", "before", "before_squares", "product")
    return sa.select(
        both.c.experiment, both.c.arm, both.c.day, *(sa.func.sum(both.c[name]).label(name) for name in summed)
    ).group_by(both.c.experiment, both.c.arm, both.c.day)


_ALL_ROWS: Final = 2**62
_OF_PERSON: Final = ("experiment", "person", "arm", "entered_at", "spent_before", "within", "cap", "currency")


def _standing(people: sa.CTE) -> sa.Subquery:
    """Return one row for each outcome of these people that stands: when it counts from, and its net amount."""
    merged = contacts.alias("merged")
    theirs = [people.c[name] for name in (*_OF_PERSON, "outcome")]
    members = sa.union_all(
        sa.select(*theirs, people.c.person.label("member")),
        sa.select(*theirs, merged.c.id).join(merged, merged.c.survivor == people.c.person),
    )
    # The limit keeps SQLite from joining outcomes before it knows the members.
    each = members.limit(_ALL_ROWS).subquery("members")
    stored = (
        sa.select(
            *(each.c[name] for name in _OF_PERSON),
            *(outcomes.c[name] for name in ("entity_key", "kind", "at", "number", "value_minor")),
            outcomes.c.currency.label("stored_currency"),
        )
        .join(outcomes, sa.and_(outcomes.c.contact_id == each.c.member, outcomes.c.name == each.c.outcome))
        .subquery("stored")
    )
    mine = [stored.c[name] for name in _OF_PERSON]
    counted = sa.case((stored.c.kind == "counted", stored.c.at))
    return (
        sa.select(
            *mine,
            sa.func.min(counted).label("at"),
            sa.func.sum(stored.c.value_minor).label("amount"),
            sa.func.max(stored.c.stored_currency).label("stored_currency"),
        )
        .group_by(*mine, stored.c.entity_key)
        .having(sa.func.sum(stored.c.number) > 0)
        .subquery("standing")
    )


def _each(standing: sa.Subquery) -> sa.Subquery:
    """Return one row for each person with an outcome in the window, and the amount of all of these."""
    mine = [standing.c[name] for name in _OF_PERSON]
    # An amount in another currency is none; one without a currency is in the only one.
    is_added = sa.or_(standing.c.currency == "", standing.c.stored_currency.in_(("", standing.c.currency)))
    return (
        sa.select(*mine, sa.func.sum(sa.case((is_added, standing.c.amount), else_=0)).label("amount"))
        .where(
            standing.c.at > standing.c.entered_at,
            standing.c.at <= standing.c.entered_at + standing.c.within,
        )
        .group_by(*mine)
        .subquery("each")
    )


def _sums(row: Any) -> DaySums:
    amounts = ArmSums(row.people, float(row.amount), float(row.amount_squares), int(row.converted))
    before = ArmSums(row.people, float(row.before), float(row.before_squares))
    return DaySums(
        row.experiment,
        row.arm,
        int(row.day),
        row.people,
        int(row.converted),
        CovariateSums(amounts, before, float(row.product)),
    )
