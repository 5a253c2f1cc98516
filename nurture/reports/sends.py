"""Report sends: each with its state, its progress, its rate, the estimate of its end, and outcomes by reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import decode
from nurture.domain.errors import NotFoundError
from nurture.domain.guard.sends import OPEN_STATES, SEND_STATES, SendFacts, SendState, send_state
from nurture.domain.instant import HOUR, MINUTE, Duration, Instant, to_iso

#: Sends and requested sends that are listed at most.
_LISTED: Final = 100
#: The present rate is counted over this time.
_RATE_WINDOW: Final[Duration] = 5 * MINUTE
_OPEN: Final = ("waiting", "ready", "on_wire")


@dataclass(slots=True)
class Progress:
    """The numbers of one send."""

    # Events of it that the inbox has not applied yet.
    in_inbox: int = 0
    # People with at least one mail decided.
    people_with_mail: int = 0
    # (status, reason) -> mails.
    mails: dict[tuple[str, str], int] = field(default_factory=dict)
    # Reason -> people whom the measure did not take.
    refused: dict[str, int] = field(default_factory=dict)
    sent_lately: int = 0

    @property
    def queued(self) -> int:
        """Mails that may still leave."""
        return sum(count for (status, _), count in self.mails.items() if status in _OPEN)

    def count(self, *statuses: str) -> int:
        """Return how many mails have one of these statuses."""
        return sum(count for (status, _), count in self.mails.items() if status in statuses)


def list_sends(connection: sa.Connection, *, now: Instant, limit: int = _LISTED) -> list[dict[str, Any]]:
    """Return sends, those that wait for a second operator first, then the newest."""
    asked = sa.select(t.approvals).order_by(t.approvals.c.state != "waiting", t.approvals.c.at.desc())
    approvals = {row.request: row for row in connection.execute(asked.limit(limit))}
    begun = connection.execute(sa.select(t.sends).order_by(t.sends.c.at.desc()).limit(limit)).all()
    rows = [_summary(connection, row, approvals.get(row.request), now=now) for row in begun]
    names = {row.request for row in begun}
    waiting = [row for row in approvals.values() if row.request not in names]
    asked_only = [_requested(row, now=now) for row in waiting if row.state != "approved"]
    asked_only.sort(key=lambda row: row["state"] != "waiting_for_approval")
    first = [row for row in asked_only if row["state"] == "waiting_for_approval"]
    return [*first, *rows, *asked_only[len(first) :]][:limit]


def list_sends_under_way(connection: sa.Connection, *, now: Instant) -> list[dict[str, Any]]:
    """Return the sends that have begun and may still change by themselves, the oldest first."""
    return [
        {
            "send": row["request"],
            "measure": row["measure"],
            "state": row["state"],
            "people": row["people"],
            "at": row["at"],
            "by": row["asked_by"],
        }
        for row in reversed(list_sends(connection, now=now))
        if row["state"] in OPEN_STATES - {"waiting_for_approval"}
    ]


def show_send(connection: sa.Connection, request: str, *, now: Instant) -> dict[str, Any]:
    """Return everything about one send. Raises NotFoundError."""
    row = connection.execute(sa.select(t.sends).where(t.sends.c.request == request)).one_or_none()
    asked = sa.select(t.approvals).where(t.approvals.c.request == request)
    approval = connection.execute(asked).one_or_none()
    if row is None and approval is None:
        raise NotFoundError(f"there is no send {request!r}; `nurture sends list` shows all sends")
    if row is None:
        return _requested(approval, now=now)
    progress = load_progress(connection, row, now=now)
    state = _state_of(row, approval, progress, now=now)
    return {**_head(row, approval, state), **_numbers(row, progress), **_pace(row, state, progress, now=now)}


def load_progress(connection: sa.Connection, row: Any, *, now: Instant) -> Progress:
    """Return the numbers of a send, in four statements."""
    m = t.messages.c
    progress = Progress(in_inbox=_count_events(connection, row.request))
    counted = sa.select(m.status, m.reason, sa.func.count()).where(m.request == row.request)
    for status, reason, count in connection.execute(counted.group_by(m.status, m.reason)):
        progress.mails[status, reason] = int(count)
    people = sa.select(sa.func.count(sa.distinct(m.contact_id))).where(m.request == row.request)
    progress.people_with_mail = int(connection.execute(people).scalar_one())
    n = t.non_entries.c
    refused = sa.select(n.reason, sa.func.count()).where(n.request == row.request).group_by(n.reason)
    progress.refused = {reason: int(count) for reason, count in connection.execute(refused)}
    lately = sa.select(sa.func.count()).where(
        m.request == row.request, m.status == "sent", m.sent_at > now - _RATE_WINDOW
    )
    progress.sent_lately = int(connection.execute(lately).scalar_one())
    return progress


def _count_events(connection: sa.Connection, request: str) -> int:
    start = f"{request}:"
    inbox = t.inbox.c
    statement = sa.select(sa.func.count()).where(
        inbox.kind == "ops",
        inbox.source == "ops",
        # LIKE would read `%` and `_` of a request id as wildcards.
        sa.func.substr(inbox.message_id, 1, len(start)) == start,
    )
    return int(connection.execute(statement).scalar_one())


def _summary(connection: sa.Connection, row: Any, approval: Any, *, now: Instant) -> dict[str, Any]:
    """Return one row of the list; only a send that may still change is asked for what is open."""
    open_items = 0
    if row.state != "cancelled":
        m = t.messages.c
        waits = sa.select(m.id).where(m.request == row.request, m.status.in_(_OPEN)).limit(1)
        is_waiting = connection.execute(waits).first() is not None
        open_items = int(is_waiting) or _count_events(connection, row.request)
    state = send_state(_facts(row, approval, open_items), now=now)
    return {**_head(row, approval, state), "people": row.people}


def _facts(row: Any, approval: Any, open_items: int) -> SendFacts:
    return SendFacts(
        approval="approved" if approval is not None else "",
        control=row.state,
        is_handed_in=row.done,
        open_items=open_items,
        send_at=row.send_at,
    )


def _state_of(row: Any, approval: Any, progress: Progress, *, now: Instant) -> SendState:
    return send_state(_facts(row, approval, progress.in_inbox + progress.queued), now=now)


def _head(row: Any, approval: Any, state: SendState) -> dict[str, Any]:
    options = decode(row.options)
    return {
        "request": row.request,
        "measure": row.measure,
        "audience": row.audience,
        "state": state,
        "state_means": SEND_STATES[state],
        "asked_by": row.actor,
        "at": to_iso(row.at),
        "decided_by": approval.decided_by if approval is not None else None,
        "send_at": to_iso(row.send_at) if row.send_at is not None else None,
        "rate": row.rate,
        "occasion": options.get("occasion") or None,
        "again": bool(options.get("again")),
        "forecast": options.get("forecast"),
        "reason": row.reason or None,
        "changed_by": row.changed_by,
        "changed_at": to_iso(row.changed_at) if row.changed_at is not None else None,
    }


def _requested(row: Any, *, now: Instant) -> dict[str, Any]:
    """Return a send that a second operator decides on and that has not begun."""
    facts = SendFacts(approval=row.state, approval_until=row.until)
    state = send_state(facts, now=now)
    options = decode(row.options)
    return {
        "request": row.request,
        "measure": row.measure,
        "audience": row.audience,
        "state": state,
        "state_means": SEND_STATES[state],
        "asked_by": row.actor,
        "at": to_iso(row.at),
        "until": to_iso(row.until),
        "decided_by": row.decided_by,
        "send_at": to_iso(row.send_at) if row.send_at is not None else None,
        "rate": row.rate,
        "occasion": options.get("occasion") or None,
        "again": bool(options.get("again")),
        "forecast": options.get("forecast"),
        "people": row.people,
    }


def _numbers(row: Any, progress: Progress) -> dict[str, Any]:
    """Return the progress: people are counted once, mails of a series each."""
    decided = max(row.people - progress.in_inbox - row.withdrawn, 0)
    refused = max(decided - progress.people_with_mail, 0)
    known = sum(progress.refused.values())
    reasons: dict[str, int] = dict(sorted(progress.refused.items()))
    if refused > known:
        # A later send of the measure replaced the reason, or the person's series waits.
        reasons["no_reason_kept"] = refused - known
    return {
        "meant": row.meant,
        "handed_in": row.people,
        "withdrawn": row.withdrawn,
        "to_decide": progress.in_inbox,
        "decided": decided,
        "refused": reasons,
        "sent": progress.count("sent"),
        "queued": progress.queued,
        "in_doubt": progress.count("in_doubt"),
        "queued_because": _reasons(progress.mails, _OPEN),
        "not_sent": _reasons(progress.mails, ("skipped", "cancelled", "expired", "failed")),
    }


def _reasons(mails: Mapping[tuple[str, str], int], statuses: tuple[str, ...]) -> dict[str, int]:
    """Return reason -> mails of these statuses; a mail without one is `due` or `under_way`."""
    reasons: dict[str, int] = {}
    for (status, reason), count in sorted(mails.items()):
        if status in statuses:
            name = reason or ("due" if status == "waiting" else "under_way")
            reasons[name] = reasons.get(name, 0) + count
    return reasons


def _pace(row: Any, state: SendState, progress: Progress, *, now: Instant) -> dict[str, Any]:
    """Return the present rate in mails an hour, and when the last mail will have left at that rate."""
    per_hour = progress.sent_lately * HOUR // _RATE_WINDOW
    left = progress.queued + progress.in_inbox
    ends_at: Instant | None = None
    if state == "sending" and left:
        if row.rate:
            ends_at = max(row.next_free_at, now) + progress.in_inbox * HOUR // row.rate
        elif per_hour:
            ends_at = now + left * HOUR // per_hour
    return {
        "mails_an_hour": per_hour,
        "ends_at": to_iso(ends_at) if ends_at is not None else None,
    }
