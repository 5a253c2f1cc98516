"""Count bounces and complaints that are reported after a mail was sent, by lane and provider."""

from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa

from nurture.domain.feedback import Report
from nurture.domain.health.providers import name_provider
from nurture.domain.health.rates import slot_of
from nurture.domain.instant import Instant
from nurture.health import queries


def count_reports(
    connection: sa.Connection, reports: Iterable[tuple[str, str, Report]], *, now: Instant
) -> None:
    """Add reports to the counts: (lane, address, report), each reported for the first time.

    A mail that bounces for good is taken off the sent ones. Only bounces, complaints and deferrals are counted.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for lane, address, report in reports:
        for name, number in _counted(report):
            counts[lane, name_provider(address), name] += number
    queries.add_counts(connection, queries.count_rows(slot_of(now), counts))


def _counted(report: Report) -> list[tuple[str, int]]:
    if report.kind == "complaint":
        return [("complaints", 1)]
    if report.kind == "deferred":
        return [("deferred", 1)]
    if report.kind == "bounce" and report.severity == "hard":
        return [("hard_bounces", 1), ("sent", -1)]
    return []
