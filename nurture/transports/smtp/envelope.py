"""What a letter needs of a server, and how it goes over the wire: envelope commands and dot-stuffing."""

import re
from collections.abc import Mapping

from nurture.transports.types import OutgoingMail

#: What would end an address in MAIL or RCPT, or the command (RFC 5321, 4.1.2).
_FORBIDDEN = re.compile(r"[<>\x00-\x20\x7f]")


def envelope(letter: OutgoingMail, extensions: Mapping[str, str]) -> list[str]:
    """Return the MAIL, RCPT and DATA commands for a server with these EHLO extensions (name -> value)."""
    mail = f"MAIL FROM:<{letter.sender}>"
    if "SIZE" in extensions:
        mail += f" SIZE={len(letter.data)}"
    if "8BITMIME" in extensions and not letter.data.isascii():
        mail += " BODY=8BITMIME"
    if "SMTPUTF8" in extensions and not (letter.sender + letter.recipient).isascii():
        mail += " SMTPUTF8"
    return [mail, f"RCPT TO:<{letter.recipient}>", "DATA"]


def unsendable(letter: OutgoingMail, extensions: Mapping[str, str]) -> str:
    """Return why this server cannot be given the letter, in words; empty when it can."""
    for address in (letter.sender, letter.recipient):
        if _FORBIDDEN.search(address):
            return "an envelope address holds a character that may not stand there"
    if "@" not in letter.recipient:
        return "the recipient's address has no domain"
    addresses = letter.sender + letter.recipient
    if not addresses.isascii() and "SMTPUTF8" not in extensions:
        return "undeliverable: the address needs SMTPUTF8, which the server does not offer"
    data = letter.data
    crlf = data.count(b"\r\n")
    if data.count(b"\n") != crlf or data.count(b"\r") != crlf or not data.endswith(b"\r\n"):
        return "the mail holds a line that does not end with CRLF"
    if not data.isascii() and "8BITMIME" not in extensions:
        return "undeliverable: the mail holds 8-bit text, which the server does not take"
    limit = extensions.get("SIZE", "")
    if limit.isdecimal() and 0 < int(limit) < len(data):
        return f"the mail has {len(data)} bytes, the server takes {limit}"
    return ""


def stuffed(data: bytes) -> bytes:
    """Return the text as it goes over the wire: dots at line starts doubled, the final dot behind."""
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..") + b".\r\n"
