"""Record what people, operators and receiving servers decide: consent, preferences, suppression, stop switches.

Every function writes in the caller's transaction, which must commit before anybody gets an answer. It raises the
version of the contacts concerned, so that the send gate sends mail that the guard passed before back to the
guard. The caller adds the event for the timeline. Every function may be repeated.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent import queries as consent_queries
from nurture.consent import suppression_queries, switch_queries
from nurture.consent.preference_queries import add_preferences
from nurture.database.engine import encode
from nurture.database.notifications import ALL, DELIVER, note
from nurture.domain.consent.permissions import EVERYTHING, ConsentState
from nurture.domain.consent.preferences import PreferenceKind
from nurture.domain.consent.suppressions import SuppressionReason, SuppressionScope
from nurture.domain.errors import NotFoundError
from nurture.domain.feedback import CONFIRMABLE
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH
from nurture.domain.instant import Instant
from nurture.runtime.log import without_addresses

#: How many messages a resumed switch makes due at once; the others are checked again within half an hour.
_RELEASED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Suppression:
    """A suppression to write.

    A bounce is of an address only. A person's own decision is of the address and of the contact whose mail it was.
    """

    # Canonical; None: of the contact only.
    address: str | None
    scope: SuppressionScope
    reason: SuppressionReason
    contact_id: int | None = None
    # When it was recorded elsewhere; None: now.
    at: Instant | None = None


def address_hash(address: str, key: bytes) -> str:
    """Return the hash under which an address is suppressed: HMAC-SHA256 under SUPPRESSION_KEY, hex.

    address: canonical (`domain.identity`). The hash survives erasure; the address cannot be read from it.
    """
    return hmac.digest(key, address.encode(), hashlib.sha256).hex()


def grant_consent(
    connection: sa.Connection,
    *,
    contact_id: int,
    topic: str,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
    suppression_key: bytes | None = None,
    wording: str = "",
) -> int:
    """Record that the person agreed to the topic, and return the living contact's id.

    wording: version of the words they were shown (`store_wording`); "" when the words were not ours.
    suppression_key: given when the person agreed by their own act (a confirmation, the preference centre). Then
    an earlier unsubscribe from everything, a sunset and an erasure are lifted, never a complaint, a bounce or an
    operator's word. Without it (imports) nothing is lifted.
    now: when they agreed. Raises NotFoundError.
    """
    contact = _add_consent(
        connection,
        contact_id,
        topic,
        "granted",
        now=now,
        source=source,
        evidence=evidence,
        wording=wording,
    )
    if suppression_key is not None:
        _lift_confirmed(connection, contact, before=now, key=suppression_key)
    return contact


def mark_consent_pending(
    connection: sa.Connection,
    *,
    contact_id: int,
    topic: str,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
) -> int:
    """Record that the topic waits for its confirmation link, and return the living contact's id.

    Raises NotFoundError.
    """
    return _add_consent(connection, contact_id, topic, "pending", now=now, source=source, evidence=evidence)


def unsubscribe(
    connection: sa.Connection,
    *,
    contact_id: int,
    topic: str | None,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
    suppression_key: bytes,
    wording: str = "",
    mailed: int | None = None,
) -> int:
    """Withdraw one topic, or (None) everything, which also suppresses address and person for marketing.

    mailed: the contact whose mail it was, when `contact_id` is whom it was merged into. Returns the living
    contact's id. Raises NotFoundError.
    """
    contact = _add_consent(
        connection,
        contact_id,
        topic or EVERYTHING,
        "withdrawn",
        now=now,
        source=source,
        evidence=evidence,
        wording=wording,
    )
    if topic is None:
        address = consent_queries.load_sending_address(connection, contact)
        suppression = Suppression(address, "marketing", "unsubscribed", mailed or contact_id)
        suppress_addresses(connection, [suppression], now=now, source=source, suppression_key=suppression_key)
    return contact


def set_preferences(
    connection: sa.Connection,
    *,
    contact_id: int,
    values: Mapping[PreferenceKind, int],
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
) -> int:
    """Record the person's preferences for all marketing mail, and return the living contact's id.

    values: kind -> value; 0 takes the preference back. Mail that an earlier preference deferred is due again at
    once. Raises NotFoundError.
    """
    contact = _lock(connection, contact_id)
    rows = [
        {
            "contact_id": contact,
            "kind": kind,
            "value": value,
            "at": now,
            "source": source,
            "evidence": encode(dict(evidence)),
        }
        for kind, value in values.items()
    ]
    add_preferences(connection, rows)
    switch_queries.release_deferred_messages(connection, contact, reasons=("own_pause", "own_cap"), now=now)
    return contact


def suppress_address(
    connection: sa.Connection,
    *,
    address: str,
    scope: SuppressionScope,
    reason: SuppressionReason,
    now: Instant,
    source: str,
    suppression_key: bytes,
    contact_id: int | None = None,
) -> list[int]:
    """Suppress the address for every mail (`all`) or for marketing; return the contacts with that address.

    address: canonical. The suppression stays when the contact is erased or comes back by an import. contact_id: the
    person who decided it; then it follows them to other addresses.
    """
    suppression = Suppression(address, scope, reason, contact_id)
    return suppress_addresses(
        connection, [suppression], now=now, source=source, suppression_key=suppression_key
    )


def suppress_addresses(
    connection: sa.Connection,
    new: Sequence[Suppression],
    *,
    now: Instant,
    source: str,
    suppression_key: bytes,
) -> list[int]:
    """Write many suppressions in a constant number of statements; return the contacts concerned."""
    if not new:
        return []
    ids = consent_queries.lock_contacts_concerned(
        connection,
        sorted({suppression.address for suppression in new if suppression.address}),
        sorted({suppression.contact_id for suppression in new if suppression.contact_id}),
    )
    _add_suppressions(connection, new, now=now, source=source, key=suppression_key)
    return ids


def set_switch(
    connection: sa.Connection, name: str, *, paused: bool, reason: str, actor: str, now: Instant
) -> int:
    """Pause or resume a measure (its path), a lane, `all` or `restored`; return how many messages became due.

    A paused switch stops every mail that has not passed the send gate. Resuming `all` does not resume `restored`.
    """
    # Every operator sees the reason of a switch, and a server's reply may contain the recipient's address.
    shown = without_addresses(reason)
    row = {"name": name, "paused": paused, "reason": shown, "actor": actor, "at": now}
    switch_queries.save_switch(connection, row)
    if paused:
        switch_queries.open_pause(connection, name, mode="all", reason=shown, actor=actor, now=now)
        return 0
    switch_queries.end_pauses(connection, name, modes=("all",), now=now)
    note(connection, DELIVER, ALL)
    measure = name if "/" in name else None
    return switch_queries.release_paused_messages(connection, measure, now=now, limit=_RELEASED_MAX)


def stop_after_restore(connection: sa.Connection, *, reason: str, actor: str, now: Instant) -> None:
    """Stop every lane because a journal knows of mail that the database does not: the database was restored."""
    set_switch(connection, RESTORED_SWITCH, paused=True, reason=reason, actor=actor, now=now)


def resume_after_restore(connection: sa.Connection, *, actor: str, now: Instant) -> None:
    """Resume every lane after a restore, and the switch `all`."""
    for name in (RESTORED_SWITCH, ALL_SWITCH):
        set_switch(connection, name, paused=False, reason="", actor=actor, now=now)


def cancel_measure(
    connection: sa.Connection, measure: str, *, now: Instant, limit: int = 500
) -> switch_queries.CancelCounts:
    """Cancel the measure's active runs and unsent messages of at most `limit` contacts.

    Repeat in transactions of their own until `contacts` is 0. Pause the measure first, so that no new run starts
    meanwhile.
    """
    return switch_queries.cancel_measure_batch(
        connection, measure, reason="cancelled_by_ops", now=now, limit=limit
    )


def _add_consent(
    connection: sa.Connection,
    contact_id: int,
    topic: str,
    state: ConsentState,
    *,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
    wording: str = "",
) -> int:
    contact = _lock(connection, contact_id)
    row = {
        "contact_id": contact,
        "topic": topic,
        "state": state,
        "at": now,
        "source": source,
        "evidence": encode(dict(evidence)),
        "wording": wording,
    }
    consent_queries.add_consents(connection, [row])
    return contact


def _lock(connection: sa.Connection, contact_id: int) -> int:
    """Lock the contact and return the living contact's id. Raises NotFoundError."""
    contact = consent_queries.lock_living_contact(connection, contact_id)
    if contact is None:
        raise NotFoundError(f"there is no contact {contact_id}")
    return contact


def _add_suppressions(
    connection: sa.Connection, new: Sequence[Suppression], *, now: Instant, source: str, key: bytes
) -> None:
    rows: dict[tuple[str, int, str, str], dict[str, Any]] = {}
    for suppression in new:
        hashed = address_hash(suppression.address, key) if suppression.address else ""
        contact = suppression.contact_id or 0
        attributed = bool(contact)
        subjects = [(hashed, 0, attributed)] if hashed else []
        subjects += [("", contact, False)] if contact else []
        for subject_hash, subject_contact, is_attributed in subjects:
            key_of_row = (subject_hash, subject_contact, suppression.scope, suppression.reason)
            row = {
                "address_hash": subject_hash,
                "contact_id": subject_contact,
                "scope": suppression.scope,
                "reason": suppression.reason,
                "at": now if suppression.at is None else suppression.at,
                "source": source,
                "attributed": is_attributed,
            }
            # Of two rows at one address, the one without a contact stays: it follows the owner of the address.
            if not rows.setdefault(key_of_row, row)["attributed"]:
                continue
            rows[key_of_row] = row
    suppression_queries.add_suppressions(connection, [rows[name] for name in sorted(rows)])


def _lift_confirmed(connection: sa.Connection, contact: int, *, before: Instant, key: bytes) -> None:
    """Lift the suppressions that a person's confirmation ends: for the whole family, at all its addresses."""
    address = consent_queries.load_sending_address(connection, contact)
    addresses = suppression_queries.load_owned_addresses(connection, [contact]).get(contact, [])
    suppression_queries.lift_suppressions(
        connection,
        [address_hash(text, key) for text in (address, *addresses) if text],
        consent_queries.load_family_ids(connection, contact),
        reasons=CONFIRMABLE,
        scopes=("marketing",),
        before=before,
    )
