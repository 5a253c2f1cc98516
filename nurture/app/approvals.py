"""Large sends need a second operator: one person requests the send, another approves it within a day.

A send is large when it reaches more people than NURTURE_APPROVE_SENDS_OVER. The requester may reject the send but
never approve it; an API key stands for no particular person, so it may do neither. An approval covers exactly the
requested measure, audience and time, and an audience that has grown by at most a tenth since.
"""

from typing import Any

import sqlalchemy as sa

from nurture.app.sends import queries
from nurture.app.sends.hand_in import SendOrder, begin, count_people, find_measure, hand_in_rest
from nurture.app.sends.options import SendOptions, check_options
from nurture.app.sends.recipients import Recipients, audience_of
from nurture.app.services import Services
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.domain.access import may_be_same_person
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import DAY, Instant, to_iso

#: How long a send waits for its second operator before the request lapses.
APPROVAL_PERIOD = DAY
#: An audience may have this many times the requested number of people when it is approved.
GROWTH_MAX = 1.1


def request_approval(services: Services, order: SendOrder, *, people: int) -> dict[str, Any]:
    """Store a send that a second operator has to approve, and return it. Repeating a request id changes nothing.

    people: how many it is for now. Raises InputError when the request id names another send, NotFoundError.
    """

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        playbook = services.playbooks.active(connection).playbook
        check_options(order.options, find_measure(playbook, order.measure), playbook)
        row = queries.load_approval(connection, order.request)
        if row is None:
            values = {
                "request": order.request,
                "measure": order.measure,
                "audience": order.recipients.approved_as,
                "send_at": order.at,
                "rate": order.rate,
                "options": order.options.as_text(),
                "people": people,
                "actor": order.actor,
                "at": now,
                "until": now + APPROVAL_PERIOD,
                "state": "waiting",
            }
            connection.execute(sa.insert(t.approvals).values(values))
            queries.add_recipients(connection, order.request, order.recipients.contacts)
            detail = {"request": order.request, "measure": order.measure, "people": people}
            record(connection, at=now, actor=order.actor, action="send.ask", detail=detail)
            row = queries.load_approval(connection, order.request)
        elif not _is_same(connection, row, order):
            raise InputError(
                f"request {order.request!r} exists with another measure, audience, time or option"
            )
        return _document(row, now)

    return services.database.run(work)


def _is_same(connection: sa.Connection, row: Any, order: SendOrder) -> bool:
    wanted = (order.measure, order.recipients.approved_as, order.at, order.rate)
    return (
        (row.measure, row.audience, row.send_at, row.rate) == wanted
        and SendOptions.of_text(row.options) == order.options
        and queries.load_recipients(connection, order.request) == list(order.recipients.contacts)
    )


def list_requests(services: Services) -> list[dict[str, Any]]:
    """Return at most 100 requested sends: those that wait first, then the newest."""
    with services.database.read() as connection:
        order = (t.approvals.c.state != "waiting", t.approvals.c.at.desc())
        rows = connection.execute(sa.select(t.approvals).order_by(*order).limit(100))
        return [_document(row, services.clock.now()) for row in rows]


def find_request(services: Services, request: str) -> dict[str, Any] | None:
    """Return a requested send, None when there is none."""
    with services.database.read() as connection:
        row = queries.load_approval(connection, request)
    return None if row is None else _document(row, services.clock.now())


def approve(services: Services, request: str, *, actor: str, by_workers: bool = False) -> dict[str, Any]:
    """Approve a send and start it; calling it again continues an interrupted send.

    by_workers: return at once and let workers hand in the people. Raises InputError with the reason when it may not be
    approved (own request, lapsed, audience has grown), NotFoundError.
    """
    approved = _decide(services, request, actor=actor, state="approved")
    with services.database.read() as connection:
        row = queries.load_approval(connection, request)
        recipients = _recipients_of(connection, row)
    order = SendOrder(
        measure=row.measure,
        recipients=recipients,
        request=request,
        actor=row.actor,
        at=row.send_at,
        rate=row.rate,
        options=SendOptions.of_text(row.options),
    )
    before = begin(services, order, by_workers=by_workers)
    handed = 0 if by_workers else hand_in_rest(services, request)
    return {**approved, "people": before + handed, "handed_in": handed}


def _recipients_of(connection: sa.Connection, row: Any) -> Recipients:
    contacts = queries.load_recipients(connection, row.request)
    return Recipients(contacts=tuple(contacts), words=row.audience) if contacts else audience_of(row.audience)


def reject(services: Services, request: str, *, actor: str) -> dict[str, Any]:
    """Reject a send. The requester may do this too. Raises InputError when it no longer waits, NotFoundError."""
    return _decide(services, request, actor=actor, state="rejected")


def _decide(services: Services, request: str, *, actor: str, state: str) -> dict[str, Any]:
    with services.database.read() as connection:
        pending = queries.load_approval(connection, request)
        if pending is None:
            raise NotFoundError(f"there is no send {request!r}; `nurture sends list` shows all sends")
        recipients = _recipients_of(connection, pending)
    people = count_people(services, recipients) if state == "approved" else 0

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        row = queries.load_approval(connection, request, lock=True)
        if row.state == "approved" == state:
            return _document(row, now)
        if refusal := _refusal_reason(row, actor, state, people, now):
            raise InputError(refusal)
        done = {"state": state, "decided_by": actor, "decided_at": now}
        connection.execute(sa.update(t.approvals).where(t.approvals.c.request == request).values(done))
        action = "send.approve" if state == "approved" else "send.reject"
        record(connection, at=now, actor=actor, action=action, detail={"request": request})
        return {**_document(row, now), "state": state}

    return services.database.run(work)


def _refusal_reason(row: sa.Row[Any], actor: str, state: str, people: int, now: Instant) -> str:
    """Return why the decision is refused, empty when it is allowed."""
    if row.state != "waiting":
        return f"send {row.request!r} was already {row.state} by {row.decided_by}"
    if now >= row.until:
        return f"send {row.request!r} waited longer than a day; request it again with `nurture send`"
    if state == "approved" and may_be_same_person(row.actor, actor):
        return f"send {row.request!r} was requested by {row.actor}; it takes somebody else to approve it"
    if people > row.people * GROWTH_MAX:
        return f"the audience has grown from {row.people} to {people} people; request it again with `nurture send`"
    return ""


def _document(row: Any, now: Instant) -> dict[str, Any]:
    return {
        "request": row.request,
        "measure": row.measure,
        "audience": row.audience,
        "people": row.people,
        "send_at": row.send_at,
        "rate": row.rate,
        "asked_by": row.actor,
        "until": to_iso(row.until),
        "state": "over" if row.state == "waiting" and now >= row.until else row.state,
        "decided_by": row.decided_by,
    }
