"""Check that a measure says where its people come from, and by what its effect is measured."""

from nurture.domain.errors import InputError
from nurture.domain.experiment.expect import parse_expect
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.schema.essentials import REQUIRED


def check_essentials(check: MeasureCheck) -> None:
    """Check the essentials that the model of the file leaves open, and the words of `expect`."""
    for key, advice in REQUIRED.items():
        if getattr(check.model, key) is None and not check.is_broken(key):
            check.fault((key,), f"`{key}` is missing", advice)
    _check_expect(check)


def _check_expect(check: MeasureCheck) -> None:
    metric, loc = check.model.metric, ("metric", "expect")
    if metric is None or check.is_broken("metric"):
        return
    # Everybody needs transactional mail, so nobody is kept without it.
    is_needed = check.measure.purpose == "transactional"
    is_compared = not is_needed and (bool(check.measure.holdout) or check.is_broken("holdout"))
    remedy = "" if is_needed else "add `holdout: 10%`, or "
    fault = expect_fault(metric.expect, is_compared=is_compared, remedy=remedy)
    if fault is not None:
        check.fault(loc, *fault)


def expect_fault(text: str, *, is_compared: bool, remedy: str = "") -> tuple[str, str] | None:
    """Return what is wrong with the words of `expect` and what to change, or None.

    is_compared: some people are kept without it, so that a difference can be seen. remedy: how to have such people.
    """
    try:
        expected = parse_expect(text)
    except InputError as error:
        what, _, change = str(error).partition(": ")
        return what, change
    if expected.kind == "amount":
        what = f'"{text}" is money per person, and this metric counts an event'
        return what, 'write "+2%" for points of a rate, or "25%" for a level'
    if expected.needs_holdout and not is_compared:
        level = '"at most 3%"' if expected.should_fall else '"25%"'
        return (
            f'"{text}" is a difference to people without it, and there are none',
            f"{remedy}write a level: {level}",
        )
    return None
