"""Facts: folding events into the values known of a contact.

Every fold gives the same result in whatever order events arrive, and however often one is folded by order of
occurrence: counts add, firsts and lasts are extremes, the latest value is the greatest by (occurred_at,
source, message id). `Contact.facts` holds what conditions read, `Contact.memory` what the folds need besides.
"""

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from nurture.domain.conditions import Reading, in_measure_key, last_sent_key
from nurture.domain.contact import Contact, Run
from nurture.domain.entities import entity_of, fold_entities, sequence_of
from nurture.domain.event import OWN_PAGES, Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import Index, index_of
from nurture.domain.instant import NEVER, Instant
from nurture.domain.labels import fold_labels
from nurture.domain.memory import Signs
from nurture.domain.placeholders import NAME_TRAITS, is_placeholder_name
from nurture.domain.playbook import BandFact, FoldFact, Playbook, TraitFact, VerdictFact, field_terms
from nurture.domain.published_values import fold_band
from nurture.domain.referral import REFERRER, fold_referral, is_referral
from nurture.domain.segments import segment_values, texts_at_hand
from nurture.domain.timing import is_zone
from nurture.domain.values import coerce, coerced


def empty(contact_id: int, *, first_seen_at: Instant, playbook: Playbook) -> Contact:
    """Return the state of a contact of whom nothing is known yet: on the first stage of the lead track."""
    stage = index_of(playbook).stages["lead"][-1].name
    contact = Contact(
        id=contact_id,
        track="lead",
        stage=stage,
        first_seen_at=first_seen_at,
        stage_since=first_seen_at,
        track_since=first_seen_at,
    )
    contact.facts["first_seen_at"] = first_seen_at
    return contact


def reading(
    contact: Contact, playbook: Playbook, *, now: Instant, extra: Mapping[str, Any] | None = None
) -> Reading:
    """Return the values that conditions may read at `now`, with the `extra` names added."""
    facts = readable(contact, playbook)
    if extra:
        facts.update(extra)
    return Reading(facts=facts, now=now, zone=contact.zone or playbook.default_zone)


def readable(contact: Contact, playbook: Playbook) -> dict[str, Any]:
    """Return the contact's facts with its track, stage, locale and zone among them, as a new mapping.

    Also the runs and mails of the measures that conditions ask for.
    """
    place = {"track": contact.track, "stage": contact.stage, "locale": contact.locale, "zone": contact.zone}
    facts = contact.facts | place
    asked = index_of(playbook).asked_measures
    if asked:
        active = {run.measure for run in contact.runs.values()}
        for path, root in asked.items():
            facts[in_measure_key(path)] = root in active
            facts[last_sent_key(path)] = contact.sent.get(root)
    return facts


def run_names(contact: Contact, run: Run, playbook: Playbook) -> dict[str, Any]:
    """Return the names that a run adds to a reading: let values, those of `entity`, `event` and `steps`."""
    names: dict[str, Any] = {"run_id": run.public_id(contact.id), **run.let}
    for step, outcome in run.outcomes.items():
        names[f"steps.{step}.outcome"], names[f"steps.{step}.reason"] = outcome
    terms = playbook.properties.terms
    names.update({f"event.{k}": v for k, v in coerced(run.origin.properties, terms).items()})
    entity = entity_fields(contact, run, playbook)
    fields = field_terms(playbook.entities.get(run.entity), terms)
    names.update({f"entity.{k}": v for k, v in coerced(entity, fields).items()})
    if playbook.tables:
        names.update(texts_at_hand(playbook, entity, run.origin.properties))
    return names


def entity_fields(contact: Contact, run: Run, playbook: Playbook) -> dict[str, Any]:
    """Return the present fields of the run's entity, with `lines` as a list; {} when it has none."""
    kind_name: str | None = run.entity
    if not kind_name and (measure := playbook.measures.get(run.measure)) is not None:
        # The version before writes no entity beside the key.
        kind_name = measure.entity
    found = entity_of(contact, kind_name, run.entity_key) if kind_name else None
    if found is None or not kind_name:
        return {}
    lines = [line.fields for line in found.lines.values() if line.present]
    kind = playbook.entities.get(kind_name)
    rule = kind.lines if kind is not None else None
    # The list under the name that the events give it, too.
    listed = {rule.source: lines} if rule is not None and rule.source else {}
    return {**found.fields, **listed, "lines": lines}


def view(contact: Contact, playbook: Playbook, run: Run | None = None, *, now: Instant) -> dict[str, Any]:
    """Return the values that templates may read: `contact`, `event`, `entity` and the let values, as plain values."""
    known = {name: value for name, value in contact.facts.items() if ":" not in name and "." not in name}
    if REFERRER not in playbook.facts:
        # The number of another person's contact is for conditions alone.
        known.pop(REFERRER, None)
    for fact in index_of(playbook).money if len(playbook.currencies) > 1 else ():
        # Amounts of several currencies: `contact.spent.EUR`.
        amounts = {currency: contact.facts.get(f"{fact}.{currency}") for currency in playbook.currencies}
        known[fact] = {currency: amount for currency, amount in amounts.items() if amount is not None}
    if playbook.segments:
        known.update(segment_values(reading(contact, playbook, now=now), playbook))
    known.update(track=contact.track, stage=contact.stage, locale=contact.locale, zone=contact.zone)
    names: dict[str, Any] = {"contact": known}
    if run is not None:
        names["event"] = dict(run.origin.properties)
        names["entity"] = entity_fields(contact, run, playbook)
        names["entity_key"] = run.entity_key if run.entity else run.once_value
        names["generation"] = run.origin.generation
        names["run_id"] = run.public_id(contact.id)
        names["sequence"] = _calendar_sequence(contact, run, playbook)
        names.update(run.let)
    return names


def _calendar_sequence(contact: Contact, run: Run, playbook: Playbook) -> int:
    """Return the number of the calendar entry about the run's entity: it counts the entity's events, not the runs."""
    measure = playbook.measures.get(run.measure)
    found = entity_of(contact, measure.entity, run.entity_key) if measure and measure.entity else None
    return 0 if found is None else sequence_of(found)


def fold(contact: Contact, event: Event, playbook: Playbook) -> None:
    """Fold one event into facts and memory, in place. Moves no stage and starts nothing."""
    index = index_of(playbook)
    contact.first_seen_at = min(contact.first_seen_at, event.occurred_at)
    contact.facts["first_seen_at"] = contact.first_seen_at
    _remember(contact, event, index)
    if event.traits or event.context:
        _fold_zone_and_locale(contact, event)
        _fold_referral(contact, event, playbook)
    if event.traits:
        for fact in index.traits:
            if fact.trait in event.traits:
                _fold_trait(contact, event, fact)
    for fold_fact, match in index.folds.get(event.name, ()):
        if match.where is None or holds_for(match, event, playbook):
            _FOLDS[fold_fact.fold](contact, event, fold_fact)
    for persona, match in index.personas.get(event.name, ()):
        if holds_for(match, event, playbook) and _is_newest(contact, event, "persona"):
            contact.facts["persona"] = persona.name
    if index.labels:
        fold_labels(contact, event, playbook, index)
    is_news = fold_entities(contact, event, playbook, index)
    is_news = _fold_signs(contact, event, playbook, index) or is_news
    for verdict in index.verdicts:
        # It follows from signs and from entities.
        if is_news or verdict.name not in contact.facts:
            judge_verdict(contact, verdict)


def _fold_referral(contact: Contact, event: Event, playbook: Playbook) -> None:
    if is_referral(event.context):
        fold_referral(contact, event, is_taken=REFERRER in playbook.facts)


# ---- single folds ----------------------------------------------------------------------------------------


def _remember(contact: Contact, event: Event, index: Index) -> None:
    if event.name not in index.remembered:
        return
    facts, at = contact.facts, event.occurred_at
    facts[f"count:{event.name}"] = facts.get(f"count:{event.name}", 0) + 1
    facts[f"first:{event.name}"] = min(facts.get(f"first:{event.name}", at), at)
    facts[f"last:{event.name}"] = max(facts.get(f"last:{event.name}", at), at)


def _is_newest(contact: Contact, event: Event, slot: str) -> bool:
    """Tell whether this event is the newest for the slot, and note it."""
    latest = contact.memory.latest
    mine = (event.occurred_at, event.source, event.message_id)
    if slot in latest and mine <= latest[slot]:
        return False
    latest[slot] = mine
    return True


#: Slots of zone and locale, the weakest first: a device reports it with every call, an application states it as a
#: trait, the person chooses it on our own page.
ZONE_SLOTS: Final = ("@zone", "@zone:stated", "@zone:chosen")
#: Longest name of a zone or a locale.
_NAME_MAX: Final = 64
LOCALE_SLOTS: Final = ("@locale", "@locale:stated", "@locale:chosen")


def _fold_zone_and_locale(contact: Contact, event: Event) -> None:
    """Fold zone and locale from the call's traits or context."""
    zone = _find_newest(contact, event, ZONE_SLOTS, "timezone", is_zone)
    if zone is not None:
        contact.zone = zone
    locale = _find_newest(contact, event, LOCALE_SLOTS, "locale", bool)
    if locale is not None:
        contact.locale = locale.replace("_", "-")[:35]


def _find_newest(
    contact: Contact, event: Event, slots: Sequence[str], name: str, is_valid: Callable[[str], bool]
) -> str | None:
    """Return the event's value when it applies from now on, else None.

    A value of a stronger slot applies before a newer one of a weaker slot; within a slot the newest applies. So
    the result does not depend on the order of arrival.
    """
    value, rank = event.traits.get(name), 2 if event.source == OWN_PAGES else 1
    if not _is_name(value, is_valid):
        value, rank = event.context.get(name), 0
    if not _is_name(value, is_valid) or not _is_newest(contact, event, slots[rank]):
        return None
    for stronger in slots[rank + 1 :]:
        if stronger in contact.memory.latest:
            return None
    return str(value)


def _is_name(value: Any, is_valid: Callable[[str], bool]) -> bool:
    return isinstance(value, str) and len(value) <= _NAME_MAX and is_valid(value)


def _store(contact: Contact, name: str, value: Any) -> None:
    """Keep the value, or forget it when it is unknown."""
    if value is None:
        contact.facts.pop(name, None)
    else:
        contact.facts[name] = value


def _fold_trait(contact: Contact, event: Event, fact: TraitFact) -> None:
    if _is_newest(contact, event, fact.name):
        value = coerce(event.traits[fact.trait], fact.type, scale=fact.scale)
        is_nobody = fact.trait in NAME_TRAITS and isinstance(value, str) and is_placeholder_name(value)
        _store(contact, fact.name, None if is_nobody else value)


def _count(contact: Contact, event: Event, fact: FoldFact) -> None:  # noqa: ARG001 - folds share one shape
    contact.facts[fact.name] = contact.facts.get(fact.name, 0) + 1


def _property(event: Event, fact: FoldFact, kind: str | None = None) -> Any:
    return coerce(event.properties.get(fact.property or ""), kind or fact.type, scale=fact.scale)


def _sum(contact: Contact, event: Event, fact: FoldFact) -> None:
    value = _property(event, fact)
    if value and fact.currency and _is_other_currency(event, fact.currency):
        value = 0
    contact.facts[fact.name] = contact.facts.get(fact.name, 0) + (value or 0)


def _is_other_currency(event: Event, mine: str) -> bool:
    """Tell whether the event names another currency than the brand's first one: the two are never added."""
    currency = event.properties.get("currency")
    return isinstance(currency, str) and currency.strip().upper() not in ("", mine)


def _extreme(contact: Contact, event: Event, fact: FoldFact) -> None:
    value = _property(event, fact)
    if value is not None:
        choose = min if fact.fold == "min" else max
        contact.facts[fact.name] = choose(contact.facts.get(fact.name, value), value)


def _first(contact: Contact, event: Event, fact: FoldFact) -> None:
    contact.facts[fact.name] = min(contact.facts.get(fact.name, event.occurred_at), event.occurred_at)


def _last(contact: Contact, event: Event, fact: FoldFact) -> None:
    contact.facts[fact.name] = max(contact.facts.get(fact.name, event.occurred_at), event.occurred_at)


def _latest(contact: Contact, event: Event, fact: FoldFact) -> None:
    if (fact.property or "") in event.properties and _is_newest(contact, event, fact.name):
        _store(contact, fact.name, _property(event, fact))


def _band(contact: Contact, event: Event, fact: FoldFact) -> None:
    if isinstance(fact, BandFact):
        fold_band(contact, event, fact)


def _set(contact: Contact, event: Event, fact: FoldFact) -> None:
    given = event.properties.get(fact.property or "")
    sets = contact.memory.sets
    seen = sets.setdefault(fact.name, {})
    at = event.occurred_at
    for raw in given if isinstance(given, list) else [given]:
        value = coerce(raw, "text")
        if value is not None:
            seen[value] = max(seen.get(value, NEVER), at)
    newest = sorted(seen, key=lambda value: (seen[value], value)) if len(seen) > 1 else list(seen)
    if len(newest) > fact.keep:
        newest = newest[-fact.keep :]
        sets[fact.name] = {value: seen[value] for value in newest}
    contact.facts[fact.name] = newest


def _window(contact: Contact, event: Event, fact: FoldFact) -> None:
    instants: list[Instant] = list(contact.facts.get(fact.name, ()))
    insort(instants, event.occurred_at)
    bound = instants[-1] - fact.within
    contact.facts[fact.name] = [at for at in instants if at > bound][-fact.keep :]


def _ever(contact: Contact, event: Event, fact: FoldFact) -> None:
    if contact.facts.get(fact.name):
        return
    kept = contact.memory.ever
    instants = kept.get(fact.name, [])
    insort(instants, event.occurred_at)
    spans = zip(instants, instants[fact.at_least - 1 :], strict=False)
    if any(late - early <= (fact.within or late - early) for early, late in spans):
        contact.facts[fact.name] = True
        kept.pop(fact.name, None)
    else:
        kept[fact.name] = instants[-fact.keep :]


_FOLDS = {
    "count": _count,
    "sum": _sum,
    "min": _extreme,
    "max": _extreme,
    "first": _first,
    "last": _last,
    "latest": _latest,
    "band": _band,
    "set": _set,
    "window": _window,
    "ever": _ever,
}


# ---- verdicts --------------------------------------------------------------------------------------------


def _fold_signs(contact: Contact, event: Event, playbook: Playbook, index: Index) -> bool:
    """Record the event's signs for verdicts; return whether it has any."""
    found = False
    for verdict, sign, match in index.signs.get(event.name, ()):
        if holds_for(match, event, playbook):
            signs = contact.memory.signs.setdefault(verdict.name, Signs())
            signs.note(sign, event.occurred_at)
            found = True
    return found


def judge_verdict(contact: Contact, fact: VerdictFact) -> None:
    """Let the newest sign decide; at the same instant the bad one counts; an open `no` entity blocks yes."""
    signs, net = contact.memory.signs.get(fact.name) or Signs(), contact.memory.net
    yes = max(signs.yes, net.get(f"@yes:{fact.name}") or NEVER) if fact.yes_over else signs.yes
    no = max(signs.no, net.get(f"@no:{fact.name}") or NEVER) if fact.no_over else signs.no
    is_blocked = any(contact.facts.get(f"{name}.open", 0) for name in fact.open_no)
    if is_blocked or (no > NEVER and no >= yes):
        contact.facts[fact.name] = "no"
    else:
        contact.facts[fact.name] = "yes" if yes > NEVER else "unknown"
    _store(contact, f"{fact.name}.yes_at", yes if yes > NEVER else None)
