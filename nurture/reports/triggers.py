"""The trigger of a measure in words, and whether what starts it has happened to a contact."""

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.domain.consent.events import CONFIRMED, GIVEN
from nurture.domain.contact import Advance, Contact
from nurture.domain.event import IMPORTED
from nurture.domain.instant import Instant, format_duration, to_iso
from nurture.domain.journey.entity_dates import describe_dates
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import (
    Measure,
    OnCondition,
    OnConsent,
    OnDate,
    OnEntityDate,
    OnEvent,
    OnMilestone,
    OnMoment,
    OnObject,
    OnOps,
    OnQuiet,
    OnSchedule,
    OnStage,
    Timed,
)
from nurture.domain.playbook import Playbook

#: Whether it was met, the value that was read, and the value that would change the answer.
TriggerCheck = tuple[bool, str, str]


def check_trigger(
    connection: sa.Connection,
    ids: list[int],
    contact: Contact,
    measure: Measure,
    *,
    playbook: Playbook,
    now: Instant,
) -> TriggerCheck:
    """Return whether what starts the measure has happened to the contact, by their events until `now`."""
    names, words = describe_trigger(measure)
    names = names or _starting_events(measure, playbook)
    if isinstance(measure.trigger, OnEntityDate):
        work = Work(contact, playbook, Advance(contact))
        dates = describe_dates(work, measure, measure.trigger)
        missing = f"no {measure.trigger.entity} is known"
        return bool(dates), f"{words}: {'; '.join(dates) or missing}", words
    if not names:
        return True, words, ""
    is_past: sa.ColumnElement[bool] = t.events.c.historic
    if isinstance(measure.trigger, OnConsent):
        is_past = is_past | (t.events.c.source == IMPORTED)
    since = t.events.c.occurred_at
    statement = sa.select(sa.func.max(since), sa.func.max(sa.case((~is_past, since)))).where(
        t.events.c.contact_id.in_(ids), t.events.c.name.in_(names), t.events.c.received_at <= now
    )
    last, last_live = connection.execute(statement).one()
    if last is None:
        return False, f"none of {', '.join(names)} has happened", words
    if last_live is None:
        return False, f"{words}; last happened {to_iso(last)} in imported history, which starts nothing", ""
    return True, f"{words}; last happened {to_iso(last_live)}", ""


def _starting_events(measure: Measure, playbook: Playbook) -> tuple[str, ...]:
    """Return the events without which a silence, a milestone or a consent cannot start the measure; () for others."""
    match measure.trigger:
        case OnQuiet(entity=entity) if entity in playbook.entities:
            return tuple(name for match in playbook.entities[entity].of for name in match.names)
        case OnMilestone(milestone=name):
            rule = next((rule for rule in playbook.milestones if rule.name == name), None)
            return () if rule is None or rule.over else rule.of.names
        case OnConsent():
            return GIVEN, CONFIRMED
        case _:
            return ()


def describe_trigger(measure: Measure) -> tuple[tuple[str, ...], str]:
    """Return the event names that wake the measure (none for calendar triggers) and the trigger in words."""
    match measure.trigger:
        case OnEvent(names=names):
            return names, f"wakes on {', '.join(names)}"
        case OnObject(kind=kind, names=names, to_audience=True):
            return names, f"wakes everybody in the audience when {', '.join(names)} happens to a {kind}"
        case OnObject(kind=kind, names=names, lists=lists) if lists:
            shown = " or ".join(lists)
            return names, f"wakes those on the list {shown} of a {kind} on {', '.join(names)}"
        case OnObject(kind=kind, names=names):
            return names, f"wakes those who wait for a {kind} on {', '.join(names)}"
        case OnMilestone(milestone=milestone):
            return (), f"wakes on the milestone {milestone}"
        case OnStage(stage=stage):
            return (), f"wakes on entering the stage {stage}"
        case OnCondition():
            return (), "wakes when the audience turns to yes"
        case OnConsent(topic=topic):
            return (), f"wakes when the consent to {topic} first counts"
        case OnOps():
            return (), "wakes only when ops send it"
        case timed:
            return (), _describe_timed(timed)


def _describe_timed(trigger: Timed) -> str:
    match trigger:
        case OnQuiet(entity=entity, quiet=quiet):
            return f"wakes when an open {entity} was left alone for {format_duration(quiet)}"
        case OnDate(fact=fact, offset=offset):
            return f"wakes at the date {fact} {format_duration(offset)}"
        case OnEntityDate(entity=entity, field=name, offset=offset):
            return f"wakes at the {name} of each {entity} {format_duration(offset)}"
        case OnMoment(moment=moment):
            return f"wakes on the day of {moment}"
        case OnSchedule():
            return "wakes by the calendar"
