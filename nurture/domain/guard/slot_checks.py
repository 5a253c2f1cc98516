"""The checks of the guard that compare a message with other messages and runs of the same person."""

from collections.abc import Callable

from nurture.domain.contact import Run
from nurture.domain.guard import caps
from nurture.domain.guard.checks import RECHECK_AFTER, CheckResult, describe_request
from nurture.domain.guard.input import CheckContext, Refusal
from nurture.domain.instant import format_duration, to_iso
from nurture.domain.measure import MARKETING
from nurture.domain.message import ALREADY_SENT


def check_order(context: CheckContext) -> CheckResult:
    """Defer while an earlier step of the same run waits or is being sent.

    A mail that was being sent when its run was handed over is the same step of the run: where it left, skip.
    """
    message = context.input.message
    for entry in context.input.other_messages:
        if not _is_before_hand_over(entry, context.entry):
            continue
        if entry.status in ("sent", "in_doubt"):
            detail = f"{context.shown(entry.measure)} sent it before the hand-over"
            return Refusal("skip", ALREADY_SENT, detail)
        if entry.status in ("ready", "on_wire"):
            detail = f"{context.shown(entry.measure)} is sending it"
            return Refusal("defer", "order", detail, until=caps.recheck_after(entry, now=context.now))
    earlier = [
        entry
        for entry in context.input.other_messages
        if (entry.measure, entry.run_key) == (message.measure, message.run_key)
        and entry.id < message.id
        and entry.status in ("waiting", "ready", "on_wire")
    ]
    if not earlier:
        return "no earlier step is under way"
    return Refusal(
        "defer",
        "order",
        f"{earlier[0].step} comes first",
        until=caps.recheck_after(earlier[0], now=context.now),
    )


def _is_before_hand_over(entry: caps.LedgerEntry, message: caps.LedgerEntry) -> bool:
    """Tell whether the entry is the message's step, decided by the run that the message's run continues."""
    return entry.run == message.run and entry.step == message.step and entry.measure != message.measure


def check_cap(context: CheckContext) -> CheckResult:
    """Defer while a frequency cap of the playbook is full."""
    return _check_caps(context, caps.find_full_cap, reason="cap", free="room")


def check_gap(context: CheckContext) -> CheckResult:
    """Defer while the least time between two mails (`gap`) has not passed."""
    return _check_caps(context, caps.find_unexpired_gap, reason="gap", free="far enough from the last")


def _check_caps(
    context: CheckContext, find: Callable[..., caps.BlockingCap | None], *, reason: str, free: str
) -> CheckResult:
    if (exemption := _exemption(context)) is not None:
        return exemption
    blocking = find(context.playbook.caps, context.entry, context.input.other_messages, now=context.now)
    if blocking is None:
        return free
    words = f"{context.shown(blocking.measure)} {blocking.detail}".strip()
    return Refusal("defer", reason, f"{blocking.cap.name}: {words}", until=blocking.until)


def _exemption(context: CheckContext) -> str | None:
    """Return why the playbook's caps are not for this mail; None when they are."""
    if context.input.message.purpose == "transactional":
        return "not for transactional"
    return None if context.request is None else describe_request(context.request)


def check_own_cap(context: CheckContext) -> CheckResult:
    """Defer while the person's own cap over all marketing is full."""
    purpose = context.input.message.purpose
    if purpose not in MARKETING:
        return f"not for {purpose}"
    if context.request is not None:
        return describe_request(context.request)
    full = caps.find_full_cap(
        context.input.preferences.caps, context.entry, context.input.other_messages, now=context.now
    )
    if full is None:
        return "room" if context.input.preferences.caps else "none"
    wanted = f"the person wants at most one in {format_duration(full.cap.within)}"
    return Refusal("defer", "own_cap", wanted, until=full.until)


def check_series(context: CheckContext) -> CheckResult:
    """Defer while another series of the contact that began earlier is active."""
    run, contact = context.input.run, context.input.contact
    if context.measure is None or not context.measure.series or run is None or contact is None:
        return "not a series"
    for other in contact.runs.values():
        began_earlier = (other.started_at, other.measure, other.key) < (run.started_at, run.measure, run.key)
        if began_earlier and _is_active_series(context, other):
            return Refusal(
                "defer", "series", f"behind {context.shown(other.measure)}", until=context.now + RECHECK_AFTER
            )
    return "the only one, or the first"


def _is_active_series(context: CheckContext, run: Run) -> bool:
    measure = context.playbook.measures.get(run.measure)
    if measure is None or not measure.series:
        return False
    return run.status == "active" and not run.holdout and not run.queued


def check_arbitration(context: CheckContext) -> CheckResult:
    """Defer when a message of higher priority, due within `arbitration`, needs the same slot."""
    if (exemption := _exemption(context)) is not None:
        return exemption
    winner = caps.find_slot_winner(
        (*context.playbook.caps, *context.input.preferences.caps),
        context.entry,
        context.input.other_messages,
        now=context.now,
        horizon=context.playbook.arbitration,
        stopped=context.input.switches.keys(),
    )
    if winner is None:
        return f"priority {context.input.message.priority} has the slot"
    detail = (
        f"behind {context.shown(winner.measure)}, priority {winner.priority}, due {to_iso(winner.due_at)}"
    )
    return Refusal("defer", "arbitration", detail, until=caps.recheck_after(winner, now=context.now))
