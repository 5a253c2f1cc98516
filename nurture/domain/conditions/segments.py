"""Segments: names for conditions, which take the place of their names before a condition is built.

A plain segment is one condition. A ladder is a list of them: its text is the name of the first rung whose condition
is yes. Both are replaced in the syntax tree, so that all readings of a condition know nothing of them.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nurture.domain.conditions.syntax import Source, check_depth, parse_expression, suggest_nearest
from nurture.domain.conditions.tables import (
    Table,
    fixed_answer,
    is_table_call,
    rows_of,
    table_call,
    with_value,
)
from nurture.domain.conditions.terms import SegmentText, Vocabulary

#: A condition may have this many parts with all of its segments in place.
_PARTS_MAX = 2_000


def expand(source: Source, tree: ast.expr, vocabulary: Vocabulary) -> ast.expr:
    """Return the tree with every segment replaced by its conditions.

    The texts of the pieces that come from segments are noted in the source, none when the tree names none.
    Raises ConditionError for a ladder that is not compared with its rungs, for segments that read each other in a
    circle, and for a tree that gets too large.
    """
    if names_in(tree).isdisjoint({*vocabulary.segments, "table"}):
        return tree
    expanded: ast.expr = _Expansion(source, vocabulary).visit(tree)
    for count, _ in enumerate(ast.walk(expanded)):
        if count > _PARTS_MAX:
            raise source.fault(
                tree, "the condition is too long with its segments in place; make facts of its parts"
            )
    check_depth(source, expanded)
    return expanded


def names_in(tree: ast.AST) -> set[str]:
    """Return the plain names that the tree reads."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def find_circle(segments: Iterable[SegmentText]) -> tuple[str, ...]:
    """Return names of segments that read each other in a circle, the first one last again; () without any."""
    reads = {segment.name: sorted(_names_of(segment)) for segment in segments}
    for name in reads:
        if path := _path_back(name, name, reads, ()):
            return path
    return ()


def _names_of(segment: SegmentText) -> set[str]:
    names: set[str] = set()
    for _, when in segment.rungs:
        try:
            names |= names_in(ast.parse(f"({when}\n)", mode="eval"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return names


def _path_back(name: str, goal: str, reads: dict[str, list[str]], passed: tuple[str, ...]) -> tuple[str, ...]:
    for read in reads.get(name, ()):
        if read == goal:
            return (*passed, name, goal)
        is_new = read in reads and read not in (*passed, name)
        if is_new and (path := _path_back(read, goal, reads, (*passed, name))):
            return path
    return ()


@dataclass(slots=True)
class _Expansion(ast.NodeTransformer):
    """Replaces segments in one tree. `reading` are the segments that are being replaced around it."""

    source: Source
    vocabulary: Vocabulary
    reading: tuple[str, ...] = ()
    _known: dict[str, ast.expr] = field(default_factory=dict)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a plain segment by its condition."""
        segment = self.vocabulary.segments.get(node.id)
        if segment is None:
            return node
        if segment.is_ladder:
            rung = segment.texts[0] if segment.texts else "..."
            raise self.source.fault(
                node, f'{node.id} is a ladder; compare it with a rung, for example {node.id} == "{rung}"'
            )
        return self._note(ast.BoolOp(ast.And(), [self._condition(segment, 0, node)]), node, node.id)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Replace `known(ladder)`; a ladder with `else` is always known, and so is a table."""
        if is_table_call(node):
            text = self.source.piece(node)
            raise self.source.fault(node, f"{text} is a value; compare it, for example orders >= {text}")
        if isinstance(node.func, ast.Name) and node.func.id == "known" and table_call(node) is not None:
            self._table_of(node, table_call(node))
            return self._note(ast.Constant(True), node, self.source.piece(node))
        ladder = self._ladder_of(node.args[0]) if len(node.args) == 1 else None
        if ladder is None or not isinstance(node.func, ast.Name) or node.func.id != "known":
            return self._visit_parts(node)
        text = self.source.piece(node)
        if ladder.otherwise is not None:
            return self._note(ast.Constant(True), node, text)
        rungs = [self._is_yes(ladder, place, node) for place in range(len(ladder.rungs))]
        return self._note(ast.BoolOp(ast.Or(), rungs), node, text)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Replace a comparison with a table, or of a ladder with one rung or a list of them."""
        if (call := table_call(node)) is not None:
            return self._compare_rows(node, call)
        sides = [node.left, *node.comparators]
        ladder = next((found for side in sides if (found := self._ladder_of(side))), None)
        if ladder is None:
            return self._visit_parts(node)
        text = self.source.piece(node)
        wanted = _fixed_texts(node)
        if wanted is None:
            raise self.source.fault(
                node,
                f'{text}: a ladder is compared with its rungs; write {ladder.name} == "..." or {ladder.name} in [...]',
            )
        for option in wanted:
            if option not in ladder.texts:
                known = ", ".join(ladder.texts)
                near = suggest_nearest(option, ladder.texts)
                raise self.source.fault(
                    node, f'{ladder.name} has no rung "{option}"{near or f"; known: {known}"}'
                )
        stands: list[ast.expr] = [self._stands_on(ladder, option, node) for option in dict.fromkeys(wanted)]
        is_there = stands[0]
        if len(stands) > 1:
            is_there = self._note(ast.BoolOp(ast.Or(), stands), node, text)
        if isinstance(node.ops[0], ast.NotEq | ast.NotIn):
            return self._note(ast.UnaryOp(ast.Not(), is_there), node, text)
        return self._note(is_there, node, text)

    def _compare_rows(self, node: ast.Compare, call: ast.Call) -> ast.expr:
        """Return the comparison for each row of a table, of which the one counts whose row it is."""
        table, text = self._table_of(node, call), self.source.piece(node)
        parts: list[ast.expr] = []
        try:
            for words, is_row, value in rows_of(table):
                literal = self._note(ast.Constant(value), node, repr(value))
                compared = with_value(node, call, literal, self.source.pieces)
                answer = fixed_answer(compared)
                holds = compared if answer is None else self._note(ast.Constant(answer), node, text)
                for made in _expressions(is_row):
                    self._note(made, node, words)
                parts.append(self._note(ast.BoolOp(ast.And(), [is_row, holds]), node, f"{words}: {value}"))
        except ValueError:
            raise self.source.fault(
                node, f"table {table.name} holds durations that are no whole days; compare whole days only"
            ) from None
        visited: ast.expr = self.visit(self._note(ast.BoolOp(ast.Or(), parts), node, text))
        return visited

    def _table_of(self, node: ast.expr, call: ast.Call | None) -> Table:
        """Return the table that a call names. Raises ConditionError for one that is not there, or not known here."""
        argument = call.args[0] if call is not None and len(call.args) == 1 and not call.keywords else None
        if not isinstance(argument, ast.Name):
            text = "table()" if call is None else self.source.piece(call)
            raise self.source.fault(node, f"{text} is not supported; write for example table(reward)")
        tables = self.vocabulary.tables
        table = tables.get(argument.id)
        if table is None:
            known = ", ".join(sorted(tables)) or "(none yet)"
            near = suggest_nearest(argument.id, tables) or f"; known: {known}"
            raise self.source.fault(node, f"there is no table {argument.id}{near}")
        if table.property_name and self.vocabulary.term(table.by) is None:
            what = f"table {table.name} looks up by `{table.property_name}` of a run's entity"
            raise self.source.fault(node, f"{what}; ask in a step, or look up by a fact")
        return table

    def _visit_parts(self, node: ast.expr) -> ast.expr:
        visited: ast.expr = self.generic_visit(node)  # type: ignore[assignment]
        return visited

    def _ladder_of(self, node: ast.expr) -> SegmentText | None:
        segment = self.vocabulary.segments.get(node.id) if isinstance(node, ast.Name) else None
        return segment if segment is not None and segment.is_ladder else None

    def _stands_on(self, ladder: SegmentText, text: str, node: ast.expr) -> ast.expr:
        """Return the condition that this rung is the first one that is yes; for `else`, that none is."""
        names = [name for name, _ in ladder.rungs]
        place = names.index(text) if text in names else len(names)
        parts: list[ast.expr] = [self._is_not_yes(ladder, before, node) for before in range(place)]
        if place < len(names):
            parts.append(self._is_yes(ladder, place, node))
        return self._note(ast.BoolOp(ast.And(), parts), node, f'{ladder.name} == "{text}"')

    def _is_yes(self, ladder: SegmentText, place: int, node: ast.expr) -> ast.expr:
        is_yes = ast.Compare(self._condition(ladder, place, node), [ast.Is()], [ast.Name("yes", ast.Load())])
        return self._note(is_yes, node, ladder.rungs[place][0])

    def _is_not_yes(self, ladder: SegmentText, place: int, node: ast.expr) -> ast.expr:
        name, _ = ladder.rungs[place]
        return self._note(ast.UnaryOp(ast.Not(), self._is_yes(ladder, place, node)), node, f"not {name}")

    def _condition(self, segment: SegmentText, place: int, node: ast.expr) -> ast.expr:
        """Return the tree of one of the segment's conditions, with the segments in it replaced."""
        if segment.name in self.reading:
            circle = " reads ".join((*self.reading[self.reading.index(segment.name) :], segment.name))
            raise self.source.fault(node, f"segment {circle}; break the circle")
        key = f"{segment.name} {place}"
        if key not in self._known:
            inner, tree = parse_expression(segment.rungs[place][1])
            tree = _Expansion(inner, self.vocabulary, (*self.reading, segment.name)).visit(tree)
            for piece in _expressions(tree):
                self._note(piece, node, inner.piece(piece))
            self._known[key] = tree
        return self._known[key]

    def _note(self, made: ast.expr, node: ast.expr, text: str) -> ast.expr:
        """Note the text of an expression that stands in place of a node; a fault in it points at the node."""
        ast.copy_location(made, node)
        self.source.pieces[made] = text
        return made


def _fixed_texts(node: ast.Compare) -> list[str] | None:
    """Return the texts with which a comparison compares one name; None for another form."""
    if len(node.ops) != 1:
        return None
    left, right = node.left, node.comparators[0]
    options: Sequence[ast.expr]
    if isinstance(node.ops[0], ast.Eq | ast.NotEq):
        options = [right if isinstance(left, ast.Name) else left]
    elif isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(right, ast.List | ast.Tuple):
        options = right.elts
    else:
        return None
    texts = [option.value for option in options if isinstance(option, ast.Constant)]
    fixed = [text for text in texts if isinstance(text, str)]
    return fixed if fixed and len(fixed) == len(options) else None


def _expressions(tree: ast.expr) -> Iterator[ast.expr]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.expr))
