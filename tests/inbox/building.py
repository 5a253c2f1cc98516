"""Builders for the inbox's tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from nurture.domain.event import Identity
from nurture.domain.instant import parse_iso
from nurture.flow.inbox import NewEvent
from nurture.store.database import Database

NOW = parse_iso("2026-05-04T12:00:00Z")

KINDS = {"u": "user_id", "e": "email", "p": "phone", "a": "anonymous_id"}


def names(text: str) -> tuple[Identity, ...]:
    """Return `u1 e2` as user id `u1` and address `e2@example.com`."""
    return tuple(
        Identity(KINDS[word[0]], f"{word}@example.com" if word[0] == "e" else word)  # type: ignore[arg-type]
        for word in text.split()
    )


def an_event(message_id: str, who: str = "", **given: Any) -> NewEvent:
    """Return an event received at NOW; `who` as in `names`."""
    values: dict[str, Any] = {
        "source": "test",
        "message_id": message_id,
        "kind": "track",
        "name": "Page Viewed",
        "occurred_at": NOW,
        "received_at": NOW,
        "identities": names(who),
    }
    return NewEvent(**(values | given))


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Give the list of statements that the writer runs meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    sa.event.listen(database.writer, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(database.writer, "before_cursor_execute", note)
