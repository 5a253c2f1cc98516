"""Simulation: a programme on virtual time in a temporary database, over generated or recorded events."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from nurture.app.demo import summarize
from nurture.app.importing import ImportOptions, import_file, read_events
from nurture.app.installation import migrate, programme_folder
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent
from nurture.delivery.deliver import CHUNK_MAILS
from nurture.delivery.types import Delivery
from nurture.domain.counts import Counts
from nurture.domain.errors import InputError
from nurture.domain.event import BY_MODEL, VALUE_PUBLISHED
from nurture.domain.instant import DAY, Instant, to_datetime
from nurture.playbook import build, load_files
from nurture.runtime import gc_tuning
from nurture.runtime.clock import ManualClock, SystemClock
from nurture.runtime.settings import load_settings
from nurture.simulation.people import generate_inputs
from nurture.simulation.play import Input, Progress, Simulation, Tick
from nurture.simulation.reactions import Reactions
from nurture.simulation.render_sample import SampleComposer
from nurture.simulation.transport import Outlet
from nurture.transports.registry import open_lanes


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """The people, or files of recorded events and contacts, the number of days, and the programme."""

    people: int = 1_000
    days: int = 90
    seed: int = 7
    events: Path | None = None
    contacts: Path | None = None
    playbook: Path | None = None
    # The day on which made-up people begin; None: today.
    start: Instant | None = None


def run(options: SimulationOptions, *, progress: Progress | None = None) -> dict[str, Any]:
    """Run the simulation once and return its summarize. No mail is sent and nothing is kept.

    Raises InputError for a file of events that cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="nurture-simulation-") as folder:
        settings = load_settings(
            database_url=f"sqlite:///{folder}/simulation.db",
            mail_url=f"maildir:{folder}/mailbox",
            broker_url="memory://",
            playbook=options.playbook,
        )
        inputs, start, end = _load_inputs(options)
        clock = ManualClock(start)
        services = migrate(settings, clock=clock, keeps=False)
        gc_tuning.settle()
        try:
            if options.contacts is not None:
                import_file(services, options.contacts, ImportOptions(kind="contacts"), actor="simulation")
            counts = _play(services, clock, inputs, end, options, progress)
            return summarize(services, start=start, end=end, applied=counts["applied"])
        finally:
            services.close()


def _play(  # noqa: PLR0917 - one caller, each argument once
    services: Services,
    clock: ManualClock,
    inputs: Iterator[Input],
    end: Instant,
    options: SimulationOptions,
    progress: Progress | None,
) -> Counts:
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
    if options.events is None:
        react = Reactions(seed=options.seed, suppression_key=settings.suppression_secret)
    stage = Simulation(services.database, delivery, clock, lanes, react=react)
    return stage.play(inputs, end, progress=Tick.reporter(stage, end, progress))


def _load_inputs(options: SimulationOptions) -> tuple[Iterator[Input], Instant, Instant]:
    """Return the events, and the instants at which the simulation starts and ends."""
    if options.events is None:
        start = (SystemClock().now() if options.start is None else options.start) // DAY * DAY
        generated = generate_inputs(options.people, start=start, days=options.days, seed=options.seed)
        return generated, start, start + options.days * DAY
    if options.start is not None:
        raise InputError("--start is for made-up people; recorded events bring their own dates")
    history = sorted(_read_history(options.events), key=lambda entry: entry[0])
    if not history:
        message = f"{options.events}: the file contains no event"
        raise InputError(message)
    start, end = history[0][0] // DAY * DAY, history[-1][0] + options.days * DAY
    return (Input(at, event=_UNPACK.decode(packed)) for at, packed in history), start, end


#: Recorded events stay packed as JSON until their instant; years of them as objects take hundreds of megabytes.
_PACK, _UNPACK = msgspec.json.Encoder(), msgspec.json.Decoder(NewEvent)


def _read_history(path: Path) -> Iterator[tuple[Instant, bytes]]:
    """Yield (occurred_at, packed event) of a file, with received_at set to occurred_at. Raises InputError."""
    playbook = build(load_files(programme_folder(load_settings()))).playbook
    for event in read_events(path, playbook, this_year=to_datetime(SystemClock().now()).year):
        # Here a recorded publication is one again.
        source = BY_MODEL if event.name == VALUE_PUBLISHED else event.source
        yield event.occurred_at, _PACK.encode(replace(event, received_at=event.occurred_at, source=source))


def compare(options: SimulationOptions, against: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Simulate the same people under two programmes and return the differences in mails sent, by measure."""
    mine = run(options, progress=progress)
    other = run(replace(options, playbook=against), progress=progress)
    sent = {row["measure"]: row["sent"] for row in mine["measures"]}
    sent_against = {row["measure"]: row["sent"] for row in other["measures"]}
    differences = [
        {
            "measure": name,
            "mails": sent.get(name, 0),
            "mails_against": sent_against.get(name, 0),
            "difference": sent_against.get(name, 0) - sent.get(name, 0),
        }
        for name in sorted({*sent, *sent_against})
    ]
    return {"mails": mine["mails"], "mails_against": other["mails"], "differences": differences}
