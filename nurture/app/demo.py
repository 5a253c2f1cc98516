"""The demo: simulated people in the real pipeline on virtual time, in a folder of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nurture.app.installation import migrate, open_services
from nurture.app.services import Services
from nurture.delivery.types import Delivery
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.reports import ledger
from nurture.runtime.clock import ManualClock, SystemClock
from nurture.runtime.settings import Settings, load_settings
from nurture.simulation.people import generate_inputs
from nurture.simulation.play import Progress, Simulation, Tick
from nurture.simulation.reactions import Reactions
from nurture.transports.registry import open_lanes, open_transport

#: The folder that every demo creates anew. The file DEMO with this text marks a folder that may be deleted.
FOLDER = Path("nurture-demo")
_MARK = "made by nurture demo; deleted and made anew by the next one\n"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The number of people and days, the random seed, and the folder."""

    people: int = 100
    days: int = 60
    seed: int = 7
    folder: Path = FOLDER


def prepare_folder(options: DemoOptions) -> Settings:
    """Create the folder anew and return the settings of an installation inside it.

    Raises InputError when the folder contains files that no demo made.
    """
    folder = options.folder
    mark = folder / "DEMO"
    if folder.exists() and not mark.exists() and any(folder.iterdir()):
        message = f"{folder}: this folder was not made by a demo; move it away, or run in another folder"
        raise InputError(message)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.write_text(_MARK, encoding="utf-8")
    return load_settings(
        database_url=f"sqlite:///{folder / 'nurture.db'}",
        mail_url=f"maildir:{folder / 'mailbox'}",
        broker_url="memory://",
    )


def play(options: DemoOptions, *, progress: Progress | None = None) -> tuple[Services, dict[str, Any]]:
    """Run the simulation; returns the installation, reopened on real time, and the summary.

    During the simulation no write waits for the disk: an interrupted demo is simply run again.
    """
    settings = prepare_folder(options)
    end = SystemClock().now()
    start = (end - options.days * DAY) // DAY * DAY
    clock = ManualClock(start)
    services = migrate(settings, clock=clock, keeps=False)
    settings = services.settings
    lanes = {name: open_transport(url) for name, url in open_lanes(settings.mail_url).items()}
    delivery = Delivery(
        clock=clock,
        playbooks=services.playbooks,
        keys=services.keys,
        suppression_key=settings.suppression_secret,
        base_url=settings.public_url,
        worker="demo",
    )
    react = Reactions(options.seed, settings.suppression_secret, services.playbooks)
    stage = Simulation(services.database, delivery, clock, lanes, react=react)
    inputs = generate_inputs(options.people, start=start, days=options.days, seed=options.seed)
    counts = stage.play(inputs, end, progress=Tick.reporter(stage, end, progress))
    for transport in lanes.values():
        transport.close()
    result = summarize(services, start=start, end=end, applied=counts["applied"])
    services.close()
    return open_services(settings), result


def summarize(services: Services, *, start: Instant, end: Instant, applied: int) -> dict[str, Any]:
    """Return the counts of a simulation: people by stage, mails by measure, unsent mails by reason."""
    with services.database.read() as connection:
        measures = ledger.count_by_measure(connection)
        reasons: dict[str, int] = {}
        for row in measures:
            for reason, count in row["skips"].items():
                reasons[reason] = reasons.get(reason, 0) + count
        return {
            "from": to_iso(start),
            "to": to_iso(end),
            "events": applied,
            "stages": ledger.count_people(connection),
            "measures": measures,
            "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])),
            "mails": sum(row["sent"] for row in measures),
            "never_sent": ledger.list_never_sent(connection, services.playbooks.active(connection).playbook),
        }
