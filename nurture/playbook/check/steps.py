"""Check a measure's steps: unique ids, a mail at the end, no unreachable step, no exit that contradicts the trigger."""

import ast
from collections.abc import Iterator

from nurture.domain.conditions import Condition, Reading, Truth
from nurture.domain.measure import MailStep, OnEvent, OnMilestone, OnObject, WaitUntilDate
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc


def check_steps(check: MeasureCheck) -> None:
    """Check ids, order, conditions and exits of one measure's steps."""
    _check_ids(check)
    _check_ends(check)
    _check_reached(check)
    _check_exits(check)


def _check_ids(check: MeasureCheck) -> None:
    seen: set[str] = set()
    for place, step in enumerate(check.measure.steps):
        if step.id in seen:
            change = "give each its own `id:`; ids name steps to the people in flight"
            key = "id" if check.model.steps[place].id else "mail" if isinstance(step, MailStep) else "wait"
            check.fault(("steps", place, key), f"two steps called `{step.id}`", change)
        seen.add(step.id)


def _check_ends(check: MeasureCheck) -> None:
    steps = check.measure.steps
    if not check.has_all_steps:
        return
    if not any(isinstance(step, MailStep) for step in steps):
        check.fault(("steps",), "no mail in these steps", "add `- mail: NAME`")
    elif not isinstance(steps[-1], MailStep):
        place = len(steps) - 1
        check.fault(("steps", place), "a wait after which nothing comes", "remove it, or add a mail")


def _check_reached(check: MeasureCheck) -> None:
    """Check that a contact can reach every step: its condition can be yes there."""
    is_mailed = False
    for place, step in enumerate(check.measure.steps):
        loc = ("steps", place)
        is_mailed = is_mailed or check.is_broken(*loc)
        if step.when is not None:
            if is_never(step.when):
                check.fault(
                    (*loc, "when"), "this step is never reached: its condition is never yes", "remove it"
                )
            _check_contradiction(check, (*loc, "when"), step.when)
            _check_let(check, (*loc, "when"), step.when.terms, is_mailed=is_mailed)
        if isinstance(step, MailStep):
            if step.send_if is not None and is_never(step.send_if):
                what = "this mail is never sent: its condition is never yes"
                check.fault((*loc, "send_if"), what, "remove the step")
            is_mailed = True
        elif isinstance(step, WaitUntilDate):
            _check_let(check, (*loc, "wait", "date"), frozenset({step.date}), is_mailed=is_mailed)
    if is_never(check.measure.audience):
        check.fault(("audience",), "nobody is ever in this audience", "write a condition that can hold")
    _check_contradiction(check, ("audience",), check.measure.audience)


def is_never(condition: Condition) -> bool:
    """Tell whether a condition reads nothing of a contact and is not yes."""
    if condition.terms or condition.events or condition.moving:
        return False
    return condition.truth(Reading(facts={}, now=0)) is not Truth.YES


def _check_let(check: MeasureCheck, loc: Loc, names: frozenset[str], *, is_mailed: bool) -> None:
    for name in sorted(names & set(check.measure.let)):
        if not is_mailed:
            what = f"`{name}` is fixed by the first mail and unknown before it, so this step is never reached"
            check.fault(loc, what, f"ask for `{name}` in a step after a mail")


def _check_contradiction(check: MeasureCheck, loc: Loc, condition: Condition) -> None:
    """Check `track == X` and `stage == X`, joined by `and`, against the folder of the measure."""
    measure = check.measure
    stages = {stage.name for stage in check.playbook.stages if measure.track in ("any", stage.track)}
    if measure.stage != "any" and measure.on_stage_change == "stop":
        stages = {measure.stage, *measure.later_stages}
    tracks = {"lead", "customer"} if measure.track == "any" else {measure.track}
    for name, text in _required_texts(condition.text):
        possible = {"track": tracks, "stage": stages}.get(name)
        everything = {stage.name for stage in check.playbook.stages} | {"lead", "customer"}
        if possible is not None and text not in possible and text in everything:
            what = f"`{name} == {text!r}` never holds under {measure.path.rpartition('/')[0]}/"
            check.fault(loc, what, "remove it, or move the folder")


def _required_texts(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of each `name == "text"` without which the condition cannot be yes."""
    try:
        root: ast.expr = ast.parse(f"({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return
    parts = root.values if isinstance(root, ast.BoolOp) and isinstance(root.op, ast.And) else [root]
    for part in parts:
        if isinstance(part, ast.Compare) and len(part.ops) == 1 and isinstance(part.ops[0], ast.Eq):
            bound = part.comparators[0]
            if (
                isinstance(part.left, ast.Name)
                and isinstance(bound, ast.Constant)
                and isinstance(bound.value, str)
            ):
                yield part.left.id, bound.value


def _check_exits(check: MeasureCheck) -> None:
    starting_events = dict.fromkeys(_starting_events(check))
    for place, exit_ in enumerate(check.measure.exits):
        loc: Loc = ("exit", place)
        if exit_.event in starting_events:
            what = f"`{exit_.event}` starts the run and ends it"
            check.fault(loc, what, "remove the exit, or start on something else")
        elif exit_.event in check.measure.once.again_on:
            what = f"`{exit_.event}` ends the run and begins it again"
            check.fault(loc, what, "name the event under `exit` or under `again_on`, not under both")
        if exit_.key is not None and check.measure.entity is None and exit_.key != check.measure.once.per:
            what = f"the exit compares `{exit_.key}`, but the run has no entity"
            check.fault((*loc, "key"), what, "add `entity:`, or leave `key` out")


def _starting_events(check: MeasureCheck) -> Iterator[str]:
    match check.measure.trigger:
        case OnEvent(names=names) | OnObject(names=names):
            yield from names
        case OnMilestone(milestone=name):
            for milestone in check.playbook.milestones:
                # With `nth`, the event of the exit may be another one than the event that starts the run.
                if milestone.name == name and milestone.nth is None:
                    yield from milestone.of.names
        case _:
            return
