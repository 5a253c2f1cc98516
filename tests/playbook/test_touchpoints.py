"""Touchpoints promise a service, have a metric and a measure for each stage, and every event belongs to one."""

import pytest

from nurture.playbook import find_faults, rebuild
from nurture.playbook.events_used import events_used
from tests.playbook.builder import a_playbook, changed

PLACE = "# Touchpoints would stand here.\n"
EVENTS = sorted(events_used(rebuild(a_playbook(), id_=0).playbook))
SHOP = (
    f"touchpoints: {{shop: {{channel: web, events: [{', '.join(EVENTS)}], service: a cart is kept, "
    'metric: {event: Order Completed, within: 7d, expect: "5%"}, wanted_in: [convert], '
    'acts: {lead: lead/any/visit, convert: lead/convert/cart, customer: "none: they call us"}}}\n'
)
LINE = a_playbook()["playbook.yaml"].splitlines().index(PLACE.strip()) + 1


def faults(old: str = "", new: str = "") -> list[str]:
    shop = SHOP.replace(old, new) if old else SHOP
    assert not old or shop != SHOP
    return [str(fault) for fault in find_faults(changed("playbook.yaml", PLACE, shop), render=False)]


def test_a_full_touchpoint_has_no_faults_and_changes_no_rules() -> None:
    assert faults() == []
    with_service = rebuild(changed("playbook.yaml", PLACE, SHOP), id_=0).playbook
    bare = SHOP.replace("service: a cart is kept, ", "").replace("wanted_in: [convert], ", "")
    assert (
        with_service.rules_hash == rebuild(changed("playbook.yaml", PLACE, bare), id_=0).playbook.rules_hash
    )
    assert with_service.touchpoints[0].service == "a cart is kept"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "service: a cart is kept, ",
            "",
            "shop promises no service: say what people may expect there: service: answered within a minute",
        ),
        (
            'metric: {event: Order Completed, within: 7d, expect: "5%"}, ',
            "",
            'shop has no metric: write metric: {event: ..., within: 7d, expect: "25%"}',
        ),
        (
            '"5%"',
            '"+5%"',
            '"+5%" is a difference to people without it, and there are none: write a level: "25%"',
        ),
        (
            'customer: "none: they call us"',
            'excite: "none: they call us"',
            "shop says nothing for ascend: under `acts`, name the measure that acts on it, "
            'or "none: why" (ascend: ...)',
        ),
        ("none: they call us", "none:", 'no reason after `none:`: write "none: why"'),
        (
            "lead/convert/cart",
            "lead/convert/basket",
            'no measure `lead/convert/basket`: name a measure by its path, or write "none: why"',
        ),
        (
            "lead/any/visit",
            "lead/convert/cart",
            "`lead/convert/cart` does not reach aware: name a measure that does",
        ),
        (
            "convert: lead/convert/cart",
            "convert: customer/any/visit",
            "`customer/any/visit` does not reach convert: name a measure that does",
        ),
        (
            "wanted_in: [convert]",
            "wanted_in: [converted]",
            "no stage `converted`: known: ascend, aware, convert, customer, excite, lead",
        ),
        (
            "Return Requested, ",
            "",
            "the event `Return Requested` (fact satisfied) belongs to no touchpoint: add it to `events` of the one "
            "where it happens",
        ),
    ],
)
def test_a_touchpoint_that_means_nothing_is_refused(old: str, new: str, fault: str) -> None:
    assert faults(old, new) == [f"playbook.yaml:{LINE}: {fault}"]


def test_every_place_that_names_an_event_is_found() -> None:
    used = events_used(rebuild(a_playbook(), id_=0).playbook)
    assert {
        "Order Completed",
        "Order Taken Back",
        "Page Viewed",
        "Signed In",
        "Visit Made",
        "Case Closed",
    } <= set(used)
    # Objects have events without a person.
    assert "Product Updated" not in used
