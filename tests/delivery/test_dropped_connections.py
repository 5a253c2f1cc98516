"""A relay that accepts connections and ends them in the text, or after the final dot, without a reply."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.deliver import deliver
from nurture.delivery.types import UNREACHED_REST, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.instant import HOUR, MINUTE
from nurture.health.lane_log import LaneLog
from nurture.transports.smtp.options import read_smtp_url
from nurture.transports.smtp.pool import SmtpTransport
from nurture.transports.types import OutgoingMail
from tests.delivery.builders import a_measure, a_playbook
from tests.delivery.world import PlainComposer, World
from tests.transports.chaos_smtp import ChaosSmtp, Cut, chaos

RECEIPT = a_measure("any/any/receipt", purpose="transactional", topic=None)


class LargeComposer(PlainComposer):
    """Makes mails that no socket takes in one piece, so that a connection ends within the text."""

    def address(self, ready: ReadyMessage, data: bytes) -> OutgoingMail:
        """Address the bytes, with 12 MB of text behind them."""
        return super().address(ready, data + (b"x" * 70 + b"\r\n") * 170_000)


@dataclass
class Relay:
    """The world's lane, whose mails go to a scripted server."""

    world: World
    server: ChaosSmtp
    lane_log: LaneLog
    composer: PlainComposer

    def deliver(self) -> Counts:
        """Recover, then deliver what is due over new connections."""
        self.world.recover()
        delivery = replace(self.world.delivery, lane_log=self.lane_log, composer=self.composer)
        with closing(SmtpTransport(read_smtp_url(f"{self.server.url}?data=5&dot=5"))) as transport:
            counts = deliver(self.world.database, delivery, lane="main", transport=transport)
        self.lane_log.flush()
        return counts

    def count(self, status: str) -> int:
        """Return how many mails have this status."""
        statement = sa.select(sa.func.count()).where(t.messages.c.status == status)
        with self.world.database.read() as connection:
            return connection.scalar(statement) or 0


@pytest.fixture
def relay(sqlite_database: Database) -> Iterator[Relay]:
    world = World(sqlite_database, a_playbook(a_measure(), RECEIPT))
    with chaos(extensions=("PIPELINING",)) as server:
        yield Relay(world, server, LaneLog(sqlite_database, clock=world.clock), PlainComposer())


def test_a_mail_cut_within_its_text_is_sent_again_and_never_in_doubt(relay: Relay) -> None:
    number = relay.world.mail(relay.world.person(), mailing=True)
    relay.server.script = {"body": Cut()}
    relay.composer = LargeComposer()
    assert relay.deliver()["retry"] == 1
    assert relay.world.status(number) == ("waiting", "retry")
    relay.server.script = {}
    relay.world.later(HOUR)
    assert relay.deliver()["sent"] == 1
    assert len(relay.server.taken) == 1


def test_a_receipt_cut_after_its_dot_is_sent_again_after_ten_minutes_in_the_same_bytes(relay: Relay) -> None:
    number = relay.world.mail(relay.world.person(), RECEIPT.path, mailing=True)
    relay.server.script = {"dot": Cut(store=True)}
    assert relay.deliver()["in_doubt"] == 1
    relay.server.script = {}
    relay.world.later(9 * MINUTE)
    assert not relay.deliver()["sent"]
    relay.world.later(MINUTE)
    assert relay.deliver()["sent"] == 1
    first, second = relay.server.taken
    assert first.data == second.data
    assert relay.world.status(number) == ("sent", "")


def test_a_campaign_is_not_used_up_by_a_server_that_answers_no_final_dot(relay: Relay) -> None:
    world = relay.world
    offers = [world.mail(world.person(f"p{number}")) for number in range(300)]
    relay.server.script = {"dot": Cut()}
    for _ in range(4):
        relay.deliver()
        world.later(UNREACHED_REST)
    with world.database.read() as connection:
        switch = connection.execute(sa.select(t.switches)).one()
    assert (switch.name, switch.paused, switch.actor) == ("main:marketing", True, "deliver")
    assert "does not answer its final dot" in switch.reason
    in_doubt = relay.count("in_doubt")
    # Two windows of 100, and not everybody.
    assert 0 < in_doubt <= 200, in_doubt
    # A receipt is tried all the same: it is sent again, so it cannot be used up.
    receipt = world.mail(world.person("late"), RECEIPT.path, mailing=True)
    relay.server.script = {}
    assert relay.deliver()["sent"] == 1
    assert world.status(receipt)[0] == "sent"
    world.switch("main:marketing", paused=False)
    while relay.deliver()["sent"]:
        pass
    assert relay.count("sent") == 1 + len(offers) - in_doubt
    assert len(relay.server.taken) == 1 + len(offers) - in_doubt


def test_one_mail_that_breaks_the_server_stops_no_other(relay: Relay) -> None:
    world = relay.world
    poison = world.mail(world.person("poison"), RECEIPT.path, mailing=True)
    relay.server.script = {"dot": Cut()}
    for _ in range(3):
        relay.deliver()
        world.later(10 * MINUTE)
    assert world.status(poison)[0] == "in_doubt"
    with world.database.read() as connection:
        assert connection.execute(sa.select(t.switches)).all() == []
