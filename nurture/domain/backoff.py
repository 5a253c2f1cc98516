"""Back-off: when a message is tried again that the receiving server did not accept."""

from nurture.domain.instant import MINUTE, Duration, Instant
from nurture.domain.sampling import SHARES, hash_share

#: The first retries come soon, because most refusals (greylisting, a restart) end within minutes.
FIRST_WAITS: tuple[Duration, ...] = (1 * MINUTE, 5 * MINUTE)
#: Later retries wait half an hour (RFC 5321 section 4.5.4.1), each time longer by this factor.
LATER_WAIT: Duration = 30 * MINUTE
WAIT_GROWTH = 1.6
#: The wait after the mail server could not be reached, which says nothing about the message.
UNREACHED_WAIT: Duration = 1 * MINUTE
#: Each wait varies by this share of itself, so that messages that failed together are not retried together.
_SPREAD = 0.2


def compute_next_try(
    message_id: int, refusals: int, *, now: Instant, asked: Duration | None = None, reached: bool = True
) -> Instant:
    """Return when to try again.

    refusals: how often the server has refused this message temporarily, this time included (>= 1).
    asked: the wait that the server asks for; 0 means that the attempt never began, so at once. reached: False
    when the connection failed before the server saw the message.
    """
    if asked == 0:
        return now
    wait = _wait(refusals) if reached else UNREACHED_WAIT
    spread = 1 - _SPREAD / 2 + _SPREAD * hash_share("retry", message_id, refusals) / SHARES
    return now + max(int(wait * spread), asked or 0)


def _wait(refusals: int) -> Duration:
    if refusals <= len(FIRST_WAITS):
        return FIRST_WAITS[refusals - 1]
    # No valid_for is longer than a month; the bound keeps the power finite.
    return int(LATER_WAIT * WAIT_GROWTH ** min(refusals - len(FIRST_WAITS) - 1, 16))
