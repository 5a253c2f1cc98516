"""The differences of two playbooks, and their effect on people in flight."""

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.database.schema import runs
from nurture.playbook import Change, Difference, InFlight, LoadedPlaybook, compare, rebuild, with_people
from nurture.playbook import queries as store
from tests.playbook.builder import a_playbook, changed

GUIDE = "lead/aware/guide/measure.yaml"
COUPON = "customer/any/coupon/measure.yaml"


def built(files: dict[str, str]) -> LoadedPlaybook:
    """Return the playbook without checking it."""
    return rebuild(files, id_=0)


def difference(new: dict[str, str], old: dict[str, str] | None = None) -> Difference:
    return compare(built(old or a_playbook()), built(new))


def test_the_same_playbook_differs_in_nothing() -> None:
    assert not difference(a_playbook())


def test_measures_come_and_go() -> None:
    files = {path: text for path, text in a_playbook().items() if not path.startswith("lead/aware/")}
    assert difference(files) == Difference((Change("lead/aware/guide", "removed"),), (), wakes=True, words=())
    assert compare(built(files), built(a_playbook())).changes == (Change("lead/aware/guide", "added"),)


def test_a_change_of_wording_wakes_no_contact() -> None:
    path = "lead/aware/guide/guide.en.txt"
    found = difference(changed(path, "Something useful.", "Something helpful."))
    assert found == Difference((Change("lead/aware/guide", "words", (path,)),), (), wakes=False, words=())
    found = difference(changed("_layout/base.txt", "{{ brand.address }}", "-- {{ brand.address }}"))
    assert found == Difference((), (), wakes=False, words=("_layout/base.txt",))


def test_a_change_of_rules_names_its_fields() -> None:
    files = changed(GUIDE, "wait: 2d", "wait: 1d", changed(GUIDE, "topic: news", "topic: offers"))
    assert difference(files).changes == (Change("lead/aware/guide", "rules", ("topic", "steps")),)


def test_a_fact_counted_otherwise_changes_the_measures_that_read_it() -> None:
    found = difference(changed("playbook.yaml", "views: {count: Page Viewed", "views: {count: Page Seen"))
    assert found == Difference(
        (Change("lead/aware/guide", "rules", ("fact views",)),), ("facts views",), wakes=True, words=()
    )


def test_people_in_flight_go_on_wait_less_wait_more_or_end() -> None:
    steps = 'steps:\n  - mail: offer\n    send_at: {local_time: "10:00", weekdays: [tue, wed, thu]}\n'
    files = changed(COUPON, steps, steps + "    valid_for: 1d\n")
    files = changed(COUPON, "- wait: {for: Signed In, at_most: 5d}", "- wait: 3d", files)
    files = changed(COUPON, "when: days_until(deadline) >= 2", "when: days_until(deadline) >= 3", files)
    files = changed(GUIDE, "  - wait: 2d\n", "  - wait: 4d\n", files)
    people = {
        ("customer/any/coupon", "offer"): 3,
        ("customer/any/coupon", "wait1"): 5,
        ("customer/any/coupon", "reminder"): 7,
        ("lead/aware/guide", "wait1"): 11,
        ("any/confirm", "confirm"): 13,
    }
    old, new = built(a_playbook()), built(files)
    coupon, guide = with_people(compare(old, new), old, new, people).changes
    assert coupon.people == 15
    assert coupon.in_flight == (
        InFlight("offer", 3, "they go on; the step's changed rules are judged anew"),
        InFlight("reminder", 7, "they go on; the step's changed rules are judged anew"),
        InFlight("wait1", 5, "they leave when the shorter time is over, at once where it is (5d -> 3d)"),
    )
    assert guide.in_flight == (InFlight("wait1", 11, "they wait on, the time they waited counts (2d -> 4d)"),)


def test_people_at_a_step_that_is_gone_go_to_the_next_or_end() -> None:
    old = built(a_playbook())
    short = changed(GUIDE, '  - wait: 2d\n  - mail: more\n    when: silent_days("Page Viewed") >= 1\n', "")
    for part in ("en.mjml", "en.txt", "zh-CN.mjml", "zh-CN.txt"):
        del short[f"lead/aware/guide/more.{part}"]
    people = {("lead/aware/guide", "wait1"): 2}
    new = built(short)
    (change,) = with_people(compare(old, new), old, new, people).changes
    assert change.in_flight[0].effect == "their runs end: the step is gone and none comes after"
    new = built(changed(GUIDE, "  - wait: 2d\n", "  - wait: 2d\n    id: pause\n"))
    (change,) = with_people(compare(old, new), old, new, people).changes
    assert change.in_flight[0].effect == "they go on at `pause`: their step is gone"
    new = built({path: text for path, text in a_playbook().items() if not path.startswith("lead/aware/")})
    (change,) = with_people(compare(old, new), old, new, people).changes
    assert change.in_flight[0].effect == "their runs end: the measure is gone"


def a_run(contact: int, measure: str, step: str, *, status: str = "active") -> dict[str, object]:
    return {
        "contact_id": contact, "measure": measure, "key": "", "entity_key": "", "track": "lead",
        "status": status, "started_at": 0, "step": step, "step_since": 0, "due_at": 0, "mailing": False,
        "holdout": False, "variant": "", "decided": "[]", "let": "{}", "data": "{}", "rules_hash": "",
    }  # fmt: skip


def test_people_in_flight_are_counted_from_their_runs(database: Database) -> None:
    rows = [
        a_run(1, "lead/aware/guide", "wait1"),
        a_run(2, "lead/aware/guide", "wait1"),
        a_run(3, "lead/aware/guide", "more"),
        a_run(4, "lead/aware/guide", "wait1", status="done"),
        a_run(1, "customer/any/coupon", "offer"),
    ]
    with database.write() as connection:
        connection.execute(sa.insert(runs), rows)
        assert store.in_flight(connection) == {
            ("lead/aware/guide", "wait1"): 2,
            ("lead/aware/guide", "more"): 1,
            ("customer/any/coupon", "offer"): 1,
        }
