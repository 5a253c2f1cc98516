"""Build a Playbook from `playbook.yaml`, without its measures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nurture.domain.conditions import Table, Vocabulary
from nurture.domain.event_index import events_of
from nurture.domain.measure import PURPOSES, LocalSlot, Track
from nurture.domain.playbook import (
    Cap,
    Conversion,
    EntityKind,
    EventMatch,
    Fact,
    Hold,
    Milestone,
    Offer,
    Persona,
    Playbook,
    ProgrammeHoldout,
    QuietHours,
    Stage,
    Topic,
    Touchpoint,
)
from nurture.playbook.builders.accounts import ACCOUNT_TERMS, build_accounts, check_shares
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.builders.entities import EntityBuilder
from nurture.playbook.builders.events import MatcherBuilder
from nurture.playbook.builders.facts import FactBuilder, property_terms, vocabulary_of
from nurture.playbook.builders.metric import build_metric
from nurture.playbook.builders.moments import build_moments
from nurture.playbook.builders.objects import ObjectBuilder
from nurture.playbook.builders.owners import build_owners
from nurture.playbook.builders.published_values import ValueBuilder, band_facts
from nurture.playbook.builders.segments import build_segments, with_segments
from nurture.playbook.builders.tables import TableBuilder
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.programme import ActionFile, ProgrammeFile, StageFile

#: The purposes of a cap that names none: transactional mail gets through all limits.
_CAPPED = frozenset(PURPOSES) - {"transactional"}


class ProgrammeBuilder:
    """Builds all values of a playbook that measures refer to by name."""

    def __init__(
        self, model: ProgrammeFile, document: Document, conditions: ConditionParser, faults: Faults
    ) -> None:
        """document: the source of `model`, for the lines of faults."""
        self._model = model
        self._document = document
        self._conditions = conditions
        self._faults = faults
        self._properties = property_terms(model.properties)
        self._matchers = MatcherBuilder(document, self._properties, conditions, faults)

    def build(self) -> Playbook:
        """Return the playbook without measures and hashes."""
        model = self._model
        entities = self._entities()
        facts = FactBuilder(
            self._document,
            model.properties,
            self._matchers,
            self._faults,
            entities=entities,
            currencies=model.currencies,
        ).build(model.facts)
        value_builder = ValueBuilder(model, self._document, self._faults, entities=entities)
        values = value_builder.build(facts)
        facts |= band_facts(values)
        vocabulary = with_segments(
            vocabulary_of(
                facts.values(), entities, currencies=model.currencies, personas=bool(model.personas)
            ).with_terms(ACCOUNT_TERMS if model.accounts is not None else {}),
            model.segments,
            entities=entities,
            document=self._document,
            faults=self._faults,
        )
        tables, facts = self._tables(vocabulary, facts)
        vocabulary = replace(vocabulary, tables=tables)
        values = value_builder.with_intervals(values, tables)
        facts, entities = value_builder.facts(facts, values, tables), value_builder.entities(values, tables)
        self._check_names()
        self._check_actions(entities)
        optional = {
            "quiet_hours": self._quiet_hours(),
            "default_slot": LocalSlot(model.default_send_at) if model.default_send_at is not None else None,
            "arbitration": model.arbitration,
        }
        playbook = Playbook(
            name=model.name,
            brand=model.brand_values,
            senders=self._senders(),
            locales=tuple(model.locales),
            default_locale=model.locales[0],
            default_zone=model.default_zone,
            facts=facts,
            entities=entities,
            segments=build_segments(vocabulary, self._document, self._conditions),
            tables=tables,
            values=values,
            currencies=model.currencies,
            stages=(
                *self._stages("lead", model.stages.lead, vocabulary),
                *self._stages("customer", model.stages.customer, vocabulary),
            ),
            conversion=self._conversion(),
            measures={},
            vocabulary=vocabulary,
            properties=self._properties,
            milestones=tuple(self._milestones()),
            holds={hold.name: hold for hold in self._holds()},
            topics={topic.name: topic for topic in self._topics()},
            caps=tuple(self._caps()),
            requests=self._matchers.all(model.requests, ("requests",)),
            objects=ObjectBuilder(self._document, self._faults, entities=entities).build(model.objects),
            touchpoints=tuple(self._touchpoints()),
            personas=tuple(self._personas()),
            moments=build_moments(model.moments),
            accounts=build_accounts(model, self._document, self._matchers, self._faults, entities=entities),
            owners=build_owners(model, self._document, self._faults),
            offers={name: Offer(name, offer.percent, offer.prefix) for name, offer in model.offers.items()},
            price_bounds={
                name: action.price_at_most
                for name, action in model.actions.items()
                if action.price_at_most is not None
            },
            holdout=self._holdout(),
            **{key: value for key, value in optional.items() if value is not None},  # type: ignore[arg-type]
        )
        check_shares(playbook, self._document, self._faults)
        return playbook

    def _tables(
        self, vocabulary: Vocabulary, facts: Mapping[str, Fact]
    ) -> tuple[dict[str, Table], dict[str, Fact]]:
        """Return the tables, and the facts with the tables that labels name in `else`."""
        stages = {*self._model.stages.lead, *self._model.stages.customer}
        builder = TableBuilder(
            self._document,
            self._faults,
            vocabulary=vocabulary,
            properties=self._properties,
            facts=facts,
            stages=stages,
        )
        tables = builder.build(self._model.tables)
        return tables, builder.label_defaults(tables)

    def _entities(self) -> dict[str, EntityKind]:
        model = self._model
        kinds = EntityBuilder(
            self._document, self._matchers, self._faults, entities=model.entities, facts=model.facts
        ).build()
        known = self._faults.known(self._document.path, "entities", kinds)
        self._matchers.know_entities(known, [name for name, kind in kinds.items() if kind.lines is not None])
        events = {name for point in model.touchpoints.values() for name in point.events}
        events |= {name for kind in kinds.values() for name in events_of(kind)}
        for name in sorted(events & set(kinds)):
            what = f"an entity and an event are both called `{name}`"
            self._fault(("entities" if name in model.entities else "facts", name), what, "rename one")
        return kinds

    def _senders(self) -> dict[str, dict[str, str]]:
        return {
            purpose: {
                "name": sender.name,
                "address": sender.address,
                "reply_to": sender.reply_to or sender.address,
            }
            for purpose, sender in self._model.senders.items()
        }

    def _quiet_hours(self) -> QuietHours | None:
        quiet = self._model.quiet_hours
        if quiet is None:
            return None
        if quiet.start == quiet.end:
            self._fault(("quiet_hours",), "quiet hours that begin when they end", "give two different times")
        if quiet.exempt is None:
            return QuietHours(quiet.start, quiet.end)
        return QuietHours(quiet.start, quiet.end, frozenset(quiet.exempt))

    def _stages(self, track: Track, stages: dict[str, StageFile], vocabulary: Vocabulary) -> Iterable[Stage]:
        actions = self._known("actions", self._model.actions)
        for place, (name, stage) in enumerate(stages.items()):
            loc = ("stages", track, name)
            when = self._conditions.parse(stage.when, vocabulary, self._document, (*loc, "when"))
            if when.measures:
                what = "evidence that asks for our own runs or mails: nobody moves on because we wrote"
                self._fault((*loc, "when"), what, "ask for what the person did")
            elif not when.grows:
                change = "use only what grows: counts, `ever`, `first`, max, compared with >= or >, joined by and, or"
                self._fault((*loc, "when"), "this evidence may be lost again", change)
            if place == 0 and stage.when != "True":
                what = f"the first stage of a track takes everybody, {name} does not"
                self._fault((*loc, "when"), what, "write True")
            self._names((*loc, "may_ask"), "kind of action", stage.may_ask, actions)
            yield Stage(name, track, when, frozenset(stage.may_ask))

    def _conversion(self) -> Conversion:
        model = self._model.conversion
        if model.hold is not None:
            self._names(("conversion", "hold"), "hold", [model.hold], self._known("holds", self._model.holds))
        by, over = self._matchers.split(model.by, ("conversion", "by"))
        reversed_by = self._matchers.all(model.reversed_by, ("conversion", "reversed_by"))
        if (by or reversed_by) and model.key is None:
            self._fault(
                ("conversion",), "an event without a key", "add `key: order_id`, or name an entity in `by`"
            )
        return Conversion(by, model.key or "", reversed_by, model.hold, over)

    def _holdout(self) -> ProgrammeHoldout | None:
        model = self._model.holdout
        if model is None or not model.programme:
            return None
        return ProgrammeHoldout(model.programme, build_metric(model.metric))

    def _milestones(self) -> Iterable[Milestone]:
        for name, milestone in self._model.milestones.items():
            loc = ("milestones", name, "of")
            of, over = self._matchers.split(milestone.of, loc)
            if len(of) + bool(over) > 1:
                what, change = "more than one `where` here", "write {event: [NAME, NAME], where: CONDITION}"
                if over:
                    what, change = "events and entities in one milestone", "write two milestones"
                self._fault(loc, what, change)
            match = of[0] if of else EventMatch(())
            yield Milestone(name, match, milestone.per or "contact", milestone.nth, over)

    def _holds(self) -> Iterable[Hold]:
        for name, hold in self._model.holds.items():
            if "transactional" in hold.stops:
                what = "a hold cannot stop transactional mail"
                self._fault(
                    ("holds", name, "stops"), what, "leave `transactional` out: it gets through all limits"
                )
            yield Hold(
                name,
                stops=frozenset(hold.stops),
                owner=hold.owner,
                at_most=hold.at_most,
                starts=self._matchers.all(hold.starts, ("holds", name, "from")),
                ends=self._matchers.all(hold.ends, ("holds", name, "until")),
                key=hold.key,
            )

    def _topics(self) -> Iterable[Topic]:
        for name, topic in self._model.topics.items():
            yield Topic(name, double_opt_in=topic.double_opt_in is not False)

    def _caps(self) -> Iterable[Cap]:
        for name, cap in self._model.caps.items():
            yield Cap(
                name,
                frozenset(cap.purposes or _CAPPED),
                cap.at_most,
                cap.within,
                cap.gap or 0,
                count=cap.count or "runs",
                codes_only=cap.offers is not None,
            )

    def _touchpoints(self) -> Iterable[Touchpoint]:
        for name, point in self._model.touchpoints.items():
            yield Touchpoint(
                name,
                point.channel,
                tuple(point.events),
                point.service or "",
                build_metric(point.metric),
                {stage: act.strip() for stage, act in point.by_stage.items()},
                tuple(point.wanted_in),
            )

    def _personas(self) -> Iterable[Persona]:
        if self._model.personas and "persona" in self._model.facts:
            what = "`persona` is made by `personas` already"
            self._faults.at(self._document, ("facts", "persona"), what, "remove one of the two")
        for name, of in self._model.personas.items():
            yield Persona(name, self._matchers.all(of, ("personas", name)))

    def _check_names(self) -> None:
        """Check required names, and names that must be unique."""
        model = self._model
        if "default" not in self._known("senders", model.senders):
            self._fault(("senders",), "no default sender", "add default: {name: ..., address: ...}")
        for section, names in (("locales", model.locales), ("forms", model.forms)):
            for name in sorted({name for name in names if names.count(name) > 1}):
                self._fault((section,), f"`{name}` is given twice", "keep one of them")
        both = set(model.stages.lead) & set(model.stages.customer)
        for name in sorted(both):
            self._fault(
                ("stages", "customer", name), f"`{name}` is a stage of both tracks", "give it another name"
            )
        for track in ("lead", "customer"):
            stages = model.stages.lead if track == "lead" else model.stages.customer
            if "any" in stages:
                self._fault(
                    ("stages", track, "any"), "`any` stands for every stage", "give the stage another name"
                )
        for name, cap in model.caps.items():
            if "transactional" in (cap.purposes or ()):
                change = "leave `transactional` out: it gets through all limits"
                self._fault(("caps", name, "purposes"), "a cap cannot hold transactional mail", change)

    def _check_actions(self, entities: Iterable[str]) -> None:
        """Check that what an action goes on with is a kind of entity, or a watch."""
        known = self._known("entities", entities) | {"watch"}
        for name, action in self._model.actions.items():
            self._names(("actions", name, "of"), "entity", action.of or (), known)
            self._check_price_bound(name, action)

    def _check_price_bound(self, name: str, action: ActionFile) -> None:
        loc, bounds = ("actions", name, "price_at_most"), action.price_at_most
        if bounds is None:
            return
        if not action.sells:
            self._fault(loc, f"a bound for the price of `{name}`, which does not sell", "write `sells: true`")
        for currency in self._model.currencies:
            if currency not in bounds:
                what = (
                    f"`{name}` has no bound in {currency}, so mail about a price in {currency} never leaves"
                )
                self._fault(loc, what, f"add `{currency}:`")

    def _known(self, section: str, names: Iterable[str]) -> frozenset[str]:
        return self._faults.known(self._document.path, section, names)

    def _names(self, loc: Loc, kind: str, names: Sequence[str], known: frozenset[str]) -> None:
        for name in names:
            if name not in known:
                self._fault(loc, f"no {kind} `{name}`", f"known: {format_names(known, most=40)}")

    def _fault(self, loc: Loc, what: str, change: str) -> None:
        self._faults.at(self._document, loc, what, change)
