"""The quarantine: list what could not be used, hand it in again after a repair, or drop it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.event_body import Body
from nurture.app.ingest import CALL, ITEM_BYTES_MAX, read_items
from nurture.app.referral_codes import name_referrers
from nurture.app.services import Services
from nurture.contacts import quarantine_queries
from nurture.contacts.accept import NewEvent, accept, find_refusal
from nurture.contacts.kept_events import read_event
from nurture.database.audit import record
from nurture.database.engine import decode
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import to_iso
from nurture.domain.signing import SigningKeys

#: Items of one transaction.
_PAGE: Final = 500
#: The source of an item that is no event: the alarm of a contact raised.
_ALARM: Final = "alarm"


def list_all(
    services: Services, *, stage: str | None = None, source: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Return items that could not be used, the newest first, each with its reason and whether it can be retried."""
    with services.database.read() as connection:
        rows = quarantine_queries.list_items(connection, stage=stage, source=source, limit=limit)
    return [_describe(row) for row in rows]


def show(services: Services, number: int) -> dict[str, Any]:
    """Return one item with its text as it was received. Raises NotFoundError."""
    with services.database.read() as connection:
        row = quarantine_queries.load_item(connection, number)
    if row is None:
        raise NotFoundError(_missing(number))
    return {**_describe(row), "message_id": row.message_id, "item": row.raw}


def hand_in_again(
    services: Services,
    numbers: Sequence[int],
    *,
    stage: str | None = None,
    corrected: bytes | None = None,
    historic: bool = False,
    actor: str,
) -> list[dict[str, Any]]:
    """Hand items in again, each as it was received, and return what became of each.

    stage: all items of it, in place of `numbers`. corrected: the text of one call, in place of what was received.
    historic: as events that make facts and no mail, also older than events are kept. An item that still cannot be
    used stays where it is, with the reason in its row. An event that was applied before is not applied twice.
    Raises NotFoundError, and InputError for a correction of several items.
    """
    if corrected is not None and len(numbers) != 1:
        raise InputError("a corrected item takes the place of one; name one number")
    wanted = _numbers(services, numbers, stage)
    outcomes: list[dict[str, Any]] = []
    for begin in range(0, len(wanted), _PAGE):
        page = wanted[begin : begin + _PAGE]

        def work(connection: sa.Connection, page: Sequence[int] = page) -> list[dict[str, Any]]:
            rows = _lock(connection, page)
            results = [
                _hand_in(connection, row, corrected, historic=historic, keys=services.keys) for row in rows
            ]
            done = [result["item"] for result in results if result["result"] == "handed in"]
            quarantine_queries.delete_items(connection, done)
            if done:
                detail = {"items": done, "corrected": corrected is not None, "historic": historic}
                record(
                    connection, at=services.clock.now(), actor=actor, action="quarantine.retry", detail=detail
                )
            return results

        outcomes += services.database.run(work)
    return outcomes


def drop(
    services: Services, numbers: Sequence[int], *, stage: str | None = None, actor: str
) -> list[dict[str, Any]]:
    """Delete items for good and return their numbers. Raises NotFoundError."""
    wanted = _numbers(services, numbers, stage)
    for begin in range(0, len(wanted), _PAGE):
        page = wanted[begin : begin + _PAGE]

        def work(connection: sa.Connection, page: Sequence[int] = page) -> None:
            _lock(connection, page)
            quarantine_queries.delete_items(connection, page)
            detail = {"items": list(page)}
            record(connection, at=services.clock.now(), actor=actor, action="quarantine.drop", detail=detail)

        services.database.run(work)
    return [{"item": number, "result": "dropped"} for number in wanted]


def _numbers(services: Services, numbers: Sequence[int], stage: str | None) -> Sequence[int]:
    if (stage is None) == (not numbers):
        raise InputError("name the items, or all of a stage with --stage")
    if stage is None:
        return numbers
    with services.database.read() as connection:
        return quarantine_queries.find_numbers(connection, stage=stage)


def _lock(connection: sa.Connection, numbers: Sequence[int]) -> list[sa.Row[Any]]:
    rows = quarantine_queries.lock_items(connection, numbers)
    missing = sorted(set(numbers) - {row.id for row in rows})
    if missing:
        raise NotFoundError(_missing(missing[0]))
    return rows


def _hand_in(
    connection: sa.Connection, row: sa.Row[Any], corrected: bytes | None, *, historic: bool, keys: SigningKeys
) -> dict[str, Any]:
    event = _read(row, corrected)
    if isinstance(event, str):
        return {"item": row.id, "result": "still refused", "reason": event}
    event = replace(event, historic=event.historic or historic)
    refusal = find_refusal(event)
    if refusal is not None:
        return {"item": row.id, "result": "still refused", "reason": refusal}
    accept(connection, name_referrers(keys, [event]))
    return {"item": row.id, "result": "handed in", "reason": ""}


def _read(row: sa.Row[Any], corrected: bytes | None) -> NewEvent | str:
    """Return the event of an item, or the reason why it has none."""
    if corrected is None and row.form is None:
        return (
            "this person's alarm is tried again by itself; drop the item"
            if row.source == _ALARM
            else "it was not kept whole; hand in a corrected call with --file, or drop it"
        )
    if corrected is None and row.form == "event":
        return read_event(
            decode(row.raw),
            source=row.source,
            message_id=row.message_id,
            received_at=row.received_at,
            hint=row.hint,
        )
    text = row.raw.encode() if corrected is None else corrected
    if len(text) > ITEM_BYTES_MAX:
        return f"item: larger than {ITEM_BYTES_MAX // 1024} KB"
    form = row.form or CALL
    kind = form.removeprefix(f"{CALL}:") if form.startswith(f"{CALL}:") else None
    intake = read_items(
        Body(items=(text,), size=len(text)),
        source=row.source,
        received_at=row.received_at,
        kind=kind,
        hint=row.hint,
    )
    return intake.events[0] if intake.events else intake.rejected[0].reason


def _describe(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "item": row.id,
        "received": to_iso(row.received_at),
        "source": row.source,
        "stage": row.stage,
        "reason": row.reason,
        "contact": row.contact_id,
        "can_retry": row.form is not None,
    }


def _missing(number: int) -> str:
    return f"there is no item {number} in the quarantine; list them with: nurture quarantine list"
