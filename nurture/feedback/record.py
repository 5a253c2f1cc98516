"""Feedback: what others report about our mail is kept once, matched to message and person, and acts at once.

Enters: `Report`s in one vocabulary, from provider webhooks, the inbound mailbox and our own pages. Leaves, in
the caller's transaction: rows of `feedback`, suppressions and withdrawals, settled messages, a paused lane
when it is us who are refused, and events in the inbox. Safe to repeat: a report is (provider, event id).

It may come before our own "sent" is written, or months later, or about somebody unknown. Suppression goes by
address and waits for nobody; the event waits in the row until a person fits it (`match_late`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent import record as law
from nurture.contacts.accept import NewEvent, accept, clean
from nurture.database.bulk import Row
from nurture.database.engine import decode, encode
from nurture.domain.counts import Counts
from nurture.domain.event import Identity
from nurture.domain.feedback import (
    ARRIVED,
    EVENTS,
    REFUSED_WITHIN,
    SOFT_WITHIN,
    SOURCE,
    Report,
    ReportKind,
    has_too_many_soft_bounces,
    must_pause_lane,
    read_message_id,
    suppression_scope,
)
from nurture.domain.instant import DAY, Duration, Instant
from nurture.feedback import queries as rows
from nurture.feedback.queries import Mailed
from nurture.ledger.settle import settle_by_evidence

#: Characters kept of what a provider sent, and of one text of a report's detail.
RAW_MAX: Final = 20_000
TEXT_MAX: Final = 2_000
_KEY_MAX: Final = 200
#: How long a report waits for a person who fits it.
WAITS: Final[Duration] = 90 * DAY


@dataclass(frozen=True, slots=True)
class _Found:
    """A report with the message, person and address it is about, as far as they are known."""

    report: Report
    message: Mailed | None
    person: int | None
    address: str | None

    @property
    def key(self) -> tuple[str, str]:
        return self.report.provider, _event_id(self.report)

    @property
    def event(self) -> str | None:
        return None if self.report.machine else EVENTS.get(self.report.kind)

    @property
    def waits(self) -> bool:
        """Whether its event waits for a person to be found."""
        about = self.address is not None or self.report.message is not None or self.report.header_id
        return self.event is not None and self.person is None and bool(about)


def record(
    connection: sa.Connection, reports: Iterable[Report], *, now: Instant, suppression_key: bytes
) -> Counts:
    """Keep the reports that are new and let them act; a constant number of statements for a batch.

    Returns how many were new by kind, and `duplicate`, `unmatched`, `suppressed`, `settled`, `lane_paused`.
    reports: their origin is verified by the caller. Bounded by the caller too: a few hundred at a time.
    Statements grow only with messages that a report settles and people who unsubscribe.
    """
    given = {(each.provider, _event_id(each)): each for each in reports}
    if not given:
        return Counts()
    found = _find(connection, list(given.values()))
    # Everybody inserts in one order, so that two copies of a delivery wait for each other, not in a circle.
    found.sort(key=lambda each: each.key)
    kept = rows.keep(connection, [_row(each, now) for each in found])
    new = [each for each in found if each.key in kept]
    counts = Counts(duplicate=len(found) - len(new))
    for each in new:
        counts[each.report.kind] += 1
        counts["unmatched"] += each.waits
    if new:
        counts.add(_act(connection, new, now=now, suppression_key=suppression_key))
    _tell(connection, new, now=now)
    return counts


def match_late(connection: sa.Connection, *, now: Instant, limit: int = 200) -> Counts:
    """Hand in the events of reports whose person has become known meanwhile; gives up after WAITS."""
    waiting = rows.unapplied(connection, since=now - WAITS, limit=limit)
    found = _find(connection, [_report(row) for row in waiting])
    known = [each for each in found if each.person is not None]
    _tell(connection, known, now=now)
    rows.applied(
        connection,
        [
            {
                "provider": each.key[0],
                "event_id": each.key[1],
                "message_id": each.message.id if each.message else None,
                "contact_id": each.person,
                "applied_at": now,
            }
            for each in known
        ],
    )
    return Counts(matched=len(known))


def settle_doubts(connection: sa.Connection, *, now: Instant, limit: int) -> int:
    """Settle messages in doubt by what was reported about them before anybody knew of the doubt; returns how many."""
    told = rows.told_doubts(connection, kinds=sorted(ARRIVED), since=now - DAY, limit=limit)
    verdicts = [(row.id, "failed" if row.failed else "sent") for row in told]
    return sum(_settle(connection, message, status, now=now) for message, status in sorted(verdicts))


# ---- whom it is about ------------------------------------------------------------------------------------


def _find(connection: sa.Connection, reports: Sequence[Report]) -> list[_Found]:
    asked = {place: _asked(report) for place, report in enumerate(reports)}
    mailed = rows.mailed(connection, sorted({number for number in asked.values() if number is not None}))
    messages = [_mine(report, mailed.get(asked[place] or 0)) for place, report in enumerate(reports)]
    strangers = {
        report.address
        for report, message in zip(reports, messages, strict=True)
        if message is None and report.address
    }
    owners = rows.owners(connection, sorted(strangers))
    people = sorted({message.person for message in messages if message})
    now_at = rows.addresses_of(connection, people)
    told = _frozen_addresses(connection, reports, messages)
    found = []
    for report, message in zip(reports, messages, strict=True):
        person = message.person if message else owners.get(report.address or "")
        address = report.address
        if address is None and message is not None:
            address = told.get(message.id) or now_at.get(message.person)
        found.append(_Found(report, message, person, address))
    return found


def _asked(report: Report) -> int | None:
    return report.message if report.message is not None else read_message_id(report.header_id)


def _mine(report: Report, message: Mailed | None) -> Mailed | None:
    """Return the message unless all that speaks for it is a Message-ID that is not its own."""
    if message is None or report.message is not None:
        return message
    said = (report.header_id or "").strip().strip("<>")
    return message if (message.header_id or "").strip("<>") == said else None


def _frozen_addresses(
    connection: sa.Connection, reports: Sequence[Report], messages: Sequence[Mailed | None]
) -> dict[int, str]:
    """Return where messages were mailed to, for reports that may stop mail there and name no address."""
    wanted = {
        message.id
        for report, message in zip(reports, messages, strict=True)
        if message and report.address is None and report.kind in ("bounce", "complaint")
    }
    said = {
        number: decode(text).get("to") for number, text in rows.contexts(connection, sorted(wanted)).items()
    }
    return {number: address for number, address in said.items() if isinstance(address, str)}


# ---- what follows ----------------------------------------------------------------------------------------


def _act(connection: sa.Connection, new: Sequence[_Found], *, now: Instant, suppression_key: bytes) -> Counts:
    """Suppress, withdraw, settle and pause, in the one lock order: contacts, runs and messages, switches."""
    settled = {each.message.id: status for each in new if each.message and (status := _proof(each))}
    stopped = [_stop(each) for each in new]
    soft = sorted({each.address for each in new if each.report.severity == "soft" and each.address})
    left = [each for each in new if each.report.kind == "unsubscribe" and not each.report.machine]
    counts = Counts()
    if not (settled or any(stopped) or soft or left or any(_refused(each) for each in new)):
        return counts
    touched = {each.message.person for each in new if each.message and each.message.id in settled}
    touched |= {each.person for each in left if each.person is not None}
    addresses = {one.address for one in stopped if one} | set(soft)
    rows.lock(connection, sorted(touched), sorted(addresses))
    for message, status in sorted(settled.items()):
        counts["settled"] += _settle(connection, message, status, now=now)
    for each in left:
        _leave(connection, each, now=now, suppression_key=suppression_key)
    stops = [one for one in stopped if one]
    stops += [law.Suppression(address, "all", "soft_bounces") for address in _worn_out(connection, soft, now)]
    law.suppress_addresses(connection, stops, now=now, source=SOURCE, suppression_key=suppression_key)
    counts["suppressed"] = len(stops)
    counts["lane_paused"] = _mind_the_lanes(connection, new, now)
    return counts


def _proof(each: _Found) -> str:
    """Return what the report proves about a message whose fate may be open: sent, failed or nothing."""
    if each.report.kind == "bounce":
        return "failed" if each.report.severity == "hard" else ""
    is_open = each.message is not None and each.message.status == "in_doubt"
    return "sent" if is_open and each.report.kind in ARRIVED else ""


def _settle(connection: sa.Connection, message: int, status: str, *, now: Instant) -> bool:
    if status == "sent":
        return settle_by_evidence(connection, message_id=message, status="sent", now=now)
    return settle_by_evidence(connection, message_id=message, status="failed", reason="hard_bounce", now=now)


def _stop(each: _Found) -> law.Suppression | None:
    scope = suppression_scope(
        each.report.kind, each.report.severity, each.message.purpose if each.message else None
    )
    if not scope or each.address is None:
        return None
    return law.Suppression(
        each.address, scope, "complaint" if each.report.kind == "complaint" else "hard_bounce"
    )


def _leave(connection: sa.Connection, each: _Found, *, now: Instant, suppression_key: bytes) -> None:
    """Withdraw the topic of the mail, or everything when it is not known which mail it was."""
    if each.person is not None:
        law.unsubscribe(
            connection,
            contact_id=each.person,
            topic=each.message.topic if each.message else None,
            now=now,
            source=SOURCE,
            evidence={"provider": each.report.provider, "event": each.key[1]},
            suppression_key=suppression_key,
        )
    elif each.address is not None:
        stop = law.Suppression(each.address, "marketing", "unsubscribed")
        law.suppress_addresses(connection, [stop], now=now, source=SOURCE, suppression_key=suppression_key)


def _worn_out(connection: sa.Connection, addresses: Sequence[str], now: Instant) -> list[str]:
    """Return those of the addresses that have bounced softly on too many days."""
    soft: dict[str, list[Instant]] = {}
    arrived: dict[str, Instant] = {}
    for row in rows.signs(connection, addresses, since=now - SOFT_WITHIN):
        if row.kind == "bounce" and row.severity == "soft":
            soft.setdefault(row.address, []).append(row.at)
        elif row.kind in ARRIVED and not row.machine:
            arrived[row.address] = max(arrived.get(row.address, row.at), row.at)
    return [
        address
        for address in addresses
        if has_too_many_soft_bounces(soft.get(address, ()), arrived_at=arrived.get(address), now=now)
    ]


def _refused(each: _Found) -> bool:
    return each.report.kind == "bounce" and each.report.severity == "policy" and each.message is not None


def _mind_the_lanes(connection: sa.Connection, new: Sequence[_Found], now: Instant) -> int:
    """Pause lanes through which we are refused too often: that is our fault, and nobody's address is to blame."""
    reasons = {
        each.message.lane: str(each.report.detail.get("diagnostic") or "the receiving side refuses us")
        for each in new
        if _refused(each) and each.message
    }
    paused = 0
    for row in rows.refusals(connection, sorted(reasons), since=now - REFUSED_WITHIN):
        if must_pause_lane(row.refused, row.heard):
            reason = f"{row.refused} of {row.heard} people's servers refused us: {reasons[row.lane]}"[:500]
            law.set_switch(connection, row.lane, paused=True, reason=reason, actor=SOURCE, now=now)
            paused += 1
    return paused


# ---- rows and events -------------------------------------------------------------------------------------


def _tell(connection: sa.Connection, found: Sequence[_Found], *, now: Instant) -> None:
    """Put the events of reports whose person is known into the inbox."""
    telling = [each for each in found if each.event is not None and each.person is not None]
    names = rows.names(connection, sorted({each.person for each in telling if each.person is not None}))
    events = [
        _event(each, names[each.person], now)
        for each in telling
        if each.person is not None and each.person in names
    ]
    accept(connection, events)


def _event(each: _Found, name: Identity, now: Instant) -> NewEvent:
    report, message = each.report, each.message
    properties: dict[str, Any] = {**_detail(report), "provider": report.provider}
    if message is not None:
        properties |= {"message": message.id, "measure": message.measure, "purpose": message.purpose}
        if report.kind == "unsubscribe":
            properties["topic"] = message.topic or "*"
    if report.severity:
        properties["severity"] = report.severity
    provider, event_id = each.key
    return NewEvent(
        source=SOURCE,
        message_id=f"{provider}:{event_id}",
        kind="track",
        name=each.event or "",
        occurred_at=min(report.at, now),
        received_at=now,
        identities=(name,),
        properties=properties,
    )


def _row(each: _Found, now: Instant) -> Row:
    report = each.report
    provider, event_id = each.key
    # Of somebody who was erased only the fact is counted.
    forgotten = each.message is not None and each.message.erased
    return {
        "provider": provider,
        "event_id": event_id,
        # A Message-ID that is not ours is no number of ours.
        "message_id": each.message.id if each.message else report.message,
        "kind": report.kind,
        "at": min(report.at, now),
        "raw": "" if forgotten else clean(report.raw)[:RAW_MAX],
        "severity": report.severity,
        "machine": report.machine,
        "contact_id": each.person,
        "address": None if forgotten else each.address,
        "received_at": now,
        "applied_at": None if each.waits else now,
        "detail": "{}" if forgotten else encode(_detail(report)),
    }


def _report(row: sa.Row[Any]) -> Report:
    """Return a stored report as it was told."""
    detail = decode(row.detail)
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
        detail=detail,
    )


def _detail(report: Report) -> dict[str, Any]:
    """Return the report's detail as it is kept: short texts, plain values."""
    kept: dict[str, Any] = {}
    for name, value in list(report.detail.items())[:20]:
        if isinstance(value, str):
            kept[name] = clean(value)[:TEXT_MAX]
        elif isinstance(value, bool | int) and abs(value) < 2**63:
            kept[name] = value
    return kept


def _event_id(report: Report) -> str:
    """Return the report's id within its provider, in a length that every table holds."""
    text = clean(report.event_id)
    if 0 < len(text) <= _KEY_MAX:
        return text
    return "b2:" + blake2b(text.encode(), digest_size=16).hexdigest()
