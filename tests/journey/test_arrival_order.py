"""Whatever the order, repetition, names and batches in which events come, facts, track and stage are the same."""

from dataclasses import dataclass
from itertools import count, permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nurture.contacts.accept import NewEvent
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from nurture.domain.journey.advance import advance
from nurture.journey.replay import verify_replay
from tests.domain.build import a_contact, a_playbook
from tests.domain.build import an_event as a_plain_event
from tests.journey.builders import NOW, World, an_event
from tests.rig.examples import examples

HAPPENINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Order Completed", {"order_id": "o1", "revenue": 5}),
    ("Order Completed", {"order_id": "o2", "revenue": 7.5, "cart_id": "c1"}),
    ("Order Cancelled", {"order_id": "o1"}),
    ("Order Cancelled", {"order_id": "o2"}),
    ("Survey Answered", {"score": 9}),
    ("Survey Answered", {"score": 3}),
    ("Product Added", {"cart_id": "c1", "product_id": "p1"}),
    ("Product Removed", {"cart_id": "c1", "product_id": "p1"}),
    ("Product Added", {"cart_id": "c2", "product_id": "p2"}),
    ("Article Read", {"category": "tea"}),
    ("Article Read", {"category": "cups"}),
    ("Plan Changed", {"plan": "gold"}),
    ("Plan Changed", {"plan": "blue"}),
    ("Support Case Opened", {"case_id": "s1"}),
    ("Support Case Closed", {"case_id": "s1"}),
    ("Topic Confirmed", {}),
    ("Trial Started", {}),
)
_NUMBERS = count()


@dataclass(frozen=True)
class Life:
    """The events of one person: when each happened and which of the person's identities it names."""

    happened: tuple[tuple[int, int, str], ...]

    def events(self, tag: str, *, one_name: bool) -> list[NewEvent]:
        """Return the events, and the one in which all names stand together, for a person called `tag`."""
        events = [
            an_event(
                f"{tag}-{place:02}",
                f"u{tag}" if one_name else f"{kind}{tag}",
                name=HAPPENINGS[which][0],
                properties=HAPPENINGS[which][1],
                occurred_at=NOW - 40 * DAY + hour * HOUR,
            )
            for place, (which, hour, kind) in enumerate(self.happened)
        ]
        whole = an_event(
            f"{tag}-id",
            f"u{tag} e{tag} a{tag}",
            kind="identify",
            name="Identified",
            traits={"firstName": "Ann"},
        )
        return [*events, whole]


lives = st.lists(
    st.tuples(st.integers(0, len(HAPPENINGS) - 1), st.integers(0, 900), st.sampled_from("uea")),
    min_size=1,
    max_size=10,
).map(lambda happened: Life(tuple(happened)))


def state(world: World, tag: str) -> dict[str, Any]:
    contact = world.contact(f"u{tag}")
    return {**contact.facts, "track": contact.track, "stage": contact.stage}


@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(life=lives, data=st.data())
def test_order_repetition_names_and_batches_change_nothing(
    sqlite_database: Database, life: Life, data: st.DataObject
) -> None:
    world = World(sqlite_database, a_playbook())
    number = next(_NUMBERS)
    plain, mixed = f"{number}p", f"{number}m"
    world.take(*sorted(life.events(plain, one_name=True), key=lambda event: event.occurred_at))
    events = life.events(mixed, one_name=False)
    doubled = events + data.draw(st.lists(st.sampled_from(events), max_size=5))
    order = data.draw(st.permutations(doubled))
    cut = data.draw(st.integers(0, len(order)))
    world.accept(*order[:cut])
    world.settle(limit=data.draw(st.sampled_from([1, 2, 500])))
    world.take(*order[cut:])
    assert state(world, mixed) == state(world, plain)
    assert world.quarantined() == []
    assert verify_replay(sqlite_database, world.who(f"u{mixed}"), world.playbook) == []


@pytest.mark.parametrize(
    "happened",
    [
        ((0, 0, "u"), (6, 1, "u"), (8, 721, "u"), (6, 0, "u")),
        ((6, 0, "u"), (8, 721, "u"), (8, 1500, "u"), (7, 780, "u"), (6, 790, "u")),
        ((13, 0, "u"), (13, 1, "u"), (6, 2, "u"), (8, 900, "u")),
    ],
    ids=["another cart 30 days younger", "filled anew", "one cart at rest"],
)
def test_a_cart_that_rested_is_the_same_in_every_order_of_arrival(
    happened: tuple[tuple[int, int, str], ...],
) -> None:
    playbook = a_playbook()
    events = [
        a_plain_event(HAPPENINGS[which][0], NOW + hour * HOUR, id=f"m{place}", **HAPPENINGS[which][1])
        for place, (which, hour, _) in enumerate(happened)
    ]
    found = []
    for order in permutations(events):
        contact = advance(
            a_contact(playbook), order, now=NOW + 99 * DAY, playbook=playbook, mail=False
        ).contact
        found.append({**contact.facts, "track": contact.track, "stage": contact.stage})
    assert found == [found[0]] * len(found)
