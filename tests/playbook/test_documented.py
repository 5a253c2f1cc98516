"""docs/playbook.md names every key that the files may hold, and its examples can be read."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from nurture.playbook.document import read_document
from nurture.playbook.fault import Faults
from nurture.playbook.schema import events, facts, measure, programme
from nurture.playbook.schema.measure import MeasureFile
from nurture.playbook.schema.validate import MEASURE_STANDINS, read_model

DOCS = (Path(__file__).parents[2] / "docs" / "playbook.md").read_text("utf-8")


def keys() -> set[str]:
    models = {
        value
        for module in (events, facts, measure, programme)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseModel)
    }
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def test_every_key_is_documented() -> None:
    assert len(keys()) > 80
    assert {key for key in keys() if re.search(rf"\b{re.escape(key)}\b", DOCS) is None} == set()


@pytest.mark.parametrize("place", range(DOCS.count("```yaml\n")))
def test_every_example_is_yaml(place: int) -> None:
    text = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)[place]
    faults = Faults()
    # A list of steps stands under a key in its file.
    read_document("example", f"steps:\n{text}" if text.lstrip().startswith("-") else text, faults)
    assert [str(fault) for fault in faults.sorted()] == []


def test_the_example_of_a_measure_is_one() -> None:
    text = next(
        block for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if block.startswith("goal:")
    )
    faults = Faults()
    document = read_document("example", text, faults)
    assert document is not None
    assert read_model(MeasureFile, document, faults, MEASURE_STANDINS) is not None
    assert not faults
