"""`was`: a measure or a step keeps its people, `once` and caps under another name."""

from typing import Any

import pytest

from nurture.database.engine import Database
from nurture.domain.errors import PlaybookError
from nurture.domain.facts import empty
from nurture.domain.instant import DAY
from nurture.domain.journey.advance import advance
from nurture.domain.message import Settled
from nurture.playbook import Change, InFlight, LoadedPlaybook, compare, rebuild, with_people
from nurture.playbook.loaded_playbook import find_faults
from nurture.playbook.publishing import publish
from tests.domain.build import NOON, an_event
from tests.playbook.builder import a_playbook, changed

OLD, NEW = "lead/aware/guide", "lead/aware/handbook"


def built(files: dict[str, str]) -> LoadedPlaybook:
    """Return the playbook without checking it."""
    return rebuild(files, id_=0)


def renamed(
    new: str = NEW, was: str = OLD, files: dict[str, str] | None = None, *, old: str = OLD
) -> dict[str, str]:
    """Return the playbook with the measure in another folder, which says what it was."""
    moved = {path.replace(f"{old}/", f"{new}/"): text for path, text in (files or a_playbook()).items()}
    file = f"{new}/measure.yaml"
    lines = [line for line in moved[file].splitlines() if not line.startswith("was:")]
    moved[file] = "\n".join([*lines, *([f"was: {was}"] if was else []), ""])
    return moved


def faults(files: dict[str, str]) -> list[str]:
    return [str(fault) for fault in find_faults(files, render=False)]


def test_another_name_alone_changes_no_rules_hash_and_finds_the_measure_by_both() -> None:
    before, after = built(a_playbook()).playbook, built(renamed()).playbook
    assert before.rules_hash == after.rules_hash
    assert before.content_hash != after.content_hash
    assert before.measures[OLD].rules_hash == after.measures[NEW].rules_hash
    assert after.measures[OLD] is after.measures.get(NEW)
    assert OLD not in list(after.measures)
    plain = built(renamed(was="")).playbook
    assert plain.rules_hash != before.rules_hash


def test_publishing_shows_the_people_who_go_on_under_the_new_name() -> None:
    old, new = built(a_playbook()), built(renamed())
    difference = with_people(compare(old, new), old, new, {(OLD, "wait1"): 3})
    assert difference.changes == (
        Change(NEW, "renamed", (f"was {OLD}",), (InFlight("wait1", 3, "they go on"),), was=OLD),
    )
    assert not difference.wakes
    moved = built(renamed("lead/subscribe/guide"))
    change = with_people(compare(old, moved), old, moved, {(OLD, "wait1"): 3}).changes[0]
    assert (change.kind, change.people, change.details[0]) == ("rules", 3, f"was {OLD}")


def test_a_second_rename_names_both_and_the_first_name_stays_the_identity() -> None:
    twice = renamed("lead/aware/book", f"[{OLD}, {NEW}]", renamed(), old=NEW)
    measure = built(twice).playbook.measures["lead/aware/book"]
    assert (measure.root, measure.was) == (OLD, (OLD, NEW))


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (
            renamed("customer/any/guide", OLD),
            f"was {OLD}, and stands under customer/: a track is never crossed",
        ),
        (renamed(was="lead/aware/handbook"), "`lead/aware/handbook` is its name now"),
        (renamed() | a_playbook(), f"`{OLD}` still exists"),
    ],
    ids=["the other track", "its own name", "still there"],
)
def test_a_former_name_that_cannot_be_is_a_fault(files: dict[str, str], fault: str) -> None:
    assert any(fault in line for line in faults(files))


def test_two_measures_were_not_one() -> None:
    both = renamed() | renamed("lead/aware/third")
    assert sum("two measures were" in fault for fault in faults(both)) == 2


def test_a_renamed_step_keeps_its_id() -> None:
    before = built(a_playbook()).playbook.measures[OLD]
    file = f"{OLD}/measure.yaml"
    after = built(changed(file, "  - wait: 2d\n", "  - wait: 2d\n    id: pause\n    was: wait1\n")).playbook
    assert [step.id for step in after.measures[OLD].steps] == [step.id for step in before.steps]
    assert after.measures[OLD].rules_hash == before.rules_hash


def test_publishing_refuses_what_would_lose_people_known_by_an_older_name(sqlite_database: Database) -> None:
    def put(files: dict[str, str]) -> None:
        publish(sqlite_database, files, now=NOON, actor="test")

    put(a_playbook())
    put(renamed())
    for lost in (renamed(was=""), renamed("lead/aware/book", NEW, renamed(), old=NEW)):
        with pytest.raises(PlaybookError, match=rf"is known as {OLD} to people in flight: write `was: \["):
            put(lost)
    put(renamed("lead/aware/book", f"[{OLD}, {NEW}]", renamed(), old=NEW))


def test_people_in_flight_and_once_follow_the_new_name() -> None:
    files = changed(f"{OLD}/measure.yaml", "trigger: {stage: aware}", "trigger: {event: Page Viewed}")
    before, after = built(files).playbook, built(renamed(files=files)).playbook
    person = empty(1, first_seen_at=NOON - DAY, playbook=before)
    measure: Any = before.measures[OLD]
    seen = [an_event("Identified", NOON, traits={"firstName": "Ada"}), an_event("Page Viewed", NOON + 1)]
    entered = advance(person, seen, now=NOON + 1, playbook=before)
    (run,) = entered.runs.values()
    first, *_ = entered.messages
    sent = Settled(1, first.measure, first.run_key, first.step, "sent", NOON + 2)
    gone_on = advance(entered.contact, [sent], now=NOON + 30 * DAY, playbook=after)
    assert run.measure == OLD == measure.path
    assert {(m.measure, m.run_key) for m in gone_on.messages} == {(OLD, run.key)}
    again = advance(
        gone_on.contact, [an_event("Page Viewed", NOON + 31 * DAY)], now=NOON + 31 * DAY, playbook=after
    )
    assert (again.messages, [key for key in again.runs if key[1] != run.key]) == ([], [])
