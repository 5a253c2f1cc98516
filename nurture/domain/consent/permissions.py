"""A person's consent per topic, read from every consent row of all the contacts they were known as.

The newest row of a topic decides; `domain.consent.merges` describes how two merged contacts are read together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from nurture.domain.consent.merges import ContactMerge, fold_family
from nurture.domain.instant import Instant

ConsentState = Literal["pending", "granted", "withdrawn"]

#: The topic of a row about everything at once ("no more mail"). It covers every topic, also later ones, until
#: the person says something newer about one of them.
EVERYTHING = "*"

#: Stricter is larger. A topic without a row is left out: no row neither grants nor withdraws.
_STRICTNESS: Mapping[ConsentState, int] = {"granted": 0, "pending": 1, "withdrawn": 2}


@dataclass(frozen=True, slots=True)
class Consent:
    """One row of evidence: this contact granted or withdrew this topic, or was asked to confirm it."""

    contact_id: int
    topic: str
    state: ConsentState
    at: Instant
    # The order in which rows were written; decides between rows of one instant.
    id: int = 0


def fold_consents(
    contact_id: int, rows: Iterable[Consent], merges: Iterable[ContactMerge] = ()
) -> dict[str, ConsentState]:
    """Return topic -> state for this contact with everything that was merged into it.

    rows, merges: of any contacts, in any order; those that do not lead to `contact_id` are ignored.
    A topic without any row is not in the result; read the result with `state_for_topic`.
    """
    return fold_family(contact_id, rows, merges, apply=_apply, take_stricter=_take_stricter)


def state_for_topic(consents: Mapping[str, ConsentState], topic: str | None) -> ConsentState | None:
    """Return the state of the topic, also when a row about everything decided it; None without any row.

    topic: None asks about everything.
    """
    return consents.get(topic or EVERYTHING) or consents.get(EVERYTHING)


def _apply(consents: dict[str, ConsentState], row: Consent) -> dict[str, ConsentState]:
    if row.topic == EVERYTHING:
        return dict.fromkeys([*consents, EVERYTHING], row.state)
    return {**consents, row.topic: row.state}


def _take_stricter(
    first: dict[str, ConsentState], second: dict[str, ConsentState]
) -> dict[str, ConsentState]:
    stricter: dict[str, ConsentState] = {}
    for topic in {**first, **second}:
        states = (state_for_topic(first, topic), state_for_topic(second, topic))
        stricter[topic] = max((state for state in states if state is not None), key=_STRICTNESS.__getitem__)
    return stricter
