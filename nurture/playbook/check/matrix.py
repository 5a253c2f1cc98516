"""Do not sell too early: each call to action must be one that its stage may make."""

import re

from nurture.domain.consent.requests import ADDRESS_CHANGED_EVENT, REQUEST_EVENT
from nurture.domain.measure import LetCoupon, OnEvent
from nurture.playbook.check.case import Case
from nurture.playbook.check.template_text import literal, outputs
from nurture.playbook.folder import PROGRAMME

#: Words in a link that sell, whatever the mail calls itself.
_SELLING = re.compile(r"(?<![a-z])(price|prices|pricing|cart|carts|checkout)(?![a-z])", re.IGNORECASE)
_BRAND = re.compile(r"\bbrand\.([A-Za-z_][A-Za-z0-9_]*)")
_KEY = re.compile(r"\b[A-Za-z0-9_]+_id\b")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_matrix(case: Case) -> None:
    """Check kind and link of the measure's call to action against the stages it reaches."""
    kind, known = case.measure.action.kind, case.known("actions", case.programme.actions)
    loc = ("call_to_action", "kind")
    case.name(loc, "kind of action", kind, known)
    if kind not in case.programme.actions:
        return
    sells = case.programme.actions[kind].sells
    reason = selling_reason(case)
    if reason and not sells:
        selling = sorted(name for name, action in case.programme.actions.items() if action.sells)
        what = f"the link sells ({reason}), `{kind}` does not say so"
        change = f"link elsewhere, or declare a kind that sells: {', '.join(selling) or '(none yet)'}"
        case.fault(("call_to_action", "link"), what, change)
    if sells and not case.is_marketing:
        change = "selling is marketing and needs consent; use purpose sales, or ask for something else"
        case.fault(("purpose",), f"a {case.measure.purpose} mail that sells", change)
    _check_stage(case, kind, sells=sells)


def check_recipient(case: Case) -> None:
    """Check that only a request on our own pages leads mail to another address than the person's."""
    measure = case.measure
    if measure.to == "person":
        return
    wanted = REQUEST_EVENT if measure.to == "new_address" else ADDRESS_CHANGED_EVENT
    names = measure.trigger.names if isinstance(measure.trigger, OnEvent) else ()
    if measure.purpose != "transactional" or names != (wanted,) or measure.track != "any":
        change = f"use it under any/, with purpose transactional and the event `{wanted}` as its trigger"
        case.fault(("to",), f"`{measure.to}` for a mail that no such request began", change)


def selling_reason(case: Case) -> str:
    """Return what in the link sells, or nothing."""
    link = case.measure.action.link
    code = " ".join(outputs(link))
    brand = [str(case.playbook.brand.get(name, "")) for name in _BRAND.findall(code)]
    # A key names a thing (`entity.cart_id`); an address of data's own may well sell (`event.checkout_url`).
    word = _SELLING.search(" ".join([literal(link), _KEY.sub("", code), *brand]))
    if word is not None:
        return f"`{word[0]}`"
    coupons = {name for name, let in case.measure.let.items() if isinstance(let, LetCoupon)}
    return next((f"the coupon `{name}`" for name in _NAME.findall(code) if name in coupons), "")


def _check_stage(case: Case, kind: str, *, sells: bool) -> None:
    measure, playbook = case.measure, case.playbook
    loc = ("call_to_action", "kind")
    if case.faults.has_broken(PROGRAMME, "stages"):
        return
    if measure.track == "any" and sells:
        case.fault(loc, f"`{kind}` sells, under any/", "move it to the track and stage that may ask it")
        return
    stages = [stage for stage in playbook.stages if measure.track in ("any", stage.track)]
    if measure.stage != "any":
        here = [stage for stage in stages if stage.name == measure.stage]
        if here and kind not in here[0].may_ask:
            change = f"ask one of {', '.join(sorted(here[0].may_ask)) or '(nothing)'}, or move the folder"
            case.fault(loc, f"stage {measure.stage} may not ask `{kind}`", change)
        return
    asking = [stage.name for stage in stages if kind in stage.may_ask]
    if not asking and stages:
        case.fault(loc, f"no stage of this track may ask `{kind}`", "see `may_ask` in playbook.yaml")
    elif sells and measure.track == "lead":
        # Everybody on the lead track, from the first minute on, would be sold to.
        what = f"`{kind}` sells to leads of every stage"
        case.fault(loc, what, f"move the folder under lead/{asking[0]}/")
