"""The model of `playbook.yaml`: brand, facts, stages and all values that measures refer to by name."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from nurture.domain.measure import Purpose
from nurture.playbook.schema.accounts import AccountsFile
from nurture.playbook.schema.entities import EntityFile
from nurture.playbook.schema.essentials import MetricFile
from nurture.playbook.schema.events import EventMatcher, EventNames, Matcher
from nurture.playbook.schema.facts import AnyFact
from nurture.playbook.schema.moments import AnyMoment
from nurture.playbook.schema.published_values import ValueFile
from nurture.playbook.schema.segments import SegmentFile
from nurture.playbook.schema.tables import TableFile
from nurture.playbook.schema.values import (
    AmountNumber,
    ClockText,
    ClosedDay,
    ConditionText,
    DurationText,
    EventName,
    LocaleText,
    Name,
    PercentText,
    PropertyName,
    Strict,
    ValueType,
    WeekdayName,
    Words,
    ZoneText,
    refuse,
)

CurrencyText = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217: EUR.")]


class Brand(Strict):
    """The brand. More keys are allowed; templates read all of them as `brand.KEY`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: Words
    shop_url: Words
    address: Annotated[
        Words, Field(description="Postal address, shown in every footer (the law asks for it).")
    ]
    currencies: Annotated[list[CurrencyText], Field(min_length=1)] | None = None


def require_answerable(address: str) -> None:
    """Refuse an address that nobody reads."""
    if address.lower().startswith(("noreply@", "no-reply@", "no_reply@", "donotreply@")):
        raise refuse(f"{address} cannot be answered", "write an address that somebody reads")


class Sender(Strict):
    """The sender of mail of a purpose."""

    name: Words
    address: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="The From address.")]
    reply_to: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None

    @model_validator(mode="after")
    def _require_answerable(self) -> "Sender":
        for address in (self.address, self.reply_to or ""):
            require_answerable(address)
        return self


class CalendarHours(Strict):
    """The hours in which an office works."""

    zone: ZoneText
    weekdays: Annotated[list[WeekdayName], Field(min_length=1)]
    opens: ClockText = Field(alias="from")
    closes: ClockText = Field(alias="to")
    closed: list[ClosedDay] = Field(default_factory=list)


class OwnerFile(Strict):
    """A person or desk of the house, who has something in hand, signs mail or promises a time."""

    name: Words
    address: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    calendar: Name | None = None
    escalate: Name | None = None

    @model_validator(mode="after")
    def _require_answerable(self) -> "OwnerFile":
        require_answerable(self.address)
        return self


class Quiet(Strict):
    """Local hours in which no mail is sent, except for the purposes of `except`; may span midnight."""

    start: ClockText = Field(alias="from")
    end: ClockText = Field(alias="to")
    exempt: list[Purpose] | None = Field(default=None, alias="except")


class ConversionFile(Strict):
    """The entity or event that makes a lead a customer. An event needs `key`; an entity has its own."""

    by: Matcher
    key: PropertyName | None = None
    reversed_by: EventMatcher | None = None
    hold: Name | None = None


class StageFile(Strict):
    """A stage: its evidence, and the kinds of action that its mails may ask for."""

    when: ConditionText
    may_ask: list[Name]


class Stages(Strict):
    """The stages of both tracks, in order."""

    lead: Annotated[dict[Name, StageFile], Field(min_length=1)]
    customer: Annotated[dict[Name, StageFile], Field(min_length=1)]


class MilestoneFile(Strict):
    """A dated fact; `nth: 2` for the second such event or entity only."""

    of: Matcher
    per: PropertyName | None = None
    nth: Annotated[int, Field(ge=1)] | None = None


class HoldFile(Strict):
    """A reason to withhold mail, with an end and an owner."""

    starts: EventMatcher | None = Field(default=None, alias="from")
    ends: EventMatcher | None = Field(default=None, alias="until")
    key: PropertyName | None = None
    at_most: DurationText
    owner: Words
    stops: Annotated[list[Purpose], Field(min_length=1)]


class TopicFile(Strict):
    """A topic that a person may consent to."""

    double_opt_in: bool | None = None


class CapFile(Strict):
    """The most runs, or mails, of these purposes in a sliding window; or of mails that carry a coupon."""

    purposes: Annotated[list[Purpose], Field(min_length=1)] | None = None
    offers: Literal["any"] | None = None
    count: Literal["runs", "mails"] | None = None
    at_most: Annotated[int, Field(ge=1)]
    within: DurationText
    gap: DurationText | None = None

    @model_validator(mode="after")
    def _require_subject(self) -> "CapFile":
        if self.purposes is None and self.offers is None:
            raise refuse(
                "a cap of nothing", "add `purposes: [...]`, or `offers: any` for mails with a coupon"
            )
        return self


class WatchListFile(Strict):
    """People who watch objects of a kind: put on the list by events, or by the lines of an entity."""

    starts: Annotated[EventNames, Field(alias="from", description="Events, or ENTITY.lines.")]
    ends: EventNames | None = Field(alias="until", default=None)
    lasts: DurationText = Field(alias="for")
    asked_for: (
        Annotated[bool, Field(description="An event of `from` asks for one mail about the object.")] | None
    ) = None


class ObjectFile(Strict):
    """Things without a person: products, pieces, webinars."""

    key: PropertyName
    of: EventNames
    watched_from: list[EventName] = Field(default_factory=list)
    watched_until: list[EventName] = Field(default_factory=list)
    wakes: list[EventName] = Field(default_factory=list)
    watch_for: DurationText | None = None
    read_by: Annotated[
        list[EventName], Field(description="Events by which somebody reads it; a fresh list leaves it out.")
    ] = Field(default_factory=list)
    watchers: dict[Name, WatchListFile] = Field(
        default_factory=dict, description="Lists of watchers, which triggers name."
    )


class TouchpointFile(Strict):
    """A named kind of event, with its channel."""

    channel: Name
    events: Annotated[list[EventName], Field(min_length=1)]
    service: Annotated[Words, Field(description="The service to expect there, in words.")] | None = None
    metric: MetricFile | None = None
    by_stage: dict[Name, Words] = Field(
        alias="acts",
        default_factory=dict,
        description='Stage, or track for its other stages: the measure that answers there, or "none: why".',
    )
    wanted_in: list[Name] = Field(default_factory=list, description="The stages that want it most.")


class OfferFile(Strict):
    """An offer, from which coupons are created."""

    percent: Annotated[int, Field(ge=1, le=100)]
    prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]


class ActionFile(Strict):
    """A kind of call to action. With `of`, it goes on with something that the person began: every stage may ask it."""

    sells: bool
    of: Annotated[list[Name], Field(min_length=1)] | None = None
    price_at_most: (
        Annotated[
            dict[CurrencyText, AmountNumber],
            Field(min_length=1, description="The highest price of what it sells, by currency."),
        ]
        | None
    ) = None


class ProgrammeHoldoutFile(Strict):
    """A share of people who get no marketing at all, to show what the whole programme brings."""

    programme: Annotated[PercentText, Field(description="2%: service and transactional mail goes on.")]
    metric: (
        Annotated[MetricFile, Field(description="Default: what makes a customer, within 90 days.")] | None
    ) = None


class ProgrammeFile(Strict):
    """`playbook.yaml`."""

    name: Words
    brand: Brand
    senders: dict[Literal["default"] | Purpose, Sender]
    locales: Annotated[list[LocaleText], Field(min_length=1, description="The first one is the default.")]
    default_zone: ZoneText
    holdout: ProgrammeHoldoutFile | None = None
    quiet_hours: Quiet | None = None
    default_send_at: ClockText | None = None
    arbitration: DurationText | None = None
    properties: dict[PropertyName, ValueType] = Field(default_factory=dict)
    conversion: ConversionFile
    entities: dict[Name, EntityFile] = Field(default_factory=dict)
    facts: dict[Name, AnyFact]
    segments: dict[Name, SegmentFile] = Field(default_factory=dict)
    tables: dict[Name, TableFile] = Field(default_factory=dict)
    values: dict[Name, ValueFile] = Field(default_factory=dict)
    stages: Stages
    milestones: dict[Name, MilestoneFile] = Field(default_factory=dict)
    holds: dict[Name, HoldFile] = Field(default_factory=dict)
    topics: dict[Name, TopicFile] = Field(default_factory=dict)
    caps: dict[Name, CapFile] = Field(default_factory=dict)
    requests: EventMatcher | None = None
    objects: dict[Name, ObjectFile] = Field(default_factory=dict)
    moments: dict[Name, AnyMoment] = Field(default_factory=dict)
    accounts: AccountsFile | None = None
    calendars: dict[Name, CalendarHours] = Field(default_factory=dict)
    owners: dict[Name, OwnerFile] = Field(default_factory=dict)
    touchpoints: dict[Name, TouchpointFile] = Field(default_factory=dict)
    personas: dict[Name, EventMatcher] = Field(default_factory=dict)
    offers: dict[Name, OfferFile] = Field(default_factory=dict)
    actions: Annotated[dict[Name, ActionFile], Field(min_length=1)]
    forms: Annotated[list[Name], Field(min_length=1)]

    @property
    def brand_values(self) -> dict[str, Any]:
        """Return the brand as templates read it."""
        values = self.brand.model_dump()
        return {name: value for name, value in values.items() if name != "currencies" or value is not None}

    @property
    def currencies(self) -> tuple[str, ...]:
        """Return the brand's currencies; amounts in any other one are never added."""
        single = (self.brand.model_extra or {}).get("currency")
        return tuple(self.brand.currencies or ([single] if isinstance(single, str) and single else []))
