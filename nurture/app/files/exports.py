"""Exports of contacts, events, messages and suppressions as CSV or JSON lines, streamed page by page."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TextIO

import sqlalchemy as sa

from nurture.app import audience
from nurture.app.files.suppression_files import export_suppressions
from nurture.app.files.tabular import write_rows
from nurture.app.services import Services
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.database.engine import decode
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.cells.shown_facts import show_local
from nurture.domain.errors import InputError
from nurture.domain.instant import Instant, to_iso
from nurture.domain.timing import load_zone
from nurture.reports.contact_rows import ContactList, choose_facts

Noun = Literal["contacts", "events", "messages", "suppressions"]

_COLUMNS: dict[str, tuple[str, ...]] = {
    "events": (
        "event",
        "contact",
        "source",
        "message_id",
        "name",
        "occurred_at",
        "received_at",
        "properties",
    ),
    "messages": ("message", "contact", "measure", "key", "step", "status", "reason", "due_at", "sent_at"),
}
_PAGE = 1_000
#: Writes an instant.
Show = Callable[[Instant], str]


def export(
    services: Services,
    noun: Noun,
    stream: TextIO,
    *,
    expression: str | None,
    kind: str,
    actor: str,
    facts: Sequence[str] = (),
) -> int:
    """Write all rows of the noun to the stream and return how many.

    expression: write only the rows of this audience. kind: `csv` or `jsonl`. facts: of contacts, as further columns.
    The audit log has the export before the first row is written. Raises ConditionError and InputError.
    """
    if facts and noun != "contacts":
        raise InputError(f"--facts belongs to contacts: nurture export contacts --facts {','.join(facts)}")
    if noun == "suppressions":
        if expression is not None:
            raise InputError("suppressions are of addresses, not of an audience: leave --audience out")
        return export_suppressions(services, stream, kind=kind, actor=actor)
    now, key = services.clock.now(), services.settings.suppression_secret
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        audience.parse_audience(playbook, expression or "True")
        contacts = ContactList(playbook, choose_facts(playbook, facts), key, now)
    detail = {"noun": noun, "everybody": expression is None}
    services.database.run(lambda c: record(c, at=now, actor=actor, action="export", detail=detail))
    with services.database.read() as connection:
        condition = audience.parse_audience(playbook, expression or "True")
        pages = audience.id_pages(connection, condition, playbook, now=now)
        if noun == "contacts":
            rows = (row for page in pages for row in contacts.rows(connection, page))
            return write_rows(stream, rows, contacts.columns, kind)
        names = MeasureNames(playbook.measures)
        show = _shown_times(playbook.default_zone) if kind == "csv" else to_iso
        rows = (row for page in pages for row in _ROWS[noun](connection, page, names, show))
        return write_rows(stream, rows, _COLUMNS[noun], kind)


def _shown_times(zone: str) -> Show:
    """Return how CSV writes instants: local times with their distance from UTC, in seconds, as contacts have them."""
    local = load_zone(zone)
    return lambda at: show_local(at, local)


def _select_family_rows(connection: sa.Connection, table: sa.Table, ids: list[int]) -> Iterator[Any]:
    """Yield the table's rows of these contacts and of all contacts merged into them."""
    members = sa.select(t.contacts.c.id).where(
        sa.or_(t.contacts.c.id.in_(ids), t.contacts.c.survivor.in_(ids))
    )
    yield from connection.execute(
        sa.select(table).where(table.c.contact_id.in_(members)).order_by(table.c.id)
    ).yield_per(_PAGE)


def _events(
    connection: sa.Connection, ids: list[int], _: MeasureNames, show: Show
) -> Iterator[dict[str, Any]]:
    for row in _select_family_rows(connection, t.events, ids):
        yield {
            "event": row.id,
            "contact": row.contact_id,
            "source": row.source,
            "message_id": row.message_id,
            "name": row.name,
            "occurred_at": show(row.occurred_at),
            "received_at": show(row.received_at),
            "properties": decode(row.body).get("properties", {}),
        }


def _messages(
    connection: sa.Connection, ids: list[int], names: MeasureNames, show: Show
) -> Iterator[dict[str, Any]]:
    for row in _select_family_rows(connection, t.messages, ids):
        yield {
            "message": row.id,
            "contact": row.contact_id,
            "measure": names.shown(row.measure),
            "key": row.run_key,
            "step": row.step,
            "status": row.status,
            "reason": row.reason,
            "due_at": show(row.due_at),
            "sent_at": show(row.sent_at) if row.sent_at else None,
        }


_ROWS = {"events": _events, "messages": _messages}
