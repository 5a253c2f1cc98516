"""Draw the reactions of made-up people to the mails they got; most people do not react.

A reaction uses the code that a real one uses: a confirmation and an unsubscribe call `consent.from_pages`, an order is
an event. Random numbers come from the seed and the message, so the same seed gives the same reactions.
"""

import random  # noqa: TID251 - seeded, so the same seed reacts alike
from collections.abc import Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent import from_pages
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import HOUR, MINUTE, Instant
from nurture.simulation.play import Act, Input

#: Of a thousand marketing mails so many lead to an unsubscribe.
_UNSUBSCRIBES = 12

_M, _A = t.messages.c, t.attempts.c
#: Attempts are appended, so new ones have the highest ids.
_SENT: Final = (
    sa.select(_M.id, _M.contact_id, _M.measure, _M.run_key, _M.step, _M.topic, _A.id.label("attempt_id"))
    .join(t.attempts, _A.message_id == _M.id)
    .where(_A.id > sa.bindparam("after", type_=sa.BigInteger), _A.outcome == "sent")
)


class Reactions:
    """Reads the mails sent since the last call and draws the reactions to them."""

    def __init__(self, *, seed: int, suppression_key: bytes) -> None:
        """Draw from this seed. suppression_key: hashes the addresses of unsubscribes."""
        self._seed = seed
        self._key = suppression_key
        # The highest attempt id that was read.
        self._after = 0

    def __call__(self, database: Database, now: Instant) -> Iterable[Input]:
        """Return the reactions to mail sent since the last call."""
        with database.look() as connection:
            sent = connection.execute(_SENT, {"after": self._after}).all()
        rows = sorted(sent, key=lambda row: row.id)
        self._after = max((row.attempt_id for row in rows), default=self._after)
        return [reaction for row in rows for reaction in self._reactions_to(row, now)]

    def _reactions_to(self, row: Any, now: Instant) -> Iterator[Input]:
        name = row.measure.rsplit("/", 1)[-1]
        # S311: made-up people, no secret.
        rng = random.Random(f"{self._seed}:{row.contact_id}:{row.measure}:{row.run_key}:{row.step}")  # noqa: S311
        at = now + MINUTE * rng.randrange(3, 240)
        draw = rng.random()
        if name == "confirm_subscription":
            if draw < 0.8:
                yield Input(now + MINUTE * rng.randrange(2, 40), act=self._confirmation(row))
            return
        if row.topic is not None and rng.randrange(1000) < _UNSUBSCRIBES:
            yield Input(at, act=self._unsubscribe(row))
            return
        if name == "nps_survey" and draw < 0.5:
            score = rng.choice((3, 5, 6, 7, 8, 9, 9, 10, 10, 10))
            yield Input(at, act=self._event(row, "Survey Answered", survey="nps_survey", score=score))
        elif name in ("second_order_coupon", "abandoned_cart", "back_in_stock") and draw < 0.18:
            yield Input(at + HOUR, act=self._event(row, "Order Completed", **_order(row)))
        elif name in ("welcome_series", "interest_digest") and draw < 0.35:
            yield Input(at, act=self._event(row, "Article Read", category="brewing", title="From the mail"))

    def _confirmation(self, row: Any) -> Act:
        def act(connection: sa.Connection, at: Instant) -> None:
            person = from_pages.find_page_contact(connection, row.contact_id)
            topic = from_pages.find_requested_topic(connection, row.id)
            if person is not None and topic is not None:
                page_act = from_pages.PageAct(at, {"message": row.id}, self._key)
                from_pages.confirm_topic(connection, person, topic, page_act)
                # The confirmation page offers both beside the topic.
                for other_topic in ("reminders", "surveys"):
                    person = from_pages.find_page_contact(connection, row.contact_id)
                    if person is not None:
                        from_pages.confirm_topic(connection, person, other_topic, page_act)

        return act

    def _unsubscribe(self, row: Any) -> Act:
        def act(connection: sa.Connection, at: Instant) -> None:
            person = from_pages.find_page_contact(connection, row.contact_id)
            if person is not None:
                page_act = from_pages.PageAct(at, {"message": row.id}, self._key)
                from_pages.withdraw_topic(connection, person, row.topic, page_act)

        return act

    def _event(self, row: Any, name: str, **properties: Any) -> Act:
        def act(connection: sa.Connection, at: Instant) -> None:
            person = from_pages.find_page_contact(connection, row.contact_id)
            if person is not None:
                from_pages.add_page_event(
                    connection, person, name, properties, now=at, message_id=f"reaction-{row.id}"
                )

        return act


def _order(row: Any) -> dict[str, Any]:
    return {
        "order_id": f"o-mail-{row.id}",
        "revenue": 24.5,
        "total": 24.5,
        "currency": "EUR",
        "products": [
            {"product_id": "ethiopia-250", "name": "Ethiopia Guji 250 g", "price": 24.5, "quantity": 1}
        ],
    }
