"""SMTP replies: parsing them (RFC 5321, RFC 3463), and what each means for the mail, its address and the lane.

The table in `docs/delivery.md` has the same rules. In short: only 2yz transfers responsibility; 4yz and an unreadable
reply are tried again; 5.1.x says that the address does not exist; 5.7.x, policy and authentication are our own fault
and blame no address; every other 5yz fails this mail alone.
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
#: A reply with more lines or bytes than this is unreadable.
LINES_MAX: Final = 100
BYTES_MAX: Final = 65_536

# For servers without enhanced codes: words that tell a missing mailbox from a refusal of our mail.
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
        400 <= reply.code < 500 and not reply.enhanced and bool(_SLOWER.search(reply.text))
    )
    return ReplyMeaning("retry", slow=slow, retry_after=read_retry_after(reply.text))


def _interpret_permanent(stage: Stage, reply: Reply) -> ReplyMeaning:
    subject = reply.enhanced.split(".")[1:] if reply.enhanced else []
    if reply.code in (530, 535, 534, 538) or subject[:1] == ["7"]:
        return ReplyMeaning("lane_paused")
    if subject == ["2", "2"]:
        return ReplyMeaning("retry", retry_after=read_retry_after(reply.text))
    if reply.code == 552 or subject[:1] in (["3"], ["6"]):
        return ReplyMeaning("failed")
    if stage == "mail" or subject in (["1", "7"], ["1", "8"]):
        # MAIL names the sender, and 5.1.7 and 5.1.8 are about the sender's address.
        return ReplyMeaning("lane_paused")
    if subject[:1] == ["1"]:
        return ReplyMeaning("failed", suppress=True)
    if not subject:
        return _interpret_without_enhanced_code(stage, reply)
    return ReplyMeaning("failed")


def _interpret_without_enhanced_code(stage: Stage, reply: Reply) -> ReplyMeaning:
    if _NO_SUCH_USER.search(reply.text) and stage == "rcpt":
        return ReplyMeaning("failed", suppress=True)
    if _POLICY.search(reply.text):
        return ReplyMeaning("lane_paused")
    return ReplyMeaning("failed")


def read_retry_after(text: str) -> Duration | None:
    """Return how long a reply's text asks us to wait (`try again in 30 seconds`), None when it does not."""
    match = _RETRY_AFTER.search(text)
    if match is None:
        return None
    unit = MINUTE if match[2].lower().startswith("m") else SECOND
    return min(int(match[1]) * unit, _RETRY_AFTER_MAX)


# ---- replies that bounces report -------------------------------------------------------------------------

_STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_CODE: Final = re.compile(r"(?<![\d.])([245]\d\d)(?=[ -]|$)")


def severity_of(code: str, text: str) -> Severity:
    """Return the severity of a bounce, from the code and the reply's text in its report.

    code: an enhanced status (`5.1.1`), a reply code (`550`) or empty. text: the diagnostic, which may hold either. The
    rules are those for replies of our own SMTP sessions, so a provider's report and our own session agree.
    """
    # The text comes from the receiving server; a report's code is often derived from it.
    status = _STATUS.search(text[:2000]) or _STATUS.search(code)
    number = _CODE.search(code) or _CODE.search(text[:2000])
    if status is None and number is None:
        return "policy" if _POLICY.search(text[:2000]) else "undetermined"
    enhanced = status[0] if status else ""
    reply_code = int(f"{enhanced[0]}50") if status else int(str(number and number[1]))
    # Reporters write x.0.0 when they know nothing more exact.
    reply = Reply(reply_code, "" if enhanced.endswith(".0.0") else enhanced, text[:2000])
    if reply.code // 100 == 2:
        return "undetermined"
    meaning = interpret_reply("rcpt", reply)
    if meaning.suppress:
        return "hard"
    if meaning.outcome == "lane_paused":
        return "policy"
    # A mailbox that is closed or full, or a host that cannot be reached, may work again in some days.
    return "soft" if meaning.outcome == "retry" or enhanced.startswith(("5.2.1", "5.4.")) else "undetermined"
