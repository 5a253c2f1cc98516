"""The sandbox that templates run in: a short list of filters and functions, and bounds on everything.

Two environments: MJML with autoescape, and plain text for text parts, subjects and links. Both are Jinja's
ImmutableSandboxedEnvironment with StrictUndefined. Beyond it: mappings give their keys and never a method,
only listed methods and functions can be called, power is refused and repetition is for numbers, loops are
charged, a template is found only among the files of the playbook.
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
from nurture.rendering.render_context import RENDERING, Exceeded
from nurture.rendering.tracing.values import CLOSE, OPEN

_RANGE_MAX: Final = 1000
_NUMBER_MAX: Final = 10**18
_STRING_METHODS: Final = frozenset({"startswith", "endswith"})
_KEPT_FILTERS: Final = (
    "abs", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "int", "items", "join",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select",
    "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "urlencode",
)  # fmt: skip


class Names(dict[str, Any]):
    """A namespace of the template (`contact`, `event` ...) that knows what it is called."""

    __slots__ = ("path",)

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        """Copy the values."""
        super().__init__(values)
        self.path = path


class Unknown(jinja2.StrictUndefined):
    """A value that is not there. Its message is the variable, as the template writes it."""

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
        raise Exceeded(f"range() of more than {_RANGE_MAX} steps")
    return numbers


@pass_context
def _charged(_: Any, iterable: Iterable[Any]) -> list[Any]:
    """Return what a loop goes over, counted against the budget. Put around every loop at compile time."""
    items = list(iterable)
    RENDERING.get().charge(len(items))
    return items


@pass_context
def _marked(_: Any, value: Any) -> Any:
    """Mark what belongs to one mail alone; on the reference path leave everything as it is."""
    fixed = RENDERING.get().fixed
    if fixed is None or type(value) is Markup or isinstance(value, jinja2.Undefined):
        # Markup was made by a template: its slots are marked inside.
        return value
    if type(value) is str and value in fixed:
        return value
    return Markup(f"{OPEN}{escape(value)}{CLOSE}")  # noqa: S704 - escaped in the same breath


def _late(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter in a form that is never run at compile time, when there is no locale yet."""

    @pass_context
    def run(_: Any, *arguments: Any, **named: Any) -> Any:
        return filter_(*arguments, **named)

    return run


def _rounded(value: Any, digits: int = 0) -> Any:
    """Round half away from zero, at most 9 digits."""
    rounded = round(float(value), max(0, min(int(digits), 9)))
    return rounded if digits else int(rounded)


class Sandbox(ImmutableSandboxedEnvironment):
    """See the module."""

    intercepted_binops = frozenset({"*", "**", "%", "//"})

    def __init__(self, loader: jinja2.BaseLoader, *, markup: bool) -> None:
        """Make the environment for MJML (`markup`) or for plain text."""
        super().__init__(
            loader=loader,
            autoescape=markup,
            undefined=Unknown,
            finalize=_marked if markup else None,
            cache_size=-1,
            auto_reload=False,
            keep_trailing_newline=True,
        )
        known = dict(self.filters)
        self.filters.clear()
        self.filters.update({name: known[name] for name in _KEPT_FILTERS}, charged=_charged, round=_rounded)
        for speaking in (formats.money, formats.number, formats.percent):
            self.filters[speaking.__name__] = _late(speaking)
        for speaking in (formats.date, formats.time, formats.datetime):
            self.filters[speaking.__name__] = _late(speaking)
        self.globals.clear()
        self.globals["range"] = _range

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the value under a key; a mapping has no methods here, so `entity.items` is a key too."""
        if isinstance(obj, dict):
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow what `loop` and an imported layout offer, and two questions about text."""
        if isinstance(obj, str):
            return attr in _STRING_METHODS
        return isinstance(obj, (LoopContext, TemplateModule)) and super().is_safe_attribute(obj, attr, value)

    def is_safe_callable(self, obj: Any) -> bool:
        """Allow macros, `range`, `loop.cycle`, `loop.changed` and two questions about text."""
        if isinstance(obj, Macro) or obj is _range:
            return True
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str):
            return name in _STRING_METHODS
        return isinstance(owner, LoopContext) and name in ("cycle", "changed")

    def call_binop(self, context: Any, operator_: str, left: Any, right: Any) -> Any:
        """Calculate with numbers only, and with none that grows without end."""
        del context
        for value in (left, right):
            if isinstance(value, jinja2.Undefined):
                str(value)
            if not isinstance(value, (int, float)):
                raise Exceeded(f"`{operator_}` is for numbers; to join text write `~`")
        if operator_ == "**":
            raise Exceeded("`**` is not allowed")
        result = {"*": operator.mul, "%": operator.mod, "//": operator.floordiv}[operator_](left, right)
        if abs(result) > _NUMBER_MAX:
            raise Exceeded("a number grows past any use")
        return result

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse, and charge every loop."""
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            charged = nodes.Filter(loop.iter, "charged", [], [], None, None, lineno=loop.lineno)
            loop.iter = charged.set_environment(self)
        return tree
