"""The pages behind the links of a mail: GET shows, POST acts once, a wrong token does nothing."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.consent.record import address_hash
from nurture.database.engine import Database, encode
from nurture.database.schema import contacts, messages, suppressions, wishes
from nurture.domain.identity import canonical_email
from nurture.domain.instant import DAY, HOUR
from nurture.domain.signing import SigningKeys, sign_token
from nurture.runtime.clock import ManualClock
from tests.rig.notifier import recorded_by
from tests.web.live import KEYS, NOW, a_contact, a_service, accepted, stored_consents

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
PATHS = {"unsubscribe": "/u/", "confirm": "/confirm/", "preferences": "/p/", "survey": "/s/"}


#: For what writes: both databases.
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def services(kind: str, request: pytest.FixtureRequest) -> Services:
    database: Database = request.getfixturevalue(f"{kind}_database")
    return a_service(database, clock=ManualClock(NOW))


@pytest.fixture
def client(services: Services, open_browser: Callable[[Services], httpx.Client]) -> httpx.Client:
    return open_browser(services)


def link(
    purpose: str, contact_id: int, *, topic: str | None = "news", message: int = 7, keys: SigningKeys = KEYS
) -> str:
    """Return the path of a link as the mails carry it."""
    payload: dict[str, Any] = {"c": contact_id, "m": message}
    if purpose in ("unsubscribe", "confirm") and topic:
        payload["t"] = topic
    return PATHS[purpose] + sign_token(keys, purpose, payload)


def events(services: Services) -> list[tuple[str, dict[str, Any]]]:
    """Return name and properties of the events that wait."""
    return [(row["name"], row.get("properties", {})) for row in accepted(services.database)]


def versions(services: Services) -> list[int]:
    with services.database.read() as connection:
        return list(connection.scalars(sa.select(contacts.c.version).order_by(contacts.c.id)))


def suppressed(services: Services) -> list[tuple[str, str, str]]:
    with services.database.read() as connection:
        rows = connection.execute(sa.select(suppressions))
        return [(row.address_hash, row.scope, row.reason) for row in rows]


def wished(services: Services) -> list[tuple[str, int]]:
    """Return what was asked of all marketing mail, oldest first."""
    with services.database.read() as connection:
        rows = connection.execute(sa.select(wishes).order_by(wishes.c.id))
        return [(row.kind, row.value) for row in rows]


def a_message(
    services: Services, contact_id: int, measure: str, *, context: dict[str, Any] | None = None
) -> int:
    """Store a sent message of a contact; return its id."""
    row = {
        "contact_id": contact_id,
        "measure": measure,
        "run_key": "",
        "step": "ask",
        "mail": "ask",
        "track": measure.split("/", 1)[0],
        "purpose": "service",
        "lane": "main",
        "priority": 50,
        "holdout": False,
        "status": "sent",
        "decided_at": NOW,
        "due_at": NOW,
        "valid_until": NOW,
        "context": encode(context or {}),
    }
    with services.database.write() as connection:
        return int(connection.execute(sa.insert(messages).values(row).returning(messages.c.id)).scalar_one())


# ---- unsubscribe -----------------------------------------------------------------------------------------


@BOTH
def test_one_click_stops_the_topic_before_it_is_answered(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    answer = client.post(link("unsubscribe", contact), data=ONE_CLICK)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert stored_consents(services.database) == [(contact, "news", "withdrawn")]
    assert versions(services) == [1]
    assert events(services) == [("Unsubscribed", {"topic": "news", "message": 7})]
    assert accepted(services.database)[0]["user_id"] == f"user-{contact}"
    assert len(recorded_by(services.database).notifications) == 1
    assert suppressed(services) == []


@BOTH
def test_a_mail_provider_may_post_the_same_again_and_in_any_form(
    client: httpx.Client, services: Services
) -> None:
    path = link("unsubscribe", a_contact(services.database))
    for form in (
        {"data": ONE_CLICK},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b""},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "application/octet-stream"}},
    ):
        assert client.post(path, **form).status_code == 200
    assert len(stored_consents(services.database)) == 1
    assert len(events(services)) == 1


@BOTH
def test_everything_may_be_stopped_at_once(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    answer = client.post(link("unsubscribe", contact), data={"scope": "all"})
    assert answer.status_code == 200
    assert stored_consents(services.database) == [(contact, "*", "withdrawn")]
    hashed = address_hash(canonical_email("mara@example.com") or "", services.settings.suppression_secret)
    assert suppressed(services) == [(hashed, "marketing", "unsubscribed")]


def test_a_mail_without_a_topic_stops_everything(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    client.post(link("unsubscribe", contact, topic=None), data=ONE_CLICK)
    assert stored_consents(services.database) == [(contact, "*", "withdrawn")]


@BOTH
def test_a_person_who_agreed_again_can_stop_again_by_the_old_link(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    clock = services.clock
    assert isinstance(clock, ManualClock)
    for purpose in ("unsubscribe", "confirm", "unsubscribe"):
        clock.advance_to(clock.now() + 1)
        client.post(link(purpose, contact))
    assert [state for _, _, state in stored_consents(services.database)] == [
        "withdrawn",
        "granted",
        "withdrawn",
    ]
    assert [name for name, _ in events(services)] == ["Unsubscribed", "Topic Confirmed", "Unsubscribed"]
    assert len({row["message_id"] for row in accepted(services.database)}) == 3


@BOTH
def test_a_merged_persons_link_acts_for_who_they_are_now(client: httpx.Client, services: Services) -> None:
    survivor = a_contact(services.database)
    merged = a_contact(services.database, "old@example.com", survivor=survivor)
    assert client.post(link("unsubscribe", merged), data=ONE_CLICK).status_code == 200
    assert stored_consents(services.database) == [(survivor, "news", "withdrawn")]
    assert accepted(services.database)[0]["user_id"] == f"user-{survivor}"


def test_an_erased_persons_link_is_answered_and_does_nothing(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database, erased_at=NOW)
    for answer in (client.get(link("unsubscribe", contact)), client.post(link("unsubscribe", contact))):
        assert answer.status_code == 200
        assert "Nothing to do" in answer.text
    assert (stored_consents(services.database), events(services)) == ([], [])


@pytest.mark.parametrize("purpose", PATHS)
def test_a_huge_form_is_refused_unread(client: httpx.Client, services: Services, purpose: str) -> None:
    path = link(purpose, a_contact(services.database))
    chinese = {"Accept-Language": "zh-CN"}
    for content in (b"x" * 100_000, iter([b"x" * 20_000] * 5)):
        answer = client.post(path, content=content, headers=chinese)
        assert answer.status_code == 413
        assert "提交未成功" in answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert (stored_consents(services.database), events(services), versions(services)) == ([], [], [0])


@BOTH
def test_less_is_offered_before_none_and_none_is_one_click(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    path = link("unsubscribe", contact)
    offered = re.findall(r'<button name="scope" value="(\w+)"', client.get(path).text)
    assert offered == ["less", "topic", "all"]
    answer = client.post(path, data={"scope": "less"})
    assert "at most one newsletter or offer a month" in answer.text
    assert wished(services) == [("often", 30 * DAY)]
    assert stored_consents(services.database) == []
    assert 'value="less"' not in client.get(path).text
    assert client.post(path, data={"scope": "topic"}).status_code == 200
    assert stored_consents(services.database) == [(contact, "news", "withdrawn")]


def test_one_click_is_answered_within_a_second_without_a_cookie(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    client.get("/u/x")  # what is only made once
    for _ in range(3):
        answer = client.post(link("unsubscribe", contact), data=ONE_CLICK)
        assert (answer.status_code, answer.has_redirect_location) == (200, False)
        assert answer.elapsed.total_seconds() < 1
        assert not client.cookies
    assert len(stored_consents(services.database)) == 1


# ---- GET and HEAD ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", PATHS)
def test_get_and_head_show_and_never_change_anything(
    client: httpx.Client, services: Services, purpose: str
) -> None:
    path = link(purpose, a_contact(services.database))
    for method in ("GET", "HEAD"):
        for query in ("", "?answer=9", "?scope=all&List-Unsubscribe=One-Click"):
            answer = client.request(method, path + query)
            assert answer.status_code == 200
            assert bool(answer.content) == (method == "GET")
    assert (stored_consents(services.database), events(services), versions(services)) == ([], [], [0])


@pytest.mark.parametrize("purpose", PATHS)
def test_every_page_keeps_its_address_to_itself(
    client: httpx.Client, services: Services, purpose: str
) -> None:
    path = link(purpose, a_contact(services.database))
    for answer in (client.get(path), client.post(path), client.get(path[:-3])):
        headers = answer.headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "noindex" in headers["x-robots-tag"]
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "<script" not in answer.text
        assert "style=" not in answer.text
        assert "mara@example.com" not in answer.text


# ---- wrong tokens ----------------------------------------------------------------------------------------

FOREIGN = SigningKeys((b"the secret of somebody else's house",))


@pytest.mark.parametrize("purpose", PATHS)
def test_a_wrong_token_leads_to_a_plain_page_and_does_nothing(
    client: httpx.Client, services: Services, purpose: str
) -> None:
    contact = a_contact(services.database)
    good = link(purpose, contact)
    root, token = PATHS[purpose], good.removeprefix(PATHS[purpose])
    other = next(name for name in PATHS if name != purpose)
    wrong = {
        "foreign": link(purpose, contact, keys=FOREIGN),
        "of another page": root + link(other, contact).removeprefix(PATHS[other]),
        "tampered": root + token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"),
        "cut": good[:-5],
        "empty payload": root + sign_token(KEYS, purpose, {}),
        "no number": root + sign_token(KEYS, purpose, {"c": "1 OR 1=1", "m": 7}),
        "nonsense": root + "x",
        "long": root + "A" * 5_000,
    }
    for name, path in wrong.items():
        for answer in (
            client.get(path),
            client.post(path, data={"scope": "all", "topic": "news", "score": "9"}),
        ):
            assert answer.status_code == 404, name
            assert "This link does not work" in answer.text
    assert (stored_consents(services.database), events(services), versions(services)) == ([], [], [0])


def test_a_token_for_nobody_does_nothing(client: httpx.Client, services: Services) -> None:
    answer = client.post(link("unsubscribe", 4711), data=ONE_CLICK)
    assert (answer.status_code, events(services)) == (200, [])


# ---- confirm ---------------------------------------------------------------------------------------------


def test_confirming_grants_the_topic_once(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    path = link("confirm", contact)
    assert "Send “News and guides” to m•••@example.com?" in client.get(path).text
    for _ in range(2):
        assert "Welcome" in client.post(path).text
    assert stored_consents(services.database) == [(contact, "news", "granted")]
    assert events(services) == [("Topic Confirmed", {"topic": "news", "message": 7})]


@pytest.mark.parametrize("scope", ["topic", "all"])
def test_a_link_that_was_followed_grants_nothing_after_a_later_unsubscribe(
    client: httpx.Client, services: Services, scope: str
) -> None:
    contact, clock = a_contact(services.database), services.clock
    assert isinstance(clock, ManualClock)
    path = link("confirm", contact)
    assert client.post(path).status_code == 200
    clock.advance_to(NOW + 1)
    client.post(link("unsubscribe", contact), data={"scope": scope})
    clock.advance_to(NOW + 2)
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 410
        assert "no longer starts it" in answer.text
        assert 'href="/p/' in answer.text
    assert [state for _, _, state in stored_consents(services.database)] == ["granted", "withdrawn"]
    # Another mail answers another request.
    assert client.post(link("confirm", contact, message=8)).status_code == 200
    assert [state for _, _, state in stored_consents(services.database)][-1] == "granted"


@BOTH
def test_a_request_from_before_the_unsubscribe_is_spent_although_nobody_had_followed_it(
    client: httpx.Client, services: Services
) -> None:
    contact, clock = a_contact(services.database, locale="zh-CN"), services.clock
    assert isinstance(clock, ManualClock)
    number = a_message(services, contact, "any/confirm_subscription")
    clock.advance_to(NOW + HOUR)
    client.post(link("unsubscribe", contact), data={"scope": "all"})
    clock.advance_to(NOW + DAY)
    answer = client.post(link("confirm", contact, message=number))
    assert answer.status_code == 410
    assert "请在邮件设置里选择它" in answer.text
    assert [state for _, _, state in stored_consents(services.database)] == ["withdrawn"]


@BOTH
def test_confirming_takes_back_an_earlier_unsubscribe_from_everything(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    client.post(link("unsubscribe", contact), data={"scope": "all"})
    clock = services.clock
    assert isinstance(clock, ManualClock)
    clock.advance_to(NOW + 1)
    client.post(link("confirm", contact))
    assert suppressed(services) == []


# ---- preferences -----------------------------------------------------------------------------------------


def ticked(text: str) -> list[str]:
    """Return the topics that a preference page shows as chosen."""
    return re.findall(r'name="topic" value="(\w+)" checked', text)


@BOTH
def test_topics_are_switched_on_and_off(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    path = link("preferences", contact)
    clock = services.clock
    assert isinstance(clock, ManualClock)
    assert ticked(client.get(path).text) == []
    for chosen in (["news", "offers"], ["offers"], []):
        clock.advance_to(clock.now() + 1)
        answer = client.post(path, data={"topic": chosen, "wording": "as shown"})
        assert ticked(answer.text) == chosen
        assert "Saved." in answer.text
        assert ticked(client.get(path).text) == chosen
    states = [(topic, state) for _, topic, state in stored_consents(services.database)]
    assert states == [
        ("news", "granted"),
        ("offers", "granted"),
        ("news", "withdrawn"),
        ("offers", "withdrawn"),
    ]
    assert [name for name, _ in events(services)] == ["Topic Confirmed"] * 2 + ["Unsubscribed"] * 2


def test_topics_nobody_spoke_of_stay_so_when_left_off(client: httpx.Client, services: Services) -> None:
    client.post(link("preferences", a_contact(services.database)), data={"topic": ["offers"]})
    assert [topic for _, topic, _ in stored_consents(services.database)] == ["offers"]


def test_all_may_be_stopped_from_the_preferences(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    answer = client.post(link("preferences", contact), data={"none": "1", "topic": ["news"]})
    assert ticked(answer.text) == []
    assert stored_consents(services.database) == [(contact, "*", "withdrawn")]


def test_unknown_topics_are_ignored(client: httpx.Client, services: Services) -> None:
    client.post(link("preferences", a_contact(services.database)), data={"topic": ["other", "<script>"]})
    assert stored_consents(services.database) == []


def test_a_program_that_posts_whatever_it_finds_empties_nobodys_choices(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    client.post(link("confirm", contact))
    for content in (b"", b"List-Unsubscribe=One-Click", b"\x00"):
        assert client.post(link("preferences", contact), content=content).status_code == 200
    assert stored_consents(services.database) == [(contact, "news", "granted")]


# ---- survey ----------------------------------------------------------------------------------------------


@BOTH
def test_the_score_of_the_link_is_preselected_and_only_the_post_records_it(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    message = a_message(services, contact, "customer/any/nps_survey")
    path = link("survey", contact, message=message)
    text = client.get(f"{path}?answer=9").text
    assert re.findall(r'value="(\d+)" required checked', text) == ["9"]
    assert events(services) == []
    answer = client.post(path, data={"score": "10", "comment": "  fast & friendly "})
    assert "Thank you" in answer.text
    assert events(services) == [
        (
            "Survey Answered",
            {"survey": "nps_survey", "score": 10, "comment": "fast & friendly", "message": message},
        )
    ]


def test_the_same_answer_twice_is_one_event_and_another_answer_a_newer_one(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    path = link("survey", contact)
    for score in ("9", "9", "3"):
        client.post(path, data={"score": score})
    ids = [row["message_id"] for row in accepted(services.database)]
    assert ids[0] == ids[1] != ids[2]


def test_a_choice_is_an_answer_and_no_score(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    message = a_message(services, contact, "lead/any/welcome_series")
    path = link("survey", contact, message=message)
    assert 'name="answer" value="home"' in client.get(f"{path}?answer=home").text
    client.post(path, data={"answer": "home"})
    assert events(services) == [
        ("Survey Answered", {"survey": "welcome_series", "answer": "home", "message": message})
    ]


def test_no_answer_is_asked_for_again(client: httpx.Client, services: Services) -> None:
    answer = client.post(link("survey", a_contact(services.database)), data={"comment": "hm"})
    assert "Please choose a number first." in answer.text
    assert events(services) == []


@pytest.mark.parametrize(
    "hostile", ['"><script>alert(1)</script>', "{{ 7*7 }}", "<img src=x onerror=alert(1)>"]
)
def test_values_in_a_link_are_shown_as_text(client: httpx.Client, services: Services, hostile: str) -> None:
    text = client.get(link("survey", a_contact(services.database)), params={"answer": hostile}).text
    assert hostile not in text or "{{" in hostile
    assert "<script>" not in text
    assert "<img" not in text


# ---- click and open --------------------------------------------------------------------------------------


def click(message: int, keys: SigningKeys = KEYS) -> str:
    return "/c/" + sign_token(keys, "click", {"m": message})


@BOTH
def test_a_click_leads_to_the_mails_own_target_and_nowhere_else(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    target = "https://shop.example/?code=AGAIN&name=ü"
    message = a_message(services, contact, "customer/any/offer", context={"target": target})
    for method in ("GET", "HEAD"):
        answer = client.request(method, click(message) + "?u=https://evil.example&target=//evil.example")
        assert answer.status_code == 302
        assert answer.headers["location"] == "https://shop.example/?code=AGAIN&name=%C3%BC"
    assert client.get(click(message, FOREIGN)).status_code == 404
    assert client.get(click(message + 1)).status_code == 404
    assert events(services) == []


@pytest.mark.parametrize("target", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "", None, 5])
def test_a_click_leads_to_web_pages_only(client: httpx.Client, services: Services, target: Any) -> None:
    message = a_message(
        services, a_contact(services.database), "customer/any/offer", context={"target": target}
    )
    assert client.get(click(message)).status_code == 404


def test_the_picture_is_the_same_for_everybody(client: httpx.Client, services: Services) -> None:
    answers = [client.get("/o/" + sign_token(KEYS, "open", {"m": 1})), client.get("/o/nonsense")]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].content == answers[1].content
    assert events(services) == []


# ---- languages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "english", "chinese"),
    [
        ("unsubscribe", "Stop “News and guides” to", "不再向"),
        ("confirm", "Yes, send it to me", "是的，请发给我"),
        ("preferences", "What may we send you?", "您想收到哪些邮件？"),
        ("survey", "How likely is it", "您有多大可能"),
    ],
)
def test_pages_speak_the_contacts_language(
    client: httpx.Client, services: Services, purpose: str, english: str, chinese: str
) -> None:
    other = {"Accept-Language": "zh-CN,zh;q=0.9"}
    mara = a_contact(services.database, locale="en-GB")
    wei = a_contact(services.database, "wei@example.cn", locale="zh-Hans-CN")
    unknown = a_contact(services.database, "u@example.com", locale=None)
    assert english in client.get(link(purpose, mara), headers=other).text
    text = client.get(link(purpose, wei)).text
    assert chinese in text
    assert '<html lang="zh-CN">' in text
    assert chinese in client.get(link(purpose, unknown), headers=other).text
    assert english in client.get(link(purpose, unknown)).text


def test_topics_carry_their_titles_in_the_contacts_language(client: httpx.Client, services: Services) -> None:
    text = client.get(link("preferences", a_contact(services.database, locale="zh-CN"))).text
    assert "资讯与指南" in text
    assert "每周一封短邮件" in text


def test_the_page_for_a_wrong_link_speaks_the_browsers_language(client: httpx.Client) -> None:
    assert "此链接无效" in client.get("/u/x", headers={"Accept-Language": "zh-TW"}).text


def test_the_texts_of_the_pages_are_complete_in_both_languages() -> None:
    from nurture.web.pages.words import CHINESE, ENGLISH

    assert CHINESE.keys() == ENGLISH.keys()
    for key, text in ENGLISH.items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", CHINESE[key])), key


# ---- away ------------------------------------------------------------------------------------------------


@BOTH
def test_a_database_that_is_away_is_said_so_and_the_provider_comes_again(
    client: httpx.Client, services: Services
) -> None:
    path = link("unsubscribe", a_contact(services.database))
    with services.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE consents RENAME TO consents_away")
    answer = client.post(path, data=ONE_CLICK)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    with services.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE consents_away RENAME TO consents")
    assert client.post(path, data=ONE_CLICK).status_code == 200
    assert len(events(services)) == 1
