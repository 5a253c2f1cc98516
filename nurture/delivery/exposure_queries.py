"""Record exposures: people for whom the guard's last check was reached, mailed or held back alike.

Compared by themselves they tell what a mail does to those whom it can reach; the judgement of a measure compares
everybody who entered it.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from nurture.database.bulk import insert_statement, list_text, relation_of_parameter
from nurture.database.schema import enrolments, experiments, exposures
from nurture.delivery.load_guard_input import GuardItem
from nurture.domain.experiment.programme import PROGRAMME
from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING, Measure
from nurture.domain.message import Verdict
from nurture.domain.playbook import Playbook

#: The reasons of the guard's last checks, for people who are kept without the mail to compare.
_HELD_BACK: Final = frozenset({"holdout", "programme_holdout"})
_GIVEN = (experiments.c.measure, exposures.c.contact_id, exposures.c.at)


def record_exposures(
    connection: sa.Connection,
    verdicts: Iterable[tuple[GuardItem, Verdict]],
    playbook: Playbook,
    *,
    now: Instant,
) -> None:
    """Add the people of these verdicts that were reached, each once for an epoch; measures without arms have none."""
    reached = [item.due for item, verdict in verdicts if _is_reached(verdict)]
    rows = [
        (measure, due.contact_id, now)
        for due in reached
        if _compares(playbook, measure := due.began_as or due.measure)
    ]
    if playbook.holdout is not None:
        rows += [
            (PROGRAMME, due.contact_id, now)
            for due in reached
            if due.purpose in MARKETING and not due.asked_for
        ]
    if rows:
        connection.execute(_statement(connection.dialect.name), {"rows": list_text(rows)})


def _is_reached(verdict: Verdict) -> bool:
    return verdict.action == "send" or (verdict.action == "skip" and verdict.reason in _HELD_BACK)


def _compares(playbook: Playbook, root: str) -> bool:
    return root in _compared(playbook)


@lru_cache(maxsize=8)
def _compared(playbook: Playbook) -> frozenset[str]:
    """Return the identities of the measures that compare arms."""

    def has_arms(measure: Measure) -> bool:
        return measure.metric is not None and bool(measure.holdout or measure.variants)

    return frozenset(measure.root for measure in playbook.measures.values() if has_arms(measure))


@lru_cache
def _statement(dialect: str) -> Any:
    """Return the statement that writes them to the newest epoch that the contact entered."""
    given = relation_of_parameter(dialect, _GIVEN)
    source = (
        sa.select(sa.func.max(enrolments.c.experiment), given.c.contact_id, given.c.at)
        .select_from(
            given.join(enrolments, enrolments.c.contact_id == given.c.contact_id).join(
                experiments,
                sa.and_(
                    experiments.c.id == enrolments.c.experiment, experiments.c.measure == given.c.measure
                ),
            )
        )
        .where(sa.true())
        .group_by(given.c.measure, given.c.contact_id, given.c.at)
    )
    return insert_statement(
        dialect,
        exposures,
        ("experiment", "contact_id", "at"),
        source,
        conflict=("experiment", "contact_id"),
    )
