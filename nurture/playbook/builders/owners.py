"""Build the owners of `playbook.yaml`, each with the calendar of its hours."""

from collections.abc import Mapping

from nurture.domain.measure import WEEKDAYS
from nurture.domain.moments import MomentRule
from nurture.domain.owners import BusinessCalendar, Owner
from nurture.playbook.builders.moments import build_moments
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.programme import CalendarHours, ProgrammeFile

#: A calendar that is closed on more days of every year may never open.
_CLOSED_MAX = 300


def build_owners(model: ProgrammeFile, document: Document, faults: Faults) -> dict[str, Owner]:
    """Return the owners by name; an unknown calendar or owner is a fault, also of a hold."""
    moments = build_moments(model.moments)
    calendars = {
        name: _build_calendar(name, hours, moments, document, faults)
        for name, hours in model.calendars.items()
    }
    _require_moments(model, document, faults)
    known = faults.known(document.path, "owners", model.owners)

    def require(loc: Loc, name: str | None) -> None:
        if name is not None and name not in known:
            faults.at(document, loc, f"no owner `{name}`", f"known: {format_names(known, most=40)}")

    owners: dict[str, Owner] = {}
    for key, owner in model.owners.items():
        require(("owners", key, "escalate"), owner.escalate)
        if owner.escalate == key:
            loc = ("owners", key, "escalate")
            faults.at(document, loc, f"`{key}` escalates to itself", "name another owner, or leave it out")
        kept = faults.known(document.path, "calendars", model.calendars)
        if owner.calendar is not None and owner.calendar not in kept:
            what, change = f"no calendar `{owner.calendar}`", f"known: {format_names(kept, most=40)}"
            faults.at(document, ("owners", key, "calendar"), what, change)
        owners[key] = Owner(
            key, owner.name, owner.address, calendars.get(owner.calendar or ""), owner.escalate
        )
    if known:
        # Without owners the name of a hold's owner is a word for people only.
        for name, hold in model.holds.items():
            require(("holds", name, "owner"), hold.owner)
    return owners


def _require_moments(model: ProgrammeFile, document: Document, faults: Faults) -> None:
    """Require that what a calendar is closed on, and what is no day, is a moment."""
    known = faults.known(document.path, "moments", model.moments)
    for name, hours in model.calendars.items():
        for place, day in enumerate(hours.closed):
            if not day[0].isdigit() and day not in known:
                change = f"known: {format_names(known, most=40)}; a day is written in quotes"
                faults.at(document, ("calendars", name, "closed", place), f"no moment `{day}`", change)


def _build_calendar(
    name: str,
    hours: CalendarHours,
    moments: Mapping[str, MomentRule],
    document: Document,
    faults: Faults,
) -> BusinessCalendar:
    loc = ("calendars", name)
    if hours.opens >= hours.closes:
        faults.at(document, (*loc, "to"), "it closes before it opens", "write the later time of the same day")
    if sum(len(day) == len("12-25") for day in set(hours.closed)) > _CLOSED_MAX:
        faults.at(
            document, (*loc, "closed"), "it hardly ever opens", f"close at most {_CLOSED_MAX} days a year"
        )
    weekdays = frozenset(WEEKDAYS.index(day) for day in hours.weekdays)
    closed_moments = tuple(moments[day] for day in dict.fromkeys(hours.closed) if day in moments)
    days = frozenset(day for day in hours.closed if day not in moments)
    return BusinessCalendar(
        name, hours.zone, weekdays, hours.opens, hours.closes, days, moments=closed_moments
    )
