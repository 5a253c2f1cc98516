"""Telephone numbers as people write them: with their country, or local to one."""

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers.phonenumberutil import ndd_prefix_for_region

from nurture.domain.identity import canonical_phone

_EXPONENT: Final = re.compile(r"\d[.,]?\d*[eE][+-]?\d+")
_PHONE_MAX: Final = 40


@lru_cache(maxsize=4096)
def read_phone(text: str, country: str | None) -> str | None:
    """Return E.164, None for what is no number or is local to an unknown country.

    country: ISO 3166 code of a number without one. A number with a plus is taken as it is written; one without must be
    valid in the country.
    """
    text = text.strip()
    if len(text) > _PHONE_MAX or _EXPONENT.fullmatch(text):
        return None
    if international := canonical_phone(text):
        return international
    if country is None or any(character.isalpha() for character in text):
        return None
    try:
        number = phonenumbers.parse(_with_plus(text, country), country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return canonical_phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _with_plus(text: str, country: str) -> str:
    """Return a number that begins with its country's code with a plus, as far as local numbers there begin otherwise.

    A spreadsheet that takes `+49 171 5550101` for a number drops the plus.
    """
    prefix = ndd_prefix_for_region(country, True)
    code = str(phonenumbers.country_code_for_region(country))
    is_local = not prefix or prefix == code or text.startswith(prefix)
    if is_local or not text.startswith(code):
        return text
    number = phonenumbers.parse(f"+{text}", None) if text[:1].isdigit() else None
    return f"+{text}" if number is not None and phonenumbers.is_valid_number(number) else text


def is_country(code: str) -> bool:
    """Tell whether telephone numbers of that ISO 3166 code are known."""
    return code in phonenumbers.SUPPORTED_REGIONS
