"""Translate conditions to SQL: the answers of `Condition.truth` for a whole audience in one scan.

NULL is unknown, and SQL's AND, OR and NOT are Kleene's, so a condition becomes one expression that is true, false or
NULL. Values that are fixed while the statement runs (now, the local time of each zone, the default of a missing value)
are computed before and bound.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from nurture.database import fact_sql, schema
from nurture.database.asked_sql import asked_values
from nurture.database.dialects import bracketed, exact, exact_number, extreme_of
from nurture.database.fact_sql import Alternatives, Boolean, boolean_literal
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
    Now,
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
# Days since an event that never happened: more than any number they are compared with.
_NEVER_DAYS = 10**30


def where(
    condition: Condition,
    *,
    now: Instant,
    zones: Sequence[str],
    contacts: sa.FromClause = schema.contacts,
) -> tuple[Boolean, Boolean]:
    """Return the predicates `yes` and `unknown` over rows of `contacts`; at most one is true for a row.

    zones: every zone that contacts may be in, first the playbook's default, which a contact without a zone gets. A
    contact in any other zone gets unknown for local terms. contacts: the table, or an alias of it.
    """
    answer = three_valued(condition, now=now, zones=zones, contacts=contacts)
    return answer, bracketed(answer).is_(None)


def three_valued(
    condition: Condition,
    *,
    now: Instant,
    zones: Sequence[str],
    contacts: sa.FromClause = schema.contacts,
    measures: Mapping[str, str] = MappingProxyType({}),
) -> Boolean:
    """Return one expression that is true, false, or NULL for unknown; GROUP BY evaluates it once a row.

    measures: path -> identity, of those whose identity is another name.
    """
    asked = asked_values(condition, contacts, measures)
    return _Audience(contacts, now, tuple(zones), asked).answer(condition.root)


@dataclass(frozen=True, slots=True)
class _Audience:
    """Translates for a table, an instant and the zones; one method for each kind of node and of value."""

    contacts: sa.FromClause
    now: Instant
    zones: tuple[str, ...]
    # Key -> what is asked of the runs and mails of a contact.
    asked: Mapping[str, sa.ColumnElement[Any]] = field(default_factory=dict)

    @property
    def document(self) -> sa.ColumnElement[Any]:
        return self.contacts.c.facts

    def column(self, value: Value) -> sa.ColumnElement[Any] | None:
        if not isinstance(value, Stored):
            return None
        return self.contacts.c[value.key] if value.key in _COLUMNS else self.asked.get(value.key)

    # ---- answers -----------------------------------------------------------------------------------------

    def answer(self, node: Node) -> Boolean:
        match node:
            case Constant():
                return boolean_literal(node.value)
            case All():
                return sa.and_(*(self.answer(part) for part in sorted(node.parts, key=_cost)))
            case AnyOf():
                return sa.or_(*(self.answer(part) for part in sorted(node.parts, key=_cost)))
            case Not():
                return bracketed(sa.not_(self.answer(node.part)))
            case Is():
                return _is_among(bracketed(self.answer(node.part)), node.among)
            case _:
                return self.leaf(node)

    def leaf(self, node: Known | Flag | Compare | Balance | Same | OneOf | Contains) -> Boolean:
        match node:
            case Known():
                return self.known(node.value)
            case Flag() if node.fact.key in self.asked:
                return self.asked[node.fact.key]
            case Flag():
                truth_of = fact_sql.verdict if node.fact.type == "verdict" else fact_sql.flag
                return truth_of(self.document, node.fact)
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
        total: sa.ColumnElement[Any] = exact_number(node.constant)
        for factor, value in node.parts:
            total = total + exact_number(factor) * self.number(value)
        result: Boolean = TESTS[node.op](total, exact_number(0))  # type: ignore[assignment]
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
        """Return whether a value is known; never NULL."""
        column = self.column(value)
        if column is not None:
            return column.is_not(None)
        match value:
            case Stored():
                return fact_sql.is_known(self.document, value)
            case Fixed() | Now():
                return sa.true()
            case Extreme():
                return sa.and_(*(self.known(part) for part in value.of))
            case Days():
                return self.known(value.of)
            case Local():
                return self.zone().in_([zone for zone in self.zones if calendar_of(zone)])
            case Default():
                return sa.or_(self.known(value.value), self.known(value.otherwise))

    # ---- one value against fixed ones --------------------------------------------------------------------

    def compare(self, value: Value, alternatives: Alternatives) -> Boolean:
        """Return the test of a value; NULL exactly where it is unknown.

        Bounds are shifted, so rows need no arithmetic.
        """
        column = self.column(value)
        if column is not None:
            return sa.or_(*(_operate(column, op, bound) for op, bound in alternatives))
        match value:
            case Stored(type="window"):
                return sa.or_(*(self.window(value, op, int(bound)) for op, bound in alternatives))
            case Stored():
                return fact_sql.matches(self.document, value, alternatives)
            case Fixed():
                return boolean_literal(any(TESTS[op](value.value, bound) for op, bound in alternatives))
            case Now():
                return boolean_literal(any(TESTS[op](self.now, bound) for op, bound in alternatives))
            case Extreme():
                return sa.or_(*(self.extreme(value, op, int(bound)) for op, bound in alternatives))
            case Days():
                return sa.or_(*(self.days(value, op, int(bound)) for op, bound in alternatives))
            case Local():
                return self.local(
                    value, lambda current: any(TESTS[op](current, bound) for op, bound in alternatives)
                )
            case Default():
                first, second = (self.compare(part, alternatives) for part in (value.value, value.otherwise))
                return sa.func.coalesce(first, second, type_=sa.Boolean())

    def days(self, value: Days, op: Operator, bound: int) -> Boolean:
        """Return the test of whole days as a test of an instant: `days_since(x) > 3` is `x <= now - 4 d`."""
        if op in {"==", "!="}:
            exactly = sa.and_(self.days(value, ">=", bound), self.days(value, "<=", bound))
            return exactly if op == "==" else sa.not_(exactly)
        # Whole days: above 3 means at least 4, up to 3 means below 4.
        days = bound + 1 if op in {">", "<="} else bound
        at_least: Operator = ">=" if op in {">", ">="} else "<"
        if value.until:
            # NEVER is further back than any bound.
            return self.compare(value.of, [(at_least, _within(self.now + days * DAY, NEVER + 1))])
        since: Operator = "<=" if at_least == ">=" else ">"
        return self.compare(value.of, [(since, _within(self.now - days * DAY, NEVER))])

    def extreme(self, value: Extreme, op: Operator, bound: int) -> Boolean:
        """Return the test of a latest or earliest value; unknown when any part is unknown, unlike AND and OR.

        The latest is before a bound when all parts are.
        """
        if op in {"==", "!="}:
            exactly = sa.and_(self.extreme(value, ">=", bound), self.extreme(value, "<=", bound))
            return exactly if op == "==" else sa.not_(exactly)
        every = value.latest == (op in {"<", "<="})
        tests = [(self.is_never_unknown(part), self.compare(part, [(op, bound)])) for part in value.of]
        plain = [test for is_plain, test in tests if is_plain]
        others = [test for is_plain, test in tests if not is_plain]
        if not others:
            return sa.and_(*plain) if every else sa.or_(*plain)
        rest = others[0] if len(others) == 1 else _strictly(others, every=every)
        if not plain:
            return rest
        # Columns that are never NULL are cheap and tested first; where they decide, the rest need only be known.
        decides = sa.not_(sa.and_(*plain)) if every else sa.or_(*plain)
        known = bracketed(rest).is_not(None)
        return sa.case((sa.not_(decides), rest), (known, boolean_literal(not every)))

    def is_never_unknown(self, value: Value) -> bool:
        """Return whether a value is a column that is never NULL."""
        column = self.column(value)
        return isinstance(column, sa.Column) and not column.nullable

    def window(self, value: Stored, op: Operator, bound: int) -> Boolean:
        """Return the test of a windowed count: it is at least 3 when the third newest instant lies in the window."""
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
        """Return the test of local time as two lists of zones, those where it holds and those where it does not."""
        answers: dict[bool, list[str]] = {True: [], False: []}
        for zone in dict.fromkeys(self.zones):
            calendar = calendar_of(zone)
            if calendar is not None:
                answers[test(local_value(calendar, value.unit, self.now))].append(zone)
        whens = [(self.zone().in_(zones), boolean_literal(yes)) for yes, zones in answers.items() if zones]
        return sa.case(*whens) if whens else sa.cast(sa.null(), sa.Boolean())

    def local_values(self, value: Local) -> sa.ColumnElement[Any]:
        by_value: dict[int | str, list[str]] = {}
        for zone in dict.fromkeys(self.zones):
            calendar = calendar_of(zone)
            if calendar is not None:
                by_value.setdefault(local_value(calendar, value.unit, self.now), []).append(zone)
        whens = [(self.zone().in_(zones), local) for local, zones in by_value.items()]
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
        """Return a number or an instant; callers use it only where it is known."""
        column = self.column(value)
        if column is not None:
            return exact(column)
        match value:
            case Stored(type="window"):
                since = self.now - value.within
                return fact_sql.window_count(self.document, value, since=since)
            case Stored():
                return fact_sql.number(self.document, value)
            case Fixed():
                return exact_number(int(value.value))
            case Now():
                return exact_number(self.now)
            case Extreme():
                return extreme_of([self.number(part) for part in value.of], latest=value.latest)
            case Days():
                return self.whole_days(value)
            case Local():
                return exact(self.local_values(value))
            case Default():
                first, second = self.number(value.value), self.number(value.otherwise)
                return sa.case((self.known(value.value), first), else_=second)

    def whole_days(self, value: Days) -> sa.ColumnElement[Any]:
        """Return whole days, rounded towards the past and exact; neither database's own division is."""
        of, day, now = self.number(value.of), exact_number(DAY), exact_number(self.now)
        span = of - now if value.until else now - of
        rest = (span % day + day) % day
        never = exact_number(-_NEVER_DAYS if value.until else _NEVER_DAYS)
        # The plain operator: both databases divide multiples exactly; SQLAlchemy's own `/` makes fractions.
        days = (span - rest).op("/", precedence=8, return_type=sa.Numeric())(day)
        return sa.case((of <= exact_number(NEVER), never), else_=days)


# ---- helpers ---------------------------------------------------------------------------------------------


def _cost(node: Node) -> int:
    """Return roughly how many JSON look-ups a node takes: cheap parts come first, so that they decide first."""
    values = [value for leaf in leaves(node) for value in values_of(leaf)]
    return sum(_looks(value) for value in values)


def _looks(value: Value) -> int:
    match value:
        case Stored():
            return 0 if value.key in _COLUMNS else 3 if value.type in {"set", "window"} else 1
        case Extreme():
            return sum(_looks(part) for part in value.of)
        case Days():
            return _looks(value.of)
        case Default():
            return _looks(value.value) + _looks(value.otherwise)
        case _:
            return 0


def _is_among(answer: Boolean, among: frozenset[Truth]) -> Boolean:
    """Return whether an answer, NULL included, is among these; never NULL."""
    plain: dict[Truth, Any] = {Truth.YES: sa.true(), Truth.NO: sa.false(), Truth.UNKNOWN: sa.null()}
    if len(among) == 1:
        return answer.is_(plain[next(iter(among))])
    others = frozenset(Truth) - among
    return sa.and_(*(answer.is_not(plain[other]) for other in others))


def _strictly(tests: Sequence[Boolean], *, every: bool) -> Boolean:
    """Return whether every test (or any) holds; unknown when any test is, unlike AND and OR."""
    numbers = [sa.cast(test, sa.Integer) for test in tests]
    total: sa.ColumnElement[Any] = numbers[0]
    for number in numbers[1:]:
        total = total * number if every else total + number
    return total > 0


def _operate(column: sa.ColumnElement[Any], op: Operator, bound: int | str) -> Boolean:
    within = _within(bound, -(2**63)) if isinstance(bound, int) else bound
    result: Boolean = TESTS[op](column, within)  # type: ignore[assignment]
    return result


def _within(bound: Instant, least: Instant) -> Instant:
    """Return the bound, clipped to the instants that both databases can store."""
    return max(min(bound, FOREVER), least)
