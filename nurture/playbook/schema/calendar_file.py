"""The model of a calendar attachment."""

from typing import Literal

from nurture.playbook.schema.values import Strict, Words


class CalendarFile(Strict):
    """A calendar attachment; each text is a template."""

    method: Literal["REQUEST", "CANCEL"]
    uid: Words | None = None
    start: Words
    end: Words
    summary: Words
    location: str | None = None
    zone: str | None = None
