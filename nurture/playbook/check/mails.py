"""The files of a measure's mails: every mail in every locale, in both parts, with a sample and a way out."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from nurture.domain.measure import MailStep
from nurture.playbook.builders.facts import RESERVED
from nurture.playbook.check.case import Case
from nurture.playbook.check.template_text import literal, outputs, references
from nurture.playbook.folder import PROGRAMME, SAMPLE, MailFile
from nurture.playbook.front_matter import MailHead, read_head

PARTS = ("mjml", "txt")
_PART_WORDS = {"mjml": "MJML part", "txt": "text part"}
_SAMPLE_KEYS = {"contact", "event", "entity", "let", "objects", "links", "entity_key", "generation", "locale"}
_CONTACT_EXTRA = {
    "email",
    "phone",
    "locale",
    "zone",
    "track",
    "stage",
    "first_seen_at",
    "persona",
    "lifecycle",
}

#: Characters of a subject that a phone shows, by language; counted on what is certain to be there.
SUBJECT_MOST: Mapping[str, int] = {"zh": 20, "ja": 20, "ko": 20}
SUBJECT_MOST_ELSEWHERE = 50


def check_mails(case: Case, layout: Mapping[str, str]) -> dict[str, MailHead]:
    """Check files, sample, subjects and unsubscribe slots; return the front matter by path."""
    _check_files(case)
    _check_sample(case)
    heads: dict[str, MailHead] = {}
    for mail in case.draft.folder.mails:
        text = case.draft.folder.files[mail.path.rpartition("/")[2]]
        if mail.part == "mjml":
            head = read_head(mail.path, text, case.faults)
            if head is not None:
                heads[mail.path] = head
        if case.is_marketing and not has_unsubscribe(text, layout, part=mail.part):
            change = "write {{ links.unsubscribe }} into it or into the layout it extends"
            what = f"{case.measure.purpose} mail without an unsubscribe link"
            case.faults.add(mail.path, 1, what, change)
    return heads


def _check_files(case: Case) -> None:
    there: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    variants = [variant.name for variant in case.measure.variants]
    used = {step.mail for step in case.measure.steps if isinstance(step, MailStep)}
    for mail in case.draft.folder.mails:
        _check_file(case, mail, used, variants)
        there[mail.mail, mail.variant].add((mail.locale, mail.part))
    for place, step in enumerate(case.measure.steps):
        if isinstance(step, MailStep) and not case.faults.has_broken(PROGRAMME, "locales"):
            own = [variant for variant in variants if (step.mail, variant) in there]
            # Whoever has no mail of their own gets the plain one.
            plain = [] if variants and len(own) == len(variants) else [""]
            for variant in (*plain, *own):
                stem = f"{step.mail}@{variant}" if variant else step.mail
                _check_parts(case, place, stem, there[step.mail, variant])
    bare = [name for name in variants if not any((mail, name) in there for mail in used)]
    if len(bare) > 1 and case.has_all_steps:
        change = "give all but one a mail of its own: <mail>@<variant>.<locale>.mjml and .txt"
        case.fault(("variants",), f"variants {' and '.join(bare)} send the same mails", change)


def _check_file(case: Case, mail: MailFile, used: Iterable[str], variants: Iterable[str]) -> None:
    if mail.mail not in used:
        if case.has_all_steps:
            case.faults.add(mail.path, 1, f"no step sends `{mail.mail}`", "add a step, or remove the file")
    elif mail.variant and mail.variant not in variants:
        if not case.is_broken("variants"):
            change = "declare it under `variants` in measure.yaml"
            case.faults.add(mail.path, 1, f"no variant `{mail.variant}`", change)
    elif mail.locale not in case.known("locales", case.playbook.locales):
        known = ", ".join(case.playbook.locales)
        change = f"known: {known}; see `locales` in playbook.yaml"
        case.faults.add(mail.path, 1, f"no locale `{mail.locale}`", change)


def _check_parts(case: Case, place: int, stem: str, there: set[tuple[str, str]]) -> None:
    for locale in case.playbook.locales:
        for part in PARTS:
            if (locale, part) not in there:
                what = f"mail `{stem}` has no {_PART_WORDS[part]} for {locale}"
                case.fault(
                    ("steps", place, "mail"), what, f"add {case.draft.folder.file(f'{stem}.{locale}.{part}')}"
                )


# ---- sample ----------------------------------------------------------------------------------------------


def _check_sample(case: Case) -> None:
    folder = case.draft.folder
    path = folder.file(SAMPLE)
    text = folder.files.get(SAMPLE)
    if text is None:
        case.faults.add(path, 1, "no sample.json", 'add {"contact": {...}, "event": {...}, "entity": {...}}')
        case.faults.break_off(path, ())
        return
    try:
        sample = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        case.faults.add(path, line, "not JSON", f"{getattr(error, 'msg', error)}")
        case.faults.break_off(path, ())
        return
    if not isinstance(sample, dict) or not all(
        isinstance(sample.get(name, {}), dict)
        for name in ("contact", "event", "entity", "let", "objects", "links")
    ):
        case.faults.add(path, 1, "no mapping of mappings", 'write {"contact": {...}, "event": {...}}')
        case.faults.break_off(path, ())
        return
    _check_sample_names(case, path, text, sample)


def _check_sample_names(case: Case, path: str, text: str, sample: dict[str, Any]) -> None:
    contact = _CONTACT_EXTRA | case.known("facts", case.playbook.facts)
    unknown = [(name, "key", _SAMPLE_KEYS) for name in sample if name not in _SAMPLE_KEYS]
    unknown += [(name, "fact", contact) for name in sample.get("contact", {}) if name not in contact]
    path_ = case.draft.document.path
    lets = set(case.given.let) | case.faults.broken_names(path_, "let")
    objects = set(case.given.objects) | case.faults.broken_names(path_, "objects")
    unknown += [(name, "let value", lets) for name in sample.get("let", {}) if name not in lets]
    unknown += [(name, "object", objects) for name in sample.get("objects", {}) if name not in objects]
    for name, kind, known in unknown:
        shown = ", ".join(sorted(set(known) - RESERVED)[:12]) or "(none)"
        case.faults.add(path, _line_of(text, name), f"no {kind} `{name}`", f"known: {shown}")


def _line_of(text: str, key: str) -> int:
    place = text.find(json.dumps(key, ensure_ascii=False))
    return text.count("\n", 0, max(place, 0)) + 1


# ---- subject, unsubscribe --------------------------------------------------------------------------------

_UNSUBSCRIBE = re.compile(r"\blinks\.unsubscribe\b")


def check_subjects(case: Case, heads: Mapping[str, MailHead], subjects: Mapping[str, str]) -> None:
    """Check that subjects fit a phone. subjects: rendered from the sample, by path, where it renders."""
    for mail in case.draft.folder.mails:
        head = heads.get(mail.path)
        if head is None:
            continue
        subject = subjects.get(mail.path) or literal(head.words.subject)
        length = len(" ".join(subject.split()))
        most = SUBJECT_MOST.get(mail.locale.partition("-")[0], SUBJECT_MOST_ELSEWHERE)
        if length > most:
            case.faults.at(
                head.document, ("subject",), f"the subject has {length} characters", f"at most {most}"
            )


def has_unsubscribe(text: str, layout: Mapping[str, str], *, part: str) -> bool:
    """Tell whether the text, or a layout it extends or includes, writes the unsubscribe link."""
    waiting, seen = [text], set[str]()
    while waiting:
        source = waiting.pop()
        if any(_UNSUBSCRIBE.search(code) for code in outputs(source)):
            return True
        for name in references(source):
            file = name if name in layout else f"{name}.{part}"
            if file in layout and file not in seen:
                seen.add(file)
                waiting.append(layout[file])
    return False
