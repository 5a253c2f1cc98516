"""Run one compiled template and turn every way to fail into MissingValue or TemplateFault."""

import traceback
from collections.abc import Mapping
from typing import Any

import jinja2

from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.render_state import RENDER_STATE, LimitExceeded, RenderState, join_bounded


def run_template(
    template: jinja2.Template,
    values: Mapping[str, Any],
    *,
    locale: str,
    zone: str,
    fixed: frozenset[str] | None = None,
) -> str:
    """Return the text that a template prints, with a limit on its loops and its length.

    fixed: texts that need no mark; None marks nothing (see `nurture.rendering.html_cache`).
    Raises MissingValue when a value is missing or a filter cannot use it, TemplateFault for every other failure.
    MemoryError passes: the check ran the template with a limit on memory, so the process is short of it.
    """
    token = RENDER_STATE.set(RenderState(locale, zone, fixed=fixed))
    try:
        return join_bounded(template.generate(values))
    except jinja2.UndefinedError as error:
        variable = str(error)
        change = f'write {{{{ {variable} | default("...") }}}}, or send it only to people who have it'
        problem = _problem(template, error, f"{variable} has no value", change)
        raise MissingValue(problem, variable) from error
    except jinja2.exceptions.SecurityError as error:
        # The check refuses a template that asks for more than it may. Here a value has another kind than the sample's:
        # a text where it has a mapping answers to `address.title`.
        problem = _problem(template, error, f"a value has another kind: {error}", "correct the data")
        raise MissingValue(problem, str(error)) from error
    except (LimitExceeded, RecursionError, jinja2.TemplateError) as error:
        what = str(error) or type(error).__name__
        raise TemplateFault(_problem(template, error, what, "make it simpler")) from error
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        # The template rendered its sample when it was checked, so this mail's value is the cause.
        what = f"a value cannot be used: {error}"
        problem = _problem(template, error, what, "check for it with `is defined`, or correct the data")
        raise MissingValue(problem, str(error)) from error
    finally:
        RENDER_STATE.reset(token)


def _problem(template: jinja2.Template, error: BaseException, what: str, change: str) -> TemplateProblem:
    """Return a problem that names the template line that was running."""
    path, line = template.name or "?", 1
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        # Jinja's frames carry the template's own file and line.
        if name.endswith((".mjml", ".txt", ".yaml")):
            path, line = name, number
    return TemplateProblem(path, max(1, line), what, change)
