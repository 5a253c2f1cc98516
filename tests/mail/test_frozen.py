"""Freezing: what a mail is made from is fixed, small, plain, and complete."""

import json
from typing import Any

import pytest

from nurture.domain.token import verify
from nurture.mail.compile import Templates
from nurture.mail.faults import MissingValue, TemplateFault
from nurture.mail.frozen import DOCUMENT_LENGTH_MAX, LIST_LENGTH_MAX, TEXT_LENGTH_MAX
from nurture.mail.links import PAGES, links_for
from nurture.mail.render import render, render_parts
from tests.mail.mails import (
    BASE_URL,
    KEYS,
    LINES,
    MEASURE,
    a_frozen,
    an_imprint,
    some_templates,
    templates_of,
)

VIEW = {"contact": {"first_name": "Anna"}, "entity": {"lines": LINES}}


def test_the_same_document_gives_the_same_bytes_on_every_machine() -> None:
    frozen = a_frozen(some_templates())
    stored = json.loads(json.dumps(frozen))
    assert stored == frozen
    assert (
        render(some_templates(), frozen)
        == render(some_templates(), stored)
        == render(some_templates(), stored)
    )


def test_freezing_twice_gives_the_same_document() -> None:
    assert a_frozen(some_templates()) == a_frozen(some_templates())


def test_bytes_do_not_depend_on_what_was_rendered_before() -> None:
    templates = some_templates()
    mine = a_frozen(templates)
    alone = render(templates, mine)
    for name in ("Bo", "<b>", "王芳"):
        render(templates, a_frozen(templates, {**VIEW, "contact": {"first_name": name}}))
    assert render(templates, mine) == alone


def test_only_what_the_template_reads_is_kept() -> None:
    view = {
        "contact": {"first_name": "Anna", "secret": "x", "plan": None},
        "entity": {"lines": LINES, "note": "long"},
        "event": {"anything": 1},
        "deadline": 5,
        "generation": 0,
    }
    assert a_frozen(some_templates(), view)["values"] == VIEW
    assert len(json.dumps(a_frozen(some_templates(), view))) < 1500


def test_a_name_read_whole_is_kept_whole() -> None:
    templates = templates_of(
        "<mj-text>{% for key in event | sort %}{{ key }}{% endfor %}{{ deadline }}</mj-text>"
    )
    view = {"contact": {}, "event": {"a": {"deep": [1, {"x": None}]}, "b": None}, "deadline": 7}
    assert a_frozen(templates, view)["values"] == {
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
    kept = a_frozen(templates, {"contact": {}, "event": event})["values"]["event"]
    assert kept["text"].startswith("ab\ufffd\ncx")
    assert len(kept["text"]) <= TEXT_LENGTH_MAX
    assert len(kept["list"]) == LIST_LENGTH_MAX
    assert (kept["set"], kept["5"]) == (["a", "b"], [1, 2])
    assert "1" not in json.dumps(kept["deep"])


def test_values_without_measure_are_refused() -> None:
    templates = templates_of("<mj-text>{{ event.list | length }}</mj-text>")
    huge = {"contact": {}, "event": {"list": ["x" * 1000] * (DOCUMENT_LENGTH_MAX // 1000)}}
    with pytest.raises(TemplateFault, match="at most"):
        a_frozen(templates, huge)


@pytest.mark.parametrize(("stored", "shown"), [(1350, 13.5), (8900, 89), (-5, -0.05), (0, 0)])
def test_decimal_facts_are_written_as_people_write_them(stored: int, shown: float) -> None:
    templates = templates_of('<mj-text>{{ contact.spent | money("EUR") }}</mj-text>', scales={"spent": 2})
    assert a_frozen(templates, {"contact": {"spent": stored}})["values"]["contact"]["spent"] == shown


# ---- links -----------------------------------------------------------------------------------------------


def test_links_carry_signed_ids_and_no_address() -> None:
    links = links_for(KEYS, BASE_URL + "/", contact_id=7, message_id=11, topic="offers", asked="news")
    assert set(links) == set(PAGES)
    payloads: dict[str, Any] = {}
    for name, url in links.items():
        assert url.startswith(BASE_URL + PAGES[name])
        payloads[name] = verify(KEYS, name, url.rpartition("/")[2])
    assert payloads == {
        "unsubscribe": {"c": 7, "m": 11, "t": "offers"},
        "preferences": {"c": 7, "m": 11},
        "survey": {"c": 7, "m": 11},
        "confirm": {"c": 7, "m": 11, "t": "news"},
        "click": {"m": 11},
        "open": {"m": 11},
    }


def test_links_without_a_topic_or_unwanted_are_not_made() -> None:
    assert "unsubscribe" not in links_for(KEYS, BASE_URL, contact_id=1, message_id=2, topic=None)
    assert set(links_for(KEYS, BASE_URL, contact_id=1, message_id=2, topic="t", names=["open"])) == {"open"}


def test_the_call_to_action_is_rendered_once_and_clicks_go_through_us() -> None:
    templates = some_templates()
    frozen = a_frozen(templates, {**VIEW, "code": "AGAIN-1"})
    assert frozen["target"] == "https://shop.test/cart?code=AGAIN-1"
    assert frozen["links"]["call_to_action"].startswith(f"{BASE_URL}/c/")
    made = render_parts(templates, frozen)
    assert frozen["links"]["call_to_action"] in made.html
    # A link in the text part is read before it is followed: it says where it leads.
    assert frozen["target"] in made.text
    assert "/c/" not in made.text
    assert frozen["target"] not in made.html


def test_untracked_mail_links_straight_and_holds_no_picture() -> None:
    templates = some_templates()
    frozen = a_frozen(templates, tracking=False)
    assert frozen["links"]["call_to_action"] == frozen["target"] == "https://shop.test/cart?code=none"
    assert "<img" not in render_parts(templates, frozen).html
    assert "/o/" in render_parts(templates, a_frozen(templates)).html


def test_our_own_pages_are_not_tracked() -> None:
    templates = some_templates(links={MEASURE: "{{ links.preferences }}"})
    frozen = a_frozen(templates)
    assert frozen["links"]["call_to_action"] == frozen["target"]
    assert frozen["target"].startswith(f"{BASE_URL}/p/")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "{{ code }}", "//evil.test", "/cart", " java\tscript:x"]
)
def test_a_call_to_action_that_is_no_address_stops_the_mail(link: str) -> None:
    templates = some_templates(links={MEASURE: link})
    with pytest.raises(MissingValue) as caught:
        a_frozen(templates, {**VIEW, "code": "data:x"})
    assert caught.value.variable == "links.call_to_action"


def test_a_call_to_action_whose_value_is_missing_stops_the_mail() -> None:
    templates = some_templates(links={MEASURE: "https://shop.test/{{ entity.cart_id }}"})
    with pytest.raises(MissingValue, match=f"^{MEASURE}/measure.yaml:1: entity.cart_id has no value"):
        a_frozen(templates)


@pytest.mark.parametrize(
    ("purpose", "topic", "there"),
    [("sales", "offers", True), ("transactional", None, False), ("service", "offers", False)],
)
def test_only_mail_that_needs_consent_can_be_unsubscribed_from(
    purpose: str, topic: str | None, there: bool
) -> None:
    templates = some_templates()
    frozen = a_frozen(templates, purpose=purpose, topic=topic)
    data = render(templates, frozen)
    assert ("unsubscribe" in frozen["links"]) == there
    assert (b"List-Unsubscribe:" in data) == there
    assert ("Unsubscribe" in render_parts(templates, frozen).html) == there


def test_the_sender_depends_on_the_purpose() -> None:
    senders = {
        "default": {"name": "Shop", "address": "shop@shop.test", "reply_to": ""},
        "sales": {"name": "Tom", "address": "tom@shop.test", "reply_to": "tom@shop.test"},
    }
    templates = Templates(some_templates().files, an_imprint(senders=senders))
    assert a_frozen(templates, purpose="sales")["sender"]["address"] == "tom@shop.test"
    assert a_frozen(templates, purpose="survey")["sender"]["address"] == "shop@shop.test"
