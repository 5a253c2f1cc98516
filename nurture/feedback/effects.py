"""Apply the effects of new reports: suppress addresses, withdraw consent, settle messages, pause lanes."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.consent import record as consent_record
from nurture.consent.record import Suppression
from nurture.domain.counts import Counts
from nurture.domain.feedback import (
    ARRIVED,
    REFUSED_WITHIN,
    SOFT_WITHIN,
    SOURCE,
    WEAK_SEVERITIES,
    has_too_many_soft_bounces,
    must_pause_lane,
    suppression_scope,
)
from nurture.domain.instant import DAY, Instant
from nurture.feedback import queries as feedback_queries
from nurture.feedback.match import MatchedReport
from nurture.ledger.settle import settle_by_evidence


@dataclass(frozen=True, slots=True)
class _Effects:
    """The effects of a batch of new reports, before anything is written."""

    # Message id -> the status that its report proves: sent or failed.
    settled: dict[int, str]
    suppressions: list[Suppression]
    # Addresses whose soft and undetermined bounces are counted.
    weak: list[str]
    unsubscribes: list[MatchedReport]
    refusals: list[MatchedReport]

    def __bool__(self) -> bool:
        """True when there is anything to write."""
        return any((self.settled, self.suppressions, self.weak, self.unsubscribes, self.refusals))


def apply_effects(
    connection: sa.Connection, reports: Sequence[MatchedReport], *, now: Instant, suppression_key: bytes
) -> Counts:
    """Write the effects of new reports; return `settled`, `suppressed` and `lane_paused`.

    Rows are locked in the order of the whole engine: contacts, then runs and messages, then switches.
    """
    effects = _plan_effects(reports)
    if not effects:
        return Counts()
    _lock_contacts(connection, reports, effects)
    counts = Counts()
    for message, status in sorted(effects.settled.items()):
        counts["settled"] += settle_message(connection, message, status, now=now)
    for report in effects.unsubscribes:
        _unsubscribe(connection, report, now=now, suppression_key=suppression_key)
    suppressions = [
        *effects.suppressions,
        *(
            Suppression(address, "all", "soft_bounces")
            for address in _find_worn_out(connection, effects.weak, now)
        ),
    ]
    consent_record.suppress_addresses(
        connection, suppressions, now=now, source=SOURCE, suppression_key=suppression_key
    )
    counts["suppressed"] = len(suppressions)
    counts["lane_paused"] = _pause_refused_lanes(connection, effects.refusals, now)
    return counts


def settle_doubts(connection: sa.Connection, *, now: Instant, limit: int) -> int:
    """Settle messages in doubt by reports that were stored before the doubt; returns how many."""
    rows = feedback_queries.load_reported_doubts(
        connection, kinds=sorted(ARRIVED), since=now - DAY, limit=limit
    )
    statuses = [(row.id, "failed" if row.failed else "sent") for row in rows]
    return sum(settle_message(connection, message, status, now=now) for message, status in sorted(statuses))


def settle_message(connection: sa.Connection, message: int, status: str, *, now: Instant) -> bool:
    """Settle a message as `sent`, or as `failed` by a hard bounce; tells whether its status changed."""
    if status == "sent":
        return settle_by_evidence(connection, message_id=message, status="sent", now=now)
    return settle_by_evidence(connection, message_id=message, status="failed", reason="hard_bounce", now=now)


def _plan_effects(reports: Sequence[MatchedReport]) -> _Effects:
    return _Effects(
        settled={
            report.message.id: status
            for report in reports
            if report.message and (status := _proven_status(report))
        },
        suppressions=[suppression for report in reports if (suppression := _suppression(report)) is not None],
        weak=sorted(
            {
                report.address
                for report in reports
                if report.report.severity in WEAK_SEVERITIES and report.address
            }
        ),
        unsubscribes=[
            report for report in reports if report.report.kind == "unsubscribe" and not report.report.machine
        ],
        refusals=[
            report
            for report in reports
            if report.report.kind == "bounce" and report.report.severity == "policy" and report.message
        ],
    )


def _lock_contacts(connection: sa.Connection, reports: Sequence[MatchedReport], effects: _Effects) -> None:
    contacts = {
        report.message.contact
        for report in reports
        if report.message and report.message.id in effects.settled
    }
    contacts |= {report.contact for report in effects.unsubscribes if report.contact is not None}
    addresses = {row.address for row in effects.suppressions if row.address} | set(effects.weak)
    feedback_queries.lock_contacts(connection, sorted(contacts), sorted(addresses))


def _proven_status(report: MatchedReport) -> str:
    """Return the status that a report proves for its message: `sent`, `failed` or "" (it proves nothing)."""
    if report.report.kind == "bounce":
        return "failed" if report.report.severity == "hard" else ""
    in_doubt = report.message is not None and report.message.status == "in_doubt"
    return "sent" if in_doubt and report.report.kind in ARRIVED else ""


def _suppression(report: MatchedReport) -> Suppression | None:
    kind, severity = report.report.kind, report.report.severity
    scope = suppression_scope(kind, severity, report.message.purpose if report.message else None)
    if not scope or report.address is None:
        return None
    if kind == "complaint":
        return Suppression(report.address, scope, "complaint", report.mailed_contact)
    return Suppression(report.address, scope, "hard_bounce")


def _unsubscribe(
    connection: sa.Connection, report: MatchedReport, *, now: Instant, suppression_key: bytes
) -> None:
    """Withdraw the topic of the mail; everything, when the mail is unknown."""
    if report.contact is not None:
        consent_record.unsubscribe(
            connection,
            contact_id=report.contact,
            topic=report.message.topic if report.message else None,
            now=now,
            source=SOURCE,
            evidence={"provider": report.report.provider, "event": report.key[1]},
            suppression_key=suppression_key,
            mailed=report.mailed_contact,
        )
    elif report.address is not None:
        suppression = Suppression(report.address, "marketing", "unsubscribed")
        consent_record.suppress_addresses(
            connection, [suppression], now=now, source=SOURCE, suppression_key=suppression_key
        )


def _find_worn_out(connection: sa.Connection, addresses: Sequence[str], now: Instant) -> list[str]:
    """Return those of the addresses that bounced softly, or for an unknown reason, on too many days."""
    weak: dict[str, list[Instant]] = {}
    arrived: dict[str, Instant] = {}
    for row in feedback_queries.load_signs(connection, addresses, since=now - SOFT_WITHIN):
        if row.kind == "bounce" and row.severity in WEAK_SEVERITIES:
            weak.setdefault(row.address, []).append(row.at)
        elif row.kind in ARRIVED and not row.machine:
            arrived[row.address] = max(arrived.get(row.address, row.at), row.at)
    return [
        address
        for address in addresses
        if has_too_many_soft_bounces(weak.get(address, ()), arrived_at=arrived.get(address), now=now)
    ]


def _pause_refused_lanes(connection: sa.Connection, refusals: Sequence[MatchedReport], now: Instant) -> int:
    """Pause lanes that receiving servers refuse too often, and return how many; no address is suppressed."""
    reasons = {
        report.message.lane: str(
            report.report.detail.get("diagnostic") or "the receiving servers refuse our mail"
        )
        for report in refusals
        if report.message
    }
    paused = 0
    for row in feedback_queries.count_refusals(connection, sorted(reasons), since=now - REFUSED_WITHIN):
        if must_pause_lane(row.refused, row.reported):
            reason = (
                f"servers of {row.refused} of {row.reported} people refused our mail: {reasons[row.lane]}"
            )
            consent_record.set_switch(
                connection, row.lane, paused=True, reason=reason[:500], actor=SOURCE, now=now
            )
            paused += 1
    return paused
