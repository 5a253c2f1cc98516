"""Waking people for a newly published playbook, page by page in the order of contact ids."""

from collections.abc import Sequence

import sqlalchemy as sa

from nurture.database.bulk import any_of
from nurture.database.schema import active_playbook, contacts, set_aside_measures
from nurture.domain.instant import Instant
from nurture.domain.journey.set_aside import retry_mark


def is_adopting(connection: sa.Connection) -> bool:
    """Tell whether there are contacts that have not been woken for the active playbook."""
    return bool(connection.scalar(sa.select(IS_ADOPTING)))


#: Of `active_playbook`. By the greatest id: who looks for any contact beyond reads them all where there is none.
IS_ADOPTING = active_playbook.c.woken < sa.select(sa.func.max(contacts.c.id)).scalar_subquery()


def lock_page(connection: sa.Connection, *, limit: int) -> list[int]:
    """Lock the adoption and its next contacts, and return their ids; nothing when another worker holds it."""
    statement = sa.select(active_playbook.c.woken).with_for_update(skip_locked=True)
    woken = connection.execute(statement).scalar()
    if woken is None:
        return []
    page = sa.select(contacts.c.id).where(contacts.c.id > woken).order_by(contacts.c.id).limit(limit)
    return list(connection.execute(page.with_for_update()).scalars())


def wake_page(connection: sa.Connection, ids: Sequence[int], *, rules_hash: str, at: Instant) -> int:
    """Wake those of the page that have other rules or a measure set aside; return how many were woken.

    The cursor moves behind the page.
    """
    page = sa.update(contacts).where(
        any_of(contacts.c.id, ids, connection), contacts.c.survivor.is_(None), contacts.c.clock > 0
    )
    others = page.where(contacts.c.adopted != rules_hash, contacts.c.wake_at > at)
    woken = connection.execute(others.values(wake_at=at)).rowcount
    failed = page.where(
        contacts.c.adopted == rules_hash, contacts.c.id.in_(sa.select(set_aside_measures.c.contact_id))
    )
    again = {"wake_at": sa.case((contacts.c.wake_at > at, at), else_=contacts.c.wake_at)}
    woken += connection.execute(failed.values(adopted=retry_mark(rules_hash), **again)).rowcount
    connection.execute(sa.update(active_playbook).values(woken=max(ids)))
    return woken
