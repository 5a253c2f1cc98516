"""The model of `measure.yaml`: goal, audience, trigger, once, exits and steps."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from nurture.domain.measure import Kind, Purpose, Recipient
from nurture.playbook.schema.actions import (
    AnyIn,
    EmitStepFile,
    EndTopicStepFile,
    NotifyStepFile,
    OwnerText,
    StepId,
    StepWas,
)
from nurture.playbook.schema.calendar_file import CalendarFile
from nurture.playbook.schema.essentials import CallToAction, EarlyWords, MetricFile, OtherTrack
from nurture.playbook.schema.events import EventNames
from nurture.playbook.schema.object_lists import AnyObjects
from nurture.playbook.schema.triggers import AnyTrigger, Slot
from nurture.playbook.schema.values import (
    BusinessText,
    ClockText,
    ConditionText,
    DurationText,
    EventName,
    Name,
    OffsetText,
    PercentText,
    PropertyName,
    Strict,
    Words,
)

Dated = Annotated[str, Field(pattern=r"^((entity|event)\.)?[A-Za-z_][A-Za-z0-9_]*$")]


# ---- once, exit, let, objects ----------------------------------------------------------------------------


class OnceFile(Strict):
    """The property that is a run's key, and the rule for further runs of a contact."""

    per: PropertyName | None = None
    gap: DurationText | None = None
    again_after: DurationText | None = None
    again_on: list[EventName] = Field(default_factory=list)


class HoldoutFile(Strict):
    """A share kept without mail at first, and a smaller one once the measure is shown to work."""

    start: PercentText
    then: PercentText


AnyHoldout = Annotated[
    Annotated[PercentText, Tag("percent")] | Annotated[HoldoutFile, Tag("mapping")],
    Discriminator(lambda value: "mapping" if isinstance(value, dict | HoldoutFile) else "percent"),
]
OnceText = Annotated[str, Field(pattern=r"^per [A-Za-z_][A-Za-z0-9_]*$")]
AnyOnce = Annotated[
    Annotated[OnceText, Tag("text")] | Annotated[OnceFile, Tag("mapping")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "mapping"),
]


class ExitFile(Strict):
    """An event that ends the run; with `key`, only an event about the run's own entity or one of its lines."""

    event: EventName
    key: PropertyName | None = None
    when: ConditionText | None = None
    reason: Name | None = None


class ConditionExit(Strict):
    """A condition that ends the run as soon as it is yes."""

    when: ConditionText
    reason: Name | None = None


def _exit(value: Any) -> str:
    if isinstance(value, str):
        return "name"
    has_event = "event" in value if isinstance(value, dict) else isinstance(value, ExitFile)
    return "exit" if has_event or not isinstance(value, dict) or "when" not in value else "condition"


AnyExit = Annotated[
    Annotated[EventName, Tag("name")]
    | Annotated[ExitFile, Tag("exit")]
    | Annotated[ConditionExit, Tag("condition")],
    Discriminator(_exit),
]


class CouponLet(Strict):
    """A coupon code, created once per run."""

    coupon: Name


class EndOfMonthLet(Strict):
    """The end of the local month in which the first mail is sent."""

    end_of_month: Literal["local"]
    at_least: DurationText | None = None


class InLet(Strict):
    """The end of the local day this long after the first mail, or an owner's promise in business time."""

    duration: AnyIn = Field(alias="in")
    of: OwnerText | None = None
    given: Annotated[str, Field(pattern=r"^(entity|event)\.[A-Za-z_][A-Za-z0-9_]*$")] | None = None


def _let(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((key for key in ("coupon", "end_of_month", "in") if key in value), None)
    return "table" if isinstance(value, str) and value.startswith("table") else None


TableText = Annotated[
    str, Field(pattern=r"^table\([a-z][a-z0-9_]{0,59}\)$", description="The value of a table: table(reward).")
]
AnyLet = Annotated[
    Annotated[TableText, Tag("table")]
    | Annotated[CouponLet, Tag("coupon")]
    | Annotated[EndOfMonthLet, Tag("end_of_month")]
    | Annotated[InLet, Tag("in")],
    Discriminator(
        _let,
        custom_error_type="form",
        custom_error_message="write {coupon: OFFER}, {end_of_month: local}, {in: 5d}, {in: {business: 1d}} or "
        "table(NAME)",
    ),
]


# ---- steps -----------------------------------------------------------------------------------------------


AnySendAt = Annotated[
    Annotated[Literal["now"], Tag("now")] | Annotated[Slot, Tag("slot")],
    Discriminator(
        lambda value: "slot" if isinstance(value, (dict, Slot)) else "now",
    ),
]


class MailStepFile(Strict):
    """Send a mail."""

    mail: StepId
    id: StepId | None = None
    was: StepWas = None
    when: ConditionText | None = None
    send_at: AnySendAt | None = None
    valid_for: DurationText | None = None
    send_if: ConditionText | None = None
    calendar: CalendarFile | None = None


class ForWait(Strict):
    """Wait until an event, at most this long."""

    names: EventNames = Field(alias="for")
    key: PropertyName | None = None
    at_most: DurationText


class UntilWait(Strict):
    """Wait until the next such local time."""

    until: Slot
    at_least: DurationText | None = None


class DateWait(Strict):
    """Wait until a date, plus or minus an offset."""

    date: Dated
    offset: OffsetText | None = None
    local_time: ClockText | None = None


class MomentWait(Strict):
    """Wait until the next day of a moment."""

    moment: Name
    local_time: ClockText | None = None


class BusinessWait(Strict):
    """Wait so much open time of an owner's calendar."""

    business: BusinessText
    of: OwnerText | None = None


TableWait = Annotated[
    str,
    Field(pattern=r"^table\([a-z][a-z0-9_]{0,59}\)$", description="A table of durations: table(use_after)."),
]


def _wait(value: Any) -> str | None:
    if isinstance(value, str):
        return "table" if value.startswith("table") else "duration"
    if isinstance(value, dict):
        return next((key for key in ("for", "until", "date", "moment", "business") if key in value), None)
    return None


AnyWait = Annotated[
    Annotated[DurationText, Tag("duration")]
    | Annotated[TableWait, Tag("table")]
    | Annotated[ForWait, Tag("for")]
    | Annotated[UntilWait, Tag("until")]
    | Annotated[DateWait, Tag("date")]
    | Annotated[MomentWait, Tag("moment")]
    | Annotated[BusinessWait, Tag("business")],
    Discriminator(
        _wait,
        custom_error_type="form",
        custom_error_message="write a duration, {for: EVENT, at_most: 5d}, {until: {...}}, {date: FACT, offset: -1d}, "
        "{moment: NAME} or {business: 1d, of: OWNER}",
    ),
]


class WaitStepFile(Strict):
    """Wait."""

    wait: AnyWait
    id: StepId | None = None
    was: StepWas = None
    when: ConditionText | None = None


class CaseFile(Strict):
    """The steps of a run for which this condition is the first one that is yes."""

    when: ConditionText
    steps: list["AnyStep"]


class ElseFile(Strict):
    """The steps of a run for which no condition before is yes; [] for none."""

    steps: list["AnyStep"] = Field(alias="else")


AnyCase = Annotated[
    Annotated[CaseFile, Tag("case")] | Annotated[ElseFile, Tag("else")],
    Discriminator(
        lambda value: (
            "else" if isinstance(value, ElseFile) or (isinstance(value, dict) and "else" in value) else "case"
        )
    ),
]


class BranchStepFile(Strict):
    """Choose between lists of steps."""

    branch: Annotated[list[AnyCase], Field(min_length=1)]
    id: StepId | None = None
    was: StepWas = None
    when: ConditionText | None = None


#: The key of a step that says what it does -> how to write it.
_STEP_FORMS = {
    "mail": "`mail: NAME`",
    "wait": "`wait: 2d`",
    "branch": "`branch: [...]`",
    "emit": "`emit: {event: NAME}`",
    "end_topic": "`end_topic: TOPIC`",
    "notify": "`notify: {to: OWNER, mail: NAME}`",
}


def _step(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((key for key in _STEP_FORMS if key in value), None)
    return next((key for key in _STEP_FORMS if hasattr(value, key)), None)


def kind_of(step: BaseModel) -> str:
    """Return the key of a step that says what it does: `mail`, `wait`, `branch` ..."""
    return _step(step) or ""


AnyStep = Annotated[
    Annotated[MailStepFile, Tag("mail")]
    | Annotated[WaitStepFile, Tag("wait")]
    | Annotated[BranchStepFile, Tag("branch")]
    | Annotated[EmitStepFile, Tag("emit")]
    | Annotated[EndTopicStepFile, Tag("end_topic")]
    | Annotated[NotifyStepFile, Tag("notify")],
    Discriminator(
        _step, custom_error_type="form", custom_error_message=f"write {' or '.join(_STEP_FORMS.values())}"
    ),
]


MeasurePath = Annotated[str, Field(pattern=r"^(any|(lead|customer)/[a-z0-9_]+\+?)/[a-z0-9_]+$")]


class MeasureFile(Strict):
    """`measure.yaml`."""

    goal: Annotated[Words, Field(description="The purpose of the measure, in words.")]
    audience: Annotated[
        ConditionText, Field(description="The people it may reach; True: everybody on the track.")
    ]
    audience_source: (
        Annotated[Words, Field(description="How these people came to the audience, in words.")] | None
    ) = None
    form: (
        Annotated[
            Name, Field(description="One of the playbook's `forms`; a measure without a mail has none.")
        ]
        | None
    ) = None
    call_to_action: (
        Annotated[
            CallToAction,
            Field(description="The action that its mails ask for; a measure without a mail has none."),
        ]
        | None
    ) = None
    kind: Kind
    purpose: Purpose
    topic: Name | None = None
    metric: MetricFile | None = None
    early: EarlyWords | None = None
    trigger: AnyTrigger
    other_track: OtherTrack | None = None
    was: (
        Annotated[
            MeasurePath | Annotated[list[MeasurePath], Field(min_length=1)],
            Field(
                description="The path that it had before; a list when it moved more than once, oldest first."
            ),
        ]
        | None
    ) = None
    entity: Name | None = None
    while_: Literal["open", "any"] | None = Field(
        default=None, alias="while", description="open: a closed or empty entity ends the run."
    )
    once: AnyOnce | None = None
    exit: list[AnyExit] = Field(default_factory=list)
    holdout: AnyHoldout | None = None
    variants: Annotated[dict[Name, Annotated[int, Field(ge=1, le=100)]], Field(min_length=2)] | None = None
    let: dict[Name, AnyLet] = Field(default_factory=dict)
    objects: dict[Name, AnyObjects] = Field(default_factory=dict)
    priority: Annotated[int, Field(ge=0, le=100)] | None = None
    valid_for: DurationText | None = None
    horizon: DurationText | None = None
    lane: Name | None = None
    on_stage_change: Literal["stop", "continue"] | None = None
    handover: MeasurePath | None = None
    series: bool | None = None
    holdable: bool | None = None
    tracking: bool | None = None
    asked_for: (
        Annotated[bool, Field(description="The person asks for this very mail by an event of `requests`.")]
        | None
    ) = None
    to: (
        Annotated[
            Recipient,
            Field(
                description="new_address, old_address: of the request on the public pages that started the run."
            ),
        ]
        | None
    ) = None
    sender: Annotated[OwnerText, Field(description="An owner, or contact.FACT that names one.")] | None = None
    steps: Annotated[list[AnyStep], Field(min_length=1)]
