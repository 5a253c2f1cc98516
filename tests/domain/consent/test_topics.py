"""A topic is the same in whatever letters and with whatever space around it an event names it."""

from typing import Any

import pytest

from nurture.domain.consent.events import UNKNOWN_TOPICS, read_consent
from nurture.domain.consent.permissions import EVERYTHING
from nurture.domain.contact import Contact
from nurture.domain.journey.combine_histories import combine_histories
from tests.domain.entities.shop import after, happened, shop


@pytest.mark.parametrize("name", ["Consent Given", "Topic Confirmed"])
@pytest.mark.parametrize("topic", ["news", " news ", "NEWS", "News\u00a0", "\tnews\n"])
def test_a_topic_is_known_however_it_is_written(name: str, topic: str) -> None:
    state = "granted" if name == "Topic Confirmed" else "pending"
    assert read_consent(happened(name, topic=topic), shop()) == ("news", state)
    assert read_consent(happened("Unsubscribed", topic=topic), shop()) == ("news", "withdrawn")
    assert after(happened(name, topic=topic)).memory.consents.keys() == {"news"}


@pytest.mark.parametrize("topic", ["sports", "new s", "", None, 7, ["news"], "*"])
def test_an_unknown_topic_grants_nothing_and_is_noted(topic: Any) -> None:
    given = happened("Consent Given", topic=topic)
    assert read_consent(given, shop()) is None
    assert read_consent(happened("Consent Withdrawn", topic=topic), shop()) == (EVERYTHING, "withdrawn")
    named = topic if isinstance(topic, str) and topic else "(none)"
    assert after(given).facts[UNKNOWN_TOPICS] == [named]


def test_unknown_topics_of_two_parts_are_noted_together() -> None:
    def part(*topics: str) -> Contact:
        return after(*(happened("Consent Given", topic=topic) for topic in topics))

    together = combine_histories(part("b", "a"), part("c", "a"), shop())
    assert together.facts[UNKNOWN_TOPICS] == ["a", "b", "c"]
    assert len(part(*"zyxwvut").facts[UNKNOWN_TOPICS]) == 5
