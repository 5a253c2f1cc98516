"""A short mail that says nothing but "unsubscribe" is one; a mail that asks anything else is read by a person."""

import time

import pytest

from nurture.domain.inbound.unsubscribe_words import asks_to_unsubscribe

REQUESTS = """
unsubscribe
UNSUBSCRIBE!
Please unsubscribe me.
Unsubscribe me from this list please
Hi,\\nplease remove me from your mailing list.\\nThanks\\nAda
I want to unsubscribe
How do I unsubscribe?
Stop
STOP sending me emails
Please stop sending me these mails!!
no more emails please
don't send me any more newsletters
I no longer want to receive your newsletter
take me off your list
Unsubscribe\\n\\nSent from my iPhone
Unsubscribe\\n-- \\nAda Lovelace\\nHead of engines, 12 Analytical Street, London, Tel. 123, Who reads this?
opt out
Bitte abmelden
Newsletter abbestellen
Hallo,\\nbitte nehmen Sie mich aus dem Verteiler.\\nMit freundlichen Grüßen\\nTom
Keine weiteren Mails bitte
Ich möchte mich vom Newsletter abmelden
Désabonner
Je souhaite me désinscrire de la newsletter, merci
Je ne veux plus recevoir vos mails
Baja
Quiero darme de baja, gracias
No quiero recibir más correos
Cancellami dalla lista
Non voglio più ricevere email
Cancelar inscrição
Não quero mais receber e-mails
Uitschrijven graag
Geen mails meer
Proszę wypisz mnie
Avregistrera mig
Отписаться
Отпишите меня, пожалуйста
Abonelikten çık
配信停止してください
수신거부
退订
请取消订阅，谢谢
请不要再给我发邮件
TD
"""
OTHERS = """

Thanks, that was helpful!
Can I return order 1001?
I don't want to unsubscribe, I want to change my address.
Please do not unsubscribe me
Unsubscribe. And where is my order 1001?
I want to cancel my subscription to the coffee box, it costs too much, please refund what I paid this month already
stop by the shop tomorrow
My friend asked how to unsubscribe; can you explain it?
Ich möchte mein Abo ändern
Where is my parcel
The unsubscribe link in your mail does not work and I have tried it four times with two browsers already today
请问什么时候发货？
"""


def read(line: str) -> str:
    return line.replace("\\n", "\n")


@pytest.mark.parametrize("line", REQUESTS.strip().split("\n"))
def test_the_usual_words(line: str) -> None:
    assert asks_to_unsubscribe("Re: Your coffee", read(line))


@pytest.mark.parametrize("line", OTHERS.split("\n"))
def test_anything_else_is_for_a_person(line: str) -> None:
    assert not asks_to_unsubscribe("Re: How to unsubscribe", read(line))


def test_a_subject_counts_where_it_is_not_ours() -> None:
    assert asks_to_unsubscribe("unsubscribe", "")
    assert asks_to_unsubscribe("Unsubscribe", "Thank you\nAda")
    assert not asks_to_unsubscribe("Re: unsubscribe", "")
    assert not asks_to_unsubscribe("unsubscribe", "Where is my order?")


def test_no_mail_takes_long() -> None:
    began = time.thread_time()
    for text in ("stop " * 80, "a" * 400, "no more mail " * 30, "x" * 1_000_000, "don't send me " * 28):
        asks_to_unsubscribe(text[:200], text)
    assert time.thread_time() - began < 0.5
