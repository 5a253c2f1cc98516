"""Old forms are written as they are written today: comments and meaning stay."""

import random  # noqa: TID251 - seeded, so the same seed draws the same
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from nurture.app import playbooks
from nurture.domain.errors import PlaybookError
from nurture.domain.event import Event
from nurture.domain.journey.advance import advance
from nurture.domain.playbook import LabelFact, Playbook
from nurture.playbook import inspect, rebuild
from nurture.playbook.document import read_document
from nurture.playbook.fault import Faults
from nurture.playbook.upgrade import upgrade
from nurture.playbook.upgrade.yaml_text import YamlText
from tests.domain.build import DAY, NOON, a_contact, an_event
from tests.playbook.builder import a_playbook, changed
from tests.playbook.yaml_layouts import Layout

PROGRAMME = "playbook.yaml"
#: Old forms only, in a section each.
OLD: dict[str, Any] = {
    "name": "old",
    "conversion": {
        "by": ["Order Completed", {"event": ["Contract Signed"], "where": "total >= 1"}],
        "key": "order_id",
        "reversed_by": ["Order Cancelled", {"event": "Order Voided", "where": "total >= 9"}],
        "hold": "after_return",
    },
    "facts": {
        "orders": {"count": "Order Completed"},
        "cart": {
            "entity": "cart_id",
            "of": ["Product Added", "Cart Viewed"],
            "closed_by": {"Order Completed": "all"},
        },
        "case": {"entity": "case_id", "of": "Case Opened", "keep": 5},
        "wishes": {"count": {"entity": "cart"}},
    },
    "personas": {
        "office": {"event": "Survey Answered", "where": 'answer == "office"'},
        "home": ["Read Home", "Page"],
        "cafe": "Café Visited",
    },
    "forms": ["notice"],
}
NEW: dict[str, Any] = {
    "name": "old",
    "conversion": {"by": "order", "hold": "after_return"},
    "entities": {
        "cart": {
            "key": "cart_id",
            "of": ["Product Added", "Cart Viewed"],
            "closed_by": {"Order Completed": "all"},
        },
        "case": {"key": "case_id", "of": "Case Opened", "keep": 5},
        "order": {
            "key": "order_id",
            "of": ["Order Completed", {"event": ["Contract Signed"], "where": "total >= 1"}],
            "reversed_by": {"Order Cancelled": "full", "Order Voided": {"full": True, "where": "total >= 9"}},
        },
    },
    "facts": {
        "orders": {"count": "Order Completed"},
        "wishes": {"count": {"entity": "cart"}},
        "persona": {
            "label": {
                "office": [{"event": "Survey Answered", "where": 'answer == "office"'}],
                "home": ["Read Home", "Page"],
                "cafe": ["Café Visited"],
            }
        },
    },
    "forms": ["notice"],
}


def read(text: str) -> dict[str, Any]:
    faults = Faults()
    document = read_document(PROGRAMME, text, faults)
    assert document is not None
    assert not faults, [str(fault) for fault in faults.sorted()]
    return dict(document.data)


def upgraded(text: str) -> str:
    return upgrade({PROGRAMME: text}).files[PROGRAMME]


@pytest.mark.parametrize("seed", range(12))
def test_any_layout_keeps_its_comments_and_comes_to_the_same_new_form(seed: int) -> None:
    layout = Layout(seed)
    text = layout.document(OLD if seed % 3 else {**OLD, "entities": {}})
    new = upgraded(text)
    assert read(new) == NEW, new
    assert list(read(new)["entities"]) == ["cart", "case", "order"]
    assert Counter(YamlText(new).comments()) == Counter(layout.comments), new
    assert upgraded(new) == new


def test_entities_that_are_there_stay_behind_those_that_move() -> None:
    kinds = {"parcel": {"key": "parcel_id", "of": "Parcel Sent"}}
    for seed in range(3):
        new = read(upgraded(Layout(seed).document({"entities": kinds, **OLD})))
        assert new["entities"] == {**NEW["entities"], **kinds}
        assert list(new["entities"]) == ["cart", "case", "parcel", "order"]


def test_a_conversion_takes_the_entity_that_counts_and_is_reversed_by_the_same_events() -> None:
    order = NEW["entities"]["order"] | {"counts_from": NEW["entities"]["order"]["of"], "of": "Order Updated"}
    new = read(upgraded(Layout(1).document({**OLD, "entities": {"deal": order}})))
    assert new["conversion"] == {"by": "deal", "hold": "after_return"}
    assert list(new["entities"]) == ["cart", "case", "deal"]


@pytest.mark.parametrize(
    ("difference", "kept"),
    [
        ({"reversed_by": {"Order Cancelled": "full"}}, "Order Voided"),
        ({"key": "deal_id"}, "order_id"),
        ({"counts_from": "Order Completed"}, "Contract Signed"),
        ({"restored_by": "Order Restored"}, "order_id"),
        ({"within": "case"}, "order_id"),
    ],
)
def test_an_entity_of_other_events_is_not_taken_for_the_conversion(
    difference: dict[str, Any], kept: str
) -> None:
    order = {**NEW["entities"]["order"], **difference}
    new = read(upgraded(Layout(1).document({**OLD, "entities": {"order": order}})))
    assert new["conversion"] == {"by": "converting_order", "hold": "after_return"}
    assert new["entities"]["order"] == order
    assert kept in str(new["entities"]["converting_order"])


def test_a_conversion_by_entities_and_events_keeps_its_entities() -> None:
    mixed = {**OLD, "conversion": {"by": ["cart", "Order Completed"], "key": "orderId"}}
    new = read(upgraded(Layout(1).document(mixed)))
    assert new["conversion"] == {"by": ["order", "cart"]}
    assert new["entities"]["order"] == {"key": "orderId", "of": "Order Completed"}


@pytest.mark.parametrize(
    ("first", "second", "is_left"),
    [
        ('answer == "a"', 'answer == "b" and score >= 1', False),
        ('answer == "a"', "score >= 1", True),
        ('answer == "a"', 'other == "b"', True),
        (None, None, True),
    ],
)
def test_personas_that_share_an_event_are_left(
    first: str | None, second: str | None, *, is_left: bool
) -> None:
    def matcher(where: str | None) -> dict[str, Any]:
        return {"event": "Survey Answered"} | ({} if where is None else {"where": where})

    personas = {"home": matcher(first), "office": matcher(second)}
    done = upgrade({PROGRAMME: Layout(1).document({**OLD, "personas": personas})})
    assert [fault.what for fault in done.left] == ["`personas` is the old form of a label"] * is_left
    # Of a label the greater text counts, which is the first one here.
    turned = dict(reversed(personas.items()))
    assert not upgrade({PROGRAMME: Layout(1).document({**OLD, "personas": turned})}).left


def test_a_file_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(PlaybookError, match=r"playbook.yaml:2: not YAML"):
        upgrade({PROGRAMME: "name: [\n"})


# ---- the meaning ---------------------------------------------------------------------------------------------


PERSONAS = (
    "personas: {office: {event: Survey Answered, where: score >= 0}}",
    "personas: {office: {event: Survey Answered, where: score >= 9}, home: [Page Viewed, Cart Viewed]}",
)


@pytest.fixture(scope="module")
def both() -> tuple[Playbook, Playbook]:
    """A small playbook in old forms, and as it is written today."""
    files = changed(PROGRAMME, *PERSONAS)
    return rebuild(files, id_=0).playbook, rebuild(upgrade(files).files, id_=0).playbook


def test_all_that_has_no_old_form_is_compiled_to_the_same(both: tuple[Playbook, Playbook]) -> None:
    old, new = both
    entities = {name: kind for name, kind in new.entities.items() if name != "order"}
    facts = {name: fact for name, fact in new.facts.items() if name != "persona"}
    assert (old.entities, list(old.entities)) == (entities, list(entities))
    assert old.facts == facts
    assert old.vocabulary.terms.items() <= new.vocabulary.terms.items()
    changed_parts = {"entities", "facts", "vocabulary", "personas", "conversion", "measures", "published"}
    for name in {part.name for part in fields(Playbook)} - changed_parts - {"rules_hash", "content_hash"}:
        assert getattr(old, name) == getattr(new, name), name
    for path, measure in old.measures.items():
        assert replace(measure, rules_hash="") == replace(new.measures[path], rules_hash="")
    assert isinstance(new.facts["persona"], LabelFact)


def some_events(seed: int) -> list[Event]:
    """Return the events of one person in the order of their arrival; some are late, told twice, or without a key."""
    draw = random.Random(seed)
    names = [
        *("Order Completed", "Order Taken Back", "Survey Answered", "Page Viewed", "Cart Viewed"),
        *("Product Added", "Case Opened", "Case Closed", "Trial Started", "Return Requested"),
    ]
    events = []
    for number in range(draw.randrange(1, 14)):
        keys = {
            "order_id": draw.choice(["1", "2", 3, "", None]),
            "cart_id": "c",
            "case_id": draw.choice("xy"),
        }
        at = NOON + number * DAY
        late = draw.choice([0, 0, 2 * DAY, 30 * DAY])
        event = an_event(
            draw.choice(names), at - late, received=at, id=str(number), score=draw.choice([0, 6, 9]), **keys
        )
        events.append(event)
    return events


@pytest.mark.parametrize("seed", range(60))
def test_people_come_to_the_same_place_by_the_old_and_the_new_form(
    seed: int, both: tuple[Playbook, Playbook]
) -> None:
    events = some_events(seed)
    results = [
        advance(a_contact(playbook), events, now=NOON + 40 * DAY, playbook=playbook) for playbook in both
    ]
    old, new = (
        (
            {name: value for name, value in result.contact.facts.items() if not name.startswith("order.")},
            result.contact.track,
            result.contact.stage,
            sorted(result.contact.runs),
            [(message.measure, message.step, message.decided_at) for message in result.messages],
            [(change.kind, change.after, change.at) for change in result.transitions],
        )
        for result in results
    )
    assert old == new


# ---- the check and the command -------------------------------------------------------------------------------


def test_the_check_warns_of_each_old_form_and_of_none_after_the_upgrade() -> None:
    files = a_playbook()
    faults = inspect(files, render=False)
    assert not faults.sorted()
    assert [str(warning).partition(":")[2].partition(": run")[0] for warning in faults.warnings] == [
        "9: warning: `conversion` by events with a `key` is an old form",
        "17: warning: `cart` is an entity among the facts",
        "18: warning: `appointment` is an entity among the facts",
        "19: warning: `case` is an entity among the facts",
        "41: warning: `personas` is the old form of a label",
    ]
    after = inspect(upgrade(files).files, render=False)
    assert (after.sorted(), after.warnings) == ([], [])


def folder_of(tmp_path: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return tmp_path


def test_the_command_shows_the_difference_and_writes_only_when_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_playbook())
    file = folder / PROGRAMME
    windows = b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n")
    file.write_bytes(windows)
    shown = playbooks.upgrade(folder, write=False)
    assert file.read_bytes() == windows
    assert (len(shown["rewritten"]), shown["left"], shown["is_written"]) == (5, [], False)
    assert "-conversion: {by: Order Completed, key: order_id" in shown["diff"]
    assert "+conversion: {by: order, hold: after_return}" in shown["diff"]
    assert playbooks.upgrade(folder, write=True)["is_written"]
    assert file.read_bytes().startswith(b"\xef\xbb\xbfname: little-shop\r\n")
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n")
    assert playbooks.check(folder) == ([], [])
    again = playbooks.upgrade(folder, write=True)
    assert (again["diff"], again["is_written"]) == ("", False)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
