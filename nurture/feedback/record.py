"""Record reports about our mail: each is stored once, matched to message and contact, and applied at once.

Input: `Report`s in the vocabulary of `domain.feedback`, from provider webhooks, the inbound mailbox and our own
pages. Output, in the caller's transaction: rows of `feedback`, suppressions and withdrawals, settled messages, a
paused lane when servers refuse the sender, and events in the inbox. It may be repeated: a report is (provider,
event id).

A report may come before our own `sent` is written, or months later, or about somebody unknown. It suppresses its
address in any case; its event waits in the row until a contact matches (`match_late`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept, clean
from nurture.database.bulk import Row
from nurture.database.engine import decode, encode
from nurture.domain.counts import Counts
from nurture.domain.event import Identity
from nurture.domain.feedback import SOURCE, Report, ReportKind
from nurture.domain.instant import DAY, Duration, Instant
from nurture.feedback import queries as feedback_queries
from nurture.feedback.effects import apply_effects
from nurture.feedback.match import MatchedReport, bounded_event_id, match_reports
from nurture.health.count_reports import count_reports

#: Characters kept of a provider's payload, and of one text of a report's detail.
RAW_MAX: Final = 20_000
TEXT_MAX: Final = 2_000
#: How long a report waits for a contact that matches.
WAITS: Final[Duration] = 90 * DAY


def record(
    connection: sa.Connection, reports: Iterable[Report], *, now: Instant, suppression_key: bytes
) -> Counts:
    """Store the reports that are new and apply them; returns the new ones by kind.

    Further counts: `duplicate`, `unmatched`, `suppressed`, `settled`, `lane_paused`. reports: at most a few hundred;
    the caller has verified their origin. The number of statements grows only with the messages that are settled and
    the people who unsubscribe.
    """
    unique = {(report.provider, bounded_event_id(report)): report for report in reports}
    if not unique:
        return Counts()
    matched = match_reports(connection, list(unique.values()))
    # Every transaction inserts in the same order, so that two copies of a delivery cannot deadlock.
    matched.sort(key=lambda report: report.key)
    stored = feedback_queries.store_reports(connection, [_row(report, now) for report in matched])
    new = [report for report in matched if report.key in stored]
    counts = Counts(duplicate=len(matched) - len(new))
    for report in new:
        counts[report.report.kind] += 1
        counts["unmatched"] += report.waits
    about_mails = [
        (report.message.lane, report.address or "", report.report)
        for report in new
        if report.message is not None
    ]
    count_reports(connection, about_mails, now=now)
    counts.add(apply_effects(connection, new, now=now, suppression_key=suppression_key))
    _accept_events(connection, new, now=now)
    return counts


def match_late(connection: sa.Connection, *, now: Instant, limit: int = 200) -> Counts:
    """Accept the events of reports whose contact has become known; a report waits no longer than WAITS."""
    waiting = feedback_queries.lock_matchable(connection, since=now - WAITS, limit=limit)
    matched = [
        report
        for report in match_reports(connection, [_stored_report(row) for row in waiting])
        if report.contact is not None
    ]
    _accept_events(connection, matched, now=now)
    feedback_queries.mark_applied(
        connection,
        [
            {
                "provider": report.key[0],
                "event_id": report.key[1],
                "message_id": report.message.id if report.message else None,
                "contact_id": report.contact,
                "applied_at": now,
            }
            for report in matched
        ],
    )
    return Counts(matched=len(matched))


# ---- events ----------------------------------------------------------------------------------------------


def _accept_events(connection: sa.Connection, reports: Sequence[MatchedReport], *, now: Instant) -> None:
    """Put the events of reports whose contact is known into the inbox."""
    matched = [
        (report, report.contact) for report in reports if report.event_name and report.contact is not None
    ]
    names = feedback_queries.load_names(connection, sorted({contact for _, contact in matched}))
    accept(
        connection,
        [_event(report, names[contact], now) for report, contact in matched if contact in names],
    )


def _event(matched: MatchedReport, name: Identity, now: Instant) -> NewEvent:
    report, message = matched.report, matched.message
    properties: dict[str, Any] = {**_bounded_detail(report.detail), "provider": report.provider}
    if message is not None:
        properties |= {"message": message.id, "measure": message.measure, "purpose": message.purpose}
        if report.kind == "unsubscribe":
            properties["topic"] = message.topic or "*"
    if report.severity:
        properties["severity"] = report.severity
    provider, event_id = matched.key
    return NewEvent(
        source=SOURCE,
        message_id=f"{provider}:{event_id}",
        kind="track",
        name=matched.event_name or "",
        occurred_at=min(report.at, now),
        received_at=now,
        identities=(name,),
        properties=properties,
    )


# ---- rows ------------------------------------------------------------------------------------------------


def _row(matched: MatchedReport, now: Instant) -> Row:
    report = matched.report
    provider, event_id = matched.key
    # About an erased person only the fact of the report is stored.
    erased = matched.message is not None and matched.message.erased
    return {
        "provider": provider,
        "event_id": event_id,
        # The number in a Message-ID that is not ours is not stored.
        "message_id": matched.message.id if matched.message else report.message,
        "kind": report.kind,
        "at": min(report.at, now),
        "raw": "" if erased else clean(report.raw)[:RAW_MAX],
        "severity": report.severity,
        "machine": report.machine,
        "contact_id": matched.contact,
        "address": None if erased else matched.address,
        "received_at": now,
        "applied_at": None if matched.waits else now,
        "detail": "{}" if erased else encode(_bounded_detail(report.detail)),
    }


def _stored_report(row: sa.Row[Any]) -> Report:
    """Return the report of a row of `feedback`."""
    kind: ReportKind = row.kind
    return Report(
        provider=row.provider,
        event_id=row.event_id,
        kind=kind,
        at=row.at,
        severity=row.severity,
        message=row.message_id,
        address=row.address,
        machine=row.machine,
        detail=decode(row.detail),
    )


def _bounded_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detail as it is stored: at most 20 entries, short texts and plain numbers."""
    bounded: dict[str, Any] = {}
    for name, value in list(detail.items())[:20]:
        if isinstance(value, str):
            bounded[name] = clean(value)[:TEXT_MAX]
        elif isinstance(value, bool | int) and abs(value) < 2**63:
            bounded[name] = value
    return bounded
