"""Saving advances with the actions that they decided, and carrying these out in the same transaction.

An event that a measure hands in enters the inbox here, under the action's key as message id: it is applied once,
however often the transaction is tried. A topic that a measure ends is withdrawn here and told as an event, so that the
guard knows at once and the person's history too. A case that a measure opens is opened and announced here;
`feedback.owner_mails` makes the mail to its owner, from the newest state.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent.queries import add_consents
from nurture.contacts.accept import NewEvent, accept, quarantine, reject_event
from nurture.contacts.action_queries import StoredAction, add_actions, set_action_data, settle_actions
from nurture.contacts.save_queries import save
from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.database.notifications import FEEDBACK, note
from nurture.domain.contact import Advance
from nurture.domain.counts import Counts
from nurture.domain.event import BY_MEASURE, Identity, depth_context
from nurture.domain.feedback import SOURCE
from nurture.domain.measure.planned_actions import ActionStatus
from nurture.domain.playbook import Playbook
from nurture.feedback.measure_cases import MeasureCase, announcement, open_cases
from nurture.feedback.queries import load_names
from nurture.feedback.reply_queries import living_of_many
from nurture.journey.enrolment_queries import enrol

_WITHDRAWN: Final = "Consent Withdrawn"
_MESSAGE_ID_MAX: Final = 200


def save_and_carry_out(
    connection: sa.Connection,
    advances: Sequence[Advance],
    playbook: Playbook,
    *,
    new: Mapping[int, str | None] | None = None,
) -> Counts:
    """Write the advances as `save` does, enrol the people of begun runs, and carry out actions.

    Returns the counts with `enrolled` and `actions`.
    """
    counts = save(connection, advances, new=new)
    counts["enrolled"] = enrol(connection, advances, playbook)
    stored = add_actions(connection, advances)
    counts["actions"] = len(stored)
    if stored:
        _carry_out(connection, stored)
    return counts


def _carry_out(connection: sa.Connection, stored: Sequence[StoredAction]) -> None:
    waiting = [item for item in stored if item.action.status == "waiting" and item.action.kind != "notify"]
    receivers = _referrers(connection, stored)
    names = load_names(connection, sorted({item.contact for item in stored} | set(receivers.values())))
    _open_cases(connection, stored, names)
    refused = {item.id: reason for item in waiting if (reason := _refusal(item, receivers, names))}
    accept(
        connection,
        [
            _event(item, names[receivers.get(item.id, item.contact)])
            for item in waiting
            if receivers.get(item.id, item.contact) in names and item.id not in refused
        ],
    )
    ends = [item for item in waiting if item.action.kind == "end_topic"]
    if ends:
        add_consents(connection, [_withdrawal(item) for item in ends])
    settle_actions(
        connection,
        [(item.id, *(refused.get(item.id) or ("done", "")), item.action.decided_at) for item in waiting],
    )
    quarantine(
        connection,
        [
            reject_event(_event(item, names[receivers.get(item.id, item.contact)]), "rule", _TOO_DEEP)
            for item in stored
            if item.action.reason == "too_deep"
            and item.action.kind != "notify"
            and receivers.get(item.id, item.contact) in names
        ],
    )


def _referrers(connection: sa.Connection, stored: Sequence[StoredAction]) -> dict[int, int]:
    """Return action -> the living contact of the referrer, for events about that one."""
    wanted = {
        item.id: contact for item in stored if (contact := item.action.data.get("referrer")) is not None
    }
    living = living_of_many(connection, sorted(set(wanted.values())))
    return {action: living.get(contact, contact) for action, contact in wanted.items()}


def _refusal(
    item: StoredAction, receivers: Mapping[int, int], names: Mapping[int, Identity]
) -> tuple[ActionStatus, str] | None:
    """Return status and reason of an action that cannot be carried out; None for one that can."""
    if item.id in receivers:
        if receivers[item.id] == item.contact:
            return "skipped", "self_referral"
        return None if receivers[item.id] in names else ("skipped", "no_referrer")
    return None if item.contact in names or item.action.kind == "end_topic" else ("failed", "no_identity")


def _open_cases(
    connection: sa.Connection, stored: Sequence[StoredAction], names: Mapping[int, Identity]
) -> None:
    """Open and announce the cases of owners who are to be told, and notify the worker that tells them."""
    notified = [item for item in stored if item.action.status == "waiting" and item.action.kind == "notify"]
    if notified:
        note(connection, FEEDBACK, "")
    wanted = {item.id: _case(item) for item in notified if "due_at" in item.action.data}
    if not wanted:
        return
    numbers = open_cases(connection, list(wanted.values()))
    of_cases = [item for item in notified if item.id in wanted]
    set_action_data(
        connection, [(item.id, {**item.action.data, "case": numbers[item.id]}) for item in of_cases]
    )
    accept(
        connection,
        [
            announcement(wanted[item.id], numbers[item.id], names[item.contact], key=_message_id(item))
            for item in of_cases
            if item.contact in names
        ],
    )


def _case(item: StoredAction) -> MeasureCase:
    action = item.action
    return MeasureCase(
        item.id,
        item.contact,
        action.measure,
        next(iter(action.data["to"]), ""),
        action.decided_at,
        action.data["due_at"],
        action.data.get("event_id", 0),
        action.depth,
    )


_TOO_DEEP: Final = "events that measures handed in led to each other eight times: their rules form a circle"


def _event(item: StoredAction, identity: Identity) -> NewEvent:
    action = item.action
    is_end = action.kind == "end_topic"
    properties: dict[str, Any] = (
        {"topic": action.data["topic"], "reason": f"sunset by {action.measure}"}
        if is_end
        else action.data["properties"]
    )
    return NewEvent(
        # The consent is written already, as by our own feedback.
        source=SOURCE if is_end else BY_MEASURE,
        message_id=_message_id(item),
        kind="track",
        name=_WITHDRAWN if is_end else action.data["event"],
        occurred_at=action.decided_at,
        received_at=action.decided_at,
        identities=(identity,),
        properties=properties,
        context={} if is_end else depth_context(action.depth),
    )


def _message_id(item: StoredAction) -> str:
    action = item.action
    text = f"{item.contact}:{action.measure}:{action.run_key}:{action.step}"
    if len(text) <= _MESSAGE_ID_MAX:
        return text
    return f"{item.contact}:{blake2b(text.encode(), digest_size=16).hexdigest()}"


def _withdrawal(item: StoredAction) -> Row:
    action = item.action
    return {
        "contact_id": item.contact,
        "topic": action.data["topic"],
        "state": "withdrawn",
        "at": action.decided_at,
        "source": BY_MEASURE,
        "evidence": encode({"because": f"sunset by {action.measure}", "step": action.step}),
    }
