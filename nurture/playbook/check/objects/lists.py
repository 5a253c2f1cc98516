"""Check the objects that a measure's mails show: their kinds and keys, and the lists of them."""

import json
import re
from collections.abc import Iterable, Iterator

from nurture.domain.measure import (
    MailStep,
    ObjectBinding,
    ObjectList,
    OnConsent,
    OnEvent,
    OnMilestone,
    OnObject,
    OnStage,
    conditions_of_step,
)
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.template_text import pieces
from nurture.playbook.document import Loc
from nurture.playbook.folder import PROGRAMME, SAMPLE
from nurture.playbook.schema.object_lists import ListFile

#: Triggers by an event, which a run can quote.
EventLike = OnEvent | OnMilestone | OnObject | OnStage | OnConsent


def check_objects(check: MeasureCheck) -> None:
    """Check the objects and lists of one measure."""
    for name, rule in check.measure.objects.items():
        loc = ("objects", name)
        known = check.known("objects", check.playbook.objects)
        check.require_known((*loc, "kind"), "object", rule.kind, known)
        if isinstance(rule, ObjectBinding):
            _check_path(check, (*loc, "key"), rule.key)
            continue
        model = check.model.objects[name]
        if isinstance(model, ListFile):
            _check_list(check, loc, rule, model)
            _check_sample(check, name)
            _check_use(check, name)


def _check_path(check: MeasureCheck, loc: Loc, path: str) -> None:
    """Check that a path to keys of objects leads somewhere."""
    root, _, field = path.partition(".")
    if root == "entity" and field and check.measure.entity is None:
        check.fault(loc, f"`{path}`, but the run has no entity", "add `entity:`")
    if root == "contact" and field:
        check.require_known(loc, "fact", field, check.known("facts", check.playbook.facts))
    if (not field or root == "event") and not isinstance(check.measure.trigger, EventLike):
        what = f"`{path}` is read from the trigger's event, and this trigger has none"
        check.fault(loc, what, "write entity.FIELD or contact.FACT")


def _check_list(check: MeasureCheck, loc: Loc, rule: ObjectList, model: ListFile) -> None:
    named = "goes_with" if rule.goes_with else "keys"
    if model.keys is not None and model.goes_with is not None:
        change = "keep `keys` for these objects themselves, or `goes_with` for those that go with them"
        check.fault((*loc, "goes_with"), "both `keys` and `goes_with`", change)
    if rule.keys:
        _check_path(check, (*loc, named), rule.keys)
        _check_lines(check, (*loc, named), rule.keys)
    elif rule.top is None:
        what = f"a list of every {rule.kind} without an end"
        check.fault(loc, what, "add `top: 3`, or `keys:`")
    if model.at_least is None:
        change = "add `at_least: 1`, or 0 if the mail stands without it"
        check.fault(loc, "a list and no `at_least`", change)
    elif rule.top is not None and rule.at_least > rule.top:
        what = f"at least {rule.at_least} of at most {rule.top}: the mail never leaves"
        check.fault((*loc, "at_least"), what, "raise `top`, or lower `at_least`")
    values = check.known("values", check.playbook.values)
    value = check.playbook.values.get(rule.ranking)
    kind = check.playbook.objects.get(rule.kind)
    # A value of a kind of object is kept by the property that names an object.
    is_of_kind = value is None or kind is None or value.of == kind.key
    if rule.ranking and not (rule.ranking in values and is_of_kind):
        change = f"write newest, oldest or the name of a value `of: {rule.kind}`"
        check.fault((*loc, "order"), f"{rule.kind} has no value `{rule.order}`", change)
    if rule.fresh and kind is not None and not kind.read_by:
        change = f"add `read_by: [EVENT]` to `{rule.kind}` in playbook.yaml, or leave `fresh` out"
        check.fault((*loc, "fresh"), f"fresh, but {rule.kind} has no `read_by`", change)
    _check_where(check, (*loc, "where"), rule)


def _check_lines(check: MeasureCheck, loc: Loc, path: str) -> None:
    """Check that a path through lines starts at lines that the entity has."""
    root, field, *inner = path.split(".")
    kind = check.playbook.entities.get(check.measure.entity or "") if root == "entity" else None
    if not inner or kind is None:
        return
    known = {"lines", *((kind.lines.source,) if kind.lines is not None and kind.lines.source else ())}
    if kind.lines is None:
        check.fault(loc, f"`{path}`, but {kind.name} has no lines", f"add `lines:` to `{kind.name}`")
    elif field not in known:
        check.fault(loc, f"{kind.name} has no list `{field}`", f"write entity.lines.{inner[0]}")


def _check_where(check: MeasureCheck, loc: Loc, rule: ObjectList) -> None:
    terms = rule.where.terms if rule.where is not None else frozenset()
    roots = {term.partition(".")[0] for term in terms if "." in term}
    if "entity" in roots and check.measure.entity is None:
        check.fault(loc, "`entity.` is read, but the run has no entity", "add `entity:`")
    if "event" in roots and not isinstance(check.measure.trigger, EventLike):
        check.fault(loc, "`event.` is read, but this trigger has no event", "read a fact instead")


def _check_sample(check: MeasureCheck, name: str) -> None:
    """Check that the sample holds a list under the list's name."""
    text = check.draft.folder.files.get(SAMPLE, "")
    try:
        sample = json.loads(text)
    except (ValueError, RecursionError):
        return
    objects = sample.get("objects") if isinstance(sample, dict) else None
    value = objects.get(name) if isinstance(objects, dict) else None
    if value is not None and not isinstance(value, list):
        line = text.count("\n", 0, max(text.find(json.dumps(name)), 0)) + 1
        change = f'write {{"objects": {{"{name}": [{{...}}, {{...}}]}}}}'
        check.faults.add(check.draft.folder.file(SAMPLE), line, f"`{name}` is a list of objects", change)


def _check_use(check: MeasureCheck, name: str) -> None:
    """Warn of a list that nothing reads: it can only withhold mail."""
    if check.faults.has_broken(PROGRAMME, "facts") or not check.sends_mail:
        return
    asked = any(
        f"{name}.count" in condition.terms
        for step in check.measure.steps
        for condition in conditions_of_step(step)
        if condition is not None
    )
    word = re.compile(rf"\b{re.escape(name)}\b")
    if not asked and not any(word.search(code) for code in _code_of_mails(check)):
        change = (
            f"write {{% for item in {name} %}} into a mail, ask `{name}.count` in a `send_if`, or remove it"
        )
        check.warn(("objects", name), f"no mail, link or condition reads `{name}`", change)


def _code_of_mails(check: MeasureCheck) -> Iterator[str]:
    """Yield the code of the measure's mails, link and calendars."""
    calendars = (
        step.calendar for step in check.measure.steps if isinstance(step, MailStep) and step.calendar
    )
    texts: list[str] = [
        *(text for path, text in check.draft.folder.files.items() if path.endswith((".mjml", ".txt"))),
        check.measure.action.link,
        *(text for item in calendars for text in (item.start, item.end, item.summary, item.location)),
    ]
    return _codes(texts)


def _codes(texts: Iterable[str]) -> Iterator[str]:
    return (piece.text for text in texts for piece in pieces(text) if piece.kind in ("output", "statement"))
