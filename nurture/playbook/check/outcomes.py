"""Check the conditions that ask how a step ended: `steps.ID.outcome` and `steps.ID.reason`."""

import ast
from collections.abc import Iterator

from nurture.domain.conditions import Condition
from nurture.domain.guard.decide import REASONS
from nurture.domain.measure import Branch, MailStep, outcomes_of
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc
from nurture.playbook.fault import format_names

_PARTS = 3


def check_outcomes(check: MeasureCheck) -> None:
    """Check every outcome that a condition of the measure asks for: a step that has one, ended before, a known word."""
    for loc, place, condition in _conditions(check):
        before = None if place is None else check.measure.outline.on_the_way_to(place)
        for name in sorted(term for term in condition.terms if term.startswith("steps.")):
            _check_step(check, loc, name, before)
        for name, word in _compared_words(condition.text):
            _check_word(check, loc, name, word)


def _conditions(check: MeasureCheck) -> Iterator[tuple[Loc, int | None, Condition]]:
    """Yield (place in the file, place of its step, condition); None for exits, which are asked at any step."""
    for number, exit_ in enumerate(check.measure.exits):
        if exit_.when is not None:
            yield ("exit", number, "when"), None, exit_.when
    for place, step in enumerate(check.measure.steps):
        if step.when is not None:
            yield check.step_loc(place, "when"), place, step.when
        if isinstance(step, MailStep) and step.send_if is not None:
            yield check.step_loc(place, "send_if"), place, step.send_if
        for number, case in enumerate(step.cases if isinstance(step, Branch) else ()):
            if case.when is not None:
                yield check.step_loc(place, "branch", number, "when"), place, case.when


def _check_step(check: MeasureCheck, loc: Loc, name: str, before: list[int] | None) -> None:
    step_id = name.split(".")[1]
    place = check.measure.position(step_id)
    if place is None or check.is_broken(*check.step_loc(place)):
        return
    if not outcomes_of(check.measure.steps[place]):
        what = f"`{name}`: only mails and waits have an outcome"
        check.fault(loc, what, "ask for a step of `mail` or `wait`")
    elif before is not None and place not in before:
        what = f"`{name}` is asked before `{step_id}` can have ended"
        check.fault(loc, what, f"ask it in a step behind `{step_id}`")


def _check_word(check: MeasureCheck, loc: Loc, name: str, word: str) -> None:
    _, step_id, part = name.split(".")
    step = check.measure.step(step_id)
    if step is None:
        return
    known = frozenset(REASONS) if part == "reason" else outcomes_of(step)
    if known and word not in known:
        change = (
            "write a reason of docs/reference/messages.md"
            if part == "reason"
            else f"write one of {format_names(known)}"
        )
        check.fault(loc, f'`{name}` is never "{word}"', change)


def _compared_words(text: str) -> Iterator[tuple[str, str]]:
    """Yield (`steps.ID.outcome`, text) of each comparison with a text that is written out."""
    try:
        tree = ast.parse(f"({text}\n)", mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        names = [ast.unparse(side) for side in sides if isinstance(side, ast.Attribute)]
        words = [part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)]
        for name in names:
            if name.startswith("steps.") and len(name.split(".")) == _PARTS:
                yield from ((name, word) for word in words if isinstance(word, str))
