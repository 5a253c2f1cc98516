"""Show why an address gets no mail, and lift the suppressions that an operator may lift."""

from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.consent.queries import load_sending_address, raise_versions
from nurture.consent.record import address_hash
from nurture.consent.suppression_queries import lift_suppression
from nurture.contacts.queries import resolve_contact
from nurture.database.audit import record
from nurture.database.schema import contacts, suppressions
from nurture.domain.errors import InputError, NotFoundError, UserError
from nurture.domain.feedback import LIFTABLE, REASONS
from nurture.domain.identity import canonical_email
from nurture.domain.instant import to_iso


def show(services: Services, who: str) -> list[dict[str, Any]]:
    """Return the suppressions of a person or address: scope, reason in words, since when, and how to lift it.

    Raises NotFoundError for a person without an address.
    """
    with services.database.read() as connection:
        hashed = _address_hash_of(services, connection, who)
        found = connection.execute(
            sa.select(suppressions)
            .where(suppressions.c.address_hash == hashed)
            .order_by(suppressions.c.scope)
        )
        return [
            {
                "scope": row.scope,
                "reason": row.reason,
                "because": REASONS[row.reason][0],
                "since": to_iso(row.at),
                "source": row.source,
                "way_back": REASONS[row.reason][1],
            }
            for row in found
        ]


def lift_suppressions(
    services: Services, who: str, *, because: str, actor: str, person_asked: bool = False
) -> list[dict[str, Any]]:
    """Lift the suppressions that an operator may lift, and return them. The audit log names the contacts only.

    person_asked: the person asked for mail again; only this lifts a complaint. Raises InputError without a reason,
    or when only the person may lift the suppression.
    """
    if not because.strip():
        raise InputError("--because: say how you know that the address works; it is written to the audit log")
    present = show(services, who)
    liftable = LIFTABLE | {"complaint"} if person_asked else LIFTABLE
    kept = [row for row in present if row["reason"] not in liftable]
    lifted = [row for row in present if row["reason"] in liftable]
    if kept and not lifted:
        row = kept[0]
        raise InputError(f"{row['because']}: an operator cannot lift this; {row['way_back']}")
    now = services.clock.now()

    def work(connection: sa.Connection) -> None:
        hashed = _address_hash_of(services, connection, who)
        for row in lifted:
            lift_suppression(connection, hashed, scope=row["scope"], reason=row["reason"], before=now + 1)
        address = canonical_email(who)
        ids = list(connection.execute(sa.select(contacts.c.id).where(contacts.c.email == address)).scalars())
        raise_versions(connection, ids)
        detail = {
            "contacts": ids,
            "reasons": [row["reason"] for row in lifted],
            "because": because.strip()[:200],
            "person_asked": person_asked,
        }
        record(connection, at=now, actor=actor, action="suppression lift", detail=detail)

    if lifted:
        services.database.run(work)
    return lifted


def _address_hash_of(services: Services, connection: sa.Connection, who: str) -> str:
    """Return the hash of an address, known or not, or of a known person's address."""
    address = canonical_email(who)
    if address is None:
        try:
            address = load_sending_address(connection, resolve_contact(connection, who))
        except NotFoundError as error:
            raise UserError(str(error)) from error
    if address is None:
        raise NotFoundError(f"{who} has no e-mail address")
    return address_hash(address, services.settings.suppression_secret)
