"""Traced values: a template that runs with them reports every question it asks about the values, and what it prints.

A template's run is decided by what it asks of the values: which keys are there, whether one is true, how long a list
is, how a comparison comes out. A traced value stands for a value of the mail; each such question is noted in the
order of the run, and a printed value becomes a numbered mark. From the values of another mail the cache can then
tell, without a run, whether its run would ask the same questions and get the same answers; if so, only the printed
values differ.

An operation that a traced value cannot follow raises `Untraceable` (or the TypeError of a missing operator). Then the
run is not recorded.
"""

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import jinja2
from markupsafe import escape

from nurture.rendering.marks import CLOSE, OPEN

Answer = TypeVar("Answer", bound=Hashable)
#: Reads one value from a mail's values, or computes one from them.
ReadValue = Callable[[dict[str, Any]], Any]


# Types that may be mixed with traced values in a call: nothing in the sandbox can change them.
_CONSTANT: Final = (str, int, float, list, tuple, dict)


class Untraceable(Exception):
    """The run uses a value in a way that cannot be traced."""


class Trace:
    """The questions that one run asked about its values, and the values it printed."""

    def __init__(self) -> None:
        # (question, answer), in the order of the run.
        self.observations: list[tuple[ReadValue, Hashable]] = []
        # By the number of the mark: reads the text as it is printed.
        self.printed: list[Callable[[dict[str, Any]], str]] = []
        self._observed: set[Hashable] = set()
        self._marks: dict[Hashable, int] = {}
        self._count = 0

    def root(self, name: str, value: Any, read: ReadValue | None = None) -> "TracedValue":
        """Return a traced value for one of the template's names."""
        return TracedValue(self, ("root", name), read or operator.itemgetter(name), value)

    def observe(self, key: Hashable, ask: ReadValue, answer: Answer) -> Answer:
        """Note a question and its answer, once per key; return the answer."""
        if key not in self._observed:
            self._observed.add(key)
            self.observations.append((ask, answer))
        return answer

    def mark(self, value: "TracedValue", *, escaped: bool) -> str:
        """Return the mark that stands for a printed value; the same value has the same mark."""
        key = (value.key, escaped)
        number = self._marks.get(key)
        if number is None:
            number = self._marks[key] = len(self.printed)
            self.printed.append(_escaped(value.read) if escaped else _text(value.read))
        return f"{OPEN}{number}{CLOSE}"

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> "TracedValue":
        """Return the traced result of a pure function whose arguments are, or hold, traced values."""
        result = function(
            *map(untraced, arguments), **{name: untraced(value) for name, value in named.items()}
        )
        if isinstance(result, jinja2.Undefined):
            raise Untraceable("a function of values gives nothing")
        self._count += 1
        reads = [_reader_of(argument) for argument in arguments]
        named_reads = {name: _reader_of(value) for name, value in named.items()}
        read: ReadValue
        if len(reads) == 1 and not named_reads:
            first = reads[0]
            read = lambda values: function(first(values))  # noqa: E731
        else:
            read = lambda values: function(  # noqa: E731
                *[read_argument(values) for read_argument in reads],
                **{name: read_argument(values) for name, read_argument in named_reads.items()},
            )
        return TracedValue(self, ("call", self._count), read, result)

    def decide(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Return the answer of a pure yes-or-no function of traced values, and note it."""
        return bool(self.call(lambda *values: bool(function(*values)), *arguments))


class TracedValue:
    """A value of one mail that notes which questions are asked about it."""

    __slots__ = ("key", "read", "trace", "value")

    def __init__(self, trace: Trace, key: Hashable, read: ReadValue, value: Any) -> None:
        """Stand for `value`; `read` reads the corresponding value from another mail's values."""
        self.trace, self.key, self.read, self.value = trace, key, read, value

    # ---- questions: the answer is noted ----

    def get(self, key: str) -> "TracedValue | None":
        """Return the value under a mapping's key, None when it is missing."""
        if not isinstance(self.value, dict):
            raise Untraceable(f"{key} of a value that is not a mapping")
        read = self.read

        def has(values: dict[str, Any]) -> bool | None:
            current = read(values)
            return key in current if isinstance(current, dict) else None

        if not self.trace.observe(("has", self.key, key), has, key in self.value):
            return None
        return TracedValue(
            self.trace, ("get", self.key, key), lambda values: read(values)[key], self.value[key]
        )

    def exact_value(self) -> str | int:
        """Return the value itself; only mails with the same value can share the recording."""
        if type(self.value) not in (str, int):
            raise Untraceable("a key that is not text")
        read = self.read

        def exactly(values: dict[str, Any]) -> tuple[type, Any]:
            current = read(values)
            return (type(current), current) if isinstance(current, (str, int)) else (type(current), None)

        self.trace.observe(("value", self.key), exactly, (type(self.value), self.value))
        return cast("str | int", self.value)

    def __bool__(self) -> bool:
        read = self.read
        return self.trace.observe(("bool", self.key), lambda values: bool(read(values)), bool(self.value))

    def __iter__(self) -> Iterator["TracedValue"]:
        if type(self.value) is not list:
            raise Untraceable("a loop over a value that is not a list")
        read = self.read

        def length(values: dict[str, Any]) -> int:
            current = read(values)
            return len(current) if type(current) is list else -1

        self.trace.observe(("length", self.key), length, len(self.value))
        return iter([self._item(number) for number in range(len(self.value))])

    def _item(self, number: int) -> "TracedValue":
        read = self.read
        return TracedValue(
            self.trace, ("item", self.key, number), lambda values: read(values)[number], self.value[number]
        )

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self.trace.decide(operator.eq, self, other)

    def __ne__(self, other: object) -> bool:
        return self.trace.decide(operator.ne, self, other)

    def __lt__(self, other: object) -> bool:
        return self.trace.decide(operator.lt, self, other)

    def __le__(self, other: object) -> bool:
        return self.trace.decide(operator.le, self, other)

    def __gt__(self, other: object) -> bool:
        return self.trace.decide(operator.gt, self, other)

    def __ge__(self, other: object) -> bool:
        return self.trace.decide(operator.ge, self, other)

    def __contains__(self, other: object) -> bool:
        return self.trace.decide(operator.contains, self, other)

    # ---- calculations: the result is traced too ----

    def __add__(self, other: object) -> "TracedValue":
        return self.trace.call(operator.add, self, other)

    def __radd__(self, other: object) -> "TracedValue":
        return self.trace.call(operator.add, other, self)

    def __sub__(self, other: object) -> "TracedValue":
        return self.trace.call(operator.sub, self, other)

    def __rsub__(self, other: object) -> "TracedValue":
        return self.trace.call(operator.sub, other, self)

    def __truediv__(self, other: object) -> "TracedValue":
        return self.trace.call(operator.truediv, self, other)

    def __rtruediv__(self, other: object) -> "TracedValue":
        return self.trace.call(operator.truediv, other, self)

    def __neg__(self) -> "TracedValue":
        return self.trace.call(operator.neg, self)

    def __pos__(self) -> "TracedValue":
        return self.trace.call(operator.pos, self)

    # ---- conversions that would use the value without a trace ----

    def __str__(self) -> str:
        raise Untraceable("a value converted to text")

    __repr__ = __str__

    def __format__(self, _: str) -> str:
        raise Untraceable("a value converted to text")


def find_traced(value: Any) -> TracedValue | None:
    """Return a traced value that is, or is somewhere inside, this value; None when there is none.

    Raises Untraceable for text with marks in it: such text may only be printed.
    """
    if type(value) is TracedValue:
        return value
    if isinstance(value, str):
        require_unmarked(value)
    elif isinstance(value, Mapping):
        return find_traced([*value, *value.values()])
    elif isinstance(value, (list, tuple, set, frozenset)):
        traced = [inner for inner in map(find_traced, value) if inner is not None]
        return traced[0] if traced else None
    return None


def require_unmarked(value: Any) -> None:
    """Raise Untraceable when the value is text with marks in it."""
    if isinstance(value, str) and OPEN in value:
        raise Untraceable("a question about text made of values")


def untraced(value: Any) -> Any:
    """Return a value with the plain values in place of the traced ones."""
    if type(value) is TracedValue:
        return value.value
    if type(value) in (list, tuple):
        return type(value)(map(untraced, value))
    if find_traced(value) is not None:
        raise Untraceable("a value inside a collection")
    return value


def _reader_of(value: Any) -> ReadValue:
    """Return how to read an argument from a mail's values: traced, made of traced values, or the same in every mail."""
    if type(value) is TracedValue:
        return value.read
    if type(value) in (list, tuple) and find_traced(value) is not None:
        kind, reads = type(value), [_reader_of(item) for item in cast("Sequence[Any]", value)]
        return lambda values: kind([read_item(values) for read_item in reads])
    if value is not None and not isinstance(value, _CONSTANT):
        # An iterator would be used up; a missing variable has no text.
        raise Untraceable("a function of values and of something that is not a value")
    return lambda _: value


def _escaped(read: ReadValue) -> Callable[[dict[str, Any]], str]:
    return lambda values: str.__str__(escape(read(values)))


def _text(read: ReadValue) -> Callable[[dict[str, Any]], str]:
    return lambda values: str(read(values))
