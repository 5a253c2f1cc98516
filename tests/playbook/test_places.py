"""Places of measures, and the calls to action that a stage, and each stage after it, may make."""

from collections.abc import Mapping

import pytest

from nurture.playbook import find_faults, rebuild
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


# ---- a stage and all later ones --------------------------------------------------------------------------

ASCEND = "customer/ascend+/coupon"


def with_coupon(place: str) -> dict[str, str]:
    return moved(a_playbook(), "customer/any/coupon", f"customer/{place}/coupon")


def test_a_stage_and_later_ones_are_asked_what_the_first_of_them_may() -> None:
    assert faults(with_coupon("ascend+")) == []
    assert faults(with_coupon("excite+")) == [
        "customer/excite+/coupon/measure.yaml:4: stage excite may not ask `buy`: ask one of confirm, use, "
        "or move the folder"
    ]


def test_the_place_names_the_stages_from_it_on() -> None:
    files = moved(a_playbook(), "lead/any/visit", "lead/aware+/visit")
    playbook = rebuild(files, id_=0).playbook
    measure = playbook.measures["lead/aware+/visit"]
    assert (measure.stage, measure.place) == ("aware", "aware+")
    assert measure.later_stages == {"convert"}
    last = rebuild(moved(files, "lead/convert/cart", "lead/convert+/cart"), id_=0).playbook
    assert last.measures["lead/convert+/cart"].later_stages == frozenset()


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("any+", ":1: `any+` means nothing more than `any`: move it to customer/any/coupon/"),
        (
            "ascend++",
            ":1: a folder's name is wrong: use small letters, digits and _; `ascend+` is the stage ",
        ),
        ("aware+", ":1: aware is no stage of the customer track: move the folder under lead/aware+/"),
        (
            "trial+",
            ":1: trial is no stage of the customer track: move the folder under customer/any/ or one of ",
        ),
    ],
)
def test_a_place_that_means_nothing_is_refused(place: str, fault: str) -> None:
    assert faults(with_coupon(place))[0].partition(".")[2].partition(":")[2].startswith(fault[1:])


def test_a_plus_belongs_to_a_stage_only() -> None:
    files = moved(a_playbook(), "lead/any/visit", "lead/any/visit+")
    assert "a folder's name is wrong" in "\n".join(faults(files))
    assert "a folder's name is wrong" in faults(moved(a_playbook(), "any/confirm", "any/confirm+"))[0]


def test_a_stage_trigger_names_one_of_the_stages() -> None:
    files = moved(a_playbook(), GUIDE, "lead/convert+/guide")
    assert [fault.partition(": ")[2] for fault in faults(files)][:1] == [
        "starts on entering aware, but stands under convert+: move the folder under lead/aware/ or lead/any/"
    ]
    entered = changed(f"{GUIDE}/measure.yaml", "{stage: aware}", "{stage: convert}")
    assert faults(moved(entered, GUIDE, "lead/aware+/guide")) == []


def test_a_handover_and_a_former_path_may_name_it() -> None:
    files = moved(a_playbook(), "customer/any/visit", "customer/excite+/visit")
    files = changed("lead/any/visit/measure.yaml", "customer/any/visit", "customer/excite+/visit", files)
    assert faults(files) == []
    files["lead/any/visit/measure.yaml"] += "was: lead/convert+/visit\n"
    assert faults(files) == []


def test_the_plus_changes_the_rules_of_that_measure_alone() -> None:
    before = rebuild(with_coupon("ascend"), id_=0).playbook.measures
    files = with_coupon("ascend+")
    files[f"{ASCEND}/measure.yaml"] += "was: customer/ascend/coupon\n"
    # `ascend+` is `ascend` while no later stage follows.
    last = rebuild(files, id_=0).playbook.measures
    assert last[ASCEND].rules_hash == before["customer/ascend/coupon"].rules_hash
    files = moved(a_playbook(), "lead/any/visit", "lead/aware/visit")
    plain = rebuild(files, id_=0).playbook.measures["lead/aware/visit"]
    files = moved(files, "lead/aware/visit", "lead/aware+/visit")
    files["lead/aware+/visit/measure.yaml"] += "was: lead/aware/visit\n"
    assert rebuild(files, id_=0).playbook.measures["lead/aware+/visit"].rules_hash != plain.rules_hash
