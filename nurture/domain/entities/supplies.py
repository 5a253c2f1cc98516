"""Entities that are lines of others: one for each product that a person buys, with the day when it is needed again."""

from nurture.domain.contact import Contact
from nurture.domain.entities.reading import first_key, net_lines
from nurture.domain.entities.rhythm import own_interval
from nurture.domain.entities.usual_interval import text_of_fields, usual_interval
from nurture.domain.instant import FOREVER, NEVER, Instant, to_iso
from nurture.domain.memory import Entity
from nurture.domain.playbook import EntityKind, Playbook


def settle_supplies(contact: Contact, kind: EntityKind, playbook: Playbook) -> None:
    """Work out the entities anew from the lines of the entities that count and stand, the newest `keep` of them."""
    known: dict[str, Entity] = {}
    dates: dict[str, list[Instant]] = {}
    for entity in contact.memory.entities.get(kind.lines_of, {}).values():
        at = entity.counted_at
        if at is None or entity.reversed_at is not None or entity.replaced:
            continue
        for line_key, line, _ in net_lines(entity):
            key = first_key(line.fields, kind.keys) or line_key
            supply = known.setdefault(key, Entity(opened_at=FOREVER, touched_at=NEVER))
            if at >= supply.touched_at:
                supply.fields = {**line.fields, kind.key: key}
            supply.opened_at, supply.touched_at = min(supply.opened_at, at), max(supply.touched_at, at)
            dates.setdefault(key, []).append(at)
    for key in sorted(known, key=lambda key: (known[key].touched_at, key))[: -kind.keep]:
        del known[key]
    for key, supply in known.items():
        _finish(supply, len(dates[key]), kind, playbook)
    contact.memory.entities[kind.name] = known


def _finish(supply: Entity, times: int, kind: EntityKind, playbook: Playbook) -> None:
    """Add what is worked out from the dates: how often, when last, and when again."""
    supply.counted_at = supply.opened_at
    supply.fields |= {"times": times, "last_at": to_iso(supply.touched_at)}
    if kind.due is not None:
        usual = usual_interval(
            kind.due.usual,
            lambda name: text_of_fields(name, supply.fields),
            supply.touched_at,
            playbook.published,
        )
        interval = own_interval(
            supply.opened_at, supply.touched_at, times, usual=usual, weight=kind.due.weight
        )
        supply.fields["due_at"] = to_iso(supply.touched_at + interval)
