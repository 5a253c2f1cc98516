"""Facts over entities and their lines: each key once, net of its reversal, amounts per currency."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nurture.domain.conditions import Condition, Reading, Truth
from nurture.domain.contact import Contact
from nurture.domain.entities.reading import currency_in, net_lines, price_of
from nurture.domain.entities.refunds import net_amount
from nurture.domain.entities.usual_interval import text_of_entity
from nurture.domain.event_index import DATED, USUAL, Index
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import Entity, EntityLine, Share
from nurture.domain.playbook import EntityKind, EntityMatch, FoldFact, Playbook
from nurture.domain.values import coerce, coerced


def settle_net_facts(contact: Contact, kinds: Collection[str], playbook: Playbook, index: Index) -> None:
    """Work out the facts over entities of these kinds anew."""
    groups = dict.fromkeys(group for kind in kinds for group in index.fold_groups.get(kind, ()))
    read: dict[str, tuple[list[_Source], list[Entity]]] = {}
    for group in groups:
        shares: list[Share] = []
        dropped: list[tuple[EntityKind, Entity]] = []
        for name in group.kinds:
            if name not in read:
                read[name] = _sources(contact, name)
            kind, (whole, rests) = playbook.entities[name], read[name]
            for source in whole:
                shares += _shares_of(source, group.folds[0], kind, playbook)
            dropped += [(kind, entity) for entity in rests]
        for fold in group.folds:
            # A dropped entity has kept what it adds to each fold by itself.
            kept = [share for kind, entity in dropped for share in _kept_shares(entity, fold, kind, playbook)]
            _store(contact, fold, shares + kept if kept else shares, playbook)


@dataclass(slots=True)
class _Source:
    """An entity that adds to facts, with its lines once a fold has read them."""

    key: str
    entity: Entity
    _lines: list[tuple[str, EntityLine, int]] | None = None

    @property
    def lines(self) -> list[tuple[str, EntityLine, int]]:
        """The entity's net lines."""
        if self._lines is None:
            self._lines = list(net_lines(self.entity))
        return self._lines


def _sources(contact: Contact, kind: str) -> tuple[list[_Source], list[Entity]]:
    """Return the entities of a kind that count and are not reversed: whole ones, and dropped ones."""
    known, buried = contact.memory.entities.get(kind, {}), contact.memory.buried.get(kind, {})
    standing = [(key, entity) for key, entity in known.items() if is_standing(entity)]
    if buried:
        standing += [(key, entity) for key, entity in buried.items() if is_standing(entity)]
    return (
        [_Source(key, entity) for key, entity in standing if entity.shares is None],
        [entity for _, entity in standing if entity.shares is not None],
    )


# ---- what one entity adds --------------------------------------------------------------------------------


def is_standing(entity: Entity) -> bool:
    """Tell whether the entity counts: a counting event came, and it was not reversed."""
    return entity.counted_at is not None and entity.reversed_at is None and not entity.replaced


def shares_of(
    key: str, entity: Entity, fold: FoldFact, kind: EntityKind, playbook: Playbook
) -> Sequence[Share]:
    """Return what one entity adds to the fold: nothing before it counts and after it was reversed."""
    if not is_standing(entity):
        return ()
    if entity.shares is not None:
        return _kept_shares(entity, fold, kind, playbook)
    return _shares_of(_Source(key, entity), fold, kind, playbook)


def _shares_of(source: _Source, fold: FoldFact, kind: EntityKind, playbook: Playbook) -> Sequence[Share]:
    entity = source.entity
    shares: list[Share] = []
    for match in fold.over:
        if match.kind != kind.name:
            continue
        if match.lines:
            shares += _line_shares(source, fold, match, playbook)
        elif _is_true(match.where, entity.fields, entity.counted_at or NEVER, playbook):
            shares += _entity_shares(source.key, entity, fold, kind, playbook)
        if shares and not match.lines:
            # Two matchers of one fact count an entity once, as they would count an event.
            break
    return shares


def _kept_shares(entity: Entity, fold: FoldFact, kind: EntityKind, playbook: Playbook) -> Sequence[Share]:
    shares = (entity.shares or {}).get(fold.name, ())
    if fold.money and entity.refunds and not any(match.lines for match in fold.over):
        amount = net_amount(entity, kind, playbook)
        return [(at, amount, currency) for at, _, currency in shares if amount is not None]
    return shares


def _is_true(where: Condition | None, fields: Any, at: Instant, playbook: Playbook) -> bool:
    if where is None:
        return True
    terms = playbook.properties.terms
    known = coerced(fields, {name: terms[name] for name in where.terms if name in terms})
    return where.truth(Reading(known, at, playbook.default_zone)) is Truth.YES


def _entity_shares(
    key: str, entity: Entity, fold: FoldFact, kind: EntityKind, playbook: Playbook
) -> Iterable[Share]:
    at = entity.counted_at or NEVER
    if fold.fold in DATED:
        return [(at, 1, "")]
    if fold.money:
        amount = net_amount(entity, kind, playbook)
        currency = currency_of(entity, playbook)
        return [] if amount is None or currency is None else [(at, amount, currency)]
    if fold.name.startswith(USUAL):
        text = text_of_entity(fold.property or "", entity)
        return [] if text is None else [(at, text, key)]
    value = entity.fields.get(fold.property or "")
    return [(at, item, key) for item in _values(value, fold)]


def _line_shares(source: _Source, fold: FoldFact, match: EntityMatch, playbook: Playbook) -> Iterator[Share]:
    key, entity = source.key, source.entity
    counted, rule = entity.counted_at or NEVER, playbook.entities[match.kind].lines
    for line_key, line, quantity in source.lines:
        # A line that came by itself has its own date.
        at = counted if rule is None or rule.source else line.stamp[0]
        if not _is_true(match.where, line.fields, at, playbook):
            continue
        if fold.fold in DATED:
            yield at, 1, ""
        elif fold.money:
            price, currency = price_of(line.fields), currency_of(entity, playbook)
            if price is not None and currency is not None:
                yield at, price * quantity, currency
        elif fold.property == "quantity":
            yield at, quantity, line_key
        elif rule is not None and fold.property in rule.keys:
            yield from ((at, item, line_key) for item in _values(line_key, fold))
        else:
            value = line.fields.get(fold.property or "")
            yield from ((at, item, f"{key} {line_key}") for item in _values(value, fold))


def _values(value: Any, fold: FoldFact) -> list[Any]:
    if fold.fold == "set":
        texts = value if isinstance(value, list) else [value]
        return [text for text in (coerce(item, "text") for item in texts) if text is not None]
    found = coerce(value, fold.type, scale=fold.scale)
    return [] if found is None else [found]


def currency_of(entity: Entity, playbook: Playbook) -> str | None:
    """Return the currency of an entity's amounts, None for one that the brand does not name: it is never added."""
    named = playbook.currencies
    if not named:
        return ""
    currency = entity.worth.currency if entity.worth is not None else ""
    currency = currency or currency_in(entity.fields) or named[0]
    return currency if currency in named else None


# ---- what they make together -----------------------------------------------------------------------------


def _store(contact: Contact, fold: FoldFact, shares: Sequence[Share], playbook: Playbook) -> None:
    if fold.name.startswith("@"):
        contact.memory.net[fold.name] = _combined(fold, shares) or 0
    elif fold.money:
        for currency in playbook.currencies:
            mine = [share for share in shares if share[2] == currency]
            _store_fact(contact, f"{fold.name}.{currency}", _combined(fold, mine))
        if len(playbook.currencies) <= 1:
            _store_fact(contact, fold.name, _combined(fold, shares))
    else:
        _store_fact(contact, fold.name, _combined(fold, shares))


def _store_fact(contact: Contact, name: str, value: Any) -> None:
    if value is None:
        contact.facts.pop(name, None)
    else:
        contact.facts[name] = value


def _combined(fold: FoldFact, shares: Sequence[Share]) -> Any:
    """Return the fold's value; None for one that is unknown without any entity."""
    return _COMBINE[fold.fold](fold, shares)


def _total(fold: FoldFact, shares: Sequence[Share]) -> int:  # noqa: ARG001 - all of these have one signature
    return sum([value for _, value, _ in shares])


def _extreme_value(fold: FoldFact, shares: Sequence[Share]) -> Any:
    choose = min if fold.fold == "min" else max
    return choose([value for _, value, _ in shares], default=None)


def _extreme_instant(fold: FoldFact, shares: Sequence[Share]) -> Instant | None:
    choose = min if fold.fold == "first" else max
    return choose([at for at, _, _ in shares], default=None)


def _newest_value(fold: FoldFact, shares: Sequence[Share]) -> Any:  # noqa: ARG001 - all of these have one signature
    newest = max(shares, key=lambda share: (share[0], share[2], str(share[1])), default=None)
    return None if newest is None else newest[1]


def _set(fold: FoldFact, shares: Sequence[Share]) -> list[str]:
    return [value for value, _ in _newest_values(shares, fold.keep)]


def _newest_values(shares: Sequence[Share], keep: int) -> list[tuple[str, Instant]]:
    seen: dict[str, Instant] = {}
    for at, value, _ in shares:
        seen[value] = max(seen.get(value, NEVER), at)
    return sorted(seen.items(), key=lambda item: (item[1], item[0]))[-keep:]


def _window(fold: FoldFact, shares: Sequence[Share]) -> list[Instant]:
    instants = sorted(at for at, _, _ in shares)
    return [at for at in instants if at > instants[-1] - fold.within][-fold.keep :]


def _ever(fold: FoldFact, shares: Sequence[Share]) -> bool:
    instants = sorted(at for at, _, _ in shares)
    spans = zip(instants, instants[fold.at_least - 1 :], strict=False)
    return any(late - early <= (fold.within or late - early) for early, late in spans)


_COMBINE: Final[Mapping[str, Callable[[FoldFact, Sequence[Share]], Any]]] = {
    "count": _total,
    "sum": _total,
    "min": _extreme_value,
    "max": _extreme_value,
    "first": _extreme_instant,
    "last": _extreme_instant,
    "latest": _newest_value,
    "set": _set,
    "window": _window,
    "ever": lambda fold, shares: _ever(fold, shares) or None,
}


def compacted(fold: FoldFact, shares: Sequence[Share]) -> list[Share]:
    """Return fewer shares from which the fold makes the same value."""
    match fold.fold:
        case "count" | "sum":
            totals: dict[str, Share] = {}
            for at, value, label in shares:
                label = label if fold.money else ""  # noqa: PLW2901 - only amounts have a currency
                before = totals.get(label, (NEVER, 0, label))
                totals[label] = (max(before[0], at), before[1] + value, label)
            return list(totals.values())
        case "min" | "max":
            choose = min if fold.fold == "min" else max
            groups: dict[str, list[Share]] = {}
            for share in shares:
                groups.setdefault(share[2] if fold.money else "", []).append(share)
            return [choose(group, key=lambda share: share[1]) for group in groups.values()]
        case "first":
            return [min(shares)]
        case "last" | "latest":
            return [max(shares, key=lambda share: (share[0], share[2]))]
        case "set":
            return [(at, value, "") for value, at in _newest_values(shares, fold.keep)]
        case "window" | "ever" | "band":
            return sorted(shares)[-fold.keep :]
