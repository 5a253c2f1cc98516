"""Every link of both parts of every mail is held against what its measure may ask."""

import pytest

from nurture.playbook import find_faults, inspect, rebuild
from nurture.playbook.check.links import links_of
from nurture.playbook.schema.export import json_schemas
from tests.playbook.builder import a_playbook, changed

GUIDE, COUPON = "lead/aware/guide", "customer/any/coupon"


def with_link(link: str, *, part: str = "mjml", measure: str = GUIDE, mail: str = "guide") -> dict[str, str]:
    files = a_playbook()
    path = f"{measure}/{mail}.en.{part}"
    line = f'<mj-text><a href="{link}">More</a></mj-text>\n' if part == "mjml" else f"More: {link}\n"
    files[path] = files[path].replace("{% endblock %}", f"{line}{{% endblock %}}")
    return files


def faults(files: dict[str, str]) -> list[str]:
    return [str(fault) for fault in find_faults(files, render=False)]


@pytest.mark.parametrize("part", ["mjml", "txt"])
@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("https://shop.example/prices", "`prices`"),
        ("{{ brand.shop_url }}/cart/{{ contact.id }}", "`cart`"),
        ("{{ brand.shop_url ~ '/checkout' }}", "`checkout`"),
        ("{{ event.checkout_url }}", "`checkout`"),
        ("{{ brand.shop_url }}?code={{ code }}", "the coupon `code`"),
    ],
)
def test_a_link_that_sells_needs_a_measure_that_sells(part: str, link: str, reason: str) -> None:
    files = with_link(link, part=part)
    line = 9 if part == "mjml" else 5
    files[f"{GUIDE}/measure.yaml"] += "let: {code: {coupon: again_25}}\n"
    assert faults(files) == [
        f"{GUIDE}/guide.en.{part}:{line}: this link sells ({reason}), and `read` in {GUIDE} does not say so: "
        "link elsewhere, or give the measure a call to action that sells"
    ]
    assert (
        faults(with_link(link.replace("code }}", "code }}"), part=part, measure=COUPON, mail="offer")) == []
    )


@pytest.mark.parametrize(
    "link",
    [
        "{{ brand.shop_url }}/guide",
        "{{ links.call_to_action }}",
        "{{ brand.shop_url }}/orders/{{ entity.cart_id }}",
        "{{ ui.button(links.call_to_action, 'See the price') }}",
        "https://shop.example/cartography",
    ],
)
def test_other_links_sell_nothing(link: str) -> None:
    assert faults(with_link(link, part="txt")) == []


def test_words_about_a_price_are_no_link() -> None:
    files = a_playbook()
    path = f"{GUIDE}/guide.en.txt"
    files[path] = files[path].replace("Something useful.", "What is in the cart, and the price / checkout.")
    assert faults(files) == []


def test_code_that_builds_a_link_counts_too() -> None:
    files = a_playbook()
    path = f"{GUIDE}/guide.en.mjml"
    files[path] = files[path].replace("<mj-text>", "{% set to = brand.shop_url ~ '/cart' %}\n<mj-text>", 1)
    assert faults(files)[0].startswith(f"{path}:7: this link sells (`cart`)")


def test_a_link_of_the_layout_is_in_every_mail() -> None:
    files = a_playbook()
    files["_layout/base.mjml"] = files["_layout/base.mjml"].replace(
        "{{ brand.address }}\n", '{{ brand.address }}\n<a href="{{ brand.shop_url }}/cart">Cart</a>\n'
    )
    assert (
        "_layout/base.mjml:4: this link sells (`cart`), and `read` in lead/aware/guide does not say so"
        in ("\n".join(faults(files)))
    )


def test_the_survey_asks_for_an_answer_where_the_playbook_knows_that_kind() -> None:
    link = "{{ links.survey }}"
    assert faults(with_link(link)) == []
    files = with_link(link)
    files["playbook.yaml"] = files["playbook.yaml"].replace(
        "  read: {", "  answer: {sells: false}\n  read: {"
    )
    assert faults(files) == [
        f"{GUIDE}/guide.en.mjml:9: links.survey asks to answer, which {GUIDE} may not ask: remove the link, "
        "or move the folder to a later stage"
    ]
    files = changed(
        "playbook.yaml", "[confirm, read, subscribe]", "[confirm, read, subscribe, answer]", files
    )
    assert faults(files) == []


def test_links_are_found_in_linear_time_with_their_lines() -> None:
    assert [tuple(link) for link in links_of('a\n<a href="{{ a_url }}/b">c</a> http://d/e')] == [
        (2, "{{ a_url }}/b"),
        (2, "http://d/e"),
    ]
    assert len(list(links_of("{{ x_url }}\n" * 20_000))) == 20_000
    assert list(links_of("{{ " * 100_000)) == []


def test_a_published_measure_may_lack_what_a_new_one_must_have() -> None:
    files = changed(f"{COUPON}/measure.yaml", "audience_source: people who bought once\n", "")
    files = changed(f"{COUPON}/measure.yaml", "early: once, after a month of silence\n", "", files)
    assert len(faults(files)) == 2
    measure = rebuild(files, id_=1).playbook.measures[COUPON]
    assert measure.rules_hash == rebuild(a_playbook(), id_=1).playbook.measures[COUPON].rules_hash
    assert {"audience_source", "metric"} <= set(json_schemas()["measure.yaml"]["required"])


def test_a_measure_of_the_same_name_and_trigger_answers_for_the_other_track() -> None:
    files = a_playbook()
    for track in ("lead", "customer"):
        reason = 'other_track: "none: each track has its own words"\n'
        files = changed(f"{track}/any/visit/measure.yaml", reason, "", files)
    assert faults(files) == []
    path = "customer/any/visit/measure.yaml"
    files = changed(path, "{event: Appointment Booked}", "{milestone: delivered}", files)
    found = [fault.partition(": ")[2] for fault in faults(files) if fault.startswith("lead/any/visit/")]
    assert found == [
        'this trigger exists on both tracks: write customer/any/visit, or other_track: "none: why"',
    ]


def test_a_reason_for_selling_early_where_nothing_is_early_is_a_warning() -> None:
    files = changed("lead/convert/cart/measure.yaml", "topic: offers", "topic: offers\nearly: they asked")
    found = inspect(files, render=False)
    assert not found
    warnings = [str(warning) for warning in found.warnings if warning.path != "playbook.yaml"]
    assert warnings == [
        "lead/convert/cart/measure.yaml:8: warning: `early` explains a measure that sells in every stage of a track, "
        "and this one does not: remove it"
    ]
