"""The sandbox that templates run in: Jinja's, with a short list of filters and functions and with limits.

Two environments: MJML with autoescape, and plain text for text parts, subjects and links. Both are Jinja's
ImmutableSandboxedEnvironment with StrictUndefined. In addition, a mapping gives its keys and never a method, only
listed methods and functions can be called, `**` is refused, `*` is for numbers only, loops count against a budget,
and a template is found only among the files of the playbook.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import jinja2
from jinja2 import nodes, pass_context
from jinja2.environment import TemplateModule
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from nurture.rendering import formats
from nurture.rendering.images import picture
from nurture.rendering.marks import CLOSE, OPEN
from nurture.rendering.render_state import RENDER_STATE, LimitExceeded

_TREES_MAX: Final = 8
_RANGE_MAX: Final = 1000
_NUMBER_MAX: Final = 10**18
_FORMATS: Final = (
    formats.city, formats.date, formats.datetime, formats.discount, formats.money, formats.number, formats.percent,
    formats.time, formats.times, picture,
)  # fmt: skip
_STRING_METHODS: Final = frozenset({"startswith", "endswith"})
_KEPT_FILTERS: Final = (
    "abs", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "int", "items", "join",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select",
    "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "urlencode",
)  # fmt: skip


class Namespace(dict[str, Any]):
    """A mapping of the template (`contact`, `event` ...) with its own name, for errors."""

    __slots__ = ("path",)

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        """Copy the values. path: the name that the template uses."""
        super().__init__(values)
        self.path = path


class MissingVariable(jinja2.StrictUndefined):
    """An undefined value. Its message is the variable, as the template writes it."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        path = getattr(self._undefined_obj, "path", "")
        return f"{path}.{self._undefined_name}" if path else str(self._undefined_name)


def _range(*bounds: int) -> range:
    """Return a range of at most 1000 steps."""
    numbers = range(*bounds)
    if len(numbers) > _RANGE_MAX:
        raise LimitExceeded(f"range() of more than {_RANGE_MAX} steps")
    return numbers


@pass_context
def _charge_loop(_: Any, iterable: Iterable[Any]) -> list[Any]:
    """Return the items of a loop and count them against the budget; `_parse` inserts it into every loop."""
    items = list(iterable)
    RENDER_STATE.get().charge(len(items))
    return items


@pass_context
def _mark_value(_: Any, value: Any) -> Any:
    """Return a printed value between marks, unless it is the same in every mail; on the reference path, unchanged."""
    fixed = RENDER_STATE.get().fixed
    if fixed is None or type(value) is Markup or isinstance(value, jinja2.Undefined):
        # A template made this Markup, so the values inside have their marks.
        return value
    if type(value) is str and value in fixed:
        return value
    return Markup(f"{OPEN}{escape(value)}{CLOSE}")  # noqa: S704 - escaped here


def _at_render_time(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter in a form that Jinja never runs while it compiles, when no locale is known."""

    @pass_context
    def run(_: Any, *arguments: Any, **named: Any) -> Any:
        return filter_(*arguments, **named)

    return run


def _rounded(value: Any, digits: int = 0) -> Any:
    """Round half away from zero, at most 9 digits."""
    rounded = round(float(value), max(0, min(int(digits), 9)))
    return rounded if digits else int(rounded)


class Sandbox(ImmutableSandboxedEnvironment):
    """One of the two environments; see the module."""

    intercepted_binops = frozenset({"*", "**", "%", "//"})

    def __init__(self, loader: jinja2.BaseLoader, *, markup: bool) -> None:
        """Make the environment for MJML (`markup`) or for plain text."""
        super().__init__(
            loader=loader,
            autoescape=markup,
            undefined=MissingVariable,
            finalize=_mark_value if markup else None,
            cache_size=-1,
            auto_reload=False,
            keep_trailing_newline=True,
        )
        builtin = dict(self.filters)
        self.filters.clear()
        self.filters.update(
            {name: builtin[name] for name in _KEPT_FILTERS}, charged=_charge_loop, round=_rounded
        )
        for filter_ in _FORMATS:
            self.filters[filter_.__name__] = _at_render_time(filter_)
        self.globals.clear()
        self.globals["range"] = _range
        self._trees: dict[tuple[str, str | None], nodes.Template] = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the value under a key. A mapping has no methods here, so `entity.items` is a key."""
        if isinstance(obj, dict):
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow the attributes of `loop` and of an imported layout, and two methods of text."""
        if isinstance(obj, str):
            return attr in _STRING_METHODS
        return isinstance(obj, (LoopContext, TemplateModule)) and super().is_safe_attribute(obj, attr, value)

    def is_safe_callable(self, obj: Any) -> bool:
        """Allow macros, `range`, `loop.cycle`, `loop.changed` and two methods of text."""
        if isinstance(obj, Macro) or obj is _range:
            return True
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str):
            return name in _STRING_METHODS
        return isinstance(owner, LoopContext) and name in ("cycle", "changed")

    def call_binop(self, context: Any, operator_: str, left: Any, right: Any) -> Any:
        """Calculate with numbers only. Raises TypeError for anything else, ValueError for a result too large.

        Values decide that, so it stops one mail; `**` stands in the template and is refused for all.
        """
        del context
        for value in (left, right):
            if isinstance(value, jinja2.Undefined):
                str(value)
            if not isinstance(value, (int, float)):
                raise TypeError(f"`{operator_}` is for numbers; to multiply an amount write `| times(...)`")
        if operator_ == "**":
            raise LimitExceeded("`**` is not allowed")
        result = {"*": operator.mul, "%": operator.mod, "//": operator.floordiv}[operator_](left, right)
        if abs(result) > _NUMBER_MAX:
            raise ValueError("a number grows past any use")
        return result

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse a source and insert the loop budget into every loop.

        The last few trees are kept, because a source is analysed, compiled and checked one after the other; none of
        these changes its tree.
        """
        known = self._trees.get((source, name))
        if known is not None:
            return known
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            charged = nodes.Filter(loop.iter, "charged", [], [], None, None, lineno=loop.lineno)
            loop.iter = charged.set_environment(self)
        if len(self._trees) >= _TREES_MAX:
            self._trees.clear()
        self._trees[source, name] = tree
        return tree
