"""Experiments: judge measures daily, and report what each one's trial shows."""

from collections.abc import Callable
from functools import partial
from typing import Any

from nurture.app.inbound import build_reply_settings
from nurture.app.sends.hand_in import find_measure
from nurture.app.services import Services
from nurture.domain.counts import Counts
from nurture.domain.experiment.programme import PROGRAMME
from nurture.domain.instant import DAY
from nurture.domain.playbook import Playbook
from nurture.measurement.daily import DailyTask, judge_measures
from nurture.measurement.decision_queries import has_slot, load_decisions, take_slot
from nurture.measurement.trials import MeasuredTrial, measure_trials
from nurture.measurement.verdict_times import Known, known_of
from nurture.playbook.epoch_queries import begin_epochs
from nurture.playbook.queries import lock_active
from nurture.reports.experiments import arm_rows, decision_row, experiment_row, offer_rows, variant_rows

_JOB = "judge"


def judge_daily(services: Services) -> Counts:
    """Judge all measures unless that was done today (UTC); any number of processes may call it, at any rate.

    Also begins the epochs of a playbook that an earlier release published.
    """
    now = services.clock.now()
    day = now - now % DAY
    with services.database.read() as connection:
        if has_slot(connection, _JOB, day) or services.playbooks.active_id(connection) is None:
            return Counts()
    services.database.run(lambda connection: _begin_epochs(services, connection))
    staff = partial(build_reply_settings, services)
    counts = judge_measures(DailyTask(services.database, services.clock, services.playbooks, staff))
    services.database.run(lambda connection: take_slot(connection, _JOB, day, now=now))
    return counts


def _begin_epochs(services: Services, connection: Any) -> None:
    active = lock_active(connection)
    if active is not None:
        loaded = services.playbooks.of(connection, active.id)
        begin_epochs(connection, loaded, now=services.clock.now())


def known_measures(services: Services) -> dict[str, Known]:
    """Return identity of a measure -> what its trial tells about how long a verdict takes."""
    with services.database.read() as connection:
        trials = measure_trials(connection, now=services.clock.now())
    return {root: known_of(trial) for root, trial in trials.items()}


def one_measure(services: Services, path: str) -> dict[str, Any]:
    """Return one measure's figures with its `arms` (of every epoch of the trial), `looks` and `decisions`.

    Raises NotFoundError with the nearest paths.
    """
    with services.database.read() as connection:
        root, shown, goal = _named(services.playbooks.active(connection).playbook, path)
        measured = measure_trials(connection, now=services.clock.now(), only=[root]).get(root)
        if measured is None:
            nothing: dict[str, Any] = {"arms": [], "looks": [], "decisions": []}
            return {"measure": shown, "goal": goal, **experiment_row(None), **nothing}
        decided = load_decisions(connection, [epoch.id for epoch in measured.epochs])
    return {
        "measure": shown,
        "goal": goal,
        **experiment_row(measured),
        "arms": arm_rows(measured),
        "looks": [list(look) for look in measured.judgement.looks],
        "decisions": [decision_row(row) for row in decided],
    }


def _named(playbook: Playbook, path: str) -> tuple[str, str, str]:
    """Return the identity, the path and the goal of a measure, or of the whole programme."""
    if path == PROGRAMME:
        return PROGRAMME, PROGRAMME, "what all marketing together brings"
    measure = find_measure(playbook, path)
    return measure.root, measure.path, measure.goal


def list_variants(services: Services, path: str | None = None) -> list[dict[str, Any]]:
    """Return one row for each variant of one measure or of all. Raises NotFoundError with the nearest paths."""
    return _rows_of_variants(services, path, variant_rows)


def list_offers(services: Services, path: str | None = None) -> list[dict[str, Any]]:
    """Return the ladder of the variants of one measure or of all. Raises NotFoundError with the nearest paths."""
    return _rows_of_variants(services, path, offer_rows)


def _rows_of_variants(
    services: Services, path: str | None, rows_of: Callable[[MeasuredTrial], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        measures = playbook.measures.values() if path is None else [find_measure(playbook, path)]
        paths = {measure.root: measure.path for measure in measures if measure.variants}
        trials = measure_trials(connection, now=services.clock.now(), only=paths.keys())
    return [
        {"measure": paths[root], **row}
        for root in sorted(trials, key=lambda root: paths[root])
        for row in rows_of(trials[root])
    ]
