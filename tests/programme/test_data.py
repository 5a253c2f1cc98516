"""A mail reads well when little is known of the person or the order, and its text follows the facts."""

import re
from typing import Any

import pytest

from nurture.rendering.errors import MissingValue
from tests.programme.samples import Mail, mails, parts, sample

LOCALES = ("en", "zh-CN")


def changed(measure: str, **given: dict[str, Any]) -> dict[str, Any]:
    """Return the measure's sample with these names replaced (`contact={...}` is all that is known)."""
    return {**sample(measure), **given}


@pytest.mark.parametrize("mail", mails(), ids=str)
def test_a_stranger_is_greeted_without_a_name(mail: Mail) -> None:
    values = sample(mail.measure)
    values["contact"].pop("first_name", None)
    read = parts(mail, values)
    assert "Anna" not in read.subject + read.text + read.html
    if "greeting()" in read.text + read.html:
        pytest.fail("a macro was printed instead of called")


@pytest.mark.parametrize(
    ("persona", "en", "zh"),
    [
        ("home", "Sour or thin", "偏酸"),
        ("office", "One name per week", "值日"),
        ("cafe", "Put the recipe", "配方"),
    ],
)
def test_the_guide_is_written_for_the_persona(persona: str, en: str, zh: str) -> None:
    measure = "lead/any/welcome_series"
    given = changed(measure, contact={"persona": persona})
    for locale, words in zip(LOCALES, (en, zh), strict=True):
        read = parts(Mail(measure, "guide", "", locale), given)
        assert words in read.text
        assert words in read.html
        assert f"start?for={persona}" in read.text


@pytest.mark.parametrize("track", ["lead/any", "customer/any"])
def test_the_stock_note_says_what_is_true(track: str) -> None:
    measure = f"{track}/abandoned_cart"
    product = {"product_id": "grinder-ridge", "name": "Ridge hand grinder", "name_zh": "Ridge 手摇磨豆机"}
    few = changed(measure, objects={"product": {**product, "stock": 2}})
    none = changed(
        measure, objects={"product": {**product, "stock": 0, "alternative_name": "Vale hand grinder"}}
    )
    words = {
        "lead/any": ("we have 2 at the moment", "库存 2 件", "is sold out", "已经卖完"),
        "customer/any": ("2 in stock today", "现有 2 件", "is out of stock today", "没有货"),
    }[track]
    assert words[0] in parts(Mail(measure, "stock", "", "en"), few).text
    assert words[1] in parts(Mail(measure, "stock", "", "zh-CN"), few).text
    sold_out = parts(Mail(measure, "stock", "", "en"), none)
    assert words[2] in sold_out.text
    assert "Vale hand grinder" in sold_out.html
    assert words[3] in parts(Mail(measure, "stock", "", "zh-CN"), none).text


@pytest.mark.parametrize("track", ["lead/any", "customer/any"])
@pytest.mark.parametrize("locale", LOCALES)
def test_a_product_that_has_left_the_cart_is_not_written_about(track: str, locale: str) -> None:
    measure = f"{track}/abandoned_cart"
    values = sample(measure)
    values["entity"]["lines"] = values["entity"]["lines"][:1]
    with pytest.raises(MissingValue):
        parts(Mail(measure, "stock", "", locale), values)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_receipt_needs_only_the_order(locale: str) -> None:
    mail = Mail("customer/any/order_confirmation", "receipt", "", locale)
    read = parts(mail, changed(mail.measure, contact={}, event={"order_id": 4711, "revenue": 29.99}))
    assert "4711" in read.text
    assert "29.99" in read.text


@pytest.mark.parametrize("locale", LOCALES)
def test_a_receipt_takes_off_the_discount(locale: str) -> None:
    mail = Mail("customer/any/order_confirmation", "receipt", "", locale)
    event = {"order_id": "A", "total": "20.00", "discount": "5", "currency": "USD"}
    read = parts(mail, changed(mail.measure, event=event))
    assert "−" in read.text
    assert "5.00" in read.text


@pytest.mark.parametrize("locale", LOCALES)
def test_a_parcel_without_a_tracking_page_leads_to_the_order(locale: str) -> None:
    mail = Mail("customer/any/order_shipped", "shipped", "", locale)
    read = parts(mail, changed(mail.measure, event={"order_id": "LK-1", "tracking_number": "42"}))
    assert "https://shop.larkandkettle.example/account/orders/LK-1" in read.text
    assert "42" in read.html


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("track", ["lead/any", "customer/any"])
def test_a_case_names_who_has_it_and_when_the_answer_comes_where_both_are_known(
    track: str, locale: str
) -> None:
    mail = Mail(f"{track}/case_acknowledged", "received", "", locale)
    both = parts(mail)
    assert "Tom Adler" in both.text
    assert "17:00" in both.text
    assert ("11 June" if locale == "en" else "6 月 11 日") in both.subject
    nothing = {name: value for name, value in sample(mail.measure).items() if name != "owner"}
    read = parts(mail, {**nothing, "event": {"case_id": "C-1"}, "let": {}})
    assert "Tom" not in read.text + read.subject
    assert not re.search(r"\d{2}:\d{2}|June|月", read.text + read.subject)
    assert "C-1" in read.subject


@pytest.mark.parametrize("locale", LOCALES)
def test_a_refund_names_its_amount_and_its_way_where_they_are_known(locale: str) -> None:
    mail = Mail("any/refund_confirmed", "refunded", "", locale)
    read = parts(mail)
    assert "89.00" in read.text
    assert "89.00" in read.preheader
    assert "Visa 4242" in read.text
    bare = parts(mail, changed(mail.measure, event={"order_id": "LK-1"}, entity={}))
    assert "LK-1" in bare.subject
    assert "Visa" not in bare.text


@pytest.mark.parametrize("locale", LOCALES)
def test_the_customers_welcome_speaks_of_the_coffee_they_bought(locale: str) -> None:
    mail = Mail("customer/any/welcome_series", "welcome", "", locale)
    read = parts(mail)
    assert "Guji, natural, 250 g" in read.text
    assert ("2 June" if locale == "en" else "6 月 2 日") in read.text
    without = parts(mail, changed(mail.measure, contact={"first_name": "Anna"}))
    assert "Guji" not in without.text + without.subject


@pytest.mark.parametrize("locale", LOCALES)
def test_the_digest_needs_only_a_title_and_a_link(locale: str) -> None:
    mail = Mail("lead/any/interest_digest", "digest", "", locale)
    piece = {
        "title": "Water, and why it matters more than the machine you use",
        "url": "https://a.example/x",
    }
    piece["title_zh"] = "冲咖啡的水为什么比你家里用的那台机器还要紧，一次说清楚"
    read = parts(mail, changed(mail.measure, objects={"piece": piece}))
    assert read.subject.endswith("…")
    assert "https://a.example/x" in read.text


def test_a_mail_whose_essential_value_is_missing_is_not_written() -> None:
    mail = Mail("customer/any/second_order_coupon", "offer", "", "en")
    with pytest.raises(MissingValue) as caught:
        parts(mail, changed(mail.measure, let={"deadline": "2026-06-30T21:59:59Z"}))
    assert caught.value.variable == "code"


def test_a_name_cannot_bring_markup_into_a_mail() -> None:
    mail = Mail("customer/any/birthday", "wishes", "", "en")
    given = changed(mail.measure, contact={"first_name": "<img src=x>"})
    assert "<img src=x>" not in parts(mail, given).html
