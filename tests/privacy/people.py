"""Two people who lived a while in the shipped programme, with mails in a local mailbox; and looking everywhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.simulation.play import Simulation
from nurture.transports.maildir import MaildirTransport
from tests.scenarios.world import SECRET, World

#: Whatever is said of the person has one of these words in it, and nothing else has.
WORDS = re.compile("quetzal|sentinel", re.IGNORECASE)
ADDRESS = "quetzal@sentinel.example"
USER = Identity("user_id", "sentinel-user")
BROWSER = Identity("anonymous_id", "sentinel-browser")
PHONE = Identity("phone", "+4930555012")
OTHER = "ann@example.com"


class Living(World):
    """A world whose mails go into a Maildir."""

    def in_folder(self, folder: Path) -> "Living":
        """Deliver into a mailbox in this folder from now on."""
        self.mailbox = folder / "mailbox"
        lanes = {"main": MaildirTransport(self.mailbox, clock=self.clock)}
        self.stage = Simulation(self.database, self.delivery, self.clock, lanes)
        changed = {"mail_url": f"maildir:{self.mailbox}"}
        object.__setattr__(self.services, "settings", self.services.settings.model_copy(update=changed))
        return self

    def until(self, at: Instant) -> None:
        """Live until an instant, an hour at a time: nothing here depends on minutes."""
        self.stage.tick = HOUR
        self.stage.play(iter(()), at)

    def say(self, name: str, *names: Identity, id_: str, source: str = "shop", **given: Any) -> None:
        """Hand in an event of somebody under these names."""
        event = NewEvent(
            source=source,
            message_id=id_,
            kind=given.pop("kind", "track"),
            name=name,
            occurred_at=given.pop("at", self.now),
            received_at=self.now,
            identities=names,
            **given,
        )
        self.database.run(lambda connection: accept(connection, [event]))

    def everything(self) -> Iterator[tuple[str, str]]:
        """Yield (place, text) of every row of every table and of every file of the mailbox."""
        with self.database.read() as connection:
            for table in t.metadata.sorted_tables:
                for row in connection.execute(sa.select(table)):
                    yield table.name, repr(tuple(row))
        for file in sorted(self.mailbox.rglob("*")):
            if file.is_file():
                yield str(file.relative_to(self.mailbox)), file.read_text(encoding="utf-8", errors="replace")

    def traces(self) -> dict[str, str]:
        """Return place -> text of what still speaks of the person."""
        return {place: text for place, text in self.everything() if WORDS.search(text)}


def lived(database: Database, folder: Path) -> Living:
    """Let the person and somebody else browse, sign up, buy and be mailed; leave something waiting."""
    world = Living(database).in_folder(folder)
    mail = Identity("email", ADDRESS)
    order = {
        "order_id": "sentinel-order",
        "revenue": 19.9,
        "total": 19.9,
        "currency": "EUR",
        "products": [{"product_id": "p1", "name": "Quetzal beans", "price": 19.9, "quantity": 1}],
    }
    world.say("Page Viewed", BROWSER, id_="sentinel-1", properties={"url": "https://sentinel.example/"})
    traits = {"firstName": "Quetzalina", "email": ADDRESS, "timezone": "Europe/Berlin"}
    world.say("Identified", USER, mail, PHONE, BROWSER, id_="sentinel-2", kind="identify", traits=traits)
    world.say("Order Completed", USER, id_="sentinel-3", properties=order)
    other = {**order, "order_id": "o-2", "products": [{"product_id": "p1", "name": "Guji", "quantity": 1}]}
    world.say("Order Completed", Identity("email", OTHER), id_="o-2", properties=other)
    world.consent(ADDRESS, "offers", "news")
    world.consent(OTHER, "offers", "news")
    world.live(3 * DAY)
    return world


KEY = SECRET.encode()
