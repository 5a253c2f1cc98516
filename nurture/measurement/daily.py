"""The daily task: judge every measure, and act on what is certain.

A measure that harms is stopped, one that misses its promise is sent back, one that works keeps fewer people without
mail. Each happens once in a trial. Mail that people need is never stopped by a figure: transactional and service
measures are only told. While the arms are not split as meant nothing is done.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent.record import set_switch
from nurture.database.audit import record
from nurture.database.engine import Database, encode
from nurture.domain.counts import Counts
from nurture.domain.experiment.programme import PROGRAMME
from nurture.domain.experiment.variants import Race
from nurture.domain.instant import DAY, Instant
from nurture.domain.measure import Measure
from nurture.feedback.replies import ReplySettings, may_mail, queue_notice
from nurture.measurement.decision_queries import add_decisions, load_actions, take_slot
from nurture.measurement.notices import describe, programme_notice, verdict_notice
from nurture.measurement.restart import ACTOR, close_entries, end_variants, shrink_holdout
from nurture.measurement.trials import MeasuredTrial, measure_trials
from nurture.playbook import LoadedPlaybook, PlaybookSource
from nurture.playbook.epoch_queries import load_open_epochs
from nurture.playbook.queries import lock_active
from nurture.runtime.clock import Clock

#: Purposes whose mail people need.
_NEEDED: Final = frozenset({"transactional", "service"})


@dataclass(frozen=True, slots=True)
class DailyTask:
    """The parts that the task works with."""

    database: Database
    clock: Clock
    playbooks: PlaybookSource
    # The addresses of our own staff, by the active playbook.
    staff: Callable[[LoadedPlaybook], ReplySettings]


def judge_measures(task: DailyTask) -> Counts:
    """Judge each measure once a day (UTC), whoever asks first; counts `judged` and each action.

    Numbers are read once for all; each measure is decided in a transaction of its own, with its slot, its decisions
    and what follows from them.
    """
    now = task.clock.now()
    with task.database.read() as connection:
        # A measure that the playbook no longer has is judged no more.
        running = {measure.root for measure in task.playbooks.active(connection).playbook.measures.values()}
        trials = measure_trials(connection, now=now, only={*running, PROGRAMME})
    counts = Counts()
    for root in sorted(trials):
        counts.add(task.database.run(partial(_decide, task=task, root=root, measured=trials[root], now=now)))
    return counts


def _decide(
    connection: sa.Connection, task: DailyTask, root: str, measured: MeasuredTrial, now: Instant
) -> Counts:
    day = now - now % DAY
    if lock_active(connection) is None:
        return Counts()
    open_now = load_open_epochs(connection).get(root)
    if open_now is None or open_now.id != measured.newest.id:
        # It began anew since the figures were read.
        return Counts()
    if not take_slot(connection, f"judge:{root}", day, now=now):
        return Counts()
    loaded = task.playbooks.active(connection)
    if root == PROGRAMME:
        return _tell_of_programme(connection, task, loaded, measured, now)
    measure = next((measure for measure in loaded.playbook.measures.values() if measure.root == root), None)
    if measure is None:
        return Counts()
    action = _action(connection, measure, measured)
    add_decisions(connection, list(_rows(measured, day, now, action)))
    counts = Counts(judged=1)
    if action is not None:
        counts[action.name] = 1
        case = _Case(connection, task, loaded, measure, now)
        case.act(action, describe(measured, action.verdict))
    return counts


def _tell_of_programme(
    connection: sa.Connection, task: DailyTask, loaded: LoadedPlaybook, measured: MeasuredTrial, now: Instant
) -> Counts:
    """Decide on the whole programme: each verdict is told once, and nothing is stopped by it."""
    if loaded.playbook.holdout is None:
        return Counts()
    judgement, done = measured.judgement, load_actions(connection, measured.epochs)
    words = ("split",) if judgement.is_split_wrong else judgement.verdicts
    wanted = [_Action(f"told:{word}", word) for word in words if word != "undecided"]
    action = next((action for action in wanted if action.name not in done), None)
    add_decisions(connection, list(_rows(measured, now - now % DAY, now, action)))
    if action is None:
        return Counts(judged=1)
    reason = describe(measured, action.verdict)
    detail = {"measure": PROGRAMME, "verdict": action.verdict, "action": action.name, "reason": reason}
    record(connection, at=now, actor=ACTOR, action="measure.verdict", detail=detail)
    staff = task.staff(loaded)
    if staff.escalate_to and may_mail(staff, staff.escalate_to):
        notice = programme_notice(
            action.verdict, reason, sender=staff.sender, recipient=staff.escalate_to, at=now
        )
        queue_notice(connection, "verdict", notice, case=None, contact=None, now=now)
    counts = Counts(judged=1)
    counts[action.name] = 1
    return counts


@dataclass(frozen=True, slots=True)
class _Action:
    """The consequence of a verdict: stopped | sent_back | shrunk | told:VERDICT, or of the race of its variants.

    The latter are ended:VARIANT and won:VARIANT.
    """

    name: str
    verdict: str
    # Variants that it ends.
    ended: tuple[str, ...] = ()


def _action(connection: sa.Connection, measure: Measure, measured: MeasuredTrial) -> _Action | None:
    """Return what follows now, and nothing that has followed in this trial."""
    found, done = measured.judgement.verdicts, load_actions(connection, measured.epochs)
    if measured.judgement.is_split_wrong:
        return None if "told:split" in done else _Action("told:split", "split")
    is_needed = measure.purpose in _NEEDED
    wanted: list[_Action] = []
    if "harms" in found:
        wanted.append(_Action("told:harms" if is_needed else "stopped", "harms"))
    elif "misses" in found:
        wanted.append(_Action("told:misses" if is_needed else "sent_back", "misses"))
    if "works" in found and measure.holdout_then is not None and measure.holdout > measure.holdout_then:
        wanted.append(_Action("shrunk", "works"))
    if "stopped" not in done and "harms" not in found:
        wanted += _variant_actions(measure, measured.race)
    return next((action for action in wanted if action.name not in done), None)


def _variant_actions(measure: Measure, race: Race | None) -> list[_Action]:
    """Return what follows from the race: the end of all but one arm, or of those shown to be worse."""
    if race is None or not race.choice.live:
        return []
    live = {variant.name for variant in measure.variants if not variant.is_ended}
    winner = race.choice.winner if len(race.choice.live) > 1 else race.choice.live[0]
    if winner is not None and winner in live and len(live) > 1:
        return [_Action(f"won:{winner}", "variant", tuple(sorted(live - {winner})))]
    return [_Action(f"ended:{name}", "variant", (name,)) for name in race.choice.eliminated if name in live]


def _rows(
    measured: MeasuredTrial, day: Instant, now: Instant, action: _Action | None
) -> Iterable[dict[str, Any]]:
    judgement = measured.judgement
    found: tuple[str, ...] = ("split",) if judgement.is_split_wrong else judgement.verdicts
    if action is not None and action.verdict == "variant":
        found = (*found, "variant")
    figures = {
        "difference": judgement.difference,
        "log_e_ever": judgement.log_e_ever,
        "log_e_harm": judgement.log_e_harm,
        "log_e_split": finite(judgement.log_e_split),
        "guards": dict(judgement.guards),
        "mails": measured.trial.mails,
        "guarded": dict(measured.trial.guarded),
    }
    for verdict in found:
        yield {
            "experiment": measured.newest.id,
            "day": day,
            "verdict": verdict,
            "at": now,
            "log_e": judgement.log_e,
            "low": finite(judgement.low),
            "high": finite(judgement.high),
            "treated": judgement.treated.n,
            "control": judgement.control.n,
            "action": action.name if action is not None and action.verdict == verdict else "",
            "figures": encode(figures),
        }


def finite(value: float) -> float | None:
    """Return the value, None where it is open: JSON has no infinity."""
    return value if isfinite(value) else None


@dataclass(frozen=True, slots=True)
class _Case:
    """One measure whose verdict has a consequence, in its transaction."""

    connection: sa.Connection
    task: DailyTask
    loaded: LoadedPlaybook
    measure: Measure
    now: Instant

    def act(self, action: _Action, reason: str) -> None:
        """Do what follows from the verdict, and say so in the audit log and by mail."""
        measure, now = self.measure, self.now
        if action.name == "stopped":
            set_switch(self.connection, measure.root, paused=True, reason=reason, actor=ACTOR, now=now)
        if action.name == "sent_back":
            close_entries(
                self.connection, self.task.playbooks, measure.root, reason=reason, actor=ACTOR, now=now
            )
        if action.name == "shrunk" and measure.holdout_then is not None:
            shrink_holdout(self.connection, self.task.playbooks, measure.root, measure.holdout_then, now=now)
        if action.ended:
            end_variants(self.connection, self.task.playbooks, measure.root, action.ended, now=now)
        detail = {
            "measure": measure.path,
            "verdict": action.verdict,
            "action": action.name,
            "reason": reason,
        }
        record(self.connection, at=now, actor=ACTOR, action="measure.verdict", detail=detail)
        self._tell(action, reason)

    def _tell(self, action: _Action, reason: str) -> None:
        """Mail the owner whom the measure names as its sender, else the address for what is overdue."""
        staff = self.task.staff(self.loaded)
        owner = self.loaded.playbook.owners.get(self.measure.sender)
        recipient = owner.address if owner is not None else staff.escalate_to
        if not (recipient and may_mail(staff, recipient)):
            return
        notice = verdict_notice(
            self.measure, action.name, reason, sender=staff.sender, recipient=recipient, at=self.now
        )
        queue_notice(self.connection, "verdict", notice, case=None, contact=None, now=self.now)
