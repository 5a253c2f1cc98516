"""Mails rendered from their samples: what does not compile, what misses a value, what MJML would drop.

A child process renders them (`rendering.checking.template_check`), because these templates are not checked yet. A
result is kept by a hash of everything it was made from, so that a repeated check renders only what changed.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from threading import Lock

from nurture.domain.measure import MailStep
from nurture.playbook.check.case import Case
from nurture.playbook.folder import LAYOUT, MEASURE, PROGRAMME, SAMPLE
from nurture.rendering.checking.template_check import MailToCheck, check_templates
from nurture.rendering.errors import TemplateProblem
from nurture.rendering.shared_values import SharedValues, shared_values_of

_KEPT = 2_000
#: Parts of playbook.yaml that every mail is made of.
_NEEDED = ("brand", "senders", "locales", "default_zone", "name")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What rendering one mail gave."""

    problems: tuple[TemplateProblem, ...]
    subject: str | None


_seen: OrderedDict[str, _Seen] = OrderedDict()
_lock = Lock()


def check_rendering(cases: Sequence[Case], files: Mapping[str, str]) -> dict[str, str]:
    """Render every mail of these measures from its sample; return the subjects by the MJML file's path.

    Leaves out what another check has found to be missing or unreadable.
    """
    if not cases or any(cases[0].faults.has_broken(PROGRAMME, part) for part in _NEEDED):
        return {}
    shared = shared_values_of(cases[0].playbook)
    layout = {path: text for path, text in files.items() if path.startswith(f"{LAYOUT}/")}
    wanted: dict[str, tuple[MailToCheck, Case]] = {}
    for case in cases:
        for mail in _mails(case, files):
            wanted[_key(mail, shared, files, layout)] = (mail, case)
    rendered = _render({key: mail for key, (mail, _) in wanted.items()}, files, shared)
    subjects: dict[str, str] = {}
    for key, (mail, case) in wanted.items():
        for problem in rendered[key].problems:
            _report(case, mail, problem)
        if (subject := rendered[key].subject) is not None:
            subjects[mail.path] = subject
    return subjects


def _mails(case: Case, files: Mapping[str, str]) -> Iterator[MailToCheck]:
    measure = case.measure
    if case.faults.has_broken(case.draft.document.path) or case.faults.has_broken(
        case.draft.folder.file(SAMPLE)
    ):
        return
    for step in measure.steps:
        if isinstance(step, MailStep):
            for variant in ("", *(variant.name for variant in measure.variants)):
                for locale in case.playbook.locales:
                    mail = MailToCheck(
                        measure.path, step.id, step.mail, variant, locale, measure.purpose, measure.topic
                    )
                    text = mail.path.removesuffix(".mjml") + ".txt"
                    if mail.path in files and text in files and not case.faults.has_broken(mail.path):
                        yield mail


def _key(mail: MailToCheck, shared: SharedValues, files: Mapping[str, str], layout: Mapping[str, str]) -> str:
    """Return a hash of everything that the mail is rendered from."""
    own = {path: text for path, text in files.items() if path.startswith(f"{mail.measure}/")}
    del own[f"{mail.measure}/{MEASURE}"]
    parts = {
        **asdict(shared),
        "tracked": [],
        "links": shared.links.get(mail.measure),
        "calendars": shared.calendars.get(mail.measure),
        "names": shared.names.get(mail.measure),
    }
    text = json.dumps([mail, parts, own, layout], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _render(
    wanted: Mapping[str, MailToCheck], files: Mapping[str, str], shared: SharedValues
) -> dict[str, _Seen]:
    """Return what rendering gives, by key; only what is not known yet is rendered."""
    with _lock:
        found = {key: _seen[key] for key in wanted if key in _seen}
    new = {key: mail for key, mail in wanted.items() if key not in found}
    if not new:
        return found
    checked = check_templates(files, shared, list(new.values()))
    for key, mail in new.items():
        # A layout's problem is reported once; it belongs to whichever mail is asked about.
        problems = tuple(problem for problem in checked.problems if _concerns(problem, mail))
        found[key] = _Seen(problems, checked.subjects.get(mail.path))
    with _lock:
        _seen.update({key: found[key] for key in new})
        while len(_seen) > _KEPT:
            _seen.popitem(last=False)
    return found


def _concerns(problem: TemplateProblem, mail: MailToCheck) -> bool:
    stem = mail.path.removesuffix(".mjml")
    return problem.path.startswith((f"{LAYOUT}/", f"{stem}.")) or problem.path == f"{mail.measure}/{MEASURE}"


def _report(case: Case, mail: MailToCheck, problem: TemplateProblem) -> None:
    if problem.path != case.draft.document.path:
        case.faults.add(problem.path, problem.line, problem.what, problem.change)
        return
    place = case.measure.position(mail.step) or 0
    is_calendar = "calendar" in problem.what
    loc = ("steps", place, "calendar") if is_calendar else ("call_to_action", "link")
    case.fault(loc, problem.what, problem.change)
