"""Enrol people in experiments: with their first run in a measure's open epoch, in the transaction that begins the run.

Both arms are enrolled alike, whether a mail leaves later or not. A run that continues another one after a change of
track keeps that one's arm and enrols nobody.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from nurture.database.bulk import any_of, insert
from nurture.database.schema import enrolments, experiments
from nurture.domain.contact import Advance, Contact, Run
from nurture.domain.entities import counted_at, net_amount
from nurture.domain.entities.net_facts import is_standing
from nurture.domain.experiment.epochs import BEFORE, GRACE, arm_index, arms_of, design_of
from nurture.domain.experiment.programme import PROGRAMME, concerns_programme, is_kept_out
from nurture.domain.instant import NEVER, Duration, Instant
from nurture.domain.playbook import Playbook

_COLUMNS = tuple(column.name for column in enrolments.c)


class _Entry(NamedTuple):
    """A person's first step into a measure, before it is known whether they may enter its open epoch."""

    measure: str
    contact: int
    arm: int
    at: Instant
    segment: str
    stratum: str
    spent_before: int


def enrol(connection: sa.Connection, advances: Sequence[Advance], playbook: Playbook) -> int:
    """Enrol the people of the runs that these advances began; return how many entries these runs ask for.

    Nobody enters twice, nor a new epoch while their window in an older one of the measure is open. At most three
    statements run, none without a begun run.
    """
    entries = [entry for advance in advances for entry in _entries(advance, playbook)]
    if not entries:
        return 0
    epochs = _load_epochs(connection, {entry.measure for entry in entries})
    again = [entry for entry in entries if len(epochs.get(entry.measure, ())) > 1]
    closed_until = _load_open_windows(connection, {entry.contact for entry in again}) if again else {}
    rows = [
        (
            *(epochs[entry.measure][-1][0], entry.contact, entry.arm, entry.at),
            *(entry.at + epochs[entry.measure][-1][1] + GRACE, entry.segment, entry.stratum),
            entry.spent_before,
        )
        for entry in entries
        if entry.measure in epochs and closed_until.get((entry.measure, entry.contact), NEVER) <= entry.at
    ]
    insert(connection, enrolments, rows, columns=_COLUMNS, conflict=("experiment", "contact_id"))
    return len(rows)


def _load_epochs(
    connection: sa.Connection, measures: Collection[str]
) -> dict[str, list[tuple[int, Duration]]]:
    """Return identity of a measure -> (id, window) of each of its epochs, the open one last."""
    e = experiments.c
    statement = sa.select(e.id, e.measure, e.within).where(e.measure.in_(sorted(measures))).order_by(e.id)
    found: dict[str, list[tuple[int, Duration]]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.measure, []).append((row.id, row.within))
    return found


def _load_open_windows(
    connection: sa.Connection, contacts: Collection[int]
) -> dict[tuple[str, int], Instant]:
    """Return (measure, contact) -> until when the contact's windows in older epochs are open."""
    newest = experiments.alias("newest")
    until = sa.func.max(enrolments.c.entered_at + experiments.c.within)
    is_older = sa.exists().where(newest.c.measure == experiments.c.measure, newest.c.id > experiments.c.id)
    statement = (
        sa.select(experiments.c.measure, enrolments.c.contact_id, until.label("until"))
        .join(experiments, experiments.c.id == enrolments.c.experiment)
        .where(any_of(enrolments.c.contact_id, sorted(contacts), connection), is_older)
        .group_by(experiments.c.measure, enrolments.c.contact_id)
    )
    return {(row.measure, row.contact_id): row.until for row in connection.execute(statement)}


def _entries(advance: Advance, playbook: Playbook) -> Iterable[_Entry]:
    contact = advance.contact
    for run in advance.runs.values():
        if run.id or (run.began_as and run.began_as != run.measure):
            continue
        measure = playbook.measures.get(run.measure)
        if measure is None:
            continue
        is_asked_for = measure.asked_for and run.origin.asked is not None
        if concerns_programme(measure, playbook, is_asked_for=is_asked_for):
            yield _programme_entry(contact, run, playbook)
            if is_kept_out(contact, playbook):
                # Without any marketing they are no arm of a single measure.
                continue
        if measure.metric is None:
            continue
        arm = arm_index(arms_of(measure), in_holdout=run.holdout, variant=run.variant)
        design = design_of(measure, playbook)
        if arm is None or design is None:
            continue
        spent = spent_before(contact, run.started_at, playbook) if design.is_amount else 0
        yield _Entry(run.measure, contact.id, arm, run.started_at, contact.stage, contact.locale or "", spent)


def _programme_entry(contact: Contact, run: Run, playbook: Playbook) -> _Entry:
    spent = spent_before(contact, run.started_at, playbook)
    arm = 0 if is_kept_out(contact, playbook) else 1
    return _Entry(PROGRAMME, contact.id, arm, run.started_at, contact.stage, contact.locale or "", spent)


def spent_before(contact: Contact, until: Instant, playbook: Playbook) -> int:
    """Return what the person spent in the 91 days before `until`, net, in hundredths."""
    total = 0
    for kind in playbook.entities.values():
        if kind.amount is None or kind.lines_of:
            continue
        for entity in contact.memory.entities.get(kind.name, {}).values():
            at = counted_at(entity) or NEVER
            if is_standing(entity) and until - BEFORE <= at < until:
                total += net_amount(entity, kind, playbook) or 0
    return total
