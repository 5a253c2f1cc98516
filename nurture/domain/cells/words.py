"""Words by which files state consent: yes, no, unsubscribed, bounced, in the languages of common exports."""

from typing import Final, Literal

from nurture.domain.cells.headers import normalize

#: nothing: the cell says nothing (a tick that was not set). suppressed: mail to the address must stop.
ConsentWord = Literal["granted", "withdrawn", "pending", "nothing", "suppressed"]

_YES: Final = (
    "yes", "y", "true", "1", "ja", "j", "wahr", "oui", "vrai", "si", "sí", "verdadero", "sì", "vero", "sim", "tak",
    "是", "真", "subscribed", "subscribe", "granted", "opt in", "opted in", "optin", "active", "confirmed",
    "angemeldet", "abonniert", "已订阅", "订阅",
)  # fmt: skip
#: A column of these alone is a tick that was not set; `--set no=withdrawn` makes them an answer.
_NO: Final = (
    "no", "n", "false", "0", "nein", "falsch", "non", "faux", "falso", "não", "nie", "否", "假",
)  # fmt: skip
_NOTHING: Final = (
    "never subscribed", "not subscribed", "nonsubscribed", "non subscribed", "transactional", "enabled", "none",
    "not specified", "unknown", "未订阅",
)  # fmt: skip
_WITHDRAWN: Final = (
    "unsubscribed", "unsubscribe", "withdrawn", "opt out", "opted out", "optout", "abgemeldet", "désabonné",
    "désinscrit", "退订", "已退订", "取消订阅",
)  # fmt: skip
_PENDING: Final = ("pending", "unconfirmed", "unbestätigt", "待确认")
_SUPPRESSED: Final = (
    "cleaned", "bounced", "bounce", "hard bounce", "blocklisted", "blacklisted", "blocked", "suppressed",
    "complaint", "complained", "spam", "spam complaint", "abuse",
)  # fmt: skip
_MEANINGS: Final[tuple[tuple[tuple[str, ...], ConsentWord], ...]] = (
    (_YES, "granted"),
    (_NOTHING, "nothing"),
    (_WITHDRAWN, "withdrawn"),
    (_PENDING, "pending"),
    (_SUPPRESSED, "suppressed"),
)
_WORDS: Final = {normalize(word): meaning for words, meaning in _MEANINGS for word in words}
_NO_WORDS: Final = frozenset(normalize(word) for word in _NO)


def read_consent(text: str, *, no: Literal["nothing", "withdrawn"] = "nothing") -> ConsentWord | None:
    """Return the meaning of a cell about consent, None for a word that is not known. no: the meaning of a no."""
    word = normalize(text)
    if word in _NO_WORDS:
        return no
    return _WORDS.get(word)


def read_yes_no(text: str) -> bool | None:
    """Return whether a cell says yes or no, None for anything else."""
    word = normalize(text)
    if word in _NO_WORDS:
        return False
    return True if _WORDS.get(word) == "granted" else None
