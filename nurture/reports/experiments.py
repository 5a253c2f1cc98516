"""Reports on measures: what each one's newest trial shows, in plain values for tables and JSON."""

from math import inf, isfinite
from typing import Any, Final

from nurture.domain.experiment.epochs import HELD_BACK
from nurture.domain.experiment.expect import Expectation
from nurture.domain.experiment.judgement import Judgement
from nurture.domain.experiment.sample_size import MOST, people_for_rates, weeks
from nurture.domain.experiment.variants import Race
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.measurement.trials import MeasuredTrial

#: Verdicts in words for people; the first is the most pressing.
VERDICT_WORDS: Final = {
    "harms": "does harm",
    "works": "works",
    "misses": "misses its promise",
    "reaches": "keeps its promise",
    "undecided": "undecided",
}
#: Two-sided confidence needs so many people of each arm before a rate is assumed for the plan.
_PLAN_MIN: Final = 50


def experiment_row(measured: MeasuredTrial | None) -> dict[str, Any]:
    """Return the columns of one measure; None: no trial of it has begun."""
    if measured is None:
        return dict.fromkeys(_COLUMNS) | {"verdict": "not measured", "verdicts": []}
    judgement, newest = measured.judgement, measured.newest
    people = judgement.treated.plus(judgement.control).n
    needed = people_needed(measured)
    missing = None if needed is None else max(needed - people, 0)
    return {
        "metric": newest.outcome,
        "unit": _unit(measured),
        "within_days": newest.within / DAY,
        "expect": newest.expect,
        "trial": newest.trial,
        "epoch": newest.id,
        "since": to_iso(newest.since),
        "holdout_percent": round(100 * newest.arms[0].share, 2),
        "enrolled": sum(map(sum, measured.trial.enrolled.values())),
        "exposed": measured.exposed,
        "next_figures": None if measured.next_figures is None else to_iso(measured.next_figures),
        "n": judgement.treated.n,
        "n_control": judgement.control.n,
        "events": judgement.treated.events,
        "events_control": judgement.control.events,
        "value": _value(judgement.treated.mean, measured) if judgement.treated.n else None,
        "value_control": _value(judgement.control.mean, measured) if judgement.control.n else None,
        "lift": _value(judgement.difference, measured) if judgement.control.n else None,
        "low": _open(judgement.low, measured),
        "high": _open(judgement.high, measured),
        "log_e": judgement.log_e,
        "log_e_ever": judgement.log_e_ever,
        "split_log_e": judgement.log_e_split if isfinite(judgement.log_e_split) else None,
        "split_wrong": judgement.is_split_wrong,
        "guards": {
            name: {"mails": measured.trial.mails, "count": measured.trial.guarded[name], "log_e": log_e}
            for name, log_e in judgement.guards.items()
        },
        "entries_a_week": round(measured.entries_a_week, 1),
        "needed": needed,
        "weeks_to_go": _weeks(missing, measured),
        "verdict": verdict_word(judgement),
        "verdicts": list(judgement.verdicts),
    }


_COLUMNS: Final = (
    *(
        "metric",
        "unit",
        "within_days",
        "expect",
        "trial",
        "epoch",
        "since",
        "holdout_percent",
        "enrolled",
        "exposed",
        "next_figures",
    ),
    *("n", "n_control", "events", "events_control", "value", "value_control", "lift", "low", "high"),
    *(
        "log_e",
        "log_e_ever",
        "split_log_e",
        "split_wrong",
        "guards",
        "entries_a_week",
        "needed",
        "weeks_to_go",
    ),
)


def _unit(measured: MeasuredTrial) -> str:
    """Return the unit of `low` and `high`: level | points | relative | amount."""
    promised = measured.trial.expectation
    if promised is not None and not promised.needs_holdout:
        return "level"
    if promised is not None and promised.kind == "relative":
        return "relative"
    return "amount" if measured.trial.is_amount else "points"


def verdict_word(judgement: Judgement) -> str:
    """Return the verdicts in words for people."""
    if judgement.is_split_wrong:
        return "arms not split as meant"
    return ", ".join(VERDICT_WORDS[word] for word in judgement.verdicts)


def people_needed(measured: MeasuredTrial) -> int | None:
    """Return how many mature people a verdict takes in 80 % of such trials; None where that cannot be said yet.

    It is worked out for a promised difference of a rate, from the rate of the people held back so far.
    """
    promised, holdout = measured.trial.expectation, measured.newest.arms[0].share
    if promised is None or not promised.needs_holdout or measured.trial.is_amount or not 0 < holdout < 1:
        return None
    base = measured.judgement.control
    if base.n < _PLAN_MIN or not 0 < base.mean < 1:
        return None
    difference = _difference(promised, base.mean)
    if not 0 < base.mean + difference < 1:
        return None
    return round(MOST * people_for_rates(base.mean, difference, holdout))


def _difference(promised: Expectation, base: float) -> float:
    return promised.size * base if promised.kind == "relative" else promised.size


def _weeks(missing: int | None, measured: MeasuredTrial) -> int | None:
    if missing is None:
        return None
    pace = weeks(missing / MOST, measured.entries_a_week)
    return None if pace is None else round(pace)


def _value(value: float, measured: MeasuredTrial) -> float:
    """Return a rate as a fraction, an amount in units of money."""
    return value / 100 if measured.trial.is_amount else value


def _open(value: float, measured: MeasuredTrial) -> float | None:
    if not -inf < value < inf:
        return None
    promised = measured.trial.expectation
    is_relative = promised is not None and promised.kind == "relative"
    return value if is_relative else _value(value, measured)


def arm_rows(measured: MeasuredTrial) -> list[dict[str, Any]]:
    """Return one row for each epoch and arm: people entered, mature people, how many have the outcome, the rate."""
    rows = []
    for epoch in measured.epochs:
        for place, arm in enumerate(epoch.arms):
            mine = [sums for sums in measured.trial.days if (sums.epoch, sums.arm) == (epoch.id, place)]
            mature, converted = sum(sums.people for sums in mine), sum(sums.converted for sums in mine)
            rows.append(
                {
                    "epoch": epoch.id,
                    "since": to_iso(epoch.since),
                    "arm": arm.name,
                    "in_holdout": arm.name == HELD_BACK,
                    "share_percent": round(100 * arm.share, 2),
                    "entered": measured.trial.enrolled[epoch.id][place],
                    "mature": mature,
                    "events": converted,
                    "rate": converted / mature if mature else None,
                }
            )
    return rows


def variant_rows(measured: MeasuredTrial) -> list[dict[str, Any]]:
    """Return one row for each variant: its people, its value, and how it stands against the one that does best.

    state: live | ended | won. `lift`, `low` and `high` are its value minus that of `against`; the latter hold however
    often one looks.
    """
    race = measured.race
    if race is None:
        return []
    shares = {arm.name: arm.share for arm in measured.newest.arms}
    names = list(shares)[1:]
    live = [name for name in names if shares[name] > 0]
    promised = measured.trial.expectation
    sign = -1 if promised is not None and promised.should_fall else 1
    best = max(live or names, key=lambda name: sign * race.arms[name].mean)
    rows = []
    for name in names:
        sums, (low, high) = race.arms[name], _against(race, name, best)
        is_compared = name != best and bool(sums.n and race.arms[best].n)
        rows.append(
            {
                "variant": name,
                "state": "ended" if name not in live else "won" if len(live) == 1 else "live",
                "share_percent": round(100 * shares[name], 2),
                "n": sums.n,
                "events": sums.events,
                "value": _value(sums.mean, measured) if sums.n else None,
                "against": best if is_compared else None,
                "lift": _value(sums.mean - race.arms[best].mean, measured) if is_compared else None,
                "low": _value(low, measured) if isfinite(low) else None,
                "high": _value(high, measured) if isfinite(high) else None,
                "unit": "amount" if measured.trial.is_amount else "points",
            }
        )
    return rows


def offer_rows(measured: MeasuredTrial) -> list[dict[str, Any]]:
    """Return the ladder of a measure's variants: no mail first, then from the cheapest (the first in the file) up.

    `low` and `high` hold however often one looks: its value minus that of no mail. advice: keep | open | worse | "";
    the one to keep is the cheapest that is not shown to be worse than another one, or than no mail. is_final: no other
    one can be better by more than what counts as close.
    """
    race = measured.race
    if race is None:
        return []
    shares = {arm.name: arm.share for arm in measured.newest.arms}
    control, *names = shares
    kept = next((name for name in race.choice.live if shares[name] > 0), None)
    is_final = kept is not None and (race.choice.winner == kept or len(race.choice.live) == 1)
    rows = []
    for step, name in enumerate((control, *names)):
        sums = race.arms[name]
        low, high = (-inf, inf) if name == control else race.differences[name, control]
        is_compared = name != control and bool(sums.n and race.arms[control].n)
        advice = "worse" if name in race.choice.eliminated else "keep" if name == kept else "open"
        rows.append(
            {
                "step": step,
                "variant": name,
                "share_percent": round(100 * shares[name], 2),
                "n": sums.n,
                "events": sums.events,
                "value": _value(sums.mean, measured) if sums.n else None,
                "lift": _value(sums.mean - race.arms[control].mean, measured) if is_compared else None,
                "low": _value(low, measured) if isfinite(low) else None,
                "high": _value(high, measured) if isfinite(high) else None,
                "unit": "amount" if measured.trial.is_amount else "points",
                "currency": measured.newest.currency,
                "net_of_incentive": bool(measured.newest.incentive),
                "advice": "" if name == control else advice,
                "is_final": is_final and name == kept,
            }
        )
    return rows


def _against(race: Race, name: str, best: str) -> tuple[float, float]:
    """Return the differences value(name) - value(best) that are not refuted."""
    if (name, best) in race.differences:
        return race.differences[name, best]
    low, high = race.differences.get((best, name), (-inf, inf))
    return -high, -low


def decision_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return one decision for people: the day, the verdict, what followed, and its figures."""
    day: Instant = row["day"]
    return {
        "day": to_iso(day)[:10],
        "verdict": row["verdict"],
        "action": row["action"],
        "n": row["treated"],
        "n_control": row["control"],
        "log_e": row["log_e"],
        "low": row["low"],
        "high": row["high"],
    }
