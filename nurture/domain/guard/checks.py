"""The checks of the guard, one function each: text when the check passes, a `Refusal` when it fails.

A check reads its `CheckContext`, changes nothing and does not depend on the other checks. `domain.guard.decide`
holds their order and turns a refusal into a verdict.
"""

from nurture.domain.conditions import Condition, Truth
from nurture.domain.consent.permissions import EVERYTHING, state_for_topic
from nurture.domain.contact import PersonRequest
from nurture.domain.feedback import CONFIRMABLE
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH, CheckContext, Refusal
from nurture.domain.guard.sends import RATE_REASON
from nurture.domain.instant import HOUR, MINUTE, SECOND, Duration, Instant, format_duration, to_iso
from nurture.domain.journey.run_entity import entity_reason
from nurture.domain.measure import MARKETING, MARKETING_SWITCH, LetEndOfMonth, LocalSlot
from nurture.domain.timing import (
    end_of_month,
    next_outside_quiet_hours,
    next_slot,
    start_of_next_month,
    to_local,
)

#: How long after its local time a step may still be sent on the same day; later it waits for the next slot.
SLOT_WINDOW: Duration = 4 * HOUR
#: A message stopped by a hold or a series, which an event may end at any moment, is checked again after this long.
RECHECK_AFTER: Duration = 4 * HOUR
#: A message stopped by a pause is checked again after this long; resuming makes it due at once.
PAUSE_RECHECK_AFTER: Duration = 30 * MINUTE

CheckResult = str | Refusal


# ---- the recipient, and pauses ---------------------------------------------------------------------------


def check_restored(context: CheckContext) -> CheckResult:
    """Defer every mail while the database is older than its journals (after a restore)."""
    reason = context.input.switches.get(RESTORED_SWITCH)
    if reason is None:
        return "the database is not behind its journals"
    return Refusal("defer", "restored", reason, until=context.now + PAUSE_RECHECK_AFTER)


def check_contact(context: CheckContext) -> CheckResult:
    """Require a contact that exists and is not erased."""
    person = context.input.contact
    if person is None:
        return Refusal(
            "cancel", "no_contact", f"contact {context.input.message.contact_id} is not there", final=True
        )
    if context.input.erased:
        return Refusal("cancel", "erased", f"contact {person.id} was erased", final=True)
    if person.id != context.input.message.contact_id:
        return f"contact {person.id}, into which {context.input.message.contact_id} was merged"
    return f"contact {person.id}"


def check_address(context: CheckContext) -> CheckResult:
    """Require a recipient address."""
    if not context.input.address:
        return Refusal("skip", "no_address", "no e-mail address is known")
    return "known"


def check_suppression(context: CheckContext) -> CheckResult:
    """Skip every mail to an address suppressed for `all`, and marketing to one suppressed for `marketing`.

    A mail that asks for a topic is skipped too where a yes would not lift the suppression, as after a complaint.
    Marketing needs an address that is this contact's own, or that it confirmed.
    """
    scopes = context.input.suppressions
    if "all" in scopes:
        return Refusal("skip", "suppressed", f"for all mail: {scopes['all']}")
    if "marketing" in scopes and context.input.message.purpose in MARKETING:
        return Refusal("skip", "suppressed", f"for marketing: {scopes['marketing']}")
    if "marketing" in scopes and scopes["marketing"] not in CONFIRMABLE and context.asks_for_topic:
        return Refusal("skip", "suppressed", f"for marketing: {scopes['marketing']}, which no yes lifts")
    if context.input.is_shared_address and context.input.message.purpose in MARKETING:
        return Refusal(
            "skip", "shared_address", "another contact has this address; this one never confirmed it"
        )
    return "only marketing is suppressed" if scopes else "none"


def check_switches(context: CheckContext) -> CheckResult:
    """Defer while the measure, the lane or everything is paused, and marketing while its lane's marketing is."""
    message, paused = context.input.message, context.input.switches
    names = [ALL_SWITCH, message.lane, message.measure]
    if message.purpose in MARKETING:
        names.append(message.lane + MARKETING_SWITCH)
    for name in names:
        if name in paused:
            return Refusal(
                "defer",
                "paused",
                f"{context.shown(name)}: {paused[name]}",
                until=context.now + PAUSE_RECHECK_AFTER,
            )
    return "none is off"


def check_send(context: CheckContext) -> CheckResult:
    """Defer while the mail's own send is paused; cancel it when the send was cancelled."""
    send = context.input.send
    if send is None or send.control == "running":
        return "not paused"
    if send.control == "cancelled":
        return Refusal("cancel", "cancelled_by_ops", f"its send was cancelled: {send.reason}")
    return Refusal(
        "defer",
        "paused",
        f"its send is paused: {send.reason}",
        until=context.now + PAUSE_RECHECK_AFTER,
    )


# ---- the mail against the playbook and the contact's place -----------------------------------------------


def check_measure(context: CheckContext) -> CheckResult:
    """Require the measure and the step in the active playbook."""
    message = context.input.message
    if context.measure is None:
        return Refusal("cancel", "measure_gone", f"{message.measure} is not in the playbook", final=True)
    if context.step is None:
        detail = f"{context.measure.path} has no mail step {message.step}"
        return Refusal("cancel", "step_gone", detail, final=True)
    return f"{context.measure.path}, step {message.step}"


def check_track(context: CheckContext) -> CheckResult:
    """Cancel a mail written for one track when the contact is on the other (the track law)."""
    written = context.input.message.track
    present = context.input.contact.track if context.input.contact else "unknown"
    if written in ("any", present):
        return f"written for {written}, the contact is on {present}"
    return Refusal("cancel", "track", f"written for {written}, the contact is on {present}")


def check_stage(context: CheckContext) -> CheckResult:
    """Require the measure's stage, unless the measure goes on when the stage changes."""
    measure = context.measure
    wanted = measure.place if measure else "unknown"
    present = context.input.contact.stage if context.input.contact else "unknown"
    if measure and measure.fits_stage(present):
        return f"for {wanted}, the contact is in {present}"
    if measure and measure.on_stage_change == "continue":
        return f"for {wanted}, goes on in {present}"
    return Refusal("cancel", "stage", f"for {wanted}, the contact is in {present}")


def check_run(context: CheckContext) -> CheckResult:
    """Require a run that stands at this step, or that is done with this step as its last mail."""
    run, step = context.input.run, context.input.message.step
    if run is None:
        return Refusal("cancel", "run_ended", "there is no such run")
    if run.status == "done" and step in run.decided:
        return "done but for this mail"
    if run.status != "active":
        return Refusal("cancel", "run_ended", f"{run.status}: {run.reason}")
    if run.step != step:
        return Refusal("cancel", "run_ended", f"the run stands at {run.step}")
    return f"active since {to_iso(run.started_at)}"


def check_entity(context: CheckContext) -> CheckResult:
    """Cancel a mail about an entity that was reversed, or (`while: open`) that is closed or empty."""
    run, contact, measure = context.input.run, context.input.contact, context.measure
    if run is None or contact is None or measure is None or not run.entity:
        return "about none"
    reason = entity_reason(contact, context.playbook, measure, run)
    if reason is None:
        return f"{run.entity} {run.entity_key} stands"
    state = "was reversed" if reason == "entity_reversed" else "is closed or empty"
    return Refusal("cancel", reason, f"{run.entity} {run.entity_key} {state}")


def check_exit(context: CheckContext) -> CheckResult:
    """Cancel a mail whose run's exit is a condition that is yes now: the run of a last mail is done already."""
    reading = context.input.reading
    for exit_rule in context.measure.exits if context.measure else ():
        condition = exit_rule.when if exit_rule.event is None else None
        if condition is not None and reading is not None and condition.truth(reading) is Truth.YES:
            return Refusal("cancel", exit_rule.reason, condition.text)
    return "no condition ends the run"


def check_events_pending(context: CheckContext) -> CheckResult:
    """Defer while accepted events are not applied: one of them may be a purchase or an unsubscribe."""
    since = context.input.pending_since
    if since is None:
        return "everything accepted is applied"
    # Soon while the drain keeps up; the longer events wait, the later, at most a minute.
    wait = min(max(context.now - since, SECOND), MINUTE)
    return Refusal("defer", "events_pending", f"oldest accepted {to_iso(since)}", until=context.now + wait)


# ---- consent, and the time of sending --------------------------------------------------------------------


def check_consent(context: CheckContext) -> CheckResult:
    """Require the topic's consent for marketing; a consent that waits for its confirmation does not count.

    A proven request of the person is consent for the one mail that it asks for, unless a withdrawal followed it.
    """
    message = context.input.message
    if message.purpose not in MARKETING:
        return f"not needed for {message.purpose}"
    if message.topic is None or message.topic not in context.playbook.topics:
        return Refusal("skip", "no_consent", f"topic {message.topic or 'none'} is not in the playbook")
    state = state_for_topic(context.input.consents, message.topic)
    if state == "granted":
        return f"{message.topic}: granted"
    request = context.request
    if request is not None and request.is_proven:
        withdrawn_at = context.input.consents_at.get(message.topic, context.input.consents_at.get(EVERYTHING))
        if state != "withdrawn" or (withdrawn_at is not None and withdrawn_at < request.at):
            return f"{message.topic}: for this mail, {describe_request(request)}"
    if state == "pending":
        return Refusal("skip", "consent_pending", f"{message.topic}: not confirmed yet")
    if state == "withdrawn":
        return Refusal("skip", "consent_withdrawn", f"{message.topic}: withdrawn")
    return Refusal("skip", "no_consent", f"{message.topic}: never given")


def describe_request(request: PersonRequest) -> str:
    """Return a person's request in words."""
    proof = "" if request.is_proven else ", told by a browser key"
    return f"asked for by {request.event} at {to_iso(request.at)}{proof}"


def check_own_pause(context: CheckContext) -> CheckResult:
    """Defer marketing until the end of the pause that the person asked for."""
    until = context.input.preferences.paused_until
    if context.input.message.purpose not in MARKETING:
        return f"not for {context.input.message.purpose}"
    if until <= context.now:
        return "none"
    return Refusal("defer", "own_pause", f"the person wants none before {to_iso(until)}", until=until)


def check_account(context: CheckContext) -> CheckResult:
    """Skip marketing for leads where a colleague is a customer, unless the playbook lets it through."""
    rules, message = context.playbook.accounts, context.input.message
    if rules is None or message.track != "lead" or message.purpose not in MARKETING:
        return "asks nothing about colleagues"
    customers = context.input.customers_beside
    if not customers:
        return "no colleague is a customer"
    if rules.leads_of_customers == "all":
        return f"{customers} customers among the colleagues, and the playbook lets it through"
    return Refusal("skip", "account_customer", f"{customers} of the account's other members are customers")


def check_holds(context: CheckContext) -> CheckResult:
    """Defer while a hold stops this purpose, unless the measure says `holdable: false`."""
    purpose = context.input.message.purpose
    if purpose == "transactional":
        return "not for transactional"
    if context.measure is not None and not context.measure.holdable:
        return "may not be held"
    active = [hold for hold in context.input.holds if purpose in hold.hold.stops]
    if not active:
        return "none"
    last = max(active, key=lambda hold: hold.until)
    since, until = to_iso(last.since), to_iso(last.until)
    whose = ", of a colleague" if last.is_shared else ""
    detail = f"{last.hold.name}{whose} since {since}, until {until} at most, owner {last.hold.owner}"
    return Refusal("defer", "hold", detail, until=min(last.until, context.now + RECHECK_AFTER))


def check_only_to(context: CheckContext) -> CheckResult:
    """Skip an address that NURTURE_ONLY_TO does not list, when that setting lists anything."""
    allowed, to = context.input.only_to, (context.input.address or "").lower()
    if not allowed:
        return "no such limit"
    if to in allowed or to.rpartition("@")[2] in allowed:
        return "on the list"
    return Refusal("skip", "only_to", "not on the list of addresses that may be mailed")


def check_valid_for(context: CheckContext) -> CheckResult:
    """Expire a message past its own `valid_for`; `decide` finds the reason that held it back until then."""
    message = context.input.message
    if context.now < message.valid_until:
        return f"until {to_iso(message.valid_until)}"
    before = f", last held back by {message.reason}" if message.reason else ""
    return Refusal("expire", "too_late", f"was valid until {to_iso(message.valid_until)}{before}")


def check_domain_rest(context: CheckContext) -> CheckResult:
    """Defer mail to a domain that asked for fewer mails; transactional mail is tried all the same."""
    rest, message = context.input.domain_rest, context.input.message
    if rest is None:
        return "its domain takes mail"
    if message.purpose == "transactional":
        return "its domain rests; transactional mail is tried"
    detail = f"its domain asked for fewer mails, until {to_iso(rest.until)}"
    return Refusal("defer", "domain_rest", detail, until=rest.instant_for(message.id))


def check_quiet_hours(context: CheckContext) -> CheckResult:
    """Defer a purpose that is not exempt to the end of the quiet hours in the person's zone."""
    quiet = context.playbook.quiet_hours
    hours = f"{_clock(quiet.start)}-{_clock(quiet.end)}"
    if context.input.message.purpose in quiet.exempt:
        return f"{context.input.message.purpose} is exempt from {hours}"
    until = next_outside_quiet_hours(quiet, at=context.now, zone=context.zone)
    detail = f"{_wall(context.now, context.zone)}, quiet {hours}"
    return detail if until == context.now else Refusal("defer", "quiet_hours", detail, until=until)


def check_send_window(context: CheckContext) -> CheckResult:
    """Defer to the step's time of day and weekdays, in the person's zone."""
    slot = context.step.send_at if context.step else None
    if slot is None:
        return "any time"
    until = next_in_window(slot, at=context.now, zone=context.zone)
    detail = f"{_wall(context.now, context.zone)}"
    return detail if until == context.now else Refusal("defer", "send_window", detail, until=until)


def next_in_window(slot: LocalSlot, *, at: Instant, zone: str) -> Instant:
    """Return `at` when it lies in the slot or up to SLOT_WINDOW after it, else the start of the next slot."""
    window = SLOT_WINDOW if slot.minute_of_day is not None else 0
    start = next_slot(slot, after=at - window, zone=zone)
    return max(start, at)


def check_let_rules(context: CheckContext) -> CheckResult:
    """Defer to the 1st when less of the month is left than an `end_of_month` deadline promises (`at_least`)."""
    rules = context.measure.let if context.measure else {}
    fixed = context.input.run.let if context.input.run else {}
    for name, rule in rules.items():
        if not isinstance(rule, LetEndOfMonth) or name in fixed:
            continue
        left = end_of_month(context.now, context.zone) - context.now
        if left < rule.at_least:
            until = start_of_next_month(context.now, context.zone)
            detail = f"{name}: {format_duration(left // MINUTE * MINUTE)} of the month left, "
            detail += f"at least {format_duration(rule.at_least)} wanted"
            return Refusal("defer", "end_of_month", detail, until=until, renews=True)
    return "kept"


# ---- conditions on the newest state ----------------------------------------------------------------------


def check_when(context: CheckContext) -> CheckResult:
    """Skip unless the step's `when` holds on the newest state."""
    return _check_condition(context, context.step.when if context.step else None, reason="when")


def check_send_if(context: CheckContext) -> CheckResult:
    """Skip unless the step's `send_if` holds on the objects as read in this transaction."""
    return _check_condition(context, context.step.send_if if context.step else None, reason="send_if")


def check_send_rate(context: CheckContext) -> CheckResult:
    """Defer to the mail's place in the row when its send has a rate; its validity counts from there."""
    send, message = context.input.send, context.input.message
    if send is None or send.rate is None:
        return "no limit"
    place = send.place_of(due_at=message.due_at, reason=message.reason, now=context.now)
    detail = f"{send.rate} an hour"
    if place <= context.now:
        return detail
    return Refusal("defer", RATE_REASON, detail, until=place, renews=True)


def _check_condition(context: CheckContext, condition: Condition | None, *, reason: str) -> CheckResult:
    if condition is None:
        return "nothing asked"
    reading = context.input.reading
    truth = condition.truth(reading) if reading is not None else Truth.UNKNOWN
    if truth is Truth.YES:
        return condition.text
    words = "; ".join(condition.explain(reading).lines()) if reading is not None else condition.text
    return Refusal("skip", reason if truth is Truth.NO else f"{reason}_unknown", words)


def _clock(minute_of_day: int) -> str:
    return f"{minute_of_day // 60:02d}:{minute_of_day % 60:02d}"


def _wall(at: Instant, zone: str) -> str:
    return f"{to_local(at, zone):%a %H:%M} in {zone}"
