"""Playing inputs on virtual time: the same rooms, a clock that jumps from one thing due to the next.

Inputs are what the world does (events, pages people act on). Between two ticks (default 15 min) nothing is
missed: events carry their own instants and alarms ring at theirs; the tick only bounds how late a mail may be
handed over.
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
from nurture.simulation.run_until_idle import next_due, turn
from nurture.transports.registry import Transport

#: Does something with the world at its instant, inside a transaction of its own.
Act = Callable[[sa.Connection, Instant], None]


@dataclass(frozen=True, slots=True)
class Input:
    """Something the world does at an instant: an event handed in, or an act on a page."""

    at: Instant
    event: NewEvent | None = None
    act: Act | None = None


#: Lets every room work until nothing is due.
Turn = Callable[[Database, Delivery, Mapping[str, Transport]], Counts]
#: Told of what happened in a tick, may answer with further inputs (people reacting to their mail).
React = Callable[[Database, Instant], Iterable[Input]]


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a play has come: the virtual instant, between which two, and what was done until then."""

    at: Instant
    start: Instant
    end: Instant
    counts: Counts

    @property
    def share(self) -> float:
        """How much of the time is over, 0 to 1."""
        return (self.at - self.start) / max(1, self.end - self.start)

    @classmethod
    def teller(
        cls, stage: "Stage", end: Instant, progress: "Progress | None"
    ) -> Callable[[Instant], None] | None:
        """Return what tells `progress` of each tick of this stage, which stands at its start."""
        start = stage.clock.now()
        return None if progress is None else lambda at: progress(cls(at, start, end, stage.counts))


#: Told after every tick how far the play has come.
Progress = Callable[[Moment], None]


@dataclass(slots=True)
class Stage:
    """Where a play is given: a database, its delivery on a manual clock, transports by lane."""

    database: Database
    delivery: Delivery
    clock: ManualClock
    lanes: Mapping[str, Transport]
    tick: Duration = 15 * MINUTE
    react: React | None = None
    # What workers do at a tick.
    turn: Turn = turn
    # What the play has done so far.
    counts: Counts = field(default_factory=Counts)
    _order: int = 0
    _ahead: list[tuple[Instant, int, Input]] = field(default_factory=list)

    def play(
        self, inputs: Iterator[Input], until: Instant, *, progress: Callable[[Instant], None] | None = None
    ) -> Counts:
        """Play the inputs, ascending by instant, up to `until`; returns counts by outcome.

        progress: told the virtual instant after each tick.
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
            self._feed(sorted(due, key=lambda one: one.at))
            total.update(self.turn(self.database, self.delivery, self.lanes))
            if self.react is not None:
                for reaction in self.react(self.database, at):
                    self._order += 1
                    heappush(self._ahead, (reaction.at, self._order, reaction))
            if progress is not None:
                progress(at)
            if at >= until:
                return total

    def _next(self, upcoming: Input | None, until: Instant) -> Instant:
        """Return the next instant at which something happens, on the grid of ticks, at most `until`."""
        with self.database.read() as connection:
            due = next_due(connection, self.lanes)
        instants = [due, upcoming.at if upcoming else FOREVER, self._ahead[0][0] if self._ahead else FOREVER]
        at = max(min(instants), self.clock.now())
        on_grid = -(-at // self.tick) * self.tick
        return min(max(on_grid, self.clock.now() + 1), until)

    def _feed(self, inputs: Sequence[Input]) -> None:
        """Hand the inputs in, in their order; events between two acts share a transaction."""
        events: list[NewEvent] = []
        for one in inputs:
            if one.event is not None:
                events.append(one.event)
                continue
            self._accept(events)
            events = []
            if one.act is not None:
                self.database.run(partial(_do, one.act, one.at))
        self._accept(events)

    def _accept(self, events: list[NewEvent]) -> None:
        if events:
            self.database.run(lambda connection: accept(connection, events))


def _do(act: Act, at: Instant, connection: sa.Connection) -> None:
    act(connection, at)
