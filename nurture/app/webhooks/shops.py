"""Process the webhooks of shops: verify the signature, fold what the call says into its things, accept the events.

A shop gives up on an address that answers badly, so every signed call is answered with 200: an unreadable one is
quarantined, an unwanted one counted. Only a database that is away is told, with 503. A call is done in one
transaction, so a repetition finds everything or nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.webhooks import shop_requests
from nurture.app.webhooks.answers import WebhookAnswer, refuse
from nurture.contacts.accept import RETENTION, NewEvent, Rejected, accept, quarantine
from nurture.contacts.shop_queries import ShopThing, lock_things, lock_waiting, save_things
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, Duration, Instant
from nurture.domain.playbook import Playbook
from nurture.inbound.providers.call import Call
from nurture.inbound.shops import SHOPS, is_ping
from nurture.inbound.shops.fold import FoldResult, Thing, fold, keys_of
from nurture.inbound.shops.statement import ShopEvent, ShopOptions, Statement
from nurture.reports.metrics import count, timed
from nurture.runtime.log import get_logger

_log = get_logger("shops")
#: Name of the counters.
ROOM: Final = "shops"
#: How long an event waits for its person or its order. Stripe repeats for three days, Shopify for hours.
WAIT_FOR: Final[Duration] = 7 * DAY
#: The answer to an event of Stripe that carries no data; Stripe shows it to the shopkeeper.
_THIN: Final = "Ignored: the event carries no data. Choose the payload style 'snapshot' for this endpoint."
#: How much of an unreadable call is stored in the quarantine.
_RAW_MAX: Final = 2_000
#: A thing's key and so much of the state fit into a message id.
_STATE_MAX: Final = 78
_THINGS: Final = 100


@dataclass(frozen=True, slots=True)
class ShopWebhooks:
    """The shop webhooks of one installation. A shop without a key in the settings is off."""

    services: Services

    def is_on(self, shop: str) -> bool:
        """Tell whether the shop is known and has a key."""
        return shop in SHOPS and bool(self._keys(shop))

    def _keys(self, shop: str) -> tuple[str, ...]:
        secrets = self.services.settings.webhook_secrets.get(shop, ())
        return tuple(secret.get_secret_value() for secret in secrets)

    def process_call(self, shop: str, call: Call) -> WebhookAnswer:
        """Verify, read and record one call; returns once everything is committed.

        Raises SQLAlchemyError or Transient when the database is unavailable.
        """
        now = self.services.clock.now()
        if shop == "woocommerce" and is_ping(call):
            count(ROOM, {"ping": 1})
            return WebhookAnswer(200, "Taken.")
        refusal = SHOPS[shop].verify(call, self._keys(shop), now=now)
        if refusal:
            # Shopify's reviewers ask for 401, and the others do not mind.
            return refuse(refusal, room=ROOM, status=401)
        with self.services.database.read() as connection:
            playbook = self.services.playbooks.active(connection).playbook
        options = read_options(self.services, shop, playbook)
        statement = self._read(shop, call, now=now, options=options)
        with timed(ROOM):
            counts = self._record(shop, call, statement, now=now)
        count(ROOM, counts)
        return WebhookAnswer(200, _THIN if counts["thin"] else "Taken.")

    def _read(self, shop: str, call: Call, *, now: Instant, options: ShopOptions) -> Statement | None:
        try:
            return SHOPS[shop].read(call, now=now, options=options)
        except Exception:  # noqa: BLE001 - a shop switches off an address that answers five calls badly
            _log.exception("a signed call could not be read", shop=shop)
            return None

    def _record(self, shop: str, call: Call, statement: Statement | None, *, now: Instant) -> Counts:
        if statement is None:
            text = call.body[: _RAW_MAX * 4].decode("utf-8", "replace").replace("\x00", "")
            reason = "a signed call that cannot be read: no JSON object, or one without its id"
            row = Rejected(shop, None, now, "shape", reason, text[:_RAW_MAX])
            self.services.database.run(lambda connection: quarantine(connection, [row]))
            return Counts(unreadable=1)
        if statement.request is not None:
            return shop_requests.process(self.services, shop, statement.request, now=now)
        counts = self.services.database.run(
            lambda connection: record_statement(connection, shop, statement, now=now)
        )
        if statement.ignored:
            counts[statement.ignored] += 1
        return counts


def read_options(services: Services, shop: str, playbook: Playbook) -> ShopOptions:
    """Return the settings of one shop; the topic is the setting's, else the first of the playbook."""
    settings = services.settings
    topic = settings.shop_topics.get(shop) or next(iter(playbook.topics), "")
    return ShopOptions(
        user_ids=shop in settings.shop_user_ids,
        tests=settings.shop_tests,
        topic=topic if topic in playbook.topics else "",
        single_opt_in=shop in settings.shop_single_opt_in,
    )


# ---- statements ------------------------------------------------------------------------------------------


def record_statement(connection: sa.Connection, shop: str, statement: Statement, *, now: Instant) -> Counts:
    """Fold a statement into its things and accept the events, in the caller's transaction; four statements."""
    keys = keys_of(statement)
    if not keys:
        return Counts()
    rows = lock_things(connection, shop, keys, now=now)
    things = {key: _thing_of(row) for key, row in rows.items()}
    result = fold(statement, things)
    after = {key: _row_of(thing) for key, thing in things.items()}
    save_things(connection, shop, {key: row for key, row in after.items() if row != rows[key]}, now=now)
    accept(connection, [_new_event(shop, event, now=now) for event in result.events])
    quarantine(connection, [_rejected(shop, event, reason, now=now) for event, reason in result.rejected])
    return _counts_of(result)


def _counts_of(result: FoldResult) -> Counts:
    return Counts(
        accepted=len(result.events),
        repeated=result.repeated,
        waiting=result.waiting,
        muted=result.muted,
        quarantined=len(result.rejected),
    )


def expire_waiting(connection: sa.Connection, *, now: Instant, limit: int = _THINGS) -> Counts:
    """Quarantine the events that have waited too long for their person or their order, in the caller's transaction."""
    rows = lock_waiting(connection, before=now - WAIT_FOR, limit=limit)
    rejected: list[Rejected] = []
    for (shop, key), row in rows.items():
        thing = _thing_of(row)
        reason = f"nobody is known for {key}: import the shop's orders, then hand the item in again"
        # An event after a state that never came says nothing.
        rejected += [_rejected(shop, event, reason, now=now) for event in thing.waiting if not event.after]
        thing.waiting = []
        save_things(connection, shop, {key: _row_of(thing)}, now=now)
    quarantine(connection, rejected)
    return Counts(expired=len(rejected))


def _thing_of(row: ShopThing) -> Thing:
    thing = msgspec.json.decode(row.state, type=Thing)
    thing.identities = [(name.kind, name.value) for name in row.identities]
    return thing


def _row_of(thing: Thing) -> ShopThing:
    state = msgspec.json.encode(msgspec.structs.replace(thing, identities=[])).decode()
    return ShopThing(thing.person, state, bool(thing.waiting))


def _new_event(shop: str, event: ShopEvent, *, now: Instant) -> NewEvent:
    return NewEvent(
        source=shop,
        message_id=_message_id(event),
        kind=event.kind,
        name=event.name,
        occurred_at=min(event.at, now),
        received_at=now,
        # Older than events are kept: it makes facts, and starts no mail.
        historic=event.at < now - RETENTION,
        identities=event.identities,
        previous_id=event.previous_id,
        properties=event.properties,
        traits=event.traits,
        context=event.context,
        hint=event.previous_id is not None,
    )


def _rejected(shop: str, event: ShopEvent, reason: str, *, now: Instant) -> Rejected:
    item: Mapping[str, object] = {
        "kind": event.kind,
        "name": event.name,
        "occurred_at": event.at,
        "identities": {name.kind: name.value for name in event.identities},
        "body": msgspec.json.encode({"properties": event.properties, "traits": event.traits}).decode(),
    }
    return Rejected(shop, _message_id(event), now, "rule", reason, msgspec.json.encode(item).decode())


def _message_id(event: ShopEvent) -> str:
    return f"{event.thing}:{event.state[:_STATE_MAX]}"
