"""Rates of bounces and complaints, and the rule by which a lane pauses its marketing mail by itself."""

from nurture.domain.health.findings import format_share
from nurture.domain.health.signs import RateSign
from nurture.domain.instant import HOUR, MINUTE, Duration, Instant

#: Mails and reports are counted in stretches of this length.
SLOT: Duration = 10 * MINUTE
#: How far back a rate looks.
WINDOW: Duration = 24 * HOUR
#: Shares at which a lane pauses, and the fewest mails and reports for it: 1 of 3 says nothing.
COMPLAINTS_MAX = 0.003
COMPLAINED_MAILS_MIN = 500
COMPLAINTS_MIN = 3
BOUNCES_MAX = 0.1
BOUNCED_MAILS_MIN = 100
#: The share of complaints that is worth a notice: the limit that Gmail and Yahoo set for senders.
COMPLAINTS_NOTICE = 0.001


def slot_of(now: Instant) -> Instant:
    """Return the begin of the stretch that an instant is in."""
    return now - now % SLOT


def window_start(now: Instant, resumed_at: Instant | None) -> Instant:
    """Return since when the mails of a lane are judged.

    An operator who resumed the lane has judged what was before: only whole stretches after that count.
    """
    start = now - WINDOW
    return start if resumed_at is None else max(start, slot_of(resumed_at) + SLOT)


def reason_to_pause(rate: RateSign) -> str:
    """Return why a lane with these numbers pauses its marketing mail; "" when it goes on."""
    mails = count_mails(rate)
    if mails >= BOUNCED_MAILS_MIN and rate.hard_bounces >= BOUNCES_MAX * mails:
        share = format_share(rate.hard_bounces, mails)
        return f"{share} of its mails went to addresses that do not exist; the limit is {BOUNCES_MAX:.0%}"
    sent = max(rate.sent, 0)
    if (
        sent >= COMPLAINED_MAILS_MIN
        and rate.complaints >= COMPLAINTS_MIN
        and rate.complaints >= COMPLAINTS_MAX * sent
    ):
        share = format_share(rate.complaints, sent)
        return f"{share} of its mails were reported as spam; the limit is {COMPLAINTS_MAX:.1%}"
    return ""


def has_many_complaints(rate: RateSign) -> bool:
    """Tell whether the share of complaints is worth a notice."""
    sent = max(rate.sent, 0)
    enough = sent >= COMPLAINED_MAILS_MIN and rate.complaints >= COMPLAINTS_MIN
    return enough and rate.complaints >= COMPLAINTS_NOTICE * sent


def count_mails(rate: RateSign) -> int:
    """Return how many mails were tried: `sent` counts those that have not bounced."""
    return max(rate.sent, 0) + rate.hard_bounces
