"""Builders for letters and for sending them."""

from collections.abc import Iterable

from nurture.transports.smtp.options import smtp_options
from nurture.transports.smtp.pool import SmtpTransport
from nurture.transports.types import Note, Outcome, OutgoingMail, ignore_stage

DATA = b"From: a@shop.test\r\nTo: b@x.test\r\nSubject: hi\r\n\r\nhello\r\n"


def a_letter(
    number: int = 1,
    *,
    recipient: str = "b@x.test",
    sender: str = "bounce@shop.test",
    data: bytes = DATA,
) -> OutgoingMail:
    """Return a letter that any server takes."""
    return OutgoingMail(number, 1, sender, recipient, data)


def letters(count: int) -> list[OutgoingMail]:
    """Return so many letters, numbered from 0."""
    return [a_letter(number) for number in range(count)]


def send(
    url: str, letters: Iterable[OutgoingMail], options: str = "", *, note: Note = ignore_stage
) -> list[Outcome]:
    """Send over a transport of its own; return the outcomes in the order told."""
    transport = SmtpTransport(smtp_options(f"{url}?{options}"), note=note)
    try:
        return list(transport.send(letters))
    finally:
        transport.close()
