"""The first half: the rules were written to read these."""

from tests.inbound.corpus.shape import Shape, dsn, mail, reply, text_report
from tests.inbound.mails import HEADER_ID, ORIGINAL

SIGNED = f"DKIM-Signature: v=1; a=rsa-sha256; d=shop.example\nReceived: from relay.shop.example\n{ORIGINAL}"

_WRAPPED = "5.1.0 - Unknown address error 550-'5.2.2 <ada@example.com> Mailbox Full'"
_DENIED = "550 5.4.1 Recipient address rejected: Access denied. [x.outlook.com]"
_OUTLOOK = "Von: Shop <h@s.example>\nGesendet: Mittwoch, 13. Mai 2026\nAn: Ada\nBetreff: Hallo\n\nHallo Ada\n"

_JUNK = f"""\
From: staff@hotmail.com
To: complaints@shop.example
Subject: complaint about message from 192.0.2.25
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: message/rfc822

X-HmXmrOriginalRecipient: ada@hotmail.com
{ORIGINAL}
--b--
"""

_ACCEPTED = f"""\
From: Ada <ada@example.com>
To: hello@shop.example
Subject: Accepted: Fitting
In-Reply-To: {HEADER_ID}
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="b"

--b
Content-Type: text/plain; charset=utf-8


--b
Content-Type: text/calendar; charset=utf-8; method=REPLY

BEGIN:VCALENDAR
METHOD:REPLY
END:VCALENDAR
--b--
"""

SHAPES: tuple[Shape, ...] = (
    dsn(
        "spf under 5.1.1",
        "5.1.1",
        "550 5.1.1 host is not allowed to send mail for shop.example, SPF fail",
        "policy",
    ),
    dsn(
        "hourly recipients under 5.1.1",
        "5.1.1",
        "550 5.1.1 you have sent to too many recipients this hour",
        "policy",
    ),
    dsn(
        "block list URL under 5.1.3",
        "5.1.3",
        "550 5.1.3 see http://www.spamhaus.org/query/ip/192.0.2.1",
        "policy",
    ),
    dsn("sender rejected under 5.1.1", "5.1.1", "550 5.1.1 sender rejected", "policy"),
    dsn(
        "full mailbox in a wrapper",
        "5.1.0",
        _WRAPPED,
        "soft",
    ),
    dsn(
        "no account at Yahoo",
        "5.0.0",
        "554 delivery error: dd This user doesn't have a yahoo.com account",
        "hard",
    ),
    dsn("mailbox unavailable", "5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable", "hard"),
    dsn("frozen account", "5.0.0", "550 account ada is frozen", "hard"),
    dsn("code 542", "5.0.0", "542 ada@example.com Rejected", "hard"),
    dsn("user unknown under 5.2.0", "5.2.0", "550 5.2.0 User unknown", "hard"),
    dsn(
        "Microsoft access denied",
        "5.4.1",
        _DENIED,
        "hard",
    ),
    dsn("disabled account", "5.2.1", "550 5.2.1 The account is disabled", "hard"),
    dsn(
        "Yahoo reputation for now",
        "4.7.0",
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 deferred",
        "policy",
    ),
    dsn("rate by reputation", "4.0.0", "451 rate limited due to IP reputation", "policy"),
    dsn(
        "block list for now", "4.4.7", "450 Client host [192.0.2.1] blocked using dnsbl.example.net", "policy"
    ),
    dsn("address named like a rule", "5.1.1", "550 5.1.1 <spam.policy@example.com>: user unknown", "hard"),
    dsn("no reason", "5.0.0", "554 transaction failed", "undetermined"),
    text_report(
        "OpenSMTPD",
        "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n"
        "    An error has occurred while attempting to deliver a message for\n    the following list of recipients:\n\n"
        "ada@example.com: 550 5.1.1 <ada@example.com> User unknown\n\n    Below is a copy of the original message:\n",
        "hard",
        subject="Delivery status notification: error",
        copy=SIGNED,
    ),
    text_report(
        "DragonFly",
        "This is the DragonFly Mail Agent v0.13 at mx.example.com.\n\nThere was an error delivering your mail to "
        "<ada@example.com>.\n\nmx.example.com [192.0.2.8] did not like our RCPT TO:\n"
        "550 5.1.1 <ada@example.com>: Recipient address rejected: User unknown\n\nOriginal message follows.\n",
        "hard",
        subject="Mail delivery failed",
        copy=SIGNED,
    ),
    text_report(
        "Notes",
        "Your message\n\n  Subject: For you\n\nwas not delivered to:\n\n  ada@example.com\n\nbecause:\n\n"
        "  User ada (ada@example.com) not listed in Domino Directory\n",
        "hard",
        author="postmaster@example.com",
        subject="DELIVERY FAILURE: User ada (ada@example.com) not listed in Domino Directory",
        copy="",
    ),
    text_report(
        "WorkMail",
        "Your message could not be delivered to the following recipients:\n\nada@example.com\n"
        "The email account does not exist.\n",
        "hard",
        author='"Mail Delivery System" <postmaster@example.com>',
        subject="Undeliverable: For you",
        copy=SIGNED,
    ),
    text_report(
        "words of our own copy",
        "The message could not be delivered.\n\nada@example.com: reason unknown to us\n\n--- Original message ---\n",
        "undetermined",
        copy=SIGNED.replace("Hello Ada", "our anti-spam policy, blocked, user unknown"),
    ),
    mail("JMRP", _JUNK, "complaint", sender="staff@hotmail.com"),
    mail("accepted invitation", _ACCEPTED, "automatic", sender="ada@example.com"),
    reply(
        "answer below",
        "On Wed, 13 May 2026, Shop <h@s.example> wrote:\n> Hello Ada\n\nYes please.\n",
        "Yes please.",
    ),
    reply(
        "answer between",
        "On Wed, 13 May 2026, Shop wrote:\n> Green?\n\nYes, green.\n\n> When?\n\nOn Friday.\n",
        "Yes, green.\n\n\nOn Friday.",
    ),
    reply(
        "HTML alone",
        "<html><head><style>p {color: red}</style></head><body><p>Caf&eacute; &amp; tea</p>"
        "<blockquote>Hello</blockquote></body></html>",
        "Café & tea",
        subtype="html",
    ),
    reply("signature", "Yes.\n\n-- \nAda Lovelace\nLondon\n", "Yes."),
    reply(
        "German",
        "Ja bitte.\n\nAm 13.05.2026 um 12:00 schrieb Shop <hello@shop.example>:\n> Hallo\n",
        "Ja bitte.",
    ),
    reply("French", "Oui.\n\nLe mer. 13 mai 2026 à 12:00, Shop <h@s.example> a écrit :\n> Bonjour\n", "Oui."),
    reply(
        "Spanish", "Sí.\n\nEl mié, 13 may 2026 a las 12:00, Shop (<h@s.example>) escribió:\n> Hola\n", "Sí."
    ),
    reply(
        "Italian",
        "Sì.\n\nIl giorno mer 13 mag 2026 alle 12:00 Shop <h@s.example> ha scritto:\n> Ciao\n",
        "Sì.",
    ),
    reply("Dutch", "Ja.\n\nOp wo 13 mei 2026 om 12:00 schreef Shop <h@s.example>:\n> Hallo\n", "Ja."),
    reply(
        "Japanese", "はい。\n\n2026年5月13日(水) 12:00 Shop <hello@shop.example>:\n> こんにちは\n", "はい。"
    ),
    reply(
        "Outlook German",
        "Ja.\n\nVon: Shop <h@s.example>\nGesendet: Mittwoch, 13. Mai 2026\nAn: Ada\nBetreff: Hallo\n\nHallo Ada\n",
        "Ja.",
    ),
)
