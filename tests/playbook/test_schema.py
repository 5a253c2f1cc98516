"""The JSON Schemas for editors accept the same files as the models."""

from pathlib import Path

import jsonschema
import pytest

from nurture.playbook import json_schemas, load_files
from nurture.playbook.document import read_document
from nurture.playbook.fault import Faults
from tests.playbook.builder import a_playbook, changed

SHIPPED = Path(__file__).parents[2] / "email_templates"


def errors(files: dict[str, str]) -> list[str]:
    """Return what the schemas say of every YAML file, as `path: message`."""
    found = []
    for name, schema in json_schemas().items():
        validator = jsonschema.Draft202012Validator(schema)
        for path, text in files.items():
            if path == name or path.endswith(f"/{name}"):
                document = read_document(path, text, Faults())
            elif name == "mail.mjml" and path.endswith(".mjml") and not path.startswith("_layout"):
                document = read_document(path, text.split("---")[1], Faults())
            else:
                continue
            assert document is not None
            found += [f"{path}: {error.message}" for error in validator.iter_errors(document.data)]
    return found


def test_the_schemas_are_schemas() -> None:
    for schema in json_schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("files", [a_playbook(), load_files(SHIPPED)], ids=["small", "shipped"])
def test_the_schemas_accept_what_the_reader_accepts(files: dict[str, str]) -> None:
    assert sum(path.endswith("measure.yaml") for path in files) >= 5
    assert errors(files) == []


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("lead/aware/guide/measure.yaml", "form: guide", "from: guide"),
        ("lead/aware/guide/measure.yaml", "wait: 2d", "wait: soon"),
        ("lead/aware/guide/measure.yaml", "purpose: nurture", "purpose: marketing"),
        ("customer/any/coupon/measure.yaml", "{coupon: again_25}", "{cupon: again_25}"),
        ("playbook.yaml", "orders: {count: Order Completed}", "Orders: {count: Order Completed}"),
        ("playbook.yaml", "open_no: [case]", "open_no: case"),
        ("lead/aware/guide/guide.en.mjml", "preheader", "preheadr"),
    ],
)
def test_the_schemas_refuse_what_the_reader_refuses(path: str, old: str, new: str) -> None:
    assert errors(changed(path, old, new))
