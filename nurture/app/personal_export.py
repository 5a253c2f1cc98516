"""Everything stored about one person, as one document that the person can read (GDPR articles 15 and 20).

Reads only. The sections are the tables of `journey.personal_data`, so that a new table is exported without further
code. Instants are RFC 3339 text, JSON columns are objects, and stored mails are shown as their text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent.queries import load_sending_address
from nurture.consent.record import address_hash
from nurture.contacts import inbox_queries
from nurture.contacts.conflict_queries import SHARED_PHONE
from nurture.contacts.identity_queries import load_index_by_contacts
from nurture.contacts.shop_queries import load_things_of
from nurture.database import schema as t
from nurture.database.bulk import any_of
from nurture.database.engine import decode
from nurture.delivery.kept_bytes import read_kept_bytes
from nurture.delivery.verdicts import decode_verdict
from nurture.domain.instant import FOREVER, Instant, to_iso
from nurture.journey import personal_data
from nurture.journey.personal_data import PERSONAL

FORMAT: Final = "nurture contact export 1"

#: Section -> what it contains, for readers who do not know our tables.
ABOUT: Final[Mapping[str, str]] = {
    "identities": "the names we know you under, since when, and who told us",
    "contacts": "where our mail goes to you, and what we have concluded about you",
    "contact_state": "what our rules remember beside that: baskets, orders, newest values",
    "baselines": "what we concluded from events that we no longer keep",
    "inbox": "what we were told about you and have not looked at yet",
    "shop_things": "orders, customers and payments of shops that we know to be yours, and what we took from them",
    "events": "what we were told that you did",
    "quarantine": "what we were told about you and could not use, with the reason",
    "transitions": "when you became a lead or a customer and moved from stage to stage",
    "milestones": "dates worth celebrating",
    "non_entries": "series of mails you might have got and did not, with the reason",
    "set_aside_measures": "series of mails that stopped because our rules failed, with the reason",
    "watches": "what you are waiting for, such as a product that is sold out",
    "account_members": "the company to which we think you belong",
    "account_events": "what you told that your colleagues may know too",
    "contact_values": "numbers computed about you elsewhere, such as how likely you are to leave",
    "messages": "every mail decided for you: whether it was sent, when, and what it was made from",
    "coupons": "codes made for you",
    "runs": "the series of mails you are or were in",
    "actions": "what we did in a series of mails beside sending: events noted about you, topics ended",
    "enrolments": "comparisons of our mails that you were in: since when, and whether you got the mail",
    "exposures": "when a mail that we compare reached you, or would have",
    "outcomes": "what you did that tells us whether our mails are of use",
    "attempts": "every attempt to deliver a mail to you, and what your mail server said",
    "feedback": "what was reported about our mail to you: delivered, bounced, opened, clicked",
    "consents": "what you agreed to or withdrew, when, and how we know",
    "requests": "what you asked for on our pages: another address, your data, to be forgotten",
    "shown_objects": "pieces and products that lists in our mails have shown you",
    "touches": "links and pictures of our mails that were followed or loaded in the last day",
    "wishes": "how often you want mail, pauses, and whether we may count your clicks",
    "conflicts": "records that may also be you, and events we did not believe without asking",
    "merges": "when we learnt that two of our records were both you",
    "dialogues": "answers of yours to our mail, and when we answered",
    "hook_posts": "which of your events were told to another system of ours, and when",
    "notices": "answers of yours on their way to one of us",
    "approvals": "sends to many people that one of us asked another to allow",
    "suppressions": "whether we may not mail an address of yours, and why",
    "suppression_reasons": "every reason for which we may not mail you or an address of yours",
    "sends": "mails that somebody here sent to you by hand",
    "send_recipients": "lists by which somebody here sent you mail by hand",
    "pauses": "notes of our operators, at a stop of mail, that name you",
    "switches": "notes of our operators that name you",
    "erasures": "whether you asked to be forgotten",
}

#: Columns that contain only internal state.
_INTERNAL_COLUMNS = {
    "shard",
    "version",
    "contact_version",
    "account_version",
    "lease_owner",
    "lease_until",
    "told",
    "content_hash",
    "rules_hash",
}
#: Columns that contain an instant, besides those whose name ends in `_at`, `_since` or `_until`.
_INSTANT_COLUMNS = {"at", "since", "clock", "valid_until"}
_JSON_COLUMNS = {"body", "evidence", "let", "data", "decided", "context", "memory", "detail", "state"}


def collect_personal_data(
    connection: sa.Connection, person: int, *, suppression_key: bytes, now: Instant
) -> dict[str, Any]:
    """Return everything stored about a living contact and about all contacts merged into it."""
    members = personal_data.members_of(connection, person)
    names = sorted(load_index_by_contacts(connection, members).names.get(person, ()))
    sections: dict[str, list[dict[str, Any]]] = {}
    for name, kind in PERSONAL.items():
        table = t.metadata.tables[name]
        if kind.found_by in ("contact", "message"):
            sections[name] = personal_data.rows_of(connection, table, members)
    # An event that names only a shared telephone number may be about the other person who has it.
    for row in sections["conflicts"]:
        row["evidence"] = "{}" if row["kind"] == SHARED_PHONE else row["evidence"]
    addresses = {name.value for name in names if name.kind == "email"}
    # At a shared mailbox the address is no identity of this contact.
    addresses.update(filter(None, [load_sending_address(connection, person)]))
    address_of = {address_hash(address, suppression_key): address for address in sorted(addresses)}
    hashes = list(address_of)
    sections["suppressions"] = _rows(connection, t.suppressions, t.suppressions.c.address_hash, hashes)
    reasons = t.suppression_reasons
    sections["suppression_reasons"] += _rows(connection, reasons, reasons.c.address_hash, hashes)
    for row in (*sections["suppressions"], *sections["suppression_reasons"]):
        row["subject"] = address_of.get(row["address_hash"], "you")
    pending = [row.id for row in inbox_queries.load_rows_of(connection, names)] if names else []
    sections["shop_things"] = load_things_of(connection, names)
    sections["inbox"] = _rows(connection, t.inbox, t.inbox.c.id, pending)
    for table, column in personal_data.WORDS:
        (key,) = table.primary_key.columns
        sections[table.name] = _rows(
            connection, table, key, personal_data.naming(connection, table, column, names)
        )
    known = {row["id"] for row in sections["quarantine"]}
    further = set(personal_data.naming(connection, t.quarantine, t.quarantine.c.raw, names)) - known
    sections["quarantine"] += _rows(connection, t.quarantine, t.quarantine.c.id, sorted(further))
    return {
        "format": FORMAT,
        "exported_at": to_iso(now),
        "person": f"contact:{person}",
        "names": [f"{name.kind}: {name.value}" for name in names],
        "about": dict(ABOUT),
        **{name: [_readable_row(row) for row in sections[name]] for name in PERSONAL},
    }


def _rows(
    connection: sa.Connection, table: sa.Table, key: sa.Column[Any], keys: Sequence[Any]
) -> list[dict[str, Any]]:
    if not keys:
        return []
    statement = sa.select(table).where(any_of(key, keys, connection)).order_by(*table.primary_key.columns)
    return [dict(row) for row in connection.execute(statement).mappings()]


def _readable_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _readable_value(name, value) for name, value in row.items() if name not in _INTERNAL_COLUMNS
    }


def _readable_value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _INSTANT_COLUMNS or name.endswith(("_at", "_since", "_until")):
        return None if not isinstance(value, int) or value >= FOREVER else to_iso(value)
    if name == "verdict" and isinstance(value, str):
        return decode_verdict(value)
    if name in _JSON_COLUMNS and isinstance(value, str):
        document = _parse_document(value)
        return _readable_mail(document) if name == "context" else document
    return value


def _parse_document(text: str) -> Any:
    """Return the parsed JSON of a text; the text itself when it is no JSON (evidence may be plain words)."""
    try:
        return decode(text)
    except ValueError:
        return text


def _readable_mail(context: Any) -> Any:
    """Return a mail's frozen context. Where its bytes are stored, they are shown as text."""
    if not isinstance(context, dict):
        return context
    data = read_kept_bytes(context)
    if data is None:
        return context
    return {**context, "bytes": data.decode("utf-8", "replace")}
