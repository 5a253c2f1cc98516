"""Open cases: people whose answers to our mail wait for an answer of ours. List, show, assign and close them."""

from typing import Any, Final

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import Instant, to_iso
from nurture.feedback import reply_queries
from nurture.feedback.answers import describe_answer
from nurture.feedback.cases import assign_case, case_name, close_case
from nurture.feedback.legal_tasks import describe_task
from nurture.feedback.reply_queries import OF_PEOPLE, REPLY
from nurture.playbook.measure_names import load_measure_names

_PREFIX: Final = "R-"
_EVENTS_MAX: Final = 10


def list_all(
    services: Services,
    *,
    everything: bool = False,
    owner: str | None = None,
    overdue: bool = False,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Return the open cases, or with `everything` all of them, the longest due first."""
    now = services.clock.now()
    with services.database.read() as connection:
        rows = reply_queries.list_cases(
            connection,
            is_open=not everything or overdue,
            owner=owner,
            due_until=now if overdue else None,
            limit=limit,
        )
        names = load_measure_names(services.playbooks, connection)
    return [_describe(row, names, now=now) for row in rows]


def show(services: Services, name: str) -> dict[str, Any]:
    """Return one case with the person, the mail that was answered and the newest events. Raises NotFoundError."""
    now = services.clock.now()
    with services.database.read() as connection:
        row = _find(connection, name)
        mail = reply_queries.load_answered_mail(connection, row.message_id)
        contact = reply_queries.living_of(connection, row.contact_id)
        person = reply_queries.load_contact(connection, contact)
        events = reply_queries.load_latest_events(connection, contact, limit=_EVENTS_MAX)
        answer = describe_answer(connection, row.event_id)
        names = load_measure_names(services.playbooks, connection)
    task = (
        {"task": describe_task(row.kind, name, row.contact_id, row.due_at)}
        if row.kind not in OF_PEOPLE
        else {}
    )
    return {
        **_times(row, now=now),
        **task,
        "contact": contact,
        "track": person.track if person else None,
        "stage": person.stage if person else None,
        "answer": answer,
        "mail": f"{names.shown(mail.measure)}/{mail.mail}" if mail else None,
        "sent": to_iso(mail.sent_at) if mail and mail.sent_at else None,
        "events": [f"{to_iso(event.occurred_at)} {event.name}" for event in events],
    }


def assign(services: Services, name: str, owner: str, *, actor: str) -> dict[str, Any]:
    """Give an open case to an owner of the playbook, or to any role where it has none.

    Raises NotFoundError, and InputError for a closed case and an owner that the playbook does not have.
    """

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        row = _find(connection, name, lock=True)
        _require_open(row)
        owners = services.playbooks.active(connection).playbook.owners
        if owners and owner not in owners:
            known = ", ".join(sorted(owners))
            raise InputError(f"the playbook has no owner {owner!r}; there are: {known}")
        if not owner.strip():
            raise InputError("the owner is empty; write a name of `owners` in playbook.yaml, or a role")
        assign_case(connection, row, owner, key=f"{owner}:{now}", now=now)
        detail = {"case": case_name(row.id), "owner": owner, "before": row.owner}
        record(connection, at=now, actor=actor, action="case.assign", detail=detail)
        return detail

    return services.database.run(work)


def close(services: Services, name: str, *, actor: str) -> dict[str, Any]:
    """Close an open case as answered, so that the person's marketing goes on.

    Raises NotFoundError, and InputError for a case that was closed before.
    """

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        row = _find(connection, name, lock=True)
        _require_open(row)
        close_case(connection, row, answered_by=actor, key=f"command:{now}", now=now)
        detail = {"case": case_name(row.id), "closed": to_iso(now)}
        record(connection, at=now, actor=actor, action="case.close", detail=detail)
        return detail

    return services.database.run(work)


def _find(connection: sa.Connection, name: str, *, lock: bool = False) -> Any:
    digits = name.strip().upper().removeprefix(_PREFIX)
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
    row = None if number is None else reply_queries.load_case(connection, number, lock=lock)
    if row is None:
        raise NotFoundError(f"there is no case {name!r}; list them with: nurture cases list --all")
    return row


def _require_open(row: Any) -> None:
    if row.closed_at is not None:
        closed = to_iso(row.closed_at)
        raise InputError(f"case {case_name(row.id)} was closed on {closed}; nothing was changed")


def _describe(row: Any, names: MeasureNames, *, now: Instant) -> dict[str, Any]:
    return {
        **_times(row, now=now),
        "person": row.email or (f"contact:{row.contact_id}" if row.contact_id else "nobody"),
        "about": f"{names.shown(row.measure)}/{row.mail}"
        if row.measure
        else ""
        if row.kind == REPLY
        else row.kind,
    }


def _times(row: Any, *, now: Instant) -> dict[str, Any]:
    return {
        "case": case_name(row.id),
        "kind": row.kind if row.action_id is None else "measure",
        "state": _state(row, now=now),
        "owner": row.owner,
        "opened": to_iso(row.opened_at),
        "due": to_iso(row.due_at),
        "closed": None if row.closed_at is None else to_iso(row.closed_at),
    }


def _state(row: Any, *, now: Instant) -> str:
    if row.closed_at is not None:
        return "closed"
    return "overdue" if row.answered_at is None and row.due_at <= now else "open"
