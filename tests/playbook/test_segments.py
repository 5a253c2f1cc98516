"""Segments of playbook.yaml: what they are built to, what changes when they change, and where their names are taken."""

import pytest

from nurture.domain.contact import Contact
from nurture.domain.event_index import index_of
from nurture.domain.facts import empty, view
from nurture.playbook import LoadedPlaybook, find_faults, rebuild
from nurture.playbook.diff import compare
from tests.playbook.builder import a_playbook, changed

GUIDE = "lead/aware/guide/measure.yaml"
SEGMENTS = """\
segments:
  reader: views >= 1
  tier:
    - ambassador: satisfied is yes
    - loyal: orders >= 3
    - else: standard
"""


def with_segments(audience: str = "known(first_name) and reader", segments: str = SEGMENTS) -> dict[str, str]:
    files = changed("playbook.yaml", "stages:\n  lead:", f"{segments}stages:\n  lead:")
    return changed(GUIDE, "known(first_name) and views >= 1", audience, files)


def built(files: dict[str, str]) -> LoadedPlaybook:
    return rebuild(files, id_=0)


def a_contact(loaded: LoadedPlaybook, **facts: object) -> Contact:
    contact = empty(1, first_seen_at=0, playbook=loaded.playbook)
    contact.facts.update(facts)
    return contact


def test_a_segment_in_an_audience_changes_no_hash() -> None:
    """People in flight are not judged again because a condition got a name."""
    before, after = built(a_playbook()).playbook, built(with_segments()).playbook
    assert before.rules_hash == after.rules_hash
    assert before.content_hash != after.content_hash


def test_a_changed_segment_changes_the_hash_of_what_reads_it() -> None:
    before = built(with_segments()).playbook
    after = built(with_segments(segments=SEGMENTS.replace("views >= 1", "views >= 2"))).playbook
    assert before.rules_hash != after.rules_hash
    differing = [
        path
        for path, measure in before.measures.items()
        if measure.rules_hash != after.measures[path].rules_hash
    ]
    assert differing == ["lead/aware/guide"]


def test_a_segment_that_only_mails_read_is_wording() -> None:
    before = built(with_segments()).playbook
    after = built(with_segments(segments=SEGMENTS.replace("orders >= 3", "orders >= 4"))).playbook
    assert before.rules_hash == after.rules_hash


def test_a_difference_names_the_segment_and_the_audience() -> None:
    before, after = (
        built(with_segments()),
        built(with_segments(segments=SEGMENTS.replace("views >= 1", "views >= 2"))),
    )
    difference = compare(before, after)
    assert difference.programme == ("segments reader",)
    assert [(change.measure, change.details) for change in difference.changes] == [
        ("lead/aware/guide", ("audience",))
    ]


@pytest.mark.parametrize(
    ("facts", "values"),
    [
        ({"orders": 3}, {"tier": "loyal", "reader": False}),
        ({"satisfied": "yes", "orders": 3, "views": [5]}, {"tier": "ambassador", "reader": True}),
        ({}, {"tier": "standard", "reader": False}),
    ],
)
def test_templates_read_segments_as_they_read_facts(
    facts: dict[str, object], values: dict[str, object]
) -> None:
    loaded = built(with_segments())
    names = view(a_contact(loaded, **facts), loaded.playbook, now=10)["contact"]
    assert {name: names[name] for name in values} == values


def test_an_unknown_segment_has_no_value() -> None:
    loaded = built(
        with_segments(
            segments="segments: {named: 'first_name == \"Ann\"', depth: [{deep: orders >= 1}]}\n",
            audience="True",
        )
    )
    assert {"named", "depth"}.isdisjoint(view(a_contact(loaded), loaded.playbook, now=10)["contact"])


def test_a_let_value_or_an_object_may_not_hide_a_segment() -> None:
    files = changed(
        "customer/any/coupon/measure.yaml",
        "let: {deadline:",
        "let: {tier: {in: 5d}, deadline:",
        with_segments(),
    )
    assert [str(fault) for fault in find_faults(files, render=False)] == [
        "customer/any/coupon/measure.yaml:11: `tier` has a meaning already: give the value another name"
    ]


def test_a_sample_has_a_rung_of_the_ladder() -> None:
    path = "lead/aware/guide/sample.json"
    files = with_segments()
    files[path] = '{"contact": {"first_name": "Ann",\n "tier": "gold"}}'
    assert [str(fault) for fault in find_faults(files, render=False)] == [
        f"{path}:2: tier has no rung `gold`: known: ambassador, loyal, standard"
    ]
    files[path] = '{"contact": {"first_name": "Ann", "tier": "loyal"}}'
    assert find_faults(files, render=False) == []


def test_the_events_that_only_a_segment_counts_are_remembered() -> None:
    segments = "segments: {asked: 'count(\"Question Asked\") >= 1'}\n"
    assert (
        "Question Asked"
        in index_of(built(with_segments(segments=segments, audience="True")).playbook).remembered
    )
