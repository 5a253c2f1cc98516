"""Check who signs a measure's mail and whose hours its promises count."""

from nurture.domain.measure import LetBusiness, NotifyStep, WaitBusinessTime
from nurture.domain.playbook import FoldFact, TraitFact
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc
from nurture.playbook.fault import format_names

_FACT = "contact."


def check_owners(check: MeasureCheck) -> None:
    """Check the measure's `sender`, and the owners of its promises, waits in business time and mails to the house."""
    measure = check.measure
    if measure.sender:
        _require_owner(check, ("sender",), measure.sender)
    for name, rule in check.model.let.items():
        loc: Loc = ("let", name)
        built = measure.let.get(name)
        if isinstance(built, LetBusiness):
            _check_promise(check, loc, built)
        elif getattr(rule, "of", None) or getattr(rule, "given", None):
            change = "write {in: {business: 1d}}, or leave `of` and `given` out"
            check.fault(loc, "`of` or `given` without business time", change)
    for place, step in enumerate(measure.steps):
        if isinstance(step, WaitBusinessTime):
            _check_promise(check, check.step_loc(place, "wait"), step)
        elif isinstance(step, NotifyStep):
            _check_told(check, place, step)


def _check_told(check: MeasureCheck, place: int, step: NotifyStep) -> None:
    """Check the owners of a `notify`, and that the first one has the hours that its due time counts."""
    loc = check.step_loc(place, "notify", "to")
    for number, name in enumerate(step.to):
        here = (*loc, number) if len(step.to) > 1 else loc
        _require_owner(check, here, name)
        if name in step.to[:number]:
            check.fault(here, f"owner `{name}` is told twice", "name each one once")
    if isinstance(step.due, tuple):
        _require_calendar(check, check.step_loc(place, "notify", "due"), step.to[0])


def _check_promise(check: MeasureCheck, loc: Loc, rule: LetBusiness | WaitBusinessTime) -> None:
    name = rule.owner or check.measure.sender
    if not name:
        what = "business time of nobody's calendar"
        check.fault(loc, what, "add `of:`, one of the playbook's owners, or `sender:` to the measure")
        return
    if rule.owner:
        _require_owner(check, (*loc, "of"), rule.owner)
    _require_calendar(check, (*loc, "of") if rule.owner else loc, name)


def _require_calendar(check: MeasureCheck, loc: Loc, name: str) -> None:
    owner = check.playbook.owners.get(name)
    if (
        owner is not None
        and owner.calendar is None
        and not check.faults.has_broken("playbook.yaml", "calendars")
    ):
        what = f"owner `{name}` has no calendar"
        check.fault(loc, what, "add `calendar:` to it in playbook.yaml")


def _require_owner(check: MeasureCheck, loc: Loc, name: str) -> None:
    """Require a declared owner, or a fact of the contact that may hold an owner's name."""
    owners = check.known("owners", check.playbook.owners)
    if not name.startswith(_FACT):
        check.require_known(loc, "owner", name, owners)
        return
    fact_name = name.removeprefix(_FACT)
    facts = check.playbook.facts
    if fact_name not in check.known("facts", facts):
        check.fault(loc, f"no fact `{fact_name}`", f"known: {format_names(facts, most=40)}")
    elif fact_name in facts and not _may_name_owner(facts[fact_name]):
        change = "use a trait or the latest value of a property, type text"
        check.fault(loc, f"`{fact_name}` never holds an owner's name", change)
    elif not owners:
        check.fault(loc, "the playbook has no owners", "declare them under `owners` in playbook.yaml")


def _may_name_owner(fact: object) -> bool:
    if isinstance(fact, TraitFact):
        return fact.type == "text"
    return isinstance(fact, FoldFact) and fact.fold == "latest" and fact.type == "text"
