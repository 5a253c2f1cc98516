"""The calendar file of an appointment (RFC 5545, iTIP method REQUEST or CANCEL), made from the frozen context only.

Times are in UTC: every calendar program shows them in its reader's zone, and a change of the zone tables does not
change the bytes. UID stays the same through all changes, SEQUENCE grows, DTSTAMP is the mail's date.
"""

from datetime import datetime

from icalendar import Calendar, Event, vCalAddress

from nurture.domain.instant import Instant, to_datetime
from nurture.rendering.context import MailContext


def calendar_bytes(context: MailContext) -> bytes:
    """Return the calendar file of a mail, CRLF line ends; empty when the mail has none."""
    appointment = context["calendar"]
    if appointment is None:
        return b""
    sender = context["sender"]
    domain = sender["address"].rpartition("@")[2]
    is_cancelled = appointment["method"] == "CANCEL"
    event = Event()
    event.add("uid", appointment["uid"] if "@" in appointment["uid"] else f"{appointment['uid']}@{domain}")
    event.add("sequence", appointment["sequence"])
    event.add("dtstamp", _whole_second(context["date"]))
    event.add("dtstart", _whole_second(appointment["start"]))
    event.add("dtend", _whole_second(max(appointment["end"], appointment["start"])))
    event.add("summary", appointment["summary"])
    if appointment["location"]:
        event.add("location", appointment["location"])
    event.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    event.add(
        "organizer", _calendar_address(sender.get("reply_to") or sender["address"], name=sender["name"])
    )
    event.add("attendee", _calendar_address(context["to"]))
    calendar = Calendar()
    calendar.add("prodid", "-//nurture//mail//EN")
    calendar.add("version", "2.0")
    calendar.add("method", appointment["method"])
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _whole_second(instant: Instant) -> datetime:
    return to_datetime(instant).replace(microsecond=0)


def _calendar_address(address: str, *, name: str = "") -> vCalAddress:
    address_value = vCalAddress(f"mailto:{address}")
    if name:
        address_value.params["CN"] = name
    return address_value
