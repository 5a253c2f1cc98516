"""Cases that the law gives a time for: a person's data is asked for, or a shop ends its contract.

They stand beside the cases that replies open (`feedback.replies`), are escalated like them, and hold no mail.
"""

from dataclasses import dataclass
from typing import Final, Literal

import sqlalchemy as sa

from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, Duration, Instant
from nurture.feedback import reply_queries
from nurture.feedback.cases import case_name
from nurture.feedback.legal_tasks import describe_task
from nurture.feedback.replies import ReplySettings, queue_notice
from nurture.transports.notice import Notice

#: The contact of a case about nobody we know.
NOBODY: Final = 0
OWNER: Final = "privacy"
#: How long before the time is over somebody is told again.
_AHEAD: Final[Duration] = 7 * DAY

_SUBJECTS: Final = {
    "data_request": "a customer asks for their data",
    "shop_redact": "the shop has removed the app and asks for the deletion of its data",
}


@dataclass(frozen=True, slots=True)
class LegalCase:
    """The request that opens a case."""

    kind: Literal["data_request", "redact", "shop_redact"]
    shop: str
    # None: nobody is known by the names of the request.
    contact: int | None


def open_legal_case(
    connection: sa.Connection, settings: ReplySettings, case: LegalCase, *, now: Instant, due_at: Instant
) -> int:
    """Open the case, tell our staff by mail where an address of theirs is set, and return its number."""
    contact = NOBODY if case.contact is None else reply_queries.lock_living(connection, case.contact)
    number = reply_queries.add_case(
        connection,
        {
            "contact_id": contact,
            "message_id": None,
            "owner": OWNER,
            "opened_at": now,
            "due_at": due_at,
            "kind": case.kind,
        },
    )
    if settings.replies_to:
        notice = Notice(
            sender=settings.sender,
            name="nurture",
            recipient=settings.replies_to,
            reply_to=(),
            subject=f"[{case_name(number)}] {case.shop}: {_SUBJECTS[case.kind]}",
            text=describe_task(case.kind, case_name(number), contact, due_at) + "\n",
            at=now,
            key=f"{case.kind}:{number}",
        )
        queue_notice(connection, "reply", notice, case=number, contact=contact or None, now=now)
    return number


def escalate_legal_cases(
    connection: sa.Connection, settings: ReplySettings, *, now: Instant, limit: int = 100
) -> Counts:
    """Mail each case that will be due within a week to the person in charge, once."""
    if not settings.escalate_to:
        return Counts()
    rows = reply_queries.lock_overdue_cases(connection, now=now + _AHEAD, limit=limit, is_legal=True)
    for row in rows:
        reply_queries.update_case(connection, row.id, escalated_at=now)
        name = case_name(row.id)
        notice = Notice(
            sender=settings.sender,
            name="nurture",
            recipient=settings.escalate_to,
            reply_to=(),
            subject=f"[{name}] due soon by law: {_SUBJECTS[row.kind]}",
            text=describe_task(row.kind, name, row.contact_id, row.due_at) + "\n",
            at=now,
            key=f"overdue:{row.id}",
        )
        queue_notice(connection, "overdue", notice, case=row.id, contact=row.contact_id or None, now=now)
    return Counts(overdue=len(rows))
