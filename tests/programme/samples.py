"""The shipped mails, made from their `sample.json` the way the engine makes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nurture.domain.instant import DAY, Instant, parse_iso
from nurture.domain.measure import MailStep, Measure
from nurture.playbook import LoadedPlaybook, build, load_files
from nurture.rendering.context import MailContext, Recipient, freeze_context
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.render import render_parts
from nurture.rendering.templates import Templates

PROGRAMME = Path(__file__).parents[2] / "email_templates"
NOW: Instant = parse_iso("2026-06-10T08:00:00Z")

#: Link name -> URL as samples show it.
LINKS: Mapping[str, str] = {
    name: f"https://mail.larkandkettle.example/{path}/TOKEN"
    for name, path in {"unsubscribe": "u", "preferences": "p", "survey": "s", "confirm": "confirm"}.items()
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
    return build(load_files(PROGRAMME))


@cache
def templates() -> Templates:
    """Return its templates."""
    return Templates.of(loaded().files, loaded().playbook)


def mails() -> list[Mail]:
    """Return every mail of the programme, in every language it is there in."""
    return sorted(Mail(*key) for key in templates().mails())


def measure_of(mail: Mail) -> Measure:
    """Return the measure that sends the mail."""
    return loaded().playbook.measures[mail.measure]


def sample(measure: str) -> dict[str, Any]:
    """Return a fresh copy of a measure's sample."""
    found: dict[str, Any] = json.loads(loaded().files[f"{measure}/sample.json"])
    return found


def frozen(mail: Mail, given: Mapping[str, Any] | None = None) -> MailContext:
    """Return the document of the mail. given: other sample values than those of `sample.json`."""
    measure, values = measure_of(mail), sample(mail.measure) if given is None else given
    contact = {"locale": mail.locale, "email": "anna@example.com", **values.get("contact", {})}
    view = {
        "contact": contact,
        "event": values.get("event", {}),
        "entity": values.get("entity", {}),
        "generation": 0,
        **values.get("let", {}),
        **values.get("objects", {}),
    }
    step = next(s for s in measure.steps if isinstance(s, MailStep) and s.mail == mail.mail)
    return freeze_context(
        templates(),
        Recipient(
            address="anna@example.com", locale=mail.locale, zone="Europe/Berlin", links=LINKS, view=view
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


def parts(mail: Mail, given: Mapping[str, Any] | None = None) -> MailParts:
    """Return what a person reads of the mail."""
    return render_parts(templates(), frozen(mail, given))
