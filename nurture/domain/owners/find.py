"""Owners by name: who signs a mail, and who has a case in hand."""

from collections.abc import Mapping
from typing import Any, Final

from nurture.domain.owners.model import Owner
from nurture.domain.placeholders import is_placeholder_name

#: Words that support desks write as the owner of a case that nobody has taken.
_NOBODY: Final = frozenset({"unassigned", "not assigned", "nobody", "no one", "queue", "inbox"})


def find_owner(owners: Mapping[str, Owner], name: str, names: Mapping[str, Any]) -> Owner | None:
    """Return the owner that is named directly, or by a fact (`contact.FACT`) whose value is an owner's name.

    names: the values of templates (`domain.facts.view`). None when the value names no owner.
    """
    root, _, field = name.partition(".")
    if not field:
        return owners.get(name)
    return _named(owners, _text(names, root, field))


def owner_of_run(owners: Mapping[str, Owner], names: Mapping[str, Any]) -> dict[str, str] | None:
    """Return {"name"}, of a declared owner also {"address"}: the `owner` or `agent` of the run's entity or event.

    The entity is asked first, because its value is the newest. A text that names no declared owner is taken as the
    name to print, unless it is an address or stands for nobody (`unassigned`, `null`): then the answer is None.
    """
    places = [(root, field) for root in ("entity", "event") for field in ("owner", "agent")]
    text = next((found for root, field in places if (found := _text(names, root, field))), "")
    owner = _named(owners, text)
    if owner is not None:
        return {"name": owner.name, "address": owner.address}
    is_name = text and "@" not in text and "://" not in text
    return (
        {"name": text} if is_name and text.lower() not in _NOBODY and not is_placeholder_name(text) else None
    )


def _named(owners: Mapping[str, Owner], text: str) -> Owner | None:
    return owners.get(key_of(text, {key: owner.address for key, owner in owners.items()}))


def key_of(text: str, addresses: Mapping[str, str]) -> str:
    """Return the owner whose key or address the text is; "" for none. addresses: owner -> its address."""
    if text in addresses:
        return text
    lowered = text.lower()
    return next((key for key, address in addresses.items() if text and address.lower() == lowered), "")


def _text(names: Mapping[str, Any], root: str, field: str) -> str:
    values = names.get(root)
    value = values.get(field) if isinstance(values, Mapping) else None
    return value.strip() if isinstance(value, str) else ""
