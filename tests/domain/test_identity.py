"""Canonical spelling of addresses, telephone numbers and ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email, canonical_phone, canonical_user_id, earlier_identities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Ann.Lee@Example.COM ", "ann.lee@example.com"),
        ("ann+news@example.com", "ann+news@example.com"),
        ("ann@example.com.", "ann@example.com"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("ann@bu\u0308cher.example", "ann@xn--bcher-kva.example"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("ann@例子。广告", "ann@xn--fsqu00a.xn--4rr70v"),
        ("JOSE\u0301@example.com", "jos\u00e9@example.com"),
        ("INFO@example.com", "info@example.com"),
        # The dotless i and the sharp s are letters of their own.
        ("ırmak@example.com", "ırmak@example.com"),
        ("groß@example.com", "groß@example.com"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
        ("a" * 65 + "@example.com", None),
        ("a@" + ".".join(["b" * 61] * 4) + ".example", None),
        ("a@" + "b" * 64 + ".example", None),
        ("", None),
        ("ann", None),
        ("@example.com", None),
        ("ann@", None),
        ("ann@localhost", None),
        ("ann@-example.com", None),
        ("ann@exa mple.com", None),
        ("ann lee@example.com", None),
        ("ann\nBcc: x@example.com", None),
        ("Ann <ann@example.com>", None),
        ("a,b@example.com", None),
        (".ann@example.com", None),
        ("ann..lee@example.com", None),
        ("ann@b@example.com", None),
        ("\ud800@example.com", None),
        # Copied from a page.
        ("\u200bann@example.com\ufeff", "ann@example.com"),
        ("ann@exam\u00adple.com", "ann@example.com"),
    ],
)
def test_an_address_has_one_spelling(text: str, expected: str | None) -> None:
    assert canonical_email(text) == expected


@given(st.emails() | st.from_regex(r"[\w.+İıßſ-]{1,20}@[\wİıß-]{1,10}\.[a-z]{2,5}", fullmatch=True))
def test_the_canonical_address_is_its_own_spelling(text: str) -> None:
    address = canonical_email(text)
    assert address is None or canonical_email(address) == address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+49 (30) 123-456", "+4930123456"),
        ("0049 30 123456", "+4930123456"),
        ("+86 138 0000 0000", "+8613800000000"),
        ("+49 (0) 170 1234567", "+491701234567"),
        ("0044 (0)20 7946 0958", "+442079460958"),
        # Italy's nought is dialled from abroad too.
        ("+39 (0)6 1234567", "+39061234567"),
        ("\u202a+49 170 1234567\u202c", "+491701234567"),
        ("030 123456", None),  # nobody knows which country's
        ("+0 123456789", None),
        ("+12345", None),
        ("+49 30 CALL ME", None),
        ("", None),
    ],
)
def test_a_phone_number_needs_its_country(text: str, expected: str | None) -> None:
    assert canonical_phone(text) == expected


@pytest.mark.parametrize(
    "text", ["", " ", "null", "Undefined", "0", "[object Object]", "anonymous", "x" * 256]
)
def test_a_placeholder_for_a_missing_id_is_no_id(text: str) -> None:
    assert canonical_user_id(text) is None


def test_ids_keep_their_case() -> None:
    assert canonical_user_id(" User-1 ") == "User-1"


def test_an_earlier_id_is_an_address_or_an_id_of_either_kind() -> None:
    assert earlier_identities("Ann@Example.com") == (Identity("email", "ann@example.com"),)
    assert earlier_identities("a1") == (Identity("user_id", "a1"), Identity("anonymous_id", "a1"))
    assert earlier_identities("null") == ()
