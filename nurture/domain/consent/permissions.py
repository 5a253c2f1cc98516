"""What a person permits, per topic, read from every consent row of all the contacts they were known as.

Within one contact the newest row of a topic speaks. Where two contacts turned out to be one person, the
stricter of what both had said holds from the merge on, until the person says something newer. So a withdrawal
is never undone by a merge, and a confirmation given after it still counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nurture.domain.instant import Instant

State = Literal["pending", "granted", "withdrawn"]

#: The topic of a word about everything at once: "no more mail". It covers every topic, also ones yet to come,
#: until the person says something newer about one of them.
EVERYTHING = "*"

#: Stricter is larger. Silence is no word at all: it neither grants nor takes away.
_STRICTNESS: Mapping[State, int] = {"granted": 0, "pending": 1, "withdrawn": 2}


@dataclass(frozen=True, slots=True)
class Consent:
    """One row of evidence: this contact said this about this topic."""

    contact_id: int
    topic: str
    state: State
    at: Instant
    # The order in which rows were written; settles rows of one instant.
    id: int = 0


@dataclass(frozen=True, slots=True)
class Join:
    """A merge: `merged` became part of `survivor` at this instant."""

    survivor: int
    merged: int
    at: Instant


def states(contact_id: int, rows: Iterable[Consent], joins: Iterable[Join] = ()) -> dict[str, State]:
    """Return topic -> state for this contact with everything that was merged into it.

    rows, joins: of any contacts, in any order; those that do not lead to `contact_id` are ignored.
    A topic nobody said anything about is not in the answer; read it with `state_of`.
    """
    by_contact: dict[int, list[Consent]] = {}
    for row in rows:
        by_contact.setdefault(row.contact_id, []).append(row)
    by_survivor: dict[int, list[Join]] = {}
    for join in joins:
        by_survivor.setdefault(join.survivor, []).append(join)
    return _states(contact_id, by_contact, by_survivor, seen=frozenset())


def state_of(answer: Mapping[str, State], topic: str | None) -> State | None:
    """Return what was last said about the topic, be it by a word about everything; None: nothing."""
    return answer.get(topic or EVERYTHING) or answer.get(EVERYTHING)


def _states(
    contact_id: int,
    rows: Mapping[int, Sequence[Consent]],
    joins: Mapping[int, Sequence[Join]],
    *,
    seen: frozenset[int],
) -> dict[str, State]:
    """Fold one contact's rows and merges by time; `seen` keeps a circle of merges from turning for ever."""
    # A row and a merge of one instant: the merge first, the row is what the joined person then said.
    steps: list[tuple[Instant, int, int, Consent | Join]] = [
        (row.at, 1, row.id, row) for row in rows.get(contact_id, ())
    ]
    steps += [
        (join.at, 0, join.merged, join) for join in joins.get(contact_id, ()) if join.merged not in seen
    ]
    answer: dict[str, State] = {}
    for _at, _kind, _id, step in sorted(steps, key=lambda each: each[:3]):
        if isinstance(step, Join):
            other = _states(step.merged, rows, joins, seen=seen | {contact_id})
            answer = _stricter(answer, other)
        elif step.topic == EVERYTHING:
            answer = dict.fromkeys([*answer, EVERYTHING], step.state)
        else:
            answer[step.topic] = step.state
    return answer


def _stricter(one: Mapping[str, State], other: Mapping[str, State]) -> dict[str, State]:
    answer: dict[str, State] = {}
    for topic in {**one, **other}:
        said = [state for state in (state_of(one, topic), state_of(other, topic)) if state is not None]
        answer[topic] = max(said, key=_STRICTNESS.__getitem__)
    return answer
