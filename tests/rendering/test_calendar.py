"""The calendar file of an appointment: calendar programs read it, and every attempt has the same bytes."""

from typing import Any

import pytest
from icalendar import Calendar

from nurture.domain.instant import parse_iso
from nurture.rendering.context import MailContext
from nurture.rendering.errors import MissingValue
from nurture.rendering.render import render
from tests.rendering.mails import MEASURE, content, read, some_context, some_templates

TEXTS = {
    "method": "REQUEST",
    "uid": "{{ entity.appointment_id }}",
    "start": "{{ entity.starts_at }}",
    "end": "{{ entity.ends_at }}",
    "summary": "{{ brand.name }}: {{ entity.subject | default(strings.stop) }}",
    "location": "{{ entity.location }}",
    "zone": "",
}
ENTITY = {
    "lines": [],
    "appointment_id": "apt-311",
    "starts_at": "2026-06-12T13:00:00+02:00",
    "ends_at": parse_iso("2026-06-12T11:45:00Z"),
    "location": "Kesselhof 3, Berlin; back door",
    "subject": "Beratung äöü, 中文\nmehr" + " lang" * 40,
}


def appointment(entity: dict[str, Any] | None = None, *, sequence: int = 0, **texts: str) -> MailContext:
    templates = some_templates(calendars={MEASURE: {"mail": TEXTS | texts}})
    view = {"contact": {}, "entity": entity or ENTITY, "sequence": sequence, "generation": min(sequence, 1)}
    return some_context(templates, view, purpose="transactional", topic=None)


def event_of(context: MailContext) -> Any:
    mail = read(render(some_templates(), context))
    [event] = Calendar.from_ical(content(mail, "text/calendar")).walk("VEVENT")
    return event


def test_the_appointment_is_read_back_by_a_calendar_program() -> None:
    event = event_of(appointment())
    assert (event["uid"], event["sequence"], event["status"]) == ("apt-311@shop.test", 0, "CONFIRMED")
    assert str(event["summary"]) == "Shop: Beratung äöü, 中文 mehr" + " lang" * 40
    assert str(event["location"]) == "Kesselhof 3, Berlin; back door"
    assert event["dtstart"].dt.isoformat() == "2026-06-12T11:00:00+00:00"
    assert event["dtend"].dt.isoformat() == "2026-06-12T11:45:00+00:00"
    assert event["dtstamp"].dt.isoformat() == "2026-07-06T12:00:00+00:00"
    assert (event["organizer"], event["attendee"]) == ("mailto:help@shop.test", "mailto:anna@x.test")


def test_mail_and_file_hold_the_same_calendar() -> None:
    mail = read(render(some_templates(), appointment()))
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
        "application/ics",
    ]
    parts = list(mail.walk())
    assert parts[4].get_param("method") == "REQUEST"
    assert parts[5].get_filename() == "invite.ics"
    calendar = parts[5].get_payload(decode=True)
    assert isinstance(calendar, bytes)
    assert parts[4].get_payload(decode=True) == calendar
    assert calendar.startswith(b"BEGIN:VCALENDAR\r\n")
    assert max(map(len, calendar.split(b"\r\n"))) <= 75
    assert b"METHOD:REQUEST\r\n" in calendar


def test_a_changed_appointment_keeps_its_uid_and_grows_its_sequence() -> None:
    first, changed = event_of(appointment()), event_of(appointment(sequence=2))
    assert (first["uid"], first["sequence"]) == (changed["uid"], 0)
    assert changed["sequence"] == 2


def test_a_cancelled_appointment_has_method_cancel_and_the_last_sequence() -> None:
    context = appointment(sequence=2, method="CANCEL")
    event = event_of(context)
    assert (event["status"], event["sequence"], event["uid"]) == ("CANCELLED", 3, "apt-311@shop.test")
    assert b'method="CANCEL"' in render(some_templates(), context)


def test_the_same_appointment_gives_the_same_bytes() -> None:
    assert render(some_templates(), appointment()) == render(some_templates(), appointment())


def test_an_end_before_the_start_is_the_start() -> None:
    event = event_of(appointment({**ENTITY, "ends_at": "2026-06-12T09:00:00Z"}))
    assert event["dtend"].dt == event["dtstart"].dt


@pytest.mark.parametrize(
    ("change", "variable"),
    [
        ({"starts_at": None}, "entity.starts_at"),
        ({"starts_at": "soon"}, "calendar.start"),
        ({"location": None}, "entity.location"),
    ],
)
def test_an_appointment_without_its_facts_stops_the_mail(change: dict[str, Any], variable: str) -> None:
    with pytest.raises(MissingValue) as caught:
        appointment({**ENTITY, **change})
    assert caught.value.variable == variable


def test_a_value_cannot_add_a_line_to_the_calendar() -> None:
    evil = "x\r\nATTENDEE:mailto:evil@x.test\r\n"
    event = event_of(appointment({**ENTITY, "subject": evil, "location": evil, "appointment_id": evil}))
    assert event["attendee"] == "mailto:anna@x.test"
