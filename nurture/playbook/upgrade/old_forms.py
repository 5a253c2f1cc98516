"""Find the old forms in `playbook.yaml`: they mean what they meant, and are written differently today."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

from nurture.playbook.check.compared_texts import required_texts
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults
from nurture.playbook.schema.facts import FOLDS
from nurture.playbook.upgrade import rewrites
from nurture.playbook.upgrade.conversion import read_conversion, write_conversion
from nurture.playbook.upgrade.matchers import event_pairs

_COMMAND = "run `nurture playbook upgrade`, which writes"


@dataclass(frozen=True, slots=True)
class OldForm:
    """One old form, where it stands, and how it is written today."""

    loc: Loc
    what: str
    change: str
    # Text of the file -> text with the new form; None: by hand.
    rewrite: Callable[[str], str] | None = None


def find_old_forms(data: Mapping[str, Any]) -> list[OldForm]:
    """Return the old forms of a `playbook.yaml`, in the order in which they are rewritten. data: its plain values."""
    return [*_entity_facts(data), *_personas(data), *_conversion(data)]


def warn_of_old_forms(document: Document, faults: Faults) -> None:
    """Add a warning for each old form of a `playbook.yaml`."""
    for form in find_old_forms(document.data):
        faults.warn(document, form.loc, form.what, form.change)


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = data.get(name)
    return section if isinstance(section, dict) else {}


def _entity_facts(data: Mapping[str, Any]) -> Iterator[OldForm]:
    """Yield the entities among the facts, the last one first: each is put before the ones that are there."""
    names = [name for name, fact in _section(data, "facts").items() if _fold(fact) == "entity"]
    for name in reversed(names):
        what = f"`{name}` is an entity among the facts"
        if name in _section(data, "entities"):
            yield OldForm(("facts", name), what, "remove it there: it stands under `entities` too")
        else:
            change = f"{_COMMAND} it under `entities`"
            yield OldForm(("facts", name), what, change, partial(rewrites.move_entity, name=name))


def _fold(fact: object) -> str | None:
    return next((fold for fold in FOLDS if fold in fact), None) if isinstance(fact, dict) else None


def _personas(data: Mapping[str, Any]) -> Iterator[OldForm]:
    personas = _section(data, "personas")
    if not personas:
        return
    what = "`personas` is the old form of a label"
    pairs = next((pair for pair in combinations(personas, 2) if _may_differ(personas, *pair)), None)
    if "persona" in _section(data, "facts"):
        change = "remove one of the two: there is a fact `persona` too"
        yield OldForm(("personas",), what, change)
    elif pairs is not None:
        change = (
            f"write the fact `persona` as a label by hand: one event may speak for {pairs[0]} and for {pairs[1]}, "
            f"and a label then takes {max(pairs)}"
        )
        yield OldForm(("personas",), what, change)
    else:
        change = f"{_COMMAND} the fact `persona` with a `label`"
        yield OldForm(("personas",), what, change, rewrites.personas_to_label)


def _may_differ(personas: Mapping[str, Any], first: str, second: str) -> bool:
    """Tell whether one event may be for both: of `personas` the first one counts, of a label the greater text."""
    if first > second:
        return False
    return any(
        mine == other and not _exclude_each_other(where, other_where)
        for mine, where in event_pairs(personas[first])
        for other, other_where in event_pairs(personas[second])
    )


def _exclude_each_other(where: str, other: str) -> bool:
    """Tell whether two conditions ask for two different texts of the same property."""
    mine = dict(required_texts(where))
    return any(mine.get(name, text) != text for name, text in required_texts(other))


def _conversion(data: Mapping[str, Any]) -> Iterator[OldForm]:
    converting = read_conversion(data)
    if converting is None:
        return
    what = "`conversion` by events with a `key` is an old form"
    change = f"{_COMMAND} `by: {converting.kind}`, an entity that counts and is reversed by these events"
    yield OldForm(("conversion",), what, change, partial(write_conversion, converting=converting))
