"""The guard's verdict on one due message, decided on the newest state.

`decide` runs every check in the order of CHECKS and records each one, passed or failed. The first check that
fails decides whether the message is deferred, skipped, expired or cancelled; when all pass, it is sent. An
unknown value fails a check. REASONS lists every reason for which a message may not be sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nurture.domain.guard import checks, holdouts, slot_checks
from nurture.domain.guard.checks import CheckResult, next_in_window
from nurture.domain.guard.input import CheckContext, DueMessage, GuardInput, Refusal
from nurture.domain.guard.object_lists import check_object_lists
from nurture.domain.guard.price_bound import check_price_bound
from nurture.domain.guard.sends import RATE_REASON
from nurture.domain.instant import Instant
from nurture.domain.journey.business_time import promised_instant
from nurture.domain.measure import (
    LetBusiness,
    LetEndOfMonth,
    LetIn,
    LocalSlot,
    MailStep,
    Measure,
    Purpose,
)
from nurture.domain.message import Check, Verdict
from nurture.domain.owners import Owner
from nurture.domain.playbook import Playbook
from nurture.domain.timing import end_of_day, end_of_month, is_zone, next_outside_quiet_hours

__all__ = [
    "CHECKS",
    "REASONS",
    "DueMessage",
    "GuardInput",
    "compute_let_instants",
    "decide",
    "zone_or_default",
]

#: Every check, in the order in which the first failure decides.
CHECKS: tuple[tuple[str, Callable[[CheckContext], CheckResult]], ...] = (
    ("restored", checks.check_restored),
    ("contact", checks.check_contact),
    ("address", checks.check_address),
    ("suppression", checks.check_suppression),
    ("switches", checks.check_switches),
    ("send", checks.check_send),
    ("measure", checks.check_measure),
    ("track", checks.check_track),
    ("stage", checks.check_stage),
    ("run", checks.check_run),
    ("entity", checks.check_entity),
    ("exit", checks.check_exit),
    ("events_pending", checks.check_events_pending),
    ("account", checks.check_account),
    ("consent", checks.check_consent),
    ("valid_for", checks.check_valid_for),
    ("own_pause", checks.check_own_pause),
    ("holds", checks.check_holds),
    ("only_to", checks.check_only_to),
    ("domain_rest", checks.check_domain_rest),
    ("order", slot_checks.check_order),
    ("quiet_hours", checks.check_quiet_hours),
    ("send_window", checks.check_send_window),
    ("let_rules", checks.check_let_rules),
    ("cap", slot_checks.check_cap),
    ("gap", slot_checks.check_gap),
    ("own_cap", slot_checks.check_own_cap),
    ("series", slot_checks.check_series),
    ("arbitration", slot_checks.check_arbitration),
    ("when", checks.check_when),
    ("send_if", checks.check_send_if),
    ("object_lists", check_object_lists),
    ("price_bound", check_price_bound),
    ("send_rate", checks.check_send_rate),
    ("programme_holdout", holdouts.check_programme_holdout),
    ("holdout", holdouts.check_holdout),
)

#: Reason -> meaning. The closed list of values of `messages.reason` that the guard and the delivery write; a
#: message cancelled by its run's exit carries the exit's reason instead. A test compares docs/guard.md with it.
REASONS: Mapping[str, str] = {
    # the guard
    "restored": "deferred: the database is older than its journals, as after a restore",
    "no_contact": "cancelled: the contact no longer exists",
    "erased": "cancelled: the contact was erased",
    "no_address": "skipped: no e-mail address is known",
    "shared_address": "skipped: another contact has this address, and this one has not confirmed it",
    "suppressed": "skipped: the address is suppressed, for all mail or for marketing",
    "paused": "deferred: its measure (by ops, or for a broken template), its send, its lane or everything is paused",
    "measure_gone": "cancelled: the active playbook has no such measure",
    "step_gone": "cancelled: the measure has no such mail step any more",
    "track": "cancelled: written for the other track",
    "stage": "cancelled: the contact left the measure's stage",
    "run_ended": "cancelled: the run ended or stands at another step",
    "entity_reversed": "cancelled: the entity that the mail is about was reversed, as a cancelled order is",
    "entity_closed": "cancelled: the entity that the mail is about was closed or is empty (`while: open`)",
    "entity_restored": "cancelled: the cancellation that the mail is about was taken back",
    "holdout": "skipped: in the holdout",
    "programme_holdout": "skipped: the person gets no marketing, to show what the whole programme brings",
    "events_pending": "deferred: accepted events of the contact are not applied yet",
    "account_customer": "skipped: a colleague of the same account is a customer, and this is mail for leads",
    "no_consent": "skipped: the topic's consent was never given",
    "consent_pending": "skipped: the topic's consent was asked for and not confirmed",
    "consent_withdrawn": "skipped: the topic's consent was withdrawn",
    "own_pause": "deferred: the person wants no marketing before a date of their own",
    "hold": "deferred: a hold stops mail of this purpose",
    "only_to": "skipped: the address is not on the list of those that may be mailed at all",
    "domain_rest": "deferred: the receiving domain asked for fewer mails and rests",
    "too_late": "expired: past its own valid_for, and no other reason held it back until then",
    "already_sent": "skipped: the run sent it before it was handed over",
    "order": "deferred: an earlier step of the same run is still under way",
    "quiet_hours": "deferred: quiet hours in the person's zone",
    "send_window": "deferred: outside the step's time of day or weekdays",
    "end_of_month": "deferred: too little of the month is left for the promise, waits for the 1st",
    "cap": "deferred: as many mails of this purpose as the cap allows were sent in its window",
    "gap": "deferred: the least time since the last mail of this purpose has not passed",
    "own_cap": "deferred: the person wants marketing less often than that",
    "series": "deferred: another series of the contact began first",
    "arbitration": "deferred: a message of higher priority takes the slot",
    "when": "skipped: the step's condition no longer holds",
    "when_unknown": "skipped: the step's condition cannot be answered, and unknown is no",
    "send_if": "skipped: what the mail promises is no longer true",
    "send_if_unknown": "skipped: what the mail promises cannot be checked, and unknown is no",
    "too_few": "skipped: fewer objects than a list of the mail needs (`at_least`)",
    "price_bound": "skipped: an object of the mail costs more than `price_at_most` allows, or tells no price",
    "send_rate": "deferred: its send has a rate, and this mail's place in the row is still ahead",
    # between the gates and on the wire
    "warm_up": "deferred: the day's ceiling of a lane that warms up, or a provider's daily limit, is reached",
    "template_value": "skipped: a value the template needs is missing",
    "changed": "deferred: the contact changed between the gates; the guard checks again",
    "lease_lapsed": "deferred: the worker that leased it stopped before sending it",
    "retry": "deferred: the receiving side asked to try again later",
    "lane_paused": "deferred: the receiving side refused us, not the person; the lane is paused",
    "not_begun": "deferred: the transport accepted no more mails; due again at once",
    "hard_bounce": "failed: the address does not exist; it is suppressed",
    "refused": "failed: the receiving side refused this mail for good",
    "in_doubt": "in doubt: the final dot was written and no reply was read",
    # by people
    "cancelled_by_ops": "cancelled: the measure, or the send that it belongs to, was cancelled by command",
}


#: The reasons of a deferral that an expiry may carry: what held the mail back until it was too late. Whether the first
#: ones held at a past instant cannot be asked again.
_PAST_ASKING = frozenset({"paused", "events_pending", "own_pause", "hold"})
HELD_BACK: frozenset[str] = _PAST_ASKING | frozenset(
    {"order", "quiet_hours", "send_window", "cap", "gap", "own_cap", "series", "arbitration"}
)


def decide(guard_input: GuardInput, *, now: Instant, playbook: Playbook) -> Verdict:
    """Return the verdict on the message: send, defer, skip, expire or cancel, with every check recorded.

    A deferral ends no later than the message is valid, outside quiet hours and inside the step's window.
    `data["valid_until"]` is set when the mail's own schedule moved.
    """
    context = _build_context(guard_input, now=now, playbook=playbook)
    recorded: list[Check] = []
    refusal: Refusal | None = None
    for name, check in CHECKS:
        result = check(context)
        if isinstance(result, str):
            recorded.append(Check(name, passed=True, detail=result))
            continue
        recorded.append(Check(name, passed=False, detail=result.detail))
        if result.action != "defer" or not context.is_later_of_holdout:
            refusal = refusal or result
        if result.final:
            break
    if refusal is None:
        return Verdict("send", "", tuple(recorded))
    if refusal.action == "expire":
        return Verdict("expire", _reason_of_lateness(context), tuple(recorded))
    if refusal.action != "defer":
        return Verdict(refusal.action, refusal.reason, tuple(recorded))
    return _defer(context, refusal, tuple(recorded))


def _reason_of_lateness(context: CheckContext) -> str:
    """Return the reason that still held an expired message back at its last instant; `too_late` when none did.

    A message whose last deferral ended before that instant was late for want of a worker.
    """
    message = context.input.message
    if message.due_at < message.valid_until or message.reason not in HELD_BACK:
        return "too_late"
    if message.reason in _PAST_ASKING:
        return message.reason
    at_the_end = replace(context, now=message.valid_until)
    results = (check(at_the_end) for _, check in CHECKS)
    in_force = [
        result.reason for result in results if isinstance(result, Refusal) and result.action == "defer"
    ]
    return message.reason if message.reason in in_force else (*in_force, message.reason)[0]


def _build_context(guard_input: GuardInput, *, now: Instant, playbook: Playbook) -> CheckContext:
    measure = playbook.measures.get(guard_input.message.measure)
    step = measure.step(guard_input.message.step) if measure else None
    return CheckContext(
        input=guard_input,
        now=now,
        playbook=playbook,
        measure=measure,
        step=step if isinstance(step, MailStep) else None,
        zone=zone_or_default(guard_input.contact.zone if guard_input.contact else None, playbook),
        entry=guard_input.message.as_ledger_entry(),
    )


def _defer(context: CheckContext, refusal: Refusal, recorded: tuple[Check, ...]) -> Verdict:
    message = context.input.message
    earliest = refusal.until if refusal.until is not None else context.now
    until = _next_allowed(context, earliest)
    if refusal.reason == RATE_REASON and until != earliest:
        # It may not leave at its place, so it takes another one when it may leave.
        refusal = replace(refusal, reason=_reason_of_next_allowed(context, earliest))
    if refusal.renews and context.measure is not None:
        step = context.step
        valid_for = step.valid_for if step and step.valid_for is not None else context.measure.valid_for
        valid_until = max(message.valid_until, until + valid_for)
        return Verdict("defer", refusal.reason, recorded, until=until, data={"valid_until": valid_until})
    # Due again no later than it expires, so that an expired message does not stay `waiting`.
    until = min(until, message.valid_until) if message.valid_until > context.now else until
    return Verdict("defer", refusal.reason, recorded, until=until)


def _next_allowed(context: CheckContext, at: Instant) -> Instant:
    slot = context.step.send_at if context.step else None
    purpose = context.input.message.purpose
    return next_allowed(at, slot=slot, purpose=purpose, zone=context.zone, playbook=context.playbook)


def next_allowed(
    at: Instant, *, slot: LocalSlot | None, purpose: Purpose, zone: str, playbook: Playbook
) -> Instant:
    """Return the first instant from `at` on that quiet hours and the step's window both allow."""
    quiet = playbook.quiet_hours
    # Leaving the quiet hours may leave the window and the other way round; a few rounds settle it.
    for _ in range(4):
        before = at
        if slot is not None:
            at = next_in_window(slot, at=at, zone=zone)
        if purpose not in quiet.exempt:
            at = next_outside_quiet_hours(quiet, at=at, zone=zone)
        if at == before:
            break
    return at


def _reason_of_next_allowed(context: CheckContext, at: Instant) -> str:
    """Return the reason for which a mail may not leave at an instant ahead."""
    quiet = checks.check_quiet_hours(replace(context, now=at))
    return quiet.reason if isinstance(quiet, Refusal) else "send_window"


def zone_or_default(zone: str | None, playbook: Playbook) -> str:
    """Return the person's zone when it is known and in the time zone database, else the playbook's default."""
    return zone if zone and is_zone(zone) else playbook.default_zone


def compute_let_instants(
    measure: Measure,
    fixed: Mapping[str, object],
    *,
    now: Instant,
    zone: str,
    owners: Mapping[str, Owner] = MappingProxyType({}),
    names: Callable[[], Mapping[str, Any]] = dict,
) -> dict[str, Instant]:
    """Return name -> instant for the deadlines and promises in `let` that a mail sent at `now` would fix.

    fixed: the values the run has fixed already; their names are left out, but for a promise in business time that
    has passed: a mail never leaves with it, so it is made anew. names: gives the values of templates, which say
    whose hours count. Coupons are not computed here: a code is created when the mail has passed the guard.
    """
    instants: dict[str, Instant] = {}
    for name, rule in measure.let.items():
        if isinstance(rule, LetBusiness):
            kept = fixed.get(name)
            if not isinstance(kept, int) or kept <= now:
                promised = promised_instant(rule, measure, owners, names(), now=now)
                if promised is not None:
                    instants[name] = promised
            continue
        if name in fixed:
            continue
        if isinstance(rule, LetEndOfMonth):
            instants[name] = end_of_month(now, zone)
        elif isinstance(rule, LetIn):
            instants[name] = end_of_day(now + rule.duration, zone)
    return instants
