"""Play inputs on virtual time: the same rooms, on a clock that jumps to the next instant with work.

Inputs are events and actions on pages. The tick (default 15 min) does not change results: events carry their own
instants and alarms ring at theirs; the tick only bounds how late a mail is handed over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept
from nurture.database.engine import Database
from nurture.delivery.types import Delivery
from nurture.domain.counts import Counts
from nurture.domain.instant import FOREVER, MINUTE, Duration, Instant
from nurture.runtime.clock import ManualClock
from nurture.simulation.run_until_idle import next_due, run_until_idle
from nurture.transports.registry import Transport

#: Acts for a person at an instant, inside a transaction of its own.
Act = Callable[[sa.Connection, Instant], None]


@dataclass(frozen=True, slots=True)
class Input:
    """An input at an instant: an event, or an action on a page."""

    at: Instant
    event: NewEvent | None = None
    act: Act | None = None


#: Runs every room until nothing is due.
RunUntilIdle = Callable[[Database, Delivery, Mapping[str, Transport]], Counts]
#: Called after each tick; returns further inputs (people react to their mail).
React = Callable[[Database, Instant], Iterable[Input]]


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of a simulation: the virtual instant, start and end, and the counts so far."""

    at: Instant
    start: Instant
    end: Instant
    counts: Counts

    @property
    def share(self) -> float:
        """The part of the time that is over, 0 to 1."""
        return (self.at - self.start) / max(1, self.end - self.start)

    @classmethod
    def reporter(
        cls, simulation: "Simulation", end: Instant, progress: "Progress | None"
    ) -> Callable[[Instant], None] | None:
        """Return a function that calls `progress` with each tick; the simulation stands at its start."""
        start = simulation.clock.now()
        return None if progress is None else lambda at: progress(cls(at, start, end, simulation.counts))


#: Called after every tick.
Progress = Callable[[Tick], None]


@dataclass(slots=True)
class Simulation:
    """A simulation: a database, its delivery on a manual clock, and transports by lane."""

    database: Database
    delivery: Delivery
    clock: ManualClock
    lanes: Mapping[str, Transport]
    tick: Duration = 15 * MINUTE
    react: React | None = None
    # The work of the workers at a tick.
    run_until_idle: RunUntilIdle = run_until_idle
    # Counts of the current play.
    counts: Counts = field(default_factory=Counts)
    _order: int = 0
    _ahead: list[tuple[Instant, int, Input]] = field(default_factory=list)

    def play(
        self, inputs: Iterator[Input], until: Instant, *, progress: Callable[[Instant], None] | None = None
    ) -> Counts:
        """Play the inputs, ascending by instant, up to `until`; returns counts by outcome.

        progress: called with the virtual instant after each tick.
        """
        total = self.counts = Counts()
        upcoming = next(inputs, None)
        while True:
            at = self._next(upcoming, until)
            self.clock.advance_to(at)
            due: list[Input] = []
            while upcoming is not None and upcoming.at <= at:
                due.append(upcoming)
                upcoming = next(inputs, None)
            while self._ahead and self._ahead[0][0] <= at:
                due.append(heappop(self._ahead)[2])
            self._feed(sorted(due, key=lambda item: item.at))
            total.update(self.run_until_idle(self.database, self.delivery, self.lanes))
            if self.react is not None:
                for reaction in self.react(self.database, at):
                    self._order += 1
                    heappush(self._ahead, (reaction.at, self._order, reaction))
            if progress is not None:
                progress(at)
            if at >= until:
                return total

    def _next(self, upcoming: Input | None, until: Instant) -> Instant:
        """Return the next instant with work, rounded up to a tick, at most `until`."""
        with self.database.read() as connection:
            due = next_due(connection, self.lanes)
        instants = [due, upcoming.at if upcoming else FOREVER, self._ahead[0][0] if self._ahead else FOREVER]
        at = max(min(instants), self.clock.now())
        on_grid = -(-at // self.tick) * self.tick
        return min(max(on_grid, self.clock.now() + 1), until)

    def _feed(self, inputs: Sequence[Input]) -> None:
        """Apply the inputs in order; events between two actions share a transaction."""
        events: list[NewEvent] = []
        for item in inputs:
            if item.event is not None:
                events.append(item.event)
                continue
            self._accept(events)
            events = []
            if item.act is not None:
                self.database.run(partial(_act_at, item.act, item.at))
        self._accept(events)

    def _accept(self, events: list[NewEvent]) -> None:
        if events:
            self.database.run(lambda connection: accept(connection, events))


def _act_at(act: Act, at: Instant, connection: sa.Connection) -> None:
    act(connection, at)
