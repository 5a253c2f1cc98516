"""Rates of bounces and complaints, and the rule by which a lane pauses itself."""

from nurture.domain.instant import HOUR, MINUTE, Duration, Instant

#: Mails and reports are counted in stretches of this length.
SLOT: Duration = 10 * MINUTE
#: How far back a rate looks.
WINDOW: Duration = 24 * HOUR


def slot_of(now: Instant) -> Instant:
    """Return the begin of the stretch that an instant is in."""
    return now - now % SLOT
