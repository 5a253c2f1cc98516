"""Stages and measures must not wait for each other."""

import ast
from collections.abc import Iterator

from nurture.domain.playbook import EntityFact, Fact, FoldFact, Playbook, Stage, TraitFact, VerdictFact
from nurture.playbook.check.case import Case
from nurture.playbook.folder import PROGRAMME


def check_place(case: Case) -> None:
    """Check that the folder's stage exists on its track."""
    measure = case.measure
    if measure.track == "any" or measure.stage == "any":
        return
    stages = case.playbook.stages_of(measure.track)
    if any(stage.name == measure.stage for stage in stages) or case.faults.has_broken(PROGRAMME, "stages"):
        return
    other = "customer" if measure.track == "lead" else "lead"
    if any(stage.name == measure.stage for stage in case.playbook.stages_of(other)):
        change = f"move the folder under {other}/{measure.stage}/"
    else:
        change = f"move the folder under {measure.track}/any/ or one of {', '.join(stage.name for stage in stages)}"
    case.fault((), f"{measure.stage} is no stage of the {measure.track} track", change)


def check_answers(case: Case) -> None:
    """Check that a measure does not require the stage that only its own answers lead to.

    Its answers are the event of its metric and exits with the reason `converted`. Evidence asking for the
    first such event (`trials >= 1`) is meant: who is in the stage has given it. Later ones (`orders >= 2`)
    may well be asked for there.
    """
    measure, playbook = case.measure, case.playbook
    stage = next((each for each in playbook.stages_of(measure.track) if each.name == measure.stage), None)
    if stage is None:
        return
    answers: dict[str, tuple[str | int, ...]] = {}
    for place, each in enumerate(measure.exits):
        if each.reason == "converted":
            answers[each.event] = ("exit", place)
    if measure.metric is not None:
        answers[measure.metric.event] = ("metric", "event")
    fed = set(first_evidence(stage, playbook))
    for event, loc in answers.items():
        if event in fed:
            what = (
                f"the answer `{event}` is evidence of {stage.name}, and only people already there are asked"
            )
            change = f"move the folder to the stage before, or to {measure.track}/any/"
            case.fault(loc, what, change)


def first_evidence(stage: Stage, playbook: Playbook) -> Iterator[str]:
    """Return the events whose first occurrence brings people into the stage."""
    for name in _asked_once(stage.when.text):
        root = name.partition(".")[0]
        fact = playbook.facts.get(root)
        if fact is not None:
            yield from feeding(fact)
    yield from _counted_once(stage.when.text)


def feeding(fact: Fact) -> Iterator[str]:
    """Return the names of the events that a fact is folded from."""
    match fact:
        case FoldFact(at_least=1) | EntityFact():
            yield from (name for match in fact.of for name in match.names)
        case VerdictFact():
            yield from (name for match in fact.yes for name in match.names)
        case FoldFact() | TraitFact():
            return


def _asked_once(text: str) -> Iterator[str]:
    """Return the names that the evidence asks one event of: `x >= 1`, `x > 0`, `x`, `x == True`, `x is known`."""
    for node in _nodes(text):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and _is_first(node):
            yield ast.unparse(node.left)
        elif isinstance(node, ast.BoolOp):
            yield from (ast.unparse(part) for part in node.values if isinstance(part, ast.Name))
        elif isinstance(node, ast.Expression) and isinstance(node.body, ast.Name):
            yield node.body.id
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "known" and node.args:
            yield ast.unparse(node.args[0])


def _counted_once(text: str) -> Iterator[str]:
    for node in _nodes(text):
        if isinstance(node, ast.Compare) and _is_first(node) and isinstance(node.left, ast.Call):
            call = node.left
            if ast.unparse(call.func) == "count" and call.args and isinstance(call.args[0], ast.Constant):
                yield str(call.args[0].value)


def _is_first(node: ast.Compare) -> bool:
    bound = node.comparators[0]
    if not isinstance(bound, ast.Constant):
        return False
    if isinstance(bound.value, bool):
        return bound.value and isinstance(node.ops[0], ast.Eq | ast.Is)
    if isinstance(bound.value, int):
        return (isinstance(node.ops[0], ast.GtE) and bound.value <= 1) or (
            isinstance(node.ops[0], ast.Gt) and bound.value <= 0
        )
    return False


def _nodes(text: str) -> Iterator[ast.AST]:
    try:
        return ast.walk(ast.parse(f"({text}\n)", mode="eval"))
    except (SyntaxError, ValueError, RecursionError):
        return iter(())
