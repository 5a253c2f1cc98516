"""Find wording that presses the reader: urgency, scarcity and prices need data behind them; some words are refused.

The rules are in `wording.yaml`. `docs/playbook.md` says how often they miss such wording and how often they report
plain wording.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

from nurture.domain.measure import LetCoupon, LetEndOfMonth, LetIn, MailStep, Measure
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.template_text import outputs, readable
from nurture.playbook.document import read_document
from nurture.playbook.fault import Faults
from nurture.playbook.folder import LAYOUT, MailFile
from nurture.playbook.front_matter import MarkupFile

Pressing = Literal["urgency", "scarcity", "price", "pressure"]

_REMEDIES: Mapping[Pressing, str] = {
    "urgency": "bind it: a `let` deadline that the mail prints, a date of the event or entity, or `send_if`",
    "scarcity": "bind it: name the product under `objects` and state its stock in `send_if`",
    "price": "bind it: a coupon under `let`, an object, or the event's own numbers",
    "pressure": "say what is true and useful instead; nothing can bind this",
}
#: Languages with rules; texts of other languages are not checked.
_LANGUAGES = ("en", "zh")
_BLANK = r"\s{1,60}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a text with wording that presses."""

    kind: Pressing
    words: str
    # Line inside the text, from 1.
    line: int


@cache
def _rules(language: str) -> tuple[tuple[Pressing, re.Pattern[str]], ...]:
    text = resources.files("nurture.playbook.check").joinpath("wording.yaml").read_text("utf-8")
    faults = Faults()
    document = read_document("wording.yaml", text, faults)
    if document is None or faults:
        raise ValueError("; ".join(str(fault) for fault in faults.sorted()))
    kinds = cast("Mapping[Pressing, list[str]]", document.data.get(language, {}))
    # A blank in a rule matches any white space, also a line end. It is bounded, because a text of many blanks would
    # take minutes otherwise.
    return tuple(
        (kind, re.compile("|".join(f"(?:{rule})" for rule in rules).replace(" ", _BLANK), re.IGNORECASE))
        for kind, rules in kinds.items()
    )


def pressing_words(text: str, locale: str) -> Iterator[Finding]:
    """Yield the wording that presses in a text without tags and template code."""
    for kind, pattern in _rules(locale.partition("-")[0]):
        for match in pattern.finditer(text):
            words = " ".join(match[0].split())
            yield Finding(kind, words, text.count("\n", 0, match.start()) + 1)


def check_wording(check: MeasureCheck, markup_files: Mapping[str, MarkupFile]) -> None:
    """Check the wording of subjects, preheaders and both parts of the measure's mails."""
    for mail in check.people_mails:
        source = check.draft.folder.files[mail.path.rpartition("/")[2]]
        bound = _bound(check, mail, source)
        markup_file = markup_files.get(mail.path)
        _check_percentages(check, mail, source)
        lines_above = 0
        if mail.part == "mjml":
            if markup_file is None:
                continue
            _check_front_matter(check, mail, markup_file, bound)
            source, lines_above = markup_file.body, markup_file.lines_above_body
        for finding in pressing_words(readable(source), mail.locale):
            if finding.kind not in bound:
                _report(check.faults, mail.path, finding.line + lines_above, finding)


def _check_front_matter(
    check: MeasureCheck, mail: MailFile, markup_file: MarkupFile, bound: frozenset[Pressing]
) -> None:
    for place in ("subject", "preheader"):
        for finding in pressing_words(readable(getattr(markup_file.front_matter, place)), mail.locale):
            line = markup_file.document.line((place,))
            if finding.kind == "scarcity":
                what = f"{finding.words!r} in the {place}"
                check.faults.add(
                    mail.path, line, what, "stock is one plain sentence in the mail, never a headline"
                )
            elif finding.kind not in bound:
                _report(check.faults, mail.path, line, finding)


_TYPED_PERCENTAGE = re.compile(
    r"\b(\d{1,2})\s?(?:%|percent|per cent)\s(?:off|discount|less|reduction)\b"
    r"|(?:减|省|优惠)\s?(\d{1,2})\s?%|([一二三四五六七八九]{1,2})\s?折",
    re.IGNORECASE,
)
_NUMERALS = "零一二三四五六七八九"


def _check_percentages(check: MeasureCheck, mail: MailFile, source: str) -> None:
    """Check percentages that are typed beside a coupon: another one than the offer's is not true."""
    offers = {let.offer for let in check.measure.let.values() if isinstance(let, LetCoupon)}
    known = {
        check.playbook.offers[name].percent: name for name in sorted(offers) if name in check.playbook.offers
    }
    if not known:
        return
    text = readable(source, filled=" ")
    for typed in _TYPED_PERCENTAGE.finditer(text):
        line = text.count("\n", 0, typed.start()) + 1
        percent = _percent_of(typed)
        name = known.get(percent, next(iter(known.values())))
        change = f"print it: {{{{ offers.{name}.percent | discount }}}}"
        if percent in known:
            check.faults.add_warning(
                mail.path, line, f"{typed[0]!r} is typed and may differ from the offer one day", change
            )
        else:
            given = " or ".join(f"{percent}%" for percent in sorted(known))
            check.faults.add(mail.path, line, f"{typed[0]!r}, but the offer gives {given}", change)


def _percent_of(typed: re.Match[str]) -> int:
    """Return what is taken off: 七五折 leaves 75 of 100."""
    if typed[3] is None:
        return int(typed[1] or typed[2])
    tens, ones = _NUMERALS.index(typed[3][0]), _NUMERALS.index(typed[3][1]) if len(typed[3]) > 1 else 0
    return 100 - 10 * tens - ones


def check_layout_wording(layout: Mapping[str, str], faults: Faults) -> None:
    """Check the wording of layouts and strings, which have no data of a mail."""
    for name, text in layout.items():
        if name.endswith(".b64"):
            continue
        match = re.fullmatch(r"strings\.([A-Za-z-]+)\.yaml", name)
        lines = "\n".join(line.partition("#")[0] for line in text.split("\n")) if match else readable(text)
        for language in [match[1]] if match else _LANGUAGES:
            for finding in pressing_words(lines, language):
                _report(faults, f"{LAYOUT}/{name}", finding.line, finding)


def _report(faults: Faults, path: str, line: int, finding: Finding) -> None:
    what = (
        f"{finding.words!r} presses"
        if finding.kind == "pressure"
        else f"{finding.words!r} is not bound to data"
    )
    faults.add(path, line, what, _REMEDIES[finding.kind])


# ---- the data behind a mail's wording ------------------------------------------------------------------------

#: Data that may hold a price, besides objects and coupons.
_PRICE_DATA = ("event.", "entity.", "line.")
_DATE_FILTER = re.compile(r"\|\s*(date|time|datetime)\b")


def _bound(check: MeasureCheck, mail: MailFile, source: str) -> frozenset[Pressing]:
    """Return the kinds of wording that this mail's data makes true."""
    measure, printed = check.measure, outputs(source)
    steps = [step for step in measure.steps if isinstance(step, MailStep) and step.mail == mail.mail]
    has_send_if = bool(steps) and all(step.send_if is not None for step in steps)
    bound: set[Pressing] = set()
    if has_send_if or _prints_date(measure, printed):
        bound.add("urgency")
    if has_send_if and measure.objects:
        bound.add("scarcity")
    if _has_price(measure, printed):
        bound.add("price")
    return frozenset(bound)


def _prints_date(measure: Measure, printed: Sequence[str]) -> bool:
    """Tell whether the mail prints a date, or a deadline of `let`. printed: code of its `{{ ... }}`."""
    if any(_DATE_FILTER.search(code) for code in printed):
        return True
    deadlines = [name for name, let in measure.let.items() if isinstance(let, LetEndOfMonth | LetIn)]
    return any(re.search(rf"\b{re.escape(name)}\b", code) for name in deadlines for code in printed)


def _has_price(measure: Measure, printed: Sequence[str]) -> bool:
    """Tell whether the mail has a coupon, an object, or prints numbers of its event or entity."""
    if measure.objects or any(isinstance(let, LetCoupon) for let in measure.let.values()):
        return True
    return any(root in code for code in printed for root in _PRICE_DATA)
