"""Watching what the database does for a room: the plans of the room's own statements, and the rows they touch."""

import itertools
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from nurture.database.engine import Database

#: Tables that grow with people and time; reading one of them from end to end takes longer every day.
HOT = (
    *(
        "contacts",
        "contact_state",
        "identities",
        "events",
        "transitions",
        "milestones",
        "runs",
        "non_entries",
    ),
    *(
        "watches",
        "messages",
        "attempts",
        "coupons",
        "consents",
        "suppressions",
        "suppression_reasons",
        "feedback",
        "inbox",
        "merges",
    ),
    *("quarantine", "audit"),
)
#: Indexes that hold only what is under way at this moment, whatever the number of people: read whole, they cost little.
UNDER_WAY = ("ix_messages_leased", "ix_messages_doubt")
_marks_made = itertools.count(1)
#: The first server version that explains a statement without values.
_EXPLAINS_FOR_ANY = 160_000
_INDEX_SCANS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement whose plan reads more than it should."""

    table: str
    why: str
    statement: str

    def __str__(self) -> str:
        """Return it as a paragraph."""
        return f"{self.table}: {self.why}\n    {' '.join(self.statement.split())[:600]}"


@dataclass(slots=True)
class Watched:
    """The plans and counts recorded while a room worked."""

    # Statement -> its plans, as PostgreSQL explains them with the values given, and for any values.
    plans: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def findings(self, tables: Collection[str] = HOT) -> list[Finding]:
        """Return every reading of one of the tables that grows with the table."""
        return [
            Finding(table, why, statement)
            for statement, plans in self.plans.items()
            for table, why in dict.fromkeys(
                fault for plan in plans for fault in _grows(plan, limited=False, above="")
            )
            if table in tables
        ]

    def indexes(self) -> set[str]:
        """Return the names of the indexes that any plan uses."""
        return {
            node["Index Name"]
            for plans in self.plans.values()
            for plan in plans
            for node in _nodes(plan)
            if "Index Name" in node
        }


@contextmanager
def plans_of(database: Database, *, each: int = 3) -> Iterator[Watched]:
    """Explain what is executed inside the block: the first `each` executions of every distinct statement.

    In the very transaction and with the values of the execution, so with all that the product has set in it. And
    once without values (PostgreSQL 16 on): what a connection asks again and again is planned for any.
    """
    watched = Watched()

    def explain(
        _connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> None:
        if statement.split(None, 1)[0].upper() not in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            return
        plans = watched.plans.setdefault(statement, [])
        if len(plans) < each:
            with cursor.connection.cursor() as asked:
                mark = f"/* {next(_marks_made)} */"
                asked.execute(f"EXPLAIN (FORMAT JSON) {mark} {statement}", parameters, prepare=not plans)
                found = [asked.fetchone()[0][0]["Plan"]]
                if not plans and cursor.connection.info.server_version >= _EXPLAINS_FOR_ANY:
                    found.append(_for_any_values(asked, mark))
                plans.extend(found)

    event.listen(database.writer, "before_cursor_execute", explain)
    try:
        yield watched
    finally:
        event.remove(database.writer, "before_cursor_execute", explain)


def _for_any_values(asked: psycopg.Cursor[Any], mark: str) -> Any:
    """Return the plan for any values of the statement that was explained with this mark."""
    # As the server keeps it, with $1 where a value belongs.
    kept = "SELECT split_part(statement, %s, 2) FROM pg_prepared_statements WHERE strpos(statement, %s) = 23"
    asked.execute(kept, (mark, mark), prepare=False)
    (statement,) = asked.fetchone() or ("",)
    asked.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}")
    (plans,) = asked.fetchone() or ([],)
    return plans[0]["Plan"]


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _grows(plan: Mapping[str, Any], *, limited: bool, above: str) -> Iterator[tuple[str, str]]:
    """Yield (table, why) for each node that reads a share of its table.

    limited: a LIMIT stops this node early, because nothing between gathers rows. above: the table of a bitmap.
    """
    kind = str(plan["Node Type"])
    table = str(plan.get("Relation Name", above))
    if kind == "Seq Scan":
        yield table, "sequential scan"
    elif (
        kind in _INDEX_SCANS
        and "Index Cond" not in plan
        and not limited
        and plan["Index Name"] not in UNDER_WAY
    ):
        yield table, f"the whole of {plan['Index Name']}"
    handing = {"Limit", "Subquery Scan", "LockRows", "Result", "Nested Loop", "Append", "Merge Append"}
    below = kind == "Limit" or (limited and kind in handing)
    for part in plan.get("Plans", ()):
        # The inner side of a nested loop is gone through for every row of the outer.
        inner = kind == "Nested Loop" and part.get("Parent Relationship") == "Inner"
        bitmap = table if kind == "Bitmap Heap Scan" else ""
        yield from _grows(part, limited=below and not inner, above=bitmap)


# ---- rows touched ----------------------------------------------------------------------------------------

#: Tables whose rows are somebody's: table -> the column that says whose.
_OWNED = {
    "contacts": "id",
    **dict.fromkeys(
        (
            *("contact_state", "identities", "runs", "messages", "non_entries", "milestones", "transitions"),
            *("consents", "coupons", "watches"),
        ),
        "contact_id",
    ),
}
_COUNTED = "SELECT relname, coalesce(seq_tup_read, 0), coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"


@dataclass(slots=True)
class Touched:
    """Counts of rows that transactions changed; filled in when they have ended."""

    # Table -> rows read by going through it from end to end; and fetched through an index.
    scanned: dict[str, int] = field(default_factory=dict)
    fetched: dict[str, int] = field(default_factory=dict)
    # Table -> the contacts whose rows were written or locked.
    owners: dict[str, set[int]] = field(default_factory=dict)


@contextmanager
def rows_touched(database: Database, url: str) -> Iterator[Touched]:
    """Watch the rows that the block's transactions read, write and lock.

    A row that is written has another `xmin`, one that was locked another `xmax`; no lock goes unseen.
    """

    def hand_over(connection: sa.Connection) -> None:
        # The server gathers figures once a second; so it does at the end of this very transaction.
        connection.connection.cursor().execute("SELECT pg_stat_force_next_flush()")

    touched = Touched()
    event.listen(database.writer, "begin", hand_over)
    marks = _marks(url)
    # A connection reports its earlier work, ours and the room's own, when it ends.
    database.writer.dispose()
    _wait_alone(url)
    before = _counts(url)
    try:
        yield touched
    finally:
        event.remove(database.writer, "begin", hand_over)
    for name, counts in _counts(url).items():
        for target, count, was in zip(
            (touched.scanned, touched.fetched), counts, before.get(name, (0, 0)), strict=True
        ):
            if count > was:
                target[name] = count - was
    for name, rows in _marks(url).items():
        changed = rows.items() - marks[name].items()
        touched.owners[name] = {owner for _, (owner, _, _) in changed}


def _wait_alone(url: str) -> None:
    """Wait until nobody else is connected to this database."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(500):
            if connection.execute(others).fetchone() == (0,):
                return
            connection.execute("SELECT pg_sleep(0.02)")
    message = "somebody is still connected to the database that is watched"
    raise AssertionError(message)


def _counts(url: str) -> dict[str, tuple[int, int]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return {name: (scan, index) for name, scan, index in connection.execute(_COUNTED)}


def _marks(url: str) -> dict[str, dict[str, tuple[int, str, str]]]:
    """Return, for each table with owners, where each row lies -> (owner, who wrote it, who locked it)."""
    with psycopg.connect(url, autocommit=True) as connection:
        return {
            table: {
                place: (owner, written, locked)
                for place, owner, written, locked in connection.execute(
                    f"SELECT ctid::text, {column}, xmin::text, xmax::text FROM {table}"
                )
            }
            for table, column in _OWNED.items()
        }
