"""aiosmtpd, written by others, understands our client."""

from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.rig.process import free_port
from tests.transports.mails import DATA, a_mail, make_mails, send


class Keeper(Sink):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 unknown"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.kept.append(envelope)
        return "250 kept"


@pytest.fixture
def keeper() -> Iterator[tuple[Keeper, str]]:
    keeper = Keeper()
    port = free_port()
    controller = Controller(keeper, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    yield keeper, f"smtp://127.0.0.1:{port}"
    controller.stop()


def test_it_accepts_our_mails(keeper: tuple[Keeper, str]) -> None:
    kept, url = keeper
    dots = DATA + b".\r\n..\r\nend\r\n"
    mixed = [*make_mails(20), a_mail(20, data=dots), a_mail(21, recipient="nobody@x.test")]
    outcomes = {outcome.message_id: outcome for outcome in send(url, mixed, "connections=3")}
    assert {number for number, outcome in outcomes.items() if outcome.outcome == "sent"} == set(range(21))
    assert (outcomes[21].outcome, outcomes[21].suppress) == ("failed", True)
    assert sorted(envelope.original_content or b"" for envelope in kept.kept) == sorted([DATA] * 20 + [dots])
    assert {envelope.mail_from for envelope in kept.kept} == {"bounce@shop.test"}


def test_it_takes_an_address_beyond_ascii(keeper: tuple[Keeper, str]) -> None:
    kept, url = keeper
    assert [outcome.outcome for outcome in send(url, [a_mail(recipient="jürgen@x.test")])] == ["sent"]
    assert kept.kept[0].rcpt_tos == ["jürgen@x.test"]
