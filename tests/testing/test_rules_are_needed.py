"""The timelines of orders and service notice each rule: without a trigger, an exit or a `when`, one of them fails."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from nurture.playbook import load_files, rebuild
from nurture.playbook.fault import Faults
from nurture.testing.play_timeline import Result
from nurture.testing.run import play
from nurture.testing.timeline_file import read_timelines

SHIPPED = Path(__file__).parents[2] / "email_templates"
#: Measure -> the file of its timeline, and a part of the timeline's name.
PLAYED = {
    "any/payment_failed": ("payments.yaml", "a payment that failed"),
    "customer/any/delivery_delayed": ("payments.yaml", "a late parcel"),
    "customer/any/invoice": ("payments.yaml", "an invoice"),
}


@lru_cache(maxsize=1)
def shipped() -> dict[str, str]:
    return dict(load_files(SHIPPED))


def rules() -> Iterator[tuple[str, str, str]]:
    """Yield (measure, line of a rule, what stands there without the rule)."""
    for measure in PLAYED:
        text = shipped()[f"{measure}/measure.yaml"]
        for line in text.splitlines(keepends=True):
            if line.startswith("trigger:"):
                yield measure, line, "trigger: ops\n"
            elif re.match(r"  - \{event:|    when:", line):
                yield measure, line, ""


def played(files: dict[str, str], measure: str) -> Result:
    file, name = PLAYED[measure]
    loaded, faults = rebuild(files, id_=0), Faults()
    timelines = read_timelines(file, (SHIPPED / "tests" / file).read_text("utf-8"), loaded.playbook, faults)
    assert not faults, faults.sorted()
    [timeline] = [item for item in timelines if item.model.name.startswith(name)]
    return play(loaded, SHIPPED, timeline, update=False, written=[])


@pytest.mark.parametrize("measure", [*PLAYED])
def test_each_measure_has_rules_to_take_out(measure: str) -> None:
    lines = [line.strip() for name, line, _ in rules() if name == measure]
    assert {line.split(":")[0].lstrip("- {") for line in lines} == {"trigger", "event", "when"}


@pytest.mark.parametrize(("measure", "line", "instead"), [*rules()], ids=lambda value: value.strip()[:60])
def test_the_timeline_fails_without_the_rule(measure: str, line: str, instead: str) -> None:
    place = f"{measure}/measure.yaml"
    assert shipped()[place].count(line) == 1
    files = {**shipped(), place: shipped()[place].replace(line, instead)}
    assert played(files, measure).failures != []
