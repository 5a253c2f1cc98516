"""Collects what became of the mails of a sending process, and writes it a few times a minute.

A lane's first failure and its first success after one are written at once; everything else waits for some seconds, so
that rows that all workers share cost nothing beside sending.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

import sqlalchemy as sa

from nurture.database.bulk import Row
from nurture.database.engine import Database
from nurture.domain.health.providers import OTHER_DOMAINS, name_provider
from nurture.domain.health.rates import slot_of
from nurture.domain.instant import Instant
from nurture.health import queries
from nurture.runtime.clock import Clock, monotonic
from nurture.runtime.log import get_logger, without_addresses
from nurture.transports.types import Outcome

#: The least time between two writes of a lane whose state is the same.
_WRITE_SECONDS = 3.0
#: The stage of a failure by which the server refuses us, wherever in the session it came.
REFUSED = "refused"
_WORDS_MAX = 300
_log = get_logger("health")

#: (slot, lane, domain, name of the count) -> number
_Counts = Counter[tuple[Instant, str, str, str]]


@dataclass(frozen=True, slots=True)
class LaneNews:
    """The newest word of a lane's server: an accepted mail (no stage), or how far the session got and the reply."""

    stage: str = ""
    words: str = ""

    @property
    def is_failure(self) -> bool:
        """Tell whether no mail was accepted."""
        return bool(self.stage)


class LaneLog:
    """The outcomes of one process, by lane; thread-safe."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """Begin with nothing to write."""
        self._database = database
        self._clock = clock
        self._lock = Lock()
        self._news: dict[str, LaneNews] = {}
        self._written: dict[str, LaneNews] = {}
        self._counts: _Counts = Counter()
        self._written_at = -_WRITE_SECONDS

    def note(self, lane: str, results: Iterable[tuple[str, Outcome]]) -> None:
        """Note the outcomes of mails to these addresses, and write them when it is time. Never raises."""
        listed = list(results)
        slot = slot_of(self._clock.now())
        with self._lock:
            for address, outcome in listed:
                if name := _counted_as(outcome):
                    self._counts[slot, lane, name_provider(address), name] += 1
            news = _judge_window(listed)
            if news is not None:
                self._news[lane] = news
            before = self._written.get(lane)
            is_new = news is not None and (before is None or news.is_failure != before.is_failure)
            is_time = is_new or monotonic() - self._written_at >= _WRITE_SECONDS
        if is_time:
            self.flush()

    def flush(self) -> None:
        """Write what has been collected; what cannot be written now is kept for the next time. Never raises."""
        with self._lock:
            news, self._news = self._news, {}
            counts, self._counts = self._counts, Counter()
            self._written_at = monotonic()
        if not news and not counts:
            return
        try:
            self._database.run(lambda connection: self._write(connection, news, counts))
        except Exception as error:  # noqa: BLE001 - sending goes on without its statistics
            _log.warning("the state of the lanes was not written; tried again", error=str(error))
            with self._lock:
                self._news = news | self._news
                self._counts.update(counts)
        else:
            with self._lock:
                self._written |= news

    def _write(self, connection: sa.Connection, news: dict[str, LaneNews], counts: _Counts) -> None:
        now = self._clock.lease_now(connection)
        for lane in sorted(news):
            if news[lane].is_failure:
                queries.save_failure(connection, lane, at=now, stage=news[lane].stage, words=news[lane].words)
            else:
                queries.save_success(connection, lane, at=now)
        rows: list[Row] = []
        for slot in {slot for slot, *_ in counts}:
            mine = {key[1:]: number for key, number in counts.items() if key[0] == slot}
            rows += queries.count_rows(slot, mine)
        queries.add_counts(connection, rows)


def _counted_as(outcome: Outcome) -> str:
    """Return the count that the outcome adds to; "" for one that says nothing about the recipient's server."""
    if outcome.outcome == "sent":
        return "sent"
    if outcome.outcome == "failed":
        return "hard_bounces" if outcome.suppress else ""
    reached = outcome.stage not in ("connect", "greeted")
    return "deferred" if outcome.outcome == "retry" and reached and outcome.code else ""


def _judge_window(results: list[tuple[str, Outcome]]) -> LaneNews | None:
    """Return what these outcomes tell about the lane's server: one accepted mail shows that it works."""
    if any(outcome.outcome == "sent" for _, outcome in results):
        return LaneNews()
    failures = [pair for pair in results if pair[1].outcome != "failed" and pair[1].retry_after != 0]
    if not failures:
        return None
    # The words of a refusal say more than those of the mails that were not begun.
    address, first = next((pair for pair in failures if pair[1].outcome == "lane_paused"), failures[0])
    stage = REFUSED if first.outcome == "lane_paused" else first.stage
    words = _without_recipient(f"{first.code} {first.reply}".strip(), address)[:_WORDS_MAX]
    return LaneNews(stage, words or f"no reply ({first.stage})")


def _without_recipient(words: str, address: str) -> str:
    """Return the words without the recipient's address, and without its domain where that may be one person's."""
    domain = address.rpartition("@")[2]
    hidden = [(address, "ADDRESS")] + (
        [(domain, "DOMAIN")] if name_provider(address) == OTHER_DOMAINS else []
    )
    for text, name in hidden:
        if text:
            words = re.sub(re.escape(text), name, words, flags=re.IGNORECASE)
    return without_addresses(words)
