"""Timelines of a programme: the shipped ones hold, and each notices when a rule is taken out."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from nurture.domain.errors import PlaybookError
from nurture.playbook import LoadedPlaybook, load_files, rebuild
from nurture.playbook.fault import Faults
from nurture.testing.play_timeline import Result
from nurture.testing.programme import TestProgramme
from nurture.testing.run import RunOptions, play, run_tests
from nurture.testing.timeline_file import find_files, find_step, read_timelines
from tests.scenarios.world import shipped

SHIPPED = Path(__file__).parents[2] / "email_templates"


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    """Give the files of the shipped programme."""
    return load_files(SHIPPED)


@pytest.fixture(scope="module")
def loaded() -> LoadedPlaybook:
    """Give the shipped programme, which other files have built already."""
    return shipped()


def play_with(files: Mapping[str, str], path: str, name: str, *changes: tuple[str, str, str]) -> Result:
    """Play a shipped timeline after (file, text, its replacement) were changed in the programme."""
    # Measures that the file of timelines does not name are left out, so that the programme is built sooner.
    timelines = (SHIPPED / path).read_text("utf-8")
    unused = tuple(
        file.removesuffix("measure.yaml")
        for file in files
        if file.endswith("/measure.yaml") and file.removesuffix("/measure.yaml") not in timelines
    )
    changed = {file: content for file, content in files.items() if not file.startswith(unused)}
    for file, text, replacement in changes:
        assert text in changed[file], text
        changed[file] = changed[file].replace(text, replacement)
    return play_text(rebuild(changed, id_=0), timelines, name)


def play_text(loaded: LoadedPlaybook, text: str, name: str = "") -> Result:
    """Play the first timeline of a text whose name has a part."""
    faults = Faults()
    timelines = read_timelines("tests/a.yaml", text, loaded.playbook, faults)
    assert not faults, faults.sorted()
    timeline = next(item for item in timelines if name in item.model.name)
    return play(loaded, SHIPPED, timeline, update=False, written=[])


def faults_of(loaded: LoadedPlaybook, text: str) -> list[str]:
    faults = Faults()
    read_timelines("tests/a.yaml", text, loaded.playbook, faults)
    return [str(fault) for fault in faults.sorted()]


def test_the_shipped_programme_passes_its_tests_and_every_measure_has_one(loaded: LoadedPlaybook) -> None:
    report = run_tests(SHIPPED, RunOptions())
    assert [failure for result in report.failed for failure in result.failures] == []
    playbook, faults = loaded.playbook, Faults()
    timelines = [
        timeline
        for path in find_files(SHIPPED / "tests")[0]
        for timeline in read_timelines(path.name, path.read_text("utf-8"), playbook, faults)
    ]
    expected = {
        found[0].path
        for timeline in timelines
        for entry in timeline.model.expect
        if (found := find_step(playbook, entry.mail)) is not None
    }
    assert sorted(set(playbook.measures) - expected) == []


@pytest.mark.parametrize(
    ("path", "name", "change", "expected", "reason"),
    [
        pytest.param(
            "tests/visits.yaml",
            "booked for tomorrow",
            (
                "customer/any/appointment/measure.yaml",
                'when: days_since(last("Appointment Booked")) >= 1 and days_since(last("Appointment Changed")) >= 1',
                'when: "True"',
            ),
            "no further mail of customer/any/appointment",
            "on Appointment Booked",
            id="when",
        ),
        pytest.param(
            "tests/news.yaml",
            "a reply ends",
            (
                "lead/any/welcome_series/measure.yaml",
                "exit:\n  - {event: Email Replied, reason: replied}\n",
                "",
            ),
            "no mail of lead/any/welcome_series/guide",
            "day 4 09:30",
            id="exit",
        ),
        pytest.param(
            "tests/carts.yaml",
            "a lead's cart",
            ("lead/any/abandoned_cart/measure.yaml", "trigger: {quiet: 2h, entity: cart}", "trigger: ops"),
            "lead/any/abandoned_cart/left at day 1 12:00",
            "wakes only when ops send it",
            id="trigger",
        ),
    ],
)
def test_a_timeline_fails_when_a_rule_is_taken_out(
    files: Mapping[str, str],
    path: str,
    name: str,
    *,
    change: tuple[str, str, str],
    expected: str,
    reason: str,
) -> None:
    result = play_with(files, path, name, change)
    failures = [failure for failure in result.failures if failure.expected == expected]
    assert failures, result.failures
    assert reason in " ".join((failures[0].got, *failures[0].why))


def test_a_failure_names_the_condition_that_decided(loaded: LoadedPlaybook) -> None:
    result = play_text(
        loaded,
        """\
timelines:
  - name: a story of misses
    people: {buyer: {}, visitor: {}}
    happens:
      - at: day 1 12:00
        who: visitor
        event: Appointment Booked
        properties: {appointment_id: a1, starts_at: "2026-06-02T11:00:00Z", ends_at: "2026-06-02T12:00:00Z"}
      - {at: day 1 10:00, who: buyer, event: Order Completed, properties: {order_id: o1, revenue: 27}}
    until: day 40
    expect:
      - {mail: customer/any/birthday, to: buyer}
      - {mail: customer/any/second_order_coupon/offer, to: buyer}
      - {mail: lead/any/abandoned_cart, to: visitor}
      - {mail: lead/any/appointment/confirmation, to: visitor, on: day 2}
      - {mail: lead/any/appointment/reminder, to: visitor}
      - {mail: customer/any/order_confirmation, to: buyer, contains: [Nobody wrote this], subject: Thanks}
""",
    )
    assert [(failure.line, failure.expected, failure.got) for failure in result.failures[:5]] == [
        (12, "customer/any/birthday", "no such mail"),
        (13, "customer/any/second_order_coupon/offer", "no such mail"),
        (14, "lead/any/abandoned_cart", "no such mail"),
        (
            15,
            "lead/any/appointment/confirmation on day 2",
            "lead/any/appointment/confirmation at day 1 12:00 (Mon 1 Jun)",
        ),
        (16, "lead/any/appointment/reminder", "no such mail"),
    ]
    why = [" | ".join(failure.why) for failure in result.failures]
    assert "birthday is unknown, needs a value" in why[0]
    assert "offer was skipped at day 32 10:00 (Thu 2 Jul): no_consent (offers: never given)" in why[1]
    assert "none of Product Added, Product Removed, Cart Viewed, Checkout Started has happened" in why[2]
    assert "its run began at day 1 12:00 (Mon 1 Jun) on Appointment Booked" in why[3]
    assert 'its `when` was not yes: days_since(last("Appointment Booked")) >= 1' in why[4]
    assert [failure.expected for failure in result.failures[5:]] == [
        "customer/any/order_confirmation with the subject 'Thanks'",
        "customer/any/order_confirmation with the words 'Nobody wrote this'",
    ]
    assert result.story[0] == "day 1 10:00 (Mon 1 Jun)  buyer: Order Completed (order_id o1, revenue 27)"


def test_entries_are_played_by_their_time_and_count_from_the_one_above(loaded: LoadedPlaybook) -> None:
    result = play_text(
        loaded,
        """\
timelines:
  - name: out of order, with a holdout and a variant
    people:
      anna: {consent: [reminders]}
      ben:
        zone: America/New_York
        locale: zh-CN
        persona: office
        history: [{event: Order Completed, at: -9d, properties: {order_id: o9, revenue: 5}}]
    holdout: [customer/any/welcome_series]
    variants: {lead/any/abandoned_cart: question}
    happens:
      - {at: day 3 10:00, who: anna, event: Product Added, properties: {cart_id: c1, product_id: p, name: Kettle}}
      - {at: +1h, who: anna, event: Cart Viewed, properties: {cart_id: c1}}
      - {at: day 2 10:00, who: ben, confirms: news}
    until: +10d
    expect:
      - {mail: lead/any/abandoned_cart/left, to: anna, at: day 3 13:00, contains: [Kettle], lacks: ["<script"]}
    expect_not:
      - {mail: customer/any/welcome_series, to: ben, because: holdout}
      - {mail: lead/any/abandoned_cart, to: ben}
""",
    )
    assert result.failures == []
    assert [line.split("  ")[0][:11] for line in result.story][:2] == ["day 2 10:00", "day 3 10:00"]


def test_only_refuses_every_mail_that_is_not_listed(loaded: LoadedPlaybook) -> None:
    result = play_text(
        loaded,
        """\
timelines:
  - name: nothing but the receipt
    happens:
      - {at: day 1 10:00, event: Order Completed, properties: {order_id: o1, revenue: 27}}
    until: day 1
    only: true
    expect:
      - {mail: customer/any/order_confirmation}
""",
    )
    assert [(failure.expected, failure.got[:41]) for failure in result.failures] == [
        ("no mail but those listed", "customer/excite/decision_confirmed/thanks")
    ]


def test_faults_of_a_file_name_its_line_and_what_to_write(loaded: LoadedPlaybook) -> None:
    assert faults_of(
        loaded,
        """\
timelines:
  - name: many mistakes
    start: tomorrow
    person: {consent: [newz]}
    happens:
      - {at: noon, event: Order Complete}
      - {confirms: news, unsubscribes: news}
      - {at: day 2 10:00, who: nobody, object: Product Back in Stock}
    expect:
      - {mail: lead/any/welcome_serie, at: day 1 10:00}
      - {mail: lead/any/welcome_series/hello, on: 3}
  - name: without an expectation
""",
    ) == [
        "tests/a.yaml:7: `happens`: an entry of happens says confirms and unsubscribes: write one of event, identify, "
        "object, confirms, unsubscribes, asks_for, confirms_request, sends",
        "tests/a.yaml:11: `on`: 3 is not text: write text",
        "tests/a.yaml:12: `timelines`: a timeline expects nothing: add expect, expect_not or only: true",
    ]
    assert faults_of(
        loaded,
        """\
timelines:
  - name: many mistakes
    start: tomorrow
    person: {consent: [newz]}
    happens:
      - {at: noon, event: Order Complete}
      - {at: day 2 10:00, who: nobody, object: Product Back in Stock}
    expect:
      - {mail: lead/any/welcome_serie, at: day 1 10:00}
      - {mail: lead/any/welcome_series/hello, on: day 3}
""",
    ) == [
        "tests/a.yaml:3: `start`: 'tomorrow' is not a time; write `day 4 09:30`, `day 4`, \"2026-06-04 09:30\", "
        '"2026-06-04", `+2d` or, for the past, `-40d`: write a local time: "2026-06-01 10:00"',
        "tests/a.yaml:4: no topic 'newz': did you mean 'news'?",
        "tests/a.yaml:6: `at`: 'noon' is not a time: write `day 4 09:30`, `day 4`, \"2026-06-04 09:30\", "
        '"2026-06-04", `+2d` or, for the past, `-40d`',
        "tests/a.yaml:6: no rule of the programme reads 'Order Complete': did you mean 'Order Completed'?",
        "tests/a.yaml:7: no event of an object 'Product Back in Stock': did you mean 'Product Back In Stock'?",
        "tests/a.yaml:7: no person 'nobody': known are person",
        "tests/a.yaml:9: no mail 'lead/any/welcome_serie' in the programme: did you mean lead/any/welcome_series?",
        "tests/a.yaml:10: no mail 'lead/any/welcome_series/hello' in the programme: did you mean "
        "lead/any/welcome_series/welcome?",
    ]


def test_people_of_a_test_act_and_have_a_mailbox(loaded: LoadedPlaybook) -> None:
    with TestProgramme(loaded) as programme, TestProgramme(loaded, start="2026-12-01 08:00") as other:
        anna = programme.person("anna@example.com", persona="cafe", traits={"firstName": "Anna"})
        anna.confirms("news")
        other.person("anna@example.com")
        programme.advance("3 days")
        assert [mail.step for mail in anna.mailbox] == ["welcome", "guide"]
        assert anna.contact.facts["persona"] == "cafe"
        anna.unsubscribes()
        programme.advance("1 week")
        assert len(anna.mailbox) == 2
        assert "suppressed (for marketing: unsubscribed)" in anna.why("lead/any/welcome_series")
        assert other.mails() == []


def test_a_folder_with_a_fault_in_a_file_of_timelines_is_refused(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.yaml").write_text("timelines: [{name: x, onyl: true}]\n", "utf-8")
    with pytest.raises(PlaybookError, match=r"tests/a.yaml:1: `onyl` is not known here"):
        run_tests(tmp_path, RunOptions())
