"""Wording that presses: lines that the rules find and miss, and data that makes wording true."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from nurture.playbook import find_faults, inspect
from nurture.playbook.check.template_text import readable
from nurture.playbook.check.wording import pressing_words
from tests.playbook.builder import a_mail, a_playbook, a_text, changed

ROOT = Path(__file__).parents[2]
LINES = Path(__file__).parent / "wording_lines.tsv"
GUIDE, CART, COUPON = "lead/aware/guide", "lead/convert/cart", "customer/any/coupon"


def labelled() -> list[tuple[str, str, str]]:
    lines = [line for line in LINES.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [(label, locale, text) for label, locale, text in (line.split("\t") for line in lines)]


def test_the_rules_are_judged_on_more_than_a_hundred_labelled_lines() -> None:
    lines = labelled()
    assert len(lines) == 158
    assert sum(locale == "zh" for _, locale, _ in lines) == 71
    missed = [
        text for label, locale, text in lines if label != "plain" and not [*pressing_words(text, locale)]
    ]
    false = [text for label, locale, text in lines if label == "plain" and [*pressing_words(text, locale)]]
    assert (len(missed), len(false)) == (10, 1), f"missed: {missed}; false alarms: {false}"
    pressing = sum(label != "plain" for label, _, _ in lines)
    documented = re.sub(r"\s+", " ", (ROOT / "docs/playbook.md").read_text("utf-8"))
    sentence = (
        f"of {pressing} that press they miss {len(missed)}, of {len(lines) - pressing} plain ones they name 1"
    )
    assert f"{len(lines)} labelled lines" in documented
    assert sentence in documented


def faults(files: Mapping[str, str]) -> list[str]:
    return [str(fault) for fault in find_faults(files, render=False)]


def with_mail(path: str, *, subject: str = "", body: str = "", locale: str = "en") -> dict[str, str]:
    """Return the playbook with one mail's words changed, in both parts."""
    files = {**a_playbook(), f"{path}.{locale}.mjml": a_mail(locale, subject=subject, body=body)}
    return {**files, f"{path}.{locale}.txt": a_text(locale, body=body)}


def test_a_deadline_without_data_is_a_fault_in_subject_and_body() -> None:
    found = faults(with_mail(f"{GUIDE}/guide", subject="Last chance", body="It ends\ntonight."))
    remedy = "bind it: a `let` deadline that the mail prints, a date of the event or entity, or `send_if`"
    assert found == [
        f"{GUIDE}/guide.en.mjml:2: 'Last chance' is not bound to data: {remedy}",
        f"{GUIDE}/guide.en.mjml:7: 'ends tonight' is not bound to data: {remedy}",
        f"{GUIDE}/guide.en.txt:3: 'ends tonight' is not bound to data: {remedy}",
    ]


def test_a_deadline_that_the_mail_prints_is_bound() -> None:
    body = "The last day is {{ deadline | date }}."
    assert faults(with_mail(f"{COUPON}/offer", body=body)) == []
    assert len(faults(with_mail(f"{COUPON}/offer", body="This is the last day."))) == 2


def test_stock_is_bound_by_send_if_and_never_stands_in_the_subject() -> None:
    body = "Only {{ product.stock }} left."
    assert faults(with_mail(f"{CART}/left", body=body)) == []
    (fault,) = faults(with_mail(f"{CART}/left", subject="Only {{ product.stock }} left"))
    what = "'Only 9 left' in the subject: stock is one plain sentence in the mail, never a headline"
    assert fault == f"{CART}/left.en.mjml:2: {what}"
    files = with_mail(f"{CART}/left", body=body)
    unbound = changed(f"{CART}/measure.yaml", "\n    send_if: product.stock >= 1", "", files)
    assert len(faults(unbound)) == 2


def test_a_price_is_bound_by_a_coupon() -> None:
    assert faults(with_mail(f"{COUPON}/offer", body="{{ offers.again_25.percent }} % off everything.")) == []
    assert len(faults(with_mail(f"{GUIDE}/guide", body="25 % off everything."))) == 2


@pytest.mark.parametrize(("locale", "body"), [("en", "Act now!"), ("zh-CN", "赶快下单吧。")])
def test_pressure_is_bound_by_nothing(locale: str, body: str) -> None:
    found = faults(with_mail(f"{COUPON}/offer", body=body + " {{ deadline | date }}", locale=locale))
    assert [fault.rpartition(": ")[2] for fault in found] == [
        "say what is true and useful instead; nothing can bind this"
    ] * 2


@pytest.mark.parametrize(
    ("locale", "presses", "plain"),
    [
        ("en", "Re: your coffee", "Re-use the tin: it keeps for years"),
        ("en", " FW: Your order", "Forward this to a friend: they get one, too"),
        ("en", "Did we do something wrong?", "Something went wrong on our side"),
        ("en", "We miss you", "Sorry we missed you on Friday"),
        ("en", "You left without saying goodbye", "You left the grinder in your cart"),
        ("en", "Your cart is lonely", "Your cart is empty"),
        ("en", "The offer is ending in 9 hours", "It goes back to the Visa ending in 9"),
        ("zh-CN", "回复：你的咖啡", "回复这封邮件就行"),
        ("zh-CN", "购物车想你了", "我们想你可能用得上"),
        ("zh-CN", "是不是我们哪里做错了？", "这次是我们做错了"),
        ("zh-CN", "你是不是忘了我们", "别忘了带上票据"),
    ],
)
def test_a_fake_reply_and_guilt_press(locale: str, presses: str, plain: str) -> None:
    assert [*pressing_words(presses, locale)]
    assert [*pressing_words(plain, locale)] == []


@pytest.mark.parametrize(
    ("locale", "typed", "message"),
    [
        ("en", "25% off everything. {{ deadline | date }}", "warning"),
        (
            "en",
            "20 percent off everything. {{ deadline | date }}",
            "'20 percent off', but the offer gives 25%",
        ),
        ("zh-CN", "打八折。{{ deadline | date }}", "'八折', but the offer gives 25%"),
        ("zh-CN", "七五折。{{ deadline | date }}", "warning"),
        ("en", "{{ offers.again_25.percent | discount }} off everything, 100% arabica.", ""),
        ("zh-CN", "{{ offers.again_25.percent | discount }}，全店可用。", ""),
    ],
)
def test_a_typed_percentage_is_the_offers(locale: str, typed: str, message: str) -> None:
    found = inspect(with_mail(f"{COUPON}/offer", body=typed, locale=locale), render=bool("offers." in typed))
    shown = [str(fault) for fault in [*found.sorted(), *found.warnings] if "offer" in fault.what]
    assert len(shown) == (2 if message else 0)
    assert all((message in line) and "offers.again_25.percent" in line for line in shown)


def test_words_inside_template_code_are_read_too() -> None:
    text = (
        '{% set note = "Act now" %}\n<b>{{ button("What are you\nwaiting for?", x) }}</b> {# hurry #} &quot;'
    )
    found = [(finding.words, finding.line) for finding in pressing_words(readable(text), "en")]
    assert found == [("Act now", 1), ("What are you waiting for", 2)]


def test_layout_wording_is_checked_in_its_language() -> None:
    files = changed("_layout/strings.zh-CN.yaml", "leave: Unsubscribe", "leave: 赶快退订")
    assert faults(files) == [
        "_layout/strings.zh-CN.yaml:1: '赶快' presses: say what is true and useful instead; nothing can bind this"
    ]
