"""Metrics: people with an event, people with an entity that stands, and money per person."""

import json

import pytest

from nurture.domain.experiment.epochs import design_of, outcomes_of
from nurture.domain.instant import DAY
from nurture.domain.measure import Metric
from nurture.playbook import build, find_faults, inspect, json_schemas
from tests.playbook.builder import a_playbook, changed

COUPON = "customer/any/coupon"
BEFORE = 'metric: {event: Order Completed, within: 30d, expect: "20%"}'
ENTITIES = """\
entities:
  order: {key: order_id, of: [Order Completed], counts_from: Order Completed, amount: revenue}
facts:
"""


def shop(metric: str, *, currencies: str = "[EUR, CNY]") -> dict[str, str]:
    """Return a playbook whose coupon is measured so."""
    files = changed("playbook.yaml", "facts:\n", ENTITIES, a_playbook())
    files = changed("playbook.yaml", "brand: {", f"brand: {{currencies: {currencies}, ", files)
    return changed(f"{COUPON}/measure.yaml", BEFORE, f"metric: {metric}", files)


@pytest.mark.parametrize(
    ("written", "metric"),
    [
        (
            '{event: Order Completed, within: 30d, expect: "at most 3%"}',
            Metric("Order Completed", 30 * DAY, "at most 3%"),
        ),
        (
            '{count: order, within: 14d, expect: "+2%"}',
            Metric("", 14 * DAY, "+2%", entity="order"),
        ),
        (
            '{sum: amount, of: order, net_of: incentive, within: 30d, expect: "+1.50 EUR"}',
            Metric("", 30 * DAY, "+1.50 EUR", entity="order", is_sum=True, is_net_of_incentive=True),
        ),
        (
            '{sum: revenue, of: order, within: 90d, expect: "+20% relative"}',
            Metric("", 90 * DAY, "+20% relative", entity="order", is_sum=True),
        ),
    ],
)
def test_a_metric_is_read(written: str, metric: Metric) -> None:
    files = shop(written)
    assert find_faults(files, render=False) == []
    assert build(files).playbook.measures[COUPON].metric == metric


def test_the_measurement_compares_what_the_metric_names() -> None:
    money = '{sum: amount, of: order, within: 30d, expect: "+1.50 EUR"}'
    people = '{count: order, within: 30d, expect: "+2%"}'
    for metric, is_amount in ((money, True), (people, False)):
        playbook = build(shop(metric)).playbook
        design = design_of(playbook.measures[COUPON], playbook)
        assert design is not None
        assert (design.outcome.name, design.outcome.is_entity, design.is_amount) == ("order", True, is_amount)
        assert design.outcome.kind == playbook.entities["order"]
        assert "order" in outcomes_of(playbook)


def test_a_metric_net_of_incentives_warns_where_amounts_are_net_already() -> None:
    metric = '{sum: amount, of: order, net_of: incentive, within: 30d, expect: "+1.50 EUR"}'
    warnings = [str(warning) for warning in inspect(shop(metric), render=False).warnings]
    paid = f"{COUPON}/measure.yaml:19: warning: `revenue` is what people paid, after discounts"
    assert any(warning.startswith(paid) for warning in warnings)


def test_a_metric_is_no_rule() -> None:
    hashes = {
        build(shop(metric)).playbook.rules_hash
        for metric in (
            '{event: Order Completed, within: 30d, expect: "20%"}',
            '{sum: amount, of: order, within: 30d, expect: "+1.50 EUR"}',
        )
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("metric", "fault"),
    [
        (
            '{sum: amount, of: order, within: 30d, expect: "+1.50 USD"}',
            '"+1.50 USD" is in a currency that the brand does not have: known: CNY, EUR',
        ),
        (
            '{sum: shipping, of: order, within: 30d, expect: "+1.50 EUR"}',
            "`shipping` is not the amount of order: write sum: amount",
        ),
        (
            '{count: order, within: 30d, expect: "+1.50 EUR"}',
            '"+1.50 EUR" is money per person, and this metric counts people: write sum: amount, of: ENTITY, '
            'or "+2%" for points of a rate, or "25%" for a level',
        ),
    ],
)
def test_a_metric_that_cannot_be_measured_is_refused(metric: str, fault: str) -> None:
    (found,) = find_faults(shop(metric), render=False)
    assert str(found) == f"{COUPON}/measure.yaml:19: {fault}"


def test_money_needs_people_without_the_measure_and_something_given_away() -> None:
    metric = '{sum: amount, of: order, net_of: incentive, within: 30d, expect: "+1.50 EUR"}'
    path = f"{COUPON}/measure.yaml"
    files = changed(path, "holdout: 10%\n", "", shop(metric))
    (found,) = find_faults(files, render=False)
    assert "add `holdout: 10%`, or count people by event: or count:, with a level" in str(found)
    files = shop(metric)
    files = changed(path, ", code: {coupon: again_25}", "", files)
    files = changed(path, "?code={{ code }}", "", files)
    assert any("the measure gives nothing away" in str(fault) for fault in find_faults(files, render=False))


def test_the_schema_knows_the_three_forms() -> None:
    text = json.dumps(json_schemas())
    assert '{"required": ["sum", "of"]}' in text
