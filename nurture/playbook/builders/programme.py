"""`playbook.yaml` to the domain's Playbook, still without measures."""

from collections.abc import Iterable, Sequence

from nurture.domain.conditions import Vocabulary
from nurture.domain.measure import LocalSlot, Track
from nurture.domain.playbook import (
    Cap,
    Conversion,
    EntityFact,
    EventMatch,
    Hold,
    Milestone,
    ObjectKind,
    Offer,
    Persona,
    Playbook,
    QuietHours,
    Stage,
    Topic,
    Touchpoint,
)
from nurture.playbook.builders.conditions import Conditions
from nurture.playbook.builders.events import Matchers
from nurture.playbook.builders.facts import FactBuilder, property_terms, vocabulary_of
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, list_of
from nurture.playbook.schema.events import names_of
from nurture.playbook.schema.programme import ProgrammeFile, StageFile


class ProgrammeBuilder:
    """Builds everything that measures refer to by name."""

    def __init__(
        self, given: ProgrammeFile, document: Document, conditions: Conditions, faults: Faults
    ) -> None:
        """Build from the model of `playbook.yaml` and the document it was read from."""
        self._given = given
        self._document = document
        self._conditions = conditions
        self._faults = faults
        self._properties = property_terms(given.properties)
        self._matchers = Matchers(document, self._properties, conditions, faults)

    def build(self) -> Playbook:
        """Return the playbook without measures and hashes."""
        given = self._given
        facts = FactBuilder(self._document, given.properties, self._matchers, self._faults).build(given.facts)
        vocabulary = vocabulary_of(facts.values(), personas=bool(given.personas))
        self._check_names()
        optional = {
            "quiet_hours": self._quiet_hours(),
            "default_slot": LocalSlot(given.default_send_at) if given.default_send_at is not None else None,
            "arbitration": given.arbitration,
        }
        return Playbook(
            name=given.name,
            brand=given.brand_values,
            senders={
                purpose: {
                    "name": sender.name,
                    "address": sender.address,
                    "reply_to": sender.reply_to or sender.address,
                }
                for purpose, sender in given.senders.items()
            },
            locales=tuple(given.locales),
            default_locale=given.locales[0],
            default_zone=given.default_zone,
            facts=facts,
            stages=(
                *self._stages("lead", given.stages.lead, vocabulary),
                *self._stages("customer", given.stages.customer, vocabulary),
            ),
            conversion=self._conversion(),
            measures={},
            vocabulary=vocabulary,
            properties=self._properties,
            milestones=tuple(self._milestones()),
            holds={hold.name: hold for hold in self._holds()},
            topics={
                name: Topic(name, double_opt_in=topic.double_opt_in is not False)
                for name, topic in given.topics.items()
            },
            caps=tuple(
                Cap(name, frozenset(cap.purposes), cap.at_most, cap.within, cap.gap or 0)
                for name, cap in given.caps.items()
            ),
            objects={kind.kind: kind for kind in self._objects()},
            touchpoints=tuple(
                Touchpoint(name, point.channel, tuple(point.events))
                for name, point in given.touchpoints.items()
            ),
            personas=tuple(
                Persona(name, self._matchers.all(of, ("personas", name)))
                for name, of in given.personas.items()
            ),
            offers={name: Offer(name, offer.percent, offer.prefix) for name, offer in given.offers.items()},
            **{key: value for key, value in optional.items() if value is not None},  # type: ignore[arg-type]
        )

    def _quiet_hours(self) -> QuietHours | None:
        quiet = self._given.quiet_hours
        if quiet is None:
            return None
        if quiet.start == quiet.end:
            self._fault(("quiet_hours",), "quiet hours that begin when they end", "give two different times")
        if quiet.exempt is None:
            return QuietHours(quiet.start, quiet.end)
        return QuietHours(quiet.start, quiet.end, frozenset(quiet.exempt))

    def _stages(self, track: Track, given: dict[str, StageFile], vocabulary: Vocabulary) -> Iterable[Stage]:
        actions = self._known("actions", self._given.actions)
        for place, (name, stage) in enumerate(given.items()):
            loc = ("stages", track, name)
            when = self._conditions.need(stage.when, vocabulary, self._document, (*loc, "when"))
            if not when.grows:
                change = "use only what grows: counts, `ever`, `first`, max, compared with >= or >, joined by and, or"
                self._fault((*loc, "when"), "this evidence may be lost again", change)
            if place == 0 and stage.when != "True":
                what = f"the first stage of a track takes everybody, {name} does not"
                self._fault((*loc, "when"), what, "write True")
            self._names((*loc, "may_ask"), "kind of action", stage.may_ask, actions)
            yield Stage(name, track, when, frozenset(stage.may_ask))

    def _conversion(self) -> Conversion:
        given = self._given.conversion
        if given.hold is not None:
            self._names(("conversion", "hold"), "hold", [given.hold], self._known("holds", self._given.holds))
        by = self._matchers.all(given.by, ("conversion", "by"))
        reversed_by = self._matchers.all(given.reversed_by, ("conversion", "reversed_by"))
        return Conversion(by, given.key, reversed_by, given.hold)

    def _milestones(self) -> Iterable[Milestone]:
        for name, given in self._given.milestones.items():
            of: EventMatch = self._matchers.one(given.of, ("milestones", name, "of"))
            yield Milestone(name, of, given.per or "contact", given.nth)

    def _holds(self) -> Iterable[Hold]:
        for name, given in self._given.holds.items():
            if "transactional" in given.stops:
                what = "a hold cannot stop transactional mail"
                self._fault(
                    ("holds", name, "stops"), what, "leave `transactional` out: it gets through all limits"
                )
            yield Hold(
                name,
                stops=frozenset(given.stops),
                owner=given.owner,
                at_most=given.at_most,
                starts=self._matchers.all(given.starts, ("holds", name, "from")),
                ends=self._matchers.all(given.ends, ("holds", name, "until")),
                key=given.key,
            )

    def _objects(self) -> Iterable[ObjectKind]:
        for kind, given in self._given.objects.items():
            kept = {} if given.watch_for is None else {"watch_for": given.watch_for}
            yield ObjectKind(
                kind,
                given.key,
                names_of(given.of),
                watched_from=tuple(given.watched_from),
                watched_until=tuple(given.watched_until),
                wakes=tuple(given.wakes),
                **kept,
            )

    def _check_names(self) -> None:
        """Check what must be there and what must be one of a kind."""
        given = self._given
        if "default" not in self._known("senders", given.senders):
            self._fault(("senders",), "no default sender", "add default: {name: ..., address: ...}")
        for section, names in (("locales", given.locales), ("forms", given.forms)):
            for name in sorted({name for name in names if names.count(name) > 1}):
                self._fault((section,), f"`{name}` is given twice", "keep one of them")
        both = set(given.stages.lead) & set(given.stages.customer)
        for name in sorted(both):
            self._fault(
                ("stages", "customer", name), f"`{name}` is a stage of both tracks", "give it another name"
            )
        for track in ("lead", "customer"):
            stages = given.stages.lead if track == "lead" else given.stages.customer
            if "any" in stages:
                self._fault(
                    ("stages", track, "any"), "`any` stands for every stage", "give the stage another name"
                )
        for name, cap in given.caps.items():
            if "transactional" in cap.purposes:
                change = "leave `transactional` out: it gets through all limits"
                self._fault(("caps", name, "purposes"), "a cap cannot hold transactional mail", change)
        self._check_wakes()

    def _check_wakes(self) -> None:
        for kind, given in self._given.objects.items():
            for event in given.wakes:
                if event not in names_of(given.of):
                    what = f"`{event}` wakes watchers and does not change the {kind}"
                    self._fault(("objects", kind, "wakes"), what, "add it to `of`")

    def _known(self, section: str, names: Iterable[str]) -> frozenset[str]:
        return self._faults.known(self._document.path, section, names)

    def _names(self, loc: Loc, kind: str, names: Sequence[str], known: frozenset[str]) -> None:
        for name in names:
            if name not in known:
                self._fault(loc, f"no {kind} `{name}`", f"known: {list_of(known, most=40)}")

    def _fault(self, loc: Loc, what: str, change: str) -> None:
        self._faults.at(self._document, loc, what, change)


def entities_of(playbook: Playbook) -> frozenset[str]:
    """Return the names of the facts that are entities."""
    return frozenset(name for name, fact in playbook.facts.items() if isinstance(fact, EntityFact))
