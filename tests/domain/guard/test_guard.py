"""Every check of the guard: the mails that pass it, and for the others the action, the reason and the deferral."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.conditions import parse
from nurture.domain.consent.preferences import Preferences
from nurture.domain.consent.suppressions import REASONS_WEAKEST_FIRST
from nurture.domain.contact import RunOrigin
from nurture.domain.feedback import CONFIRMABLE
from nurture.domain.guard.caps import LedgerEntry
from nurture.domain.guard.decide import CHECKS, REASONS, GuardInput, decide
from nurture.domain.instant import DAY, HOUR, MINUTE, SECOND, Instant, parse_iso
from nurture.domain.journey.position import ActiveHold
from nurture.domain.measure import PURPOSES, Action, LetEndOfMonth, LocalSlot, MailStep
from nurture.domain.message import Verdict
from nurture.domain.playbook import Cap, Playbook
from tests.delivery.builders import (
    NOON,
    PATH,
    WORDS,
    a_contact,
    a_due,
    a_guard_input,
    a_measure,
    a_playbook,
    a_reading,
    a_run,
)

OPEN_CASE = a_playbook().holds["open_case"]
SALES_CAP = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
NURTURE_CAP = Cap("nurture", frozenset({"sales", "nurture"}), at_most=2, within=7 * DAY, gap=12 * HOUR)


def an_entry(number: int = 9, **changes: Any) -> LedgerEntry:
    entry = LedgerEntry(
        id=number,
        measure="customer/any/other",
        run_key="",
        step="other",
        purpose="sales",
        lane="main",
        priority=50,
        status="sent",
        due_at=NOON - DAY,
        counted_at=NOON - DAY,
    )
    return replace(entry, **changes)


def verdict_on(guard_input: GuardInput, playbook: Playbook | None = None, *, now: Instant = NOON) -> Verdict:
    return decide(guard_input, now=now, playbook=playbook or a_playbook())


def test_an_ordinary_mail_is_sent_and_every_check_is_recorded() -> None:
    verdict = verdict_on(a_guard_input())
    assert (verdict.action, verdict.reason) == ("send", "")
    assert [check.name for check in verdict.checks] == [name for name, _ in CHECKS]
    assert all(check.passed and check.detail for check in verdict.checks)


@pytest.mark.parametrize(
    ("guard_input", "check", "action", "reason"),
    [
        pytest.param(
            a_guard_input(switches={"restored": "journal ahead"}),
            "restored",
            "defer",
            "restored",
            id="restored",
        ),
        pytest.param(a_guard_input(contact=None), "contact", "cancel", "no_contact", id="no contact"),
        pytest.param(a_guard_input(erased=True), "contact", "cancel", "erased", id="erased"),
        pytest.param(a_guard_input(address=None), "address", "skip", "no_address", id="no address"),
        pytest.param(
            a_guard_input(suppressions={"all": "hard_bounce"}),
            "suppression",
            "skip",
            "suppressed",
            id="bounced",
        ),
        pytest.param(
            a_guard_input(suppressions={"marketing": "complaint"}),
            "suppression",
            "skip",
            "suppressed",
            id="no marketing",
        ),
        pytest.param(a_guard_input(switches={"all": "stop"}), "switches", "defer", "paused", id="all paused"),
        pytest.param(
            a_guard_input(switches={"main": "530"}), "switches", "defer", "paused", id="lane paused"
        ),
        pytest.param(
            a_guard_input(switches={PATH: "typo"}), "switches", "defer", "paused", id="measure paused"
        ),
        pytest.param(
            a_guard_input(message=a_due(measure="customer/any/gone")),
            "measure",
            "cancel",
            "measure_gone",
            id="measure gone",
        ),
        pytest.param(
            a_guard_input(message=a_due(step="gone")), "measure", "cancel", "step_gone", id="step gone"
        ),
        pytest.param(
            a_guard_input(contact=a_contact(track="lead", stage="aware")),
            "track",
            "cancel",
            "track",
            id="track",
        ),
        pytest.param(a_guard_input(run=None), "run", "cancel", "run_ended", id="no run"),
        pytest.param(
            a_guard_input(run=a_run(status="stopped", reason="converted")),
            "run",
            "cancel",
            "run_ended",
            id="exit",
        ),
        pytest.param(
            a_guard_input(run=a_run(step="reminder")), "run", "cancel", "run_ended", id="run went on"
        ),
        pytest.param(a_guard_input(message=a_due(holdout=True)), "holdout", "skip", "holdout", id="holdout"),
        pytest.param(
            a_guard_input(pending_since=NOON - SECOND),
            "events_pending",
            "defer",
            "events_pending",
            id="pending",
        ),
        pytest.param(a_guard_input(consents={}), "consent", "skip", "no_consent", id="never asked"),
        pytest.param(
            a_guard_input(consents={"offers": "pending"}),
            "consent",
            "skip",
            "consent_pending",
            id="not confirmed",
        ),
        pytest.param(
            a_guard_input(consents={"offers": "withdrawn"}),
            "consent",
            "skip",
            "consent_withdrawn",
            id="withdrawn",
        ),
        pytest.param(
            a_guard_input(consents={"*": "withdrawn"}),
            "consent",
            "skip",
            "consent_withdrawn",
            id="all withdrawn",
        ),
        pytest.param(
            a_guard_input(message=a_due(topic="gone")), "consent", "skip", "no_consent", id="topic unknown"
        ),
        pytest.param(
            a_guard_input(holds=(ActiveHold(OPEN_CASE, NOON - DAY, NOON + 29 * DAY),)),
            "holds",
            "defer",
            "hold",
            id="open case",
        ),
        pytest.param(
            a_guard_input(only_to=frozenset({"staff.example", "bo@x.example"})),
            "only_to",
            "skip",
            "only_to",
            id="only to",
        ),
        pytest.param(
            a_guard_input(message=a_due(valid_until=NOON)), "valid_for", "expire", "too_late", id="too late"
        ),
        pytest.param(
            a_guard_input(message=a_due(5), other_messages=(an_entry(4, measure=PATH, status="waiting"),)),
            "order",
            "defer",
            "order",
            id="order",
        ),
    ],
)
def test_a_check_stops_the_mail(guard_input: GuardInput, check: str, action: str, reason: str) -> None:
    verdict = verdict_on(guard_input)
    assert (verdict.action, verdict.reason) == (action, reason)
    failed = next(entry for entry in verdict.checks if not entry.passed)
    assert failed.name == check
    assert failed.detail
    assert reason in REASONS
    assert (verdict.until is not None and verdict.until > NOON) == (action == "defer")


@pytest.mark.parametrize(
    "guard_input",
    [
        pytest.param(a_guard_input(run=a_run(status="done")), id="the run ended with this as its last mail"),
        pytest.param(a_guard_input(message=a_due(contact_id=7)), id="decided for a contact since merged"),
        pytest.param(a_guard_input(only_to=frozenset({"example.com"})), id="domain on the list"),
        pytest.param(a_guard_input(only_to=frozenset({"ada@example.com"})), id="address on the list"),
        pytest.param(
            a_guard_input(switches={"customer/any/other": "typo", "bulk": "530"}), id="others are paused"
        ),
        pytest.param(
            a_guard_input(consents={"*": "withdrawn", "offers": "granted"}), id="came back to the topic"
        ),
        pytest.param(
            a_guard_input(other_messages=(an_entry(4, measure=PATH, status="sent"),)),
            id="the step before has left",
        ),
    ],
)
def test_a_check_lets_the_mail_through(guard_input: GuardInput) -> None:
    assert verdict_on(guard_input).action == "send"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_transactional_passes_marketing_limits_and_nothing_else_does(purpose: Any) -> None:
    path = "any/any/note" if purpose in ("transactional", "service") else PATH
    hold = replace(OPEN_CASE, stops=frozenset(PURPOSES))
    playbook = a_playbook(
        a_measure(path, purpose=purpose),
        caps=(Cap("everything", frozenset(PURPOSES), at_most=1, within=DAY, gap=HOUR),),
    )
    night = parse_iso("2026-05-13T21:00:00Z")
    other_messages = (
        an_entry(purpose=purpose, counted_at=night - MINUTE),
        an_entry(3, purpose=purpose, status="waiting", due_at=night, priority=99),
    )
    message = a_due(measure=path, purpose=purpose, track=path.split("/")[0], valid_until=NOON + 9 * DAY)
    guard_input = a_guard_input(
        message=message,
        run=a_run(path),
        consents={},
        suppressions={"marketing": "unsubscribed"},
        holds=(ActiveHold(hold, NOON - DAY, NOON + DAY),),
        other_messages=other_messages,
    )
    verdict = verdict_on(guard_input, playbook, now=night)
    missed = {check.name for check in verdict.checks if not check.passed}
    if purpose == "transactional":
        assert verdict.action == "send"
    elif purpose == "service":
        assert missed == {"holds", "quiet_hours", "cap", "gap", "arbitration"}
    else:
        assert missed == {"suppression", "consent", "holds", "quiet_hours", "cap", "gap", "arbitration"}
    everything = replace(guard_input, suppressions={"all": "hard_bounce"})
    assert verdict_on(everything, playbook).action == "skip"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_pause_of_a_lanes_marketing_stops_marketing_alone(purpose: Any) -> None:
    path = "any/any/note" if purpose in ("transactional", "service") else PATH
    message = a_due(measure=path, purpose=purpose, track=path.split("/")[0], valid_until=NOON + 9 * DAY)
    rival = an_entry(3, purpose=purpose, status="waiting", due_at=NOON, priority=99)
    playbook = a_playbook(
        a_measure(path, purpose=purpose),
        caps=(Cap("one", frozenset(PURPOSES), at_most=1, within=DAY, gap=0),),
    )
    guard_input = a_guard_input(
        message=message,
        run=a_run(path),
        other_messages=(rival,),
        switches={"main:marketing": "10.00% (10 of 100) bounced"},
    )
    missed = {check.name for check in verdict_on(guard_input, playbook).checks if not check.passed}
    # A rival of higher priority that is paused too does not take the slot.
    expected = {"transactional": set(), "service": {"arbitration"}}
    assert missed == expected.get(purpose, {"switches"})


@pytest.mark.parametrize(
    ("reason", "action"),
    [
        ("complaint", "skip"),
        ("ops", "skip"),
        ("unsubscribed", "send"),
        ("sunset", "send"),
        ("erased", "send"),
    ],
)
def test_a_topic_is_asked_for_only_where_a_yes_would_start_it(reason: str, action: str) -> None:
    asking = a_measure(
        "any/any/ask", action=Action("confirm", "{{ links.confirm }}"), purpose="transactional"
    )
    run = a_run(asking.path, origin=RunOrigin("Topic Requested", properties={"topic": "offers"}))
    message = a_due(measure=asking.path, track="any", purpose="transactional", topic=None)
    stopped = a_guard_input(message=message, run=run, suppressions={"marketing": reason})
    verdict = verdict_on(stopped, a_playbook(asking))
    assert (verdict.action, verdict.reason) == (action, "suppressed" if action == "skip" else "")


def test_the_strongest_reason_tells_whether_a_yes_lifts_all() -> None:
    assert set(REASONS_WEAKEST_FIRST[: len(CONFIRMABLE)]) == set(CONFIRMABLE)


def test_the_first_failed_check_decides_and_the_others_are_still_recorded() -> None:
    verdict = verdict_on(a_guard_input(address=None, consents={}, pending_since=NOON))
    assert verdict.reason == "no_address"
    assert {check.name for check in verdict.checks if not check.passed} == {
        "address",
        "consent",
        "events_pending",
    }
    assert [check.name for check in verdict.checks] == [name for name, _ in CHECKS]


def test_stage_ends_the_mail_unless_the_measure_goes_on() -> None:
    stays = a_measure("customer/ascend/offer", on_stage_change="stop")
    goes_on = replace(stays, on_stage_change="continue")
    guard_input = a_guard_input(message=a_due(measure=stays.path), run=a_run(stays.path))
    assert verdict_on(guard_input, a_playbook(stays)).reason == "stage"
    assert verdict_on(guard_input, a_playbook(goes_on)).action == "send"
    arrived = replace(guard_input, contact=a_contact(stage="ascend"))
    assert verdict_on(arrived, a_playbook(stays)).action == "send"


def test_pending_events_are_checked_more_rarely_the_longer_they_wait() -> None:
    waits = [
        verdict_on(a_guard_input(pending_since=NOON - age)).until
        for age in (0, 5 * SECOND, 40 * SECOND, 3 * HOUR)
    ]
    assert waits == [NOON + SECOND, NOON + 5 * SECOND, NOON + 40 * SECOND, NOON + MINUTE]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-05-13T18:59:00Z", None),
        ("2026-05-13T19:00:00Z", "2026-05-14T06:00:00Z"),
        ("2026-05-14T05:59:00Z", "2026-05-14T06:00:00Z"),
        ("2026-05-14T06:00:00Z", None),
        # The night of the spring change is an hour shorter, that of autumn an hour longer.
        ("2027-03-27T22:00:00Z", "2027-03-28T06:00:00Z"),
        ("2026-10-24T21:00:00Z", "2026-10-25T07:00:00Z"),
    ],
)
def test_quiet_hours_are_the_persons_own(now: str, until: str | None) -> None:
    at = parse_iso(now)
    verdict = verdict_on(a_guard_input(message=a_due(valid_until=at + 9 * DAY)), now=at)
    assert verdict.until == (parse_iso(until) if until else None)
    assert verdict.reason == ("quiet_hours" if until else "")


def test_an_unknown_zone_falls_back_to_the_playbooks() -> None:
    guard_input = a_guard_input(contact=a_contact(zone="Mars/Olympus"))
    assert verdict_on(guard_input, now=parse_iso("2026-05-13T19:30:00Z")).reason == "quiet_hours"
    assert (
        verdict_on(
            a_guard_input(contact=a_contact(zone="America/New_York")), now=parse_iso("2026-05-13T19:30:00Z")
        ).action
        == "send"
    )


@pytest.mark.parametrize(
    ("now", "until"),
    [
        # Tuesday to Thursday at 10:00 Berlin, and up to four hours behind it.
        ("2026-05-13T08:00:00Z", None),
        ("2026-05-13T12:00:00Z", None),
        ("2026-05-13T12:01:00Z", "2026-05-14T08:00:00Z"),
        ("2026-05-13T07:59:00Z", "2026-05-13T08:00:00Z"),
        ("2026-05-14T13:00:00Z", "2026-05-19T08:00:00Z"),
    ],
)
def test_a_step_keeps_to_its_time_of_day_and_weekdays(now: str, until: str | None) -> None:
    slot = LocalSlot(10 * 60, frozenset({1, 2, 3}))
    playbook = a_playbook(a_measure(steps=(MailStep("offer", "offer", send_at=slot),)))
    at = parse_iso(now)
    verdict = verdict_on(a_guard_input(message=a_due(valid_until=at + 20 * DAY)), playbook, now=at)
    assert verdict.until == (parse_iso(until) if until else None)
    assert verdict.reason == ("send_window" if until else "")


def test_a_promise_to_the_end_of_the_month_waits_for_the_first_when_too_little_is_left() -> None:
    measure = a_measure(let={"deadline": LetEndOfMonth(at_least=7 * DAY)}, valid_for=3 * DAY)
    playbook = a_playbook(measure)
    assert verdict_on(a_guard_input(), playbook).action == "send"
    late = parse_iso("2026-05-26T10:00:00Z")
    verdict = verdict_on(a_guard_input(message=a_due(valid_until=late + DAY)), playbook, now=late)
    # Midnight of the 1st is quiet; its morning is the first instant the mail's own schedule allows.
    morning = parse_iso("2026-06-01T06:00:00Z")
    assert (verdict.reason, verdict.until) == ("end_of_month", morning)
    assert verdict.data == {"valid_until": morning + 3 * DAY}
    fixed = a_run(let={"deadline": late + 5 * DAY})
    assert (
        verdict_on(a_guard_input(message=a_due(valid_until=late + DAY), run=fixed), playbook, now=late).action
        == "send"
    )


@pytest.mark.parametrize(
    ("other_messages", "reason", "until"),
    [
        pytest.param((), "", None, id="nothing before"),
        pytest.param((an_entry(counted_at=NOON - 14 * DAY),), "", None, id="out of the window"),
        pytest.param(
            (an_entry(counted_at=NOON - 13 * DAY),), "cap", NOON + DAY, id="until the window has moved on"
        ),
        pytest.param((an_entry(status="in_doubt"),), "cap", NOON + 13 * DAY, id="in doubt counts"),
        pytest.param(
            (an_entry(status="on_wire", counted_at=NOON),), "cap", NOON + 10 * MINUTE, id="on the wire counts"
        ),
        pytest.param(
            (an_entry(status="ready", counted_at=NOON),), "cap", NOON + 10 * MINUTE, id="ready counts"
        ),
        pytest.param((an_entry(status="failed"),), "", None, id="failed does not"),
        pytest.param((an_entry(purpose="service"),), "", None, id="another purpose does not"),
        pytest.param((an_entry(status="waiting", due_at=NOON + 9 * DAY),), "", None, id="waiting does not"),
    ],
)
def test_a_cap_defers(other_messages: tuple[LedgerEntry, ...], reason: str, until: Instant | None) -> None:
    guard_input = a_guard_input(other_messages=other_messages, message=a_due(valid_until=NOON + 90 * DAY))
    verdict = verdict_on(guard_input, a_playbook(caps=(SALES_CAP,)))
    assert verdict.reason == reason
    assert verdict.until == until


@pytest.mark.parametrize(
    ("preferences", "reason", "until"),
    [
        pytest.param(Preferences(), "", None, id="nothing asked for"),
        pytest.param(Preferences(min_gap=7 * DAY), "own_cap", NOON + 6 * DAY, id="the last left a day ago"),
        pytest.param(Preferences(min_gap=DAY), "", None, id="long enough ago"),
        pytest.param(Preferences(paused_until=NOON + 9 * DAY), "own_pause", NOON + 9 * DAY, id="paused"),
        pytest.param(Preferences(paused_until=NOON), "", None, id="the pause is over"),
        pytest.param(
            Preferences(min_gap=7 * DAY, paused_until=NOON + DAY),
            "own_pause",
            NOON + DAY,
            id="the pause is looked at first",
        ),
    ],
)
def test_the_persons_own_preferences_defer_marketing(
    preferences: Preferences, reason: str, until: Instant | None
) -> None:
    # Another purpose, no cap of the programme: only the person's own covers both.
    other_messages = (an_entry(purpose="nurture", counted_at=NOON - DAY),)
    guard_input = a_guard_input(
        preferences=preferences, other_messages=other_messages, message=a_due(valid_until=NOON + 90 * DAY)
    )
    verdict = verdict_on(guard_input)
    assert verdict.reason == reason
    assert verdict.until == until


def test_the_persons_own_cap_counts_mails_of_one_run_too() -> None:
    before = an_entry(measure=PATH, counted_at=NOON - DAY)
    message = a_due(valid_until=NOON + 90 * DAY)
    guard_input = a_guard_input(
        preferences=Preferences(min_gap=7 * DAY), other_messages=(before,), message=message
    )
    verdict = verdict_on(guard_input, a_playbook(caps=(SALES_CAP,)))
    assert {check.name for check in verdict.checks if not check.passed} == {"own_cap"}


@pytest.mark.parametrize("purpose", ["transactional", "service"])
def test_the_persons_own_preferences_concern_marketing_alone(purpose: Any) -> None:
    path = "any/any/note"
    guard_input = a_guard_input(
        message=a_due(measure=path, purpose=purpose, track="any"),
        run=a_run(path),
        preferences=Preferences(min_gap=30 * DAY, paused_until=NOON + 30 * DAY),
        other_messages=(
            an_entry(purpose=purpose, counted_at=NOON - HOUR),
            an_entry(3, counted_at=NOON - HOUR),
        ),
    )
    assert verdict_on(guard_input, a_playbook(a_measure(path, purpose=purpose))).action == "send"


def test_a_persons_own_cap_gives_its_slot_to_the_highest_priority() -> None:
    rival = an_entry(9, purpose="nurture", status="waiting", due_at=NOON, priority=80)
    guard_input = a_guard_input(preferences=Preferences(min_gap=30 * DAY), other_messages=(rival,))
    assert verdict_on(guard_input).reason == "arbitration"
    assert verdict_on(replace(guard_input, preferences=Preferences())).action == "send"


def test_a_deferral_ends_when_the_mail_expires() -> None:
    guard_input = a_guard_input(other_messages=(an_entry(),), message=a_due(valid_until=NOON + DAY))
    verdict = verdict_on(guard_input, a_playbook(caps=(SALES_CAP,)))
    assert (verdict.reason, verdict.until) == ("cap", NOON + DAY)


def test_the_least_gap_is_kept() -> None:
    playbook = a_playbook(caps=(NURTURE_CAP,))
    message = a_due(valid_until=NOON + 9 * DAY)
    near = verdict_on(
        a_guard_input(message=message, other_messages=(an_entry(counted_at=NOON - HOUR),)), playbook
    )
    # Eleven hours on it is 23:00 in Berlin, so the morning.
    assert (near.reason, near.until) == ("gap", parse_iso("2026-05-14T06:00:00Z"))
    far = verdict_on(
        a_guard_input(message=message, other_messages=(an_entry(counted_at=NOON - 12 * HOUR),)), playbook
    )
    assert far.action == "send"


@pytest.mark.parametrize(
    ("rival", "is_behind"),
    [
        pytest.param(
            an_entry(status="waiting", due_at=NOON + HOUR, priority=80), True, id="higher, due soon"
        ),
        pytest.param(an_entry(status="waiting", due_at=NOON + HOUR, priority=40), False, id="lower"),
        pytest.param(
            an_entry(status="waiting", due_at=NOON + HOUR, priority=50), False, id="equal, due later"
        ),
        pytest.param(
            an_entry(status="waiting", due_at=NOON - HOUR, priority=50), True, id="equal, due before"
        ),
        pytest.param(
            an_entry(status="waiting", due_at=NOON + 5 * HOUR, priority=80), False, id="too far off"
        ),
        pytest.param(
            an_entry(status="waiting", due_at=NOON - 5 * HOUR, priority=80), False, id="stuck for long"
        ),
        pytest.param(
            an_entry(status="waiting", due_at=NOON, priority=80, holdout=True), False, id="kept back anyway"
        ),
        pytest.param(
            an_entry(status="waiting", due_at=NOON, priority=80, lane="bulk"), False, id="its lane is paused"
        ),
        pytest.param(
            an_entry(status="waiting", due_at=NOON, priority=80, purpose="service"), False, id="no common cap"
        ),
    ],
)
def test_the_slot_goes_to_the_highest_priority(rival: LedgerEntry, is_behind: bool) -> None:
    guard_input = a_guard_input(other_messages=(rival,), switches={"bulk": "530"})
    verdict = verdict_on(guard_input, a_playbook(caps=(SALES_CAP,)))
    assert (verdict.reason == "arbitration") == is_behind
    if is_behind:
        detail = next(check.detail for check in verdict.checks if check.name == "arbitration")
        assert "customer/any/other" in detail
        assert verdict.until == (rival.due_at + SECOND if rival.due_at > NOON else NOON + MINUTE)


def test_two_fit_where_the_cap_has_room_for_two() -> None:
    roomy = replace(SALES_CAP, at_most=2)
    rival = an_entry(status="waiting", due_at=NOON + HOUR, priority=80)
    assert verdict_on(a_guard_input(other_messages=(rival,)), a_playbook(caps=(roomy,))).action == "send"
    apart = replace(roomy, gap=12 * HOUR)
    assert (
        verdict_on(a_guard_input(other_messages=(rival,)), a_playbook(caps=(apart,))).reason == "arbitration"
    )


def test_one_series_at_a_time() -> None:
    mine, first = a_measure(series=True), a_measure("customer/any/course", series=True)
    playbook = a_playbook(mine, first)
    earlier = a_run(first.path, started_at=NOON - 9 * DAY)
    guard_input = a_guard_input(contact=a_contact(runs={(first.path, ""): earlier}))
    assert verdict_on(guard_input, playbook).reason == "series"
    for other in (
        replace(earlier, holdout=True),
        replace(earlier, queued=True),
        replace(earlier, started_at=NOON),
    ):
        assert (
            verdict_on(a_guard_input(contact=a_contact(runs={(first.path, ""): other})), playbook).action
            == "send"
        )


@pytest.mark.parametrize("field", ["when", "send_if"])
@pytest.mark.parametrize(
    ("stock", "action", "suffix"), [(3, "send", ""), (0, "skip", ""), (None, "skip", "_unknown")]
)
def test_when_and_send_if_are_judged_on_the_newest_state(
    field: str, stock: int | None, action: str, suffix: str
) -> None:
    step = MailStep("offer", "offer", **{field: parse("product.stock >= 1", WORDS)})  # type: ignore[arg-type]
    playbook = a_playbook(a_measure(steps=(step,)))
    facts = {} if stock is None else {"product.stock": stock}
    verdict = verdict_on(a_guard_input(reading=a_reading(facts)), playbook)
    assert verdict.action == action
    assert verdict.reason == ("" if action == "send" else f"{field}{suffix}")
    assert "product.stock" in next(check.detail for check in verdict.checks if check.name == field)
    nothing_read = verdict_on(a_guard_input(reading=None), playbook)
    assert nothing_read.reason == f"{field}_unknown"


def test_every_reason_of_the_checks_is_in_reasons() -> None:
    import inspect
    import re

    from nurture.domain.guard import checks, slot_checks

    sources = inspect.getsource(checks) + inspect.getsource(slot_checks)
    reasons = set(re.findall(r'Refusal\(\s*"\w+",\s*"(\w+)"', sources))
    assert len(reasons) > 20
    assert reasons <= set(REASONS)
