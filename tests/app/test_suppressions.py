"""An operator sees in words why an address gets no mail, and lifts what is theirs to lift."""

from typing import Any, get_args

import pytest
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.suppressions import lift_suppressions, show
from nurture.consent.record import suppress_address
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.consent.suppressions import SuppressionReason
from nurture.domain.errors import InputError
from nurture.domain.feedback import REASONS, Report
from nurture.feedback.record import record
from nurture.runtime.clock import ManualClock
from tests.web.live import NOW, a_contact, a_service

ADA = "ada@example.com"


@pytest.fixture
def services(database: Database) -> Services:
    return a_service(database, clock=ManualClock(NOW))


def stop(services: Services, reason: Any, scope: Any = "all") -> None:
    key = services.settings.suppression_secret
    services.database.run(
        lambda connection: suppress_address(
            connection, address=ADA, scope=scope, reason=reason, now=NOW, source="test", suppression_key=key
        )
    )


def test_every_reason_is_told_in_words() -> None:
    assert set(REASONS) == set(get_args(SuppressionReason))


def test_a_bounce_is_explained_and_lifted(services: Services) -> None:
    contact = a_contact(services.database, ADA)
    report = Report("postmark", "1", "bounce", NOW, severity="hard", address=ADA)
    key = services.settings.suppression_secret
    services.database.run(lambda connection: record(connection, [report], now=NOW, suppression_key=key))
    (row,) = show(services, ADA)
    assert (row["scope"], row["reason"], row["source"]) == ("all", "hard_bounce", "feedback")
    assert "does not exist" in row["because"]
    assert show(services, f"contact:{contact}") == [row]
    assert lift_suppressions(services, ADA.upper(), because="she called", actor="tom") == [row]
    assert show(services, ADA) == []
    with services.database.read() as connection:
        (logged,) = connection.execute(sa.select(t.audit))
    assert (logged.actor, decode(logged.detail)) == (
        "tom",
        {
            "contacts": [contact],
            "reasons": ["hard_bounce"],
            "because": "she called",
            "person_asked": False,
        },
    )


@pytest.mark.parametrize("reason", ["complaint", "unsubscribed", "erased"])
def test_an_operator_cannot_lift_a_suppression_that_the_person_caused(
    services: Services, reason: str
) -> None:
    stop(services, reason)
    with pytest.raises(InputError, match="an operator cannot lift this"):
        lift_suppressions(services, ADA, because="sales wants it", actor="tom")
    assert [row["reason"] for row in show(services, ADA)] == [reason]


def test_a_complaint_is_taken_back_at_the_person_s_own_word(services: Services) -> None:
    stop(services, "complaint")
    (row,) = lift_suppressions(services, ADA, because="her mail of 3 May", actor="tom", person_asked=True)
    assert row["reason"] == "complaint"
    assert show(services, ADA) == []


def test_a_reason_must_be_given_and_nothing_is_no_fault(services: Services) -> None:
    assert lift_suppressions(services, ADA, because="x", actor="tom") == []
    stop(services, "hard_bounce")
    with pytest.raises(InputError, match="--because"):
        lift_suppressions(services, ADA, because=" ", actor="tom")
