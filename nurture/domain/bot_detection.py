"""Who followed a link or loaded a picture: a person, or a program that does so with every mail.

Link scanners open every link of a mail within seconds of its arrival, mail proxies load every picture, and both
may look like a browser and run scripts. So nothing is judged by one sign alone where a person could show it too,
and never at once: all that happened to a mail within JUDGED_AFTER is looked at together. What a machine did is
kept and says nothing about the person; a GET never decides anything by itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nurture.domain.instant import MINUTE, SECOND, Duration, Instant

#: browser  may be a person             proxy  a mail provider's, loads pictures for everybody
#: scanner  looks at links for danger, or for a preview      tool  a library or a command
#: prefetch a browser that loads ahead of a click            none  says nothing of itself
Agent = Literal["browser", "proxy", "scanner", "tool", "prefetch", "none"]
AGENTS: Final[tuple[Agent, ...]] = ("browser", "proxy", "scanner", "tool", "prefetch", "none")
#: open: the picture; click: the mail's call to action; look: a GET of a page behind another of its links.
TouchKind = Literal["open", "click", "look"]

#: sign -> what it means; "" stands for: may be a person.
SIGNS: Final[Mapping[str, str]] = {
    "agent": "a proxy, a scanner, a library, a browser that loads ahead, or nobody in particular",
    "too_soon": "within ten seconds of the mail's leaving: nobody has it in hand by then",
    "burst": "three links of one mail within five seconds, or two within one: they were all opened at once",
    "no_reading": "a click less than a second after the mail's picture was first loaded",
}

#: So long after a touch it is judged, with all that came meanwhile.
JUDGED_AFTER: Final[Duration] = MINUTE
TOO_SOON: Final[Duration] = 10 * SECOND
_TOGETHER: Final[Duration] = 5 * SECOND
_AT_ONCE: Final[Duration] = SECOND
_READING: Final[Duration] = SECOND

_PROXIES: Final = re.compile(
    r"googleimageproxy|ggpht\.com|yahoomailproxy|yahoo mail proxy|duckduckgo-favicons|fastmail|^mozilla/5\.0$"
)
_SCANNERS: Final = re.compile(
    r"(?<!cu)bot\b|crawl|spider|preview|scanner|headless|phantomjs|barracuda|mimecast|proofpoint|safelinks"
    r"|symantec|messagelabs|trendmicro|trend micro|fireeye|cloudmark|forcepoint|websense|sophos|forti"
    r"|zscaler|check ?point|palo ?alto|virustotal|urlscan|google-safety|google-read-aloud|bitdefender"
    r"|ms-office|msoffice|microsoft office existence|facebookexternalhit|whatsapp|skypeuri|embedly|vkshare"
)
_TOOLS: Final = re.compile(
    r"^(?:curl|wget|python|aiohttp|httpx|go-http|java|okhttp|apache-httpclient|libwww|lwp|node|axios|undici"
    r"|ruby|guzzle|php|perl|powershell|winhttp|postman|insomnia|httpie|dart|reqwest|mailparser)"
)
_LOADS_AHEAD: Final = ("prefetch", "prerender", "preview")


@dataclass(frozen=True, slots=True)
class Touch:
    """One GET that a mail's links or picture led to."""

    kind: TouchKind
    # Which link of the mail; the picture and the call to action have "".
    link: str
    at: Instant
    agent: Agent


def agent_of(user_agent: str, purpose: str = "") -> Agent:
    """Return who asks, by its own words.

    user_agent: the header `User-Agent`. purpose: what `Sec-Purpose`, `Purpose` or `X-Moz` say.
    """
    said = user_agent.strip().lower()
    if any(word in purpose.lower() for word in _LOADS_AHEAD):
        return "prefetch"
    if not said:
        return "none"
    if _PROXIES.search(said):
        return "proxy"
    if _SCANNERS.search(said):
        return "scanner"
    return "tool" if _TOOLS.search(said) else "browser"


def judge(touches: Sequence[Touch], *, sent_at: Instant | None) -> list[str]:
    """Return for each touch of one mail the sign (of SIGNS) that a machine did it, or "".

    touches: all that are known of this mail, in any order. sent_at: when it left; None: not known.
    """
    opened = min((each.at for each in touches if each.kind == "open"), default=None)
    return [_sign(each, touches, sent_at=sent_at, opened=opened) for each in touches]


def _sign(touch: Touch, touches: Sequence[Touch], *, sent_at: Instant | None, opened: Instant | None) -> str:
    if touch.agent != "browser":
        return "agent"
    if sent_at is not None and touch.at - sent_at < TOO_SOON:
        return "too_soon"
    if len(_near(touch, touches, _TOGETHER)) >= 3:
        return "burst"
    if touch.kind == "open":
        return ""
    if len(_near(touch, touches, _AT_ONCE)) >= 2:
        return "burst"
    if opened is not None and touch.kind == "click" and 0 <= touch.at - opened < _READING:
        return "no_reading"
    return ""


def _near(touch: Touch, touches: Sequence[Touch], span: Duration) -> set[tuple[str, str]]:
    """Return the different links followed within `span` of this touch, its own among them."""
    return {
        (each.kind, each.link) for each in touches if each.kind != "open" and abs(each.at - touch.at) <= span
    }
