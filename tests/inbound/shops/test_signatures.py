"""The conformance suite of all shops in SHOPS: which calls are believed."""

import pytest

from nurture.domain.instant import SECOND
from nurture.inbound.providers.call import Call
from nurture.inbound.shops import SHOPS, is_ping
from tests.inbound.shops.calls import HEADERS, NOW, samples, secret, signature, signed


def refusal(shop: str, call: Call, *keys: str, now: int = NOW) -> str:
    return SHOPS[shop].verify(call, keys or (secret(shop),), now=now)


def with_signature(shop: str, value: str) -> Call:
    call = samples(shop)[0]
    return Call(call.body, {HEADERS[shop]: value})


@pytest.mark.parametrize("shop", SHOPS)
def test_a_signature_is_believed_under_any_of_the_keys(shop: str) -> None:
    call = signed(samples(shop)[0])
    assert refusal(shop, call) == ""
    assert refusal(shop, call, "another", secret(shop)) == ""
    assert refusal(shop, call, "another") == "forged"
    assert refusal(shop, call, "x") == "forged"
    assert SHOPS[shop].verify(call, (), now=NOW) == "forged"


@pytest.mark.parametrize("shop", SHOPS)
def test_a_wrong_signature_is_not_believed(shop: str) -> None:
    body = samples(shop)[0].body
    good = signature(shop, body)
    assert refusal(shop, Call(body)) == "unsigned"
    for wrong in (
        signature(shop, body + b" "),
        signature(shop, body, key="another secret"),
        good[:-2],
        good.replace("=", "\xfc"),
        f"{good}\n{good}",
        good.upper() if shop == "stripe" else good.swapcase(),
        "=" if shop != "stripe" else "t=,v1=",
        "ü",
    ):
        assert refusal(shop, with_signature(shop, wrong)) == "forged", wrong


def test_the_clock_of_stripe_is_bounded_in_both_directions() -> None:
    body = samples("stripe")[0].body
    for seconds, expected in ((0, ""), (299, ""), (-299, ""), (301, "stale"), (-301, "stale")):
        value = signature("stripe", body, now=NOW + seconds * SECOND)
        assert refusal("stripe", with_signature("stripe", value)) == expected


def test_any_signature_of_stripe_may_fit_and_only_version_one_counts() -> None:
    body = samples("stripe")[0].body
    at, _, good = signature("stripe", body).partition(",v1=")
    fits = (f"{at},v1={'0' * 64},v1={good}", f"{at}, v1={good}", f"{at},v0=x,v1={good},scheme=y")
    assert [refusal("stripe", with_signature("stripe", value)) for value in fits] == ["", "", ""]
    wrong = (
        f"{at},v0={good}",
        at,
        f"v1={good}",
        f"{at},{at},v1={good}",
        f"t=1e9,v1={good}",
        f"t=１,v1={good}",
    )
    assert {refusal("stripe", with_signature("stripe", value)) for value in wrong} == {"forged"}


def test_the_ping_of_woocommerce_is_recognised() -> None:
    assert is_ping(Call(b"webhook_id=7"))
    assert not is_ping(Call(b"webhook_id=7", {HEADERS["woocommerce"]: "x"}))
    assert not any(map(is_ping, (Call(b"webhook_id=x"), Call(b"webhook_id=7&x=1"), Call(b""))))
