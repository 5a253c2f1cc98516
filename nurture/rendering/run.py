"""Running one compiled template, with every way to fail turned into one clear error."""

import traceback
from collections.abc import Mapping
from typing import Any

import jinja2

from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.render_context import RENDERING, Exceeded, Rendering, joined


def run(
    template: jinja2.Template,
    values: Mapping[str, Any],
    *,
    locale: str,
    zone: str,
    fixed: frozenset[str] | None = None,
) -> str:
    """Render one template; bounded in loops and output.

    fixed: what needs no mark; None marks nothing (see `nurture.rendering.html_cache`).
    Raises MissingValue when a value is missing or is not what a filter can use, TemplateFault for the rest. A process
    that has no memory left is no fault of the template, which was checked with a bound on it: MemoryError passes.
    """
    token = RENDERING.set(Rendering(locale, zone, fixed=fixed))
    try:
        return joined(template.generate(values))
    except jinja2.UndefinedError as error:
        variable = str(error)
        change = f'write {{{{ {variable} | default("...") }}}}, or send it only to people who have it'
        problem = _problem(template, error, f"{variable} has no value", change)
        raise MissingValue(problem, variable) from error
    except (Exceeded, RecursionError, jinja2.TemplateError) as error:
        what = str(error) or type(error).__name__
        raise TemplateFault(_problem(template, error, what, "make it simpler")) from error
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        # The template has been checked with its sample: it is this mail's value that does not fit.
        what = f"a value cannot be used: {error}"
        problem = _problem(template, error, what, "check for it with `is defined`, or correct the data")
        raise MissingValue(problem, str(error)) from error
    finally:
        RENDERING.reset(token)


def _problem(template: jinja2.Template, error: BaseException, what: str, change: str) -> TemplateProblem:
    """Return the problem at the template line that was running."""
    path, line = template.name or "?", 1
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        # Jinja gives its frames the template's own file and line.
        if name.endswith((".mjml", ".txt", ".yaml")):
            path, line = name, number
    return TemplateProblem(path, max(1, line), what, change)
