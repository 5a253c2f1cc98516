"""Forecast a send for many people, page by page, and give the mails of a rated send their places."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent.switch_queries import load_paused_switches
from nurture.contacts.queries import load_settled_messages
from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.load_guard_input import GuardItem, load_objects
from nurture.delivery.load_waiting_mail import load_waiting_mail
from nurture.domain.event import Event
from nurture.domain.guard.decide import next_allowed, zone_or_default
from nurture.domain.guard.sends import SendLimits
from nurture.domain.instant import Instant
from nurture.domain.measure import MailStep, Measure
from nurture.domain.playbook import Playbook
from nurture.journey.replay import begin
from nurture.reports.forecast.alike import AlikePeople
from nurture.reports.forecast.play_person import Person, PersonForecast

#: The request id by which a forecast knows the mails of its own send; no stored one has a space.
REQUEST: Final = " forecast"
_LAST: Final = 2**62


@dataclass(frozen=True, slots=True)
class ForecastOrder:
    """The send that is forecast."""

    measure: Measure
    # The properties of the event that hands it in.
    properties: Mapping[str, Any]
    # Mails an hour; None: no limit.
    rate: int | None = None


def make_scope(
    connection: sa.Connection, playbook: Playbook, *, now: Instant, only_to: frozenset[str], key: bytes
) -> ChunkScope:
    """Return the values that the guard reads for everybody."""
    return ChunkScope(
        playbook=playbook,
        now=now,
        switches=load_paused_switches(connection),
        only_to=only_to,
        suppression_key=key,
    )


def forecast_page(
    connection: sa.Connection, contact_ids: Sequence[int], order: ForecastOrder, alike: AlikePeople
) -> Iterator[tuple[PersonForecast, str]]:
    """Yield, for each of these living contacts, the forecast without a rate, and the person's zone.

    alike: holds the forecasts of people who are alike; the same object for all pages.
    A constant number of statements a page, and one more for each mail that names objects.
    """
    scope = alike.scope
    for contact_id, person in load_people(connection, contact_ids, scope).items():
        event, family = _event(contact_id, order, scope.now), person.family
        if not family.contact.clock:
            family.contact = begin(contact_id, event, scope.playbook)
        zone = zone_or_default(family.contact.zone, scope.playbook)
        yield alike.forecast(person, event), zone


def load_people(
    connection: sa.Connection, contact_ids: Sequence[int], scope: ChunkScope
) -> dict[int, Person]:
    """Return these living contacts as a play needs them; a constant number of statements."""
    loaded = load_waiting_mail(connection, contact_ids, scope)
    settled = load_settled_messages(connection, contact_ids)
    runs_of: dict[int, dict[tuple[int, str, str], Any]] = {}
    person_of = {
        member: family.contact.id for family in loaded.families.values() for member in family.member_ids
    }
    for key, run in loaded.runs.items():
        runs_of.setdefault(person_of[key[0]], {})[key] = run

    def load_names(items: Sequence[GuardItem], at: ChunkScope) -> None:
        if any(item.measure is not None and item.measure.objects for item in items):
            load_objects(connection, items, at)

    return {
        contact_id: Person(
            family=family,
            rows=loaded.rows.get(contact_id, ()),
            runs=runs_of.get(contact_id, {}),
            settled=settled.get(contact_id, ()),
            load_objects=load_names,
        )
        for contact_id, family in loaded.families.items()
    }


def _event(contact_id: int, order: ForecastOrder, now: Instant) -> Event:
    return Event(
        seq=_LAST,
        source="ops",
        message_id=f"{REQUEST}:{contact_id}",
        kind="ops",
        name="Ops Send",
        occurred_at=now,
        received_at=now,
        properties={**order.properties, "measure": order.measure.path, "request": REQUEST},
    )


def give_places(
    forecasts: Sequence[tuple[PersonForecast, str]], order: ForecastOrder, playbook: Playbook, *, now: Instant
) -> list[PersonForecast]:
    """Return the forecasts with the places of a rated send, in the order in which mails come due.

    A place at which the person may not be mailed is given to the next, as the guard does.
    """
    others = [forecast for forecast, _ in forecasts if forecast.kind not in ("now", "later")]
    reached = [
        (forecast.at, forecast.contact, zone, forecast)
        for forecast, zone in forecasts
        if forecast.kind in ("now", "later")
    ]
    heapify(reached)
    limits = SendLimits(rate=order.rate, next_free_at=now)
    placed: list[PersonForecast] = []
    step = next((step for step in order.measure.steps if isinstance(step, MailStep)), None)
    slot = step.send_at if step is not None else None
    while reached:
        at, contact, zone, forecast = heappop(reached)
        place = max(at, limits.next_free_at)
        allowed = next_allowed(place, slot=slot, purpose=order.measure.purpose, zone=zone, playbook=playbook)
        if allowed > place:
            heappush(reached, (allowed, contact, zone, forecast))
            continue
        limits = limits.with_taken(place)
        placed.append(replace(forecast, at=place, kind="now" if place == now else "later"))
    return [*placed, *others]
