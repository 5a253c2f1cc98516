"""The input of the guard for a whole chunk of due messages, loaded at once.

The contacts are locked already. The rows are read in statements after the lock, so they are the newest state. The
number of statements does not depend on how many messages or contacts there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from nurture.consent.load_permissions import load_permissions
from nurture.consent.load_suppressions import PersonSuppressions, load_person_suppressions
from nurture.consent.record import address_hash
from nurture.consent.request_queries import load_requests
from nurture.consent.suppression_queries import load_rows
from nurture.contacts.account_queries import Colleagues, load_colleagues
from nurture.contacts.queries import load_contacts, run_of
from nurture.delivery import claim_queries
from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.load_objects import MailObjects, load_mail_objects
from nurture.delivery.send_limit_queries import load_send_limits
from nurture.domain.conditions import Reading
from nurture.domain.consent.permissions import ConsentState
from nurture.domain.consent.preferences import Preferences
from nurture.domain.contact import Contact, Run
from nurture.domain.facts import reading, run_names, view
from nurture.domain.guard.caps import SINCE_HAND_OVER, LedgerEntry
from nurture.domain.guard.decide import compute_let_instants, zone_or_default
from nurture.domain.guard.input import DueMessage, GuardInput
from nurture.domain.instant import Instant
from nurture.domain.journey.position import ActiveHold, active_holds, shared_holds
from nurture.domain.measure import MailStep, Measure
from nurture.domain.pace.domain_rests import rests_now
from nurture.domain.segments import table_values
from nurture.domain.values import coerced
from nurture.feedback.reply_queries import load_reply_holds


@dataclass(slots=True)
class ContactFamily:
    """A living contact, with the permissions and messages of every contact that was merged into it."""

    contact: Contact
    # Ids of the contact and of all merged into it.
    member_ids: tuple[int, ...]
    address: str | None
    erased: bool
    version: int
    # True: the address is another contact's, and this person has not confirmed anything there.
    is_shared: bool = False
    consents: Mapping[str, ConsentState] = field(default_factory=dict)
    consents_at: Mapping[str, Instant] = field(default_factory=dict)
    preferences: Preferences = field(default_factory=Preferences)
    suppressions: PersonSuppressions = field(default_factory=PersonSuppressions)
    holds: Sequence[ActiveHold] = ()
    # The other members of the contact's account; None: it belongs to none.
    colleagues: Colleagues | None = None
    pending_since: Instant | None = None
    # The ledger by message id; it changes while the chunk's messages are judged one after the other.
    ledger: dict[int, LedgerEntry] = field(default_factory=dict)


@dataclass(slots=True)
class GuardItem:
    """One due message with its contact family and its run."""

    row: Any
    due: DueMessage
    family: ContactFamily
    measure: Measure | None
    run: Run | None
    # The run's `let` values, but for coupons, that this mail fixes if it passes now.
    new_lets: dict[str, Any] = field(default_factory=dict)
    # The recipient and what is suppressed there: the contact's own address, or the one that a request names.
    address: str | None = None
    suppressions: Mapping[str, str] = field(default_factory=dict)
    # The values of the mail's object names: one object's values, or a list of them.
    objects: dict[str, Any] = field(default_factory=dict)
    # (kind, key) of the objects that its fresh lists show.
    shown: list[tuple[str, str]] = field(default_factory=list)
    # Published value -> the version by which it ordered one of the lists.
    rankings: dict[str, int] = field(default_factory=dict)

    @property
    def has_waiting_run(self) -> bool:
        """True while the run waits for the end of this message."""
        return self.run is not None and self.run.status == "active" and self.run.mailing


def load(
    connection: sa.Connection, living_ids: Sequence[int], message_ids: Sequence[int], scope: ChunkScope
) -> list[GuardItem]:
    """Return the messages that are still due, of these locked living contacts.

    living_ids: locked contacts; a contact that has been merged meanwhile is left out, with its messages.
    """
    families = load_families(connection, living_ids, scope)
    family_of = {member: family for family in families.values() for member in family.member_ids}
    rows = [
        row
        for row in claim_queries.load_due_messages(connection, message_ids, now=scope.now)
        if row.contact_id in family_of
    ]
    scope.sends.update(load_send_limits(connection, sorted({row.request for row in rows if row.request})))
    load_ledger(connection, family_of, scope)
    runs = load_runs(connection, rows)
    items = [build_item(row, family_of[row.contact_id], runs, scope) for row in rows]
    _set_requested_addresses(connection, items, scope)
    load_objects(connection, items, scope)
    return items


def build_guard_input(item: GuardItem, scope: ChunkScope) -> GuardInput:
    """Return the guard's input for one message, with the ledger as it is at this moment of the chunk."""
    family = item.family
    return GuardInput(
        message=item.due,
        contact=family.contact,
        address=item.address,
        erased=family.erased,
        is_shared_address=family.is_shared,
        run=item.run,
        suppressions=item.suppressions,
        switches=scope.switches,
        pending_since=family.pending_since,
        consents=family.consents,
        consents_at=family.consents_at,
        preferences=family.preferences,
        holds=family.holds,
        customers_beside=family.colleagues.customers if family.colleagues is not None else 0,
        other_messages=[entry for number, entry in family.ledger.items() if number != item.due.id],
        reading=_build_reading(item, scope),
        objects=item.objects,
        only_to=scope.only_to,
        send=scope.sends.get(item.due.request) if item.due.request else None,
        domain_rest=rests_now(scope.domain_rests, item.address, scope.now),
    )


# ---- contact families ------------------------------------------------------------------------------------


def load_families(
    connection: sa.Connection, living_ids: Sequence[int], scope: ChunkScope
) -> dict[int, ContactFamily]:
    """Return living contact -> its family."""
    rows = claim_queries.load_contacts_with_merged(connection, living_ids)
    living = {row.id: row for row in rows if row.survivor is None}
    members = _group_members(rows, living)
    contacts = load_contacts(connection, list(living), scope.playbook)
    permissions = load_permissions(connection, list(living))
    pending = claim_queries.load_pending_since(
        connection, [member for ids in members.values() for member in ids]
    )
    suppressions = load_person_suppressions(
        connection,
        {living_id: (row.email, members[living_id]) for living_id, row in living.items()},
        scope.suppression_key,
    )
    replies = load_reply_holds(
        connection, [member for ids in members.values() for member in ids], now=scope.now
    )
    colleagues = load_colleagues(connection, list(living)) if scope.playbook.accounts is not None else {}
    families: dict[int, ContactFamily] = {}
    for living_id, contact in contacts.items():
        row = living[living_id]
        member_ids = members[living_id]
        others = colleagues.get(living_id)
        families[living_id] = ContactFamily(
            contact=contact,
            member_ids=member_ids,
            address=row.email,
            erased=row.erased_at is not None,
            version=row.version,
            is_shared=bool(row.is_shared),
            consents=permissions[living_id].consents,
            consents_at=permissions[living_id].consents_at,
            preferences=permissions[living_id].preferences,
            suppressions=suppressions[living_id],
            colleagues=others,
            holds=[
                *active_holds(contact, now=scope.now, playbook=scope.playbook),
                *shared_holds(others.holds if others else {}, now=scope.now, playbook=scope.playbook),
                *(replies[member] for member in member_ids if member in replies),
            ],
            pending_since=min((pending[member] for member in member_ids if member in pending), default=None),
        )
    return families


def _group_members(rows: Iterable[Any], living: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Return living contact -> ids of it and of all merged into it, sorted."""
    members: dict[int, list[int]] = {living_id: [living_id] for living_id in living}
    for row in rows:
        if row.survivor in members:
            members[row.survivor].append(row.id)
    return {living_id: tuple(sorted(ids)) for living_id, ids in members.items()}


def load_ledger(connection: sa.Connection, family_of: Mapping[int, ContactFamily], scope: ChunkScope) -> None:
    """Load, into each family, the messages that caps and order look at."""
    own_gaps = (family.preferences.min_gap for family in family_of.values())
    longest = max(*(max(cap.within, cap.gap) for cap in scope.playbook.caps), *own_gaps, SINCE_HAND_OVER)
    for row in claim_queries.load_ledger(connection, list(family_of), since=scope.now - longest):
        # A ready message has not left yet; it counts as if it left now.
        counted_at = scope.now if row.status == "ready" else row.sent_at or scope.now
        family_of[row.contact_id].ledger[row.id] = LedgerEntry(
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
            began_as=row.began_as or "",
            asked_for=bool(row.asked_for),
            has_code=bool(row.has_code),
        )


# ---- messages and their runs -----------------------------------------------------------------------------


def load_runs(connection: sa.Connection, rows: Sequence[Any]) -> dict[tuple[int, str, str], Run]:
    """Return (contact, measure, key) -> run, active or ended; a message has its run's contact."""
    keys = sorted({(row.contact_id, row.measure, row.run_key) for row in rows})
    return {
        (row.contact_id, row.measure, row.key): run_of(row)
        for row in claim_queries.load_runs(connection, keys)
    }


def build_item(
    row: Any, family: ContactFamily, runs: Mapping[tuple[int, str, str], Run], scope: ChunkScope
) -> GuardItem:
    """Return the guard's item for a waiting message of the family, as of the scope's instant."""
    measure = scope.playbook.measures.get(row.measure)
    run = runs.get((row.contact_id, row.measure, row.run_key))
    new_lets: dict[str, Any] = {}
    if run is not None and measure is not None and measure.let:
        zone = zone_or_default(family.contact.zone, scope.playbook)
        new_lets |= compute_let_instants(
            measure,
            run.let,
            now=scope.now,
            zone=zone,
            owners=scope.playbook.owners,
            names=partial(view, family.contact, scope.playbook, run, now=scope.now),
        )
        facts = partial(_reading_of_run, family.contact, run, scope)
        new_lets |= table_values(measure, run.let, facts, scope.playbook)
    return GuardItem(
        row=row,
        due=build_due_message(row),
        family=family,
        measure=measure,
        run=run,
        new_lets=new_lets,
        address=family.address,
        suppressions=family.suppressions.at(family.address, scope.suppression_key),
    )


def _reading_of_run(contact: Contact, run: Run, scope: ChunkScope) -> Reading:
    names = run_names(contact, run, scope.playbook)
    return reading(contact, scope.playbook, now=scope.now, extra=names)


def build_due_message(row: Any) -> DueMessage:
    """Return a row of the ledger as the guard reads it."""
    return DueMessage(
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
        began_as=row.began_as or "",
        asked_for=bool(row.asked_for),
        has_code=bool(row.has_code),
        attempt=row.attempt,
        reason=row.reason,
        request=row.request,
    )


# ---- recipients that a request names ---------------------------------------------------------------------


def _set_requested_addresses(
    connection: sa.Connection, items: Iterable[GuardItem], scope: ChunkScope
) -> None:
    """Set the recipient of the few mails that go to an address that the contact's request names.

    The request must be the contact's own; a mail without an open request goes nowhere.
    """
    redirected = [
        (item, item.run.origin.properties.get("request"))
        for item in items
        if item.measure is not None and item.measure.to != "person" and item.run is not None
    ]
    if not redirected:
        return
    numbers = sorted({number for _, number in redirected if isinstance(number, int)})
    requests = load_requests(connection, numbers)
    for item, number in redirected:
        request = requests.get(number) if isinstance(number, int) else None
        item.address = _requested_address(item, request, scope.now)
    hashes = {address_hash(item.address, scope.suppression_key) for item, _ in redirected if item.address}
    named = load_rows(connection, hashes, ())
    for item, _ in redirected:
        item.suppressions = item.family.suppressions.at(item.address, scope.suppression_key, also=named)


def _requested_address(item: GuardItem, request: Any, now: Instant) -> str | None:
    """Return the recipient by the mail's request, None when there is no open request of this contact."""
    if request is None or request.contact_id not in item.family.member_ids or request.replaced_at:
        return None
    if item.measure is not None and item.measure.to == "old_address":
        is_told = request.done_at is not None or request.valid_until > now
        return request.old_address if is_told and request.old_address != request.address else None
    if request.act == "address":
        return request.address if request.valid_until > now else None
    # A request without an address of its own (export, erase) is answered at the contact's address.
    return item.address


# ---- objects ---------------------------------------------------------------------------------------------


def load_objects(connection: sa.Connection, items: Iterable[GuardItem], scope: ChunkScope) -> None:
    """Load, for all items at once, the objects that their mails name."""
    mails: list[tuple[GuardItem, MailObjects]] = []
    for item in items:
        if item.measure is not None and item.run is not None and item.measure.objects:
            family = item.family
            mail = MailObjects(
                item.measure, family.contact, item.run, family.member_ids, began_as=item.due.began_as
            )
            mails.append((item, mail))
    load_mail_objects(connection, [mail for _, mail in mails], scope.playbook, now=scope.now)
    for item, mail in mails:
        item.objects, item.shown, item.rankings = mail.values, mail.shown, mail.rankings


def _build_reading(item: GuardItem, scope: ChunkScope) -> Reading | None:
    """Return the values that the step's conditions read, None when the step has no condition."""
    step = item.measure.step(item.due.step) if item.measure else None
    if item.run is None or not isinstance(step, MailStep) or (step.when is None and step.send_if is None):
        return None
    contact, playbook = item.family.contact, scope.playbook
    run = replace(item.run, let={**item.run.let, **item.new_lets})
    extra = run_names(contact, run, playbook)
    for name, values in item.objects.items():
        if isinstance(values, Mapping):
            typed = coerced(values, playbook.properties.terms)
            extra.update({f"{name}.{key}": value for key, value in typed.items()})
        else:
            extra[f"{name}.count"] = len(values)
    return reading(contact, playbook, now=scope.now, extra=extra)
