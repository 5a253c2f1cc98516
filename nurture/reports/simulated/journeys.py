"""Count the people who came to each step of each measure, and name the steps to which nobody came."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nurture.domain.contact import Run
from nurture.domain.measure import Branch, MailStep, Measure
from nurture.domain.playbook import Playbook
from nurture.reports.simulated.rows import SimulatedLedger


@dataclass(slots=True)
class JourneyCounts:
    """The runs of one measure."""

    entered: int = 0
    withheld: int = 0
    # Step id -> runs that came to it; `ID/case 1` for a case of a branch.
    came: Counter[str] = field(default_factory=Counter)
    # Step id -> runs that stand there at the end.
    stands: Counter[str] = field(default_factory=Counter)
    # Why runs ended before their last step -> how many.
    ended: Counter[str] = field(default_factory=Counter)


def count_journeys(ledger: SimulatedLedger) -> Mapping[str, JourneyCounts]:
    """Return the counts by the identity of the measure."""
    journeys: dict[str, JourneyCounts] = defaultdict(JourneyCounts)
    for _, run in ledger.runs:
        counts = journeys[run.measure]
        counts.entered += 1
        counts.withheld += run.holdout
        counts.came.update(_steps_of(run))
        if run.status == "active":
            counts.stands[run.step] += 1
        elif run.reason:
            counts.ended[run.reason] += 1
    return journeys


def _steps_of(run: Run) -> set[str]:
    """Return the steps to which a run came, each case of a branch by itself."""
    skipped = {step for step, outcome in run.outcomes.items() if outcome.reason == "when"}
    steps = {*run.decided, *run.acted, *run.outcomes} - skipped
    if run.status == "active" and not run.queued:
        steps.add(run.step)
    cases = {f"{step}/{outcome.name}" for step, outcome in run.outcomes.items()}
    return steps | {case for case in cases if case.endswith("/else") or "/case " in case}


def list_never_reached(playbook: Playbook, journeys: Mapping[str, JourneyCounts]) -> list[dict[str, Any]]:
    """Return each step and each case of a branch, mails aside, to which no run came."""
    rows = []
    for path, measure in sorted(playbook.measures.items()):
        counts = journeys.get(measure.root, JourneyCounts())
        rows += [
            {"measure": path, "step": step} for step in _steps_to_reach(measure) if not counts.came[step]
        ]
    return rows


def _steps_to_reach(measure: Measure) -> list[str]:
    steps = list[str]()
    for step in measure.steps:
        if not isinstance(step, MailStep):
            steps.append(step.id)
        if isinstance(step, Branch):
            steps += [
                f"{step.id}/{'else' if case.when is None else f'case {number}'}"
                for number, case in enumerate(step.cases, start=1)
            ]
    return steps
