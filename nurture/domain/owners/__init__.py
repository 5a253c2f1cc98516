"""Owners: the people of the house who sign mail, have cases in hand and promise times in their own hours."""

from nurture.domain.owners.find import find_owner, key_of, owner_of_run
from nurture.domain.owners.model import BusinessCalendar, Owner

__all__ = ["BusinessCalendar", "Owner", "find_owner", "key_of", "owner_of_run"]
