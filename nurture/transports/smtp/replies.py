"""SMTP replies: how they read, and what each means for the letter, its address and the lane.

The table in `docs/delivery.md` says the same in words. Rules in short: only 2yz moves responsibility; 4yz and
whatever cannot be read is tried again; 5.1.x says the address does not exist; 5.7.x, policy and
authentication are our own fault and blame no address; everything else with 5 fails for this letter alone.
"""

import re
from dataclasses import dataclass
from typing import Final

from nurture.domain.feedback import Severity
from nurture.domain.instant import MINUTE, SECOND, Duration
from nurture.transports.types import Result, Stage

_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?")
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\uffff\U00010000-\U0010ffff]+")
#: A reply longer than this many lines or bytes is not one.
LINES_MAX: Final = 100
BYTES_MAX: Final = 65_536

# Servers without enhanced codes: words that tell a missing mailbox from a refusal of us.
_NO_SUCH_USER: Final = re.compile(
    r"(user|recipient|mailbox|address|account)\s+(is\s+)?(unknown|not found|does not exist|doesn't exist|"
    r"not exist|invalid|unavailable here)|no such (user|recipient|mailbox|address|person)|"
    r"unknown (user|recipient|mailbox|address|local)|invalid (recipient|mailbox|address)|"
    r"does not have an? \S+ account|no mailbox here",
    re.IGNORECASE,
)
_POLICY: Final = re.compile(
    r"spam|polic|block|blacklist|black list|denied|deny|relay|reputation|authenticat|not authori[sz]ed|"
    r"unauthori[sz]ed|\bspf\b|dkim|dmarc|listed|prohibited|forbidden|unsolicited",
    re.IGNORECASE,
)
_SLOWER: Final = re.compile(r"too (many|fast|much|quick)|\brate\b|throttl|slow down|slower", re.IGNORECASE)
_AGAIN_IN: Final = re.compile(
    r"(?:again|retry|wait|delay\w*)\D{0,30}?(\d{1,5})\s*(s|sec|second|m|min|minute)s?\b", re.IGNORECASE
)
#: A wait longer than this that a server asks for is not believed.
_AGAIN_IN_MAX: Final[Duration] = 24 * 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply: its code (0: could not be read), enhanced code and text in one printable line."""

    code: int
    enhanced: str
    text: str
    # The text line by line, as it came.
    lines: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The codes as they go into the ledger: `550 5.1.1`."""
        return f"{self.code or ''} {self.enhanced}".strip()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reply means."""

    outcome: Result
    suppress: bool = False
    slow: bool = False
    retry_after: Duration | None = None


UNREADABLE: Final = 0


def printable(text: str) -> str:
    """Return text from outside as one printable line of at most 500 characters."""
    return _UNPRINTABLE.sub(" ", text).strip()[:500]


def read_reply(lines: list[bytes]) -> Reply:
    """Return the reply made of these lines (without line ends); code 0 when they make none."""
    code, texts = 0, list[str]()
    for place, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is None or (place and int(found[1]) != code):
            return Reply(UNREADABLE, "", printable(b" ".join(lines).decode("utf-8", "replace")))
        code = int(found[1])
        texts.append((found[3] or b"").decode("utf-8", "replace"))
    enhanced = _ENHANCED.match(texts[0]) if texts else None
    # An enhanced code of another class than the reply's contradicts it and says nothing.
    known = enhanced[1] if enhanced and enhanced[1][0] == str(code)[0] else ""
    return Reply(code, known, printable(" ".join(texts)), tuple(texts))


def is_last(line: bytes) -> bool:
    """Tell whether a line ends its reply; what cannot be read ends it too."""
    return not (len(line) > 3 and line[3:4] == b"-" and _LINE.fullmatch(line))


def judge(stage: Stage, reply: Reply) -> Judgement:
    """Return what a reply at this stage means.

    stage: where the conversation stood when the reply came: `connect` (greeting), `greeted` (EHLO, STARTTLS,
    AUTH), `mail`, `rcpt`, `data`, `replied` (to the final dot). A 2yz or 3yz where it is not expected counts
    as unreadable, but for 2yz to the final dot.
    """
    if reply.code // 100 == 2 and stage == "replied":
        return Judgement("sent")
    if reply.code // 100 != 5:
        return _later(reply)
    if stage in ("connect", "greeted"):
        # Refused before any letter was spoken of: no letter is to blame.
        return Judgement("lane_paused")
    return _refused(stage, reply)


def _later(reply: Reply) -> Judgement:
    slow = reply.enhanced.startswith("4.7.") or (
        400 <= reply.code < 500 and not reply.enhanced and bool(_SLOWER.search(reply.text))
    )
    return Judgement("retry", slow=slow, retry_after=asked_wait(reply.text))


def _refused(stage: Stage, reply: Reply) -> Judgement:
    subject = reply.enhanced.split(".")[1:] if reply.enhanced else []
    if reply.code in (530, 535, 534, 538) or subject[:1] == ["7"]:
        return Judgement("lane_paused")
    if subject == ["2", "2"]:
        return Judgement("retry", retry_after=asked_wait(reply.text))
    if reply.code == 552 or subject[:1] in (["3"], ["6"]):
        return Judgement("failed")
    if stage == "mail" or subject in (["1", "7"], ["1", "8"]):
        # MAIL names the sender, and 5.1.7 and 5.1.8 speak of the sender's address.
        return Judgement("lane_paused")
    if subject[:1] == ["1"]:
        return Judgement("failed", suppress=True)
    if not subject:
        return _refused_without_enhanced_code(stage, reply)
    return Judgement("failed")


def _refused_without_enhanced_code(stage: Stage, reply: Reply) -> Judgement:
    if _NO_SUCH_USER.search(reply.text) and stage == "rcpt":
        return Judgement("failed", suppress=True)
    if _POLICY.search(reply.text):
        return Judgement("lane_paused")
    return Judgement("failed")


def asked_wait(text: str) -> Duration | None:
    """Return how long a reply's text asks to wait (`try again in 30 seconds`), None when it does not."""
    found = _AGAIN_IN.search(text)
    if found is None:
        return None
    unit = MINUTE if found[2].lower().startswith("m") else SECOND
    return min(int(found[1]) * unit, _AGAIN_IN_MAX)


# ---- replies that others tell of -------------------------------------------------------------------------

_STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_CODE: Final = re.compile(r"(?<![\d.])([245]\d\d)(?=[ -]|$)")


def severity_of(code: str, text: str) -> Severity:
    """Return how bad a bounce is that a report tells of by its code and the reply's text.

    code: an enhanced status (`5.1.1`), a reply code (`550`) or empty; text: the diagnostic, in which either may
    stand. The same reading as for replies we hear ourselves, so a provider's word and ours agree.
    """
    # The text is the receiving server's own; a report's code is often made up from it.
    status = _STATUS.search(text[:2000]) or _STATUS.search(code)
    number = _CODE.search(code) or _CODE.search(text[:2000])
    if status is None and number is None:
        return "policy" if _POLICY.search(text[:2000]) else "undetermined"
    enhanced = status[0] if status else ""
    code_said = int(f"{enhanced[0]}50") if status else int(str(number and number[1]))
    # x.0.0 is what reporters write who know nothing closer.
    reply = Reply(code_said, "" if enhanced.endswith(".0.0") else enhanced, text[:2000])
    if reply.code // 100 == 2:
        return "undetermined"
    meaning = judge("rcpt", reply)
    if meaning.suppress:
        return "hard"
    if meaning.outcome == "lane_paused":
        return "policy"
    # Mailboxes that are closed or full, hosts that cannot be reached: a matter of days.
    return "soft" if meaning.outcome == "retry" or enhanced.startswith(("5.2.1", "5.4.")) else "undetermined"
