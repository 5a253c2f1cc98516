"""Hold back mail that is beyond the day's ceiling of a lane that is warming up, or beyond a provider's daily limit.

It stands between the guard and the lease, in the claim's transaction: the day's row is locked until that commits, so
any number of workers together send no more than the ceiling. A mail that is claimed twice on a day counts twice.
"""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from nurture.delivery.load_guard_input import GuardItem
from nurture.delivery.types import Delivery
from nurture.domain.health.providers import name_provider
from nurture.domain.health.warm_up import Room, admit, day_of
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.domain.message import Check, Verdict
from nurture.health import queries

Judged = tuple[GuardItem, Verdict]


def hold_back(
    connection: sa.Connection, delivery: Delivery, verdicts: Sequence[Judged], *, lane: str, now: Instant
) -> list[Judged]:
    """Return the verdicts, those beyond today's room as deferred until tomorrow. Transactional mail always passes."""
    plan = delivery.warm_up.get(lane)
    ceiling = plan.ceiling(now) if plan is not None else None
    limits = delivery.provider_limits
    if ceiling is None and not limits:
        return list(verdicts)
    counted = [
        (item, verdict)
        for item, verdict in verdicts
        if verdict.action == "send" and item.due.purpose != "transactional"
    ]
    if not counted:
        return list(verdicts)
    providers = [name_provider(item.address or "") for item, _ in counted]
    day = day_of(now)
    used = queries.lock_warm_up(connection, lane, day, providers=sorted({*providers}), ceiling=ceiling)
    room = Room(
        None if ceiling is None else ceiling - used.get(queries.ALL_PROVIDERS, 0),
        {name: limit - used.get(name, 0) for name, limit in limits.items()},
    )
    admitted = admit(providers, room)
    leaving = Counter(
        provider for provider, is_admitted in zip(providers, admitted, strict=True) if is_admitted
    )
    queries.add_warm_up(connection, lane, day, leaving)
    held = {
        item.due.id: _defer(verdict, ceiling, until=day + DAY)
        for (item, verdict), is_admitted in zip(counted, admitted, strict=True)
        if not is_admitted
    }
    return [(item, held.get(item.due.id, verdict)) for item, verdict in verdicts]


def _defer(verdict: Verdict, ceiling: int | None, *, until: Instant) -> Verdict:
    bound = (
        "the provider's daily limit"
        if ceiling is None
        else f"today's ceiling of {ceiling} or the provider's limit"
    )
    check = Check("warm_up", passed=False, detail=f"beyond {bound}; waits until {to_iso(until)}")
    return Verdict("defer", "warm_up", (*verdict.checks, check), until=until)
