"""Wording changes the content hash only; rules, and definitions of facts that they read, change the rules hash."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nurture.domain.measure import EmitStep
from nurture.domain.playbook import PublishedVersions
from nurture.playbook import LoadedPlaybook, rebuild
from nurture.playbook.hashes import canonical_value, rules_hash
from tests.playbook.builder import a_playbook, changed

GUIDE = "lead/aware/guide/measure.yaml"
COUPON = "customer/any/coupon/measure.yaml"


def built(files: dict[str, str]) -> LoadedPlaybook:
    """Return the playbook without checking it."""
    return rebuild(files, id_=0)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (GUIDE, "goal: readers who find what they need", "goal: readers who come back"),
        (GUIDE, "goal:", "# why it exists\ngoal:"),
        (GUIDE, "views >= 1", "(views  >= 1)"),
        (GUIDE, 'expect: "20%"', 'expect: "30%"'),
        ("lead/aware/guide/guide.en.txt", "Something useful.", "Something helpful."),
        ("_layout/base.mjml", "{{ brand.address }}", "{{ brand.name }}, {{ brand.address }}"),
        ("playbook.yaml", "name: Little Shop, address: hello", "name: The Little Shop, address: hello"),
    ],
)
def test_words_change_the_content_hash_only(path: str, old: str, new: str) -> None:
    before, after = built(a_playbook()).playbook, built(changed(path, old, new)).playbook
    assert before.content_hash != after.content_hash
    assert before.rules_hash == after.rules_hash
    hashes = [
        {name: measure.rules_hash for name, measure in playbook.measures.items()}
        for playbook in (before, after)
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("path", "old", "new", "measures"),
    [
        (GUIDE, "views >= 1", "views >= 2", {"lead/aware/guide"}),
        (GUIDE, "wait: 2d", "wait: 3d", {"lead/aware/guide"}),
        (GUIDE, "topic: news", "topic: offers", {"lead/aware/guide"}),
        (COUPON, "holdout: 10%", "holdout: 5%", {"customer/any/coupon"}),
        (COUPON, "at_most: 5d", "at_most: 6d", {"customer/any/coupon"}),
        # The audience of one measure reads it.
        (
            "playbook.yaml",
            "views: {count: Page Viewed, within: 7d}",
            "views: {count: Page Viewed, within: 8d}",
            {"lead/aware/guide"},
        ),
        # A verdict's `where` reads the property's type, and one audience reads the verdict.
        ("playbook.yaml", "where: score >= 9", "where: score >= 8", {"customer/any/coupon"}),
        # The exit of one measure reads it.
        (
            "playbook.yaml",
            "spent: {sum: revenue, of: Order Completed}",
            "spent: {sum: revenue, of: Order Paid}",
            {"customer/any/coupon"},
        ),
        # No measure reads it; the whole playbook differs all the same.
        ("playbook.yaml", "within: 14d}}", "within: 15d}}", set()),
    ],
)
def test_rules_change_the_rules_hash_of_whom_they_concern(
    path: str, old: str, new: str, measures: set[str]
) -> None:
    files = changed(COUPON, "exit: [Order Completed,", "exit: [Order Completed, {when: spent >= 300},")
    before, after = built(files).playbook, built(changed(path, old, new, files=files)).playbook
    assert before.rules_hash != after.rules_hash
    differing = {
        name
        for name in before.measures
        if before.measures[name].rules_hash != after.measures[name].rules_hash
    }
    assert differing == measures


def test_the_same_files_give_the_same_hashes() -> None:
    first, second = built(a_playbook()).playbook, built(dict(reversed(a_playbook().items()))).playbook
    assert (first.rules_hash, first.content_hash) == (second.rules_hash, second.content_hash)
    assert len(first.rules_hash) == len(first.content_hash) == 32


def test_a_published_playbook_keeps_its_hashes_after_an_upgrade() -> None:
    """The file holds a playbook and the hashes that an earlier release gave it."""
    published = json.loads(Path(__file__).with_name("published_before.json").read_text())
    playbook = built(published["files"]).playbook
    hashes = {path: measure.rules_hash for path, measure in playbook.measures.items()}
    assert hashes == published["measures"]
    assert playbook.rules_hash == published["rules_hash"]


VALUES = "values: {risk: {of: contact, bands: {low: 0%, high: 50%}, margin: 5%, refresh: 7d}}\nstages:"


@pytest.mark.parametrize(
    ("old", "new", "changes_rules"),
    [
        ("margin: 5%", "margin: 9%", False),
        ("refresh: 7d", "refresh: 9d", False),
        ("high: 50%", "high: 60%", True),
        ("low: 0%, high", "little: 0%, high", True),
    ],
)
def test_bands_are_rules_of_the_measures_that_read_them(old: str, new: str, *, changes_rules: bool) -> None:
    files = changed("playbook.yaml", "stages:", VALUES, a_playbook())
    files = changed(GUIDE, "views >= 1", 'views >= 1 and risk == "high"', files)
    before, after = built(files).playbook, built(changed("playbook.yaml", old, new, files)).playbook
    assert (before.rules_hash != after.rules_hash) is changes_rules
    others = {path for path in before.measures if not GUIDE.startswith(path)}
    hashes = [{path: playbook.measures[path].rules_hash for path in others} for playbook in (before, after)]
    assert hashes[0] == hashes[1], "a measure that does not read the value"
    guide = GUIDE.removesuffix("/measure.yaml")
    assert (before.measures[guide].rules_hash != after.measures[guide].rules_hash) is changes_rules


def test_a_publication_of_numbers_changes_no_rule() -> None:
    playbook = built(a_playbook()).playbook
    numbered = replace(playbook, published=PublishedVersions({("mean_days", "beans"): [(0, 1)]}))
    assert rules_hash(numbered) == playbook.rules_hash


def test_an_event_about_the_person_keeps_the_hash_that_it_had() -> None:
    assert "to_referrer" not in canonical_value(EmitStep("tell", "Points Granted"))
    assert canonical_value(EmitStep("tell", "Points Granted", to_referrer=True))["to_referrer"] is True
