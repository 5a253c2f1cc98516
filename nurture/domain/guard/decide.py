"""The guard: the last word on one due message, said on the newest state.

`decide` runs every check in the order of CHECKS and records each, hit and miss. The first miss decides what
becomes of the mail: deferred, skipped, expired or cancelled; without a miss it is sent. Unknown means no.
Every reason a message may carry for not being sent stands in REASONS.
"""

from collections.abc import Callable, Mapping

from nurture.domain.guard import checks
from nurture.domain.guard.checks import Answer, in_window
from nurture.domain.guard.input import Case, Due, Look, No
from nurture.domain.instant import Instant
from nurture.domain.measure import LetEndOfMonth, LetIn, MailStep, Measure
from nurture.domain.message import Check, Verdict
from nurture.domain.playbook import Playbook
from nurture.domain.timing import end_of_day, end_of_month, is_zone, out_of_quiet

__all__ = ["CHECKS", "REASONS", "Case", "Due", "decide", "lets", "zone_for"]

#: Every check, in the order in which the first miss decides.
CHECKS: tuple[tuple[str, Callable[[Look], Answer]], ...] = (
    ("restored", checks.restored),
    ("contact", checks.contact),
    ("address", checks.address),
    ("suppression", checks.suppression),
    ("switches", checks.switches),
    ("measure", checks.measure),
    ("track", checks.track),
    ("stage", checks.stage),
    ("run", checks.run),
    ("holdout", checks.holdout),
    ("events_pending", checks.events_pending),
    ("consent", checks.consent),
    ("own_pause", checks.own_pause),
    ("holds", checks.holds),
    ("only_to", checks.only_to),
    ("valid_for", checks.valid_for),
    ("order", checks.order),
    ("quiet_hours", checks.quiet_hours),
    ("send_window", checks.send_window),
    ("let_rules", checks.let_rules),
    ("cap", checks.cap),
    ("gap", checks.gap),
    ("own_cap", checks.own_cap),
    ("series", checks.series),
    ("arbitration", checks.arbitration),
    ("when", checks.when),
    ("send_if", checks.send_if),
)

#: reason -> what it means. The closed list of what `messages.reason` says for what the guard and the delivery
#: decide; a message cancelled by its run's exit carries the exit's reason instead. docs/guard.md is checked
#: against it.
REASONS: Mapping[str, str] = {
    # the guard
    "restored": "deferred: the database went back behind what its journals say was sent",
    "no_contact": "cancelled: the contact is not there any more",
    "erased": "cancelled: the contact was erased",
    "no_address": "skipped: no e-mail address is known",
    "suppressed": "skipped: the address is suppressed, for all mail or for marketing",
    "paused": "deferred: the measure (by ops, or for a broken template), the lane or everything is paused",
    "measure_gone": "cancelled: the active playbook has no such measure",
    "step_gone": "cancelled: the measure has no such mail step any more",
    "track": "cancelled: written for the other track",
    "stage": "cancelled: the contact left the measure's stage",
    "run_ended": "cancelled: the run ended or stands at another step",
    "holdout": "skipped: in the holdout",
    "events_pending": "deferred: accepted events of the contact are not applied yet",
    "no_consent": "skipped: the topic's consent was never given",
    "consent_pending": "skipped: the topic's consent was asked for and not confirmed",
    "consent_withdrawn": "skipped: the topic's consent was withdrawn",
    "own_pause": "deferred: the person wants no marketing before a date of their own",
    "hold": "deferred: a hold stops mail of this purpose",
    "only_to": "skipped: the address is not on the list of those that may be mailed at all",
    "too_late": "expired: past its own valid_for",
    "order": "deferred: an earlier step of the same run is still under way",
    "quiet_hours": "deferred: quiet hours in the person's zone",
    "send_window": "deferred: outside the step's time of day or weekdays",
    "end_of_month": "deferred: too little of the month is left for the promise, waits for the 1st",
    "cap": "deferred: as many mails of this purpose as the cap allows were sent in its window",
    "gap": "deferred: the last mail of this purpose left less than the least gap ago",
    "own_cap": "deferred: the person wants marketing less often than that",
    "series": "deferred: another series of the contact began first",
    "arbitration": "deferred: a message of higher priority takes the slot",
    "when": "skipped: the step's condition no longer holds",
    "when_unknown": "skipped: the step's condition cannot be answered, and unknown is no",
    "send_if": "skipped: what the mail promises is not true any more",
    "send_if_unknown": "skipped: what the mail promises cannot be checked, and unknown is no",
    # between the gates and on the wire
    "template_value": "skipped: a value the template needs is missing",
    "changed": "deferred: the contact changed between the gates, guarded again",
    "lease_lapsed": "deferred: the worker that held it stopped before the wire",
    "retry": "deferred: the receiving side asked to try again later",
    "lane_paused": "deferred: the receiving side refused us, not the person; the lane is paused",
    "not_begun": "deferred: the transport took no more letters; due again at once",
    "hard_bounce": "failed: the address does not exist; it is suppressed",
    "refused": "failed: the receiving side refused this mail for good",
    "in_doubt": "in doubt: the final dot was written and no reply was read",
    # by people
    "cancelled_by_ops": "cancelled: the measure was cancelled by command",
}


def decide(case: Case, *, now: Instant, playbook: Playbook) -> Verdict:
    """Say what becomes of the message: send, defer until, skip, expire or cancel, with every check recorded.

    A deferral is never later than the message is valid (then it expires, with its reason), and lies outside
    quiet hours and inside the step's window. `data["valid_until"]` is set when the mail's own schedule moved.
    """
    look = _look(case, now=now, playbook=playbook)
    recorded: list[Check] = []
    miss: No | None = None
    for name, check in CHECKS:
        answer = check(look)
        if isinstance(answer, str):
            recorded.append(Check(name, passed=True, detail=answer))
            continue
        recorded.append(Check(name, passed=False, detail=answer.detail))
        miss = miss or answer
        if answer.final:
            break
    if miss is None:
        return Verdict("send", "", tuple(recorded))
    if miss.action != "defer":
        return Verdict(miss.action, miss.reason, tuple(recorded))
    return _deferred(look, miss, tuple(recorded))


def _look(case: Case, *, now: Instant, playbook: Playbook) -> Look:
    measure = playbook.measures.get(case.message.measure)
    step = measure.step(case.message.step) if measure else None
    return Look(
        case=case,
        now=now,
        playbook=playbook,
        measure=measure,
        step=step if isinstance(step, MailStep) else None,
        zone=zone_for(case.contact.zone if case.contact else None, playbook),
    )


def _deferred(look: Look, miss: No, recorded: tuple[Check, ...]) -> Verdict:
    message = look.case.message
    until = _opening(look, miss.until if miss.until is not None else look.now)
    if miss.renews and look.measure is not None:
        valid_for = (
            look.step.valid_for if look.step and look.step.valid_for is not None else look.measure.valid_for
        )
        valid_until = max(message.valid_until, until + valid_for)
        return Verdict("defer", miss.reason, recorded, until=until, data={"valid_until": valid_until})
    # Looked at when it expires, so that a message past its time never lies about as waiting.
    until = min(until, message.valid_until) if message.valid_until > look.now else until
    return Verdict("defer", miss.reason, recorded, until=until)


def _opening(look: Look, at: Instant) -> Instant:
    """Return the first instant from `at` on that quiet hours and the step's window both allow."""
    slot = look.step.send_at if look.step else None
    exempt = look.case.message.purpose in look.playbook.quiet_hours.exempt
    for _ in range(4):
        before = at
        if slot is not None:
            at = in_window(slot, at=at, zone=look.zone)
        if not exempt:
            at = out_of_quiet(look.playbook.quiet_hours, at=at, zone=look.zone)
        if at == before:
            break
    return at


def zone_for(zone: str | None, playbook: Playbook) -> str:
    """Return the person's zone when it is known and real, else the playbook's default."""
    return zone if zone and is_zone(zone) else playbook.default_zone


def lets(measure: Measure, fixed: Mapping[str, object], *, now: Instant, zone: str) -> dict[str, Instant]:
    """Return the instants that the first mail fixes, as they would be at `now`; those fixed already are left out.

    Coupons are not among them: they are minted when the mail has passed.
    """
    made: dict[str, Instant] = {}
    for name, rule in measure.let.items():
        if name in fixed:
            continue
        if isinstance(rule, LetEndOfMonth):
            made[name] = end_of_month(now, zone)
        elif isinstance(rule, LetIn):
            made[name] = end_of_day(now + rule.duration, zone)
    return made
