"""When a message is tried again that the receiving side did not take."""

from nurture.domain.instant import MINUTE, Duration, Instant
from nurture.domain.sampling import WHOLE, share

#: The first tries come soon, since most refusals (greylisting, a restart) are over in minutes.
FIRST: tuple[Duration, ...] = (1 * MINUTE, 5 * MINUTE)
#: After them RFC 5321's half hour, each time longer by this factor.
LATER: Duration = 30 * MINUTE
GROWTH = 1.6
#: A lane that could not be reached says nothing about the message.
UNREACHED: Duration = 1 * MINUTE
#: Each wait is spread over this share of itself, so that what failed together does not return together.
_SPREAD = 0.2


def next_try(
    message_id: int, refusals: int, *, now: Instant, asked: Duration | None = None, reached: bool = True
) -> Instant:
    """Return when to try again.

    refusals: how often the receiving side has refused this message for now, this time included (>= 1).
    asked: how long it asks us to wait; 0 means that nothing was begun, so at once. reached: False when the
    conversation never got to the message.
    """
    if asked == 0:
        return now
    wait = _wait(refusals) if reached else UNREACHED
    spread = 1 - _SPREAD / 2 + _SPREAD * share("retry", message_id, refusals) / WHOLE
    return now + max(int(wait * spread), asked or 0)


def _wait(refusals: int) -> Duration:
    if refusals <= len(FIRST):
        return FIRST[refusals - 1]
    # Beyond a month no valid_for reaches; the bound keeps the power finite.
    return int(LATER * GROWTH ** min(refusals - len(FIRST) - 1, 16))
