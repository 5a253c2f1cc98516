"""Accounts: companies whose people belong together, and what colleagues share."""

from dataclasses import dataclass
from typing import Literal

from nurture.domain.playbook.facts import EventMatch


@dataclass(frozen=True, slots=True)
class AccountRules:
    """How a contact joins an account, and what the account's members have in common."""

    # The property that names the account.
    key: str
    # Events that make the contact a member, the newest of all accounts counts; and events that end the membership.
    joined_by: tuple[EventMatch, ...]
    left_by: tuple[EventMatch, ...] = ()
    # The property or trait that holds the contact's role; None: roles are not read.
    role: str | None = None
    # Kinds of entities, holds and milestones that every member has when one of them has it.
    entities: frozenset[str] = frozenset()
    holds: frozenset[str] = frozenset()
    milestones: frozenset[str] = frozenset()
    # The marketing mail of the lead track that a colleague of a customer gets: none of it, or all.
    leads_of_customers: Literal["service", "all"] = "service"
