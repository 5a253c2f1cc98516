"""A mail that its own cap, gap or hour can never let through is a fault, and one that leaves now and then is none."""

import pytest

from nurture.playbook import find_faults
from tests.playbook.builder import changed

_PATH = "lead/aware/guide/measure.yaml"
_STEPS = """\
  - mail: guide
  - wait: 2d
  - mail: more
    when: silent_days("Page Viewed") >= 1
"""
_QUIET = (
    "guide can never leave: its time of day lies in the quiet hours: choose another time, or raise valid_for"
)
_ONE_A_FORTNIGHT = "{purposes: [nurture], at_most: 1, within: 14d, count: mails}"


@pytest.mark.parametrize(
    ("cap", "steps", "faults"),
    [
        pytest.param(
            _ONE_A_FORTNIGHT,
            "  - mail: guide\n  - wait: 2d\n  - mail: more\n    valid_for: 1d",
            ["more can never leave: cap nurture is full for 11 d more when its 1 d are over: {remedy}"],
            id="the second mail",
        ),
        pytest.param(
            _ONE_A_FORTNIGHT,
            "  - mail: guide\n  - wait: {for: Page Viewed, at_most: 3d}\n  - mail: more\n    when: views >= 1",
            ["more can never leave: cap nurture is full for 8 d more when its 3 d are over: {remedy}"],
            id="a wait for an event, and a condition",
        ),
        pytest.param(
            "{purposes: [nurture], at_most: 2, within: 14d, count: mails}",
            "  - mail: guide\n  - wait: 1d\n  - mail: more\n  - wait: 1d\n"
            "  - mail: guide\n    id: third\n    valid_for: 6h",
            ["third can never leave: cap nurture is full for 8 d 18 h more when its 6 h are over: {remedy}"],
            id="the third of two, behind one that may wait for its validity",
        ),
        pytest.param(
            "{purposes: [nurture], at_most: 9, within: 14d, count: mails, gap: 4d}",
            "  - mail: guide\n  - wait: 1d\n  - mail: more\n    valid_for: 12h",
            [
                "more can never leave: the gap of cap nurture lasts 2 d 12 h more when its 12 h are over: {remedy}"
            ],
            id="a gap",
        ),
        pytest.param(
            _ONE_A_FORTNIGHT,
            "  - mail: guide\n  - mail: more\n    valid_for: 14d",
            ["more can never leave: cap nurture is full for 0 s more when its 14 d are over: {remedy}"],
            id="at the very instant it is too late",
        ),
        pytest.param(
            _ONE_A_FORTNIGHT,
            "  - mail: guide\n  - wait: 1d\n  - mail: more\n    valid_for: 13d 1m",
            [],
            id="it may leave in the last minute",
        ),
        pytest.param(
            _ONE_A_FORTNIGHT,
            "  - mail: guide\n    when: views >= 3\n  - wait: 2d\n  - mail: more\n    valid_for: 1d",
            [],
            id="the first mail may be passed over",
        ),
        pytest.param(
            _ONE_A_FORTNIGHT,
            "  - mail: guide\n  - wait: {date: first_seen_at, offset: 30d}\n  - mail: more\n    valid_for: 1d",
            [],
            id="a date may be far away",
        ),
        pytest.param(
            "{purposes: [nurture], at_most: 1, within: 14d, gap: 4d}",
            "  - mail: guide\n  - wait: 2d\n  - mail: more\n    valid_for: 1d",
            [],
            id="runs are counted",
        ),
        pytest.param(
            "{purposes: [sales], at_most: 1, within: 14d, count: mails}",
            "  - mail: guide\n  - wait: 2d\n  - mail: more\n    valid_for: 1d",
            [],
            id="a cap of other mails",
        ),
        pytest.param(
            "{offers: any, at_most: 1, within: 14d, count: mails}",
            "  - mail: guide\n  - wait: 2d\n  - mail: more\n    valid_for: 1d",
            [],
            id="a cap of coupons, and no coupon",
        ),
        pytest.param(
            "{purposes: [sales], at_most: 1, within: 14d}",
            '  - mail: guide\n    send_at: {local_time: "22:00"}\n  - wait: 2d\n  - mail: more',
            [_QUIET],
            id="ten in the evening is quiet",
        ),
        pytest.param(
            "{purposes: [sales], at_most: 1, within: 14d}",
            '  - mail: guide\n    send_at: {local_time: "05:00"}\n    valid_for: 2h\n  - wait: 2d\n  - mail: more',
            [_QUIET],
            id="too late before the night is over",
        ),
        pytest.param(
            "{purposes: [sales], at_most: 1, within: 14d}",
            '  - mail: guide\n    send_at: {local_time: "05:00"}\n  - wait: 2d\n  - mail: more',
            [],
            id="it waits for the morning",
        ),
    ],
)
def test_a_mail_that_can_never_leave(cap: str, steps: str, faults: list[str]) -> None:
    files = changed(
        "playbook.yaml",
        "caps: {sales: {purposes: [sales], at_most: 1, within: 14d}}",
        f"caps: {{nurture: {cap}}}",
    )
    files = changed(_PATH, _STEPS, steps + "\n", files)
    faulty = [fault for fault in find_faults(files, render=False) if fault.path == _PATH]
    found = [f"{fault.what}: {fault.change}" for fault in faulty if "can never leave" in fault.what]
    assert found == [fault.format(remedy="raise valid_for, or count runs") for fault in faults]


def test_a_measure_that_a_rival_always_outruns() -> None:
    files = changed("playbook.yaml", "purposes: [sales], at_most: 1", "purposes: [nurture], at_most: 1")
    for path, text in [(path, text) for path, text in files.items() if path.startswith("lead/aware/guide/")]:
        files[path.replace("guide/", "first/", 1)] = text
    files = changed("lead/aware/first/measure.yaml", "topic: news", "topic: news\npriority: 60", files)
    (fault,) = [
        f"{fault.path}: {fault.what}" for fault in find_faults(files, render=False) if "never" in fault.what
    ]
    assert fault == (
        f"{_PATH}: guide can never leave: cap sales is full for 11 d more when its 3 d are over, "
        "by lead/aware/first, which always starts with it and goes first"
    )
    for old, new in (
        ("priority: 60", "priority: 50"),
        ("priority: 60", "priority: 60\nholdout: 10%"),
        ("trigger: {stage: aware}", "trigger: {event: Page Viewed}"),
        ("views >= 1", "views >= 2"),
    ):
        other = changed("lead/aware/first/measure.yaml", old, new, files)
        assert not [fault for fault in find_faults(other, render=False) if "never leave" in fault.what]
