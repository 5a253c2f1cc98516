"""Setting a measure aside for a contact: a measure whose rules fail stops, and all others continue.

Applying an event has two halves. Its content (facts, consent, suppression, track, stage, identity) always holds.
The rules of one measure may fail on it, for example at an unforeseen value; then that measure
decides nothing more for this contact until the next publish, when it is tried again. Its runs stay at their step;
exits, and leaving a track or stage, still end them, because these use no rule.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from nurture.domain.contact import Run, SetAside
from nurture.domain.errors import Poison
from nurture.domain.instant import Instant
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure

T = TypeVar("T")

_REASON_MAX: Final = 500


def retry_mark(rules_hash: str) -> str:
    """Return what `adopted` is while a contact that has these rules is to try its measures set aside again."""
    return f"retry:{rules_hash}"


def is_set_aside(work: Work, measure: str) -> bool:
    """Tell whether the measure decides nothing for this contact now."""
    return measure in work.contact.memory.set_aside


def evaluate_rule(
    work: Work, measure: Measure, at: Instant, otherwise: T, rule: Callable[..., T], *arguments: Any
) -> T:
    """Return the result of a rule that changes nothing; `otherwise` when it fails or its measure is set aside."""
    measures_set_aside = work.contact.memory.set_aside
    if measures_set_aside and measure.root in measures_set_aside:
        return otherwise
    try:
        return rule(*arguments)
    except (MemoryError, Poison):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the rule raises, only this measure stops
        _set_aside(work, measure.root, at, error)
        return otherwise


def run_rule(work: Work, measure: Measure, at: Instant, rule: Callable[..., Any], *arguments: Any) -> None:
    """Run a rule that may start or move runs; when it fails, undo its changes and set its measure aside."""
    measures_set_aside = work.contact.memory.set_aside
    if measures_set_aside and measure.root in measures_set_aside:
        return
    before = _Savepoint.of(work, measure.root)
    try:
        rule(*arguments)
    except (MemoryError, Poison):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the rule raises, only this measure stops
        before.restore(work)
        _set_aside(work, measure.root, at, error)


def retry_all(work: Work) -> None:
    """Let every measure that was set aside decide again."""
    measures_set_aside = work.contact.memory.set_aside
    work.result.retried.extend(
        measure for measure in measures_set_aside if measure not in work.result.retried
    )
    measures_set_aside.clear()


def _set_aside(work: Work, measure: str, at: Instant, error: Exception) -> None:
    work.contact.memory.set_aside[measure] = at
    reason = f"{type(error).__name__}: {error}"[:_REASON_MAX]
    work.result.set_aside.append(SetAside(measure, at, reason, work.event))
    work.alarm = None


@dataclass(slots=True)
class _Savepoint:
    """A copy of the state that one measure may change, from which a failed rule is undone."""

    measure: str
    runs: dict[tuple[str, str], Run]
    changed: dict[tuple[str, str], Run]
    run_starts: dict[str, Instant] | None
    silences: dict[str, Instant] | None
    answer: tuple[str, bool] | None
    # The lists of decisions with their lengths: a rule appends, or puts another list in the place of one.
    lists: tuple[tuple[list[Any], int], ...]

    @classmethod
    def of(cls, work: Work, measure: str) -> "_Savepoint":
        memory, result = work.contact.memory, work.result
        starts, silences, runs = (
            memory.run_starts.get(measure),
            memory.silences.get(measure),
            work.contact.runs,
        )
        return cls(
            measure,
            {key: _copy(run) for key, run in runs.items() if run.measure == measure},
            {key: run for key, run in result.runs.items() if run.measure == measure},
            None if starts is None else dict(starts),
            None if silences is None else dict(silences),
            memory.answers.get(measure),
            (
                (result.messages, len(result.messages)),
                (result.actions, len(result.actions)),
                (result.cancellations, len(result.cancellations)),
                (result.non_entries, len(result.non_entries)),
            ),
        )

    def restore(self, work: Work) -> None:
        contact, result, memory = work.contact, work.result, work.contact.memory
        others = {key: run for key, run in contact.runs.items() if run.measure != self.measure}
        contact.runs.clear()
        contact.runs.update(others | self.runs)
        stepped = {key: run for key, run in result.runs.items() if run.measure != self.measure}
        # The saved copy of a run has its state from before the rule.
        result.runs = stepped | {key: self.runs.get(key, run) for key, run in self.changed.items()}
        _put(memory.run_starts, self.measure, self.run_starts)
        _put(memory.silences, self.measure, self.silences)
        _put(memory.answers, self.measure, self.answer)
        for decisions, length in self.lists:
            del decisions[length:]
        (result.messages, result.actions, result.cancellations, result.non_entries) = (
            decisions for decisions, _ in self.lists
        )


def _copy(run: Run) -> Run:
    kept = copy(run)
    kept.decided, kept.acted = list(run.decided), list(run.acted)
    kept.let, kept.outcomes = dict(run.let), dict(run.outcomes)
    return kept


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        values.pop(name, None)
    else:
        values[name] = value
