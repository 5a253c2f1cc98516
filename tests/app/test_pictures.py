"""Pictures of a programme: which stages its measures serve, and each measure's steps with its branches."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from nurture.app.pictures import draw_programme_map, journey_rows, timeline_page, write_pictures
from nurture.database.engine import Database
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import DAY
from nurture.playbook import LoadedPlaybook
from tests.cli.shell import SHIPPED
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

PARTS = "entities: {order: {key: order_id, of: [Order Completed]}}\nfacts: {orders: {count: order}}\n"
COURSE = """\
goal: a customer who knows how to brew
audience: orders >= 1
form: course
call_to_action: {kind: use, link: "https://tea.example/me"}
kind: service
purpose: service
trigger: {event: Order Completed}
once: per order_id
entity: order
exit: [{event: Signed Out, reason: gone}]
steps:
  - mail: value
  - wait: {for: Signed In, at_most: 7d}
    id: sign
  - branch:
      - when: steps.sign.outcome == "event"
        steps:
          - mail: welcome_back
      - else:
          - wait: 14d
          - mail: offer
            when: orders >= 2
  - mail: last
    send_at: {local_time: "10:00", weekdays: [tue]}
"""


@pytest.fixture(scope="module")
def shop() -> LoadedPlaybook:
    """Give a shop with one measure that branches."""
    return a_shop(PARTS, {"customer/any/course": (COURSE, {"event": {"order_id": "1"}})})


def test_a_journey_sets_the_steps_of_a_branch_in_and_counts_people(shop: LoadedPlaybook) -> None:
    rows = list(journey_rows(shop.playbook.measures["customer/any/course"], {"offer": 7}))
    assert [(row.level, row.kind, row.title, row.note, row.people) for row in rows] == [
        (0, "trigger", "on Order Completed", "for orders >= 1", None),
        (0, "mail", "value", "", None),
        (0, "wait", "Signed In, at most 7d", "", None),
        (0, "branch", "branch1", "", None),
        (1, "case", 'steps.sign.outcome == "event"', "", None),
        (2, "mail", "welcome_back", "", None),
        (1, "case", "else", "", None),
        (2, "wait", "14d", "", None),
        (2, "mail", "offer", "when orders >= 2", 7),
        (0, "mail", "last", "Tue at 10:00", None),
        (0, "end", "at once on Signed Out", "gone", None),
        (0, "goal", "a customer who knows how to brew", "25% Answered in 14d", None),
    ]


def test_the_map_names_the_stages_of_each_measure(shop: LoadedPlaybook) -> None:
    table = draw_programme_map(shop.playbook).table
    assert table.rows == (("course", "excite, ascend", "service", ""),)


def test_pictures_of_the_shipped_programme_are_files_that_stand_alone(tmp_path: Path) -> None:
    written = write_pictures(SHIPPED, tmp_path / "pictures")
    measures = list(SHIPPED.glob("**/measure.yaml"))
    assert len(written) == 2 * (1 + len(measures))
    for row in written:
        assert ET.parse(row["file"]).getroot().tag.endswith("svg")
    assert "lead/any/abandoned_cart" in json.dumps(written)
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(InputError, match="name a folder for the pictures"):
        write_pictures(SHIPPED, tmp_path / "file")


def test_a_persons_timeline_is_a_page_with_a_picture(sqlite_database: Database, shop: LoadedPlaybook) -> None:
    world = World(sqlite_database, shop)
    world.tell("ann@example.com", "Order Completed", order_id="<b>1</b>")
    world.live(DAY)
    page = timeline_page(world.services, "ann@example.com")
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ET.fromstring(svg)
    assert page.count("<svg") == 2
    assert "<b>1" not in page
    for words in ("ann@example.com", "Order Completed", "customer/any/course · value", "sent", "course"):
        assert words in page
    assert not re.findall(r"(?:src|href)=", page)
    with pytest.raises(NotFoundError):
        timeline_page(world.services, "ben@example.com")
