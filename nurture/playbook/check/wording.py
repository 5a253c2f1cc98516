"""Wording that presses: hurry, scarcity and prices must come from data, and some words from nowhere.

The rules stand in `wording.yaml`. They name wording for people to look at; `docs/playbook.md` says how often
they miss and how often they cry for nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

from nurture.domain.measure import LetCoupon, LetEndOfMonth, LetIn, MailStep
from nurture.playbook.check.case import Case
from nurture.playbook.check.template_text import outputs, readable
from nurture.playbook.document import read_document
from nurture.playbook.fault import Faults
from nurture.playbook.folder import LAYOUT, MailFile
from nurture.playbook.front_matter import MailHead

Pressing = Literal["urgency", "scarcity", "price", "pressure"]

_REMEDIES: Mapping[Pressing, str] = {
    "urgency": "bind it: a `let` deadline that the mail prints, a date of the event or entity, or `send_if`",
    "scarcity": "bind it: name the product under `objects` and state its stock in `send_if`",
    "price": "bind it: a coupon under `let`, an object, or the event's own numbers",
    "pressure": "say what is true and useful instead; nothing can bind this",
}
#: Words of these languages are looked for; others are not judged.
_LANGUAGES = ("en", "zh")
_BLANK = r"\s{1,60}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a text that presses."""

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
    # A blank in a rule is white space in a text, so that wrapped lines are found too; bounded, as a text of
    # nothing but blanks must not take minutes.
    return tuple(
        (kind, re.compile("|".join(f"(?:{rule})" for rule in rules).replace(" ", _BLANK), re.IGNORECASE))
        for kind, rules in kinds.items()
    )


def pressing_words(text: str, locale: str) -> Iterator[Finding]:
    """Return what presses in a text for people (no tags, no template code)."""
    for kind, pattern in _rules(locale.partition("-")[0]):
        for match in pattern.finditer(text):
            words = " ".join(match[0].split())
            yield Finding(kind, words, text.count("\n", 0, match.start()) + 1)


def check_wording(case: Case, heads: Mapping[str, MailHead]) -> None:
    """Look through subjects, preheaders and both parts of the measure's mails."""
    for mail in case.draft.folder.mails:
        source = case.draft.folder.files[mail.path.rpartition("/")[2]]
        bound = _bound(case, mail, source)
        head = heads.get(mail.path)
        skipped = 0
        if mail.part == "mjml":
            if head is None:
                continue
            _check_head(case, mail, head, bound)
            source, skipped = head.body, head.body_skipped
        for found in pressing_words(readable(source), mail.locale):
            if found.kind not in bound:
                _report(case.faults, mail.path, found.line + skipped, found)


def _check_head(case: Case, mail: MailFile, head: MailHead, bound: frozenset[Pressing]) -> None:
    for place in ("subject", "preheader"):
        for found in pressing_words(readable(getattr(head.words, place)), mail.locale):
            line = head.document.line((place,))
            if found.kind == "scarcity":
                what = f"{found.words!r} in the {place}"
                case.faults.add(
                    mail.path, line, what, "stock is one plain sentence in the mail, never a headline"
                )
            elif found.kind not in bound:
                _report(case.faults, mail.path, line, found)


def check_layout_wording(layout: Mapping[str, str], faults: Faults) -> None:
    """Look through the words of the frame, which nothing binds."""
    for name, text in layout.items():
        match = re.fullmatch(r"strings\.([A-Za-z-]+)\.yaml", name)
        lines = "\n".join(line.partition("#")[0] for line in text.split("\n")) if match else readable(text)
        for language in [match[1]] if match else _LANGUAGES:
            for found in pressing_words(lines, language):
                _report(faults, f"{LAYOUT}/{name}", found.line, found)


def _report(faults: Faults, path: str, line: int, found: Finding) -> None:
    what = f"{found.words!r} presses" if found.kind == "pressure" else f"{found.words!r} is not bound to data"
    faults.add(path, line, what, _REMEDIES[found.kind])


# ---- what data a mail is bound to ------------------------------------------------------------------------

_DATED = re.compile(r"\|\s*(date|time|datetime)\b")


def _bound(case: Case, mail: MailFile, source: str) -> frozenset[Pressing]:
    """Return the kinds of wording that this mail's data makes true."""
    measure = case.measure
    steps = [step for step in measure.steps if isinstance(step, MailStep) and step.mail == mail.mail]
    printed_code = outputs(source)
    lets = {name for name, let in measure.let.items() if isinstance(let, LetEndOfMonth | LetIn)}
    checked = bool(steps) and all(step.send_if is not None for step in steps)
    dated = any(_DATED.search(output) for output in printed_code)
    printed = {
        name for name in lets for output in printed_code if re.search(rf"\b{re.escape(name)}\b", output)
    }
    bound: set[Pressing] = set()
    if checked or dated or printed:
        bound.add("urgency")
    if checked and measure.objects:
        bound.add("scarcity")
    has_coupon = any(isinstance(let, LetCoupon) for let in measure.let.values())
    data = ("event.", "entity.", "line.", *(f"{name}." for name in measure.objects))
    if has_coupon or measure.objects or any(root in output for output in printed_code for root in data):
        bound.add("price")
    return frozenset(bound)
