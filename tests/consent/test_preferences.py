"""A person's preferences hold at both gates: at once, over merges, and until the person takes them back."""

from typing import Any

import pytest

from nurture.consent import record
from nurture.contacts.queries import load_contacts
from nurture.database.engine import Database
from nurture.delivery.verdicts import read_checks
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.consent.preferences import PreferenceKind
from nurture.domain.instant import DAY, HOUR
from nurture.reports.person import describe_person, load_timeline
from nurture.reports.why import explain_measure
from tests.delivery.builders import NOON, PATH, a_measure, a_playbook
from tests.delivery.test_claim import merge
from tests.delivery.world import World

OTHER = "customer/any/other"


@pytest.fixture
def world(database: Database) -> World:
    return World(database, a_playbook(a_measure(), a_measure(OTHER, purpose="nurture")))


def set_preferences(world: World, contact: int, **values: int) -> None:
    kinds: dict[PreferenceKind, int] = values  # type: ignore[assignment]
    world.database.run(
        lambda connection: record.set_preferences(
            connection, contact_id=contact, values=kinds, now=world.clock.now(), source="test", evidence={}
        )
    )


def show_person(world: World, contact: int) -> Any:
    with world.database.read() as connection:
        return describe_person(connection, contact, playbook=world.playbook, now=world.clock.now())


def test_a_second_mail_waits_for_the_time_the_person_wants_between_two(world: World) -> None:
    ada = world.person()
    set_preferences(world, ada, often=30 * DAY)
    first, second = world.mail(ada), world.mail(ada, OTHER, valid_until=NOON + 90 * DAY)
    world.deliver()
    # Of one priority, the one that was due first.
    assert world.status(first) == ("sent", "")
    world.later(2 * HOUR)
    world.deliver()
    assert world.status(second) == ("waiting", "own_cap")
    assert world.message(second).due_at == NOON + 30 * DAY
    world.later(30 * DAY)
    world.deliver()
    assert world.status(second) == ("sent", "")


def test_a_preference_taken_back_releases_the_deferred_mail_at_once(world: World) -> None:
    ada = world.person()
    set_preferences(world, ada, pause=NOON + 20 * DAY)
    mail = world.mail(ada)
    world.deliver()
    assert world.status(mail) == ("waiting", "own_pause")
    world.later(HOUR)
    set_preferences(world, ada, pause=0)
    world.deliver()
    assert world.status(mail) == ("sent", "")


def test_a_pause_asked_for_between_the_gates_stops_the_mail(world: World) -> None:
    ada = world.person()
    mail = world.mail(ada)
    chunk = world.claim()
    assert [ready.id for ready in chunk.ready] == [mail]
    before = world.contact(ada).version
    set_preferences(world, ada, pause=NOON + 20 * DAY)
    assert world.contact(ada).version > before


def test_after_a_merge_the_stricter_preference_holds_and_counts_mail_sent_before(world: World) -> None:
    ada, eve = world.person(), world.person("eve")
    set_preferences(world, eve, often=30 * DAY)
    mailed = world.mail(eve, OTHER)
    world.deliver()
    assert world.status(mailed) == ("sent", "")
    merge(world, eve, ada, at=NOON + HOUR // 2)
    mail = world.mail(ada, valid_until=NOON + 90 * DAY)
    world.later(HOUR)
    world.deliver()
    assert world.status(mail) == ("waiting", "own_cap")
    world.later(HOUR)
    set_preferences(world, ada, often=0)
    world.deliver()
    assert world.status(mail) == ("sent", "")


def test_why_and_the_timeline_show_the_preferences(world: World) -> None:
    ada = world.person()
    set_preferences(world, ada, often=7 * DAY, pause=NOON + 20 * DAY, tracking=1)
    mail = world.mail(ada)
    world.deliver()
    with world.database.read() as connection:
        contact = load_contacts(connection, [ada], world.playbook)[ada]
        answer = explain_measure(
            connection, contact, world.playbook.measures[PATH], playbook=world.playbook, now=NOON
        )
        moments = [
            moment.what
            for moment in load_timeline(connection, ada, names=MeasureNames({}))
            if moment.kind == "wish"
        ]
    assert answer.outcome == "deferred"
    assert "own_pause" in answer.answer
    (missed,) = [finding for finding in answer.findings if not finding.met]
    assert (missed.check, missed.value) == (
        "own_pause",
        "the person wants none before 2026-06-02T10:00:00Z",
    )
    assert len(read_checks(world.message(mail).verdict)) > 20
    assert show_person(world, ada)["wishes"] == {
        "at_most_one_in": "7d",
        "paused_until": "2026-06-02T10:00:00Z",
        "tracking": False,
    }
    assert sorted(moments) == [
        "marketing mail at most one in 7d",
        "marketing mail none before 2026-06-02T10:00:00Z",
        "marketing mail without counting opens and clicks",
    ]
