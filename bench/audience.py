"""audience: `nurture audience --count` of a five-term condition, against SQL that a person would write."""

import json
import time

import psycopg

from bench.crowd import Crowds
from bench.stage import Figure, command, scalar
from nurture.app import audience
from nurture.domain.instant import DAY
from nurture.runtime.clock import SystemClock

_CONDITION = (
    'orders >= 1 and silent_days("Order Completed") > 7 and satisfied is not no '
    "and stage != 'promote' and known(first_name)"
)
_BY_HAND = """
    SELECT count(*) FROM contacts
    WHERE survivor IS NULL AND erased_at IS NULL
      AND (facts->>'orders')::bigint >= 1
      AND coalesce((facts->>'last:Order Completed')::bigint, first_seen_at) <= %(before)s
      AND first_seen_at <= %(before)s
      AND facts->>'satisfied' IS DISTINCT FROM 'no'
      AND stage <> 'promote'
      AND facts ? 'first_name'
"""
_ROUNDS = 3


def measure(crowds: Crowds, scale: float) -> list[Figure]:
    """Return seconds of the count and of the whole command over 1,000,000 contacts at scale 1."""
    stage = crowds.of(int(1_000_000 * scale))
    people = scalar(stage.url, "SELECT count(*) FROM contacts")
    ran = command(stage, "nurture.cli", "audience", _CONDITION, "--count", "--json")
    answered = json.loads(ran.output)["yes"]
    services = stage.migrated()
    ours, by_hand = [], []
    try:
        for _ in range(_ROUNDS):
            begun = time.perf_counter()
            counted = audience.count(services, _CONDITION)["yes"]
            ours.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            expected = _by_hand(stage.url)
            by_hand.append(time.perf_counter() - begun)
    finally:
        services.close()
    if not answered == counted == expected:
        message = f"the command counts {answered}, the function {counted}, SQL by hand {expected}"
        raise AssertionError(message)
    return [
        Figure(
            "audience",
            f"`nurture audience --count` over {people} contacts, five terms: the answer, best of {_ROUNDS}",
            1_000 * min(ours),
            "ms",
            1_000 * min(by_hand),
            ratio_at_least=0.8,
            less_is_more=True,
            memory_mb=ran.peak_mb,
            note=f"floor: SQL by hand, the same answer ({expected}); the whole command took {ran.seconds:.1f} s",
        )
    ]


def _by_hand(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(_BY_HAND, {"before": SystemClock().now() - 8 * DAY}).fetchone()
    return int(row[0]) if row else 0
