"""Check the tables that the waits of a measure look up."""

from nurture.domain.conditions import AT_HAND
from nurture.domain.measure import OnCondition, OnConsent, OnDate, OnOps, OnSchedule, WaitFromTable
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc

_WITHOUT_EVENT = OnCondition | OnSchedule | OnDate | OnOps | OnConsent


def check_tables(check: MeasureCheck) -> None:
    """Check that each wait names a table of durations, and that a run has what tables look up."""
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


def _require_property(check: MeasureCheck, loc: Loc, name: str) -> None:
    if check.measure.entity is None and isinstance(check.measure.trigger, _WITHOUT_EVENT):
        what = f"a table looks up by `{name}`, but the run has neither an entity nor an event"
        check.fault(loc, what, "add `entity:`, or look up by a fact")
