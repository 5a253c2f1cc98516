"""Clicks: GET requests behind the links of a mail are stored, judged a minute later, and reported.

Input: a click, an opened picture or a look at a page (`note_click`); by itself it has no effect. Output, a minute
later and judged together with all other requests of the mail (`domain.bot_detection`): one report of each click and
open to `feedback.record`, with `machine` set or not. Only a report that may be a person's becomes an event. It may be
repeated: a click is judged once, under its lock, and a report is (provider, event id).
"""

import sqlalchemy as sa

from nurture.consent.load_permissions import load_permissions
from nurture.database.bulk import Row
from nurture.database.engine import decode
from nurture.domain.bot_detection import JUDGED_AFTER, Agent, LinkRequest, LinkRequestKind, find_machine_signs
from nurture.domain.counts import Counts
from nurture.domain.event import OWN_PAGES
from nurture.domain.feedback import Report
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.domain.playbook import Playbook
from nurture.feedback import click_queries
from nurture.feedback.record import record

#: How long a judged click stays stored, because a later one is judged together with it.
KEPT = DAY


def load_target(connection: sa.Connection, message: int) -> str | None:
    """Return the URL that the call to action of a mail leads to; None when the mail is unknown or erased."""
    mail = click_queries.load_mail(connection, message)
    target = decode(mail.context).get("target") if mail is not None and mail.context else None
    return target if isinstance(target, str) and target else None


def note_click(
    connection: sa.Connection,
    message: int,
    *,
    kind: LinkRequestKind,
    link: str,
    agent: Agent,
    playbook: Playbook | None,
    now: Instant,
) -> bool:
    """Store a request for later judgement; tell whether it was stored.

    Nothing is stored when the measure or the person is not tracked, or when the mail has CLICKS_MAX clicks. Changes
    no contact.
    """
    mail = click_queries.load_mail(connection, message)
    if mail is None:
        return False
    measure = playbook.measures.get(mail.measure) if playbook else None
    if measure is not None and not measure.tracking:
        return False
    if load_permissions(connection, [mail.contact])[mail.contact].preferences.untracked:
        return False
    row = {"message_id": message, "kind": kind, "link": link[:80], "at": now, "agent": agent}
    return click_queries.add_click(connection, row)


def is_due(connection: sa.Connection, *, now: Instant) -> bool:
    """Tell whether a click waits to be judged."""
    return click_queries.is_unjudged(connection, before=now - JUDGED_AFTER)


def judge_clicks(
    connection: sa.Connection, *, now: Instant, suppression_key: bytes, limit: int = 500
) -> Counts:
    """Judge the clicks that are old enough and report them; a constant number of statements.

    Counts: `judged`, `machine`, those of `record`; `more`: there may be more to judge.
    """
    mails = click_queries.lock_unjudged(connection, before=now - JUDGED_AFTER, limit=limit)
    if not mails:
        return Counts()
    by_mail: dict[int, list[sa.Row[tuple[object, ...]]]] = {}
    for row in click_queries.load_clicks(connection, mails):
        by_mail.setdefault(row.message_id, []).append(row)
    judged: list[Row] = []
    reports: list[Report] = []
    for clicks in by_mail.values():
        requests = [LinkRequest(row.kind, row.link, row.at, row.agent) for row in clicks]
        signs = find_machine_signs(requests, sent_at=clicks[0].sent_at)
        for row, sign in zip(clicks, signs, strict=True):
            if row.judged_at is not None or row.at > now - JUDGED_AFTER:
                continue
            judged.append({"id": row.id, "judged_at": now, "sign": sign})
            if row.kind != "look":
                reports.append(_report(row, sign))
    click_queries.mark_judged(connection, judged)
    counts = Counts(judged=len(judged), machine=sum(1 for row in judged if row["sign"]))
    counts.add(record(connection, reports, now=now, suppression_key=suppression_key))
    counts.more = len(mails) >= limit
    return counts


def delete_judged(connection: sa.Connection, *, now: Instant, limit: int = 5_000) -> int:
    """Delete clicks judged a day ago; returns how many."""
    return click_queries.delete_judged(connection, before=now - KEPT, limit=limit)


def _report(row: sa.Row[tuple[object, ...]], sign: str) -> Report:
    """Return the report of a click or an open; its id makes a person's one an hour, and a machine's one in all."""
    when = "machine" if sign else str(row.at // HOUR)
    detail = {"agent": row.agent, **({"sign": sign} if sign else {})}
    return Report(
        provider=OWN_PAGES,
        event_id=f"{row.kind}:{row.message_id}:{when}",
        kind=row.kind,
        at=row.at,
        message=row.message_id,
        machine=bool(sign),
        detail=detail,
    )
