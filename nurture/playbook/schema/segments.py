"""The `segments` of `playbook.yaml`: a condition, or a ladder of conditions."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag

from nurture.playbook.schema.values import NAME_FORM, ConditionText, Name, refuse

_ELSE = "else"


def _single(rung: dict[str, str]) -> dict[str, str]:
    if len(rung) != 1:
        raise refuse(
            "a rung with more than one name", "begin each with its own `-`, or write {NAME: CONDITION}"
        )
    return rung


def _ordered(rungs: list[dict[str, str]]) -> list[dict[str, str]]:
    written = rungs_of(rungs)
    names = [name if name != _ELSE else text for name, text in written]
    if any(name == _ELSE for name, _ in written[:-1]):
        raise refuse("a rung below `else` is never reached", "move `else` to the end")
    if len(written) == 1 and written[0][0] == _ELSE:
        raise refuse("a ladder without a rung", "write {NAME: CONDITION} before `else`")
    if re.fullmatch(NAME_FORM, names[-1]) is None:
        raise refuse(f"{names[-1]!r} is no name of a rung", "write small letters, digits and _")
    for name in names:
        if names.count(name) > 1:
            raise refuse(f"two rungs called {name}", "give each its own name")
    return rungs


def rungs_of(rungs: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Return (name, condition) of each rung; of `else` (`else`, text)."""
    return [item for rung in rungs for item in rung.items()]


Rung = Annotated[
    dict[Name, ConditionText],
    Field(
        min_length=1,
        description="{NAME: CONDITION}; the last may be {else: NAME}.",
        json_schema_extra={"maxProperties": 1},
    ),
    AfterValidator(_single),
]
Ladder = Annotated[list[Rung], Field(min_length=1), AfterValidator(_ordered)]


def _form(value: Any) -> str | None:
    if isinstance(value, str | bool):
        return "condition"
    if isinstance(value, list) and all(isinstance(rung, Mapping) for rung in value):
        return "ladder"
    return None


SegmentFile = Annotated[
    Annotated[ConditionText, Tag("condition")] | Annotated[Ladder, Tag("ladder")],
    Discriminator(
        _form,
        custom_error_type="form",
        custom_error_message="write a condition, or a ladder: [{NAME: CONDITION}, {else: NAME}]",
    ),
]
