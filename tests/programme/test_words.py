"""Rules of every shipped mail: short subject, both parts, one call to action, unsubscribe link, reply address."""

import re
from email import message_from_bytes, policy
from html import unescape

import pytest

from nurture.domain.measure import MARKETING
from nurture.rendering.render import render
from tests.programme.samples import (
    LINKS,
    Mail,
    context_of,
    loaded,
    mails,
    measure_of,
    parts,
    sample,
    templates,
)

SUBJECT_MAX = {"en": 49, "zh-CN": 20}
PREHEADER_MAX = {"en": 90, "zh-CN": 45}
BYTES_MAX = 60 * 1024

every_mail = pytest.mark.parametrize("mail", mails(), ids=str)


def hrefs(html: str) -> set[str]:
    return {unescape(url) for url in re.findall(r'href="([^"]+)"', html)}


def visible(html: str) -> str:
    """Return the words of the body, without tags, styles and the hidden preheader."""
    body = html.partition("<body")[2]
    body = re.sub(r"<!--.*?-->|<div\s+style=\"display:none.*?</div>", " ", body, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", " ", body))


@every_mail
def test_subject_and_preheader_fit_a_phone(mail: Mail) -> None:
    read = parts(mail)
    assert 0 < len(read.subject) <= SUBJECT_MAX[mail.locale]
    assert 0 < len(read.preheader) <= PREHEADER_MAX[mail.locale]
    assert read.preheader != read.subject


@every_mail
def test_the_whole_mail_is_small_and_can_be_answered(mail: Mail) -> None:
    data = render(templates(), context_of(mail))
    assert len(data) < BYTES_MAX
    message = message_from_bytes(data, policy=policy.default)
    answered = str(message["Reply-To"] or message["From"]).lower()
    assert "@larkandkettle.example" in answered
    assert not re.search(r"no-?_?reply", answered)
    kinds = {part.get_content_type() for part in message.walk()}
    assert {"text/plain", "text/html"} <= kinds


@every_mail
def test_the_text_part_leads_wherever_the_html_leads(mail: Mail) -> None:
    read = parts(mail)
    # The wordmark leads to the shop; a scale or a choice is one link of the text part.
    led = {url.partition("?answer=")[0] for url in hrefs(read.html)} - {loaded().playbook.brand["shop_url"]}
    assert led
    assert [url for url in led if url not in read.text] == []


@every_mail
def test_the_measures_own_link_is_in_both_parts(mail: Mail) -> None:
    read, document = parts(mail), context_of(mail)
    assert document["target"].startswith("https://")
    shown = document["links"]["call_to_action"]
    assert shown in {url.partition("?answer=")[0] for url in hrefs(read.html)} | hrefs(read.html)
    assert shown in read.text


@every_mail
def test_there_is_one_call_to_action(mail: Mail) -> None:
    html = parts(mail).html
    buttons = len(re.findall(r'<td[^>]*role="presentation"[^>]*>\s*<a\s', html))
    buttons += html.count('class="arrow"')
    questions = ('class="choice"' in html) + ('class="answer"' in html)
    assert buttons + questions == 1


@every_mail
def test_marketing_mail_alone_has_an_unsubscribe_link(mail: Mail) -> None:
    read, is_marketing = parts(mail), measure_of(mail).purpose in MARKETING
    for name in ("unsubscribe", "preferences"):
        assert (LINKS[name] in hrefs(read.html)) is is_marketing
        assert (LINKS[name] in read.text) is is_marketing
    assert loaded().playbook.brand["address"] in read.text
    assert loaded().playbook.brand["address"] in visible(read.html)


@every_mail
def test_the_html_has_a_language_a_dark_mode_and_alternative_texts(mail: Mail) -> None:
    html = parts(mail).html
    assert f'<html lang="{mail.locale}"' in html
    assert "prefers-color-scheme: dark" in html
    assert re.findall(r"<img(?![^>]*\salt=)[^>]*>", html) == []


@every_mail
def test_a_number_of_stock_stays_out_of_subject_and_preheader(mail: Mail) -> None:
    measure = measure_of(mail)
    if not measure.objects:
        return
    read = parts(mail)
    shown = read.subject + read.preheader
    # The weight in a name is no stock.
    for line in sample(mail.measure).get("entity", {}).get("lines", []):
        shown = shown.replace(line["name"], "")
    assert not re.search(r"\d", shown)


@every_mail
def test_each_language_keeps_its_own_punctuation(mail: Mail) -> None:
    read = parts(mail)
    words = "\n".join((read.subject, read.preheader, read.text, visible(read.html)))
    if mail.locale == "zh-CN":
        assert re.findall(r"[一-鿿][,.;:!?](?!\w)", words) == []
        # A blank stands between Chinese and Latin letters, but not at what is linked.
        assert re.findall(r"[一-鿿][A-Za-z]|[A-Za-z][一-鿿]", words) == []
    else:
        assert re.findall(r"[一-鿿，。；：！？（）]", words) == []


def test_the_percentage_in_the_words_is_the_one_of_the_offer() -> None:
    percent = loaded().playbook.offers["second_order_25"].percent
    for mail in mails():
        if mail.measure == "customer/any/second_order_coupon":
            read = parts(mail)
            given = f"{percent}%" if mail.locale == "en" else "七五折"
            assert given in read.text
            assert given in visible(read.html)
            assert not re.search(
                r"\d\s?%|[一二三四五六七八九]折", loaded().files[f"{mail}.mjml"].partition("---\n")[2]
            )
    assert percent == 25  # 七五折
