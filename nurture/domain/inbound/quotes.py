"""Separate a person's own words in a reply from the quoted mail and the signature.

Mail programs mark a quote by `>` and introduce it by an attribution ("On ... wrote:") or by a header block ("From: ...
Sent: ..."). Lines with `>` are removed wherever they stand, so that answers below and between them stay. A quote
without `>` extends to the end.
"""

import re
from typing import Final

#: Lines that are read of a text, and characters of a line that are compared.
_LINES_MAX: Final = 2_000
_LINE_MAX: Final = 300

_ATTRIBUTION: Final = re.compile(
    r"("
    r"on .{3,250} wrote|"
    r"am .{3,250} (schrieb|hat .{0,80}geschrieben)\b.{0,120}|.{3,120} schrieb am .{3,120}|"
    r"le .{3,250} a [ée]crit\b.{0,40}|"
    r"el .{3,250} escribi[óo]|"
    r"(il|in data) .{3,250} (ha scritto|scrive)\b.{0,40}|"
    r"op .{3,250} (schreef|heeft .{1,120} geschreven)\b.{0,120}|"
    r"(em|a|no dia) .{3,250} escreveu\b.{0,40}|"
    r"(den|på|d\.|ti|ons|tors|fre|lør|lör|søn|sön|man|mån)\W.{3,250} skrev\b.{0,120}|.{3,200} skrev (den|d\.) .{3,60}|"
    r"(w dniu|dnia|pon\.|wt\.|śr\.|czw\.|pt\.|sob\.|niedz\.) .{3,250} (napisał|pisze)\b.{0,120}|"
    r"(пн|вт|ср|чт|пт|сб|вс|\d{1,2} \w+ \d{4}).{3,250} (пишет|написала?|писала?)(\(а\))?"
    r") ?[:：]",
    re.IGNORECASE,
)
#: Attributions whose verb stands at the end, with nothing exact at the beginning.
_OPEN_ATTRIBUTION: Final = re.compile(
    r".{3,250}( (пишет|написала?|писала?)(\(а\))?|写道|寫道|書きました|のメール) ?[:：]", re.IGNORECASE
)
#: An attribution of any language names an address and a date; it counts only before a marked quote.
_ANY_ATTRIBUTION: Final = re.compile(r"(?=.*\d)(?=.*@).{5,300}[:：]")
_SEPARATOR: Final = re.compile(
    r"_{10,}|[-=*_ ]{2,}(original message|forwarded message|begin forwarded message|urspr[üu]ngliche nachricht|"
    r"originalnachricht|weitergeleitete nachricht|message d'origine|message d’origine|message original|"
    r"message transf[ée]r[ée]|mensaje original|mensaje reenviado|messaggio originale|messaggio inoltrato|"
    r"oorspronkelijk bericht|doorgestuurd bericht|mensagem original|mensagem encaminhada|ursprungligt meddelande|"
    r"originalmeddelande|oprindelig meddelelse|opprinnelig melding|wiadomo[śs][ćc] oryginalna|"
    r"oryginalna wiadomo[śs][ćc]|"
    r"исходное сообщение|пересылаемое сообщение|原始邮件|原始郵件|转发邮件|元のメッセージ|original nachricht)[-=*_ ]*",
    re.IGNORECASE,
)
_HEADER_FROM: Final = re.compile(
    r"\*?(from|von|de|da|van|från|fra|od|от|发件人|寄件者|寄件人|差出人|送信者|送信元)\*? ?[:：]\*? ?\S.*",
    re.IGNORECASE,
)
_HEADER_OTHER: Final = re.compile(
    r"\*?(sent|date|to|cc|subject|gesendet|datum|an|betreff|envoyé|à|objet|enviad[oa]( el)?|fecha|para|asunto|"
    r"data|inviato|a|oggetto|verzonden|aan|onderwerp|assunto|skickat|till|ämne|sendt|dato|til|emne|"
    r"wysłano|data|do|temat|отправлено|дата|кому|тема|发送时间|日期|时间|收件人|主题|傳送時間|收件者|主旨|"
    r"送信日時|日付|日時|宛先|件名)\*? ?[:：].*",
    re.IGNORECASE,
)
_SIGNATURE: Final = re.compile(r"--|-- .{0,2}|__+ ?$")
_DEVICE: Final = re.compile(
    r"(sent from (my|outlook|yahoo|mail for|samsung|proton)|get outlook for|(von|aus) meinem .{1,40} gesendet|"
    r"gesendet (von|mit) |diese nachricht wurde von meinem |envoy[ée] (de|depuis) |enviado (desde|do meu|a partir) |"
    r"inviato (da|dal) |verzonden vanaf |verstuurd vanaf |skickat från |sendt fra |wysłane z |отправлено (с|из) |"
    r"发自我的|來自我的|iPhoneから送信|.{1,20}から送信).{0,80}",
    re.IGNORECASE,
)


def own_words(text: str) -> str:
    """Return the text without quotes and marked signatures; the whole text when nothing else is left."""
    lines = [line.rstrip() for line in text.split("\n")[:_LINES_MAX]]
    kept: list[str] = []
    place = 0
    in_signature = False
    while place < len(lines):
        line = lines[place].strip()
        length = _quote_start(lines, place)
        if length:
            in_signature = False
            place += length
            if not _goes_on_after(lines, place):
                break
            continue
        if line.startswith((">", "＞")):
            in_signature = False
        elif _SIGNATURE.fullmatch(line) and line.startswith("--"):
            in_signature = True
        elif not in_signature and not _DEVICE.fullmatch(line[:_LINE_MAX]):
            kept.append(lines[place])
        place += 1
    return "\n".join(kept).strip() or _without_marks(lines)


def _quote_start(lines: list[str], place: int) -> int:
    """Return how many lines introduce a quote here; 0: none does."""
    line = lines[place].strip()[:_LINE_MAX]
    if not line or line.startswith(">"):
        return 0
    if _SEPARATOR.fullmatch(line):
        return 1 + _header_lines(lines, place + 1, least=0)
    if header := _header_lines(lines, place, least=3):
        return header
    introduced = _attribution_lines(lines, place, (_ATTRIBUTION,))
    if introduced:
        forms: tuple[re.Pattern[str], ...] = (_ATTRIBUTION,)
    else:
        forms = (_ATTRIBUTION, _OPEN_ATTRIBUTION, _ANY_ATTRIBUTION)
        introduced = _attribution_lines(lines, place, forms)
    # A person's own line above an attribution is not part of it.
    own = any(_attribution_lines(lines, place + later, forms) for later in range(1, introduced))
    return 0 if own else introduced


def _attribution_lines(lines: list[str], place: int, forms: tuple[re.Pattern[str], ...]) -> int:
    """Return the number of lines, at most three, that make an attribution when joined; 0 when they make none."""
    folded = ""
    for count in range(1, 4):
        line = lines[place + count - 1].strip() if place + count <= len(lines) else ""
        if not line:
            break
        folded = f"{folded} {line}".strip()[: 2 * _LINE_MAX]
        for form in forms:
            if form.fullmatch(folded) and (
                form is not _ANY_ATTRIBUTION or _next_line(lines, place + count).startswith(">")
            ):
                return count
    return 0


def _header_lines(lines: list[str], place: int, *, least: int) -> int:
    """Return the number of lines of a header block that begins with From; 0 when it has fewer fields than `least`."""
    start = place
    while place < len(lines) and place - start < 2 and not lines[place].strip():
        place += 1
    if place >= len(lines) or not _HEADER_FROM.fullmatch(lines[place].strip()[:_LINE_MAX]):
        return 0
    fields, end = 1, place + 1
    while end < len(lines) and end - place < 8:
        line = lines[end].strip()[:_LINE_MAX]
        if line and not _HEADER_OTHER.fullmatch(line):
            break
        fields += bool(line)
        end += 1
    return end - start if fields >= least else 0


def _goes_on_after(lines: list[str], place: int) -> bool:
    """Tell whether the quote that was introduced is marked line by line, so that own words may follow it."""
    following = _next_line(lines, place)
    if following.startswith((">", "＞")):
        return True
    while place < len(lines) and not lines[place].strip():
        place += 1
    return place < len(lines) and _quote_start(lines, place) > 0


def _next_line(lines: list[str], place: int) -> str:
    return next((line.strip() for line in lines[place : place + 3] if line.strip()), "")


def _without_marks(lines: list[str]) -> str:
    """Return the lines that are not marked as a quote: all that is known of an answer below an unmarked quote."""
    return "\n".join(line for line in lines if not line.strip().startswith(">")).strip()
