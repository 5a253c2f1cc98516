"""An audience is counted in one pass over everybody, and asks for their zones only where zones matter."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import audience
from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.schema import contacts
from nurture.domain.signing import SigningKeys
from nurture.playbook import FixedPlaybook, LoadedPlaybook
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from tests.domain.build import a_playbook
from tests.domain.conditions.samples import NOW

#: The contacts: zone, plan, and whether merged or erased. It is 10:00 in UTC, 18:00 in Shanghai.
_EVERYBODY: tuple[dict[str, Any], ...] = (
    {"zone": "Asia/Shanghai", "facts": {"plan": "pro"}},
    {"zone": "Asia/Shanghai", "facts": {}},
    {"zone": None, "facts": {"plan": "free"}},
    {"zone": "Europe/Berlin", "facts": {"plan": "pro"}, "survivor": 1},
    {"zone": "Asia/Shanghai", "facts": {"plan": "pro"}, "erased_at": NOW},
)


@pytest.fixture
def services(database: Database) -> Services:
    common = {"track": "lead", "stage": "aware", "clock": 0, "version": 0}
    begun = dict.fromkeys(("track_since", "stage_since", "first_seen_at"), NOW)
    rows = [
        {"survivor": None, "erased_at": None, **common, **begun, **row, "id": number}
        for number, row in enumerate(_EVERYBODY, 1)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(contacts), rows)
    unused: Any = None
    playbooks = FixedPlaybook(LoadedPlaybook(1, a_playbook(), files={}, templates=unused))
    return Services(
        database, load_settings(environment={}), ManualClock(NOW), SigningKeys((b"secret" * 6,)), playbooks
    )


#: Expression -> how many answer yes, and of how many it is unknown.
_ANSWERS = {
    "plan == 'pro'": (1, 1),
    "plan != 'nothing'": (2, 1),
    "plan == 'gold'": (0, 1),
    "orders == 0": (3, 0),
    "orders >= 1": (0, 0),
    "local_hour() == 18": (2, 0),
    "local_hour() == 10": (1, 0),
    "silent_days('Order Completed') < 1": (3, 0),
    "silent_days('Order Completed') > 1": (0, 0),
    "plan == 'pro' and local_weekday() in ['mon', 'sun']": (1, 1),
}


def test_everybody_who_is_somebody_is_counted_once(services: Services) -> None:
    for expression, (yes, unknown) in _ANSWERS.items():
        counted = audience.count(services, expression)

        assert counted == {"audience": expression, "yes": yes, "unknown": unknown, "people": 3}
        assert len(audience.sample(services, expression, limit=10)) == yes


def test_nobody_is_counted_in_an_empty_database(services: Services) -> None:
    with services.database.write() as connection:
        connection.execute(sa.delete(contacts))

    counted = audience.count(services, "orders == 0")

    assert (counted["yes"], counted["unknown"], counted["people"]) == (0, 0, 0)


def test_a_count_passes_once_over_everybody_and_a_second_time_only_for_their_zones(
    services: Services,
) -> None:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    def passes(expression: str) -> int:
        seen.clear()
        audience.count(services, expression)
        return sum("FROM contacts" in statement for statement in seen)

    sa.event.listen(services.database.reader, "before_cursor_execute", note)
    try:
        assert passes("orders >= 1 and silent_days('Order Completed') > 7 and known(first_name)") == 1
        assert passes("views >= 2 or days_until(renewal_at) < 3") == 1
        assert passes("orders >= 1 and (local_hour() < 9 or local_weekday() == 'sun')") == 2
    finally:
        sa.event.remove(services.database.reader, "before_cursor_execute", note)
