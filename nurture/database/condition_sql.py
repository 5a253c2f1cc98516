"""Conditions in SQL: the same answers as `Condition.truth`, for a whole audience in one scan.

SQL's own NULL is unknown and its AND, OR and NOT are Kleene's, so a condition becomes one expression that is
true, false or NULL. What is fixed while the statement runs (now, the zones' local times, what a missing value
answers) is computed before and bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.database import fact_sql, schema
from nurture.database.dialects import bracketed, either
from nurture.database.fact_sql import Alternatives, Boolean
from nurture.domain.conditions import Condition, Truth
from nurture.domain.conditions.calendar import calendar_of, local_value
from nurture.domain.conditions.nodes import (
    OPPOSITE,
    TESTS,
    All,
    AnyOf,
    Balance,
    Compare,
    Constant,
    Contains,
    Days,
    Default,
    Extreme,
    Fixed,
    Flag,
    Is,
    Known,
    Local,
    Node,
    Not,
    OneOf,
    Operator,
    Same,
    Stored,
    Value,
    leaves,
    values_of,
)
from nurture.domain.instant import DAY, FOREVER, NEVER, Instant

#: Facts that are columns of `contacts`.
_COLUMNS = frozenset({"track", "stage", "locale", "zone", "first_seen_at"})
# More days than any number compared with them: days since what never happened.
_ENDLESS = 10**30


def where(
    condition: Condition,
    *,
    now: Instant,
    zones: Sequence[str],
    contacts: sa.FromClause = schema.contacts,
) -> tuple[Boolean, Boolean]:
    """Return the predicates `yes` and `unknown` over rows of `contacts`; neither is ever both.

    zones: every zone that contacts may be in, the playbook's default first (it stands for a contact without
    one); a contact in any other zone gets unknown for local terms. contacts: the table, or an alias of it.
    """
    answer = three_valued(condition, now=now, zones=zones, contacts=contacts)
    return answer, bracketed(answer).is_(None)


def three_valued(
    condition: Condition,
    *,
    now: Instant,
    zones: Sequence[str],
    contacts: sa.FromClause = schema.contacts,
) -> Boolean:
    """Return one expression that is true, false, or NULL for unknown: to group by, so that it runs once a row."""
    return _Audience(contacts, now, tuple(zones)).answer(condition.root)


@dataclass(frozen=True, slots=True)
class _Audience:
    """The table asked, the instant, and the zones; one method per kind of node and of value."""

    contacts: sa.FromClause
    now: Instant
    zones: tuple[str, ...]

    @property
    def document(self) -> sa.ColumnElement[Any]:
        return self.contacts.c.facts

    def column(self, value: Value) -> sa.ColumnElement[Any] | None:
        if isinstance(value, Stored) and value.key in _COLUMNS:
            return self.contacts.c[value.key]
        return None

    # ---- answers -----------------------------------------------------------------------------------------

    def answer(self, node: Node) -> Boolean:
        match node:
            case Constant():
                return _constant(node.value)
            case All():
                return sa.and_(*(self.answer(part) for part in sorted(node.parts, key=_cost)))
            case AnyOf():
                return sa.or_(*(self.answer(part) for part in sorted(node.parts, key=_cost)))
            case Not():
                return bracketed(sa.not_(self.answer(node.part)))
            case Is():
                return _asked(bracketed(self.answer(node.part)), node.among)
            case _:
                return self.leaf(node)

    def leaf(self, node: Known | Flag | Compare | Balance | Same | OneOf | Contains) -> Boolean:
        match node:
            case Known():
                return self.known(node.value)
            case Flag():
                read = fact_sql.verdict if node.fact.type == "verdict" else fact_sql.flag
                return read(self.document, node.fact)
            case Compare():
                return self.compare(node.value, [(node.op, node.bound)])
            case OneOf():
                return self.compare(node.value, [("==", option) for option in node.options])
            case Balance():
                return self.balance(node)
            case Same():
                return self.text(node.left) == self.text(node.right)
            case Contains():
                return self.contains(node.within, node.item)

    def balance(self, node: Balance) -> Boolean:
        total: sa.ColumnElement[Any] = _number(node.constant)
        for factor, value in node.parts:
            total = total + _number(factor) * self.number(value)
        result: Boolean = TESTS[node.op](total, _number(0))  # type: ignore[assignment]
        known = sa.and_(*(self.known(value) for _, value in node.parts))
        return sa.case((known, result))

    def contains(self, within: Value, item: Value) -> Boolean:
        if isinstance(within, Default):
            return sa.func.coalesce(self.contains(within.value, item), self.contains(within.otherwise, item))
        if not isinstance(within, Stored):
            raise TypeError(within)
        if isinstance(item, Fixed):
            return fact_sql.holds(self.document, within, str(item.value))
        return fact_sql.holds_value(self.document, within, self.text(item))

    def known(self, value: Value) -> Boolean:
        """Tell whether a value is known; never NULL."""
        column = self.column(value)
        if column is not None:
            return column.is_not(None)
        match value:
            case Stored():
                return fact_sql.is_known(self.document, value)
            case Fixed():
                return sa.true()
            case Extreme():
                return sa.and_(*(self.known(one) for one in value.of))
            case Days():
                return self.known(value.of)
            case Local():
                return self.zone().in_([zone for zone in self.zones if calendar_of(zone)])
            case Default():
                return sa.or_(self.known(value.value), self.known(value.otherwise))

    # ---- one value against fixed ones --------------------------------------------------------------------

    def compare(self, value: Value, alternatives: Alternatives) -> Boolean:
        """Test a value; NULL exactly where it is unknown. Needs no arithmetic on rows: bounds are moved instead."""
        column = self.column(value)
        if column is not None:
            return sa.or_(*(_operate(column, op, bound) for op, bound in alternatives))
        match value:
            case Stored(type="window"):
                return sa.or_(*(self.window(value, op, int(bound)) for op, bound in alternatives))
            case Stored():
                return fact_sql.matches(self.document, value, alternatives)
            case Fixed():
                return _constant(any(TESTS[op](value.value, bound) for op, bound in alternatives))
            case Extreme():
                return sa.or_(*(self.extreme(value, op, int(bound)) for op, bound in alternatives))
            case Days():
                return sa.or_(*(self.days(value, op, int(bound)) for op, bound in alternatives))
            case Local():
                return self.local(
                    value, lambda found: any(TESTS[op](found, bound) for op, bound in alternatives)
                )
            case Default():
                first, second = (self.compare(one, alternatives) for one in (value.value, value.otherwise))
                return sa.func.coalesce(first, second, type_=sa.Boolean())

    def days(self, value: Days, op: Operator, bound: int) -> Boolean:
        """`days_since(x) > 3` is `x <= now - 4 d`."""
        if op in {"==", "!="}:
            exactly = sa.and_(self.days(value, ">=", bound), self.days(value, "<=", bound))
            return exactly if op == "==" else sa.not_(exactly)
        # Whole days: above 3 means at least 4, up to 3 means below 4.
        days = bound + 1 if op in {">", "<="} else bound
        at_least: Operator = ">=" if op in {">", ">="} else "<"
        if value.until:
            # What never happened is further back than any bound.
            return self.compare(value.of, [(at_least, _within(self.now + days * DAY, NEVER + 1))])
        since: Operator = "<=" if at_least == ">=" else ">"
        return self.compare(value.of, [(since, _within(self.now - days * DAY, NEVER))])

    def extreme(self, value: Extreme, op: Operator, bound: int) -> Boolean:
        """The latest is before a bound when all are; unknown as soon as one is, unlike AND and OR."""
        if op in {"==", "!="}:
            exactly = sa.and_(self.extreme(value, ">=", bound), self.extreme(value, "<=", bound))
            return exactly if op == "==" else sa.not_(exactly)
        every = value.latest == (op in {"<", "<="})
        tests = [(self.is_never_unknown(one), self.compare(one, [(op, bound)])) for one in value.of]
        plain = [test for is_plain, test in tests if is_plain]
        others = [test for is_plain, test in tests if not is_plain]
        if not others:
            return sa.and_(*plain) if every else sa.or_(*plain)
        rest = others[0] if len(others) == 1 else _strictly(others, every=every)
        if not plain:
            return rest
        # What is always known is cheap and asked first; where it decides, the rest need only be known.
        decides = sa.not_(sa.and_(*plain)) if every else sa.or_(*plain)
        known = bracketed(rest).is_not(None)
        return sa.case((sa.not_(decides), rest), (known, _constant(not every)))

    def is_never_unknown(self, value: Value) -> bool:
        """Tell whether a value is a column that always has one."""
        column = self.column(value)
        return isinstance(column, sa.Column) and not column.nullable

    def window(self, value: Stored, op: Operator, bound: int) -> Boolean:
        """A count of n instants is at least 3 when the third newest lies within the span."""
        if op in {"<", "<=", "!="}:
            return sa.not_(self.window(value, OPPOSITE[op], bound))
        since = self.now - value.within
        enough = fact_sql.window_holds(
            self.document, value, at_least=bound + 1 if op == ">" else bound, since=since
        )
        if op != "==":
            return enough
        more = fact_sql.window_holds(self.document, value, at_least=bound + 1, since=since)
        return sa.and_(enough, sa.not_(more))

    # ---- local time --------------------------------------------------------------------------------------

    def zone(self) -> sa.ColumnElement[Any]:
        return sa.func.coalesce(self.contacts.c.zone, self.zones[0] if self.zones else "")

    def local(self, value: Local, test: Callable[[Any], bool]) -> Boolean:
        """Local time now is one value per zone: the zones of each answer are listed."""
        answers: dict[bool, list[str]] = {True: [], False: []}
        for zone in dict.fromkeys(self.zones):
            calendar = calendar_of(zone)
            if calendar is not None:
                answers[test(local_value(calendar, value.unit, self.now))].append(zone)
        whens = [(self.zone().in_(found), _constant(answer)) for answer, found in answers.items() if found]
        return sa.case(*whens) if whens else sa.cast(sa.null(), sa.Boolean())

    def local_values(self, value: Local) -> sa.ColumnElement[Any]:
        by_value: dict[int | str, list[str]] = {}
        for zone in dict.fromkeys(self.zones):
            calendar = calendar_of(zone)
            if calendar is not None:
                by_value.setdefault(local_value(calendar, value.unit, self.now), []).append(zone)
        whens = [(self.zone().in_(found), one) for one, found in by_value.items()]
        return sa.case(*whens) if whens else sa.null()

    # ---- values, where two of them are compared ----------------------------------------------------------

    def text(self, value: Value) -> sa.ColumnElement[Any]:
        column = self.column(value)
        if column is not None:
            return column
        match value:
            case Stored():
                return fact_sql.text(self.document, value)
            case Fixed():
                return sa.literal(value.value, sa.Text())
            case Local():
                return sa.cast(self.local_values(value), sa.Text())
            case Default():
                return sa.func.coalesce(self.text(value.value), self.text(value.otherwise))
            case _:
                raise TypeError(value)

    def number(self, value: Value) -> sa.ColumnElement[Any]:
        """Return a number or an instant, to be used only where it is known."""
        column = self.column(value)
        if column is not None:
            return _exact(column)
        match value:
            case Stored(type="window"):
                since = self.now - value.within
                return fact_sql.window_count(self.document, value, since=since)
            case Stored():
                return fact_sql.number(self.document, value)
            case Fixed():
                return _number(int(value.value))
            case Extreme():
                return _extreme([self.number(one) for one in value.of], latest=value.latest)
            case Days():
                return self.whole_days(value)
            case Local():
                return _exact(self.local_values(value))
            case Default():
                first, second = self.number(value.value), self.number(value.otherwise)
                return sa.case((self.known(value.value), first), else_=second)

    def whole_days(self, value: Days) -> sa.ColumnElement[Any]:
        """Divide towards the past, exactly, which neither database's division does."""
        of, day, now = self.number(value.of), _number(DAY), _number(self.now)
        span = of - now if value.until else now - of
        rest = (span % day + day) % day
        endless = _number(-_ENDLESS if value.until else _ENDLESS)
        # A plain sign: both databases divide multiples exactly, and SQLAlchemy would make fractions of it.
        days = (span - rest).op("/", precedence=8, return_type=sa.Numeric())(day)
        return sa.case((of <= _number(NEVER), endless), else_=days)


# ---- the pieces ------------------------------------------------------------------------------------------


def _cost(node: Node) -> int:
    """Tell roughly how many looks into the document a node takes: the databases stop at the first that decides."""
    values = [value for leaf in leaves(node) for value in values_of(leaf)]
    return sum(_looks(value) for value in values)


def _looks(value: Value) -> int:
    match value:
        case Stored():
            return 0 if value.key in _COLUMNS else 3 if value.type in {"set", "window"} else 1
        case Extreme():
            return sum(_looks(one) for one in value.of)
        case Days():
            return _looks(value.of)
        case Default():
            return _looks(value.value) + _looks(value.otherwise)
        case _:
            return 0


def _asked(answer: Boolean, among: frozenset[Truth]) -> Boolean:
    """Whether an answer, NULL included, is among these; never NULL."""
    plain: dict[Truth, Any] = {Truth.YES: sa.true(), Truth.NO: sa.false(), Truth.UNKNOWN: sa.null()}
    if len(among) == 1:
        return answer.is_(plain[next(iter(among))])
    others = frozenset(Truth) - among
    return sa.and_(*(answer.is_not(plain[other]) for other in others))


def _constant(value: bool) -> Boolean:
    return sa.true() if value else sa.false()


def _strictly(tests: Sequence[Boolean], *, every: bool) -> Boolean:
    """Whether every test (or any) holds; unknown as soon as one is, unlike AND and OR."""
    ones = [sa.cast(test, sa.Integer) for test in tests]
    total: sa.ColumnElement[Any] = ones[0]
    for one in ones[1:]:
        total = total * one if every else total + one
    return total > 0


def _operate(column: sa.ColumnElement[Any], op: Operator, bound: int | str) -> Boolean:
    within = _within(bound, -(2**63)) if isinstance(bound, int) else bound
    result: Boolean = TESTS[op](column, within)  # type: ignore[assignment]
    return result


def _within(bound: Instant, least: Instant) -> Instant:
    """Keep an instant among those that both databases can store."""
    return max(min(bound, FOREVER), least)


def _number(value: int) -> sa.ColumnElement[Any]:
    """Return a number that PostgreSQL computes exactly at any size, SQLite within 64 bits and nearly beyond."""
    plain: Any = (
        sa.literal(value, sa.BigInteger()) if abs(value) < 2**63 else sa.literal(float(value), sa.Float())
    )
    return either(postgresql=sa.literal(value, sa.Numeric()), sqlite=plain)


def _exact(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return either(postgresql=sa.cast(value, sa.Numeric()), sqlite=value)


def _extreme(values: Sequence[sa.ColumnElement[Any]], *, latest: bool) -> sa.ColumnElement[Any]:
    pick = (sa.func.greatest, sa.func.max) if latest else (sa.func.least, sa.func.min)
    if len(values) == 1:  # SQLite's max of one value is the aggregate
        return values[0]
    return either(
        postgresql=pick[0](*values, type_=sa.Numeric()),
        sqlite=pick[1](*values, type_=sa.Numeric()),
    )
