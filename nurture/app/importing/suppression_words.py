"""Words by which other tools say why an address gets no mail."""

import re
from typing import Final

from nurture.domain.cells.texts import read_list
from nurture.domain.consent.suppressions import SuppressionReason

_BESIDE: Final = re.compile(r"\(.*\)")
_MARKS: Final = re.compile(r"[\s_-]+")
#: Words of other tools -> our reason.
_REASONS: Final[dict[str, SuppressionReason]] = {
    **dict.fromkeys(
        ("unsubscribed", "unsubscribe", "global unsubscribe", "opt out", "opted out"), "unsubscribed"
    ),
    **dict.fromkeys(
        ("complaint", "complained", "spam", "spam report", "spam complaint", "spamcomplaint", "marked as spam",
         "marked spam", "abuse"),
        "complaint",
    ),
    **dict.fromkeys(
        ("hard bounce", "bounce", "bounced", "hardbounce", "invalid", "invalid email", "cleaned", "soft bounce"),
        "hard_bounce",
    ),
    **dict.fromkeys(
        ("ops", "manual", "manualsuppression", "manual suppression", "user suppressed", "suppressed", "blocked",
         "blocklisted", "blacklisted"),
        "ops",
    ),
}  # fmt: skip


def read_reason(text: str) -> SuppressionReason | None:
    """Return the reason that a word names, None for an unknown one."""
    word = _MARKS.sub(" ", _BESIDE.sub("", text)).strip().casefold()
    return _REASONS.get(word)


def read_reasons(text: str) -> tuple[list[SuppressionReason], list[str]]:
    """Return the reasons that a cell names, and its words that are none."""
    reasons: list[SuppressionReason] = []
    unknown: list[str] = []
    for word in read_list(text):
        reason = read_reason(word)
        if reason is None:
            unknown.append(word)
        else:
            reasons.append(reason)
    return reasons, unknown
