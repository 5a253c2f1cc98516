"""Exports of contacts, events and messages as CSV or JSON lines, streamed page by page."""

from collections.abc import Iterator
from typing import Any, Literal, TextIO

import sqlalchemy as sa

from nurture.app import audience
from nurture.app.services import Services
from nurture.app.tabular import write_rows
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.database.engine import decode
from nurture.domain.instant import to_iso

Noun = Literal["contacts", "events", "messages"]

_COLUMNS: dict[str, tuple[str, ...]] = {
    "contacts": ("contact", "email", "track", "stage", "zone", "locale", "first_seen_at", "facts"),
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


def export(
    services: Services, noun: Noun, stream: TextIO, *, expression: str | None, kind: str, actor: str
) -> int:
    """Write all rows of the noun to the stream and return how many.

    expression: write only the rows of this audience. kind: `csv` or `jsonl`. The audit log has the export before
    the first row is written. Raises ConditionError.
    """
    with services.database.read() as connection:
        audience.parse_audience(services.playbooks.active(connection).playbook, expression or "True")
    detail = {"noun": noun, "everybody": expression is None}
    services.database.run(
        lambda connection: record(
            connection, at=services.clock.now(), actor=actor, action="export", detail=detail
        )
    )
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        condition = audience.parse_audience(playbook, expression or "True")
        pages = audience.id_pages(connection, condition, playbook, now=services.clock.now())
        rows = (row for page in pages for row in _ROWS[noun](connection, page))
        return write_rows(stream, rows, _COLUMNS[noun], kind)


def _contacts(connection: sa.Connection, ids: list[int]) -> Iterator[dict[str, Any]]:
    for row in connection.execute(
        sa.select(t.contacts).where(t.contacts.c.id.in_(ids)).order_by(t.contacts.c.id)
    ):
        yield {
            "contact": row.id,
            "email": row.email,
            "track": row.track,
            "stage": row.stage,
            "zone": row.zone,
            "locale": row.locale,
            "first_seen_at": to_iso(row.first_seen_at),
            "facts": row.facts,
        }


def _select_family_rows(connection: sa.Connection, table: sa.Table, ids: list[int]) -> Iterator[Any]:
    """Yield the table's rows of these contacts and of all contacts merged into them."""
    members = sa.select(t.contacts.c.id).where(
        sa.or_(t.contacts.c.id.in_(ids), t.contacts.c.survivor.in_(ids))
    )
    yield from connection.execute(
        sa.select(table).where(table.c.contact_id.in_(members)).order_by(table.c.id)
    ).yield_per(_PAGE)


def _events(connection: sa.Connection, ids: list[int]) -> Iterator[dict[str, Any]]:
    for row in _select_family_rows(connection, t.events, ids):
        yield {
            "event": row.id,
            "contact": row.contact_id,
            "source": row.source,
            "message_id": row.message_id,
            "name": row.name,
            "occurred_at": to_iso(row.occurred_at),
            "received_at": to_iso(row.received_at),
            "properties": decode(row.body).get("properties", {}),
        }


def _messages(connection: sa.Connection, ids: list[int]) -> Iterator[dict[str, Any]]:
    for row in _select_family_rows(connection, t.messages, ids):
        yield {
            "message": row.id,
            "contact": row.contact_id,
            "measure": row.measure,
            "key": row.run_key,
            "step": row.step,
            "status": row.status,
            "reason": row.reason,
            "due_at": to_iso(row.due_at),
            "sent_at": to_iso(row.sent_at) if row.sent_at else None,
        }


_ROWS = {"contacts": _contacts, "events": _events, "messages": _messages}
