"""The holdout of the programme: some people get no marketing at all, and the report says what all of it brings."""

import json

import pytest
import sqlalchemy as sa

from nurture.app import contacts
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.errors import PlaybookError
from nurture.domain.instant import DAY, HOUR, MINUTE
from nurture.domain.sampling import hash_share
from nurture.journey import merge
from tests.measurement.shop import OFFER, Shop, a_folder, a_measure, built

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOTICE = "lead/any/notice"
LEVEL = '{event: Order Completed, within: 7d, expect: "5%"}'
PEOPLE = [f"p{number}@shop.example" for number in range(16)]


def a_shop(database: Database, holdout: str = "{programme: 50%}", **changes: str) -> Shop:
    """Return a shop with a marketing measure, a service measure, and people without any marketing."""
    service = a_measure(
        purpose="service", holdout="0%", metric='{event: Order Completed, within: 7d, expect: "5%"}'
    )
    files = a_folder({OFFER: a_measure(**changes), NOTICE: service})
    files["playbook.yaml"] += f"holdout: {holdout}\n"
    return Shop(database, loaded=built(files), files=files)


def kept_out(shop: Shop) -> set[int]:
    """Return the people in the arm without marketing."""
    epoch = shop.rows(t.experiments, measure="programme")[-1].id
    return {row.contact_id for row in shop.rows(t.enrolments, experiment=epoch) if row.arm == 0}


def test_some_people_get_no_marketing_and_all_get_service_mail(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    without = kept_out(shop)
    assert 2 < len(without) < 14
    got = {(row.measure, row.contact_id in without, row.status, row.reason) for row in shop.rows(t.messages)}
    assert got == {
        (OFFER, True, "skipped", "programme_holdout"),
        (OFFER, False, "skipped", "holdout"),
        (OFFER, False, "sent", ""),
        (NOTICE, True, "sent", ""),
        (NOTICE, False, "sent", ""),
    }


def test_people_without_marketing_are_in_no_arm_of_a_measure(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    (epoch,) = shop.rows(t.experiments, measure=OFFER)
    (programme,) = shop.rows(t.experiments, measure="programme")
    entered = {row.contact_id for row in shop.rows(t.enrolments, experiment=epoch.id)}
    everybody = {row.contact_id for row in shop.rows(t.enrolments, experiment=programme.id)}
    assert entered == everybody - kept_out(shop)
    assert len(everybody) == len(PEOPLE)
    reached = {row.contact_id for row in shop.rows(t.exposures, experiment=programme.id)}
    assert reached == everybody, "both arms alike"


def test_the_report_begins_with_the_programme(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    first = next(iter(shop.report().values()))
    assert (first["measure"], first["metric"], first["unit"]) == ("programme", "order", "amount")
    assert (first["enrolled"], first["within_days"], first["holdout_percent"]) == (16, 90, 50)
    shop.clock.advance_to(shop.now + HOUR)
    shop.buy(PEOPLE[0], "o1")
    shop.clock.advance_to(shop.now + 94 * DAY)
    row = shop.figures("programme")
    assert (row["n"] + row["n_control"], row["events"] + row["events_control"]) == (16, 1)
    assert row["goal"] == "what all marketing together brings"


def test_the_metric_and_the_window_can_be_chosen(database: Database) -> None:
    shop = a_shop(database, '{programme: 50%, metric: {event: Page Viewed, within: 30d, expect: "+5%"}}')
    shop.come(*PEOPLE)
    row = shop.figures("programme")
    assert (row["metric"], row["within_days"], row["unit"], row["expect"]) == (
        "Page Viewed",
        30,
        "points",
        "+5%",
    )


def arms_of_next_mails(shop: Shop, people: list[str]) -> list[int]:
    """Let people come; return 0 for each who gets no marketing."""
    for who in people:
        shop.tell(who, "Store Visited")
    shop.work()
    newest = shop.rows(t.messages, measure=OFFER)[-len(people) :]
    arms = {row.contact_id: int(row.reason != "programme_holdout") for row in newest}
    return [arms[contact] for contact in sorted(arms)]


def test_a_merge_goes_on_with_the_arm_of_whoever_was_due_first(database: Database) -> None:
    shop = a_shop(database)
    older, younger = PEOPLE[:8], PEOPLE[8:]
    for who in older:
        shop.tell(who, "Page Viewed")
    shop.come(*younger)
    shop.clock.advance_to(shop.now + MINUTE)
    without = kept_out(shop)
    now, playbook = shop.now, shop.loaded.playbook
    pairs = [(number, number + 8) for number in range(1, 9)]
    with database.write() as connection:
        for survivor, merged in pairs:
            merge.merge(connection, survivor, merged, now=now, playbook=playbook, evidence={})
    earlier = [int(merged not in without) for _, merged in pairs]
    assert arms_of_next_mails(shop, older) == earlier
    with database.write() as connection:
        for _, merged in pairs:
            merge.unmerge(connection, merged, now=now, playbook=playbook)
        agreed = {"topic": "news", "state": "granted", "at": shop.now, "source": "web", "evidence": "{}"}
        connection.execute(sa.insert(t.consents), [{"contact_id": first, **agreed} for first, _ in pairs])
    shop.clock.advance_to(shop.now + MINUTE)
    own = [int(hash_share("holdout", "programme", survivor) >= 5_000) for survivor, _ in pairs]
    assert own != earlier
    assert arms_of_next_mails(shop, older) == own, "another person after all draws alone"


def test_figures_count_two_who_are_one_in_the_earlier_arm(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    shop.clock.advance_to(shop.now + HOUR)
    without, survivor = kept_out(shop), 1
    other = min(
        {row.id for row in shop.rows(t.contacts)} - {survivor} - (without if survivor in without else set())
    )
    with database.write() as connection:
        merge.merge(
            connection,
            survivor,
            other,
            now=shop.now,
            playbook=shop.loaded.playbook,
            evidence={"actor": "ann"},
        )
    assert shop.figures("programme")["enrolled"] == len(PEOPLE) - 1


def test_a_certain_effect_is_told_once_and_stops_nothing(database: Database) -> None:
    shop = a_shop(database, '{programme: 50%, metric: {event: Order Completed, within: 7d, expect: "+5%"}}')
    shop.enter(400, 400, bought=(80, 20), measure="programme")
    counts = shop.judge()
    assert counts == {"judged": 3, "told:harms": 1}
    assert shop.rows(t.switches) == []
    (notice,) = shop.rows(t.notices)
    assert notice.recipient == "desk@shop.example"
    (act,) = [json.loads(row.detail) for row in shop.rows(t.audit, action="measure.verdict")]
    assert act["reason"] == "harms: 5.00 % against 20.00 % (400 people with and 400 without it)"
    shop.clock.advance_to(shop.now + DAY)
    assert shop.judge() == {"judged": 3, "told:misses": 1}
    shop.clock.advance_to(shop.now + DAY)
    assert shop.judge() == {"judged": 3}


def test_mail_that_a_person_asked_for_goes_on(database: Database) -> None:
    files = a_folder({OFFER: a_measure(asked_for="true", holdout="0%", metric=LEVEL)})
    files["playbook.yaml"] += "holdout: {programme: 50%}\nrequests: [Store Visited]\n"
    shop = Shop(database, loaded=built(files), files=files)
    shop.come(*PEOPLE)
    assert {(row.status, row.reason) for row in shop.rows(t.messages)} == {("sent", "")}
    assert kept_out(shop) == set(), "nobody was due for marketing"


def test_why_says_that_a_person_gets_no_marketing(database: Database) -> None:
    shop = a_shop(database, holdout="{programme: 100%}")
    shop.come("ann@shop.example")
    found = contacts.why(shop.services, "ann@shop.example", OFFER)
    assert (found["outcome"], found["answer"].startswith("The contact gets no marketing")) == (
        "holdout",
        True,
    )
    refusals = {row["check"]: row["value"] for row in found["findings"] if not row["met"]}
    assert refusals["programme_holdout"] == "gets no marketing, to show what all of it brings"


@pytest.mark.parametrize(
    ("holdout", "fault"),
    [
        ('{programme: 2%, metric: {event: Order Completed, within: 7d, expect: "banana"}}', "no expectation"),
        ('{programme: 2%, metric: {count: shoe, within: 7d, expect: "+2%"}}', "no entity `shoe`"),
        ("{programme: 2}", "a percentage such as 10%"),
    ],
)
def test_a_broken_holdout_gives_its_fault(database_url: str, holdout: str, fault: str) -> None:
    files = a_folder({OFFER: a_measure()})
    files["playbook.yaml"] += f"holdout: {holdout}\n"
    with pytest.raises(PlaybookError, match=fault):
        built(files)
