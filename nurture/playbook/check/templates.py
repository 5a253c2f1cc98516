"""Render every mail from its sample, and report templates that do not compile, missing values and dropped MJML.

A child process renders them (`rendering.checking.template_check`), because these templates are not checked yet. A
result is kept by a hash of everything it was made from, so that a repeated check renders only what changed.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Lock

from nurture.domain.measure import MailStep, NotifyStep
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.folder import LAYOUT, MEASURE, PROGRAMME, SAMPLE
from nurture.rendering.checking.template_check import MailToCheck, check_templates
from nurture.rendering.errors import TemplateProblem
from nurture.rendering.sample import FURTHER_SAMPLE
from nurture.rendering.shared_values import SharedValues, shared_values_of

_RESULTS_MAX = 2_000
#: Parts of playbook.yaml that every mail uses.
_NEEDED = ("brand", "senders", "locales", "default_zone", "name")


@dataclass(frozen=True, slots=True)
class _Result:
    """The problems and the subject of one rendered mail."""

    problems: tuple[TemplateProblem, ...]
    subject: str | None


_results: OrderedDict[str, _Result] = OrderedDict()
_lock = Lock()


def check_rendering(checks: Sequence[MeasureCheck], files: Mapping[str, str]) -> dict[str, str]:
    """Render every mail of these measures from its sample; return the subjects by the MJML file's path.

    Mails whose files are missing or broken are left out; other checks report those.
    """
    if not checks or any(checks[0].faults.has_broken(PROGRAMME, part) for part in _NEEDED):
        return {}
    shared = shared_values_of(checks[0].playbook)
    layout = {path: text for path, text in files.items() if path.startswith(f"{LAYOUT}/")}
    # Values that all mails share are hashed once; the parts that differ by measure come with each mail.
    common = _digest([asdict(replace(shared, links={}, calendars={}, names={})), layout])
    wanted: dict[str, tuple[MailToCheck, MeasureCheck]] = {}
    for check in checks:
        for mail in _mails(check, files):
            wanted[_key(mail, shared, files, common)] = (mail, check)
    rendered = _render({key: mail for key, (mail, _) in wanted.items()}, files, shared)
    subjects: dict[str, str] = {}
    for key, (mail, check) in wanted.items():
        for problem in rendered[key].problems:
            _report(check, mail, problem)
        if (subject := rendered[key].subject) is not None and not mail.sample:
            subjects[mail.path] = subject
    return subjects


def _mails(check: MeasureCheck, files: Mapping[str, str]) -> Iterator[MailToCheck]:
    measure = check.measure
    folder = check.draft.folder
    samples = (SAMPLE, *(f"sample.{locale}.json" for locale in check.playbook.locales))
    if check.faults.has_broken(check.draft.document.path) or any(
        check.faults.has_broken(folder.file(name)) for name in samples
    ):
        return
    for step in measure.steps:
        if isinstance(step, NotifyStep):
            mail = MailToCheck(
                measure.path,
                step.id,
                step.mail,
                "",
                check.playbook.default_locale,
                measure.purpose,
                measure.topic,
                to_owner=True,
            )
            if mail.path in files:
                yield mail
        if isinstance(step, MailStep):
            for variant in ("", *(variant.name for variant in measure.variants)):
                for locale in check.playbook.locales:
                    mail = MailToCheck(
                        measure.path, step.id, step.mail, variant, locale, measure.purpose, measure.topic
                    )
                    text = mail.path.removesuffix(".mjml") + ".txt"
                    if mail.path in files and text in files and not check.faults.has_broken(mail.path):
                        yield from (mail._replace(sample=name) for name in ("", *_sample_names(check)))


def _sample_names(check: MeasureCheck) -> list[str]:
    """Return the names of the further samples of a measure that can be read."""
    folder = check.draft.folder
    matches = (FURTHER_SAMPLE.fullmatch(name) for name in sorted(folder.files))
    return [
        match[1]
        for match in matches
        if match
        and match[1] not in check.playbook.locales
        and not check.faults.has_broken(folder.file(match[0]))
    ]


def _key(mail: MailToCheck, shared: SharedValues, files: Mapping[str, str], common: str) -> str:
    """Return a hash of everything that the mail is rendered from; `common` is the hash of what all mails share."""
    own = {path: text for path, text in files.items() if path.startswith(f"{mail.measure}/")}
    del own[f"{mail.measure}/{MEASURE}"]
    links, calendars = shared.links.get(mail.measure), shared.calendars.get(mail.measure)
    return _digest([mail, common, links, calendars, shared.names.get(mail.measure), own])


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _render(
    wanted: Mapping[str, MailToCheck], files: Mapping[str, str], shared: SharedValues
) -> dict[str, _Result]:
    """Return the result by key; only mails without a kept result are rendered."""
    with _lock:
        results = {key: _results[key] for key in wanted if key in _results}
    new = {key: mail for key, mail in wanted.items() if key not in results}
    if not new:
        return results
    checked = check_templates(files, shared, list(new.values()))
    for key, mail in new.items():
        # The child reports a layout's problem once; every mail gets it.
        problems = tuple(problem for problem in checked.problems if _concerns(problem, mail))
        results[key] = _Result(problems, checked.subjects.get(mail.path))
    with _lock:
        _results.update({key: results[key] for key in new})
        while len(_results) > _RESULTS_MAX:
            _results.popitem(last=False)
    return results


def _concerns(problem: TemplateProblem, mail: MailToCheck) -> bool:
    stem = mail.path.rpartition(".")[0]
    return problem.path.startswith((f"{LAYOUT}/", f"{stem}.")) or problem.path == f"{mail.measure}/{MEASURE}"


def _report(check: MeasureCheck, mail: MailToCheck, problem: TemplateProblem) -> None:
    if problem.path != check.draft.document.path:
        check.faults.add(problem.path, problem.line, problem.what, problem.change)
        return
    place = check.measure.position(mail.step) or 0
    is_calendar = "calendar" in problem.what
    loc = check.step_loc(place, "calendar") if is_calendar else ("call_to_action", "link")
    check.fault(loc, problem.what, problem.change)
