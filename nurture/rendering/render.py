"""From the frozen document to subject, HTML, text, and the bytes that leave."""

import re
from typing import Any, Final

from nurture.rendering.calendar import calendar_bytes
from nurture.rendering.context import Frozen
from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.headers import header_lines
from nurture.rendering.html_cache import Marked, to_html
from nurture.rendering.mime import assemble, html_body
from nurture.rendering.plain import body_text, header_text, tidy
from nurture.rendering.render_context import OUTPUT_MAX, Rendering
from nurture.rendering.run import run
from nurture.rendering.templates import Template, Templates, names_for
from nurture.rendering.tracing.cache import Filled, Gap, Parts
from nurture.rendering.tracing.record import LINKS_OF_TEXT, Lesson, learn

# A link that a mail program might run instead of follow.
_RUNNABLE: Final = re.compile(
    r"""(?:href|src|action|background)\s*=\s*["']?\s*(?:(?:java|vb)script|data|file)\s*:""", re.IGNORECASE
)


def render(templates: Templates, frozen: Frozen) -> bytes:
    """Return the complete mail, CRLF line ends. The same document and templates give the same bytes.

    Raises MissingValue (skip this mail) or TemplateFault (set the template aside).
    """
    template = _template(templates, frozen)
    filled, _ = _filled(template, frozen)
    if filled is not None and not filled.way.trials:
        body = filled.body(_picture(frozen))
        if body is not None:
            return _bytes(templates, frozen, filled.subject(), filled.text(), body)
    return to_bytes(templates, frozen, render_parts(templates, frozen))


def is_certain(templates: Templates, frozen: Frozen) -> bool:
    """Tell, for a part of the price, that `render` makes this mail: its way is proven, and its values fit."""
    filled, _ = _filled(_template(templates, frozen), frozen)
    return filled is not None and not filled.way.trials


def to_bytes(templates: Templates, frozen: Frozen, parts: Parts) -> bytes:
    """Return the complete mail of rendered parts."""
    return _bytes(templates, frozen, parts.subject, parts.text, parts.html)


def _bytes(templates: Templates, frozen: Frozen, subject: str, text: str, html: str | bytes) -> bytes:
    return assemble(
        header_lines(frozen, templates.imprint, subject=subject),
        boundary=frozen["header_id"],
        text=text,
        html=html,
        calendar=calendar_bytes(frozen),
        method=(frozen["calendar"] or {}).get("method", ""),
    )


def render_parts(templates: Templates, frozen: Frozen, *, reference: bool = False) -> Parts:
    """Return subject, preheader, HTML and text part.

    reference: take the reference path (Jinja, then MRML) whatever is known; both ways give the same HTML.
    """
    template = _template(templates, frozen)
    made = (
        _run(templates, template, frozen, reference=True)
        if reference
        else _parts(templates, template, frozen)
    )
    return made._replace(html=_with_picture(made.html, _picture(frozen)))


def _template(templates: Templates, frozen: Frozen) -> Template:
    return templates.template(frozen["measure"], frozen["mail"], frozen["variant"], frozen["locale"])


def _filled(template: Template, frozen: Frozen) -> tuple[Filled | None, Gap | None]:
    """Return what a mail prints whose way is known; else where its way is not known, if that is why."""
    return template.ways.fill(_values(frozen), Rendering(frozen["locale"], frozen["zone"]))


def _values(frozen: Frozen) -> dict[str, Any]:
    """Return what a way may ask for; what is worked out on it is kept among them."""
    return {**frozen["values"], "links": frozen["links"], LINKS_OF_TEXT: _readable(frozen)}


def _parts(templates: Templates, template: Template, frozen: Frozen) -> Parts:
    """Return the parts, without the picture: filled in where the way is known, else run."""
    filled, gap = _filled(template, frozen)
    if filled is not None and not filled.way.trials:
        return filled.parts()
    made = _run(templates, template, frozen, reference=False)
    if filled is not None:
        filled.way.trials -= 1
        picture = _picture(frozen)
        body, expected = filled.body(picture), html_body(_with_picture(made.html, picture))
        if filled.parts() != made or (body is not None and (body, "7bit") != expected):
            template.ways.is_closed = True
    elif gap is not None and template.ways.is_worth(gap):
        rendering = Rendering(frozen["locale"], frozen["zone"])
        learn(Lesson(templates, template, _values(frozen), rendering, made), gap)
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


def _picture(frozen: Frozen) -> str:
    """Return the picture that records an open, "" for none."""
    url = frozen["links"].get("open")
    return f'<img src="{url}" width="1" height="1" alt="" style="display:block" />' if url else ""


def _with_picture(html: str, picture: str) -> str:
    """Return the HTML with a picture at the very end."""
    head, end, tail = html.rpartition("</body>")
    return f"{head}{picture}{end}{tail}"
