"""Large sends wait for a second operator: asked for by one person, decided by another, within a day.

NURTURE_APPROVE_SENDS_OVER says how many people are many. The one who asks may withdraw, never approve; a key is
nobody in particular, so it does neither. What is approved is what was asked: the same measure, audience and
time, and an audience that has not grown since by more than a tenth.
"""

from typing import Any

import sqlalchemy as sa

from nurture.app import audience, sends
from nurture.app.services import Services
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.domain.access import same_person
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import DAY, Instant, to_iso

#: How long a send waits for its second operator.
APPROVAL_PERIOD = DAY
#: How many times as many people an audience may have when it is approved.
GROWTH_MAX = 1.1


def needed(services: Services, *, who: str | None, expression: str | None) -> int | None:
    """Return how many people a send would reach where that takes a second operator, else None."""
    over = services.settings.approve_sends_over
    if over is None or who is not None:
        return None
    people = int(audience.count(services, expression or "True")["yes"])
    return people if people > over else None


def request_approval(
    services: Services,
    path: str,
    *,
    expression: str,
    request: str,
    people: int,
    actor: str,
    at: Instant | None,
) -> dict[str, Any]:
    """Keep a send for a second operator. A request id that is known asks nothing anew."""

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        sends.find_measure(services.playbooks.active(connection).playbook, path)
        known = _load(connection, request)
        if known is None:
            values = {
                "request": request,
                "measure": path,
                "audience": expression,
                "send_at": at,
                "people": people,
                "actor": actor,
                "at": now,
                "until": now + APPROVAL_PERIOD,
                "state": "waiting",
            }
            connection.execute(sa.insert(t.approvals).values(values))
            detail = {"request": request, "measure": path, "people": people}
            record(connection, at=now, actor=actor, action="send.ask", detail=detail)
            known = _load(connection, request)
        elif (known.measure, known.audience, known.send_at) != (path, expression, at):
            raise InputError(f"request {request!r} was asked for with another measure, audience or time")
        return _document(known, now)

    return services.database.run(work)


def list_requests(services: Services) -> list[dict[str, Any]]:
    """Return the sends asked for, those that wait first, then the newest; a hundred."""
    with services.database.read() as connection:
        order = (t.approvals.c.state != "waiting", t.approvals.c.at.desc())
        rows = connection.execute(sa.select(t.approvals).order_by(*order).limit(100))
        return [_document(row, services.clock.now()) for row in rows]


def approve(services: Services, request: str, *, actor: str) -> dict[str, Any]:
    """Say yes, as somebody else than who asked, and hand the send in.

    Approved and interrupted, the same call goes on where it stopped. Raises InputError that says what forbids it.
    """
    asked = _decide(services, request, actor=actor, state="approved")
    return sends.send(
        services,
        asked["measure"],
        who=None,
        expression=asked["audience"],
        request=request,
        actor=asked["asked_by"],
        at=asked["send_at"],
    )


def reject(services: Services, request: str, *, actor: str) -> dict[str, Any]:
    """Say no; who asked may do that too."""
    return _decide(services, request, actor=actor, state="rejected")


def _decide(services: Services, request: str, *, actor: str, state: str) -> dict[str, Any]:
    with services.database.read() as connection:
        found = _load(connection, request)
    if found is None:
        raise NotFoundError(f"no send {request!r} waits; `nurture sends list` shows all")
    people = int(audience.count(services, found.audience)["yes"]) if state == "approved" else 0

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        row = _load(connection, request, lock=True)
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
    """Return what forbids the decision, empty when nothing does."""
    if row.state != "waiting":
        return f"send {row.request!r} was {row.state} by {row.decided_by} already"
    if now >= row.until:
        return f"send {row.request!r} waited for a day and is over; ask again with `nurture send`"
    if state == "approved" and same_person(row.actor, actor):
        return f"send {row.request!r} was asked for by {row.actor}; it takes somebody else to approve it"
    if people > row.people * GROWTH_MAX:
        return f"the audience has grown from {row.people} to {people} people since; ask again with `nurture send`"
    return ""


def _load(connection: sa.Connection, request: str, *, lock: bool = False) -> Any:
    found = sa.select(t.approvals).where(t.approvals.c.request == request)
    return connection.execute(found.with_for_update() if lock else found).one_or_none()


def _document(row: Any, now: Instant) -> dict[str, Any]:
    return {
        "request": row.request,
        "measure": row.measure,
        "audience": row.audience,
        "people": row.people,
        "send_at": row.send_at,
        "asked_by": row.actor,
        "until": to_iso(row.until),
        "state": "over" if row.state == "waiting" and now >= row.until else row.state,
        "decided_by": row.decided_by,
    }
