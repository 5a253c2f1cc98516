"""Check a measure's call to action: its stage allows the kind, and a link that sells is declared as one."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from nurture.domain.consent.requests import ADDRESS_CHANGED_EVENT, ADDRESS_REQUESTED_EVENT, REQUEST_EVENT
from nurture.domain.measure import (
    LetCoupon,
    Measure,
    OnCondition,
    OnDate,
    OnEntityDate,
    OnEvent,
    OnMilestone,
    OnMoment,
    OnObject,
    OnOps,
    OnQuiet,
    OnSchedule,
    OnStage,
)
from nurture.domain.playbook import Stage
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.template_text import literal, pieces
from nurture.playbook.folder import PROGRAMME

#: Words of a link that sells, of any kind.
_SELLING = re.compile(r"(?<![a-z])(price|prices|pricing|cart|carts|checkout)(?![a-z])", re.IGNORECASE)
_BRAND = re.compile(r"\bbrand\.([A-Za-z_][A-Za-z0-9_]*)")
_KEY = re.compile(r"\b[A-Za-z0-9_]+_id\b")
#: In `of` of an action: a watch list on which the person stands by an act of their own.
WATCH: Final = "watch"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_call_to_action(check: MeasureCheck) -> None:
    """Check kind and link of the measure's call to action against the stages it reaches."""
    kind, known = check.measure.action.kind, check.known("actions", check.programme.actions)
    if not kind:
        # A measure of actions only has none; a missing one is reported already.
        return
    loc = ("call_to_action", "kind")
    check.require_known(loc, "kind of action", kind, known)
    if kind not in check.programme.actions:
        return
    sells = check.programme.actions[kind].sells
    reason = selling_reason(check, check.measure.action.link)
    if reason and not sells:
        selling = sorted(name for name, action in check.programme.actions.items() if action.sells)
        what = f"the link sells ({reason}), `{kind}` does not say so"
        change = f"link elsewhere, or declare a kind that sells: {', '.join(selling) or '(none yet)'}"
        check.fault(("call_to_action", "link"), what, change)
    if sells and not check.is_marketing:
        change = "selling is marketing and needs consent; use purpose sales, or ask for something else"
        check.fault(("purpose",), f"a {check.measure.purpose} mail that sells", change)
    if kind in check.playbook.price_bounds and not check.measure.objects and not check.is_broken("objects"):
        what = f"`{kind}` without an object: its price cannot be read"
        check.fault(
            loc, what, "bind what the mail sells under `objects`, so that `price` is read as it is sent"
        )
    _check_early(check, sells=sells, began=check.programme.actions[kind].of is not None)
    _check_stage(check, kind, sells=sells)


#: Recipient other than the person -> the events of requests that may send mail there.
_EVENTS_OF_REQUESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "new_address": (REQUEST_EVENT,),
    "old_address": (ADDRESS_REQUESTED_EVENT, ADDRESS_CHANGED_EVENT),
}


def check_recipient(check: MeasureCheck) -> None:
    """Check that only requests from the public pages send mail to another address than the person's."""
    measure = check.measure
    if measure.to == "person":
        return
    wanted = _EVENTS_OF_REQUESTS[measure.to]
    names = measure.trigger.names if isinstance(measure.trigger, OnEvent) else ()
    is_wanted = bool(names) and set(names) <= set(wanted)
    if measure.purpose != "transactional" or not is_wanted or measure.track != "any":
        event = " or ".join(f"`{name}`" for name in wanted)
        change = f"use it under any/, with purpose transactional and the event {event} as its trigger"
        check.fault(("to",), f"`{measure.to}` for a mail that no such request began", change)


def selling_reason(check: MeasureCheck, link: str) -> str:
    """Return the part of a link, with its code, that sells; "" when none does."""
    code = " ".join(piece.text for piece in pieces(link) if piece.kind in ("output", "statement"))
    brand = [str(check.playbook.brand.get(name, "")) for name in _BRAND.findall(code)]
    # A key such as `entity.cart_id` only names a thing; a URL from data (`event.checkout_url`) may sell.
    word = _SELLING.search(" ".join([literal(link), _KEY.sub("", code), *brand]))
    if word is not None:
        return f"`{word[0]}`"
    coupons = {name for name, let in check.measure.let.items() if isinstance(let, LetCoupon)}
    return next((f"the coupon `{name}`" for name in _NAME.findall(code) if name in coupons), "")


def _check_stage(check: MeasureCheck, kind: str, *, sells: bool) -> None:
    measure, playbook = check.measure, check.playbook
    loc = ("call_to_action", "kind")
    if check.faults.has_broken(PROGRAMME, "stages"):
        return
    if measure.track == "any" and sells:
        check.fault(loc, f"`{kind}` sells, under any/", "move it to the track and stage that may ask it")
        return
    began = check.programme.actions[kind].of
    if began is not None:
        _check_resumed(check, kind, began)
        return
    stages = [stage for stage in playbook.stages if measure.track in ("any", stage.track)]
    if measure.stage != "any":
        allowed = _asked_up_to(stages, measure.stage)
        if allowed is not None and kind not in allowed:
            change = f"ask one of {', '.join(sorted(allowed)) or '(nothing)'}, or move the folder"
            check.fault(loc, f"stage {measure.stage} may not ask `{kind}`", change)
        return
    asking = [stage.name for stage in stages if kind in stage.may_ask]
    if not asking and stages:
        check.fault(loc, f"no stage of this track may ask `{kind}`", "see `may_ask` in playbook.yaml")
    elif sells and not measure.early:
        # It would reach everybody on the track from the first minute on.
        what = f"`{kind}` sells to {measure.track}s of every stage"
        change = f'move the folder under {measure.track}/{asking[0]}+/, or say why: early: "..."'
        check.fault(loc, what, change)


def is_early(measure: Measure, *, sells: bool, began: bool) -> bool:
    """Tell whether the measure sells to people of every stage of a track. began: it goes on with what they began."""
    return sells and not began and measure.track != "any" and measure.stage == "any"


def _check_early(check: MeasureCheck, *, sells: bool, began: bool) -> None:
    if check.measure.early and not is_early(check.measure, sells=sells, began=began):
        what = "`early` explains a measure that sells in every stage of a track, and this one does not"
        check.warn(("early",), what, "remove it")


def allowed_kinds(check: MeasureCheck) -> frozenset[str] | None:
    """Return the kinds of action that the measure's place may ask for; None where the stages are unclear."""
    measure = check.measure
    if check.faults.has_broken(PROGRAMME, "stages"):
        return None
    stages = [stage for stage in check.playbook.stages if measure.track in ("any", stage.track)]
    if measure.stage != "any":
        return _asked_up_to(stages, measure.stage)
    return frozenset().union(*(stage.may_ask for stage in stages))


def _asked_up_to(stages: Sequence[Stage], name: str) -> frozenset[str] | None:
    """Return what a stage may ask for: its own kinds and those of the stages before it; None for no such stage."""
    allowed: frozenset[str] = frozenset()
    for stage in stages:
        allowed |= stage.may_ask
        if stage.name == name:
            return allowed
    return None


def _check_resumed(check: MeasureCheck, kind: str, began: Sequence[str]) -> None:
    """Check that a measure whose action goes on with something begun starts on that thing, or on the person's watch."""
    measure, trigger = check.measure, check.measure.trigger
    match trigger:
        case OnObject(to_audience=False) if _is_own_watch(check):
            what = WATCH
        case OnQuiet(entity=entity) | OnEntityDate(entity=entity):
            what = entity
        case OnEvent():
            what = measure.entity or ""
        case _:
            what = ""
    if what in began or check.is_broken("trigger"):
        return
    wanted = [name if name != WATCH else "a watch" for name in began]
    words = " or ".join([", ".join(wanted[:-1]), wanted[-1]] if len(wanted) > 1 else wanted)
    change = f"start it on {words} of the person's own, or ask for another kind of action"
    check.fault(("trigger",), f"`{kind}` needs a trigger on {words}: this one is {_words_of(check)}", change)


def _is_own_watch(check: MeasureCheck) -> bool:
    """Tell whether people stand on the lists of the measure's trigger by an act of their own."""
    on = check.measure.trigger
    kind = check.playbook.objects.get(on.kind) if isinstance(on, OnObject) else None
    lists = on.lists if isinstance(on, OnObject) else ()
    return kind is None or all(watch.asked_for for watch in kind.lists if watch.name in lists)


def _words_of(check: MeasureCheck) -> str:
    """Return the measure's trigger in words."""
    entity = check.measure.entity
    match check.measure.trigger:
        case OnEvent():
            return f"an event about the {entity}" if entity else "an event about no entity"
        case OnObject(to_audience=True):
            return "an object's event for an audience"
        case OnQuiet(entity=name):
            return f"the silence of the {name}"
        case OnEntityDate(entity=name):
            return f"a date of the {name}"
        case trigger:
            return {
                OnObject: "an object that people watch",
                OnCondition: "a condition",
                OnMilestone: "a milestone",
                OnStage: "a stage",
                OnDate: "a date",
                OnSchedule: "a schedule",
                OnMoment: "a moment",
                OnOps: "a send by hand",
            }.get(type(trigger), "another one")
