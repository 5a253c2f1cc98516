"""The forecast of a send: whom it reaches now, whom later, and why never, by the guard itself and without writing.

People whom the measure does not take are found in the database; the others are played forward one by one.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.sends import queries
from nurture.app.sends.hand_in import find_measure
from nurture.app.sends.options import NO_OPTIONS, SendOptions, check_options
from nurture.app.sends.plan import recipients_sql, refusal_sql
from nurture.app.sends.recipients import Recipients
from nurture.app.services import Services
from nurture.domain.instant import Instant, to_iso
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
) -> list[PersonForecast]:
    """Return the forecast of each person; see `forecast`."""
    wanted = wanted or ForecastOptions()
    settings = services.settings
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        measure = find_measure(playbook, path)
        check_options(wanted.options, measure, playbook)
        now = services.clock.now()
        properties = wanted.options.as_properties()
        if wanted.at is not None:
            properties["send_at"] = wanted.at
        order = ForecastOrder(measure, properties, rate=wanted.rate)
        only_to = frozenset(entry.lower().lstrip("@") for entry in settings.only_to)
        scope = make_scope(connection, playbook, now=now, only_to=only_to, key=settings.suppression_secret)
        meant = recipients_sql(connection, playbook, recipients, now)
        refusal = refusal_sql(connection, measure, playbook, wanted.options, now)
        refused: list[PersonForecast] = []
        played: list[tuple[PersonForecast, str]] = []
        for page in _pages(connection, meant, refusal):
            refused += [_refused(contact, reason) for contact, reason in page if reason]
            entering = [contact for contact, reason in page if not reason]
            if entering:
                played += forecast_page(connection, entering, order, scope)
            if progress is not None:
                progress(len(refused) + len(played))
    if wanted.rate is None:
        return [*(forecast for forecast, _ in played), *refused]
    return [*give_places(played, order, playbook, now=now), *refused]


def _refused(contact: int, reason: str) -> PersonForecast:
    return PersonForecast(contact, "sent_before" if reason == "once" else "never", reason)


def _pages(
    connection: sa.Connection, meant: sa.ColumnElement[bool], refusal: sa.ColumnElement[str]
) -> Iterator[list[tuple[int, str]]]:
    after = 0
    while page := queries.load_refusals(connection, meant, refusal, after=after, limit=_PAGE):
        yield page
        after = page[-1][0]
