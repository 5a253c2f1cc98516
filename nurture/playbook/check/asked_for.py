"""Check `asked_for`: the trigger must be a request of the person, so that nobody declares a campaign as one."""

from collections.abc import Iterator

from nurture.domain.measure import OnEvent, OnObject, OnOps
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.fault import format_names
from nurture.playbook.folder import PROGRAMME


def check_asked_for(check: MeasureCheck) -> None:
    """Check that the measure's trigger is an event of `requests`, or an object watched because of one."""
    measure = check.measure
    if not measure.asked_for or check.is_broken("trigger") or check.faults.has_broken(PROGRAMME, "requests"):
        return
    loc = ("asked_for",)
    if isinstance(measure.trigger, OnOps):
        check.fault(loc, "asked_for on ops", "remove it: an operator decides this mail, not the person")
        return
    if isinstance(measure.trigger, OnObject) and measure.trigger.lists:
        _check_lists(check, measure.trigger)
        return
    requests = {name for match in check.playbook.requests for name in match.names}
    if not requests:
        check.fault(loc, "asked_for, but playbook.yaml names no requests", "add `requests: [EVENT]` there")
        return
    wrong = next(_unrequested(check, requests), None)
    if wrong is not None:
        change = f"name one of requests: {format_names(frozenset(requests), most=40)}{wrong}"
        check.fault(loc, "asked_for, but this trigger is no request of the person's", change)


def _check_lists(check: MeasureCheck, on: OnObject) -> None:
    """Check that people ask for the mail by one of the lists that the trigger names."""
    kind = check.playbook.objects.get(on.kind)
    watches = [watch for watch in (kind.lists if kind is not None else ()) if watch.name in on.lists]
    if watches and not any(watch.asked_for for watch in watches):
        names = " and ".join(f"`{watch.name}`" for watch in watches)
        change = f"say `asked_for: true` on one of them under `watchers` of `{on.kind}` in playbook.yaml"
        check.fault(("asked_for",), f"asked_for, but nobody asks by {names}", change)


def _unrequested(check: MeasureCheck, requests: set[str]) -> Iterator[str]:
    """Yield, as the end of the remedy, what of the trigger is no request."""
    trigger = check.measure.trigger
    match trigger:
        case OnEvent(names=names):
            yield from (f"; `{name}` is none" for name in names if name not in requests)
        case OnObject(to_audience=True):
            yield "; an audience has asked for nothing"
        case OnObject(kind=name):
            kind = check.playbook.objects.get(name)
            if kind is not None and requests.isdisjoint(kind.watched_from):
                yield f"; nobody watches a {name} because of one"
        case _:
            yield ""
