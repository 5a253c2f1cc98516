"""Render a mail through the cache: the only entrance to recordings and to the cache of HTML.

`find_recording` answers for mails that need no run. `render_cached` answers for every mail: it fills in a recording,
or runs the template and records it. Both return nothing, or the reference path's result, when the cache is off.
"""

from typing import Any

from nurture.rendering.context import MailContext
from nurture.rendering.html_cache import MarkedText
from nurture.rendering.mail_parts import MailParts, add_picture, open_picture
from nurture.rendering.mime import html_body
from nurture.rendering.reference_path import links_of_text, render_reference_html, run_parts
from nurture.rendering.render_state import RenderState
from nurture.rendering.run_template import run_template
from nurture.rendering.templates import Template, Templates
from nurture.rendering.tracing.cache import CacheMiss, FilledRecording
from nurture.rendering.tracing.record import LINKS_OF_TEXT, TraceRequest, record_template


def find_recording(templates: Templates, context: MailContext) -> FilledRecording | None:
    """Return the recording that makes this mail, filled with its values; None when the template must run.

    Only recordings that have passed their comparisons with the run are returned.
    """
    if not templates.has_cache:
        return None
    filled, _ = _look_up(templates.for_context(context), context)
    return filled if filled is not None and not filled.recording.checks_left else None


def render_cached(templates: Templates, context: MailContext) -> MailParts:
    """Return the parts, without the open picture: filled in from a recording, else by running the template.

    Raises MissingValue or TemplateFault, as the reference path does.
    """
    template = templates.for_context(context)
    filled, miss = _look_up(template, context)
    if filled is not None and not filled.recording.checks_left:
        return filled.parts()

    def render_html(template: Template, values: dict[str, Any], zone: str) -> str:
        return _cached_html(templates, template, values, zone)

    parts = run_parts(templates, template, context, render_html=render_html)
    if filled is not None:
        _compare(template, context, filled, parts)
    elif miss is not None and template.recordings.should_record(miss):
        state = RenderState(context["locale"], context["zone"])
        record_template(TraceRequest(templates, template, _values(context), state, parts), miss)
    return parts


def _look_up(template: Template, context: MailContext) -> tuple[FilledRecording | None, CacheMiss | None]:
    state = RenderState(context["locale"], context["zone"])
    return template.recordings.look_up(_values(context), state)


def _values(context: MailContext) -> dict[str, Any]:
    """Return the values that a recording may read. A recording keeps here what it computes, for this mail only."""
    return {**context["values"], "links": context["links"], LINKS_OF_TEXT: links_of_text(context)}


def _compare(template: Template, context: MailContext, filled: FilledRecording, parts: MailParts) -> None:
    """Count one comparison of a new recording with the run; one difference disables the template's recordings."""
    filled.recording.checks_left -= 1
    picture = open_picture(context["links"])
    body, expected = filled.body(picture), html_body(add_picture(parts.html, picture))
    if filled.parts() != parts or (body is not None and (body, "7bit") != expected):
        template.recordings.is_disabled = True


def _cached_html(templates: Templates, template: Template, values: dict[str, Any], zone: str) -> str:
    """Return the HTML from the cache of HTML where it holds this structure, else by the reference path."""
    if template.fixed is None:
        return render_reference_html(template, values, zone)
    mjml = run_template(template.markup, values, locale=template.locale, zone=zone, fixed=template.fixed)
    marked = MarkedText.parse(mjml.lstrip())
    if marked is None:
        return render_reference_html(template, values, zone)
    html = templates.html_cache.find(marked)
    if html is None:
        html = render_reference_html(template, values, zone)
        templates.html_cache.add(marked, html)
    return html
