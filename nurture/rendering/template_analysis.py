"""What a template is made of, read from its syntax tree: the names it needs, its layouts, its literals.

Also the rules that hold before anything is rendered: layouts are named by plain text and exist, loops do not
nest deeper than three, nothing recurses.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import meta, nodes

#: A path into the template's names: ("contact", "first_name"), ("deadline",).
Need = tuple[str, ...]
#: The same by name: which keys are read of each; None: all of it.
Reads = Mapping[str, tuple[str, ...] | None]

_REFERENCES: Final = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_NESTED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that the source breaks."""

    line: int
    what: str
    change: str


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One source file, without the layouts it names."""

    # Names it may read, at most two deep: what is below travels whole.
    needs: frozenset[Need]
    # Layouts it extends, includes or imports, as it names them.
    references: frozenset[str]
    # Text literals: the same in every mail.
    literals: frozenset[str]
    # It can look at text that it has made itself, so that text may hold no marks (see `skeleton`).
    is_introspective: bool
    breaches: tuple[Breach, ...]


def anatomy(tree: nodes.Template) -> Anatomy:
    """Return what the tree of one source shows."""
    references, breaches = set[str](), list[Breach]()
    for node in tree.find_all(_REFERENCES):
        name = getattr(node, "template", None)
        if isinstance(name, nodes.Const) and isinstance(name.value, str):
            references.add(name.value)
        else:
            breaches.append(Breach(node.lineno, "a layout named by an expression", "name it in quotes"))
    breaches += _loops(tree)
    return Anatomy(
        needs=frozenset(_needs(tree)),
        references=frozenset(references),
        literals=frozenset(node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)),
        is_introspective=_is_introspective(tree),
        breaches=tuple(breaches),
    )


def free_names(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """Yield (name, line) of names that the source takes from outside. Costs a compilation: for checks only."""
    free = meta.find_undeclared_variables(tree) - set(_bound(tree))
    seen: set[str] = set()
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name in free and node.name not in seen:
            seen.add(node.name)
            yield node.name, node.lineno


def _bound(tree: nodes.Template) -> Iterator[str]:
    """Yield names that the file gives itself at its top: blocks see them, which Jinja's own search does not."""
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


def line_of(tree: nodes.Template, need: Need) -> int:
    """Return the first line that reads this two-part name; 1 when none does."""
    for node in tree.find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Name) and (node.node.name, node.attr) == need:
            return node.lineno
    return 1


def _needs(node: nodes.Node) -> Iterator[Need]:
    """Yield what is read, bound names among it: a name too many only makes the frozen values larger."""
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
    """Tell whether what a macro or a block has printed goes anywhere but straight into the mail."""
    if any(
        tree.find_all(
            (nodes.AssignBlock, nodes.CallBlock, nodes.FilterBlock, nodes.ScopedEvalContextModifier)
        )
    ):
        return True
    printed = {id(each) for output in tree.find_all(nodes.Output) for each in output.nodes}
    return any(id(call) not in printed and not _is_question(call.node) for call in tree.find_all(nodes.Call))


def _is_question(called: nodes.Expr) -> bool:
    """Tell whether what is called prints nothing: `range`, `loop.cycle`, `text.startswith`."""
    if isinstance(called, nodes.Name):
        return called.name == "range"
    return isinstance(called, nodes.Getattr) and called.attr in ("startswith", "endswith", "cycle", "changed")


def _loops(tree: nodes.Template) -> list[Breach]:
    breaches = [
        Breach(loop.lineno, "a loop that calls itself", "leave `recursive` out")
        for loop in tree.find_all(nodes.For)
        if loop.recursive
    ]

    def walk(node: nodes.Node, depth: int) -> None:
        for child in node.iter_child_nodes():
            deeper = depth + isinstance(child, nodes.For)
            if isinstance(child, nodes.For) and deeper == _NESTED_MAX + 1:
                change = f"nest at most {_NESTED_MAX} loops"
                breaches.append(Breach(child.lineno, "loops nested too deep", change))
            walk(child, deeper)

    walk(tree, 0)
    return breaches


def reads_of(needs: Iterable[Need]) -> Reads:
    """Return what is read, by name."""
    reads: dict[str, tuple[str, ...] | None] = {}
    for name, *keys in sorted(needs):
        # What is read whole sorts first.
        known = reads.get(name, ())
        reads[name] = None if known is None or not keys else (*known, *keys)
    return reads


#: What stands in no mail alone.
_SHARED: Final = frozenset({"brand", "strings", "locale"})
_PLAIN: Final = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Getattr, nodes.Name)


def is_fixed(tree: nodes.Template) -> bool:
    """Tell whether the source only prints text and names that all mails of a locale share.

    A filter makes it no: dates and prices depend on the mail's zone.
    """
    return all(
        type(node) in _PLAIN and (not isinstance(node, nodes.Name) or node.name in _SHARED)
        for node in (tree, *tree.find_all(nodes.Node))
    )
