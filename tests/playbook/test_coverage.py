"""The map of a programme shows which measure serves what, and where none does."""

from pathlib import Path
from typing import Any

import pytest

from nurture.app.coverage import coverage
from nurture.playbook.loaded_playbook import find_starved
from tests.playbook.builder import a_playbook, changed
from tests.playbook.test_places import moved
from tests.playbook.test_touchpoints import PLACE, SHOP

COUPON = "customer/any/coupon"


@pytest.fixture
def files() -> dict[str, str]:
    """The small playbook with a touchpoint."""
    return changed("playbook.yaml", PLACE, SHOP)


def mapped(tmp_path: Path, files: dict[str, str]) -> dict[str, Any]:
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return coverage(tmp_path)


def serving(rows: list[dict[str, object]], stage: str) -> list[object]:
    return [row["measure"] for row in rows if row["stage"] == stage]


def test_each_stage_lists_the_measures_that_reach_it(tmp_path: Path, files: dict[str, str]) -> None:
    found = mapped(tmp_path, moved(files, "lead/any/visit", "lead/aware+/visit"))
    assert serving(found["stages"], "aware") == ["any/confirm", "lead/aware+/visit", "lead/aware/guide"]
    assert serving(found["stages"], "convert") == ["any/confirm", "lead/aware+/visit", "lead/convert/cart"]
    (coupon,) = (row for row in found["stages"] if row["stage"] == "ascend" and row["measure"] == COUPON)
    assert (coupon["action"], coupon["early"]) == ("buy", "once, after a month of silence")


def test_a_stage_that_no_measure_of_its_track_serves_has_a_row_without_one(
    tmp_path: Path, files: dict[str, str]
) -> None:
    kept = {path: text for path, text in files.items() if not path.startswith("customer/")}
    found = mapped(tmp_path, kept)
    assert serving(found["stages"], "excite") == ["any/confirm", ""]


def test_a_measure_names_its_personas(tmp_path: Path, files: dict[str, str]) -> None:
    audience = "known(first_name) and views >= 1"
    files = changed("lead/aware/guide/measure.yaml", audience, 'persona == "office"', files)
    found = mapped(tmp_path, files)
    assert found["personas"] == ["office"]
    personas = {row["measure"]: row["personas"] for row in found["stages"]}
    assert (personas["lead/aware/guide"], personas["lead/any/visit"]) == (("office",), ())


def test_touchpoints_stand_beside_each_stage(tmp_path: Path, files: dict[str, str]) -> None:
    rows = {row["stage"]: row for row in mapped(tmp_path, files)["touchpoints"]}
    assert rows["aware"]["measure"] == "lead/any/visit"
    assert (rows["convert"]["measure"], rows["convert"]["is_wanted"]) == ("lead/convert/cart", True)
    assert (rows["excite"]["measure"], rows["excite"]["reason"]) == ("", "they call us")


def test_topics_without_a_measure_and_triggers_without_a_twin_are_seen(
    tmp_path: Path, files: dict[str, str]
) -> None:
    found = mapped(tmp_path, files)
    topics = {(row["topic"], row["track"]): row["measures"] for row in found["topics"]}
    assert topics["news", "lead"] == ("lead/aware/guide",)
    assert topics["news", "customer"] == ()
    assert {"measure": "lead/convert/cart", "reason": "a shop of first orders"} in found["one_track_only"]
    assert COUPON not in {row["measure"] for row in found["one_track_only"]}


def test_events_and_mails_that_go_nowhere_are_listed(tmp_path: Path) -> None:
    shop = SHOP.replace("Return Requested, ", "")
    files = changed("playbook.yaml", PLACE, shop)
    files = changed(
        "lead/aware/guide/measure.yaml",
        "- mail: guide",
        '- mail: guide\n    valid_for: 1h\n    send_at: {local_time: "23:00"}',
        files,
    )
    found = mapped(tmp_path, files)
    assert found["events_without_touchpoint"] == [{"event": "Return Requested", "used_by": "fact satisfied"}]
    assert [row["measure"] for row in found["starved"]] == ["lead/aware/guide"]
    assert find_starved(a_playbook()) == []
