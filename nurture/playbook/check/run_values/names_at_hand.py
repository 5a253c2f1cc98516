"""Check that the trigger brings what waits, promises, events and samples read: `event.`, `entity.` and `let` values."""

import json
from collections.abc import Iterator
from typing import Final

from nurture.domain.measure import EmitStep, LetBusiness, MailStep, Reference, WaitUntilDate
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.objects.lists import EventLike
from nurture.playbook.document import Loc
from nurture.playbook.folder import SAMPLE

_NO_EVENT: Final = "this trigger has no event"
_NO_ENTITY: Final = "the run has no entity"


def check_names_at_hand(check: MeasureCheck) -> None:
    """Check the names that are no conditions: of dates, of promises, of events handed in, and of the sample."""
    if check.is_broken("trigger") or check.is_broken("entity"):
        return
    for loc, name in _names(check):
        if name.startswith("event.") and not _has_event(check):
            check.fault(
                loc, f"`{name}` is read, but {_NO_EVENT}", "name entity.FIELD, a fact or a `let` value"
            )
    _check_lets_of_events(check)
    _check_sample(check)


def _has_event(check: MeasureCheck) -> bool:
    return isinstance(check.measure.trigger, EventLike)


def _names(check: MeasureCheck) -> Iterator[tuple[Loc, str]]:
    """Yield each name outside conditions with its place."""
    for place, step in enumerate(check.measure.steps):
        match step:
            case WaitUntilDate(date=name):
                yield check.step_loc(place, "wait", "date"), name
            case EmitStep(properties=properties):
                for property_name, value in properties:
                    if isinstance(value, Reference):
                        yield check.step_loc(place, "emit", "properties", property_name), value.name
            case _:
                pass
    for let, rule in check.measure.let.items():
        if isinstance(rule, LetBusiness) and rule.given:
            yield ("let", let, "given"), rule.given


def _check_lets_of_events(check: MeasureCheck) -> None:
    """Check that a mail has fixed each `let` value before an event hands it in; otherwise it would be left out."""
    outline = check.measure.outline
    for place, step in enumerate(check.measure.steps):
        if not isinstance(step, EmitStep):
            continue
        if any(isinstance(check.measure.steps[before], MailStep) for before in outline.on_the_way_to(place)):
            continue
        for name, value in step.properties:
            if isinstance(value, Reference) and value.name in check.measure.let:
                what = f"`{value.name}` is fixed by the first mail and unknown before it"
                loc = check.step_loc(place, "emit", "properties", name)
                check.fault(loc, what, "hand the event in behind a mail")


def _check_sample(check: MeasureCheck) -> None:
    """Warn of values in the sample that no mail of the measure has: with them a template renders that never will."""
    path = check.draft.folder.file(SAMPLE)
    text = check.draft.folder.files.get(SAMPLE)
    if text is None or check.faults.is_broken(path, ()):
        return
    sample = json.loads(text)
    missing = [("event", _NO_EVENT, _has_event(check)), ("entity", _NO_ENTITY, bool(check.measure.entity))]
    for name, reason, is_known in missing:
        if sample.get(name) and not is_known:
            line = text.count("\n", 0, max(text.find(f'"{name}"'), 0)) + 1
            change = "remove it there, so that the check finds mails that read it"
            check.faults.add_warning(path, line, f"`{name}` in the sample, but {reason}", change)
