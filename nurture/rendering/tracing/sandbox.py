"""The sandbox in which templates run with watched values (`nurture.rendering.tracing.values`).

It does what the sandbox does; in between it keeps watched values from every function that would look at them
unseen. Text that a template has already made of them (a macro's, a block's) holds marks: it may be printed and
handed on, and nobody may look at it.
"""

# ruff: noqa: N802, N815 - Jinja calls a visitor by the names of its nodes
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import jinja2
from jinja2 import nodes, pass_context
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, Macro, markup_join, str_join
from jinja2.utils import _PassArg
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from nurture.rendering.sandbox import Sandbox
from nurture.rendering.tracing.values import Untraceable, Watched, held, unmarked

#: Filters that give one value for given values, whoever asks and whenever.
_PURE: Final = frozenset(
    {
        "abs", "capitalize", "count", "date", "datetime", "e", "escape", "float", "first", "int", "join", "last",
        "length", "lower", "max", "min", "money", "number", "percent", "round", "string", "sum", "time", "title",
        "trim", "truncate", "upper", "urlencode",
    }
)  # fmt: skip
# Those of them that take a context: they do not look at it (`sandbox._late`).
_LATE: Final = frozenset({"date", "datetime", "money", "number", "percent", "time"})
# They look at a value only by what a watched one tells: is it there, is it true, how long is it.
_OPEN: Final = frozenset({"charged", "d", "default"})
_PURE_TESTS: Final = frozenset(
    {
        "boolean", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt", "in",
        "integer", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string",
        "true", "upper", "==", "!=", "<", "<=", ">", ">=",
    }
)  # fmt: skip


class WatchingSandbox(Sandbox):
    """See the module."""

    def __init__(self, loader: jinja2.BaseLoader, *, markup: bool) -> None:
        """Make the environment for MJML (`markup`) or for plain text."""
        super().__init__(loader, markup=markup)
        self.finalize = self._printed
        self.filters = {name: self._filter(name, each) for name, each in self.filters.items()}
        tests = cast("dict[str, Callable[..., Any]]", self.tests)
        self.tests = {name: _test(name, each) for name, each in tests.items()}
        self.filters |= {"tied": self._tied, "unmarked": _unmarked}

    @pass_context
    def _printed(self, context: Context, value: Any) -> Any:
        if type(value) is Watched:
            self._settled(context)
            mark = value.trace.mark(value, escaped=bool(self.autoescape))
            return Markup(mark) if self.autoescape else mark  # noqa: S704 - a number between two marks
        if not isinstance(value, str) and held(value) is not None:
            raise Untraceable("a collection printed whole")
        return value

    def _settled(self, context: Context) -> None:
        if context.eval_ctx.autoescape != self.autoescape:
            raise Untraceable("escaping turned on or off")

    def _filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        passed = _PassArg.from_obj(function)

        def run(context: Context, *given: Any, **named: Any) -> Any:
            known = {
                None: (),
                _PassArg.context: (context,),
                _PassArg.eval_context: (context.eval_ctx,),
                _PassArg.environment: (self,),
            }
            if name in _OPEN:
                unmarked(given[0])
                return function(*known[passed], *given, **named)
            watched = held([*given, *named.values()])
            if watched is None:
                return function(*known[passed], *given, **named)
            if name not in _PURE or (passed is _PassArg.context and name not in _LATE):
                raise Untraceable(f"the filter {name}")
            self._settled(context)
            # The same for every mail: a context of its own, with nothing in it.
            known[_PassArg.context], known[_PassArg.eval_context] = (None,), (EvalContext(self),)
            return watched.trace.call(partial(function, *known[passed]), *given, **named)

        return pass_context(run)

    @pass_context
    def _tied(self, context: Context, *given: Any) -> Any:
        """Join text, as `~` does."""
        watched = held(list(given))
        joined = markup_join if context.eval_ctx.autoescape else str_join
        if watched is None:
            return joined(given)
        self._settled(context)
        return watched.trace.call(lambda *each: joined(each), *given)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """See the sandbox."""
        if type(obj) is Watched:
            found = obj.get(attribute)
            return self.undefined(obj=obj.value, name=attribute) if found is None else found
        unmarked(obj)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """See the sandbox."""
        if type(obj) is Watched:
            found = obj.get(argument) if type(argument) is str else None
            if found is None:
                raise Untraceable("an item")
            return found
        unmarked(obj)
        if type(argument) is Watched:
            return super().getitem(obj, argument.settled())
        if held(argument) is not None:
            raise Untraceable("an item by a value")
        return super().getitem(obj, argument)

    def call(self, context: Context, obj: Any, *given: Any, **named: Any) -> Any:
        """See the sandbox; only macros are handed watched values, and text made of them."""
        if not isinstance(obj, Macro) and held([*given, *named.values()]) is not None:
            raise Untraceable("a function of values")
        return super().call(context, obj, *given, **named)

    def call_binop(self, context: Any, operator_: str, left: Any, right: Any) -> Any:
        """See the sandbox."""
        del context
        watched = held([left, right])
        calculated = partial(super().call_binop, None, operator_)
        return calculated(left, right) if watched is None else watched.trace.call(calculated, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Watching(self).visit(super()._parse(source, name, filename))
        return tree


class _Watching(NodeTransformer):
    """Puts filters of ours where compiled templates would look at values, or join them, on their own."""

    def __init__(self, environment: jinja2.Environment) -> None:
        self._environment = environment

    def _through(self, name: str, *given: nodes.Expr) -> nodes.Expr:
        node = nodes.Filter(given[0], name, list(given[1:]), [], None, None, lineno=given[0].lineno)
        node.set_environment(self._environment)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._through("tied", *node.nodes)

    def visit_If(self, node: nodes.If | nodes.CondExpr) -> nodes.Node:
        self.generic_visit(node)
        node.test = self._through("unmarked", cast("nodes.Expr", node.test))
        return node

    visit_CondExpr = visit_If

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.test is not None:
            node.test = self._through("unmarked", cast("nodes.Expr", node.test))
        return node

    def visit_Not(self, node: nodes.Not) -> nodes.Node:
        self.generic_visit(node)
        node.node = self._through("unmarked", node.node)
        return node

    def visit_And(self, node: nodes.And | nodes.Or) -> nodes.Node:
        self.generic_visit(node)
        node.left = self._through("unmarked", node.left)
        return node

    visit_Or = visit_And

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = self._through("unmarked", node.expr)
        for operand in node.ops:
            operand.expr = self._through("unmarked", operand.expr)
        return node


@pass_context
def _unmarked(_: Context, value: Any) -> Any:
    if type(value) is not Watched:
        # In a list too: `==` and `in` look inside.
        held(value)
    return value


def _test(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    passed = _PassArg.from_obj(function)

    def run(*given: Any) -> Any:
        watched = held(list(given))
        if watched is None or name in ("defined", "undefined"):
            return function(*given)
        if name not in _PURE_TESTS or passed is not None:
            raise Untraceable(f"the test {name}")
        return watched.trace.decide(function, *given)

    if passed is not None:
        run.jinja_pass_arg = passed  # type: ignore[attr-defined]
    return run
