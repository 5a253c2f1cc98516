"""The playbook: the whole programme as frozen values, by which `advance` and the guard decide.

`nurture.playbook` builds it from a folder, or from the database where it was published.
"""

from nurture.domain.playbook.accounts import AccountRules
from nurture.domain.playbook.entities import DueRule, EntityKind, LineRule, Reversal, field_terms
from nurture.domain.playbook.facts import (
    BandFact,
    EntityMatch,
    EventMatch,
    Fact,
    FactType,
    FoldFact,
    LabelEvidence,
    LabelFact,
    RhythmFact,
    TraitFact,
    VerdictFact,
)
from nurture.domain.playbook.limits import Cap, Hold, Offer, ProgrammeHoldout, QuietHours, Topic
from nurture.domain.playbook.model import Measures, Playbook
from nurture.domain.playbook.objects import ObjectKind, WatchList
from nurture.domain.playbook.places import Conversion, Milestone, Persona, Stage, Touchpoint
from nurture.domain.playbook.published_values import PublishedValue, PublishedVersions, UsualInterval
from nurture.domain.playbook.segments import Segment

__all__ = [
    "AccountRules",
    "BandFact",
    "Cap",
    "Conversion",
    "DueRule",
    "EntityKind",
    "EntityMatch",
    "EventMatch",
    "Fact",
    "FactType",
    "FoldFact",
    "Hold",
    "LabelEvidence",
    "LabelFact",
    "LineRule",
    "Measures",
    "Milestone",
    "ObjectKind",
    "Offer",
    "Persona",
    "Playbook",
    "ProgrammeHoldout",
    "PublishedValue",
    "PublishedVersions",
    "QuietHours",
    "Reversal",
    "RhythmFact",
    "Segment",
    "Stage",
    "Topic",
    "Touchpoint",
    "TraitFact",
    "UsualInterval",
    "VerdictFact",
    "WatchList",
    "field_terms",
]
