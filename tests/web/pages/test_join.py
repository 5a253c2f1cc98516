"""The page on which anybody may ask for a topic: a mail asks its owner, and nothing is told to strangers."""

import re
from collections.abc import Callable

import httpx
import pytest
import sqlalchemy as sa

from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database
from nurture.database.schema import consents, contacts, inbox, wordings
from nurture.domain.instant import HOUR, MINUTE
from nurture.web.pages.join_limits import BY_CLIENT, IN_ALL, JoinLimits
from tests.scenarios.world import World

LEA = "lea@example.com"
CONFIRM = "any/confirm_subscription/confirm"


@pytest.fixture
def world(sqlite_database: Database) -> World:
    return World(sqlite_database)


@pytest.fixture
def client(world: World, open_browser: Callable[..., httpx.Client]) -> httpx.Client:
    return open_browser(world.services)


def submit(
    client: httpx.Client, path: str = "/join/news", *, email: str = LEA, **fields: str
) -> httpx.Response:
    """Submit the form as a browser does: with every field of the page that was shown."""
    page = client.get(path)
    shown = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    return client.post(path.partition("?")[0], data={**shown, "email": email, "website": "", **fields})


def mails(world: World) -> list[str]:
    """Return the recipients of all confirmation mails that left."""
    world.work()
    return [file.recipient for file in world.outlet.kept]


def rows(world: World, who: str = LEA) -> list[tuple[str, str, str]]:
    """Return topic, state and version of the words of each consent, oldest first."""
    with world.database.read() as connection:
        mine = consents.c.contact_id == resolve_contact(connection, who)
        found = connection.execute(sa.select(consents).where(mine).order_by(consents.c.id))
        return [(row.topic, row.state, row.wording) for row in found]


def waiting(world: World) -> int:
    with world.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(inbox)) or 0


def test_a_stranger_asks_confirms_by_mail_and_is_asked_no_more(world: World, client: httpx.Client) -> None:
    answer = submit(client)
    assert (answer.status_code, "Check your mailbox" in answer.text, LEA in answer.text) == (200, True, False)
    assert "set-cookie" not in answer.headers
    assert mails(world) == [LEA]
    (asked,) = rows(world)
    assert asked[:2] == ("news", "pending")
    with world.database.read() as connection:
        stored = connection.execute(sa.select(wordings).where(wordings.c.version == asked[2])).one()
    assert (stored.page, stored.language) == ("join", "en")
    assert "by mail?" in stored.words
    body = world.sent_mails()[0].get_body(("plain",))
    assert body is not None
    (link,) = re.findall(r"https://mail\.shop\.example(/confirm/\S+)", body.get_content())
    world.live(MINUTE)
    assert client.post(link).status_code == 200
    world.work()
    assert [row[:2] for row in rows(world)] == [("news", "pending"), ("news", "granted")]
    world.live(25 * HOUR)
    assert submit(client).text == answer.text, "nobody learns here who gets the topic"
    world.live(MINUTE)
    assert [name for _, name in world.mails()].count(CONFIRM) == 1


def test_the_address_is_asked_once_a_day(world: World, client: httpx.Client) -> None:
    answers = {submit(client, email=text).text for text in (LEA, "  LEA@Example.com ", LEA)}
    assert len(answers) <= 2, "the mask shows the first letter as it was typed"
    assert mails(world) == [LEA]


def test_a_program_that_fills_in_the_hidden_field_gets_the_same_answer_and_nothing_happens(
    world: World, client: httpx.Client
) -> None:
    taken = submit(client, email="somebody@example.com").text
    before = waiting(world)
    trapped = submit(client, email="somebody@example.com", website="https://spam.example")
    assert (trapped.status_code, trapped.text) == (200, taken)
    assert waiting(world) == before


def test_a_form_of_the_shops_own_needs_the_address_alone(world: World, client: httpx.Client) -> None:
    answer = client.post("/join/news", data={"email": LEA}, headers={"Origin": "https://shop.example"})
    assert answer.status_code == 200
    assert mails(world) == [LEA]
    assert rows(world) == [("news", "pending", "")], "the words of another page are not ours to prove"


@pytest.mark.parametrize("email", ["", "lea", "lea@", '"><script>alert(1)</script>', "a@b@c.example"])
def test_a_wrong_address_is_named_and_kept_for_correction(
    world: World, client: httpx.Client, email: str
) -> None:
    answer = submit(client, email=email)
    assert answer.status_code == 422
    assert "does not look like an e-mail address" in answer.text
    assert "<script>" not in answer.text
    assert waiting(world) == 0


@pytest.mark.parametrize("topic", ["no_such", "News", "..%2Fnews", "*"])
def test_there_is_a_page_for_topics_of_the_programme_alone(client: httpx.Client, topic: str) -> None:
    assert client.get(f"/join/{topic}").status_code == 404
    assert client.post(f"/join/{topic}", data={"email": LEA}).status_code == 404


@pytest.mark.parametrize(
    ("query", "accepted", "spoken"),
    [
        ("", "zh-TW,zh;q=0.9,en;q=0.8", ("通过邮件接收", "zh-CN")),
        ("", "fr-FR,fr;q=0.9,en;q=0.5", ("by mail?", "en")),
        ("?lang=zh-CN", "en", ("通过邮件接收", "zh-CN")),
        ("?lang=%3Cb%3E", "ja", ("by mail?", "en")),
    ],
)
def test_page_and_mail_speak_the_language_of_the_visitor(
    world: World, client: httpx.Client, query: str, accepted: str, spoken: tuple[str, str]
) -> None:
    title, language = spoken
    client.headers["accept-language"] = accepted
    assert title in client.get(f"/join/news{query}").text
    submit(client, f"/join/news{query}")
    world.work()
    with world.database.read() as connection:
        assert connection.scalar(sa.select(contacts.c.locale)) == language


def test_it_changes_nothing_else_about_a_person_whom_we_know(world: World, client: httpx.Client) -> None:
    world.tell(LEA, "Identified", traits={"locale": "zh-CN", "firstName": "Lea"})
    world.tell(LEA, "Consent Given", topic="reminders")
    world.work()
    with world.database.read() as connection:
        before = connection.execute(sa.select(contacts.c.locale, contacts.c.email, contacts.c.track)).all()
    submit(client)
    assert mails(world) == [LEA]
    with world.database.read() as connection:
        after = connection.execute(sa.select(contacts.c.locale, contacts.c.email, contacts.c.track)).all()
    assert after == before
    assert [row[:2] for row in rows(world)] == [("reminders", "granted"), ("news", "pending")]


def test_a_client_that_asks_too_often_is_refused_until_the_next_hour(
    world: World, client: httpx.Client
) -> None:
    for number in range(BY_CLIENT):
        assert submit(client, email=f"n{number}@example.com").status_code == 200
    refused = submit(client, email="more@example.com")
    assert refused.status_code == 429
    assert "try again in an hour" in refused.text
    assert 'value="more@example.com"' in refused.text
    assert waiting(world) == BY_CLIENT
    world.clock.advance_to(world.now + HOUR)
    assert submit(client, email="more@example.com").status_code == 200


def test_all_clients_together_are_bounded_too() -> None:
    limits = JoinLimits()
    taken = sum(limits.take(f"client {number % 1000}", now=0) for number in range(IN_ALL + 500))
    assert taken == IN_ALL
    assert limits.take("client 1", now=HOUR)
