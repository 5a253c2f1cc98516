"""Events that a hint may not tell: what they say must come from a trusted source.

A browser key stands in a page that everybody can read, so anybody can hand in events with it. Most events only add
to what is known of a person. An event that reverses something, closes a case, grants points or confirms something
changes what a person gets; told by a hint, it is set aside as a conflict until people decide.
"""

import re
from functools import lru_cache
from typing import Final

from nurture.domain.consent.requests import (
    ADDRESS_CHANGED_EVENT,
    ADDRESS_OBJECTED_EVENT,
    ADDRESS_REQUESTED_EVENT,
    REQUEST_EVENT,
)
from nurture.domain.playbook import Playbook, VerdictFact

#: Events that only our own page and an import may tell: they stand for an act of the person that we saw.
RESERVED: Final = frozenset({"Topic Confirmed"})
#: The senders that may tell them.
RESERVED_FOR: Final = frozenset({"web", "import"})

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
    """Return the events by which this programme reverses an entity, ends a hold or closes a case."""
    conversion, facts = playbook.conversion, playbook.facts.values()
    cases = {name for fact in facts if isinstance(fact, VerdictFact) for name in fact.open_no}
    kinds = playbook.entities.values()
    closing = {name for kind in kinds if kind.name in cases for name in kind.closed_by}
    reversing = {name for match in conversion.reversed_by for name in match.names}
    reversing |= {name for kind in kinds for reversal in kind.reversed_by for name in reversal.match.names}
    ending = {name for hold in playbook.holds.values() for match in hold.ends for name in match.names}
    converting = {name for match in conversion.by for name in match.names}
    counting = {match.kind for match in conversion.over}
    converting |= {
        name
        for kind in kinds
        if kind.name in counting
        for match in kind.counts_from or kind.of
        for name in match.names
    }
    return frozenset(((closing | ending) - converting) | reversing | _OURS)
