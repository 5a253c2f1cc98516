"""Touches: what follows from a GET behind a link of a mail, which by itself is nothing at all.

Enters: a click, an opened picture or a look at a page, kept as telemetry (`note`). Leaves, a minute later and
judged together with everything else that happened to the mail (`domain.bot_detection`): one report of each to
`feedback.record`, with `machine` set or not. Only what may have been a person becomes an event. Safe to repeat:
a touch is judged once, under its lock, and a report is (provider, event id).
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
from nurture.feedback import click_queries as rows
from nurture.feedback.record import record

#: How long a judged touch stays, so that one that comes later is judged with it.
KEPT = DAY


def target_of(connection: sa.Connection, message: int) -> str | None:
    """Return where the call to action of a mail leads in the end; None when the mail is unknown or erased."""
    mail = rows.mailed_to(connection, message)
    target = decode(mail.context).get("target") if mail is not None and mail.context else None
    return target if isinstance(target, str) and target else None


def note(
    connection: sa.Connection,
    message: int,
    *,
    kind: LinkRequestKind,
    link: str,
    agent: Agent,
    playbook: Playbook | None,
    now: Instant,
) -> bool:
    """Keep a touch of a mail for later judgement; tell whether it was kept.

    Nothing is kept where the measure is not tracked or the person wants none of it, and not more than a mail's
    share. Changes no contact, decides nothing.
    """
    mail = rows.mailed_to(connection, message)
    if mail is None:
        return False
    measure = playbook.measures.get(mail.measure) if playbook else None
    if measure is not None and not measure.tracking:
        return False
    if load_permissions(connection, [mail.person])[mail.person].preferences.untracked:
        return False
    row = {"message_id": message, "kind": kind, "link": link[:80], "at": now, "agent": agent}
    return rows.add_touch(connection, row)


def is_due(connection: sa.Connection, *, now: Instant) -> bool:
    """Tell whether a touch waits to be judged."""
    return rows.is_unjudged(connection, before=now - JUDGED_AFTER)


def judge_touches(
    connection: sa.Connection, *, now: Instant, suppression_key: bytes, limit: int = 500
) -> Counts:
    """Judge the touches that are old enough and report them; a constant number of statements.

    `more`: there may be more to judge.
    """
    mails = rows.take_unjudged(connection, before=now - JUDGED_AFTER, limit=limit)
    if not mails:
        return Counts()
    by_mail: dict[int, list[sa.Row[tuple[object, ...]]]] = {}
    for row in rows.touches_of(connection, mails):
        by_mail.setdefault(row.message_id, []).append(row)
    judged: list[Row] = []
    reports: list[Report] = []
    for mine in by_mail.values():
        touched = [LinkRequest(row.kind, row.link, row.at, row.agent) for row in mine]
        for row, sign in zip(mine, find_machine_signs(touched, sent_at=mine[0].sent_at), strict=True):
            if row.judged_at is not None or row.at > now - JUDGED_AFTER:
                continue
            judged.append({"id": row.id, "judged_at": now, "sign": sign})
            if row.kind != "look":
                reports.append(_report(row, sign))
    rows.note_judged(connection, judged)
    done = record(connection, reports, now=now, suppression_key=suppression_key)
    counts = Counts(judged=len(judged), machine=sum(1 for row in judged if row["sign"]))
    counts.add(done)
    counts.more = len(mails) >= limit
    return counts


def forget(connection: sa.Connection, *, now: Instant, limit: int = 5_000) -> int:
    """Delete touches judged a day ago; returns how many."""
    return rows.forget_touches(connection, before=now - KEPT, limit=limit)


def _report(row: sa.Row[tuple[object, ...]], sign: str) -> Report:
    """Return the report of a click or an open: of a person's, one an hour is one; of a machine's, one at all."""
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
