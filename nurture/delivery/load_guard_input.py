"""From due messages to cases: everything the guard looks at, loaded for a whole chunk at once.

The contacts are locked already. What is loaded here is read in later statements than the lock, so it is the
newest state; the number of statements does not depend on how many messages or contacts there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from nurture.consent.load_permissions import load_permissions
from nurture.consent.record import address_hash
from nurture.consent.request_queries import load_requests
from nurture.consent.suppression_queries import load_suppressions
from nurture.contacts.queries import load_contacts, run_of
from nurture.database.engine import decode
from nurture.delivery import claim_queries
from nurture.domain.conditions import Reading
from nurture.domain.consent.permissions import ConsentState
from nurture.domain.consent.preferences import Preferences
from nurture.domain.contact import Contact, Run
from nurture.domain.facts import entity_fields, reading, run_names
from nurture.domain.guard.caps import LedgerEntry
from nurture.domain.guard.decide import compute_let_instants, zone_or_default
from nurture.domain.guard.input import DueMessage, GuardInput
from nurture.domain.instant import Instant
from nurture.domain.journey.position import ActiveHold, active_holds
from nurture.domain.measure import MailStep, Measure, ObjectBinding
from nurture.domain.playbook import Playbook
from nurture.domain.values import coerced


@dataclass(slots=True)
class ContactFamily:
    """A living contact with everything known of all they were merged from."""

    contact: Contact
    # Ids of the contact and of all merged into it.
    family: tuple[int, ...]
    address: str | None
    erased: bool
    version: int
    consents: Mapping[str, ConsentState] = field(default_factory=dict)
    preferences: Preferences = field(default_factory=Preferences)
    suppressions: Mapping[str, str] = field(default_factory=dict)
    holds: Sequence[ActiveHold] = ()
    pending_since: Instant | None = None
    # The ledger by message id; changes as the chunk's messages are judged one after the other.
    entries: dict[int, LedgerEntry] = field(default_factory=dict)


@dataclass(slots=True)
class GuardItem:
    """One due message with its person and its run."""

    row: Any
    due: DueMessage
    person: ContactFamily
    measure: Measure | None
    run: Run | None
    # The instants that this mail would fix if it passed now.
    promise: dict[str, Instant] = field(default_factory=dict)
    # Where it goes, and what is suppressed there; the person's own unless a request of theirs names another.
    address: str | None = None
    suppressions: Mapping[str, str] = field(default_factory=dict)
    # What the mail's object names stand for: one object's values, or a list of them.
    objects: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChunkScope:
    """What is the same for every case of a chunk."""

    playbook: Playbook
    now: Instant
    switches: Mapping[str, str]
    only_to: frozenset[str]
    suppression_key: bytes


def load(
    connection: sa.Connection, heads: Sequence[int], message_ids: Sequence[int], given: ChunkScope
) -> list[GuardItem]:
    """Return the messages that are still due, of these locked living contacts.

    heads: locked contacts; one that turns out to be merged is left out with its messages.
    """
    people = _people(connection, heads, given)
    family = [member for person in people.values() for member in person.family]
    owners = {member: person for person in people.values() for member in person.family}
    rows = [
        row
        for row in claim_queries.still_due(connection, message_ids, now=given.now)
        if row.contact_id in owners
    ]
    _put_entries(connection, owners, family, given)
    runs = _runs(connection, rows)
    items = [_item(row, owners[row.contact_id], runs, given) for row in rows]
    _put_addresses(connection, items, given)
    _put_objects(connection, items, given)
    return items


def build_guard_input(item: GuardItem, given: ChunkScope) -> GuardInput:
    """Return the case of one message, with the ledger as it stands at this moment of the chunk."""
    person = item.person
    return GuardInput(
        message=item.due,
        contact=person.contact,
        address=item.address,
        erased=person.erased,
        run=item.run,
        suppressions=item.suppressions,
        switches=given.switches,
        pending_since=person.pending_since,
        consents=person.consents,
        preferences=person.preferences,
        holds=person.holds,
        other_messages=[entry for number, entry in person.entries.items() if number != item.due.id],
        reading=_reading(item, given),
        only_to=given.only_to,
    )


# ---- people ----------------------------------------------------------------------------------------------


def _people(connection: sa.Connection, heads: Sequence[int], given: ChunkScope) -> dict[int, ContactFamily]:
    rows = claim_queries.people(connection, heads)
    living = {row.id: row for row in rows if row.survivor is None}
    families: dict[int, list[int]] = {head: [head] for head in living}
    for row in rows:
        if row.survivor in families:
            families[row.survivor].append(row.id)
    contacts = load_contacts(connection, list(living), given.playbook)
    family = [member for members in families.values() for member in members]
    permissions = load_permissions(connection, list(living))
    pending = claim_queries.pending_since(connection, family)
    hashes = {
        head: address_hash(row.email, given.suppression_key) for head, row in living.items() if row.email
    }
    suppressed = load_suppressions(connection, sorted(set(hashes.values())))
    people: dict[int, ContactFamily] = {}
    for head, row in living.items():
        if head not in contacts:
            continue
        members = tuple(sorted(families[head]))
        waiting = [pending[member] for member in members if member in pending]
        people[head] = ContactFamily(
            contact=contacts[head],
            family=members,
            address=row.email,
            erased=row.erased_at is not None,
            version=row.version,
            consents=permissions[head].consents,
            preferences=permissions[head].preferences,
            suppressions=suppressed.get(hashes.get(head, ""), {}),
            holds=active_holds(contacts[head], now=given.now, playbook=given.playbook),
            pending_since=min(waiting, default=None),
        )
    return people


def _put_entries(
    connection: sa.Connection, owners: Mapping[int, ContactFamily], family: Sequence[int], given: ChunkScope
) -> None:
    own = (person.preferences.min_gap for person in owners.values())
    longest = max((*(max(cap.within, cap.gap) for cap in given.playbook.caps), *own), default=0)
    for row in claim_queries.ledger(connection, family, since=given.now - longest):
        # What is ready has not left; it counts as leaving now.
        counted_at = given.now if row.status == "ready" else row.sent_at or given.now
        owners[row.contact_id].entries[row.id] = LedgerEntry(
            id=row.id,
            measure=row.measure,
            run_key=row.run_key,
            step=row.step,
            purpose=row.purpose,
            lane=row.lane,
            priority=row.priority,
            status=row.status,
            due_at=row.due_at,
            counted_at=counted_at,
            holdout=bool(row.holdout),
        )


# ---- messages and their runs -----------------------------------------------------------------------------


def _runs(connection: sa.Connection, rows: Sequence[Any]) -> dict[tuple[int, str, str], Run]:
    """Return (contact, measure, key) -> run, active or ended; a message has its run's contact."""
    keys = sorted({(row.contact_id, row.measure, row.run_key) for row in rows})
    return {
        (row.contact_id, row.measure, row.key): run_of(row) for row in claim_queries.runs_of(connection, keys)
    }


def _item(
    row: Any, person: ContactFamily, runs: Mapping[tuple[int, str, str], Run], given: ChunkScope
) -> GuardItem:
    measure = given.playbook.measures.get(row.measure)
    run = runs.get((row.contact_id, row.measure, row.run_key))
    promise: dict[str, Instant] = {}
    if run is not None and measure is not None and measure.let:
        zone = zone_or_default(person.contact.zone, given.playbook)
        promise = compute_let_instants(measure, run.let, now=given.now, zone=zone)
    due = DueMessage(
        id=row.id,
        contact_id=row.contact_id,
        measure=row.measure,
        run_key=row.run_key,
        step=row.step,
        mail=row.mail,
        track=row.track,
        purpose=row.purpose,
        topic=row.topic,
        lane=row.lane,
        priority=row.priority,
        due_at=row.due_at,
        valid_until=row.valid_until,
        holdout=bool(row.holdout),
        attempt=row.attempt,
        reason=row.reason,
    )
    return GuardItem(
        row=row,
        due=due,
        person=person,
        measure=measure,
        run=run,
        promise=promise,
        address=person.address,
        suppressions=person.suppressions,
    )


def _put_addresses(connection: sa.Connection, items: Iterable[GuardItem], given: ChunkScope) -> None:
    """Give the few mails that go to another address than the person's the one that their request names.

    The request must be the person's own; without an open one the mail goes nowhere. An act without an address
    of its own (export, erase) goes to the person.
    """
    aside = [
        (item, item.run.data.get("properties", {}).get("request"))
        for item in items
        if item.measure is not None and item.measure.to != "person" and item.run is not None
    ]
    if not aside:
        return
    asked = load_requests(connection, sorted({number for _, number in aside if isinstance(number, int)}))
    for item, number in aside:
        request = asked.get(number) if isinstance(number, int) else None
        if request is None or request.contact_id not in item.person.family or request.replaced_at:
            item.address = None
        elif item.measure is not None and item.measure.to == "old_address":
            item.address = request.old_address
        elif request.act == "address":
            item.address = request.address if request.valid_until > given.now else None
    hashes = {
        item.address: address_hash(item.address, given.suppression_key) for item, _ in aside if item.address
    }
    suppressed = load_suppressions(connection, sorted(set(hashes.values())))
    for item, _ in aside:
        item.suppressions = suppressed.get(hashes.get(item.address or "", ""), {})


# ---- objects ---------------------------------------------------------------------------------------------


def _put_objects(connection: sa.Connection, items: Iterable[GuardItem], given: ChunkScope) -> None:
    """Read, for all items in one statement, the objects that their mails name."""
    wanted: list[tuple[GuardItem, str, str, list[str], bool]] = []
    for item in items:
        if item.measure is None or item.run is None:
            continue
        for name, binding in item.measure.objects.items():
            keys, is_list = object_keys(binding, item.person.contact, item.run, given.playbook)
            wanted.append((item, name, binding.kind, keys, is_list))
    pairs = sorted({(kind, key) for _, _, kind, keys, _ in wanted for key in keys})
    found = {
        pair: decode(text)["values"] for pair, text in claim_queries.objects_of(connection, pairs).items()
    }
    for item, name, kind, keys, is_list in wanted:
        values = [found[kind, key] for key in keys if (kind, key) in found]
        if is_list:
            item.objects[name] = values
        elif values:
            item.objects[name] = values[0]


def object_keys(
    binding: ObjectBinding, contact: Contact, run: Run, playbook: Playbook
) -> tuple[list[str], bool]:
    """Return the keys of the objects a name is bound to, and whether it is bound to a list of them."""
    kind = playbook.objects.get(binding.kind)
    root, _, entity_field = binding.key.partition(".")
    if root == "entity":
        value = entity_fields(contact, run, playbook).get(entity_field)
    elif root == "contact":
        value = contact.facts.get(entity_field)
    else:
        value = run.data.get("properties", {}).get(binding.key)
    if not isinstance(value, list):
        return _texts([value]), False
    # A list of lines names each object by the kind's own key.
    key = kind.key if kind else ""
    return _texts([each.get(key) if isinstance(each, dict) else each for each in value]), True


def _texts(values: Iterable[Any]) -> list[str]:
    found = (
        str(value)[:200] for value in values if isinstance(value, str | int) and not isinstance(value, bool)
    )
    return [text for text in dict.fromkeys(found) if text]


def _reading(item: GuardItem, given: ChunkScope) -> Reading | None:
    """Return what the step's conditions read, None when there is nothing to judge."""
    step = item.measure.step(item.due.step) if item.measure else None
    if item.run is None or not isinstance(step, MailStep) or (step.when is None and step.send_if is None):
        return None
    contact, playbook = item.person.contact, given.playbook
    promised = replace(item.run, let={**item.run.let, **item.promise})
    extra = run_names(contact, promised, playbook)
    for name, values in item.objects.items():
        if isinstance(values, Mapping):
            typed = coerced(values, playbook.properties.terms)
            extra.update({f"{name}.{key}": value for key, value in typed.items()})
    return reading(contact, playbook, now=given.now, extra=extra)
