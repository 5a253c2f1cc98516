"""Local time on a frozen clock: clock changes, far zones, leap days, people and appointments that move."""

from typing import Any

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, StepTickTimeFactory, TickingDateTimeFactory

from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, Instant, parse_iso, to_datetime
from nurture.domain.measure import LocalSlot
from nurture.domain.playbook import QuietHours
from nurture.domain.timing import at_local_time, next_outside_quiet_hours, next_slot, to_local
from nurture.runtime.clock import SystemClock
from tests.scenarios.world import World

ADA = "ada@example.com"
NINE = LocalSlot(9 * 60)


Mover = FrozenDateTimeFactory | StepTickTimeFactory | TickingDateTimeFactory


class Frozen:
    """A world on a frozen system clock, which the test moves."""

    def __init__(self, database: Database, clock: Mover) -> None:
        self.world = World(database, clock=SystemClock())  # type: ignore[arg-type]
        self._clock = clock

    def move(self, at: Instant) -> None:
        """Move the system clock and let all workers run."""
        self._clock.move_to(to_datetime(at))
        self.world.work()

    def hours(self, start: Instant, end: Instant) -> None:
        """Move the clock hour by hour."""
        for at in range(start, end + 1, HOUR):
            self.move(at)


def birthday_mails(database: Database, *, born: str, zone: str, around: str, days: int = 3) -> list[str]:
    """Return the local times at which birthday mails left, one step an hour."""
    start = parse_iso(around) - DAY
    with freeze_time(to_datetime(start)) as clock:
        frozen = Frozen(database, clock)
        world = frozen.world
        order: dict[str, Any] = {
            "order_id": "o1",
            "revenue": 9.9,
            "total": 9.9,
            "currency": "EUR",
            "products": [],
        }
        world.tell(ADA, "Order Completed", **order)
        world.tell(ADA, "Identified", traits={"birthday": born, "timezone": zone, "firstName": "Ada"})
        world.tell(ADA, "Consent Given", topic="members")
        world.work()
        frozen.hours(start + HOUR, start + days * DAY)
        return [
            f"{to_local(parse_iso(at), zone):%Y-%m-%d %H}"
            for at, name in world.mails(ADA)
            if "birthday" in name
        ]


@pytest.mark.parametrize(
    ("born", "zone", "around", "expected"),
    [
        ("1990-03-29", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29 09"),
        ("1990-10-25", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25 09"),
        ("05-04", "Pacific/Kiritimati", "2026-05-04T00:00:00Z", "2026-05-04 09"),
        ("05-04", "Etc/GMT+12", "2026-05-05T00:00:00Z", "2026-05-04 09"),
        ("1988-02-29", "Asia/Shanghai", "2027-02-28T00:00:00Z", "2027-02-28 09"),
        ("1988-02-29", "Asia/Shanghai", "2028-02-29T00:00:00Z", "2028-02-29 09"),
    ],
    ids=[
        "spring change",
        "autumn change",
        "+14",
        "-12",
        "29 February, common year",
        "29 February, leap year",
    ],
)
def test_birthday_mail_leaves_once_at_nine_on_the_persons_own_day(
    sqlite_database: Database, born: str, zone: str, around: str, expected: str
) -> None:
    assert birthday_mails(sqlite_database, born=born, zone=zone, around=around) == [expected]


def test_a_person_who_changes_zone_while_waiting_is_written_to_in_the_new_morning(
    sqlite_database: Database,
) -> None:
    start = parse_iso("2026-06-01T12:00:00Z")
    with freeze_time(to_datetime(start)) as clock:
        frozen = Frozen(sqlite_database, clock)
        world = frozen.world
        order: dict[str, Any] = {
            "order_id": "o1",
            "revenue": 9.9,
            "total": 9.9,
            "currency": "EUR",
            "products": [],
        }
        world.tell(ADA, "Order Completed", **order)
        world.tell(ADA, "Consent Given", topic="members")
        world.tell(ADA, "Identified", traits={"birthday": "06-03", "timezone": "Europe/Berlin"})
        frozen.hours(start, start + DAY)
        world.tell(ADA, "Identified", traits={"timezone": "America/New_York"})
        frozen.hours(start + DAY, start + 3 * DAY)
        sent = [parse_iso(at) for at, name in world.mails(ADA) if "birthday" in name]
    assert [f"{to_local(at, 'America/New_York'):%d %H}" for at in sent] == ["03 09"]


def test_a_reminder_follows_the_appointment_that_moves_while_it_waits(sqlite_database: Database) -> None:
    start = parse_iso("2026-06-01T12:00:00Z")
    booked: dict[str, Any] = {
        "appointment_id": "a1",
        "subject": "Tasting",
        "location": "Berlin",
        "host": "Mira",
    }
    with freeze_time(to_datetime(start)) as clock:
        frozen = Frozen(sqlite_database, clock)
        world = frozen.world
        first: dict[str, Any] = {"starts_at": "2026-06-05T14:00:00Z", "ends_at": "2026-06-05T15:00:00Z"}
        later: dict[str, Any] = {"starts_at": "2026-06-09T14:00:00Z", "ends_at": "2026-06-09T15:00:00Z"}
        world.tell(ADA, "Appointment Booked", **booked, **first)
        frozen.hours(start, start + DAY)
        world.tell(ADA, "Appointment Changed", **booked, **later)
        frozen.hours(start + DAY, start + 9 * DAY)
        reminders = [at for at, name in world.mails(ADA) if name.endswith("/reminder")]
    assert [at[:10] for at in reminders] == ["2026-06-08"]


# ---- the rules behind it ---------------------------------------------------------------------------------


def test_nine_in_the_morning_is_nine_on_both_sides_of_a_clock_change() -> None:
    friday = parse_iso("2026-03-27T20:00:00Z")
    mornings = [next_slot(NINE, after=friday + days * DAY, zone="Europe/Berlin") for days in range(3)]
    assert [to_local(at, "Europe/Berlin").hour for at in mornings] == [9, 9, 9]
    assert mornings[1] - mornings[0] == 23 * HOUR


def test_a_time_that_the_spring_change_leaves_out_is_the_first_instant_after_it() -> None:
    gap = at_local_time(
        to_local(parse_iso("2026-03-29T12:00:00Z"), "Europe/Berlin").date(), 2 * 60 + 30, "Europe/Berlin"
    )
    assert gap == parse_iso("2026-03-29T01:00:00Z")


def test_a_time_that_comes_twice_in_autumn_is_its_first() -> None:
    twice = at_local_time(
        to_local(parse_iso("2026-10-25T12:00:00Z"), "Europe/Berlin").date(), 2 * 60 + 30, "Europe/Berlin"
    )
    assert twice == parse_iso("2026-10-25T00:30:00Z")


def test_a_day_without_midnight_begins_with_its_first_instant() -> None:
    day = at_local_time(to_local(parse_iso("2024-04-26T12:00:00Z"), "Africa/Cairo").date(), 0, "Africa/Cairo")
    assert to_local(day, "Africa/Cairo").hour == 1


def test_quiet_hours_span_midnight_and_end_in_the_morning() -> None:
    quiet = QuietHours(21 * 60, 8 * 60)
    late = parse_iso("2026-03-28T22:30:00Z")
    assert next_outside_quiet_hours(quiet, at=late, zone="Europe/Berlin") == parse_iso("2026-03-29T06:00:00Z")
    noon = parse_iso("2026-03-28T11:00:00Z")
    assert next_outside_quiet_hours(quiet, at=noon, zone="Europe/Berlin") == noon
