"""`nurture simulate` and `nurture demo`: lives are played through, programmes compared, and how far it is is told."""

import json
import re
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app import demo as show
from nurture.cli.virtual_time import summary
from nurture.database import schema as t
from nurture.simulation.reaction_rates import read_rates, shipped_rates
from tests.cli.shell import SHIPPED, Shell

#: SQLite's name for waiting until the disk has it.
FULL = 2
RECEIPT = "customer/any/order_confirmation"


@pytest.fixture
def programme(tmp_path: Path) -> Path:
    """Give the shipped programme with nothing but the receipt and the notice of a shipment."""
    folder = tmp_path / "programme"
    shutil.copytree(SHIPPED, folder)
    for path in list(folder.rglob("measure.yaml")):
        if path.parent.name not in ("order_confirmation", "order_shipped"):
            shutil.rmtree(path.parent)
    # Its touchpoints name the measures that are gone.
    programme_file = folder / "playbook.yaml"
    text = programme_file.read_text("utf-8")
    programme_file.write_text(
        re.sub(r"^touchpoints:\n(?:[ #\n].*\n?|\n)*", "", text, flags=re.MULTILINE), "utf-8"
    )
    return folder


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Give a file of 30 orders, the newest first, a day apart, and a shipment of the first."""
    path = tmp_path / "orders.jsonl"
    rows = [
        {
            "user_id": f"u{day}",
            "email": f"u{day}@example.com",
            "event": "Order Completed",
            "timestamp": f"2026-03-{day:02d}T12:00:00Z",
            "order_id": f"o{day}",
            "revenue": 9.9,
            "currency": "EUR",
            "products": [],
        }
        for day in range(30, 0, -1)
    ]
    shipped = {**rows[-1], "event": "Order Shipped", "timestamp": "2026-03-02T12:00:00Z"}
    path.write_text("".join(json.dumps(row) + "\n" for row in (*rows, shipped)), encoding="utf-8")
    return path


def test_a_history_is_lived_through_from_its_first_day(
    nurture: Shell, programme: Path, history: Path
) -> None:
    output = nurture(
        "simulate", "--events", str(history), "--days", "3", "--playbook", str(programme), "--json"
    )
    assert (output.code, output.err) == (0, "")
    summary = output.document
    assert (summary["events"], summary["mails"]) == (31, 31)
    assert (summary["from"], summary["to"]) == ("2026-03-01T00:00:00Z", "2026-04-02T12:00:00Z")
    assert {row["measure"]: row["sent"] for row in summary["measures"]} == {
        RECEIPT: 30,
        "customer/any/order_shipped": 1,
    }


def test_mails_that_nobody_got_are_listed_and_people_begin_on_a_given_day(
    nurture: Shell, programme: Path, history: Path
) -> None:
    words = ("--people", "3", "--days", "2", "--playbook", str(programme))
    made_up = nurture("simulate", *words, "--start", "2026-11-01", "--json").document
    assert (made_up["from"], made_up["to"]) == ("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z")

    receipt = programme / RECEIPT / "measure.yaml"
    receipt.write_text(receipt.read_text("utf-8").replace("Order Completed}", "Order Updated}"), "utf-8")
    shipped = programme / "customer/any/order_shipped/measure.yaml"
    text = shipped.read_text("utf-8").replace(
        "  - mail: shipped\n", '  - mail: shipped\n    when: "orders >= 9"\n'
    )
    shipped.write_text(text, "utf-8")
    of_events = ("--events", str(history), "--playbook", str(programme))
    output = nurture("simulate", *of_events, "--json")
    assert output.code == 0, output.err
    assert output.document["never_sent"] == [
        {"measure": RECEIPT, "step": "receipt", "because": "nobody entered the measure"},
        {"measure": "customer/any/order_shipped", "step": "shipped", "because": "nobody came to it"},
    ]
    assert "--start is for made-up people" in nurture("simulate", *of_events, "--start", "2026-11-01").line()
    assert "'tomorrow' is not a day" in nurture("simulate", "--start", "tomorrow").line()


def test_recorded_publications_are_played_as_such(nurture: Shell, programme: Path, history: Path) -> None:
    """The receipt, for this once, goes to people whose risk was published as high."""
    file = programme / "playbook.yaml"
    values = "values: {risk: {of: contact, bands: {low: 0%, high: 50%}}}\n"
    file.write_text(file.read_text("utf-8") + values, "utf-8")
    measure = programme / RECEIPT / "measure.yaml"
    measure.write_text(measure.read_text("utf-8").replace('"True"', 'risk == "high"'), "utf-8")
    published = [
        {
            "user_id": f"u{day}",
            "email": f"u{day}@example.com",
            "event": "Value Published",
            "timestamp": f"2026-03-{day:02d}T11:00:00Z",
            "name": "risk",
            "value": value,
        }
        for day, value in ((3, "0.9"), (4, "0.1"))
    ]
    with history.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in published)
    output = nurture("simulate", "--events", str(history), "--playbook", str(programme), "--json")
    assert (output.code, output.err) == (0, "")
    assert {row["measure"]: row["sent"] for row in output.document["measures"]} == {
        RECEIPT: 1,
        "customer/any/order_shipped": 1,
    }


def test_two_programmes_differ_by_what_one_of_them_does_not_send(
    nurture: Shell, programme: Path, history: Path, tmp_path: Path
) -> None:
    shutil.copytree(programme, tmp_path / "next")
    shutil.rmtree(tmp_path / "next" / RECEIPT)
    words = ("--events", str(history), "--playbook", str(programme), "--against", str(tmp_path / "next"))
    output = nurture("simulate", *words, "--json")
    assert output.code == 0, output.err
    summary = output.document
    assert (summary["mails"], summary["mails_against"]) == (31, 1)
    assert summary["differences"] == [
        {"measure": RECEIPT, "mails": 30, "mails_against": 0, "difference": -30},
        {"measure": "customer/any/order_shipped", "mails": 1, "mails_against": 1, "difference": 0},
    ]


def test_how_far_it_is_is_told_to_people_and_not_to_machines(
    nurture: Shell, programme: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "_PROGRESS_SECONDS", (0.0, 0.0))
    words = ("simulate", "--events", str(history), "--days", "3", "--playbook", str(programme))
    lines = nurture(*words).err.splitlines()
    assert lines[0] == "2026-03-01   2%  1 events, 1 mails"
    assert lines[-1] == "2026-04-02 100%  31 events, 31 mails"
    assert nurture(*words, "--json").err == ""


def test_a_history_with_a_fault_is_refused_with_its_line(
    nurture: Shell, programme: Path, history: Path
) -> None:
    with history.open("a", encoding="utf-8") as stream:
        stream.write('{"user_id": "u1", "event": "Order Completed", "timestamp": "yesterday"}\n')
    output = nurture("simulate", "--events", str(history), "--playbook", str(programme))
    assert output.code != 0
    assert "orders.jsonl:32: " in output.line()


def test_the_database_of_a_demonstration_is_opened_on_real_time_and_kept(
    nurture: Shell, programme: Path
) -> None:
    nurture.set("PLAYBOOK", str(programme))
    opened, summary = show.play(show.DemoOptions(people=12, days=20))
    try:
        begun = opened.clock.now()
        assert opened.clock.now() > begun
        with opened.database.write() as connection:
            assert connection.scalar(sa.text("PRAGMA synchronous")) == FULL
            assert connection.scalar(sa.text("PRAGMA secure_delete")) == 1
            sent = connection.scalar(
                sa.select(sa.func.count()).where(t.messages.c.status == "sent").select_from(t.messages)
            )
        assert sent == summary["mails"] > 0
    finally:
        opened.close()


def test_the_reactions_that_ship_are_copied_to_be_changed(nurture: Shell, tmp_path: Path) -> None:
    file = tmp_path / "reactions.yaml"
    assert nurture("simulate", "--save-reactions", str(file)).code == 0
    assert read_rates(file) == shipped_rates()
    assert "exists; name a new file" in nurture("simulate", "--save-reactions", str(file)).line()
    file.write_text("confirm: 200%\n", "utf-8")
    assert "reactions.yaml: " in nurture("simulate", "--reactions", str(file)).line()


def test_wrong_options_of_a_page_and_of_a_history_are_named(nurture: Shell, history: Path) -> None:
    assert "written in en and zh-CN" in nurture("simulate", "--html", "a.html", "--locale", "de").line()
    words = ("simulate", "--events", str(history), "--from-database")
    assert "name one history" in nurture(*words).line()
