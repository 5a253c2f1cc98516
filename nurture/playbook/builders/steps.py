"""The steps of a measure: mails and waits, each with an id that names it for ever."""

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
from nurture.playbook.builders.conditions import Conditions
from nurture.playbook.builders.facts import prefixed
from nurture.playbook.builders.slots import build_slot
from nurture.playbook.document import Document
from nurture.playbook.schema import measure as schema
from nurture.playbook.schema.events import names_of

#: Where a calendar file gives no uid: the appointment itself, so that changes find the entry they change.
DEFAULT_UID = "{{ entity_key }}@nurture"


def build_steps(
    given: schema.MeasureFile,
    document: Document,
    vocabulary: Vocabulary,
    conditions: Conditions,
    *,
    playbook: Playbook,
) -> tuple[Step, ...]:
    """Return the steps in order. A step without an id is named by its mail, or `wait1`, `wait2` ..."""
    bound = vocabulary
    for name in given.objects:
        bound = bound.with_terms(prefixed(playbook.properties, name))
    steps: list[Step] = []
    waits = 0
    for place, step in enumerate(given.steps):
        loc = ("steps", place)
        when = conditions.read(step.when, vocabulary, document, (*loc, "when"))
        if isinstance(step, schema.MailStepFile):
            send_if = conditions.read(step.send_if, bound, document, (*loc, "send_if"))
            steps.append(_mail(step, when, send_if))
        else:
            waits += 1
            steps.append(_wait(step.wait, step.id or f"wait{waits}", when))
    return tuple(steps)


def _mail(given: schema.MailStepFile, when: Condition | None, send_if: Condition | None) -> MailStep:
    calendar = given.calendar
    return MailStep(
        id=given.id or given.mail,
        mail=given.mail,
        when=when,
        send_at=_send_at(given),
        valid_for=given.valid_for,
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


def _send_at(given: schema.MailStepFile) -> LocalSlot | None:
    return build_slot(given.send_at) if isinstance(given.send_at, schema.Slot) else None


def _wait(given: schema.AnyWait, id_: str, when: Condition | None) -> Step:
    match given:
        case schema.ForWait():
            return WaitUntilEvent(id_, names_of(given.names), given.at_most, given.key, when)
        case schema.UntilWait():
            return WaitUntilSlot(id_, build_slot(given.until), given.at_least or 0, when)
        case schema.DateWait():
            return WaitUntilDate(id_, given.date, given.offset or 0, given.local_time, when)
        case int():
            return WaitFor(id_, given, when)
