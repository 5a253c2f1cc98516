"""State of the rules about a contact, beside its facts: conditions and SQL never read it.

The types say what is kept, and `name=` by which key it is stored where that differs: keys never change their
meaning, because the version before reads what this one writes. They are structures of msgspec, so that
`contacts.state_codec` reads and writes them without a step between. Instants are microseconds.
"""

from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct, field, structs

from nurture.domain.instant import NEVER, Instant

#: (occurred_at, source, message id) of the event that gave a value; the greatest wins in any order of arrival.
ValueStamp = tuple[Instant, str, str]
#: The same within one entity: (occurred_at, message id).
FieldStamp = tuple[Instant, str]

#: (strength, occurred_at, source, message id, text) of a label's evidence; the greatest wins in any order.
LabelStamp = tuple[int, Instant, str, str, str]

Sign = Literal["yes", "no"]

NO_STAMP: Final[FieldStamp] = (NEVER, "")
NO_VALUE: Final[ValueStamp] = (NEVER, "", "")


class _Part(Struct, forbid_unknown_fields=True):
    """A part of the stored document; a key that it does not have is an error, so that none is lost unseen."""


class Signs(_Part, omit_defaults=True):
    """The instants of the newest sign for and the newest sign against a verdict; NEVER for none."""

    yes: Instant = NEVER
    no: Instant = NEVER

    def note(self, sign: Sign, at: Instant) -> None:
        """Take over the instant of a sign when it is newer."""
        if sign == "yes":
            self.yes = max(self.yes, at)
        else:
            self.no = max(self.no, at)


class EntityLine(_Part, omit_defaults=True):
    """One line of an entity's list, such as an article in a cart or of an order."""

    stamp: FieldStamp = field(name="at", default=NO_STAMP)
    # True: it is in the list now. That follows from `removed`, from what was bought and from newer lists.
    present: bool = False
    # The properties of the event or of the row that gave it.
    fields: dict[str, Any] = field(default_factory=dict)
    # True: the newest event about it removed it.
    removed: bool = False
    # True: only a browser key told it.
    hint: bool = False
    # Further skus of its rows, such as those of a product's variants.
    skus: list[str] = field(default_factory=list)


class Worth(_Part, omit_defaults=True):
    """An amount of an entity, by the newest event that names it; a browser key counts least."""

    # (False for a browser key, occurred_at, message id); the greatest wins.
    stamp: tuple[bool, Instant, str] = field(name="at", default=(False, NEVER, ""))
    # In hundredths.
    amount: int = 0
    # "": the event named none.
    currency: str = ""


class Refund(_Part, omit_defaults=True):
    """A refund; the newest event with its key gives the values, the greatest sum where it is cumulative."""

    stamp: FieldStamp = field(name="at", default=NO_STAMP)
    # In hundredths; None: the whole entity is refunded.
    amount: int | None = None
    currency: str = ""
    # Line key -> quantity that was sent back.
    lines: dict[str, int] = field(default_factory=dict)
    # The property that named the amount: it is a part of the entity's property of that name. "": of its amount.
    of: str = ""
    # True: the amount is the sum of all refunds so far.
    cumulative: bool = False
    # Line key -> the sku of its row, where that is another name of the goods.
    skus: dict[str, str] = field(default_factory=dict)


#: (instant, value, currency or key) of what an entity, or one of its lines, adds to a fact.
Share = tuple[Instant, Any, str]


class Entity(_Part, kw_only=True, omit_defaults=True):
    """One cart, order, case or project; closed ones stay as tombstones, so that a late event re-opens nothing.

    Its marks only grow (the earliest count, reversals, refunds by key), so that events may
    arrive in any order.
    """

    # Property name -> newest value, and the stamp of the event that gave it.
    fields: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, FieldStamp] = field(name="at", default_factory=dict)
    lines: dict[str, EntityLine] = field(default_factory=dict)
    # FOREVER and NEVER while only its reversal is known.
    opened_at: Instant
    touched_at: Instant
    # Follows from `Closings`.
    closed_at: Instant | None = None
    # The earliest event that makes it count.
    counted_at: Instant | None = field(name="counted", default=None)
    # The earliest and the newest event that reverses it in full, the newest that restores it, and refunds by key.
    cancelled_at: Instant | None = field(name="cancelled", default=None)
    cancelled_again_at: Instant = field(name="cancelled_again", default=NEVER)
    # The newest of those between the two, ascending.
    cancellations: list[Instant] = field(name="cancelled_between", default_factory=list)
    restored_at: Instant = field(name="restored", default=NEVER)
    refunds: dict[str, Refund] = field(default_factory=dict)
    # Key of the entity that it is a part of, such as the order of a shipment.
    parent: str = ""
    # True: it has its parent's key only, and another part of the same parent has a key of its own.
    replaced: bool = False
    # True: its newest event is longer than `remember` before the newest of its kind. Follows from the marks.
    resting: bool = False
    # Since when it is reversed: cancelled, refunded up to its amount, or its parent is. Follows from the marks.
    reversed_at: Instant | None = field(name="reversed", default=None)
    worth: Worth | None = None
    # Property that refunds name, where it is another than the amount (a total with tax and shipping) -> its value.
    totals: dict[str, Worth] = field(default_factory=dict)
    # (False for a browser key, instant) of the newest event that gave the whole list: lines told before it are gone.
    listed_at: tuple[bool, Instant] = field(name="listed", default=(False, NEVER))
    # Event name -> when the newest event of that name about it occurred.
    newest: dict[str, Instant] = field(default_factory=dict)
    # Instants of its events, ascending, each once: a calendar entry about it is numbered by them. Kept only of kinds
    # of which a calendar is sent.
    changes: list[Instant] = field(default_factory=list)
    # Of an entity that was dropped: fact -> what it adds to it. None: it has its fields and lines.
    shares: dict[str, list[Share]] | None = None


class Closings(_Part, omit_defaults=True):
    """The instants at which entities of one name were closed."""

    # The newest event that closed every one last touched before it.
    all_at: Instant = field(name="all", default=NEVER)
    # Entity key -> the newest event that closed this one.
    by_key: dict[str, Instant] = field(name="keys", default_factory=dict)
    # Key of the entity that they are a part of -> the newest event that closed all of its parts.
    by_parent: dict[str, Instant] = field(name="parents", default_factory=dict)


class ConversionRecord(_Part):
    """One order, or another conversion; it counts when it has an instant and was not reversed."""

    # None: only its reversal is known so far.
    at: Instant | None = None
    reversed: bool = False

    @property
    def counts(self) -> bool:
        """True when it makes the contact a customer."""
        return self.at is not None and not self.reversed


class MilestoneCount(_Part):
    """The number of a milestone's events, and the newest keys that were celebrated."""

    count: int = 0
    keys: list[str] = field(default_factory=list)


class TopicConsent(_Part, omit_defaults=True):
    """The consent to a topic that events told: the first grant, and the newest word of each kind."""

    first: Instant | None = None
    granted: Instant = NEVER
    withdrawn: Instant = NEVER
    # The newest request that a confirmation is to answer.
    asked: Instant = NEVER


class AccountStanding(_Part, omit_defaults=True):
    """A contact's standing in one account: the newest word of each kind, in whatever order they arrive."""

    joined: ValueStamp = NO_VALUE
    left: ValueStamp = NO_VALUE
    # Stamp of the newest role, and the role.
    role_stamp: ValueStamp = field(name="role_at", default=NO_VALUE)
    role: str = ""
    # The account's number of customers, and the version of the account that had it.
    customers: int = 0
    customers_version: int = field(name="customers_at", default=-1)


class HoldSpan(NamedTuple):
    """The newest start and the newest end of a hold for one key; it is in force while the start is later."""

    start: Instant = NEVER
    end: Instant = NEVER


class ObjectRequest(NamedTuple):
    """A person's newest requests to hear of one object, and the newest end of a watch; later requests stand."""

    # (occurred_at, event) of what a trusted source told, and of what a browser key told.
    proof: FieldStamp = NO_STAMP
    hint: FieldStamp = NO_STAMP
    ended_at: Instant = NEVER


class Referral(NamedTuple):
    """By whose link a person came, and the stamp of the event that says so; the smallest of several stands."""

    # True: a browser key told it.
    hint: bool
    occurred_at: Instant
    source: str
    message_id: str
    # The contact whose code it was, which may have been merged into another one since.
    contact: int


class Memory(_Part, omit_defaults=True):
    """Everything the folds and the triggers remember about one contact. Each comment says what the keys are."""

    # ---- what events say: a replay of the events makes all of this anew ----
    # Fact (or `persona`, `@zone`, `@locale` and their ranks) -> stamp of the newest value.
    latest: dict[str, ValueStamp] = field(default_factory=dict)
    # Label -> stamp of its strongest evidence.
    labels: dict[str, LabelStamp] = field(default_factory=dict)
    # Set fact -> value -> when it last occurred.
    sets: dict[str, dict[str, Instant]] = field(default_factory=dict)
    # `ever` fact that is not yet true -> instants of its events, ascending.
    ever: dict[str, list[Instant]] = field(default_factory=dict)
    # Verdict fact -> its signs.
    signs: dict[str, Signs] = field(default_factory=dict)
    # Entity fact -> key -> entity, and -> closings.
    entities: dict[str, dict[str, Entity]] = field(default_factory=dict)
    closings: dict[str, Closings] = field(default_factory=dict)
    # Entity fact -> marks of the keys of entities that were dropped, so that none is counted twice.
    dropped_entities: dict[str, list[str]] = field(name="gone", default_factory=dict)
    # Entity fact -> mark of the key ("" for the oldest ones together) -> what is kept of a dropped entity.
    buried: dict[str, dict[str, Entity]] = field(default_factory=dict)
    # Entity fact -> line key -> when it was last bought, of dropped entities.
    taken: dict[str, dict[str, Instant]] = field(default_factory=dict)
    # Fold over entities that is no fact (`@track`, `@milestone:NAME`, `@yes:VERDICT`, `@no:VERDICT`) -> value.
    net: dict[str, int] = field(default_factory=dict)
    # Key of the conversion -> record; and how many that counted were dropped for their age.
    conversions: dict[str, ConversionRecord] = field(default_factory=dict)
    dropped_conversions: int = field(name="converted", default=0)
    # Milestone -> count.
    milestones: dict[str, MilestoneCount] = field(default_factory=dict)
    # Hold -> key -> span.
    holds: dict[str, dict[str, HoldSpan]] = field(default_factory=dict)
    # Topic (`*` for everything) -> the consent that events told.
    consents: dict[str, TopicConsent] = field(default_factory=dict)

    # Object kind -> key -> the person's requests to hear of it.
    requests: dict[str, dict[str, ObjectRequest]] = field(name="asked", default_factory=dict)

    # Key of an account ("" for all of them) -> the contact's standing in it.
    accounts: dict[str, AccountStanding] = field(default_factory=dict)

    # By whose personal link the person came.
    referral: Referral | None = None

    # ---- what the triggers have done: a replay keeps it ----
    # Measure -> run key -> when the run started.
    run_starts: dict[str, dict[str, Instant]] = field(name="done", default_factory=dict)
    # Measure -> (its rules hash, the last answer of its trigger under these rules).
    answers: dict[str, tuple[str, bool]] = field(name="triggers", default_factory=dict)
    # Measure -> when its answer was taken as the past while it could have started again: only a turn from no starts it.
    past_answers: dict[str, Instant] = field(name="past", default_factory=dict)
    # True: `answers` are older than the facts, so the next event or alarm judges every trigger.
    has_old_answers: bool = field(name="unjudged", default=False)
    # Measure -> entity key -> touched_at of the silence that was acted upon.
    silences: dict[str, dict[str, Instant]] = field(name="quiet", default_factory=dict)
    # Measure -> entity key -> the date of the entity that was acted upon.
    entity_dates: dict[str, dict[str, Instant]] = field(name="dated", default_factory=dict)
    # Measure -> the contact, merged into this one, that entered it first: arm and variant go on to be drawn by its id.
    drawn_as: dict[str, int] = field(name="drawn", default_factory=dict)
    # Measure set aside because its rules failed (`journey.set_aside`) -> since when. A replay tries it again.
    set_aside: dict[str, Instant] = field(name="aside", default_factory=dict)

    # ---- how the state was made ----
    # Events received before this instant were removed for their age; None: none were.
    events_kept_from: Instant | None = field(name="base", default=None)
    # Hash of the definitions that the facts were folded by (`journey.replay.definitions`).
    definitions: str = field(name="folded", default="")

    def refolded(self, replayed: "Memory") -> "Memory":
        """Return the memory of a replay, with the triggers' state kept from this memory."""
        return structs.replace(
            replayed,
            run_starts=self.run_starts,
            answers=self.answers,
            past_answers=self.past_answers,
            has_old_answers=True,
            silences=self.silences,
            entity_dates=self.entity_dates,
            drawn_as=self.drawn_as,
            events_kept_from=replayed.events_kept_from or self.events_kept_from,
        )
