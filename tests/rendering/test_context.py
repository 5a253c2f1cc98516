"""The context context of a mail is complete, small, bounded and plain."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.signing import sign_token, verify_token
from nurture.rendering.context import (
    DOCUMENT_LENGTH_MAX,
    LIST_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    MailContext,
    Recipient,
    _AvailableValues,
    freeze_context,
    plain_values,
)
from nurture.rendering.errors import MissingValue, TemplateFault
from nurture.rendering.links import PAGES, links_for
from nurture.rendering.render import render, render_parts
from nurture.rendering.template_analysis import group_reads
from nurture.rendering.templates import Templates
from tests.rendering.mails import (
    BASE_URL,
    KEYS,
    LINES,
    MEASURE,
    NOON,
    some_context,
    some_shared_values,
    some_templates,
    templates_of,
)
from tests.rig.examples import examples

VIEW = {"contact": {"first_name": "Anna"}, "entity": {"lines": LINES}}


def test_the_same_document_gives_the_same_bytes_on_every_machine() -> None:
    context = some_context(some_templates())
    stored = json.loads(json.dumps(context))
    assert stored == context
    assert (
        render(some_templates(), context)
        == render(some_templates(), stored)
        == render(some_templates(), stored)
    )


def test_freezing_twice_gives_the_same_document() -> None:
    assert some_context(some_templates()) == some_context(some_templates())


def test_bytes_do_not_depend_on_mails_rendered_before() -> None:
    templates = some_templates()
    mine = some_context(templates)
    alone = render(templates, mine)
    for name in ("Bo", "<b>", "王芳"):
        render(templates, some_context(templates, {**VIEW, "contact": {"first_name": name}}))
    assert render(templates, mine) == alone


def test_only_what_the_template_reads_is_kept() -> None:
    view = {
        "contact": {"first_name": "Anna", "secret": "x", "plan": None},
        "entity": {"lines": LINES, "note": "long"},
        "event": {"anything": 1},
        "deadline": 5,
        "generation": 0,
    }
    assert some_context(some_templates(), view)["values"] == VIEW
    assert len(json.dumps(some_context(some_templates(), view))) < 1500


def test_a_name_read_whole_is_kept_whole() -> None:
    templates = templates_of(
        "<mj-text>{% for key in event | sort %}{{ key }}{% endfor %}{{ deadline }}</mj-text>"
    )
    view = {"contact": {}, "event": {"a": {"deep": [1, {"x": None}]}, "b": None}, "deadline": 7}
    assert some_context(templates, view)["values"] == {
        "contact": {},
        "event": {"a": {"deep": [1, {}]}},
        "deadline": 7,
    }


def test_values_are_plain_and_bounded() -> None:
    templates = templates_of("<mj-text>{{ event }}</mj-text>")
    event = {
        "text": "a\x00b\x08\ud800\r\nc\ue000" + "x" * TEXT_LENGTH_MAX,
        "list": list(range(LIST_LENGTH_MAX + 9)),
        "set": {"b", "a"},
        5: (1, 2),
        "deep": [[[[[[[[[1]]]]]]]]],
    }
    kept = some_context(templates, {"contact": {}, "event": event})["values"]["event"]
    assert kept["text"].startswith("ab\ufffd\ncx")
    assert len(kept["text"]) <= TEXT_LENGTH_MAX
    assert len(kept["list"]) == LIST_LENGTH_MAX
    assert (kept["set"], kept["5"]) == (["a", "b"], [1, 2])
    assert "1" not in json.dumps(kept["deep"])


def test_values_without_measure_are_refused() -> None:
    templates = templates_of("<mj-text>{{ event.list | length }}</mj-text>")
    huge = {"contact": {}, "event": {"list": ["x" * 1000] * (DOCUMENT_LENGTH_MAX // 1000)}}
    with pytest.raises(TemplateFault, match="at most"):
        some_context(templates, huge)


@pytest.mark.parametrize(("stored", "shown"), [(1350, 13.5), (8900, 89), (-5, -0.05), (0, 0)])
def test_decimal_facts_are_written_as_people_write_them(stored: int, shown: float) -> None:
    templates = templates_of('<mj-text>{{ contact.spent | money("EUR") }}</mj-text>', scales={"spent": 2})
    assert some_context(templates, {"contact": {"spent": stored}})["values"]["contact"]["spent"] == shown


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_bound_is_exact_however_it_is_measured(over: int) -> None:
    templates = templates_of("<mj-text>{{ event.list | length }}</mj-text>")
    view = {"contact": {}, "event": {"list": ["é" * 1000] * 30}}
    size = len(json.dumps(some_context(templates, view)))
    # `, ""` and what is inside.
    short = DOCUMENT_LENGTH_MAX - size - 4 + over
    texts = view["event"]["list"] + ["x" * (short - 4 - short // 2), "x" * (short // 2)]
    huge = {"contact": {}, "event": {"list": texts}}
    if over > 0:
        with pytest.raises(TemplateFault, match=f"its values make {DOCUMENT_LENGTH_MAX + over} characters"):
            some_context(templates, huge)
    else:
        assert len(json.dumps(some_context(templates, huge))) == DOCUMENT_LENGTH_MAX + over


PLAIN = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.sampled_from(["\ue000", "\x00"])
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)


@settings(max_examples=examples(200), deadline=None)
@given(
    view=st.dictionaries(st.sampled_from(["contact", "event", "until", "gone"]), VALUES),
    needs=st.frozensets(
        st.sampled_from(
            [
                ("contact", "a"),
                ("contact", "b"),
                ("contact", "none"),
                ("event",),
                ("event", "a"),
                ("until",),
                ("x",),
            ]
        )
    ),
)
def test_a_context_keeps_the_same_values_as_plain_values_of_everything(
    view: dict[str, Any], needs: frozenset[tuple[str, ...]]
) -> None:
    available = _AvailableValues(Recipient("a@x.test", None, "UTC", {}, view), {"a": 2})
    plain = plain_values(view)
    if isinstance(plain.get("contact"), dict) and isinstance(plain["contact"].get("a"), int):
        amount = plain["contact"]["a"]
        plain["contact"]["a"] = amount // 100 if amount % 100 == 0 else amount / 100
    expected: dict[str, Any] = {}
    for name, value in plain.items():
        keys = {rest[0] for first, *rest in needs if first == name and rest}
        if (name,) in needs or (not isinstance(value, dict) and keys):
            expected[name] = value
        elif keys:
            expected[name] = {key: value[key] for key in keys if key in value}
    assert available.read(group_reads(needs)) == expected


def context_with_links(templates: Templates, links: Mapping[str, str]) -> MailContext:
    """Return the document of the playbook's mail with these links."""
    return freeze_context(
        templates,
        Recipient("anna@x.test", "en", "Europe/Berlin", links, VIEW),
        measure=MEASURE,
        step="mail",
        mail="mail",
        variant="",
        purpose="sales",
        topic="offers",
        header_id="<m2.test@shop.test>",
        date=NOON,
    )


# ---- links -----------------------------------------------------------------------------------------------


def test_links_carry_signed_ids_and_no_address() -> None:
    links = links_for(
        KEYS, BASE_URL + "/", contact_id=7, message_id=11, topic="offers", asked="news", objection=5
    )
    assert set(links) == set(PAGES)
    payloads: dict[str, Any] = {}
    for name, url in links.items():
        assert url.startswith(BASE_URL + PAGES[name])
        payloads[name] = verify_token(KEYS, name, url.rpartition("/")[2])
    assert payloads == {
        "unsubscribe": {"c": 7, "m": 11, "t": "offers"},
        "preferences": {"c": 7, "m": 11},
        "survey": {"c": 7, "m": 11},
        "confirm": {"c": 7, "m": 11, "t": "news"},
        "object": {"c": 7, "m": 11, "r": 5},
        "click": {"m": 11},
        "open": {"m": 11},
        "referral": {"c": 7},
    }


def test_links_without_a_topic_or_unwanted_are_not_made() -> None:
    assert {"unsubscribe", "confirm", "object"}.isdisjoint(
        links_for(KEYS, BASE_URL, contact_id=1, message_id=2, topic=None)
    )
    assert set(links_for(KEYS, BASE_URL, contact_id=1, message_id=2, topic="t", names=["open"])) == {"open"}


def test_only_links_that_the_mail_holds_are_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[str] = []

    def noted(keys: Any, purpose: str, payload: Any) -> str:
        signed.append(purpose)
        return sign_token(keys, purpose, payload)

    monkeypatch.setattr("nurture.rendering.links.sign_token", noted)
    lazy = links_for(KEYS, BASE_URL, contact_id=1, message_id=2, topic="offers", asked="news")
    context = context_with_links(some_templates(), lazy)
    assert sorted(signed) == ["click", "open", "unsubscribe"]
    assert context == context_with_links(some_templates(), dict(lazy))
    assert set(context["links"]) == {"unsubscribe", "open", "call_to_action"}


@pytest.mark.parametrize(
    ("link", "fixed"),
    [
        ("{{ brand.shop_url }}/x?l={{ locale }}{{ strings.stop }}", True),
        ("https://shop.test/", True),
        ("{{ brand.shop_url }}/{{ code }}", False),
        ("{{ brand.shop_url | urlencode }}", False),
        ("{{ links.preferences }}", False),
        ("{% if brand.shop_url %}https://a.test{% endif %}", False),
    ],
)
def test_only_a_call_to_action_that_is_the_same_for_everybody_is_kept(link: str, fixed: bool) -> None:
    templates = some_templates(links={MEASURE: link})
    expression = templates.expression(f"{MEASURE}/measure.yaml", link)
    assert expression.is_fixed == fixed
    for locale in ("en", "zh-CN", "en"):
        with suppress(MissingValue):
            target = some_context(templates, {**VIEW, "code": "A"}, locale=locale)["target"]
            fresh = some_templates(links={MEASURE: link})
            assert target == some_context(fresh, {**VIEW, "code": "A"}, locale=locale)["target"]
    assert set(expression.results) == ({"en", "zh-CN"} if fixed else set())


def test_the_call_to_action_is_rendered_once_and_clicks_are_tracked() -> None:
    templates = some_templates()
    context = some_context(templates, {**VIEW, "code": "AGAIN-1"})
    assert context["target"] == "https://shop.test/cart?code=AGAIN-1"
    assert context["links"]["call_to_action"].startswith(f"{BASE_URL}/c/")
    made = render_parts(templates, context)
    assert context["links"]["call_to_action"] in made.html
    # A person reads the URL in the text part before following it, so it shows the target.
    assert context["target"] in made.text
    assert "/c/" not in made.text
    assert context["target"] not in made.html


def test_untracked_mail_links_to_the_target_and_holds_no_picture() -> None:
    templates = some_templates()
    context = some_context(templates, tracking=False)
    assert context["links"]["call_to_action"] == context["target"] == "https://shop.test/cart?code=none"
    assert "<img" not in render_parts(templates, context).html
    assert "/o/" in render_parts(templates, some_context(templates)).html


def test_links_to_the_public_pages_are_not_tracked() -> None:
    templates = some_templates(links={MEASURE: "{{ links.preferences }}"})
    context = some_context(templates)
    assert context["links"]["call_to_action"] == context["target"]
    assert context["target"].startswith(f"{BASE_URL}/p/")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "{{ code }}", "//evil.test", "/cart", " java\tscript:x"]
)
def test_a_call_to_action_that_is_no_address_stops_the_mail(link: str) -> None:
    templates = some_templates(links={MEASURE: link})
    with pytest.raises(MissingValue) as caught:
        some_context(templates, {**VIEW, "code": "data:x"})
    assert caught.value.variable == "links.call_to_action"


def test_a_call_to_action_whose_value_is_missing_stops_the_mail() -> None:
    templates = some_templates(links={MEASURE: "https://shop.test/{{ entity.cart_id }}"})
    with pytest.raises(MissingValue, match=f"^{MEASURE}/measure.yaml:1: entity.cart_id has no value"):
        some_context(templates)


@pytest.mark.parametrize(
    ("purpose", "topic", "there"),
    [("sales", "offers", True), ("transactional", None, False), ("service", "offers", False)],
)
def test_only_mail_that_needs_consent_can_be_unsubscribed_from(
    purpose: str, topic: str | None, there: bool
) -> None:
    templates = some_templates()
    context = some_context(templates, purpose=purpose, topic=topic)
    data = render(templates, context)
    assert ("unsubscribe" in context["links"]) == there
    assert (b"List-Unsubscribe:" in data) == there
    assert ("Unsubscribe" in render_parts(templates, context).html) == there


def test_the_sender_depends_on_the_purpose() -> None:
    senders = {
        "default": {"name": "Shop", "address": "shop@shop.test", "reply_to": ""},
        "sales": {"name": "Tom", "address": "tom@shop.test", "reply_to": "tom@shop.test"},
    }
    templates = Templates(some_templates().files, some_shared_values(senders=senders))
    assert some_context(templates, purpose="sales")["sender"]["address"] == "tom@shop.test"
    assert some_context(templates, purpose="survey")["sender"]["address"] == "shop@shop.test"
