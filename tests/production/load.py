"""Hand in the events of the simulated people as applications do: over HTTP, often twice, and by following links."""

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
#: One in _TWICE batches is handed in twice; of these, one in _OTHER_WAY the second time the other way.
_TWICE = 5
_OTHER_WAY = 10
_LINK = re.compile(r"http://127\.0\.0\.1:\d+(/confirm/[\w.~-]+)")


class Load(threading.Thread):
    """Hands in all events at an even rate, half of the people over HTTP and half directly into the inbox.

    All events of one person go the same way, so they keep their order. Then the product is back in stock, and
    some people follow the link of their mail as soon as it has arrived.
    """

    def __init__(
        self, crowd: Crowd, installation: Installation, database: Database, sink: SmtpSink, *, seconds: float
    ) -> None:
        """Prepare the thread; it hands the events in over `seconds`."""
        super().__init__(name="load", daemon=True)
        self._crowd, self._database, self._sink = crowd, database, sink
        self._seconds = seconds
        self._client = httpx.Client(base_url=installation.url, auth=(WRITE_KEY, ""), timeout=60)
        self.ended = threading.Event()
        self.all_handed_in = threading.Event()
        self.fault: BaseException | None = None
        self.repeated = 0
        self.refused = 0

    def run(self) -> None:
        """Hand everything in; an exception is kept in `fault` for the test."""
        try:
            self._hand_everything_in()
            self._bring_back()
            self._confirm()
        except BaseException as fault:  # noqa: BLE001 - it is raised in the test's own thread
            self.fault = fault
        finally:
            self._client.close()
            self.all_handed_in.set()

    def _hand_everything_in(self) -> None:
        halves: list[list[Item]] = [[], []]
        for item in self._crowd.items:
            halves[_person(item) % 2].append(item)
        handing_in: tuple[Callable[[list[Item]], None], ...] = (self._over_http, self._into_inbox)
        batches = [
            (place, way, items[place : place + BATCH])
            for way, items in enumerate(halves)
            for place in range(0, len(items), BATCH)
        ]
        began = monotonic()
        for number, (_, way, batch) in enumerate(sorted(batches, key=lambda batch: batch[:2])):
            self.ended.wait(max(0.0, began + number / len(batches) * self._seconds - monotonic()))
            handing_in[way](batch)
            if number % _TWICE == 0:
                handing_in[(way + 1) % 2 if number % _OTHER_WAY == 0 else way](batch)
                self.repeated += len(batch)

    def _bring_back(self) -> None:
        """Hand in, twice, that PRODUCT is back, as soon as every waiting person has a watch."""
        count = sa.select(sa.func.count()).select_from(watches)
        for _ in self._until_ended():
            with self._database.read() as connection:
                if connection.scalar(count) == self._crowd.waiting:
                    break
        batch = [back_in_stock(SystemClock().now())]
        self._over_http(batch)
        self._into_inbox(batch)

    def _confirm(self) -> None:
        """Follow the link of each confirmation mail whose recipient confirms."""
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

    def _post(self, path: str, **content: object) -> None:
        """Repeat a request until it is accepted, as clients do after a 503 or a lost connection."""
        for _ in self._until_ended(first=True):
            try:
                answer = self._client.post(path, **content)  # type: ignore[arg-type]
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
        """Yield every 0.3 seconds; raise TimeoutError when the test ends first."""
        if first:
            yield
        while not self.ended.wait(0.3):
            yield
        message = "the test ended before everything was handed in"
        raise TimeoutError(message)


def _person(item: Item) -> int:
    number = str(item["messageId"]).partition("-")[0]
    return int(number) if number.isdigit() else 0
