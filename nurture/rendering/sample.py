"""The frozen context of a mail from its measure's sample.json, for previews, checks and golden files."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from nurture.domain.instant import Instant, parse_iso
from nurture.rendering.context import MailContext, Recipient, freeze_context
from nurture.rendering.images import image_links
from nurture.rendering.links import PAGES
from nurture.rendering.templates import Templates

#: Date of sample mails, a Monday morning; the samples' own dates are near it.
SAMPLE_DATE: Final[Instant] = parse_iso("2026-06-08T08:00:00Z")
SAMPLE_ADDRESS: Final = "anna@example.test"
SAMPLE_ZONE: Final = "Europe/Berlin"
#: Base URL of the public pages in sample mails.
SAMPLE_BASE_URL: Final = "https://mail.example.test"


#: `sample.office.json`: another sample of a measure, by its name; `sample.zh-CN.json`: what differs in a locale.
FURTHER_SAMPLE: Final = re.compile(r"sample\.([A-Za-z][A-Za-z0-9_-]{0,59})\.json")


def sample_names(files: Mapping[str, str], measure: str, locales: Collection[str]) -> list[str]:
    """Return the names of the further samples of a measure; those of a locale are none."""
    names = (path.removeprefix(f"{measure}/") for path in files if path.startswith(f"{measure}/sample."))
    found = (match[1] for name in names if (match := FURTHER_SAMPLE.fullmatch(name)) is not None)
    return sorted(name for name in found if name not in locales)


def read_sample(
    files: Mapping[str, str], measure: str, name: str = "", *, locale: str = ""
) -> dict[str, Any]:
    """Return the values of a measure's sample.json.

    locale, name: those of sample.LOCALE.json (where there is one) and of sample.NAME.json take their place, in this
    order.
    """
    sample: dict[str, Any] = json.loads(files.get(f"{measure}/sample.json", "{}"))
    paths = [f"{measure}/sample.{name}.json"] if name else []
    if locale and f"{measure}/sample.{locale}.json" in files:
        paths.insert(0, f"{measure}/sample.{locale}.json")
    for path in paths:
        other: dict[str, Any] = json.loads(files[path])
        for part, values in other.items():
            is_mapping = isinstance(values, dict) and isinstance(sample.get(part), dict)
            sample[part] = {**sample[part], **values} if is_mapping else values
    return sample


def sample_view(sample: Mapping[str, Any], *, locale: str) -> dict[str, Any]:
    """Return name -> value for templates, from a sample ({"contact", "event", "entity", "let", "objects"})."""
    names = {
        name: value
        for name, value in sample.items()
        if name in ("entity_key", "generation", "owner", "sequence")
    }
    contact = {"email": SAMPLE_ADDRESS, "locale": locale, "zone": SAMPLE_ZONE, **sample.get("contact", {})}
    return {
        "entity_key": "sample",
        "generation": 0,
        "run_id": "sample",
        "sequence": 0,
        **names,
        "contact": contact,
        "event": dict(sample.get("event", {})),
        "entity": dict(sample.get("entity", {})),
        **sample.get("let", {}),
        **sample.get("objects", {}),
    }


def sample_context(
    templates: Templates,
    *,
    measure: str,
    step: str,
    mail: str,
    variant: str,
    locale: str,
    purpose: str,
    topic: str | None,
    sample: Mapping[str, Any] | None = None,
) -> MailContext:
    """Return the frozen context of a mail with the values of `sample`, by default those of the measure's samples.

    Its links carry no valid token; the mail is never sent. Raises as `freeze_context` does.
    """
    if sample is None:
        sample = read_sample(templates.files, measure, locale=locale)
    links = {
        name: f"{SAMPLE_BASE_URL}{page}sample"
        for name, page in PAGES.items()
        if name not in ("click", "open")
    }
    if topic is None:
        del links["unsubscribe"]
    recipient = Recipient(
        address=SAMPLE_ADDRESS,
        locale=locale,
        zone=SAMPLE_ZONE,
        links={
            **links,
            **image_links(templates.images, SAMPLE_BASE_URL),
            **sample.get("links", {}),
        },
        view=sample_view(sample, locale=locale),
    )
    return freeze_context(
        templates,
        recipient,
        measure=measure,
        step=step,
        mail=mail,
        variant=variant,
        purpose=purpose,
        topic=topic,
        header_id="<m0.sample@example.test>",
        date=SAMPLE_DATE,
    )
