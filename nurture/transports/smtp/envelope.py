"""The SMTP form of a mail: its envelope commands, the extensions it needs, and dot-stuffing (RFC 5321)."""

import re
from collections.abc import Mapping

from nurture.transports.types import OutgoingMail

#: Characters that would end an address in MAIL or RCPT, or the command (RFC 5321, 4.1.2).
_FORBIDDEN = re.compile(r"[<>\x00-\x20\x7f]")


def envelope_commands(mail: OutgoingMail, extensions: Mapping[str, str]) -> list[str]:
    """Return the MAIL, RCPT and DATA commands for a server with these EHLO extensions (name -> value)."""
    command = f"MAIL FROM:<{mail.sender}>"
    if "SIZE" in extensions:
        command += f" SIZE={len(mail.data)}"
    if "8BITMIME" in extensions and not mail.data.isascii():
        command += " BODY=8BITMIME"
    if "SMTPUTF8" in extensions and not (mail.sender + mail.recipient).isascii():
        command += " SMTPUTF8"
    return [command, f"RCPT TO:<{mail.recipient}>", "DATA"]


def explain_unsendable(mail: OutgoingMail, extensions: Mapping[str, str]) -> str:
    """Return why this server cannot take the mail, in words; empty when it can."""
    for address in (mail.sender, mail.recipient):
        if _FORBIDDEN.search(address):
            return "an envelope address holds a character that may not stand there"
    if "@" not in mail.recipient:
        return "the recipient's address has no domain"
    addresses = mail.sender + mail.recipient
    if not addresses.isascii() and "SMTPUTF8" not in extensions:
        return "undeliverable: the address needs SMTPUTF8, which the server does not offer"
    data = mail.data
    crlf = data.count(b"\r\n")
    if data.count(b"\n") != crlf or data.count(b"\r") != crlf or not data.endswith(b"\r\n"):
        return "the mail holds a line that does not end with CRLF"
    if not data.isascii() and "8BITMIME" not in extensions:
        return "undeliverable: the mail holds 8-bit text, which the server does not take"
    limit = extensions.get("SIZE", "")
    if limit.isdecimal() and 0 < int(limit) < len(data):
        return f"the mail has {len(data)} bytes, the server takes {limit}"
    return ""


def dot_stuff(data: bytes) -> bytes:
    """Return the text as DATA sends it: dots at line starts doubled, then the final dot (RFC 5321, 4.5.2)."""
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..") + b".\r\n"
