"""Amounts of money and other decimal numbers as people and spreadsheets write them.

The decimal sign is `.` or `,`. Many cells show which: `19,90`, `1.234,50`, `0.5`, `1,234,567`. `1.234` shows
neither and is read as the other cells of its column say.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

from nurture.domain.values import SCALAR_TEXT_MAX, read_decimal

DecimalSign = Literal[".", ","]

#: Signs that several currencies share -> their codes.
_SHARED: Final = {
    "$": frozenset(("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP", "UYU")),
    "¥": frozenset(("JPY", "CNY")),
    "kr": frozenset(("SEK", "NOK", "DKK", "ISK")),
}
#: Other signs and words beside an amount -> the currency.
_CURRENCIES: Final = {
    "€": "EUR", "£": "GBP", "us$": "USD", "usd$": "USD", "元": "CNY", "rmb": "CNY", "円": "JPY", "zł": "PLN",
    "kč": "CZK", "fr.": "CHF", "sfr.": "CHF", "₹": "INR", "₩": "KRW", "r$": "BRL", "₺": "TRY", "₽": "RUB",
    "euro": "EUR", "a$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "hk$": "HKD",
}  # fmt: skip
#: The codes of ISO 4217 for money in use.
_CODES_IN_USE: Final = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
    GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR
    LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN
    PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS
    TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
_CODES: Final = frozenset(_CODES_IN_USE.split())
#: Those of them that have no minor unit.
_WHOLE: Final = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())  # noqa: SIM905
_DIGIT: Final = re.compile(r"\d")
_MINUS: Final = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-"})
#: Signs that only part groups of three digits.
_SPACES: Final = "'\u2019 \u00a0\u202f\u2009"
_FORM: Final = re.compile(
    r"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>[^\d\s()+.,-][^\d\s()+,-]{0,4})?\s*(?P<sign2>[-+])?\s*"
    r"(?P<digits>[.,]?\d[\d.,'\u2019 \u00a0\u202f\u2009]*?)\s*"
    r"(?P<sign3>[-+])?\s*(?P<after>[^\d\s()+.,-][^\d\s()+,-]{0,4})?\s*(?P<sign4>[-+])?\s*(?P<close>\))?"
)
_GROUPED: Final = re.compile(
    r"\d{1,3}(?:(?P<part>[.,'\u2019 \u00a0\u202f\u2009])\d{3})(?:(?P=part)\d{3})*"
    # Lakhs and crores: 12,34,567.
    r"|\d{1,2}(?:,\d{2})+,\d{3}"
)
#: A dash in place of the decimals: `5,-`, `5.\u2013`.
_NO_DECIMALS: Final = re.compile(r"(?<=\d)([.,])\s?[-=]{1,2}(?!\d)")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, and the currency that its cell names ("" where it names none)."""

    value: Decimal
    currency: str = ""
    # A sign beside the number that several currencies share; "" where there is none.
    sign: str = ""

    def may_be_in(self, currency: str) -> bool:
        """Tell whether the cell names this currency, a sign of it, or none."""
        return currency == self.currency or currency in _SHARED.get(self.sign, ()) or not self.names_one

    @property
    def names_one(self) -> bool:
        """Whether a currency or a sign of one stands beside the number."""
        return bool(self.currency or self.sign)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A cell taken apart: sign, digits with their marks, and the currency beside them."""

    negative: bool
    digits: str
    currency: str = ""
    # A sign that several currencies share.
    sign: str = ""


def read_amount(text: str, decimal: DecimalSign | None = None) -> Amount | None:
    """Return the amount that a cell states, None when it states none or could be read in two ways.

    decimal: the decimal sign of its column, for the cells that do not show it.
    """
    parts = _take_apart(text)
    if parts is None:
        return None
    number = _read_digits(parts.digits, decimal)
    value = read_decimal(number) if number is not None else None
    if value is None:
        return None
    return Amount(-value if parts.negative else value, parts.currency, parts.sign)


def show_amount(value: Decimal, currency: str) -> str:
    """Return an amount as people read it: `1299.50 EUR`, `5000 JPY`; without a currency the number alone."""
    if currency in _WHOLE and value == value.to_integral_value():
        value = value.quantize(Decimal(1))
    return f"{value:f} {currency}" if currency else f"{value:f}"


def decimal_sign_of(text: str) -> DecimalSign | None:
    """Return the decimal sign that a cell shows by itself; None where it shows none or is no number."""
    parts = _take_apart(text)
    return _shown_sign(parts.digits) if parts is not None else None


def is_amount_with_marks(text: str) -> bool:
    """Tell whether a cell is a number in a form that only people write: a comma, a currency, a group of digits."""
    parts = _take_apart(text)
    if parts is None or (text.strip() == parts.digits and parts.digits.replace(".", "", 1).isdigit()):
        return False
    return _read_digits(parts.digits, ".") is not None or _read_digits(parts.digits, ",") is not None


def looks_like_money(text: str) -> bool:
    """Tell whether an amount names a currency or has two digits after its decimal sign."""
    parts = _take_apart(text)
    if parts is None:
        return False
    return bool(parts.currency or parts.sign) or re.search(r"[.,]\d\d$", parts.digits) is not None


def column_sign(signs: Iterable[DecimalSign | None]) -> DecimalSign | None:
    """Return the decimal sign of a column whose cells show these; None where they show none, or both."""
    shown = {sign for sign in signs if sign is not None}
    return shown.pop() if len(shown) == 1 else None


@lru_cache(maxsize=8192)
def _take_apart(text: str) -> _Parts | None:
    # Most cells of a file are no amounts: this costs them least.
    if len(text) > SCALAR_TEXT_MAX or _DIGIT.search(text) is None:
        return None
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_MINUS)
    text = _NO_DECIMALS.sub(r"\g<1>00", text.strip())
    match = _FORM.fullmatch(text)
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    signs = [sign for sign in match.group("sign", "sign2", "sign3", "sign4") if sign]
    words = [word for word in match.group("before", "after") if word]
    if len(signs) > 1 or len(words) > 1 or (signs and match["open"]):
        return None
    currency, sign = _read_word(words[0]) if words else ("", "")
    if words and not currency and not sign:
        return None
    return _Parts(bool(match["open"]) or signs == ["-"], match["digits"], currency, sign)


def _read_word(word: str) -> tuple[str, str]:
    """Return the currency that a word beside a number names, or the sign that several share; "" for what it is not."""
    word = word.lower()
    sign = word.rstrip(".")
    currency = _CURRENCIES.get(word) or (word.upper() if word.upper() in _CODES else "")
    return currency, sign if sign in _SHARED else ""


def _shown_sign(digits: str) -> DecimalSign | None:
    """Return the decimal sign of digits with marks that can be read in one way only."""
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        return "." if digits.rfind(".") > digits.rfind(",") else ","
    if points + commas == 0:
        return None
    mark: DecimalSign = "." if points else ","
    other: DecimalSign = "," if points else "."
    if points + commas > 1:
        return other
    whole, _, part = digits.partition(mark)
    plain = "".join(character for character in whole if character not in _SPACES)
    is_ambiguous = len(part) == 3 and 1 <= len(plain) <= 3 and plain == whole and not whole.startswith("0")
    return None if is_ambiguous else mark


def _read_digits(digits: str, decimal: DecimalSign | None) -> str | None:
    """Return plain digits with a decimal point; None for digits whose marks stand where no number has them."""
    sign = _shown_sign(digits)
    if sign is None and ("." in digits or "," in digits):
        if decimal is None:
            return None
        sign = decimal
    whole, mark, part = digits.rpartition(sign) if sign and sign in digits else (digits, "", "")
    if mark and not part.isdigit():
        return None
    if whole and not whole.isdigit():
        if _GROUPED.fullmatch(whole) is None:
            return None
        whole = "".join(character for character in whole if character.isdigit())
    return f"{whole or '0'}.{part}" if part else whole or None
