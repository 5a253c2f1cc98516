"""Timelines of whole measures whose mails hold lists: a welcome that goes on after a first order, and a cart left."""

from functools import lru_cache
from pathlib import Path

from nurture.app import messages
from nurture.app.values import publish as values
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from nurture.playbook import LoadedPlaybook
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

ADA, BEN, CEM = "ada@example.com", "ben@example.com", "cem@example.com"
PARTS = """\
properties: {title: text, url: text, locale: text, product_id: text, stock: integer, name: text}
values: {best: {of: piece, refresh: 1d}}
entities:
  order: {key: order_id, of: [Order Completed], counts_from: Order Completed, lines: {in: products, key: product_id}}
  cart:
    key: cart_id
    of: [Product Added, Product Removed]
    lines: {key: product_id, added_by: [Product Added], removed_by: [Product Removed, order.lines]}
facts: {orders: {count: order}}
objects:
  piece: {key: piece_id, of: [Article Published], read_by: [Article Read]}
  product: {key: product_id, of: [Product Updated]}
"""
WELCOME = """\
goal: "a first good cup with what they have, and knowing what they need"
audience: "True"
audience_source: "people who said yes to news, on any page, at the till or at a tasting"
form: course
call_to_action: {{kind: read, link: "{{{{ pieces[0].url }}}}"}}
kind: accelerator
purpose: nurture
topic: news
metric: {{event: Article Read, within: 30d, expect: "+8%"}}
trigger: {{consent: news}}
other_track: {other}/any/welcome_series
exit: [{{event: Email Replied, reason: replied}}]
{handover}holdout: 10%
series: true
objects: {{pieces: {{kind: piece, where: locale == contact.locale, order: best, fresh: true, top: 2, at_least: 1}}}}
steps:
  - mail: welcome
    valid_for: 1d
  - wait: 2d
    id: two_days
  - mail: guide
    send_at: {{local_time: "09:30"}}
  - wait: 5d
    id: five_days
  - mail: stories
    send_at: {{local_time: "09:30"}}
"""
CART = """\
goal: a first small order from somebody who had already picked the goods
audience: "True"
audience_source: people known by their address who left goods in a cart two hours ago
form: reminder
call_to_action: {{kind: resume, link: "{{{{ brand.shop_url }}}}/cart/{{{{ entity.cart_id }}}}"}}
kind: connector
purpose: sales
topic: reminders
metric: {{event: Order Completed, within: 7d, expect: "+3%"}}
trigger: {{quiet: 2h, entity: cart}}
once: {{per: entity, gap: 7d}}
{handover}holdout: 10%
objects:
  scarce: {{kind: product, keys: entity.lines.product_id, where: stock < 5, at_least: 0}}
  related: {{kind: product, goes_with: entity.lines.product_id, where: stock >= 1, top: 3, at_least: 0}}
valid_for: 1d
steps:
  - mail: left
  - wait: 1d
  - mail: stock
    send_if: scarce.count >= 1
"""
PIECES = {"objects": {"pieces": [{"title": "Gongfu", "url": "https://tea.example/gongfu"}]}}
GOODS = {
    "entity": {"cart_id": "c"},
    "objects": {"scarce": [{"name": "Sencha", "stock": 3}], "related": [{"name": "Kyusu"}]},
}
TITLES = "{% for piece in pieces %}{{ piece.title }};{% endfor %}"
LEFT = "{% for item in related %}{{ item.name }};{% endfor %}"
STOCK = "{% for item in scarce %}{{ item.name }} {{ item.stock }};{% endfor %}"


@lru_cache(maxsize=1)
def shop() -> LoadedPlaybook:
    measures = {
        f"{track}/any/{name}": (text.format(other=other, handover=handover), sample)
        for name, text, sample in (("welcome_series", WELCOME, PIECES), ("abandoned_cart", CART, GOODS))
        for track, other, handover in (
            ("lead", "customer", f"handover: customer/any/{name}\n"),
            ("customer", "lead", ""),
        )
    }
    bodies = dict.fromkeys(("welcome", "guide", "stories"), TITLES)
    began = "resume: {sells: true, of: [cart]}"
    return a_shop(PARTS, measures, actions=began, left=LEFT, stock=STOCK, **bodies)


def texts(world: World, who: str) -> list[tuple[str, str]]:
    """Return (measure/mail, first line) of each mail to somebody."""
    mails = [mail for mail in world.sent_mails() if mail["To"] == who]
    bodies = [mail.get_body(("plain",)) for mail in mails]
    lines = [str(body.get_content()).splitlines()[0] for body in bodies if body is not None]
    names = [name.replace("/any/", " ").replace("/", " ") for _, name in world.mails(who)]
    return list(zip(names, lines, strict=True))


def test_a_welcome_shows_the_best_pieces_and_none_twice_also_after_a_first_order(
    sqlite_database: Database, tmp_path: Path
) -> None:
    world = World(sqlite_database, shop())
    for key in ("old", "fine", "best", "new", "newest"):
        world.tell(
            "", "Article Published", piece_id=key, title=key, locale="en", url=f"https://tea.example/{key}"
        )
        world.live(HOUR)
    world.tell("", "Article Published", piece_id="de", title="beste", locale="de")
    file = tmp_path / "best.csv"
    file.write_text("key,value\nbest,0.9\nde,0.8\nfine,0.7\nnew,0.2\n")
    read = values.read(world.services, file, name="best")
    values.publish(world.services, read, actor="cli:test")
    world.live(HOUR)
    for who in (ADA, BEN, CEM):
        world.tell(who, "Page Viewed", traits={"locale": "en"})
        world.consent(who, "news")
        world.tell(who, "Consent Given", topic="news")
    world.tell(CEM, "Article Read", piece_id="fine")
    world.live(DAY)
    world.tell(BEN, "Order Completed", order_id="o1")
    world.live(9 * DAY)
    assert texts(world, ADA) == [
        ("lead welcome_series welcome", "best;fine;"),
        ("lead welcome_series guide", "new;newest;"),
        ("lead welcome_series stories", "old;"),
    ]
    assert texts(world, BEN) == [
        ("lead welcome_series welcome", "best;fine;"),
        ("customer welcome_series guide", "new;newest;"),
        ("customer welcome_series stories", "old;"),
    ]
    assert texts(world, CEM)[0] == ("lead welcome_series welcome", "best;new;")
    assert messages.show(world.services, "1")["rankings"] == {"best": 1}


def test_a_cart_that_was_left_tells_of_related_goods_and_of_those_that_run_low(
    sqlite_database: Database,
) -> None:
    world = World(sqlite_database, shop())
    goods = {"sencha": 9, "kyusu": 2, "whisk": 0, "tin": 7}
    for key, stock in goods.items():
        beside = ["whisk", "kyusu", "tin"] if key == "sencha" else []
        world.tell("", "Product Updated", product_id=key, name=key, stock=stock, goes_with=beside)
    world.tell(CEM, "Order Completed", order_id="o0", products=[{"product_id": "cup"}])
    for who in (ADA, BEN, CEM):
        world.tell(who, "Product Added", cart_id=f"c-{who}", product_id="sencha")
        world.consent(who, "reminders")
    world.live(3 * HOUR)
    world.tell("", "Product Updated", product_id="sencha", stock=4)
    # Bought, whatever cart the order names: the list is empty, and nothing more is said.
    world.tell(BEN, "Order Completed", order_id="o1", products=[{"product_id": "sencha"}])
    world.live(2 * DAY)
    first = ("lead abandoned_cart left", "kyusu;tin;")
    assert texts(world, BEN) == [first]
    assert texts(world, ADA) == [first, ("lead abandoned_cart stock", "sencha 4;")]
    assert [name for name, _ in texts(world, CEM)] == [
        "customer abandoned_cart left",
        "customer abandoned_cart stock",
    ]
