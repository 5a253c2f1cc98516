"""Run a simulation: a programme on virtual time in a temporary database that is deleted at the end."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from nurture.app.demo import summarize
from nurture.app.importing import ImportOptions, import_file
from nurture.app.installation import migrate
from nurture.app.services import Services
from nurture.app.simulations.inputs import Span, load_inputs
from nurture.app.simulations.options import SECRET_KEY, SUPPRESSION_KEY, SimulationOptions
from nurture.delivery.deliver import CHUNK_MAILS
from nurture.delivery.types import Delivery
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import Instant
from nurture.playbook import LoadedPlaybook
from nurture.reports.simulated.counts import SimulationCounts, count_ledger
from nurture.reports.simulated.journeys import JourneyCounts, count_journeys, list_never_reached
from nurture.reports.simulated.rows import SimulatedLedger, load_ledger, note_deferrals
from nurture.runtime import gc_tuning
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from nurture.simulation.play import Progress, Simulation, Tick
from nurture.simulation.reaction_rates import ReactionRates, read_rates
from nurture.simulation.reactions import Reactions
from nurture.simulation.render_sample import SampleComposer
from nurture.simulation.transport import Outlet
from nurture.transports.registry import open_lanes


@dataclass(frozen=True, slots=True)
class Played:
    """A simulation that is over, with its database still open."""

    services: Services
    loaded: LoadedPlaybook
    start: Instant
    end: Instant
    ledger: SimulatedLedger
    counts: SimulationCounts
    journeys: Mapping[str, JourneyCounts]
    # As `nurture simulate --json` prints it.
    summary: dict[str, Any]


@contextmanager
def played(options: SimulationOptions, *, progress: Progress | None = None) -> Iterator[Played]:
    """Run the simulation; give its result while its database exists. Raises InputError."""
    rates = read_rates(options.reactions)
    with tempfile.TemporaryDirectory(prefix="nurture-simulation-") as folder:
        span = load_inputs(options)
        settings = load_settings(
            database_url=f"sqlite:///{folder}/simulation.db",
            mail_url=f"maildir:{folder}/mailbox",
            broker_url="memory://",
            secret_key=SECRET_KEY,
            suppression_key=SUPPRESSION_KEY,
            playbook=options.playbook,
        )
        clock = ManualClock(span.start)
        services = migrate(settings, clock=clock, keeps=False)
        gc_tuning.settle()
        try:
            services.database.run(note_deferrals)
            if options.contacts is not None:
                import_file(services, options.contacts, ImportOptions(kind="contacts"), actor="simulation")
            applied = _play(services, clock, span, options, rates, progress)
            yield _result(services, span, applied)
        finally:
            services.close()


def _play(  # noqa: PLR0917 - one caller, each argument once
    services: Services,
    clock: ManualClock,
    span: Span,
    options: SimulationOptions,
    rates: ReactionRates,
    progress: Progress | None,
) -> int:
    """Play the inputs; return how many events were applied."""
    settings = services.settings
    lanes = {name: Outlet() for name in open_lanes(settings.mail_url)}
    delivery = Delivery(
        clock=clock,
        playbooks=services.playbooks,
        keys=services.keys,
        suppression_key=settings.suppression_secret,
        base_url=settings.public_url,
        worker="simulation",
        # No stop switch has to take effect between the send gate and the mail, so one window takes a whole chunk.
        window=CHUNK_MAILS,
        composer=SampleComposer(),
    )
    react = None
    if not options.is_history:
        react = Reactions(options.seed, settings.suppression_secret, services.playbooks, rates)
    stage = Simulation(services.database, delivery, clock, lanes, react=react)
    counts = stage.play(span.inputs, span.end, progress=Tick.reporter(stage, span.end, progress))
    return counts["applied"]


def _result(services: Services, span: Span, applied: int) -> Played:
    with services.database.read() as connection:
        loaded = services.playbooks.active(connection)
        ledger = load_ledger(connection)
    names = MeasureNames(loaded.playbook.measures)
    counts = count_ledger(ledger, names, start=span.start, end=span.end)
    journeys = count_journeys(ledger)
    summary = summarize(services, start=span.start, end=span.end, applied=applied)
    summary["measures"] = [{**row, "measure": names.shown(row["measure"])} for row in summary["measures"]]
    summary |= {
        "people": len(ledger.people),
        "never_reached": list_never_reached(loaded.playbook, journeys),
        "counts": asdict(counts),
    }
    return Played(services, loaded, span.start, span.end, ledger, counts, journeys, summary)
