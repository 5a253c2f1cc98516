"""Event matchers: `Order Completed`, a list of names, or `{event:, where:}`."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from nurture.playbook.schema.values import ConditionText, EventName, Name, Strict

EventNames = Annotated[
    Annotated[EventName, Tag("name")] | Annotated[list[EventName], Field(min_length=1), Tag("names")],
    Discriminator(
        lambda value: "names" if isinstance(value, list) else "name",
    ),
]


class Match(Strict):
    """Events of these names for whose properties `where` holds."""

    event: EventNames
    where: ConditionText | None = None


def _one(value: Any) -> str | None:
    if isinstance(value, str):
        return "name"
    return "match" if isinstance(value, (dict, Match)) else None


def _form(value: Any) -> str | None:
    return "list" if isinstance(value, list) else _one(value)


_REMEDY = "write an event's name, {event: NAME, where: CONDITION}, or a list of these"
OneMatcher = Annotated[
    Annotated[EventName, Tag("name")] | Annotated[Match, Tag("match")],
    Discriminator(_one, custom_error_type="form", custom_error_message=_REMEDY),
]
#: One or several matchers.
EventMatcher = Annotated[
    Annotated[EventName, Tag("name")]
    | Annotated[Match, Tag("match")]
    | Annotated[list[OneMatcher], Field(min_length=1), Tag("list")],
    Discriminator(_form, custom_error_type="form", custom_error_message=_REMEDY),
]
EventMatcherValue = str | Match | list[str | Match]


# ---- events and entities ---------------------------------------------------------------------------------


class EntityMatch(Strict):
    """Entities of a kind for whose fields `where` holds, each once and net of its reversal."""

    entity: Name
    where: ConditionText | None = None


class LinesMatch(Strict):
    """Lines of entities of a kind for whose fields `where` holds."""

    lines: Name
    where: ConditionText | None = None


def _one_of_all(value: Any) -> str | None:
    if isinstance(value, EntityMatch) or (isinstance(value, dict) and "entity" in value):
        return "entity"
    if isinstance(value, LinesMatch) or (isinstance(value, dict) and "lines" in value):
        return "lines"
    return _one(value)


_ALL_REMEDY = (
    "write an event's name, {event: NAME, where: CONDITION}, an entity's name, {entity: NAME, where: CONDITION}, "
    "ENTITY.lines, {lines: ENTITY, where: CONDITION}, or a list of these"
)
OneOfAll = Annotated[
    Annotated[EventName, Tag("name")]
    | Annotated[Match, Tag("match")]
    | Annotated[EntityMatch, Tag("entity")]
    | Annotated[LinesMatch, Tag("lines")],
    Discriminator(_one_of_all, custom_error_type="form", custom_error_message=_ALL_REMEDY),
]
#: One or several matchers of events, entities or lines.
Matcher = Annotated[
    Annotated[EventName, Tag("name")]
    | Annotated[Match, Tag("match")]
    | Annotated[EntityMatch, Tag("entity")]
    | Annotated[LinesMatch, Tag("lines")]
    | Annotated[list[OneOfAll], Field(min_length=1), Tag("list")],
    Discriminator(
        lambda value: "list" if isinstance(value, list) else _one_of_all(value),
        custom_error_type="form",
        custom_error_message=_ALL_REMEDY,
    ),
]
OneMatcherValue = str | Match | EntityMatch | LinesMatch
MatcherValue = OneMatcherValue | list[OneMatcherValue]


def names_of(value: str | list[str]) -> tuple[str, ...]:
    """Return the event names of a single name or a list, in order."""
    return (value,) if isinstance(value, str) else tuple(value)


def matchers_of(value: EventMatcherValue) -> list[tuple[tuple[str | int, ...], tuple[str, ...], str | None]]:
    """Return (place inside the value, event names, condition or None) of each matcher.

    All plain names of a list become one matcher.
    """
    if isinstance(value, str):
        return [((), (value,), None)]
    if isinstance(value, Match):
        return [(("where",), names_of(value.event), value.where)]
    names = tuple(entry for entry in value if isinstance(entry, str))
    matchers: list[tuple[tuple[str | int, ...], tuple[str, ...], str | None]] = (
        [((), names, None)] if names else []
    )
    for place, entry in enumerate(value):
        if isinstance(entry, Match):
            matchers.append(((place, "where"), names_of(entry.event), entry.where))
    return matchers
