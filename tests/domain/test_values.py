"""Values of events, traits and files are bounded before they are converted: unknown, at once, never an exception."""

import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from nurture.domain.identity import canonical_email, canonical_phone, canonical_user_id
from nurture.domain.instant import EARLIEST, LATEST, parse_duration, parse_iso
from nurture.domain.values import coerce, key_text, read_decimal, read_row_id, read_time

#: Everything here takes microseconds; the bound leaves room for a machine under load.
MILLISECONDS_MAX = 5
MARKS = "a" + "\u0300\u0316" * 8_000


def quickly(read: Callable[[], Any]) -> Any:
    """Return what `read` returns; it may take five milliseconds of processor time."""
    spent = []
    for _ in range(2):
        before = time.thread_time()
        result = read()
        spent.append((time.thread_time() - before) * 1_000)
    assert min(spent) < MILLISECONDS_MAX, spent
    return result


UNUSABLE = [
    *("1.5e999990", "1e999999999", "1e-999999999", "-1e999990", "0e", "nan", "snan", "inf", "-Infinity"),
    *(10**400, -(10**400), 10**5_000, float("nan"), float("inf"), float("-inf"), 1e308, 2**53 + 1),
    *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1e999990")),
    *("9" * 32_000, " " * 32_000 + "x", "1_000", "\u0000", "\ud800", "", [1], {"a": 1}),
    *("0001-01-01T00:00:00", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59+00:00", "1604-05-04"),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-02-30", "2026-13-01"),
]


@pytest.mark.parametrize("kind", ["bool", "integer", "decimal", "instant", "date"])
@pytest.mark.parametrize("value", UNUSABLE, ids=range(len(UNUSABLE)))
def test_a_value_that_no_rule_can_use_is_unknown(kind: str, value: Any) -> None:
    assert quickly(lambda: coerce(value, kind)) is None


@pytest.mark.parametrize(
    ("value", "kind", "right"),
    [
        ("19.90", "decimal", 1990),
        (" 19.905 ", "decimal", 1990),
        (0.1, "decimal", 10),
        ("0e999999", "decimal", 0),
        (2**53 // 100, "decimal", 2**53 // 100 * 100),
        (2**53, "integer", 2**53),
        (" 12 ", "integer", 12),
        (12.0, "integer", 12),
        ("1900-01-01T00:00:00Z", "instant", EARLIEST),
        ("2200-12-31T23:59:59.999999Z", "instant", LATEST),
        ("1899-12-31T23:59:59.999999Z", "instant", None),
        ("2201-01-01", "instant", None),
        (1_700_000_000, "instant", 1_700_000_000_000_000),
        (1_700_000_000_000, "instant", 1_700_000_000_000_000),
        (1_700_000_000.25, "instant", 1_700_000_000_250_000),
        (0, "instant", 0),
        ("1900-01-01", "date", "1900-01-01"),
        ("2200-12-31", "date", "2200-12-31"),
        ("1899-12-31", "date", None),
        ("2201-01-01", "date", None),
        ("02-29", "date", "02-29"),
        ("2024-02-29", "date", "2024-02-29"),
        ("2023-02-29", "date", "02-29"),
        ("2023-02-30", "date", None),
        ("02-30", "date", None),
        ("\u0662\u0660\u0662\u0664-01-01", "date", None),
    ],
)
def test_values_at_their_bounds(value: Any, kind: str, right: Any) -> None:
    assert quickly(lambda: coerce(value, kind)) == right


def test_a_time_beyond_the_bounds_is_still_before_or_after() -> None:
    for late in ("9999-12-31", 10**400, 1e300, "9999-12-31T23:59:59Z"):
        assert read_time(late) == LATEST + 1
    for early in ("0001-01-01T00:00:00", -(10**400), -1e300):
        assert read_time(early) == EARLIEST - 1


def test_a_number_for_print_is_bounded_before_it_is_converted() -> None:
    assert read_decimal("12.50") == Decimal("12.50")
    unusable: list[Any] = ["1e999990", "1e-999990", "9" * 32_000, "1e31", "nan", "1_0", True]
    assert [quickly(partial(read_decimal, value)) for value in unusable] == [None] * len(unusable)


@pytest.mark.parametrize(
    "address",
    [
        "a@" + "\u4e2d" * 10_000,
        "a@" + "\u4e2d" * 10_000 + ".example",
        "a@" + "\ufdfa" * 250 + ".example",
        "a@" + ("\u4e2d" * 60 + ".") * 100 + "example",
        MARKS + "@example.com",
        "a@" + MARKS + ".example",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 200 + "example",
        " " * 32_000 + "@" * 32_000,
    ],
)
def test_an_address_is_measured_before_it_is_converted(address: str) -> None:
    assert quickly(lambda: canonical_email(address)) is None


def test_addresses_at_their_bounds() -> None:
    assert canonical_email(f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.ex")
    assert canonical_email(" Ann@B\u00dcCHER.example ") == "ann@xn--bcher-kva.example"


def test_phones_and_ids_are_measured_before_they_are_composed() -> None:
    assert quickly(lambda: canonical_phone("+49" + MARKS)) is None
    assert quickly(lambda: canonical_user_id(MARKS)) is None
    assert canonical_phone("  +49 30 123456  ") == "+4930123456"


def test_a_row_id_has_at_most_eighteen_digits() -> None:
    assert read_row_id("12") == 12
    assert [read_row_id(text) for text in ("9" * 30, "-1", "1.0", "\u0661", "", "9" * 5_000)] == [None] * 6


@pytest.mark.parametrize("text", ["99999999d", "36526d", "9" * 5_000 + "s", "5300w"])
def test_a_duration_is_at_most_a_hundred_years(text: str) -> None:
    with pytest.raises(ValueError, match="at most 36525d"):
        parse_duration(text)
    assert parse_iso("2200-12-31") + parse_duration("36525d") < 2**62


@pytest.mark.parametrize("value", ["1001", " 1001", "1001\u00a0", 1001, 1001.0])
def test_a_key_is_one_whoever_writes_it(value: Any) -> None:
    assert key_text(value) == "1001"


def test_case_and_accents_of_a_key_are_its_own() -> None:
    assert [key_text(text) for text in ("Ab-1", "ab-1", "01", "ü", "u\u0308", "x" * 300)] == [
        *("Ab-1", "ab-1", "01", "ü", "u\u0308"),
        "x" * 200,
    ]


def test_a_value_of_another_form_is_no_key() -> None:
    values = [None, "", " \u00a0", True, 1.5, float("inf"), float("nan"), 10**5_000, [1], {"a": 1}]

    assert [value for value in values if quickly(partial(key_text, value)) is not None] == []
