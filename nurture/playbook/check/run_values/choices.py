"""Check branches whose conditions may be unknown: the run then takes `else`, or goes on without a word."""

import ast
from collections.abc import Iterator

from nurture.domain.conditions import BUILT_INS, Condition
from nurture.domain.measure import Branch, MailStep, Wait
from nurture.domain.playbook import LabelFact
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc
from nurture.playbook.fault import format_names


def check_choices(check: MeasureCheck) -> None:
    """Check each branch of a measure, and that the steps whose outcome is asked for have ids of their own."""
    for place, step in enumerate(check.measure.steps):
        if isinstance(step, Branch):
            _check_branch(check, place, step)
    _check_ids(check)


def _check_branch(check: MeasureCheck, place: int, branch: Branch) -> None:
    passed = {check.measure.steps[before].id for before in check.measure.outline.passed_before(place)}
    asked = [case.when for case in branch.cases if case.when is not None]
    handled = {name for condition in asked for name in _handled(condition.expanded)}
    terms = sorted({name for condition in asked for name in condition.terms} - handled)
    unknown = [name for name in terms if _may_be_unknown(check, name, passed)]
    if not unknown:
        return
    names, loc = format_names(unknown, most=3), check.step_loc(place, "branch")
    if all(case.when is not None for case in branch.cases):
        what = f"no case says yes where {names} is unknown, and there is no else"
        check.warn(loc, what, "say so with `else: []`, or write what is to happen then")
        return
    mail = _mail_of_else(check, place, branch)
    if mail is not None:
        what = f"`else` is taken too where {names} is unknown, and sends `{mail}`"
        change = f"write a case `not known({unknown[0]})` before `else`"
        check.warn((*loc, len(branch.cases) - 1, "else"), what, change)


def _mail_of_else(check: MeasureCheck, place: int, branch: Branch) -> str | None:
    """Return the first mail that `else` sends."""
    number = next(number for number, case in enumerate(branch.cases) if case.when is None)
    start = place + 1 + sum(case.length for case in branch.cases[:number])
    steps = check.measure.steps[start : start + branch.cases[number].length]
    return next((step.mail for step in steps if isinstance(step, MailStep)), None)


def _may_be_unknown(check: MeasureCheck, name: str, passed: set[str]) -> bool:
    """Tell whether a name of a condition may be unknown. passed: ids of steps that have ended for certain."""
    root, _, rest = name.partition(".")
    if root == "steps":
        return rest.partition(".")[0] not in passed
    if root in ("event", "entity"):
        return True
    fact, term = check.playbook.facts.get(name), check.playbook.vocabulary.term(name)
    if term is None or name in BUILT_INS or (isinstance(fact, LabelFact) and fact.otherwise is not None):
        return False
    return term.absent == "unknown"


def _handled(text: str) -> set[str]:
    """Return the names for which a condition says what is to be where they are unknown."""
    try:
        tree = ast.parse(f"({text}\n)", mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "known":
            parts = node.args
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
            parts = [node.left]
        elif isinstance(node, ast.BoolOp) and isinstance(node.values[-1], ast.Constant):
            # `first_name or ""`
            parts = node.values[:-1]
        names.update(ast.unparse(part) for part in parts)
    return names


def _check_ids(check: MeasureCheck) -> None:
    """Warn of an outcome of a wait whose id is only its number: a wait added before it takes the number over."""
    for loc, condition in _conditions(check):
        for name in sorted(term for term in condition.terms if term.endswith(".outcome")):
            place = check.measure.position(name.split(".")[1])
            step = None if place is None else check.measure.steps[place]
            if place is None or not isinstance(step, Wait):
                continue
            if check.draft.steps[place].model.id is None and not check.is_broken(*check.step_loc(place)):
                what = f"`{name}` counts the waits: another wait before it takes its place"
                check.warn(loc, what, "give the wait an `id:`, and ask for that one")


def _conditions(check: MeasureCheck) -> Iterator[tuple[Loc, Condition]]:
    for place, step in enumerate(check.measure.steps):
        if step.when is not None:
            yield check.step_loc(place, "when"), step.when
        for number, case in enumerate(step.cases if isinstance(step, Branch) else ()):
            if case.when is not None:
                yield check.step_loc(place, "branch", number, "when"), case.when
