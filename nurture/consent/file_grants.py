"""Leave out grants of files that a withdrawal told to us refutes; `domain.consent.permissions` has the rule.

Reading applies the same rule, so a withdrawal that is written later, or in the same batch, counts as well.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from nurture.consent.queries import load_consents, load_merges
from nurture.database.bulk import Row
from nurture.domain.consent.merges import list_families
from nurture.domain.consent.permissions import EVERYTHING, FILE_SOURCES


def drop_grants_after_withdrawal(connection: sa.Connection, rows: Sequence[Row]) -> list[Row]:
    """Return the consent rows of a file without the grants whose topic, or everything, was ever withdrawn to us.

    rows: for living contacts; withdrawals and pending rows among them are kept. Two statements, none without a
    grant.
    """
    contacts = sorted({row["contact_id"] for row in rows if row["state"] == "granted"})
    if not contacts:
        return list(rows)
    withdrawn = _load_withdrawn_topics(connection, contacts)
    return [
        row
        for row in rows
        if row["state"] != "granted" or not {row["topic"], EVERYTHING} & withdrawn[row["contact_id"]]
    ]


def _load_withdrawn_topics(connection: sa.Connection, contacts: Sequence[int]) -> dict[int, set[str]]:
    """Return living contact -> topics that the contact, or one merged into it, has ever told us to stop."""
    merges = load_merges(connection, contacts)
    families = list_families(contacts, merges)
    owners = {member: contact for contact, family in families.items() for member in family}
    withdrawn: dict[int, set[str]] = {contact: set() for contact in contacts}
    for consent in load_consents(connection, sorted(owners)):
        if consent.state == "withdrawn" and consent.source not in FILE_SOURCES:
            withdrawn[owners[consent.contact_id]].add(consent.topic)
    return withdrawn
