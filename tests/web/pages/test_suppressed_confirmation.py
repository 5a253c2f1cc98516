"""A yes that cannot start any mail: the page says so, and nothing is recorded."""

from collections.abc import Callable

import httpx

from nurture.consent.record import suppress_address
from nurture.database.engine import Database
from nurture.domain.signing import sign_token
from nurture.runtime.clock import ManualClock
from tests.web.live import KEYS, NOW, a_contact, a_service, accepted, stored_consents


def test_a_yes_after_a_complaint_says_that_it_starts_nothing(
    sqlite_database: Database, open_browser: Callable[..., httpx.Client]
) -> None:
    services = a_service(sqlite_database, clock=ManualClock(NOW))
    client, contact = open_browser(services), a_contact(sqlite_database)
    sqlite_database.run(
        lambda connection: suppress_address(
            connection,
            address="max@example.com",
            scope="marketing",
            reason="complaint",
            now=NOW,
            source="mail",
            suppression_key=services.settings.suppression_secret,
            contact_id=contact,
        )
    )
    path = "/confirm/" + sign_token(KEYS, "confirm", {"c": contact, "m": 7, "t": "news"})
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 410
        assert "We send no newsletters and offers to m•••@example.com" in answer.text
    assert (stored_consents(sqlite_database), accepted(sqlite_database)) == ([], [])
