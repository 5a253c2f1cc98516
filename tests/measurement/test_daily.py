"""The daily task: what is certain has a consequence, once in a trial, and what is not certain has none."""

import json

import pytest
import sqlalchemy as sa

from nurture.app import pauses
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY
from tests.measurement.shop import OFFER, Shop, a_shop

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SHRINKS = "{start: 50%, then: 10%}"


def switches(shop: Shop) -> dict[str, bool]:
    return {row.name: row.paused for row in shop.rows(t.switches)}


def actions(shop: Shop) -> list[tuple[str, str]]:
    return [(row.verdict, row.action) for row in shop.rows(t.decisions)]


def recorded(shop: Shop) -> list[dict[str, str]]:
    return [json.loads(row.detail) for row in shop.rows(t.audit, action="measure.verdict")]


def test_a_measure_that_harms_is_stopped_once_and_its_owner_is_told(database: Database) -> None:
    shop = a_shop(database)
    shop.enter(400, 400, bought=(80, 20))
    assert shop.judge() == {"judged": 1, "stopped": 1}
    assert switches(shop) == {OFFER: True}
    assert actions(shop) == [("harms", "stopped"), ("misses", "")]
    (act,) = recorded(shop)
    assert act["reason"] == "harms: 5.00 % against 20.00 % (400 people with and 400 without it)"
    (notice,) = shop.rows(t.notices)
    assert (notice.kind, notice.recipient) == ("verdict", "desk@shop.example")
    assert shop.judge() == {}, "every measure is judged once a day"
    shop.clock.advance_to(shop.now + DAY)
    assert shop.judge() == {"judged": 1}, "and stopped once in a trial"


def test_a_resumed_measure_begins_a_new_trial_and_draws_anew(database: Database) -> None:
    shop = a_shop(database)
    shop.enter(400, 400, bought=(80, 20))
    shop.judge()
    people = [f"p{number}@shop.example" for number in range(40)]
    drawn = arms_of_runs(shop, people)
    assert pauses.set_switch(shop.services, OFFER, paused=False, actor="ann", reason="")["paused"] is False
    assert (shop.figures()["trial"], shop.figures()["n"], shop.figures()["verdicts"]) == (2, 0, ["undecided"])
    assert shop.rows(t.experiments)[-1].reason == "resumed"
    again = arms_of_runs(shop, people)
    assert 8 < sum(before != after for before, after in zip(drawn, again, strict=True)) < 32, (
        "half of them change sides"
    )
    shop.clock.advance_to(shop.now + DAY)
    assert shop.judge() == {"judged": 1}


def arms_of_runs(shop: Shop, people: list[str]) -> list[bool]:
    """Let people come once more; return who of them is held back."""
    shop.come(*people)
    newest = sa.select(sa.func.max(t.runs.c.id)).group_by(t.runs.c.contact_id)
    with shop.database.read() as connection:
        rows = connection.execute(
            sa.select(t.runs.c.contact_id, t.runs.c.holdout).where(t.runs.c.id.in_(newest))
        )
        return [row.holdout for row in sorted(rows)]


def test_a_measure_that_misses_its_promise_is_closed_to_new_people(database: Database) -> None:
    shop = a_shop(database, metric='{event: Order Completed, within: 7d, expect: "+20%"}')
    shop.come("early@shop.example")
    shop.enter(400, 400, bought=(20, 20))
    assert shop.judge() == {"judged": 1, "sent_back": 1}
    assert switches(shop) == {}
    shop.come("late@shop.example")
    assert len(shop.rows(t.runs)) == 1
    assert [row.reason for row in shop.rows(t.non_entries)] == ["sent_back"]
    pauses.set_entries(shop.services, OFFER, closed=False, actor="ann", reason="")
    shop.come("later@shop.example")
    assert len(shop.rows(t.runs)) == 2
    assert [(row.trial, row.reason) for row in shop.rows(t.experiments)] == [(1, "published"), (2, "resumed")]


def test_mail_that_people_need_is_never_stopped_by_a_figure(database: Database) -> None:
    shop = a_shop(
        database,
        purpose="service",
        holdout="0%",
        metric='{event: Order Completed, within: 7d, expect: "90%"}',
    )
    shop.enter(0, 400, bought=(0, 20))
    assert shop.judge() == {"judged": 1, "told:misses": 1}
    assert switches(shop) == {}
    shop.come("late@shop.example")
    assert len(shop.rows(t.runs)) == 1
    assert len(shop.rows(t.notices)) == 1


def test_a_measure_that_works_keeps_fewer_people_without_it(database: Database) -> None:
    shop = a_shop(database, holdout=SHRINKS)
    shop.enter(400, 400, bought=(20, 100))
    assert shop.judge() == {"judged": 1, "shrunk": 1}
    first, second = shop.rows(t.experiments)
    assert (second.trial, second.reason) == (first.trial, "shrunk")
    assert [json.loads(row.arms)[0] for row in (first, second)] == [["held back", 0.5], ["held back", 0.1]]
    shop.come(*(f"p{number}@shop.example" for number in range(60)))
    assert 0 < sum(row.holdout for row in shop.rows(t.runs)) < 15
    shop.enter(10, 90, bought=(1, 20))
    assert shop.figures()["verdicts"][0] == "works", "epochs of one trial multiply"


def test_the_same_block_keeps_the_share_and_another_one_begins_a_trial(database: Database) -> None:
    shop = a_shop(database, holdout=SHRINKS)
    shop.enter(400, 400, bought=(20, 100))
    shop.judge()
    words = f"{OFFER}/offer.en.txt"
    shop.publish(shop.files | {words: shop.files[words] + "More words.\n"})
    assert [(row.trial, json.loads(row.arms)[0][1]) for row in shop.rows(t.experiments)][2:] == [(1, 0.1)]
    other = shop.files[f"{OFFER}/measure.yaml"].replace(SHRINKS, "{start: 40%, then: 10%}")
    shop.publish(shop.files | {f"{OFFER}/measure.yaml": other})
    assert [(row.trial, json.loads(row.arms)[0][1]) for row in shop.rows(t.experiments)][3:] == [(2, 0.4)]


def test_arms_that_are_not_split_as_meant_are_told_and_nothing_else_is_done(database: Database) -> None:
    shop = a_shop(database)
    shop.enter(400, 800, bought=(80, 20))
    assert shop.judge() == {"judged": 1, "told:split": 1}
    assert switches(shop) == {}
    assert actions(shop) == [("split", "told:split")]
    assert shop.figures()["verdict"] == "arms not split as meant"
    assert shop.figures()["verdicts"] == ["undecided"]


def test_too_many_complaints_stop_a_measure_without_any_outcome(database: Database) -> None:
    shop = a_shop(database, holdout="0%", metric='{event: Order Completed, within: 7d, expect: "1%"}')
    mails = [
        {"contact_id": number, "measure": OFFER, "run_key": "k", "step": "offer", "mail": "offer", "track": "lead",
         "purpose": "nurture", "lane": "main", "priority": 50, "status": "sent", "decided_at": shop.now,
         "due_at": shop.now, "valid_until": shop.now, "sent_at": shop.now, "holdout": False}
        for number in range(1, 1001)
    ]  # fmt: skip
    reports = [
        {"provider": "ses", "event_id": str(number), "message_id": number, "kind": "complaint", "at": shop.now,
         "raw": ""}
        for number in range(1, 21)
    ]  # fmt: skip
    with database.write() as connection:
        connection.execute(sa.insert(t.messages), mails)
        connection.execute(sa.insert(t.feedback), reports)
    assert shop.judge() == {"judged": 1, "stopped": 1}
    (act,) = recorded(shop)
    assert act["reason"] == "20 of 1,000 mails were reported as spam"


def test_a_report_without_data_says_so(database: Database) -> None:
    shop = a_shop(database)
    row = shop.report()[OFFER]
    assert (row["n"], row["low"], row["verdict"], row["planned"]) == (0, None, "undecided", 0)
    shop.come("ann@shop.example")
    assert (shop.report()[OFFER]["enrolled"], shop.report()[OFFER]["planned"]) == (1, 1)


def test_the_weeks_to_go_follow_from_the_rate_and_the_entries(database: Database) -> None:
    shop = a_shop(database)
    shop.enter(200, 200, bought=(10, 12))
    found = shop.figures()
    # 4,419 people for 5 against 7 %, half of them held back; in 80 % of trials 2.4 times as many.
    needed = 2.4 * 4_419
    assert found["needed"] == pytest.approx(needed, rel=1e-3)
    assert found["weeks_to_go"] == pytest.approx((needed - 400) / found["entries_a_week"], abs=1)


def test_the_reason_of_a_miss_is_its_own_and_not_a_guards(database: Database) -> None:
    shop = a_shop(database, metric='{event: Order Completed, within: 7d, expect: "+20%"}')
    shop.come("early@shop.example")
    shop.enter(400, 400, bought=(20, 20))
    (mail,) = [row.id for row in shop.rows(t.messages)]
    with database.write() as connection:
        connection.execute(sa.update(t.messages).values(status="sent", sent_at=shop.now))
        report = {
            "provider": "ses",
            "event_id": "1",
            "message_id": mail,
            "kind": "unsubscribe",
            "at": shop.now,
        }
        connection.execute(sa.insert(t.feedback).values(**report, raw=""))
    assert shop.judge() == {"judged": 1, "sent_back": 1}
    (act,) = recorded(shop)
    assert act["reason"] == "misses: 5.00 % against 5.00 % (400 people with and 400 without it)"


def test_money_is_told_as_money(database: Database) -> None:
    shop = a_shop(database, metric='{sum: amount, of: order, within: 7d, expect: "+8.00 EUR"}')
    shop.enter(400, 400, bought=(100, 100))
    assert shop.judge() == {"judged": 1, "sent_back": 1}
    (act,) = recorded(shop)
    assert (
        act["reason"]
        == "misses: 2.50 EUR a person against 2.50 EUR a person (400 people with and 400 without it)"
    )
