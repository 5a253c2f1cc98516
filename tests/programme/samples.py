"""The shipped mails, rendered from their `sample.json` as the engine renders them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nurture.domain.instant import DAY, Instant, parse_iso
from nurture.domain.measure import MailStep, Measure
from nurture.playbook import LoadedPlaybook, build, load_files
from nurture.rendering.context import MailContext, Recipient, freeze_context
from nurture.rendering.images import image_links
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.render import render_parts
from nurture.rendering.sample import read_sample
from nurture.rendering.templates import Templates
from nurture.rendering.tracing.cache import CHECKS_PER_RECORDING
from nurture.rendering.tracing.cached_render import find_recording
from tests.rig.playbooks import share_checked_playbooks

PROGRAMME = Path(__file__).parents[2] / "email_templates"
NOW: Instant = parse_iso("2026-06-10T08:00:00Z")

#: Link name -> URL as samples show it.
LINKS: Mapping[str, str] = {
    name: f"https://mail.larkandkettle.example/{path}/TOKEN"
    for name, path in {
        "unsubscribe": "u",
        "preferences": "p",
        "survey": "s",
        "confirm": "confirm",
        "object": "object",
    }.items()
}


@dataclass(frozen=True, slots=True, order=True)
class Mail:
    """One mail in one language; `variant` is "" for the plain one."""

    measure: str
    mail: str
    variant: str
    locale: str

    def __str__(self) -> str:
        return f"{self.measure}/{self.mail}{'@' + self.variant if self.variant else ''}.{self.locale}"


@cache
def loaded() -> LoadedPlaybook:
    """Return the shipped programme."""
    # Names of tests are made of it, so this is the first check of the session; the others use its result.
    share_checked_playbooks()
    return build(load_files(PROGRAMME))


def templates(template_cache: str = "on") -> Templates:
    """Return its templates, with the cache of recordings `on` or `off`."""
    return _templates(template_cache)


@cache
def _templates(template_cache: str) -> Templates:
    return Templates.of(loaded().files, loaded().playbook, has_cache=template_cache == "on")


def mails() -> list[Mail]:
    """Return every mail of the programme in each of its languages."""
    return sorted(Mail(*key) for key in templates().mails())


def measure_of(mail: Mail) -> Measure:
    """Return the measure that sends the mail."""
    return loaded().playbook.measures[mail.measure]


def sample(measure: str, locale: str = "en") -> dict[str, Any]:
    """Return a fresh copy of a measure's sample in a locale."""
    return read_sample(loaded().files, measure, locale=locale)


def context_of(mail: Mail, values: Mapping[str, Any] | None = None) -> MailContext:
    """Return the frozen context of the mail. values: used instead of those of `sample.json`."""
    measure, values = measure_of(mail), sample(mail.measure, mail.locale) if values is None else values
    contact = {"locale": mail.locale, "email": "anna@example.com", **values.get("contact", {})}
    view = {
        "contact": contact,
        "event": values.get("event", {}),
        "entity": values.get("entity", {}),
        "generation": 0,
        "sequence": values.get("sequence", 0),
        **({"owner": values["owner"]} if "owner" in values else {}),
        **values.get("let", {}),
        **values.get("objects", {}),
    }
    step = next(s for s in measure.steps if isinstance(s, MailStep) and s.mail == mail.mail)
    return freeze_context(
        templates(),
        Recipient(
            address="anna@example.com",
            locale=mail.locale,
            zone="Europe/Berlin",
            links={**LINKS, **image_links(templates().images, "https://mail.larkandkettle.example")},
            view=view,
        ),
        measure=mail.measure,
        step=step.id,
        mail=mail.mail,
        variant=mail.variant,
        purpose=measure.purpose,
        topic=measure.topic,
        header_id="<sample@larkandkettle.example>",
        date=NOW + DAY // 12,
    )


def parts(mail: Mail, values: Mapping[str, Any] | None = None) -> MailParts:
    """Return subject, preheader, HTML and text of the mail. values: used instead of those of `sample.json`."""
    return render_parts(templates(), context_of(mail, values))


#: Mails without a recording. A template that looks up the line of a product runs each time; and a sample whose name is
#: cut with an ellipsis in the subject proves none, though a shorter name does.
_RUN_EACH_TIME = frozenset({"stock"})
_CUT_IN_SAMPLE = frozenset(
    {
        "customer/any/abandoned_cart/left.zh-CN",
        "customer/any/welcome_series/welcome.zh-CN",
        "lead/any/abandoned_cart/left.zh-CN",
    }
)


def has_recording(mail: Mail) -> bool:
    """Tell whether the mail's sample makes a recording."""
    return mail.mail not in _RUN_EACH_TIME and str(mail) not in _CUT_IN_SAMPLE


def parts_by(mail: Mail, template_cache: str) -> MailParts:
    """Return the parts with the cache `on`, from a recording that has passed its checks, or with the cache `off`."""
    used, context = templates(template_cache), context_of(mail)
    if template_cache == "on":
        for _ in range(2 + CHECKS_PER_RECORDING):
            render_parts(used, context)
    assert (find_recording(used, context) is not None) == (template_cache == "on" and has_recording(mail))
    return render_parts(used, context)
