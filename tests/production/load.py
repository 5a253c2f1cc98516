"""Handing in what the crowd does, as its applications would: over HTTP, often twice, and by following links."""

import re
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy

import httpx
import sqlalchemy as sa

from nurture.app.event_body import split_body
from nurture.app.ingest import read_items
from nurture.contacts.accept import accept
from nurture.database.engine import Database, encode
from nurture.database.schema import watches
from nurture.runtime.clock import SystemClock, monotonic
from tests.production.people import Crowd, Item, back_in_stock
from tests.production.processes import SOURCE, WRITE_KEY, Installation
from tests.rig.smtp import SmtpSink

BATCH = 100
#: Every so many batches come twice; every so many of these the second time past HTTP.
_TWICE = 5
_OTHER_WAY = 10
_LINK = re.compile(r"http://127\.0\.0\.1:\d+(/confirm/[\w.~-]+)")


class Feeding(threading.Thread):
    """Hands everything in, spread over a time, half of the people over HTTP and half into the inbox.

    A person's events go one way, so they keep their order. Then what was sold out comes back, and some people
    follow the link of their mail, as soon as they have got it.
    """

    def __init__(
        self, crowd: Crowd, installation: Installation, database: Database, sink: SmtpSink, *, seconds: float
    ) -> None:
        """Prepare it; `seconds` is how long the events are spread over."""
        super().__init__(name="feeding", daemon=True)
        self._crowd, self._database, self._sink = crowd, database, sink
        self._seconds = seconds
        self._client = httpx.Client(base_url=installation.url, auth=(WRITE_KEY, ""), timeout=60)
        self.ended = threading.Event()
        self.told = threading.Event()
        self.fault: BaseException | None = None
        self.repeated = 0
        self.refused = 0

    def run(self) -> None:
        """Do it all; a fault is kept for whoever waits."""
        try:
            self._hand_everything_in()
            self._bring_back()
            self._confirm()
        except BaseException as fault:  # noqa: BLE001 - it is raised in the test's own thread
            self.fault = fault
        finally:
            self._client.close()
            self.told.set()

    def _hand_everything_in(self) -> None:
        ways: list[list[Item]] = [[], []]
        for item in self._crowd.items:
            ways[_person(item) % 2].append(item)
        doors: tuple[Callable[[list[Item]], None], ...] = (self._over_http, self._into_inbox)
        batches = [
            (place, way, items[place : place + BATCH])
            for way, items in enumerate(ways)
            for place in range(0, len(items), BATCH)
        ]
        began = monotonic()
        for number, (_, way, batch) in enumerate(sorted(batches, key=lambda each: each[:2])):
            self.ended.wait(max(0.0, began + number / len(batches) * self._seconds - monotonic()))
            doors[way](batch)
            if number % _TWICE == 0:
                doors[(way + 1) % 2 if number % _OTHER_WAY == 0 else way](batch)
                self.repeated += len(batch)

    def _bring_back(self) -> None:
        """Tell that PRODUCT is back once everybody who waits is known to wait; twice."""
        count = sa.select(sa.func.count()).select_from(watches)
        for _ in self._until_ended():
            with self._database.read() as connection:
                if connection.scalar(count) == self._crowd.waiting:
                    break
        batch = [back_in_stock(SystemClock().now())]
        self._over_http(batch)
        self._into_inbox(batch)

    def _confirm(self) -> None:
        """Follow the link of each confirmation that has come to somebody who follows it."""
        awaited = set(self._crowd.confirming)
        read = 0
        for _ in self._until_ended():
            files = self._sink.files()
            for path in files[read:]:
                _sender, recipients, data = path.read_bytes().split(b"\n", 2)
                if recipient := set(recipients.decode().split()) & awaited:
                    text = message_from_bytes(data, policy=policy.default).get_body(("plain",))
                    if text and (link := _LINK.search(text.get_content())):
                        self._post(link[1], data={})
                        awaited -= recipient
            read = len(files)
            if not awaited:
                return

    def _over_http(self, batch: list[Item]) -> None:
        self._post("/v1/batch", json={"batch": batch})

    def _post(self, path: str, **given: object) -> None:
        """Send until it is taken, as every client does."""
        for _ in self._until_ended(first=True):
            try:
                answer = self._client.post(path, **given)  # type: ignore[arg-type]
            except httpx.TransportError:
                self.refused += 1
                continue
            if answer.status_code < 300:
                return
            assert answer.status_code == 503, answer.text
            self.refused += 1

    def _into_inbox(self, batch: list[Item]) -> None:
        raw = encode({"batch": batch}).encode()
        intake = read_items(split_body(raw), source=SOURCE, received_at=SystemClock().now())
        assert not intake.rejected, intake.rejected
        self._database.run(lambda connection: accept(connection, intake.events))

    def _until_ended(self, *, first: bool = False) -> Iterator[None]:
        """Yield now and then until the test ends."""
        if first:
            yield
        while not self.ended.wait(0.3):
            yield
        message = "the test ended before everything was handed in"
        raise TimeoutError(message)


def _person(item: Item) -> int:
    number = str(item["messageId"]).partition("-")[0]
    return int(number) if number.isdigit() else 0
