"""Words by which files state consent: yes, no, unsubscribed, bounced, in the languages of common exports."""

from typing import Final, Literal

from nurture.domain.cells.headers import normalize

#: nothing: the cell says nothing (a tick that was not set). suppressed: mail to the address must stop.
ConsentWord = Literal["granted", "withdrawn", "pending", "nothing", "suppressed"]

_YES: Final = (
    "yes", "y", "true", "1", "ja", "j", "wahr", "oui", "vrai", "si", "sí", "verdadero", "sì", "vero", "sim", "tak",
    "on", "ano", "áno", "igen", "evet", "kyllä", "да", "так", "ναι", "是", "真", "はい", "예", "네", "✓", "✔", "☑",
    "✅", "subscribed", "subscribe", "granted", "opt in", "opted in", "optin", "double opt in", "active", "confirmed",
    "angemeldet", "abonniert", "bestätigt", "aktiv", "inscrit", "abonné", "suscrito", "inscrito", "iscritto",
    "ingeschreven", "aangemeld", "zapisany", "подписан", "購読中", "구독", "已订阅", "订阅",
)  # fmt: skip
#: A column of these alone is a tick that was not set; `--set no=withdrawn` makes them an answer.
_NO: Final = (
    "no", "n", "false", "0", "off", "nein", "falsch", "non", "faux", "falso", "não", "nie", "nee", "nej", "nei", "ne",
    "nem", "hayır", "ei", "нет", "ні", "όχι", "否", "假", "いいえ", "아니요", "✗", "✘", "☐",
)  # fmt: skip
_NOTHING: Final = (
    "never subscribed", "not subscribed", "nonsubscribed", "non subscribed", "transactional", "enabled", "none",
    "not specified", "unknown", "null", "n/a", "not available", "non inscrit", "未订阅",
)  # fmt: skip
_WITHDRAWN: Final = (
    "unsubscribed", "unsubscribe", "withdrawn", "opt out", "opted out", "optout", "abgemeldet", "désabonné",
    "désinscrit", "dado de baja", "dada de baja", "baja", "cancelado", "descadastrado", "disiscritto", "afgemeld",
    "uitgeschreven", "wypisany", "avregistrerad", "отписан", "отписался", "購読解除", "退会", "수신거부", "退订",
    "已退订", "取消订阅",
)  # fmt: skip
_PENDING: Final = (
    "pending", "unconfirmed", "not confirmed", "unbestätigt", "nicht bestätigt", "en attente", "pendiente", "in attesa",
    "待确认",
)  # fmt: skip
_SUPPRESSED: Final = (
    "cleaned", "bounced", "bounce", "hard bounce", "blocklisted", "blacklisted", "blocked", "suppressed",
    "complaint", "complained", "spam", "spam complaint", "marked as spam", "abuse",
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
