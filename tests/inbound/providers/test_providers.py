"""The conformance suite of all providers in PROVIDERS: each needs a file of calls and a function that signs them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.feedback import KINDS, Report
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant, parse_iso
from nurture.inbound.providers import PROVIDERS, Call
from nurture.inbound.providers.ses import confirmation
from tests.inbound.providers.signing import CERTIFICATE, TOPIC, Signer, amazon, certificate, fetch, signers
from tests.rig.examples import examples

NOW: Instant = parse_iso("2026-05-13T10:40:00Z")
PAYLOADS = Path(__file__).parent / "payloads"
#: Reports that mail needs; opens and clicks not every provider tells of.
NEEDED = {"delivered", "deferred", "bounce", "complaint"}


def calls(provider: str) -> list[dict[str, Any]]:
    """Return the calls of a provider's file."""
    found: list[dict[str, Any]] = json.loads((PAYLOADS / f"{provider}.json").read_text())
    return found


def every_call() -> list[Any]:
    return [
        pytest.param(provider, call, id=f"{provider}: {call['name']}")
        for provider in PROVIDERS
        for call in calls(provider)
    ]


def signer(provider: str) -> Signer:
    return signers()[provider]


def verified(provider: str, call: Call, *, now: Instant = NOW, keys: tuple[str, ...] = ()) -> str:
    return PROVIDERS[provider].verify(call, keys or (signer(provider).key,), now=now, fetch=fetch)


def read(provider: str, call: Call) -> list[Report]:
    found = PROVIDERS[provider].read(call, now=NOW)
    assert found is not None
    return found


def described(report: Report) -> dict[str, Any]:
    """Return a report as the files tell it."""
    return {
        "kind": report.kind,
        "severity": report.severity,
        "address": report.address,
        "header_id": report.header_id,
        "machine": report.machine,
        **report.detail,
    }


@pytest.mark.parametrize(("provider", "case"), every_call())
def test_a_call_is_believed_and_understood(provider: str, case: dict[str, Any]) -> None:
    call = signer(provider).sign(case["body"], NOW)
    assert verified(provider, call) == ""
    reports = read(provider, call)
    assert len(reports) == len(case["means"])
    for report, means in zip(reports, case["means"], strict=True):
        assert {name: described(report)[name] for name in means} == means
        assert report.provider == provider
        assert report.kind in KINDS
        assert NOW - HOUR < report.at <= NOW
        assert "ada@example.com" in report.raw


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_file_shows_what_cannot_be_done_without(provider: str) -> None:
    meanings = [meaning for case in calls(provider) for meaning in case["means"]]
    assert {meaning["kind"] for meaning in meanings} >= NEEDED
    assert {meaning["severity"] for meaning in meanings} >= {"hard", "soft", "policy"}
    assert any(case["means"] == [] for case in calls(provider))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_events_are_told_apart_and_the_same_one_is_the_same(provider: str) -> None:
    def ids() -> list[str]:
        made = [read(provider, signer(provider).sign(case["body"], NOW)) for case in calls(provider)]
        return [report.event_id for reports in made for report in reports]

    assert len(set(ids())) == len(ids())
    assert ids() == ids()
    assert all(0 < len(event_id) <= 200 for event_id in ids())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_call_without_proof_or_with_a_wrong_one_is_not_believed(provider: str) -> None:
    body = calls(provider)[1]["body"]
    assert verified(provider, Call(json.dumps(body).encode())) in ("unsigned", "forged")
    assert verified(provider, Call(b"")) == "unsigned"
    assert verified(provider, signer(provider).forge(body, NOW)) == "forged"
    good = signer(provider).sign(body, NOW)
    assert PROVIDERS[provider].verify(good, (), now=NOW, fetch=fetch) in ("forged", "foreign")


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if not signer(name).leaves_body_open])
def test_a_changed_body_is_not_believed(provider: str) -> None:
    call = signer(provider).sign(calls(provider)[1]["body"], NOW)
    changed = call.body.replace(b"ada@example.com", b"eve@example.com")
    assert changed != call.body
    assert verified(provider, replace(call, body=changed)) == "forged"


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if signer(name).has_time])
def test_an_old_call_is_not_believed(provider: str) -> None:
    call = signer(provider).sign(calls(provider)[1]["body"], NOW)
    assert verified(provider, call, now=NOW + 4 * MINUTE) == ""
    assert verified(provider, call, now=NOW + 2 * DAY) == "stale"
    assert verified(provider, call, now=NOW - 2 * DAY) == "stale"


@pytest.mark.parametrize("provider", ["sendgrid", "resend"])
def test_a_provider_that_signs_every_attempt_anew_gets_five_minutes(provider: str) -> None:
    call = signer(provider).sign(calls(provider)[1]["body"], NOW)
    assert verified(provider, call, now=NOW + 6 * MINUTE) == "stale"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_keys_may_be_changed_without_a_gap(provider: str) -> None:
    call = signer(provider).sign(calls(provider)[1]["body"], NOW)
    assert verified(provider, call, keys=("a newer one", signer(provider).key)) == ""
    assert verified(provider, call, keys=(signer(provider).key, "an older one")) == ""


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "authorization",
            "svix-id",
            "svix-timestamp",
            "svix-signature",
            "x-twilio-email-event-webhook-timestamp",
            "x-twilio-email-event-webhook-signature",
        ]
    ),
    st.text(max_size=40)
    | st.sampled_from(["Basic x", "Basic aG9vazo=", "1778666400", "v1,aaaa", "nan", "1e400"]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(30), deadline=None)
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), headers=HEADERS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_makes_it_raise(provider: str, body: bytes, headers: dict[str, str]) -> None:
    call = Call(body, headers)
    assert verified(provider, call) in ("unsigned", "forged", "stale", "foreign")
    found = PROVIDERS[provider].read(call, now=NOW)
    assert found is None or isinstance(found, list)


@settings(max_examples=examples(30), deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("provider", PROVIDERS)
def test_any_value_in_any_place_is_read_or_passed_over(provider: str, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(calls(provider)))
    body = json.loads(json.dumps(case["body"]))
    _disturb(body, data)
    inner = body.get("Message") if isinstance(body, dict) else None
    packed = {**body, "Message": json.dumps(inner)} if isinstance(inner, dict) else body
    found = PROVIDERS[provider].read(Call(json.dumps(packed).encode()), now=NOW)
    for report in found or ():
        assert report.kind in KINDS
        assert report.address is None or "@" in report.address
        assert isinstance(report.at, int)


def _disturb(value: Any, data: st.DataObject) -> None:
    """Put anything in one place of a document."""
    while True:
        keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.booleans()):
            value = inner
            continue
        value[key] = data.draw(JSON)
        return


def test_deep_and_huge_documents_are_refused_not_suffered() -> None:
    deep = Call(b"[" * 100_000 + b"]" * 100_000, {})
    many = Call(json.dumps([{"event": "delivered", "sg_event_id": "1"}] * 10_001).encode())
    for name, provider in PROVIDERS.items():
        assert provider.read(deep, now=NOW) is None
        assert verified(name, deep) == "unsigned"
    assert PROVIDERS["sendgrid"].read(many, now=NOW) is None


# ---- Amazon's own ----------------------------------------------------------------------------------------


def the_delivery() -> Any:
    return calls("ses")[1]["body"]


@pytest.mark.parametrize(
    "changes",
    [
        {"TopicArn": "arn:aws:sns:eu-central-1:999999999999:mail"},
        {"SignatureVersion": "1"},
        {
            "SigningCertURL": "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem"
        },
        {"SigningCertURL": "https://evil.example/SimpleNotificationService-1.pem"},
        {"SigningCertURL": "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"},
        {
            "SigningCertURL": "https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-1.pem"
        },
        {"SigningCertURL": "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-1.pem"},
        {"SigningCertURL": "https://sns.eu-central-1.amazonaws.com/../SimpleNotificationService-1.pem"},
        {"SigningCertURL": "https://s3.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"},
        {"SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem?x=.pem"},
    ],
    ids=lambda changes: str(next(iter(changes.values())))[:60],
)
def test_amazon_of_another_account_version_or_host_is_foreign_and_nothing_is_fetched(changes: Any) -> None:
    fetched: list[str] = []
    call = amazon(**changes)(the_delivery(), NOW)
    assert PROVIDERS["ses"].verify(call, (TOPIC,), now=NOW, fetch=fetched.append) == "foreign"
    assert fetched == []


def test_amazon_with_an_old_digest_or_no_certificate_is_forged() -> None:
    assert verified("ses", amazon(digest=hashes.SHA1())(the_delivery(), NOW)) == "forged"
    good = amazon()(the_delivery(), NOW)
    for pem in (None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):

        def answer(_url: str, pem: bytes | None = pem) -> bytes | None:
            return pem

        assert PROVIDERS["ses"].verify(good, (TOPIC,), now=NOW, fetch=answer) == "forged"


def test_amazon_with_a_certificate_out_of_its_time_is_forged() -> None:
    later = NOW + 400 * DAY
    assert verified("ses", amazon()(the_delivery(), later), now=later) == "forged"


def test_amazon_asks_for_a_confirmation_only_at_its_own_host() -> None:
    asked = next(case["body"] for case in calls("ses") if case["name"] == "subscription confirmation")
    call = amazon()(asked, NOW)
    assert verified("ses", call) == ""
    assert confirmation(call) == asked["SubscribeURL"]
    for url in (
        "https://evil.example/?Action=ConfirmSubscription&Token=1",
        "https://sns.eu-central-1.amazonaws.com/?Action=DeleteTopic&Token=1",
        "https://sns.eu-central-1.amazonaws.com.evil.example/?Action=ConfirmSubscription&Token=1",
        "http://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=1",
    ):
        assert confirmation(amazon(SubscribeURL=url)(asked, NOW)) is None
    assert confirmation(amazon()(the_delivery(), NOW)) is None


def test_the_certificate_is_asked_for_by_the_url_of_the_call() -> None:
    asked: list[str] = []

    def remember(url: str) -> bytes:
        asked.append(url)
        return certificate()[1]

    assert PROVIDERS["ses"].verify(amazon()(the_delivery(), NOW), (TOPIC,), now=NOW, fetch=remember) == ""
    assert asked == [CERTIFICATE]


# ---- Mailgun's own ---------------------------------------------------------------------------------------


def test_a_token_of_mailgun_with_another_event_is_the_same_report() -> None:
    """Its signature does not cover the event: whoever saw a call must not be able to tell another story."""
    good = signer("mailgun").sign(calls("mailgun")[1]["body"], NOW)
    changed = Call(good.body.replace(b'"delivered"', b'"complained"'))
    assert verified("mailgun", changed) == ""
    (first,), (second,) = read("mailgun", good), read("mailgun", changed)
    assert first.event_id == second.event_id
