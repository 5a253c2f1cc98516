"""A programme on virtual time in a temporary database: the real rules, guard and templates, without a server.

Mails are kept in memory. Each `TestProgramme` has an empty database of its own.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.queries import resolve_contact
from nurture.delivery.deliver import CHUNK_MAILS
from nurture.delivery.types import Delivery
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.errors import NotFoundError
from nurture.domain.event import Identity
from nurture.domain.instant import MINUTE, Duration, Instant
from nurture.domain.signing import SigningKeys
from nurture.playbook import FixedPlaybook, LoadedPlaybook, build, load_files
from nurture.playbook.load import TESTS
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import Settings
from nurture.simulation.play import Simulation
from nurture.simulation.transport import Outlet
from nurture.testing import queries
from nurture.testing.arrange import arrange
from nurture.testing.databases import database_pool
from nurture.testing.golden import GoldenFolder
from nurture.testing.instants import local_instant, parse_span, show_time
from nurture.testing.mails import Mail
from nurture.testing.person import Person

#: The local time at which tests start unless they say otherwise: a Monday morning.
START: Final = "2026-06-01 10:00"
#: Signs links that nobody follows.
_KEY: Final = "only-tests-are-signed-with-this-key"
_MAILS_MAX: Final = 100_000


def load_programme(folder: Path) -> LoadedPlaybook:
    """Return the programme of a folder, checked but for rendering: a mail that fails shows in the tests.

    Raises PlaybookError with every fault.
    """
    return build(load_files(folder), render=False)


class TestProgramme:
    """A programme under test. Use it as a context manager, or call `close` at the end."""

    #: pytest takes classes whose name begins with Test for tests.
    __test__ = False

    def __init__(
        self,
        programme: LoadedPlaybook | Path | str,
        *,
        start: str = START,
        holdout: Collection[str] = (),
        variants: Mapping[str, str] | None = None,
        golden: Path | None = None,
        update_golden: bool = False,
    ) -> None:
        """Begin at the local time `start` of the programme's zone.

        programme: its folder, or as it is loaded. holdout, variants: see `arrange`. golden: the folder of golden
        files; default `tests/golden` of the programme's folder. update_golden: they are written and not compared.
        Raises PlaybookError for a folder with faults, InputError, ValueError.
        """
        if isinstance(programme, LoadedPlaybook):
            loaded = programme
        else:
            loaded = load_programme(Path(programme))
            golden = golden or Path(programme) / TESTS / "golden"
        self.loaded = arrange(loaded, holdout=holdout, variants=variants)
        self.zone = self.loaded.playbook.default_zone
        self.start: Instant = local_instant(start, self.zone)
        self.golden = GoldenFolder(golden, is_updated=update_golden)
        self.clock = ManualClock(self.start)
        self.people: dict[str, Person] = {}
        self._event_count = 0
        self._is_closed = False
        self._outlet = Outlet(keep=_MAILS_MAX)
        self.services, self._simulation = self._open()

    def _open(self) -> tuple[Services, Simulation]:
        database = database_pool().lend()
        settings = Settings.model_validate(
            {"secret_key": _KEY, "suppression_key": _KEY, "base_url": "https://mail.example.test"}
        )
        services = Services(
            database=database,
            settings=settings,
            clock=self.clock,
            keys=SigningKeys(settings.signing_secrets),
            playbooks=FixedPlaybook(self.loaded),
        )
        delivery = Delivery(
            clock=self.clock,
            playbooks=services.playbooks,
            keys=services.keys,
            suppression_key=settings.suppression_secret,
            base_url=settings.public_url,
            worker="test",
            window=CHUNK_MAILS,
        )
        lanes = {measure.lane for measure in self.loaded.playbook.measures.values()} | {"main"}
        outlets = dict.fromkeys(sorted(lanes), self._outlet)
        return services, Simulation(database, delivery, self.clock, outlets, tick=MINUTE)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the database back; the test is over."""
        if not self._is_closed:
            self._is_closed = True
            database_pool().give_back(self.services.database)

    # ---- time --------------------------------------------------------------------------------------------

    @property
    def now(self) -> Instant:
        """The virtual instant."""
        return self.clock.now()

    def advance(self, span: str | Duration) -> None:
        """Let time pass: `7 days`, `2h`, or microseconds. Raises ValueError for another text."""
        self.run_until(self.now + (parse_span(span) if isinstance(span, str) else span))

    def run_until(self, at: str | Instant) -> None:
        """Let time pass until an instant, or a local time such as `2026-06-04 09:30` of the programme's zone."""
        self._simulation.play(iter(()), local_instant(at, self.zone) if isinstance(at, str) else at)

    def work(self) -> None:
        """Apply and send all that is due at this instant."""
        self._simulation.play(iter(()), self.now)

    def show(self, at: Instant, zone: str | None = None) -> str:
        """Return an instant as a day of the test and a local time."""
        return show_time(at, start=self.start, zone=zone or self.zone)

    # ---- people and events -------------------------------------------------------------------------------

    def person(self, email: str, **details: Any) -> Person:
        """Add a person and return them. details: see `Person`. Raises InputError for an unknown persona or topic."""
        person = Person(self, email, **details)
        self.people[email] = person
        return person

    def hand_in(
        self,
        name: str,
        *,
        identities: tuple[Identity, ...] = (),
        at: Instant | None = None,
        received_at: Instant | None = None,
        **fields: Any,
    ) -> None:
        """Accept one event; the next step of time applies it."""
        self._event_count += 1
        now = self.now if received_at is None else received_at
        event = NewEvent(
            source="test",
            message_id=f"event-{self._event_count}",
            kind="identify" if name == "Identified" else "track",
            name=name,
            occurred_at=now if at is None else at,
            received_at=now,
            identities=identities,
            **fields,
        )
        self.services.database.run(lambda connection: accept(connection, [event]))

    def happens(self, name: str, /, **properties: Any) -> None:
        """Hand in an event about no person: an article is published, a product is back."""
        self.hand_in(name, properties=properties)
        self.work()

    def check_golden(self, mail: Mail, name: str) -> None:
        """Compare a mail with `tests/golden/NAME.txt`. Raises AssertionError with the lines that differ."""
        __tracebackhide__ = True
        lines = self.golden.difference(mail, name)
        if lines:
            raise AssertionError("\n".join(lines))

    # ---- mails -------------------------------------------------------------------------------------------

    def mails(self, email: str | None = None) -> list[Mail]:
        """Return the mails sent to a person, or to everybody, in their order."""
        with self.services.database.read() as connection:
            try:
                contact = None if email is None else resolve_contact(connection, email)
            except NotFoundError:
                return []
            rows = queries.load_messages(connection, contact)
        kept = {mail.message_id: mail for mail in self._outlet.kept}
        names = MeasureNames(self.loaded.playbook.measures)
        return [
            Mail(
                id=row.id,
                measure=names.shown(row.measure),
                step=row.step,
                variant=row.variant or "",
                sent_at=row.sent_at,
                to=kept[row.id].recipient,
                data=kept[row.id].data,
            )
            for row in rows
            if row.status == "sent" and row.id in kept
        ]
