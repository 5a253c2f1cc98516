"""A mail from a measure's sample.json: what previews, checks and golden files render."""

import json
from collections.abc import Mapping
from typing import Any, Final

from nurture.domain.instant import Instant, parse_iso
from nurture.rendering.context import Addressee, Frozen, freeze
from nurture.rendering.images import image_links
from nurture.rendering.links import PAGES
from nurture.rendering.templates import Templates

#: A Monday morning: samples read as a day in it.
SAMPLE_DATE: Final[Instant] = parse_iso("2026-06-08T08:00:00Z")
SAMPLE_ADDRESS: Final = "anna@example.test"
SAMPLE_ZONE: Final = "Europe/Berlin"
#: The public pages' place in samples.
SAMPLE_BASE_URL: Final = "https://mail.example.test"


def sample_view(sample: Mapping[str, Any], *, locale: str) -> dict[str, Any]:
    """Return the names that templates read, from a sample ({"contact", "event", "entity", "let", "objects"})."""
    contact = {"email": SAMPLE_ADDRESS, "locale": locale, "zone": SAMPLE_ZONE, **sample.get("contact", {})}
    return {
        "entity_key": "sample",
        "generation": 0,
        **{name: value for name, value in sample.items() if name in ("entity_key", "generation")},
        "contact": contact,
        "event": dict(sample.get("event", {})),
        "entity": dict(sample.get("entity", {})),
        **sample.get("let", {}),
        **sample.get("objects", {}),
    }


def sample_frozen(
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
) -> Frozen:
    """Return the frozen document of a mail made from the measure's sample (or from this one).

    Its links lead nowhere; nothing of it is ever sent. Raises as `freeze` does.
    """
    if sample is None:
        sample = json.loads(templates.files.get(f"{measure}/sample.json", "{}"))
    links = {
        name: f"{SAMPLE_BASE_URL}{page}sample"
        for name, page in PAGES.items()
        if name not in ("click", "open")
    }
    if topic is None:
        del links["unsubscribe"]
    addressee = Addressee(
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
    return freeze(
        templates,
        addressee,
        measure=measure,
        step=step,
        mail=mail,
        variant=variant,
        purpose=purpose,
        topic=topic,
        header_id="<m0.sample@example.test>",
        date=SAMPLE_DATE,
    )
