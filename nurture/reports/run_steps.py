"""The steps that a run has behind it, each with how it ended, for `contact why`."""

from collections.abc import Iterator

from nurture.domain.conditions import Condition
from nurture.domain.contact import Run
from nurture.domain.measure import Branch, Measure, StepOutcome, conditions_of_step


def describe_steps(measure: Measure, run: Run) -> Iterator[tuple[str, str]]:
    """Yield (step, how it ended) in the order of the steps, for a measure whose steps depend on that."""
    asked = [ending.when for ending in measure.exits]
    asked += [condition for step in measure.steps for condition in conditions_of_step(step)]
    if not any(isinstance(step, Branch) for step in measure.steps) and not any(map(_asks_a_step, asked)):
        return
    for step in measure.steps:
        outcome = run.outcomes.get(step.id)
        if outcome is not None:
            text = f"{outcome.name} ({outcome.reason})" if outcome.reason else outcome.name
            yield step.id, text + (_condition_of(step, outcome) if isinstance(step, Branch) else "")


def _asks_a_step(condition: Condition | None) -> bool:
    return condition is not None and any(term.startswith("steps.") for term in condition.terms)


def _condition_of(branch: Branch, outcome: StepOutcome) -> str:
    """Return the condition of the case that was taken, with a colon before it; "" for another one."""
    for number, case in enumerate(branch.cases, start=1):
        if outcome.name == f"case {number}" and case.when is not None:
            return f": {case.when.text}"
    return ""
