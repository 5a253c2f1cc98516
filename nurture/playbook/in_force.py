"""Changes in force: how a measure differs now from its file, because measurement or an operator decided so.

The files say what is meant; the row of the active playbook says what holds: a smaller share held back once a measure is
shown to work, another trial, or no further entries. It is read with the active playbook, in each batch's transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nurture.database.engine import decode, encode
from nurture.domain.measure import Measure
from nurture.playbook.loaded_playbook import LoadedPlaybook

NOTHING_CHANGED: Final = "{}"


@dataclass(frozen=True, slots=True)
class InForce:
    """How one measure differs from its file."""

    # The share held back, in hundredths of a percent; None: as in the file.
    holdout: int | None = None
    trial: int = 1
    # True: nobody enters.
    is_closed: bool = False
    # Variants that ended: shown to be worse, or another one won.
    ended: tuple[str, ...] = ()


def read_in_force(text: str) -> dict[str, InForce]:
    """Return identity of a measure -> how it differs from its file."""
    return {root: _read(values) for root, values in decode(text).items()}


def _read(values: Mapping[str, Any]) -> InForce:
    return InForce(**{**values, "ended": tuple(values.get("ended", ()))})


def write_in_force(changes: Mapping[str, InForce]) -> str:
    """Return the JSON text of these differences, without those that are none."""
    nothing = InForce()
    return encode({root: _values(change) for root, change in sorted(changes.items()) if change != nothing})


def _values(change: InForce) -> dict[str, Any]:
    values = {"holdout": change.holdout, "trial": change.trial, "is_closed": change.is_closed}
    # A release before does not know the key.
    return {**values, "ended": list(change.ended)} if change.ended else values


def with_changes(loaded: LoadedPlaybook, text: str) -> LoadedPlaybook:
    """Return the playbook as it is in force."""
    changes = read_in_force(text)
    measures = {
        path: changed_measure(measure, changes[measure.root]) if measure.root in changes else measure
        for path, measure in loaded.playbook.measures.items()
    }
    return replace(loaded, playbook=replace(loaded.playbook, measures=measures))


def changed_measure(measure: Measure, change: InForce) -> Measure:
    """Return the measure as it is in force."""
    holdout = measure.holdout if change.holdout is None else change.holdout
    variants = tuple(replace(variant, is_ended=variant.name in change.ended) for variant in measure.variants)
    return replace(
        measure, holdout=holdout, trial=change.trial, is_closed=change.is_closed, variants=variants
    )
