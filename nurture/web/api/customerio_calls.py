"""Translate calls of Customer.io's Track API into calls of Segment's API. Pure, no I/O."""

from collections.abc import Mapping
from typing import Any

#: Customer.io's trait names -> the names of Segment's specification, which playbooks use.
_TRAIT_NAMES = {"first_name": "firstName", "last_name": "lastName", "created_at": "createdAt"}


def identify_call(identifiers: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identify call of a person's attributes."""
    traits = {_TRAIT_NAMES.get(name, name): value for name, value in attributes.items()}
    if "email" in identifiers:
        traits.setdefault("email", identifiers["email"])
    context = {"timezone": attributes.get("timezone"), "locale": attributes.get("language")}
    anonymous_id = identifiers.get("anonymous_id") or traits.pop("anonymous_id", None)
    return {
        "type": "identify",
        "userId": identifiers.get("id"),
        "anonymousId": anonymous_id,
        "traits": traits,
        "context": context,
    }


def event_call(identifiers: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the track or page call of an event."""
    call: dict[str, Any] = {
        "type": "track",
        "userId": identifiers.get("id"),
        "anonymousId": identifiers.get("anonymous_id"),
        "event": item.get("name"),
        "properties": item.get("data", item.get("attributes")),
        "messageId": item.get("id"),
        "timestamp": item.get("timestamp"),
    }
    if item.get("type") in ("page", "screen"):
        call |= {"type": item["type"], "name": item.get("name")}
    if "email" in identifiers:
        call["context"] = {"traits": {"email": identifiers["email"]}}
    return call


def alias_call(item: Mapping[str, Any]) -> dict[str, Any] | str:
    """Return the call of a merge (the secondary person becomes the primary), or the reason why it is refused."""
    primary, secondary = mapping(item.get("primary")), mapping(item.get("secondary"))
    before = secondary.get("id") or secondary.get("email")
    if before is None or not (primary.get("id") or primary.get("email")):
        return "merge: give primary and secondary, each with id or email (cio_id is not known here)"
    call: dict[str, Any] = {"type": "alias", "userId": primary.get("id"), "previousId": before, "merge": True}
    if "email" in primary:
        call["context"] = {"traits": {"email": primary["email"]}}
    return call


def translate_item(item: Any) -> dict[str, Any] | str:
    """Return the call of one item of a batch, or the reason why it is refused."""
    item = mapping(item)
    identifiers = mapping(item.get("identifiers"))
    if item.get("type") != "person":
        return f"type: {item.get('type')!r:.40} is not supported; write person"
    action = item.get("action")
    if action == "merge":
        return alias_call(item)
    if not any(identifiers.get(name) for name in ("id", "email", "anonymous_id")):
        return "identifiers: give id, email or anonymous_id"
    match action:
        case "identify":
            return identify_call(identifiers, mapping(item.get("attributes")))
        case "event" | "page" | "screen" as action:
            return event_call(identifiers, {**item, "type": action})
        case action:
            return f"action: {action!r:.40} is not supported"


def mapping(value: Any) -> dict[str, Any]:
    """Return the object, an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}
