"""The subject of the checks of one measure, and their way to report faults."""

from collections.abc import Iterable
from dataclasses import dataclass

from nurture.domain.measure import MARKETING, MailStep, Measure, NotifyStep
from nurture.domain.playbook import Playbook
from nurture.playbook.builders.measure import Draft
from nurture.playbook.document import Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.folder import PROGRAMME, MailFile
from nurture.playbook.schema.measure import MeasureFile
from nurture.playbook.schema.programme import ProgrammeFile


@dataclass(frozen=True, slots=True)
class MeasureCheck:
    """One measure that is checked, with its playbook and the list of faults."""

    draft: Draft
    # With all measures, without hashes.
    playbook: Playbook
    programme: ProgrammeFile
    faults: Faults

    @property
    def measure(self) -> Measure:
        """Return the measure as it was built."""
        return self.draft.measure

    @property
    def model(self) -> MeasureFile:
        """Return the measure as the file gives it."""
        return self.draft.model

    @property
    def is_marketing(self) -> bool:
        """Tell whether its purpose needs consent to a topic."""
        return self.measure.purpose in MARKETING

    def is_broken(self, *loc: str | int) -> bool:
        """Tell whether a place in its measure.yaml is broken and has a stand-in."""
        return self.faults.is_broken(self.draft.document.path, loc)

    @property
    def sends_mail(self) -> bool:
        """Tell whether one of its steps is a mail; without one it needs no form and no call to action."""
        return any(isinstance(step, MailStep) for step in self.measure.steps)

    @property
    def owner_mails(self) -> frozenset[str]:
        """Return the mails that go to owners alone."""
        steps = self.measure.steps
        to_people = {step.mail for step in steps if isinstance(step, MailStep)}
        return frozenset(step.mail for step in steps if isinstance(step, NotifyStep)) - to_people

    @property
    def people_mails(self) -> list[MailFile]:
        """Return the files of mails to people: all but those to owners alone, and those of steps that are broken."""
        known = {step.mail for step in self.measure.steps if isinstance(step, MailStep)}
        mails = [mail for mail in self.draft.folder.mails if mail.mail not in self.owner_mails]
        return mails if self.has_all_steps else [mail for mail in mails if mail.mail in known]

    def step_loc(self, place: int, *rest: str | int) -> Loc:
        """Return the place in its measure.yaml of the step at `place` of the measure, or of a key of it."""
        return (*self.draft.steps[place].loc, *rest)

    @property
    def has_all_steps(self) -> bool:
        """Tell whether no step is broken; otherwise a check must not report that one is missing."""
        return not any(self.is_broken("steps", place) for place in range(len(self.model.steps)))

    def fault(self, loc: Loc, what: str, change: str) -> None:
        """Add a fault at a place in its measure.yaml."""
        self.faults.at(self.draft.document, loc, what, change)

    def warn(self, loc: Loc, what: str, change: str) -> None:
        """Add a warning at a place in its measure.yaml."""
        self.faults.warn(self.draft.document, loc, what, change)

    def known(self, section: str, names: Iterable[str]) -> frozenset[str]:
        """Return the names of a section of playbook.yaml, broken entries included."""
        return self.faults.known(PROGRAMME, section, names, depth=3 if section == "stages" else 2)

    def entities(self) -> frozenset[str]:
        """Return the names of entities."""
        return self.known("entities", self.playbook.entities) | self.faults.broken_names(PROGRAMME, "facts")

    def require_known(self, loc: Loc, kind: str, name: str | None, known: frozenset[str]) -> None:
        """Add a fault for a name that is not known. name: None when the file gives none."""
        if name is not None and name not in known:
            self.fault(loc, f"no {kind} `{name}`", f"known: {format_names(known, most=40)}")
