"""The rows of sends as the guard reads and writes them: paused, cancelled, and the places of a rated send."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from nurture.database.bulk import any_of
from nurture.database.schema import sends
from nurture.domain.guard.sends import SendLimits


def load_send_limits(connection: sa.Connection, requests: Sequence[str]) -> dict[str, SendLimits]:
    """Return request id -> the limits of that send; a request without a row of its own has none.

    A rated send is locked until the transaction ends, so that two workers do not give one place away twice.
    """
    if not requests:
        return {}
    statement = _LIMITS.where(any_of(sends.c.request, requests, connection))
    limits = _limits(connection, statement)
    rated = sorted(request for request, limit in limits.items() if limit.rate)
    if rated:
        locked = _LIMITS.where(any_of(sends.c.request, rated, connection))
        limits.update(_limits(connection, locked.order_by(sends.c.request).with_for_update()))
    return limits


_LIMITS = sa.select(sends.c.request, sends.c.state, sends.c.reason, sends.c.rate, sends.c.next_free_at)


def _limits(connection: sa.Connection, statement: sa.Select[tuple[object, ...]]) -> dict[str, SendLimits]:
    return {
        row.request: SendLimits(row.state, row.reason, row.rate, row.next_free_at)
        for row in connection.execute(statement)
    }


def save_taken_places(connection: sa.Connection, limits: Mapping[str, SendLimits]) -> None:
    """Write the first free place of each rated send, which the caller has locked."""
    for request, limit in sorted(limits.items()):
        if limit.rate:
            statement = sa.update(sends).where(sends.c.request == request)
            connection.execute(statement.values(next_free_at=limit.next_free_at))
