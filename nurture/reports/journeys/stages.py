"""The report on stages: people, how long they stay, where they go, and who stays longer than is usual."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.figures.shares import Share
from nurture.domain.figures.time_in_stage import ENDED_MIN, Stays, TimeInStage, estimate
from nurture.domain.instant import DAY, WEEK, Instant, to_iso
from nurture.domain.playbook import Playbook
from nurture.domain.timing import to_local
from nurture.playbook.coverage import stage_rows
from nurture.reports.day_table import ALL_DAYS, sum_people
from nurture.reports.journeys.stage_queries import (
    ERASED,
    UNSUBSCRIBED,
    StayRow,
    count_moves,
    count_stalled,
    load_active_measures,
    load_stalled,
    load_stays,
)

#: The share that went on is given after so many days.
WITHIN_DAYS: Final = 60
ON: Final = "on"
BACK: Final = "back"


@dataclass(frozen=True, slots=True)
class StageReport:
    """The rows of the report: stages in the playbook's order, moves in the asked time, and people who stay long."""

    stages: list[dict[str, Any]]
    moves: list[dict[str, Any]]
    stalled: list[dict[str, Any]]

    def stages_with_moves(self) -> list[dict[str, Any]]:
        """Return the stages, each with the moves out of it."""
        return [
            {
                **row,
                "moves": {move["to"]: move["people"] for move in self.moves if move["from"] == row["stage"]},
            }
            for row in self.stages
        ]


def report_stages(
    connection: sa.Connection, playbook: Playbook, *, since: Instant, until: Instant, people: int
) -> StageReport:
    """Return the report. since, until: the time in which moves are counted. people: how many stalled are listed."""
    order = {stage.name: place for place, stage in enumerate(playbook.stages)}
    standing = sum_people(connection, ALL_DAYS)
    times = _times(load_stays(connection, until=until), order)
    moves = count_moves(connection, since=since, until=until)
    bounds = [
        (stage, until - (usual + 1) * DAY)
        for stage, time in times.items()
        if (usual := time.usual_days()) is not None
    ]
    stalled = count_stalled(connection, bounds)
    left = {stage: sum(row.people for row in moves if row.before == stage) for stage in order}
    serving = _serving(playbook)
    places = {(stage.track, stage.name): None for stage in playbook.stages}
    known = sorted(places.keys() | standing.keys(), key=lambda place: order.get(place[1], len(order)))
    rows = [
        {
            "track": track,
            "stage": stage,
            "people": standing.get((track, stage), 0),
            **_time_columns(times.get(stage, estimate(())), left.get(stage, 0) / ((until - since) / WEEK)),
            "stalled": stalled.get(stage, 0),
            "addressed_by": serving.get(stage, []),
        }
        for track, stage in known
        if standing.get((track, stage)) or stage in times
    ]
    flow = [
        {
            "from": row.before,
            "to": row.after,
            "direction": _direction(row.before, row.after, order),
            "people": row.people,
        }
        for row in moves
    ]
    flow.sort(key=lambda row: (order.get(row["from"], len(order)), order.get(row["to"], len(order))))
    listed = load_stalled(connection, bounds, limit=people) if people else []
    return StageReport(rows, flow, _stalled_rows(connection, playbook, listed, serving, until))


def _times(rows: Iterable[StayRow], order: Mapping[str, int]) -> dict[str, TimeInStage]:
    stays: dict[str, list[Stays]] = {}
    for row in rows:
        exit_name = (
            row.next if row.next in ("", ERASED, UNSUBSCRIBED) else _direction(row.stage, row.next, order)
        )
        stays.setdefault(row.stage, []).append(Stays(row.days, exit_name, row.people))
    return {stage: estimate(rows_of_stage) for stage, rows_of_stage in stays.items()}


def _direction(before: str, after: str, order: Mapping[str, int]) -> str:
    return BACK if order.get(after, len(order)) < order.get(before, len(order)) else ON


def _time_columns(time: TimeInStage, exits_a_week: float) -> dict[str, Any]:
    """Return the figures of one stage, with what is missing for those that cannot be given yet."""
    usual = time.usual_days()
    missing = max(ENDED_MIN - time.ended, 0)
    weeks = None if not missing or exits_a_week <= 0 else round(missing / exits_a_week, 1)
    return {
        "stays": time.people,
        "ended": time.ended,
        "median_days": time.days_until(0.5),
        "usual_days": usual,
        "within_days": WITHIN_DAYS,
        **{name: _share(time.share_left(name, WITHIN_DAYS)) for name in (ON, BACK, UNSUBSCRIBED, ERASED)},
        "ended_missing": missing,
        "weeks_missing": weeks,
    }


def _share(share: Share | None) -> dict[str, float] | None:
    return None if share is None else {name: round(value, 4) for name, value in share._asdict().items()}


def _serving(playbook: Playbook) -> dict[str, list[str]]:
    """Return stage -> the measures that are for it, without those of every stage and of both tracks."""
    serving: dict[str, list[str]] = {}
    for row in stage_rows(playbook):
        measure = playbook.measures.get(row.measure)
        if measure is not None and measure.track != "any" and measure.stage != "any":
            serving.setdefault(row.stage, []).append(row.measure)
    return serving


def _stalled_rows(
    connection: sa.Connection,
    playbook: Playbook,
    people: list[sa.Row[Any]],
    serving: Mapping[str, list[str]],
    now: Instant,
) -> list[dict[str, Any]]:
    names = MeasureNames(playbook.measures)
    active = load_active_measures(connection, [person.id for person in people])
    zone = playbook.default_zone
    return [
        {
            "contact": person.id,
            "email": person.email,
            "track": person.track,
            "stage": person.stage,
            "since": to_iso(person.stage_since),
            "since_local": f"{to_local(person.stage_since, zone):%Y-%m-%d %H:%M}",
            "days": (now - person.stage_since) // DAY,
            "in_measures": [names.shown(root) for root in active.get(person.id, [])],
            "addressed_by": serving.get(person.stage, []),
        }
        for person in people
    ]
