"""Cells of other tools' files: amounts, dates, words and lists; nothing that can be read in two ways is guessed."""

from decimal import Decimal

import pytest

from nurture.domain.cells.amounts import column_sign, decimal_sign_of, read_amount
from nurture.domain.cells.headers import field_of_header, nearest, normalize, snake_case
from nurture.domain.cells.moments import DateRules, column_order, day_order_of, read_date, read_instant
from nurture.domain.cells.texts import bare_address, read_list, without_apostrophe
from nurture.domain.cells.words import read_consent
from nurture.domain.instant import to_iso

BERLIN = DateRules("Europe/Berlin", 2026)


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("1.234,50", "1234.50", ""),
        ("19,90", "19.90", ""),
        ("22,00 €", "22.00", "EUR"),
        ("€22.00", "22.00", "EUR"),
        ("-5,00", "-5.00", ""),
        ("5,00-", "-5.00", ""),
        ("(5.00)", "-5.00", ""),
        ("\u22125.00", "-5.00", ""),
        ("$-5.00", "-5.00", ""),
        ("EUR 7,5", "7.5", "EUR"),
        ("7,790.44", "7790.44", ""),
        ("CHF 1\u2019234.50", "1234.50", "CHF"),
        ("1\u202f234,5", "1234.5", ""),
        ("１，２３４．５０", "1234.50", ""),
        ("1,234,567", "1234567", ""),
        ("1.234.567", "1234567", ""),
        ("0.125", "0.125", ""),
        ("1234.567", "1234.567", ""),
        (".5", "0.5", ""),
        ("kr. 20", "20", ""),
        ("20元", "20", "CNY"),
        ("₹1,23,456.78", "123456.78", "INR"),
        ("12,34,567", "1234567", ""),
        ("5,-", "5.00", ""),
        ("1.234,– €", "1234.00", "EUR"),
        ("Fr. 5.--", "5.00", "CHF"),
        ("5000", "5000", ""),
    ],
)
def test_an_amount_that_reads_in_one_way(text: str, value: str, currency: str) -> None:
    amount = read_amount(text)
    assert amount is not None
    assert (amount.value, amount.currency) == (Decimal(value), currency)


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "1e5",
        "1.2.3",
        "12,3,567",
        "-",
        "",
        "1,234.567,8",
        "--5",
        "(5",
        "ten",
        "5 Stück",
        "€5$",
        "1.234",
        "1,234",
    ],
)
def test_a_text_that_is_no_amount_or_two(text: str) -> None:
    assert read_amount(text) is None


def test_the_column_decides_an_ambiguous_amount() -> None:
    cells = ["1.234,50", "19,90", "0", "abc", "1.234"]
    sign = column_sign(map(decimal_sign_of, cells))
    assert sign == ","
    assert [amount and str(amount.value) for amount in (read_amount(cell, sign) for cell in cells)] == [
        "1234.50", "19.90", "0", None, "1234",
    ]  # fmt: skip
    # A column that shows both signs decides nothing.
    assert column_sign(map(decimal_sign_of, ["19,90", "0.5"])) is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-15T10:00:00+01:00", "2024-01-15T09:00:00Z"),
        ("2026-09-03 10:14:00 -0400", "2026-09-03T14:14:00Z"),
        ("2025-05-05 05:05:05+00:00", "2025-05-05T05:05:05Z"),
        ("2023-05-01 10:11:12.123456789 +0000 UTC", "2023-05-01T10:11:12.123456Z"),
        ("03.04.2024 17:05", "2024-04-03T15:05:00Z"),
        ("12-04-2022 09:30", "2022-04-12T07:30:00Z"),
        ("1/13/2024 3:05 PM", "2024-01-13T14:05:00Z"),
        ("1990年12月31日", "1990-12-31T11:00:00Z"),
        ("1990/12/31", "1990-12-31T11:00:00Z"),
        ("Jan 5, 2024", "2024-01-05T11:00:00Z"),
        ("15.01.24", "2024-01-15T11:00:00Z"),
        ("1.2.85", "1985-02-01T11:00:00Z"),
        ("19970101", "1997-01-01T11:00:00Z"),
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("19.07.2024, 08:05 Uhr", "2024-07-19T06:05:00Z"),
        ("25/03/2023 à 12:05", "2023-03-25T11:05:00Z"),
        ("5 févr. 2024 14h05", "2024-02-05T13:05:00Z"),
        ("1. März 2024", "2024-03-01T11:00:00Z"),
        ("5 de mayo de 2024 3:05 p. m.", "2024-05-05T13:05:00Z"),
        ("2023/8/12 下午 12:05", "2023-08-12T10:05:00Z"),
        ("2023年8月12日 上午12:05", "2023-08-11T22:05:00Z"),
        ("1700000000000", "2023-11-14T22:13:20Z"),
        ("Sat, 03 Feb 2024 04:05:06 GMT", "2024-02-03T04:05:06Z"),
        ("Feb 3rd, 2024", "2024-02-03T11:00:00Z"),
        ("2024. 2. 3.", "2024-02-03T11:00:00Z"),
        ("3 maart 2024", "2024-03-03T11:00:00Z"),
        ("5 września 2024", "2024-09-05T10:00:00Z"),
        # The name of a zone counts where it is the zone of the file.
        ("2024-02-03 14:05 CET", "2024-02-03T13:05:00Z"),
    ],
)
def test_a_time_in_one_of_the_known_forms(text: str, instant: str) -> None:
    read = read_instant(text, BERLIN)
    assert read is not None
    assert to_iso(read) == instant


@pytest.mark.parametrize(
    "text",
    ["yesterday", "0000-00-00 00:00:00", "45306", "01/02/2024", "29.02.2023", "2024-13-01", "12", "1.5", "may", "Sat",
     "5 jui 2024", "2024-01-15 25:00", "99991231", "31.12.1899", "",
     "2024-02-03 14:05 PST", "2024-07-03 14:05 CET", "2024-02-03 14:05 +15:00", "2024-02-03 14:05 +01:75"],
)  # fmt: skip
def test_a_text_that_is_no_time_or_two(text: str) -> None:
    assert read_instant(text, BERLIN) is None


def test_the_column_decides_which_number_is_the_day() -> None:
    assert column_order(map(day_order_of, ["01/02/2024", "13/02/2024"])) == "day"
    assert column_order(map(day_order_of, ["01/02/2024", "02/13/2024"])) == "month"
    assert column_order(map(day_order_of, ["13/02/2024", "02/13/2024"])) is None
    assert read_date("01/02/2024", DateRules("UTC", 2026, order="day")) == "2024-02-01"
    assert read_date("01/02/2024", DateRules("UTC", 2026, order="month")) == "2024-01-02"


def test_a_days_number_is_a_date_only_where_that_is_said() -> None:
    assert read_date("45306", DateRules("UTC", 2026, serials=True)) == "2024-01-15"
    assert read_date("05|11|2025", DateRules("UTC", 2026, format="%d|%m|%Y")) == "2025-11-05"


@pytest.mark.parametrize(
    ("text", "day"),
    [("31.12.1990", "1990-12-31"), ("24.12.", "--12-24"), ("--03-14", "--03-14"), ("13/03", "--03-13"),
     ("02/27", "--02-27"), ("29.02.", "--02-29"), ("02/30", None), ("03/04", None), ("29.02.2023", None)],
)  # fmt: skip
def test_a_birthday_may_lack_its_year(text: str, day: str | None) -> None:
    assert read_date(text, BERLIN) == day


def test_words_of_consent() -> None:
    words = {
        "granted": ["yes", "TRUE", "1", "ja", "Wahr", "是", "SUBSCRIBED", "opt-in", "已订阅", "да", "はい", "✓", "evet",
                    "Double Opt-In", "bestätigt", "inscrit"],
        "nothing": ["no", "0", "nein", "falsch", "否", "NEVER_SUBSCRIBED", "enabled", "нет", "いいえ", "hayır",
                    "N/A", "NULL"],
        "withdrawn": ["Unsubscribed", "opted out", "abgemeldet", "退订", "Dado de baja", "отписан", "afgemeld"],
        "pending": ["PENDING", "unconfirmed", "nicht bestätigt"],
        "suppressed": ["cleaned", "Hard Bounce", "blocklisted"],
        None: ["x", "maybe", "vielleicht", "10"],
    }  # fmt: skip
    assert {meaning: {read_consent(word) for word in of} for meaning, of in words.items()} == {
        meaning: {meaning} for meaning in words
    }
    assert read_consent("No", no="withdrawn") == "withdrawn"


def test_an_apostrophe_that_keeps_digits_text_goes_and_a_name_keeps_its_own() -> None:
    protected = ["'04109", "'+49 341 5550111", "'=1+1", "'SW1A 1AA", "'7210448301001"]
    assert [without_apostrophe(text) for text in protected] == [text[1:] for text in protected]
    assert [without_apostrophe(text) for text in ("'t Hart", "'", "O'Brien")] == ["'t Hart", "'", "O'Brien"]


def test_a_sign_of_several_currencies_may_be_each_of_them() -> None:
    codes = ("EUR", "USD", "CAD", "SEK")
    fitting = {"$5": ["USD", "CAD"], "kr 5": ["SEK"], "5 EUR": ["EUR"], "5": [*codes]}
    for text, expected in fitting.items():
        amount = read_amount(text)
        assert amount is not None
        assert [code for code in codes if amount.may_be_in(code)] == expected


def test_an_address_may_stand_behind_a_name() -> None:
    texts = ("Ann Lee <ann@x.example>", "<ann@x.example>", "MAILTO:ann@x.example?subject=Hi", "ann@x.example")
    assert {bare_address(text) for text in texts} == {"ann@x.example"}
    assert bare_address("a <b> <c>") == "a <b> <c>"


def test_several_values_in_one_cell() -> None:
    assert read_list('"VIP","Blog, weekly"') == ["VIP", "Blog, weekly"]
    assert read_list("alpha, beta") == ["alpha", "beta"]
    assert read_list('["vip", "wholesale"]') == ["vip", "wholesale"]
    assert read_list("a;b") == ["a", "b"]
    assert read_list('6" pots, cups') == ['6" pots', "cups"]


def test_headers_are_compared_by_their_characters() -> None:
    assert {
        field_of_header(name) for name in ("E-Mail", "EMAIL", "Email Address", "Ｅ－Ｍａｉｌ", "邮箱")
    } == {"email"}
    assert field_of_header("User ID") == "user_id"
    assert field_of_header("Email Marketing Consent") is None
    assert normalize("\ufeffE_Mail ") == "email"
    assert snake_case("Historic Number Of Orders") == "historic_number_of_orders"
    assert nearest("Emial", ["Email", "Name"]) == ["Email"]
