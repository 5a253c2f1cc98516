"""What the public pages do: each act writes consent or suppression and puts its event beside it, in one transaction.

A token names a contact as it was when the mail was written; here it leads to whoever that person is now.
Every act may be repeated: what is so already is left alone, and makes no second event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from nurture.consent.preference_queries import wish_rows
from nurture.consent.queries import consent_rows, is_wording, join_rows, keep_wording
from nurture.consent.record import grant, unsubscribe, wish
from nurture.contacts.accept import NewEvent, accept, shard_for
from nurture.database.engine import decode
from nurture.database.schema import contacts, identities, messages, runs
from nurture.domain.consent.permissions import EVERYTHING, State, state_of, states
from nurture.domain.consent.preferences import Wishes, WishKind, wishes
from nurture.domain.consent.wording import Wording
from nurture.domain.event import IDENTITY_KINDS, OWN_PAGES, EventKind, Identity
from nurture.domain.instant import DAY, Instant, to_iso

#: The source of events that people cause on the public pages.
SOURCE = OWN_PAGES


@dataclass(frozen=True, slots=True)
class Person:
    """Who stands before the page."""

    id: int
    email: str | None
    locale: str | None
    consents: Mapping[str, State]
    zone: str | None = None
    wishes: Wishes = field(default_factory=Wishes)

    def state(self, topic: str | None) -> State | None:
        """Return what the person last said about a topic, or (None) about everything."""
        return state_of(self.consents, topic)

    def has_stopped(self, topic: str | None) -> bool:
        """Tell whether the topic, or (None) every single one, is withdrawn already."""
        if topic is not None:
            return self.state(topic) == "withdrawn"
        return EVERYTHING in self.consents and set(self.consents.values()) == {"withdrawn"}


def find_person(connection: sa.Connection, contact_id: int) -> Person | None:
    """Return the living contact behind an id; None when it is unknown or erased."""
    survivor = sa.select(contacts.c.survivor).where(contacts.c.id == contact_id).scalar_subquery()
    row = connection.execute(
        sa.select(
            contacts.c.id, contacts.c.email, contacts.c.locale, contacts.c.zone, contacts.c.erased_at
        ).where(contacts.c.id == sa.func.coalesce(survivor, contact_id))
    ).one_or_none()
    if row is None or row.erased_at is not None:
        return None
    joins = join_rows(connection, [row.id])
    family = [row.id, *(join.merged for join in joins)]
    said = states(row.id, consent_rows(connection, family), joins)
    wished = wishes(row.id, wish_rows(connection, family), joins)
    return Person(row.id, row.email, row.locale, said, row.zone, wished)


def stop(
    connection: sa.Connection,
    person: Person,
    topic: str | None,
    *,
    now: Instant,
    evidence: Mapping[str, Any],
    suppression_key: bytes,
    wording: str = "",
) -> set[int]:
    """Withdraw a topic, or (None) everything, at once. Returns the shards whose bells to ring after the commit."""
    if person.has_stopped(topic):
        return set()
    unsubscribe(
        connection,
        contact_id=person.id,
        topic=topic,
        now=now,
        source=SOURCE,
        evidence=evidence,
        suppression_key=suppression_key,
        wording=wording,
    )
    return tell(
        connection, person, "Unsubscribed", {"topic": topic or EVERYTHING, **_mail(evidence)}, now=now
    )


def agree(
    connection: sa.Connection,
    person: Person,
    topic: str,
    *,
    now: Instant,
    evidence: Mapping[str, Any],
    suppression_key: bytes,
    wording: str = "",
) -> set[int]:
    """Note that the person confirmed a topic by their own act. Returns the shards whose bells to ring."""
    if person.state(topic) == "granted":
        return set()
    grant(
        connection,
        contact_id=person.id,
        topic=topic,
        now=now,
        source=SOURCE,
        evidence=evidence,
        suppression_key=suppression_key,
        wording=wording,
    )
    return tell(connection, person, "Topic Confirmed", {"topic": topic, **_mail(evidence)}, now=now)


def _mail(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the event keeps of the evidence: which mail's link it was."""
    return {"message": evidence["message"]} if "message" in evidence else {}


def shown_wording(connection: sa.Connection, now_shown: Wording, claimed: str, *, now: Instant) -> str:
    """Return the version of the words that the person saw, and keep those words; "" when they are not known.

    claimed: what the form they sent says of itself. A page may have changed since it was shown.
    """
    if claimed == now_shown.version:
        keep_wording(connection, now_shown, now=now)
        return claimed
    return claimed if claimed and is_wording(connection, claimed) else ""


def ask(
    connection: sa.Connection,
    person: Person,
    wanted: Mapping[WishKind, int],
    *,
    now: Instant,
    evidence: Mapping[str, Any],
) -> set[int]:
    """Note what the person asks of all marketing mail; what holds already is left alone. Returns the shards."""
    held: Mapping[WishKind, int] = {
        "often": person.wishes.often,
        "pause": person.wishes.pause if person.wishes.pause > now else 0,
        "tracking": int(person.wishes.untracked),
    }
    changed = {kind: value for kind, value in wanted.items() if value != held[kind]}
    if not changed:
        return set()
    wish(connection, contact_id=person.id, wanted=changed, now=now, source=SOURCE, evidence=evidence)
    told: dict[str, Any] = dict(_mail(evidence))
    if "often" in changed:
        told["days_between"] = changed["often"] // DAY
    if "pause" in changed:
        told["paused_until"] = to_iso(changed["pause"]) if changed["pause"] else ""
    if "tracking" in changed:
        told["tracking"] = not changed["tracking"]
    return tell(connection, person, "Preferences Changed", told, now=now)


def choose(
    connection: sa.Connection, person: Person, *, locale: str | None, zone: str | None, now: Instant
) -> set[int]:
    """Note the language and the time zone that the person chose; None leaves one alone. Returns the shards."""
    traits: dict[str, Any] = {}
    if locale is not None and locale != person.locale:
        traits["locale"] = locale
    if zone is not None and zone != person.zone:
        traits["timezone"] = zone
    if not traits:
        return set()
    return tell(connection, person, "Identified", {}, now=now, kind="identify", traits=traits)


def tell(
    connection: sa.Connection,
    person: Person,
    name: str,
    properties: Mapping[str, Any],
    *,
    now: Instant,
    message_id: str | None = None,
    kind: EventKind = "track",
    traits: Mapping[str, Any] | None = None,
    also: tuple[Identity, ...] = (),
) -> set[int]:
    """Put an event of the person into the inbox. Returns the shards whose bells to ring after the commit.

    also: further names that the act has shown to be theirs.
    """
    rank = sa.case({kind: place for place, kind in enumerate(IDENTITY_KINDS)}, value=identities.c.kind)
    known = connection.execute(
        sa.select(identities.c.kind, identities.c.value)
        .where(identities.c.contact_id == person.id)
        .order_by(rank, identities.c.since, identities.c.value)
        .limit(1)
    ).one_or_none()
    if known is None:
        return set()
    names = {Identity(known.kind, known.value): None} | dict.fromkeys(also)
    previous = None
    if known.kind in {name.kind for name in also}:
        # An event has one name of a kind: the one before is told as what they were called until now.
        names, previous = dict.fromkeys(also), known.value
    event = NewEvent(
        source=SOURCE,
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
    return {shard_for(event)}


def answer_survey(
    connection: sa.Connection,
    person: Person,
    *,
    survey: str,
    answer: str,
    comment: str,
    message: int | None,
    now: Instant,
) -> set[int]:
    """Record an answer: a number from 0 to 10 is a `score`, anything else an `answer`.

    The same answer to the same mail is one event however often it is sent; another answer is a newer one.
    """
    properties: dict[str, Any] = {"survey": survey}
    if (score := score_of(answer)) is not None:
        properties["score"] = score
    else:
        properties["answer"] = answer
    if comment:
        properties["comment"] = comment
    if message is not None:
        properties["message"] = message
    digest = blake2b(f"{survey}\n{answer}\n{comment}".encode(), digest_size=8).hexdigest()
    message_id = f"survey:{person.id}:{message or 0}:{digest}"
    return tell(connection, person, "Survey Answered", properties, now=now, message_id=message_id)


def score_of(answer: str) -> int | None:
    """Return the number of an answer from 0 to 10, None for any other answer."""
    return (
        int(answer)
        if answer.isascii() and answer.isdigit() and len(answer) <= 2 and int(answer) <= 10
        else None
    )


def measure_of(connection: sa.Connection, message: int | None) -> str:
    """Return the name (last part of the path) of the measure whose mail this was; empty when it is unknown."""
    path = connection.scalar(sa.select(messages.c.measure).where(messages.c.id == message))
    return str(path).rsplit("/", 1)[-1] if path else ""


def asked_topic(connection: sa.Connection, message: int | None) -> str | None:
    """Return the topic that the event behind a confirmation mail asked for; None when there was none."""
    data = connection.scalar(
        sa.select(runs.c.data)
        .join(
            messages,
            sa.and_(
                messages.c.contact_id == runs.c.contact_id,
                messages.c.measure == runs.c.measure,
                messages.c.run_key == runs.c.key,
            ),
        )
        .where(messages.c.id == message)
    )
    topic = decode(data).get("properties", {}).get("topic") if data else None
    return topic if isinstance(topic, str) else None
