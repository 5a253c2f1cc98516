"""Check the texts that conditions compare names with: stages, tracks, personas and the texts of labels."""

import ast
from collections.abc import Iterator

from nurture.domain.conditions import Condition
from nurture.domain.playbook import BandFact, LabelFact, Playbook
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults
from nurture.playbook.folder import PROGRAMME


def report_unknown_texts(
    condition: Condition, playbook: Playbook, document: Document, loc: Loc, faults: Faults
) -> None:
    """Add a fault for each text that the name beside it never has."""
    for name, text in compared_texts(condition.text):
        known = _texts_of(name, playbook, faults)
        fact = playbook.facts.get(name)
        if isinstance(fact, BandFact) and text not in fact.texts:
            bands = ", ".join(band for band, _ in fact.bands)
            faults.at(document, loc, f'{name} has bands {bands}: "{text}" is none', "name one of them")
        elif known is not None and text not in known:
            what, change = f"no {name} `{text}`", f"known: {', '.join(sorted(known)) or '(none yet)'}"
            faults.at(document, loc, what, change)


def _texts_of(name: str, playbook: Playbook, faults: Faults) -> frozenset[str] | None:
    fact = playbook.facts.get(name)
    if isinstance(fact, LabelFact):
        return fact.texts | fact.default_texts
    match name:
        case "stage":
            return faults.known(PROGRAMME, "stages", (stage.name for stage in playbook.stages), depth=3)
        case "track":
            return frozenset({"lead", "customer"})
        case "persona":
            return faults.known(PROGRAMME, "personas", (persona.name for persona in playbook.personas))
        case _:
            return None


def compared_texts(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of each `name == "text"`, `name != "text"` and `name in ["text", ...]`."""
    try:
        tree = ast.parse(f"({text}\n)", mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name):
            for comparator in node.comparators:
                for leaf in ast.walk(comparator):
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                        yield node.left.id, leaf.value


def required_texts(text: str) -> Iterator[tuple[str, str]]:
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
