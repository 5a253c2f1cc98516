"""Check the segments of playbook.yaml: the texts that they compare with, and rungs that nobody stands on."""

from collections.abc import Iterator

from nurture.domain.conditions import Condition
from nurture.domain.playbook import Playbook, Segment
from nurture.playbook.check.asked_measures import report_unknown_measures
from nurture.playbook.check.compared_texts import report_unknown_texts
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults


def check_segments(playbook: Playbook, document: Document, faults: Faults) -> None:
    """Check every segment of the playbook."""
    for segment in playbook.segments.values():
        for loc, condition in _conditions_at(segment):
            report_unknown_texts(condition, playbook, document, loc, faults)
            report_unknown_measures(condition, playbook, document, loc, faults)
        if segment.is_ladder:
            _check_reached(segment, document, faults)


def _conditions_at(segment: Segment) -> Iterator[tuple[Loc, Condition]]:
    for place, (rung, condition) in enumerate(segment.rungs):
        yield (
            (("segments", segment.name, place, rung) if segment.is_ladder else ("segments", segment.name)),
            condition,
        )


def _check_reached(segment: Segment, document: Document, faults: Faults) -> None:
    """Check that no rung stands below one that takes everybody."""
    names = [name for name, _ in segment.rungs]
    below = names[1:] if segment.otherwise is None else [*names[1:], segment.otherwise]
    for place, (name, condition) in enumerate(segment.rungs[: len(below)]):
        if condition.expanded == "True":
            what = f"rung `{below[place]}` is never reached: `{name}` is always yes"
            change = "remove what stands below it, or write a condition that can be no"
            faults.at(document, ("segments", segment.name, place, name), what, change)
            return
