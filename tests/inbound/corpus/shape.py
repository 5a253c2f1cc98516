"""A shape: the bytes of a mail and its right reading."""

from dataclasses import dataclass

from tests.inbound.mails import ORIGINAL, a_dsn


@dataclass(frozen=True)
class Shape:
    """A mail and its right reading: `nature`, and for bounces the severity, for replies the person's own words."""

    name: str
    data: bytes
    nature: str
    severity: str = ""
    text: str | None = None
    sender: str = ""


def dsn(name: str, status: str, diagnostic: str, severity: str) -> Shape:
    """Return an RFC 3464 report."""
    return Shape(name, a_dsn(status=status, diagnostic=diagnostic), "bounce", severity)


def text_report(
    name: str,
    body: str,
    severity: str,
    *,
    author: str = "MAILER-DAEMON@mx.example.com",
    subject: str = "Delivery failure",
    nature: str = "bounce",
    copy: str = ORIGINAL,
) -> Shape:
    """Return a report without RFC 3464 parts; a copy of our mail follows the body."""
    head = f"From: {author}\nTo: bounces@shop.example\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n"
    return Shape(name, (head + body + "\n" + copy).encode(), nature, severity)


def reply(name: str, body: str, text: str, *, subtype: str = "plain") -> Shape:
    """Return a person's reply."""
    head = (
        "From: Ada <ada@example.com>\nTo: hello@shop.example\nSubject: Re: For you\n"
        f"Message-ID: <{name.replace(' ', '-')}@example.com>\nMIME-Version: 1.0\n"
        f"Content-Type: text/{subtype}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    )
    return Shape(name, (head + body).encode(), "reply", text=text, sender="ada@example.com")


def mail(name: str, data: str, nature: str, *, sender: str = "", severity: str = "") -> Shape:
    """Return a mail written out."""
    return Shape(name, data.encode(), nature, severity, sender=sender)
