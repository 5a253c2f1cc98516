"""Models: learn churn, value and lead score from what is stored, and report how right they were."""

from dataclasses import replace
from typing import Any, cast

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.contacts.queries import resolve_contact
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, Duration, Instant, parse_iso, to_iso
from nurture.domain.playbook import Playbook
from nurture.domain.playbook.published_values import MODEL_HORIZONS
from nurture.learning.activity_queries import (
    first_event,
    load_activity,
    load_first_conversions,
    load_leads,
)
from nurture.learning.loading import load
from nurture.learning.order_queries import load_orders
from nurture.learning.results import LearntModel, ModelName, Refusal
from nurture.learning.rows import Leads, enough_history, periods
from nurture.reports.learning import highest, model_report


def report(
    services: Services,
    name: ModelName,
    *,
    to: str | None,
    weeks: int | None,
    who: str | None,
    top: int,
) -> dict[str, Any]:
    """Return what a model says, and how right it was. Raises InputError, NotFoundError and SettingsError.

    to: the last day that is read. who: show this person instead of the `top` ones with the highest numbers.
    """
    horizon = MODEL_HORIZONS[name] if weeks is None else weeks * 7 * DAY
    now = services.clock.now() if to is None else _end_of_day(to)
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        model = learn(connection, name, playbook, now=now, horizon=horizon)
        people = highest(model, top) if who is None else [resolve_contact(connection, who)]
    return model_report(model, name=name, now=now, horizon=horizon, people=people)


def _end_of_day(text: str) -> Instant:
    try:
        at = parse_iso(text)
    except (ValueError, OverflowError) as error:
        raise InputError(f"--to {text!r} is not a day; write for example 2026-03-01") from error
    return at - at % DAY + DAY


def learn(
    connection: sa.Connection, name: ModelName, playbook: Playbook, *, now: Instant, horizon: Duration
) -> LearntModel | Refusal:
    """Learn a model from what was known at an instant, for the days after it."""
    if name == "score":
        return _learn_score(connection, playbook, now=now, horizon=horizon)
    names = order_names(playbook)
    if not names:
        return Refusal(
            "needs", "the playbook has no entity with an amount; declare the orders under `entities`"
        )
    orders = load_orders(connection, names, before=now)
    if name == "churn":
        model = load("churn").learn_churn(orders, now=now, horizon=horizon)
    else:
        model = load("lifetime_value").learn_value(orders, now=now, horizon=horizon)
    newest = max(orders.at, default=None)
    if isinstance(model, Refusal) and model.code == "needs" and newest is not None:
        return replace(model, text=f"{model.text}; the newest order is of {to_iso(newest)[:10]}")
    return cast("LearntModel | Refusal", model)


def order_names(playbook: Playbook) -> frozenset[str]:
    """Return the entities that are purchases: those that make a customer, else all, of a kind with an amount."""
    paid = {name for name, kind in playbook.entities.items() if kind.amount is not None and not kind.lines_of}
    converting = {match.kind for match in playbook.conversion.over}
    return frozenset(paid & converting or paid)


def _learn_score(
    connection: sa.Connection, playbook: Playbook, *, now: Instant, horizon: Duration
) -> LearntModel | Refusal:
    first = first_event(connection)
    if first is None:
        return Refusal("needs", "no event of a lead is known yet")
    cuts = periods(first, now, horizon)
    if cuts is None:
        soonest = to_iso(enough_history(first, horizon))[:10]
        return Refusal(
            "needs", f"the first event is of {to_iso(first)[:10]}; there are figures from {soonest} on"
        )
    names = converting_events(playbook)
    leads = Leads(
        earlier=load_activity(connection, at=cuts.fit_at, left_out=names),
        newest=load_activity(connection, at=cuts.judge_at, left_out=names),
        now=load_activity(connection, at=now, left_out=names),
        converted=load_first_conversions(connection),
        open=load_leads(connection),
    )
    return cast("LearntModel | Refusal", load("lead_score").learn_score(leads, cuts))


def converting_events(playbook: Playbook) -> frozenset[str]:
    """Return the names of events that make a customer."""
    names = {name for match in playbook.conversion.by for name in match.names}
    for entity in playbook.conversion.over:
        kind = playbook.entities.get(entity.kind)
        if kind is not None:
            names.update(name for match in kind.counts_from or kind.of for name in match.names)
    return frozenset(names)
