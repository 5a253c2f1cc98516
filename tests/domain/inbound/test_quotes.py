"""Quotes and marked signatures are removed; a person's own words stay, wherever they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.inbound.quotes import own_words

QUOTE = "> x"
ATTRIBUTIONS = [
    "On Wed, 13 May 2026, Shop wrote:",
    "On Wed, 13 May 2026 at 12:00, Shop\n<hello@shop.example> wrote:",
    "Am 13.05.2026 um 12:00 schrieb\nShop <a2@s.example>:",
    "Le 13/05/2026 à 12:00, Shop a écrit :",
    "El 13/5/26 a las 12:00, Shop escribió:",
    "Il 13/05/2026 12:00, Shop ha scritto:",
    "Op 13-05-2026 om 12:00 schreef Shop:",
    "Em 13/05/2026 12:00, Shop escreveu:",
    "Den 2026-05-13 kl. 12:00, skrev Shop:",
    "Shop <h@s.example> skrev den 13 maj 2026:",
    "Den 13.05.2026 kl. 12.00 skrev Shop:",
    "W dniu 13.05.2026 o 12:00, Shop pisze:",
    "13.05.2026 12:00, Shop пишет:",
    "在 2026/5/13 12:00, Shop 写道:",
    "2026年5月13日(水) 12:00 Shop <h@s.example>:",
    "2026/05/13 12:00、Shop さんは書きました:",
]


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_an_answer_above_and_below_an_attributed_quote_is_kept(attribution: str) -> None:
    assert own_words(f"Yes, the 2nd.\n\n{attribution}\n{QUOTE}\n") == "Yes, the 2nd."
    assert own_words(f"{attribution}\n{QUOTE}\n\nBelow.\n") == "Below."
    assert own_words(f"{attribution}\n{QUOTE}\n\nBetween.\n\n{QUOTE}\n").strip() == "Between."


BLOCKS = [
    ("From", "Sent", "To", "Subject"),
    ("Von", "Gesendet", "An", "Betreff"),
    ("De", "Envoyé", "À", "Objet"),
    ("De", "Enviado el", "Para", "Asunto"),
    ("Da", "Inviato", "A", "Oggetto"),
    ("Van", "Verzonden", "Aan", "Onderwerp"),
    ("De", "Enviada", "Para", "Assunto"),
    ("Från", "Skickat", "Till", "Ämne"),
    ("Fra", "Sendt", "Til", "Emne"),
    ("Od", "Wysłano", "Do", "Temat"),
    ("От", "Отправлено", "Кому", "Тема"),
    ("发件人", "发送时间", "收件人", "主题"),
    ("差出人", "送信日時", "宛先", "件名"),
]


@pytest.mark.parametrize("names", BLOCKS)
def test_a_header_block_begins_a_quote_to_the_end(names: tuple[str, ...]) -> None:
    block = "\n".join(f"{name}: something" for name in names)
    assert own_words(f"Yes.\n\n{block}\n\nHello Ada\n") == "Yes."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("On Friday please.\nOn Wed, 13 May 2026, Shop wrote:\n> x\n", "On Friday please."),
        ("Yes\n\n-----Original Message-----\nFrom: Shop\n\nHello", "Yes"),
        ("Oui\n\n-------- Message d'origine --------\nDe : Shop\n\nBonjour", "Oui"),
        ("Yes.\n-- \nAda\nLondon\n", "Yes."),
        ("Ja.\n\nVon meinem iPhone gesendet\n", "Ja."),
        # An answer below a quote without marks cannot be told from it, so all is kept.
        ("On Wed, Shop wrote:\n\nHello Ada\nYes.\n", "On Wed, Shop wrote:\n\nHello Ada\nYes."),
        # A person's own lines that only look like one.
        ("From: me to you\nthat is all", "From: me to you\nthat is all"),
        ("My wishes for 2026:\n\nA kettle", "My wishes for 2026:\n\nA kettle"),
        ("- one\n- two", "- one\n- two"),
    ],
)
def test_own_words(text: str, words: str) -> None:
    assert own_words(text) == words


@given(st.text(alphabet=st.sampled_from("a>:\n -@1 wrote"), max_size=400))
def test_nothing_makes_it_raise(text: str) -> None:
    assert len(own_words(text)) <= len(text)
