"""A person's consent per topic, read from every consent row of all the contacts they were known as.

| words | rule |
|---|---|
| told: by an event, a signed shop, our pages, a reply, an operator | by their instant; of one instant, the stricter |
| of a file | the same, and a grant counts only where no withdrawal of the topic was ever told to us |
| of a file, without a date | older than all others |

The order in which rows are written changes nothing, so batches and sources may overlap. `domain.consent.merges`
describes how two merged contacts are read together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from nurture.domain.consent.merges import ContactMerge, fold_family, list_families
from nurture.domain.instant import Instant

ConsentState = Literal["pending", "granted", "withdrawn"]

#: The topic of a row about everything at once ("no more mail"). It covers every topic, also later ones, until
#: the person says something newer about one of them.
EVERYTHING = "*"

#: Sources of rows that were read from a file: people's words elsewhere, reported by whoever wrote the file.
FILE_SOURCES: Final = frozenset({"import", "event:import"})
#: The instant of a word without a date: older than all others.
UNDATED: Final[Instant] = 0

#: Stricter is larger. A topic without a row is left out: no row neither grants nor withdraws.
_STRICTNESS: Mapping[ConsentState, int] = {"granted": 0, "pending": 1, "withdrawn": 2}


@dataclass(frozen=True, slots=True)
class Consent:
    """One row of evidence: this contact granted or withdrew this topic, or was asked to confirm it."""

    contact_id: int
    topic: str
    state: ConsentState
    at: Instant
    # The order in which rows were written; decides between equally strict rows of one instant.
    id: int = 0
    # Where the row comes from: `web`, `ops`, `event:...`; a file is one of FILE_SOURCES.
    source: str = ""

    @property
    def strictness(self) -> int:
        """Of rows of one instant the stricter decides."""
        return _STRICTNESS[self.state]


def fold_consents(
    contact_id: int, rows: Iterable[Consent], merges: Iterable[ContactMerge] = ()
) -> dict[str, ConsentState]:
    """Return topic -> state for this contact with everything that was merged into it.

    rows, merges: of any contacts, in any order; those that do not lead to `contact_id` are ignored.
    A topic without any row is not in the result; read the result with `state_for_topic`.
    """
    return {topic: row.state for topic, row in find_deciding_rows(contact_id, rows, merges).items()}


def find_deciding_rows(
    contact_id: int, rows: Iterable[Consent], merges: Iterable[ContactMerge] = ()
) -> dict[str, Consent]:
    """Return topic -> the row that decides it, with the arguments of `fold_consents`."""
    merges = list(merges)
    family = set(list_families([contact_id], merges)[contact_id])
    theirs = _without_refuted_grants([row for row in rows if row.contact_id in family])
    return fold_family(contact_id, theirs, merges, apply=_apply, take_stricter=_take_stricter)


def _without_refuted_grants(rows: list[Consent]) -> list[Consent]:
    """Return the rows without the grants of files whose topic, or everything, was ever withdrawn towards us."""
    withdrawn = {row.topic for row in rows if row.state == "withdrawn" and row.source not in FILE_SOURCES}

    def is_refuted(topic: str) -> bool:
        return topic in withdrawn or EVERYTHING in withdrawn or (topic == EVERYTHING and bool(withdrawn))

    return [
        row
        for row in rows
        if row.state == "withdrawn" or row.source not in FILE_SOURCES or not is_refuted(row.topic)
    ]


def find_withdrawal(rows: Iterable[Consent], topic: str, *, since: Instant) -> Consent | None:
    """Return the first withdrawal of the topic, or of everything, at or after an instant; None without one."""
    withdrawn = (row for row in rows if row.state == "withdrawn" and row.topic in (topic, EVERYTHING))
    return min((row for row in withdrawn if row.at >= since), key=lambda row: row.at, default=None)


def state_for_topic(consents: Mapping[str, ConsentState], topic: str | None) -> ConsentState | None:
    """Return the state of the topic, also when a row about everything decided it; None without any row.

    topic: None asks about everything.
    """
    return consents.get(topic or EVERYTHING) or consents.get(EVERYTHING)


def _apply(consents: dict[str, Consent], row: Consent) -> dict[str, Consent]:
    if row.topic == EVERYTHING:
        return dict.fromkeys([*consents, EVERYTHING], row)
    return {**consents, row.topic: row}


def _take_stricter(first: dict[str, Consent], second: dict[str, Consent]) -> dict[str, Consent]:
    stricter: dict[str, Consent] = {}
    for topic in {**first, **second}:
        rows = (rows.get(topic) or rows.get(EVERYTHING) for rows in (first, second))
        stricter[topic] = max((row for row in rows if row is not None), key=lambda row: row.strictness)
    return stricter
