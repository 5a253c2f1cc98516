"""Judge anybody's experiment: a file with one row a person goes through the statistics that judge measures.

Input: a CSV or JSON-lines file with a column for the arm and a column for each metric. Output: for each arm and
metric the difference from the control arm, with an interval for a single look and one for any number of looks.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import inf, isfinite, log
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, Literal

from nurture.domain.errors import InputError
from nurture.domain.experiment import averages, labels
from nurture.domain.experiment.arms import heterogeneity
from nurture.domain.experiment.averages import ArmSums, Comparison
from nurture.domain.experiment.beta import chi_square_upper
from nurture.domain.experiment.bounds import SPLIT_ALARM, log_e_split
from nurture.domain.values import read_decimal
from nurture.inbound.files import Record, open_table

MetricKind = Literal["rate", "mean"]

#: The effect that the sequence is tuned to when none is named, as a share of the control's value.
_USUAL_EFFECT: Final = 0.2
#: Smaller cells of a segment say nothing and are left out of its test of differences.
_CELL_MIN: Final = 50
_ARMS_MAX: Final = 100
_SEGMENT_VALUES_MAX: Final = 1_000
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"", "0", "false", "no"})


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A column with each person's outcome: yes or no (`rate`), or a number (`mean`)."""

    column: str
    # None: a rate where every value is yes, no, 0 or 1, else a mean.
    kind: MetricKind | None = None


@dataclass(frozen=True, slots=True)
class LiftQuestion:
    """The columns to compare, and how."""

    arm: str
    control: str
    metrics: tuple[MetricColumn, ...]
    segments: tuple[str, ...] = ()
    # The expected effect in the metric's unit; None: a fifth of the control's value.
    tau: float | None = None
    alpha: float = 0.05
    # Arm -> weight, for the check of the split; empty: equal shares.
    shares: Mapping[str, float] = field(default_factory=dict)


#: (metric, segment column or "", segment value) -> arm -> sums.
_Table = dict[tuple[str, str, str], dict[str, ArmSums]]


@dataclass(slots=True)
class _Sums:
    """Sums over the rows read so far."""

    cells: dict[tuple[str, str, str], dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    people: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    not_rates: set[str] = field(default_factory=set)

    def add(self, place: tuple[str, str, str], arm: str, value: float) -> None:
        sums = self.cells[place].setdefault(arm, [0, 0.0, 0.0, 0])
        sums[0] += 1
        sums[1] += value
        sums[2] += value * value
        sums[3] += value != 0

    def table(self) -> _Table:
        return {
            place: {
                arm: ArmSums(int(n), total, squares, int(events))
                for arm, (n, total, squares, events) in arms.items()
            }
            for place, arms in self.cells.items()
        }


def compare_file(path: Path, question: LiftQuestion) -> dict[str, Any]:
    """Return `results`, `srm` (sample ratio mismatch) and `segments` of the file, as docs/reference describes.

    Each row is one person. Raises InputError with the line for a cell that is no number, for a column that is not there
    and for a control that no row names; nothing is skipped.
    """
    sums = _read(path, question)
    if question.control not in sums.people:
        known = ", ".join(sorted(sums.people)[:10])
        raise InputError(
            f"{path}: no row has {question.control!r} in the column {question.arm!r}; there are: {known}"
        )
    kinds = {metric.column: _kind_of(path, metric, sums) for metric in question.metrics}
    table = sums.table()
    return {
        "results": _results(table, "", "", kinds, question),
        "srm": _split(sums.people, question),
        "segments": [_segment(table, column, kinds, question) for column in question.segments],
    }


# ---- reading ---------------------------------------------------------------------------------------------


def _read(path: Path, question: LiftQuestion) -> _Sums:
    sums = _Sums()
    is_empty = True
    for row in open_table(path).records():
        is_empty = False
        if row.fault:
            raise InputError(f"{path}:{row.line}: {row.fault.text}")
        _add_row(sums, path, row, question)
    if is_empty:
        raise InputError(f"{path}: the file has no rows; write one row for each person")
    return sums


def _add_row(sums: _Sums, path: Path, row: Record, question: LiftQuestion) -> None:
    arm = _text(path, row, question.arm)
    sums.people[arm] += 1
    if len(sums.people) > _ARMS_MAX:
        raise InputError(
            f"{path}:{row.line}: more than {_ARMS_MAX} arms; is {question.arm!r} the right column?"
        )
    for metric in question.metrics:
        value, is_rate = _outcome(path, row, metric)
        if not is_rate:
            sums.not_rates.add(metric.column)
        sums.add((metric.column, "", ""), arm, value)
        for segment in question.segments:
            sums.add((metric.column, segment, _text(path, row, segment)), arm, value)
    if question.segments and len(sums.cells) > _SEGMENT_VALUES_MAX * len(question.metrics):
        raise InputError(
            f"{path}:{row.line}: a segment has more than {_SEGMENT_VALUES_MAX} values; name another one"
        )


def _text(path: Path, row: Record, column: str) -> str:
    if column not in row.cells:
        known = ", ".join(islice(row.cells, 20))
        raise InputError(f"{path}:{row.line}: there is no column {column!r}; there are: {known}")
    value = row.cells[column]
    return "" if value is None else str(value)


def _outcome(path: Path, row: Record, metric: MetricColumn) -> tuple[float, bool]:
    """Return the person's value, and whether it is a yes or a no."""
    text = _text(path, row, metric.column).strip().lower()
    if text in _YES or text in _NO:
        return float(text in _YES), True
    number = read_decimal(text)
    if number is None:
        place = f"{path}:{row.line}: {metric.column}"
        raise InputError(f"{place}: {text[:40]!r} is no number; write 12.50, or yes and no")
    return float(number), False


def _kind_of(path: Path, metric: MetricColumn, sums: _Sums) -> MetricKind:
    if metric.kind == "rate" and metric.column in sums.not_rates:
        column = metric.column
        raise InputError(
            f"{path}: {column} has values other than yes, no, 0 and 1; write --metric {column}:mean"
        )
    return metric.kind or ("mean" if metric.column in sums.not_rates else "rate")


# ---- comparing -------------------------------------------------------------------------------------------


def _results(
    table: _Table, segment: str, value: str, kinds: Mapping[str, MetricKind], question: LiftQuestion
) -> list[dict[str, Any]]:
    found = []
    for metric, kind in kinds.items():
        arms = table.get((metric, segment, value), {})
        control = arms.get(question.control)
        if control is None:
            continue
        for arm in sorted(set(arms) - {question.control}):
            result = _compare(Comparison(arms[arm], control), kind, question)
            found.append({"arm": arm, "control": question.control, "metric": metric, **result})
    return found


def _compare(pair: Comparison, kind: MetricKind, question: LiftQuestion) -> dict[str, Any]:
    treated, control, alpha = pair.treated, pair.control, question.alpha
    tau = question.tau or abs(control.mean) * _USUAL_EFFECT or pair.standard_error or 1.0
    low, high = averages.interval([pair], tau, alpha)
    half = NormalDist().inv_cdf(1 - alpha / 2) * pair.standard_error
    log_e, ratio_low, ratio_high = averages.log_e([pair], tau), None, None
    if kind == "rate":
        counts = [labels.LabelCounts(treated.events, pair.both.events, treated.n / pair.both.n)]
        log_e = labels.log_e(counts)
        ratio_low, ratio_high = labels.ratio_interval(counts, alpha)
    lift = pair.difference
    verdict = "undecided" if log_e < log(1 / alpha) else ("works" if lift > 0 else "harms")
    return {
        "n": treated.n,
        "n_control": control.n,
        "events": treated.events,
        "sum": treated.total,
        "value": treated.mean,
        "value_control": control.mean,
        "lift": lift,
        "se": pair.standard_error,
        "fixed_low": lift - half,
        "fixed_high": lift + half,
        "low": _finite(low),
        "high": _finite(high),
        "log_e": log_e,
        "verdict": verdict,
        "relative": lift / control.mean if control.mean else None,
        "ratio": treated.mean / control.mean if control.mean else None,
        "ratio_low": _finite(ratio_low),
        "ratio_high": _finite(ratio_high),
    }


def _finite(value: float | None) -> float | None:
    """Return the value, None where it is unbounded: JSON has no infinity."""
    return value if value is not None and isfinite(value) else None


def _split(people: Mapping[str, int], question: LiftQuestion) -> list[dict[str, Any]]:
    """Check each arm beside the control against the shares that were meant."""
    found = []
    for arm in sorted(set(people) - {question.control}):
        weights = {name: question.shares.get(name, 1.0) for name in (arm, question.control)}
        total = sum(weights.values())
        counts = {name: people[name] for name in weights}
        log_e = log_e_split(counts, {name: weight / total for name, weight in weights.items()})
        alarm = log_e >= SPLIT_ALARM
        found.append(
            {
                "arm": arm,
                "control": question.control,
                "log_e": None if log_e == inf else log_e,
                "alarm": alarm,
            }
        )
    return found


def _segment(
    table: _Table, column: str, kinds: Mapping[str, MetricKind], question: LiftQuestion
) -> dict[str, Any]:
    values = sorted({value for _, segment, value in table if segment == column})
    results = [
        {"value_of_segment": value, **result}
        for value in values
        for result in _results(table, column, value, kinds, question)
    ]
    return {"segment": column, "results": results, "heterogeneity": _differences(results)}


def _differences(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Test for each arm and metric whether the lift differs between the segment's values."""
    cells: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for result in results:
        if min(result["n"], result["n_control"]) >= _CELL_MIN and result["se"] > 0:
            cells[result["arm"], result["metric"]].append((result["lift"], result["se"] ** 2))
    found = []
    for (arm, metric), estimates in sorted(cells.items()):
        if len(estimates) > 1:
            q, df = heterogeneity(estimates)
            found.append({"arm": arm, "metric": metric, "q": q, "df": df, "p": chi_square_upper(q, df)})
    return found
