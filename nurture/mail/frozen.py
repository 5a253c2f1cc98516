"""Freezing: everything a mail is made from, fixed as one JSON document when the guard lets it pass.

The document is kept in `messages.context`. From it and the templates the same bytes come, at every attempt
and on every machine; a reader of the ledger sees what the person was told and why.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING
from nurture.mail.anatomy import pruned
from nurture.mail.compile import Template, Templates, names_for
from nurture.mail.faults import MissingValue, TemplateFault, TemplateProblem
from nurture.mail.formats import instant_of
from nurture.mail.plain import body_text, header_text
from nurture.mail.run import run

#: Bounds on what one mail may hold, so that a run-away property cannot fill the ledger.
TEXT_LENGTH_MAX: Final = 20_000
LIST_LENGTH_MAX: Final = 500
DOCUMENT_LENGTH_MAX: Final = 200_000
_DEPTH_MAX: Final = 8
_SCHEMES: Final = ("https://", "http://", "mailto:", "tel:")


class Frozen(TypedDict):
    """The document. Only plain JSON values."""

    measure: str
    # The step that the calendar belongs to.
    step: str
    mail: str
    # "" when the plain mail goes out.
    variant: str
    # The locale of the template, not of the contact.
    locale: str
    zone: str
    # Digest of everything the templates are made from.
    template: str
    values: dict[str, Any]
    # Link name -> URL as it stands in the mail.
    links: dict[str, str]
    # Where the call to action leads in the end; the click page reads it.
    target: str
    # Recipient, and who writes: {"name", "address", "reply_to"}.
    to: str
    sender: dict[str, str]
    purpose: str
    topic: str | None
    # The Message-ID header with its angle brackets.
    header_id: str
    date: Instant
    # {"method", "uid", "sequence", "start", "end", "summary", "location", "zone"}, or None.
    calendar: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a mail is for, and everything that is not the playbook's."""

    # The canonical address.
    address: str
    # Wanted locale (BCP 47) and zone (IANA); None: the playbook's default locale.
    locale: str | None
    zone: str
    # What `nurture.mail.links.links_for` returned.
    links: Mapping[str, str]
    # `domain.facts.view`, with the objects' values under their names.
    view: Mapping[str, Any]


def freeze(
    templates: Templates,
    addressee: Addressee,
    *,
    measure: str,
    step: str,
    mail: str,
    variant: str,
    purpose: str,
    topic: str | None,
    header_id: str,
    date: Instant,
) -> Frozen:
    """Return the document of one mail.

    Of the view only what the template reads is kept. Reads no clock, asks nobody.
    Raises MissingValue when the call to action or the calendar needs a value that is not there (the mail must
    be skipped), TemplateFault when the template itself is broken.
    """
    chosen = templates.variant_for(measure, mail, variant)
    locale = templates.locale_for(measure, mail, chosen, addressee.locale)
    template = templates.template(measure, mail, chosen, locale)
    view = _scaled(plain_values(dict(addressee.view)), templates.imprint.scales)
    frozen = Frozen(
        measure=measure,
        step=step,
        mail=mail,
        variant=chosen,
        locale=locale,
        zone=addressee.zone,
        template=template.digest,
        values=pruned(view, template.needs),
        links=_links(template, addressee.links, purpose=purpose, topic=topic),
        target="",
        to=addressee.address,
        sender=templates.imprint.sender(purpose),
        purpose=purpose,
        topic=topic,
        header_id=header_id,
        date=date,
        calendar=None,
    )
    names = {**view, "links": dict(addressee.links)}
    _aim(templates, frozen, names, tracked=addressee.links.get("click"))
    frozen["calendar"] = _calendar(templates, frozen, names)
    _bound(frozen, template)
    return frozen


def plain_values(value: Any, depth: int = 0) -> Any:
    """Return a value as the document keeps it: bounded, without unknown (None) entries and control characters.

    Mapping keys become text; what JSON cannot hold becomes text too.
    """
    if isinstance(value, str):
        return body_text(value[:TEXT_LENGTH_MAX]).replace("\ue000", "").replace("\ue001", "")
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if depth >= _DEPTH_MAX:
        return None
    if isinstance(value, Mapping):
        inner = {str(key): plain_values(each, depth + 1) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain_values(each, depth + 1) for each in list(items)[:LIST_LENGTH_MAX]]
    return body_text(str(value))


def _scaled(view: dict[str, Any], scales: Mapping[str, int]) -> dict[str, Any]:
    """Return the view with decimal facts as people write them: 1350 stored at scale 2 is 13.5."""
    contact = view.get("contact")
    if isinstance(contact, dict):
        for name, scale in scales.items():
            if isinstance(contact.get(name), int):
                amount, rest = divmod(contact[name], 10**scale)
                contact[name] = amount if rest == 0 else contact[name] / 10**scale
    return view


def _links(
    template: Template, links: Mapping[str, str], *, purpose: str, topic: str | None
) -> dict[str, str]:
    """Return the links that the mail holds: those its template reads, and those of its headers."""
    read = {need[1] for need in template.needs if need[0] == "links" and len(need) > 1}
    whole = ("links",) in template.needs
    kept = {name: url for name, url in links.items() if whole or name in read}
    if topic is None or purpose not in MARKETING:
        # Mail that needs no consent has nothing to unsubscribe from.
        kept.pop("unsubscribe", None)
    elif "unsubscribe" in links:
        kept["unsubscribe"] = links["unsubscribe"]
    kept.pop("click", None)
    if "open" in links:
        kept["open"] = links["open"]
    return kept


def _aim(templates: Templates, frozen: Frozen, names: Mapping[str, Any], *, tracked: str | None) -> None:
    """Fill in the call to action: its target, and the link to it that the mail shows."""
    link = templates.imprint.links.get(frozen["measure"], "")
    if not link:
        return
    target = _without_blanks(_said(templates, frozen, names, link))
    if not target.lower().startswith(_SCHEMES):
        problem = TemplateProblem(
            f"{frozen['measure']}/measure.yaml",
            1,
            f"the call to action leads to {target[:80]!r}",
            "let the link begin with https://",
        )
        raise MissingValue(problem, "links.call_to_action")
    ours = target in names["links"].values()
    is_page = target.lower().startswith(("https://", "http://")) and not ours
    frozen["target"] = target
    frozen["links"]["call_to_action"] = tracked if tracked and is_page else target


def _calendar(templates: Templates, frozen: Frozen, names: Mapping[str, Any]) -> dict[str, Any] | None:
    texts = templates.imprint.calendars.get(frozen["measure"], {}).get(frozen["step"])
    if texts is None:
        return None
    calendar: dict[str, Any] = {"method": texts["method"], "zone": texts.get("zone", "")}
    for name in ("uid", "summary", "location"):
        calendar[name] = header_text(_said(templates, frozen, names, texts.get(name, "")))
    for name in ("start", "end"):
        said = _said(templates, frozen, names, texts[name])
        try:
            calendar[name] = instant_of(said)
        except ValueError:
            path = f"{frozen['measure']}/measure.yaml"
            problem = TemplateProblem(
                path, 1, f"the calendar's {name} is {said[:80]!r}", "give it an instant"
            )
            raise MissingValue(problem, f"calendar.{name}") from None
    # A changed appointment is the same run's next generation; a cancelled one comes after all changes.
    calendar["sequence"] = int(names.get("generation") or 0) + (calendar["method"] == "CANCEL")
    return calendar


def _said(templates: Templates, frozen: Frozen, names: Mapping[str, Any], text: str) -> str:
    """Return a short template of measure.yaml, rendered."""
    path = f"{frozen['measure']}/measure.yaml"
    values = {
        **names_for(names),
        "brand": templates.brand,
        "strings": templates.strings(frozen["locale"]),
        "locale": frozen["locale"],
    }
    return run(templates.expression(path, text), values, locale=frozen["locale"], zone=frozen["zone"]).strip()


def _without_blanks(url: str) -> str:
    """Return a URL without blanks and control characters; a browser would skip them, so must we."""
    return "".join(char for char in body_text(url) if not char.isspace())


def _bound(frozen: Frozen, template: Template) -> None:
    size = len(json.dumps(frozen))
    if size > DOCUMENT_LENGTH_MAX:
        change = f"a mail keeps at most {DOCUMENT_LENGTH_MAX} characters; let the template read less"
        raise TemplateFault(TemplateProblem(template.path, 1, f"its values make {size} characters", change))
