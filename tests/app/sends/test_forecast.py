"""A forecast says of each person what then happens when the clock moves on with no new events."""

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.sends.forecast import ForecastOptions, forecast, forecast_people
from nurture.app.sends.forecast_parts import PEOPLE_MIN, Part, collect_parts, count_processes
from nurture.app.sends.recipients import audience_of, find_recipients
from nurture.consent.record import set_switch
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.conditions import ALWAYS
from nurture.domain.errors import Transient
from nurture.domain.instant import DAY, FOREVER, HOUR, MINUTE, Instant, parse_iso
from nurture.domain.measure import MailStep, OnDate
from nurture.reports.forecast.alike import AlikePeople
from nurture.reports.forecast.forecast_people import ForecastOrder, forecast_page, make_scope
from nurture.reports.forecast.play_person import Person, PersonForecast
from nurture.runtime.clock import pause
from nurture.simulation.run_until_idle import next_due
from tests.app.sends.crowd import OFFER, RENEWAL, crowd_playbook, fill
from tests.app.sends.shop import Shop

EVERYBODY = audience_of("True")


@pytest.fixture
def shop(sqlite_database: Database) -> Shop:
    return Shop(sqlite_database, playbook=crowd_playbook())


def live_on(shop: Shop, until: Instant) -> None:
    """Let time pass from one instant at which something is due to the next."""
    shop.work()
    while True:
        with shop.database.read() as connection:
            at = next_due(connection, ["main"])
        if at >= min(until, FOREVER):
            return
        shop.clock.advance_to(at)
        shop.work()


def happened(shop: Shop, now: Instant, request: str = "r1") -> dict[int, tuple[str, str, Instant]]:
    """Return contact -> (kind, reason, when) of the send as it ended."""
    m, n = t.messages.c, t.non_entries.c
    became: dict[int, tuple[str, str, Instant]] = {}
    with shop.database.read() as connection:
        for row in connection.execute(sa.select(n.contact_id, n.reason).where(n.request == request)):
            became[row.contact_id] = ("sent_before" if row.reason == "once" else "never", row.reason, FOREVER)
        mails = sa.select(m.contact_id, m.status, m.reason, m.sent_at, m.id).where(m.request == request)
        for mail in connection.execute(mails.order_by(m.id)):
            if became.get(mail.contact_id, ("",))[0] in ("now", "later"):
                continue
            if mail.status == "sent":
                became[mail.contact_id] = ("now" if mail.sent_at == now else "later", "", mail.sent_at)
            else:
                became[mail.contact_id] = ("never", mail.reason, FOREVER)
    return became


def differences(shop: Shop, predicted: Sequence[PersonForecast], *, at: Instant | None = None) -> list[Any]:
    """Send the offer, let six days pass, and return what became otherwise than was predicted."""
    now = shop.now
    shop.send(OFFER, at=at)
    live_on(shop, now + 6 * DAY)
    became = happened(shop, now)
    expected = {person.contact: (person.kind, person.reason, person.at) for person in predicted}
    assert expected.keys() == became.keys()
    return [
        (contact, expected[contact], became[contact])
        for contact in expected
        if expected[contact] != became[contact]
    ]


def test_the_forecast_is_what_happens_person_by_person(shop: Shop) -> None:
    fill(shop, 2_000, seed=1)
    predicted = forecast_people(shop.services, OFFER, EVERYBODY)
    assert differences(shop, predicted) == []
    # Every way in which a send may end is among them.
    kinds, reasons = Counter(person.kind for person in predicted), {person.reason for person in predicted}
    assert min(kinds["now"], kinds["later"]) > 100
    assert kinds["sent_before"] > 10
    assert reasons >= {
        *("audience", "cap", "consent_withdrawn", "hold", "holdout", "no_consent", "other_track"),
        *("own_pause", "suppressed"),
    }


class Apart(AlikePeople):
    """Plays everybody."""

    def key_of(self, person: Person) -> None:
        """Return None: nobody is like anybody else."""


def forecast_by(shop: Shop, kind: type[AlikePeople]) -> tuple[list[PersonForecast], int]:
    """Return the forecast of the offer to everybody, and how many people were played."""
    with shop.database.read() as connection:
        scope = make_scope(connection, shop.playbook, now=shop.now, only_to=frozenset(), key=b"")
        alike = kind(shop.playbook.measures[OFFER], scope)
        ids = connection.scalars(sa.select(t.contacts.c.id).order_by(t.contacts.c.id)).all()
        pairs = list(forecast_page(connection, ids, ForecastOrder(alike.measure, {}), alike))
    return [forecast for forecast, _ in pairs], alike.played


def test_people_who_are_alike_are_played_once(sqlite_database: Database) -> None:
    playbook = crowd_playbook(steps=(MailStep("offer", "offer"),), audience=ALWAYS)
    # Renewals become due when the night's mail does, so for some an alarm takes the offer's place.
    renewal = replace(playbook.measures[RENEWAL], trigger=OnDate("renewal_at", minute_of_day=8 * 60))
    shop = Shop(sqlite_database, playbook=replace(playbook, measures={**playbook.measures, RENEWAL: renewal}))
    fill(shop, 300, seed=8)
    apart, all_of_them = forecast_by(shop, Apart)
    predicted, played = forecast_by(shop, AlikePeople)
    assert predicted == apart
    assert all_of_them == 300
    assert played < 0.8 * all_of_them


def test_a_send_with_a_time_is_forecast_from_that_time(shop: Shop) -> None:
    fill(shop, 120, seed=2)
    at = shop.now + 30 * HOUR
    predicted = forecast_people(shop.services, OFFER, EVERYBODY, ForecastOptions(at=at))
    assert {person.kind for person in predicted} >= {"later", "never"}
    assert min(person.at for person in predicted) >= at
    assert differences(shop, predicted, at=at) == []


def test_a_paused_measure_reaches_nobody(sqlite_database: Database) -> None:
    shop = Shop(sqlite_database, playbook=crowd_playbook(valid_for=4 * HOUR))
    fill(shop, 16, seed=3)
    with shop.database.write() as connection:
        set_switch(connection, OFFER, paused=True, reason="", actor="cli:ann", now=shop.now)
    predicted = forecast_people(shop.services, OFFER, EVERYBODY)
    assert {person.kind for person in predicted} <= {"never", "sent_before"}
    assert "paused" in {person.reason for person in predicted}
    assert differences(shop, predicted) == []


def test_a_rate_gives_each_mail_its_place(shop: Shop) -> None:
    fill(shop, 120, seed=4)
    now = shop.now
    predicted = forecast(shop.services, OFFER, EVERYBODY, ForecastOptions(rate=30))
    shop.send(OFFER, rate=30)
    live_on(shop, now + 6 * DAY)
    became = happened(shop, now).values()
    sent = sorted(at for kind, _, at in became if kind in ("now", "later"))
    assert predicted["reached"] == len(sent)
    assert min(later - earlier for earlier, later in pairwise(sent)) >= 2 * MINUTE
    assert abs(parse_iso(predicted["later_until"]) - sent[-1]) <= HOUR


def test_a_forecast_writes_nothing_and_tells_its_progress(shop: Shop) -> None:
    fill(shop, 60, seed=5)
    before = [rows(shop, table) for table in (t.contacts, t.contact_state, t.runs, t.messages, t.non_entries)]
    seen: list[int] = []
    predicted = forecast(shop.services, OFFER, EVERYBODY, progress=seen.append)
    after = [rows(shop, table) for table in (t.contacts, t.contact_state, t.runs, t.messages, t.non_entries)]
    assert (after == before, seen[-1], predicted["meant"]) == (True, 60, 60)
    assert predicted["reached"] + predicted["already_sent"] + sum(predicted["never"].values()) == 60


def test_several_processes_make_the_forecast_of_one(shop: Shop) -> None:
    fill(shop, 60, seed=7)
    seen: list[int] = []

    def made(processes: int) -> list[PersonForecast]:
        people = forecast_people(shop.services, OFFER, EVERYBODY, progress=seen.append, processes=processes)
        return sorted(people, key=lambda person: person.contact)

    alone = made(1)
    assert made(3) == alone
    assert seen[-1] == len(alone) == 60


def test_a_fault_in_one_process_ends_the_forecast() -> None:
    def fail(part: Part) -> Iterator[int]:
        yield part[0]
        if part[0] == 1:
            raise ValueError("wrong")
        pause(30)

    with pytest.raises(ValueError, match="wrong"):
        list(collect_parts(fail, 2))
    assert multiprocessing.active_children() == []

    def vanish(part: Part) -> Iterator[int]:
        yield part[0]
        os._exit(1)

    with pytest.raises(Transient, match="ended early"):
        list(collect_parts(vanish, 2))


def test_a_process_with_other_threads_forks_none() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        assert count_processes(10**6) == 1
    finally:
        ended.set()
        thread.join()
    assert count_processes(PEOPLE_MIN - 1) == 1


def test_one_person_is_forecast_alone(shop: Shop) -> None:
    fill(shop, 30, seed=6)
    everybody = {person.contact: person for person in forecast_people(shop.services, OFFER, EVERYBODY)}
    for number in (3, 17):
        (alone,) = forecast_people(
            shop.services, OFFER, find_recipients(shop.services, [f"contact:{number}"])
        )
        assert alone == everybody[number]


def rows(shop: Shop, table: sa.Table) -> list[Any]:
    with shop.database.read() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)))
