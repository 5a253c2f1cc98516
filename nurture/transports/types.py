"""What goes to a transport and what comes back: letters and outcomes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nurture.domain.instant import Duration

#: How far the conversation about one letter got.
#:
#: connect  no greeting was read          greeted  EHLO, TLS or authentication under way
#: mail     MAIL is written or refused    rcpt     MAIL was taken
#: data     RCPT was taken; the text may be on its way, its final dot is not
#: dot      the final dot is written and no reply was read
#: replied  the reply to the final dot was read
Stage = Literal["connect", "greeted", "mail", "rcpt", "data", "dot", "replied"]
#: sent         the other side took responsibility
#: retry        nothing was taken; the same bytes may go again
#: failed       refused for good; going again would not help
#: in_doubt     the final dot was written, the answer is unknown
#: lane_paused  our own fault (policy, authentication, TLS): nobody is to blame, the lane must stop
Result = Literal["sent", "retry", "failed", "in_doubt", "lane_paused"]


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One attempt of one message, ready to leave."""

    message_id: int
    attempt: int
    # Envelope addresses, without angle brackets; the sender is where bounces go.
    sender: str
    recipient: str
    # The complete mail, every line ended by CRLF.
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter."""

    message_id: int
    attempt: int
    outcome: Result
    stage: Stage
    # `550 5.1.1`, `250`; empty when no reply was read.
    code: str = ""
    # The reply's text, or in our words what happened; printable, at most 500 characters.
    reply: str = ""
    # True: the address does not exist, mail nothing there again.
    suppress: bool = False
    # True: the other side asks us to go slower.
    slow: bool = False
    # How long the other side asks us to wait; 0 means at once, None that it said nothing.
    retry_after: Duration | None = None


#: Told before the final dot is written (`dot`) and after its reply was read (`replied`), with the reply:
#: the place where a journal keeps how far each letter got. It must return quickly. Where it raises before the
#: dot, the dot is not written. The reply: its codes, and its text where it is not a yes.
Note = Callable[[OutgoingMail, Stage, str], None]


def ignore_stage(letter: OutgoingMail, stage: Stage, reply: str) -> None:
    """Keep no journal."""
