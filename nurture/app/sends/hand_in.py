"""Hand in a send: an internal event for each of its people, through the same inbox and guard as every mail.

Each person gets one event (kind `ops`, message id `request:contact`), so repeating a request sends nothing twice. The
row of the send holds all that the next page needs: when the operator's command is killed, a worker hands in the rest.
"""

from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from nurture.app import audience
from nurture.app.audience import PAGE
from nurture.app.contacts import unknown_measure_message
from nurture.app.sends import queries
from nurture.app.sends.options import NAME_RULE, NO_OPTIONS, SendOptions, check_options, is_name
from nurture.app.sends.recipients import Recipients
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept, note_inbox
from nurture.contacts.identity_queries import load_newest_identities
from nurture.database.audit import record
from nurture.database.notifications import ADVANCE, note
from nurture.domain.counts import Counts
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import Identity
from nurture.domain.instant import SECOND, Duration, Instant
from nurture.domain.measure import Measure
from nurture.domain.playbook import Playbook

#: How long a page keeps other processes from handing in the next one.
_LEASE: Final[Duration] = 20 * SECOND


@dataclass(frozen=True, slots=True)
class SendOrder:
    """The send that an operator asks for."""

    # The measure's path.
    measure: str
    recipients: Recipients
    request: str
    actor: str
    # The earliest instant at which its mail may leave; None: now.
    at: Instant | None = None
    # Mails an hour; None: no limit.
    rate: int | None = None
    options: SendOptions = field(default=NO_OPTIONS)


def request_id(measure: str, target: str, now: Instant) -> str:
    """Return a new request id for a send without one."""
    return blake2b(f"{measure}\x1f{target}\x1f{now}".encode(), digest_size=8).hexdigest()


def find_measure(playbook: Playbook, path: str) -> Measure:
    """Return the measure of a path. Raises NotFoundError with the nearest paths."""
    measure = playbook.measures.get(path)
    if measure is None:
        raise NotFoundError(unknown_measure_message(path, list(playbook.measures)))
    return measure


def send(services: Services, order: SendOrder) -> dict[str, Any]:
    """Begin a send, or go on with it, and hand in its people page by page; each page is committed with its cursor.

    Returns the number of people of this call (`handed_in`) and of the whole request (`people`). Raises InputError when
    the send needs a second operator's approval and has none, or the request id is another send's.
    """
    before = begin(services, order, by_workers=False)
    handed = hand_in_rest(services, order.request)
    return {
        "request": order.request,
        "measure": order.measure,
        "people": before + handed,
        "handed_in": handed,
    }


def begin(services: Services, order: SendOrder, *, by_workers: bool = True) -> int:
    """Store the send unless it exists, and return how many people are handed in already.

    by_workers: workers hand in its people, beginning now; else after some seconds without a page by the caller. Raises
    InputError as `send` does.
    """
    if not is_name(order.request):
        raise InputError(f"request {order.request[:40]!r}: {NAME_RULE}")
    now = services.clock.now()
    meant = count_people(services, order.recipients)
    over = services.settings.approve_sends_over

    def work(connection: sa.Connection) -> int:
        playbook = services.playbooks.active(connection).playbook
        check_options(order.options, find_measure(playbook, order.measure), playbook)
        row = queries.load_send(connection, order.request)
        if row is not None:
            _check_same(row, order, queries.load_recipients(connection, order.request))
            if row.state == "cancelled":
                raise InputError(
                    f"send {order.request!r} was cancelled by {row.changed_by}: {row.reason}; "
                    "begin another one with another --request and, for people who had it, another --occasion"
                )
            return int(row.people)
        if over is not None and meant > over and not _is_approved(connection, order):
            raise InputError(
                "this send needs the approval of a second operator (NURTURE_APPROVE_SENDS_OVER): "
                f"`nurture sends approve {order.request}`"
            )
        values = {
            "request": order.request,
            "measure": order.measure,
            "audience": order.recipients.words,
            "at": now,
            "actor": order.actor,
            "people": 0,
            "cursor": 0,
            "done": False,
            "options": order.options.as_text(),
            "send_at": order.at,
            "meant": meant,
            "rate": order.rate,
            "lease_until": 0 if by_workers else services.clock.lease_now(connection) + _LEASE,
        }
        queries.insert_send(connection, values, order.recipients.contacts)
        detail = {"request": order.request, "measure": order.measure, **order.options.as_properties()}
        record(connection, at=now, actor=order.actor, action="send", detail=detail)
        if by_workers:
            note(connection, ADVANCE, "")
        return 0

    return services.database.run(work)


def _check_same(row: Any, order: SendOrder, contacts: list[int]) -> None:
    """Refuse a request id that is another send's. Raises InputError."""
    # A send that an earlier version began holds no options.
    is_same = (row.measure, row.audience, row.send_at) == (order.measure, order.recipients.words, order.at)
    is_same = is_same and SendOptions.of_text(row.options) == order.options
    is_same = is_same and contacts == list(order.recipients.contacts)
    if row.meant is not None and not is_same:
        raise InputError(
            f"request {order.request!r} exists with another measure, audience, time or option; "
            f"see `nurture sends show {order.request}`, or give another --request"
        )


def has_started(services: Services, request: str) -> bool:
    """Tell whether a send with this request id has started, whether finished or not."""
    with services.database.read() as connection:
        return queries.load_send(connection, request) is not None


def count_people(services: Services, recipients: Recipients) -> int:
    """Return how many people a send is for."""
    if recipients.expression is None:
        return len(recipients.contacts)
    return int(audience.count(services, recipients.expression)["yes"])


def people_to_approve(services: Services, recipients: Recipients) -> int | None:
    """Return the number of people a send is for when it needs a second operator's approval, else None."""
    over = services.settings.approve_sends_over
    if over is None:
        return None
    people = count_people(services, recipients)
    return people if people > over else None


def _is_approved(connection: sa.Connection, order: SendOrder) -> bool:
    """Tell whether this send, with this measure, people, time, rate and options, was approved."""
    approval = queries.load_approval(connection, order.request)
    if approval is None or approval.state != "approved":
        return False
    wanted = (order.measure, order.recipients.approved_as, order.at, order.rate)
    return (
        (approval.measure, approval.audience, approval.send_at, approval.rate) == wanted
        and SendOptions.of_text(approval.options) == order.options
        and queries.load_recipients(connection, order.request) == list(order.recipients.contacts)
    )


# ---- pages -----------------------------------------------------------------------------------------------


def continue_sends(services: Services) -> Counts:
    """Hand in the next page of the oldest send that no process is handing in; counts `handed_in`."""
    with services.database.look() as connection:
        if not queries.has_unfinished(connection):
            return Counts()
    with services.database.read() as connection:
        request = queries.find_unfinished(connection, lease=services.clock.lease_now(connection))
    if request is None:
        return Counts()
    page = services.database.run(partial(_hand_in_page, services, request=request, is_first=True, lease=0))
    counts = Counts(handed_in=page.people)
    counts.more = True
    return counts


class Page(NamedTuple):
    """One page that was handed in: its number of people, and whether no page may follow now."""

    people: int
    is_last: bool


def hand_in_rest(services: Services, request: str) -> int:
    """Hand in page after page until all are, or the send is paused or cancelled; returns the number of people."""
    handed, is_first = 0, True
    while True:
        page = services.database.run(
            partial(_hand_in_page, services, request=request, is_first=is_first, lease=_LEASE)
        )
        handed, is_first = handed + page.people, False
        if page.is_last:
            return handed


def _hand_in_page(
    services: Services, connection: sa.Connection, *, request: str, is_first: bool, lease: Duration
) -> Page:
    """Hand in one page. lease: how long the caller keeps the next page to itself."""
    state = queries.load_send(connection, request, lock=True)
    if state.done or state.state != "running":
        return Page(0, is_last=True)
    playbook = services.playbooks.active(connection).playbook
    now = services.clock.now()
    page = _next_page(connection, playbook, state, now)
    living = queries.load_living(connection, page) if page else {}
    people = sorted(set(living.values()))
    names = load_newest_identities(connection, people)
    properties: dict[str, Any] = {
        **SendOptions.of_text(state.options).as_properties(),
        "measure": state.measure,
        "request": request,
    }
    if state.send_at is not None:
        properties["send_at"] = state.send_at
    events = [
        _event(request, contact, names[contact], now=now, properties=properties)
        for contact in people
        if names.get(contact)
    ]
    # Workers are notified of the first page and of the end: between them those that have begun go on by themselves.
    is_last = len(page) < PAGE
    # A send to one person goes before bulk work.
    is_single = is_first and is_last and len(events) == 1
    accept(connection, events, notify=False, bulk=not is_single)
    if is_first or is_last:
        note_inbox(connection)
    values = {
        "people": state.people + len(events),
        "cursor": page[-1] if page else state.cursor,
        "done": is_last,
        "lease_until": services.clock.lease_now(connection) + lease if lease else 0,
    }
    queries.update_send(connection, request, values)
    return Page(len(events), is_last=is_last)


def _next_page(connection: sa.Connection, playbook: Playbook, state: Any, now: Instant) -> list[int]:
    """Return the ids of the next people, ascending: of the list, or of the audience as it is now."""
    prefix = "audience: "
    if not state.audience.startswith(prefix):
        return queries.load_recipients_after(connection, state.request, state.cursor, PAGE)
    condition = audience.parse_audience(playbook, state.audience.removeprefix(prefix))
    return next(audience.id_pages(connection, condition, playbook, now=now, after=state.cursor), [])


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
