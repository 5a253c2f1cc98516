"""Names of columns: compared without regard to case, width, blanks and marks; common names of the address column."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

_MARKS: Final = re.compile(r"[\s\-_./]+")
_NAME_MAX: Final = 255


@lru_cache(maxsize=4096)
def normalize(text: str) -> str:
    """Return the form in which two names are compared: `E-Mail`, `e_mail` and `Ｅ－Ｍａｉｌ` are `email`."""
    text = unicodedata.normalize("NFKC", text[:_NAME_MAX]).casefold().strip("\ufeff\u200b'\" ")
    return _MARKS.sub("", text)


#: Fields that every file may have, and the names under which other tools write them.
_SYNONYMS: Final = {
    "email": (
        "email", "e-mail", "mail", "email address", "e-mail address", "emailaddress", "e-mail-adresse", "mailadresse",
        "emailadresse", "courriel", "adresse e-mail", "adresse email", "correo", "correo electrónico", "邮箱",
        "电子邮箱", "电子邮件", "邮件地址", "邮箱地址", "電子郵件",
    ),
    "user_id": ("user_id", "user id", "userid"),
    "anonymous_id": ("anonymous_id", "anonymousid"),
    "phone": ("phone",),
    "event": ("event",),
    "timestamp": ("timestamp",),
    "message_id": ("message_id", "messageid"),
    "consent_at": ("consent_at",),
    "consent_source": ("consent_source",),
}  # fmt: skip
_FIELDS: Final = {normalize(name): field for field, names in _SYNONYMS.items() for name in names}


def field_of_header(header: str) -> str | None:
    """Return the field that a column names by itself, None for a column that is a property or trait."""
    return _FIELDS.get(normalize(header))


def snake_case(header: str) -> str:
    """Return the name of a trait for a column: `Member Rating (0-5)` is `member_rating_0_5`."""
    text = unicodedata.normalize("NFKC", header[:_NAME_MAX]).casefold()
    return re.sub(r"\W+", "_", text).strip("_") or "column"


def nearest(name: str, headers: Iterable[str]) -> list[str]:
    """Return the headers that look most like the name, at most three."""
    by_form = {normalize(header): header for header in headers}
    forms = get_close_matches(normalize(name), by_form, n=3, cutoff=0.5)
    return [by_form[form] for form in forms]
