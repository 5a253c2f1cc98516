"""From the frozen document to subject, HTML, text, and the bytes that leave."""

import re
from typing import Any, Final

from nurture.mail.calendar import calendar_bytes
from nurture.mail.compile import Template, Templates, names_for
from nurture.mail.faults import MissingValue, TemplateFault, TemplateProblem
from nurture.mail.frozen import Frozen
from nurture.mail.headers import header_lines
from nurture.mail.learn import LINKS_OF_TEXT, Lesson, learn
from nurture.mail.mime import assemble
from nurture.mail.plain import body_text, header_text, tidy
from nurture.mail.rendering import OUTPUT_MAX, Rendering
from nurture.mail.run import run
from nurture.mail.skeleton import Marked, to_html
from nurture.mail.ways import Parts

# A link that a mail program might run instead of follow.
_RUNNABLE: Final = re.compile(
    r"""(?:href|src|action|background)\s*=\s*["']?\s*(?:(?:java|vb)script|data|file)\s*:""", re.IGNORECASE
)


def render(templates: Templates, frozen: Frozen) -> bytes:
    """Return the complete mail, CRLF line ends. The same document and templates give the same bytes.

    Raises MissingValue (skip this mail) or TemplateFault (set the template aside).
    """
    return to_bytes(templates, frozen, render_parts(templates, frozen))


def to_bytes(templates: Templates, frozen: Frozen, parts: Parts) -> bytes:
    """Return the complete mail of rendered parts."""
    return assemble(
        header_lines(frozen, templates.imprint, subject=parts.subject),
        boundary=frozen["header_id"],
        text=parts.text,
        html=parts.html,
        calendar=calendar_bytes(frozen),
        method=(frozen["calendar"] or {}).get("method", ""),
    )


def render_parts(templates: Templates, frozen: Frozen, *, reference: bool = False) -> Parts:
    """Return subject, preheader, HTML and text part.

    reference: take the reference path (Jinja, then MRML) whatever is known; both ways give the same HTML.
    """
    template = templates.template(frozen["measure"], frozen["mail"], frozen["variant"], frozen["locale"])
    made = (
        _run(templates, template, frozen, reference=True)
        if reference
        else _parts(templates, template, frozen)
    )
    return made._replace(html=_with_open(made.html, frozen["links"].get("open")))


def _parts(templates: Templates, template: Template, frozen: Frozen) -> Parts:
    """Return the parts, without the picture: filled in where the way is known, else run."""
    values = {**frozen["values"], "links": frozen["links"], LINKS_OF_TEXT: _readable(frozen)}
    rendering = Rendering(frozen["locale"], frozen["zone"])
    # What is worked out of the values is kept among them.
    parts, way, gap = template.ways.parts(dict(values), rendering)
    if parts is not None and way is not None and not way.trials:
        return parts
    made = _run(templates, template, frozen, reference=False)
    if parts is not None and way is not None:
        way.trials -= 1
        if parts != made:
            template.ways.is_closed = True
    elif gap is not None and template.ways.is_worth(gap):
        learn(Lesson(templates, template, values, rendering, made), gap)
    return made


def _run(templates: Templates, template: Template, frozen: Frozen, *, reference: bool) -> Parts:
    """Return the parts, without the picture, by running the template."""
    locale, zone = frozen["locale"], frozen["zone"]
    values: dict[str, Any] = {
        **names_for(frozen["values"]),
        **names_for({"links": frozen["links"]}),
        "brand": templates.brand,
        "strings": templates.strings(locale),
        "locale": locale,
    }
    subject = header_text(run(template.subject, values, locale=locale, zone=zone))
    preheader = header_text(run(template.preheader, values, locale=locale, zone=zone))
    values |= {"subject": subject, "preheader": preheader}
    readable = names_for({"links": _readable(frozen)})
    text = tidy(body_text(run(template.text, values | readable, locale=locale, zone=zone)))
    html = _reference(template, values, zone) if reference else _html(templates, template, values, zone)
    return Parts(subject, preheader, html, text)


def _readable(frozen: Frozen) -> dict[str, str]:
    """Return the links as the text part shows them: the call to action as where it leads, since it is read there."""
    links = dict(frozen["links"])
    if frozen["target"]:
        links["call_to_action"] = frozen["target"]
    return links


def _html(templates: Templates, template: Template, values: dict[str, Any], zone: str) -> str:
    """Return the HTML, by a proven skeleton where there is one."""
    if template.fixed is None:
        return _reference(template, values, zone)
    mjml = run(template.markup, values, locale=template.locale, zone=zone, fixed=template.fixed)
    marked = Marked.read(mjml.lstrip())
    if marked is None:
        return _reference(template, values, zone)
    html = templates.skeletons.html(marked)
    if html is None:
        html = _reference(template, values, zone)
        templates.skeletons.learn(marked, html)
    return html


def _reference(template: Template, values: dict[str, Any], zone: str) -> str:
    """Return the HTML by Jinja, then MRML."""
    mjml = body_text(run(template.markup, values, locale=template.locale, zone=zone))
    try:
        html = to_html(mjml.lstrip())
    except ValueError as error:
        problem = TemplateProblem(template.path, 1, f"MJML: {error}", "see docs/delivery.md, Templates")
        raise TemplateFault(problem) from error
    if len(html) > OUTPUT_MAX:
        problem = TemplateProblem(
            template.path, 1, f"{len(html)} characters of HTML", f"at most {OUTPUT_MAX}"
        )
        raise TemplateFault(problem)
    found = _RUNNABLE.search(html)
    if found:
        # The template passed its check without: it comes from this mail's values.
        what = f"a link that could be run: {found[0][:60]}"
        raise MissingValue(TemplateProblem(template.path, 1, what, "link to https:// only"), "a link")
    return html


def _with_open(html: str, url: str | None) -> str:
    """Return the HTML with the picture that records an open, at the very end."""
    if not url:
        return html
    head, end, tail = html.rpartition("</body>")
    return f'{head}<img src="{url}" width="1" height="1" alt="" style="display:block" />{end}{tail}'
