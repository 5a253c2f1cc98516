"""Mails of measures to people of the house (`notify`): one text file with a subject, in the default locale.

They read the person's facts, the run's event and entity and its `let` values; no links, no layouts and no objects.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from nurture.rendering.clean_text import clean_body, clean_header
from nurture.rendering.context import read_values
from nurture.rendering.errors import TemplateFault, TemplateProblem
from nurture.rendering.run_template import run_template
from nurture.rendering.sample import SAMPLE_ADDRESS, SAMPLE_ZONE, read_sample, sample_view
from nurture.rendering.template_files import path_of, read_owner_source
from nurture.rendering.templates import Templates, namespaces

#: Names that such a mail may read, besides its measure's `let`.
OWNER_MAIL_NAMES: Final = frozenset(
    {
        "brand",
        "contact",
        "entity",
        "entity_key",
        "event",
        "generation",
        "locale",
        "owner",
        "range",
        "run_id",
        "strings",
    }
)


class OwnerMail(NamedTuple):
    """Subject and text of a mail to an owner."""

    subject: str
    text: str


def render_owner_mail(
    templates: Templates, *, measure: str, mail: str, view: Mapping[str, Any], zone: str
) -> OwnerMail:
    """Return the mail in the default locale.

    view: name -> value, from `domain.facts.view`, with `owner`. zone: of the times that it prints.
    Raises MissingValue when a value is missing, TemplateFault when the file is missing or broken.
    """
    locale = templates.shared.default_locale
    path = owner_mail_path(templates, measure, mail)
    if path not in templates.files:
        raise TemplateFault(TemplateProblem(path, 1, "the file is missing", "add it, with `subject:` on top"))
    source = read_owner_source(path, templates.files[path])
    subject, text = (
        _run(templates, path, part, view, locale=locale, zone=zone) for part in (source.subject, source.body)
    )
    return OwnerMail(clean_header(" ".join(subject.split())), clean_body(text).strip())


def render_owner_sample(templates: Templates, *, measure: str, mail: str) -> OwnerMail:
    """Return the mail with the values of the measure's samples; without one, with none."""
    sample = read_sample(templates.files, measure, locale=templates.shared.default_locale)
    return render_owner_mail(
        templates, measure=measure, mail=mail, view=owner_sample_view(templates, sample), zone=SAMPLE_ZONE
    )


def owner_sample_view(templates: Templates, sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> value for a mail to an owner, from a sample."""
    view = sample_view({**sample, "objects": {}}, locale=templates.shared.default_locale)
    contact = {name: value for name, value in view["contact"].items() if name != "email"}
    contact |= sample.get("contact", {})
    return {**view, "contact": contact, "owner": {"name": "Nora", "address": SAMPLE_ADDRESS}}


def owner_mail_path(templates: Templates, measure: str, mail: str) -> str:
    """Return the path of the mail's file."""
    return path_of(measure, mail, "", templates.shared.default_locale, "txt")


def _run(
    templates: Templates, path: str, text: str, view: Mapping[str, Any], *, locale: str, zone: str
) -> str:
    expression = templates.expression(path, text)
    values = {
        **namespaces(read_values(view, expression.reads, templates.shared.scales)),
        "brand": templates.brand,
        "strings": templates.strings(locale),
        "locale": locale,
    }
    return run_template(expression.template, values, locale=locale, zone=zone)
