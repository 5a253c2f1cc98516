"""The Monday brief: show it, mail it to an owner, and mail it to each owner once a week."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.inbound import build_reply_settings
from nurture.app.models.learn import order_names
from nurture.app.services import Services
from nurture.app.status import find_trouble
from nurture.database.audit import record
from nurture.domain.counts import Counts
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import DAY, HOUR, Instant, to_iso
from nurture.domain.playbook import Playbook
from nurture.domain.timing import at_local_time, start_of_day, to_local
from nurture.feedback.replies import ReplySettings, may_mail, queue_notice
from nurture.measurement.decision_queries import has_slot, take_slot
from nurture.reports.brief.blocks import page_of
from nurture.reports.brief.collect import Brief, collect, week_before
from nurture.reports.brief.mail import BriefMail, mail_of
from nurture.reports.brief.words import check_language, language_of
from nurture.runtime.log import get_logger
from nurture.transports.notice import Notice

_log = get_logger("brief")
#: The local minute of Monday from which the brief leaves, and for how long it is still worth sending.
_AT: Final = 8 * 60
_STILL: Final = 3 * DAY
#: The word of the setting that sends no brief.
NOBODY: Final = "nobody"
#: Parts of the installation whose state the brief tells with words of its own.
_OWN_WORDS: Final = frozenset({"pause", "cases", "approvals"})


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person of the house who gets the brief."""

    # The owner's key in the playbook; "": the address of ESCALATE_TO.
    key: str
    address: str
    language: str
    zone: str

    @property
    def name(self) -> str:
        """Return the name in jobs and in the audit log, without an address."""
        return self.key or "escalate_to"


def show_brief(
    services: Services, *, who: str | None, until: str | None, language: str | None
) -> tuple[Brief, BriefMail]:
    """Return the brief as values and as a mail. who: the owner it is for; until: the last of its seven days.

    Raises NotFoundError for somebody who is no owner, InputError for text that is no day and for another language.
    """
    with services.database.read() as connection:
        playbook, staff = _staff(services, connection)
        found = None if who is None else _recipient(playbook, staff, who)
        brief = _collect(services, connection, playbook, found, until=until)
        written = language or (playbook.default_locale if found is None else found.language)
    checked = check_language(language, "--locale") if language is not None else language_of(written)
    return brief, mail_of(page_of(brief, checked))


def send_brief(
    services: Services, who: str, *, until: str | None, language: str | None, actor: str
) -> dict[str, Any]:
    """Queue the brief as a mail to an owner of the playbook; return what was sent. Raises as `show_brief`."""
    brief, mail = show_brief(services, who=who, until=until, language=language)
    now = services.clock.now()

    def work(connection: sa.Connection) -> dict[str, Any]:
        playbook, staff = _staff(services, connection)
        found = _recipient(playbook, staff, who)
        if not may_mail(staff, found.address):
            raise InputError(f"--to {who}: NURTURE_ONLY_TO does not permit mail to this address")
        _queue(connection, staff, found, mail, key=f"brief:{found.name}:{now}", now=now)
        record(connection, at=now, actor=actor, action="brief.send", detail={"to": found.name})
        return {"to": found.name, "subject": mail.subject, "queued": True}

    sent = services.database.run(work)
    _log.info("brief", to=sent["to"], since=to_iso(brief.week.since))
    return sent


def send_weekly(services: Services) -> Counts:
    """Mail the brief to each owner of BRIEF_TO once a week, from Monday morning on by their own clock.

    Any number of processes may call it, at any rate: the row of the week is written in the transaction that queues the
    mail. Counts `briefs`. An owner whose brief fails does not keep the others from theirs.
    """
    counts, now = Counts(), services.clock.now()
    with services.database.read() as connection:
        if services.playbooks.active_id(connection) is None:
            return counts
        playbook, staff = _staff(services, connection)
        wanted = [
            (recipient, slot)
            for recipient in _recipients(services, playbook, staff)
            if (slot := _slot(now, recipient.zone)) is not None
            and not has_slot(connection, _job(recipient), slot)
            and may_mail(staff, recipient.address)
        ]
        if not wanted:
            return counts
        mails = {
            recipient.name: mail_of(
                page_of(_collect(services, connection, playbook, recipient, until=None), recipient.language)
            )
            for recipient, _ in wanted
        }
    for recipient, slot in wanted:
        counts["briefs"] += services.database.run(
            _sending(services, staff, recipient, slot, mails[recipient.name])
        )
    return counts


def _sending(
    services: Services, staff: ReplySettings, found: Recipient, slot: Instant, mail: BriefMail
) -> Any:
    now = services.clock.now()

    def work(connection: sa.Connection) -> int:
        if not take_slot(connection, _job(found), slot, now=now):
            return 0
        _queue(connection, staff, found, mail, key=f"brief:{found.name}:{slot}", now=now)
        return 1

    return work


def _job(found: Recipient) -> str:
    return f"brief:{found.name}"


def _slot(now: Instant, zone: str) -> Instant | None:
    """Return this week's Monday morning; None when it has not come, or is too long ago."""
    today = to_local(now, zone).date()
    monday = at_local_time(today - timedelta(days=today.weekday()), _AT, zone)
    return monday if monday <= now < monday + _STILL else None


# ---- people ----------------------------------------------------------------------------------------------


def _staff(services: Services, connection: sa.Connection) -> tuple[Playbook, ReplySettings]:
    loaded = services.playbooks.active(connection)
    return loaded.playbook, build_reply_settings(services, loaded)


def _recipients(services: Services, playbook: Playbook, staff: ReplySettings) -> Iterator[Recipient]:
    """Give the recipients that the settings name, each once; one that is not there is logged and left out."""
    wanted = services.settings.brief_to
    if not wanted:
        if staff.escalate_to:
            yield _recipient(playbook, staff, staff.escalate_to)
        return
    names: set[str] = set()
    for entry in wanted if wanted != (NOBODY,) else ():
        who, _, language = entry.partition(":")
        try:
            found = _recipient(playbook, staff, who, language)
        except (InputError, NotFoundError) as error:
            _log.error("a brief has no recipient", entry=who.partition("@")[0], reason=str(error))
            continue
        if found.name not in names:
            names.add(found.name)
            yield found


def _recipient(playbook: Playbook, staff: ReplySettings, who: str, language: str = "") -> Recipient:
    """Return an owner by key or address, or the address of ESCALATE_TO. Raises NotFoundError for anybody else."""
    written = check_language(language, "BRIEF_TO") if language else language_of(playbook.default_locale)
    for key, owner in playbook.owners.items():
        if who == key or who.lower() == owner.address.lower():
            zone = owner.calendar.zone if owner.calendar is not None else playbook.default_zone
            return Recipient(key, owner.address, written, zone)
    if staff.escalate_to and who.lower() == staff.escalate_to.lower():
        return Recipient("", staff.escalate_to, written, playbook.default_zone)
    known = ", ".join(playbook.owners) or "none"
    raise NotFoundError(
        f"{who}: is no owner of the playbook (`owners`: {known}); a brief goes to owners only"
    )


# ---- figures ---------------------------------------------------------------------------------------------


def _collect(
    services: Services,
    connection: sa.Connection,
    playbook: Playbook,
    found: Recipient | None,
    *,
    until: str | None,
) -> Brief:
    now, zone = services.clock.now(), playbook.default_zone
    problems = sum(
        finding.severity == "problem" and finding.part not in _OWN_WORDS
        for finding in find_trouble(services, connection)
    )
    return collect(
        connection,
        playbook,
        week_before(_end(until, zone, now), zone),
        now=now,
        recipient="" if found is None else found.key,
        orders=order_names(playbook),
        problems=problems,
    )


def _end(until: str | None, zone: str, now: Instant) -> Instant:
    """Return the midnight after the last day: of the day asked for, else of yesterday."""
    today = start_of_day(now, zone)
    if until is None:
        return today
    try:
        day = date.fromisoformat(until)
    except ValueError as error:
        raise InputError(f"--until {until}: write a day as YYYY-MM-DD, such as 2026-11-30") from error
    end = start_of_day(at_local_time(day, 0, zone) + 12 * HOUR, zone, days=1)
    if end > start_of_day(now, zone, days=1):
        raise InputError(f"--until {until}: that day has not begun")
    return end


def _queue(
    connection: sa.Connection,
    staff: ReplySettings,
    found: Recipient,
    mail: BriefMail,
    *,
    key: str,
    now: Instant,
) -> None:
    notice = Notice(
        sender=staff.sender,
        name="nurture",
        recipient=found.address,
        reply_to=(),
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        at=now,
        key=key,
    )
    queue_notice(connection, "brief", notice, case=None, contact=None, now=now)


def brief_values(brief: Brief) -> dict[str, Any]:
    """Return the brief as plain values for JSON; instants as text."""
    week = {name: to_iso(value) for name, value in brief.week._asdict().items()}
    values = asdict(brief)
    return {
        **values,
        "week": week,
        "moved": [row._asdict() for row in brief.moved],
        "stages": [row._asdict() for row in brief.stages],
        "verdicts": [row._asdict() for row in brief.verdicts],
        "stopped": [row._asdict() for row in brief.stopped],
        "pauses": [{**row._asdict(), "since": to_iso(row.since)} for row in brief.pauses],
        "open_pauses": [{**row._asdict(), "since": to_iso(row.since)} for row in brief.open_pauses],
        "late": [{**row._asdict(), "due_at": to_iso(row.due_at)} for row in brief.late],
        "replies": brief.replies._asdict(),
        "thanks": [row._asdict() for row in brief.thanks],
        "compared": {
            **brief.compared._asdict(),
            "first_figures": None
            if brief.compared.first_figures is None
            else to_iso(brief.compared.first_figures),
        },
        "needs": brief.needs,
        "stops": brief.stops,
    }
