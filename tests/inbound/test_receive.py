"""Inbound mail is trusted as far as its address proves, and accepted only once it is stored."""

import smtplib
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from nurture.database import schema as t
from nurture.domain.inbound.verp import build_return_path
from nurture.domain.signing import SigningKeys
from nurture.reports.metrics import counter_registry
from nurture.simulation.run_until_idle import run_until_idle
from nurture.web import inbound_smtp as edge
from tests.delivery.world import KEYS
from tests.inbound.corpus import written_with_the_rules
from tests.inbound.mails import EXIM, HEADER_ID, QMAIL, a_dsn, an_answer, an_arf
from tests.inbound.office import BOUNCES, HUMAN, Office, Post
from tests.inbound.test_replies import ADA, ordered

HELLO = "hello@larkandkettle.example"
NOBODY = ""


def counted(reason: str) -> float:
    found = counter_registry().get_sample_value("nurture_items_total", {"room": "feedback", "reason": reason})
    return found or 0.0


def state(office: Office) -> list[Any]:
    return [
        office.rows(table)
        for table in (t.feedback, t.inbox, t.suppressions, t.consents, t.switches, t.notices)
    ]


def stops(office: Office) -> list[tuple[str, str]]:
    return [(row.scope, row.reason) for row in office.rows(t.suppressions)]


def number_of(office: Office) -> int:
    (row,) = [row for row in office.rows(t.messages) if row.status == "sent"]
    return int(row.id)


# ---- bounces ---------------------------------------------------------------------------------------------


def test_each_mail_is_one_line_with_its_outcome_and_no_words_of_it(office: Office, post: Post) -> None:
    mail = ordered(office)
    with structlog.testing.capture_logs() as lines:
        post.send(mail.sender, a_dsn(), sender=NOBODY)
        post.send(BOUNCES, a_dsn(number="<dsn-2@mx.example.com>"), sender=NOBODY)
        post.send(HELLO, an_answer("Does the kettle come in green?", about=None))
    outcomes = [(line["nature"], line["outcome"]) for line in lines if line["event"] == "mail"]
    assert outcomes == [("bounce", "bounce, settled, suppressed"), ("bounce", "unproven"), ("reply", "reply")]
    assert "kettle" not in str(lines)
    assert "example.com" not in str(lines)


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_a_bounce_at_our_return_path_suppresses_the_address(office: Office, post: Post, lmtp: bool) -> None:
    mail = ordered(office)
    number = number_of(office)
    post.send(mail.sender, a_dsn(), sender=NOBODY, lmtp=lmtp)
    assert stops(office) == [("all", "hard_bounce")]
    assert office.status(number) == ("failed", "hard_bounce")
    (kept,) = office.rows(t.feedback)
    assert (kept.provider, kept.kind, kept.severity, kept.address) == ("mail", "bounce", "hard", ADA)
    assert [row.name for row in office.rows(t.inbox)] == ["Email Bounced"]
    # The server delivers its report again.
    before = state(office)
    post.send(mail.sender, a_dsn(), sender=NOBODY)
    assert state(office) == before


def test_row_46_and_security_23_a_forged_bounce_suppresses_nobody(office: Office, post: Post) -> None:
    mail = ordered(office)
    number = number_of(office)
    before, unproven = state(office), counted("unproven")
    forgeries = (
        BOUNCES,
        HELLO,
        build_return_path(SigningKeys((b"somebody else's secret, as long",)), BOUNCES, number),
        # Another message's number with this one's tag, and a case's address.
        mail.sender.replace("+", "+a"),
    )
    for address in forgeries:
        post.send(address, a_dsn(), sender=NOBODY)
        post.send(address, QMAIL, sender=NOBODY)
    assert state(office) == before
    assert counted("unproven") == unproven + 2 * len(forgeries)


def test_the_address_in_a_report_is_not_believed(office: Office, post: Post) -> None:
    """A recipient of our mail may forge its bounce, and harms nobody but themselves."""
    mail = ordered(office)
    office.person("eve")
    post.send(mail.sender, a_dsn().replace(b"ada@example.com", b"eve@example.com"), sender=NOBODY)
    assert [row.address for row in office.rows(t.feedback)] == [ADA]


def test_an_old_return_path_is_known_after_the_secret_changed(office: Office, post: Post) -> None:
    ordered(office)
    old = build_return_path(SigningKeys(KEYS.secrets), BOUNCES, number_of(office))
    object.__setattr__(office.services, "keys", SigningKeys((b"a newer secret, long enough", *KEYS.secrets)))
    post.send(old, a_dsn(), sender=NOBODY)
    assert stops(office) == [("all", "hard_bounce")]


def test_odd_and_soft_bounces_are_kept_and_suppress_nobody_at_once(office: Office, post: Post) -> None:
    mail = ordered(office)
    post.send(mail.sender, EXIM, sender=NOBODY)
    post.send(mail.sender, a_dsn(status="4.4.7", diagnostic="expired", number="<2@x>"), sender=NOBODY)
    assert {(row.kind, row.severity) for row in office.rows(t.feedback)} == {("bounce", "soft")}
    assert stops(office) == []


def test_one_refusal_of_us_pauses_nothing(office: Office, post: Post) -> None:
    """A recipient could otherwise stop all others with a forged report."""
    mail = ordered(office)
    for n in range(5):
        report = a_dsn(status="5.7.1", diagnostic="550 5.7.1 blocked", number=f"<{n}@x>")
        post.send(mail.sender, report, sender=NOBODY)
    assert office.rows(t.switches) == []
    assert stops(office) == []


def test_row_46_reports_are_never_answered(office: Office, post: Post) -> None:
    """No mail leaves for a report, a machine's answer or an address that is not there: so there is no loop."""
    mail = ordered(office)
    sent = len(office.sink.taken)
    post.send(mail.sender, a_dsn(), sender=NOBODY)
    post.send(mail.sender, an_answer(Auto_Submitted="auto-replied"))
    post.send(BOUNCES, a_dsn(number="<3@x>"), sender=NOBODY)
    office.turn()
    office.work()
    assert len(office.sink.taken) == sent


def test_a_text_bounce_with_our_copy_below_suppresses_the_address(office: Office, post: Post) -> None:
    """The words of the returned copy, such as a DKIM-Signature, are not the server's."""
    mail = ordered(office)
    shape = next(shape for shape in written_with_the_rules.SHAPES if shape.name == "OpenSMTPD")
    post.send(mail.sender, shape.data, sender=NOBODY)
    assert stops(office) == [("all", "hard_bounce")]


def test_a_refusal_of_the_sender_under_5_1_1_suppresses_nobody(office: Office, post: Post) -> None:
    mail = ordered(office)
    refusals = ("not allowed to send: SPF", "too many recipients this hour", "sender rejected")
    for number, words in enumerate(refusals):
        report = a_dsn(status="5.1.1", diagnostic=f"550 5.1.1 {words}", number=f"<{number}@x>")
        post.send(mail.sender, report, sender=NOBODY)
    assert {(row.kind, row.severity) for row in office.rows(t.feedback)} == {("bounce", "policy")}
    assert stops(office) == []


# ---- complaints ------------------------------------------------------------------------------------------


def test_a_complaint_that_shows_our_mail_suppresses_for_good(office: Office, post: Post) -> None:
    mail = ordered(office)
    post.send(HELLO, an_arf(return_path=mail.sender), sender="feedback@provider.example")
    # About a receipt: not even receipts any more.
    assert stops(office) == [("all", "complaint")]


def test_a_complaint_is_known_by_our_own_message_id(office: Office, post: Post) -> None:
    mail = ordered(office)
    post.send(HELLO, an_arf(header_id=mail["Message-ID"]), sender="feedback@provider.example")
    assert stops(office) == [("all", "complaint")]


def test_a_complaint_that_shows_nothing_of_ours_is_not_believed(office: Office, post: Post) -> None:
    mail = ordered(office)
    number = number_of(office)
    for header_id in (
        "<m1.0000000000000000@shop.example>",
        f"<m{number}.0000000000000000@larkandkettle.example>",
    ):
        post.send(HELLO, an_arf(header_id=header_id), sender="feedback@provider.example")
    post.send(HELLO, an_arf(header_id="<x@y.example>"), sender="feedback@provider.example")
    assert stops(office) == []
    assert office.status(number) == ("sent", "")
    assert mail is not None


def test_a_junk_report_of_hotmail_is_a_complaint_and_no_reply(office: Office, post: Post) -> None:
    mail = ordered(office)
    shape = next(shape for shape in written_with_the_rules.SHAPES if shape.name == "JMRP")
    data = shape.data.replace(HEADER_ID.encode(), mail["Message-ID"].encode())
    post.send(HELLO, data, sender="staff@hotmail.com")
    assert [row.kind for row in office.rows(t.feedback)] == ["complaint"]
    assert stops(office) == [("all", "complaint")]
    assert office.rows(t.notices) == []


def test_not_spam_and_opting_out_are_what_they_say(office: Office, post: Post) -> None:
    mail = ordered(office)
    post.send(HELLO, an_arf("not-spam", return_path=mail.sender), sender="feedback@provider.example")
    assert office.rows(t.feedback) == []
    post.send(HELLO, an_arf("opt-out", return_path=mail.sender), sender="feedback@provider.example")
    assert [row.kind for row in office.rows(t.feedback)] == ["unsubscribe"]
    assert stops(office) == [("marketing", "unsubscribed")]


# ---- the edge --------------------------------------------------------------------------------------------


@pytest.fixture
def refused(office: Office, post: Post) -> Callable[..., int]:
    """Give a function that hands in a mail and returns the code it is refused with; nothing was changed."""

    def check(recipient: str, data: bytes = b"Subject: x\r\n\r\nx\r\n") -> int:
        before = state(office)
        with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)) as raised:
            post.send(recipient, data)
        assert state(office) == before
        error: Any = raised.value
        return int(error.smtp_code if hasattr(error, "smtp_code") else error.recipients[recipient][0])

    return check


def test_mail_for_others_is_not_taken(refused: Callable[..., int]) -> None:
    for address in (
        "somebody@elsewhere.example",
        "nobody@larkandkettle.example",
        HUMAN,
        "hello@evil.example",
    ):
        assert refused(address) == 550


def test_row_46_a_mail_of_a_gigabyte_is_refused_unread(office: Office, post: Post) -> None:
    with post.connected() as client:
        client.ehlo()
        assert int(client.esmtp_features["size"]) == edge.SIZE_MAX
        assert client.mail("ada@example.com", ["SIZE=1000000000"])[0] == 552
        # A client that does not declare a size is stopped at the bound.
        assert client.mail("ada@example.com")[0] == 250
        assert client.rcpt(BOUNCES)[0] == 250
        assert client.data(b"x: y\r\n\r\n" + (b"x" * 990 + b"\r\n") * (edge.SIZE_MAX // 900))[0] == 552
    assert office.rows(t.feedback) == []


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_a_mail_is_for_one_recipient_at_a_time(post: Post, lmtp: bool) -> None:
    with post.connected(lmtp=lmtp) as client:
        client.ehlo_or_helo_if_needed()
        client.mail("")
        assert client.rcpt(BOUNCES)[0] == 250
        assert client.rcpt(HELLO)[0] == 452


def test_a_mail_stays_with_its_sender_while_the_database_is_away(office: Office, post: Post) -> None:
    mail = ordered(office)
    with office.database.write() as connection:
        connection.execute(sa.text("ALTER TABLE feedback RENAME TO away"))
    try:
        with pytest.raises(smtplib.SMTPDataError) as raised:
            post.send(mail.sender, a_dsn(), sender=NOBODY)
        assert raised.value.smtp_code == 451
    finally:
        with office.database.write() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO feedback"))
    post.send(mail.sender, a_dsn(), sender=NOBODY)
    assert stops(office) == [("all", "hard_bounce")]


def test_connections_beyond_the_bound_are_sent_away(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "CONNECTIONS_MAX", 1)
    with post.connected() as first:
        with socket.create_connection(("127.0.0.1", post.smtp_port), 5) as second:
            assert second.recv(100).startswith(b"421")
        assert first.noop()[0] == 250
    with post.connected() as third:
        assert third.noop()[0] == 250


def test_without_a_bounce_address_the_sender_stays_as_it_is(office: Office) -> None:
    office.person("ada")
    office.happen("Order Completed", order_id="1", revenue=1.0, currency="EUR", products=[])
    run_until_idle(office.database, replace(office.delivery, bounce_address=""), {"main": office.transport})
    (mail,) = office.mails_to(ADA)
    assert mail.sender == HELLO
