"""The pure rule: signs in, findings out. Each case changes one sign of an installation that does well."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.health.findings import format_age
from nurture.domain.health.judge import BREAKS_OFF_AFTER, BREAKS_OFF_FOR, DUE_BULK_MAX, DUE_MAX, judge
from nurture.domain.health.signs import (
    LOST_AFTER,
    BacklogSign,
    LaneSign,
    PauseSign,
    ProcessSign,
    Signs,
)
from nurture.domain.instant import DAY, HOUR, MINUTE, SECOND, Duration

NOW = 1_000 * DAY


def process(kind: str, *, age: Duration = SECOND, pid: int = 1, **more: Any) -> ProcessSign:
    return ProcessSign(kind, "h1", pid, "1.0", NOW - DAY, NOW - age, **more)


WELL = tuple(process(kind) for kind in ("api", "scheduler", "worker"))


def found(**signs: Any) -> dict[str, str]:
    """Return key -> severity of what is found in a well installation with these signs."""
    return {finding.key: finding.severity for finding in judge(Signs(NOW, **({"processes": WELL} | signs)))}


def words_of(**signs: Any) -> str:
    (finding,) = judge(Signs(NOW, **({"processes": WELL} | signs)))
    return finding.words


def test_nothing_is_found_where_all_is_well() -> None:
    lane = LaneSign("main", success_at=NOW - HOUR, answered_at=NOW - SECOND, waiting=7)
    backlog = [BacklogSign("inbox", NOW - SECOND, 5_000, 5_000)]
    assert found(lanes=[lane], backlog=backlog, open_cases=3) == {}
    assert found(processes=[process("up")], embedded=True) == {}


@pytest.mark.parametrize("kind", ["api", "scheduler", "worker"])
def test_a_kind_of_process_of_which_none_runs(kind: str) -> None:
    others = [sign for sign in WELL if sign.kind != kind]
    assert found(processes=others) == {kind: "problem"}
    silent = process(kind, age=LOST_AFTER + SECOND)
    assert found(processes=[*others, silent]) == {kind: "problem"}
    assert "h1:1, was seen 16 s ago" in words_of(processes=[*others, silent])
    assert found(processes=[*others, process(kind, age=LOST_AFTER)]) == {}


def test_a_process_that_ended_without_a_word_while_others_of_its_kind_run() -> None:
    lost = process("worker", age=MINUTE, pid=2)
    assert found(processes=[*WELL, lost]) == {"lost:h1:2": "notice"}


def test_an_embedded_installation_in_which_nothing_runs() -> None:
    assert found(processes=[], embedded=True) == {"up": "problem"}
    assert found(processes=[process("up", age=HOUR)], embedded=True) == {"up": "problem"}
    assert found(processes=[process("api")], embedded=True) == {"up": "problem"}


def test_inbound_is_missed_where_it_ran_or_is_configured() -> None:
    assert found(processes=[*WELL, process("inbound", age=HOUR)]) == {"inbound": "problem"}
    assert found(takes_mail=True) == {"inbound": "notice"}
    assert found(takes_mail=True, processes=[*WELL, process("inbound")]) == {}


def test_processes_of_two_versions() -> None:
    assert found(processes=[*WELL, replace(process("worker", pid=2), version="1.1")]) == {"version": "notice"}
    assert found(processes=[*WELL, replace(process("api", pid=2, age=HOUR), version="0.9")]).keys() == {
        "lost:h1:2"
    }


def test_processes_that_differ_in_a_setting_that_they_must_share() -> None:
    def of(kind: str, pid: int, **settings: str) -> ProcessSign:
        return replace(process(kind, pid=pid), settings=settings)

    same = [of("worker", 2, SECRET_KEY="a"), of("api", 3, SECRET_KEY="a"), *WELL]
    assert found(processes=same) == {}
    other = of("worker", 4, SECRET_KEY="b")
    assert found(processes=[*same, other]) == {"settings:SECRET_KEY": "problem"}
    assert "worker h1:2, api h1:3 | worker h1:4" in words_of(processes=[*same, other])
    # Only workers send mail, so nobody has to tell a scheduler or an api where mail goes.
    sends = [of("worker", 2, MAIL_URL="a"), of("api", 3, MAIL_URL="b"), of("scheduler", 4, MAIL_URL="c")]
    assert found(processes=sends) == {}
    assert found(processes=[*sends, of("worker", 5, MAIL_URL="b")]) == {"settings:MAIL_URL": "problem"}
    # One that was killed no longer sends.
    killed = replace(other, beat_at=NOW - HOUR)
    assert found(processes=[*same, killed]) == {"lost:h1:4": "notice"}


def test_a_broker_that_processes_do_not_reach() -> None:
    silent = process("worker", broker_error="refused", broker_at=NOW - MINUTE)
    assert found(processes=[*WELL[:2], silent]) == {"broker": "problem"}
    assert "1 of 3 processes do not reach the broker for 60 s: refused" in words_of(
        processes=[*WELL[:2], silent]
    )
    gone = replace(silent, beat_at=NOW - HOUR, pid=2)
    assert found(processes=[*WELL, gone]) == {"lost:h1:2": "notice"}


@pytest.mark.parametrize("stage", ["connect", "greeted"])
def test_a_server_that_is_away(stage: str) -> None:
    lane = LaneSign(
        "main",
        success_at=NOW - 12 * SECOND,
        failure_at=NOW - SECOND,
        failing_since=NOW - 9 * SECOND,
        stage=stage,
        words="Connection refused",
    )
    assert found(lanes=[lane]) == {"relay:main": "problem"}
    assert words_of(lanes=[lane]) == (
        "the server of lane main is away: Connection refused; it accepted its last mail 12 s ago"
    )
    assert found(lanes=[replace(lane, failing_since=None)]) == {}
    assert "has accepted no mail yet" in words_of(lanes=[replace(lane, success_at=None)])


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_server_that_breaks_connections_off(stage: str) -> None:
    lane = LaneSign(
        "main",
        success_at=NOW - MINUTE,
        answered_at=NOW - SECOND,
        failure_at=NOW - SECOND,
        failing_since=NOW - BREAKS_OFF_AFTER,
        stage=stage,
        words="the server closed the connection",
    )
    assert found(lanes=[lane]) == {"relay:main": "problem"}
    assert f"breaks connections off at {stage.upper()}: the server closed" in words_of(lanes=[lane])
    for well in (
        replace(lane, failing_since=None),
        replace(lane, failing_since=NOW - BREAKS_OFF_AFTER + 1),
        replace(lane, failing_since=NOW - HOUR, failure_at=NOW - BREAKS_OFF_FOR - 1),
        replace(lane, words="451 4.3.0 later"),
    ):
        assert found(lanes=[well]) == {}


def test_a_server_that_refuses_us_until_an_operator_resumes_its_lane() -> None:
    lane = LaneSign("main", failure_at=NOW, failing_since=NOW, stage="refused", words="535 5.7.8 who are you")
    pause = PauseSign("main", "replied: 535 5.7.8 who are you", NOW, "deliver")
    assert found(lanes=[lane], pauses=[pause]) == {"relay:main": "problem", "pause:main": "problem"}
    assert found(lanes=[lane]) == {}


def test_a_lane_whose_mail_is_due_and_whose_server_accepts_none() -> None:
    lane = LaneSign(
        "main", success_at=NOW - HOUR, due_since=NOW - 2 * MINUTE, stage="rcpt", words="451 later"
    )
    assert found(lanes=[lane]) == {"stalled:main": "problem"}
    assert "it last said: 451 later" in words_of(lanes=[lane])
    assert found(lanes=[replace(lane, success_at=NOW - SECOND)]) == {}
    assert found(lanes=[replace(lane, due_since=NOW - SECOND)]) == {}
    for name in ("main", "all"):
        assert found(lanes=[lane], pauses=[PauseSign(name, "", NOW, "cli:ada")]) == {
            f"pause:{name}": "notice"
        }


def test_work_that_is_late_or_grows() -> None:
    late = BacklogSign("inbox", NOW - DUE_MAX - SECOND, 12, 12)
    assert found(backlog=[late]) == {"late:inbox": "problem"}
    # An import and a campaign may take longer.
    for queue in ("inbox_bulk", "deliver_marketing"):
        assert found(backlog=[replace(late, queue=queue)]) == {}
        very_late = replace(late, queue=queue, due_since=NOW - DUE_BULK_MAX - SECOND)
        assert found(backlog=[very_late]) == {f"late:{queue}": "problem"}
    growing = BacklogSign("deliver", NOW - 2 * MINUTE, 1_200, 1_000)
    assert found(backlog=[growing]) == {"growing:deliver": "notice"}
    for well in (
        replace(growing, rows_before=1_100),
        replace(growing, rows_before=None),
        replace(growing, due_since=NOW - SECOND),
        replace(growing, rows=90, rows_before=1),
    ):
        assert found(backlog=[well]) == {}


@pytest.mark.parametrize(
    ("by", "severity"), [("cli:ada", "notice"), ("deliver", "problem"), ("feedback", "problem")]
)
def test_a_pause_names_reason_and_person(by: str, severity: str) -> None:
    pause = PauseSign("lead/any/m", "a test", NOW - 3 * HOUR, by)
    assert found(pauses=[pause]) == {"pause:lead/any/m": severity}
    assert words_of(pauses=[pause]) == f"lead/any/m is paused by {by} for 3 h: a test"


def test_a_restored_database_needs_a_person() -> None:
    assert found(pauses=[PauseSign("restored", "older", NOW, "journal")]) == {"pause:restored": "problem"}


def test_rows_that_wait_for_a_person() -> None:
    assert found(quarantine={"shape": 3}) == {"quarantine": "notice"}
    assert found(quarantine={"shape": 3, "crash": 1}) == {"quarantine": "problem"}
    assert found(set_aside={"lead/any/m": 2}) == {"set_aside:lead/any/m": "problem"}
    assert found(open_cases=3, overdue_cases=1) == {"cases": "problem"}
    assert found(conflicts=2, approvals=1) == {"conflicts": "notice", "approvals": "notice"}


def test_problems_come_before_notices() -> None:
    findings = judge(Signs(NOW, processes=WELL, conflicts=1, overdue_cases=1, open_cases=1))
    assert [finding.severity for finding in findings] == ["problem", "notice"]
    assert all(finding.remedy for finding in findings)


@pytest.mark.parametrize(
    ("age", "text"),
    [(-SECOND, "0 s"), (119 * SECOND, "119 s"), (2 * MINUTE, "2 min"), (2 * HOUR, "2 h"), (50 * HOUR, "2 d")],
)
def test_ages_are_told_in_the_unit_that_fits(age: Duration, text: str) -> None:
    assert format_age(age) == text
