"""Accounts: to which company a contact belongs, in which role, and what colleagues tell it.

Membership follows from events by their stamps, so any order of arrival gives the same account, role and number of
customers. Nothing of a colleague moves a contact's own facts, track or stage.
"""

from typing import Any, Final

from nurture.domain.contact import Contact
from nurture.domain.entities import fold_entities
from nurture.domain.event import BY_COLLEAGUE, Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import index_of
from nurture.domain.instant import Instant
from nurture.domain.memory import NO_VALUE, AccountStanding, ValueStamp
from nurture.domain.playbook import AccountRules, EventMatch, Playbook
from nurture.domain.values import coerce, key_text

#: The event by which members learn how many of them are customers.
ACCOUNT_CHANGED: Final = "Account Changed"
#: The facts that conditions read.
ROLE: Final = "account_role"
CUSTOMERS: Final = "account.customers"
#: The property that a group call names its group by.
GROUP_ID: Final = "group_id"
#: Accounts that a contact's standing is kept of, the newest.
_ACCOUNTS_MAX: Final = 20


def account_of(contact: Contact) -> str | None:
    """Return the key of the account that the contact belongs to: the newest that it joined and has not left."""
    standings = contact.memory.accounts
    left_all = standings[""].left if "" in standings else NO_VALUE
    member = [
        (standing.joined, key)
        for key, standing in standings.items()
        if key and standing.joined > max(standing.left, left_all)
    ]
    return max(member)[1] if member else None


def account_named(event: Event, rules: AccountRules) -> str | None:
    """Return the key of the account that an event names, None for none."""
    for name in (rules.key, GROUP_ID):
        key = key_text(event.properties.get(name))
        if key is not None:
            return key
    return None


def fold_account(contact: Contact, event: Event, playbook: Playbook) -> None:
    """Fold what the event says of the contact's membership: joined, left, role.

    A hint says nothing of it: anybody could join a company and read what its people share.
    """
    rules = playbook.accounts
    if rules is None or event.hint:
        return
    key, stamp = account_named(event, rules), _stamp(event)
    if key is not None and _matches(rules.joined_by, event, playbook):
        standing = contact.memory.accounts.setdefault(key, AccountStanding())
        standing.joined = max(standing.joined, stamp)
        role = _role(event, rules)
        if role is not None and stamp > standing.role_stamp:
            standing.role_stamp, standing.role = stamp, role
    elif _matches(rules.left_by, event, playbook):
        standing = contact.memory.accounts.setdefault(key or "", AccountStanding())
        standing.left = max(standing.left, stamp)
    else:
        return
    settle_account(contact)


def fold_from_colleague(contact: Contact, event: Event, playbook: Playbook) -> None:
    """Fold an event that a colleague told first: shared entities, and the account's number of customers."""
    rules = playbook.accounts
    if rules is None:
        return
    if event.name == ACCOUNT_CHANGED:
        _fold_customers(contact, event, rules)
    elif rules.entities:
        fold_entities(contact, event, playbook, index_of(playbook), only=rules.entities)


def is_from_colleague(event: Event) -> bool:
    """Tell whether the event reached the contact by its account."""
    return event.source == BY_COLLEAGUE


def settle_account(contact: Contact) -> None:
    """Set the facts that follow from the contact's standings, and keep the newest of these."""
    standings = contact.memory.accounts
    while len(standings) > _ACCOUNTS_MAX:
        del standings[min(standings, key=lambda key: (max(standings[key].joined, standings[key].left), key))]
    key = account_of(contact)
    standing = standings[key] if key is not None else AccountStanding()
    _set(contact, ROLE, standing.role or None)
    _set(contact, CUSTOMERS, standing.customers or None)


def combine_accounts(contact: Contact, added: Contact) -> None:
    """Add the standings of another part of the contact's history."""
    for key, theirs in added.memory.accounts.items():
        mine = contact.memory.accounts.setdefault(key, AccountStanding())
        mine.joined, mine.left = max(mine.joined, theirs.joined), max(mine.left, theirs.left)
        if theirs.role_stamp > mine.role_stamp:
            mine.role_stamp, mine.role = theirs.role_stamp, theirs.role
        if theirs.customers_version > mine.customers_version:
            mine.customers_version, mine.customers = theirs.customers_version, theirs.customers
    if contact.memory.accounts:
        settle_account(contact)


def held_since(contact: Contact, hold: str) -> Instant | None:
    """Return since when a hold of the contact's own is open, whatever its longest time; None when it is not."""
    spans = contact.memory.holds.get(hold, {}).values()
    return max((start for start, end in spans if start > end), default=None)


def _fold_customers(contact: Contact, event: Event, rules: AccountRules) -> None:
    key = account_named(event, rules)
    version: int | None = coerce(event.properties.get("version"), "integer")
    customers: int | None = coerce(event.properties.get("customers"), "integer")
    if key is None or version is None or customers is None:
        return
    standing = contact.memory.accounts.setdefault(key, AccountStanding())
    if version > standing.customers_version:
        standing.customers_version, standing.customers = version, customers
    settle_account(contact)


def _matches(matches: tuple[EventMatch, ...], event: Event, playbook: Playbook) -> bool:
    return any(event.name in match.names and holds_for(match, event, playbook) for match in matches)


def _role(event: Event, rules: AccountRules) -> str | None:
    if rules.role is None:
        return None
    value = event.properties.get(rules.role)
    text: str | None = coerce(event.traits.get(rules.role) if value is None else value, "text")
    return text or None


def _stamp(event: Event) -> ValueStamp:
    return (event.occurred_at, event.source, event.message_id)


def _set(contact: Contact, name: str, value: Any) -> None:
    if value is None:
        contact.facts.pop(name, None)
    else:
        contact.facts[name] = value
