"""The rate limit of a lane: a token bucket in its row, and the time until which the lane rests."""

from dataclasses import dataclass

import sqlalchemy as sa

from nurture.database.bulk import Row, insert
from nurture.database.schema import lanes
from nurture.domain.instant import SECOND, Instant


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane's token bucket.

    rate: mails a second, None for no limit. tokens: how many mails may leave. filled_at: when the bucket was filled
    last; an instant in the future means that the lane rests until then.
    """

    rate: int | None
    tokens: int
    filled_at: Instant

    def available(self, now: Instant) -> int | None:
        """Return how many mails may leave at `now`, None when there is no limit."""
        if self.filled_at > now:
            return 0
        if self.rate is None:
            return None
        return self._refill(now)[0]

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


def take_tokens(connection: sa.Connection, lane: str, wanted: int, *, now: Instant) -> int:
    """Take up to `wanted` tokens out of the lane's bucket; return how many mails may leave now."""
    state = lane_state(connection, lane, lock=True)
    available = state.available(now)
    if available is None:
        return wanted
    granted = max(0, min(wanted, available))
    after = state.after_sending(granted, now)
    statement = sa.update(lanes).where(lanes.c.name == lane)
    connection.execute(statement.values(tokens=after.tokens, filled_at=after.filled_at))
    return granted


def rest_lane(connection: sa.Connection, lane: str, *, until: Instant) -> None:
    """Let the lane rest: no mail leaves through it before `until`."""
    row: Row = {"name": lane, "tokens": 0, "filled_at": until}
    insert(connection, lanes, [row], conflict=("name",), update=("tokens", "filled_at"))
