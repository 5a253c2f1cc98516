"""A planned send says how many it would reach, and of those meant who may not enter, and why."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.sends.plan import plan as plan_send
from nurture.app.sends.recipients import audience_of, find_recipients
from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.schema import contacts, identities
from nurture.domain.errors import NotFoundError
from nurture.domain.signing import SigningKeys
from nurture.playbook import FixedPlaybook, LoadedPlaybook
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from tests.domain.build import a_measure, a_playbook, when
from tests.domain.conditions.samples import NOW

_OFFER = "lead/aware/offer"
_NOTICE = "any/notice"
#: Ten leads of whom the offer may reach numbers 4 to 10; five are meant by nobody.
_LEAD: dict[str, Any] = {"track": "lead", "stage": "aware", "facts": {"plan": "pro"}}
_EVERYBODY: tuple[dict[str, Any], ...] = (
    {**_LEAD, "track": "customer", "stage": "excite"},
    {**_LEAD, "stage": "convert"},
    {**_LEAD, "facts": {"plan": "free"}},
    *[_LEAD] * 7,
    # Whether they are in the audience is not known, so they are not.
    {**_LEAD, "facts": {}},
    {**_LEAD, "survivor": 4},
    {**_LEAD, "erased_at": NOW},
)


@pytest.fixture
def services(database: Database) -> Services:
    common = {"clock": 0, "version": 0, "survivor": None, "erased_at": None}
    begun = dict.fromkeys(("track_since", "stage_since", "first_seen_at"), NOW)
    rows = [
        {**common, **begun, "email": f"p{number}@shop.example", **row, "id": number}
        for number, row in enumerate(_EVERYBODY, 1)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(contacts), rows)
        named = {"kind": "email", "since": NOW, "source": "test"}
        names = [{"value": row["email"], "contact_id": row["id"], **named} for row in rows]
        connection.execute(sa.insert(identities), names)
    measures = (a_measure(_OFFER, audience=when("plan == 'pro'")), a_measure(_NOTICE))
    unused: Any = None
    playbooks = FixedPlaybook(LoadedPlaybook(1, a_playbook(*measures), files={}, templates=unused))
    return Services(
        database, load_settings(environment={}), ManualClock(NOW), SigningKeys((b"secret" * 6,)), playbooks
    )


def test_contacts_that_may_not_enter_are_counted_by_the_first_reason(services: Services) -> None:
    planned = plan_send(services, _OFFER, audience_of("True"))

    assert planned["people"] == 7
    assert planned["not_entering"] == {"other_track": 1, "other_stage": 1, "audience": 2}
    assert [row["contact"] for row in planned["first"]] == [4, 5, 6, 7, 8]
    assert planned["first"][0] == {
        "contact": 4,
        "email": "p4@shop.example",
        "track": "lead",
        "stage": "aware",
    }


def test_only_those_who_are_meant_are_counted(services: Services) -> None:
    planned = plan_send(services, _OFFER, audience_of("plan == 'free'"))

    assert (planned["people"], planned["first"], planned["not_entering"]) == (0, [], {"audience": 1})


def test_a_measure_of_any_track_and_stage_refuses_nobody(services: Services) -> None:
    planned = plan_send(services, _NOTICE, audience_of("known(plan)"))

    assert (planned["people"], planned["not_entering"]) == (10, {})


def test_one_person_is_planned_by_the_same_rule(services: Services) -> None:
    def plan(who: str) -> tuple[int, dict[str, int]]:
        planned = plan_send(services, _OFFER, find_recipients(services, [who]))
        return planned["people"], planned["not_entering"]

    assert plan("p4@shop.example") == (1, {})
    assert plan("p2@shop.example") == (0, {"other_stage": 1})
    with pytest.raises(NotFoundError):
        plan("nobody@shop.example")
