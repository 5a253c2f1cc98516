"""Checks of a measure's stage: it exists, and the measure does not require the answers that it asks for."""

import ast
from collections.abc import Iterator

from nurture.domain.measure import OnEvent
from nurture.domain.playbook import (
    EntityKind,
    Fact,
    FoldFact,
    LabelFact,
    Playbook,
    RhythmFact,
    Stage,
    TraitFact,
    VerdictFact,
)
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.folder import PROGRAMME


def check_place(check: MeasureCheck) -> None:
    """Check that the folder's stage exists on its track."""
    measure = check.measure
    if measure.track == "any" or measure.stage == "any":
        return
    stages = check.playbook.stages_of(measure.track)
    if any(stage.name == measure.stage for stage in stages) or check.faults.has_broken(PROGRAMME, "stages"):
        return
    other = "customer" if measure.track == "lead" else "lead"
    if any(stage.name == measure.stage for stage in check.playbook.stages_of(other)):
        change = f"move the folder under {other}/{check.draft.folder.place}/"
    else:
        change = f"move the folder under {measure.track}/any/ or one of {', '.join(stage.name for stage in stages)}"
    check.fault((), f"{measure.stage} is no stage of the {measure.track} track", change)


def check_reader(check: MeasureCheck) -> None:
    """Check that a measure for customers does not start on what can make its reader a lead again.

    The track follows from the event before triggers are judged, so the person would not hear of their last order.
    """
    measure, conversion = check.measure, check.playbook.conversion
    if measure.track != "customer" or not isinstance(measure.trigger, OnEvent):
        return
    entities = check.playbook.entities
    kinds = [entities[match.kind] for match in conversion.over if match.kind in entities]
    reversing = {name for match in conversion.reversed_by for name in match.names}
    reversing |= {name for kind in kinds for reversal in kind.reversed_by for name in reversal.match.names}
    for name in measure.trigger.names:
        if name in reversing:
            what = f"`{name}` can make its reader a lead again, who then gets no mail of the customer track"
            check.fault(
                ("trigger", "event"), what, f"move the folder to any/{measure.path.rpartition('/')[2]}/"
            )
            return


def check_answers(check: MeasureCheck) -> None:
    """Check that a measure does not require the stage that only its own answers lead to.

    Its answers are the event of its metric and exits with the reason `converted`. Only evidence that needs the first
    such event (`trials >= 1`) is a fault, because everybody in the stage has sent it. Evidence that needs more of them
    (`orders >= 2`) is allowed.
    """
    measure, playbook = check.measure, check.playbook
    stages = playbook.stages_of(measure.track)
    stage = next((stage for stage in stages if stage.name == measure.stage), None)
    if stage is None:
        return
    answers: dict[str, tuple[str | int, ...]] = {}
    for place, exit_ in enumerate(measure.exits):
        if exit_.reason == "converted" and exit_.event is not None:
            answers[exit_.event] = ("exit", place)
    if measure.metric is not None:
        kind = playbook.entities.get(measure.metric.entity)
        form = "event" if measure.metric.event else "of" if measure.metric.is_sum else "count"
        names = _counting_events(kind) if kind is not None else (measure.metric.event,)
        answers |= dict.fromkeys(names, ("metric", form))
    evidence = set(first_evidence(stage, playbook))
    for event, loc in answers.items():
        if event in evidence:
            what = (
                f"the answer `{event}` is evidence of {stage.name}, and only people already there are asked"
            )
            change = f"move the folder to the stage before, or to {measure.track}/any/"
            check.fault(loc, what, change)


def first_evidence(stage: Stage, playbook: Playbook) -> Iterator[str]:
    """Yield the events whose first occurrence moves a contact into the stage."""
    for name in _names_needed_once(stage.when.expanded):
        root = name.partition(".")[0]
        fact = playbook.facts.get(root)
        if fact is not None:
            yield from source_events(fact, playbook)
        elif root in playbook.entities:
            yield from _counting_events(playbook.entities[root])
    yield from _events_needed_once(stage.when.expanded)


def source_events(fact: Fact, playbook: Playbook) -> Iterator[str]:
    """Yield the names of the events that change a fact."""
    match fact:
        case FoldFact(at_least=1, of=of, over=over) | VerdictFact(yes=of, yes_over=over):
            yield from (name for match in of for name in match.names)
            for match in over:
                yield from _counting_events(playbook.entities[match.kind])
        case FoldFact() | TraitFact() | LabelFact() | RhythmFact():
            return


def _counting_events(kind: EntityKind) -> Iterator[str]:
    """Yield the names of the events from which an entity of the kind counts."""
    yield from (name for match in kind.counts_from or kind.of for name in match.names)


def _names_needed_once(text: str) -> Iterator[str]:
    """Yield names of which one event is enough evidence: `x >= 1`, `x > 0`, `x`, `x == True`, `known(x)`."""
    for node in _nodes(text):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and _is_first(node):
            yield ast.unparse(node.left)
        elif isinstance(node, ast.BoolOp):
            yield from (ast.unparse(part) for part in node.values if isinstance(part, ast.Name))
        elif isinstance(node, ast.Expression) and isinstance(node.body, ast.Name):
            yield node.body.id
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "known" and node.args:
            yield ast.unparse(node.args[0])


def _events_needed_once(text: str) -> Iterator[str]:
    """Yield the events of `count("E") >= 1` and the like."""
    for node in _nodes(text):
        if isinstance(node, ast.Compare) and _is_first(node) and isinstance(node.left, ast.Call):
            call = node.left
            if ast.unparse(call.func) == "count" and call.args and isinstance(call.args[0], ast.Constant):
                yield str(call.args[0].value)


def _is_first(node: ast.Compare) -> bool:
    """Tell whether one event makes the comparison true."""
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
