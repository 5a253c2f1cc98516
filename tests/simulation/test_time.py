"""Virtual time: what is jumped over, how coarse the ticks are, and what is not rendered, nobody can tell.

Each law is asked of real purchases or of made-up people, who live twice; all that is stored is compared.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.importing import ImportOptions, import_file
from nurture.database import schema as t
from nurture.database.engine import Database, open_database
from nurture.delivery.deliver import CHUNK_MAILS
from nurture.delivery.types import WINDOW_MAILS, Composer, ReadyMessage
from nurture.domain.instant import DAY, HOUR, MINUTE, Duration, Instant, parse_iso
from nurture.playbook import LoadedPlaybook, build, load_files
from nurture.runtime.clock import ManualClock
from nurture.simulation.people import generate_inputs
from nurture.simulation.play import Input, Simulation
from nurture.simulation.reactions import Reactions
from nurture.simulation.render_sample import SampleComposer
from nurture.transports.types import OutgoingMail
from tests.rig import databases
from tests.scenarios.cdnow import purchase_input, rows_of_slice, write
from tests.scenarios.world import SHIPPED, World, shipped

#: Columns that a life leaves behind, without those that depend on the host's time or a mail's bytes.
KEPT = (
    t.contacts,
    t.contact_state,
    t.runs,
    t.transitions,
    t.milestones,
    t.non_entries,
    t.coupons,
    t.consents,
)
NOTED = 20
LEDGER = [
    column for column in t.messages.columns if column.name not in ("context", "content_hash", "playbook_id")
]


class EveryTick(Simulation):
    """The slow way: it comes by at every tick, whether anything is due or not."""

    def _next(self, _upcoming: Input | None, until: Instant) -> Instant:
        return min((self.clock.now() // self.tick + 1) * self.tick, until)


class Counting(SampleComposer):
    """Counts the letters without bytes."""

    empty = 0

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Make the letter, and count it when it has no bytes."""
        made = super().compose(ready)
        self.empty += not made.data
        return made


@dataclass
class Life:
    """Inputs of people between two instants; each play uses a new database."""

    template: Path
    folder: Path
    # Given the world, before it begins: what happens in it.
    inputs: Callable[[World], Iterable[Input]]
    start: Instant
    until: Instant
    seed: int | None = None
    loaded: LoadedPlaybook = field(default_factory=shipped)
    _played: int = 0

    def play(
        self,
        *,
        stage: type[Simulation] = Simulation,
        tick: Duration = HOUR,
        composer: Composer | None = None,
        window: int = WINDOW_MAILS,
    ) -> dict[str, list[Any]]:
        """Live once; returns all rows that matter, by table."""
        self._played += 1
        folder = self.folder / str(self._played)
        folder.mkdir()
        with databases.sqlite_copy(self.template, folder) as url:
            database = open_database(url, keeps=False)
            try:
                world = World(database, self.loaded, clock=ManualClock(self.start))
                delivery = replace(world.delivery, composer=composer, window=window)
                react = None
                if self.seed is not None:
                    key = world.services.settings.suppression_secret
                    react = Reactions(self.seed, key, world.services.playbooks)
                inputs = sorted(self.inputs(world), key=lambda one: one.at)
                lanes = world.stage.lanes
                played = stage(database, delivery, world.clock, lanes, tick=tick, react=react)
                played.play(iter(inputs), self.until)
                return stored(database)
            finally:
                database.close()


@pytest.fixture
def buyers(sqlite_template: Path, tmp_path: Path) -> Life:
    """Give people of the CDNOW slice who bought in the first days, until those who stayed silent were written to."""
    start, until = parse_iso("1997-01-01T00:00:00Z"), parse_iso("1997-02-24T00:00:00Z")
    rows = [row for row in rows_of_slice() if parse_iso(row["timestamp"]) < until]
    users = sorted({row["user_id"] for row in rows})[::24]

    def inputs(world: World) -> Iterator[Input]:
        people = [
            {"user_id": user, "email": f"{user}@customers.example", "consent_offers": "granted"}
            for user in users
        ]
        path = write(tmp_path / "people.csv", people)
        import_file(world.services, path, ImportOptions(kind="contacts"), actor="cli:test")
        yield from (purchase_input(world, row) for row in rows if row["user_id"] in users)

    return Life(sqlite_template, tmp_path, inputs, start, until)


@pytest.fixture
def all_kinds(sqlite_template: Path, tmp_path: Path) -> Life:
    """Give made-up people of every kind, who react to their mails."""
    start = parse_iso("2026-03-02T00:00:00Z")
    days, seed = 40, 7

    def inputs(_world: World) -> Iterable[Input]:
        return generate_inputs(12, start=start, days=days, seed=seed)

    return Life(sqlite_template, tmp_path, inputs, start, start + days * DAY, seed)


@pytest.fixture
def noted(sqlite_template: Path, tmp_path: Path) -> Life:
    """Give people who order one after another, under a programme whose receipt quotes a note; every fifth has none."""
    start = parse_iso("2026-03-02T00:00:00Z")

    def inputs(world: World) -> Iterator[Input]:
        for number in range(NOTED):
            at = start + (number + 1) * HOUR
            properties = {
                "order_id": f"o{number}",
                "revenue": 9.9,
                "total": 9.9,
                "currency": "EUR",
                "products": [],
            }
            note = {"note": f"Ring {number} times"} if number % 5 else {}
            ordered = world.event(f"p{number}@example.com", "Order Completed", at=at, **properties, **note)
            yield Input(at, event=replace(ordered, received_at=at))

    return Life(sqlite_template, tmp_path, inputs, start, start + 3 * DAY, loaded=with_note())


def with_note() -> LoadedPlaybook:
    """Return the shipped programme with a receipt that cannot be made without `event.note`."""
    receipt = "customer/any/order_confirmation/receipt.en.mjml"
    files = load_files(SHIPPED)
    files[receipt] = files[receipt].replace("{{ greeting() }}", "<mj-text>{{ event.note }}</mj-text>")
    sample = "customer/any/order_confirmation/sample.json"
    files[sample] = files[sample].replace('"event": {', '"event": {"note": "Ring twice",')
    return build(files)


def stored(database: Database) -> dict[str, list[Any]]:
    """Return all rows that matter, by table."""
    with database.read() as connection:
        wanted = {table.name: sa.select(table).order_by(*table.primary_key) for table in KEPT}
        wanted["messages"] = sa.select(*LEDGER).order_by(t.messages.c.id)
        return {name: list(map(tuple, connection.execute(statement))) for name, statement in wanted.items()}


def count_outcomes(rows: dict[str, list[Any]]) -> Counter[tuple[str, ...]]:
    """Return how many decided mails had each outcome."""
    wanted = [
        LEDGER.index(t.messages.c[name])
        for name in ("contact_id", "measure", "run_key", "step", "status", "reason")
    ]
    return Counter(tuple(str(row[place]) for place in wanted) for row in rows["messages"])


def sent(rows: dict[str, list[Any]]) -> int:
    """Return how many mails were sent."""
    return sum(row[LEDGER.index(t.messages.c.status)] == "sent" for row in rows["messages"])


@pytest.mark.parametrize("who", ["buyers", "all_kinds"])
def test_jumping_to_the_next_thing_due_leaves_every_row_as_coming_by_at_every_tick(
    who: str, request: pytest.FixtureRequest
) -> None:
    life: Life = request.getfixturevalue(who)
    jumped = life.play()
    assert sent(jumped) > 20
    assert jumped == life.play(stage=EveryTick)


def test_ticks_of_a_quarter_of_an_hour_give_the_mails_of_ticks_of_a_minute(buyers: Life) -> None:
    assert count_outcomes(buyers.play(tick=15 * MINUTE)) == count_outcomes(buyers.play(tick=MINUTE))


@pytest.mark.parametrize("who", ["all_kinds", "noted"])
def test_a_rendered_sample_gives_the_ledger_that_rendering_every_mail_gives(
    who: str, request: pytest.FixtureRequest
) -> None:
    life: Life = request.getfixturevalue(who)
    assert life.play(composer=SampleComposer(), window=CHUNK_MAILS) == life.play(window=3)


def test_a_mail_that_lacks_a_value_is_found_without_rendering_the_others(noted: Life) -> None:
    composer = Counting()
    rows = noted.play(composer=composer)
    reasons = Counter(row[LEDGER.index(t.messages.c.reason)] for row in rows["messages"])
    assert reasons["template_value"] == NOTED // 5
    # The first of a way are rendered, and what lacks a value; the rest is not.
    assert composer.empty > NOTED // 2
