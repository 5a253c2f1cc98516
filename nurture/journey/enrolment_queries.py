"""Enrol people in experiments: with their first run in a measure's open epoch, in the transaction that begins the run.

Both arms are enrolled alike, whether a mail leaves later or not. A run that continues another one after a change of
track keeps that one's arm and enrols nobody.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import insert_statement, list_text, relation_of_parameter
from nurture.database.schema import enrolments, experiments
from nurture.domain.contact import Advance, Contact
from nurture.domain.entities import counted_at, net_amount
from nurture.domain.entities.net_facts import is_standing
from nurture.domain.experiment.epochs import BEFORE, GRACE, arm_index, arms_of, design_of
from nurture.domain.instant import NEVER, Instant
from nurture.domain.playbook import Playbook

_GIVEN = (
    experiments.c.measure,
    enrolments.c.contact_id,
    enrolments.c.arm,
    enrolments.c.entered_at,
    enrolments.c.segment,
    enrolments.c.stratum,
    enrolments.c.spent_before,
)
_COLUMNS = tuple(column.name for column in enrolments.c)


def enrol(connection: sa.Connection, advances: Sequence[Advance], playbook: Playbook) -> int:
    """Enrol the people of the runs that these advances began; return how many.

    Nobody enters twice, nor a new epoch while their window in an older one of the measure is open. Without a begun run
    no statement runs.
    """
    rows = [row for advance in advances for row in _entries(advance, playbook)]
    if not rows:
        return 0
    statement = _statement(connection.dialect.name)
    return max(connection.execute(statement, {"rows": list_text(rows)}).rowcount, 0)


def _entries(advance: Advance, playbook: Playbook) -> Iterable[tuple[Any, ...]]:
    contact = advance.contact
    for run in advance.runs.values():
        if run.id or (run.began_as and run.began_as != run.measure):
            continue
        measure = playbook.measures.get(run.measure)
        if measure is None or measure.metric is None:
            continue
        arm = arm_index(arms_of(measure), in_holdout=run.holdout, variant=run.variant)
        design = design_of(measure, playbook)
        if arm is None or design is None:
            continue
        spent = spent_before(contact, run.started_at, playbook) if design.is_amount else 0
        yield run.measure, contact.id, arm, run.started_at, contact.stage, contact.locale or "", spent


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


@lru_cache
def _statement(dialect: str) -> Any:
    given = relation_of_parameter(dialect, _GIVEN)
    newest = (
        sa.select(experiments.c.measure, sa.func.max(experiments.c.id).label("id"))
        .group_by(experiments.c.measure)
        .subquery("newest")
    )
    epoch, older, entered = (
        experiments.alias("epoch"),
        experiments.alias("older"),
        enrolments.alias("entered"),
    )
    is_still_open = sa.exists().where(
        entered.c.contact_id == given.c.contact_id,
        entered.c.experiment == older.c.id,
        older.c.measure == given.c.measure,
        older.c.id < epoch.c.id,
        entered.c.entered_at + older.c.within > given.c.entered_at,
    )
    matures_at = given.c.entered_at + epoch.c.within + sa.literal(GRACE, sa.BigInteger)
    source = (
        sa.select(
            epoch.c.id,
            given.c.contact_id,
            given.c.arm,
            given.c.entered_at,
            matures_at,
            given.c.segment,
            given.c.stratum,
            given.c.spent_before,
        )
        .select_from(
            given.join(newest, newest.c.measure == given.c.measure).join(epoch, epoch.c.id == newest.c.id)
        )
        .where(~is_still_open)
        .order_by(given.c.place_)
    )
    return insert_statement(
        dialect, enrolments, _COLUMNS, source, conflict=("experiment", "contact_id"), update=(), returning=()
    )
