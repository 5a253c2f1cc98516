"""Check the measures that conditions ask for by `in_measure` and `last_sent`."""

from collections.abc import Iterator
from difflib import get_close_matches

from nurture.domain.conditions import Condition, last_sent_key, stored_keys
from nurture.domain.measure import OnCondition, OnSchedule
from nurture.domain.playbook import Playbook
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.names import conditions_at
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names


def check_asked_measures(check: MeasureCheck) -> None:
    """Check that each measure exists, and that no rule waits for a mail that tells nobody when it leaves."""
    for loc, condition in conditions_at(check):
        report_unknown_measures(condition, check.playbook, check.draft.document, loc, check.faults)
    for loc, condition in _judged_by_themselves(check):
        if any(last_sent_key(path) in stored_keys(condition.root) for path in condition.measures):
            what = "`last_sent` in a condition that starts or ends runs by itself: a mail that leaves judges nobody"
            check.fault(loc, what, "ask in the `when` of a step, or start on an event")


def _judged_by_themselves(check: MeasureCheck) -> Iterator[tuple[Loc, Condition]]:
    if isinstance(check.measure.trigger, OnCondition | OnSchedule):
        yield ("audience",), check.measure.audience
    for place, exit_ in enumerate(check.measure.exits):
        if exit_.when is not None and exit_.event is None:
            yield ("exit", place, "when"), exit_.when


def report_unknown_measures(
    condition: Condition, playbook: Playbook, document: Document, loc: Loc, faults: Faults
) -> None:
    """Add a fault for each measure that the condition asks for and that is not there."""
    for path in sorted(condition.measures):
        if playbook.measures.get(path) is not None or faults.is_broken(f"{path}/measure.yaml", ()):
            continue
        near = get_close_matches(path, playbook.measures, n=1)
        change = f"did you mean {near[0]}?" if near else f"known: {format_names(playbook.measures)}"
        faults.at(document, loc, f"no measure `{path}`", change)
