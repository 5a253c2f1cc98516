"""SQL for what conditions ask of a contact's runs and mails: `in_measure` and `last_sent`."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from nurture.database import schema
from nurture.database.fact_sql import Boolean
from nurture.domain.conditions import Condition, in_measure_key, last_sent_key
from nurture.domain.instant import NEVER


def asked_values(
    condition: Condition, contacts: sa.FromClause, measures: Mapping[str, str]
) -> dict[str, sa.ColumnElement[Any]]:
    """Return key -> SQL of all that the condition asks of the runs and mails of a row of `contacts`.

    measures: path -> identity, of those whose identity is another name.
    """
    roots = {path: measures.get(path, path) for path in condition.measures}
    return {
        **{in_measure_key(path): _has_run(contacts, root) for path, root in roots.items()},
        **{last_sent_key(path): _last_sent(contacts, root) for path, root in roots.items()},
    }


def _family(contacts: sa.FromClause) -> sa.ScalarSelect[Any]:
    """Return the ids of the contact and of those merged into it: runs and messages keep the one they began with."""
    member = schema.contacts.alias("member")
    own = sa.or_(member.c.id == contacts.c.id, member.c.survivor == contacts.c.id)
    return sa.select(member.c.id).where(own).correlate(contacts).scalar_subquery()


def _has_run(contacts: sa.FromClause, root: str) -> Boolean:
    runs = schema.runs
    mine = runs.c.contact_id.in_(_family(contacts))
    return sa.exists().where(mine, runs.c.measure == root, runs.c.status == "active").correlate(contacts)


def _last_sent(contacts: sa.FromClause, root: str) -> sa.ColumnElement[Any]:
    messages = schema.messages
    mine = messages.c.contact_id.in_(_family(contacts))
    left = sa.select(sa.func.max(messages.c.sent_at))
    left = left.where(mine, messages.c.measure == root, messages.c.status == "sent").correlate(contacts)
    return sa.func.coalesce(left.scalar_subquery(), NEVER)
