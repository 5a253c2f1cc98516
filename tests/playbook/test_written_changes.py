"""Changes as their author wrote them: rules and words with before and after, and the measures that they concern."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.playbook_changes import describe_changes, describe_publication
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.playbook import compare, rebuild
from nurture.playbook.written_changes import changed_lines, changed_values
from tests.playbook.builder import a_playbook, changed
from tests.scenarios.world import World

GUIDE = "lead/aware/guide/measure.yaml"
COUPON = "customer/any/coupon/measure.yaml"


def rows_of(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    old, new = rebuild(a_playbook(), id_=0), rebuild(files, id_=0)
    return {row["measure"]: row for row in describe_changes(compare(old, new), old, new)}


@pytest.mark.parametrize(
    ("before", "after", "where", "was", "now"),
    [
        ("holdout: 10%", "holdout: 20%", "holdout", "10%", "20%"),
        ("holdout: 10%", "", "holdout", "10%", ""),
        ("", "valid_for: 2d", "valid_for", "", "2d"),
        ("once: {per: order}", "once: {per: order, gap: 7d}", "once.gap", "", "7d"),
        ("a: {b: {c: 1}}", "a: {b: {c: true}}", "a.b.c", "1", "true"),
        ("steps: [{wait: 2d}]", "steps: [{wait: 3d}]", "steps: wait 2d.wait", "2d", "3d"),
        ("steps: [{mail: a}, {mail: b}]", "steps: [{mail: a}]", "steps: b", "{mail: b}", ""),
        ("steps: [{mail: a}]", "steps: [{mail: z}, {mail: a}]", "steps: z", "", "{mail: z}"),
        (
            "steps: [{mail: a, when: x > 1}]",
            "steps: [{mail: a, when: x > 2}]",
            "steps: a.when",
            "x > 1",
            "x > 2",
        ),
        (
            "exit: [Signed In]",
            "exit: [Signed In, Signed Up]",
            "exit",
            "[Signed In]",
            "[Signed In, Signed Up]",
        ),
    ],
)
def test_a_value_is_shown_before_and_after(before: str, after: str, where: str, was: str, now: str) -> None:
    assert [tuple(change) for change in changed_values(before, after)] == [(where, was, now)]


def test_equal_files_and_files_that_are_no_yaml_give_nothing() -> None:
    assert not changed_values("a: [1, {b: 2}] # as before", "a: [1, {b: 2}]")
    assert not changed_values("a: [", "a: 1")


def test_lines_of_words_are_shown_and_cut() -> None:
    assert changed_lines("Hello\nyou\n", "Hello\nyou all\n") == ["-you", "+you all"]
    lines = changed_lines("", "\n".join(f"line {number}" for number in range(60)))
    assert (len(lines), lines[-1]) == (41, "… 20 more lines")


def test_words_are_not_hidden_behind_rules() -> None:
    files = changed(GUIDE, "wait: 2d", "wait: 1d")
    mail = "lead/aware/guide/guide.en.txt"
    files = changed(mail, "Something useful.", "Something helpful.", files)
    row = rows_of(files)["lead/aware/guide"]
    assert row["change"] == "rules: steps"
    assert row["values"] == [{"where": "steps: wait 2d.wait", "before": "2d", "after": "1d"}]
    assert [(words["file"], len(words["lines"])) for words in row["words"]] == [("guide.en.txt", 2)]


def test_a_fact_names_the_measures_that_read_it() -> None:
    files = changed("playbook.yaml", "views: {count: Page Viewed", "views: {count: Page Seen")
    row = rows_of(files)["facts views"]
    assert row["concerns"] == ["lead/aware/guide"]
    [value] = row["values"]
    assert (value["where"], value["before"], value["after"]) == (
        "facts.views.count",
        "Page Viewed",
        "Page Seen",
    )


def test_a_cap_names_the_measures_that_it_limits() -> None:
    files = {
        **a_playbook(),
        "playbook.yaml": a_playbook()["playbook.yaml"].replace("within: 14d", "within: 21d"),
    }
    row = rows_of(files)["caps"]
    assert "customer/any/coupon" in row["concerns"]
    assert "any/confirm" not in row["concerns"]
    assert any(value["where"].startswith("caps") for value in row["values"])


def test_a_publication_counts_the_people_whom_it_concerns(sqlite_database: Database) -> None:
    old = rebuild(a_playbook(), id_=1)
    world = World(sqlite_database, old)
    for number in range(3):
        world.tell(
            f"p{number}@example.com", "Order Completed", order_id=f"o{number}", revenue=9, currency="EUR"
        )
    world.work()
    files = changed(COUPON, "audience: orders == 1", "audience: orders == 2")
    new = rebuild(files, id_=2)
    with sqlite_database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.contacts)) == 3
        everybody, row = describe_publication(world.services, connection, old, new)
    assert everybody["change"].startswith("3 people are judged again")
    assert row["audience"][1] == 0
    assert row["values"][0]["where"] == "audience"
