"""Builders of mails, and a function that sends them."""

from collections.abc import Iterable

from nurture.transports.smtp.options import read_smtp_url
from nurture.transports.smtp.pool import SmtpTransport
from nurture.transports.types import Outcome, OutgoingMail, StageListener, ignore_stage

DATA = b"From: a@shop.test\r\nTo: b@x.test\r\nSubject: hi\r\n\r\nhello\r\n"


def a_mail(
    number: int = 1,
    *,
    recipient: str = "b@x.test",
    sender: str = "bounce@shop.test",
    data: bytes = DATA,
) -> OutgoingMail:
    """Return a mail that any server takes."""
    return OutgoingMail(number, 1, sender, recipient, data)


def make_mails(count: int) -> list[OutgoingMail]:
    """Return so many mails, numbered from 0."""
    return [a_mail(number) for number in range(count)]


def send(
    url: str, mails: Iterable[OutgoingMail], options: str = "", *, on_stage: StageListener = ignore_stage
) -> list[Outcome]:
    """Send over a new transport; return the outcomes in the order in which they came."""
    transport = SmtpTransport(read_smtp_url(f"{url}?{options}"), on_stage=on_stage)
    try:
        return list(transport.send(mails))
    finally:
        transport.close()
