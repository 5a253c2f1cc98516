"""The pace of a lane: a token bucket in its row, and until when the lane or one receiving domain rests."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.database.bulk import Row, insert
from nurture.database.schema import domain_rests, lanes
from nurture.domain.instant import SECOND, Instant
from nurture.domain.pace.domain_rests import DomainRest, next_rest

#: One token in so many is kept for urgent mail.
_URGENT_PART = 10


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane's token bucket.

    rate: mails a second, None for no limit. tokens: how many mails may leave. filled_at: when the bucket was filled
    last; an instant in the future means that the lane rests until then.
    """

    rate: int | None
    tokens: int
    filled_at: Instant

    def available(self, now: Instant, *, is_urgent: bool = True) -> int | None:
        """Return how many mails may leave at `now`, None when there is no limit.

        A tenth of the bucket is kept for urgent mail; that costs the others nothing once the bucket runs empty.
        """
        if self.filled_at > now:
            return 0
        if self.rate is None:
            return None
        return self._refill(now)[0] - (0 if is_urgent else self.rate // _URGENT_PART)

    def after_sending(self, count: int, now: Instant) -> "LaneState":
        """Return the bucket after `count` mails have left."""
        if self.rate is None or self.filled_at > now:
            return self
        tokens, filled_at = self._refill(now)
        return LaneState(self.rate, tokens - count, filled_at)

    def _refill(self, now: Instant) -> tuple[int, Instant]:
        rate = self.rate or 1
        # The bucket holds the tokens of one second at most, so that an idle lane does not burst.
        gained = min((now - self.filled_at) * rate // SECOND, rate - min(self.tokens, rate))
        if self.tokens + gained >= rate:
            return rate, now
        return self.tokens + gained, self.filled_at + gained * SECOND // rate


_LANE = sa.select(lanes.c.rate, lanes.c.tokens, lanes.c.filled_at).where(
    lanes.c.name == sa.bindparam("of_lane", type_=sa.Text)
)
_LANE_LOCKED = _LANE.with_for_update()


def lane_state(connection: sa.Connection, lane: str, *, lock: bool = False) -> LaneState:
    """Return the lane's token bucket; a lane without a row has no limit. lock: with FOR UPDATE, to write it back."""
    row = connection.execute(_LANE_LOCKED if lock else _LANE, {"of_lane": lane}).first()
    return LaneState(row.rate, row.tokens, row.filled_at) if row else LaneState(None, 0, 0)


def take_tokens(
    connection: sa.Connection, lane: str, wanted: int, *, now: Instant, is_urgent: bool = True
) -> int:
    """Take up to `wanted` tokens out of the lane's bucket; return how many mails may leave now."""
    state = lane_state(connection, lane, lock=True)
    available = state.available(now, is_urgent=is_urgent)
    if available is None:
        return wanted
    granted = max(0, min(wanted, available))
    after = state.after_sending(granted, now)
    statement = sa.update(lanes).where(lanes.c.name == lane)
    connection.execute(statement.values(tokens=after.tokens, filled_at=after.filled_at))
    return granted


def load_domain_rests(connection: sa.Connection, lane: str) -> dict[str, DomainRest]:
    """Return domain -> its newest rest on the lane."""
    rows = connection.execute(_DOMAIN_RESTS, {"of_lane": lane}).all()
    return {row.domain: DomainRest(row.until, row.length) for row in rows}


_DOMAIN_RESTS = sa.select(domain_rests.c.domain, domain_rests.c.until, domain_rests.c.length).where(
    domain_rests.c.lane == sa.bindparam("of_lane", type_=sa.Text)
)


def rest_domains(connection: sa.Connection, lane: str, domains: Collection[str], *, now: Instant) -> None:
    """Let receiving domains rest: the lane sends them no mail but transactional for a while."""
    if not domains:
        return
    before = load_domain_rests(connection, lane)
    rows: list[Row] = []
    for domain in sorted(domains):
        rest = next_rest(before.get(domain), now)
        rows.append({"lane": lane, "domain": domain, "until": rest.until, "length": rest.length})
    insert(connection, domain_rests, rows, conflict=("lane", "domain"), update=("until", "length"))


def delete_ended_rests(connection: sa.Connection, *, before: Instant) -> None:
    """Delete the rests that ended before an instant."""
    connection.execute(sa.delete(domain_rests).where(domain_rests.c.until < before))


def rest_lane(connection: sa.Connection, lane: str, *, until: Instant) -> None:
    """Let the lane rest: no mail leaves through it before `until`."""
    row: Row = {"name": lane, "tokens": 0, "filled_at": until}
    insert(connection, lanes, [row], conflict=("name",), update=("tokens", "filled_at"))
