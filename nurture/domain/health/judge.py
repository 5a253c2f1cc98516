"""Find the trouble in the signs of an installation.

Status, doctor, readiness, metrics and log print the same findings.
"""

from collections.abc import Iterator, Sequence

from nurture.domain.guard.input import RESTORED_SWITCH
from nurture.domain.health.findings import Finding, Severity, format_age, format_share
from nurture.domain.health.rates import COMPLAINTS_MAX, has_many_complaints
from nurture.domain.health.shared_settings import judge_settings
from nurture.domain.health.signs import (
    BacklogSign,
    LaneSign,
    PauseSign,
    ProcessSign,
    RateSign,
    SenderSign,
    Signs,
)
from nurture.domain.instant import HOUR, MINUTE, SECOND, Duration, Instant

#: Due work that is older than this shows that nobody does it.
DUE_MAX: Duration = 5 * MINUTE
#: The same of bulk work: an import or a campaign of hours is no trouble while its oldest row is younger.
DUE_BULK_MAX: Duration = HOUR
_BULK_QUEUES = frozenset({"inbox_bulk", "deliver_marketing"})
#: A lane with due mail and no success for this long has stalled, whatever its server says.
STALLED_AFTER: Duration = 60 * SECOND
#: A backlog of at least so many rows that grew in a few minutes is named while its oldest row is younger than DUE_MAX.
GROWING_ROWS = 100
GROWING_AFTER: Duration = MINUTE
#: Stages of the quarantine whose events are ours to repair; the others hold what a client told wrongly.
_OURS = ("rule", "crash")
#: Stages of a session at which the server was not reached, and those at which it had begun a mail.
_UNREACHED = ("connect", "greeted")
_BEGUN = ("mail", "rcpt", "data", "dot")
#: A connection that breaks off once is no trouble; nor is one that did so long ago, where none was tried since.
BREAKS_OFF_AFTER: Duration = 10 * SECOND
BREAKS_OFF_FOR: Duration = 10 * MINUTE
#: Those who pause by themselves; a pause of an operator is known to its operator.
_OURSELVES = ("deliver", "feedback", "nurture")


def judge(signs: Signs) -> list[Finding]:
    """Return all findings, problems first, in a fixed order of parts."""
    found = [
        *_judge_processes(signs),
        *_judge_broker(signs.processes, signs.now),
        *(finding for lane in signs.lanes for finding in _judge_lane(lane, signs)),
        *(finding for backlog in signs.backlog for finding in _judge_backlog(backlog, signs.now)),
        *(_judge_pause(pause, signs.now) for pause in signs.pauses),
        *(_judge_complaints(rate) for rate in signs.lane_rates if has_many_complaints(rate)),
        *(_judge_sender(check) for check in signs.sender if check.state in ("failed", "warning")),
        *_judge_tables(signs),
    ]
    return sorted(found, key=lambda finding: finding.severity == "notice")


# ---- processes and broker --------------------------------------------------------------------------------


def _judge_processes(signs: Signs) -> Iterator[Finding]:
    alive = {sign.kind for sign in signs.processes if sign.is_alive(signs.now)}
    if signs.embedded and not alive & {"up", "worker"}:
        last = max((sign.beat_at for sign in signs.processes), default=None)
        words = "nothing runs: no event is applied and no mail is sent"
        yield Finding("up", "", "problem", words, "start it: nurture up", last)
        return
    if "up" not in alive:
        yield from _missing_kinds(signs, alive)
    yield from _lost_processes(signs, alive)
    versions = sorted({sign.version for sign in signs.processes if sign.is_alive(signs.now)})
    if len(versions) > 1:
        words = f"processes of several versions run: {', '.join(versions)}"
        yield Finding("version", "", "notice", words, "restart those of the older version")
    yield from judge_settings(signs.processes, signs.now)


_DUTY = {
    "worker": ("no worker runs: no event is applied and no mail is sent", "start one: nurture worker"),
    "scheduler": (
        "no scheduler runs: answers become overdue unseen, old data stays, interrupted erasures wait",
        "start one: nurture scheduler",
    ),
    "api": (
        "no api runs: no event, unsubscription or provider's report is accepted",
        "start one: nurture api",
    ),
    "inbound": (
        "nothing receives mail: bounces, complaints and replies are missed",
        "start it: nurture inbound; or let the provider's webhook report them",
    ),
}


def _missing_kinds(signs: Signs, alive: set[str]) -> Iterator[Finding]:
    known = {sign.kind: sign for sign in sorted(signs.processes, key=lambda sign: sign.beat_at)}
    for kind, (words, remedy) in _DUTY.items():
        if kind in alive or (kind == "api" and signs.embedded):
            continue
        last = known.get(kind)
        # Reports may come by webhook alone, so a process that never ran may not be wanted.
        if kind == "inbound" and last is None:
            if not signs.takes_mail:
                continue
            yield Finding(kind, "", "notice", words, remedy)
        elif last is None:
            yield Finding(kind, "", "problem", words, remedy)
        else:
            seen = f"the last one, {last.place}, was seen {format_age(signs.now - last.beat_at)} ago"
            yield Finding(kind, "", "problem", f"{words}; {seen}", remedy, last.beat_at)


def _lost_processes(signs: Signs, alive: set[str]) -> Iterator[Finding]:
    """Yield the processes that ended without a word while others of their kind go on."""
    for sign in signs.processes:
        if sign.kind in alive and not sign.is_alive(signs.now):
            words = (
                f"{sign.kind} {sign.place} ended without a word, {format_age(signs.now - sign.beat_at)} ago; "
                "others of its kind run"
            )
            remedy = "look at its log and start it again if nothing else does"
            yield Finding("lost", sign.place, "notice", words, remedy, sign.beat_at)


def _judge_broker(processes: Sequence[ProcessSign], now: Instant) -> Iterator[Finding]:
    failing = [sign for sign in processes if sign.is_alive(now) and sign.broker_error]
    if not failing:
        return
    alive = sum(sign.is_alive(now) for sign in processes)
    since = min((sign.broker_at for sign in failing if sign.broker_at is not None), default=None)
    ago = f" for {format_age(now - since)}" if since is not None else ""
    words = (
        f"{len(failing)} of {alive} processes do not reach the broker{ago}: {failing[0].broker_error}. Nothing is "
        "lost; workers find the work by looking, up to 5 s later"
    )
    yield Finding("broker", "", "problem", words, "start the broker, or correct NURTURE_BROKER_URL", since)


# ---- lanes and backlog -----------------------------------------------------------------------------------


def _judge_lane(lane: LaneSign, signs: Signs) -> Iterator[Finding]:
    now = signs.now
    paused = {pause.name for pause in signs.pauses} & {"all", RESTORED_SWITCH, lane.name}
    # A refusal pauses the lane; once an operator has resumed it, its server has not refused anything.
    if (is_failing(lane) and (lane.stage != "refused" or paused)) or breaks_off(lane, now):
        accepted = "has accepted no mail yet"
        if lane.success_at is not None:
            accepted = f"accepted its last mail {format_age(now - lane.success_at)} ago"
        does = "is away" if lane.stage in _UNREACHED else "refuses"
        does = f"breaks connections off at {lane.stage.upper()}" if breaks_off(lane, now) else does
        words = f"the server of lane {lane.name} {does}: {lane.words or 'no reply'}; it {accepted}"
        remedy = "repair the server or NURTURE_MAIL_URL; the mail waits, and leaves by itself"
        yield Finding("relay", lane.name, "problem", words, remedy, lane.failing_since)
        return
    if lane.due_since is None or paused:
        return
    idle_since = max(lane.due_since, lane.success_at or lane.due_since)
    if now - idle_since > STALLED_AFTER:
        words = (
            f"lane {lane.name} has stalled: mail is due for {format_age(now - lane.due_since)} and its server accepted "
            f"none for {format_age(now - idle_since)}"
        ) + (f"; it last said: {lane.words}" if lane.words else "")
        yield Finding(
            "stalled", lane.name, "problem", words, "look at the workers' log and at the server's", idle_since
        )


def is_failing(lane: LaneSign) -> bool:
    """Tell whether the last that was heard of the lane's server is that it is away or refuses us."""
    return lane.failing_since is not None and lane.stage in (*_UNREACHED, "refused")


def breaks_off(lane: LaneSign, now: Instant) -> bool:
    """Tell whether the lane's server accepts connections and ends them without a reply once a mail has begun."""
    if lane.failing_since is None or lane.failure_at is None or lane.stage not in _BEGUN:
        return False
    # With a reply it would be the answer to this one mail.
    has_reply = lane.words[:3].isdigit()
    lasts, is_new = now - lane.failing_since >= BREAKS_OFF_AFTER, now - lane.failure_at <= BREAKS_OFF_FOR
    return lasts and is_new and not has_reply


def _judge_backlog(backlog: BacklogSign, now: Instant) -> Iterator[Finding]:
    if backlog.due_since is None:
        return
    age = now - backlog.due_since
    rows = "" if backlog.rows is None else f", {backlog.rows} rows are due"
    if age > due_bound(backlog.queue):
        words = f"the oldest work of {backlog.queue} has been due for {format_age(age)}{rows}"
        remedy = "start more workers, or look at the log of those that run"
        yield Finding("late", backlog.queue, "problem", words, remedy, backlog.due_since)
    elif is_growing(backlog) and age > GROWING_AFTER:
        words = f"the backlog of {backlog.queue} grows: {backlog.rows} due rows, {backlog.rows_before} a while ago"
        yield Finding(
            "growing", backlog.queue, "notice", words, "start more workers if it lasts", backlog.due_since
        )


def due_bound(queue: str) -> Duration:
    """Return for how long the oldest row of a queue may be due."""
    return DUE_BULK_MAX if queue in _BULK_QUEUES else DUE_MAX


def is_growing(backlog: BacklogSign) -> bool:
    """Tell whether clearly more rows are due than a few minutes ago."""
    if backlog.rows is None or backlog.rows_before is None or backlog.rows < GROWING_ROWS:
        return False
    return backlog.rows * 10 > backlog.rows_before * 11


# ---- pauses and tables -----------------------------------------------------------------------------------


def _judge_pause(pause: PauseSign, now: Instant) -> Finding:
    what = {"all": "all mail", RESTORED_SWITCH: "all mail, after a restored backup,"}.get(
        pause.name, pause.name
    )
    words = f"{what} is paused by {pause.by or 'nobody named'} for {format_age(now - pause.since)}: {pause.reason}"
    if pause.name == RESTORED_SWITCH:
        remedy = "read docs/delivery.md, then: nurture resume all --after-restore"
        return Finding("pause", pause.name, "problem", words, remedy, pause.since)
    severity: Severity = "problem" if pause.by in _OURSELVES else "notice"
    return Finding("pause", pause.name, severity, words, f"nurture resume {pause.name}", pause.since)


def _judge_complaints(rate: RateSign) -> Finding:
    share = format_share(rate.complaints, rate.sent)
    words = f"{share} of the mails of lane {rate.about} were reported as spam in 24 hours"
    remedy = (
        f"look at the audience of its largest measure; at {COMPLAINTS_MAX:.1%} the lane pauses its marketing"
    )
    return Finding("complaints", rate.about, "notice", words, remedy)


def _judge_sender(check: SenderSign) -> Finding:
    severity: Severity = "problem" if check.state == "failed" else "notice"
    return Finding("sender", check.name, severity, f"{check.name}: {check.words}", check.remedy, check.at)


def _judge_tables(signs: Signs) -> Iterator[Finding]:
    if signs.quarantine:
        ours = sum(signs.quarantine.get(stage, 0) for stage in _OURS)
        stages = ", ".join(f"{number} {stage}" for stage, number in sorted(signs.quarantine.items()))
        words = f"events in the quarantine: {stages}"
        remedy = "nurture quarantine list; correct the rule or the sender, then: nurture quarantine retry"
        yield Finding("quarantine", "", "problem" if ours else "notice", words, remedy, signs.quarantine_at)
    for measure, people in sorted(signs.set_aside.items()):
        words = f"{measure} is set aside for {people} contact{'s' if people > 1 else ''}: its rules failed"
        remedy = "nurture doctor shows the error; correct the measure and publish it"
        yield Finding("set_aside", measure, "problem", words, remedy, signs.set_aside_at)
    if signs.overdue_cases:
        words = f"{signs.overdue_cases} of {signs.open_cases} open cases are overdue"
        yield Finding("cases", "", "problem", words, "nurture cases list --overdue", signs.overdue_since)
    if signs.conflicts:
        words = f"{signs.conflicts} conflicts of identity wait for a decision"
        yield Finding("conflicts", "", "notice", words, "nurture conflicts list")
    if signs.approvals:
        words = f"{signs.approvals} sends wait for a second operator"
        yield Finding("approvals", "", "notice", words, "nurture sends list")
