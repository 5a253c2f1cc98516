"""Read experiments: sums of people by epoch, arm and entry day, in two statements for all measures.

Read through the family: a person is one however many contacts they were, their earliest enrolment decides the arm, and
a later one within its window is no second person. Nothing is added up beforehand, so late events, merges and refunds
are in the next reading.

A contact that never was merged is in one epoch once and in no two windows of a measure at a time: enrolling sees to
that. So only the people of merged contacts have their rows sorted, and all others are summed as they are stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(slots=True)
class EpochFigures:
    """The people of one epoch."""

    # Of people whose window is over and whose late events are in, by arm and entry day.
    days: list[DaySums]
    # People of each arm, mature or not.
    enrolled: list[int]
    # People who entered on each day.
    entries: dict[int, int]
    # When the outcome of the next person is complete; None: nobody is under way.
    next_mature: Instant | None = None


#: (epoch, arm, day of entering in days since 1970).
_Cell = tuple[int, int, int]
#: How many convert, the sum and the sum of squares of their amounts, and of the products with what they spent before.
_Converted = tuple[int, float, float, float]
_NOBODY: Final[_Converted] = (0, 0.0, 0.0, 0.0)


def load_figures(
    connection: sa.Connection, epochs: Sequence[Epoch], *, now: Instant
) -> dict[int, EpochFigures]:
    """Return epoch -> its people."""
    if not epochs:
        return {}
    figures = {epoch.id: EpochFigures([], [0] * len(epoch.arms), {}) for epoch in epochs}
    chosen = _chosen(epochs, has_pauses=_has_pauses(connection))
    converted = {
        (experiment, arm, day): (number, total, squares, product)
        for experiment, arm, day, number, total, squares, product in connection.execute(
            _converted(epochs, chosen), {"now": now}
        )
    }
    for row in connection.execute(_entered(epochs, chosen), {"now": now}):
        experiment, arm, day, is_mature, people, next_mature, before, before_squares = row
        epoch = figures[experiment]
        if arm < len(epoch.enrolled):
            epoch.enrolled[arm] += people
        epoch.entries[day] = epoch.entries.get(day, 0) + people
        if is_mature:
            spent = ArmSums(people, before, before_squares)
            cell = experiment, arm, day
            epoch.days.append(_sums(cell, spent, converted.get(cell, _NOBODY)))
        elif epoch.next_mature is None or next_mature < epoch.next_mature:
            epoch.next_mature = next_mature
    return figures


def _sums(cell: _Cell, spent: ArmSums, converted: _Converted) -> DaySums:
    number, total, squares, product = converted
    amounts = ArmSums(spent.n, total, squares, number)
    return DaySums(*cell, spent.n, number, CovariateSums(amounts, spent, product))


def load_exposed(connection: sa.Connection, epochs: Sequence[Epoch]) -> dict[int, int]:
    """Return epoch -> contacts whom a mail reached, or would have."""
    statement = (
        sa.select(exposures.c.experiment, sa.func.count().label("number"))
        .where(exposures.c.experiment.in_([epoch.id for epoch in epochs]))
        .group_by(exposures.c.experiment)
    )
    return {row.experiment: row.number for row in connection.execute(statement)}


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


# ---- people ----------------------------------------------------------------------------------------------

_NOW: Final = sa.bindparam("now", type_=sa.BigInteger)
#: A sum, so that SQLite reads the table in its order and not row by row in that of its key.
_EXPERIMENT: Final = (enrolments.c.experiment + 0).label("experiment")
_OF_EPOCH: Final = ("outcome", "within", "cap", "currency")
_UNIT: Final = ("experiment", "arm", "entered_at", "matures_at", "spent_before")


#: Which enrolments count.
_Chosen = Sequence[sa.ColumnElement[bool]]


def _chosen(epochs: Sequence[Epoch], *, has_pauses: bool) -> _Chosen:
    """Return the SQL for the enrolments of these epochs, but those while nothing could leave: these are in no arm."""
    of_epochs = _EXPERIMENT.in_([epoch.id for epoch in epochs])
    was_stopped = sa.exists().where(
        pauses.c.mode == "all",
        sa.or_(pauses.c.name == experiments.c.measure, pauses.c.name == "all"),
        pauses.c.since <= enrolments.c.entered_at,
        sa.or_(pauses.c.until.is_(None), pauses.c.until > enrolments.c.entered_at),
    )
    return (of_epochs, ~was_stopped) if has_pauses else (of_epochs,)


def _has_pauses(connection: sa.Connection) -> bool:
    """Tell whether there was a pause: looking for one at each person's entry takes a third of the time."""
    return (
        connection.execute(sa.select(pauses.c.name).where(pauses.c.mode == "all").limit(1)).first()
        is not None
    )


def _merged() -> sa.Subquery:
    """Return (id, person) of each contact that was merged, and of those that they became."""
    was, survivor = contacts.alias(), contacts.alias()
    return sa.union(
        sa.select(was.c.id, was.c.survivor.label("person")).where(was.c.survivor.is_not(None)),
        sa.select(survivor.c.survivor, survivor.c.survivor).where(survivor.c.survivor.is_not(None)),
    ).subquery("merged")


def _unmerged(chosen: _Chosen, *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return the rows of people who are one contact."""
    return (
        sa.select(_EXPERIMENT, *(enrolments.c[name] for name in _UNIT[1:]), *more)
        .join(experiments, experiments.c.id == _EXPERIMENT)
        .where(*chosen, enrolments.c.contact_id.not_in(sa.select(_merged().c.id)))
    )


def _people_of_several(chosen: _Chosen) -> sa.Subquery:
    """Return one row for each person of several contacts and epoch: the earliest enrolment of all of these."""
    merged = _merged()
    order = (enrolments.c.entered_at, enrolments.c.contact_id)
    within = experiments.c.within
    rows = (
        sa.select(
            _EXPERIMENT,
            *(enrolments.c[name] for name in _UNIT[1:]),
            merged.c.person,
            *(experiments.c[name] for name in _OF_EPOCH),
            sa.func.row_number()
            .over(partition_by=(_EXPERIMENT, merged.c.person), order_by=order)
            .label("place"),
            # The end of the windows before it, of the same person in the same measure and trial.
            sa.func.max(enrolments.c.entered_at + within)
            .over(
                partition_by=(experiments.c.measure, experiments.c.trial, merged.c.person),
                order_by=order,
                rows=(None, -1),
            )
            .label("closed_until"),
        )
        .join(experiments, experiments.c.id == _EXPERIMENT)
        .join(merged, merged.c.id == enrolments.c.contact_id)
        .where(*chosen)
        .subquery("entries")
    )
    is_free = sa.or_(rows.c.closed_until.is_(None), rows.c.closed_until <= rows.c.entered_at)
    return sa.select(rows).where(rows.c.place == 1, is_free).subquery("people")


def _entered(epochs: Sequence[Epoch], chosen: _Chosen) -> sa.Select[Any]:
    """Return the statement for everybody who entered, by epoch, arm, day, and whether they are mature.

    It has few sums, because SQLite sorts a row for each person.
    """
    several = _people_of_several(chosen)
    entries = sa.union_all(_unmerged(chosen), sa.select(*(several.c[name] for name in _UNIT))).subquery(
        "entered"
    )
    is_mature = (entries.c.matures_at <= _NOW).label("is_mature")
    none = sa.literal(0.0)
    before = sa.cast(entries.c.spent_before, sa.Float)
    is_spent = any(epoch.is_amount for epoch in epochs)
    return _by_day(
        entries,
        is_mature,
        sums=(
            sa.func.count().label("people"),
            sa.func.min(entries.c.matures_at).label("next_mature"),
            (sa.func.sum(before) if is_spent else none).label("before"),
            (sa.func.sum(before * before) if is_spent else none).label("before_squares"),
        ),
    )


def _by_day(
    rows: sa.Subquery, *keys: sa.ColumnElement[Any], sums: Sequence[sa.ColumnElement[Any]]
) -> sa.Select[Any]:
    # Floor division of microseconds; the day is in UTC on both databases.
    day = (rows.c.entered_at // sa.literal(DAY, sa.BigInteger)).label("day")
    groups = rows.c.experiment, rows.c.arm, day, *keys
    return sa.select(*groups, *sums).group_by(*groups)


# ---- their outcomes --------------------------------------------------------------------------------------

_OF_PERSON: Final = ("experiment", "person", "arm", "entered_at", "spent_before", "cap")


def _converted(epochs: Sequence[Epoch], chosen: _Chosen) -> sa.Select[Any]:
    """Return the statement for mature people with an outcome, by epoch, arm and day."""
    names = sorted({epoch.outcome for epoch in epochs})
    contact, merged = enrolments.c.contact_id.label("person"), _merged()
    alone = _unmerged(chosen, contact, *(experiments.c[name] for name in _OF_EPOCH)).subquery("alone")
    rows = sa.union_all(
        _in_window(alone, _standing(names, outcomes.c.contact_id, outcomes)),
        _in_window(
            _people_of_several(chosen),
            _standing(names, merged.c.person, outcomes.join(merged, merged.c.id == outcomes.c.contact_id)),
        ),
    ).subquery("in_window")
    # A person has one row in an epoch, so the least of its values is that row's.
    person = sa.select(
        *(rows.c[name] for name in ("experiment", "person")),
        *(sa.func.min(rows.c[name]).label(name) for name in ("arm", "entered_at", "spent_before", "cap")),
        sa.func.sum(rows.c.amount).label("sum"),
    )
    each = person.group_by(rows.c.experiment, rows.c.person).subquery("each")
    amount = sa.cast(sa.case((each.c.sum > each.c.cap, each.c.cap), else_=each.c.sum), sa.Float)
    return _by_day(
        each,
        sums=(
            sa.func.count().label("converted"),
            sa.func.sum(amount).label("amount"),
            sa.func.sum(amount * amount).label("amount_squares"),
            sa.func.sum(amount * each.c.spent_before).label("product"),
        ),
    )


def _standing(names: Sequence[str], person: sa.ColumnElement[Any], source: sa.FromClause) -> sa.Subquery:
    """Return one row for each outcome of a person that stands: when it counts from, and its net amount."""
    o = outcomes.c
    return (
        sa.select(
            person.label("person"),
            o.name,
            sa.func.min(sa.case((o.kind == "counted", o.at))).label("at"),
            sa.func.sum(o.value_minor).label("amount"),
            sa.func.max(o.currency).label("currency"),
        )
        .select_from(source)
        .where(o.name.in_(names))
        .group_by(person, o.name, o.entity_key)
        .having(sa.func.sum(o.number) > 0)
        .subquery("standing")
    )


def _in_window(people: sa.Subquery, standing: sa.Subquery) -> sa.Select[Any]:
    """Return one row for each outcome that lies in a mature person's window."""
    # An amount in another currency is none; one without a currency is in the only one.
    is_added = sa.or_(people.c.currency == "", standing.c.currency.in_(("", people.c.currency)))
    return (
        sa.select(
            *(people.c[name] for name in _OF_PERSON),
            sa.case((is_added, standing.c.amount), else_=0).label("amount"),
        )
        .select_from(standing)
        .join(people, sa.and_(standing.c.person == people.c.person, standing.c.name == people.c.outcome))
        .where(
            people.c.matures_at <= _NOW,
            standing.c.at > people.c.entered_at,
            standing.c.at <= people.c.entered_at + people.c.within,
        )
    )
