"""Calls to action of a stage: its own kinds and those of the stages before it; going on with what the person began."""

from collections.abc import Mapping

import pytest

from nurture.playbook import find_faults
from tests.playbook.builder import a_playbook, changed

CART = "lead/convert/cart"
GUIDE = "lead/aware/guide"
WATCHED = "trigger: {object: product, event: [Product Back In Stock]}"


def moved(files: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    """Return the files with one folder under another path."""
    return {path.replace(f"{old}/", f"{new}/", 1): text for path, text in files.items()}


def faults(files: Mapping[str, str]) -> list[str]:
    return [str(fault) for fault in find_faults(files, render=False)]


def test_a_later_stage_may_ask_what_an_earlier_one_may() -> None:
    files = changed("playbook.yaml", "may_ask: [confirm, read, try, buy]", "may_ask: [try, buy]")
    files = changed(f"{GUIDE}/measure.yaml", "{stage: aware}", "ops", files)
    assert faults(moved(files, GUIDE, "lead/convert/guide")) == []


def test_an_earlier_stage_may_not_ask_what_a_later_one_may() -> None:
    files = changed("playbook.yaml", "may_ask: [confirm, read, subscribe]", "may_ask: [confirm, subscribe]")
    files = changed("playbook.yaml", "may_ask: [confirm, read, try, buy]", "may_ask: [try, read, buy]", files)
    assert faults(files) == [
        "lead/aware/guide/measure.yaml:4: stage aware may not ask `read`: ask one of confirm, subscribe, "
        "or move the folder"
    ]


def test_the_other_track_lends_nothing() -> None:
    files = changed("playbook.yaml", "may_ask: [confirm, use]", "may_ask: [confirm, use, try]")
    files = changed(f"{GUIDE}/measure.yaml", "kind: read", "kind: use", files)
    assert faults(files)[0].endswith(
        "stage aware may not ask `use`: ask one of confirm, read, subscribe, or move the folder"
    )


@pytest.mark.parametrize(
    "place", ["lead/convert", "lead/aware", "lead/any", "customer/excite", "customer/any"]
)
def test_a_cart_is_gone_on_with_in_every_stage(place: str) -> None:
    files = changed(f"{CART}/measure.yaml", "kind: buy", "kind: resume")
    assert faults(moved(files, CART, f"{place}/cart")) == []
    watched = changed(f"{CART}/measure.yaml", "trigger: {quiet: 2h, entity: cart}", WATCHED, files)
    watched = changed(f"{CART}/measure.yaml", "/cart/{{ entity.cart_id }}", "/cart", watched)
    watched = changed(f"{CART}/measure.yaml", "entity.product_id", "product_id", watched)
    assert faults(moved(watched, CART, f"{place}/cart")) == []


def test_nothing_sells_to_both_tracks_at_once() -> None:
    files = changed(f"{CART}/measure.yaml", "kind: buy", "kind: resume")
    assert "`resume` sells, under any/" in "\n".join(faults(moved(files, CART, "any/cart")))


def test_a_link_to_a_cart_still_needs_a_kind_that_sells() -> None:
    files = changed("playbook.yaml", "resume: {sells: true,", "resume: {sells: false,", a_playbook())
    files = changed(f"{CART}/measure.yaml", "kind: buy", "kind: resume", files)
    assert "the link sells (`cart`), `resume` does not say so" in "\n".join(faults(files))
