"""The frozen context of a mail: everything it is made from, as one JSON document.

`freeze_context` makes it when the guard lets the message pass; it is stored in `messages.context`. The same context
and templates give the same bytes at every attempt and on every machine.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict

import msgspec

from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING
from nurture.rendering.clean_text import clean_body, clean_header
from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.formats import parse_instant
from nurture.rendering.run_template import run_template
from nurture.rendering.template_analysis import ReadNames
from nurture.rendering.templates import Template, Templates, namespaces

#: Limits on the values of one mail, so that an endless property cannot fill the ledger.
TEXT_LENGTH_MAX: Final = 20_000
LIST_LENGTH_MAX: Final = 500
DOCUMENT_LENGTH_MAX: Final = 200_000
_DEPTH_MAX: Final = 8
# Characters that `plain_values` removes or replaces; the last two are the marks of `nurture.rendering.marks`.
_UNPLAIN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ue000\ue001]")
# JSON with blanks and escapes is at most this many times as long as without.
_JSON_GROWTH_MAX: Final = 3
_SCHEMES: Final = ("https://", "http://", "mailto:", "tel:")


class MailContext(TypedDict):
    """The document; it holds plain JSON values only."""

    measure: str
    # Id of the mail's step; its calendar is read by it.
    step: str
    mail: str
    # "" for the plain mail.
    variant: str
    # The locale of the template, not of the contact.
    locale: str
    zone: str
    # `Template.digest`: hash of everything the template is made from.
    template: str
    values: dict[str, Any]
    # Link name -> URL as the mail shows it.
    links: dict[str, str]
    # URL that the call to action leads to; the click page redirects to it.
    target: str
    # Address of the recipient, and {"name", "address", "reply_to"} of the sender.
    to: str
    sender: dict[str, str]
    purpose: str
    topic: str | None
    # The Message-ID header with its angle brackets.
    header_id: str
    date: Instant
    # {"method", "uid", "sequence", "start", "end", "summary", "location", "zone"}, or None.
    calendar: dict[str, Any] | None
    # The earliest time that the mail promises ("we answer by"); from then on its words are no longer true.
    true_until: NotRequired[Instant]
    # Published value -> the version by which it ordered a list of the mail.
    rankings: NotRequired[dict[str, int]]


@dataclass(frozen=True, slots=True)
class Recipient:
    """The recipient of a mail, with the values and links that the mail may use."""

    # The canonical address.
    address: str
    # The contact's locale (BCP 47; None: the playbook's default) and zone (IANA).
    locale: str | None
    zone: str
    # Link name -> URL, from `nurture.rendering.links.links_for`.
    links: Mapping[str, str]
    # Name -> value, from `domain.facts.view`, and the objects' values under their names.
    view: Mapping[str, Any]


def freeze_context(
    templates: Templates,
    recipient: Recipient,
    *,
    measure: str,
    step: str,
    mail: str,
    variant: str,
    purpose: str,
    topic: str | None,
    header_id: str,
    date: Instant,
) -> MailContext:
    """Return the frozen context of one mail. Reads no clock and no database.

    It keeps the values of the view that the template reads. topic: None for mail that needs no consent.
    Raises MissingValue when the call to action or the calendar needs a value that is missing (skip the mail),
    TemplateFault when the template itself is broken.
    """
    chosen, locale, template = templates.choose(measure, mail, variant, recipient.locale)
    available = _AvailableValues(recipient, templates.shared.scales)
    context = MailContext(
        measure=measure,
        step=step,
        mail=mail,
        variant=chosen,
        locale=locale,
        zone=recipient.zone,
        template=template.digest,
        values=available.read(template.reads),
        links=_links(template, recipient.links, purpose=purpose, topic=topic),
        target="",
        to=recipient.address,
        sender=templates.shared.signer(measure, purpose, recipient.view),
        purpose=purpose,
        topic=topic,
        header_id=header_id,
        date=date,
        calendar=None,
    )
    promised = [
        instant
        for name in templates.shared.promises.get(measure, ())
        if name in template.reads and isinstance(instant := recipient.view.get(name), int)
    ]
    if promised:
        context["true_until"] = min(promised)
    _set_call_to_action(templates, context, available)
    context["calendar"] = _calendar(templates, context, available)
    _require_bounded(context, template)
    return context


def plain_values(value: Any, depth: int = 0) -> Any:
    """Return a value as the context keeps it: bounded, without unknown (None) entries and control characters.

    Mapping keys become text, and so does every value that JSON cannot hold.
    """
    if isinstance(value, str):
        if len(value) <= TEXT_LENGTH_MAX and not _UNPLAIN.search(value):
            return value
        return clean_body(value[:TEXT_LENGTH_MAX]).replace("\ue000", "").replace("\ue001", "")
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if depth >= _DEPTH_MAX:
        return None
    if isinstance(value, Mapping):
        inner = {str(key): plain_values(item, depth + 1) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain_values(item, depth + 1) for item in list(items)[:LIST_LENGTH_MAX]]
    return clean_body(str(value))


def read_values(view: Mapping[str, Any], reads: ReadNames, scales: Mapping[str, int]) -> dict[str, Any]:
    """Return the values of the view that are read, made plain; unknown values (None) are left out."""
    kept: dict[str, Any] = {}
    for name, value in view.items():
        if name not in reads:
            continue
        keys = reads[name]
        if keys is None or not isinstance(value, Mapping):
            plain = plain_values(value, 1)
        else:
            items = {key: plain_values(value[key], 2) for key in keys if key in value}
            plain = {key: item for key, item in items.items() if item is not None}
        if plain is not None:
            kept[name] = plain
    return _with_scaled_facts(kept, scales)


def _with_scaled_facts(kept: dict[str, Any], scales: Mapping[str, int]) -> dict[str, Any]:
    """Return the values with decimal facts as decimals: 1350 stored at scale 2 becomes 13.5."""
    contact = kept.get("contact")
    if isinstance(contact, dict):
        for name, value in contact.items():
            if name in scales and isinstance(value, int):
                amount, rest = divmod(value, 10 ** scales[name])
                contact[name] = amount if rest == 0 else value / 10 ** scales[name]
    return kept


class _AvailableValues:
    """The values and links that a mail may use; only those that are read are copied and made plain."""

    __slots__ = ("_scales", "_view", "links")

    def __init__(self, recipient: Recipient, scales: Mapping[str, int]) -> None:
        self.links, self._view, self._scales = recipient.links, recipient.view, scales

    def read(self, reads: ReadNames) -> dict[str, Any]:
        """Return the values that are read, made plain; unknown values (None) are left out."""
        return read_values(self._view, reads, self._scales)

    def read_links(self, reads: ReadNames) -> dict[str, str]:
        """Return the links that are read."""
        keys = reads.get("links", ())
        return {name: self.links[name] for name in self.links if keys is None or name in keys}


def _links(
    template: Template, links: Mapping[str, str], *, purpose: str, topic: str | None
) -> dict[str, str]:
    """Return the links that the mail holds: those its template reads, and those of its headers."""
    read = template.reads.get("links", ())
    kept = {name: links[name] for name in links if (read is None or name in read) and name != "click"}
    if topic is None or purpose not in MARKETING:
        # Mail without a marketing purpose and a topic has no consent to withdraw.
        kept.pop("unsubscribe", None)
    elif "unsubscribe" in links:
        kept["unsubscribe"] = links["unsubscribe"]
    if "open" in links:
        kept["open"] = links["open"]
    return kept


def _set_call_to_action(templates: Templates, context: MailContext, available: _AvailableValues) -> None:
    """Set the call to action's target and the link to it that the mail shows."""
    link = templates.shared.links.get(context["measure"], "")
    if not link:
        return
    target = _without_blanks(_render_expression(templates, context, available, link))
    if not target.lower().startswith(_SCHEMES):
        problem = TemplateProblem(
            f"{context['measure']}/measure.yaml",
            1,
            f"the call to action leads to {target[:80]!r}",
            "let the link begin with https://",
        )
        raise MissingValue(problem, "links.call_to_action")
    # The target can be one of this mail's links only when the expression reads links.
    reads = templates.expression(f"{context['measure']}/measure.yaml", link).reads
    is_own_page = target in available.read_links(reads).values()
    is_web = target.lower().startswith(("https://", "http://"))
    is_tracked = is_web and not is_own_page and "click" in available.links
    context["target"] = target
    context["links"]["call_to_action"] = available.links["click"] if is_tracked else target


def _calendar(
    templates: Templates, context: MailContext, available: _AvailableValues
) -> dict[str, Any] | None:
    texts = templates.shared.calendars.get(context["measure"], {}).get(context["step"])
    if texts is None:
        return None
    calendar: dict[str, Any] = {"method": texts["method"], "zone": texts.get("zone", "")}
    for name in ("uid", "summary", "location"):
        calendar[name] = clean_header(_render_expression(templates, context, available, texts.get(name, "")))
    for name in ("start", "end"):
        text = _render_expression(templates, context, available, texts[name])
        try:
            calendar[name] = parse_instant(text)
        except ValueError:
            path = f"{context['measure']}/measure.yaml"
            problem = TemplateProblem(
                path, 1, f"the calendar's {name} is {text[:80]!r}", "give it an instant"
            )
            raise MissingValue(problem, f"calendar.{name}") from None
    # The number counts the events of the run's entity (RFC 5545, 3.8.7.4), so runs of different measures and a
    # hand-over agree on it. Runs of an earlier release numbered the changes themselves. A cancellation follows all.
    counted = available.read({"sequence": None, "generation": None})
    number = max(int(counted.get("sequence") or 0), int(counted.get("generation") or 0))
    calendar["sequence"] = number + (calendar["method"] == "CANCEL")
    return calendar


def _render_expression(
    templates: Templates, context: MailContext, available: _AvailableValues, text: str
) -> str:
    """Return a short template of measure.yaml, rendered. Raises MissingValue or TemplateFault."""
    locale = context["locale"]
    expression = templates.expression(f"{context['measure']}/measure.yaml", text)
    known = expression.results.get(locale)
    if known is not None:
        return known
    values = {
        **namespaces(available.read(expression.reads)),
        **namespaces({"links": available.read_links(expression.reads)}),
        "brand": templates.brand,
        "strings": templates.strings(locale),
        "locale": locale,
    }
    result = run_template(expression.template, values, locale=locale, zone=context["zone"]).strip()
    if expression.is_fixed:
        expression.results[locale] = result
    return result


def _without_blanks(url: str) -> str:
    """Return a URL without blanks and control characters, which a browser would skip."""
    return "".join(clean_body(url).split())


def _require_bounded(context: MailContext, template: Template) -> None:
    """Raise TemplateFault when the context is longer than DOCUMENT_LENGTH_MAX characters of JSON."""
    # The fast encoder shows that nearly every document is far below the limit. Only the others are measured exactly.
    with suppress(ValueError, OverflowError):
        if len(msgspec.json.encode(context)) * _JSON_GROWTH_MAX <= DOCUMENT_LENGTH_MAX:
            return
    size = len(json.dumps(context))
    if size > DOCUMENT_LENGTH_MAX:
        change = f"a mail keeps at most {DOCUMENT_LENGTH_MAX} characters; let the template read less"
        raise TemplateFault(TemplateProblem(template.path, 1, f"its values make {size} characters", change))
