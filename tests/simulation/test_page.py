"""The page of a simulation: its numbers, its bytes, two programmes beside each other, and recorded history."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
from ruamel.yaml import YAML

from nurture.app import simulations
from nurture.app.simulations import SimulationOptions, page
from nurture.app.simulations.compare import compare_played
from nurture.app.simulations.run import Played, played
from nurture.domain.errors import InputError
from nurture.domain.instant import parse_iso
from tests.cli.shell import SHIPPED

CART = "lead/any/abandoned_cart"
KEPT = ("abandoned_cart", "order_confirmation")
WORDS = Path(page.__file__).parent


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the shipped programme with a few of its measures."""
    folder = tmp_path_factory.mktemp("page") / "programme"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("tests"))
    for path in list(folder.rglob("measure.yaml")):
        if path.parent.name not in KEPT:
            shutil.rmtree(path.parent)
    file = folder / "playbook.yaml"
    text = re.sub(r"^touchpoints:\n(?:[ #\n].*\n?|\n)*", "", file.read_text("utf-8"), flags=re.MULTILINE)
    file.write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def options(programme: Path) -> SimulationOptions:
    start = parse_iso("2026-11-01T00:00:00Z")
    return SimulationOptions(people=20, days=12, seed=5, playbook=programme, start=start)


@pytest.fixture(scope="module")
def mine(options: SimulationOptions) -> Iterator[Played]:
    with played(options) as result:
        yield result


@pytest.fixture(scope="module")
def other(options: SimulationOptions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Give the same people under a programme without reminders of carts and with a later guide."""
    folder = tmp_path_factory.mktemp("other") / "programme"
    shutil.copytree(options.playbook or Path(), folder)
    cart = folder / CART / "measure.yaml"
    cart.write_text(cart.read_text("utf-8").replace('audience: "True"', "audience: orders >= 9"), "utf-8")
    with played(replace(options, playbook=folder)) as result:
        yield result


def query(result: Played, statement: str) -> list[tuple[Any, ...]]:
    with result.services.database.read() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def test_the_numbers_are_those_of_the_ledger(mine: Played) -> None:
    counts, sent = mine.counts, "FROM messages WHERE status = 'sent'"
    assert len(mine.ledger.people) == 20
    mails = query(mine, f"SELECT count(*) {sent}")[0][0]
    assert mails == mine.summary["mails"] > 5
    assert sum(row["mails"] * row["people"] for row in counts.per_person) == mails
    assert sum(row["people"] for row in counts.per_person) == 20
    for name, column in (("purpose", "purpose"), ("language", "json_extract(context, '$.locale')")):
        rows = query(mine, f"SELECT {column}, count(*), count(DISTINCT contact_id) {sent} GROUP BY 1")
        assert {(row[name], row["mails"], row["people"]) for row in counts.by[name]} == set(rows)
    rows = query(mine, f"SELECT step, variant, count(*) {sent} AND variant <> '' GROUP BY 1, 2")
    assert sum(row["mails"] for row in counts.by["variant"]) == sum(row[2] for row in rows)
    days = query(mine, f"SELECT date(sent_at / 1000000, 'unixepoch'), count(*) {sent} GROUP BY 1")
    assert {
        row["day"]: sum(number for name, number in row.items() if name != "day")
        for row in counts.days
        if len(row) > 1
    } == dict(days)
    unsent = query(
        mine,
        "SELECT status, reason, count(*) FROM messages WHERE status NOT IN ('sent', 'waiting') GROUP BY 1, 2",
    )
    assert {(row["status"], row["reason"], row["mails"]) for row in counts.unsent} == set(unsent)
    last = {name: people for name, people in counts.stages[-1].items() if name != "day"}
    assert last == dict(query(mine, "SELECT stage, count(*) FROM contacts WHERE survivor IS NULL GROUP BY 1"))


def test_people_are_counted_at_each_step(mine: Played) -> None:
    measure = mine.loaded.playbook.measures[CART]
    counts = mine.journeys[measure.root]
    [(entered, withheld)] = query(
        mine, f"SELECT count(*), sum(holdout) FROM runs WHERE measure = '{measure.root}'"
    )
    assert (counts.entered, counts.withheld) == (entered, withheld)
    came = query(mine, f"SELECT step, count(*) FROM messages WHERE measure = '{measure.root}' GROUP BY 1")
    assert {step: counts.came[str(step)] for step, _ in came} == dict(came)
    reached = {row["measure"] for row in mine.summary["never_reached"]}
    assert CART not in reached


def test_the_same_seed_gives_the_same_bytes(mine: Played, options: SimulationOptions, tmp_path: Path) -> None:
    text = page.render_page(mine)
    path = tmp_path / "simulation.html"
    simulations.simulate(options, page=path)
    assert path.read_text("utf-8") == text


def test_the_page_asks_no_network_and_speaks_two_languages(mine: Played) -> None:
    english, chinese = (page.render_page(mine, language=language) for language in page.LANGUAGES)
    outside = re.sub(r'<iframe[^>]*srcdoc="[^"]*"', "", english)
    assert not re.findall(r'(?:src|href)="(?!#|data:)', outside)
    assert "<script" not in outside
    assert "default-src 'none'" in english
    assert "{{" not in outside
    assert english.count("<iframe") == len(re.findall(r'<iframe sandbox="" title="[^"]', english)) > 1
    assert "None" not in re.findall(r'title="([^"]*)" srcdoc', english)
    assert '<html lang="zh-CN">' in chinese
    for words in ("Mails per day", "Put off", "Never exercised", "entered", "not confirmed"):
        assert words not in chinese.partition('<h2 id="story"')[0]
    for svg in re.findall(r"<svg.*?</svg>", english, flags=re.DOTALL):
        ET.fromstring(svg)


def test_both_catalogues_have_the_same_words() -> None:
    english, chinese = (YAML(typ="safe").load(WORDS / f"words.{name}.yaml") for name in page.LANGUAGES)
    assert english.keys() == chinese.keys()
    assert english["reasons"].keys() == chinese["reasons"].keys()
    for name, text in english.items():
        assert re.findall(r"\{\w+\}", str(text)) == re.findall(r"\{\w+\}", str(chinese[name])), name
    with pytest.raises(InputError, match="en and zh-CN"):
        page.load_words("de")


def test_two_programmes_differ_in_people_and_each_difference_has_its_rule(
    mine: Played, other: Played
) -> None:
    compared = compare_played(mine, other)
    sent = Counter(mail.measure for mail in mine.ledger.mails if mail.sent_at is not None)
    root = mine.loaded.playbook.measures[CART].root
    lost = [row for row in compared["people"] if (row["change"], row["measure"]) == ("lost", CART)]
    assert sum(row["mails"] for row in lost) == sent[root] > 0
    reasons = {part["reason"] for row in lost for part in row["reasons"]}
    assert reasons == {"audience: orders >= 9 is not yes"}
    assert compared["people_otherwise"] >= max(row["people"] for row in lost)
    [change] = [row for row in compared["changes"] if row["measure"] == CART]
    assert {"where": "audience", "before": "True", "after": "orders >= 9"} in change["values"]
    text = page.render_page(mine, compared=compared)
    assert "orders &gt;= 9" in text
    same = compare_played(mine, mine)
    assert (same["people"], same["people_otherwise"], same["changes"]) == ([], 0, [])


def test_history_needs_nobody_made_up(programme: Path, tmp_path: Path) -> None:
    """A file of events, a file of things, and then the same from a database."""
    events = tmp_path / "events.jsonl"
    events.write_text(
        '{"user_id": "u1", "email": "u1@example.com", "event": "Consent Given", "timestamp": '
        '"2026-03-01T09:00:00Z", "topic": "reminders"}\n'
        '{"user_id": "u1", "email": "u1@example.com", "event": "Product Added", "timestamp": '
        '"2026-03-01T10:00:00Z", "cart_id": "c1", "product_id": "v60", "name": "Set", "price": 32}\n',
        "utf-8",
    )
    things = tmp_path / "things.csv"
    things.write_text("event,product_id,name,price,stock\nProduct Updated,v60,Pour-over set,32,2\n", "utf-8")
    recorded = SimulationOptions(days=4, events=events, objects=things, playbook=programme)
    with played(recorded) as result:
        names = [(mail.step, mail.status) for mail in result.ledger.mails]
        assert names == [("left", "sent"), ("stock", "sent")]
        assert "<iframe" not in page.render_page(result, is_history=True)
        url = result.services.settings.database_url
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NURTURE_DATABASE_URL", url)
            patch.setenv("NURTURE_SECRET_KEY", "the-key-of-a-simulation-which-mails-nobody")
            patch.setenv(
                "NURTURE_SUPPRESSION_KEY", "the-suppression-key-of-a-simulation-which-keeps-no-address"
            )
            with played(SimulationOptions(days=4, from_database=True, playbook=programme)) as again:
                assert [(mail.step, mail.status) for mail in again.ledger.mails] == names
                assert [person.name for person in again.ledger.people] == ["id:u1"]


def test_one_of_the_two_widths_of_a_picture_is_shown() -> None:
    """The page's own rules leave `display` of pictures to the media query of their sheet."""
    rules = (WORDS / "page.css").read_text("utf-8")
    assert "p-wide" not in rules
    assert "p-narrow" not in rules
    assert not [line for line in rules.splitlines() if "svg" in line and "display" in line]
