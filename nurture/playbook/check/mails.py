"""Checks of a measure's mail files: every locale, both parts, a sample, unsubscribe links, lengths of subjects."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from nurture.domain.measure import MailStep
from nurture.playbook.builders.facts import RESERVED
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.template_text import literal, outputs, references
from nurture.playbook.folder import PROGRAMME, SAMPLE, MailFile
from nurture.playbook.front_matter import MarkupFile, read_markup_file
from nurture.rendering.sample import FURTHER_SAMPLE

PARTS = ("mjml", "txt")
_PART_WORDS = {"mjml": "MJML part", "txt": "text part"}
_SAMPLE_KEYS = {
    "contact",
    "event",
    "entity",
    "let",
    "objects",
    "links",
    "entity_key",
    "generation",
    "locale",
    "owner",
    "sequence",
}
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

#: Characters of a subject that a phone shows, by language.
SUBJECT_LENGTHS: Mapping[str, int] = {"zh": 20, "ja": 20, "ko": 20}
SUBJECT_LENGTH_ELSEWHERE = 50


def check_mails(check: MeasureCheck, layout: Mapping[str, str]) -> dict[str, MarkupFile]:
    """Check files, sample and unsubscribe links; return path -> MJML file of those that can be read."""
    _check_files(check)
    _check_sample(check)
    markup_files: dict[str, MarkupFile] = {}
    to_people = check.people_mails
    for mail in check.draft.folder.mails:
        text = check.draft.folder.files[mail.path.rpartition("/")[2]]
        if mail.part == "mjml":
            markup_file = read_markup_file(mail.path, text, check.faults)
            if markup_file is not None:
                markup_files[mail.path] = markup_file
        if mail in to_people and check.is_marketing and not has_unsubscribe(text, layout, part=mail.part):
            change = "write {{ links.unsubscribe }} into it or into the layout it extends"
            what = f"{check.measure.purpose} mail without an unsubscribe link"
            check.faults.add(mail.path, 1, what, change)
    return markup_files


def _check_files(check: MeasureCheck) -> None:
    # (mail, variant) -> (locale, part) of its files.
    there: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    variants = [variant.name for variant in check.measure.variants]
    used = {step.mail for step in check.measure.steps if isinstance(step, MailStep)}
    for mail in check.draft.folder.mails:
        _check_file(check, mail, used, variants)
        there[mail.mail, mail.variant].add((mail.locale, mail.part))
    for place, step in enumerate(check.measure.steps):
        if isinstance(step, MailStep) and not check.faults.has_broken(PROGRAMME, "locales"):
            own = [variant for variant in variants if (step.mail, variant) in there]
            # A variant without files sends the plain mail.
            canonical_value = [] if variants and len(own) == len(variants) else [""]
            for variant in (*canonical_value, *own):
                stem = f"{step.mail}@{variant}" if variant else step.mail
                _check_parts(check, place, stem, there[step.mail, variant])
    bare = [name for name in variants if not any((mail, name) in there for mail in used)]
    if len(bare) > 1 and check.has_all_steps:
        change = "give all but one a mail of its own: <mail>@<variant>.<locale>.mjml and .txt"
        check.fault(("variants",), f"variants {' and '.join(bare)} send the same mails", change)


def _check_file(check: MeasureCheck, mail: MailFile, used: Iterable[str], variants: Iterable[str]) -> None:
    if mail.mail in check.owner_mails:
        name = f"{mail.mail}.{check.playbook.default_locale}.txt"
        if mail.path != check.draft.folder.file(name):
            what = "nothing reads this file: owners are mailed plain text in the default locale"
            check.faults.add(mail.path, 1, what, f"keep {name} alone")
    elif mail.mail not in used:
        if check.has_all_steps:
            check.faults.add(mail.path, 1, f"no step sends `{mail.mail}`", "add a step, or remove the file")
    elif mail.variant and mail.variant not in variants:
        if not check.is_broken("variants"):
            change = "declare it under `variants` in measure.yaml"
            check.faults.add(mail.path, 1, f"no variant `{mail.variant}`", change)
    elif mail.locale not in check.known("locales", check.playbook.locales):
        known = ", ".join(check.playbook.locales)
        change = f"known: {known}; see `locales` in playbook.yaml"
        check.faults.add(mail.path, 1, f"no locale `{mail.locale}`", change)


def _check_parts(check: MeasureCheck, place: int, stem: str, there: set[tuple[str, str]]) -> None:
    for locale in check.playbook.locales:
        for part in PARTS:
            if (locale, part) not in there:
                what = f"mail `{stem}` has no {_PART_WORDS[part]} for {locale}"
                check.fault(
                    check.step_loc(place, "mail"),
                    what,
                    f"add {check.draft.folder.file(f'{stem}.{locale}.{part}')}",
                )


# ---- sample ----------------------------------------------------------------------------------------------


def _check_sample(check: MeasureCheck) -> None:
    folder = check.draft.folder
    path = folder.file(SAMPLE)
    text = folder.files.get(SAMPLE)
    if text is None and not check.sends_mail:
        return
    if text is None:
        check.faults.add(path, 1, "no sample.json", 'add {"contact": {...}, "event": {...}, "entity": {...}}')
        check.faults.mark_broken(path, ())
        return
    for name in sorted(folder.files):
        further = FURTHER_SAMPLE.fullmatch(name)
        if name == SAMPLE or further is not None:
            _check_sample_file(check, name)
        # Names of samples have no capitals and no hyphen, so this one was meant as a locale.
        known = check.known("locales", check.playbook.locales)
        if further is not None and re.search("[A-Z-]", further[1]) and further[1] not in known:
            change = f"known: {', '.join(sorted(known))}; see `locales` in playbook.yaml"
            check.faults.add(folder.file(name), 1, f"no locale `{further[1]}`", change)


def _check_sample_file(check: MeasureCheck, name: str) -> None:
    """Check that a file of sample values holds names that the mails of the measure may have."""
    path, text = check.draft.folder.file(name), check.draft.folder.files[name]
    try:
        sample = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        check.faults.add(path, line, "not JSON", f"{getattr(error, 'msg', error)}")
        check.faults.mark_broken(path, ())
        return
    if not isinstance(sample, dict) or not all(
        isinstance(sample.get(name, {}), dict)
        for name in ("contact", "event", "entity", "let", "objects", "links")
    ):
        check.faults.add(path, 1, "no mapping of mappings", 'write {"contact": {...}, "event": {...}}')
        check.faults.mark_broken(path, ())
        return
    _check_sample_names(check, path, text, sample)


def _check_sample_names(check: MeasureCheck, path: str, text: str, sample: dict[str, Any]) -> None:
    contact = _CONTACT_EXTRA | check.known("facts", check.playbook.facts)
    contact |= check.known("segments", check.playbook.segments)
    unknown = [(name, "key", _SAMPLE_KEYS) for name in sample if name not in _SAMPLE_KEYS]
    unknown += [(name, "fact", contact) for name in sample.get("contact", {}) if name not in contact]
    measure_path = check.draft.document.path
    lets = set(check.model.let) | check.faults.broken_names(measure_path, "let")
    objects = set(check.model.objects) | check.faults.broken_names(measure_path, "objects")
    unknown += [(name, "let value", lets) for name in sample.get("let", {}) if name not in lets]
    unknown += [(name, "object", objects) for name in sample.get("objects", {}) if name not in objects]
    for name, kind, known in unknown:
        shown = ", ".join(sorted(set(known) - RESERVED)[:12]) or "(none)"
        check.faults.add(path, _line_of(text, name), f"no {kind} `{name}`", f"known: {shown}")
    for name, segment in check.playbook.segments.items():
        value = sample.get("contact", {}).get(name)
        if segment.is_ladder and value is not None and value not in segment.texts:
            what = f"{name} has no rung `{value}`"
            check.faults.add(path, _line_of(text, name), what, f"known: {', '.join(segment.texts)}")


def _line_of(text: str, key: str) -> int:
    place = text.find(json.dumps(key, ensure_ascii=False))
    return text.count("\n", 0, max(place, 0)) + 1


# ---- subject, unsubscribe --------------------------------------------------------------------------------

_UNSUBSCRIBE = re.compile(r"\blinks\.unsubscribe\b")


def check_subjects(
    check: MeasureCheck, markup_files: Mapping[str, MarkupFile], subjects: Mapping[str, str]
) -> None:
    """Check that subjects fit on a phone. subjects: path -> subject of the rendered sample, where it renders."""
    for mail in check.draft.folder.mails:
        markup_file = markup_files.get(mail.path)
        if markup_file is None:
            continue
        subject = subjects.get(mail.path) or literal(markup_file.front_matter.subject)
        length = len(" ".join(subject.split()))
        most = SUBJECT_LENGTHS.get(mail.locale.partition("-")[0], SUBJECT_LENGTH_ELSEWHERE)
        if length > most:
            check.faults.at(
                markup_file.document, ("subject",), f"the subject has {length} characters", f"at most {most}"
            )


def has_unsubscribe(text: str, layout: Mapping[str, str], *, part: str) -> bool:
    """Tell whether the text, or a layout that it extends or includes, prints the unsubscribe link."""
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
