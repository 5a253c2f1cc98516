"""The stored form of memory and run data: what the version before wrote is read, and written back as the same text."""

import json
from typing import Any

import pytest

from nurture.contacts.state_codec import decode_memory, decode_run_data, encode_memory, encode_run_data
from nurture.domain.contact import Run
from nurture.domain.memory import ConversionRecord, Entity, HoldSpan, Memory, MilestoneCount, Signs

#: Every key that the version before wrote, in the order in which this one writes them.
MEMORY: dict[str, Any] = {
    "latest": {"@zone": [1773783840000000, "shop", "m-17"], "first_name": [1770101040000000, "shop", "m-1"]},
    "sets": {"interests": {"office": 1770101100000000}},
    "ever": {"engaged": [1770101100000000]},
    "signs": {"satisfied": {"no": 1770187440000000}, "loyal": {"yes": 1, "no": 2}},
    "entities": {
        "cart": {
            "c-1": {
                "fields": {"cart_id": "c-1", "currency": "EUR"},
                "at": {"cart_id": [1770187440000000, "m-3"], "currency": [1770187440000000, "m-3"]},
                "lines": {
                    "v60": {"at": [1770187440000000, "m-3"], "present": True, "fields": {"price": 32.0}}
                },
                "opened_at": 1770187440000000,
                "touched_at": 1770187440000001,
            }
        }
    },
    "closings": {"cart": {"all": -4611686018427387904, "keys": {"c-0": 1770187440000000}}},
    "gone": {"cart": ["0a1b2c3d"]},
    "conversions": {
        "o-1": {"at": 1770187440000000, "reversed": False},
        "o-2": {"at": None, "reversed": True},
    },
    "converted": 2,
    "milestones": {"first_order": {"count": 1, "keys": [""]}},
    "holds": {"open_case": {"k-1": [1770187440000000, -4611686018427387904]}},
    "done": {"lead/any/welcome": {"": 1770187440000000}},
    "triggers": {"customer/any/second_order": ["565767d4", False], "lead/any/looking": ["9dce74e2", True]},
    "quiet": {"lead/convert/abandoned_cart": {"c-1": 1770187440000001}},
    "aside": {"lead/any/looking": 1770187440000002},
    "base": 1760000000000000,
    "folded": "3a1ed55a4d3c9432",
}
#: A text of the version before, which has a value that is now left out.
BEFORE: dict[str, Any] = {
    **MEMORY,
    "entities": {"cart": {"c-1": {**MEMORY["entities"]["cart"]["c-1"], "closed_at": None}}},
}
RUN: dict[str, Any] = {
    "event": "Order Completed",
    "occurred_at": 1770187440000000,
    "properties": {"order_id": "o-1"},
    "generation": 1,
    "position": 2,
}


def text_of(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def run_of(text: str) -> Run:
    data = decode_run_data(text)
    return Run(
        "lead/any/welcome", "", "", "lead", 0, "one", 0,
        origin=data.origin, position=data.position, queued=data.queued, unknown=data.unknown,
    )  # fmt: skip


def test_a_memory_of_the_version_before_is_read_and_written_back() -> None:
    memory, unknown = decode_memory(text_of(BEFORE))
    assert unknown == {}
    assert memory.definitions == "3a1ed55a4d3c9432"
    assert memory.answers["lead/any/looking"] == ("9dce74e2", True)
    assert memory.latest["first_name"] == (1770101040000000, "shop", "m-1")
    assert memory.conversions["o-2"] == ConversionRecord(None, reversed=True)
    assert (memory.dropped_conversions, memory.events_kept_from) == (2, 1760000000000000)
    assert memory.milestones["first_order"] == MilestoneCount(1, [""])
    assert memory.holds["open_case"]["k-1"] == HoldSpan(1770187440000000)
    cart = memory.entities["cart"]["c-1"]
    assert (cart.touched_at, cart.closed_at) == (1770187440000001, None)
    assert cart.stamps["currency"] == (1770187440000000, "m-3")
    assert (cart.lines["v60"].present, cart.lines["v60"].fields) == (True, {"price": 32.0})
    assert memory.closings["cart"].by_key == {"c-0": 1770187440000000}
    assert memory.signs == {"satisfied": Signs(no=1770187440000000), "loyal": Signs(1, 2)}
    assert memory.run_starts == {"lead/any/welcome": {"": 1770187440000000}}
    assert memory.silences == {"lead/convert/abandoned_cart": {"c-1": 1770187440000001}}
    assert encode_memory(memory, {}) == text_of(MEMORY)


@pytest.mark.parametrize("document", [{}, {"latest": {}, "quiet": {}}, {"converted": 0, "base": None}])
def test_an_empty_part_is_left_out(document: dict[str, Any]) -> None:
    memory, unknown = decode_memory(text_of(document))
    assert (memory, unknown) == (Memory(), {})
    assert encode_memory(memory, unknown) == "{}"


def test_a_new_memory_is_written_with_the_keys_that_the_version_before_reads() -> None:
    memory = Memory(definitions="d", dropped_entities={"cart": ["0a1b2c3d"]})
    memory.entities["cart"] = {"c-1": Entity(opened_at=1, touched_at=2)}
    memory.signs["satisfied"] = Signs(yes=3)
    memory.holds["open_case"] = {"": HoldSpan(4, 5)}
    memory.answers["lead/any/looking"] = ("9dce74e2", True)
    assert json.loads(encode_memory(memory, {})) == {
        "folded": "d",
        "signs": {"satisfied": {"yes": 3}},
        "entities": {
            "cart": {"c-1": {"opened_at": 1, "touched_at": 2}},
        },
        "gone": {"cart": ["0a1b2c3d"]},
        "holds": {"open_case": {"": [4, 5]}},
        "triggers": {"lead/any/looking": ["9dce74e2", True]},
    }


def test_keys_of_a_later_version_survive_in_every_part() -> None:
    later: dict[str, Any] = json.loads(text_of(MEMORY))
    later["scores"] = {"a": [1, 2]}
    later["entities"]["cart"]["c-1"]["weight"] = "o-9"
    later["closings"]["cart"]["undone"] = [7]
    later["conversions"]["o-1"]["amount"] = 5
    later["milestones"]["first_order"]["first_at"] = 9
    later["signs"]["loyal"]["maybe"] = 4
    later["entities"]["cart"]["c-1"]["lines"]["v60"]["amount"] = 2
    memory, unknown = decode_memory(text_of(later))
    memory.dropped_conversions += 1
    assert json.loads(encode_memory(memory, unknown)) == {**later, "converted": 3}
    assert json.loads(encode_memory(memory.refolded(Memory()), unknown))["scores"] == {"a": [1, 2]}


def test_unknown_keys_of_a_part_go_with_the_part() -> None:
    later: dict[str, Any] = json.loads(text_of(MEMORY))
    later["entities"]["cart"]["c-1"]["weight"] = "o-9"
    memory, unknown = decode_memory(text_of(later))
    del memory.entities["cart"]["c-1"]
    assert json.loads(encode_memory(memory, unknown))["entities"] == {"cart": {}}


@pytest.mark.parametrize(
    "more", [{}, {"request": "spring"}, {"request": "spring", "send_at": 5}, {"queued": True}]
)
def test_run_data_of_the_version_before_is_read_and_written_back(more: dict[str, Any]) -> None:
    text = text_of({**RUN, **more})
    run = run_of(text)
    assert (run.origin.event, run.origin.properties) == ("Order Completed", {"order_id": "o-1"})
    assert (run.origin.generation, run.position, run.queued) == (1, 2, "queued" in more)
    assert (run.origin.request, run.origin.send_at) == (more.get("request"), more.get("send_at"))
    assert encode_run_data(run) == text


def test_run_data_keeps_the_keys_of_a_later_version() -> None:
    later = text_of({**RUN, "arm": "b"})
    assert encode_run_data(run_of(later)) == later
