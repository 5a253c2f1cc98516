"""The objects that mails name, read for a whole chunk at once: single ones by their key, and lists of them.

The number of statements depends on the kinds of objects, not on how many mails there are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from nurture.database.engine import decode
from nurture.delivery import object_queries as store
from nurture.domain.contact import Contact, Run
from nurture.domain.facts import entity_fields
from nurture.domain.guard.object_lists import Candidate, choose_objects, names_of
from nurture.domain.instant import Instant
from nurture.domain.journey.object_watches import keys_in
from nurture.domain.measure import Measure, ObjectBinding, ObjectList
from nurture.domain.measure.object_lists import OLDEST
from nurture.domain.playbook import ObjectKind, Playbook
from nurture.domain.values import key_text
from nurture.playbook.value_queries import load_published, versions_in_force

#: A list of all objects of a kind looks at so many of them, the first ones in its order.
OBJECTS_MAX: Final = 1_000
#: The field of an object that names those that go with it.
_GOES_WITH: Final = "goes_with"


@dataclass(slots=True)
class MailObjects:
    """The values that one mail reads under its object names, and the objects that its fresh lists show."""

    measure: Measure
    contact: Contact
    # None: no run has begun, so that only what needs none is read.
    run: Run | None
    # Ids of the contact and of all merged into it.
    member_ids: tuple[int, ...]
    # The measure in which the run began, where that is another one.
    began_as: str = ""
    # One object's values, or a list of them, by name.
    values: dict[str, Any] = field(default_factory=dict)
    shown: list[store.Thing] = field(default_factory=list)
    # Published value -> the version by which it ordered a list.
    rankings: dict[str, int] = field(default_factory=dict)


def load_mail_objects(
    connection: sa.Connection, mails: Sequence[MailObjects], playbook: Playbook, *, now: Instant
) -> None:
    """Fill in the values of all these mails."""
    mails = [mail for mail in mails if mail.measure.objects]
    if not mails:
        return
    rankings = _load_rankings(connection, mails, now)
    found = _Objects(connection, mails, playbook, rankings)
    hidden = _load_hidden(connection, mails, playbook)
    for mail in mails:
        zone = mail.contact.zone or playbook.default_zone
        for name, rule in mail.measure.objects.items():
            if isinstance(rule, ObjectBinding):
                _bind(mail, name, rule, found, playbook)
                continue
            chosen = choose_objects(
                rule,
                found.candidates(mail, rule),
                names_of(rule.where, mail.contact, mail.run, playbook, now=now),
                playbook=playbook,
                now=now,
                zone=zone,
                left_out=hidden(mail, rule),
                numbers=rankings[rule.ranking].numbers if rule.ranking else {},
            )
            if rule.ranking:
                mail.rankings[rule.ranking] = rankings[rule.ranking].version
            mail.values[name] = [candidate.values for candidate in chosen]
            if rule.fresh:
                mail.shown += [(rule.kind, candidate.key) for candidate in chosen]


def _bind(
    mail: MailObjects, name: str, binding: ObjectBinding, found: "_Objects", playbook: Playbook
) -> None:
    """Set the value of a name that is bound to one object, or to a list of keys."""
    keys, is_list = _keys_of(mail, binding.kind, binding.key, playbook)
    values = [candidate.values for candidate in found.named(binding.kind, keys)]
    if is_list:
        mail.values[name] = values
    elif values:
        mail.values[name] = values[0]


class _Objects:
    """The objects that the mails of a chunk may name, each read once."""

    def __init__(
        self,
        connection: sa.Connection,
        mails: Iterable[MailObjects],
        playbook: Playbook,
        rankings: Mapping[str, "_Ranking"],
    ) -> None:
        self._playbook, self._rankings = playbook, rankings
        named: set[store.Thing] = set()
        first: set[tuple[str, bool]] = set()
        related: list[tuple[str, list[str]]] = []
        for mail in mails:
            for rule in mail.measure.objects.values():
                path = rule.key if isinstance(rule, ObjectBinding) else rule.keys
                if isinstance(rule, ObjectList) and not path:
                    first.add((rule.kind, rule.order == OLDEST))
                    named |= {(rule.kind, key) for key in self._best(rule)}
                    continue
                keys, _ = _keys_of(mail, rule.kind, path, playbook)
                named |= {(rule.kind, key) for key in keys}
                if isinstance(rule, ObjectList) and rule.goes_with:
                    related.append((rule.kind, keys))
        self._named = _candidates(store.load_objects(connection, sorted(named)))
        more = {(kind, key) for kind, keys in related for key in self._beside(kind, keys)} - named
        self._named |= _candidates(store.load_objects(connection, sorted(more)))
        self._first = {
            (kind, oldest): [
                Candidate(row.key, decode(row.facts)["values"], row.first_at)
                for row in store.load_first_objects(connection, kind, oldest=oldest, limit=OBJECTS_MAX)
            ]
            for kind, oldest in sorted(first)
        }

    def named(self, kind: str, keys: Iterable[str]) -> list[Candidate]:
        """Return the objects of these keys that exist, in the order of the keys."""
        return [self._named[kind, key] for key in keys if (kind, key) in self._named]

    def candidates(self, mail: MailObjects, rule: ObjectList) -> list[Candidate]:
        """Return the objects that may stand in a list."""
        if not rule.keys:
            best = self.named(rule.kind, self._best(rule))
            known = {candidate.key for candidate in best}
            newest = self._first[rule.kind, rule.order == OLDEST]
            return best + [candidate for candidate in newest if candidate.key not in known]
        keys, _ = _keys_of(mail, rule.kind, rule.keys, self._playbook)
        return self.named(rule.kind, self._beside(rule.kind, keys) if rule.goes_with else keys)

    def _best(self, rule: ObjectList) -> list[str]:
        """Return the keys that the ranking of a list puts first."""
        numbers = self._rankings[rule.ranking].numbers if rule.ranking else {}
        return sorted(numbers, key=lambda key: (-numbers[key], key))[:OBJECTS_MAX]

    def _beside(self, kind: str, keys: Sequence[str]) -> list[str]:
        """Return the keys that the objects of these keys name under `goes_with`, without these themselves."""
        beside: dict[str, None] = {}
        for candidate in self.named(kind, keys):
            values = candidate.values.get(_GOES_WITH)
            beside |= dict.fromkeys(_key_texts(values if isinstance(values, list) else [values]))
        return [key for key in beside if key not in keys]


def _candidates(rows: Mapping[store.Thing, Any]) -> dict[store.Thing, Candidate]:
    return {
        thing: Candidate(row.key, decode(row.facts)["values"], row.first_at) for thing, row in rows.items()
    }


# ---- rankings --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ranking:
    """The numbers of a published value that are in force, and the version of the newest publication among them."""

    version: int
    numbers: Mapping[str, int]


def _load_rankings(
    connection: sa.Connection, mails: Iterable[MailObjects], now: Instant
) -> dict[str, _Ranking]:
    """Return published value -> its numbers, of those by which these mails order their lists."""
    names = {rule.ranking for mail in mails for rule in mail.measure.lists.values()} - {""}
    if not names:
        return {}
    published = load_published(connection, names)
    numbers: dict[str, dict[str, int]] = {name: {} for name in names}
    for name, key in published.numbers:
        number = published.in_force(name, key, now)
        if number is not None:
            numbers[name][key] = number
    versions = versions_in_force(connection, names, now)
    return {name: _Ranking(versions.get(name, 0), numbers[name]) for name in names}


# ---- keys ------------------------------------------------------------------------------------------------


def _keys_of(mail: MailObjects, kind: str, path: str, playbook: Playbook) -> tuple[list[str], bool]:
    """Return the keys of the objects that a path names, and whether it names a list of them."""
    root, _, name = path.partition(".")
    origin = mail.run.origin.properties if mail.run is not None else {}
    if root == "contact":
        value = mail.contact.facts.get(name)
    elif root == "entity":
        value = _inside(entity_fields(mail.contact, mail.run, playbook) if mail.run else {}, name)
    elif root == "event":
        value = _inside(origin, name)
    else:
        value = origin.get(path)
    if not isinstance(value, list):
        return _key_texts([value]), False
    declared = playbook.objects.get(kind)
    # A list of lines names each object by the kind's own key.
    key = declared.key if declared else ""
    return _key_texts(line.get(key) if isinstance(line, dict) else line for line in value), True


def _inside(fields: Mapping[str, Any], path: str) -> Any:
    """Return the value of a field, or (`lines.product_id`) the list of that field of each line."""
    name, _, inner = path.partition(".")
    value = fields.get(name)
    if not inner:
        return value
    return [line.get(inner) for line in value if isinstance(line, dict)] if isinstance(value, list) else None


def _key_texts(values: Iterable[Any]) -> list[str]:
    """Return the keys among the values, each once."""
    return [key for key in dict.fromkeys(map(key_text, values)) if key is not None]


# ---- what is not fresh -----------------------------------------------------------------------------------


#: (contact, measure, or "" for what was read) -> the objects.
_Known = dict[tuple[int, str], set[store.Thing]]


def _load_hidden(
    connection: sa.Connection, mails: Iterable[MailObjects], playbook: Playbook
) -> Callable[[MailObjects, ObjectList], set[str]]:
    """Return a function that gives the keys which a fresh list leaves out: read by the person, or shown to them."""
    asking = [mail for mail in mails if any(rule.fresh for rule in mail.measure.lists.values())]
    known: _Known = {}
    if asking:
        members = sorted({member for mail in asking for member in mail.member_ids})
        kinds = {rule.kind for mail in asking for rule in mail.measure.lists.values() if rule.fresh}
        readable = [playbook.objects[kind] for kind in sorted(kinds) if kind in playbook.objects]
        _add_read(known, connection, members, readable)
        for row in store.load_shown(connection, members, {name for mail in asking for name in _roots(mail)}):
            known.setdefault((row.contact_id, row.measure), set()).add((row.kind, row.key))

    def hidden(mail: MailObjects, rule: ObjectList) -> set[str]:
        if not rule.fresh:
            return set()
        places = [(member, name) for member in mail.member_ids for name in ("", *_roots(mail))]
        return {key for place in places for kind, key in known.get(place, ()) if kind == rule.kind}

    return hidden


def _add_read(
    known: _Known, connection: sa.Connection, members: Sequence[int], kinds: Sequence[ObjectKind]
) -> None:
    """Add the objects of these kinds that the contacts have read."""
    names = {name for kind in kinds for name in kind.read_by}
    for contact, event, properties in store.load_read_events(connection, members, names) if names else ():
        for kind in kinds:
            keys = keys_in(properties, kind.key) if event in kind.read_by else ()
            known.setdefault((contact, ""), set()).update((kind.kind, key) for key in keys)


def _roots(mail: MailObjects) -> tuple[str, ...]:
    """Return the measures whose mails count as this one's: its own, and the one that was handed over to it."""
    return (mail.measure.root, mail.began_as) if mail.began_as else (mail.measure.root,)
