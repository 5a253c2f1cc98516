"""A sent mail is made again from its values and compared with what left; looking at it acts on nobody."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.messages import html_of, show
from nurture.database.engine import Database, decode, encode
from nurture.database.schema import messages
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import MINUTE
from tests.scenarios.world import World

ADA = "ada@example.com"


@pytest.fixture
def world(sqlite_database: Database) -> World:
    """Return an installation in which Ada ordered (a receipt) and subscribed (a welcome)."""
    world = World(sqlite_database)
    world.tell(ADA, "Signed In", method="password")
    world.work()
    world.consent(ADA, "news")
    world.tell(ADA, "Topic Confirmed", topic="news")
    world.live(2 * MINUTE)
    world.tell(ADA, "Order Completed", order_id="A-1", total=40, currency="EUR")
    world.work()
    return world


def message_of(world: World, purpose: str) -> str:
    with world.database.read() as connection:
        sent = sa.select(messages.c.id).where(messages.c.purpose == purpose, messages.c.sent_at.is_not(None))
        return str(connection.scalars(sent.order_by(messages.c.id)).first())


def context_of(world: World, number: str) -> dict[str, Any]:
    with world.database.read() as connection:
        text = connection.scalars(sa.select(messages.c.context).where(messages.c.id == int(number))).one()
    context: dict[str, Any] = decode(str(text))
    return context


def change(world: World, number: str, **values: Any) -> None:
    row = sa.update(messages).where(messages.c.id == int(number)).values(**values)
    world.database.run(lambda connection: connection.execute(row))


@pytest.mark.parametrize("purpose", ["transactional", "nurture"])
def test_a_sent_mail_is_made_again_byte_by_byte(world: World, purpose: str) -> None:
    mail = show(world.services, message_of(world, purpose))
    assert (mail["status"], mail["proof"], mail["to"]) == ("sent", "same", ADA)
    (sent,) = [sent for sent in world.sent_mails() if sent["Subject"] == mail["subject"]]
    text = sent.get_body(("plain",))
    assert text is not None
    # Only links differ: as many lines, and every line without a link is equal.
    pairs = list(zip(mail["text"].splitlines(), text.get_content().splitlines(), strict=True))
    assert [a for a, b in pairs if a != b and "https://" not in b] == []
    assert mail["attempts"][0]["outcome"] == "sent"
    assert all(check["passed"] for check in mail["checks"])


def test_looking_at_a_mail_gives_nobody_a_token(world: World) -> None:
    number = message_of(world, "nurture")
    mail = show(world.services, number)
    context = context_of(world, number)
    # A picture's address is the hash of its bytes, the same for everybody.
    pages = {name: url for name, url in context["links"].items() if not name.startswith("image_")}
    tokens = [url.rpartition("/")[2] for url in pages.values()]
    assert {"unsubscribe", "preferences", "call_to_action"} <= pages.keys()
    assert [token for token in tokens if token in mail["text"] or token in html_of(mail)] == []
    assert context["target"] in html_of(mail)


def test_a_mail_whose_values_were_changed_says_that_it_differs(world: World) -> None:
    number = message_of(world, "nurture")
    context = context_of(world, number)
    change(world, number, context=encode({**context, "date": context["date"] + 60_000_000}))
    mail = show(world.services, number)
    assert mail["proof"] == "differs"
    assert mail["html"] is not None


def test_a_mail_without_values_says_why(world: World) -> None:
    number = message_of(world, "nurture")
    change(world, number, context=None)
    mail = show(world.services, number)
    assert (mail["proof"], mail["text"]) == ("none", None)
    assert "deleted" in mail["note"]
    with pytest.raises(InputError, match="no HTML part"):
        html_of(mail)
    change(world, number, status="waiting", sent_at=None)
    assert "when it is due" in show(world.services, number)["note"]


@pytest.mark.parametrize("number", ["0", "999999", "x", "-1", "9" * 40])
def test_an_unknown_message_is_named(world: World, number: str) -> None:
    with pytest.raises(NotFoundError, match="nurture messages"):
        show(world.services, number)
