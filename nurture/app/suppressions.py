"""Show why an address or a person gets no mail, suppress and lift as an operator; import and export lists."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.consent.subjects import Subject, find_subject, suppress_person
from nurture.database.audit import record
from nurture.domain.consent.suppressions import (
    REASONS_WEAKEST_FIRST,
    SCOPES,
    SuppressionRow,
    SuppressionScope,
)
from nurture.domain.errors import InputError, NotFoundError, UserError
from nurture.domain.feedback import LIFTABLE, REASONS
from nurture.domain.instant import to_iso


def show(services: Services, who: str) -> list[dict[str, Any]]:
    """Return the suppressions that hold for a person or address: scope, reason in words, since when, the way back.

    `of` tells whether the row is of the address, of the person, or of another address of theirs. Raises UserError
    for nobody known.
    """
    with services.database.read() as connection:
        subject = _find(services, connection, who)
        rows = subject.load_holding(connection)
        return [_describe(row, subject) for row in sorted(rows, key=_order)]


def describe_reasons(
    connection: sa.Connection, contact_id: int, *, suppression_key: bytes
) -> list[dict[str, Any]]:
    """Return the same about a living contact, inside a transaction."""
    subject = find_subject(connection, f"contact:{contact_id}", suppression_key=suppression_key)
    return [_describe(row, subject) for row in sorted(subject.load_holding(connection), key=_order)]


def add(
    services: Services, who: str, *, scope: SuppressionScope, because: str, actor: str
) -> list[dict[str, Any]]:
    """Suppress an address and the person who owns it, as an operator; return what holds now. Audited."""
    if not because.strip():
        raise InputError("--because: say why; it is written to the audit log")
    now, key = services.clock.now(), services.settings.suppression_secret

    def work(connection: sa.Connection) -> None:
        _find(services, connection, who)
        ids = suppress_person(connection, who, scope=scope, now=now, source=actor, suppression_key=key)
        detail = {"contacts": ids, "scope": scope, "because": because.strip()[:200]}
        record(connection, at=now, actor=actor, action="suppression add", detail=detail)

    services.database.run(work)
    return show(services, who)


def lift_suppressions(
    services: Services,
    who: str,
    *,
    because: str,
    actor: str,
    person_asked: bool = False,
    reasons: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Lift suppressions of an address and its owner, and return them. The audit log names the contacts only.

    reasons: exactly these; none: all that an operator may lift, and with `person_asked` (the person asked for mail
    again) a complaint too. Raises InputError without `because`, for an unknown reason, or when only the person
    may lift what there is.
    """
    if not because.strip():
        raise InputError("--because: say how you know that the address works; it is written to the audit log")
    allowed = LIFTABLE | {"complaint"}
    unknown = sorted(set(reasons) - set(REASONS_WEAKEST_FIRST))
    if unknown:
        raise InputError(f"--reason {unknown[0]}: no such reason; there are {', '.join(sorted(REASONS))}")
    refused = sorted(set(reasons) - allowed)
    if refused:
        raise InputError(
            f"--reason {refused[0]}: an operator cannot lift this; {REASONS[refused[0]][1]} "
            "(`nurture contact consent WHO TOPIC granted` records it)"
        )
    liftable = frozenset(reasons) or (allowed if person_asked else LIFTABLE)
    present = show(services, who)
    kept = [row for row in present if row["reason"] not in liftable]
    lifted = [row for row in present if row["reason"] in liftable]
    if reasons and not lifted:
        raise InputError(f"--reason {', '.join(sorted(reasons))}: {who} is not suppressed for it")
    if kept and not lifted:
        row = kept[0]
        raise InputError(f"{row['because']}: an operator cannot lift this; {row['way_back']}")
    if lifted:
        _lift(services, who, liftable, because=because, actor=actor, person_asked=person_asked)
    return lifted


def _lift(
    services: Services, who: str, liftable: Collection[str], *, because: str, actor: str, person_asked: bool
) -> None:
    now = services.clock.now()

    def work(connection: sa.Connection) -> None:
        subject = _find(services, connection, who)
        found = {row.reason for row in subject.load_holding(connection)} & set(liftable)
        ids = subject.lift(connection, reasons=found, scopes=SCOPES, before=now + 1)
        detail = {
            "contacts": ids,
            "reasons": sorted(found),
            "because": because.strip()[:200],
            "person_asked": person_asked,
        }
        record(connection, at=now, actor=actor, action="suppression lift", detail=detail)

    services.database.run(work)


def _find(services: Services, connection: sa.Connection, who: str) -> Subject:
    """Return the address, known or not, and its owner. Raises UserError for nobody known."""
    try:
        return find_subject(connection, who, suppression_key=services.settings.suppression_secret)
    except NotFoundError as error:
        raise UserError(str(error)) from error


def _order(row: SuppressionRow) -> tuple[Any, ...]:
    return row.scope, -REASONS_WEAKEST_FIRST.index(row.reason), row.address_hash == "", row.contact_id


def _describe(row: SuppressionRow, subject: Subject) -> dict[str, Any]:
    of = "address" if row.address_hash == subject.address_hash else "another address"
    return {
        "of": "person" if row.contact_id else of,
        "scope": row.scope,
        "reason": row.reason,
        "because": REASONS[row.reason][0],
        "since": to_iso(row.at),
        "source": row.source,
        "way_back": REASONS[row.reason][1],
    }
