"""JSON Schemas of a playbook's files, for completion and checks in editors."""

from typing import Any

from pydantic import BaseModel

from nurture.playbook.schema.essentials import REQUIRED
from nurture.playbook.schema.front_matter import FrontMatter
from nurture.playbook.schema.measure import MeasureFile
from nurture.playbook.schema.programme import ProgrammeFile
from nurture.playbook.schema.timelines import TimelinesFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: File -> its model.
_FILES: dict[str, type[BaseModel]] = {
    "playbook.yaml": ProgrammeFile,
    "measure.yaml": MeasureFile,
    "mail.mjml": FrontMatter,
    "timelines.yaml": TimelinesFile,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON Schema (2020-12) for each kind of file.

    `mail.mjml` is the front matter of a mail, `timelines.yaml` any file of `tests/`. Point an editor at one with a
    first line such as `# yaml-language-server: $schema=measure.schema.json`.
    """
    schemas = {
        name: {"$schema": _DIALECT, "title": name, **_without_null(model.model_json_schema())}
        for name, model in _FILES.items()
    }
    # The model leaves them open for what is published; a new file has them.
    schemas["measure.yaml"]["required"] += list(REQUIRED)
    return schemas


def _without_null(value: Any) -> Any:
    """Return a schema without null, which the files never hold, and without defaults of null."""
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _without_null(item) for key, item in value.items() if not (key == "default" and item is None)
    }
    if "patternProperties" in kept:
        # A name that does not match is a fault, so editors mark it too.
        kept["additionalProperties"] = False
    choices = kept.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        left = [choice for choice in choices if choice != {"type": "null"}]
        del kept["anyOf"]
        kept |= left[0] if len(left) == 1 else {"anyOf": left}
    return kept
