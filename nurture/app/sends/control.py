"""List, show, pause, resume and cancel sends, and change their rate.

The row of a send says whether it runs; the send gate reads it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.sends import queries
from nurture.app.services import Services
from nurture.database.audit import record
from nurture.database.notifications import ADVANCE, ALL, DELIVER, note
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import Instant
from nurture.reports import sends as reports

#: Rows of one transaction.
_BATCH: Final = 5_000
_CONTACTS: Final = 500


def list_sends(services: Services) -> list[dict[str, Any]]:
    """Return sends, those that wait for a second operator first, then the newest."""
    with services.database.read() as connection:
        return reports.list_sends(connection, now=services.clock.now())


def show_send(services: Services, request: str) -> dict[str, Any]:
    """Return everything about one send. Raises NotFoundError."""
    with services.database.read() as connection:
        return reports.show_send(connection, request, now=services.clock.now())


def pause(services: Services, request: str, *, actor: str, reason: str) -> dict[str, Any]:
    """Pause a send. When it returns, no further mail of it passes the send gate, and nobody more is handed in.

    Raises NotFoundError; InputError when it was cancelled.
    """

    def work(connection: sa.Connection, row: Any, now: Instant) -> dict[str, Any]:
        values = {"state": "paused", "reason": reason, "changed_by": actor, "changed_at": now}
        queries.update_send(connection, request, values)
        return {"request": request, "state": "paused", "was": row.state}

    return _change(services, request, "send.pause", {"reason": reason}, actor=actor, work=work)


def resume(services: Services, request: str, *, actor: str) -> dict[str, Any]:
    """Resume a paused send: workers hand in the rest, and its mails are due now, in a new row when it has a rate.

    Raises NotFoundError; InputError when it was cancelled.
    """

    def work(connection: sa.Connection, row: Any, now: Instant) -> dict[str, Any]:
        values = {"state": "running", "reason": "", "changed_by": actor, "changed_at": now}
        queries.update_send(connection, request, {**values, "lease_until": 0, "next_free_at": now})
        note(connection, ADVANCE, "")
        return {"request": request, "state": "running", "was": row.state}

    done = _change(services, request, "send.resume", {}, actor=actor, work=work)
    return {**done, "released": _release(services, request)}


def set_rate(services: Services, request: str, *, rate: int | None, actor: str) -> dict[str, Any]:
    """Change how many mails of a send may leave an hour; None: no limit. Its mails take new places.

    Raises NotFoundError; InputError when it was cancelled.
    """

    def work(connection: sa.Connection, row: Any, now: Instant) -> dict[str, Any]:
        queries.update_send(connection, request, {"rate": rate, "next_free_at": now})
        return {"request": request, "rate": rate, "was": row.rate}

    done = _change(services, request, "send.rate", {"rate": rate}, actor=actor, work=work)
    return {**done, "released": _release(services, request)}


def cancel(services: Services, request: str, *, actor: str, reason: str) -> dict[str, Any]:
    """Cancel a send: the rest of its people are not decided, its runs end, and its unsent mails are cancelled.

    It may be called again when it was interrupted. Returns the numbers of `runs`, `messages` and `withdrawn` people.
    Raises NotFoundError.
    """

    def work(connection: sa.Connection, row: Any, now: Instant) -> dict[str, Any]:
        values = {"state": "cancelled", "reason": reason, "changed_by": actor, "changed_at": now}
        # A repeated cancel goes on with what an interrupted one left; the first one's reason stays.
        if row.state != "cancelled":
            queries.update_send(connection, request, {**values, "done": True})
        measure = services.playbooks.active(connection).playbook.measures.get(row.measure)
        return {"measure": row.measure if measure is None else measure.root}

    found = _change(services, request, "send.cancel", {"reason": reason}, actor=actor, work=work, again=True)
    withdrawn = 0
    while count := services.database.run(partial(_withdraw, request=request)):
        withdrawn += count
    runs, messages = _end_runs_and_mails(services, request, found["measure"])
    return {
        "request": request,
        "state": "cancelled",
        "withdrawn": withdrawn,
        "runs": runs,
        "messages": messages,
    }


def _end_runs_and_mails(services: Services, request: str, measure: str) -> tuple[int, int]:
    """End the runs and unsent mails of a cancelled send, batch by batch; returns their numbers.

    An event that a worker was just applying may still make a mail; the guard cancels it.
    """
    runs = messages = after = 0
    while True:
        with services.database.read() as connection:
            ids = queries.load_contacts_of(connection, request, after=after, limit=_CONTACTS)
        if not ids:
            break
        done = services.database.run(
            lambda connection, ids=ids: queries.cancel_of_contacts(  # type: ignore[misc]
                connection, request, ids, now=services.clock.now()
            )
        )
        runs, messages, after = runs + done.runs, messages + done.messages, ids[-1]
    while True:
        done = services.database.run(
            lambda connection: queries.cancel_runs_without_mail(
                connection, request, measure, now=services.clock.now(), limit=_CONTACTS
            )
        )
        runs += done.runs
        if not done.contacts:
            return runs, messages


def _withdraw(connection: sa.Connection, *, request: str) -> int:
    """Take events of the send back from the inbox, and count them in its row."""
    count = queries.take_events_back(connection, request, limit=_BATCH)
    if count:
        row = queries.load_send(connection, request, lock=True)
        queries.update_send(connection, request, {"withdrawn": row.withdrawn + count})
    return count


def _release(services: Services, request: str) -> int:
    """Make mails due that a pause or their place held back, batch by batch; returns their number."""
    released = 0
    while True:

        def work(connection: sa.Connection) -> int:
            count = queries.release_messages(connection, request, now=services.clock.now(), limit=_BATCH)
            note(connection, DELIVER, ALL)
            return count

        count = services.database.run(work)
        released += count
        if count < _BATCH:
            return released


def _change(
    services: Services,
    request: str,
    action: str,
    detail: dict[str, Any],
    *,
    actor: str,
    work: Callable[[sa.Connection, Any, Instant], dict[str, Any]],
    again: bool = False,
) -> dict[str, Any]:
    """Change the locked row of a send and record it in the audit log. again: a cancelled send may be changed."""

    def change(connection: sa.Connection) -> dict[str, Any]:
        row = queries.load_send(connection, request, lock=True)
        if row is None:
            raise _no_such_send(connection, request)
        if row.state == "cancelled" and not again:
            raise InputError(
                f"send {request!r} was cancelled by {row.changed_by}; begin a new one with `nurture send`"
            )
        now = services.clock.now()
        done = work(connection, row, now)
        record(connection, at=now, actor=actor, action=action, detail={"request": request, **detail})
        return done

    return services.database.run(change)


def _no_such_send(connection: sa.Connection, request: str) -> InputError | NotFoundError:
    approval = queries.load_approval(connection, request)
    if approval is not None:
        return InputError(
            f"send {request!r} has not begun ({approval.state}); use `nurture sends approve` or `reject`"
        )
    return NotFoundError(f"there is no send {request!r}; `nurture sends list` shows all sends")
