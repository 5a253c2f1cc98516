"""Watched values: a template that is run with them tells everything it looks at, and where it prints what.

A run of a template is decided by what it sees of the values: which keys are there, whether one is true, how long
a list is, how a comparison comes out. A watched value stands for a value of the mail; each such look is noted in
the order of the run, and what is printed becomes a numbered mark. So from another mail's values it can be told,
without running anything, whether the run would go the same way; then only what is printed differs.

Whatever a watched value cannot follow raises `Untraceable` (or the TypeError of an operation that it lacks): the
way is not used, never guessed.
"""

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import jinja2
from markupsafe import escape

#: Stand around what belongs to one mail alone. Private use: no value has them.
OPEN: Final = "\ue000"
CLOSE: Final = "\ue001"

Seen = TypeVar("Seen", bound=Hashable)
#: Of a mail's values, or of what is worked out from them, one.
Read = Callable[[dict[str, Any]], Any]


# What may stand beside watched values: nothing in the sandbox can change it.
_CONSTANT: Final = (str, int, float, list, tuple, dict)


class Untraceable(Exception):
    """The run looks at a value in a way that is not followed."""


class Trace:
    """What one run saw and printed."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        # (how to look, what was seen), in the order of the run.
        self.seen: list[tuple[Read, Hashable]] = []
        # What stands behind each mark: text as it is printed.
        self.printed: list[Callable[[dict[str, Any]], str]] = []
        self._looks: set[Hashable] = set()
        self._marks: dict[Hashable, int] = {}
        self._count = 0

    def root(self, name: str, value: Any, read: Read | None = None) -> "Watched":
        """Return a watched value under the template's own name for it."""
        return Watched(self, ("root", name), read or operator.itemgetter(name), value)

    def saw(self, key: Hashable, read: Read, result: Seen) -> Seen:
        """Note a look, once."""
        if key not in self._looks:
            self._looks.add(key)
            self.seen.append((read, result))
        return result

    def mark(self, value: "Watched", *, escaped: bool) -> str:
        """Return the mark that stands for a printed value."""
        key = (value.key, escaped)
        number = self._marks.get(key)
        if number is None:
            number = self._marks[key] = len(self.printed)
            self.printed.append(_escaped(value.read) if escaped else _text(value.read))
        return f"{OPEN}{number}{CLOSE}"

    def call(self, function: Callable[..., Any], *given: Any, **named: Any) -> "Watched":
        """Return what a pure function makes of values, some of them watched."""
        result = function(*map(bare, given), **{name: bare(value) for name, value in named.items()})
        if isinstance(result, jinja2.Undefined):
            raise Untraceable("a function of values gives nothing")
        self._count += 1
        reads, named_reads = [_lifted(each) for each in given], {n: _lifted(v) for n, v in named.items()}
        read: Read
        if len(reads) == 1 and not named_reads:
            first = reads[0]
            read = lambda values: function(first(values))  # noqa: E731
        else:
            read = lambda values: function(  # noqa: E731
                *[each(values) for each in reads],
                **{name: each(values) for name, each in named_reads.items()},
            )
        return Watched(self, ("call", self._count), read, result)

    def decide(self, function: Callable[..., Any], *given: Any) -> bool:
        """Return yes or no of a pure question about values, some of them watched; the answer is noted."""
        return bool(self.call(lambda *each: bool(function(*each)), *given))


class Watched:
    """A value of one mail that notes how it is looked at."""

    __slots__ = ("key", "read", "trace", "value")

    def __init__(self, trace: Trace, key: Hashable, read: Read, value: Any) -> None:
        """Stand for `value`; `read` finds the like of it in another mail's values."""
        self.trace, self.key, self.read, self.value = trace, key, read, value

    # ---- what is looked at is noted ----

    def get(self, key: str) -> "Watched | None":
        """Return the value under a mapping's key, None when it is missing."""
        if not isinstance(self.value, dict):
            raise Untraceable(f"{key} of what is no mapping")
        read = self.read

        def has(values: dict[str, Any]) -> bool | None:
            found = read(values)
            return key in found if isinstance(found, dict) else None

        if not self.trace.saw(("has", self.key, key), has, key in self.value):
            return None
        return Watched(self.trace, ("get", self.key, key), lambda values: read(values)[key], self.value[key])

    def settled(self) -> str | int:
        """Return the value itself, for ways that differ from value to value."""
        if type(self.value) not in (str, int):
            raise Untraceable("a key that is no text")
        read = self.read

        def exactly(values: dict[str, Any]) -> tuple[type, Any]:
            found = read(values)
            return (type(found), found) if isinstance(found, (str, int)) else (type(found), None)

        self.trace.saw(("value", self.key), exactly, (type(self.value), self.value))
        return cast("str | int", self.value)

    def __bool__(self) -> bool:
        read = self.read
        return self.trace.saw(("bool", self.key), lambda values: bool(read(values)), bool(self.value))

    def __iter__(self) -> Iterator["Watched"]:
        if type(self.value) is not list:
            raise Untraceable("a loop over what is no list")
        read = self.read

        def length(values: dict[str, Any]) -> int:
            found = read(values)
            return len(found) if type(found) is list else -1

        self.trace.saw(("length", self.key), length, len(self.value))
        return iter([self._item(number) for number in range(len(self.value))])

    def _item(self, number: int) -> "Watched":
        read = self.read
        return Watched(
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

    # ---- what is worked out is watched again ----

    def __add__(self, other: object) -> "Watched":
        return self.trace.call(operator.add, self, other)

    def __radd__(self, other: object) -> "Watched":
        return self.trace.call(operator.add, other, self)

    def __sub__(self, other: object) -> "Watched":
        return self.trace.call(operator.sub, self, other)

    def __rsub__(self, other: object) -> "Watched":
        return self.trace.call(operator.sub, other, self)

    def __truediv__(self, other: object) -> "Watched":
        return self.trace.call(operator.truediv, self, other)

    def __rtruediv__(self, other: object) -> "Watched":
        return self.trace.call(operator.truediv, other, self)

    def __neg__(self) -> "Watched":
        return self.trace.call(operator.neg, self)

    def __pos__(self) -> "Watched":
        return self.trace.call(operator.pos, self)

    # ---- what would let it slip out unseen ----

    def __str__(self) -> str:
        raise Untraceable("a value turned into text unseen")

    __repr__ = __str__

    def __format__(self, _: str) -> str:
        raise Untraceable("a value turned into text unseen")


def held(value: Any) -> Watched | None:
    """Return a watched value that is, or stands somewhere in, this one; None when there is none.

    Raises Untraceable for text with marks in it: nobody may look at that.
    """
    if type(value) is Watched:
        return value
    if isinstance(value, str):
        unmarked(value)
    elif isinstance(value, Mapping):
        return held([*value, *value.values()])
    elif isinstance(value, (list, tuple, set, frozenset)):
        found = [each for each in map(held, value) if each is not None]
        return found[0] if found else None
    return None


def unmarked(value: Any) -> None:
    """Raise Untraceable when the value is text with marks in it."""
    if isinstance(value, str) and OPEN in value:
        raise Untraceable("a look at text made of values")


def bare(value: Any) -> Any:
    """Return a value with the values themselves where watched ones stand."""
    if type(value) is Watched:
        return value.value
    if type(value) in (list, tuple):
        return type(value)(map(bare, value))
    if held(value) is not None:
        raise Untraceable("a value inside a collection")
    return value


def _lifted(value: Any) -> Read:
    """Return how to read a value, watched, made of watched ones, or the same in every mail."""
    if type(value) is Watched:
        return value.read
    if type(value) in (list, tuple) and held(value) is not None:
        kind, reads = type(value), [_lifted(each) for each in cast("Sequence[Any]", value)]
        return lambda values: kind([each(values) for each in reads])
    if value is not None and not isinstance(value, _CONSTANT):
        # An iterator would be used up, an unknown value has no text.
        raise Untraceable("a function of values and of what is no value")
    return lambda _: value


def _escaped(read: Read) -> Callable[[dict[str, Any]], str]:
    return lambda values: str.__str__(escape(read(values)))


def _text(read: Read) -> Callable[[dict[str, Any]], str]:
    return lambda values: str(read(values))
