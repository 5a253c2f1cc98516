"""Read experiments: sums of people by epoch, arm and entry day, in four statements for all measures.

Read through the family: a person is one however many contacts they were, their earliest enrolment decides the arm, and
a later one within its window is no second person. Nothing is added up beforehand, so late events, merges and refunds
are in the next reading.

A contact that never was merged is in one epoch once and in no two windows of a measure at a time: enrolling sees to
that. So only the people of merged contacts have their rows sorted, and all others are summed as they are stored, in
statements of their own: a database groups the rows of one table faster than those of two thrown together.
"""

from collections.abc import Iterable, Mapping, Sequence
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
from nurture.domain.experiment.judgement import NOTHING, DaySums
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
#: One number stands for a cell in SQL, because a database groups by one number twice as fast as by three.
_ARMS_MAX: Final = 1_024
_DAYS_MAX: Final = 1 << 20
#: How many convert, the sum and the sum of squares of their amounts, and of the products with what they spent before.
_Converted = tuple[int, float, float, float]
_NOBODY: Final[_Converted] = (0, 0.0, 0.0, 0.0)
#: How many entered, the sum and the sum of squares of what they spent before.
_Before = tuple[int, float, float]


def load_figures(
    connection: sa.Connection, epochs: Sequence[Epoch], *, now: Instant
) -> dict[int, EpochFigures]:
    """Return epoch -> its people."""
    if not epochs:
        return {}
    figures = {epoch.id: EpochFigures([], [0] * len(epoch.arms), {}) for epoch in epochs}
    chosen = _chosen(epochs, has_pauses=_has_pauses(connection))
    converted: dict[int, _Converted] = {}
    for statement in _converted(epochs, chosen):
        for key, *sums in connection.execute(statement, {"now": now}):
            converted[key] = _added(converted[key], sums) if key in converted else (*sums,)
    mature: dict[int, _Before] = {}
    for statement in _entered(epochs, chosen):
        for key_of_all, people, next_mature, *before in connection.execute(statement, {"now": now}):
            key, is_mature = divmod(key_of_all, 2)
            experiment, arm, day = _cell(key)
            epoch = figures[experiment]
            if arm < len(epoch.enrolled):
                epoch.enrolled[arm] += people
            epoch.entries[day] = epoch.entries.get(day, 0) + people
            if is_mature:
                mature[key] = _added(mature[key], (people, *before)) if key in mature else (people, *before)
            elif epoch.next_mature is None or next_mature < epoch.next_mature:
                epoch.next_mature = next_mature
    amounts = {epoch.id for epoch in epochs if epoch.is_amount}
    for key, entered in mature.items():
        experiment, arm, day = _cell(key)
        people, (number, *money) = entered[0], converted.get(key, _NOBODY)
        spent = _amounts(entered, number, money) if experiment in amounts else NOTHING
        figures[experiment].days.append(DaySums(experiment, arm, day, people, number, spent))
    return figures


def _added(one: Any, other: Any) -> Any:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _cell(key: int) -> _Cell:
    """Return the cell of its number."""
    place, day = divmod(key, _DAYS_MAX)
    return *divmod(place, _ARMS_MAX), day


def _amounts(before: _Before, number: int, money: Sequence[float]) -> CovariateSums:
    people, spent, spent_squares = before
    total, squares, product = money
    return CovariateSums(
        ArmSums(people, total, squares, number), ArmSums(people, spent, spent_squares), product
    )


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
_OF_EPOCH: Final = ("outcome", "incentive", "within", "cap", "currency")
_UNIT: Final = ("experiment", "arm", "entered_at", "matures_at", "spent_before")


#: Which enrolments count.
_Chosen = Sequence[sa.ColumnElement[bool]]


def _chosen(epochs: Sequence[Epoch], *, has_pauses: bool) -> _Chosen:
    """Return the SQL for the enrolments of these epochs, but those while nothing could leave: these are in no arm."""
    of_epochs = _EXPERIMENT.in_([epoch.id for epoch in epochs])
    # Of its own name, because not every statement around it joins the experiments.
    entered = experiments.alias("entered")
    was_stopped = (
        sa.exists()
        .where(
            entered.c.id == enrolments.c.experiment,
            pauses.c.mode == "all",
            sa.or_(pauses.c.name == entered.c.measure, pauses.c.name == "all"),
            pauses.c.since <= enrolments.c.entered_at,
            sa.or_(pauses.c.until.is_(None), pauses.c.until > enrolments.c.entered_at),
        )
        .correlate(enrolments)
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


def _is_unmerged() -> sa.ColumnElement[bool]:
    return enrolments.c.contact_id.not_in(sa.select(_merged().c.id))


def _unmerged(chosen: _Chosen) -> sa.Subquery:
    """Return the rows of people who are one contact."""
    of_epoch = (experiments.c[name] for name in _OF_EPOCH)
    columns = (_EXPERIMENT, *(enrolments.c[name] for name in _UNIT[1:]), *of_epoch)
    return (
        sa.select(*columns, enrolments.c.contact_id.label("person"))
        .join(experiments, experiments.c.id == _EXPERIMENT)
        .where(*chosen, _is_unmerged())
        .subquery("alone")
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


def _entered(epochs: Sequence[Epoch], chosen: _Chosen) -> Iterable[sa.Select[Any]]:
    """Yield the statements for everybody who entered, by epoch, arm, day, and whether they are mature.

    They have few sums, because SQLite sorts a row for each person.
    """
    is_spent = any(epoch.is_amount for epoch in epochs)
    of_all = {**enrolments.c, "experiment": _EXPERIMENT.element}
    yield _people(of_all, is_spent=is_spent).where(*chosen, _is_unmerged())
    yield _people({**_people_of_several(chosen).c}, is_spent=is_spent)


def _people(columns: Mapping[str, sa.ColumnElement[Any]], *, is_spent: bool) -> sa.Select[Any]:
    is_mature = sa.case((columns["matures_at"] <= _NOW, 1), else_=0)
    none = sa.literal(0.0)
    before = sa.cast(columns["spent_before"], sa.Float)
    return _grouped(
        _key(columns) * 2 + is_mature,
        sums=(
            sa.func.count().label("people"),
            sa.func.min(columns["matures_at"]).label("next_mature"),
            (sa.func.sum(before) if is_spent else none).label("before"),
            (sa.func.sum(before * before) if is_spent else none).label("before_squares"),
        ),
    )


def _key(columns: Mapping[str, sa.ColumnElement[Any]]) -> sa.ColumnElement[Any]:
    """Return the number of each row's cell."""
    # Floor division of microseconds; the day is in UTC on both databases.
    day = columns["entered_at"] // sa.literal(DAY, sa.BigInteger)
    place = sa.cast(columns["experiment"], sa.BigInteger) * _ARMS_MAX + columns["arm"]
    return place * sa.literal(_DAYS_MAX, sa.BigInteger) + day


def _grouped(key: sa.ColumnElement[Any], sums: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    # By its label, so that no parameter of the key has to be the same one twice.
    named = key.label("cell")
    return sa.select(named, *sums).group_by(named)


# ---- their outcomes --------------------------------------------------------------------------------------

_OF_PERSON: Final = ("experiment", "person", "arm", "entered_at", "spent_before", "cap")


def _converted(epochs: Sequence[Epoch], chosen: _Chosen) -> Iterable[sa.Select[Any]]:
    """Yield the statements for mature people with an outcome, by epoch, arm and day."""
    incentives = {epoch.incentive for epoch in epochs} - {""}
    names = sorted({epoch.outcome for epoch in epochs} | incentives)
    merged = _merged()
    theirs = outcomes.join(merged, merged.c.id == outcomes.c.contact_id)
    for people, standing in (
        (_unmerged(chosen), _standing(names, outcomes.c.contact_id, outcomes)),
        (_people_of_several(chosen), _standing(names, merged.c.person, theirs)),
    ):
        yield _outcomes_by_day(_in_window(people, standing, takes_off=bool(incentives)))


def _outcomes_by_day(in_window: sa.Select[Any]) -> sa.Select[Any]:
    rows = in_window.subquery("in_window")
    # A person has one row in an epoch, so the least of its values is that row's.
    person = sa.select(
        *(rows.c[name] for name in ("experiment", "person")),
        *(sa.func.min(rows.c[name]).label(name) for name in ("arm", "entered_at", "spent_before", "cap")),
        sa.func.sum(rows.c.amount).label("sum"),
    )
    each = person.group_by(rows.c.experiment, rows.c.person).subquery("each")
    amount = sa.cast(sa.case((each.c.sum > each.c.cap, each.c.cap), else_=each.c.sum), sa.Float)
    return _grouped(
        _key({**each.c}),
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


def _in_window(people: sa.Subquery, standing: sa.Subquery, *, takes_off: bool) -> sa.Select[Any]:
    """Return one row for each outcome that lies in a mature person's window.

    takes_off: what coupons gave away in an order has a row of its own, at the same instant, and is taken off.
    """
    is_outcome = standing.c.name == people.c.outcome
    amount: sa.ColumnElement[Any] = standing.c.amount
    if takes_off:
        amount = sa.case((is_outcome, amount), else_=-amount)
        is_outcome = sa.or_(is_outcome, standing.c.name == people.c.incentive)
    # An amount in another currency is none; one without a currency is in the only one.
    is_added = sa.or_(people.c.currency == "", standing.c.currency.in_(("", people.c.currency)))
    return (
        sa.select(
            *(people.c[name] for name in _OF_PERSON),
            sa.case((is_added, amount), else_=0).label("amount"),
        )
        .select_from(standing)
        .join(people, sa.and_(standing.c.person == people.c.person, is_outcome))
        .where(
            people.c.matures_at <= _NOW,
            standing.c.at > people.c.entered_at,
            standing.c.at <= people.c.entered_at + people.c.within,
        )
    )
