"""A renamed measure stands everywhere under its present name, whatever name its runs and mails are stored under."""

import io
import json
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import contacts, messages, pauses, reports, status
from nurture.app.files import exports
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import HOUR
from nurture.reports.console import load_contact_page
from nurture.reports.set_aside import find_set_aside
from nurture.web.console.views import measure_rows
from tests.scenarios.world import World

ADA = "ada@shop.example"
PRESENT = "lead/any/welcome_series"


@pytest.fixture
def world(sqlite_database: Database) -> World:
    """A lead in the middle of a series that had another name once."""
    world = World(sqlite_database)
    measure = world.loaded.playbook.measures[PRESENT]
    assert measure.root != PRESENT
    world.tell(ADA, "Identified", traits={"email": ADA})
    world.tell(ADA, "Topic Confirmed", topic="news")
    world.live(HOUR)
    with sqlite_database.read() as connection:
        assert measure.root in set(connection.scalars(sa.select(t.runs.c.measure)))
    return world


def test_no_page_command_or_export_shows_the_first_name(world: World) -> None:
    services, measures = world.services, world.loaded.playbook.measures
    first = measures[PRESENT].root
    pauses.set_switch(services, PRESENT, paused=True, actor="cli:test", reason="a test")
    stream = io.StringIO()
    exports.export(services, "messages", stream, expression=None, kind="csv", actor="cli:test")
    with services.database.write() as connection:
        connection.execute(
            sa.insert(t.set_aside_measures).values(
                contact_id=1, measure=first, at=1, event="", reason="", rules_hash=""
            )
        )
    with services.database.read() as connection:
        page = load_contact_page(connection, 1, playbook=world.loaded.playbook, now=world.now)
        assert page is not None
        shown: dict[str, Any] = {
            "timeline": contacts.timeline(services, ADA),
            "show": contacts.show(services, ADA)["runs"],
            "why": contacts.why(services, ADA, first),
            "messages": reports.messages(services, who=ADA, measure=first, status=None, limit=9),
            "message": messages.show(services, "1"),
            "measures": [row for row in reports.measures(services) if row["planned"]],
            "export": stream.getvalue(),
            "status": status.describe(services),
            "console": ([name for _, name in page.runs], [entry.title for entry in page.timeline]),
            "console measures": [row["path"] for row in measure_rows(connection, measures) if row["runs"]],
            "set aside": list(find_set_aside(connection, MeasureNames(measures))),
        }
    texts = {name: json.dumps(value, default=str) for name, value in shown.items()}
    assert {name for name, text in texts.items() if first in text} == set()
    assert {name for name, text in texts.items() if PRESENT not in text} == set()
