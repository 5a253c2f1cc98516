"""Bot detection: whether a person or a program followed a link or loaded a picture of a mail.

Link scanners open every link of a mail within seconds of its arrival, mail proxies load every picture, and both
may look like a browser and run scripts. So all requests of a mail are judged together, JUDGED_AFTER later, and a
sign that a person could show too never decides alone. Requests of a machine are stored and say nothing about the
person. A GET request alone never changes anything.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nurture.domain.instant import MINUTE, SECOND, Duration, Instant

#: browser  may be a person                       proxy  of a mail provider, loads pictures for all its users
#: scanner  checks links or makes a preview       tool   a library or a command
#: prefetch a browser that loads before a click   none   the request names no user agent
Agent = Literal["browser", "proxy", "scanner", "tool", "prefetch", "none"]
AGENTS: Final[tuple[Agent, ...]] = ("browser", "proxy", "scanner", "tool", "prefetch", "none")
#: open: the picture; click: the mail's call to action; look: a GET of a page behind another of its links.
LinkRequestKind = Literal["open", "click", "look"]

#: Sign of a machine -> its meaning; "" is no sign: the request may come from a person.
SIGNS: Final[Mapping[str, str]] = {
    "agent": "a proxy, a scanner, a library, a browser that loads ahead, or nobody in particular",
    "too_soon": "within ten seconds of the mail's leaving: nobody has it in hand by then",
    "burst": "three links of one mail within five seconds, or two within one: they were all opened at once",
    "no_reading": "a click less than a second after the mail's picture was first loaded",
}

#: A request is judged after this time, together with all other requests of the mail until then.
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
class LinkRequest:
    """One GET request of a link or of the picture of a mail."""

    kind: LinkRequestKind
    # The link of the mail; "" for the picture and the call to action.
    link: str
    at: Instant
    agent: Agent


def classify_agent(user_agent: str, purpose: str = "") -> Agent:
    """Return the kind of program that a request names in its headers.

    user_agent: the header `User-Agent`. purpose: the header `Sec-Purpose`, `Purpose` or `X-Moz`.
    """
    agent = user_agent.strip().lower()
    if any(word in purpose.lower() for word in _LOADS_AHEAD):
        return "prefetch"
    if not agent:
        return "none"
    if _PROXIES.search(agent):
        return "proxy"
    if _SCANNERS.search(agent):
        return "scanner"
    return "tool" if _TOOLS.search(agent) else "browser"


def find_machine_signs(requests: Sequence[LinkRequest], *, sent_at: Instant | None) -> list[str]:
    """Return for each request of one mail the sign (of SIGNS) that a machine made it, or "".

    requests: all known requests of the mail, in any order. sent_at: when the mail was sent; None: not known.
    """
    opened = min((request.at for request in requests if request.kind == "open"), default=None)
    return [_find_sign(request, requests, sent_at=sent_at, opened=opened) for request in requests]


def _find_sign(
    request: LinkRequest, requests: Sequence[LinkRequest], *, sent_at: Instant | None, opened: Instant | None
) -> str:
    if request.agent != "browser":
        return "agent"
    if sent_at is not None and request.at - sent_at < TOO_SOON:
        return "too_soon"
    if len(_links_near(request, requests, _TOGETHER)) >= 3:
        return "burst"
    if request.kind == "open":
        return ""
    if len(_links_near(request, requests, _AT_ONCE)) >= 2:
        return "burst"
    if opened is not None and request.kind == "click" and 0 <= request.at - opened < _READING:
        return "no_reading"
    return ""


def _links_near(
    request: LinkRequest, requests: Sequence[LinkRequest], span: Duration
) -> set[tuple[str, str]]:
    """Return the different links followed within `span` of this request, its own among them."""
    return {
        (other.kind, other.link)
        for other in requests
        if other.kind != "open" and abs(other.at - request.at) <= span
    }
