"""The reference path from template and frozen values to a mail's parts: Jinja -> MJML -> HTML.

Every other path must give the same bytes. `nurture.rendering.tracing.cached_render` runs the same templates and only
exchanges the last step, MJML to HTML.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from nurture.rendering.clean_text import clean_body, clean_header, tidy_text
from nurture.rendering.context import MailContext
from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.html_cache import to_html
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.render_state import OUTPUT_MAX
from nurture.rendering.run_template import run_template
from nurture.rendering.templates import Template, Templates, namespaces

#: (template, values, zone) -> HTML.
HtmlRenderer = Callable[[Template, dict[str, Any], str], str]

# A link that a mail program might run instead of follow.
_RUNNABLE: Final = re.compile(
    r"""(?:href|src|action|background)\s*=\s*["']?\s*(?:(?:java|vb)script|data|file)\s*:""", re.IGNORECASE
)


def run_parts(
    templates: Templates,
    template: Template,
    context: MailContext,
    *,
    render_html: HtmlRenderer | None = None,
) -> MailParts:
    """Return the parts, without the open picture, by running the template.

    render_html: makes the HTML part; default: the reference path.
    Raises MissingValue (skip this mail) or TemplateFault (set the template aside).
    """
    locale, zone = context["locale"], context["zone"]
    values: dict[str, Any] = {
        # A value that the measure names `offers` itself goes before it.
        "offers": templates.offers,
        **namespaces(context["values"]),
        **namespaces({"links": context["links"]}),
        "brand": templates.brand,
        "strings": templates.strings(locale),
        "locale": locale,
    }
    subject = clean_header(run_template(template.subject, values, locale=locale, zone=zone))
    preheader = clean_header(run_template(template.preheader, values, locale=locale, zone=zone))
    values |= {"subject": subject, "preheader": preheader}
    links = namespaces({"links": links_of_text(context)})
    text = tidy_text(clean_body(run_template(template.text, values | links, locale=locale, zone=zone)))
    html = (render_html or render_reference_html)(template, values, zone)
    return MailParts(subject, preheader, html, text)


def links_of_text(context: MailContext) -> dict[str, str]:
    """Return the links of the text part: its call to action shows the target, because a person reads the URL."""
    links = dict(context["links"])
    if context["target"]:
        links["call_to_action"] = context["target"]
    return links


def render_reference_html(template: Template, values: dict[str, Any], zone: str) -> str:
    """Return the HTML by Jinja, then MRML. Raises MissingValue or TemplateFault."""
    mjml = clean_body(run_template(template.markup, values, locale=template.locale, zone=zone))
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
    link = _RUNNABLE.search(html)
    if link:
        # The check rendered the template without such a link, so it comes from this mail's values.
        what = f"a link that could be run: {link[0][:60]}"
        raise MissingValue(TemplateProblem(template.path, 1, what, "link to https:// only"), "a link")
    return html
