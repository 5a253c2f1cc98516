"""A crowd: a few people live through the product's own rooms, then SQL multiplies every row they left.

So the rows look like real ones (facts, memory, runs, mails, names), however many there are, and making a million
of them takes minutes. Everybody has a contact, state, names and consents; the history (events, runs, mails and
what hangs on them) of `1 / HISTORY` of the people is multiplied too.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import sqlalchemy as sa

from bench.stage import Stage, at_once
from nurture.app.installation import migrate
from nurture.database import schema as t
from nurture.delivery.types import Delivery
from nurture.domain.instant import DAY, FOREVER, HOUR, Instant
from nurture.runtime.clock import ManualClock, SystemClock
from nurture.runtime.settings import Settings, load_settings
from nurture.simulation.people import generate_inputs
from nurture.simulation.play import Simulation
from nurture.simulation.reactions import Reactions
from nurture.simulation.transport import Outlet
from tests.rig.postgres import Postgres

#: Of so many people one has a history.
HISTORY = 20
#: Of so many people one has been merged into another, and one's address is suppressed.
MERGED = SUPPRESSED = 100
#: People who really live, and for how long.
CAST, DAYS = 40, 45
#: Facts of every contact, and further facts of contacts with a history.
_PEOPLE = ("contacts", "contact_state", "identities", "consents")
_HISTORIES = (
    *("events", "transitions", "milestones", "runs", "non_entries", "watches", "messages", "attempts"),
    "coupons",
)
#: Columns that make a copied mail a waiting one.
_WAITING = {
    "status": "'waiting'",
    "reason": "'quiet_hours'",
    "settled_at": "NULL",
    "told": "false",
    "due_at": f"%(now)s::bigint + {DAY} + k * 7919 * 1000003 %% (28 * {DAY})",
    "valid_until": f"%(now)s::bigint + {60 * DAY}",
}
#: Copies inserted by one statement.
_CHUNK = 2_500


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many rows there are of what; `contacts` is what was asked for, the others follow from it."""

    contacts: int
    rows: dict[str, int]


def live(settings: Settings, *, people: int = CAST, days: int = DAYS, tick: int = 6 * HOUR) -> None:
    """Let the cast live in the database of the settings up to now; nothing leaves. Creates the database's tables."""
    end = SystemClock().now()
    start = (end - days * DAY) // DAY * DAY
    clock = ManualClock(start)
    services = migrate(settings, clock=clock)
    try:
        delivery = Delivery(
            clock=clock,
            playbooks=services.playbooks,
            keys=services.keys,
            suppression_key=services.settings.suppression_secret,
            base_url=services.settings.public_url,
            worker="cast",
        )
        react = Reactions(7, services.settings.suppression_secret, services.playbooks)
        play = Simulation(services.database, delivery, clock, {"main": Outlet()}, tick=tick, react=react)
        play.play(generate_inputs(people, start=start, days=days, seed=7), end)
    finally:
        services.close()


class Crowds:
    """Crowds of this run, each made once: rows that need a million people share them."""

    def __init__(self, postgres: Postgres, *, cast: int = CAST, days: int = DAYS) -> None:
        """Make them on this server, of so many people who lived so long."""
        self._postgres = postgres
        self._people, self._days = cast, days
        self._cast: str | None = None
        self._names: dict[int, str] = {}
        self._folder = TemporaryDirectory(prefix="nurture-bench-")
        self._programme = at_once(Path(self._folder.name) / "programme")

    def of(self, contacts: int) -> Stage:
        """Return an installation with about so many contacts; others may have worked on it before."""
        if contacts not in self._names:
            begun = time.perf_counter()
            self._names[contacts] = self._postgres.create(template=self._lived())
            stage = self._stage(contacts)
            crowd = multiply(stage.url, contacts)
            print(f"  made a crowd of {crowd.contacts:,} in {time.perf_counter() - begun:.0f} s", flush=True)
        return self._stage(contacts)

    def _stage(self, contacts: int) -> Stage:
        return self._on(self._names[contacts])

    def _on(self, name: str) -> Stage:
        return Stage(self._postgres.url(name), playbook=self._programme)

    def _lived(self) -> str:
        """Return the database in which the cast has lived; all crowds are copied from it."""
        if self._cast is None:
            name = self._postgres.create()
            live(
                load_settings(environment=self._on(name).environment()), people=self._people, days=self._days
            )
            self._cast = name
        return self._cast

    def drop(self) -> None:
        """Drop all of them."""
        for name in (*self._names.values(), *([self._cast] if self._cast else [])):
            self._postgres.drop(name)
        self._names.clear()
        self._cast = None
        self._folder.cleanup()


def multiply(url: str, contacts: int, *, history: int = HISTORY) -> Crowd:
    """Copy the rows of the cast until there are about so many contacts; PostgreSQL only.

    history: of so many people one has events, runs and mails.

    Copies keep every value but ids, names, addresses, message ids, codes and alarms. Ends with VACUUM ANALYZE, as a
    database that has been in use for a while.
    """
    now = SystemClock().now()
    with psycopg.connect(url, autocommit=True) as connection:
        strides = {
            name: _one(connection, f"SELECT coalesce(max(id), 0) + 1 FROM {name}")
            for name in (*_PEOPLE, *_HISTORIES)
            if "id" in t.metadata.tables[name].c
        }
        cast = _one(connection, "SELECT count(*) FROM contacts")
        copies = max(0, round(contacts / cast) - 1)
        # The cast's own rows alone are copied, whatever copies there are already.
        for name in (*_PEOPLE, *_HISTORIES):
            connection.execute(f"CREATE TEMP TABLE cast_{name} AS SELECT * FROM {name}")
            statement = _copy(t.metadata.tables[name], strides, every=history if name in _HISTORIES else 1)
            for first in range(1, copies + 1, _CHUNK):
                last = min(first + _CHUNK - 1, copies)
                connection.execute(statement, {"first": first, "last": last, "now": now})
            if name in strides:
                connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))"
                )
        _merge_some(connection, cast, now)
        _hear_of_mails(connection, now)
        # All copies have the rules that the cast has.
        connection.execute("UPDATE active_playbook SET woken = (SELECT max(id) FROM contacts)")
        connection.execute("VACUUM (ANALYZE)")
        rows = {
            name: _one(connection, f"SELECT count(*) FROM {name}")
            for name in (*_PEOPLE, *_HISTORIES, "merges", "feedback")
        }
    return Crowd(rows["contacts"], rows)


def set_alarms(url: str, *, ringing: int, now: Instant) -> int:
    """Let `ringing` alarms, far apart, be due since the last hour and no other; returns how many are."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE contacts SET wake_at = %s WHERE wake_at <= %s", (now + DAY, now))
        highest = _one(connection, "SELECT max(id) FROM contacts")
        step = max(1, highest // max(1, ringing))
        due = connection.execute(
            "UPDATE contacts SET wake_at = %(now)s - 1 - id * 7919 %% %(hour)s WHERE survivor IS NULL AND id IN "
            "(SELECT 1 + place * %(step)s FROM generate_series(0, %(ringing)s::bigint - 1) AS place)",
            {"step": step, "ringing": ringing, "now": now, "hour": HOUR},
        ).rowcount
        connection.execute("VACUUM (ANALYZE) contacts")
    return due


def _merge_some(connection: psycopg.Connection[Any], cast: int, now: Instant) -> None:
    """Merge every hundredth contact into the next one, as `journey.merge` does, and suppress as many addresses."""
    connection.execute(
        f"CREATE TEMP TABLE joined AS SELECT a.id AS merged, a.id + 1 AS survivor FROM contacts AS a "
        f"JOIN contacts AS b ON b.id = a.id + 1 WHERE a.id % {MERGED} = 50 AND a.id > {cast}"
    )
    values = {"now": now, "forever": FOREVER}
    for statement in (
        "INSERT INTO merges (survivor, merged, at, evidence) SELECT survivor, merged, %(now)s, '{}' FROM joined",
        "UPDATE contacts SET survivor = joined.survivor, wake_at = %(forever)s, version = version + 1 "
        "FROM joined WHERE id = merged",
        "UPDATE identities SET contact_id = survivor, learnt_for = merged FROM joined WHERE contact_id = merged",
        "INSERT INTO suppressions (address_hash, scope, reason, at, source) "
        "SELECT encode(sha256(email::bytea), 'hex'), 'all', 'hard_bounce', %(now)s, 'crowd' FROM contacts "
        f"WHERE id % {SUPPRESSED} = 70 AND email IS NOT NULL".replace("id % ", "id %% "),
    ):
        connection.execute(statement, values)


def _hear_of_mails(connection: psycopg.Connection[Any], now: Instant) -> None:
    """Let a provider report every mail as delivered, and leave one in a thousand in doubt."""
    values = {"now": now, "month": 30 * DAY}
    connection.execute(
        "INSERT INTO feedback (provider, event_id, message_id, kind, at, raw, contact_id, received_at, applied_at) "
        "SELECT 'crowd', id, id, 'delivered', sent_at, '{}', contact_id, %(now)s - id * 7919 * 1000003 %% %(month)s, "
        "%(now)s FROM messages WHERE status = 'sent'",
        values,
    )
    connection.execute(
        "UPDATE messages SET status = 'in_doubt', reason = 'in_doubt', due_at = %(forever)s "
        "WHERE status = 'sent' AND id %% 1000 = 500",
        {"forever": FOREVER},
    )


def _copy(table: sa.Table, strides: dict[str, int], *, every: int) -> str:
    """Return the INSERT of copies `first` to `last` of the cast's rows."""
    names = [column.name for column in table.columns]
    values = ", ".join(_value(table, name, strides) for name in names)
    where = f" WHERE k %% {every} = 0" if every > 1 else " WHERE true"
    if "contact_id" in table.c:
        where += " AND contact_id IS NOT NULL"
    key = next(iter(table.primary_key.columns)).name
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {values} "
        f"FROM generate_series(%(first)s::bigint, %(last)s) AS k CROSS JOIN cast_{table.name}{where} ORDER BY k, {key}"
    )


def _value(table: sa.Table, name: str, strides: dict[str, int]) -> str:
    """Return what stands in a column of a copy; `k` is the copy's number."""
    if name == "id":
        return f"id + k * {strides[table.name]}"
    if name in {"contact_id", "survivor", "learnt_for"}:
        return f"{name} + k * {strides['contacts']}"
    if name == "message_id" and table.name != "events":
        return f"message_id + k * {strides['messages']}"
    if name == "wake_at":
        # Everybody sleeps until some moment of the year to come: the alarm clock at its fullest.
        return f"%(now)s::bigint + {DAY} + (k * 7919 + id * 104729) * 1000003 %% (364 * {DAY})"
    if table.name == "messages" and name in _WAITING:
        # Some of what came too late for the cast is still waiting for its day.
        return f"CASE WHEN status = 'expired' AND k %% 2 = 0 THEN {_WAITING[name]} ELSE {name} END"
    unique = {("contacts", "email"), ("identities", "value"), ("events", "message_id"), ("coupons", "code")}
    if (table.name, name) in unique:
        return f"regexp_replace({name}, '(@|$)', '.' || k || '\\1')"
    return f'"{name}"'


def _one(connection: psycopg.Connection[Any], statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
