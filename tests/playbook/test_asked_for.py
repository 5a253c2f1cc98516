"""`asked_for` is refused where the person asked for nothing."""

import pytest

from nurture.playbook import find_faults
from tests.playbook.builder import changed

_NO_REQUEST = "asked_for, but this trigger is no request of the person's"
_PRODUCT = "product: {key: product_id, of: [Product Updated, Product Back In Stock], "


@pytest.mark.parametrize(
    ("trigger", "faults"),
    [
        ("{event: Quote Requested}", []),
        ("{event: [Quote Requested, Back In Stock Requested]}", []),
        ("{object: product, event: [Product Back In Stock]}", []),
        (
            "{object: product, event: [Product Back In Stock], watchers: audience}",
            [
                f"{_NO_REQUEST}: name one of requests: Back In Stock Requested, Quote Requested; "
                "an audience has asked for nothing"
            ],
        ),
        (
            "{stage: aware}",
            [f"{_NO_REQUEST}: name one of requests: Back In Stock Requested, Quote Requested"],
        ),
        (
            "{condition: audience}",
            [f"{_NO_REQUEST}: name one of requests: Back In Stock Requested, Quote Requested"],
        ),
        (
            "{event: [Quote Requested, Page Viewed]}",
            [
                f"{_NO_REQUEST}: name one of requests: Back In Stock Requested, Quote Requested; `Page Viewed` is none"
            ],
        ),
        ("ops", ["asked_for on ops: remove it: an operator decides this mail, not the person"]),
    ],
)
def test_the_trigger_is_a_request(trigger: str, faults: list[str]) -> None:
    assert _faults_of(trigger, watched_from="[Back In Stock Requested, Product Liked]") == faults


def test_somebody_watches_because_of_a_request() -> None:
    (fault,) = _faults_of("{object: product, event: [Product Back In Stock]}", watched_from="[Product Liked]")
    assert fault.endswith("; nobody watches a product because of one")


def _faults_of(trigger: str, *, watched_from: str) -> list[str]:
    files = changed("playbook.yaml", _PRODUCT, f"{_PRODUCT}watched_from: {watched_from}, ")
    requests = "requests: [Quote Requested, {event: Back In Stock Requested, where: stock >= 0}]\n"
    files = changed("playbook.yaml", "offers: {again_25", f"{requests}offers: {{again_25", files)
    path = "lead/aware/guide/measure.yaml"
    files = changed(path, "trigger: {stage: aware}", f"trigger: {trigger}\nasked_for: true", files)
    found = [fault for fault in find_faults(files, render=False) if fault.path == path]
    return [f"{fault.what}: {fault.change}" for fault in found]
