"""The steps that a run has behind it, each with how it ended, for `contact why`."""

from collections.abc import Iterator

from nurture.domain.conditions import Condition
from nurture.domain.contact import Run
from nurture.domain.measure import WHEN, Branch, MailStep, Measure, StepOutcome, conditions_of_step


def describe_steps(measure: Measure, run: Run) -> Iterator[tuple[str, str]]:
    """Yield (step, how it ended) in the order of the steps.

    Of every step where later ones ask for that; else of those alone whose `when` was not yes.
    """
    asked = [ending.when for ending in measure.exits]
    asked += [condition for step in measure.steps for condition in conditions_of_step(step)]
    is_asked = any(isinstance(step, Branch) for step in measure.steps) or any(map(_asks_a_step, asked))
    for step in measure.steps:
        outcome = run.outcomes.get(step.id)
        if outcome is not None and outcome.name == "skipped" and outcome.reason == WHEN:
            yield step.id, f"skipped, because its `when` was not yes: {_text_of(step.when)}"
        elif outcome is not None and is_asked:
            text = f"{outcome.name} ({outcome.reason})" if outcome.reason else outcome.name
            yield step.id, text + (_condition_of(step, outcome) if isinstance(step, Branch) else "")


def _asks_a_step(condition: Condition | None) -> bool:
    return condition is not None and any(term.startswith("steps.") for term in condition.terms)


def _text_of(condition: Condition | None) -> str:
    return "" if condition is None else condition.text


def find_skipped_by_when(measure: Measure, run: Run) -> tuple[str, str] | None:
    """Return the first mail step whose `when` was not yes, and that condition; None without one."""
    for step in measure.steps:
        outcome = run.outcomes.get(step.id)
        if isinstance(step, MailStep) and outcome is not None and outcome.reason == WHEN:
            return step.id, _text_of(step.when)
    return None


def _condition_of(branch: Branch, outcome: StepOutcome) -> str:
    """Return the condition of the case that was taken, with a colon before it; "" for another one."""
    for number, case in enumerate(branch.cases, start=1):
        if outcome.name == f"case {number}" and case.when is not None:
            return f": {case.when.text}"
    return ""
