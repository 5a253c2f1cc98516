"""Build the steps of a measure: mails, waits and branches. A step's id never changes, because runs refer to it."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nurture.domain.conditions import Condition, Table, Term, Vocabulary
from nurture.domain.measure import (
    Branch,
    Calendar,
    Case,
    EmitStep,
    EmitValue,
    EndTopicStep,
    LocalSlot,
    MailStep,
    NotifyStep,
    Reference,
    Step,
    WaitBusinessTime,
    WaitFor,
    WaitFromTable,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilMoment,
    WaitUntilSlot,
)
from nurture.domain.playbook import Playbook
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.builders.facts import prefixed
from nurture.playbook.builders.slots import build_slot
from nurture.playbook.document import Document, Loc
from nurture.playbook.schema import actions
from nurture.playbook.schema import measure as schema
from nurture.playbook.schema.events import names_of
from nurture.playbook.schema.object_lists import ListFile
from nurture.playbook.schema.triggers import Slot

#: The UID of a calendar file without `uid`: the entity's key, so that a change updates the same entry.
DEFAULT_UID = "{{ entity_key }}@nurture"


#: A text of `emit` that names a value.
_REFERENCE = re.compile(r"(entity|event|contact)\.[A-Za-z_][A-Za-z0-9_]*|run_id")


#: A text that names a table.
TABLE = re.compile(r"table\([a-z][a-z0-9_]{0,59}\)")


@dataclass(frozen=True, slots=True)
class StepFile:
    """A step as the file gives it, with its place there and its id."""

    model: schema.AnyStep
    loc: Loc
    id: str
    # The places of the cases around it: (branch, number), the outermost first.
    cases: tuple[tuple[Loc, int], ...] = ()


def read_steps(model: schema.MeasureFile) -> tuple[StepFile, ...]:
    """Return all steps in the order of the file; the steps of its cases follow a branch.

    The id of a step without one is its mail, or `wait1`, `branch1` ... A renamed step (`was`) keeps its first id,
    because runs and messages have that.
    """
    numbers: Counter[str] = Counter()
    return tuple(_read_list(model.steps, ("steps",), (), numbers))


def _read_list(
    models: Sequence[schema.AnyStep], loc: Loc, cases: tuple[tuple[Loc, int], ...], numbers: Counter[str]
) -> Iterator[StepFile]:
    for place, model in enumerate(models):
        mine: Loc = (*loc, place)
        if isinstance(model, schema.MailStepFile):
            yield StepFile(model, mine, model.was or model.id or model.mail, cases)
            continue
        kind = schema.kind_of(model)
        numbers[kind] += 1
        yield StepFile(model, mine, model.was or model.id or f"{kind}{numbers[kind]}", cases)
        for number, case in enumerate(model.branch if isinstance(model, schema.BranchStepFile) else ()):
            name = "else" if isinstance(case, schema.ElseFile) else "steps"
            inside = (*mine, "branch", number, name)
            yield from _read_list(case.steps, inside, (*cases, (mine, number)), numbers)


def build_steps(
    model: schema.MeasureFile,
    files: Sequence[StepFile],
    document: Document,
    vocabulary: Vocabulary,
    conditions: ConditionParser,
    *,
    playbook: Playbook,
) -> tuple[Step, ...]:
    """Return the steps in the order of the file."""
    bound = vocabulary
    for name, item in model.objects.items():
        fields = prefixed(playbook.properties, name)
        if isinstance(item, ListFile):
            fields = {f"{name}.count": Term(f"{name}.count", "integer", "zero")}
        bound = bound.with_terms(fields)
    steps: list[Step] = []
    for file in files:
        step = file.model
        when = conditions.parse_optional(step.when, vocabulary, document, (*file.loc, "when"))
        if isinstance(step, schema.MailStepFile):
            send_if = conditions.parse_optional(step.send_if, bound, document, (*file.loc, "send_if"))
            steps.append(_mail(step, file.id, when, send_if))
        elif isinstance(step, schema.BranchStepFile):
            lengths = [
                sum((file.loc, number) in other.cases for other in files)
                for number in range(len(step.branch))
            ]
            asked = _case_conditions(step, file.loc, document, vocabulary, conditions)
            steps.append(Branch(file.id, tuple(map(Case, asked, lengths)), when))
        elif isinstance(step, actions.EmitStepFile):
            values = (
                (name, _emit_value(value, model, playbook)) for name, value in step.emit.properties.items()
            )
            to_referrer = step.emit.to == "referrer"
            steps.append(EmitStep(file.id, step.emit.event, tuple(values), when, to_referrer))
        elif isinstance(step, actions.EndTopicStepFile):
            steps.append(EndTopicStep(file.id, step.end_topic, when))
        elif isinstance(step, actions.NotifyStepFile):
            steps.append(_notify(step.notify, file.id, when))
        else:
            steps.append(_wait(step.wait, file.id, when, playbook))
    return tuple(steps)


def _notify(model: actions.NotifyFile, id_: str, when: Condition | None) -> NotifyStep:
    to = (model.to,) if isinstance(model.to, str) else tuple(model.to)
    due = model.due.business if isinstance(model.due, actions.BusinessTime) else model.due
    return NotifyStep(id_, to, model.mail, due, when)


def _emit_value(value: EmitValue, model: schema.MeasureFile, playbook: Playbook) -> EmitValue:
    """Return the value; a text that names one, or a table, stands for it."""
    if isinstance(value, str) and TABLE.fullmatch(value):
        return find_table(value, playbook)
    if isinstance(value, str) and (value in model.let or _REFERENCE.fullmatch(value)):
        return Reference(value)
    return value


def _case_conditions(
    branch: schema.BranchStepFile,
    loc: Loc,
    document: Document,
    vocabulary: Vocabulary,
    conditions: ConditionParser,
) -> Iterator[Condition | None]:
    """Yield the condition of each case; None for `else`."""
    for number, case in enumerate(branch.branch):
        text = case.when if isinstance(case, schema.CaseFile) else None
        place = (*loc, "branch", number, "when")
        yield conditions.parse_optional(text, vocabulary, document, place)


def outcome_terms(files: Sequence[StepFile]) -> dict[str, Term]:
    """Return the names by which conditions ask how a step ended."""
    names = [f"steps.{file.id}.{part}" for file in files for part in ("outcome", "reason")]
    return {name: Term(name, "text") for name in names}


def _mail(
    model: schema.MailStepFile, id_: str, when: Condition | None, send_if: Condition | None
) -> MailStep:
    calendar = model.calendar
    return MailStep(
        id=id_,
        mail=model.mail,
        when=when,
        send_at=_send_at(model),
        valid_for=model.valid_for,
        send_if=send_if,
        calendar=Calendar(
            calendar.method,
            calendar.uid or DEFAULT_UID,
            calendar.start,
            calendar.end,
            calendar.summary,
            calendar.location or "",
            calendar.zone,
        )
        if calendar
        else None,
    )


def find_table(text: str, playbook: Playbook) -> Table:
    """Return the table that `table(NAME)` names; for one that is not there, which the check reports, an empty one."""
    name = text.removeprefix("table(").removesuffix(")")
    return playbook.tables.get(name) or Table(name, "", {}, "duration", 0)


def _send_at(model: schema.MailStepFile) -> LocalSlot | None:
    return build_slot(model.send_at) if isinstance(model.send_at, Slot) else None


def _wait(model: schema.AnyWait, id_: str, when: Condition | None, playbook: Playbook) -> Step:
    match model:
        case str():
            return WaitFromTable(id_, find_table(model, playbook), when)
        case schema.ForWait():
            return WaitUntilEvent(id_, names_of(model.names), model.at_most, model.key, when)
        case schema.UntilWait():
            return WaitUntilSlot(id_, build_slot(model.until), model.at_least or 0, when)
        case schema.DateWait():
            return WaitUntilDate(id_, model.date, model.offset or 0, model.local_time, when)
        case schema.MomentWait():
            return WaitUntilMoment(id_, model.moment, model.local_time or 0, when)
        case schema.BusinessWait():
            return WaitBusinessTime(id_, *model.business, model.of or "", when)
        case int():
            return WaitFor(id_, model, when)
