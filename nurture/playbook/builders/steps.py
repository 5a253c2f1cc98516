"""Build the steps of a measure: mails and waits. A step's id never changes, because runs refer to it."""

from nurture.domain.conditions import Condition, Vocabulary
from nurture.domain.measure import (
    Calendar,
    LocalSlot,
    MailStep,
    Step,
    WaitFor,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilSlot,
)
from nurture.domain.playbook import Playbook
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.builders.facts import prefixed
from nurture.playbook.builders.slots import build_slot
from nurture.playbook.document import Document
from nurture.playbook.schema import measure as schema
from nurture.playbook.schema.events import names_of
from nurture.playbook.schema.triggers import Slot

#: The UID of a calendar file without `uid`: the entity's key, so that a change updates the same entry.
DEFAULT_UID = "{{ entity_key }}@nurture"


def build_steps(
    model: schema.MeasureFile,
    document: Document,
    vocabulary: Vocabulary,
    conditions: ConditionParser,
    *,
    playbook: Playbook,
) -> tuple[Step, ...]:
    """Return the steps in order. The id of a step without one is its mail, or `wait1`, `wait2` ...

    A renamed step (`was`) keeps its first id, because runs and messages have that.
    """
    bound = vocabulary
    for name in model.objects:
        bound = bound.with_terms(prefixed(playbook.properties, name))
    steps: list[Step] = []
    waits = 0
    for place, step in enumerate(model.steps):
        loc = ("steps", place)
        when = conditions.parse_optional(step.when, vocabulary, document, (*loc, "when"))
        if isinstance(step, schema.MailStepFile):
            send_if = conditions.parse_optional(step.send_if, bound, document, (*loc, "send_if"))
            steps.append(_mail(step, when, send_if))
        else:
            waits += 1
            steps.append(_wait(step.wait, step.was or step.id or f"wait{waits}", when))
    return tuple(steps)


def _mail(model: schema.MailStepFile, when: Condition | None, send_if: Condition | None) -> MailStep:
    calendar = model.calendar
    return MailStep(
        id=model.was or model.id or model.mail,
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


def _send_at(model: schema.MailStepFile) -> LocalSlot | None:
    return build_slot(model.send_at) if isinstance(model.send_at, Slot) else None


def _wait(model: schema.AnyWait, id_: str, when: Condition | None) -> Step:
    match model:
        case schema.ForWait():
            return WaitUntilEvent(id_, names_of(model.names), model.at_most, model.key, when)
        case schema.UntilWait():
            return WaitUntilSlot(id_, build_slot(model.until), model.at_least or 0, when)
        case schema.DateWait():
            return WaitUntilDate(id_, model.date, model.offset or 0, model.local_time, when)
        case int():
            return WaitFor(id_, model, when)
