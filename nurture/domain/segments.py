"""The values of segments and tables for one contact, or for the entity that a run is about."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from nurture.domain.conditions import AT_HAND, Reading, Table, TableValue, Truth
from nurture.domain.entities.reading import text_at_hand
from nurture.domain.instant import Instant
from nurture.domain.measure import LetTable, Measure
from nurture.domain.playbook import Playbook, Segment


def segment_values(reading: Reading, playbook: Playbook) -> dict[str, bool | str]:
    """Return the answer of each plain segment and the text of each ladder; unknown ones are left out."""
    values = {name: _value(segment, reading) for name, segment in playbook.segments.items()}
    return {name: value for name, value in values.items() if value is not None}


def reading_of_row(row: Any, playbook: Playbook, *, now: Instant) -> Reading:
    """Return the reading of a contact of the table `contacts`."""
    place = {"track": row.track, "stage": row.stage, "locale": row.locale, "zone": row.zone}
    return Reading({**(row.facts or {}), **place}, now, row.zone or playbook.default_zone)


def show_segments(reading: Reading, playbook: Playbook) -> dict[str, str]:
    """Return the same as people read them: `yes`, `no` or the text of the ladder."""
    values = segment_values(reading, playbook)
    return {
        name: value if isinstance(value, str) else "yes" if value else "no" for name, value in values.items()
    }


def ladder_text(ladder: Segment, reading: Reading) -> str | None:
    """Return the name of the first rung that is yes, else the text of `else`."""
    texts = (name for name, when in ladder.rungs if when.truth(reading) is Truth.YES)
    return next(texts, ladder.otherwise)


def _value(segment: Segment, reading: Reading) -> bool | str | None:
    if segment.is_ladder:
        return ladder_text(segment, reading)
    ((_, when),) = segment.rungs
    truth = when.truth(reading)
    return None if truth is Truth.UNKNOWN else truth is Truth.YES


def look_up(table: Table, reading: Reading, playbook: Playbook) -> TableValue | None:
    """Return the value of a table for a contact or a run; None for a table without a row for it and without `else`.

    reading: the contact's, with the names that the run adds where the table looks up by a property of its entity.
    """
    segment = playbook.segments.get(table.by)
    text = reading.facts.get(table.by) if segment is None else ladder_text(segment, reading)
    return table.value_for(text)


def table_values(
    measure: Measure, fixed: Collection[str], reading: Callable[[], Reading], playbook: Playbook
) -> dict[str, TableValue]:
    """Return name -> value of the tables in `let` that a run has not fixed yet; without a value left out.

    reading: gives the contact's, with the names that the run adds.
    """
    rules = {name: rule.table for name, rule in measure.let.items() if isinstance(rule, LetTable)}
    names = [name for name in rules if name not in fixed]
    if not names:
        return {}
    facts = reading()
    found = {name: rules[name].in_days(look_up(rules[name], facts, playbook)) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def texts_at_hand(playbook: Playbook, entity: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, str]:
    """Return `at_hand.PROPERTY` for each property by which a table looks up.

    It is the entity's own field, else that of its largest line, else the property of the event that started the run.
    """
    names = {table.property_name for table in playbook.tables.values()} - {""}
    found = {name: text_at_hand(name, entity, event) for name in sorted(names)}
    return {f"{AT_HAND}.{name}": text for name, text in found.items() if text is not None}
