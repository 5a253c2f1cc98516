"""What the checks of one measure look at, and how they report."""

from collections.abc import Iterable
from dataclasses import dataclass

from nurture.domain.measure import MARKETING, Measure
from nurture.domain.playbook import EntityFact, Playbook
from nurture.playbook.builders.measure import Draft
from nurture.playbook.document import Loc
from nurture.playbook.fault import Faults, list_of
from nurture.playbook.folder import PROGRAMME
from nurture.playbook.schema.measure import MeasureFile
from nurture.playbook.schema.programme import ProgrammeFile


@dataclass(frozen=True, slots=True)
class Case:
    """One measure under check, with the playbook it belongs to."""

    draft: Draft
    # With all measures, still without hashes.
    playbook: Playbook
    programme: ProgrammeFile
    faults: Faults

    @property
    def measure(self) -> Measure:
        """The measure as built."""
        return self.draft.measure

    @property
    def given(self) -> MeasureFile:
        """The measure as written."""
        return self.draft.given

    @property
    def is_marketing(self) -> bool:
        """Whether its purpose needs a topic's consent."""
        return self.measure.purpose in MARKETING

    def is_broken(self, *loc: str | int) -> bool:
        """Tell whether a place in its measure.yaml did not read and has a stand-in."""
        return self.faults.is_broken(self.draft.document.path, loc)

    @property
    def has_all_steps(self) -> bool:
        """Whether every step read; only then can a check speak of what is missing among them."""
        return not any(self.is_broken("steps", place) for place in range(len(self.given.steps)))

    def fault(self, loc: Loc, what: str, change: str) -> None:
        """Report at a place in its measure.yaml."""
        self.faults.at(self.draft.document, loc, what, change)

    def known(self, section: str, names: Iterable[str]) -> frozenset[str]:
        """Return a section's names, also those that exist and did not read."""
        return self.faults.known(PROGRAMME, section, names, depth=3 if section == "stages" else 2)

    def entities(self) -> frozenset[str]:
        """Return the names of entities."""
        facts = self.playbook.facts
        return self.known("facts", (name for name in facts if isinstance(facts[name], EntityFact)))

    def name(self, loc: Loc, kind: str, name: str | None, known: frozenset[str]) -> None:
        """Report a name that is not known; None is no name."""
        if name is not None and name not in known:
            self.fault(loc, f"no {kind} `{name}`", f"known: {list_of(known, most=40)}")
