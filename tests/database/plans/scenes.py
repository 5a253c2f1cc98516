"""The rooms at work on a crowd: each scene does what worker, scheduler or web process do, through the same code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.crowd import set_alarms
from nurture.app import audience, tracking
from nurture.app import contacts as people
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.delivery.deliver import deliver, recover
from nurture.delivery.types import Delivery
from nurture.domain.event import Identity
from nurture.domain.instant import HOUR
from nurture.domain.signing import sign_token
from nurture.journey.drain import adopt, drain, ring
from nurture.journey.objects import wake_watchers
from nurture.reports.backlog import find_busy_shards, measure_backlog
from nurture.simulation.transport import Outlet
from tests.web.live import asking

#: A condition of five terms over facts of different kinds.
FIVE_TERMS = (
    'orders >= 1 and silent_days("Order Completed") > 7 and satisfied is not no '
    "and stage != 'promote' and known(first_name)"
)


@dataclass(frozen=True, slots=True)
class World:
    """A crowd, the services over it, and what delivers its mail."""

    url: str
    services: Services
    delivery: Delivery

    @classmethod
    def over(cls, url: str, services: Services) -> "World":
        """Open the world for services whose database holds a crowd."""
        delivery = Delivery(
            clock=services.clock,
            playbooks=services.playbooks,
            keys=services.keys,
            suppression_key=services.settings.suppression_secret,
            base_url=services.settings.public_url,
            worker="plans",
        )
        return cls(url, services, delivery)

    # ---- who is there --------------------------------------------------------------------------------------

    def some(self, count: int, *, where: str = "true") -> list[Any]:
        """Return (id, email) of so many living people with an address, far apart."""
        with psycopg.connect(self.url) as connection:
            statement = f"""
                SELECT id, email FROM contacts WHERE survivor IS NULL AND email IS NOT NULL AND {where}
                ORDER BY id * 7919 %% 1000003, id LIMIT %s
            """
            return connection.execute(statement, (count,)).fetchall()

    def a_mail(self) -> Any:
        """Return (id, contact) of a mail that was sent to a person who has withdrawn nothing."""
        with psycopg.connect(self.url) as connection:
            statement = (
                "SELECT id, contact_id FROM messages m WHERE status = 'sent' AND NOT EXISTS"
                " (SELECT FROM consents c WHERE c.contact_id = m.contact_id AND c.state = 'withdrawn')"
                " ORDER BY id DESC LIMIT 1"
            )
            return connection.execute(statement).fetchone()

    def event(self, name: str, email: str, number: int, *, kind: Any = "track", **given: Any) -> NewEvent:
        """Return an event of the person at this address, an hour old."""
        now = self.services.clock.now()
        values: dict[str, Any] = {
            "source": "plans",
            "message_id": f"{name}-{number}-{now}",
            "kind": kind,
            "name": name,
            "occurred_at": now - HOUR,
            "received_at": now,
            "identities": (Identity("email", email),),
        }
        return NewEvent(**(values | given))

    def accept(self, events: list[NewEvent]) -> None:
        """Put events into the inbox."""
        self.services.database.run(lambda connection: accept(connection, events))

    def order(self, email: str, number: int) -> NewEvent:
        """Return an order of the person at this address."""
        goods = {"product_id": "v60", "name": "Pour-over set", "price": 32.0, "quantity": 1}
        now = self.services.clock.now()
        order = {"order_id": f"plans-{number}-{now}", "revenue": 32.0, "currency": "EUR", "products": [goods]}
        return self.event("Order Completed", email, number, properties=order)

    def contacts(self, where: str, *values: Any) -> frozenset[int]:
        """Return the ids of contacts for which the SQL holds."""
        with psycopg.connect(self.url) as connection:
            return frozenset(
                row[0] for row in connection.execute(f"SELECT id FROM contacts WHERE {where}", values)
            )

    def quiet(self) -> None:
        """Do everything that is due, so that nothing is."""
        set_alarms(self.url, ringing=0, now=self.services.clock.now())
        services = self.services
        while self.drain() + self.ring() + self.deliver():
            pass
        while adopt(services.database, clock=services.clock, playbooks=services.playbooks).more:
            pass

    # ---- what the rooms do -----------------------------------------------------------------------------------

    def drain(self) -> int:
        """Apply everything that is pending; returns how many events."""
        services, applied = self.services, 0
        while True:
            counts = drain(services.database, shard=None, clock=services.clock, playbooks=services.playbooks)
            applied += counts["applied"]
            if not counts.total():
                return applied

    def ring(self) -> int:
        """Let every due alarm ring; returns how many."""
        services, woken = self.services, 0
        while True:
            counts = ring(services.database, clock=services.clock, playbooks=services.playbooks)
            woken += counts["rung"]
            if not counts.more:
                return woken

    def deliver(self, *, limit: int = 200) -> int:
        """Deliver everything that is due; returns how many mails were claimed."""
        claimed = 0
        while True:
            counts = deliver(
                self.services.database, self.delivery, lane="main", transport=Outlet(), limit=limit
            )
            claimed += counts["claimed"]
            if not counts.more:
                return claimed


# ---- scenes: each prepares its work and says whose it is ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """A scene and the contacts it concerns; it must change no other contact."""

    do: Callable[[], object]
    concerned: frozenset[int]
    # How many events it applies.
    events: int = 0


Scene = Callable[[World], Work]


def ingesting(world: World) -> Work:
    """Events come in over HTTP, in a batch."""
    items = [
        {
            "type": "track",
            "event": "Product Viewed",
            "userId": f"new-{number}",
            "messageId": f"http-{number}",
            "context": {"traits": {"email": email}},
            "properties": {"product_id": "v60"},
        }
        for number, (_, email) in enumerate(world.some(100))
    ]

    def do() -> None:
        with asking(world.services) as client:
            client.post("/v1/batch", json={"batch": items}, auth=("bench", "")).raise_for_status()
        with psycopg.connect(world.url) as connection:
            connection.execute("TRUNCATE inbox")

    return Work(do, frozenset())


def draining(world: World) -> Work:
    """Events of people known and new, orders among them, a join, an event that came before, and a thing's."""
    known = world.some(80)
    goods = {"product_id": "v60", "name": "Pour-over set", "price": 32.0, "quantity": 1}
    events = [world.event("Product Viewed", email, n, properties=goods) for n, (_, email) in enumerate(known)]
    events.append(events[0])
    events += [world.order(email, number) for number, (_, email) in enumerate(known[:40])]
    fresh = f"{world.services.clock.now()}@plans.example"
    events += [world.event("Article Read", f"new{number}.{fresh}", number) for number in range(20)]
    for number, (_, email) in enumerate(known[50:52]):
        names = (Identity("email", email), Identity("phone", f"+4930{world.services.clock.now() % 10**8}"))
        events.append(world.event("Identified", email, number, kind="identify", identities=names))
    thing = world.event("Product Updated", "", 999, identities=(), properties=goods | {"stock": 3})
    world.accept([*events, thing])
    return Work(world.drain, frozenset(contact for contact, _ in known), events=len(events) + 1)


def ringing(world: World) -> Work:
    """A hundred alarms among all that sleep."""
    set_alarms(world.url, ringing=100, now=world.services.clock.now())
    return Work(world.ring, world.contacts("wake_at <= %s", world.services.clock.now()))


def delivering(world: World) -> Work:
    """Orders' confirmations: chunk gate, guard, freezing, send gate, outcomes."""
    world.accept([world.order(email, number) for number, (_, email) in enumerate(world.some(60))])
    world.drain()
    now = world.services.clock.now()
    due = "SELECT contact_id FROM messages WHERE status = 'waiting' AND due_at <= %s"
    return Work(world.deliver, world.contacts(f"id IN ({due})", now))


def looking(world: World) -> Work:
    """Nothing is due: what every process asks every few seconds."""
    world.quiet()
    services = world.services

    def do() -> None:
        world.drain()
        world.ring()
        world.deliver()
        recover(services.database, clock=services.clock)
        wake_watchers(services.database, clock=services.clock, playbooks=services.playbooks)
        adopt(services.database, clock=services.clock, playbooks=services.playbooks)
        with services.database.read() as connection:
            find_busy_shards(connection)

    return Work(do, frozenset())


def adopting(world: World) -> Work:
    """The last people are woken for a new playbook."""
    newest = "id IN (SELECT id FROM contacts ORDER BY id DESC LIMIT 100)"
    concerned = world.contacts(newest)
    with psycopg.connect(world.url, autocommit=True) as connection:
        connection.execute("UPDATE active_playbook SET woken = %s", (min(concerned) - 1,))
        connection.execute(f"UPDATE contacts SET adopted = 'before' WHERE {newest}")
    services = world.services
    return Work(
        lambda: adopt(services.database, clock=services.clock, playbooks=services.playbooks), concerned
    )


def visiting(world: World) -> Work:
    """A person follows every link of a mail, and acts."""
    message, contact = world.a_mail()
    services = world.services
    given = {"c": contact, "m": message, "t": "news"}

    def path(token: str, purpose: str) -> str:
        return f"/{token}/{sign_token(services.keys, purpose, given)}"

    def do() -> None:
        pages = {
            "u": "unsubscribe",
            "p": "preferences",
            "confirm": "confirm",
            "s": "survey",
            "c": "click",
            "o": "open",
        }
        with asking(services, follow_redirects=False) as client:
            for token, purpose in pages.items():
                assert client.get(path(token, purpose)).status_code < 400
            for token, form in (
                ("confirm", {}),
                ("s", {"answer": "9"}),
                ("p", {"topic": "news"}),
                ("u", {"List-Unsubscribe": "One-Click"}),
            ):
                assert client.post(path(token, pages[token]), data=form).status_code < 400

    return Work(do, frozenset({contact}))


def asking_about(world: World) -> Work:
    """An operator looks a person up, tells an event by hand, asks why."""
    (contact, email), *_ = world.some(1)
    services = world.services

    def do() -> None:
        people.show(services, email)
        people.timeline(services, f"contact:{contact}")
        people.why(services, email, "customer/any/second_order_coupon")
        tracking.track(services, email, "Store Visited", properties={}, at=None, actor="plans")

    return Work(do, frozenset())


def paging(world: World) -> Work:
    """An ops send walks through its audience: each page goes on where the last one ended."""
    services = world.services

    def do() -> None:
        with services.database.read() as connection:
            playbook = services.playbooks.active(connection).playbook
            condition = audience.parse_audience(playbook, "track == 'customer' or track == 'lead'")
            pages = audience.id_pages(connection, condition, playbook, now=services.clock.now())
            assert next(pages)
            assert next(pages)

    return Work(do, frozenset())


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        *(ingesting, draining, ringing, delivering, looking, adopting, visiting, asking_about, paging),
    )
}


def counting(world: World) -> Work:
    """An audience is counted: one pass over the people, by its nature."""
    return Work(lambda: audience.count(world.services, FIVE_TERMS), frozenset())


def health(world: World) -> Work:
    """What /readyz and the gauges ask."""
    world.quiet()

    def do() -> None:
        with world.services.database.read() as connection:
            measure_backlog(connection, now=world.services.clock.now())

    return Work(do, frozenset())
