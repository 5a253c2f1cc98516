"""Read the files of timelines: faults with file and line, names checked against the programme."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from nurture.domain.measure import MailStep, Measure
from nurture.domain.playbook import Playbook
from nurture.playbook.document import Document, Loc, read_document
from nurture.playbook.events_used import events_used
from nurture.playbook.fault import Faults
from nurture.playbook.schema.timelines import (
    ExpectedFile,
    HappeningFile,
    NotExpectedFile,
    PersonFile,
    TimelineModel,
    TimelinesFile,
)
from nurture.playbook.schema.validate import read_model
from nurture.testing.instants import local_instant, parse_time

#: The name of the one person of a timeline that has no `people`.
ALONE = "person"


@dataclass(frozen=True, slots=True)
class Timeline:
    """One timeline of a file, with the lines of its parts."""

    path: str
    number: int
    model: TimelineModel
    document: Document

    @property
    def people(self) -> Mapping[str, PersonFile]:
        """The people by name; one without details where the file names none."""
        return self.model.people or {ALONE: self.model.person or PersonFile()}

    def line(self, *loc: str | int) -> int:
        """Return the line of a part, such as ("expect", 0)."""
        return self.document.line(("timelines", self.number, *loc))


def read_timelines(path: str, text: str, playbook: Playbook, faults: Faults) -> list[Timeline]:
    """Return the timelines of a file; every error becomes a fault."""
    document = read_document(path, text, faults)
    if document is None:
        return []
    model = read_model(TimelinesFile, document, faults, {"timelines": []})
    if model is None or faults.is_broken(path, ("timelines",)):
        return []
    timelines = [Timeline(path, number, item, document) for number, item in enumerate(model.timelines)]
    if not timelines:
        faults.add(path, 1, "the file has no timeline", "add one, or remove the file")
    known = events_used(playbook) if timelines else {}
    for timeline in timelines:
        _Check(timeline, playbook, known, faults).run()
    return timelines


def find_step(playbook: Playbook, name: str) -> tuple[Measure, str] | None:
    """Return the measure and the step of MEASURE[/STEP]; the step is "" where none is named. None: there is none."""
    measure = playbook.measures.get(name)
    if measure is not None:
        return measure, ""
    path, _, step = name.rpartition("/")
    measure = playbook.measures.get(path)
    if measure is None or not isinstance(measure.step(step), MailStep):
        return None
    return measure, step


@dataclass(frozen=True, slots=True)
class _Check:
    """Checks one timeline against the programme."""

    timeline: Timeline
    playbook: Playbook
    # The events that its rules read.
    events: Collection[str]
    faults: Faults

    def run(self) -> None:
        model = self.timeline.model
        self._check_start(model.start)
        for name, person in self.timeline.people.items():
            self._check_person(name, person)
        for number, happening in enumerate(model.happens):
            self._check_happening(("happens", number), happening)
        for number, expected in enumerate(model.expect):
            self._check_expected(("expect", number), expected)
        for number, unwanted in enumerate(model.expect_not):
            self._check_mail(("expect_not", number), unwanted)
        if model.until is not None:
            self._check_time(("until",), model.until)
        for path in (*model.holdout, *model.variants):
            self._check_measure(("holdout",) if path in model.holdout else ("variants", path), path)

    def _check_start(self, text: str) -> None:
        try:
            local_instant(text, self.playbook.default_zone)
        except ValueError as error:
            self._fault(("start",), f"`start`: {error}", 'write a local time: "2026-06-01 10:00"')

    def _check_person(self, name: str, person: PersonFile) -> None:
        loc: tuple[str | int, ...] = ("people", name) if self.timeline.model.people else ("person",)
        for number, topic in enumerate(person.consent):
            self._check_name((*loc, "consent", number), "topic", topic, self.playbook.topics)
        for number, event in enumerate(person.history):
            self._check_time((*loc, "history", number, "at"), event.at)
            self._check_event((*loc, "history", number, "event"), event.event)

    def _check_happening(self, loc: tuple[str | int, ...], happening: HappeningFile) -> None:
        self._check_who(loc, happening.who)
        for key, time in (("at", happening.at), ("occurred", happening.occurred)):
            if time is not None:
                self._check_time((*loc, key), time)
        if happening.event is not None:
            self._check_event((*loc, "event"), happening.event)
        if happening.object is not None:
            names = {name for kind in self.playbook.objects.values() for name in (*kind.of, *kind.wakes)}
            self._check_name((*loc, "object"), "event of an object", happening.object, names)
        for key, topic in (("confirms", happening.confirms), ("unsubscribes", happening.unsubscribes)):
            if topic is not None and topic != "*":
                self._check_name((*loc, key), "topic", topic, self.playbook.topics)
        if happening.sends is not None:
            self._check_measure((*loc, "sends"), happening.sends)

    def _check_expected(self, loc: tuple[str | int, ...], expected: ExpectedFile) -> None:
        self._check_mail(loc, expected)
        for key, time in (("at", expected.at), ("on", expected.on)):
            if time is not None:
                self._check_time((*loc, key), time)
        if expected.at is not None and expected.on is not None:
            self._fault((*loc, "on"), "`at` and `on` in one entry", "keep one: `at` names the day too")

    def _check_mail(self, loc: tuple[str | int, ...], entry: ExpectedFile | NotExpectedFile) -> None:
        self._check_who(loc, entry.to, key="to")
        if find_step(self.playbook, entry.mail) is None:
            known = list(_mail_names(self.playbook))
            near = get_close_matches(entry.mail, known, n=1, cutoff=0.4)
            change = f"did you mean {near[0]}?" if near else "write MEASURE or MEASURE/STEP"
            self._fault((*loc, "mail"), f"no mail {entry.mail!r} in the programme", change)

    def _check_measure(self, loc: tuple[str | int, ...], path: str) -> None:
        self._check_name(loc, "measure", path, self.playbook.measures)

    def _check_who(self, loc: tuple[str | int, ...], name: str | None, *, key: str = "who") -> None:
        if name is not None:
            self._check_name((*loc, key), "person", name, self.timeline.people)

    def _check_event(self, loc: tuple[str | int, ...], name: str) -> None:
        """Refuse an event that no rule reads and that is nearly one that a rule reads: a typing mistake."""
        near = get_close_matches(name, list(self.events), n=1, cutoff=0.85)
        if name not in self.events and near:
            self._fault(loc, f"no rule of the programme reads {name!r}", f"did you mean {near[0]!r}?")

    def _check_name(self, loc: tuple[str | int, ...], kind: str, name: str, known: object) -> None:
        names = sorted(str(item) for item in known) if isinstance(known, Mapping | set | frozenset) else []
        if name not in names:
            near = get_close_matches(name, names, n=1, cutoff=0.5)
            change = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names) or 'none'}"
            self._fault(loc, f"no {kind} {name!r}", change)

    def _check_time(self, loc: tuple[str | int, ...], text: str) -> None:
        try:
            parse_time(text)
        except ValueError as error:
            what, _, change = str(error).partition("; ")
            self._fault(loc, f"`{loc[-1]}`: {what}", change)

    def _fault(self, loc: Loc, what: str, change: str) -> None:
        self.faults.add(self.timeline.path, self.timeline.line(*loc), what, change)


def _mail_names(playbook: Playbook) -> Iterator[str]:
    for path, measure in playbook.measures.items():
        yield path
        for step in measure.steps:
            if isinstance(step, MailStep):
                yield f"{path}/{step.id}"


def find_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return a programme's files of timelines and its pytest files, each in order."""
    timelines = sorted(path for ending in ("*.yaml", "*.yml") for path in folder.rglob(ending))
    return timelines, sorted(folder.rglob("test_*.py"))
