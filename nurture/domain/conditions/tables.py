"""Tables in conditions: a comparison with `table(NAME)` becomes one comparison for each row."""

import ast
import copy
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nurture.domain.instant import DAY

#: The name under which a run's conditions read the property by which a table looks up.
AT_HAND = "at_hand"

TableValue = int | float | str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values, looked up by a fact, a ladder, or a property of the entity that a run is about."""

    name: str
    # `tier`, `stage`; of a property `at_hand.category`.
    by: str
    # Text -> value; durations in microseconds.
    rows: Mapping[str, TableValue]
    type: Literal["number", "text", "duration"]
    # The value for every other text, and where the text is unknown; None: there is none.
    otherwise: TableValue | None = None

    @property
    def property_name(self) -> str:
        """Return the property by which it looks up, "" for a fact or a ladder."""
        root, _, name = self.by.partition(".")
        return name if root == AT_HAND else ""

    def value_for(self, text: object) -> TableValue | None:
        """Return the value of the row of a text, the value of `else` where it has none."""
        return self.rows.get(text, self.otherwise) if isinstance(text, str) else self.otherwise

    def in_days(self, value: TableValue | None) -> TableValue | None:
        """Return a value as conditions, events and mails read it: a duration as its number of whole days."""
        return value // DAY if self.type == "duration" and isinstance(value, int) else value

    @property
    def values(self) -> tuple[TableValue, ...]:
        """Return the values of its rows and of `else`."""
        return (*self.rows.values(), *(() if self.otherwise is None else (self.otherwise,)))


def table_call(tree: ast.AST) -> ast.Call | None:
    """Return the first call of `table(...)` in a tree."""
    return next((node for node in ast.walk(tree) if is_table_call(node)), None)  # type: ignore[return-value]


def is_table_call(node: ast.AST) -> bool:
    """Tell whether a node is a call of `table(...)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "table"


def rows_of(table: Table) -> Iterator[tuple[str, ast.expr, TableValue]]:
    """Yield (words, condition of the row, value in conditions) of each row and of `else`; one condition is yes.

    A duration is a number of whole days. Raises ValueError for one that is not whole.
    """
    by = ast.parse(table.by, mode="eval").body
    for text, value in table.rows.items():
        equal = ast.Compare(by, [ast.Eq()], [ast.Constant(text)])
        yield f'{table.by} == "{text}"', _is_yes(equal), _in_conditions(table, value)
    if table.otherwise is not None:
        among = ast.Compare(
            by, [ast.In()], [ast.List([ast.Constant(text) for text in table.rows], ast.Load())]
        )
        not_among = ast.UnaryOp(ast.Not(), _is_yes(among))
        yield f"{table.by} in no other row", not_among, _in_conditions(table, table.otherwise)


def _is_yes(condition: ast.expr) -> ast.expr:
    return ast.Compare(condition, [ast.Is()], [ast.Name("yes", ast.Load())])


def _in_conditions(table: Table, value: TableValue) -> TableValue:
    if table.type != "duration" or not isinstance(value, int):
        return value
    if value % DAY:
        raise ValueError(table.name)
    return value // DAY


class _Replacement(ast.NodeTransformer):
    """Puts a value in place of every call that is written alike."""

    def __init__(self, call: ast.Call, value: ast.expr) -> None:
        self._written = ast.dump(call)
        self._value = value

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Replace the call."""
        if ast.dump(node) == self._written:
            return self._value
        replaced: ast.expr = self.generic_visit(node)  # type: ignore[assignment]
        return replaced


def with_value(
    tree: ast.Compare, call: ast.Call, value: ast.expr, pieces: dict[ast.expr, str]
) -> ast.Compare:
    """Return a copy of the tree with the value in place of every such call.

    pieces: texts of nodes; the copies get the same.
    """
    copied = copy.deepcopy(tree)
    for node, twin in zip(ast.walk(tree), ast.walk(copied), strict=True):
        if isinstance(node, ast.expr) and isinstance(twin, ast.expr) and node in pieces:
            pieces[twin] = pieces[node]
    replaced: ast.Compare = _Replacement(call, value).visit(copied)
    return replaced


def fixed_answer(node: ast.Compare) -> bool | None:
    """Return the answer of a comparison of numbers or texts that are all written out; None for another one."""
    try:
        values = [ast.literal_eval(side) for side in (node.left, *node.comparators)]
        pairs = zip(values, node.ops, values[1:], strict=False)
        return all(_TESTS[type(op)](left, right) for left, op, right in pairs)
    except (ValueError, TypeError, KeyError):
        return None


_TESTS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, holder: item in holder,
    ast.NotIn: lambda item, holder: item not in holder,
}
