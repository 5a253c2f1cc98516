"""Events that a hint may not tell: what they say must come from a trusted source.

A browser key stands in a page that everybody can read, so anybody can hand in events with it. Most events only add
to what is known of a person. An event that reverses something, closes a case, grants points or confirms something
changes what a person gets; told by a hint, it is set aside as a conflict until people decide.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from nurture.domain.consent.requests import (
    ADDRESS_CHANGED_EVENT,
    ADDRESS_OBJECTED_EVENT,
    ADDRESS_REQUESTED_EVENT,
    REQUEST_EVENT,
)
from nurture.domain.event import SHOPS
from nurture.domain.playbook import EventMatch, Playbook, VerdictFact

#: Events that only our own page, an import and a signed shop may tell: they stand for an act of the person that we saw.
RESERVED: Final = frozenset({"Topic Confirmed"})
#: The senders that may tell them.
RESERVED_FOR: Final = frozenset({"web", "import", *SHOPS})

_WORDS: Final = re.compile(
    r"\b(cancell?ed|refunded|reversed|revoked|charged back|chargeback|returned)$"
    r"|\b(points?|credits?|rewards?|coupons?|vouchers?|bonus)\b.*\b(granted|earned|added|credited|awarded|issued)$"
    r"|\b(topic|subscription|consent|address|e-?mail|identity|opt-?in)\b.*\b(confirmed|verified)$"
    r"|\b(case|ticket|complaint|hold)\b.*\b(closed|resolved|solved|lifted|released)$",
    re.IGNORECASE,
)
_OURS: Final = frozenset(
    {ADDRESS_CHANGED_EVENT, ADDRESS_OBJECTED_EVENT, ADDRESS_REQUESTED_EVENT, REQUEST_EVENT, *RESERVED}
)


def may_hint_tell(name: str, playbook: Playbook) -> bool:
    """Tell whether an event of this name is applied when only a hint tells it."""
    return name not in _of_playbook(playbook) and _WORDS.search(name) is None


@lru_cache(maxsize=8)
def _of_playbook(playbook: Playbook) -> frozenset[str]:
    """Return the events by which this programme reverses or restores an entity, ends a hold or closes a case."""
    conversion, kinds = playbook.conversion, playbook.entities.values()
    verdicts = [fact for fact in playbook.facts.values() if isinstance(fact, VerdictFact)]
    cases = {name for verdict in verdicts for name in verdict.open_no}
    closing = {name for kind in kinds if kind.name in cases for name in kind.closed_by}
    ending = _names(match for hold in playbook.holds.values() for match in hold.ends)
    reversing = _names(conversion.reversed_by)
    reversing |= _names(reversal.match for kind in kinds for reversal in kind.reversed_by)
    reversing |= _names(match for kind in kinds for match in kind.restored_by)
    counting = [playbook.entities[match.kind] for match in conversion.over]
    converting = _names(conversion.by)
    converting |= _names(match for kind in counting for match in kind.counts_from or kind.of)
    return frozenset(((closing | ending) - converting) | reversing | _OURS)


def _names(matches: Iterable[EventMatch]) -> set[str]:
    return {name for match in matches for name in match.names}
