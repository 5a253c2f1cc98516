"""The model of the files in `tests/`: timelines, that is people, what happens to them, and the mails expected."""

from typing import Any, Self

from pydantic import Field, model_validator

from nurture.playbook.schema.values import EventName, LocaleText, Strict, Words, ZoneText, refuse

#: The keys of which an entry of `happens` has one: what happens.
ACTS = ("event", "identify", "object", "confirms", "unsubscribes", "asks_for", "confirms_request", "sends")
_REQUESTS = ("address", "export", "erase")


class PastEventFile(Strict):
    """An event from before the timeline; it makes facts and starts nothing."""

    event: EventName = Field(description="The event's name.")
    at: Words = Field(
        description='When it occurred: "2025-11-03 10:00", or `-40d`, so long before the start.'
    )
    properties: dict[str, Any] = Field(default_factory=dict, description="The event's properties.")


class PersonFile(Strict):
    """One person of a timeline."""

    email: Words | None = Field(default=None, description="The address; default NAME@people.example.")
    user_id: Words | None = Field(default=None, description="Your own id of the person.")
    locale: LocaleText | None = Field(
        default=None, description="The language; default: the programme's first."
    )
    zone: ZoneText | None = Field(default=None, description="The time zone; default: the programme's.")
    traits: dict[str, Any] = Field(default_factory=dict, description="Traits such as firstName.")
    persona: Words | None = Field(
        default=None, description="A persona of the programme; its strongest evidence is put into the past."
    )
    consent: list[Words] = Field(
        default_factory=list,
        description="Topics agreed to before the timeline begins; this starts no measure.",
    )
    history: list[PastEventFile] = Field(
        default_factory=list, description="Events from before; they make facts and start nothing."
    )


class HappeningFile(Strict):
    """Something that happens at a time: exactly one of the keys from `event` to `sends`."""

    at: Words | None = Field(
        default=None, description="When: `day 2 10:00`, a date with its time, or `+2h` after the entry above."
    )
    who: Words | None = Field(default=None, description="A name of `people`; default: the first.")
    event: EventName | None = Field(default=None, description="An event of the person.")
    properties: dict[str, Any] = Field(default_factory=dict, description="Properties of `event` or `object`.")
    occurred: Words | None = Field(default=None, description="When the event occurred, if it arrives late.")
    identify: dict[str, Any] | None = Field(default=None, description="Traits that the person gives.")
    object: EventName | None = Field(
        default=None, description="An event about no person: a product is back, an article is published."
    )
    confirms: Words | None = Field(
        default=None, description="The person confirms a topic by the link in our mail."
    )
    unsubscribes: Words | None = Field(
        default=None, description='The person leaves a topic by the link in a mail; "*": everything.'
    )
    asks_for: Words | None = Field(
        default=None, description="A request on the preference page: address, export or erase."
    )
    address: Words | None = Field(default=None, description="With `asks_for: address`: the new address.")
    confirms_request: bool | None = Field(
        default=None, description="true: the person follows the link of that request; only for an address."
    )
    sends: Words | None = Field(default=None, description="Ops send this measure to the person.")
    occasion: Words | None = Field(default=None, description="With `sends`: the name of the occasion.")

    @model_validator(mode="after")
    def _has_one_act(self) -> Self:
        kinds = [name for name in ACTS if getattr(self, name) not in (None, False)]
        if len(kinds) != 1:
            given = "none of them" if not kinds else " and ".join(kinds)
            raise refuse(f"an entry of happens says {given}", f"write one of {', '.join(ACTS)}")
        if self.asks_for is not None and self.asks_for not in _REQUESTS:
            raise refuse(f"asks_for: {self.asks_for!r} is not known", f"write {', '.join(_REQUESTS)}")
        if (self.asks_for == "address") != (self.address is not None):
            raise refuse("asks_for: address and the key address belong together", "write both or neither")
        return self


class ExpectedFile(Strict):
    """A mail that must come. A measure that is named sends the mails listed for the person and no others."""

    mail: Words = Field(description="MEASURE or MEASURE/STEP, as in `nurture preview`.")
    to: Words | None = Field(default=None, description="A name of `people`; default: the first.")
    at: Words | None = Field(default=None, description="Exactly then, to the minute: `day 4 09:30`.")
    on: Words | None = Field(default=None, description="On that day of the person's calendar: `day 4`.")
    subject: Words | None = Field(default=None, description="The whole subject.")
    contains: list[Words] = Field(
        default_factory=list, description="Words that stand in the subject or the text."
    )
    lacks: list[Words] = Field(
        default_factory=list, description="Words that stand in neither part of the mail."
    )
    address: Words | None = Field(default=None, description="The address that it goes to.")
    golden: Words | None = Field(
        default=None, description="The mail equals the file tests/golden/NAME.txt; `--update` writes it."
    )


class NotExpectedFile(Strict):
    """A mail that must not come."""

    mail: Words = Field(description="MEASURE, or MEASURE/STEP.")
    to: Words | None = Field(default=None, description="A name of `people`; default: the first.")
    because: Words | None = Field(
        default=None, description="The reason that must stand behind it, as `nurture contact why` names it."
    )


class TimelineModel(Strict):
    """One timeline: people, what happens, and the mails that must and must not come of it."""

    name: Words = Field(description="The rule that it shows, in words.")
    start: Words = Field(default="2026-06-01 10:00", description="The local time at which it starts.")
    person: PersonFile | None = Field(default=None, description="The one person of the timeline.")
    people: dict[str, PersonFile] = Field(default_factory=dict, description="Several, by name.")
    happens: list[HappeningFile] = Field(default_factory=list, description="The happenings, in any order.")
    expect: list[ExpectedFile] = Field(default_factory=list, description="The mails that must come.")
    expect_not: list[NotExpectedFile] = Field(
        default_factory=list, description="The mails that must not come."
    )
    only: bool = Field(default=False, description="true: no mail comes but those under `expect`.")
    until: Words | None = Field(
        default=None, description="When it ends; default: 30 days after the last time that it names."
    )
    holdout: list[Words] = Field(
        default_factory=list, description="Measures in whose holdout everybody is; else nobody is in any."
    )
    variants: dict[str, Words] = Field(
        default_factory=dict, description="Measure -> the variant that everybody gets; else the first."
    )

    @model_validator(mode="after")
    def _tests_something(self) -> Self:
        if not (self.expect or self.expect_not or self.only):
            raise refuse("a timeline expects nothing", "add expect, expect_not or only: true")
        if self.person is not None and self.people:
            raise refuse("a timeline has person and people", "keep one of them")
        return self


class TimelinesFile(Strict):
    """A file of timelines."""

    timelines: list[TimelineModel] = Field(description="Each is played by itself.")
