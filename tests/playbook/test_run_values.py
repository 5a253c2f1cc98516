"""The check of what a run knows at a place, and of what it does where something is not known."""

import json

import pytest

from nurture.playbook import inspect
from tests.playbook.builder import a_playbook, changed

COUPON = "customer/any/coupon/measure.yaml"
VISIT = "lead/any/visit/measure.yaml"
REMINDER = "  - mail: reminder\n    when: days_until(deadline) >= 2\n"


def messages(files: dict[str, str], path: str = COUPON) -> tuple[list[str], list[str]]:
    """Return the faults and the warnings of one file, without its path."""
    found = inspect(files, render=False)
    return tuple(  # type: ignore[return-value]
        [str(fault).removeprefix(f"{path}:") for fault in faults if fault.path == path]
        for faults in (found.sorted(), found.warnings)
    )


# ---- branches where an answer is unknown -----------------------------------------------------------------------


def branched(cases: str, *, wait: str = "") -> dict[str, str]:
    """Return a coupon whose second mail is chosen by these cases."""
    files = changed(COUPON, REMINDER, f"  - branch:\n{cases}")
    return changed(COUPON, "  - wait: {for: Signed In, at_most: 5d}\n", wait or WAIT, files)


WAIT = "  - wait: {for: Signed In, at_most: 5d}\n    id: sign\n"
NAMED = '      - when: first_name == "Ann"\n        steps: [{mail: reminder}]\n'
ELSE = "      - else: [{mail: reminder, id: other}]\n"


@pytest.mark.parametrize(
    ("cases", "warnings"),
    [
        (
            NAMED + ELSE,
            [
                "20: warning: `else` is taken too where first_name is unknown, and sends `reminder`: "
                "write a case `not known(first_name)` before `else`"
            ],
        ),
        (
            NAMED,
            [
                "17: warning: no case says yes where first_name is unknown, and there is no else: "
                "say so with `else: []`, or write what is to happen then"
            ],
        ),
        # Said in words.
        (NAMED + "      - else: []\n", []),
        (NAMED + "      - else: [{emit: {event: Points Granted}}]\n", []),
        (NAMED + "      - {when: not known(first_name), steps: []}\n" + ELSE, []),
        ('      - when: (first_name or "") == "Ann"\n        steps: [{mail: reminder}]\n' + ELSE, []),
        ("      - when: satisfied is yes\n        steps: [{mail: reminder}]\n", []),
        # Always known.
        ("      - when: orders >= 2\n        steps: [{mail: reminder}]\n" + ELSE, []),
        ('      - when: stage == "ascend"\n        steps: [{mail: reminder}]\n' + ELSE, []),
        ('      - when: steps.sign.outcome == "event"\n        steps: [{mail: reminder}]\n' + ELSE, []),
        ("      - when: days_until(deadline) >= 2\n        steps: [{mail: reminder}]\n" + ELSE, []),
    ],
)
def test_a_branch_says_what_becomes_of_the_unknown(cases: str, warnings: list[str]) -> None:
    assert messages(branched(cases)) == ([], warnings)


def test_the_outcome_of_a_step_that_a_run_may_not_take_is_unknown() -> None:
    cases = (
        "      - when: orders >= 2\n        steps: [{mail: reminder}, {wait: 1d}, {mail: reminder, id: more}]\n"
        "  - branch:\n"
        '      - when: steps.reminder.outcome == "sent"\n        steps: [{mail: reminder, id: last}]\n'
        "      - else: [{mail: reminder, id: other}]\n"
    )
    _, (warning,) = messages(branched(cases))
    assert "where steps.reminder.outcome is unknown" in warning


def test_a_wait_that_a_branch_asks_about_has_an_id_of_its_own() -> None:
    cases = (
        '      - when: steps.wait1.outcome == "event"\n        steps: [{mail: reminder}]\n      - else: []\n'
    )
    plain = "  - wait: {for: Signed In, at_most: 5d}\n"
    assert messages(branched(cases, wait=plain)) == (
        [],
        [
            "17: warning: `steps.wait1.outcome` counts the waits: another wait before it takes its place: "
            "give the wait an `id:`, and ask for that one"
        ],
    )


# ---- what the trigger brings -----------------------------------------------------------------------------------


def test_a_wait_for_a_date_of_the_event_needs_an_event() -> None:
    files = changed(COUPON, "{for: Signed In, at_most: 5d}", "{date: event.starts_at}")
    faults, _ = messages(files)
    assert faults == [
        "15: `event.starts_at` is read, but this trigger has no event: name entity.FIELD, a fact or a `let` value"
    ]


def test_an_event_hands_on_only_what_the_run_has() -> None:
    emit = "  - emit: {event: Told, properties: {a: event.score, b: deadline, c: code}}\n"
    files = changed(COUPON, "steps:\n", f"steps:\n{emit}")
    faults, _ = messages(files)
    assert faults == [
        "13: `code` is fixed by the first mail and unknown before it: hand the event in behind a mail",
        "13: `deadline` is fixed by the first mail and unknown before it: hand the event in behind a mail",
        "13: `event.score` is read, but this trigger has no event: name entity.FIELD, a fact or a `let` value",
    ]
    behind = changed(COUPON, REMINDER, REMINDER + emit.replace("a: event.score, ", ""))
    assert messages(behind) == ([], [])


@pytest.mark.parametrize(
    ("path", "name", "reason"),
    [
        ("customer/any/coupon", "event", "this trigger has no event"),
        ("customer/any/coupon", "entity", "the run has no entity"),
        ("lead/convert/cart", "event", "this trigger has no event"),
    ],
)
def test_a_sample_has_only_what_the_mails_have(path: str, name: str, reason: str) -> None:
    files = a_playbook()
    sample = json.loads(files[f"{path}/sample.json"])
    files[f"{path}/sample.json"] = json.dumps({**sample, name: {"order_id": "1"}}, indent=1)
    faults, (warning,) = messages(files, f"{path}/sample.json")
    assert faults == []
    assert f": warning: `{name}` in the sample, but {reason}: remove it there" in warning
    line = files[f"{path}/sample.json"].split("\n")[int(warning.partition(":")[0]) - 1]
    assert line.lstrip().startswith(f'"{name}"')
    # An empty one says the same as none.
    files[f"{path}/sample.json"] = json.dumps({**sample, name: {}})
    assert messages(files, f"{path}/sample.json") == ([], [])


# ---- entities --------------------------------------------------------------------------------------------------

KINDS = """\
entities:
  order:
    key: order_id
    of: Order Completed
    amount: revenue
    reversed_by: {Order Refunded: {amount: revenue, key: refund_id}}
  shipment: {key: shipment_id, within: order, of: Order Shipped}
"""


def shipped(entity: str, once: str) -> dict[str, str]:
    files = changed("playbook.yaml", "facts:\n", f"{KINDS}facts:\n")
    files = changed(VISIT, "trigger: {event: Appointment Booked}", "trigger: {event: Order Shipped}", files)
    files = changed(VISIT, "entity: appointment\n", f"entity: {entity}\n", files)
    return changed(
        VISIT, "once: {per: appointment_id, again_on: [Appointment Changed]}", f"once: {once}", files
    )


@pytest.mark.parametrize("once", ["per entity", "per event", "per contact"])
def test_two_parcels_per_order_are_usual(once: str) -> None:
    _, warnings = messages(shipped("order", once), VISIT)
    assert warnings == [
        "8: warning: two `Order Shipped` per order are usual: did you mean shipment?: "
        "write `entity: shipment`, or `once: per order_id` where one per order is meant"
    ]
    assert messages(shipped("shipment", "per entity"), VISIT)[1] == []
    assert messages(shipped("order", "per order_id"), VISIT)[1] == []


def test_a_refund_without_a_key_counts_twice_when_it_is_told_twice() -> None:
    files = shipped("shipment", "per entity")
    assert not [text for text in messages(files, "playbook.yaml")[1] if "told twice" in text]
    files = changed("playbook.yaml", ", key: refund_id}}", "}}", files)
    (warning,) = (text for text in messages(files, "playbook.yaml")[1] if "told twice" in text)
    assert warning == (
        "15: warning: `Order Refunded` has no key: the same refund told twice counts twice: "
        "add `key: refund_id`, the property that names the refund"
    )
