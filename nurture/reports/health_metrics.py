"""Gauges for Prometheus from the signs of an installation's health, the same in every process that is asked."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily

from nurture.domain.health.judge import breaks_off, is_failing, judge
from nurture.domain.health.signs import KINDS, RateSign, Signs
from nurture.domain.instant import SECOND

Labelled = Sequence[tuple[Sequence[str], float]]


def gauges(signs: Signs) -> Iterator[GaugeMetricFamily]:
    """Yield every gauge of these signs."""
    yield _gauge(
        "nurture_trouble",
        "1 for each finding of `nurture status`; severity problem needs a person.",
        ["part", "about", "severity"],
        [((finding.part, finding.about, finding.severity), 1) for finding in judge(signs)],
    )
    alive = [sign for sign in signs.processes if sign.is_alive(signs.now)]
    yield _gauge(
        "nurture_processes",
        "Running processes, by kind.",
        ["kind"],
        [((kind,), sum(sign.kind == kind for sign in alive)) for kind in KINDS],
    )
    yield _gauge(
        "nurture_broker_up", "0 when a process does not reach the broker.", [], [((), _is_broker_up(signs))]
    )
    yield from _lane_gauges(signs)
    yield _gauge(
        "nurture_paused",
        "1 for each measure, lane or all that is paused.",
        ["name"],
        [((pause.name,), 1) for pause in signs.pauses],
    )
    yield from _table_gauges(signs)


def _is_broker_up(signs: Signs) -> float:
    return float(not any(sign.broker_error for sign in signs.processes if sign.is_alive(signs.now)))


def _lane_gauges(signs: Signs) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "nurture_lane_up",
        "0 when the lane's server is away or refuses us.",
        ["lane"],
        [
            ((lane.name,), float(not (is_failing(lane) or breaks_off(lane, signs.now))))
            for lane in signs.lanes
        ],
    )
    successes = [
        ((lane.name,), (signs.now - lane.success_at) / SECOND)
        for lane in signs.lanes
        if lane.success_at is not None
    ]
    yield _gauge(
        "nurture_lane_last_success_seconds",
        "Seconds since the lane's server accepted a mail.",
        ["lane"],
        successes,
    )
    yield _gauge(
        "nurture_lane_mails_24h",
        "Mails of the past 24 hours by lane: sent, hard_bounces, deferred, complaints.",
        ["lane", "outcome"],
        [((rate.about, name), number) for rate in signs.lane_rates for name, number in _counts(rate)],
    )


def _counts(rate: RateSign) -> list[tuple[str, int]]:
    return [
        ("sent", rate.sent),
        ("hard_bounces", rate.hard_bounces),
        ("deferred", rate.deferred),
        ("complaints", rate.complaints),
    ]


def _table_gauges(signs: Signs) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "nurture_cases",
        "Cases of people, by state: open, overdue (also open).",
        ["state"],
        [(("open",), signs.open_cases), (("overdue",), signs.overdue_cases)],
    )
    yield _gauge(
        "nurture_quarantine",
        "Events in the quarantine, by stage.",
        ["stage"],
        [((stage,), number) for stage, number in sorted(signs.quarantine.items())],
    )
    yield _gauge(
        "nurture_set_aside", "Measures whose rules failed for a contact.", [], [((), len(signs.set_aside))]
    )
    yield _gauge(
        "nurture_conflicts", "Conflicts of identity that wait for a decision.", [], [((), signs.conflicts)]
    )


def _gauge(name: str, words: str, labels: Sequence[str], values: Labelled) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, words, labels=labels)
    for names, value in values:
        gauge.add_metric(names, value)
    return gauge
