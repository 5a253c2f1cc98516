"""SMTP replies: parsing them (RFC 5321, RFC 3463), and what each means for the mail, its address and the lane.

The table in `docs/delivery.md` has the same rules; `domain.inbound.refusals` judges the words. In short: only 2yz
transfers responsibility; 4yz and an unreadable reply are tried again; a missing mailbox fails the mail and suppresses
the address; policy and authentication are our own fault and pause the lane; rate and reputation for now slow it; every
other 5yz fails this mail alone.
"""

import re
from dataclasses import dataclass
from typing import Final

from nurture.domain.inbound.refusals import Refusal, judge_refusal
from nurture.domain.instant import MINUTE, SECOND, Duration
from nurture.transports.types import Result, Stage

_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?")
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\uffff\U00010000-\U0010ffff]+")
#: Replies that ask for a login.
_AUTHENTICATION: Final = frozenset({530, 534, 535, 538})
#: A reply with more lines or bytes than this is unreadable.
LINES_MAX: Final = 100
BYTES_MAX: Final = 65_536

_RETRY_AFTER: Final = re.compile(
    r"(?:again|retry|wait|delay\w*)\D{0,30}?(\d{1,5})\s*(s|sec|second|m|min|minute)s?\b", re.IGNORECASE
)
#: The longest wait that a server may ask for; a longer one is cut to this.
_RETRY_AFTER_MAX: Final[Duration] = 24 * 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply: its code (0: unreadable), its enhanced code, and its text as one printable line."""

    code: int
    enhanced: str
    text: str
    # The text line by line, as the server sent it.
    lines: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The codes as the ledger keeps them: `550 5.1.1`."""
        return f"{self.code or ''} {self.enhanced}".strip()


@dataclass(frozen=True, slots=True)
class ReplyMeaning:
    """The meaning of a reply for the mail, its address and the lane."""

    outcome: Result
    suppress: bool = False
    slow: bool = False
    retry_after: Duration | None = None


UNREADABLE: Final = 0


def printable(text: str) -> str:
    """Return a server's text as one printable line of at most 500 characters."""
    return _UNPRINTABLE.sub(" ", text).strip()[:500]


def parse_reply(lines: list[bytes]) -> Reply:
    """Return the reply that these lines make (without line ends); code 0 when they make none."""
    code, texts = 0, list[str]()
    for place, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is None or (place and int(match[1]) != code):
            return Reply(UNREADABLE, "", printable(b" ".join(lines).decode("utf-8", "replace")))
        code = int(match[1])
        texts.append((match[3] or b"").decode("utf-8", "replace"))
    enhanced = _ENHANCED.match(texts[0]) if texts else None
    # An enhanced code of another class than the reply's contradicts it and is ignored.
    known = enhanced[1] if enhanced and enhanced[1][0] == str(code)[0] else ""
    return Reply(code, known, printable(" ".join(texts)), tuple(texts))


def is_last(line: bytes) -> bool:
    """Return whether a line ends its reply; an unreadable line ends it too."""
    return not (len(line) > 3 and line[3:4] == b"-" and _LINE.fullmatch(line))


def interpret_reply(stage: Stage, reply: Reply) -> ReplyMeaning:
    """Return the meaning of a reply at a stage of the session.

    stage: `connect` (the greeting), `greeted` (EHLO, STARTTLS, AUTH), `mail`, `rcpt`, `data`, `replied` (the reply to
    the final dot). A 2yz or 3yz where it is not expected counts as unreadable, except 2yz to the final dot.
    """
    if reply.code // 100 == 2 and stage == "replied":
        return ReplyMeaning("sent")
    if reply.code // 100 != 5:
        return _interpret_transient(reply)
    if stage in ("connect", "greeted"):
        # Refused before any mail was named: no mail is to blame.
        return ReplyMeaning("lane_paused")
    return _interpret_permanent(stage, reply)


def _interpret_transient(reply: Reply) -> ReplyMeaning:
    slow = reply.enhanced.startswith("4.7.") or (
        reply.code // 100 == 4 and judge_refusal(reply.shown, reply.text).slow
    )
    return ReplyMeaning("retry", slow=slow, retry_after=read_retry_after(reply.text))


def _interpret_permanent(stage: Stage, reply: Reply) -> ReplyMeaning:
    refusal = judge_refusal(reply.shown, reply.text)
    if refusal.slow or refusal.full:
        return ReplyMeaning("retry", slow=refusal.slow, retry_after=read_retry_after(reply.text))
    if reply.enhanced.startswith("5.7.") or reply.code in _AUTHENTICATION:
        return (
            ReplyMeaning("failed", suppress=True) if _is_dead(stage, refusal) else ReplyMeaning("lane_paused")
        )
    if reply.code == 552 or reply.enhanced.startswith(("5.3.", "5.6.")):
        # This mail is too large or its content is refused; the next one may be accepted.
        return ReplyMeaning("failed")
    if stage == "mail" or refusal.severity == "policy":
        # MAIL names the sender alone.
        return ReplyMeaning("lane_paused")
    return ReplyMeaning("failed", suppress=_is_dead(stage, refusal))


def _is_dead(stage: Stage, refusal: Refusal) -> bool:
    return stage != "mail" and refusal.severity == "hard"


def read_retry_after(text: str) -> Duration | None:
    """Return how long a reply's text asks us to wait (`try again in 30 seconds`), None when it does not."""
    match = _RETRY_AFTER.search(text)
    if match is None:
        return None
    unit = MINUTE if match[2].lower().startswith("m") else SECOND
    return min(int(match[1]) * unit, _RETRY_AFTER_MAX)
