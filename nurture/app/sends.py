"""Ops sends: send one measure to one person or an audience, through the same inbox and guard as every mail.

Each recipient gets an internal event (kind `ops`, message id `request:contact`), so repeating a request, or
restarting an interrupted one, sends nothing twice. `nurture pause` and `nurture cancel` stop a send.
"""

from functools import partial
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa

from nurture.app import audience
from nurture.app.contacts import unknown_measure_message
from nurture.app.send_options import SendOptions, check_options, run_key
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept, note_inbox
from nurture.contacts.identity_queries import load_newest_identities
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import Identity
from nurture.domain.instant import Instant
from nurture.domain.measure import Measure
from nurture.domain.playbook import Playbook

#: A send without options of its own.
NO_OPTIONS: Final = SendOptions()
#: How many people the plan lists before the operator confirms.
_SHOWN = 5


def request_id(measure: str, target: str, now: Instant) -> str:
    """Return a new request id for a send without one."""
    return blake2b(f"{measure}\x1f{target}\x1f{now}".encode(), digest_size=8).hexdigest()


def find_measure(playbook: Playbook, path: str) -> Measure:
    """Return the measure of a path. Raises NotFoundError with the nearest paths."""
    measure = playbook.measures.get(path)
    if measure is None:
        raise NotFoundError(unknown_measure_message(path, list(playbook.measures)))
    return measure


def plan(
    services: Services,
    path: str,
    *,
    who: str | None,
    expression: str | None,
    options: SendOptions = NO_OPTIONS,
) -> dict[str, Any]:
    """Return what a send would do at this instant: how many people it reaches, the first five, and the refusals.

    who or expression names the recipients. It costs one pass over the contacts, as `nurture audience` does. Raises
    NotFoundError, ConditionError; InputError when the measure needs other options.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        measure = find_measure(playbook, path)
        check_options(options, measure, playbook)
        now = services.clock.now()
        meant = _recipients_sql(connection, playbook, who=who, expression=expression, now=now)
        refusal = _refusal_sql(connection, measure, playbook, options, now).label("refusal")
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
    """Return the SQL for the recipients: one contact, or an audience."""
    if who is not None:
        return sa.and_(audience.living_contacts(), t.contacts.c.id == resolve_contact(connection, who))
    condition = audience.parse_audience(playbook, expression or "True")
    return sa.and_(audience.living_contacts(), audience.condition_sql(connection, condition, playbook, now))


def _refusal_sql(
    connection: sa.Connection, measure: Measure, playbook: Playbook, options: SendOptions, now: Instant
) -> sa.ColumnElement[str]:
    """Return the SQL for the reason why a contact may not enter the measure, empty when it may.

    An unknown answer of the measure's audience counts as no.
    """
    contact = t.contacts.c
    answer = audience.condition_sql(connection, measure.audience, playbook, now)
    refusals: list[tuple[sa.ColumnElement[bool], str]] = []
    if measure.track != "any":
        refusals.append((contact.track != measure.track, "other_track"))
    if measure.stage != "any":
        refusals.append((contact.stage != measure.stage, "other_stage"))
    refusals.append((sa.not_(sa.func.coalesce(answer, sa.false())), "audience"))
    key = run_key(options, measure)
    if key is not None and not options.again and measure.once.again_after is None:
        refusals.append((_has_run(measure, key), "once"))
    return sa.case(*((when, sa.literal(reason)) for when, reason in refusals), else_=sa.literal(""))


def _has_run(measure: Measure, key: str) -> sa.ColumnElement[bool]:
    """Return the SQL for whether the person, as anybody merged into them too, has had a run of this key."""
    merged = t.contacts.alias("merged")
    family = sa.select(merged.c.id).where(merged.c.survivor == t.contacts.c.id)
    run = t.runs.c
    return sa.exists().where(
        sa.or_(run.contact_id == t.contacts.c.id, run.contact_id.in_(family)),
        run.measure == measure.root,
        run.key == key,
    )


def send(
    services: Services,
    path: str,
    *,
    who: str | None,
    expression: str | None,
    request: str,
    actor: str,
    at: Instant | None = None,
    options: SendOptions = NO_OPTIONS,
) -> dict[str, Any]:
    """Put an event for each recipient into the inbox, page by page; each page is committed with the cursor after it.

    at: earliest send time; None: now. Returns the number of people of this call (`handed_in`) and of the whole
    request (`people`). Raises InputError when the send needs a second operator's approval and has none.
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
        options=options,
        large=people_to_approve(services, who=who, expression=expression) is not None,
    )
    while True:
        page = services.database.run(
            partial(
                _send_page,
                services,
                path=path,
                who=who,
                expression=expression,
                request=request,
                at=at,
                options=options,
                is_first=handed == 0,
            )
        )
        handed += page
        if page == 0:
            break
    return {"request": request, "measure": path, "people": total + handed, "handed_in": handed}


def has_started(services: Services, request: str) -> bool:
    """Tell whether a send with this request id has started, whether finished or not."""
    with services.database.read() as connection:
        return connection.scalar(sa.select(t.sends.c.request).where(t.sends.c.request == request)) is not None


def people_to_approve(services: Services, *, who: str | None, expression: str | None) -> int | None:
    """Return the number of people a send reaches when it needs a second operator's approval, else None."""
    over = services.settings.approve_sends_over
    if over is None or who is not None:
        return None
    people = int(audience.count(services, expression or "True")["yes"])
    return people if people > over else None


def _is_approved(
    connection: sa.Connection, request: str, path: str, target: str, options: SendOptions
) -> bool:
    """Tell whether this send, with this measure, audience and options, was approved."""
    approval = connection.execute(
        sa.select(t.approvals).where(t.approvals.c.request == request, t.approvals.c.state == "approved")
    ).one_or_none()
    return (
        approval is not None
        and (approval.measure, f"audience: {approval.audience}") == (path, target)
        and SendOptions.of_text(approval.options) == options
    )


def _register(
    services: Services,
    request: str,
    *,
    path: str,
    target: str,
    now: Instant,
    actor: str,
    options: SendOptions,
    large: bool,
) -> int:
    """Store the request unless it exists, and return how many people it has reached so far."""

    def work(connection: sa.Connection) -> int:
        playbook = services.playbooks.active(connection).playbook
        check_options(options, find_measure(playbook, path), playbook)
        row = connection.execute(sa.select(t.sends).where(t.sends.c.request == request)).one_or_none()
        if row is not None:
            return int(row.people)
        if large and not _is_approved(connection, request, path, target, options):
            raise InputError(
                "this send needs the approval of a second operator (NURTURE_APPROVE_SENDS_OVER): "
                f"`nurture sends approve {request}`"
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
        detail = {"request": request, "measure": path, **options.as_properties()}
        record(connection, at=now, actor=actor, action="send", detail=detail)
        return 0

    return services.database.run(work)


def _send_page(
    services: Services,
    connection: sa.Connection,
    *,
    path: str,
    who: str | None,
    expression: str | None,
    request: str,
    at: Instant | None,
    options: SendOptions,
    is_first: bool,
) -> int:
    """Put the next page of recipients into the inbox and move the cursor; returns their number, 0 when done."""
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
    properties: dict[str, Any] = {**options.as_properties(), "measure": path, "request": request}
    if at is not None:
        properties["send_at"] = at
    events = [
        _event(request, contact, names[contact], now=now, properties=properties)
        for contact in page
        if names.get(contact)
    ]
    # Workers are notified of the first page and of the end: between them those that have begun go on by themselves.
    accept(connection, events, notify=False)
    if is_first or not page:
        note_inbox(connection)
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
