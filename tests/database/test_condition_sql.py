"""SQL answers as Python does: every condition, for every contact, on both databases."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nurture.database import bulk
from nurture.database.condition_sql import three_valued, where
from nurture.database.engine import Database
from nurture.database.schema import contacts
from nurture.domain.conditions import ALWAYS, Condition, Reading, Truth
from nurture.domain.instant import Instant
from tests.domain.conditions.samples import EVES, NOW, ZONES, a_condition, conditions, facts
from tests.rig.examples import examples

Drawn = TypeVar("Drawn")

_DEFAULT_ZONE = ZONES[0]
_COLUMNS = ("track", "stage", "locale", "zone", "first_seen_at")


def _row(number: int, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the contact's row: built-ins are columns, everything else is the document."""
    stored = {name: value for name, value in facts.items() if name not in _COLUMNS or name == "first_seen_at"}
    columns = {name: facts.get(name) for name in _COLUMNS}
    required = {
        "track": "lead",
        "stage": "aware",
        "track_since": 0,
        "stage_since": 0,
        "clock": 0,
        "version": 0,
    }
    return {**required, **{k: v for k, v in columns.items() if v is not None}, "id": number, "facts": stored}


def _store(connection: sa.Connection, everybody: Sequence[dict[str, Any]]) -> None:
    names = [
        "id",
        "track",
        "stage",
        "track_since",
        "stage_since",
        "first_seen_at",
        "zone",
        "locale",
        "facts",
        "clock",
    ]
    rows = [_row(number, facts) for number, facts in enumerate(everybody)]
    connection.execute(sa.delete(contacts))
    bulk.insert(connection, contacts, rows, columns=names)


def _by_sql(connection: sa.Connection, asked: Sequence[Condition], now: Instant) -> list[list[Truth]]:
    """Return the answers, a list per contact, with one statement for all conditions."""
    columns: list[sa.ColumnElement[Any]] = []
    for condition in asked:
        yes, unknown = where(condition, now=now, zones=ZONES)
        columns += [sa.case((yes, 1), else_=0), sa.case((unknown, 1), else_=0)]
    labelled = [column.label(f"c{place}") for place, column in enumerate(columns)]
    rows = connection.execute(sa.select(*labelled).select_from(contacts).order_by(contacts.c.id))
    truths = {(1, 0): Truth.YES, (0, 0): Truth.NO, (0, 1): Truth.UNKNOWN}
    return [[truths[pair] for pair in zip(row[::2], row[1::2], strict=True)] for row in rows]


def _by_python(
    everybody: Sequence[dict[str, Any]], asked: Sequence[Condition], now: Instant
) -> list[list[Truth]]:
    readings = [Reading(facts, now, facts["zone"] or _DEFAULT_ZONE) for facts in everybody]
    return [[condition.truth(reading) for condition in asked] for reading in readings]


def _drawn(strategy: st.SearchStrategy[Drawn], number: int) -> list[Drawn]:
    """Draw many at once: a statement for each single case would take minutes."""
    facts: list[Drawn] = []

    @settings(
        max_examples=number, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def draw(one: Drawn) -> None:
        facts.append(one)

    draw()
    return facts


@cache
def _cases(now: Instant) -> tuple[list[str], list[dict[str, Any]]]:
    """Draw conditions and people once: both kinds of database are asked the same."""
    return _drawn(conditions, examples(30)), _drawn(facts(now), 12)


def _check_alike(
    database: Database, texts: Sequence[str], everybody: Sequence[dict[str, Any]], now: Instant
) -> None:
    asked = [a_condition(text) for text in texts]
    with database.write() as connection:
        _store(connection, everybody)
        by_sql = _by_sql(connection, asked, now)
    wrong = [
        (condition.text, sql, python, facts)
        for facts, by_row, expected in zip(everybody, by_sql, _by_python(everybody, asked, now), strict=True)
        for condition, sql, python in zip(asked, by_row, expected, strict=True)
        if sql is not python
    ]
    assert not wrong


def test_sql_and_python_answer_alike(database: Database) -> None:
    """Some thousand pairs of a random condition and a random contact, at instants around which clocks change."""
    for now in EVES:
        texts, everybody = _cases(now)
        _check_alike(database, texts, everybody, now)


def test_every_shape_that_sql_writes_in_its_own_way_answers_alike(database: Database) -> None:
    texts = [
        "days_since(renewal_at) == orders",
        "days_until(renewal_at) > rate",
        "days_since(first_order_at) > 9000000000000000000",
        "days_until(first_order_at) >= -9000000000000000000",
        "days_since(max(renewal_at, first_order_at)) in [2, 3]",
        "min(renewal_at, first_seen_at) != '2026-06-15'",
        "max(renewal_at, last('Signed In')) > min(first_seen_at, first_order_at)",
        "views_7d == 2",
        "views_7d in [0, 3]",
        "views_7d != orders",
        "clicks_1d < -3 or clicks_1d > 9000000000000000000",
        "local_hour() > orders",
        "plan in tags",
        "plan not in (tags or interests)",
        "plan == locale or city == zone",
        "local_weekday() != city",
        "not (not (vip)) is unknown",
        "(not (nps > 3)) is not yes",
        "(nps == 9 or vip) is unknown",
        "spent - rate + orders <= 92233720368547758.06",
        "orders > 9223372036854775807 or orders < -9223372036854775807",
        "True and False or True",
        "(True) is unknown",
    ]
    _check_alike(database, texts, _drawn(facts(NOW), 60), NOW)


def test_an_audience_is_counted_in_one_scan(database: Database) -> None:
    everybody = [{"first_seen_at": NOW, "nps": nps} for nps in (10, 9, 3)] + [{"first_seen_at": NOW}]
    answer = three_valued(a_condition("nps >= 9"), now=NOW, zones=ZONES).label("answer")
    with database.write() as connection:
        _store(connection, everybody)
        rows = connection.execute(sa.select(answer, sa.func.count()).group_by(answer))
        assert {row[0]: row[1] for row in rows} == {True: 2, False: 1, None: 1}


def test_an_audience_may_be_asked_of_an_alias(database: Database) -> None:
    others = contacts.alias("others")
    yes, unknown = where(a_condition("vip and local_hour() >= 0"), now=NOW, zones=["UTC"], contacts=others)
    with database.write() as connection:
        _store(connection, [{"first_seen_at": NOW, "vip": True}, {"first_seen_at": NOW}])
        assert connection.execute(sa.select(others.c.id).where(yes)).scalars().all() == [0]
        assert connection.execute(sa.select(others.c.id).where(unknown)).scalars().all() == [1]


def test_everybody_is_in_the_audience_of_always(database: Database) -> None:
    yes, unknown = where(ALWAYS, now=NOW, zones=[])
    with database.write() as connection:
        _store(connection, [{"first_seen_at": NOW}, {"first_seen_at": NOW}])
        assert (
            connection.execute(sa.select(sa.func.count()).where(yes).select_from(contacts)).scalar_one() == 2
        )
        assert connection.execute(sa.select(sa.func.count()).where(unknown)).scalar_one() == 0


def test_a_contact_in_a_zone_not_listed_is_unknown_and_without_one_in_the_first(database: Database) -> None:
    yes, unknown = where(a_condition("local_hour() == 10"), now=NOW, zones=["UTC", "Asia/Shanghai"])
    zones = [None, "UTC", "Asia/Shanghai", "Europe/Berlin"]
    with database.write() as connection:
        _store(connection, [{"first_seen_at": NOW, "zone": zone} for zone in zones])
        assert connection.execute(sa.select(contacts.c.id).where(yes).order_by("id")).scalars().all() == [
            0,
            1,
        ]
        assert connection.execute(sa.select(contacts.c.id).where(unknown)).scalars().all() == [3]


def test_statements_of_one_shape_share_a_cached_form(database: Database) -> None:
    """Two bounds, one cached statement: the second must not get the first one's answer."""
    with database.write() as connection:
        _store(connection, [{"first_seen_at": NOW, "nps": nps} for nps in range(5)])
        for bound in range(5):
            yes, _ = where(a_condition(f"nps >= {bound}"), now=NOW, zones=ZONES)
            assert len(connection.execute(sa.select(contacts.c.id).where(yes)).all()) == 5 - bound
