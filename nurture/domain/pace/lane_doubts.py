"""Whether a lane may go on whose server breaks connections off after the final dot.

Each such mail is in doubt, and marketing mail in doubt is never sent again. A server that does so with every mail would
use up a whole campaign within minutes, so the lane rests at first, and then its marketing mail is paused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from nurture.domain.instant import SECOND, Duration, Instant

#: The failure must have lasted for so long before marketing is paused: a server that restarts breaks off mail, too.
PAUSED_AFTER: Final[Duration] = 10 * SECOND
#: So many mails together in doubt, and none accepted, let the lane rest. One alone may be the mail's own fault.
_MAILS: Final = 3
#: The stage of a mail whose final dot has no reply.
_STAGE: Final = "dot"


@dataclass(frozen=True, slots=True)
class DoubtSign:
    """The outcome of one mail, as far as this rule reads it."""

    in_doubt: bool
    # True: the server never began it.
    not_begun: bool
    # True: no earlier attempt of the mail ended in doubt.
    is_first: bool


def judge_doubts(
    signs: Iterable[DoubtSign], *, stage: str, failing_since: Instant | None, now: Instant
) -> Literal["go on", "rest", "pause"]:
    """Return what a lane does after these outcomes.

    stage, failing_since: of the lane's newest failure before them; None when a mail was accepted since. A repeated mail
    says nothing: it may be the mail that breaks the server.
    """
    listed = list(signs)
    doubtful = [sign for sign in listed if sign.in_doubt]
    if not any(sign.is_first for sign in doubtful) or not all(
        sign.in_doubt or sign.not_begun for sign in listed
    ):
        return "go on"
    if stage == _STAGE and failing_since is not None and now - failing_since >= PAUSED_AFTER:
        return "pause"
    return "rest" if len(doubtful) >= _MAILS else "go on"
