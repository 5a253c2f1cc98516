"""Check the tables that the waits, `let` values and events of a measure look up."""

from collections.abc import Iterator

from nurture.domain.conditions import AT_HAND, Table
from nurture.domain.instant import DAY
from nurture.domain.measure import (
    EmitStep,
    LetTable,
    OnCondition,
    OnConsent,
    OnDate,
    OnOps,
    OnSchedule,
    WaitFromTable,
)
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc

_WITHOUT_EVENT = OnCondition | OnSchedule | OnDate | OnOps | OnConsent


def check_tables(check: MeasureCheck) -> None:
    """Check that each wait names a table of durations, and that a run has what tables look up."""
    _check_values(check)
    for file, step in zip(check.draft.steps, check.measure.steps, strict=True):
        loc: Loc = (*file.loc, "wait")
        if isinstance(step, WaitFromTable):
            tables = check.known("tables", check.playbook.tables)
            check.require_known(loc, "table", step.table.name, tables)
            if step.table.name in check.playbook.tables and step.table.type != "duration":
                what = f"table {step.table.name} holds no durations"
                check.fault(loc, what, "write rows such as 30d, or name another table")
            if step.table.property_name:
                _require_property(check, loc, step.table.property_name)
        if step.when is not None:
            for term in sorted(step.when.terms):
                root, _, name = term.partition(".")
                if root == AT_HAND:
                    _require_property(check, (*file.loc, "when"), name)


def _check_values(check: MeasureCheck) -> None:
    """Check the tables of `let` and of events that are handed in: there they give texts, numbers and whole days."""
    for loc, table in _tables_of_values(check):
        check.require_known(loc, "table", table.name, check.known("tables", check.playbook.tables))
        if table.type == "duration" and any(isinstance(value, int) and value % DAY for value in table.values):
            what = f"table {table.name} holds durations that are no whole days"
            check.fault(loc, what, "here a duration is its number of days: write rows such as 30d")
        if loc[0] == "let" and any(isinstance(value, float) for value in table.values):
            what = f"table {table.name} holds fractions"
            check.fault(loc, what, "a `let` value is a text or a whole number: write rows such as 300")
        if table.property_name:
            _require_property(check, loc, table.property_name)


def _tables_of_values(check: MeasureCheck) -> Iterator[tuple[Loc, Table]]:
    for name, rule in check.measure.let.items():
        if isinstance(rule, LetTable):
            yield ("let", name), rule.table
    for place, step in enumerate(check.measure.steps):
        for name, value in step.properties if isinstance(step, EmitStep) else ():
            if isinstance(value, Table):
                yield check.step_loc(place, "emit", "properties", name), value


def _require_property(check: MeasureCheck, loc: Loc, name: str) -> None:
    if check.measure.entity is None and isinstance(check.measure.trigger, _WITHOUT_EVENT):
        what = f"a table looks up by `{name}`, but the run has neither an entity nor an event"
        check.fault(loc, what, "add `entity:`, or look up by a fact")
