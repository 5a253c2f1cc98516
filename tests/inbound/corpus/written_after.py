"""The second half: written after the rules were committed, measured once before any repair."""

from tests.inbound.corpus.shape import Shape, dsn, mail, reply, text_report
from tests.inbound.mails import HEADER_ID, ORIGINAL

SIGNED = f"Received: from relay.shop.example by mx.example.com\nX-Spam-Policy: relay, blocked, reputation\n{ORIGINAL}"

_JUNK_OUTSIDE = f"""\
X-HmXmrOriginalRecipient: ada@hotmail.com
From: staff@hotmail.com
To: complaints@shop.example
Subject: complaint about message from 192.0.2.25
MIME-Version: 1.0
Content-Type: message/rfc822

{ORIGINAL}
"""

_GOOGLE_ANSWER = f"""\
From: Ada <ada@example.com>
To: hello@shop.example
Subject: Declined: Fitting @ Wed 13 May 2026
In-Reply-To: {HEADER_ID}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/plain; charset=utf-8

Ada has declined this invitation.

--b
Content-Type: application/ics; name="invite.ics"

BEGIN:VCALENDAR
METHOD:REPLY
END:VCALENDAR
--b--
"""

_TNEF_ANSWER = """\
From: Ada <ada@example.com>
To: hello@shop.example
Subject: Zugesagt: Anprobe
Content-Class: urn:content-classes:calendarmessage
Content-Type: text/plain


"""

_VACATION_FROM_NOBODY = """\
From: Ada <ada@example.com>
To: hello@shop.example
Subject: On holiday until Monday
Content-Type: text/plain

I am on holiday and cannot be reached until Monday.
"""

_OUTLOOK_FRENCH = (
    "De : Shop <h@s.example>\nEnvoyé : mercredi 13 mai 2026\nÀ : Ada\nObjet : Bonjour\n\nBonjour Ada\n"
)
_OUTLOOK_CHINESE = "发件人: Shop <h@s.example>\n发送时间: 2026年5月13日\n收件人: Ada\n主题: 你好\n\n你好\n"
_GMAIL_HTML = (
    '<div dir="ltr">S&iacute;, el verde.</div><br><div class="gmail_quote"><div dir="ltr">El mi&eacute;, 13 may 2026, '
    'Shop &lt;<a href="mailto:h@s.example">h@s.example</a>&gt; escribi&oacute;:<br></div>'
    '<blockquote class="gmail_quote"><div>Hola</div></blockquote></div>'
)
_OUTLOOK_HTML = (
    "<html><head><style><!-- p.MsoNormal {margin:0cm} --></style></head><body><p class=MsoNormal>Yes please</p>"
    "<div style='border-top:solid'><p><b>From:</b> Shop &lt;h@s.example&gt;<br><b>Sent:</b> Wednesday<br>"
    "<b>To:</b> Ada<br><b>Subject:</b> For you</p></div><p>Hello Ada</p></body></html>"
)

SHAPES: tuple[Shape, ...] = (
    dsn("DMARC under 5.1.1", "5.1.1", "550 5.1.1 message does not pass DMARC of shop.example", "policy"),
    dsn("bulk mail under 5.1.2", "5.1.2", "550 5.1.2 bulk mail is not accepted here", "policy"),
    dsn("rate under 5.1.0", "5.1.0", "550 5.1.0 sending rate exceeded, slow down", "policy"),
    dsn("daily quota of the sender", "5.4.5", "550 5.4.5 Daily user sending quota exceeded", "policy"),
    dsn(
        "unknown sender domain",
        "5.1.1",
        "550 5.1.1 <b@shop.example>: Sender address rejected",
        "policy",
    ),
    dsn("bad reverse DNS", "5.1.1", "550 5.1.1 no reverse DNS for 192.0.2.1", "policy"),
    dsn(
        "Exchange not found",
        "5.1.10",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; by SMTP",
        "hard",
    ),
    dsn("over quota in other words", "5.1.1", "550 5.1.1 user has exceeded storage allocation", "soft"),
    dsn("inner code of a relay", "5.0.0", "554 5.0.0 relay said: 552 5.2.2 user over limit", "soft"),
    dsn(
        "inactive for long",
        "5.2.1",
        "550 5.2.1 The email account that you tried to reach is inactive",
        "hard",
    ),
    dsn(
        "mailbox closed",
        "5.0.0",
        "554 30 Sorry, your message cannot be delivered. This mailbox is closed",
        "hard",
    ),
    dsn("no such domain user", "5.7.1", "550 5.7.1 No such user here", "hard"),
    dsn("too fast for the mailbox", "5.2.1", "550 5.2.1 recipient is receiving mail too quickly", "soft"),
    dsn(
        "Outlook S3150",
        "5.7.1",
        "550 5.7.1 Unfortunately, messages from 192.0.2.1 weren't sent (S3150)",
        "policy",
    ),
    dsn(
        "deferred for complaints",
        "4.7.650",
        "451 4.7.650 mail server has been temporarily rate limited",
        "policy",
    ),
    dsn("greylisted to the end", "4.4.7", "451 4.7.1 Greylisting in action, please come back later", "soft"),
    dsn("too large", "5.3.4", "552 5.3.4 message size exceeds fixed limit", "undetermined"),
    dsn("connection lost", "4.4.2", "lost connection with mx.example.com", "soft"),
    text_report(
        "Courier",
        "This is a delivery status notification from mx.example.com.\n\nYour message could not be delivered to the "
        "following addresses:\n\n<ada@example.com>:\n     mx.example.com [192.0.2.8]:\n<<< 550 User unknown.\n",
        "hard",
        copy=SIGNED,
    ),
    text_report(
        "Exim with the copy",
        "A message that you sent could not be delivered to one or more of its recipients.\n\n  ada@example.com\n"
        "    host mx.example.com [192.0.2.8]\n    SMTP error from remote mail server after RCPT TO:\n"
        "    550 5.1.1 No such mailbox\n\n------ This is a copy of your message, including all the headers. ------\n",
        "hard",
        copy=SIGNED,
    ),
    text_report(
        "Zimbra full",
        "Your mail could not be delivered.\n\nada@example.com: mailbox is full\n\n--- Message header follows ---\n",
        "soft",
        author="postmaster@example.com",
        subject="Undelivered mail",
        copy=SIGNED,
    ),
    text_report(
        "German provider",
        "Ihre Nachricht konnte nicht zugestellt werden.\n\nada@example.com:\nEmpfänger unbekannt\n",
        "hard",
        subject="Unzustellbar: For you",
        copy=SIGNED,
    ),
    text_report(
        "delay of OpenSMTPD",
        "A message is delayed for more than 4 hours for the following list of recipients:\n\nada@example.com: "
        "Connection timeout\n\nPlease note that this is only a temporary failure report.\n",
        "",
        nature="deferred",
        subject="Delivery status notification: delay",
        copy=SIGNED,
    ),
    text_report(
        "reputation in a text report",
        "Your message was not delivered.\n\nada@example.com: 554 rejected due to the poor reputation of your IP\n",
        "policy",
        copy=ORIGINAL,
    ),
    mail("JMRP with the header outside", _JUNK_OUTSIDE, "complaint", sender="staff@hotmail.com"),
    mail("declined in Google", _GOOGLE_ANSWER, "automatic", sender="ada@example.com"),
    mail("accepted in Outlook without iCalendar", _TNEF_ANSWER, "automatic", sender="ada@example.com"),
    mail("holiday from nobody", _VACATION_FROM_NOBODY, "automatic"),
    reply("Gmail in HTML alone", _GMAIL_HTML, "Sí, el verde.", subtype="html"),
    reply("Outlook in HTML alone", _OUTLOOK_HTML, "Yes please", subtype="html"),
    reply("Outlook French", f"Oui.\n\n{_OUTLOOK_FRENCH}", "Oui."),
    reply("Outlook Chinese", f"好。\n\n{_OUTLOOK_CHINESE}", "好。"),
    reply(
        "Portuguese",
        "Sim.\n\nEm qua., 13 de mai. de 2026 às 12:00, Shop <h@s.example> escreveu:\n> Olá\n",
        "Sim.",
    ),
    reply("Swedish", "Ja.\n\nDen ons 13 maj 2026 kl 12:00 skrev Shop <h@s.example>:\n> Hej\n", "Ja."),
    reply("Danish", "Ja.\n\nDen ons. 13. maj 2026 kl. 12.00 skrev Shop <h@s.example>:\n> Hej\n", "Ja."),
    reply("Polish", "Tak.\n\nśr., 13 maj 2026 o 12:00 Shop <h@s.example> napisał(a):\n> Witaj\n", "Tak."),
    reply("Russian", "Да.\n\nср, 13 мая 2026 г. в 12:00, Shop <h@s.example>:\n> Привет\n", "Да."),
    reply("Russian below", "13 мая 2026 г. Shop пишет:\n> Привет\n\nДа, спасибо.\n", "Да, спасибо."),
    reply("Chinese", "好的。\n\nShop <h@s.example> 于2026年5月13日周三 12:00写道：\n> 你好\n", "好的。"),
    reply(
        "iPhone German",
        "Ja gerne.\n\nVon meinem iPhone gesendet\n\n> Am 13.05. schrieb Shop:\n> Hallo\n",
        "Ja gerne.",
    ),
    reply(
        "own colon line", "My wishes for 2026:\n\nA green kettle.\n", "My wishes for 2026:\n\nA green kettle."
    ),
)
