"""Judge a refusal of a mail server: is the address dead, the mailbox full, or is the sender refused?

One rule for replies of our own SMTP sessions, for delivery reports and for providers' webhooks. Words and the code
nearest to the receiving server count before the code of a wrapper:

1. a receiving rate of the mailbox is soft; words of rate, policy and reputation refuse the sender
2. words of quota are soft
3. words that name a missing or closed mailbox are hard, in any permanent code
4. else the enhanced code decides, then the reply code, then vague words
"""

import re
from dataclasses import dataclass
from typing import Final

from nurture.domain.feedback import Severity

_TEXT_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """The meaning of a refusal for the address and for the sender."""

    severity: Severity
    # True: the sender is too fast or has a bad reputation for now; slower sending helps.
    slow: bool = False
    # True: the mailbox is full or busy; the same mail may be accepted later.
    full: bool = False
    # True: the size or the content of this one mail is refused.
    about_mail: bool = False


def severity_of(code: str, text: str) -> Severity:
    """Return the severity of a bounce. code: `5.1.1`, `550` or empty; text: the diagnostic, which may hold either."""
    return judge_refusal(code, text).severity


def judge_refusal(code: str, text: str) -> Refusal:
    """Return the meaning of a refusal. code: `5.1.1`, `550`, `550 5.1.1` or empty; text: the server's words."""
    status, number = _innermost_status(code, text[:_TEXT_MAX])
    words = _words(text[:_TEXT_MAX])
    refuses_sender = bool(_LISTED.search(_ADDRESS.sub(" ", text[:_TEXT_MAX])) or _SENDER.search(words))
    if (status or number).startswith("2"):
        return Refusal("undetermined")
    if (status or number).startswith("4"):
        return _judge_transient(status, words, refuses_sender=refuses_sender)
    if _BUSY.search(words):
        return Refusal("soft", full=True)
    if _RATE.search(words):
        return Refusal("policy", slow=True)
    if refuses_sender:
        return Refusal("policy")
    if _FULL.search(words):
        return Refusal("soft", full=True)
    if _TEMPORARY.search(words) and not status.startswith("5.1."):
        return Refusal("soft")
    if _GONE.search(words) or (_RECIPIENT_DENIED.search(words) and not status.startswith("5.7.")):
        return Refusal("hard")
    return _judge_code(status, number, words)


def _judge_transient(status: str, words: str, *, refuses_sender: bool) -> Refusal:
    if _BUSY.search(words) or _FULL.search(words) or _GREYLISTED.search(words):
        return Refusal("soft")
    if refuses_sender or _RATE.search(words) or status.startswith("4.7."):
        return Refusal("policy", slow=True)
    return Refusal("soft")


def _judge_code(status: str, number: str, words: str) -> Refusal:
    subject = status[2:].split(".") if status else []
    if number in _AUTHENTICATION or subject[:1] == ["7"] or subject in (["1", "7"], ["1", "8"]):
        # 5.1.7 and 5.1.8 are about the sender's address.
        return Refusal("policy")
    if subject == ["2", "2"]:
        return Refusal("soft", full=True)
    if subject[:1] in (["3"], ["6"]) or number == "552":
        return Refusal("undetermined", about_mail=True)
    vague = bool(_VAGUE.search(words))
    if subject[:1] == ["1"]:
        return Refusal("policy" if vague else "hard")
    if subject == ["2", "1"] or subject[:1] == ["4"]:
        # A mailbox that is closed for now, or a host that cannot be reached, may work again in some days.
        return Refusal("soft")
    if number == _NO_SUCH_MAILBOX and not vague:
        return Refusal("hard")
    return Refusal("policy" if vague and not subject else "undetermined")


# ---- codes -----------------------------------------------------------------------------------------------

#: RFC 3463 has the subjects 0 to 7; a version number such as 4.94.2 is no status.
_STATUS: Final = re.compile(r"(?<![\d.])([245])\.([0-7])\.(\d{1,3})(?![\d.])")
_NUMBER: Final = re.compile(r"(?<![\d.])([245]\d\d)(?=[ \-:;#,]|$)")
_AUTHENTICATION: Final = frozenset({"530", "534", "535", "538"})
_NO_SUCH_MAILBOX: Final = "542"


def _innermost_status(code: str, text: str) -> tuple[str, str]:
    """Return enhanced and reply code nearest to the receiving server, each "" when there is none.

    A relay quotes the reply of the next server behind its own, so the last exact status of the text counts. One that
    ends in `.0`, except `x.7.0`, says nothing exact.
    """
    statuses = [match[0] for match in _STATUS.finditer(f"{code} {text}")]
    exact = [status for status in statuses if not status.endswith(".0") or status[2] == "7"]
    in_text = [match[0] for match in _STATUS.finditer(text)]
    status = (exact or in_text or statuses or [""])[-1]
    if status[1:] == ".0.0":
        status = ""
    match = _NUMBER.search(code) or _NUMBER.search(text)
    number = match[1] if match else (statuses[-1][0] + "50" if statuses else "")
    return status, number


# ---- words -----------------------------------------------------------------------------------------------

_ADDRESS: Final = re.compile(r"<?[^\s<>@\"'(]{1,100}@[^\s<>@\"',;)]{1,255}>?")
_URL: Final = re.compile(r"(?:https?://|www\.)\S{1,500}", re.IGNORECASE)
_HOST: Final = re.compile(r"\b(?:[a-z0-9-]{1,63}\.){1,10}[a-z]{2,20}\b", re.IGNORECASE)
_SPACE: Final = re.compile(r"[\s_]+")


def _words(text: str) -> str:
    """Return the text without addresses, URLs and host names, whose parts are no words of the server."""
    text = _HOST.sub("(host)", _URL.sub("(url)", _ADDRESS.sub("(@)", text)))
    return _SPACE.sub(" ", text.replace("’", "'"))


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


#: Block lists by name; the receiving server writes them into its text or a URL.
_LISTED: Final = _any(
    r"spamhaus|spamcop|barracudacentral|barracuda reputation|sorbs\.net|csi\.cloudmark|senderscore|uceprotect",
    r"surbl|uribl|dnsbl|\brbl\b|\brbls\b|abusix|invaluement|mailspike|backscatterer|ipcheck\.proofpoint|spfbl",
    r"ers\.trendmicro|senderbase|talosintelligence|mxtoolbox|block ?list|black ?list|deny ?list",
    r"\bTSS?\d\d\b|\[?\bS(3140|3150|77\d|8\d\d)\b",
)
#: The sender is refused: its reputation, authentication, address, network or content.
_SENDER: Final = _any(
    r"\bspam|unsolicited|junk mail|bulk mail|reputation|polic(y|ies)|user complaints|abus(e|ive)",
    r"\bspf\b|\bdkim\b|\bdmarc\b|sender ?id|authenticat|not authori[sz]ed|unauthori[sz]ed|prohibit|forbidden",
    r"accept(ing|ed)? (any )?(mail|messages?|e-?mails?|connections?) from|"
    r"(mail|messages?|e-?mails?) from\b.{0,60}(refused|rejected|denied|blocked|not accepted)",
    r"(not|n't) (allowed|permitted|authorized) to (send|submit|relay|deliver)|relay(ing)?( access)? (is )?(denied|not)",
    r"unable to relay|not permitted to relay|relaying|relay access",
    r"\bsenders?('s)?( e-?mail)?( address| domain| host| ip)?( was| is| has been)?"
    r" (rejected|denied|refused|blocked|banned|invalid|not|verif|unknown|suspended)",
    r"(banned|blocked|rejected|denied|refused|invalid|bad|unknown) (sender|from address|return path|mail from)",
    r"(your|sending|sender's|connecting|source) (ip|host|server|domain|mail ?server|network|address|mta)\b"
    r"[^:]{0,60}(block|list|denied|banned|reject|refus|not allowed|suspicio|deny)",
    r"\bip\b[^:]{0,60}\b(blocked|banned|listed|denied|rejected|refused)",
    r"reverse dns|reverse hostname|\bptr\b|\brdns\b|client host rejected|helo command rejected",
    r"blocked (by|using|for|because|due to (?!inactiv))|(?<!not )(?<!n't )\blisted (in|on|by|at)\b(?! (the )?direct)",
    r"phish|malware|virus|suspicious",
)
#: The sender is too fast.
_RATE: Final = _any(
    r"too (many|much) (?!hops|forward|received)|too (fast|quick)|sent too|\brate\b|rate-?limit|throttl",
    r"slow down|slower|connections? limit",
    r"(this|per|an|each|last) (hour|minute|day)\b|\bhourly\b|unexpected volume|volume of (mail|e-?mail|messages)",
    r"(send|sending|sender|daily|outgoing|outbound|message|sent)( message| mail| e-?mail| recipient)? (limit|quota)",
    r"exceed\w*.{0,40}(number of (messages|mails|recipients|connections)|recipients per|messages per)",
)
#: The mailbox itself gets too many mails.
_BUSY: Final = _any(
    r"receiving (mail|e-?mail|messages)?.{0,10}(too (quickly|fast|much|many)|at a rate)",
    r"(recipient|mailbox|user)('s)? .{0,20}(receiv\w+ (rate|limit)|receive limit)",
)
_FULL: Final = _any(
    r"(over|exceed\w*|out of|insufficient|reached|above|not enough|no more|no)\b.{0,30}(quota|storage|space|allotted)",
    r"(quota|storage|disk space|allocation).{0,30}(exceed|full|reached|violation|over)|over ?quota|quota ?exceeded",
    r"(mailbox|mail box|inbox|account|recipient|user|storage|folder|maildir)\b.{0,30}\bfull\b|full (mailbox|inbox)",
    r"mailbox.{0,30}(size|limit) (limit|exceed|reached)|exceed\w*.{0,30}mailbox|(user|mailbox) is over",
)
_GREYLISTED: Final = _any(r"gr[ea]y-?list")
_TEMPORARY: Final = _any(r"temporar")
_MAILBOX: Final = (
    r"(?<!\bip )(?<!sender )(?<!sender's )(?<!from )(?<!your )(?<!return )(?<!originating )"
    r"\b(users?|recipients?|mail ?box|mailboxes|inbox|address|addressee|account|e-?mail|alias|contact|login|person|"
    r"customer|subscriber)\b"
)
#: The mailbox does not exist, or is closed for good.
_GONE: Final = _any(
    _MAILBOX + r"[^.;]{0,40}?\b(unknown|not (be )?found|does(n't| not) exist|did(n't| not) exist|not exist|"
    r"no longer|invalid|unavailable|is not valid|isn't valid|not (a )?(known|valid|active|local|registered|listed|"
    r"recogni[sz]ed|present|available|hosted|accepted here|here)|disabled|de-?activated|inactive|suspended|"
    r"discontinued|terminated|closed|expired|deleted|removed|frozen|locked|retired|dormant|abandoned|"
    r"blocked due to inactiv)",
    r"\(@\)[ :.]{1,4}(is )?(unknown|not found|does(n't| not) exist|invalid)",
    r"no such (user|recipient|mail ?box|address|person|account|e-?mail|local user|alias|name|id)",
    r"(unknown|invalid|nonexistent|non-existent|disabled|inactive|suspended|frozen|closed|expired|deleted) "
    r"(e-?mail )?(users?|recipient|mail ?box|address|addressee|account|local|alias|destination)",
    r"(does(n't| not)|do(n't| not)|did(n't| not)) have an? .{0,60}?(account|mailbox|address)",
    r"\bno (valid )?(mail ?box|account|user|recipient|address|inbox)\b.{0,20}(here|name|found|exist|with (this|that))",
    r"recipnotfound|nosuchuser|usernotfound|user unknown|recipient unknown|bad destination (e-?mail|mailbox)",
    r"not listed in |cannot find .{0,20}(recipient|user)|undeliverable address|unroutable address",
    r"nicht gefunden|existiert nicht|unbekannter? (empfänger|benutzer)|empfänger(adresse)? unbekannt",
    r"utilisateur inconnu|usuario desconocido|utente sconosciuto|destinatario sconosciuto",
)
_RECIPIENT_DENIED: Final = _any(r"recipient (address )?(was |is )?(rejected|refused|denied)")
#: Too vague to count against a code that names the mailbox's fault.
_VAGUE: Final = _any(r"\bblock|\bdenied\b|\bdeny\b|\brelay|\blisted\b|\bbanned\b|not allowed|not permitted")
