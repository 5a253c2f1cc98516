"""The sandbox in which templates run with traced values (`nurture.rendering.tracing.values`).

It does what the sandbox does, and keeps traced values away from every function that would use them without a trace.
Text that a template has already made of them (a macro's, a block's) holds marks: it may be printed and handed on,
but nothing may ask a question about it.
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
from nurture.rendering.tracing.values import TracedValue, Untraceable, find_traced, require_unmarked

#: Filters whose result depends on their arguments, locale and zone only.
_PURE_FILTERS: Final = frozenset(
    {
        "abs", "capitalize", "city", "count", "date", "datetime", "discount", "e", "escape", "float", "first", "int",
        "join", "last", "length", "lower", "max", "min", "money", "number", "percent", "picture", "round", "string",
        "sum", "time", "times", "title", "trim", "truncate", "upper", "urlencode",
    }
)  # fmt: skip
# Those of them that take a Jinja context without reading it (`sandbox._at_render_time`).
_CONTEXT_UNUSED: Final = frozenset(
    {"city", "date", "datetime", "discount", "money", "number", "percent", "picture", "time", "times"}
)
# Filters that ask only what a traced value answers: is it there, is it true, how long is it.
_TRACEABLE: Final = frozenset({"charged", "d", "default"})
_PURE_TESTS: Final = frozenset(
    {
        "boolean", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt", "in",
        "integer", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string",
        "true", "upper", "==", "!=", "<", "<=", ">", ">=",
    }
)  # fmt: skip


class TracingSandbox(Sandbox):
    """The sandbox, with every filter, test and operator wrapped; see the module."""

    def __init__(self, loader: jinja2.BaseLoader, *, markup: bool) -> None:
        """Make the environment for MJML (`markup`) or for plain text."""
        super().__init__(loader, markup=markup)
        self.finalize = self._print
        self.filters = {name: self._traced_filter(name, function) for name, function in self.filters.items()}
        tests = cast("dict[str, Callable[..., Any]]", self.tests)
        self.tests = {name: _traced_test(name, test) for name, test in tests.items()}
        self.filters |= {"concatenated": self._concatenate, "unmarked": _unmarked}

    @pass_context
    def _print(self, context: Context, value: Any) -> Any:
        if type(value) is TracedValue:
            self._require_autoescape(context)
            mark = value.trace.mark(value, escaped=bool(self.autoescape))
            return Markup(mark) if self.autoescape else mark  # noqa: S704 - a number between two marks
        if not isinstance(value, str) and find_traced(value) is not None:
            raise Untraceable("a collection printed whole")
        return value

    def _require_autoescape(self, context: Context) -> None:
        if context.eval_ctx.autoescape != self.autoescape:
            raise Untraceable("escaping turned on or off")

    def _traced_filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        passed = _PassArg.from_obj(function)

        def run(context: Context, *arguments: Any, **named: Any) -> Any:
            known = {
                None: (),
                _PassArg.context: (context,),
                _PassArg.eval_context: (context.eval_ctx,),
                _PassArg.environment: (self,),
            }
            if name in _TRACEABLE:
                require_unmarked(arguments[0])
                return function(*known[passed], *arguments, **named)
            traced = find_traced([*arguments, *named.values()])
            if traced is None:
                return function(*known[passed], *arguments, **named)
            if name not in _PURE_FILTERS or (passed is _PassArg.context and name not in _CONTEXT_UNUSED):
                raise Untraceable(f"the filter {name}")
            self._require_autoescape(context)
            # The same for every mail: a context of its own, with nothing in it.
            known[_PassArg.context], known[_PassArg.eval_context] = (None,), (EvalContext(self),)
            return traced.trace.call(partial(function, *known[passed]), *arguments, **named)

        return pass_context(run)

    @pass_context
    def _concatenate(self, context: Context, *items: Any) -> Any:
        """Join text, as `~` does."""
        traced = find_traced(list(items))
        join = markup_join if context.eval_ctx.autoescape else str_join
        if traced is None:
            return join(items)
        self._require_autoescape(context)
        return traced.trace.call(lambda *values: join(values), *items)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute as the sandbox does; of a traced mapping, a traced value."""
        if type(obj) is TracedValue:
            value = obj.get(attribute)
            return self.undefined(obj=obj.value, name=attribute) if value is None else value
        require_unmarked(obj)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item as the sandbox does; of a traced mapping, a traced value."""
        if type(obj) is TracedValue:
            value = obj.get(argument) if type(argument) is str else None
            if value is None:
                raise Untraceable("an item")
            return value
        require_unmarked(obj)
        if type(argument) is TracedValue:
            return super().getitem(obj, argument.exact_value())
        if find_traced(argument) is not None:
            raise Untraceable("an item by a value")
        return super().getitem(obj, argument)

    def call(self, context: Context, obj: Any, *arguments: Any, **named: Any) -> Any:
        """Call as the sandbox does; only macros may get traced values, or text made of them."""
        if not isinstance(obj, Macro) and find_traced([*arguments, *named.values()]) is not None:
            raise Untraceable("a function of values")
        return super().call(context, obj, *arguments, **named)

    def call_binop(self, context: Any, operator_: str, left: Any, right: Any) -> Any:
        """Calculate as the sandbox does; with a traced value, the result is traced."""
        del context
        traced = find_traced([left, right])
        calculated = partial(super().call_binop, None, operator_)
        return calculated(left, right) if traced is None else traced.trace.call(calculated, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _TracingTransformer(self).visit(super()._parse(source, name, filename))
        return tree


class _TracingTransformer(NodeTransformer):
    """Inserts filters where a compiled template would test values, or join them, without calling the sandbox."""

    def __init__(self, environment: jinja2.Environment) -> None:
        self._environment = environment

    def _filtered(self, name: str, *arguments: nodes.Expr) -> nodes.Expr:
        node = nodes.Filter(
            arguments[0], name, list(arguments[1:]), [], None, None, lineno=arguments[0].lineno
        )
        node.set_environment(self._environment)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._filtered("concatenated", *node.nodes)

    def visit_If(self, node: nodes.If | nodes.CondExpr) -> nodes.Node:
        self.generic_visit(node)
        node.test = self._filtered("unmarked", cast("nodes.Expr", node.test))
        return node

    visit_CondExpr = visit_If

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.test is not None:
            node.test = self._filtered("unmarked", cast("nodes.Expr", node.test))
        return node

    def visit_Not(self, node: nodes.Not) -> nodes.Node:
        self.generic_visit(node)
        node.node = self._filtered("unmarked", node.node)
        return node

    def visit_And(self, node: nodes.And | nodes.Or) -> nodes.Node:
        self.generic_visit(node)
        node.left = self._filtered("unmarked", node.left)
        return node

    visit_Or = visit_And

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = self._filtered("unmarked", node.expr)
        for operand in node.ops:
            operand.expr = self._filtered("unmarked", operand.expr)
        return node


@pass_context
def _unmarked(_: Context, value: Any) -> Any:
    if type(value) is not TracedValue:
        # Also inside a list: `==` and `in` compare its items.
        find_traced(value)
    return value


def _traced_test(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    passed = _PassArg.from_obj(function)

    def run(*arguments: Any) -> Any:
        traced = find_traced(list(arguments))
        if traced is None or name in ("defined", "undefined"):
            return function(*arguments)
        if name not in _PURE_TESTS or passed is not None:
            raise Untraceable(f"the test {name}")
        return traced.trace.decide(function, *arguments)

    if passed is not None:
        run.jinja_pass_arg = passed  # type: ignore[attr-defined]
    return run
