"""Facts as people read them: amounts with their currency, local times with their zone, lists as text.

Stored facts are integers and microseconds (`domain.conditions.terms`). All that a person reads goes through here:
`nurture contact show`, the console, mails to our staff, and `nurture export`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from nurture.domain.cells.amounts import show_amount
from nurture.domain.conditions.terms import Term
from nurture.domain.instant import NEVER, Instant, to_datetime
from nurture.domain.playbook import FoldFact, Playbook
from nurture.domain.timing import load_zone

#: Properties of events that are amounts of money.
_AMOUNTS: Final = frozenset({"amount", "price", "revenue", "subtotal", "total", "value"})


def show_local(at: Instant, zone: ZoneInfo) -> str:
    """Return an instant as local time with its distance from UTC: `2026-11-20T10:03:00+01:00`."""
    return to_datetime(at).astimezone(zone).isoformat(timespec="seconds")


def show_facts(
    facts: Mapping[str, Any], playbook: Playbook, *, zone: str | None, now: Instant
) -> dict[str, Any]:
    """Return the facts that the playbook declares, by name, as people read them; unknown ones are left out."""
    local = load_zone(zone or playbook.default_zone)
    terms = playbook.vocabulary.terms
    return {
        name: show_fact(name, value, terms[name], playbook, zone=local, now=now)
        for name, value in sorted(facts.items())
        if name in terms and ":" not in name
    }


def show_fact(
    name: str, value: Any, term: Term, playbook: Playbook, *, zone: ZoneInfo, now: Instant
) -> str | int | None:
    """Return one fact as people read it; None for an unknown one, and for an instant that never was."""
    if value is None and term.absent == "zero":
        value = 0 if term.type != "window" else []
    if value is None:
        return None
    if term.type == "bool":
        return "yes" if value else "no"
    if term.type == "instant":
        return show_local(value, zone) if value > NEVER else None
    if term.type == "decimal":
        return show_amount(Decimal(value).scaleb(-term.scale), currency_of(name, playbook))
    if term.type == "window":
        return len([at for at in value if at > now - term.within])
    if term.type == "set":
        return ", ".join(map(str, value))
    return int(value) if isinstance(value, int) else str(value)


def currency_of(name: str, playbook: Playbook) -> str:
    """Return the currency of an amount's fact, "" for a number that is no amount of one currency."""
    base, dot, code = name.partition(".")
    fact = playbook.facts.get(base)
    if not isinstance(fact, FoldFact):
        return ""
    if fact.money:
        return code if dot else playbook.currencies[0] if len(playbook.currencies) == 1 else ""
    of_brand = playbook.currencies[0] if len(playbook.currencies) == 1 else ""
    return fact.currency or of_brand if fact.property in _AMOUNTS else ""
