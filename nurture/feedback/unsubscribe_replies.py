"""Replies that say "unsubscribe" and nothing else: the topic is withdrawn and the person hears so; no case opens."""

from dataclasses import replace

import sqlalchemy as sa

from nurture.consent.subjects import find_subject
from nurture.domain.counts import Counts
from nurture.domain.feedback import Report
from nurture.domain.inbound.unsubscribe_words import unsubscribe_confirmation
from nurture.domain.instant import Instant
from nurture.feedback import reply_queries
from nurture.feedback.record import record
from nurture.feedback.replies import ReplySettings, may_mail, queue_notice
from nurture.transports.notice import Notice


def record_unsubscribe_reply(
    connection: sa.Connection, settings: ReplySettings, report: Report, *, now: Instant
) -> Counts:
    """Withdraw the topic of the answered mail (everything, where it had none), and confirm it to the person."""
    report = replace(report, kind="unsubscribe")
    counts = record(connection, [report], now=now, suppression_key=settings.suppression_key)
    match = reply_queries.load_match(connection, report.provider, report.event_id)
    if counts["unsubscribe"] and match is not None and match.contact_id is not None:
        _confirm_unsubscribe(connection, settings, match.contact_id, report, now=now)
    return counts


def _confirm_unsubscribe(
    connection: sa.Connection, settings: ReplySettings, contact_id: int, report: Report, *, now: Instant
) -> None:
    """Queue the confirmation to the contact's own address, unless no mail at all may go there."""
    contact = reply_queries.lock_living(connection, contact_id)
    subject = find_subject(connection, f"contact:{contact}", suppression_key=settings.suppression_key)
    if subject.address is None or not may_mail(settings, subject.address):
        return
    holding = subject.load_holding(connection)
    if any(row.scope == "all" for row in holding):
        return
    row = reply_queries.load_contact(connection, contact)
    locale = row.locale if row is not None else None
    title, text = unsubscribe_confirmation(
        locale, everything=any(row.reason == "unsubscribed" for row in holding)
    )
    notice = Notice(
        sender=settings.sender,
        name=settings.sender_name,
        recipient=subject.address,
        reply_to=(),
        subject=title,
        text=text,
        at=now,
        key=f"unsubscribed:{report.event_id}",
        is_automatic=True,
    )
    queue_notice(connection, "unsubscribed", notice, case=None, contact=contact, now=now)
