"""The parts of a playbook by what touches them: events, facts and places. Built once per playbook."""

from nurture.domain.event_index.affected_parts import AffectedParts
from nurture.domain.event_index.entity_rules import (
    DATED,
    USUAL,
    Effect,
    FoldGroup,
    events_of,
    milestone_fold,
    usual_fold,
)
from nurture.domain.event_index.index import Index, index_of
from nurture.domain.event_index.place_rules import PlaceRules

__all__ = [
    "DATED",
    "USUAL",
    "AffectedParts",
    "Effect",
    "FoldGroup",
    "Index",
    "PlaceRules",
    "events_of",
    "index_of",
    "milestone_fold",
    "usual_fold",
]
