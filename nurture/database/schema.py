"""Every table, the same for PostgreSQL and SQLite. Instants are BIGINT microseconds UTC (`domain.instant`).

Migrations under `database/migrations` build exactly these; a test compares both. Append-only tables (events,
transitions, consents, audit ...) are updated by erasure alone.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from nurture.domain.instant import FOREVER
from nurture.domain.message import STATES

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite gives rowids only to INTEGER keys.
BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
#: A document whose keys SQL reads.
Document = sa.JSON().with_variant(JSONB, "postgresql")
Instant = sa.BigInteger


def _id() -> sa.Column[int]:
    return sa.Column("id", BigId, primary_key=True, autoincrement=True)


#: Facts about this database: suppression key fingerprint, active playbook, epoch, ...
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# ---- inbox -----------------------------------------------------------------------------------------------

#: Accepted events that are not applied yet. `events` deduplicates them under the contact's lock.
inbox = sa.Table(
    "inbox",
    metadata,
    _id(),
    sa.Column("shard", sa.SmallInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("historic", sa.Boolean, nullable=False, server_default=sa.false()),
    # Canonical identities; a row without any feeds an object.
    sa.Column("user_id", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("anonymous_id", sa.Text),
    # alias only: the previous id, which joins.
    sa.Column("previous_id", sa.Text),
    # JSON text: {"properties": ..., "traits": ..., "context": ...}; opaque to SQL.
    sa.Column("body", sa.Text, nullable=False),
    # Raised and committed before the rule runs, so that a row that kills the process is found.
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    # True: told with a browser key, so it proves nothing (`domain.identity`).
    sa.Column("hint", sa.Boolean, nullable=False, server_default=sa.false()),
)
sa.Index("ix_inbox_shard_id", inbox.c.shard, inbox.c.id)
for _kind in ("user_id", "email", "phone", "anonymous_id", "previous_id"):
    _where = inbox.c[_kind].is_not(None)
    # With the id: the oldest rows of a person with a hundred thousand are found without reading all of them.
    sa.Index(f"ix_inbox_{_kind}", inbox.c[_kind], inbox.c.id, postgresql_where=_where, sqlite_where=_where)

#: A row per shard, locked to spread the drains; the shard of an event is a hash of its strongest identity.
shards = sa.Table("shards", metadata, sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False))

#: Batches whose attempts are counted: a shard's rows up to an id. Committed before they run.
trials = sa.Table(
    "trials",
    metadata,
    sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("up_to", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    _id(),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text),
    sa.Column("received_at", Instant, nullable=False),
    # shape | rule | conflict | crash | too_old; conflict_identity of earlier releases
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    # The item as received: whole where `form` says how it is handed in again, else cut to 2,000 characters.
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("contact_id", sa.BigInteger),
    # event: an event as `contacts.kept_events` writes it; call, call:KIND: a call of the Segment API that names its
    # type, or that came to the path of this kind.
    sa.Column("form", sa.Text),
    # True: a browser key told it.
    sa.Column("hint", sa.Boolean, nullable=False, server_default=sa.false()),
)
_has_contact = quarantine.c.contact_id.is_not(None)
sa.Index(
    "ix_quarantine_contact_id",
    quarantine.c.contact_id,
    postgresql_where=_has_contact,
    sqlite_where=_has_contact,
)

#: Orders, customers, payments and the like of shops: what their webhooks said of each so far (`inbound.shops.fold`).
shop_things = sa.Table(
    "shop_things",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    # SHOP:KIND:NUMBER
    sa.Column("thing", sa.Text, primary_key=True),
    # The person's canonical identities; NULL: not known.
    sa.Column("user_id", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("phone", sa.Text),
    # JSON text of `inbound.shops.fold.Thing` without its identities; opaque to SQL.
    sa.Column("state", sa.Text, nullable=False),
    # Events wait here for the person, or for the number of the order.
    sa.Column("waits", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("changed_at", Instant, nullable=False),
)
for _kind in ("user_id", "email", "phone"):
    _where = shop_things.c[_kind].is_not(None)
    sa.Index(f"ix_shop_things_{_kind}", shop_things.c[_kind], postgresql_where=_where, sqlite_where=_where)
_waits = shop_things.c.waits
sa.Index("ix_shop_things_waits", shop_things.c.changed_at, postgresql_where=_waits, sqlite_where=_waits)
sa.Index("ix_shop_things_changed_at", shop_things.c.changed_at)

# ---- identity --------------------------------------------------------------------------------------------

contacts = sa.Table(
    "contacts",
    metadata,
    _id(),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("track_since", Instant, nullable=False),
    sa.Column("stage_since", Instant, nullable=False),
    sa.Column("first_seen_at", Instant, nullable=False),
    sa.Column("zone", sa.Text),
    sa.Column("locale", sa.Text),
    # The address mail goes to: the canonical address of the newest e-mail identity; NULL after erasure.
    sa.Column("email", sa.Text),
    sa.Column("facts", Document, nullable=False),
    sa.Column("clock", Instant, nullable=False),
    sa.Column("wake_at", Instant, nullable=False, server_default=str(FOREVER)),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("adopted", sa.Text, nullable=False, server_default=""),
    # The contact that this one was merged into; every chain is one link long.
    sa.Column("survivor", sa.BigInteger),
    sa.Column("erased_at", Instant),
    sa.CheckConstraint("track IN ('lead', 'customer')", name="track"),
)
_wakes = sa.and_(contacts.c.survivor.is_(None), contacts.c.wake_at < FOREVER)
sa.Index("ix_contacts_wake_at", contacts.c.wake_at, postgresql_where=_wakes, sqlite_where=_wakes)
sa.Index(
    "ix_contacts_survivor",
    contacts.c.survivor,
    postgresql_where=contacts.c.survivor.is_not(None),
    sqlite_where=contacts.c.survivor.is_not(None),
)
sa.Index("ix_contacts_email", contacts.c.email)

contact_state = sa.Table(
    "contact_state",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # JSON text of Contact.memory; opaque to SQL.
    sa.Column("memory", sa.Text, nullable=False),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # The contact it was learnt for, before any merge; an un-merge uses it. NULL: contact_id.
    sa.Column("learnt_for", sa.BigInteger),
    # trusted | confirmed | hint: how it was told that it is this contact's.
    sa.Column("told", sa.Text, nullable=False, server_default="trusted"),
)
sa.Index("ix_identities_contact_id", identities.c.contact_id)

merges = sa.Table(
    "merges",
    metadata,
    _id(),
    sa.Column("survivor", sa.BigInteger, nullable=False),
    sa.Column("merged", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    # JSON text: the event or operator that joined them.
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("undone_at", Instant),
)
sa.Index("ix_merges_survivor", merges.c.survivor)

#: Evidence that does not suffice: two contacts that may be one person, or an event that only a hint tells.
conflicts = sa.Table(
    "conflicts",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    # The other contact; NULL for an event.
    sa.Column("other_id", sa.BigInteger),
    # user_id | email | phone | anonymous_id: what ties the two; event, shared_phone: an event that is set aside.
    sa.Column("kind", sa.Text, nullable=False),
    # `contact:OTHER` or `event:SOURCE:MESSAGE_ID`, so that a repetition adds no row.
    sa.Column("subject", sa.Text, nullable=False),
    # JSON text: the event that showed it; of an event set aside, the whole item.
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    # open | merged | separate; of an event: applied or dropped.
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    sa.Column("decided_at", Instant),
    sa.Column("decided_by", sa.Text),
    sa.UniqueConstraint("contact_id", "subject"),
    sa.CheckConstraint("state IN ('open', 'merged', 'separate')", name="state"),
)
_has_other = conflicts.c.other_id.is_not(None)
sa.Index("ix_conflicts_other_id", conflicts.c.other_id, postgresql_where=_has_other, sqlite_where=_has_other)
_undecided = conflicts.c.state == "open"
sa.Index("ix_conflicts_open", conflicts.c.id, postgresql_where=_undecided, sqlite_where=_undecided)

# ---- advance ---------------------------------------------------------------------------------------------

#: Applied events; `id` is the order of application. (source, message_id) is unique, so each is applied once.
events = sa.Table(
    "events",
    metadata,
    _id(),
    # NULL: the event named no contact and fed an object.
    sa.Column("contact_id", sa.BigInteger),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("historic", sa.Boolean, nullable=False),
    # True: told with a browser key, so it proves nothing.
    sa.Column("hint", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("source", "message_id"),
)
sa.Index("ix_events_contact_id_id", events.c.contact_id, events.c.id)

transitions = sa.Table(
    "transitions",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("noticed_at", Instant, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
)
sa.Index("ix_transitions_contact_id", transitions.c.contact_id)

milestones = sa.Table(
    "milestones",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.UniqueConstraint("contact_id", "name", "key"),
)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("entity_key", sa.Text, nullable=False),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("step_since", Instant, nullable=False),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("mailing", sa.Boolean, nullable=False),
    sa.Column("holdout", sa.Boolean, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    # JSON text: ids of the mail steps decided, in order; `planned` is counted from it.
    sa.Column("decided", sa.Text, nullable=False),
    # Written by advance and, when the first mail passes, by the guard.
    sa.Column("let", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("rules_hash", sa.Text, nullable=False),
    # The kind of the entity that `entity_key` names; "" for none.
    sa.Column("entity", sa.Text, nullable=False, server_default=""),
    # The measure in which it began, before any hand-over; "" in rows of earlier versions.
    sa.Column("began_as", sa.Text, nullable=False, server_default=""),
    # How many actions it decided; each has a row in `actions`.
    sa.Column("actions", sa.SmallInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("contact_id", "measure", "key"),
    sa.CheckConstraint("status IN ('active', 'done', 'stopped', 'cancelled')", name="status"),
)
_active = runs.c.status == "active"
sa.Index("ix_runs_active", runs.c.contact_id, postgresql_where=_active, sqlite_where=_active)
sa.Index("ix_runs_measure", runs.c.measure)

#: Steps of runs that send no mail: events that a measure hands in, consents that it ends.
actions = sa.Table(
    "actions",
    metadata,
    _id(),
    # The contact with which the run began, as in `messages`.
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("run_key", sa.Text, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    # emit | end_topic | notify
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    # One of `domain.measure.planned_actions.ACTION_REASONS`; "" for none.
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("decided_at", Instant, nullable=False),
    sa.Column("settled_at", Instant),
    # JSON text: the event and its properties; the topic; or the owners, their mail, and the case.
    sa.Column("data", sa.Text, nullable=False),
    sa.UniqueConstraint("contact_id", "measure", "run_key", "step"),
    sa.CheckConstraint("status IN ('waiting', 'done', 'skipped', 'failed', 'cancelled')", name="status"),
)
_waiting_action = actions.c.status == "waiting"
sa.Index("ix_actions_waiting", actions.c.id, postgresql_where=_waiting_action, sqlite_where=_waiting_action)
sa.Index("ix_actions_measure", actions.c.measure)

#: The newest reason, per contact and measure, why a trigger that fired started no run.
non_entries = sa.Table(
    "non_entries",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("measure", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    # The request id of the send that it refused, else NULL.
    sa.Column("request", sa.Text),
)
_of_send = non_entries.c.request.is_not(None)
sa.Index("ix_non_entries_request", non_entries.c.request, postgresql_where=_of_send, sqlite_where=_of_send)

#: Measures whose rules failed for a contact: they decide nothing more for it until the next publish.
set_aside_measures = sa.Table(
    "set_aside_measures",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("measure", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    # Type and words of the error.
    sa.Column("reason", sa.Text, nullable=False),
    # Name of the event that was applied; "" for an alarm.
    sa.Column("event", sa.Text, nullable=False),
    # Under which rules it failed.
    sa.Column("rules_hash", sa.Text, nullable=False),
)

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    # JSON text: {"values": {...}, "at": {field: [instant, message id]}}.
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    # When the first event about it occurred; FOREVER of one that only the release before has stored.
    sa.Column("first_at", Instant, nullable=False, server_default=str(2**62)),
)
sa.Index("ix_objects_first_at", objects.c.kind, objects.c.first_at, objects.c.key)

watches = sa.Table(
    "watches",
    metadata,
    # The list on which somebody watches: the kind of object, or `KIND/LIST` of a list with a name of its own, which the
    # release before never asks for.
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("since", Instant, nullable=False),
)
sa.Index("ix_watches_order", watches.c.kind, watches.c.key, watches.c.since, watches.c.contact_id)
sa.Index("ix_watches_contact_id", watches.c.contact_id)

#: An object's event whose watchers are being woken, in order of waiting; the cursor is (since, contact).
object_wakes = sa.Table(
    "object_wakes",
    metadata,
    _id(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("event_id", sa.BigInteger, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("cursor_since", Instant, nullable=False),
    sa.Column("cursor_contact", sa.BigInteger, nullable=False),
)

# ---- outbox, guard, wire ---------------------------------------------------------------------------------

#: Companies whose people belong together (`accounts` in the playbook).
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    # Raised by every change of its members, their track or their shared holds; the send gate compares it.
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    # How many of its members are customers.
    sa.Column("customers", sa.Integer, nullable=False, server_default="0"),
    # The newest row of `account_events` about it; 0 for none.
    sa.Column("last_event", sa.BigInteger, nullable=False, server_default="0"),
    # True while a member may not have been handed all of them.
    sa.Column("is_unread", sa.Boolean, nullable=False, server_default=sa.false()),
)
sa.Index(
    "ix_accounts_unread",
    accounts.c.key,
    postgresql_where=accounts.c.is_unread,
    sqlite_where=accounts.c.is_unread,
)

#: The account that a living contact belongs to, and what its colleagues' mail depends on.
account_members = sa.Table(
    "account_members",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("is_customer", sa.Boolean, nullable=False),
    # JSON text: shared hold -> since when it is open for this member.
    sa.Column("holds", sa.Text, nullable=False, server_default="{}"),
    # The newest row of `account_events` that it was handed.
    sa.Column("handed", sa.BigInteger, nullable=False, server_default="0"),
)
sa.Index("ix_account_members_account", account_members.c.account)

#: Events that an account shares, in the order in which its members get them.
account_events = sa.Table(
    "account_events",
    metadata,
    _id(),
    sa.Column("account", sa.Text, nullable=False),
    # The contact that told it; NULL: the account itself changed.
    sa.Column("contact_id", sa.BigInteger),
    # The event's number in `events`; NULL as above.
    sa.Column("event_id", sa.BigInteger),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("historic", sa.Boolean, nullable=False),
    sa.Column("hint", sa.Boolean, nullable=False),
    # JSON text: its properties.
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("account", "event_id"),
)
sa.Index("ix_account_events_account", account_events.c.account, account_events.c.id)

#: Publications of values that are computed elsewhere (`values` in the playbook): one row for each name and version.
value_versions = sa.Table(
    "value_versions",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("published_at", Instant, nullable=False),
    # From when folds read it.
    sa.Column("in_force_at", Instant, nullable=False),
    # Rows of the file, and those that are news: numbers that differ, people who are told theirs.
    sa.Column("numbers", sa.Integer, nullable=False),
    sa.Column("news", sa.Integer, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.UniqueConstraint("name", "version"),
)

#: The numbers of values by key, in millionths: a row where a version differs from the one before.
value_numbers = sa.Table(
    "value_numbers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("in_force_at", Instant, nullable=False),
    # NULL: taken back.
    sa.Column("number", sa.BigInteger),
)

#: The newest number of each contact of a published value, and the one that was announced to it.
contact_values = sa.Table(
    "contact_values",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("number", sa.BigInteger),
    # 0: nothing was announced yet.
    sa.Column("announced_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("announced", sa.BigInteger),
    # True: the event that tells it is still to be handed in.
    sa.Column("is_waiting", sa.Boolean, nullable=False, server_default=sa.false()),
)
sa.Index(
    "ix_contact_values_waiting",
    contact_values.c.contact_id,
    postgresql_where=contact_values.c.is_waiting,
    sqlite_where=contact_values.c.is_waiting,
)

messages = sa.Table(
    "messages",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("run_key", sa.Text, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("mail", sa.Text, nullable=False),
    # lead, customer or any: the track it was written for.
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("topic", sa.Text),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("holdout", sa.Boolean, nullable=False),
    # How it counts toward caps: the measure in which its run began, where that is another one; whether the person
    # asked for this very mail; whether it carries a coupon code.
    sa.Column("began_as", sa.Text),
    sa.Column("asked_for", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("has_code", sa.Boolean, nullable=False, server_default=sa.false()),
    # The variant of its run; NULL for none, and in rows of earlier versions.
    sa.Column("variant", sa.Text),
    sa.Column("request", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("decided_at", Instant, nullable=False),
    # When the guard checks it next; at first, the earliest instant that its schedule allows.
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("valid_until", Instant, nullable=False),
    sa.Column("settled_at", Instant),
    sa.Column("sent_at", Instant),
    # The number of the current or last attempt; 0 before the first.
    sa.Column("attempt", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", Instant),
    # contacts.version when the guard decided; the send gate compares it.
    sa.Column("contact_version", sa.BigInteger),
    # accounts.version of the contact's account at the same moment; NULL: it belonged to none.
    sa.Column("account_version", sa.BigInteger),
    sa.Column("playbook_id", sa.BigInteger),
    # JSON text: the frozen values, template hash, Date and boundary that the bytes are made from.
    sa.Column("context", sa.Text),
    sa.Column("content_hash", sa.Text),
    # The Message-ID header, the same for every attempt.
    sa.Column("header_id", sa.Text),
    # JSON text: the newest verdict with all its checks.
    sa.Column("verdict", sa.Text),
    # False until its outcome was applied to the run that waits for it.
    sa.Column("told", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("contact_id", "measure", "run_key", "step"),
    # Track rule: the measure's path begins with the track it was written for.
    sa.CheckConstraint("track IN ('lead', 'customer', 'any')", name="track"),
    sa.CheckConstraint("measure LIKE track || '/%'", name="track_of_measure"),
    sa.CheckConstraint("track <> 'any' OR purpose IN ('transactional', 'service')", name="any_purpose"),
    sa.CheckConstraint(f"status IN ({', '.join(repr(s) for s in STATES)})", name="status"),
)
_waiting = messages.c.status == "waiting"
sa.Index(
    "ix_messages_due", messages.c.lane, messages.c.due_at, postgresql_where=_waiting, sqlite_where=_waiting
)
#: The class of a mail in `domain.pace.work_classes.OUTBOX`: 0 transactional, 1 service, 2 marketing. A literal, because
#: an index is used only where a statement repeats its expression.
MAIL_CLASS = "CASE purpose WHEN 'transactional' THEN 0 WHEN 'service' THEN 1 ELSE 2 END"
sa.Index(
    "ix_messages_due_by_class",
    messages.c.lane,
    sa.text(f"({MAIL_CLASS})"),
    messages.c.due_at,
    postgresql_where=_waiting,
    sqlite_where=_waiting,
)
_leased = messages.c.status.in_(("ready", "on_wire"))
sa.Index("ix_messages_leased", messages.c.lease_until, postgresql_where=_leased, sqlite_where=_leased)
_doubt = messages.c.status == "in_doubt"
sa.Index("ix_messages_doubt", messages.c.due_at, postgresql_where=_doubt, sqlite_where=_doubt)
_untold = sa.and_(messages.c.told == sa.false(), messages.c.settled_at.is_not(None))
sa.Index("ix_messages_untold", messages.c.contact_id, postgresql_where=_untold, sqlite_where=_untold)
sa.Index("ix_messages_measure_status", messages.c.measure, messages.c.status)
_requested = messages.c.request.is_not(None)
sa.Index(
    "ix_messages_request",
    messages.c.request,
    messages.c.contact_id,
    postgresql_where=_requested,
    sqlite_where=_requested,
)

attempts = sa.Table(
    "attempts",
    metadata,
    _id(),
    sa.Column("message_id", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    # sent | retry | failed | in_doubt | lane_paused
    sa.Column("outcome", sa.Text, nullable=False),
    # The SMTP stage that was reached: connect, greeted, mail, rcpt, data, dot, replied.
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("reply", sa.Text, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
)
sa.Index("ix_attempts_message_id", attempts.c.message_id)

#: One coupon code per run and offer, created once.
coupons = sa.Table(
    "coupons",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("offer", sa.Text, nullable=False),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("run_key", sa.Text, nullable=False),
    sa.Column("minted_at", Instant, nullable=False),
    sa.UniqueConstraint("contact_id", "measure", "run_key", "offer"),
)

#: The objects that the fresh lists of a mail show, so that no later mail of its measure shows them again.
shown_objects = sa.Table(
    "shown_objects",
    metadata,
    sa.Column("message_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
)

#: Stop switches: `all`, a measure's path or a lane's name.
switches = sa.Table(
    "switches",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

#: Every stretch in which a measure, a lane or all mail was stopped.
pauses = sa.Table(
    "pauses",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False),
    # all | entries
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("until", Instant),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
)
_open_pause = pauses.c.until.is_(None)
sa.Index(
    "ix_pauses_open",
    pauses.c.name,
    pauses.c.mode,
    unique=True,
    postgresql_where=_open_pause,
    sqlite_where=_open_pause,
)

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # Mails a second; NULL: no limit.
    sa.Column("rate", sa.Integer),
    # Token bucket: the tokens left and when it was last filled.
    sa.Column("tokens", sa.Integer, nullable=False, server_default="0"),
    sa.Column("filled_at", Instant, nullable=False, server_default="0"),
)

#: Receiving domains that asked for fewer mails: until when a lane sends them none, and how long that rest is.
domain_rests = sa.Table(
    "domain_rests",
    metadata,
    sa.Column("lane", sa.Text, primary_key=True),
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("until", Instant, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
)

#: Processes that have sent mail, each with a journal of its name on its host.
journals = sa.Table(
    "journals",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("opened_at", Instant, nullable=False),
    # Windows of this process that passed the send gate; a journal with more of them is newer than this database.
    sa.Column("windows", sa.BigInteger, nullable=False, server_default="0"),
    # When it was read to the end; NULL: the process has sent since, or the journal could not be read.
    sa.Column("settled_at", Instant),
)

#: Mails that left before a restore, known from journals only; the guard does not send them again.
left_before = sa.Table(
    "left_before",
    metadata,
    # HMAC under SUPPRESSION_KEY of address, measure, run key and step.
    sa.Column("mark", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("journal", sa.Text, nullable=False),
)

# ---- feedback and consent --------------------------------------------------------------------------------

#: Append-only. The newest row of a (contact, topic) counts; over a family, the stricter.
consents = sa.Table(
    "consents",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    # pending | granted | withdrawn
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    # The purpose consented to: `marketing`, the only one that needs consent (`domain.measure.MARKETING`).
    sa.Column("purpose", sa.Text, nullable=False, server_default="marketing"),
    # Version of the text the person was shown (`wordings`); "": no page of nurture.
    sa.Column("wording", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("contact_id", "topic", "state", "at", "source"),
    sa.CheckConstraint("state IN ('pending', 'granted', 'withdrawn')", name="state"),
)
sa.Index("ix_consents_contact_id", consents.c.contact_id, consents.c.topic)

#: The text of a page on which people consented, once per version.
wordings = sa.Table(
    "wordings",
    metadata,
    # blake2b of page, language and words, hex.
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("page", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    # JSON text: the words in the order of the page.
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("first_used_at", Instant, nullable=False),
)

#: Preferences. Append-only; the newest row of a (contact, kind) counts; over a family, the stricter.
wishes = sa.Table(
    "wishes",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    # often | pause | tracking
    sa.Column("kind", sa.Text, nullable=False),
    # Least time between two mails, the end of the pause, or 1 for untracked; 0 removes the preference.
    sa.Column("value", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.CheckConstraint("kind IN ('often', 'pause', 'tracking')", name="kind"),
    sa.CheckConstraint("value >= 0", name="value"),
)
sa.Index("ix_wishes_contact_id", wishes.c.contact_id)

#: An address's strongest reason per scope, for the release before; `consent.suppression_queries` keeps it.
suppressions = sa.Table(
    "suppressions",
    metadata,
    # HMAC-SHA256 of the canonical address under SUPPRESSION_KEY, hex; survives erasure.
    sa.Column("address_hash", sa.Text, primary_key=True),
    # all | marketing
    sa.Column("scope", sa.Text, primary_key=True),
    # unsubscribed | hard_bounce | soft_bounces | complaint | sunset | erased | ops
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
)

#: Suppressions: one row per subject (an address, or a contact), scope and reason.
suppression_reasons = sa.Table(
    "suppression_reasons",
    metadata,
    # HMAC-SHA256 of the canonical address under SUPPRESSION_KEY, hex; survives erasure. "": a contact's row.
    sa.Column("address_hash", sa.Text, primary_key=True),
    # The contact whose mail it was; 0: an address's row. Erasure deletes the row.
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # all | marketing
    sa.Column("scope", sa.Text, primary_key=True),
    # unsubscribed | hard_bounce | soft_bounces | complaint | sunset | erased | ops
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # An address's row that was written together with a contact's: that person decided it.
    sa.Column("attributed", sa.Boolean, nullable=False, server_default=sa.false()),
)
sa.Index("ix_suppression_reasons_contact_id", suppression_reasons.c.contact_id)

#: Reports about sent mail, each once (`feedback.record`). `domain.feedback` has the vocabulary.
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("message_id", sa.BigInteger),
    # delivered | deferred | bounce | complaint | open | click | reply | unsubscribe
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    # The report as received, cut to a bound.
    sa.Column("raw", sa.Text, nullable=False),
    # hard | soft | policy | undetermined; bounces only.
    sa.Column("severity", sa.Text, nullable=False, server_default=""),
    sa.Column("machine", sa.Boolean, nullable=False, server_default=sa.false()),
    # The contact it is about, as of then.
    sa.Column("contact_id", sa.BigInteger),
    # The canonical address it is about, where no contact has it or the report gave only the address.
    sa.Column("address", sa.Text),
    sa.Column("received_at", Instant, nullable=False, server_default="0"),
    # When its event was accepted; NULL: it waits for a contact that fits.
    sa.Column("applied_at", Instant),
    # JSON text: url, code, diagnostic, subject ...
    sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
)
sa.Index("ix_feedback_message_id", feedback.c.message_id)
_of_address = feedback.c.address.is_not(None)
sa.Index("ix_feedback_address", feedback.c.address, postgresql_where=_of_address, sqlite_where=_of_address)
_has_raw = feedback.c.raw != ""
sa.Index("ix_feedback_raw", feedback.c.received_at, postgresql_where=_has_raw, sqlite_where=_has_raw)
_unapplied = feedback.c.applied_at.is_(None)
sa.Index(
    "ix_feedback_unapplied", feedback.c.received_at, postgresql_where=_unapplied, sqlite_where=_unapplied
)
_refusals = feedback.c.kind.in_(("bounce", "delivered"))
sa.Index("ix_feedback_heard", feedback.c.received_at, postgresql_where=_refusals, sqlite_where=_refusals)

#: Requests of people on a page, confirmed by a link in a mail: a new address, their data, erasure.
requests = sa.Table(
    "requests",
    metadata,
    _id(),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    # address | export | erase
    sa.Column("act", sa.Text, nullable=False),
    # Of `address`: the new one, canonical, and the one before it.
    sa.Column("address", sa.Text),
    sa.Column("old_address", sa.Text),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("valid_until", Instant, nullable=False),
    sa.Column("done_at", Instant),
    # A later request of the same kind replaced it, or the owner of the old address objected in time.
    sa.Column("replaced_at", Instant),
    # The owner of the old address objected.
    sa.Column("objected_at", Instant),
    sa.CheckConstraint("act IN ('address', 'export', 'erase')", name="act"),
)
sa.Index("ix_requests_contact_id", requests.c.contact_id)

#: GETs behind the links of mails: telemetry, judged a minute later, deleted a day after that.
touches = sa.Table(
    "touches",
    metadata,
    _id(),
    sa.Column("message_id", sa.BigInteger, nullable=False),
    # open | click | look
    sa.Column("kind", sa.Text, nullable=False),
    # The link in the mail; "" for its picture and its call to action.
    sa.Column("link", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    # browser | proxy | scanner | tool | prefetch | none; the header itself is not kept.
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("judged_at", Instant),
    # The sign of a machine (`domain.bot_detection.SIGNS`); "": may be a person.
    sa.Column("sign", sa.Text, nullable=False, server_default=""),
)
sa.Index("ix_touches_message_id", touches.c.message_id)
_unjudged = touches.c.judged_at.is_(None)
sa.Index("ix_touches_unjudged", touches.c.at, postgresql_where=_unjudged, sqlite_where=_unjudged)
sa.Index("ix_touches_judged_at", touches.c.judged_at)

#: Cases: replies of people to our mail, requests that the law gives a time for; outside a case is called `R-ID`.
dialogues = sa.Table(
    "dialogues",
    metadata,
    _id(),
    # 0: the case is about no person we know.
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    # The mail that was answered first.
    sa.Column("message_id", sa.BigInteger),
    # The role that answers, from the playbook's holds.
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    # The instant that the acknowledgement promised.
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("answered_at", Instant),
    # When the owner was mailed that it is overdue.
    sa.Column("escalated_at", Instant),
    sa.Column("closed_at", Instant),
    # reply | answer | data_request | redact | shop_redact
    sa.Column("kind", sa.Text, nullable=False, server_default="reply"),
    # The answer (an event) that opened it, or that led a measure to it; the same opens no second.
    sa.Column("event_id", sa.BigInteger),
    # When our staff were mailed that an answer is there; set at once where a measure mails them.
    sa.Column("told_at", Instant),
    # The action of a measure that opened it, or gave an answer its owner and time.
    sa.Column("action_id", sa.BigInteger),
)
sa.Index("ix_dialogues_event_id", dialogues.c.event_id, unique=True)
sa.Index("ix_dialogues_contact_id", dialogues.c.contact_id)
_open_dialogue = dialogues.c.closed_at.is_(None)
sa.Index(
    "ix_dialogues_open", dialogues.c.due_at, postgresql_where=_open_dialogue, sqlite_where=_open_dialogue
)

#: Mails to operators: replies forwarded, and replies overdue. The body is emptied after sending.
notices = sa.Table(
    "notices",
    metadata,
    _id(),
    # reply | overdue | pause | notify | verdict | brief
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("dialogue_id", sa.BigInteger),
    sa.Column("contact_id", sa.BigInteger),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    # The mail's bytes, compressed, as base64; empty once sent.
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("lease_until", Instant, nullable=False, server_default="0"),
    sa.Column("sent_at", Instant),
    # The server's reply to the last attempt.
    sa.Column("reply", sa.Text, nullable=False, server_default=""),
)
_unsent = notices.c.sent_at.is_(None)
sa.Index("ix_notices_due", notices.c.due_at, postgresql_where=_unsent, sqlite_where=_unsent)
sa.Index("ix_notices_contact_id", notices.c.contact_id)

#: Posts of events to the addresses of EVENT_HOOKS, each at least once. The post is made from the event when it is sent.
hook_posts = sa.Table(
    "hook_posts",
    metadata,
    _id(),
    sa.Column("event_id", sa.BigInteger, nullable=False),
    # The contact of the event, as of then; NULL: an event of an object.
    sa.Column("contact_id", sa.BigInteger),
    sa.Column("name", sa.Text, nullable=False),
    # Host and digest of the address; the address itself may hold a secret.
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    # waiting | sent | failed
    sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("lease_until", Instant, nullable=False, server_default="0"),
    sa.Column("settled_at", Instant),
    # The answer to the last attempt, or why there was none.
    sa.Column("reply", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("event_id", "target"),
)
_unsettled = hook_posts.c.state == "waiting"
sa.Index("ix_hook_posts_due", hook_posts.c.due_at, postgresql_where=_unsettled, sqlite_where=_unsettled)
sa.Index("ix_hook_posts_contact_id", hook_posts.c.contact_id)

# ---- measurement -----------------------------------------------------------------------------------------

#: Epochs of experiments: a stretch in which the rules, words, arms and shares of a measure stay the same.
experiments = sa.Table(
    "experiments",
    metadata,
    _id(),
    # The measure's identity (`Measure.root`), and its path at the time.
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    # Counted from 1; evidence of one trial says nothing about the next.
    sa.Column("trial", sa.Integer, nullable=False),
    sa.Column("since", Instant, nullable=False),
    # JSON text: [[name of the arm, its share]], the held-back arm first.
    sa.Column("arms", sa.Text, nullable=False),
    # The name of the outcomes that it counts, and how long after entering.
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("is_amount", sa.Boolean, nullable=False),
    sa.Column("expect", sa.Text, nullable=False),
    sa.Column("within", Instant, nullable=False),
    # The currency of the amounts that it adds; "": it adds any.
    sa.Column("currency", sa.Text, nullable=False, server_default=""),
    # The name of the outcomes whose amounts are taken off; "": none are.
    sa.Column("incentive", sa.Text, nullable=False, server_default=""),
    # Amounts above it are cut, in hundredths; NULL: none is.
    sa.Column("cap", sa.BigInteger),
    # JSON text: the shares held back that its file declares, at first and later.
    sa.Column("declared", sa.Text, nullable=False),
    # Hash of everything whose change begins the next epoch.
    sa.Column("signature", sa.Text, nullable=False),
    # published | changed | shrunk | ended | resumed
    sa.Column("reason", sa.Text, nullable=False),
)
sa.Index("ix_experiments_measure", experiments.c.measure, experiments.c.id)

#: A person enters an epoch with their first run in it. Rows never change.
enrolments = sa.Table(
    "enrolments",
    metadata,
    sa.Column("experiment", sa.BigInteger, primary_key=True, autoincrement=False),
    # The contact at the time; read through `contacts.survivor`.
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # Place of the arm in `experiments.arms`; 0: held back.
    sa.Column("arm", sa.SmallInteger, nullable=False),
    sa.Column("entered_at", Instant, nullable=False),
    # When the window is over and late events are in.
    sa.Column("matures_at", Instant, nullable=False),
    # The stage and the language at entry.
    sa.Column("segment", sa.Text, nullable=False, server_default=""),
    sa.Column("stratum", sa.Text, nullable=False, server_default=""),
    # Spent in the 91 days before entering, in hundredths.
    sa.Column("spent_before", sa.BigInteger, nullable=False, server_default="0"),
)
sa.Index("ix_enrolments_contact", enrolments.c.contact_id)

#: The guard's last check was reached for a mail of this person in this epoch, in either arm.
exposures = sa.Table(
    "exposures",
    metadata,
    sa.Column("experiment", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
)
sa.Index("ix_exposures_contact", exposures.c.contact_id)

#: The outcomes that measures are judged by: entities that count, what was taken back of them, and single events.
#: Rows never change; the rows of one key add up to what stands.
outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # The name of an entity or of an event.
    sa.Column("name", sa.Text, primary_key=True),
    # The entity's key; of an event without one, its source and message id.
    sa.Column("entity_key", sa.Text, primary_key=True),
    # counted | reversed | adjusted
    sa.Column("kind", sa.Text, primary_key=True),
    # `counted`: when it occurred, which decides whether it is in a window; else when it was noticed.
    sa.Column("at", Instant, primary_key=True, autoincrement=False),
    # 1, -1 or 0, and the amount in hundredths that the row adds.
    sa.Column("number", sa.SmallInteger, nullable=False),
    sa.Column("value_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False, server_default=""),
    sa.CheckConstraint("kind IN ('counted', 'reversed', 'adjusted')", name="kind"),
)

#: The verdicts of the daily task, and what followed from each. Rows never change.
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("experiment", sa.BigInteger, primary_key=True, autoincrement=False),
    # The first instant of the day, in UTC.
    sa.Column("day", Instant, primary_key=True, autoincrement=False),
    # harms | works | misses | reaches | undecided | split | variant
    sa.Column("verdict", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    # Natural logarithm of the e-value; the confidence sequence of the difference, NULL where it is open.
    sa.Column("log_e", sa.Float, nullable=False),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("treated", sa.BigInteger, nullable=False),
    sa.Column("control", sa.BigInteger, nullable=False),
    # stopped | sent_back | shrunk | told:VERDICT | ended:VARIANT | won:VARIANT | "" for none
    sa.Column("action", sa.Text, nullable=False, server_default=""),
    # JSON text: every further figure.
    sa.Column("figures", sa.Text, nullable=False),
)

#: Results of the models of published values, a row for each value and week. Rows never change.
model_runs = sa.Table(
    "model_runs",
    metadata,
    # The published value.
    sa.Column("name", sa.Text, primary_key=True),
    # The first instant of the week, counted in weeks since 1970, in UTC.
    sa.Column("week", Instant, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    # churn | value | score
    sa.Column("model", sa.Text, nullable=False),
    # published | kept | needs | leak
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    # The version that it published; NULL: none.
    sa.Column("version", sa.Integer),
    # JSON text: rule, back-test, weights.
    sa.Column("figures", sa.Text, nullable=False, server_default="{}"),
)

# ---- day table -------------------------------------------------------------------------------------------


def _counted_mails() -> tuple[sa.Column[Any], ...]:
    """Return the columns that a count of mails is kept by."""
    return (
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        # "" for none.
        sa.Column("variant", sa.Text, nullable=False),
        sa.Column("track", sa.Text, nullable=False),
        sa.Column("asked_for", sa.Boolean, nullable=False),
        # waiting (also ready and on_wire) | sent | skipped | cancelled | expired | failed | in_doubt
        sa.Column("status", sa.Text, nullable=False),
        # Of what is skipped, cancelled, expired or failed; else "".
        sa.Column("reason", sa.Text, nullable=False),
    )


#: Changes of mails' status that are in no day yet: one row for each transaction and kind of change
#: (`database.day_counts`). Rows never change; each minute they are added to `mail_days` and deleted.
mail_changes = sa.Table(
    "mail_changes",
    metadata,
    _id(),
    # Begin of the quarter of an hour; each time zone has its midnight at one.
    sa.Column("slot", Instant, nullable=False),
    *_counted_mails(),
    # More or fewer mails of this status.
    sa.Column("n", sa.Integer, nullable=False),
)

#: The same by day. The sum over all days is the number of mails that have this status now.
mail_days = sa.Table(
    "mail_days",
    metadata,
    # YYYY-MM-DD in the time zone of the brand.
    sa.Column("day", sa.Text, nullable=False),
    *_counted_mails(),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("day", "measure", "step", "variant", "track", "asked_for", "status", "reason"),
)

#: People who came to a stage and left it, in no day yet; as `mail_changes`.
people_changes = sa.Table(
    "people_changes",
    metadata,
    _id(),
    sa.Column("slot", Instant, nullable=False),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
)

#: The same by day. The sum over all days is the number of people who stand at the stage now.
people_days = sa.Table(
    "people_days",
    metadata,
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("track", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False),
)

# ---- operating -------------------------------------------------------------------------------------------

playbooks = sa.Table(
    "playbooks",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("rules_hash", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    # JSON text: {path: text} of every file.
    sa.Column("files", sa.Text, nullable=False),
    sa.Column("published_at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    # none | enter
    sa.Column("backlog", sa.Text, nullable=False),
)

#: The one row that says which playbook is active; read in each batch's transaction.
active_playbook = sa.Table(
    "active_playbook",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("playbook_id", sa.BigInteger, nullable=False),
    # Contacts up to this id have been woken for it.
    sa.Column("woken", sa.BigInteger, nullable=False),
    # JSON text: identity of a measure -> what differs from its file now (`playbook.in_force`).
    sa.Column("in_force", sa.Text, nullable=False, server_default="{}"),
)

sends = sa.Table(
    "sends",
    metadata,
    sa.Column("request", sa.Text, primary_key=True),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("audience", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("people", sa.BigInteger, nullable=False),
    # Contacts up to this id have been handed to the inbox.
    sa.Column("cursor", sa.BigInteger, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    # JSON text: occasion, repeat, values (`app.send_options`).
    sa.Column("options", sa.Text, nullable=False, server_default="{}"),
    # The earliest instant at which its mail may leave.
    sa.Column("send_at", Instant),
    # How many people it is for; NULL: it was begun by a version whose workers hand in no sends.
    sa.Column("meant", sa.BigInteger),
    # running | paused | cancelled, why, and by whom.
    sa.Column("state", sa.Text, nullable=False, server_default="running"),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("changed_by", sa.Text),
    sa.Column("changed_at", Instant),
    # Mails an hour, NULL for no limit; and the first place in the row that no mail has taken.
    sa.Column("rate", sa.Integer),
    sa.Column("next_free_at", Instant, nullable=False, server_default="0"),
    # People whose events a cancellation took back before they were decided.
    sa.Column("withdrawn", sa.BigInteger, nullable=False, server_default="0"),
    # Until then the process that hands in the pages keeps it to itself.
    sa.Column("lease_until", Instant, nullable=False, server_default="0"),
)
_unfinished_send = sends.c.done == sa.false()
sa.Index("ix_sends_unfinished", sends.c.at, postgresql_where=_unfinished_send, sqlite_where=_unfinished_send)

#: The people of a send to a list; one to an audience has none.
send_recipients = sa.Table(
    "send_recipients",
    metadata,
    sa.Column("request", sa.Text, primary_key=True),
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
)
sa.Index("ix_send_recipients_contact_id", send_recipients.c.contact_id)

imports = sa.Table(
    "imports",
    metadata,
    # blake2b of the file's bytes and of the options.
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)

#: With several schedulers, the one that inserts the slot does the work.
job_slots = sa.Table(
    "job_slots",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("slot", Instant, primary_key=True),
    sa.Column("at", Instant, nullable=False),
)

#: The running processes: each writes its row every few seconds (`domain.health.signs`).
processes = sa.Table(
    "processes",
    metadata,
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("pid", sa.BigInteger, primary_key=True, autoincrement=False),
    # up | api | worker | scheduler | inbound
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    # Written by the database's time, as all instants of this table.
    sa.Column("beat_at", Instant, nullable=False),
    # In words: its queues, or the address that it listens on.
    sa.Column("doing", sa.Text, nullable=False, server_default=""),
    # When it last reached the broker, and the error since then; "": none.
    sa.Column("broker_at", Instant),
    sa.Column("broker_error", sa.Text, nullable=False, server_default=""),
    # JSON: setting -> fingerprint, of the settings that all processes must have in common.
    sa.Column("settings", sa.Text, nullable=False, server_default="{}"),
)

#: The last success and the last failure of each lane's server, as all processes saw them; by the database's time.
lane_states = sa.Table(
    "lane_states",
    metadata,
    sa.Column("lane", sa.Text, primary_key=True),
    # When the server last accepted a mail, answered a check without mail, and was checked.
    sa.Column("success_at", Instant),
    sa.Column("answered_at", Instant),
    sa.Column("checked_at", Instant),
    # The newest failure since then, and the first of them without a success between; NULL: none.
    sa.Column("failure_at", Instant),
    sa.Column("failing_since", Instant),
    # The SMTP stage that was reached, or `refused`; and the server's words, without addresses.
    sa.Column("stage", sa.Text, nullable=False, server_default=""),
    sa.Column("words", sa.Text, nullable=False, server_default=""),
)

#: Numbers of mails by lane and receiving domain, in stretches of ten minutes; kept for two days.
sending_counts = sa.Table(
    "sending_counts",
    metadata,
    # Begin of the stretch.
    sa.Column("slot", Instant, primary_key=True, autoincrement=False),
    sa.Column("lane", sa.Text, primary_key=True),
    # Of a large provider (`domain.health.providers`); "": all others, which may be a single person's.
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("sent", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("hard_bounces", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("deferred", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("complaints", sa.BigInteger, nullable=False, server_default="0"),
)

#: Mails that passed the claim on a day of a lane that is warming up, or to a provider with a daily limit.
warm_up_days = sa.Table(
    "warm_up_days",
    metadata,
    # Begin of the day, UTC.
    sa.Column("day", Instant, primary_key=True, autoincrement=False),
    sa.Column("lane", sa.Text, primary_key=True),
    # Of a large provider; "": all others; "*": the whole lane.
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("mails", sa.BigInteger, nullable=False, server_default="0"),
    # Of the whole lane; NULL: none.
    sa.Column("ceiling", sa.BigInteger),
)

#: Due rows of each queue, counted once a minute and kept for an hour.
backlog_samples = sa.Table(
    "backlog_samples",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("at", Instant, primary_key=True, autoincrement=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
)

#: The trouble that was found and has not ended, so that its begin and its end are logged once each.
troubles = sa.Table(
    "troubles",
    metadata,
    # `domain.health.findings.Finding.key`
    sa.Column("key", sa.Text, primary_key=True),
    # problem | notice
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
)

#: The newest result of each check of the sender's DNS records and of certificates.
sender_checks = sa.Table(
    "sender_checks",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # ok | warning | failed | not_checked
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("remedy", sa.Text, nullable=False, server_default=""),
    sa.Column("at", Instant, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    _id(),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    # JSON text: ids and counts, never addresses.
    sa.Column("detail", sa.Text, nullable=False),
    # sha256 over the previous hash and this row.
    sa.Column("chain", sa.Text, nullable=False),
)

# ---- privacy ---------------------------------------------------------------------------------------------

#: Requested erasures; the scheduler resumes an unfinished one. Ids only.
erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    # When the last data of the person was deleted; until then some may still be in transit.
    sa.Column("finished_at", Instant),
)
#: The state that a contact's removed events produced (`journey.retention`), under the contact of those events.
baselines = sa.Table(
    "baselines",
    metadata,
    sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # Everything received before was removed.
    sa.Column("until", Instant, nullable=False),
    # JSON text: the folded contact.
    sa.Column("state", sa.Text, nullable=False),
)

_unfinished = erasures.c.finished_at.is_(None)
sa.Index("ix_erasures_unfinished", erasures.c.at, postgresql_where=_unfinished, sqlite_where=_unfinished)

# ---- access ----------------------------------------------------------------------------------------------

users = sa.Table(
    "users",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    # viewer | operator | admin
    sa.Column("role", sa.Text, nullable=False),
    # argon2id, with its parameters and salt.
    sa.Column("password", sa.Text, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
    # Raised by a new password and by disabling; a session of an earlier epoch is over.
    sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    # sha256 of the cookie, hex.
    sa.Column("id", sa.Text, primary_key=True),
    # NULL: signed in with ADMIN_PASSWORD.
    sa.Column("user_id", sa.BigInteger),
    # The user's epoch, or a keyed hash of ADMIN_PASSWORD: another one ends the session.
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    # To the minute.
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False),
)
sa.Index("ix_sessions_until", sessions.c.until)

#: Wrong passwords by account, by address, by both, and by known browser, under keyed hashes.
login_failures = sa.Table(
    "login_failures",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("since", Instant, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    # Its name in the audit log.
    sa.Column("id", sa.Text, primary_key=True),
    # The source of the events that come with it.
    sa.Column("name", sa.Text, nullable=False),
    # sha256 of the key, hex: 256 random bits need no slow hash.
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    # Some of ingest, send, read, admin, separated by a space.
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    # To the minute.
    sa.Column("used_at", Instant),
    sa.Column("revoked_at", Instant),
    # server | browser; NULL: made before keys had a kind, so it is assumed from the scopes.
    sa.Column("kind", sa.Text),
)

#: Sends to so many people that another operator must approve.
approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("request", sa.Text, primary_key=True),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("audience", sa.Text, nullable=False),
    sa.Column("send_at", Instant),
    # JSON text: occasion, repeat, values (`app.send_options`).
    sa.Column("options", sa.Text, nullable=False, server_default="{}"),
    # Mails an hour; NULL: no limit.
    sa.Column("rate", sa.Integer),
    # The size of the audience when it was requested.
    sa.Column("people", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False),
    # waiting | approved | rejected
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", Instant),
    sa.CheckConstraint("state IN ('waiting', 'approved', 'rejected')", name="state"),
)
