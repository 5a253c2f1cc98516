"""Pause the marketing mail of a lane whose mails bounce or are reported too often, and tell the operator."""

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.consent import record as consents
from nurture.consent.switch_queries import load_switches
from nurture.database.audit import record
from nurture.domain.errors import UserError
from nurture.domain.health.rates import reason_to_pause, window_start
from nurture.domain.health.signs import Signs
from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING_SWITCH
from nurture.feedback.replies import queue_notice
from nurture.reports.signs import load_lane_rates
from nurture.transports.notice import Notice

#: The actor of pauses that nobody asked for.
ACTOR = "nurture"


def pause_lanes(services: Services, connection: sa.Connection, signs: Signs) -> list[str]:
    """Pause what has to be paused now, with its reason, an audit row and a mail; return the switches.

    Transactional and service mail of the lane goes on. Resuming is an operator's decision, and what happened before it
    is not held against the lane again.
    """
    suspects = [rate.about for rate in signs.lane_rates if reason_to_pause(rate)]
    if not suspects:
        return []
    switches = load_switches(connection)
    paused = []
    for lane in suspects:
        name = lane + MARKETING_SWITCH
        before = switches.get(name)
        if before is not None and before.paused:
            continue
        since = window_start(signs.now, before.at if before is not None else None)
        rates = load_lane_rates(connection, since=since, lane=lane)
        reason = next((text for rate in rates if (text := reason_to_pause(rate))), "")
        if reason:
            _pause(services, connection, name, reason, now=services.clock.now())
            paused.append(name)
    return paused


def _pause(services: Services, connection: sa.Connection, name: str, reason: str, *, now: Instant) -> None:
    consents.set_switch(connection, name, paused=True, reason=reason, actor=ACTOR, now=now)
    detail = {"name": name, "paused": True, "reason": reason}
    record(connection, at=now, actor=ACTOR, action="pause", detail=detail)
    settings = services.settings
    recipient = settings.escalate_to or settings.replies_to
    try:
        sender = services.playbooks.active(connection).playbook.senders["default"]["address"]
    except UserError:
        return
    if recipient:
        notice = Notice(
            sender=sender,
            name="nurture",
            recipient=recipient,
            reply_to=(),
            subject=f"nurture paused {name}",
            text=_text(name, reason),
            at=now,
            key=f"pause:{name}:{now}",
        )
        queue_notice(connection, "pause", notice, case=None, contact=None, now=now)


def _text(name: str, reason: str) -> str:
    return (
        f"{name} is paused: {reason}.\n\n"
        "Transactional and service mail goes on. Marketing mail waits, and expires when its time has passed.\n\n"
        "Look at the audience of the last sends first: nurture status shows the numbers, nurture messages the mails.\n"
        f"When the cause is removed: nurture resume {name}\n"
    )
