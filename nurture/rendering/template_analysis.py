"""Analysis of a template's syntax tree: the names it reads, its layouts, its literals, the rules that it breaks.

The rules: a layout is named by a text literal, loops nest at most three deep, no loop is recursive.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, meta, nodes

#: A path of one or two names: ("contact", "first_name"), ("deadline",).
NamePath = tuple[str, ...]
#: First name -> keys that are read of it; None: all of it.
ReadNames = Mapping[str, tuple[str, ...] | None]

_REFERENCES: Final = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_NESTED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A place where the source breaks a rule."""

    line: int
    what: str
    change: str


@dataclass(frozen=True, slots=True)
class TemplateAnalysis:
    """The analysis of one source file, without the layouts it names."""

    # Names it may read, at most two deep; a deeper value is read whole.
    needs: frozenset[NamePath]
    # Layouts that it extends, includes or imports, as it names them.
    references: frozenset[str]
    # Text literals: the same in every mail.
    literals: frozenset[str]
    # It can read text that it has printed itself, so that text must hold no marks (see `html_cache`).
    is_introspective: bool
    violations: tuple[RuleViolation, ...]


def analyze(tree: nodes.Template) -> TemplateAnalysis:
    """Return the analysis of one source's tree."""
    references, violations = set[str](), list[RuleViolation]()
    for node in tree.find_all(_REFERENCES):
        name = getattr(node, "template", None)
        if isinstance(name, nodes.Const) and isinstance(name.value, str):
            references.add(name.value)
        else:
            violations.append(
                RuleViolation(node.lineno, "a layout named by an expression", "name it in quotes")
            )
    violations += _loop_violations(tree)
    return TemplateAnalysis(
        needs=frozenset(_needs(tree)),
        references=frozenset(references),
        literals=frozenset(node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)),
        is_introspective=_is_introspective(tree),
        violations=tuple(violations),
    )


def free_names(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """Yield (name, line) of names that the source reads without defining them. Compiles the source: for checks only."""
    free = meta.find_undeclared_variables(tree) - set(_bound(tree))
    seen: set[str] = set()
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name in free and node.name not in seen:
            seen.add(node.name)
            yield node.name, node.lineno


def reads_only(tree: nodes.Template, known: frozenset[str], env: Environment) -> bool:
    """Tell at once that a source reads known names alone, and uses known filters and tests; False: `free_names` tells.

    Most sources define no name of their own but by imports, and the whole search takes as long as compiling them.
    """
    names = known | set(_bound(tree))
    return (
        all(node.name in names for node in tree.find_all(nodes.Name) if node.ctx == "load")
        and all(node.name in env.filters for node in tree.find_all(nodes.Filter))
        and all(node.name in env.tests for node in tree.find_all(nodes.Test))
    )


def _bound(tree: nodes.Template) -> Iterator[str]:
    """Yield names that the file defines at its top level: blocks see them, and Jinja's own search misses them."""
    for node in tree.body:
        if isinstance(node, nodes.Macro):
            yield node.name
        elif isinstance(node, nodes.Import):
            yield node.target
        elif isinstance(node, nodes.FromImport):
            yield from (name if isinstance(name, str) else name[1] for name in node.names)
        elif isinstance(node, nodes.Assign):
            yield from (target.name for target in node.target.find_all(nodes.Name))
            if isinstance(node.target, nodes.Name):
                yield node.target.name


def line_of(tree: nodes.Template, need: NamePath) -> int:
    """Return the first line that reads this two-part name; 1 when none does."""
    for node in tree.find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Name) and (node.node.name, node.attr) == need:
            return node.lineno
    return 1


def _needs(node: nodes.Node) -> Iterator[NamePath]:
    """Yield the paths that are read, names of loop variables included; a surplus name only makes the context larger."""
    if isinstance(node, nodes.Name):
        if node.ctx == "load":
            yield (node.name,)
        return
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        yield (node.node.name, node.attr)
        return
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.node, nodes.Name)
        and isinstance(node.arg, nodes.Const)
    ):
        yield (node.node.name, str(node.arg.value))
        return
    for child in node.iter_child_nodes():
        yield from _needs(child)


def _is_introspective(tree: nodes.Template) -> bool:
    """Tell whether the output of a macro or a block goes anywhere but straight into the mail."""
    if any(
        tree.find_all(
            (nodes.AssignBlock, nodes.CallBlock, nodes.FilterBlock, nodes.ScopedEvalContextModifier)
        )
    ):
        return True
    printed = {id(node) for output in tree.find_all(nodes.Output) for node in output.nodes}
    return any(
        id(call) not in printed and not _prints_nothing(call.node) for call in tree.find_all(nodes.Call)
    )


def _prints_nothing(called: nodes.Expr) -> bool:
    """Tell whether the called function prints nothing: `range`, `loop.cycle`, `text.startswith`."""
    if isinstance(called, nodes.Name):
        return called.name == "range"
    return isinstance(called, nodes.Getattr) and called.attr in ("startswith", "endswith", "cycle", "changed")


def _loop_violations(tree: nodes.Template) -> list[RuleViolation]:
    violations = [
        RuleViolation(loop.lineno, "a loop that calls itself", "leave `recursive` out")
        for loop in tree.find_all(nodes.For)
        if loop.recursive
    ]

    def walk(node: nodes.Node, depth: int) -> None:
        for child in node.iter_child_nodes():
            deeper = depth + isinstance(child, nodes.For)
            if isinstance(child, nodes.For) and deeper == _NESTED_MAX + 1:
                change = f"nest at most {_NESTED_MAX} loops"
                violations.append(RuleViolation(child.lineno, "loops nested too deep", change))
            walk(child, deeper)

    walk(tree, 0)
    return violations


def group_reads(needs: Iterable[NamePath]) -> ReadNames:
    """Return the keys that are read, by first name."""
    reads: dict[str, tuple[str, ...] | None] = {}
    for name, *keys in sorted(needs):
        # The path without a key sorts first.
        known = reads.get(name, ())
        reads[name] = None if known is None or not keys else (*known, *keys)
    return reads


#: Names whose values all mails of a locale share.
_SHARED: Final = frozenset({"brand", "strings", "locale"})
_PLAIN: Final = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Getattr, nodes.Name)


def is_fixed(tree: nodes.Template) -> bool:
    """Tell whether the source only prints text and names that all mails of a locale share.

    False for a source with a filter: dates depend on the mail's zone.
    """
    return all(
        type(node) in _PLAIN and (not isinstance(node, nodes.Name) or node.name in _SHARED)
        for node in (tree, *tree.find_all(nodes.Node))
    )
