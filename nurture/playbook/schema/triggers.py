"""The model of a measure's trigger, and of the local times that schedules and steps name."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from nurture.playbook.schema.events import EventMatcher, EventNames
from nurture.playbook.schema.values import (
    ClockText,
    ConditionText,
    DurationText,
    Name,
    OffsetText,
    Strict,
    WeekdayName,
)


class Slot(Strict):
    """A local time on allowed weekdays."""

    local_time: ClockText | None = None
    weekdays: Annotated[list[WeekdayName], Field(min_length=1)] | None = None


class ScheduleSlot(Slot):
    """A local time on weekdays, or on a day of the month (31: the last)."""

    month_day: Annotated[int, Field(ge=1, le=31)] | None = None


# ---- triggers --------------------------------------------------------------------------------------------


class ConditionTrigger(Strict):
    """The audience's condition changes to yes."""

    condition: Literal["audience"]


class ConsentTrigger(Strict):
    """The consent to a topic counts for the first time."""

    consent: Name


class EventTrigger(Strict):
    """An event arrives."""

    event: EventMatcher
    where: ConditionText | None = None


class QuietTrigger(Strict):
    """An open entity has had no event for this long."""

    quiet: DurationText
    entity: Name


class MilestoneTrigger(Strict):
    """A milestone is reached."""

    milestone: Name


class StageTrigger(Strict):
    """A stage is entered."""

    stage: Name


DateName = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,59}(\.[A-Za-z_][A-Za-z0-9_]*)?$",
        description="A fact, or ENTITY.FIELD: the date of each open entity.",
    ),
]


class DateTrigger(Strict):
    """A date fact, or a date of each open entity, plus or minus an offset."""

    date: DateName
    offset: OffsetText | None = None
    yearly: bool | None = None
    local_time: ClockText | None = None


class MomentTrigger(Strict):
    """A day of the calendar that the playbook names."""

    moment: Name
    local_time: ClockText | None = None


class ScheduleTrigger(Strict):
    """A local time that repeats."""

    schedule: ScheduleSlot


AnyWatchers = Annotated[
    Annotated[Literal["audience"], Tag("audience")]
    | Annotated[list[Name], Field(min_length=1), Tag("lists")],
    Discriminator(lambda value: "lists" if isinstance(value, list) else "audience"),
]


class ObjectTrigger(Strict):
    """An object's event, for everybody who watches the object (on one of these lists), or for the audience."""

    kind: Name = Field(alias="object")
    event: EventNames
    watchers: AnyWatchers | None = None


_TRIGGERS = (
    "object",
    "quiet",
    "condition",
    "consent",
    "event",
    "milestone",
    "stage",
    "date",
    "moment",
    "schedule",
)


def _trigger(value: Any) -> str | None:
    if value == "ops":
        return "ops"
    if isinstance(value, dict):
        return next((key for key in _TRIGGERS if key in value), None)
    return None


AnyTrigger = Annotated[
    Annotated[ConditionTrigger, Tag("condition")]
    | Annotated[ConsentTrigger, Tag("consent")]
    | Annotated[EventTrigger, Tag("event")]
    | Annotated[QuietTrigger, Tag("quiet")]
    | Annotated[MilestoneTrigger, Tag("milestone")]
    | Annotated[StageTrigger, Tag("stage")]
    | Annotated[DateTrigger, Tag("date")]
    | Annotated[MomentTrigger, Tag("moment")]
    | Annotated[ScheduleTrigger, Tag("schedule")]
    | Annotated[ObjectTrigger, Tag("object")]
    | Annotated[Literal["ops"], Tag("ops")],
    Discriminator(
        _trigger,
        custom_error_type="form",
        custom_error_message="write ops, or a mapping with one of " + ", ".join(sorted(_TRIGGERS)),
    ),
]
