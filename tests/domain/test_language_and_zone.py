"""Language and zone: the person's choice overrides a statement of an application, which overrides a device."""

from itertools import permutations
from typing import Any

import pytest

from nurture.domain.event import Event
from nurture.domain.facts import empty, fold
from tests.domain.build import NOON, a_playbook

REPORTED = {"source": "shop", "context": {"locale": "fr", "timezone": "Europe/Paris"}}
STATED = {"source": "shop", "traits": {"locale": "de_DE", "timezone": "Europe/Berlin"}}
CHOSEN = {"source": "web", "traits": {"locale": "zh-CN", "timezone": "Asia/Shanghai"}}


def identify_event(place: int, fields: dict[str, Any]) -> Event:
    at = NOON + place
    return Event(place, message_id=f"m{place}", kind="identify", name="Identified", occurred_at=at,
                 received_at=at, **fields)  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([REPORTED], ("fr", "Europe/Paris"), id="only a device"),
        pytest.param([STATED, REPORTED], ("de-DE", "Europe/Berlin"), id="stated, then a device"),
        pytest.param(
            [CHOSEN, STATED, REPORTED], ("zh-CN", "Asia/Shanghai"), id="chosen, then all the others"
        ),
        pytest.param(
            [CHOSEN, {"source": "web", "traits": {"locale": "en"}}], ("en", "Asia/Shanghai"), id="chosen anew"
        ),
        pytest.param(
            [STATED, {"source": "shop", "traits": {"timezone": "Mars/Olympus"}}],
            ("de-DE", "Europe/Berlin"),
            id="no such zone",
        ),
    ],
)
def test_the_strongest_source_holds_in_any_order_of_arrival(
    statements: list[dict[str, Any]], expected: Any
) -> None:
    playbook = a_playbook()
    events = [identify_event(place, fields) for place, fields in enumerate(statements)]
    for order in permutations(events):
        contact = empty(1, first_seen_at=NOON, playbook=playbook)
        for event in order:
            fold(contact, event, playbook)
        assert (contact.locale, contact.zone) == expected
