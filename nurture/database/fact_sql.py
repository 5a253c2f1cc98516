"""Build SQL for stored facts: tests and values of one key of `contacts.facts`, on both databases.

Every test is NULL where the fact is unknown: the key is missing and has no default, or its value has another type than
declared. On PostgreSQL a strict jsonpath is NULL in both cases and is the fastest reading; on SQLite a CASE tests the
type first. No text is ever cast.
"""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from nurture.database.dialects import either
from nurture.domain.conditions.nodes import TESTS, Operator, PlainValue, Stored
from nurture.domain.instant import Instant

Boolean = sa.ColumnElement[bool]
# (operator, bound) pairs of `x op bound`, one of which must hold.
Alternatives = Sequence[tuple[Operator, int | str]]

_KINDS = {
    "bool": "boolean",
    "integer": "number",
    "decimal": "number",
    "instant": "number",
    "text": "string",
    "verdict": "string",
    "set": "array",
    "window": "array",
}
_SQLITE_KINDS = {"number": "integer", "string": "text", "array": "array"}
_NUMBER_MAX = 2**63 - 1
# A window holds far fewer instants than this.
_PLACE_MAX = 1_000_000


def matches(facts: sa.ColumnElement[Any], fact: Stored, alternatives: Alternatives) -> Boolean:
    """Return the test of a stored number, instant or text against fixed bounds."""
    when_absent = None
    if fact.absent is not None:
        when_absent = any(TESTS[op](fact.absent, bound) for op, bound in alternatives)
    name = json.dumps(fact.key, ensure_ascii=False)
    path = " || ".join(f"$.{name} {op} {json.dumps(bound, ensure_ascii=False)}" for op, bound in alternatives)
    value = extract(facts, fact)
    tests = sa.or_(*(_operate(value, op, bound) for op, bound in alternatives))
    return either(
        postgresql=_or_absent(facts, fact.key, _path(facts, path), when_absent),
        sqlite=_typed(facts, fact, tests, when_absent),
    )


def flag(facts: sa.ColumnElement[Any], fact: Stored) -> Boolean:
    """Return a stored bool as a truth value."""
    when_absent = None if fact.absent is None else bool(fact.absent)
    name = json.dumps(fact.key, ensure_ascii=False)
    results = [("true", sa.true()), ("false", sa.false())]
    if when_absent is not None:
        results.append(("null", boolean_literal(when_absent)))
    return either(
        postgresql=_or_absent(facts, fact.key, _path(facts, f"$.{name} == true"), when_absent),
        sqlite=sa.case(dict(results), value=_sqlite_kind(facts, fact.key)),
    )


def verdict(facts: sa.ColumnElement[Any], fact: Stored) -> Boolean:
    """Return a stored verdict as a truth value: true for yes, false for no, NULL for anything else."""
    text = either(postgresql=_text(facts, fact.key), sqlite=extract(facts, fact))
    return sa.case({"yes": sa.true(), "no": sa.false()}, value=text)


def holds(facts: sa.ColumnElement[Any], fact: Stored, item: str) -> Boolean:
    """Return whether a stored set holds a fixed text."""
    name = json.dumps(fact.key, ensure_ascii=False)
    path = _path(facts, f"$.{name}[*] == {json.dumps(item, ensure_ascii=False)}")
    when_absent = None if fact.absent is None else False
    contains = _listed(facts, fact.key, sa.literal(item, sa.Text()))
    return either(
        postgresql=_or_absent(facts, fact.key, path, when_absent),
        sqlite=typed(facts, fact, contains, when_absent),
    )


def holds_value(facts: sa.ColumnElement[Any], fact: Stored, item: sa.ColumnElement[Any]) -> Boolean:
    """Return whether a stored set holds a text of the same row; NULL when that text is unknown."""
    inside: Boolean = _json(facts, fact.key).op("?", return_type=sa.Boolean())(item)
    tests = either(postgresql=inside, sqlite=_listed(facts, fact.key, item))
    when_absent = None if fact.absent is None else False
    return sa.case((item.is_not(None), typed(facts, fact, tests, when_absent)))


def window_holds(facts: sa.ColumnElement[Any], fact: Stored, *, at_least: int, since: Instant) -> Boolean:
    """Return whether a stored window has `at_least` instants after `since`: whether the n-th newest is later."""
    when_absent = None if fact.absent is None else at_least <= 0
    if not 0 < at_least <= _PLACE_MAX:
        return typed(facts, fact, boolean_literal(at_least <= 0), when_absent)
    newest = _json(facts, fact.key).op("->", return_type=JSONB())(sa.literal(-at_least, sa.Integer()))
    place = sa.func.json_extract(facts, f"{path_of(fact.key)}[#-{at_least}]", type_=sa.BigInteger())
    later = either(postgresql=newest > _jsonb(since), sqlite=place > since)
    return typed(facts, fact, sa.func.coalesce(later, sa.false()), when_absent)


def window_count(facts: sa.ColumnElement[Any], fact: Stored, *, since: Instant) -> sa.ColumnElement[Any]:
    """Return the number of instants of a stored window after `since`; zero without a window."""
    name = json.dumps(fact.key, ensure_ascii=False)
    path = sa.cast(sa.literal(f"$.{name}[*] ? (@ > {since})", sa.Text()), JSONPATH)
    instants = sa.func.json_each(facts, path_of(fact.key)).table_valued(sa.column("value", sa.BigInteger))
    count = sa.select(sa.func.count()).select_from(instants).where(instants.c.value > since)
    return either(
        postgresql=sa.cast(
            sa.func.jsonb_array_length(sa.func.jsonb_path_query_array(facts, path)), sa.Numeric()
        ),
        sqlite=count.scalar_subquery(),
    )


def is_known(facts: sa.ColumnElement[Any], fact: Stored) -> Boolean:
    """Return whether a fact has a value; never NULL."""
    return sa.func.coalesce(is_typed(facts, fact), boolean_literal(fact.absent is not None))


def is_typed(facts: sa.ColumnElement[Any], fact: Stored) -> Boolean:
    """Return whether the stored value has the declared type; NULL where no value is stored.

    The type of a list is that of its newest element, so a window is no set.
    """
    kind = _KINDS[fact.type]
    stored = sa.func.json_type(facts, path_of(fact.key), type_=sa.Text())
    if kind == "boolean":
        sqlite: Boolean = stored.in_(["true", "false"])
    else:
        sqlite = stored == _SQLITE_KINDS[kind]
    typed = either(postgresql=sa.func.jsonb_typeof(_json(facts, fact.key)) == kind, sqlite=sqlite)
    if kind != "array":
        return typed
    element = "string" if fact.type == "set" else "number"
    last = _json(facts, fact.key).op("->", return_type=JSONB())(sa.literal(-1, sa.Integer()))
    newest = either(
        postgresql=sa.func.coalesce(sa.func.jsonb_typeof(last), element) == element,
        sqlite=sa.func.coalesce(sa.func.json_type(facts, f"{path_of(fact.key)}[#-1]"), _SQLITE_KINDS[element])
        == _SQLITE_KINDS[element],
    )
    return sa.and_(typed, newest)


def number(facts: sa.ColumnElement[Any], fact: Stored) -> sa.ColumnElement[Any]:
    """Return a stored number, exact at any size on PostgreSQL; its default where it is missing."""
    value = either(postgresql=sa.cast(_json(facts, fact.key), sa.Numeric()), sqlite=extract(facts, fact))
    return typed(facts, fact, value, fact.absent)


def text(facts: sa.ColumnElement[Any], fact: Stored) -> sa.ColumnElement[Any]:
    """Return a stored text; its default where it is missing."""
    value = either(postgresql=_text(facts, fact.key), sqlite=extract(facts, fact))
    return typed(facts, fact, value, fact.absent)


def typed(
    facts: sa.ColumnElement[Any], fact: Stored, value: sa.ColumnElement[Any], absent: PlainValue | None
) -> sa.ColumnElement[Any]:
    """Return `value` where it has the declared type, `absent` where no value is stored, else NULL."""
    has_type = is_typed(facts, fact)
    if absent is None:
        return sa.case((has_type, value))
    default = boolean_literal(absent) if isinstance(absent, bool) else sa.literal(absent, value.type)
    return sa.case((has_type, value), (has_type.is_(None), default))


def extract(facts: sa.ColumnElement[Any], fact: Stored) -> sa.ColumnElement[Any]:
    """Return the value of a key on SQLite."""
    kind = sa.BigInteger() if _KINDS[fact.type] == "number" else sa.Text()
    return sa.func.json_extract(facts, path_of(fact.key), type_=kind)


def path_of(key: str) -> str:
    """Return the JSON path of a key on SQLite; the parser allows no quotation mark in keys."""
    return f'$."{key}"'


# ---- helpers -------------------------------------------------------------------------------------------


def _typed(facts: sa.ColumnElement[Any], fact: Stored, test: Boolean, absent: bool | None) -> Boolean:
    """Return the SQLite test with one look at the type: the test, the default of a missing value, or unknown."""
    results: list[tuple[str, Any]] = [(_SQLITE_KINDS[_KINDS[fact.type]], test)]
    if absent is None:
        return sa.case(dict(results), value=sa.func.json_type(facts, path_of(fact.key)))
    results.append(("null", boolean_literal(absent)))
    return sa.case(dict(results), value=_sqlite_kind(facts, fact.key))


def _sqlite_kind(facts: sa.ColumnElement[Any], key: str) -> sa.ColumnElement[str]:
    return sa.func.coalesce(sa.func.json_type(facts, path_of(key), type_=sa.Text()), "null")


def _listed(facts: sa.ColumnElement[Any], key: str, item: sa.ColumnElement[Any]) -> Boolean:
    elements = sa.func.json_each(facts, path_of(key)).table_valued(
        sa.column("value", sa.Text), sa.column("type", sa.Text)
    )
    return sa.exists(
        sa.select(sa.literal(1))
        .select_from(elements)
        .where(elements.c.type == "text", elements.c.value == item)
    )


def _path(facts: sa.ColumnElement[Any], path: str) -> Boolean:
    predicate = sa.cast(sa.literal(f"strict {path}", sa.Text()), JSONPATH)
    return facts.op("@@", return_type=sa.Boolean())(predicate)


def _or_absent(facts: sa.ColumnElement[Any], key: str, test: Boolean, absent: bool | None) -> Boolean:
    """Return the PostgreSQL test with a default; COALESCE looks for the key only where the test is NULL."""
    if absent is None:
        return test
    missing = sa.not_(facts.op("?", return_type=sa.Boolean())(sa.literal(key, sa.Text())))
    return sa.func.coalesce(test, sa.case((missing, boolean_literal(absent))), type_=sa.Boolean())


def _json(facts: sa.ColumnElement[Any], key: str) -> sa.ColumnElement[Any]:
    return facts.op("->", return_type=JSONB())(sa.literal(key, sa.Text()))


def _text(facts: sa.ColumnElement[Any], key: str) -> sa.ColumnElement[str]:
    return facts.op("->>", return_type=sa.Text())(sa.literal(key, sa.Text()))


def _jsonb(number: int) -> sa.ColumnElement[Any]:
    return sa.cast(sa.literal(str(number), sa.Text()), JSONB)


def _operate(value: sa.ColumnElement[Any], op: Operator, bound: int | str) -> Boolean:
    if isinstance(bound, int):
        # Both databases store 64 bits; a larger bound compares like the largest of them.
        bound = max(min(bound, _NUMBER_MAX), -_NUMBER_MAX)
    result: Boolean = TESTS[op](value, sa.literal(bound, value.type))  # type: ignore[assignment]
    return result


def boolean_literal(value: bool) -> Boolean:
    """Return SQL `true` or `false`."""
    return sa.true() if value else sa.false()
