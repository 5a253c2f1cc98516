"""Bot detection on labelled headers and request sequences of browsers, mail programs and scanners."""

import pytest

from nurture.domain.bot_detection import (
    AGENTS,
    SIGNS,
    Agent,
    LinkRequest,
    LinkRequestKind,
    classify_agent,
    find_machine_signs,
)
from nurture.domain.instant import HOUR, MINUTE, SECOND, Instant, parse_iso

SENT: Instant = parse_iso("2026-05-13T10:00:00Z")

BROWSERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.12.0",
    "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 7) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; CUBOT) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 12; wv) AppleWebKit/537.36 Chrome/126.0 Mobile MicroMessenger/8.0.49.2600",
    "Outlook-iOS/723.4090102.prod.iphone (4.2419.0)",
    "Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18",
    "Lynx/2.9.0dev.12 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.7.8",
]  # fmt: skip
PROXIES = [
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/5.0",
]
SCANNERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
    "Mozilla/5.0 (compatible; Barracuda Sentinel; EE)",
    "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
    "Microsoft Office Existence Discovery",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0",
    "Mozilla/5.0 (Windows NT 6.1) SkypeUriPreview Preview/0.5",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 zgrab/0.x urlscan",
    "Mimecast Ltd. URL Scanner",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "FortiMail URL check",
]  # fmt: skip
TOOLS = [
    "curl/8.5.0",
    "Wget/1.21.4",
    "python-requests/2.32.3",
    "python-httpx/0.27.0",
    "Python-urllib/3.11",
    "Go-http-client/1.1",
    "Java/17.0.9",
    "okhttp/4.12.0",
    "axios/1.7.2",
    "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
    "Apache-HttpClient/4.5.14 (Java/11.0.22)",
    "Ruby",
    "GuzzleHttp/7",
]
LABELLED: list[tuple[Agent, str]] = [
    *(("browser", agent_header) for agent_header in BROWSERS),
    *(("proxy", agent_header) for agent_header in PROXIES),
    *(("scanner", agent_header) for agent_header in SCANNERS),
    *(("tool", agent_header) for agent_header in TOOLS),
    ("none", ""),
    ("none", "   "),
]


@pytest.mark.parametrize(("label", "agent_header"), LABELLED)
def test_the_agent_is_classified_by_its_headers(label: Agent, agent_header: str) -> None:
    assert classify_agent(agent_header) == label


def test_a_browser_that_prefetches_makes_no_click() -> None:
    for purpose in ("prefetch", "prefetch;prerender", "Preview"):
        assert classify_agent(BROWSERS[0], purpose) == "prefetch"
    assert {label for label, _ in LABELLED} | {"prefetch"} == set(AGENTS)


def click(
    seconds: float, link: str = "", kind: LinkRequestKind = "click", agent: Agent = "browser"
) -> LinkRequest:
    return LinkRequest(kind, link, SENT + round(seconds * SECOND), agent)


def opened(seconds: float, agent: Agent = "browser") -> LinkRequest:
    return click(seconds, kind="open", agent=agent)


def looked(seconds: float, link: str, agent: Agent = "browser") -> LinkRequest:
    return click(seconds, link, "look", agent)


SEQUENCES: list[tuple[str, list[LinkRequest], list[str]]] = [
    ("reads and clicks", [opened(300), click(320)], ["", ""]),
    ("clicks without pictures", [click(300)], [""]),
    ("clicks twice", [click(300), click(300.3)], ["", ""]),
    ("clicks, then chooses less", [click(300), looked(308, "preferences")], ["", ""]),
    ("answers a survey", [opened(60), looked(75, "survey?answer=9")], ["", ""]),
    ("changes the answer", [looked(60, "survey?answer=9"), looked(64, "survey?answer=3")], ["", ""]),
    ("reads again on the next day", [opened(60), click(86_400)], ["", ""]),
    ("quick reader", [opened(40), click(42)], ["", ""]),
    ("picture by Gmail's proxy, click by the person", [opened(300, "proxy"), click(309)], ["agent", ""]),
    ("Apple loads all pictures", [opened(2, "proxy")], ["agent"]),
    ("curl", [click(900, agent="tool")], ["agent"]),
    ("nobody in particular", [click(900, agent="none")], ["agent"]),
    ("loaded ahead, then clicked", [click(600, agent="prefetch"), click(603)], ["agent", ""]),
    ("before a person can have the mail", [click(0.4)], ["too_soon"]),
    ("still before", [opened(4), click(9)], ["too_soon", "too_soon"]),
    ("clock of another machine", [click(-3)], ["too_soon"]),
    (
        "all links at once, as a browser",
        [click(40), looked(40.2, "unsubscribe"), looked(40.4, "preferences")],
        ["burst", "burst", "burst"],
    ),
    (
        "all answers of a survey",
        [looked(90 + score / 2, f"survey?answer={score}") for score in range(11)],
        ["burst"] * 11,
    ),
    ("two links within a second", [click(200), looked(200.6, "unsubscribe")], ["burst", "burst"]),
    (
        "one link after the other, five seconds for three",
        [click(200), looked(202, "unsubscribe"), looked(204.9, "preferences")],
        ["burst", "burst", "burst"],
    ),
    (
        "a scanner at first, the person later",
        [click(40), looked(40.1, "unsubscribe"), looked(40.2, "preferences"), opened(7_000), click(7_020)],
        ["burst", "burst", "burst", "", ""],
    ),
    (
        "a scanner that loads the picture too",
        [opened(40), click(40.1), looked(40.3, "unsubscribe"), looked(40.5, "preferences")],
        ["burst", "burst", "burst", "burst"],
    ),
    (
        "a scanner that runs scripts and loads the picture",
        [opened(30), click(30.5)],
        ["", "no_reading"],
    ),
    (
        "opened long ago",
        [opened(30), click(3_600)],
        ["", ""],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("requests", "expected"), [(requests, signs) for _, requests, signs in SEQUENCES],
    ids=[name for name, _, _ in SEQUENCES],
)  # fmt: skip
def test_requests_of_one_mail_are_judged_together(requests: list[LinkRequest], expected: list[str]) -> None:
    assert find_machine_signs(requests, sent_at=SENT) == expected
    # The order of the requests does not matter.
    assert find_machine_signs(requests[::-1], sent_at=SENT) == expected[::-1]


def test_every_sign_occurs_and_is_explained() -> None:
    assert {sign for _, _, signs in SEQUENCES for sign in signs} - {""} == set(SIGNS)


def test_without_the_time_of_sending_every_sign_but_too_soon_is_judged() -> None:
    requests = [click(2), click(HOUR // SECOND, agent="tool"), looked(5 * MINUTE // SECOND, "unsubscribe")]
    assert find_machine_signs(requests, sent_at=None) == ["", "agent", ""]
