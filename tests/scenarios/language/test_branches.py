"""A branch from the file to the mail: loaded, checked, decided, sent, explained, and edited while people are inside."""

import pytest

from nurture.app import contacts
from nurture.database.engine import Database
from nurture.domain.instant import DAY
from nurture.playbook import LoadedPlaybook, build
from nurture.playbook.diff import effect
from tests.scenarios.language.small import small_playbook
from tests.scenarios.world import World

ANN, BEN = "ann@shop.example", "ben@shop.example"
WINBACK = """\
goal: people come back for a reason of their own
audience: "True"
form: guide
call_to_action: {kind: read, link: "{{ brand.shop_url }}"}
kind: accelerator
purpose: service
trigger: {event: Lapsed}
steps:
  - mail: value
  - wait: {for: Signed In, at_most: 7d}
    id: sign
  - branch:
      - when: steps.sign.outcome == "event"
        steps: [{mail: welcome_back}]
      - else:
          - mail: changed
          - wait: 14d
            id: rest
          - mail: offer
            when: steps.changed.outcome == "sent"
"""


@pytest.fixture
def loaded() -> LoadedPlaybook:
    return build(small_playbook("lead/any/winback", WINBACK, ["value", "welcome_back", "changed", "offer"]))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_person_takes_the_way_of_the_branch_that_fits(
    database: Database, loaded: LoadedPlaybook
) -> None:
    world = World(database, loaded)
    for person in (ANN, BEN):
        world.tell(person, "Lapsed")
    world.live(2 * DAY)
    world.tell(ANN, "Signed In")
    world.live(30 * DAY)
    assert [name for _, name in world.mails(ANN)] == [
        "lead/any/winback/value",
        "lead/any/winback/welcome_back",
    ]
    assert [(at[:10], name) for at, name in world.mails(BEN)] == [
        ("2026-03-02", "lead/any/winback/value"),
        ("2026-03-09", "lead/any/winback/changed"),
        ("2026-03-23", "lead/any/winback/offer"),
    ]
    why = contacts.why(world.services, BEN, "lead/any/winback")
    steps = [(part["check"], part["value"]) for part in why["findings"] if part["check"].startswith("step ")]
    assert steps == [
        ("step value", "sent"),
        ("step sign", "timeout"),
        ("step branch1", "else"),
        ("step changed", "sent"),
        ("step rest", "timeout"),
    ]


def test_the_dry_run_tells_what_becomes_of_people_inside_a_case(loaded: LoadedPlaybook) -> None:
    before = loaded.playbook.measures["lead/any/winback"]
    shorter = WINBACK.replace("14d", "9d")
    without_case = WINBACK[: WINBACK.index("      - else:")] + "  - mail: offer\n"
    without_step = WINBACK.replace("          - wait: 14d\n            id: rest\n", "")
    mails = ["value", "welcome_back", "changed", "offer"]
    effects = []
    for text in (shorter, without_case, without_step):
        used = [name for name in mails if f"mail: {name}" in text]
        after = build(small_playbook("lead/any/winback", text, used))
        effects.append(effect("rest", before, after.playbook.measures["lead/any/winback"]))
    assert effects == [
        "they leave when the shorter time is over, at once where it is (14d -> 9d)",
        "they go on at `offer`: their step is gone",
        "they go on at `offer`: their step is gone",
    ]
