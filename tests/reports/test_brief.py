"""The Monday brief: figures worked by hand, one mail a week to each owner, both parts in both languages."""

import base64
import zlib
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from nurture.app.figures import brief as briefs
from nurture.consent.record import set_switch
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import DAY, HOUR, parse_iso
from nurture.reports.brief.blocks import page_of
from nurture.reports.brief.collect import Brief, LateCase, Moved, Stop, Verdict
from nurture.reports.brief.mail import mail_of
from tests.measurement.shop import OFFER, Shop, a_folder, a_measure, built
from workers.scheduler import tidy


def shop_of(database: Database, **settings: object) -> Shop:
    files = a_folder({OFFER: a_measure()})
    files["playbook.yaml"] += (
        "calendars: {office: {zone: Europe/Berlin, weekdays: [mon], from: '09:00', to: '17:00'}}\n"
        "owners: {mira: {name: Mira Lenz, address: mira@shop.example, calendar: office},"
        " tom: {name: Tom Adler, address: tom@shop.example, calendar: office}}\n"
    )
    shop = Shop(database, loaded=built(files), files=files)
    settings_now = shop.services.settings.model_copy(update=settings)
    shop.services = replace(shop.services, settings=settings_now)
    return shop


def brief_of(shop: Shop, **asked: str) -> Brief:
    wanted: dict[str, Any] = {"who": None, "until": None, "language": None, **asked}
    return briefs.show_brief(shop.services, **wanted)[0]


def send_to(shop: Shop, who: str) -> dict[str, Any]:
    return briefs.send_brief(shop.services, who, until=None, language="zh-CN", actor="ann")


def queued(shop: Shop) -> list[EmailMessage]:
    rows = shop.rows(t.notices, kind="brief")
    data = [zlib.decompress(base64.b64decode(row.data)) for row in rows]
    return [message_from_bytes(mail, policy=policy.default) for mail in data]


def test_figures_of_the_week_stand_beside_those_of_the_week_before(database: Database) -> None:
    shop = shop_of(database)
    shop.come("ann@shop.example")
    shop.buy("ann@shop.example", "o-1", "10.00")
    shop.clock.advance_to(shop.now + 7 * DAY)
    shop.buy("ann@shop.example", "o-2", "30.50")
    shop.buy("ben@shop.example", "o-3", "4.50")
    shop.tell(
        "ben@shop.example", "Order Refunded", order_id="o-3", total="1.50", refund_id="r-1", currency="EUR"
    )
    shop.work()
    shop.clock.advance_to(shop.now + DAY)
    brief = brief_of(shop)
    moved = {row.name: row for row in brief.moved}
    assert moved["people"] == Moved("people", 1, 1)
    assert moved["customers"] == Moved("customers", 1, 1)
    assert moved["orders"] == Moved("orders", 2, 1)
    assert moved["amount"] == Moved("amount", 3350, 1000, "EUR")
    assert brief.stages == [Moved("stage", 1, 1, about="excite"), Moved("stage", 1, 0, about="ascend")]
    assert (brief.stops, brief.overdue, brief.open_pauses) == (0, 0, [])


def test_open_and_overdue_cases_pauses_and_thanks_by_name_are_in_it(database: Database) -> None:
    shop = shop_of(database)
    praise = "Thank you Tom, you were so quick."
    for who, comment in (("ann", praise), ("ben", "Tom never answered.")):
        shop.tell(f"{who}@shop.example", "Survey Answered", survey="nps", score=9, comment=comment)
    shop.work()
    shop.database.run(
        lambda c: set_switch(c, OFFER, paused=True, reason="wrong price", actor="mira", now=shop.now)
    )
    shop.clock.advance_to(shop.now + 7 * DAY)
    brief = brief_of(shop, who="mira")
    with shop.database.read() as connection:
        ann = resolve_contact(connection, "ann@shop.example")
    assert [(row.name, row.quote, row.contact) for row in brief.thanks] == [("Tom Adler", praise, ann)]
    assert (brief.open_cases, brief.overdue, len(brief.late)) == (2, 2, 2)
    assert [(row.name, row.actor, row.reason) for row in brief.open_pauses] == [
        (OFFER, "mira", "wrong price")
    ]
    assert [row.name for row in brief.pauses] == [OFFER]
    assert brief.recipient == "Mira Lenz"


def test_a_measure_that_harms_is_in_it_with_its_people(database: Database) -> None:
    shop = shop_of(database)
    shop.enter(2_000, 2_000, bought=(600, 300))
    assert shop.judge()["stopped"] == 1
    shop.clock.advance_to(shop.now + DAY)
    brief = brief_of(shop)
    (row,) = brief.stopped
    assert (row.measure, row.verdict, row.action, row.treated, row.control) == (
        OFFER,
        "harms",
        "stopped",
        2000,
        2000,
    )
    assert row.difference == pytest.approx(-0.15)
    mail = mail_of(page_of(brief, "en"))
    assert f"{OFFER} does harm; is stopped: nobody gets" in mail.text
    assert "\u221215.00 points; 2,000 people with it, 2,000 without" in mail.text
    assert "\u221215.00 个百分点；有邮件 2,000 人" in mail_of(page_of(brief, "zh-CN")).text


def test_each_owner_gets_one_mail_a_week_from_monday_morning_on(database: Database) -> None:
    shop = shop_of(database, brief_to=("mira", "tom:zh-CN", "mira", "stranger"))
    shop.clock.advance_to(parse_iso("2026-03-09T06:59:00Z"))
    assert briefs.send_weekly(shop.services)["briefs"] == 0
    shop.clock.advance_to(parse_iso("2026-03-09T07:00:00Z"))
    assert briefs.send_weekly(shop.services)["briefs"] == 2
    assert briefs.send_weekly(shop.services)["briefs"] == 0
    shop.clock.advance_to(shop.now + 2 * DAY)
    shop.database.run(lambda connection: tidy(connection, shop.services, shop.now))
    assert briefs.send_weekly(shop.services)["briefs"] == 0
    english, chinese = queued(shop)
    assert (english["To"], chinese["To"]) == ("mira@shop.example", "tom@shop.example")
    assert english["Subject"].startswith("Monday brief, Mar 2 – 8: ")
    assert chinese["Subject"].startswith("周一简报（3月2日至8日）")
    assert [part.get_content_type() for part in english.iter_parts()] == ["text/plain", "text/html"]
    shop.clock.advance_to(parse_iso("2026-03-16T07:00:00Z"))
    assert briefs.send_weekly(shop.services)["briefs"] == 2


def test_a_brief_is_not_sent_late_in_the_week_nor_to_nobody(database: Database) -> None:
    shop = shop_of(database, brief_to=("mira",))
    shop.clock.advance_to(parse_iso("2026-03-12T07:00:01Z"))
    assert briefs.send_weekly(shop.services)["briefs"] == 0
    shop.clock.advance_to(parse_iso("2026-03-16T08:00:00Z"))
    settings = shop.services.settings.model_copy(update={"brief_to": ("nobody",)})
    assert briefs.send_weekly(replace(shop.services, settings=settings))["briefs"] == 0


def test_without_a_setting_the_address_for_overdue_cases_gets_it(database: Database) -> None:
    shop = shop_of(database)
    shop.clock.advance_to(parse_iso("2026-03-09T09:00:00Z"))
    assert briefs.send_weekly(shop.services)["briefs"] == 1
    assert [mail["To"] for mail in queued(shop)] == ["desk@shop.example"]


def test_only_owners_get_one_by_hand_and_the_audit_log_has_no_address(database: Database) -> None:
    shop = shop_of(database)
    assert send_to(shop, "tom@shop.example")["to"] == "tom"
    (row,) = shop.rows(t.audit, action="brief.send")
    assert "@" not in row.detail
    with pytest.raises(NotFoundError, match="mira, tom"):
        send_to(shop, "eve@elsewhere.example")
    with pytest.raises(InputError, match="en or zh-CN"):
        briefs.show_brief(shop.services, who=None, until=None, language="fr")
    with pytest.raises(InputError, match="has not begun"):
        briefs.show_brief(shop.services, who=None, until="2090-01-01", language=None)


def test_the_html_has_bars_in_cells_no_picture_and_nothing_unescaped(database: Database) -> None:
    shop = shop_of(database)
    shop.come("ann@shop.example")
    shop.clock.advance_to(shop.now + DAY)
    brief = brief_of(shop)
    brief.pauses.append(Stop("<b>lane</b>", True, shop.now, "ann & co", ""))
    brief.late.append(LateCase("R-1", "Tom", True, shop.now - HOUR))
    brief.verdicts.append(Verdict(OFFER, "works", "shrunk", 900, 100, 120.0, "EUR", is_amount=True))
    html = mail_of(page_of(brief, "en")).html
    assert "&lt;b&gt;lane&lt;/b&gt;" in html
    assert 'class="now" width="100%"' in html
    assert "(+€1.20 a person; 900 people with it, 100 without)" in html
    assert not any(word in html for word in ("<img", "<script", "url(", "http"))


def test_a_brief_over_nothing_says_what_it_needs(database: Database) -> None:
    shop = shop_of(database)
    text = mail_of(page_of(brief_of(shop), "en")).text
    assert "nurture import" in text
    assert "No measure is compared yet" in text
    assert "NaN" not in text
