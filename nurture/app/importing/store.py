"""Write a batch of rows in one transaction, with the position after it, so that an interrupted import continues."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from nurture.app.importing import queries
from nurture.app.importing.row import Row
from nurture.app.referral_codes import name_referrers
from nurture.app.services import Services
from nurture.consent.from_files import import_consents
from nurture.consent.load_permissions import load_permissions
from nurture.consent.record import Suppression, address_hash, suppress_addresses
from nurture.consent.suppression_queries import load_rows
from nurture.contacts.accept import NewEvent, accept, note_inbox
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.contacts.locking import run_without_lost_race
from nurture.database.audit import record
from nurture.domain.consent.suppressions import DECIDED_BY_PEOPLE
from nurture.domain.event import Identity
from nurture.domain.instant import Instant
from nurture.domain.playbook import Playbook

#: Message ids of events whose time is that of their import: they are told once, whatever is imported again.
UNDATED_ID = "undated-"


@dataclass(slots=True)
class Store:
    """Writes the rows of one import."""

    services: Services
    playbook: Playbook
    fingerprint: str
    now: Instant
    # Addresses whose consent is granted and that are suppressed all the same.
    contradicted: dict[str, str] = field(default_factory=dict)

    def write(self, rows: Sequence[Row]) -> None:
        """Write a batch."""
        contradicted = run_without_lost_race(self.services.database, partial(self._write, rows=rows))
        self.contradicted.update(contradicted)

    def finish(self, counts: dict[str, Any], *, actor: str) -> None:
        """Store that the import is done, and notify the workers of its events."""

        def work(connection: sa.Connection) -> None:
            queries.finish(connection, self.fingerprint)
            note_inbox(connection)
            detail = {"import": self.fingerprint, **counts}
            record(connection, at=self.services.clock.now(), actor=actor, action="import", detail=detail)

        self.services.database.run(work)

    def _write(self, connection: sa.Connection, rows: Sequence[Row]) -> dict[str, str]:
        events = self._new_events(connection, [event for row in rows for event in row.events])
        # The workers are notified when the whole file is in.
        events = name_referrers(self.services.keys, events)
        accept(connection, events, notify=False, bulk=True)
        consents = [consent for row in rows for consent in row.consents]
        if consents:
            import_consents(connection, consents, playbook=self.playbook, now=self.now)
        suppressions = [suppression for row in rows for suppression in row.suppressions]
        self._suppress(connection, suppressions)
        records = sum(len(row.records) for row in rows)
        rejected = sum(len(row.records) for row in rows if row.rejection is not None)
        queries.advance(connection, self.fingerprint, rows=records, rejected=rejected)
        return self._find_contradicted(connection, rows)

    def _new_events(self, connection: sa.Connection, events: list[NewEvent]) -> list[NewEvent]:
        """Return the events without those whose time is that of the import and that an earlier one told."""
        undated = [event.message_id for event in events if event.message_id.startswith(UNDATED_ID)]
        known = queries.load_known_ids(connection, undated) if undated else set()
        return [event for event in events if event.message_id not in known] if known else events

    def _suppress(self, connection: sa.Connection, suppressions: Sequence[Suppression]) -> None:
        """Write suppressions, those that people decide for the owner of the address too."""
        if not suppressions:
            return
        names = sorted({Identity("email", suppression.address or "") for suppression in suppressions})
        owners = load_index_by_identities(connection, names).owners
        attributed = [
            replace(suppression, contact_id=owners.get(Identity("email", suppression.address or "")))
            if suppression.reason in DECIDED_BY_PEOPLE
            else suppression
            for suppression in suppressions
        ]
        key = self.services.settings.suppression_secret
        suppress_addresses(connection, attributed, now=self.now, source="import", suppression_key=key)

    def _find_contradicted(self, connection: sa.Connection, rows: Sequence[Row]) -> dict[str, str]:
        """Return address -> reason of those of the batch that are suppressed and whose owner has granted a topic."""
        addresses = {
            name for row in rows for suppression in row.suppressions if (name := suppression.address)
        }
        addresses |= {
            name.value
            for row in rows
            for consent in row.consents
            if consent.state == "granted"
            for name in consent.identities
            if name.kind == "email"
        }
        key = self.services.settings.suppression_secret
        by_hash = {address_hash(address, key): address for address in addresses}
        stored = load_rows(connection, list(by_hash), ()) if by_hash else []
        reasons = {by_hash[row.address_hash]: row.reason for row in stored}
        names = [Identity("email", address) for address in sorted(reasons)]
        owners = load_index_by_identities(connection, names).owners
        people = {owners[name]: name.value for name in names if name in owners}
        permissions = load_permissions(connection, sorted(people)) if people else {}
        return {
            people[person]: reasons[people[person]]
            for person, held in permissions.items()
            if "granted" in held.consents.values()
        }
