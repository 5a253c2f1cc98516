"""Explain why a person did or did not get a measure, in a sentence and as data, also without an entry.

The answer is one sentence and the checks behind it, each with the value it read and, for a failed check, the value
that would have passed. Decisions are read from the ledger; a measure without one is checked against the contact's
state now, or (`at`) against the state replayed up to then.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent.switch_queries import load_paused_switches
from nurture.contacts.queries import run_of
from nurture.contacts.state_codec import decode_run_data
from nurture.database import schema as t
from nurture.delivery.verdicts import decode_verdict, read_checks
from nurture.domain.conditions import Truth
from nurture.domain.contact import Contact
from nurture.domain.facts import reading
from nurture.domain.guard.checks import describe_request
from nurture.domain.instant import Instant, to_iso
from nurture.domain.measure import (
    MARKETING,
    MARKETING_SWITCH,
    MailStep,
    Measure,
)
from nurture.domain.playbook import Playbook
from nurture.reports.actions import describe_actions
from nurture.reports.person import load_family_ids
from nurture.reports.published_values import describe_values_read
from nurture.reports.run_steps import describe_steps, find_skipped_by_when
from nurture.reports.set_aside import load_set_aside
from nurture.reports.triggers import check_trigger, describe_trigger


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it was met, the value it read, and the value that would change the answer."""

    check: str
    met: bool
    value: str
    change: str = ""


@dataclass(slots=True)
class Why:
    """The whole answer."""

    contact: int
    measure: str
    # sent | waiting | deferred | skipped | cancelled | expired | failed | in_doubt | holdout | running | ended
    # | never_entered
    outcome: str
    answer: str
    findings: list[Finding] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the answer for machines."""
        return asdict(self)


def explain_measure(
    connection: sa.Connection, contact: Contact, measure: Measure, *, playbook: Playbook, now: Instant
) -> Why:
    """Return the explanation of a measure for a contact; `contact` is its state at `now`, current or replayed."""
    ids = load_family_ids(connection, contact.id)
    answer = _explain(connection, ids, contact, measure, playbook=playbook, now=now)
    answer.findings.extend(
        Finding(*finding) for finding in describe_actions(connection, ids, measure, now=now)
    )
    answer.findings.extend(Finding(*finding) for finding in describe_values_read(contact, measure, playbook))
    failed = load_set_aside(connection, ids, measure.root, now=now)
    if failed is not None:
        cause = f"its rules failed at {to_iso(failed.at)} ({failed.event or 'alarm'}): {failed.reason}"
        answer.answer = f"Set aside for this contact: {cause}. Before: {answer.answer}"
        change = "correct the measure and publish it, then it is tried again"
        answer.findings.insert(0, Finding("set aside", False, cause, change))
    return answer


def _explain(
    connection: sa.Connection,
    ids: list[int],
    contact: Contact,
    measure: Measure,
    *,
    playbook: Playbook,
    now: Instant,
) -> Why:
    mails = _mails(connection, ids, measure.root, now)
    if mails:
        answer = _paused(connection, measure, _from_ledger(contact, measure, mails))
        run = _newest_run(connection, ids, measure.root, now, key=mails[-1]["key"])
        if mails[-1]["asked_for"]:
            answer.findings.insert(0, _request_finding(run))
        answer.findings.extend(_step_findings(measure, run, now))
        return answer
    run = _newest_run(connection, ids, measure.root, now)
    if run is not None:
        answer = _from_run(contact, measure, run, now)
        answer.findings.extend(_step_findings(measure, run, now))
        return answer
    return _never(connection, ids, contact, measure, playbook=playbook, now=now)


# ---- decided ---------------------------------------------------------------------------------------------


def _mails(connection: sa.Connection, ids: list[int], measure: str, now: Instant) -> list[dict[str, Any]]:
    statement = (
        sa.select(t.messages)
        .where(
            t.messages.c.contact_id.in_(ids), t.messages.c.measure == measure, t.messages.c.decided_at <= now
        )
        .order_by(t.messages.c.id)
    )
    return [_mail(row, now) for row in connection.execute(statement)]


def _mail(row: sa.Row[Any], now: Instant) -> dict[str, Any]:
    """Return a mail as it stood at an instant: what ended later was waiting then, and later verdicts are unknown."""
    judged_at = decode_verdict(row.verdict)["at"] if row.verdict else None
    is_judged = judged_at is not None and judged_at <= now
    ended_at = row.sent_at if row.sent_at is not None else row.settled_at
    is_as_stored = is_judged if ended_at is None else ended_at <= now
    return {
        "message": row.id,
        "step": row.step,
        "key": row.run_key,
        "status": row.status if is_as_stored or ended_at is None else "waiting",
        "reason": row.reason if is_as_stored else "",
        "decided_at": to_iso(row.decided_at),
        "due_at": to_iso(row.due_at),
        "sent_at": to_iso(row.sent_at) if row.sent_at and is_as_stored else None,
        "holdout": bool(row.holdout),
        "asked_for": bool(row.asked_for),
        # When the guard gave the verdict that these checks belong to.
        "judged_at": to_iso(judged_at) if is_judged and judged_at is not None else None,
        "checks": read_checks(row.verdict) if is_judged else [],
    }


_HOLDOUT = "The contact is in the holdout that measures the effect: nothing is sent."

_PROGRAMME = "The contact gets no marketing, to show what the whole programme brings: nothing is sent."


def _from_ledger(contact: Contact, measure: Measure, mails: list[dict[str, Any]]) -> Why:
    newest = mails[-1]
    status, reason = newest["status"], newest["reason"]
    name = f"{newest['step']} was"
    if reason == "programme_holdout":
        outcome, answer = "holdout", _PROGRAMME
    elif newest["holdout"] and (reason == "holdout" or status == "waiting"):
        outcome, answer = "holdout", _HOLDOUT
        if status == "waiting":
            answer += f" {newest['step']} is judged like any other mail, next at {newest['due_at']}"
            answer += f": {_cause(newest)}." if reason else "."
    elif status == "sent":
        outcome, answer = "sent", f"{name} sent at {newest['sent_at']}."
    elif status in ("waiting", "ready") and reason:
        outcome, answer = (
            "deferred",
            f"{name} deferred{_when(newest)} until {newest['due_at']}: {_cause(newest)}.",
        )
    elif status in ("waiting", "ready", "on_wire"):
        outcome, answer = "waiting", f"{newest['step']} is due at {newest['due_at']}."
    else:
        outcome, answer = status, f"{name} {status.replace('_', ' ')}{_when(newest)}: {_cause(newest)}."
    findings = [
        Finding(str(check["name"]), bool(check["passed"]), str(check.get("detail", "")))
        for check in newest["checks"]
    ]
    return Why(contact.id, measure.path, outcome, answer, findings, mails)


#: Reason -> the check that gives it, where the two have different names.
_CHECK_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(("no_contact", "erased"), "contact"),
    **dict.fromkeys(("suppressed", "shared_address"), "suppression"),
    **dict.fromkeys(("entity_reversed", "entity_closed", "entity_restored"), "entity"),
    **dict.fromkeys(("measure_gone", "step_gone"), "measure"),
    "account_customer": "account",
    **dict.fromkeys(("no_consent", "consent_pending", "consent_withdrawn"), "consent"),
    "no_address": "address",
    "paused": "switches",
    "run_ended": "run",
    "hold": "holds",
    "too_late": "valid_for",
    "end_of_month": "let_rules",
    "when_unknown": "when",
    "send_if_unknown": "send_if",
}


def _when(mail: dict[str, Any]) -> str:
    """Return when the guard gave the verdict that is told, as a part of the sentence."""
    return f" at {mail['judged_at']}" if mail["judged_at"] else ""


def _cause(mail: dict[str, Any]) -> str:
    """Return a mail's reason, with the value that its check read."""
    reason = mail["reason"]
    name = _CHECK_OF.get(reason, reason)
    details = (
        check.get("detail") for check in mail["checks"] if check["name"] == name and not check["passed"]
    )
    detail = next(details, "")
    return f"{reason} ({detail})" if detail else str(reason)


def _request_finding(run: sa.Row[Any] | None) -> Finding:
    """Return the evidence by which the mail passes the limits of marketing."""
    asked = decode_run_data(run.data).origin.asked if run is not None else None
    return Finding("asked for", True, describe_request(asked) if asked is not None else "by the person")


def _step_findings(measure: Measure, run: sa.Row[Any] | None, now: Instant) -> list[Finding]:
    """Return how the steps of the run ended, where later ones depend on it; none of a run that has moved since."""
    has_moved = run is not None and max(run.step_since, run.ended_at or 0) > now
    steps = describe_steps(measure, run_of(run)) if run is not None and not has_moved else ()
    return [Finding(f"step {step}", True, text) for step, text in steps]


def _paused(connection: sa.Connection, measure: Measure, answer: Why) -> Why:
    """Return the answer, for an unsent mail with the stop switch that holds it."""
    if answer.outcome not in ("waiting", "deferred"):
        return answer
    switches = load_paused_switches(connection)
    names = ["all", measure.lane, measure.root]
    if measure.purpose in MARKETING:
        names.append(measure.lane + MARKETING_SWITCH)
    on = [name for name in names if name in switches]
    if on:
        reason, name = switches[on[0]], measure.path if on[0] == measure.root else on[0]
        answer.outcome = "deferred"
        answer.answer = f"Held by the stop switch {name}: {reason}. `nurture resume {name}` lets it go."
        answer.findings.append(Finding("switches", False, f"{name} is paused: {reason}"))
    return answer


def _newest_run(
    connection: sa.Connection, ids: list[int], measure: str, now: Instant, *, key: str | None = None
) -> sa.Row[Any] | None:
    """Return the newest run of the measure, or (key) the newest one with this key."""
    statement = (
        sa.select(t.runs)
        .where(t.runs.c.contact_id.in_(ids), t.runs.c.measure == measure, t.runs.c.started_at <= now)
        .where(sa.true() if key is None else t.runs.c.key == key)
        .order_by(t.runs.c.started_at.desc(), t.runs.c.id.desc())
        .limit(1)
    )
    return connection.execute(statement).one_or_none()


def _from_run(contact: Contact, measure: Measure, run: sa.Row[Any], now: Instant) -> Why:
    started = to_iso(run.started_at)
    if run.step_since > now or (run.ended_at is not None and run.ended_at > now):
        # Runs keep their newest step alone.
        return Why(contact.id, measure.path, "running", f"Entered at {started}; was under way.")
    if run.status == "active":
        answer = f"Entered at {started}; stands at step {run.step}, next look at {to_iso(run.due_at)}."
        return Why(contact.id, measure.path, "running", answer)
    ended = f"{run.status} at {to_iso(run.ended_at)}"
    if not any(isinstance(step, MailStep) for step in measure.steps):
        because = f": {run.reason}" if run.reason else ""
        return Why(
            contact.id, measure.path, "ended", f"Entered at {started}; {ended}{because}. It sends no mail."
        )
    skipped = find_skipped_by_when(measure, run_of(run))
    cause = run.reason or "no mail step was reached"
    if skipped is not None and not run.reason:
        cause = f"the `when` of {skipped[0]} was not yes: {skipped[1]}"
    answer = f"Entered at {started}; {ended} before any mail: {cause}."
    return Why(contact.id, measure.path, "ended", answer)


# ---- never entered ---------------------------------------------------------------------------------------


def _never(
    connection: sa.Connection,
    ids: list[int],
    contact: Contact,
    measure: Measure,
    *,
    playbook: Playbook,
    now: Instant,
) -> Why:
    findings = [
        Finding(
            "track",
            measure.track in ("any", contact.track),
            f"the contact is on the {contact.track} track",
            f"the measure is for the {measure.track} track",
        ),
        Finding(
            "stage",
            measure.fits_stage(contact.stage),
            f"the contact is at {contact.stage}",
            f"the measure is for {measure.place}",
        ),
        Finding("trigger", *check_trigger(connection, ids, contact, measure, playbook=playbook, now=now)),
        *_audience(contact, measure, playbook=playbook, now=now),
    ]
    refusal = connection.execute(
        sa.select(t.non_entries).where(
            t.non_entries.c.contact_id.in_(ids),
            t.non_entries.c.measure == measure.root,
            t.non_entries.c.at <= now,
        )
    ).first()
    if refusal is not None:
        text = f"at {to_iso(refusal.at)}: {refusal.detail or refusal.reason}"
        findings.append(Finding(f"refused ({refusal.reason})", False, text))
    missed = [finding for finding in findings if not finding.met]
    if missed:
        first = missed[0]
        change = f" ({first.change})" if first.change else ""
        answer = f"Never entered: {first.check}: {first.value}{change}."
    else:
        answer = (
            "Never entered: every condition is met now, but what starts it has not happened since they were: "
            f"it {describe_trigger(measure)[1]}."
        )
    return Why(contact.id, measure.path, "never_entered", answer, findings)


def _audience(contact: Contact, measure: Measure, *, playbook: Playbook, now: Instant) -> list[Finding]:
    values = reading(contact, playbook, now=now)
    truth = measure.audience.truth(values)
    lines = measure.audience.explain(values).lines()
    change = measure.audience.next_change(values)
    when = f"; the answer may next change at {to_iso(change)}" if change is not None else ""
    return [
        Finding("audience", truth is Truth.YES, f"{measure.audience.text} is {truth.name.lower()}{when}"),
        *(Finding("audience part", truth is Truth.YES, line.rstrip()) for line in lines),
    ]
