"""Actions: one row for each step decided that sends no mail, and the states it may be in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from nurture.domain.instant import Instant

ActionKind = Literal["emit", "end_topic", "notify"]
ActionStatus = Literal["waiting", "done", "skipped", "failed", "cancelled"]

#: status -> what it means.
ACTION_STATES: Final[Mapping[ActionStatus, str]] = {
    "waiting": "decided and not carried out yet",
    "done": "carried out",
    "skipped": "not carried out, with the reason",
    "failed": "refused, with the reason",
    "cancelled": "ended before it was carried out",
}
#: Reason of a status -> what it means.
ACTION_REASONS: Final[Mapping[str, str]] = {
    "holdout": "the run is held back to measure the effect",
    "historic": "an event of history decided it, and history carries out nothing",
    "erased": "the person was erased before it was carried out",
    "no_identity": "the person has no name any more under which an event can be handed in",
    "too_deep": "events that measures handed in have led to each other eight times",
    "no_referrer": "the person came by nobody's link, or by that of somebody who was erased",
    "self_referral": "the person came by a link of their own",
    "no_owner": "the playbook has none of these owners any more",
    "only_to": "the owners are not on the list of addresses that may be mailed at all",
    "not_rendered": "a value of its text was missing; the owner was mailed what is known without the text",
}
#: Events that measures hand in may lead to each other so often; deeper, the rules form a circle.
DEPTH_MAX: Final = 8


@dataclass(slots=True)
class PlannedAction:
    """An action that `advance` decided; unique by (contact, measure, run key, step)."""

    measure: str
    run_key: str
    step: str
    kind: ActionKind
    decided_at: Instant
    # The work: `event`, `properties` and maybe `referrer`; `topic`; or `mail`, `to`, `due_at` and `event_id`.
    data: dict[str, Any] = field(default_factory=dict)
    status: ActionStatus = "waiting"
    reason: str = ""
    # How many events of measures led to it, one after the other, with its own.
    depth: int = 1
