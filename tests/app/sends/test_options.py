"""A send of a measure that starts on the date of an entity names the entity, and of a moment the day."""

import pytest

from nurture.app.sends.options import SendOptions, check_options, run_key
from nurture.domain.errors import InputError
from nurture.domain.measure import Once, OnEntityDate, OnMoment
from tests.domain.build import a_measure, a_playbook

VISIT = a_measure(
    "any/visit", trigger=OnEntityDate("appointment", "starts_at"), entity="appointment", once=Once("occasion")
)
GREETING = a_measure("any/greeting", trigger=OnMoment("new_year"), once=Once("occasion"))
PLAYBOOK = a_playbook(VISIT, GREETING)


def test_the_date_of_an_entity_is_sent_by_the_entitys_key() -> None:
    by_key = SendOptions(values={"appointment_id": "a1"})
    check_options(by_key, VISIT, PLAYBOOK)
    # The day depends on the person's appointment.
    assert run_key(by_key, VISIT) is None
    for options, words in (
        (SendOptions(), "name it with --set appointment_id=VALUE"),
        (SendOptions("2026-03-10", values={"appointment_id": "a1"}), "leave --occasion out"),
    ):
        with pytest.raises(InputError, match=words):
            check_options(options, VISIT, PLAYBOOK)


def test_a_moment_is_sent_by_its_day() -> None:
    by_day = SendOptions("2027-01-01")
    check_options(by_day, GREETING, PLAYBOOK)
    assert run_key(by_day, GREETING) == "2027-01-01"
    with pytest.raises(InputError, match="name the occasion with --occasion"):
        check_options(SendOptions(), GREETING, PLAYBOOK)
