"""Conditions with three answers: True, False and unknown (None), compiled from text to closures over `ast`.

A compiled condition takes a `View`: the person's facts at an instant, and what the run and the mail add to them.
"""

import ast
import dataclasses
import decimal
import operator
import re
from collections.abc import Callable
from typing import Any

from .clock import Zone
from .values import DAY, NEVER, UNKNOWN, seconds

FAR = 10**9  # days; larger than every count of days
COMPARE = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclasses.dataclass(slots=True)
class View:
    """The values that a condition may read."""

    facts: dict[str, Any]
    now: int
    zone: Zone
    scope: dict[str, dict[str, Any]]


Answer = Callable[[View], Any]
NOTHING: dict[str, dict[str, Any]] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """A condition, and whether its answer may change by time alone."""

    answer: Answer
    by_time: bool
    text: str
    asks: bool = False

    def yes(self, view: View) -> bool:
        """Whether the answer is yes; unknown is not."""
        return self.answer(view) is True


@dataclasses.dataclass(slots=True)
class Names:
    """The names of a playbook that conditions read in a way of their own."""

    # Facts that count a span, and the span.
    windows: dict[str, int] = dataclasses.field(default_factory=dict)
    segments: dict[str, Any] = dataclasses.field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    # Facts, and the names that everybody has: a table by another name looks a property up.
    facts: frozenset[str] = frozenset()


def compile_condition(text: Any, names: Names | None = None, bare: str = "") -> Condition:
    """Compile a condition with the playbook's names; `bare` is the scope of plain names, if any."""
    source = str(text)
    compiler = Compiler(names or Names(), bare)
    answer = compiler.node(ast.parse(source, mode="eval").body)
    return Condition(answer, compiler.by_time, source, compiler.asks)


def compile_table(name: str, names: Names) -> Answer:
    """The value that a table gives: a number, a text, or the seconds of a duration."""
    return Compiler(names, "").table_of(name)


class Compiler:
    """Turns a syntax tree into closures."""

    def __init__(self, names: Names, bare: str) -> None:
        self.names = names
        self.windows = names.windows
        self.bare = bare
        self.by_time = False
        # Whether it asks for runs of measures.
        self.asks = False

    def node(self, node: ast.AST) -> Answer:
        """Compile one node."""
        method: Callable[[ast.AST], Answer] | None = getattr(self, "on_" + type(node).__name__.lower(), None)
        if method is None:
            raise ValueError(f"not a part of conditions: {ast.dump(node)}")
        return method(node)

    def on_constant(self, node: ast.Constant) -> Answer:
        """A literal."""
        value: Any = node.value
        if isinstance(value, float):
            value = decimal.Decimal(str(value))
        return lambda _: value

    def on_list(self, node: ast.List) -> Answer:
        """A list of literals."""
        if all(isinstance(item, ast.Constant) for item in node.elts):
            literals = tuple(item.value for item in node.elts if isinstance(item, ast.Constant))
            return lambda _: literals
        values = tuple(self.node(item) for item in node.elts)
        return lambda view: tuple(value(view) for value in values)

    on_tuple = on_list

    def on_name(self, node: ast.Name) -> Answer:
        """A fact, a `let` value, or a property of the event where plain names are those."""
        name = node.id
        if name == "now":
            self.by_time = True
            return lambda view: view.now
        if name in self.names.segments:
            return self.segment(name)
        if self.bare:
            bare = self.bare
            return lambda view: view.scope.get(bare, NOTHING).get(name)
        if name in self.windows:
            return self.window(name)

        def read(view: View) -> Any:
            lets = view.scope.get("let")
            return lets[name] if lets and name in lets else view.facts.get(name)

        return read

    def segment(self, name: str) -> Answer:
        """A named condition, or the text of a ladder: its first rung that is yes."""
        spec = self.names.segments[name]
        if not isinstance(spec, list):
            return self.text(spec)
        rungs = [(rung, self.text(when)) for step in spec for rung, when in step.items() if rung != "else"]
        last = next((step["else"] for step in spec if "else" in step), UNKNOWN)

        def result(view: View) -> Any:
            return next((rung for rung, when in rungs if when(view) is True), last)

        return result

    def text(self, text: Any) -> Answer:
        """A condition that stands elsewhere."""
        return self.node(ast.parse(str(text), mode="eval").body)

    def is_ladder(self, node: ast.AST) -> bool:
        """Whether a node names a ladder, whose comparisons are always known."""
        return isinstance(node, ast.Name) and isinstance(self.names.segments.get(node.id), list)

    def call_table(self, args: list[ast.expr]) -> Answer:
        """`table(NAME)`: its value; a duration is its whole days."""
        name = args[0].id if isinstance(args[0], ast.Name) else ""
        value = self.table_of(name)
        if not is_of_durations(self.names.tables[name]):
            return value
        return lambda view: value(view) // DAY

    def table_of(self, name: str) -> Answer:
        """The value of the row that applies."""
        table = self.names.tables[name]
        by, rows = table["by"], {key: table_value(value) for key, value in table["rows"].items()}
        last = table_value(table["else"]) if "else" in table else UNKNOWN
        if self.is_ladder(ast.Name(by)):
            text = self.segment(by)
        elif by in self.names.facts:
            text = self.on_name(ast.Name(by))
        else:
            text = property_of_run(by)

        def result(view: View) -> Any:
            return rows.get(text(view), last)

        return result

    def call_in_measure(self, args: list[ast.expr]) -> Answer:
        """`in_measure(PATH)`: whether a run of it is active."""
        self.asks = True
        path = texts(args)[0]
        return lambda view: view.facts["#in_measure"](path)

    def call_last_sent(self, args: list[ast.expr]) -> Answer:
        """`last_sent(PATH)`: when a mail of it left last."""
        path = texts(args)[0]
        return lambda view: view.facts["#last_sent"](path)

    def window(self, name: str) -> Answer:
        """How many events fell within the last span."""
        self.by_time = True
        span = self.windows[name]

        def count(view: View) -> int:
            since = view.now - span
            return sum(1 for moment in view.facts.get(name) or () if moment > since)

        return count

    def on_attribute(self, node: ast.Attribute) -> Answer:
        """A field: of an entity or a verdict among the facts, of the event, the run's entity or an object."""
        if isinstance(node.value, ast.Attribute):
            step, part = node.value.attr, ("outcome", "reason").index(node.attr)
            return lambda view: view.scope.get("steps", NOTHING).get(step, (UNKNOWN, UNKNOWN))[part]
        if not isinstance(node.value, ast.Name):
            raise TypeError("only NAME.FIELD")
        first, field = node.value.id, node.attr
        whole = f"{first}.{field}"

        def read(view: View) -> Any:
            scope = view.scope.get(first)
            return view.facts.get(whole) if scope is None else scope.get(field)

        return read

    def on_boolop(self, node: ast.BoolOp) -> Answer:
        """`and`, and `or`, which is also the default of what is unknown."""
        parts = tuple(self.node(value) for value in node.values)
        return all_of(parts) if isinstance(node.op, ast.And) else any_of(parts)

    def on_unaryop(self, node: ast.UnaryOp) -> Answer:
        """`not`, and the sign of a number."""
        part = self.node(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda view: UNKNOWN if (value := part(view)) is None else not value
        sign = -1 if isinstance(node.op, ast.USub) else 1
        return lambda view: UNKNOWN if (value := part(view)) is None else sign * value

    def on_binop(self, node: ast.BinOp) -> Answer:
        """Sums and differences of numbers."""
        left, right = self.node(node.left), self.node(node.right)
        do = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}[type(node.op)]

        def result(view: View) -> Any:
            one, two = left(view), right(view)
            return UNKNOWN if one is None or two is None else do(one, two)

        return result

    def on_compare(self, node: ast.Compare) -> Answer:
        """One comparison, or a chain of them."""
        if len(node.ops) > 1:
            sides = [node.left, *node.comparators]
            links = [
                ast.Compare(left=left, ops=[op], comparators=[right])
                for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
            ]
            return all_of(tuple(self.on_compare(link) for link in links))
        op, right = node.ops[0], node.comparators[0]
        if isinstance(op, (ast.Is, ast.IsNot)):
            return self.verdict(node.left, isinstance(op, ast.Is), right)
        if self.is_ladder(node.left):
            return self.on_ladder(node.left, op, right)
        if isinstance(op, (ast.In, ast.NotIn)):
            return self.contained(node.left, isinstance(op, ast.In), right)
        one, two, test = self.node(node.left), self.node(right), COMPARE[type(op)]
        if isinstance(right, ast.Constant) and not isinstance(right.value, float):
            return against(one, test, right.value)

        def result(view: View) -> Any:
            left_value, right_value = one(view), two(view)
            if left_value is None or right_value is None:
                return UNKNOWN
            return test(left_value, right_value)

        return result

    def on_ladder(self, left: ast.AST, op: ast.cmpop, right: ast.AST) -> Answer:
        """A ladder beside its rungs."""
        ladder, rungs = self.node(left), self.node(right)
        if isinstance(op, (ast.In, ast.NotIn)):
            return lambda view: (ladder(view) in rungs(view)) is isinstance(op, ast.In)
        return lambda view: (ladder(view) == rungs(view)) is isinstance(op, ast.Eq)

    def verdict(self, left: ast.AST, positive: bool, right: ast.AST) -> Answer:
        """`is yes`, `is not no`, `is unknown`: always known."""
        part = self.node(left)
        wanted = right.id if isinstance(right, ast.Name) else str(getattr(right, "value", ""))

        def result(view: View) -> bool:
            value = part(view)
            word = "unknown" if value is None else value
            return (word == wanted) is positive

        return result

    def contained(self, left: ast.AST, positive: bool, right: ast.AST) -> Answer:
        """`in` and `not in`."""
        one, many = self.node(left), self.node(right)

        def result(view: View) -> Any:
            value, values = one(view), many(view)
            if value is None or values is None:
                return UNKNOWN
            return (value in values) is positive

        return result

    def on_call(self, node: ast.Call) -> Answer:
        """One of the functions."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        method: Callable[[list[ast.expr]], Answer] = getattr(self, "call_" + name)
        return method(node.args)

    def call_known(self, args: list[ast.expr]) -> Answer:
        """`known(x)`."""
        part = self.node(args[0])
        return lambda view: part(view) is not None

    def call_count(self, args: list[ast.expr]) -> Answer:
        """`count("Event")`."""
        names = texts(args)
        if len(names) == 1:
            name = names[0]
            return lambda view: view.facts["#count"].get(name, 0)
        return lambda view: sum(view.facts["#count"].get(name, 0) for name in names)

    def call_last(self, args: list[ast.expr]) -> Answer:
        """`last("Event")`."""
        names = texts(args)

        def result(view: View) -> int:
            lasts, newest = view.facts["#last"], NEVER
            for name in names:
                result = lasts.get(name, NEVER)
                newest = max(newest, result)
            return newest

        return result

    def call_first(self, args: list[ast.expr]) -> Answer:
        """`first("Event")`."""
        names = texts(args)

        def result(view: View) -> int:
            firsts = view.facts["#first"]
            result = [firsts[name] for name in names if name in firsts]
            return min(result) if result else NEVER

        return result

    def call_silent_days(self, args: list[ast.expr]) -> Answer:
        """`silent_days("Event", ...)`."""
        self.by_time = True
        last = self.call_last(args)
        return lambda view: days_between(max(last(view), view.facts["first_seen_at"]), view.now)

    def call_days_since(self, args: list[ast.expr]) -> Answer:
        """`days_since(instant)`."""
        self.by_time = True
        part = self.node(args[0])
        return lambda view: UNKNOWN if (value := part(view)) is None else days_between(value, view.now)

    def call_days_until(self, args: list[ast.expr]) -> Answer:
        """`days_until(instant)`."""
        self.by_time = True
        part = self.node(args[0])

        def result(view: View) -> Any:
            value = part(view)
            if value is None:
                return UNKNOWN
            return -FAR if value == NEVER else (value - view.now) // DAY

        return result

    def call_max(self, args: list[ast.expr]) -> Answer:
        """The later of instants."""
        return self.extreme(args, max)

    def call_min(self, args: list[ast.expr]) -> Answer:
        """The earlier of instants."""
        return self.extreme(args, min)

    def extreme(self, args: list[ast.expr], choose: Callable[[list[Any]], Any]) -> Answer:
        """`max` and `min`; unknown where one of them is."""
        parts = tuple(self.node(arg) for arg in args)

        def result(view: View) -> Any:
            values = [part(view) for part in parts]
            return UNKNOWN if None in values else choose(values)

        return result

    def call_local_weekday(self, _: list[ast.expr]) -> Answer:
        """`local_weekday()`: mon to sun."""
        self.by_time = True
        return lambda view: view.zone.local(view.now)[0]

    def call_local_month(self, _: list[ast.expr]) -> Answer:
        """`local_month()`."""
        self.by_time = True
        return lambda view: view.zone.local(view.now)[1]

    def call_local_day(self, _: list[ast.expr]) -> Answer:
        """`local_day()`: of the month."""
        self.by_time = True
        return lambda view: view.zone.local(view.now)[2]

    def call_local_hour(self, _: list[ast.expr]) -> Answer:
        """`local_hour()`."""
        self.by_time = True
        return lambda view: view.zone.local(view.now)[3]


def against(one: Answer, test: Callable[[Any, Any], bool], value: Any) -> Answer:
    """A comparison with a literal."""

    def result(view: View) -> Any:
        result = one(view)
        return UNKNOWN if result is None else test(result, value)

    return result


def all_of(parts: tuple[Answer, ...]) -> Answer:
    """`and`: no if one is no, else unknown if one is unknown."""

    def result(view: View) -> Any:
        answer: Any = True
        for part in parts:
            value = part(view)
            if value is False:
                return False
            if value is None:
                answer = UNKNOWN
        return answer

    return result


def any_of(parts: tuple[Answer, ...]) -> Answer:
    """`or`: the first value that is neither no nor unknown; of answers, yes if one is yes."""

    def result(view: View) -> Any:
        unknown = False
        value: Any = False
        for part in parts:
            value = part(view)
            if value is None:
                unknown = True
            elif value is not False:
                return value
        return UNKNOWN if unknown else False

    return result


def days_between(then: int, now: int) -> int:
    """Whole 24 hours since an instant."""
    return FAR if then == NEVER else (now - then) // DAY


def texts(args: list[ast.expr]) -> tuple[str, ...]:
    """The texts among the arguments."""
    return tuple(str(arg.value) for arg in args if isinstance(arg, ast.Constant))


def is_of_durations(table: dict[str, Any]) -> bool:
    """Whether the values of a table are durations."""
    value = next(iter(table["rows"].values()))
    return isinstance(value, str) and re.fullmatch(r"(\d+[smhdw]\s*)+", value) is not None


def table_value(value: Any) -> Any:
    """A value of a table: a duration as its seconds."""
    if isinstance(value, str) and is_of_durations({"rows": {"": value}}):
        return seconds(value)
    return decimal.Decimal(str(value)) if isinstance(value, float) else value


def property_of_run(name: str) -> Answer:
    """A text of the entity that a run is about: its own, else of its largest line; else of the run's event."""

    def result(view: View) -> Any:
        scope = view.scope
        lines = scope.get("#lines", NOTHING)
        largest = max(lines.values(), key=lambda line: line["#cost"], default=NOTHING)
        values = (scope.get("entity", NOTHING), largest, scope.get("event", NOTHING))
        return next(
            (value for value in (part.get(name) for part in values) if isinstance(value, str)), UNKNOWN
        )

    return result
