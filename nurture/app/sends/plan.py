"""The plan of a send: who may enter the measure at this instant, and why the others may not.

It costs one pass over the contacts; `app.sends.forecast` runs the guard over those who may enter.
"""

from typing import Any, Final

import sqlalchemy as sa

from nurture.app import audience
from nurture.app.sends import queries
from nurture.app.sends.hand_in import find_measure
from nurture.app.sends.options import NO_OPTIONS, SendOptions, check_options, run_key
from nurture.app.sends.recipients import Recipients
from nurture.app.services import Services
from nurture.domain.instant import Instant
from nurture.domain.measure import Measure
from nurture.domain.playbook import Playbook

#: How many people the plan lists before the operator confirms.
_SHOWN: Final = 5


def plan(
    services: Services, path: str, recipients: Recipients, *, options: SendOptions = NO_OPTIONS
) -> dict[str, Any]:
    """Return who may enter the measure at this instant: how many, the first five, and the others by reason.

    Raises NotFoundError, ConditionError; InputError when the measure needs other options.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        measure = find_measure(playbook, path)
        check_options(options, measure, playbook)
        now = services.clock.now()
        meant = recipients_sql(connection, playbook, recipients, now)
        refusal = refusal_sql(connection, measure, playbook, options, now)
        counts, first = queries.count_by_refusal(connection, meant, refusal, shown=_SHOWN)
    people = counts.pop("", 0)
    return {
        "measure": path,
        "people": people,
        "first": first,
        "not_entering": counts,
        "unknown": [{"place": name.place, "who": name.who, "why": name.why} for name in recipients.unknown],
    }


def recipients_sql(
    connection: sa.Connection, playbook: Playbook, recipients: Recipients, now: Instant
) -> sa.ColumnElement[bool]:
    """Return the SQL for the people that are meant."""
    if recipients.expression is None:
        return sa.and_(audience.living_contacts(), queries.is_among(connection, recipients.contacts))
    condition = audience.parse_audience(playbook, recipients.expression)
    return sa.and_(audience.living_contacts(), audience.condition_sql(connection, condition, playbook, now))


def refusal_sql(
    connection: sa.Connection, measure: Measure, playbook: Playbook, options: SendOptions, now: Instant
) -> sa.ColumnElement[str]:
    """Return the SQL for the reason why a contact may not enter the measure, empty when it may.

    An unknown answer of the measure's audience counts as no.
    """
    answer = audience.condition_sql(connection, measure.audience, playbook, now)
    key = run_key(options, measure)
    is_once = key is not None and not options.again and measure.once.again_after is None
    return queries.refusal_sql(measure, answer, once_key=key if is_once else None)
