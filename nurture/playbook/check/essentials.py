"""Check that a measure says where its people come from, and by what its effect is measured."""

from collections.abc import Iterator

from nurture.domain.errors import InputError
from nurture.domain.experiment.expect import Expectation, parse_expect
from nurture.domain.measure import LetCoupon
from nurture.domain.playbook import Playbook
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Document
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.essentials import REQUIRED, MetricFile
from nurture.playbook.schema.programme import ProgrammeFile


def check_essentials(check: MeasureCheck) -> None:
    """Check the essentials that the model of the file leaves open, and the words of `expect`."""
    for key, advice in REQUIRED.items():
        if getattr(check.model, key) is None and not check.is_broken(key):
            check.fault((key,), f"`{key}` is missing", advice)
    _check_expect(check)


def _check_expect(check: MeasureCheck) -> None:
    metric = check.model.metric
    if metric is None or check.is_broken("metric"):
        return
    # Everybody needs transactional mail, so nobody is kept without it.
    is_needed = check.measure.purpose == "transactional"
    is_compared = not is_needed and (bool(check.measure.holdout) or check.is_broken("holdout"))
    remedy = "" if is_needed else "add `holdout: 10%`, or "
    for key, *fault in metric_faults(metric, check.playbook, is_compared=is_compared, remedy=remedy):
        check.fault(("metric", key), *fault)
    has_coupon = any(isinstance(value, LetCoupon) for value in check.measure.let.values())
    if metric.net_of is not None and not has_coupon and not check.is_broken("let"):
        what = "`net_of: incentive`, and the measure gives nothing away"
        check.fault(("metric", "net_of"), what, "remove it, or add `{coupon: OFFER}` to `let`")
    elif metric.net_of is not None and _is_after_discounts(metric, check.playbook):
        what = "`revenue` is what people paid, after discounts: coupons would be taken off it twice"
        check.warn(("metric", "net_of"), what, "remove it, or let `amount` name an amount before discounts")


def _is_after_discounts(metric: MetricFile, playbook: Playbook) -> bool:
    kind = playbook.entities.get(metric.of or "")
    return kind is not None and kind.amount == "revenue"


def check_programme_metric(
    playbook: Playbook, programme: ProgrammeFile, document: Document, faults: Faults
) -> None:
    """Check what is compared between people with and without marketing."""
    model = programme.holdout
    if model is None or model.metric is None:
        return
    for key, *fault in metric_faults(model.metric, playbook, is_compared=model.programme > 0):
        faults.at(document, ("holdout", "metric", key), *fault)


def metric_faults(
    metric: MetricFile, playbook: Playbook, *, is_compared: bool, remedy: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Yield (key, what is wrong, what to change) for a metric.

    is_compared: some people are kept without it, so that a difference can be seen. remedy: how to have such people.
    """
    if metric.event is None:
        yield from _entity_faults(metric, playbook)
    try:
        expected = parse_expect(metric.expect)
    except InputError as error:
        what, _, change = str(error).partition(": ")
        yield "expect", what, change
        return
    fault = _unit_fault(metric, expected, playbook)
    fault = fault or _difference_fault(metric, expected, is_compared=is_compared, remedy=remedy)
    if fault is not None:
        yield "expect", *fault


def _entity_faults(metric: MetricFile, playbook: Playbook) -> Iterator[tuple[str, str, str]]:
    """Yield the faults of the entities that a metric counts or adds up."""
    key, name = ("count", metric.count) if metric.count is not None else ("of", metric.of)
    kind = playbook.entities.get(name or "")
    if kind is None:
        yield key, f"no entity `{name}`", f"known: {format_names(playbook.entities)}"
    elif metric.sum is not None and kind.amount is None:
        yield key, f"{kind.name} has no amount", "add `amount:` to it, or write count: " + kind.name
    elif metric.sum is not None and metric.sum not in ("amount", kind.amount):
        yield "sum", f"`{metric.sum}` is not the amount of {kind.name}", "write sum: amount"
    elif metric.sum is not None and not playbook.currencies:
        yield "sum", "money without a currency", "add `currencies: [EUR]` under `brand` in playbook.yaml"


def _unit_fault(metric: MetricFile, expected: Expectation, playbook: Playbook) -> tuple[str, str] | None:
    """Return why the expectation does not fit what is measured: a share of people, or money per person."""
    text = metric.expect
    if metric.sum is None:
        if expected.kind == "amount":
            what = f'"{text}" is money per person, and this metric counts people'
            return what, 'write sum: amount, of: ENTITY, or "+2%" for points of a rate, or "25%" for a level'
        return None
    if expected.kind not in ("amount", "relative"):
        what = f'"{text}" is a share of people, and this metric is money per person'
        return what, 'write "+1.50 EUR" or "+20% relative"'
    if expected.currency is not None and playbook.currencies and expected.currency not in playbook.currencies:
        known = format_names(playbook.currencies)
        return f'"{text}" is in a currency that the brand does not have', f"known: {known}"
    return None


def _difference_fault(
    metric: MetricFile, expected: Expectation, *, is_compared: bool, remedy: str
) -> tuple[str, str] | None:
    if not expected.needs_holdout or is_compared:
        return None
    what = f'"{metric.expect}" is a difference to people without it, and there are none'
    level = '"at most 3%"' if expected.should_fall else '"25%"'
    if metric.sum is not None:
        return what, f"{remedy}count people by event: or count:, with a level: {level}"
    return what, f"{remedy}write a level: {level}"
