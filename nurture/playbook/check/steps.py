"""Steps that are never reached, ids given twice, and exits that end a run before it begins."""

import ast
from collections.abc import Iterator

from nurture.domain.conditions import Condition, Reading, Truth
from nurture.domain.measure import MailStep, OnEvent, OnMilestone, OnObject, WaitUntilDate
from nurture.playbook.check.case import Case
from nurture.playbook.document import Loc


def check_steps(case: Case) -> None:
    """Check the order of one measure's steps."""
    _check_ids(case)
    _check_ends(case)
    _check_reached(case)
    _check_exits(case)


def _check_ids(case: Case) -> None:
    seen: set[str] = set()
    for place, step in enumerate(case.measure.steps):
        if step.id in seen:
            change = "give each its own `id:`; ids name steps to the people in flight"
            key = "id" if case.given.steps[place].id else "mail" if isinstance(step, MailStep) else "wait"
            case.fault(("steps", place, key), f"two steps called `{step.id}`", change)
        seen.add(step.id)


def _check_ends(case: Case) -> None:
    steps = case.measure.steps
    if not case.has_all_steps:
        return
    if not any(isinstance(step, MailStep) for step in steps):
        case.fault(("steps",), "no mail in these steps", "add `- mail: NAME`")
    elif not isinstance(steps[-1], MailStep):
        place = len(steps) - 1
        case.fault(("steps", place), "a wait after which nothing comes", "remove it, or add a mail")


def _check_reached(case: Case) -> None:
    """A step is out of reach when its condition can hold for nobody who can stand there."""
    is_mailed = False
    for place, step in enumerate(case.measure.steps):
        loc = ("steps", place)
        is_mailed = is_mailed or case.is_broken(*loc)
        if step.when is not None:
            if is_never(step.when):
                case.fault(
                    (*loc, "when"), "this step is never reached: its condition is never yes", "remove it"
                )
            _check_contradiction(case, (*loc, "when"), step.when)
            _check_let(case, (*loc, "when"), step.when.terms, is_mailed=is_mailed)
        if isinstance(step, MailStep):
            if step.send_if is not None and is_never(step.send_if):
                what = "this mail is never sent: its condition is never yes"
                case.fault((*loc, "send_if"), what, "remove the step")
            is_mailed = True
        elif isinstance(step, WaitUntilDate):
            _check_let(case, (*loc, "wait", "date"), frozenset({step.date}), is_mailed=is_mailed)
    if is_never(case.measure.audience):
        case.fault(("audience",), "nobody is ever in this audience", "write a condition that can hold")
    _check_contradiction(case, ("audience",), case.measure.audience)


def is_never(condition: Condition) -> bool:
    """Tell whether a condition that reads nothing is anything but yes."""
    if condition.terms or condition.events or condition.moving:
        return False
    return condition.truth(Reading(facts={}, now=0)) is not Truth.YES


def _check_let(case: Case, loc: Loc, names: frozenset[str], *, is_mailed: bool) -> None:
    for name in sorted(names & set(case.measure.let)):
        if not is_mailed:
            what = f"`{name}` is fixed by the first mail and unknown before it, so this step is never reached"
            case.fault(loc, what, f"ask for `{name}` in a step after a mail")


def _check_contradiction(case: Case, loc: Loc, condition: Condition) -> None:
    """`track == X` and `stage == X`, joined by `and`, that the measure's own place excludes."""
    measure = case.measure
    stages = {stage.name for stage in case.playbook.stages if measure.track in ("any", stage.track)}
    if measure.stage != "any" and measure.on_stage_change == "stop":
        stages = {measure.stage}
    tracks = {"lead", "customer"} if measure.track == "any" else {measure.track}
    for name, text in _required(condition.text):
        possible = {"track": tracks, "stage": stages}.get(name)
        everything = {stage.name for stage in case.playbook.stages} | {"lead", "customer"}
        if possible is not None and text not in possible and text in everything:
            what = f"`{name} == {text!r}` never holds under {measure.path.rpartition('/')[0]}/"
            case.fault(loc, what, "remove it, or move the folder")


def _required(text: str) -> Iterator[tuple[str, str]]:
    """Return (name, text) of each `name == "text"` that must hold for the whole to hold."""
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


def _check_exits(case: Case) -> None:
    starting = dict.fromkeys(_starting(case))
    for place, each in enumerate(case.measure.exits):
        loc: Loc = ("exit", place)
        if each.event in starting:
            what = f"`{each.event}` starts the run and ends it"
            case.fault(loc, what, "remove the exit, or start on something else")
        elif each.event in case.measure.once.again_on:
            what = f"`{each.event}` ends the run and begins it again"
            case.fault(loc, what, "name the event under `exit` or under `again_on`, not under both")
        if each.key is not None and case.measure.entity is None and each.key != case.measure.once.per:
            what = f"the exit compares `{each.key}`, but the run has no entity"
            case.fault((*loc, "key"), what, "add `entity:`, or leave `key` out")


def _starting(case: Case) -> Iterator[str]:
    match case.measure.trigger:
        case OnEvent(names=names) | OnObject(names=names):
            yield from names
        case OnMilestone(milestone=name):
            for milestone in case.playbook.milestones:
                # With `nth` the event that comes later is another one.
                if milestone.name == name and milestone.nth is None:
                    yield from milestone.of.names
        case _:
            return
