"""Read and write suppressions: one row of `suppression_reasons` per (subject, scope, reason).

The subject is an address hash or a contact. The table `suppressions` is how the release before reads and writes them:
an address's strongest reason per scope. While both releases run, every write adopts what that release wrote for
the same address and renews its rows, and reading reads both.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, any_of_parameter, insert, insert_statement, list_text
from nurture.database.schema import contacts, identities, suppression_reasons, suppressions
from nurture.domain.consent.suppressions import SuppressionRow, strongest_by_scope
from nurture.domain.instant import Instant

_KEY = ("address_hash", "contact_id", "scope", "reason")
_COLUMNS = (*_KEY, "at", "source", "attributed")


def add_suppressions(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Add rows; one that exists already stays as it is."""
    hashes = sorted({row["address_hash"] for row in rows if row["address_hash"]})
    _adopt(connection, hashes)
    insert(connection, suppression_reasons, rows, columns=_COLUMNS, conflict=_KEY)
    _renew_strongest(connection, hashes)


def lift_suppressions(
    connection: sa.Connection,
    hashes: Collection[str],
    contact_ids: Collection[int],
    *,
    reasons: Collection[str],
    scopes: Collection[str],
    before: Instant,
) -> int:
    """Delete the rows of these subjects with these reasons and scopes made before that instant; return how many."""
    hashes = sorted(set(hashes) - {""})
    _adopt(connection, hashes)
    c = suppression_reasons.c
    statement = sa.delete(suppression_reasons).where(
        sa.or_(
            any_of(c.address_hash, hashes, connection),
            any_of(c.contact_id, sorted(set(contact_ids) - {0}), connection),
        ),
        c.reason.in_(sorted(reasons)),
        c.scope.in_(sorted(scopes)),
        c.at < before,
    )
    lifted = connection.execute(statement).rowcount
    _renew_strongest(connection, hashes)
    return lifted


def load_rows(
    connection: sa.Connection, hashes: Collection[str], contact_ids: Collection[int]
) -> list[SuppressionRow]:
    """Return every row of these address hashes and of these contacts; one statement."""
    values = {
        "hashes": list_text(sorted(set(hashes) - {""})),
        "ids": list_text(sorted(set(contact_ids) - {0})),
    }
    rows = connection.execute(_rows(connection.dialect.name), values).all()
    return [SuppressionRow(*row) for row in rows]


def load_every_row(connection: sa.Connection) -> list[SuppressionRow]:
    """Return every row of the table, for an export."""
    columns = [suppression_reasons.c[name] for name in _COLUMNS]
    statement = sa.select(*columns).order_by(*suppression_reasons.primary_key.columns)
    return [SuppressionRow(*row) for row in connection.execute(statement)]


def load_known_addresses(connection: sa.Connection) -> list[str]:
    """Return every address that a contact has."""
    statement = sa.select(identities.c.value).where(identities.c.kind == "email")
    return list(connection.execute(statement).scalars())


def load_suppressions(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return address hash -> scope -> strongest reason, for those of these hashes that are suppressed."""
    of: dict[str, list[SuppressionRow]] = {}
    for row in load_rows(connection, hashes, ()):
        of.setdefault(row.address_hash, []).append(row)
    return {address_hash: strongest_by_scope(rows) for address_hash, rows in of.items()}


def load_owned_addresses(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return living contact -> every address of theirs besides the one that they are mailed at."""
    addresses: dict[int, list[str]] = {}
    rows = connection.execute(_addresses_by_owner(connection.dialect.name), {"ids": list_text(contact_ids)})
    for contact_id, address in rows:
        addresses.setdefault(contact_id, []).append(address)
    return addresses


@lru_cache
def _rows(dialect: str) -> sa.CompoundSelect[Any]:
    new, old = suppression_reasons.c, suppressions.c
    columns = [new[name] for name in _COLUMNS]
    known = sa.exists().where(
        new.address_hash == old.address_hash,
        new.contact_id == sa.literal_column("0"),
        new.scope == old.scope,
        new.reason == old.reason,
    )
    return sa.union_all(
        sa.select(*columns).where(any_of_parameter(new.address_hash, dialect, "hashes")),
        sa.select(*columns).where(any_of_parameter(new.contact_id, dialect, "ids")),
        sa.select(*_old_columns()).where(any_of_parameter(old.address_hash, dialect, "hashes"), ~known),
    )


def _old_columns() -> list[sa.ColumnElement[Any]]:
    """Return the columns of the release before, in the order of `_COLUMNS`."""
    old = suppressions.c
    nobody = sa.literal_column("0", sa.BigInteger).label("contact_id")
    not_attributed = sa.false().label("attributed")
    return [old.address_hash, nobody, old.scope, old.reason, old.at, old.source, not_attributed]


@lru_cache
def _addresses_by_owner(dialect: str) -> sa.Select[Any]:
    i, c = identities.c, contacts.c
    return (
        sa.select(i.contact_id, i.value)
        .join(contacts, c.id == i.contact_id)
        .where(
            any_of_parameter(i.contact_id, dialect),
            i.kind == sa.literal_column("'email'"),
            i.value != sa.func.coalesce(c.email, sa.literal_column("''")),
        )
    )


# ---- the rows of the release before ----------------------------------------------------------------------


def _adopt(connection: sa.Connection, hashes: Sequence[str]) -> None:
    """Copy what the release before wrote for these addresses."""
    if not hashes:
        return
    source = sa.select(*_old_columns()).where(any_of(suppressions.c.address_hash, hashes, connection))
    connection.execute(
        insert_statement(connection.dialect.name, suppression_reasons, _COLUMNS, source, conflict=_KEY)
    )


def _renew_strongest(connection: sa.Connection, hashes: Sequence[str]) -> None:
    """Write for the release before each scope's strongest reason of these addresses."""
    if not hashes:
        return
    c = suppression_reasons.c
    kept: dict[str, list[SuppressionRow]] = {}
    for row in connection.execute(
        sa.select(*(c[name] for name in _COLUMNS)).where(any_of(c.address_hash, hashes, connection))
    ):
        kept.setdefault(row.address_hash, []).append(SuppressionRow(*row))
    connection.execute(sa.delete(suppressions).where(any_of(suppressions.c.address_hash, hashes, connection)))
    rows: list[Row] = []
    for stored in kept.values():
        strongest = strongest_by_scope(stored)
        rows += [
            {name: getattr(row, name) for name in ("address_hash", "scope", "reason", "at", "source")}
            for row in stored
            if strongest[row.scope] == row.reason
        ]
    insert(connection, suppressions, rows, conflict=("address_hash", "scope"))
