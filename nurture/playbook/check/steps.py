"""Check a measure's steps: unique ids, a mail at the end, no unreachable step, no exit that contradicts the trigger."""

from collections.abc import Iterator

from nurture.domain.conditions import Condition, Reading, Truth
from nurture.domain.measure import (
    ActionStep,
    Branch,
    MailStep,
    OnEvent,
    OnMilestone,
    OnObject,
    Wait,
    WaitUntilDate,
)
from nurture.playbook.check.compared_texts import required_texts
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc
from nurture.playbook.hashes import canonical_condition
from nurture.playbook.schema.measure import kind_of


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
            model = check.draft.steps[place].model
            key = "id" if model.id else kind_of(model)
            where = " (also in the branch)" if check.measure.outline.paths[place].outer else ""
            check.fault(check.step_loc(place, key), f"two steps called `{step.id}`{where}", change)
        seen.add(step.id)


def _check_ends(check: MeasureCheck) -> None:
    measure = check.measure
    if not check.has_all_steps:
        return
    if not any(isinstance(step, MailStep | ActionStep) for step in measure.steps):
        check.fault(("steps",), "no mail in these steps", "add `- mail: NAME`")
        return
    for place, step in enumerate(measure.steps):
        if isinstance(step, Wait) and measure.outline.is_last(place):
            change = "remove it, or add a mail"
            check.fault(check.step_loc(place), "a wait after which nothing comes", change)


def _check_reached(check: MeasureCheck) -> None:
    """Check that a contact can reach every step: its condition can be yes there."""
    outline = check.measure.outline
    for place, step in enumerate(check.measure.steps):
        before = outline.on_the_way_to(place)
        is_mailed = any(
            isinstance(check.measure.steps[other], MailStep) or check.is_broken(*check.step_loc(other))
            for other in before
        )
        if step.when is not None:
            loc = check.step_loc(place, "when")
            if is_never(step.when):
                check.fault(loc, "this step is never reached: its condition is never yes", "remove it")
            check_asked(check, loc, step.when, is_mailed=is_mailed)
        if isinstance(step, MailStep) and step.send_if is not None and is_never(step.send_if):
            what = "this mail is never sent: its condition is never yes"
            check.fault(check.step_loc(place, "send_if"), what, "remove the step")
        elif isinstance(step, WaitUntilDate):
            loc = check.step_loc(place, "wait", "date")
            _check_let(check, loc, frozenset({step.date}), is_mailed=is_mailed)
        elif isinstance(step, Branch):
            check_branch(check, place, step, is_mailed=is_mailed)
    if is_never(check.measure.audience):
        check.fault(("audience",), "nobody is ever in this audience", "write a condition that can hold")
    _check_contradiction(check, ("audience",), check.measure.audience)


# ---- branches --------------------------------------------------------------------------------------------


def check_branch(check: MeasureCheck, place: int, branch: Branch, *, is_mailed: bool) -> None:
    """Check that a run can take each case of a branch, and that the branch decides something."""
    loc = check.step_loc(place, "branch")
    if not any(case.length for case in branch.cases):
        check.fault(loc, "this branch does nothing", "add steps to one of its cases, or remove it")
    elif branch.cases[0].when is None:
        check.fault((*loc, 0, "else"), "a branch of an `else` alone", "write its steps without a branch")
    seen: dict[str, int] = {}
    # The number of the first case that everybody takes who gets there, from 1.
    taken = 0
    for number, case in enumerate(branch.cases, start=1):
        mine = (*loc, number - 1, "when" if case.when is not None else "else")
        if taken:
            because = "`else`" if branch.cases[taken - 1].when is None else "always yes"
            what = f"case {number} is never reached: case {taken} is {because}"
            check.fault(mine, what, "put it before that one, or remove it")
        elif case.when is None or is_always(case.when):
            taken = number
        if case.when is None:
            continue
        if is_never(case.when):
            check.fault(mine, f"case {number} is never taken: its condition is never yes", "remove it")
        same = seen.setdefault(canonical_condition(case.when.text), number)
        if same != number and not taken:
            what = f"case {number} is never reached: case {same} has the same condition"
            check.fault(mine, what, "change or remove one of them")
        check_asked(check, mine, case.when, is_mailed=is_mailed)


def check_asked(check: MeasureCheck, loc: Loc, condition: Condition, *, is_mailed: bool) -> None:
    """Check that a condition of the steps does not contradict the folder, or ask for a value not fixed yet."""
    _check_contradiction(check, loc, condition)
    _check_let(check, loc, condition.terms, is_mailed=is_mailed)


def is_always(condition: Condition) -> bool:
    """Tell whether a condition reads nothing of a contact and is yes."""
    return _constant_answer(condition) is Truth.YES


def is_never(condition: Condition) -> bool:
    """Tell whether a condition reads nothing of a contact and is not yes."""
    return _constant_answer(condition) in (Truth.NO, Truth.UNKNOWN)


def _constant_answer(condition: Condition) -> Truth | None:
    """Return the answer of a condition that reads nothing of a contact; None for any other."""
    if condition.terms or condition.events or condition.moving or condition.measures:
        return None
    return condition.truth(Reading(facts={}, now=0))


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
    for name, text in required_texts(condition.expanded):
        possible = {"track": tracks, "stage": stages}.get(name)
        everything = {stage.name for stage in check.playbook.stages} | {"lead", "customer"}
        if possible is not None and text not in possible and text in everything:
            what = f"`{name} == {text!r}` never holds under {measure.path.rpartition('/')[0]}/"
            check.fault(loc, what, "remove it, or move the folder")


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
