"""The calendar file of an appointment (RFC 5545, iTIP): asked for or cancelled, made from the frozen values only.

Times are written in UTC: every calendar shows them in its reader's zone, and no zone table of ours can be wrong
or change the bytes. UID stays the same through all changes, SEQUENCE grows, DTSTAMP is the mail's date.
"""

from datetime import datetime

from icalendar import Calendar, Event, vCalAddress

from nurture.domain.instant import Instant, to_datetime
from nurture.rendering.context import Frozen


def calendar_bytes(frozen: Frozen) -> bytes:
    """Return the calendar of a mail, CRLF line ends; empty when the mail has none."""
    given = frozen["calendar"]
    if given is None:
        return b""
    sender = frozen["sender"]
    domain = sender["address"].rpartition("@")[2]
    cancelled = given["method"] == "CANCEL"
    event = Event()
    event.add("uid", given["uid"] if "@" in given["uid"] else f"{given['uid']}@{domain}")
    event.add("sequence", given["sequence"])
    event.add("dtstamp", _whole_second(frozen["date"]))
    event.add("dtstart", _whole_second(given["start"]))
    event.add("dtend", _whole_second(max(given["end"], given["start"])))
    event.add("summary", given["summary"])
    if given["location"]:
        event.add("location", given["location"])
    event.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    event.add("organizer", _person(sender.get("reply_to") or sender["address"], name=sender["name"]))
    event.add("attendee", _person(frozen["to"]))
    calendar = Calendar()
    calendar.add("prodid", "-//nurture//mail//EN")
    calendar.add("version", "2.0")
    calendar.add("method", given["method"])
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _whole_second(instant: Instant) -> datetime:
    return to_datetime(instant).replace(microsecond=0)


def _person(address: str, *, name: str = "") -> vCalAddress:
    person = vCalAddress(f"mailto:{address}")
    if name:
        person.params["CN"] = name
    return person
