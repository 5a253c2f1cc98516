"""Reports, complaints and automatic mail are distinguished from people's mail, whatever its structure."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.inbound.inbound_mail import InboundMail, read
from nurture.runtime.clock import monotonic
from tests.inbound.mails import EXIM, HEADER_ID, QMAIL, a_dsn, an_answer, an_arf
from tests.rig.examples import examples

NOBODY = ""
ADA = "ada@example.com"


# ---- bounces ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "nature", "severity"),
    [
        (a_dsn(), "bounce", "hard"),
        (a_dsn(status="5.0.0", diagnostic="550 No such user here"), "bounce", "hard"),
        (a_dsn(status="5.2.2", diagnostic="552 5.2.2 over quota"), "bounce", "soft"),
        (a_dsn(status="4.4.7", diagnostic="delivery time expired"), "bounce", "soft"),
        (a_dsn(status="5.7.1", diagnostic="550 5.7.1 blocked, see our policy"), "bounce", "policy"),
        # Its own code says unknown user; the words of the receiving server blame us.
        (a_dsn(status="5.1.1", diagnostic="550 5.7.26 unauthenticated mail"), "bounce", "policy"),
        (a_dsn(status="5.6.1", diagnostic="554 5.6.1 content not accepted"), "bounce", "undetermined"),
        (a_dsn(action="delayed", status="4.4.1", diagnostic="no answer"), "deferred", ""),
        (a_dsn(action="relayed", status="2.0.0", diagnostic="250 ok"), "delivered", ""),
        (QMAIL, "bounce", "hard"),
        (EXIM, "bounce", "soft"),
    ],
)
def test_a_report_is_read(report: bytes, nature: str, severity: str) -> None:
    found = read(report, envelope_sender=NOBODY)
    assert (found.nature, found.severity) == (nature, severity)


def test_a_report_brings_the_server_s_words_and_our_mail() -> None:
    found = read(a_dsn(), envelope_sender=NOBODY)
    assert (found.code, found.diagnostic) == ("5.1.1", "550 5.1.1 <ada@example.com>: user unknown")
    assert found.about == (HEADER_ID,)


def test_row_46_a_report_in_eight_bits_or_broken_mime_is_read_or_passed_over() -> None:
    eight_bits = a_dsn(note="Empfänger unbekannt").decode().encode("latin-1")
    assert read(eight_bits, envelope_sender=NOBODY).severity == "hard"
    whole = a_dsn()
    for end in range(0, len(whole), 37):
        read(whole[:end], envelope_sender=NOBODY)
    no_boundary = whole.replace(b'; boundary="b"', b"")
    assert read(no_boundary, envelope_sender=NOBODY).nature in ("bounce", "automatic")
    odd_charset = whole.replace(b"charset=utf-8", b"charset=no-such-thing")
    assert read(odd_charset, envelope_sender=NOBODY).severity == "hard"


def test_row_46_a_huge_part_costs_no_more_than_its_beginning() -> None:
    since = monotonic()
    found = read(a_dsn() + b"x" * 50_000_000, envelope_sender=NOBODY)
    assert found.severity == "hard"
    nested = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(5_000)
    )
    assert read(nested, envelope_sender=ADA).nature in ("automatic", "reply")
    assert monotonic() - since < 5


def test_an_alias_that_fans_out_counts_what_failed() -> None:
    two = a_dsn().replace(
        b"Final-Recipient: rfc822; ada@example.com",
        b"Final-Recipient: rfc822; fine@example.com\r\nAction: relayed\r\nStatus: 2.0.0\r\n\r\n"
        b"Final-Recipient: rfc822; ada@example.com",
        1,
    )
    assert read(two, envelope_sender=NOBODY).severity == "hard"


# ---- complaints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "nature"),
    [("abuse", "complaint"), ("fraud", "complaint"), ("opt-out", "opt_out"), ("not-spam", "automatic")],
)
def test_a_complaint_is_read(kind: str, nature: str) -> None:
    found = read(
        an_arf(kind, return_path="bounces+tag@shop.example"), envelope_sender="feedback@provider.example"
    )
    assert found.nature == nature
    assert found.about == (HEADER_ID,)
    assert found.return_paths[0] == "<bounces+tag@shop.example>"


# ---- machines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        an_answer(Auto_Submitted="auto-replied"),
        an_answer(Auto_Submitted="auto-generated; type=vacation"),
        an_answer(Precedence="bulk"),
        an_answer(Precedence="auto_reply"),
        an_answer(X_Autoreply="yes"),
        an_answer(List_Id="<list.example.com>"),
        an_answer(about=None, X_Auto_Response_Suppress="All"),
        an_answer(subject="Automatic reply: For you"),
        an_answer(subject="Out of the office Re: For you"),
        an_answer(subject="自动回复: For you"),
        an_answer(subject="Abwesenheitsnotiz: For you"),
        an_answer(sender="MAILER-DAEMON@example.com"),
    ],
    ids=lambda answer: answer.split(b"Content-Type")[0].decode("ascii", "replace")[-60:],
)
def test_an_automatic_answer_is_recognised(answer: bytes) -> None:
    assert read(answer, envelope_sender=ADA).nature == "automatic"


def test_a_mail_that_cannot_be_answered_is_automatic() -> None:
    assert read(an_answer(), envelope_sender=NOBODY).nature == "automatic"
    assert read(an_answer(), envelope_sender="MAILER-DAEMON@example.com").nature == "automatic"


# ---- people ----------------------------------------------------------------------------------------------


def test_a_person_s_answer_is_read() -> None:
    found = read(an_answer(Auto_Submitted="no"), envelope_sender=ADA)
    assert found == InboundMail(
        "reply",
        found.key,
        author=ADA,
        name="Ada Lovelace",
        subject="Re: For you",
        text="Does the kettle come in green?",
        about=(HEADER_ID,),
    )


@pytest.mark.parametrize(
    "quote",
    [
        "> Hello Ada",
        "On Wed, 13 May 2026 at 12:00, Shop <hello@shop.example> wrote:\n> Hello",
        "On Wed, 13 May 2026 at 12:00, Shop\n<hello@shop.example> wrote:\n> Hello",
        "Am 13.05.2026 um 12:00 schrieb Shop:\n> Hallo",
        "Le mer. 13 mai 2026, Shop a écrit :\n> Bonjour",
        "在 2026年5月13日，Shop <hello@shop.example> 写道：\n> 你好",
        "-----Original Message-----\nFrom: Shop",
        "________________________________\nFrom: Shop <hello@shop.example>",
    ],
)
def test_a_quote_is_left_out(quote: str) -> None:
    found = read(an_answer(f"Yes please.\n\nAda\n\n{quote}\n"), envelope_sender=ADA)
    assert found.text == "Yes please.\n\nAda"


def test_an_answer_in_html_alone_is_read() -> None:
    mail = an_answer("<html><body><p>Yes</p><p>please&nbsp;</p></body></html>")
    found = read(mail.replace(b"text/plain", b"text/html"), envelope_sender=ADA)
    assert found.text.split() == ["Yes", "please"]


def test_a_subject_cannot_bring_a_line_along() -> None:
    mail = an_answer().replace(b"Subject: Re: For you", b"Subject: =?utf-8?q?a=0D=0ABcc:_v@x.example?=")
    assert read(mail, envelope_sender=ADA).subject == "a Bcc: v@x.example"


def test_the_same_mail_delivered_twice_has_one_key() -> None:
    once = read(an_answer(), envelope_sender=ADA)
    again = read(b"Received: from elsewhere\r\n" + an_answer(), envelope_sender=ADA)
    other = read(an_answer(number="<answer-2@example.com>"), envelope_sender=ADA)
    assert once.key == again.key != other.key


@settings(max_examples=examples(150), deadline=None)
@given(data=st.binary(max_size=400), sender=st.text(max_size=20))
def test_nothing_makes_it_raise(data: bytes, sender: str) -> None:
    assert isinstance(read(data, envelope_sender=sender), InboundMail)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_any_bytes_in_any_place_are_read(data: st.DataObject) -> None:
    whole: Any = data.draw(st.sampled_from([a_dsn(), an_arf(), an_answer(), QMAIL, EXIM]))
    start = data.draw(st.integers(min_value=0, max_value=len(whole)))
    length = data.draw(st.integers(min_value=0, max_value=60))
    changed = whole[:start] + data.draw(st.binary(max_size=40)) + whole[start + length :]
    assert isinstance(read(changed, envelope_sender=NOBODY), InboundMail)
