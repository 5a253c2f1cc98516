"""The inputs of a simulation: made-up people, a file of recorded events, or the history of a database."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from nurture.app.importing import read_events
from nurture.app.installation import open_existing, programme_folder
from nurture.app.simulations.options import SUPPRESSION_KEY, SimulationOptions
from nurture.consent.record import grant_consent, mark_consent_pending, unsubscribe
from nurture.contacts.accept import NewEvent
from nurture.contacts.queries import resolve_contact
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import BY_MODEL, VALUE_PUBLISHED
from nurture.domain.instant import DAY, LATEST, Instant, to_datetime
from nurture.domain.playbook import Playbook
from nurture.playbook import load_files, rebuild
from nurture.reports.simulated.history import RecordedConsent, load_consents, load_events
from nurture.runtime.clock import SystemClock
from nurture.runtime.settings import load_settings
from nurture.simulation.people import generate_inputs
from nurture.simulation.play import Act, Input


@dataclass(frozen=True, slots=True)
class Span:
    """The inputs, ascending by instant, and the instants at which the simulation starts and ends."""

    inputs: Iterator[Input]
    start: Instant
    end: Instant


#: Recorded events stay packed as JSON until their instant; years of them as objects take hundreds of megabytes.
_PACK, _UNPACK = msgspec.json.Encoder(), msgspec.json.Decoder(NewEvent)
_Packed = tuple[Instant, bytes]
_NOTHING: Final = "the history contains no event"


def load_inputs(options: SimulationOptions) -> Span:
    """Return the inputs of a simulation. Raises InputError."""
    if not options.is_history:
        start = (SystemClock().now() if options.start is None else options.start) // DAY * DAY
        objects = _read_objects(options, start)
        generated = generate_inputs(
            options.people, start=start, days=options.days, seed=options.seed, has_things=not objects
        )
        return Span(merge(generated, objects, key=_at), start, start + options.days * DAY)
    if options.start is not None:
        raise InputError("--start is for made-up people; recorded events bring their own dates")
    if options.from_database and options.events is not None:
        raise InputError("--events and --from-database: name one history")
    consents = list[RecordedConsent]()
    if options.from_database:
        packed, consents = _read_database()
    else:
        packed = sorted(_read_history(options), key=lambda entry: entry[0])
    if not packed:
        raise InputError(f"{options.events or 'the database'}: {_NOTHING}")
    start, end = packed[0][0] // DAY * DAY, packed[-1][0] + options.days * DAY
    words = [Input(consent.at, act=_consent_act(consent)) for consent in consents]
    events = (Input(at, event=_UNPACK.decode(text)) for at, text in packed)
    # An event and the consent of the same instant: the event first, because it may bring the person.
    return Span(merge(events, words, _read_objects(options, start), key=_at), start, end)


def _at(item: Input) -> Instant:
    return item.at


def _playbook(options: SimulationOptions) -> Playbook:
    """Return the programme whose names give the columns of a file their types."""
    folder = options.playbook if options.playbook is not None else programme_folder(load_settings())
    return rebuild(load_files(folder), id_=0).playbook


def _read_history(options: SimulationOptions) -> Iterator[_Packed]:
    """Yield (occurred_at, packed event) of a file, with received_at set to occurred_at. Raises InputError."""
    if options.events is not None:
        for event in _read_file(options.events, _playbook(options)):
            # Here a recorded publication is one again.
            source = BY_MODEL if event.name == VALUE_PUBLISHED else event.source
            yield (
                event.occurred_at,
                _PACK.encode(replace(event, received_at=event.occurred_at, source=source)),
            )


def _read_file(path: Path, playbook: Playbook, *, of_objects: bool = False) -> Iterator[NewEvent]:
    year = to_datetime(SystemClock().now()).year
    return read_events(path, playbook, this_year=year, of_objects=of_objects)


def _read_objects(options: SimulationOptions, start: Instant) -> list[Input]:
    """Return the events about things; those without a time happen at the start."""
    if options.objects is None:
        return []
    events = _read_file(options.objects, _playbook(options), of_objects=True)
    dated = (
        replace(event, occurred_at=at, received_at=at)
        for event in events
        for at in [start if event.occurred_at >= LATEST else event.occurred_at]
    )
    return sorted((Input(event.occurred_at, event=event) for event in dated), key=_at)


def _read_database() -> tuple[list[_Packed], list[RecordedConsent]]:
    services = open_existing()
    try:
        with services.database.read() as connection:
            events = [(event.received_at, _PACK.encode(event)) for event in load_events(connection)]
            return sorted(events, key=lambda entry: entry[0]), load_consents(connection)
    finally:
        services.close()


def _consent_act(consent: RecordedConsent) -> Act:
    def act(connection: sa.Connection, at: Instant) -> None:
        try:
            contact_id = resolve_contact(connection, consent.who)
        except NotFoundError:
            return
        _record(connection, consent, contact_id, at=at)

    return act


def _record(connection: sa.Connection, consent: RecordedConsent, contact_id: int, *, at: Instant) -> None:
    """Write a recorded word about a topic as the pages and files do."""
    topic, key = consent.topic, SUPPRESSION_KEY.encode()
    word: dict[str, Any] = {"contact_id": contact_id, "now": at, "source": "simulation", "evidence": {}}
    if consent.state == "pending":
        mark_consent_pending(connection, topic=topic, **word)
    elif consent.state == "granted":
        grant_consent(connection, topic=topic, suppression_key=key, **word)
    else:
        unsubscribe(connection, topic=None if topic == "*" else topic, suppression_key=key, **word)
