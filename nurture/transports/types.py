"""The values that a transport takes and returns: mails to send, and their outcomes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nurture.domain.instant import Duration

#: How far the SMTP session got with one mail.
#:
#: connect  no greeting was read          greeted  EHLO, TLS or authentication under way
#: mail     MAIL is written or refused    rcpt     MAIL was accepted
#: data     RCPT was accepted; the text may be on its way, its final dot is not
#: dot      the final dot is written and no reply was read
#: replied  the reply to the final dot was read
Stage = Literal["connect", "greeted", "mail", "rcpt", "data", "dot", "replied"]
#: sent         the server took responsibility
#: retry        the server took nothing; the same bytes may be sent again
#: failed       refused for good; sending again would not help
#: in_doubt     the final dot was written, the reply is unknown
#: lane_paused  our own fault (policy, authentication, TLS): no address is to blame, the lane must stop
Result = Literal["sent", "retry", "failed", "in_doubt", "lane_paused"]


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One attempt of one message, ready to be sent."""

    message_id: int
    attempt: int
    # Envelope addresses, without angle brackets; bounces go to the sender.
    sender: str
    recipient: str
    # The complete mail, every line ended by CRLF.
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one mail."""

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
    # True: the server asks us to send more slowly.
    slow: bool = False
    # How long the server asks us to wait; 0 means at once, None that it did not say.
    retry_after: Duration | None = None


#: Called with a mail before its final dot is written (`dot`), and after the reply to it was read (`replied`). The third
#: argument is that reply: its codes, and its text unless it is 2yz. It must return quickly. When it raises before the
#: dot, the dot is not written.
StageListener = Callable[[OutgoingMail, Stage, str], None]


def ignore_stage(mail: OutgoingMail, stage: Stage, reply: str) -> None:
    """Do nothing: a transport without a journal."""
