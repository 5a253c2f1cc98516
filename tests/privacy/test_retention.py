"""Old rows are removed batch by batch, and all facts folded from them stay."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import doctor, privacy
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, HOUR
from nurture.domain.playbook import FoldFact, RhythmFact, UsualInterval
from nurture.domain.retention import KINDS, compute_retention
from nurture.journey import merge
from nurture.journey.replay import verify_replay
from nurture.journey.retention import lags, retain
from nurture.runtime.settings import load_settings
from tests.domain.build import a_playbook, on
from tests.journey.builders import NOW, World, an_event
from tests.privacy.people import lived

KEEP = compute_retention({})
YEARS = 800 * DAY


def order(number: str, who: str, at: int, **more: Any) -> Any:
    values = {"name": "Order Completed", "occurred_at": at, "received_at": at, **more}
    return an_event(number, who, properties={"order_id": number, "revenue": 10}, **values)


def let_go(world: World, *, limit: int = 2_000, keep: dict[str, int] | None = None) -> Counts:
    """Retain until nothing more is to be removed."""
    total = Counts()
    for _ in range(200):
        done = world.database.run(
            lambda c: retain(
                c, now=world.clock.now(), keep=keep or KEEP, playbook=world.playbook, limit=limit
            )
        )
        total.update(done)
        if not done.more and not sum(done.values()):
            return total
    raise AssertionError("retention never comes to rest")


def facts(world: World, who: str) -> dict[str, Any]:
    return dict(world.contact(who).facts)


@pytest.mark.parametrize("limit", [1, 3, 2_000])
def test_facts_outlive_their_events(database: Database, limit: int) -> None:
    world = World(database)
    world.take(*(order(f"o{day}", "u1 e1", NOW + day * DAY) for day in range(5)))
    world.take(order("p1", "u2", NOW + DAY))
    world.clock.advance_to(NOW + YEARS)
    world.take(order("late", "u1", NOW + YEARS - HOUR))
    before = {who: facts(world, who) for who in ("u1", "u2")}
    assert let_go(world, limit=limit)["events"] == 6
    assert [row.message_id for row in world.rows(t.events)] == ["late"]
    assert {who: facts(world, who) for who in ("u1", "u2")} == before
    world.check()
    world.take(order("new", "u1", NOW + YEARS))
    assert facts(world, "u1")["orders"] == 7
    world.check()


def test_nothing_goes_before_its_time(database: Database) -> None:
    world = World(database)
    world.take(order("o1", "u1", NOW))
    world.clock.advance_to(NOW + KEEP["events"])
    assert sum(let_go(world).values()) == 0
    world.clock.advance_to(NOW + KEEP["events"] + 1)
    assert let_go(world)["events"] == 1


def test_the_kept_events_are_always_the_later_part(database: Database) -> None:
    """A younger event keeps what was applied after it, whatever another host's clock said, until its own time."""
    world = World(database)
    world.take(order("o1", "u1", NOW))
    world.take(order("o2", "u1", NOW, received_at=NOW + 30 * DAY))
    world.take(order("o3", "u1", NOW - DAY, received_at=NOW))
    world.clock.advance_to(NOW + KEEP["events"] + 2 * DAY)
    assert let_go(world)["events"] == 1
    assert [row.message_id for row in world.rows(t.events)] == ["o2", "o3"]
    world.check()


def test_an_event_from_before_is_refused_not_counted_twice(database: Database) -> None:
    world = World(database)
    world.take(order("o1", "u1", NOW), order("q1", "u2", NOW + YEARS - DAY))
    world.clock.advance_to(NOW + YEARS)
    let_go(world)
    before = facts(world, "u1")
    now = NOW + YEARS
    counts = world.take(
        order("o1", "u1", NOW, received_at=now, historic=True),
        order("other", "u1", NOW + DAY, received_at=now, historic=True),
        order("o5", "u1", now),
        # Nothing of this person was removed, so it is known to be new.
        order("q0", "u2", NOW, received_at=now, historic=True),
    )
    assert counts["quarantined"] == 2
    assert {(row.message_id, row.stage) for row in world.rows(t.quarantine)} == {
        ("o1", "too_old"),
        ("other", "too_old"),
    }
    assert facts(world, "u1")["orders"] == before["orders"] + 1
    assert facts(world, "u2")["orders"] == 2
    world.check()


def test_a_merge_and_its_undoing_know_what_was_removed(database: Database) -> None:
    world = World(database)
    world.take(order("o1", "u1", NOW), order("o2", "u1", NOW + DAY), order("p1", "e2", NOW))
    one, two = world.who("u1"), world.who("e2")
    world.clock.advance_to(NOW + YEARS)
    world.take(order("p2", "e2", NOW + YEARS))
    let_go(world)
    apart = facts(world, "u1"), facts(world, "e2")
    given: dict[str, Any] = {"now": world.clock.now(), "playbook": world.playbook}
    with database.write() as connection:
        merge.merge(connection, one, two, evidence={}, **given)
    assert facts(world, "u1")["orders"] == 4
    world.check()
    world.clock.advance_to(NOW + 2 * YEARS)
    let_go(world)
    world.check()
    with database.write() as connection:
        merge.unmerge(connection, two, now=world.clock.now(), playbook=world.playbook)
    assert (facts(world, "u1")["orders"], facts(world, "e2")["orders"]) == (2, 2)
    assert apart[0]["orders"] == 2
    world.check()


def test_a_fact_defined_later_knows_the_kept_events_and_the_others_everything(database: Database) -> None:
    world = World(database)
    world.take(order("o1", "u1", NOW), order("o2", "u1", NOW + YEARS - DAY))
    world.clock.advance_to(NOW + YEARS)
    let_go(world)
    facts_then = world.playbook.facts
    new = FoldFact("orders_again", "count", "integer", (on("Order Completed"),))
    world.use(a_playbook(facts={**facts_then, "orders_again": new}, rules_hash="another"))
    world.take(order("o3", "u1", NOW + YEARS))
    assert (facts(world, "u1")["orders"], facts(world, "u1")["orders_again"]) == (3, 2)
    world.check()


def test_an_erased_person_has_no_baseline(database: Database, tmp_path: Path) -> None:
    world = lived(database, tmp_path)
    with database.read() as connection:
        other = resolve_contact(connection, "ann@example.com")
    world.clock.advance_to(world.now + YEARS)
    playbook = world.loaded.playbook
    database.run(lambda c: retain(c, now=world.now, keep=KEEP, playbook=playbook))
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.baselines)) == 2
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.events)) == 0
        assert (
            connection.scalar(sa.select(t.messages.c.context).where(t.messages.c.contact_id == other)) is None
        )
    for contact in (other, other - 1):
        assert verify_replay(database, contact, playbook) == []
    privacy.erase_contact(world.services, "quetzal@sentinel.example", actor="test")
    assert world.traces() == {}
    with database.read() as connection:
        assert connection.scalars(sa.select(t.baselines.c.contact_id)).all() == [other]


# ---- the other kinds -------------------------------------------------------------------------------------


def test_a_browser_that_never_became_somebody_is_forgotten(database: Database) -> None:
    world = World(database)
    world.take(an_event("a", "a1"), an_event("b", "a2"), an_event("c", "a3 e3"), an_event("d", "a4"))
    world.clock.advance_to(NOW + KEEP["anonymous"] + DAY)
    now = world.clock.now()
    world.take(an_event("a-2", "a2", occurred_at=now, received_at=now))
    world.accept(an_event("d-2", "a4", occurred_at=now, received_at=now))
    assert let_go(world, limit=2)["anonymous"] == 1
    assert sorted(row.value for row in world.rows(t.identities)) == ["a2", "a3", "a4", "e3@example.com"]
    assert len(world.rows(t.contacts)) == len(world.rows(t.contact_state)) == 3
    world.settle()
    world.check()


def test_reports_refusals_items_and_fingerprints_go_in_their_time(database: Database) -> None:
    world = World(database)
    world.take(an_event("a", "u1"))
    number = world.who("u1")
    ages = {
        "reports": t.feedback,
        "quarantine": t.quarantine,
        "refusals": t.non_entries,
        "imports": t.imports,
    }
    with database.write() as connection:
        for days in (0, 2_000):
            at = NOW + days * DAY
            for table, row in (
                (t.feedback, {"provider": "ses", "event_id": f"e{days}", "kind": "open", "at": at,
                              "received_at": at, "raw": "words", "detail": '{"url": "x"}'}),
                (t.quarantine, {"source": "s", "received_at": at, "stage": "shape", "reason": "r", "raw": "{}"}),
                (t.non_entries, {"contact_id": number, "measure": f"lead/any/{days}", "at": at, "reason": "cap",
                                 "detail": ""}),
                (t.imports, {"fingerprint": f"f{days}", "name": "x.csv", "at": at, "rows": 1, "rejected": 0,
                             "done": True}),
            ):  # fmt: skip
                connection.execute(sa.insert(table).values(**row))
    world.clock.advance_to(NOW + 2_000 * DAY)
    done = let_go(world)
    assert {name: done[name] for name in ages} == dict.fromkeys(ages, 1)
    raws = {row.event_id: (row.raw, row.detail) for row in world.rows(t.feedback)}
    assert raws == {"e0": ("", "{}"), "e2000": ("words", '{"url": "x"}')}
    assert [len(world.rows(table)) for table in (t.quarantine, t.non_entries, t.imports)] == [1, 1, 1]


def test_numbers_go_once_others_have_long_been_in_force(database: Database) -> None:
    """Those that a usual interval reads stay: a purchase of any age may be folded anew."""
    lapsed = RhythmFact("lapsed_at", (), 2, UsualInterval("category", "mean_days", 30 * DAY), 3)
    playbook = a_playbook(facts={**a_playbook().facts, "lapsed_at": lapsed})
    world = World(database, playbook)
    columns = ("name", "key", "version", "in_force_at", "number")
    with database.write() as connection:
        for name in ("mean_days", "best"):
            for version, day in enumerate((0, 10, 900), start=1):
                row = zip(columns, (name, "beans", version, NOW + day * DAY, version), strict=True)
                connection.execute(sa.insert(t.value_numbers).values(**dict(row)))
    world.clock.advance_to(NOW + 900 * DAY)
    assert let_go(world, limit=1)["value_numbers"] == 1
    left = sorted((row.name, row.version) for row in world.rows(t.value_numbers))
    assert left == [("best", 2), ("best", 3), ("mean_days", 1), ("mean_days", 2), ("mean_days", 3)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_doctor_tells_when_retention_lags(database: Database, tmp_path: Path) -> None:
    world = lived(database, tmp_path)
    assert finding(world) == ""
    world.clock.advance_to(world.now + KEEP["events"] + 3 * DAY)
    assert "events" not in finding(world)
    world.clock.advance_to(world.now + 2 * DAY)
    assert "events: kept 8 days longer" in finding(world)
    playbook = world.loaded.playbook
    for _ in range(3):
        database.run(lambda c: retain(c, now=world.now, keep=KEEP, playbook=playbook))
    assert finding(world) == ""
    with database.read() as connection:
        assert lags(connection, now=world.now, keep=KEEP) == {}


def finding(world: Any) -> str:
    found = {finding["check"]: finding["detail"] for finding in doctor.examine(world.services, replayed=0)}
    return str(found["retention"])


def test_days_are_set_by_kind() -> None:
    days = load_settings(environment={"NURTURE_RETENTION": "events=400, contents=60"}).retention
    assert compute_retention(days) == {**KEEP, "events": 400 * DAY, "contents": 60 * DAY}
    assert set(KEEP) == set(KINDS)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("evnts=400", "evnts: no such kind; there are events"),
        ("events=3", "keep at least 31 days"),
        ("events=many", "valid integer"),
    ],
)
def test_wrong_days_are_refused(text: str, fault: str) -> None:
    from nurture.domain.errors import SettingsError

    with pytest.raises(SettingsError, match=fault):
        load_settings(environment={"NURTURE_RETENTION": text})
