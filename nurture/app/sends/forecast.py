"""The forecast of a send: whom it reaches now, whom later, and why never, by the guard itself and without writing.

People whom the measure does not take are found in the database; the others are played forward one by one.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.sends import queries
from nurture.app.sends.forecast_parts import Part, collect_parts, count_processes
from nurture.app.sends.hand_in import find_measure
from nurture.app.sends.options import NO_OPTIONS, SendOptions, check_options
from nurture.app.sends.plan import recipients_sql, refusal_sql
from nurture.app.sends.recipients import Recipients
from nurture.app.services import Services
from nurture.delivery.chunk_scope import ChunkScope
from nurture.domain.instant import Instant, to_iso
from nurture.reports.forecast.alike import AlikePeople
from nurture.reports.forecast.forecast_people import ForecastOrder, forecast_page, give_places, make_scope
from nurture.reports.forecast.play_person import PersonForecast

#: People whose state is in memory at once.
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class ForecastOptions:
    """The options of a send that its forecast depends on."""

    at: Instant | None = None
    rate: int | None = None
    options: SendOptions = NO_OPTIONS


def forecast(
    services: Services,
    path: str,
    recipients: Recipients,
    wanted: ForecastOptions | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Return how many people the send reaches now and later, and why it never reaches the others.

    progress: called with the number of people looked at. Raises as `plan.plan` does.
    """
    now = services.clock.now()
    people = forecast_people(services, path, recipients, wanted, progress=progress)
    counts = Counter(person.kind for person in people)
    later = [person.at for person in people if person.kind == "later"]
    never = Counter(person.reason or "waits" for person in people if person.kind == "never")
    return {
        "meant": len(people),
        "reached": counts["now"] + counts["later"],
        "reached_now": counts["now"],
        "reached_later": counts["later"],
        "later_from": to_iso(min(later)) if later else None,
        "later_until": to_iso(max(later)) if later else None,
        "already_sent": counts["sent_before"],
        "never": dict(sorted(never.items())),
        "as_of": to_iso(now),
    }


def forecast_people(
    services: Services,
    path: str,
    recipients: Recipients,
    wanted: ForecastOptions | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    processes: int | None = None,
) -> list[PersonForecast]:
    """Return the forecast of each person; see `forecast`. processes: how many make it; None: as suits the machine."""
    wanted = wanted or ForecastOptions()
    with services.database.read() as connection:
        run = _begin(services, connection, path, recipients, wanted)
    refused: list[PersonForecast] = []
    played: list[tuple[PersonForecast, str]] = []
    parts = collect_parts(partial(_play_part, run), processes or count_processes(run.people))
    for page in parts:
        refused += page.refused
        played += page.played
        if progress is not None:
            progress(len(refused) + len(played))
    if wanted.rate is None:
        return [*(forecast for forecast, _ in played), *refused]
    return [*give_places(played, run.order, run.scope.playbook, now=run.scope.now), *refused]


@dataclass(frozen=True, slots=True)
class _Run:
    """A forecast as each of its processes gets it."""

    services: Services
    recipients: Recipients
    options: SendOptions
    order: ForecastOrder
    scope: ChunkScope
    # How many people are meant.
    people: int


@dataclass(frozen=True, slots=True)
class _Page:
    """The forecasts of one page of people: those whom the measure does not take, and the others with their zones."""

    refused: list[PersonForecast]
    played: list[tuple[PersonForecast, str]]


def _begin(
    services: Services,
    connection: sa.Connection,
    path: str,
    recipients: Recipients,
    wanted: ForecastOptions,
) -> _Run:
    settings = services.settings
    playbook = services.playbooks.active(connection).playbook
    measure = find_measure(playbook, path)
    check_options(wanted.options, measure, playbook)
    now = services.clock.now()
    properties = wanted.options.as_properties()
    if wanted.at is not None:
        properties["send_at"] = wanted.at
    only_to = frozenset(entry.lower().lstrip("@") for entry in settings.only_to)
    scope = make_scope(connection, playbook, now=now, only_to=only_to, key=settings.suppression_secret)
    people = queries.count_meant(connection, recipients_sql(connection, playbook, recipients, now))
    order = ForecastOrder(measure, properties, rate=wanted.rate)
    return _Run(services, recipients, wanted.options, order, scope, people)


def _play_part(run: _Run, part: Part) -> Iterator[_Page]:
    """Yield the pages of one part of the people; of several parts each has connections of its own."""
    number, parts = part
    database = run.services.database if parts == 1 else run.services.database.reopen()
    scope, measure = run.scope, run.order.measure
    alike = AlikePeople(measure, scope)
    with database.read() as connection:
        meant = recipients_sql(connection, scope.playbook, run.recipients, scope.now)
        if parts > 1:
            meant = sa.and_(meant, queries.is_in_part(number, parts))
        refusal = refusal_sql(connection, measure, scope.playbook, run.options, scope.now)
        for page in _pages(connection, meant, refusal):
            refused = [_refused(contact, reason) for contact, reason in page if reason]
            entering = [contact for contact, reason in page if not reason]
            played = list(forecast_page(connection, entering, run.order, alike)) if entering else []
            yield _Page(refused, played)


def _refused(contact: int, reason: str) -> PersonForecast:
    return PersonForecast(contact, "sent_before" if reason == "once" else "never", reason)


def _pages(
    connection: sa.Connection, meant: sa.ColumnElement[bool], refusal: sa.ColumnElement[str]
) -> Iterator[list[tuple[int, str]]]:
    after = 0
    while page := queries.load_refusals(connection, meant, refusal, after=after, limit=_PAGE):
        yield page
        after = page[-1][0]
