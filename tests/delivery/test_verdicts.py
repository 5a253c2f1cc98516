"""A stored verdict is read back as it was written, and its usual checks take little room."""

from nurture.database.engine import encode
from nurture.delivery.verdicts import decode_verdict, encode_verdict, read_checks
from nurture.domain.guard.decide import CHECKS
from nurture.domain.message import Check, Verdict

_SAID = (
    Check("holds", passed=True, detail="none"),
    Check("holds", passed=False, detail="none"),
    Check("cap", passed=True, detail="not for transactional"),
    Check("a check of tomorrow", passed=True, detail="none"),
    Check("consent", passed=True, detail="offers: granted"),
)


def test_a_verdict_is_read_back_as_written() -> None:
    text = encode_verdict(Verdict("defer", "cap", _SAID, until=9), at=7)

    kept = decode_verdict(text)

    assert [(check["name"], check["passed"], check["detail"]) for check in kept.pop("checks")] == [*_SAID]
    assert kept == {"action": "defer", "reason": "cap", "at": 7, "until": 9}


def test_a_check_that_passes_as_usual_is_stored_by_its_name_alone() -> None:
    usual = Verdict("send", "", (Check("holds", passed=True, detail="none"),))

    assert encode_verdict(usual, at=1).endswith('"checks":["holds"]}')


def test_a_verdict_of_an_earlier_release_is_still_read() -> None:
    checks = [{"name": name, "passed": True, "detail": "none"} for name, _ in CHECKS]

    assert read_checks(encode({"action": "send", "checks": checks})) == checks
    assert read_checks(encode({"action": "send", "checks": [["holds", True, "none"]]}))[0] == {
        "name": "holds",
        "passed": True,
        "detail": "none",
    }
    assert read_checks(None) == []
