"""Render a mail: from its frozen context to subject, HTML, text, and the bytes that are sent."""

from nurture.rendering.calendar import calendar_bytes
from nurture.rendering.context import MailContext
from nurture.rendering.headers import header_lines
from nurture.rendering.mail_parts import MailParts, add_picture, open_picture
from nurture.rendering.mime import assemble
from nurture.rendering.reference_path import run_parts
from nurture.rendering.templates import Templates
from nurture.rendering.tracing.cached_render import find_recording, render_cached


def render(templates: Templates, context: MailContext) -> bytes:
    """Return the complete mail, CRLF line ends. The same context and templates give the same bytes.

    Raises MissingValue (skip this mail) or TemplateFault (set the template aside).
    """
    recording = find_recording(templates, context)
    if recording is not None:
        body = recording.body(open_picture(context["links"]))
        if body is not None:
            return _assemble(templates, context, recording.subject(), recording.text(), body)
    return to_bytes(templates, context, render_parts(templates, context))


def is_certain(templates: Templates, context: MailContext) -> bool:
    """Tell, at a fraction of the cost of `render`, that `render` will succeed: a checked recording fits the values.

    False says nothing: with TEMPLATE_CACHE=off it is always the answer.
    """
    return find_recording(templates, context) is not None


def to_bytes(templates: Templates, context: MailContext, parts: MailParts) -> bytes:
    """Return the complete mail of rendered parts."""
    return _assemble(templates, context, parts.subject, parts.text, parts.html)


def render_parts(templates: Templates, context: MailContext, *, reference: bool = False) -> MailParts:
    """Return subject, preheader, HTML and text part.

    reference: take the reference path (Jinja, then MRML) even when the cache is on; the HTML is the same.
    """
    if reference or not templates.has_cache:
        parts = run_parts(templates, templates.for_context(context), context)
    else:
        parts = render_cached(templates, context)
    return parts._replace(html=add_picture(parts.html, open_picture(context["links"])))


def _assemble(
    templates: Templates, context: MailContext, subject: str, text: str, html: str | bytes
) -> bytes:
    return assemble(
        header_lines(context, templates.shared, subject=subject),
        boundary=context["header_id"],
        text=text,
        html=html,
        calendar=calendar_bytes(context),
        method=(context["calendar"] or {}).get("method", ""),
    )
