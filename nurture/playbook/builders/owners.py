"""Build the owners of `playbook.yaml`, each with the calendar of its hours."""

from nurture.domain.measure import WEEKDAYS
from nurture.domain.owners import BusinessCalendar, Owner
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.programme import CalendarHours, ProgrammeFile

#: A calendar that is closed on more days of every year may never open.
_CLOSED_MAX = 300


def build_owners(model: ProgrammeFile, document: Document, faults: Faults) -> dict[str, Owner]:
    """Return the owners by name; an unknown calendar or owner is a fault, also of a hold."""
    calendars = {
        name: _build_calendar(name, hours, document, faults) for name, hours in model.calendars.items()
    }
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


def _build_calendar(name: str, hours: CalendarHours, document: Document, faults: Faults) -> BusinessCalendar:
    loc = ("calendars", name)
    if hours.opens >= hours.closes:
        faults.at(document, (*loc, "to"), "it closes before it opens", "write the later time of the same day")
    if sum(len(day) == len("12-25") for day in set(hours.closed)) > _CLOSED_MAX:
        faults.at(
            document, (*loc, "closed"), "it hardly ever opens", f"close at most {_CLOSED_MAX} days a year"
        )
    weekdays = frozenset(WEEKDAYS.index(day) for day in hours.weekdays)
    return BusinessCalendar(name, hours.zone, weekdays, hours.opens, hours.closes, frozenset(hours.closed))
