"""Freezing: everything a mail is made from, fixed as one JSON document when the guard lets it pass.

The document is kept in `messages.context`. From it and the templates the same bytes come, at every attempt
and on every machine; a reader of the ledger sees what the person was told and why.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import msgspec

from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING
from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.formats import instant_of
from nurture.rendering.plain import body_text, header_text
from nurture.rendering.run import run
from nurture.rendering.template_analysis import Reads
from nurture.rendering.templates import Template, Templates, names_for

#: Bounds on what one mail may hold, so that a run-away property cannot fill the ledger.
TEXT_LENGTH_MAX: Final = 20_000
LIST_LENGTH_MAX: Final = 500
DOCUMENT_LENGTH_MAX: Final = 200_000
_DEPTH_MAX: Final = 8
# Text that is kept as it is: nearly all. What is not is made so by `body_text`; the last two are the marks of slots.
_UNPLAIN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ue000\ue001]")
# JSON with blanks and escapes may be this much longer than without.
_LONGER: Final = 3
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
    # What `nurture.rendering.links.links_for` returned.
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
    chosen, locale, template = templates.chosen(measure, mail, variant, addressee.locale)
    given = _Given(addressee, templates.imprint.scales)
    frozen = Frozen(
        measure=measure,
        step=step,
        mail=mail,
        variant=chosen,
        locale=locale,
        zone=addressee.zone,
        template=template.digest,
        values=given.values(template.reads),
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
    _aim(templates, frozen, given)
    frozen["calendar"] = _calendar(templates, frozen, given)
    _bound(frozen, template)
    return frozen


def plain_values(value: Any, depth: int = 0) -> Any:
    """Return a value as the document keeps it: bounded, without unknown (None) entries and control characters.

    Mapping keys become text; what JSON cannot hold becomes text too.
    """
    if isinstance(value, str):
        if len(value) <= TEXT_LENGTH_MAX and not _UNPLAIN.search(value):
            return value
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


class _Given:
    """What a mail may be made from; only what is asked for is copied and made plain."""

    __slots__ = ("_scales", "_view", "links")

    def __init__(self, addressee: Addressee, scales: Mapping[str, int]) -> None:
        self.links, self._view, self._scales = addressee.links, addressee.view, scales

    def values(self, reads: Reads) -> dict[str, Any]:
        """Return of the view only what is read; unknown values (None) are left out, as if not there."""
        kept: dict[str, Any] = {}
        for name, value in self._view.items():
            keys = reads.get(name, ())
            if keys is None or not isinstance(value, Mapping):
                plain = plain_values(value, 1) if name in reads else None
            elif name in reads:
                given = {key: plain_values(value[key], 2) for key in keys if key in value}
                plain = {key: each for key, each in given.items() if each is not None}
            else:
                continue
            if plain is not None:
                kept[name] = plain
        return self._scaled(kept)

    def _scaled(self, kept: dict[str, Any]) -> dict[str, Any]:
        """Return the values with decimal facts as people write them: 1350 stored at scale 2 is 13.5."""
        contact = kept.get("contact")
        if isinstance(contact, dict):
            for name, value in contact.items():
                if name in self._scales and isinstance(value, int):
                    amount, rest = divmod(value, 10 ** self._scales[name])
                    contact[name] = amount if rest == 0 else value / 10 ** self._scales[name]
        return kept

    def shown(self, reads: Reads) -> dict[str, str]:
        """Return those of the links that are read."""
        keys = reads.get("links", ())
        return {name: self.links[name] for name in self.links if keys is None or name in keys}


def _links(
    template: Template, links: Mapping[str, str], *, purpose: str, topic: str | None
) -> dict[str, str]:
    """Return the links that the mail holds: those its template reads, and those of its headers."""
    read = template.reads.get("links", ())
    kept = {name: links[name] for name in links if (read is None or name in read) and name != "click"}
    if topic is None or purpose not in MARKETING:
        # Mail that needs no consent has nothing to unsubscribe from.
        kept.pop("unsubscribe", None)
    elif "unsubscribe" in links:
        kept["unsubscribe"] = links["unsubscribe"]
    if "open" in links:
        kept["open"] = links["open"]
    return kept


def _aim(templates: Templates, frozen: Frozen, given: _Given) -> None:
    """Fill in the call to action: its target, and the link to it that the mail shows."""
    link = templates.imprint.links.get(frozen["measure"], "")
    if not link:
        return
    target = _without_blanks(_said(templates, frozen, given, link))
    if not target.lower().startswith(_SCHEMES):
        problem = TemplateProblem(
            f"{frozen['measure']}/measure.yaml",
            1,
            f"the call to action leads to {target[:80]!r}",
            "let the link begin with https://",
        )
        raise MissingValue(problem, "links.call_to_action")
    # A link of this one mail can only be there where the expression reads links.
    reads = templates.expression(f"{frozen['measure']}/measure.yaml", link).reads
    is_ours = target in given.shown(reads).values()
    is_tracked = target.lower().startswith(("https://", "http://")) and not is_ours and "click" in given.links
    frozen["target"] = target
    frozen["links"]["call_to_action"] = given.links["click"] if is_tracked else target


def _calendar(templates: Templates, frozen: Frozen, given: _Given) -> dict[str, Any] | None:
    texts = templates.imprint.calendars.get(frozen["measure"], {}).get(frozen["step"])
    if texts is None:
        return None
    calendar: dict[str, Any] = {"method": texts["method"], "zone": texts.get("zone", "")}
    for name in ("uid", "summary", "location"):
        calendar[name] = header_text(_said(templates, frozen, given, texts.get(name, "")))
    for name in ("start", "end"):
        said = _said(templates, frozen, given, texts[name])
        try:
            calendar[name] = instant_of(said)
        except ValueError:
            path = f"{frozen['measure']}/measure.yaml"
            problem = TemplateProblem(
                path, 1, f"the calendar's {name} is {said[:80]!r}", "give it an instant"
            )
            raise MissingValue(problem, f"calendar.{name}") from None
    # A changed appointment is the same run's next generation; a cancelled one comes after all changes.
    generation = given.values({"generation": None}).get("generation") or 0
    calendar["sequence"] = int(generation) + (calendar["method"] == "CANCEL")
    return calendar


def _said(templates: Templates, frozen: Frozen, given: _Given, text: str) -> str:
    """Return a short template of measure.yaml, rendered."""
    locale = frozen["locale"]
    expression = templates.expression(f"{frozen['measure']}/measure.yaml", text)
    said = expression.said.get(locale)
    if said is not None:
        return said
    values = {
        **names_for(given.values(expression.reads)),
        **names_for({"links": given.shown(expression.reads)}),
        "brand": templates.brand,
        "strings": templates.strings(locale),
        "locale": locale,
    }
    said = run(expression.template, values, locale=locale, zone=frozen["zone"]).strip()
    if expression.is_fixed:
        expression.said[locale] = said
    return said


def _without_blanks(url: str) -> str:
    """Return a URL without blanks and control characters; a browser would skip them, so must we."""
    return "".join(body_text(url).split())


def _bound(frozen: Frozen, template: Template) -> None:
    # Nearly every document is far below: then its exact size need not be known. What cannot be told is counted.
    with suppress(ValueError, OverflowError):
        if len(msgspec.json.encode(frozen)) * _LONGER <= DOCUMENT_LENGTH_MAX:
            return
    size = len(json.dumps(frozen))
    if size > DOCUMENT_LENGTH_MAX:
        change = f"a mail keeps at most {DOCUMENT_LENGTH_MAX} characters; let the template read less"
        raise TemplateFault(TemplateProblem(template.path, 1, f"its values make {size} characters", change))
