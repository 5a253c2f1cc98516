"""Begin epochs: each measure with a metric has one that is open, and a change of what it compares begins the next.

Rows of `experiments` never change: an epoch ends where the next one of its measure begins. The rows are written in the
transaction that makes a playbook active, and by the scheduler for what an earlier release published.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import decode, encode
from nurture.database.schema import experiments, outcomes
from nurture.domain.experiment.averages import winsor_cap
from nurture.domain.experiment.epochs import Arm, Design, design_of
from nurture.domain.experiment.programme import PROGRAMME, design_of_programme
from nurture.domain.instant import Instant
from nurture.domain.measure import Measure
from nurture.playbook.in_force import InForce, changed_measure, read_in_force, write_in_force
from nurture.playbook.loaded_playbook import LoadedPlaybook
from nurture.playbook.measure_words import words_by_measure
from nurture.playbook.queries import active_state, save_in_force

Reason = Literal["published", "changed", "shrunk", "ended", "resumed"]

#: Amounts are cut above the 99th percentile of the orders so far, where there are so many; else nothing is cut.
_CAPPED_FROM: Final = 100


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of `experiments`."""

    id: int
    # The measure's identity, and its path at the time.
    measure: str
    path: str
    trial: int
    since: Instant
    arms: tuple[Arm, ...]
    outcome: str
    is_amount: bool
    expect: str
    within: int
    # The currency of the amounts that it adds; "": any.
    currency: str
    # The name of the outcomes whose amounts are taken off; "": none are.
    incentive: str
    # Amounts above it are cut, in hundredths.
    cap: int | None
    # The shares held back that its file declared.
    declared: str
    signature: str


def begin_epochs(connection: sa.Connection, loaded: LoadedPlaybook, *, now: Instant) -> int:
    """Begin an epoch for each measure that compares something else than its open epoch; return how many.

    loaded: the playbook as its files say; its shares and trials are those in force. A holdout that is declared anew
    begins a new trial at its first share. The caller holds the lock of the active playbook, so that two processes
    cannot begin the same epoch.
    """
    open_ones, in_force = load_open_epochs(connection), load_in_force(connection)
    rows: list[dict[str, Any]] = []
    words = words_by_measure(loaded.files)
    programme, open_one = _programme_epoch(loaded), open_ones.get(PROGRAMME)
    if programme is not None and (open_one is None or open_one.signature != programme["signature"]):
        reason_of_programme: Reason = "published" if open_one is None else "changed"
        rows.append(_with_cap(connection, {**programme, "since": now, "reason": reason_of_programme}))
    for measure in loaded.playbook.measures.values():
        before, change = open_ones.get(measure.root), in_force.get(measure.root, InForce())
        declared = _declared(measure)
        if before is not None and before.declared != declared and measure.metric is not None:
            change = InForce(trial=before.trial + 1, is_closed=change.is_closed)
            in_force[measure.root] = change
        row = _epoch(changed_measure(measure, change), loaded, declared, words)
        if row is not None and (before is None or before.signature != row["signature"]):
            reason: Reason = "published" if before is None else "changed"
            rows.append(_with_cap(connection, {**row, "since": now, "reason": reason}))
    bulk.insert(connection, experiments, rows)
    save_in_force(connection, write_in_force(in_force))
    return len(rows)


def change_in_force(
    connection: sa.Connection,
    loaded: LoadedPlaybook,
    root: str,
    change: InForce,
    *,
    now: Instant,
    reason: Reason,
) -> None:
    """Set how a measure differs from its file, and begin an epoch when its shares or its trial change by it.

    loaded: as for `begin_epochs`. The caller holds the lock of the active playbook.
    """
    in_force = load_in_force(connection)
    before = in_force.get(root, InForce())
    in_force[root] = change
    save_in_force(connection, write_in_force(in_force))
    if (before.holdout, before.trial, before.ended) == (change.holdout, change.trial, change.ended):
        return
    measure = next((known for known in loaded.playbook.measures.values() if known.root == root), None)
    if measure is None:
        return
    words = words_by_measure(loaded.files)
    row = _epoch(changed_measure(measure, change), loaded, _declared(measure), words)
    if row is not None:
        bulk.insert(connection, experiments, [_with_cap(connection, {**row, "since": now, "reason": reason})])


def load_in_force(connection: sa.Connection) -> dict[str, InForce]:
    """Return identity of a measure -> how it differs from its file now."""
    state = active_state(connection)
    return {} if state is None else read_in_force(state[1])


def load_open_epochs(connection: sa.Connection) -> dict[str, Epoch]:
    """Return identity of a measure -> its open epoch, also of measures that the active playbook lacks."""
    newest = sa.select(sa.func.max(experiments.c.id)).group_by(experiments.c.measure)
    rows = connection.execute(sa.select(experiments).where(experiments.c.id.in_(newest)))
    return {row.measure: epoch_of(row) for row in rows}


def load_epochs(connection: sa.Connection, measures: Collection[str] | None = None) -> list[Epoch]:
    """Return every epoch of these measures (their identities) or of all, the oldest first."""
    statement = sa.select(experiments).order_by(experiments.c.id)
    if measures is not None:
        statement = statement.where(experiments.c.measure.in_(sorted(measures)))
    return [epoch_of(row) for row in connection.execute(statement)]


def epoch_of(row: Any) -> Epoch:
    """Return the epoch of a row of `experiments`."""
    values = {name: getattr(row, name) for name in _FIELDS}
    arms = tuple(Arm(name, share) for name, share in decode(row.arms))
    return Epoch(**{**values, "arms": arms})


_FIELDS: Final = tuple(field.name for field in fields(Epoch))


def _with_cap(connection: sa.Connection, row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of an epoch with the amount above which amounts are cut: fixed before its people are judged."""
    if not row["is_amount"]:
        return row
    amount = sa.func.sum(outcomes.c.value_minor)
    statement = (
        sa.select(amount)
        .where(outcomes.c.name == row["outcome"], outcomes.c.currency.in_(("", row["currency"])))
        .group_by(outcomes.c.contact_id, outcomes.c.entity_key)
        .having(amount > 0)
    )
    found = list(connection.execute(statement).scalars())
    return row if len(found) < _CAPPED_FROM else {**row, "cap": int(winsor_cap(map(float, found)))}


def _declared(measure: Measure) -> str:
    return encode([measure.holdout, measure.holdout_then])


def _epoch(
    measure: Measure, loaded: LoadedPlaybook, declared: str, words: Mapping[str, Iterable[tuple[str, str]]]
) -> dict[str, Any] | None:
    """Return the row of an epoch of the measure as it is in force; None for one without a metric."""
    design = design_of(measure, loaded.playbook)
    if design is None:
        return None
    signature = _signature(design, measure.trial, measure.rules_hash, list(words.get(measure.path, ())))
    return {
        **_row(design, declared, signature),
        "measure": measure.root,
        "path": measure.path,
        "trial": measure.trial,
    }


def _programme_epoch(loaded: LoadedPlaybook) -> dict[str, Any] | None:
    """Return the row of an epoch of the whole programme; None for a playbook that mails everybody."""
    design = design_of_programme(loaded.playbook)
    if design is None or loaded.playbook.holdout is None:
        return None
    declared = encode([loaded.playbook.holdout.share, None])
    row = _row(design, declared, _signature(design))
    return {**row, "measure": PROGRAMME, "path": PROGRAMME, "trial": 1}


def _row(design: Design, declared: str, signature: str) -> dict[str, Any]:
    return {
        "arms": encode([[arm.name, arm.share] for arm in design.arms]),
        "outcome": design.outcome.name,
        "is_amount": design.is_amount,
        "expect": design.expect,
        "within": design.within,
        "currency": design.currency,
        "incentive": design.incentive,
        "cap": None,
        "declared": declared,
        "signature": signature,
    }


def _signature(design: Design, *more: Any) -> str:
    arms = [[arm.name, arm.share] for arm in design.arms]
    counted = [design.outcome.name, design.outcome.is_entity, design.is_amount, design.expect, design.within]
    # Most take nothing off, and their epochs go on through an upgrade.
    counted += [design.incentive] if design.incentive else []
    text = encode([arms, counted, *more])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
