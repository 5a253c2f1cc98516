"""Mails as they come in: reports, complaints, machines' answers and people's, as servers and programs write them."""

from email.message import EmailMessage
from typing import Any

HEADER_ID = "<m7.0123456789abcdef@shop.example>"

STATUS = """\
Reporting-MTA: dns; mx.example.com
Arrival-Date: Wed, 13 May 2026 10:00:00 +0000

Final-Recipient: rfc822; ada@example.com
Action: {action}
Status: {status}
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; {diagnostic}
"""

ORIGINAL = f"""\
Return-Path: <bounces@shop.example>
From: Shop <hello@shop.example>
To: ada@example.com
Subject: For you
Message-ID: {HEADER_ID}
Feedback-ID: offer

Hello Ada
"""


def a_dsn(
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "550 5.1.1 <ada@example.com>: user unknown",
    number: str = "<dsn-1@mx.example.com>",
    note: str = "I could not deliver your mail.",
) -> bytes:
    """Return a report as RFC 3464 says."""
    return "\r\n".join(
        [
            "From: MAILER-DAEMON@mx.example.com",
            "To: bounces@shop.example",
            "Subject: Undelivered Mail Returned to Sender",
            f"Message-ID: {number}",
            "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0",
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
            "",
            "--b",
            "Content-Type: text/plain; charset=utf-8",
            "",
            note,
            "--b",
            "Content-Type: message/delivery-status",
            "",
            *STATUS.format(action=action, status=status, diagnostic=diagnostic).split("\n"),
            "--b",
            "Content-Type: message/rfc822",
            "",
            *ORIGINAL.split("\n"),
            "--b--",
            "",
        ]
    ).encode()


QMAIL = b"""\
From: MAILER-DAEMON@mx.example.com
To: bounces@shop.example
Subject: failure notice

Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@example.com>:
192.0.2.8 does not like recipient.
Remote host said: 550 5.1.1 <ada@example.com>: Recipient address rejected: User unknown
Giving up on 192.0.2.8.

--- Below this line is a copy of the message.

Return-Path: <bounces@shop.example>
"""

EXIM = b"""\
From: Mail Delivery System <Mailer-Daemon@mx.example.com>
To: bounces@shop.example
Subject: Mail delivery failed: returning message to sender
X-Failed-Recipients: ada@example.com
Auto-Submitted: auto-replied

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  ada@example.com
    mailbox is full: retry timeout exceeded
"""


def an_arf(
    kind: str = "abuse", *, return_path: str = "bounces@shop.example", header_id: str = HEADER_ID
) -> bytes:
    """Return a complaint as RFC 5965 says."""
    return "\r\n".join(
        [
            "From: <feedback@provider.example>",
            "To: <complaints@shop.example>",
            "Subject: FW: For you",
            "Message-ID: <arf-1@provider.example>",
            "MIME-Version: 1.0",
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"',
            "",
            "--b",
            "Content-Type: text/plain",
            "",
            "This is an email abuse report.",
            "--b",
            "Content-Type: message/feedback-report",
            "",
            f"Feedback-Type: {kind}",
            "User-Agent: SomeGenerator/1.0",
            "Version: 1",
            f"Original-Mail-From: <{return_path}>",
            "Original-Rcpt-To: <ada@example.com>",
            "Received-Date: Wed, 13 May 2026 10:00:00 +0000",
            "",
            "--b",
            "Content-Type: message/rfc822",
            "",
            *ORIGINAL.replace(HEADER_ID, header_id).split("\n"),
            "--b--",
            "",
        ]
    ).encode()


def an_answer(
    text: str = "Does the kettle come in green?",
    *,
    sender: str = "Ada Lovelace <ada@example.com>",
    subject: str = "Re: For you",
    about: str | None = HEADER_ID,
    number: str = "<answer-1@example.com>",
    **headers: Any,
) -> bytes:
    """Return a person's answer; further headers with `_` for `-`."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = (
        sender,
        "hello@shop.example",
        subject,
        number,
    )
    if about:
        mail["In-Reply-To"] = about
        mail["References"] = about
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()
