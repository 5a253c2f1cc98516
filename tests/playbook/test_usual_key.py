"""The key of a run where `once` is absent, or is a mapping that does not say `per`."""

import pytest

from nurture.playbook import rebuild
from tests.playbook.builder import changed

_PRODUCT = "product: {key: product_id, of: [Product Updated, Product Back In Stock], "
_ASKED = "watchers: {asked: {from: Asked For, for: 20d, asked_for: true}}, "


@pytest.mark.parametrize(
    ("trigger", "key"),
    [
        ("{stage: aware}", "contact"),
        ("{event: Page Viewed}", "contact"),
        ("{quiet: 2h, entity: cart}", "entity"),
        ("{date: appointment.starts_at, offset: -1d}", "occasion"),
        ("{object: product, event: Product Back In Stock}", "contact"),
        ("{object: product, event: Product Back In Stock, watchers: [asked]}", "product_id"),
        ("{object: product, event: Product Back In Stock, watchers: audience}", "product_id"),
    ],
)
@pytest.mark.parametrize("once", ["", "once: {again_after: 9d}"])
def test_the_key_follows_from_the_trigger(trigger: str, key: str, once: str) -> None:
    path = "lead/aware/guide/measure.yaml"
    files = changed("playbook.yaml", _PRODUCT, f"{_PRODUCT}{_ASKED}")
    files = changed(path, "trigger: {stage: aware}", f"trigger: {trigger}\n{once}", files)
    assert rebuild(files, id_=1).playbook.measures["lead/aware/guide"].once.per == key
