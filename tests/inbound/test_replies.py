"""A full exchange over real SMTP: mail out, reply in, sales held, a human answers, sales go on (mission B13)."""

import re
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import decode
from nurture.domain.instant import DAY, HOUR, MINUTE, Duration, parse_iso, to_iso
from nurture.feedback.cases import answer_due, case_name
from tests.inbound.corpus import written_with_the_rules
from tests.inbound.mails import an_answer
from tests.inbound.office import BOUNCES, CHIEF, HUMAN, MORNING, Office, Post, shipped

ADA = "ada@example.com"
CASES = t.metadata.tables["dialogues"]
COUPON = "customer/any/second_order_coupon"
ORDER: dict[str, Any] = {
    "order_id": "A-1007",
    "revenue": 24.5,
    "currency": "EUR",
    "products": [{"product_id": "p1", "name": "Kettle", "quantity": 1, "price": 24.5}],
}


def ordered(office: Office) -> Any:
    """Let Ada order; return the confirmation that she got."""
    office.person("ada")
    office.happen("Order Completed", **ORDER)
    office.turn()
    (mail,) = office.mails_to(ADA)
    return mail


def answered(
    office: Office, post: Post, mail: Any, text: str = "Does it come in green?", **more: Any
) -> None:
    post.send(mail["Reply-To"], an_answer(text, about=mail["Message-ID"], subject="Re: your order", **more))
    office.turn()
    office.work()
    office.turn()


def sales_mail(office: Office) -> int:
    """Return a sales mail to Ada that is due now."""
    (row,) = [row for row in office.rows(t.contacts) if row.email == ADA]
    return office.mail(row.id, COUPON, step="offer", due_at=office.clock.now())


def test_a_full_exchange(office: Office, post: Post) -> None:
    mail = ordered(office)
    assert re.fullmatch(r"bounces\+[a-z2-7]{20,31}@mail\.larkandkettle\.example", mail.sender)

    # Ada answers. It is an event, it stops sales, and she hears when she gets her answer.
    office.later(10 * MINUTE)
    answered(office, post, mail)
    assert office.event_names()[-2:] == ["Email Replied", "Support Case Opened"]
    (case,) = office.rows(CASES)
    assert (case.owner, case.due_at) == ("support", office.clock.now() + 4 * HOUR)
    acknowledgement = office.mails_to(ADA)[1]
    due = to_iso(case.due_at)
    assert decode(office.rows(t.events)[-1].body)["properties"]["reply_by"] == due
    text = acknowledgement.get_body(("plain",)).get_content()
    # Twelve forty in UTC is twenty to three in Berlin, where she is.
    assert "You hear from us by Wednesday, 13 May, 14:40." in text

    offer = sales_mail(office)
    office.turn()
    assert office.status(offer) == ("waiting", "hold")

    # A human reads it, with the person's context on top and her own words below.
    (forwarded,) = office.mails_to(HUMAN)
    assert forwarded["Subject"] == f"[R-{case.id}] Re: your order"
    body = forwarded.get_body(("plain",)).get_content()
    context, _, words = body.partition("-" * 60)
    assert "customer/any/order_confirmation" in context
    assert "customer track" in context
    assert "count:" not in context
    assert "Order Completed" in context
    assert words.strip() == "Does it come in green?"
    (attached,) = forwarded.iter_attachments()
    assert b"Does it come in green?" in attached.get_payload(decode=True)
    to_ada, to_case = [address.strip() for address in forwarded["Reply-To"].split(",")]
    assert to_ada == ADA

    # The human answers to all; the copy settles the case.
    office.later(2 * HOUR)
    answer = an_answer(
        "Yes, it does.", sender=f"Tom <{HUMAN}>", about=forwarded["Message-ID"], number="<tom-1@x>"
    )
    post.send(to_case, answer, sender=HUMAN)
    office.turn()
    assert office.event_names()[-1] == "Support Case Closed"
    assert decode(office.rows(t.events)[-1].body)["properties"]["minutes"] == 120
    (case,) = office.rows(CASES)
    assert case.answered_at == case.closed_at == office.clock.now()

    # Sales go on: at ten the next day, when the offer's hour has come.
    office.clock.advance_to(MORNING + DAY)
    office.turn()
    assert office.status(offer) == ("sent", "")
    # Nobody was told that it is overdue.
    office.later(DAY)
    office.work()
    assert office.mails_to(CHIEF) == []


def test_a_lead_who_writes_hears_when_the_answer_comes(office: Office, post: Post) -> None:
    """Known by the address alone: the mail answers none of ours."""
    office.person("ada", track="lead", stage="aware")
    post.send("hello@larkandkettle.example", an_answer("Do you ship to Norway?", about=None))
    office.turn()
    office.work()
    (acknowledgement,) = office.mails_to(ADA)
    assert "Tom Adler has it and answers by" in acknowledgement.get_body(("plain",)).get_content()
    (forwarded,) = office.mails_to(HUMAN)
    assert "lead track" in forwarded.get_body(("plain",)).get_content()


def test_overdue_is_escalated_once(office: Office, post: Post) -> None:
    answered(office, post, ordered(office))
    office.later(4 * HOUR - MINUTE)
    office.work()
    assert office.mails_to(CHIEF) == []
    office.later(2 * MINUTE)
    for _ in range(3):
        office.work()
        office.later(HOUR)
    (notice,) = office.mails_to(CHIEF)
    assert re.match(r"\[R-\d+\] overdue: nobody has answered for 4 hours", notice["Subject"])
    office.turn()
    assert office.event_names().count("Reply Overdue") == 1


@pytest.mark.parametrize(
    ("within", "asked", "due"),
    [
        # Wednesday, 13 May 2026, 10:30 in Berlin, where the office is open from 9 to 17.
        (4 * HOUR, "2026-05-13T08:30:00Z", "2026-05-13T12:30:00Z"),
        (DAY, "2026-05-13T08:30:00Z", "2026-05-14T08:30:00Z"),
        (4 * HOUR, "2026-05-15T14:00:00Z", "2026-05-18T10:00:00Z"),
        (DAY, "2026-05-16T10:00:00Z", "2026-05-18T15:00:00Z"),
    ],
)
def test_an_answer_is_due_in_the_hours_of_the_owner(within: Duration, asked: str, due: str) -> None:
    assert to_iso(answer_due(shipped().playbook, within, now=parse_iso(asked))) == due
    without = replace(shipped().playbook, owners={})
    assert answer_due(without, within, now=parse_iso(asked)) == parse_iso(asked) + within


def test_another_answer_joins_the_case_and_promises_nothing_new(office: Office, post: Post) -> None:
    mail = ordered(office)
    answered(office, post, mail)
    office.later(HOUR)
    answered(office, post, mail, "And in red?", number="<answer-2@example.com>")
    (case,) = office.rows(CASES)
    assert case.due_at == MORNING + 4 * HOUR
    assert office.event_names()[-2:] == ["Email Replied", "Support Case Updated"]
    assert len(office.mails_to(HUMAN)) == 2
    # Confirmation and one acknowledgement.
    assert len(office.mails_to(ADA)) == 2


def test_the_same_answer_delivered_twice_is_one(office: Office, post: Post) -> None:
    mail = ordered(office)
    for _ in range(2):
        answered(office, post, mail)
    assert len(office.rows(CASES)) == len(office.mails_to(HUMAN)) == 1
    assert office.event_names().count("Email Replied") == 1


def test_a_case_closed_elsewhere_is_closed(office: Office, post: Post) -> None:
    answered(office, post, ordered(office))
    (case,) = office.rows(CASES)
    office.later(HOUR)
    office.happen("Support Case Closed", case_id=f"R-{case.id}")
    office.turn()
    office.later(DAY)
    office.work()
    (case,) = office.rows(CASES)
    assert case.closed_at == MORNING + HOUR
    assert office.mails_to(CHIEF) == []


def test_a_stranger_s_mail_reaches_a_human_and_makes_nobody(office: Office, post: Post) -> None:
    post.send(
        "HELLO@larkandkettle.example",
        an_answer("Are you hiring?", sender="eve@elsewhere.example", about=None),
    )
    office.turn()
    office.work()
    (forwarded,) = office.mails_to(HUMAN)
    assert "nobody's we know" in forwarded.get_body(("plain",)).get_content()
    assert forwarded["Reply-To"] == "eve@elsewhere.example"
    assert office.rows(t.contacts) == office.rows(CASES) == []


def test_a_machine_s_answer_opens_nothing(office: Office, post: Post) -> None:
    mail = ordered(office)
    answered(office, post, mail, Auto_Submitted="auto-replied")
    # Vacation programs answer the return path (RFC 3834 4).
    post.send(mail.sender, an_answer(subject="Out of office: your order"))
    office.work()
    assert office.rows(CASES) == office.rows(t.feedback) == office.mails_to(HUMAN) == []


@pytest.mark.parametrize("name", ["accepted invitation"])
def test_the_answer_to_an_invitation_opens_no_case(office: Office, post: Post, name: str) -> None:
    mail = ordered(office)
    shape = next(shape for shape in written_with_the_rules.SHAPES if shape.name == name)
    post.send(mail["Reply-To"], shape.data)
    office.turn()
    office.work()
    assert office.rows(CASES) == office.rows(t.feedback) == office.mails_to(HUMAN) == []


def test_our_own_people_cannot_answer_themselves(office: Office, post: Post) -> None:
    """A mail of our own staff to a sender's address is no customer's reply: it would come round for ever."""
    post.send("hello@larkandkettle.example", an_answer(sender=HUMAN), sender=HUMAN)
    office.work()
    assert office.mails_to(HUMAN) == office.rows(t.feedback) == []


def test_a_customer_cannot_close_their_own_case_by_answering_to_all(office: Office, post: Post) -> None:
    answered(office, post, ordered(office))
    to_case = office.mails_to(HUMAN)[0]["Reply-To"].split(",")[1].strip()
    post.send(to_case, an_answer("One more thing", number="<answer-3@example.com>"))
    office.turn()
    assert office.rows(CASES)[0].closed_at is None
    office.work()
    assert len(office.mails_to(HUMAN)) == 2


@pytest.mark.parametrize("address", [f"bounces+{'a' * 31}@mail.larkandkettle.example", BOUNCES])
def test_a_case_s_address_cannot_be_guessed(office: Office, post: Post, address: str) -> None:
    answered(office, post, ordered(office))
    post.send(address, an_answer("done", sender=HUMAN, number="<x@x>"), sender=HUMAN)
    assert office.rows(CASES)[0].closed_at is None


def test_an_answer_is_passed_on_as_soon_as_the_human_s_server_is_back(office: Office, post: Post) -> None:
    mail = ordered(office)
    post.send(mail["Reply-To"], an_answer(about=mail["Message-ID"]))
    office.sink.shutdown()
    office.sink.server_close()
    assert office.work()["retry"] == 1
    (notice,) = office.rows(t.notices)
    assert notice.sent_at is None
    assert notice.data
    assert notice.due_at > office.clock.now()


# ---- "unsubscribe" in words ------------------------------------------------------------------------------


def consents(office: Office) -> list[tuple[str, str]]:
    return [(row.topic, row.state) for row in office.rows(t.consents) if row.source == "feedback"]


@pytest.mark.parametrize("words", ["Unsubscribe", "Bitte abmelden.\n\nAda", "退订，谢谢"])
def test_unsubscribe_in_words_withdraws_the_topic_of_the_mail_and_opens_no_case(
    office: Office, post: Post, words: str
) -> None:
    ordered(office)
    offer = sales_mail(office)
    office.turn()
    row = next(row for row in office.rows(t.messages) if row.id == offer)
    with office.database.write() as connection:
        connection.execute(
            sa.update(t.messages)
            .where(t.messages.c.id == offer)
            .values(
                status="sent", sent_at=office.clock.now(), header_id=f"<m{offer}.abc@larkandkettle.example>"
            )
        )
    post.send(
        "hello@larkandkettle.example",
        an_answer(words, about=f"<m{offer}.abc@larkandkettle.example>", subject="Re: an offer"),
    )
    office.turn()
    office.work()
    assert office.rows(CASES) == []
    assert consents(office) == [(row.topic, "withdrawn")]
    assert office.mails_to(HUMAN) == []
    confirmed = office.mails_to(ADA)[-1]
    assert confirmed["Subject"] == "You are unsubscribed"
    assert confirmed["Auto-Submitted"] == "auto-replied"
    assert "of the kind you answered" in confirmed.get_body(("plain",)).get_content()


def test_unsubscribe_in_answer_to_a_receipt_withdraws_everything(office: Office, post: Post) -> None:
    mail = ordered(office)
    answered(office, post, mail, "Please unsubscribe me")
    assert office.rows(CASES) == []
    assert consents(office) == [("*", "withdrawn")]
    (confirmed,) = [mail for mail in office.mails_to(ADA) if mail["Subject"] == "You are unsubscribed"]
    assert "no more newsletters, offers" in confirmed.get_body(("plain",)).get_content()
    assert {row.reason for row in office.rows(t.suppression_reasons)} == {"unsubscribed"}
    offer = sales_mail(office)
    office.turn()
    assert office.status(offer) == ("skipped", "suppressed")


def test_a_mail_from_the_unsubscribe_link_of_a_mail_program_counts(office: Office, post: Post) -> None:
    ordered(office)
    post.send("hello@larkandkettle.example", an_answer("", about="", subject="unsubscribe"))
    office.turn()
    assert office.rows(CASES) == []
    assert consents(office) == [("*", "withdrawn")]


@pytest.mark.parametrize("purpose", ["nurture", "survey"])
def test_an_open_reply_holds_all_marketing_until_it_is_closed(
    office: Office, post: Post, purpose: str
) -> None:
    answered(office, post, ordered(office))
    offer = sales_mail(office)
    with office.database.write() as connection:
        connection.execute(sa.update(t.messages).where(t.messages.c.id == offer).values(purpose=purpose))
        # The playbook's own hold is over: only the open reply is left.
        connection.execute(sa.delete(t.inbox))
    office.later(31 * DAY)
    with office.database.write() as connection:
        later = {"due_at": office.clock.now(), "valid_until": office.clock.now() + DAY}
        connection.execute(sa.update(t.messages).where(t.messages.c.id == offer).values(later))
    office.turn()
    assert office.status(offer) == ("waiting", "hold")
    with office.database.write() as connection:
        connection.execute(sa.update(CASES).values(closed_at=office.clock.now()))
        connection.execute(
            sa.update(t.messages).where(t.messages.c.id == offer).values(due_at=office.clock.now())
        )
    office.turn()
    assert office.status(offer)[1] != "hold"


def test_transactional_mail_leaves_while_a_reply_is_open_and_marketing_when_it_is_closed(
    office: Office, post: Post
) -> None:
    answered(office, post, ordered(office))
    offer = sales_mail(office)
    before = len(office.mails_to(ADA))
    office.happen("Order Completed", **(ORDER | {"order_id": "R-2"}))
    office.turn()
    # The receipt of the second order, and nothing else.
    assert len(office.mails_to(ADA)) == before + 1
    assert office.status(offer) == ("waiting", "hold")
    (case,) = office.rows(CASES)
    office.happen("Support Case Closed", case_id=case_name(case.id))
    office.turn()
    office.work()
    with office.database.write() as connection:
        again = {"due_at": office.clock.now()}
        connection.execute(sa.update(t.messages).where(t.messages.c.id == offer).values(again))
    office.turn()
    assert office.status(offer)[1] != "hold"
