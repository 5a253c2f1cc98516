"""Acts of a person on the public pages: each writes consent or suppression and its event in one transaction.

A token names the contact for which the mail was written; `find_page_contact` follows merges to the living one.
Every act may be repeated: an act that changes nothing writes nothing, and adds no second event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

import sqlalchemy as sa

from nurture.consent import page_queries
from nurture.consent.load_permissions import load_family_consents, load_permissions
from nurture.consent.queries import is_wording_stored, lock_living_contact, store_wording
from nurture.consent.record import grant_consent, set_preferences, unsubscribe
from nurture.consent.subjects import find_subject
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.identity_queries import confirm_address
from nurture.contacts.state_codec import decode_run_data
from nurture.domain.consent.permissions import (
    EVERYTHING,
    ConsentState,
    find_withdrawal,
    state_for_topic,
)
from nurture.domain.consent.preferences import PreferenceKind, Preferences
from nurture.domain.consent.wording import Wording
from nurture.domain.event import OWN_PAGES, EventKind, Identity
from nurture.domain.feedback import CONFIRMABLE
from nurture.domain.instant import DAY, Instant, to_iso

#: Why a confirmation link grants nothing.
Obstacle = Literal["spent", "suppressed"]
#: The source of events that people cause on the public pages.
SOURCE = OWN_PAGES


@dataclass(frozen=True, slots=True)
class PageContact:
    """The living contact whose token opened a public page, with their permissions."""

    id: int
    email: str | None
    locale: str | None
    consents: Mapping[str, ConsentState]
    zone: str | None = None
    preferences: Preferences = field(default_factory=Preferences)

    def state(self, topic: str | None) -> ConsentState | None:
        """Return the state of a topic, or (None) of everything; None when the person never said anything about it."""
        return state_for_topic(self.consents, topic)

    def has_stopped(self, topic: str | None) -> bool:
        """Tell whether the topic, or (None) every topic, is withdrawn already."""
        if topic is not None:
            return self.state(topic) == "withdrawn"
        return EVERYTHING in self.consents and set(self.consents.values()) == {"withdrawn"}


def find_page_contact(connection: sa.Connection, contact_id: int) -> PageContact | None:
    """Return the living contact of an id, following merges; None when it is unknown or erased."""
    row = page_queries.load_living_contact(connection, contact_id)
    if row is None or row.erased_at is not None:
        return None
    permissions = load_permissions(connection, [row.id])[row.id]
    return PageContact(row.id, row.email, row.locale, permissions.consents, row.zone, permissions.preferences)


@dataclass(frozen=True, slots=True)
class PageAct:
    """The instant of an act on a public page, its evidence, and the version of the words that the person saw."""

    now: Instant
    evidence: Mapping[str, Any]
    suppression_key: bytes
    wording: str = ""

    def event_properties(self) -> dict[str, Any]:
        """Return the part of the evidence that an event keeps: the message whose link was followed."""
        return _event_evidence(self.evidence)


def withdraw_topic(connection: sa.Connection, person: PageContact, topic: str | None, act: PageAct) -> None:
    """Withdraw a topic, or (None) everything."""
    if person.has_stopped(topic):
        return
    unsubscribe(
        connection,
        contact_id=person.id,
        topic=topic,
        now=act.now,
        source=SOURCE,
        evidence=act.evidence,
        suppression_key=act.suppression_key,
        wording=act.wording,
        mailed=page_queries.load_mailed_contact(connection, act.evidence.get("message"), person.id),
    )
    properties = {"topic": topic or EVERYTHING, **act.event_properties()}
    add_page_event(connection, person, "Unsubscribed", properties, now=act.now)


def confirm_request(
    connection: sa.Connection, person: PageContact, topic: str, act: PageAct
) -> Obstacle | None:
    """Grant the topic that the mail of the act's evidence asked about; or return what stands against it."""
    lock_living_contact(connection, person.id)
    message = act.evidence.get("message")
    obstacle = find_obstacle(connection, person, topic, message, act.suppression_key)
    if obstacle is None:
        confirm_topic(connection, person, topic, act)
    return obstacle


def confirm_topic(connection: sa.Connection, person: PageContact, topic: str, act: PageAct) -> None:
    """Record that the person confirmed a topic by their own act."""
    if person.state(topic) == "granted":
        return
    grant_consent(
        connection,
        contact_id=person.id,
        topic=topic,
        now=act.now,
        source=SOURCE,
        evidence=act.evidence,
        suppression_key=act.suppression_key,
        wording=act.wording,
    )
    if person.email is not None:
        confirm_address(connection, person.id, person.email)
    add_page_event(
        connection, person, "Topic Confirmed", {"topic": topic, **act.event_properties()}, now=act.now
    )


def find_obstacle(
    connection: sa.Connection, person: PageContact, topic: str, message: int | None, suppression_key: bytes
) -> Obstacle | None:
    """Return why a confirmation link may grant nothing: its request is spent, or no yes lifts a suppression."""
    if is_request_spent(connection, person, topic, message):
        return "spent"
    subject = find_subject(connection, f"contact:{person.id}", suppression_key=suppression_key)
    reasons = {row.reason for row in subject.load_holding(connection)}
    return None if reasons <= set(CONFIRMABLE) else "suppressed"


def is_request_spent(connection: sa.Connection, person: PageContact, topic: str, message: int | None) -> bool:
    """Tell whether a confirmation link may grant nothing any more: the person withdrew the topic after asking.

    message: the mail with the link. A confirmation answers one request; any later withdrawal of the topic, or of
    everything, spends it, also when the person had confirmed before.
    """
    rows = load_family_consents(connection, person.id)
    asked_at = page_queries.load_request_instant(connection, message)
    if asked_at is None:
        # The mail is in no ledger any more: the request is as old as its first answer, or as the newest request.
        members = sorted({row.contact_id for row in rows})
        asked_at = page_queries.load_first_grant(connection, members, topic, message)
    if asked_at is None:
        asked_at = max((row.at for row in rows if (row.topic, row.state) == (topic, "pending")), default=None)
    return asked_at is not None and find_withdrawal(rows, topic, since=asked_at) is not None


def _event_evidence(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {"message": evidence["message"]} if "message" in evidence else {}


def store_shown_wording(connection: sa.Connection, current: Wording, claimed: str, *, now: Instant) -> str:
    """Return the version of the words that the person saw, and store those words; "" when they are not known.

    claimed: the version that the submitted form names. The page may have changed since it was shown.
    """
    if claimed == current.version:
        store_wording(connection, current, now=now)
        return claimed
    return claimed if claimed and is_wording_stored(connection, claimed) else ""


def change_preferences(
    connection: sa.Connection,
    person: PageContact,
    wanted: Mapping[PreferenceKind, int],
    *,
    now: Instant,
    evidence: Mapping[str, Any],
) -> None:
    """Record the preferences that differ from the present ones.

    wanted: kind -> value (`domain.consent.preferences`).
    """
    preferences = person.preferences
    present: Mapping[PreferenceKind, int] = {
        "often": preferences.min_gap,
        "pause": preferences.paused_until if preferences.paused_until > now else 0,
        "tracking": int(preferences.untracked),
    }
    changed = {kind: value for kind, value in wanted.items() if value != present[kind]}
    if not changed:
        return
    set_preferences(
        connection, contact_id=person.id, values=changed, now=now, source=SOURCE, evidence=evidence
    )
    properties: dict[str, Any] = dict(_event_evidence(evidence))
    if "often" in changed:
        properties["days_between"] = changed["often"] // DAY
    if "pause" in changed:
        properties["paused_until"] = to_iso(changed["pause"]) if changed["pause"] else ""
    if "tracking" in changed:
        properties["tracking"] = not changed["tracking"]
    add_page_event(connection, person, "Preferences Changed", properties, now=now)


def choose_locale_and_zone(
    connection: sa.Connection, person: PageContact, *, locale: str | None, zone: str | None, now: Instant
) -> None:
    """Record the language and the time zone that the person chose.

    None leaves a value as it is.
    """
    traits: dict[str, Any] = {}
    if locale is not None and locale != person.locale:
        traits["locale"] = locale
    if zone is not None and zone != person.zone:
        traits["timezone"] = zone
    if not traits:
        return
    add_page_event(connection, person, "Identified", {}, now=now, kind="identify", traits=traits)


def add_page_event(
    connection: sa.Connection,
    person: PageContact,
    name: str,
    properties: Mapping[str, Any],
    *,
    now: Instant,
    message_id: str | None = None,
    kind: EventKind = "track",
    traits: Mapping[str, Any] | None = None,
    also: tuple[Identity, ...] = (),
    source: str = SOURCE,
) -> None:
    """Put an event of the person into the inbox.

    also: further identities that the act has proved to be theirs. source: one of those that write consent
    themselves (`from_events`).
    """
    known = page_queries.load_strongest_identity(connection, person.id)
    if known is None:
        return
    names = {Identity(known.kind, known.value): None} | dict.fromkeys(also)
    previous = None
    if known.kind in {name.kind for name in also}:
        # An event has one identity of a kind: the earlier one goes into `previous_id`.
        names, previous = dict.fromkeys(also), known.value
    event = NewEvent(
        source=source,
        message_id=message_id or f"{name}:{person.id}:{properties.get('topic', '')}:{now}",
        kind=kind,
        name=name,
        occurred_at=now,
        received_at=now,
        identities=tuple(names),
        previous_id=previous,
        properties=properties,
        traits=traits or {},
    )
    accept(connection, [event])


def answer_survey(
    connection: sa.Connection,
    person: PageContact,
    *,
    survey: str,
    answer: str,
    comment: str,
    message: int | None,
    now: Instant,
) -> None:
    """Record an answer to a survey: a number from 0 to 10 is a `score`, anything else an `answer`.

    The same answer to the same mail is one event however often it is sent.
    """
    properties: dict[str, Any] = {"survey": survey}
    if (score := parse_score(answer)) is not None:
        properties["score"] = score
    else:
        properties["answer"] = answer
    if comment:
        properties["comment"] = comment
    if message is not None:
        properties["message"] = message
    digest = blake2b(f"{survey}\n{answer}\n{comment}".encode(), digest_size=8).hexdigest()
    message_id = f"survey:{person.id}:{message or 0}:{digest}"
    add_page_event(connection, person, "Survey Answered", properties, now=now, message_id=message_id)


def parse_score(answer: str) -> int | None:
    """Return an answer as a number from 0 to 10, None for any other answer."""
    return (
        int(answer)
        if answer.isascii() and answer.isdigit() and len(answer) <= 2 and int(answer) <= 10
        else None
    )


def load_measure_name(connection: sa.Connection, message: int | None) -> str:
    """Return the name (last part of the path) of the message's measure; empty when the message is unknown."""
    path = page_queries.load_measure(connection, message)
    return path.rsplit("/", 1)[-1] if path else ""


def find_requested_topic(connection: sa.Connection, message: int | None) -> str | None:
    """Return the topic to confirm, from the event that started a confirmation mail; None without one."""
    data = page_queries.load_run_data(connection, message)
    topic = decode_run_data(data).origin.properties.get("topic") if data else None
    return topic if isinstance(topic, str) else None
