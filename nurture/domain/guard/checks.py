"""The guard's checks, one function each: text when it lets the mail through, `No` when it does not.

A check reads its `Look` and nothing else, changes nothing and knows nothing of the checks beside it; their
order and what follows from a miss stand in `domain.guard.decide`.
"""

from nurture.domain.conditions import Condition, Truth
from nurture.domain.consent.permissions import state_of
from nurture.domain.guard import caps
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH, Look, No
from nurture.domain.instant import HOUR, MINUTE, SECOND, Duration, Instant, format_duration, to_iso
from nurture.domain.measure import MARKETING, LetEndOfMonth, LocalSlot
from nurture.domain.timing import end_of_month, local, next_slot, out_of_quiet, start_of_next_month

#: How long after its local time a step may still leave on the same day; later it waits for the next slot.
SLOT_WINDOW: Duration = 4 * HOUR
#: What may end by an event at any moment (a hold, a series) is looked at again after this long.
LOOK_AGAIN: Duration = 4 * HOUR
#: A message of a paused measure comes up again this late by itself; resuming brings it sooner.
PAUSE_LOOK: Duration = 30 * MINUTE

Answer = str | No


# ---- is there anybody, and may anything leave ------------------------------------------------------------


def restored(look: Look) -> Answer:
    """Stop when the database went back behind what was already sent."""
    reason = look.case.switches.get(RESTORED_SWITCH)
    if reason is None:
        return "the database is not behind its journals"
    return No("defer", "restored", reason, until=look.now + PAUSE_LOOK)


def contact(look: Look) -> Answer:
    """Require a living contact."""
    person = look.case.contact
    if person is None:
        return No("cancel", "no_contact", f"contact {look.case.message.contact_id} is not there", final=True)
    if look.case.erased:
        return No("cancel", "erased", f"contact {person.id} was erased", final=True)
    if person.id != look.case.message.contact_id:
        return f"contact {person.id}, into which {look.case.message.contact_id} was merged"
    return f"contact {person.id}"


def address(look: Look) -> Answer:
    """Require an address."""
    return "known" if look.case.address else No("skip", "no_address", "no e-mail address is known")


def suppression(look: Look) -> Answer:
    """Send nothing to an address suppressed for all, no marketing to one suppressed for marketing."""
    found = look.case.suppressions
    if "all" in found:
        return No("skip", "suppressed", f"for all mail: {found['all']}")
    if "marketing" in found and look.case.message.purpose in MARKETING:
        return No("skip", "suppressed", f"for marketing: {found['marketing']}")
    return "only marketing is suppressed" if found else "none"


def switches(look: Look) -> Answer:
    """Send nothing whose measure or lane, or everything, is paused."""
    message, paused = look.case.message, look.case.switches
    for name in (ALL_SWITCH, message.lane, message.measure):
        if name in paused:
            return No("defer", "paused", f"{name}: {paused[name]}", until=look.now + PAUSE_LOOK)
    return "none is off"


# ---- is this mail still the right one --------------------------------------------------------------------


def measure(look: Look) -> Answer:
    """Require the measure and the step in the active playbook."""
    message = look.case.message
    if look.measure is None:
        return No("cancel", "measure_gone", f"{message.measure} is not in the playbook", final=True)
    if look.step is None:
        detail = f"{message.measure} has no mail step {message.step}"
        return No("cancel", "step_gone", detail, final=True)
    return f"{message.measure}, step {message.step}"


def track(look: Look) -> Answer:
    """Track law: what was written for one track never reaches somebody on the other."""
    written = look.case.message.track
    present = look.case.contact.track if look.case.contact else "unknown"
    if written in ("any", present):
        return f"written for {written}, the contact is on {present}"
    return No("cancel", "track", f"written for {written}, the contact is on {present}")


def stage(look: Look) -> Answer:
    """Require the measure's stage, unless the measure goes on when the stage changes."""
    wanted = look.measure.stage if look.measure else "unknown"
    present = look.case.contact.stage if look.case.contact else "unknown"
    if wanted in ("any", present):
        return f"for {wanted}, the contact is in {present}"
    if look.measure and look.measure.on_stage_change == "continue":
        return f"for {wanted}, goes on in {present}"
    return No("cancel", "stage", f"for {wanted}, the contact is in {present}")


def run(look: Look) -> Answer:
    """Require the run, standing at this step or done with this as its last mail; no exit has ended it."""
    found, step = look.case.run, look.case.message.step
    if found is None:
        return No("cancel", "run_ended", "there is no such run")
    if found.status == "done" and step in found.decided:
        return "done but for this mail"
    if found.status != "active":
        return No("cancel", "run_ended", f"{found.status}: {found.reason}")
    if found.step != step:
        return No("cancel", "run_ended", f"the run stands at {found.step}")
    return f"active since {to_iso(found.started_at)}"


def holdout(look: Look) -> Answer:
    """Keep back whom the experiment keeps back."""
    if look.case.message.holdout:
        return No("skip", "holdout", "in the holdout")
    return "not in the holdout"


def events_pending(look: Look) -> Answer:
    """Wait for what was accepted and is not applied: it may be the purchase or the unsubscribe."""
    since = look.case.pending_since
    if since is None:
        return "everything accepted is applied"
    # At once after a drain that runs; ever more rarely, at most once a minute, while none does.
    wait = min(max(look.now - since, SECOND), MINUTE)
    return No("defer", "events_pending", f"oldest accepted {to_iso(since)}", until=look.now + wait)


# ---- does the person want it, and may it be now ----------------------------------------------------------


def consent(look: Look) -> Answer:
    """Marketing needs the topic's consent; asked and not yet confirmed is no."""
    message = look.case.message
    if message.purpose not in MARKETING:
        return f"not needed for {message.purpose}"
    if message.topic is None or message.topic not in look.playbook.topics:
        return No("skip", "no_consent", f"topic {message.topic or 'none'} is not in the playbook")
    said = state_of(look.case.consents, message.topic)
    if said == "granted":
        return f"{message.topic}: granted"
    if said == "pending":
        return No("skip", "consent_pending", f"{message.topic}: not confirmed yet")
    if said == "withdrawn":
        return No("skip", "consent_withdrawn", f"{message.topic}: withdrawn")
    return No("skip", "no_consent", f"{message.topic}: never given")


def own_pause(look: Look) -> Answer:
    """Send no marketing before the date until which the person wants none."""
    until = look.case.wishes.pause
    if look.case.message.purpose not in MARKETING:
        return f"not for {look.case.message.purpose}"
    if until <= look.now:
        return "none"
    return No("defer", "own_pause", f"the person wants none before {to_iso(until)}", until=until)


def holds(look: Look) -> Answer:
    """Wait while a hold stops the purpose, unless the measure may not be held."""
    purpose = look.case.message.purpose
    if purpose == "transactional":
        return "not for transactional"
    if look.measure is not None and not look.measure.holdable:
        return "may not be held"
    found = [each for each in look.case.holds if purpose in each.hold.stops]
    if not found:
        return "none"
    last = max(found, key=lambda each: each.until)
    since, until = to_iso(last.since), to_iso(last.until)
    detail = f"{last.hold.name} since {since}, until {until} at most, owner {last.hold.owner}"
    return No("defer", "hold", detail, until=min(last.until, look.now + LOOK_AGAIN))


def only_to(look: Look) -> Answer:
    """Mail nobody outside the list of addresses and domains that may be mailed at all."""
    allowed, to = look.case.only_to, (look.case.address or "").lower()
    if not allowed:
        return "no such limit"
    if to in allowed or to.rpartition("@")[2] in allowed:
        return "on the list"
    return No("skip", "only_to", "not on the list of addresses that may be mailed")


def valid_for(look: Look) -> Answer:
    """Drop what comes too late for its own schedule."""
    message = look.case.message
    if look.now < message.valid_until:
        return f"until {to_iso(message.valid_until)}"
    before = f", last held back by {message.reason}" if message.reason else ""
    return No("expire", "too_late", f"was valid until {to_iso(message.valid_until)}{before}")


def order(look: Look) -> Answer:
    """Let no step overtake an earlier one of its run."""
    message = look.case.message
    earlier = [
        each
        for each in look.case.others
        if (each.measure, each.run_key) == (message.measure, message.run_key)
        and each.id < message.id
        and each.status in ("waiting", "ready", "on_wire")
    ]
    if not earlier:
        return "no earlier step is under way"
    return No("defer", "order", f"{earlier[0].step} comes first", until=caps.behind(earlier[0], now=look.now))


def quiet_hours(look: Look) -> Answer:
    """Leave people alone in their quiet hours."""
    quiet = look.playbook.quiet_hours
    hours = f"{_clock(quiet.start)}-{_clock(quiet.end)}"
    if look.case.message.purpose in quiet.exempt:
        return f"{look.case.message.purpose} is exempt from {hours}"
    until = out_of_quiet(quiet, at=look.now, zone=look.zone)
    detail = f"{_wall(look.now, look.zone)}, quiet {hours}"
    return detail if until == look.now else No("defer", "quiet_hours", detail, until=until)


def send_window(look: Look) -> Answer:
    """Keep to the step's own time of day and weekdays, in the person's zone."""
    slot = look.step.send_at if look.step else None
    if slot is None:
        return "any time"
    until = in_window(slot, at=look.now, zone=look.zone)
    detail = f"{_wall(look.now, look.zone)}"
    return detail if until == look.now else No("defer", "send_window", detail, until=until)


def in_window(slot: LocalSlot, *, at: Instant, zone: str) -> Instant:
    """Return `at` when it lies in the slot or up to SLOT_WINDOW behind it, else the next slot."""
    reach = SLOT_WINDOW if slot.minute_of_day is not None else 0
    opened = next_slot(slot, after=at - reach, zone=zone)
    return max(opened, at)


def let_rules(look: Look) -> Answer:
    """Give a promise that runs to the end of the month at least its declared time, or wait for the 1st."""
    rules = look.measure.let if look.measure else {}
    fixed = look.case.run.let if look.case.run else {}
    for name, rule in rules.items():
        if not isinstance(rule, LetEndOfMonth) or name in fixed:
            continue
        left = end_of_month(look.now, look.zone) - look.now
        if left < rule.at_least:
            until = start_of_next_month(look.now, look.zone)
            detail = f"{name}: {format_duration(left // MINUTE * MINUTE)} of the month left, "
            detail += f"at least {format_duration(rule.at_least)} wanted"
            return No("defer", "end_of_month", detail, until=until, renews=True)
    return "kept"


# ---- does it fit beside the others -----------------------------------------------------------------------


def cap(look: Look) -> Answer:
    """Keep to the number of mails in a window; a cap defers and never drops."""
    purpose = look.case.message.purpose
    if purpose == "transactional":
        return "not for transactional"
    full = caps.over_limit(look.playbook.caps, look.case.others, purpose=purpose, now=look.now)
    if full is None:
        return "room"
    return No("defer", "cap", f"{full.cap.name}: {full.detail}", until=full.until)


def gap(look: Look) -> Answer:
    """Keep the least time between two mails."""
    purpose = look.case.message.purpose
    if purpose == "transactional":
        return "not for transactional"
    full = caps.inside_gap(look.playbook.caps, look.case.others, purpose=purpose, now=look.now)
    if full is None:
        return "far enough from the last"
    return No("defer", "gap", f"{full.cap.name}: {full.detail}", until=full.until)


def own_cap(look: Look) -> Answer:
    """Keep to the cap the person set for themselves, over all marketing together."""
    purpose = look.case.message.purpose
    if purpose not in MARKETING:
        return f"not for {purpose}"
    full = caps.over_limit(look.case.wishes.caps, look.case.others, purpose=purpose, now=look.now)
    if full is None:
        return "room" if look.case.wishes.caps else "none"
    wanted = f"the person wants at most one in {format_duration(full.cap.within)}"
    return No("defer", "own_cap", wanted, until=full.until)


def series(look: Look) -> Answer:
    """Run one series at a time: the one that began first."""
    if look.measure is None or not look.measure.series or look.case.run is None or look.case.contact is None:
        return "not a series"
    mine = (look.case.run.started_at, look.case.run.measure, look.case.run.key)
    for other in look.case.contact.runs.values():
        declared = look.playbook.measures.get(other.measure)
        is_going_on = other.status == "active" and not other.holdout and not other.data.get("queued")
        if declared is None or not declared.series or not is_going_on:
            continue
        if (other.started_at, other.measure, other.key) < mine:
            return No("defer", "series", f"behind {other.measure}", until=look.now + LOOK_AGAIN)
    return "the only one, or the first"


def arbitration(look: Look) -> Answer:
    """Give the slot to the highest priority among all that is due about now."""
    if look.case.message.purpose == "transactional":
        return "not for transactional"
    winner = caps.ahead(
        (*look.playbook.caps, *look.case.wishes.caps),
        look.case.message.entry(),
        look.case.others,
        now=look.now,
        horizon=look.playbook.arbitration,
        stopped=look.case.switches.keys(),
    )
    if winner is None:
        return f"priority {look.case.message.priority} has the slot"
    detail = f"behind {winner.measure}, priority {winner.priority}, due {to_iso(winner.due_at)}"
    return No("defer", "arbitration", detail, until=caps.behind(winner, now=look.now))


# ---- is what it says still true --------------------------------------------------------------------------


def when(look: Look) -> Answer:
    """Judge the step's condition anew on the newest state."""
    return _condition(look, look.step.when if look.step else None, reason="when")


def send_if(look: Look) -> Answer:
    """Judge what the mail promises on the objects as they are in this transaction."""
    return _condition(look, look.step.send_if if look.step else None, reason="send_if")


def _condition(look: Look, condition: Condition | None, *, reason: str) -> Answer:
    if condition is None:
        return "nothing asked"
    reading = look.case.reading
    truth = condition.truth(reading) if reading is not None else Truth.UNKNOWN
    if truth is Truth.YES:
        return condition.text
    words = "; ".join(condition.explain(reading).lines()) if reading is not None else condition.text
    return No("skip", reason if truth is Truth.NO else f"{reason}_unknown", words)


def _clock(minute_of_day: int) -> str:
    return f"{minute_of_day // 60:02d}:{minute_of_day % 60:02d}"


def _wall(at: Instant, zone: str) -> str:
    return f"{local(at, zone):%a %H:%M} in {zone}"
