"""Stages, conversion, milestones, personas and touchpoints: where a contact stands in the programme."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nurture.domain.conditions import Condition
from nurture.domain.measure import Metric, Track
from nurture.domain.playbook.facts import EntityMatch, EventMatch


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a track; `when` uses only facts that grow. Order in the playbook is the order of stages."""

    name: str
    track: Track
    when: Condition
    # Kinds of call to action that measures of this stage may make.
    may_ask: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversion:
    """The events and entities that make a lead a customer, and the events that reverse it."""

    # A converting event, keyed by the property `key` (order_id).
    by: tuple[EventMatch, ...]
    key: str
    # Events with the same key that reverse it in full.
    reversed_by: tuple[EventMatch, ...] = ()
    # The hold put on when a conversion is reversed.
    hold: str | None = None
    # Entities that convert while they count and are not reversed.
    over: tuple[EntityMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Milestone:
    """A dated fact, celebrated once per `per`: contact, year, entity, or a property of the event."""

    name: str
    of: EventMatch
    # `entity`, or a property that holds the entity's key: once per entity of `over`.
    per: str = "contact"
    # Only the n-th such event or entity (2 = second order); None: every one.
    nth: int | None = None
    # Counted and standing entities instead of events; `of` then has no names.
    over: tuple[EntityMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Touchpoint:
    """A named kind of event, with its channel, what people may expect there, and the measures that act on it."""

    name: str
    channel: str
    events: tuple[str, ...]
    service: str = ""
    metric: Metric | None = None
    # Stage, or track for its other stages -> path of the measure that acts on it, or `none: why`.
    by_stage: Mapping[str, str] = field(default_factory=dict)
    # The stages that want it most.
    wanted_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Persona:
    """A buyer's role, inferred from events; the newest match wins."""

    name: str
    of: tuple[EventMatch, ...]
