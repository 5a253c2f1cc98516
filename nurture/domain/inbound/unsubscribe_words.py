"""Tell whether a short mail says nothing but "unsubscribe", in the usual words of a dozen languages.

A sentence that is such a request must stand alone; beside it only a few words of greeting or signature may stand.
A mail that asks anything else as well is for a person to read.
"""

import re
import unicodedata
from functools import cache
from typing import Final

#: Characters of the text, without what it quotes, and words beside the request.
_TEXT_MAX: Final = 400
_OTHER_WORDS_MAX: Final = 12
_FROM: Final = r"( (from|of) .{1,80})?"
_REQUESTS: Final = (
    # English
    rf"(i (want|wish|would like|'?d like) to |can you |could you |would you |how (do|can) i )?"
    rf"(un-?subscribe|opt[ -]?out)( me| us)?{_FROM}",
    rf"(can you |could you )?(remove|take|delete) (me|us|my (e-?mail )?address)( off| out)?{_FROM}( your .{{1,60}})?",
    r"(stop|cease)( (sending|mailing|e-?mailing|writing)( to)?( me| us)?( .{1,60})?)?",
    r"(stop|cancel|end) (the|your|this|these|my|all) "
    r"(news ?letters?|e-?mails?|mails?|mailings?|newsletter subscription)",
    r"no more (news ?letters?|e-?mails?|mails?|mailings?|marketing)( .{1,40})?",
    r"(do not|don't|never) (send|mail|e-?mail|write|contact)( to)? (me|us)( .{1,60})?",
    r"i (do not|don't|no longer) want (to (receive|get) )?(your |any |these |more |any more )*"
    r"(news ?letters?|e-?mails?|mails?|mailings?)( .{1,40})?",
    # German
    r"(ich (möchte|will|würde) (mich )?(gerne? )?)?(mich )?(vom |von .{1,40})?(den |ihren |diesen )?(newsletter )?"
    r"(abmelden|abbestellen|austragen|abmeldung|abbestellung)",
    r"(tragen|nehmen|streichen|löschen|melden) sie mich .{0,80}",
    r"(trag|nimm|streich|lösch)e? mich .{0,80}",
    r"(ich (möchte|will) )?keine? (weiteren? )?(e-?mails?|mails?|newsletter|werbung|post)( .{0,40})?",
    r"stopp",
    # French
    r"(je (souhaite|veux|voudrais) )?(me |se )?(désabonner|désinscrire|désinscription|désabonnement|désabonnez-moi|"
    r"désinscrivez-moi)( .{1,60})?",
    r"(je )?ne (veux|souhaite|désire)?s? ?plus (recevoir|avoir) .{1,80}",
    r"(retirez|supprimez|enlevez)-moi( .{1,80})?",
    # Spanish
    r"(quiero |deseo |quisiera )?(darme de baja|darse de baja|dar de baja|dame de baja|denme de baja|baja|"
    r"desuscribir(me|se)?|cancelar (mi |la )?suscripción a(l| la) .{1,60})( (de|del) .{1,60})?",
    r"no (quiero|deseo) (recibir )?más .{1,60}",
    # Italian
    r"(voglio |vorrei )?(cancellarmi|cancellami|cancellatemi|disiscrivermi|disiscrivimi|disiscrivetemi|disiscrizione|"
    r"annulla(re)? (l')?iscrizione)( (da|dalla|dal) .{1,60})?",
    r"non (voglio|desidero|vorrei) più ricevere .{1,60}",
    # Portuguese
    r"(quero |desejo )?(cancelar (a |minha )?(inscrição|subscrição)|descadastrar|descadastre-me|remover-me|remova-me)"
    r"( (da|do|de) .{1,60})?",
    r"não quero (mais )?receber .{1,60}",
    # Dutch
    r"(ik wil (me |mij )?(graag )?)?(uitschrijven|afmelden|uitschrijving|afmelding)( (voor|van|uit) .{1,60})?",
    r"(schrijf|meld) (me|mij) (uit|af)( .{1,60})?",
    r"geen (e-?mails?|mails?|nieuwsbrie(f|ven)|reclame) meer( .{1,40})?",
    # Polish
    r"(chcę )?(wypisz mnie|wypisać się|wypisać|wypisuję się|rezygnuję|anuluj subskrypcję|rezygnacja)( z .{1,60})?",
    r"nie chcę (więcej |już )?(otrzymywać|dostawać) .{1,60}",
    # Swedish, Danish, Norwegian
    r"(avregistrera|avprenumerera|avanmäl|avmeld|afmeld|meld)( (mig|meg))?( av| fra .{1,60}| från .{1,60})?",
    # Russian
    r"(хочу )?(отписаться|отпишите( меня)?|отписка|отмените подписку)( от .{1,60})?",
    r"удалите меня из .{1,60}",
    # Turkish
    r"(aboneliği(mi)? iptal( et(in)?)?|abonelikten çık(mak istiyorum|ar(ın)?)?|listeden çık(ar(ın)?)?)",
    # Japanese, Korean
    r"(メール|メルマガ|配信|購読|登録)?(の|を)?(配信停止|配信を停止|購読解除|登録解除|解除|停止)(して(ください|下さい)|希望|お願いします)?",
    r"(수신 ?거부|구독 ?(취소|해지))( ?(해 ?주세요|부탁드립니다|합니다))?",
    # Chinese
    r"(请|請|我要|我想|帮我|幫我)?(退订|退訂|取消订阅|取消訂閱|停止发送|停止發送)(邮件|郵件|信息|我)?(谢谢|謝謝)?",
    r"(请|請)?(不要|别|勿|不想|不再)再?(给我|給我)?(发|發|收到|接收|寄).{0,20}",
    r"td",
)
_POLITE: Final = re.compile(
    r"\b(please|pls|kindly|now|immediately|thanks?( you)?|thx|bitte|danke|sofort|s'il (vous|te) pla[iî]t|svp|merci|por "
    r"favor|gracias|per favore|grazie|obrigad[oa]|alstublieft|a\.?u\.?b\.?|graag|proszę|dziękuję|tack|takk|tak|"
    r"пожалуйста|спасибо|lütfen|teşekkürler)\b"
)
_SENTENCES: Final = re.compile(r"[\n.!;。！；，,:：]+")
_REPLY_PREFIX: Final = re.compile(
    r"^\s*(re|aw|antw|sv|vs|odp|rv|rif|ynt|回复|回覆|答复|答覆|転送|fwd?|wg|tr)\s*[:：]", re.IGNORECASE
)
_SIGNATURE: Final = re.compile(
    r"^(-- ?$|sent from my |von meinem .{1,30} gesendet|envoyé de mon |enviado desde mi |inviato da |verzonden vanaf |"
    r"get outlook for |发自我的|從我的|iphoneから送信)",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(r"[?？]")


# Compiled at the first answer: it takes a tenth of a second, and most processes never read one.
@cache
def _request() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in _REQUESTS))


def asks_to_unsubscribe(subject: str, text: str) -> bool:
    """Tell whether a mail is a request to unsubscribe and nothing else.

    subject: with its prefix; a subject that answers ours ("Re: ...") says nothing. text: without what it quotes.
    """
    body = _without_signature(text)
    if len(body) > _TEXT_MAX:
        return False
    sentences = [sentence for line in _SENTENCES.split(_plain(body)) if (sentence := _bare(line))]
    requests = [sentence for sentence in sentences if _request().fullmatch(sentence)]
    others = [sentence for sentence in sentences if sentence not in requests]
    if not requests and not _REPLY_PREFIX.match(subject) and _request().fullmatch(_bare(_plain(subject))):
        requests = [subject]
    words = sum(len(sentence.split()) for sentence in others)
    asks_more = any(_QUESTION.search(sentence) for sentence in others) or words > _OTHER_WORDS_MAX
    return bool(requests) and not asks_more


def _without_signature(text: str) -> str:
    lines = text.strip().split("\n")
    end = next((place for place, line in enumerate(lines) if _SIGNATURE.match(line.strip())), len(lines))
    return "\n".join(lines[:end]).strip()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


def _bare(sentence: str) -> str:
    """Return a sentence without words of politeness and marks at its ends; a question mark at its end stays off too."""
    bare = " ".join(_POLITE.sub(" ", sentence).split()).strip(" \"'“”„«»()*_>-~")
    return bare if _is_other_question(bare) else bare.rstrip("?？ ")


def _is_other_question(sentence: str) -> bool:
    return _request().fullmatch(sentence.rstrip("?？ ")) is None


def unsubscribe_confirmation(locale: str | None, *, everything: bool) -> tuple[str, str]:
    """Return subject and text of the mail that confirms the request, in Chinese or English.

    everything: all marketing was withdrawn, not only the topic of the mail that was answered.
    """
    title, topic, all_topics, rest = _CHINESE if (locale or "").lower().startswith("zh") else _ENGLISH
    return title, f"{all_topics if everything else topic}\n\n{rest}\n"


#: Subject; the text where one topic was withdrawn, and where all were; what both end with.
_ENGLISH: Final = (
    "You are unsubscribed",
    "Your reply asked us to stop, and we have stopped: you get no more mails of the kind you answered.",
    "Your reply asked us to stop, and we have stopped: you get no more newsletters, offers, reminders or questions.",
    "Mail about your orders, appointments and account still reaches you. If you did not ask for this, reply to this "
    "mail and a person will help.",
)
_CHINESE: Final = (
    "您已退订",
    "您回信要求停止接收，我们已经停止：您不会再收到您所回复的这类邮件。",
    "您回信要求停止接收，我们已经停止：您不会再收到通讯、优惠、提醒和问卷。",
    "有关订单、预约和账户的邮件仍会发送给您。如果这不是您的要求，请回复本邮件，我们会有专人处理。",
)
