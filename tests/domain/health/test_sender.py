"""What DNS records and certificates must say, by record."""

import pytest

from nurture.domain.health.judge import judge
from nurture.domain.health.sender import (
    Lookup,
    judge_certificate,
    judge_dkim,
    judge_dmarc,
    judge_reverse,
    judge_spf,
    parent_domains,
)
from nurture.domain.health.signs import ProcessSign, SenderSign, Signs
from nurture.domain.instant import DAY, HOUR

NOW = 1_000 * DAY
UNREACHABLE = Lookup(unreachable="not reachable: no answer in time")


@pytest.mark.parametrize(
    ("records", "state"),
    [
        (["v=spf1 include:relay.example -all"], "ok"),
        (["v=spf1 include:relay.example ~all", "google-site-verification=x"], "ok"),
        (["V=SPF1 redirect=_spf.relay.example"], "ok"),
        (["v=spf1 include:relay.example ?all"], "warning"),
        (["v=spf1 include:relay.example"], "warning"),
        (["v=spf1 +all"], "failed"),
        (["v=spf1 all"], "failed"),
        (["v=spf1 -all", "v=spf1 a -all"], "failed"),
        (["v=spf10 -all"], "failed"),
        ([], "failed"),
    ],
)
def test_spf(records: list[str], state: str) -> None:
    assert judge_spf("shop.example", Lookup(tuple(records))).state == state


@pytest.mark.parametrize(
    ("records", "state"),
    [
        (["v=DMARC1; p=none"], "ok"),
        (["v=DMARC1;p=reject; rua=mailto:a@shop.example", "other"], "ok"),
        (["v=DMARC1; rua=mailto:a@shop.example"], "failed"),
        (["v=DMARC1; p=all"], "failed"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "failed"),
        ([], "failed"),
    ],
)
def test_dmarc(records: list[str], state: str) -> None:
    assert judge_dmarc("shop.example", Lookup(tuple(records))).state == state


@pytest.mark.parametrize(
    ("records", "state"),
    [(["v=DKIM1; k=rsa; p=MIIB"], "ok"), (["p=MIIB"], "ok"), (["v=DKIM1; p="], "failed"), ([], "failed")],
)
def test_dkim(records: list[str], state: str) -> None:
    assert judge_dkim("shop.example", "s1", Lookup(tuple(records))).state == state


def test_reverse_names() -> None:
    names, back = Lookup(("mx.shop.example",)), Lookup(("192.0.2.1",))
    assert judge_reverse("relay", "192.0.2.1", names, back).state == "ok"
    assert judge_reverse("relay", "192.0.2.1", Lookup(), Lookup()).state == "failed"
    assert judge_reverse("relay", "192.0.2.1", names, Lookup(("192.0.2.9",))).state == "failed"


def test_nothing_that_was_not_reached_is_a_fault() -> None:
    checks = [
        judge_spf("shop.example", UNREACHABLE),
        judge_dmarc("shop.example", UNREACHABLE),
        judge_dkim("shop.example", "s1", UNREACHABLE),
        judge_reverse("relay", "192.0.2.1", UNREACHABLE, Lookup()),
        judge_reverse("relay", "192.0.2.1", Lookup(("mx",)), UNREACHABLE),
    ]
    assert {(check.state, check.words) for check in checks} == {
        ("not_checked", "not reachable: no answer in time")
    }


def test_a_certificate_is_renewed_in_time() -> None:
    assert judge_certificate("c", NOW + 14 * DAY, now=NOW).state == "ok"
    soon = judge_certificate("c", NOW + 14 * DAY - HOUR, now=NOW)
    assert (soon.state, soon.words) == ("warning", "it ends in 13 days")


def test_a_dmarc_record_may_stand_at_a_parent() -> None:
    assert parent_domains("news.mail.shop.example") == [
        "news.mail.shop.example",
        "mail.shop.example",
        "shop.example",
    ]
    assert parent_domains("localhost") == ["localhost"]


def test_failed_checks_are_problems_and_those_not_made_are_not() -> None:
    states = ("ok", "warning", "failed", "not_checked")
    checks = [SenderSign(state, state, "words", "remedy", NOW) for state in states]
    signs = Signs(NOW, [ProcessSign("up", "h", 1, "1", NOW, NOW)], sender=checks)
    found = {finding.key: finding.severity for finding in judge(signs)}
    assert found == {"sender:failed": "problem", "sender:warning": "notice"}
