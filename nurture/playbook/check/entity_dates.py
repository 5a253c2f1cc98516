"""Check triggers on a date of an entity, `{date: contract.renews_at, offset: -30d}`, and on a moment."""

from nurture.domain.instant import format_duration
from nurture.domain.measure import OnEntityDate, OnMoment
from nurture.domain.playbook import EntityKind, field_terms
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc
from nurture.playbook.fault import format_names
from nurture.playbook.folder import PROGRAMME
from nurture.playbook.schema.triggers import DateTrigger

_LOC: Loc = ("trigger", "date")


def check_entity_date(check: MeasureCheck, trigger: OnEntityDate) -> None:
    """Check the entity and its field, and that each entity is told again when its date moves."""
    kind = check.playbook.entities.get(trigger.entity)
    if kind is None:
        what = f"no entity `{trigger.entity}`"
        if trigger.entity not in check.entities():
            known = format_names(check.playbook.entities, most=40)
            check.fault(_LOC, what, f"known: {known}; a fact has no dot in its name")
        return
    _check_field(check, kind, trigger.field)
    if check.model.entity not in (None, trigger.entity):
        what = f"`entity: {check.model.entity}`, but the date is one of {trigger.entity}"
        check.fault(("entity",), what, f"write `entity: {trigger.entity}`, or remove it")
    model = check.model.trigger
    if isinstance(model, DateTrigger) and model.yearly:
        change = "remove `yearly`, or name a fact: `{first: ...}` or `{trait: ...}`"
        check.fault(("trigger", "yearly"), "`yearly` on a date of an entity", change)
    _check_memory(check, kind)
    once = check.measure.once
    if once.per == "contact" and once.again_after is None:
        what = f"once per contact, so only the first {trigger.entity} is ever told"
        change = "remove `once` (once per occasion: the entity and the day), or write `once: per entity`"
        check.fault(("once",), what, change)


def check_moment(check: MeasureCheck, trigger: OnMoment) -> None:
    """Check that the moment is declared, and that more than its first day starts a run."""
    known = check.known("moments", check.playbook.moments)
    check.require_known(("trigger", "moment"), "moment", trigger.moment, known)
    once = check.measure.once
    if once.per == "contact" and once.again_after is None:
        what = "a moment, but once per contact, so only its first day starts a run"
        check.fault(("once",), what, "remove `once` (once per occasion: each day), or write `once: per year`")


def _check_memory(check: MeasureCheck, kind: EntityKind) -> None:
    """Require a `remember` for things whose date lies ahead: by default one of them is forgotten after 30 days."""
    model = check.programme.entities.get(kind.name)
    if model is not None and model.remember is None and not kind.lines_of:
        days = format_duration(kind.remember)
        what = f"the {kind.name} is forgotten {days} after its last event once another {kind.name} is told"
        change = f"add `remember:` to {kind.name} in playbook.yaml, as long as its date may lie ahead, such as 800d"
        check.fault(_LOC, what, change)


def _check_field(check: MeasureCheck, kind: EntityKind, field: str) -> None:
    worked_out, declared = field_terms(kind, {}), check.programme.properties
    if field in declared:
        if declared[field] not in ("instant", "date"):
            change = f"declare `{field}: instant` under `properties` in playbook.yaml"
            check.fault(_LOC, f"`{field}` is declared as {declared[field]}", change)
    elif field in worked_out:
        if worked_out[field].type != "instant":
            check.fault(_LOC, f"`{field}` of {kind.name} is no date", "name `due_at` or `last_at`")
    elif field == "due_at" and kind.lines_of:
        change = f"add `due: {{usual: 45d, weight: 3}}` to {kind.name} in playbook.yaml"
        check.fault(_LOC, f"{kind.name} has no `due`, so nothing is ever due", change)
    elif field not in check.faults.broken_names(PROGRAMME, "properties"):
        change = f"declare `{field}: instant` under `properties` in playbook.yaml"
        check.fault(_LOC, f"`{field}` is not declared as instant", change)
