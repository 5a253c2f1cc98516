"""Ops sends: one measure to one person or an audience, through the same inbox and the same guard as all else.

Each person gets an internal event (kind `ops`, id `request:contact`), so a repeated request, a second terminal
or a restart half way sends nothing twice. The stop switch is `nurture pause` or `nurture cancel`.
"""

from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from nurture.app import audience
from nurture.app.contacts import unknown_measure_message
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.identity_queries import load_newest_identities
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import Identity
from nurture.domain.instant import Instant
from nurture.domain.measure import Measure
from nurture.domain.playbook import Playbook

#: People shown before an operator says yes.
_SHOWN = 5


def request_id(measure: str, target: str, now: Instant) -> str:
    """Return a request id of its own for this call."""
    return blake2b(f"{measure}\x1f{target}\x1f{now}".encode(), digest_size=8).hexdigest()


def find_measure(playbook: Playbook, path: str) -> Measure:
    """Return the measure. Raises NotFoundError with near misses."""
    found = playbook.measures.get(path)
    if found is None:
        raise NotFoundError(unknown_measure_message(path, list(playbook.measures)))
    return found


def plan(services: Services, path: str, *, who: str | None, expression: str | None) -> dict[str, Any]:
    """Say what a send would do at this instant: how many people, the first five, and who may not enter and why.

    One pass over everybody, answered by the database: what it costs is what `nurture audience` costs.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        measure = find_measure(playbook, path)
        now = services.clock.now()
        meant = _recipients_sql(connection, playbook, who=who, expression=expression, now=now)
        refusal = _refusal_sql(connection, measure, playbook, now).label("refusal")
        counted = sa.select(refusal, sa.func.count()).where(meant).group_by(refusal)
        refused = {reason: int(count) for reason, count in connection.execute(counted)}
        count = refused.pop("", 0)
        columns = (t.contacts.c.id, t.contacts.c.email, t.contacts.c.track, t.contacts.c.stage)
        first = sa.select(*columns).where(meant, refusal == "").order_by(t.contacts.c.id).limit(_SHOWN)
        shown = [
            {"contact": row.id, "track": row.track, "stage": row.stage, "email": row.email}
            for row in (connection.execute(first) if count else ())
        ]
        return {"measure": path, "people": count, "first": shown, "not_entering": refused}


def _recipients_sql(
    connection: sa.Connection, playbook: Playbook, *, who: str | None, expression: str | None, now: Instant
) -> sa.ColumnElement[bool]:
    """Return the SQL for whom the operator means."""
    if who is not None:
        return sa.and_(audience.living_contacts(), t.contacts.c.id == resolve_contact(connection, who))
    condition = audience.parse_audience(playbook, expression or "True")
    return sa.and_(audience.living_contacts(), audience.condition_sql(connection, condition, playbook, now))


def _refusal_sql(
    connection: sa.Connection, measure: Measure, playbook: Playbook, now: Instant
) -> sa.ColumnElement[str]:
    """Return the SQL for why a contact may not enter the measure; empty for who may. Unknown is no."""
    contact = t.contacts.c
    answer = audience.condition_sql(connection, measure.audience, playbook, now)
    refusals: list[tuple[sa.ColumnElement[bool], str]] = []
    if measure.track != "any":
        refusals.append((contact.track != measure.track, "other_track"))
    if measure.stage != "any":
        refusals.append((contact.stage != measure.stage, "other_stage"))
    refusals.append((sa.not_(sa.func.coalesce(answer, sa.false())), "audience"))
    return sa.case(*((when, sa.literal(reason)) for when, reason in refusals), else_=sa.literal(""))


def send(
    services: Services,
    path: str,
    *,
    who: str | None,
    expression: str | None,
    request: str,
    actor: str,
    at: Instant | None = None,
) -> dict[str, Any]:
    """Hand the request to the inbox, page by page; each page is committed with the cursor behind it.

    at: when the mail may leave first; None: now. Returns people handed in by this call and in all. Raises
    InputError for a send to so many that a second operator has to approve it, and none has.
    """
    now = services.clock.now()
    handed = 0
    total = _register(
        services,
        request,
        path=path,
        target=who or f"audience: {expression or 'True'}",
        now=now,
        actor=actor,
        many=who is None and _is_large(services, expression),
    )
    while True:
        page = services.database.run(
            lambda connection: _send_page(
                services, connection, path, who=who, expression=expression, request=request, at=at
            )
        )
        handed += page
        if page == 0:
            break
        if handed == page:
            # Workers begin with the first page, and go on by themselves.
            services.bells.ring("inbox", "all")
    services.bells.ring("inbox", "all")
    return {"request": request, "measure": path, "people": total + handed, "handed_in": handed}


def has_started(services: Services, request: str) -> bool:
    """Tell whether a request with this id was handed in already, whole or in part."""
    with services.database.read() as connection:
        return connection.scalar(sa.select(t.sends.c.request).where(t.sends.c.request == request)) is not None


def _is_large(services: Services, expression: str | None) -> bool:
    over = services.settings.approve_sends_over
    return over is not None and int(audience.count(services, expression or "True")["yes"]) > over


def _is_approved(connection: sa.Connection, request: str, path: str, target: str) -> bool:
    """Tell whether somebody approved just this send."""
    found = connection.execute(
        sa.select(t.approvals).where(t.approvals.c.request == request, t.approvals.c.state == "approved")
    ).one_or_none()
    return found is not None and (found.measure, f"audience: {found.audience}") == (path, target)


def _register(
    services: Services, request: str, *, path: str, target: str, now: Instant, actor: str, many: bool
) -> int:
    def work(connection: sa.Connection) -> int:
        find_measure(services.playbooks.active(connection).playbook, path)
        known = connection.execute(sa.select(t.sends).where(t.sends.c.request == request)).one_or_none()
        if known is not None:
            return int(known.people)
        if many and not _is_approved(connection, request, path, target):
            raise InputError(
                f"this send waits for a second operator (NURTURE_APPROVE_SENDS_OVER); `nurture sends approve {request}`"
            )
        connection.execute(
            sa.insert(t.sends).values(
                request=request,
                measure=path,
                audience=target,
                at=now,
                actor=actor,
                people=0,
                cursor=0,
                done=False,
            )
        )
        detail = {"request": request, "measure": path}
        record(connection, at=now, actor=actor, action="send", detail=detail)
        return 0

    return services.database.run(work)


def _send_page(
    services: Services,
    connection: sa.Connection,
    path: str,
    *,
    who: str | None,
    expression: str | None,
    request: str,
    at: Instant | None,
) -> int:
    """Hand in the next page of people and move the cursor, in one transaction; 0 when done."""
    playbook = services.playbooks.active(connection).playbook
    locked = sa.select(t.sends).where(t.sends.c.request == request).with_for_update()
    state = connection.execute(locked).one()
    if state.done:
        return 0
    now = services.clock.now()
    if who is not None:
        page = [resolve_contact(connection, who)]
    else:
        condition = audience.parse_audience(playbook, expression or "True")
        page = next(audience.id_pages(connection, condition, playbook, now=now, after=state.cursor), [])
    names = load_newest_identities(connection, page)
    properties: dict[str, Any] = {"measure": path, "request": request}
    if at is not None:
        properties["send_at"] = at
    events = [
        _event(request, contact, names[contact], now=now, properties=properties)
        for contact in page
        if names.get(contact)
    ]
    accept(connection, events)
    connection.execute(
        sa.update(t.sends)
        .where(t.sends.c.request == request)
        .values(
            people=state.people + len(events),
            cursor=page[-1] if page else state.cursor,
            done=who is not None or not page,
        )
    )
    return len(events)


def _event(
    request: str, contact: int, names: tuple[Identity, ...], *, now: Instant, properties: dict[str, Any]
) -> NewEvent:
    return NewEvent(
        source="ops",
        message_id=f"{request}:{contact}",
        kind="ops",
        name="Ops Send",
        occurred_at=now,
        received_at=now,
        identities=names,
        properties=properties,
    )
