"""Clicks and opens: a GET is telemetry, judged later with all that happened to the mail, and decides nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.consent import record
from nurture.database.engine import decode
from nurture.database.schema import feedback, messages, touches
from nurture.domain.bot_detection import JUDGED_AFTER
from nurture.domain.instant import HOUR, MINUTE, SECOND
from nurture.domain.signing import sign_token
from nurture.feedback.click_queries import CLICKS_MAX
from nurture.feedback.clicks import delete_judged, is_due, judge_clicks
from nurture.rendering.links import links_for
from nurture.runtime.clock import ManualClock
from tests.web.live import KEYS, NOW, a_contact, a_service, stored_consents
from tests.web.pages.test_public import BOTH, a_message, client, events, kind, link, services, versions

__all__ = ["client", "kind", "services"]

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Accept-Language": "en",
}
TARGET = "https://shop.example/?code=AGAIN"


@pytest.fixture
def contact(services: Services) -> int:
    return a_contact(services.database)


@pytest.fixture
def message(services: Services, contact: int) -> int:
    """Store a mail that left an hour ago."""
    number = a_message(services, contact, "lead/any/letter", context={"target": TARGET})
    with services.database.write() as connection:
        connection.execute(sa.update(messages).values(sent_at=NOW - HOUR))
    return number


def path(page: str, message: int) -> str:
    return f"/{page}/" + sign_token(KEYS, {"c": "click", "o": "open"}[page], {"m": message})


def kept(services: Services) -> list[tuple[str, str, str]]:
    with services.database.read() as connection:
        rows = connection.execute(sa.select(touches).order_by(touches.c.id))
        return [(row.kind, row.link, row.agent) for row in rows]


def reported(services: Services) -> list[tuple[str, bool, dict[str, Any]]]:
    with services.database.read() as connection:
        rows = connection.execute(sa.select(feedback).order_by(feedback.c.at, feedback.c.kind))
        return [(row.kind, bool(row.machine), decode(row.detail)) for row in rows]


def later(services: Services, duration: int) -> None:
    clock = services.clock
    assert isinstance(clock, ManualClock)
    clock.advance_to(clock.now() + duration)


def find_machine_signs(services: Services, *, after: int = JUDGED_AFTER) -> dict[str, int]:
    later(services, after)
    key, now = services.settings.suppression_secret, services.clock.now()
    done = services.database.run(lambda c: judge_clicks(c, now=now, suppression_key=key))
    return {reason: number for reason, number in done.items() if number}


@BOTH
def test_a_click_is_judged_a_minute_later_and_only_then_an_event(
    client: httpx.Client, services: Services, message: int
) -> None:
    answer = client.get(path("c", message), headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
    assert kept(services) == [("click", "", "browser")]
    assert (events(services), reported(services), versions(services)) == ([], [], [0])
    assert find_machine_signs(services, after=JUDGED_AFTER - SECOND) == {}
    assert find_machine_signs(services, after=SECOND) == {"judged": 1, "click": 1}
    ((name, properties),) = events(services)
    assert name == "Email Link Clicked"
    assert (properties["message"], properties["measure"]) == (message, "lead/any/letter")
    assert reported(services) == [("click", False, {"agent": "browser"})]
    # Judged once.
    assert find_machine_signs(services) == {}
    assert len(events(services)) == 1


@BOTH
def test_a_scanner_that_opens_everything_is_kept_as_a_machine_and_no_event(
    client: httpx.Client, services: Services, contact: int, message: int
) -> None:
    for url in (
        path("c", message),
        link("unsubscribe", contact, message=message),
        link("preferences", contact, message=message),
        link("survey", contact, message=message) + "?answer=9",
        path("o", message),
    ):
        for method in ("HEAD", "GET"):
            assert client.request(method, url, headers=BROWSER).status_code < 400
    # All within one instant of the test's clock, as a browser, and with every page shown.
    assert len(kept(services)) == 5
    judged = find_machine_signs(services)
    assert (judged["judged"], judged["machine"]) == (5, 5)
    by_machine = {"agent": "browser", "sign": "burst"}
    assert reported(services) == [("click", True, by_machine), ("open", True, by_machine)]
    assert (events(services), stored_consents(services.database), versions(services)) == ([], [], [0])


@pytest.mark.parametrize(
    ("headers", "agent"),
    [
        ({"User-Agent": ""}, "none"),
        ({"User-Agent": "curl/8.5.0"}, "tool"),
        ({**BROWSER, "Sec-Purpose": "prefetch"}, "prefetch"),
        ({"User-Agent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}, "proxy"),
        ({"User-Agent": '"><script>alert(1)</script>' + "x" * 5_000}, "browser"),
    ],
)
def test_of_who_asked_only_the_kind_is_kept(
    client: httpx.Client, services: Services, message: int, headers: dict[str, str], agent: str
) -> None:
    assert client.get(path("o", message), headers=headers).status_code == 200
    assert kept(services) == [("open", "", agent)]


def test_the_same_click_within_an_hour_is_one_event(
    client: httpx.Client, services: Services, message: int
) -> None:
    for _ in range(3):
        client.get(path("c", message), headers=BROWSER)
        later(services, MINUTE)
    find_machine_signs(services)
    later(services, HOUR)
    client.get(path("c", message), headers=BROWSER)
    find_machine_signs(services)
    assert [name for name, _ in events(services)] == ["Email Link Clicked"] * 2


def test_a_mail_keeps_so_many_touches_and_no_more(
    client: httpx.Client, services: Services, message: int
) -> None:
    for _ in range(CLICKS_MAX + 3):
        assert client.get(path("c", message), headers=BROWSER).status_code == 302
    assert len(kept(services)) == CLICKS_MAX


def test_head_is_answered_and_not_kept(client: httpx.Client, services: Services, message: int) -> None:
    for page in ("c", "o"):
        assert client.head(path(page, message), headers=BROWSER).status_code < 400
    assert kept(services) == []


def test_nothing_is_kept_for_who_does_not_want_it(
    client: httpx.Client, services: Services, contact: int, message: int
) -> None:
    services.database.run(
        lambda c: record.set_preferences(
            c, contact_id=contact, values={"tracking": 1}, now=NOW, source="test", evidence={}
        )
    )
    assert client.get(path("c", message), headers=BROWSER).status_code == 302
    client.get(path("o", message), headers=BROWSER)
    client.get(link("preferences", contact, message=message), headers=BROWSER)
    assert kept(services) == []


def test_nothing_is_kept_where_the_installation_does_not_count(
    open_browser: Callable[[Services], httpx.Client], services: Services, message: int
) -> None:
    quiet = a_service(services.database, clock=services.clock, tracking=False)
    client = open_browser(replace(quiet, playbooks=services.playbooks))
    assert client.get(path("c", message), headers=BROWSER).status_code == 302
    assert kept(services) == []


def test_judged_clicks_are_deleted_after_a_day(
    client: httpx.Client, services: Services, message: int
) -> None:
    client.get(path("c", message), headers=BROWSER)
    assert not services.database.run(lambda c: is_due(c, now=NOW))
    later(services, JUDGED_AFTER)
    assert services.database.run(lambda c: is_due(c, now=services.clock.now()))
    find_machine_signs(services)
    later(services, 23 * HOUR)
    assert services.database.run(lambda c: delete_judged(c, now=services.clock.now())) == 0
    later(services, 2 * HOUR)
    assert services.database.run(lambda c: delete_judged(c, now=services.clock.now())) == 1
    assert len(reported(services)) == 1


@BOTH
def test_a_click_leads_on_when_it_cannot_be_kept(
    client: httpx.Client, services: Services, message: int
) -> None:
    with services.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE touches RENAME TO touches_away")
    assert client.get(path("c", message), headers=BROWSER).headers["location"] == TARGET
    assert client.get(path("o", message), headers=BROWSER).status_code == 200


# ---- referral --------------------------------------------------------------------------------------------


def invite(contact: int) -> str:
    """Return the path of a person's referral link as their mails carry it."""
    links = links_for(KEYS, "", contact_id=contact, message_id=3, topic=None, names={"referral"})
    assert links == links_for(KEYS, "", contact_id=contact, message_id=4, topic=None, names={"referral"})
    return links["referral"]


def test_a_friend_is_sent_on_with_the_code_and_nothing_is_kept_of_them(
    client: httpx.Client, services: Services, contact: int
) -> None:
    path = invite(contact)
    for method in ("GET", "HEAD"):
        answer = client.request(method, path + "?code=OTHER&url=https://evil.example", headers=BROWSER)
        assert answer.status_code == 302
        assert answer.headers["location"] == "https://lark.example?code=" + path.removeprefix("/r/")
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    assert (kept(services), events(services), versions(services)) == ([], [], [0])


def test_an_invitation_ends_with_who_sent_it_and_is_nobody_elses(
    client: httpx.Client, services: Services, contact: int
) -> None:
    erased = a_contact(services.database, "gone@example.com", erased_at=NOW)
    answer = client.get(invite(erased))
    assert (answer.status_code, "This invitation has ended" in answer.text) == (410, True)
    preferences = link("preferences", contact).removeprefix("/p/")
    for wrong in ("x", preferences, invite(contact)[3:-2]):
        assert client.get("/r/" + wrong).status_code == 404
    # A code is passed around: it opens nothing of the person's.
    for page in ("/p/", "/u/", "/s/", "/confirm/"):
        assert client.get(page + invite(contact)[3:]).status_code == 404
