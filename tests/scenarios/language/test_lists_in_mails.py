"""Timelines of lists in mails: a digest of fresh pieces, and a cart whose goods run low or have related ones."""

from collections.abc import Mapping
from typing import Any

from nurture.app import contacts, messages, previews
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

ADA, BEN = "ada@example.com", "ben@example.com"
PARTS = """\
properties: {title: text, url: text, category: text, locale: text, product_id: text, stock: integer, name: text}
entities:
  order: {key: order_id, of: [Order Completed], counts_from: Order Completed, lines: {in: products, key: product_id}}
  cart:
    key: cart_id
    of: [Product Added, Product Removed]
    lines: {key: product_id, added_by: [Product Added], removed_by: [Product Removed, order.lines]}
facts: {orders: {count: order}, interests: {set: category, of: Article Read}}
objects:
  piece: {key: piece_id, of: [Article Published, Article Updated], read_by: [Article Read]}
  product: {key: product_id, of: [Product Updated]}
"""
DIGEST = """\
goal: readers who come back for what they care about
audience: "True"
form: letter
call_to_action: {kind: read, link: "{{ pieces[0].url }}"}
kind: accelerator
purpose: nurture
topic: news
trigger: {schedule: {month_day: 15, local_time: "10:00"}}
once: per month
objects:
  pieces:
    kind: piece
    where: category in contact.interests and locale == contact.locale
    fresh: true
    top: 2
    at_least: 1
steps:
  - mail: digest
"""
DIGEST_SAMPLE = {"objects": {"pieces": [{"title": "Gongfu, slowly", "url": "https://tea.example/gongfu"}]}}
CART = """\
goal: a first small order from somebody who had already picked the goods
audience: "True"
form: reminder
call_to_action: {kind: read, link: "{{ brand.shop_url }}"}
kind: connector
purpose: nurture
topic: reminders
trigger: {quiet: 2h, entity: cart}
objects:
  scarce: {kind: product, keys: entity.lines.product_id, where: stock < 5, at_least: 0}
  related: {kind: product, goes_with: entity.lines.product_id, where: stock >= 1, top: 2, at_least: 0}
steps:
  - mail: left
  - wait: 1d
  - mail: low
    send_if: scarce.count >= 1
"""
CART_SAMPLE = {"objects": {"scarce": [{"name": "Sencha", "stock": 3}], "related": [{"name": "Kyusu"}]}}
LISTED = "{% for piece in pieces %}{{ piece.title }};{% endfor %}"
LEFT = "{% for item in related %}with {{ item.name }};{% endfor %}"
LOW = "{% for item in scarce %}{{ item.name }} {{ item.stock }};{% endfor %}"


def a_world(database: Database) -> World:
    measures: dict[str, tuple[str, Mapping[str, Any]]] = {
        "lead/any/digest": (DIGEST, DIGEST_SAMPLE),
        "lead/any/cart": (CART, CART_SAMPLE),
    }
    return World(database, loaded=a_shop(PARTS, measures, digest=LISTED, left=LEFT, low=LOW))


def publish(world: World, key: str, *, title: str = "", **more: Any) -> None:
    """Publish a piece of the journal, an hour after whatever came before."""
    fields: dict[str, Any] = {
        "category": "green",
        "locale": "en",
        "url": f"https://tea.example/{key}",
        **more,
    }
    world.tell("", "Article Published", piece_id=key, title=title or key, **fields)
    world.live(HOUR)


def texts(world: World, who: str) -> list[str]:
    """Return the first line of the text part of each mail to somebody."""
    mails = [mail for mail in world.sent_mails() if mail["To"] == who]
    bodies = [mail.get_body(("plain",)) for mail in mails]
    return [str(body.get_content()).splitlines()[0] for body in bodies if body is not None]


def test_a_digest_lists_fresh_pieces_and_waits_when_there_are_too_few(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    for who, category in ((ADA, "green"), (BEN, "black")):
        world.tell(who, "Article Read", piece_id="known", category=category, traits={"locale": "en"})
        world.consent(who, "news")
    for key in ("known", "first", "second", "third"):
        publish(world, key)
    publish(world, "german", locale="de")
    publish(world, "oolong", category="oolong")
    # An update makes no piece newer.
    world.tell("", "Article Updated", piece_id="first", title="first, revised")
    world.live(14 * DAY)
    assert [texts(world, ADA), texts(world, BEN)] == [["third;second;"], []]
    assert [row[2:] for row in world.ledger(BEN)] == [("skipped", "too_few")]
    why = contacts.why(world.services, BEN, "lead/any/digest")
    assert any("pieces: 0 of at least 1" in str(finding) for finding in why["findings"])
    # In the next month only what is new to her; then nothing is left.
    world.live(62 * DAY)
    assert texts(world, ADA) == ["third;second;", "first, revised;"]


def test_a_mail_is_shown_with_the_list_that_it_was_sent_with(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    world.tell(ADA, "Article Read", piece_id="x", category="green", traits={"locale": "en"})
    world.consent(ADA, "news")
    publish(world, "first", title="Leaves & <b>water</b>")
    assert previewed(world) == "Leaves & <b>water</b>;"
    world.live(14 * DAY)
    publish(world, "second")
    shown = messages.show(world.services, "1")
    assert shown["proof"] == "same"
    assert shown["text"].startswith("Leaves & <b>water</b>;")
    assert "Leaves &amp; &lt;b&gt;water&lt;/b&gt;" in shown["html"]
    assert previewed(world) == "second;"


def previewed(world: World) -> str:
    """Return the first line of the digest as a preview shows it to Ada."""
    return str(
        previews.preview(
            previews.published(world.services), "lead/any/digest", previews.PreviewOptions(who=ADA)
        )["text"]
    ).partition("\n")[0]


def test_a_cart_tells_of_goods_that_run_low_and_of_related_ones(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    goods = {"sencha": 9, "kyusu": 2, "whisk": 0, "tin": 7, "bowl": 3}
    for key, stock in goods.items():
        beside = ["kyusu", "whisk", "tin", "bowl"] if key == "sencha" else []
        world.tell("", "Product Updated", product_id=key, name=key, stock=stock, goes_with=beside)
    world.tell(ADA, "Product Added", cart_id="c", product_id="sencha")
    world.tell(ADA, "Product Added", cart_id="c", product_id="tin")
    world.consent(ADA, "reminders")
    world.live(3 * HOUR)
    assert texts(world, ADA) == ["with kyusu;with bowl;"]
    world.tell("", "Product Updated", product_id="tin", stock=4)
    world.live(2 * DAY)
    assert texts(world, ADA) == ["with kyusu;with bowl;", "tin 4;"]
