"""Rows of measurement: who enters, in which arm, whom a mail reaches, and what people did, however it was told."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import pauses
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from nurture.journey import merge
from nurture.measurement.experiment_queries import load_figures
from nurture.playbook.epoch_queries import load_epochs
from nurture.playbook.measure_words import words_by_measure
from tests.measurement.shop import AFTER, OFFER, Shop, a_folder, a_measure, a_shop, built

ONE_KIND = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PEOPLE = [f"p{number}@shop.example" for number in range(12)]


def arms(shop: Shop) -> dict[int, int]:
    """Return contact -> arm of each enrolment."""
    return {row.contact_id: row.arm for row in shop.rows(t.enrolments)}


def test_both_arms_enter_alike_and_are_reached_alike(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    assert len(arms(shop)) == len(PEOPLE)
    assert set(arms(shop).values()) == {0, 1}
    control = {row.contact_id for row in shop.rows(t.messages) if row.reason == "holdout"}
    assert control == {contact for contact, arm in arms(shop).items() if arm == 0}
    assert {row.contact_id for row in shop.rows(t.exposures)} == arms(shop).keys()
    (entered,) = {
        (row.entered_at, row.matures_at - row.entered_at, row.segment) for row in shop.rows(t.enrolments)
    }
    assert entered == (shop.now, 10 * DAY, "aware"), "seven days, and three for what is late"


@ONE_KIND
def test_a_person_who_is_not_reached_has_entered_all_the_same(database: Database) -> None:
    shop = a_shop(database)
    for who in PEOPLE:
        shop.tell(who, "Store Visited")
    shop.live(DAY)
    assert len(arms(shop)) == len(PEOPLE)
    assert shop.rows(t.exposures) == [], "nobody agreed to news"


@ONE_KIND
def test_nobody_enters_twice_nor_a_new_epoch_with_an_open_window(database: Database) -> None:
    shop = a_shop(database)
    shop.come("ann@shop.example")
    shop.live(DAY)
    shop.come("ann@shop.example")
    shop.publish(
        a_folder({OFFER: a_measure(trigger="{event: Store Visited, where: city == 'Bonn'}")}) | _properties()
    )
    shop.live(DAY)
    shop.tell("ann@shop.example", "Store Visited", city="Bonn")
    shop.tell("ben@shop.example", "Store Visited", city="Bonn")
    shop.work()
    first, second = shop.rows(t.experiments, measure=OFFER)
    assert (first.trial, second.trial, second.reason) == (1, 1, "changed")
    assert [(row.experiment, row.contact_id) for row in shop.rows(t.enrolments)] == [
        (first.id, 1),
        (second.id, 2),
    ]
    shop.live(6 * DAY)
    shop.tell("ann@shop.example", "Store Visited", city="Bonn")
    shop.work()
    assert [row.experiment for row in shop.rows(t.enrolments, contact_id=1)] == [first.id, second.id]


def _properties() -> dict[str, str]:
    files = a_folder({})
    return {"playbook.yaml": files["playbook.yaml"].replace("properties: {", "properties: {city: text, ")}


@ONE_KIND
def test_words_and_rules_begin_an_epoch_and_other_measures_do_not(database: Database) -> None:
    shop = a_shop(database)
    files = a_folder({OFFER: a_measure(), "lead/any/other": a_measure(trigger="{event: Chat Opened}")})
    shop.publish(files)
    assert [row.measure for row in shop.rows(t.experiments)] == [OFFER, "lead/any/other"]
    shop.publish(files | {f"{OFFER}/offer.en.txt": files[f"{OFFER}/offer.en.txt"] + "More words.\n"})
    shop.publish(files | {f"{OFFER}/sample.json": '{"event": {}}'})
    assert [row.measure for row in shop.rows(t.experiments)] == [OFFER, "lead/any/other", OFFER, OFFER]


def test_a_layout_or_string_begins_an_epoch_of_the_measures_that_use_it() -> None:
    files = {
        "_layout/base.mjml": '{% from "parts" import button %}{{ t.footer }}{{ t["topic_" ~ topic] }}',
        "_layout/parts.mjml": "a button",
        "_layout/other.mjml": "another frame",
        "_layout/strings.en.yaml": "# Words.\nfooter: Bye\nunused: No\ntopic_news: News\n",
        "_layout/strings.de.yaml": "footer: Adieu\n",
        "lead/any/a/a.en.mjml": '{% extends "base" %}',
        "lead/any/b/b.en.mjml": '{%- include "other.mjml" -%}',
    }
    before = words_by_measure(files)

    def changed(path: str, text: str) -> set[str]:
        return {
            name for name, words in words_by_measure({**files, path: text}).items() if words != before[name]
        }

    assert changed("_layout/base.mjml", "{{ t.footer }}") == {"lead/any/a"}
    assert changed("_layout/parts.mjml", "a link") == {"lead/any/a"}
    assert changed("_layout/other.mjml", "a third frame") == {"lead/any/b"}
    assert changed("_layout/strings.en.yaml", "footer: See you\n") == {"lead/any/a"}
    assert changed("_layout/strings.en.yaml", "footer: Bye\nunused: Yes\ntopic_news: News\n") == set()
    assert changed("_layout/strings.en.yaml", "footer: Bye\ntopic_news: Letter\n") == {"lead/any/a"}
    assert changed("_layout/strings.de.yaml", "footer: Bis bald\n") == set()
    assert changed("lead/any/a/measure.yaml", "goal: another") == set()


@ONE_KIND
def test_a_run_that_is_handed_over_keeps_its_arm_and_enrols_nobody(database: Database) -> None:
    steps = "[{mail: offer}, {wait: 2d, id: pause}, {mail: offer, id: second}]"
    files = a_folder(
        {
            OFFER: a_measure(handover=AFTER, steps=steps),
            AFTER: a_measure(trigger="{event: Other}", steps=steps),
        }
    )
    shop = Shop(database, loaded=built(files), files=files)
    shop.come(*PEOPLE)
    before = arms(shop)
    for who in PEOPLE:
        shop.buy(who, who)
    shop.live(3 * DAY)
    assert {row.measure for row in shop.rows(t.runs) if row.status == "done"} == {AFTER}
    assert arms(shop) == before
    control = {row.contact_id for row in shop.rows(t.runs, measure=AFTER) if row.holdout}
    assert control == {contact for contact, arm in before.items() if arm == 0}


@ONE_KIND
def test_a_person_who_comes_while_the_measure_is_paused_is_in_no_arm(database: Database) -> None:
    shop = a_shop(database)
    shop.come("early@shop.example")
    pauses.set_switch(shop.services, OFFER, paused=True, actor="ann", reason="a wrong price")
    shop.live(HOUR)
    shop.come("meanwhile@shop.example")
    pauses.set_switch(shop.services, OFFER, paused=False, actor="ann", reason="")
    shop.live(HOUR)
    shop.come("later@shop.example")
    shop.live(12 * DAY)
    (pause,) = shop.rows(t.pauses)
    assert (pause.name, pause.mode, pause.reason, pause.until - pause.since) == (
        OFFER,
        "all",
        "a wrong price",
        HOUR,
    )
    assert (shop.figures()["enrolled"], shop.figures()["trial"]) == (2, 1)
    # A pause of another measure stops nobody here.
    other = {"name": "lead/any/other", "mode": "all", "since": 0, "reason": "", "actor": "ann"}
    epoch = {**shop.rows(t.experiments)[0]._mapping, "id": 99, "measure": "lead/any/other"}
    with database.write() as connection:
        connection.execute(sa.insert(t.experiments).values(epoch))
        connection.execute(sa.insert(t.pauses).values(other))
    assert shop.figures()["enrolled"] == 2


@ONE_KIND
def test_a_run_that_an_alarm_begins_before_a_merge_enters_too(database: Database) -> None:
    silent = a_measure(trigger="{condition: audience}", audience='silent_days("Store Visited") > 3')
    files = a_folder({OFFER: silent})
    shop = Shop(database, loaded=built(files), files=files)
    shop.tell("ann@shop.example", "Store Visited")
    shop.tell("ben@shop.example", "Page Viewed")
    shop.work()
    shop.clock.advance_to(shop.now + 5 * DAY)
    with database.write() as connection:
        merge.merge(connection, 1, 2, now=shop.now, playbook=shop.loaded.playbook, evidence={"actor": "ann"})
    assert {row.contact_id for row in shop.rows(t.runs)} <= arms(shop).keys() != set()


# ---- outcomes --------------------------------------------------------------------------------------------


def test_an_order_told_three_times_is_one_and_what_is_taken_back_is_taken_off(database: Database) -> None:
    shop = a_shop(database)
    for number in range(3):
        shop.buy("ann@shop.example", "1", id=f"told-{number}")
    assert shop.outcomes() == [("1", "counted", 1, 1000)]
    shop.tell("ann@shop.example", "Order Refunded", order_id="1", refund_id="r1", total="4.00")
    shop.work()
    shop.tell("ann@shop.example", "Order Refunded", order_id="1", refund_id="r1", total="4.00")
    shop.work()
    assert shop.outcomes()[1:] == [("1", "adjusted", 0, -400)]
    shop.tell("ann@shop.example", "Order Cancelled", order_id="1")
    shop.work()
    assert shop.outcomes()[2:] == [("1", "reversed", -1, -600)]


@ONE_KIND
def test_an_order_is_dated_by_its_earliest_event_and_a_reversal_may_come_first(database: Database) -> None:
    shop = a_shop(database)
    shop.tell("ann@shop.example", "Order Cancelled", order_id="2")
    shop.work()
    shop.buy("ann@shop.example", "2")
    assert shop.outcomes() == [], "it was never worth anything"
    shop.buy("ann@shop.example", "3", at=shop.now - HOUR)
    shop.buy("ann@shop.example", "3", at=shop.now - DAY)
    assert shop.outcomes() == [("3", "counted", 0, 0), ("3", "counted", 1, 1000)]
    rows = shop.rows(t.outcomes)
    assert min(row.at for row in rows) == shop.now - DAY


def test_an_order_that_both_told_counts_once_and_an_unmerge_gives_it_back(database: Database) -> None:
    shop = a_shop(database)
    shop.buy("ann@shop.example", "1")
    shop.buy("ben@shop.example", "1")
    shop.buy("ben@shop.example", "2")
    playbook = shop.loaded.playbook
    with database.write() as connection:
        merge.merge(connection, 1, 2, now=shop.now, playbook=playbook, evidence={"actor": "ann"})
    assert sums(shop) == {"1": (1, 1000), "2": (1, 1000)}
    shop.live(HOUR)
    with database.write() as connection:
        merge.unmerge(connection, 2, now=shop.now, playbook=playbook)
    assert sums(shop) == {"1": (2, 2000), "2": (1, 1000)}


def sums(shop: Shop) -> dict[str, tuple[int, int]]:
    """Return key -> (how often it counts, the amount) over everybody's rows."""
    o = t.outcomes.c
    statement = sa.select(o.entity_key, sa.func.sum(o.number), sa.func.sum(o.value_minor)).group_by(
        o.entity_key
    )
    with shop.database.read() as connection:
        return {key: (number, amount) for key, number, amount in connection.execute(statement)}


@ONE_KIND
def test_an_event_that_is_about_nothing_counts_by_its_message(database: Database) -> None:
    shop = a_shop(database, metric='{event: Article Read, within: 7d, expect: "+2%"}')
    shop.come(*PEOPLE[:2])
    shop.live(HOUR)
    shop.tell(PEOPLE[0], "Article Read", id="m1")
    shop.tell(PEOPLE[0], "Article Read", id="m2")
    shop.work()
    assert [key for key, *_ in shop.outcomes("Article Read")] == ["test:m1", "test:m2"]
    shop.live(12 * DAY)
    assert sum(row["events"] for row in shop.figures()["arms"]) == 1, "one person"


# ---- sums of days ----------------------------------------------------------------------------------------


def test_only_what_happens_in_the_window_counts_and_only_when_it_is_over(database: Database) -> None:
    shop = a_shop(database)
    shop.come("in@shop.example", "out@shop.example", "before@shop.example")
    shop.buy("before@shop.example", "b", at=shop.now - HOUR)
    shop.live(7 * DAY)
    shop.buy("in@shop.example", "i")
    shop.live(HOUR)
    shop.buy("out@shop.example", "o")
    shop.live(2 * DAY)
    assert sum(row["mature"] for row in shop.figures()["arms"]) == 0
    assert shop.figures()["enrolled"] == 3
    shop.live(DAY)
    assert [sum(row[name] for row in shop.figures()["arms"]) for name in ("mature", "events")] == [3, 1]


def test_a_person_of_two_contacts_is_one_in_the_arm_that_came_first(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    shop.live(HOUR)
    mine = arms(shop)
    control = min(contact for contact, arm in mine.items() if arm == 0)
    with database.write() as connection:
        connection.execute(
            sa.update(t.enrolments)
            .where(t.enrolments.c.contact_id == control)
            .values(entered_at=shop.now - DAY)
        )
    other = min(contact for contact, arm in mine.items() if arm == 1)
    with database.write() as connection:
        merge.merge(
            connection,
            control,
            other,
            now=shop.now,
            playbook=shop.loaded.playbook,
            evidence={"actor": "ann"},
        )
    shop.live(12 * DAY)
    counted = {row["arm"]: row["entered"] for row in shop.figures()["arms"]}
    assert counted == {
        "held back": sum(arm == 0 for arm in mine.values()),
        "mailed": sum(arm == 1 for arm in mine.values()) - 1,
    }


def test_money_is_net_in_the_promised_currency_and_cut(database: Database) -> None:
    metric = '{sum: amount, of: order, within: 7d, expect: "+1.50 EUR"}'
    files = a_folder({AFTER: a_measure(metric=metric, holdout="0.01%")})
    shop = Shop(database, loaded=built(files), files=files)
    people = [f"{name}@shop.example" for name in ("ann", "ben", "cy", "di")]
    for number in range(100):
        order: dict[str, Any] = {"order_id": f"x{number}", "revenue": "20.00", "currency": "EUR"}
        shop.tell(f"old{number}@shop.example", "Order Completed", **order)
    for who in people:
        shop.buy(who, f"before {who}", "5.00")
    words = f"{AFTER}/offer.en.txt"
    shop.publish(files | {words: files[words] + "More words.\n"})
    assert [row.cap for row in shop.rows(t.experiments)] == [None, 2000]
    shop.live(HOUR)
    shop.come(*people)
    shop.live(HOUR)
    ann, ben, cy, _ = people
    shop.buy(ann, "a1", "12.00")
    shop.tell(ann, "Order Refunded", order_id="a1", refund_id="r", total="2.00")
    shop.buy(ben, "b1", "15.00")
    shop.buy(ben, "b2", "15.00")
    shop.tell(cy, "Order Completed", order_id="c1", revenue="99.00", currency="USD")
    shop.live(12 * DAY)
    with database.read() as connection:
        (sums,) = load_figures(connection, load_epochs(connection, [AFTER]), now=shop.now)[2].days
    money, before = sums.amounts.sums, sums.amounts.covariate
    assert (sums.people, money.total, money.squares) == (4, 1000 + 2000, 1000**2 + 2000**2)
    assert (before.total, sums.amounts.product) == (4 * 500, 500 * (1000 + 2000))
