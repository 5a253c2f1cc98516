"""The values of segments for one contact: templates and people read them as if they were facts."""

from typing import Any

from nurture.domain.conditions import Reading, Truth
from nurture.domain.instant import Instant
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


def _value(segment: Segment, reading: Reading) -> bool | str | None:
    if segment.is_ladder:
        texts = (name for name, when in segment.rungs if when.truth(reading) is Truth.YES)
        return next(texts, segment.otherwise)
    ((_, when),) = segment.rungs
    truth = when.truth(reading)
    return None if truth is Truth.UNKNOWN else truth is Truth.YES
