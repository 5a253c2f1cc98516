"""The options of an import, as the command line gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from nurture.domain.cells.amounts import DecimalSign
from nurture.domain.cells.moments import DayOrder
from nurture.domain.errors import InputError

Kind = Literal["events", "contacts", "objects", "suppressions"]
Status = Literal["subscribed", "unsubscribed", "cleaned", "pending"]
Preset = Literal["mailchimp", "klaviyo", "shopify-customers", "shopify-orders", "woocommerce-orders"]

STATUSES: Final = ("subscribed", "unsubscribed", "cleaned", "pending")
#: Keys of `--set` that say how the file is read; all others are fields with a constant value.
_RULES: Final = ("zone", "topic", "status", "no", "country")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options by which a file is read."""

    # None: the preset's, else events.
    kind: Kind | None = None
    preset: Preset | None = None
    format: str | None = None
    # column -> field, or field:type
    map: Mapping[str, str] = field(default_factory=dict)
    # field or rule -> its value for every row
    set: Mapping[str, str] = field(default_factory=dict)
    event: str | None = None
    historic: bool = False
    backlog: Literal["none", "enter"] = "none"
    delimiter: str | None = None
    encoding: str | None = None
    date_format: str | None = None
    locale: str | None = None
    sheet: str | None = None

    @property
    def rules(self) -> dict[str, str]:
        """Return the values of `--set` that say how the file is read."""
        return {name: value for name, value in self.set.items() if name in _RULES}

    @property
    def constants(self) -> dict[str, str]:
        """Return the fields that `--set` gives a value in every row."""
        return {name: value for name, value in self.set.items() if name not in _RULES}


def read_map(pairs: Sequence[str], option: str = "--map", example: str = "mail=email") -> dict[str, str]:
    """Return column -> field from the command line's `column=field` pairs. Raises InputError.

    A column's name may contain `=`: the last one parts the pair.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        column, equals, name = pair.rpartition("=") if option == "--map" else pair.partition("=")
        if not equals or not column.strip() or not name.strip():
            message = f"{option} {pair}: write column=field, for example {option} {example}"
            raise InputError(message)
        mapping[column.strip()] = name.strip()
    return mapping


@dataclass(frozen=True, slots=True)
class Language:
    """How a language writes numbers and dates."""

    decimal: DecimalSign
    order: DayOrder


def read_language(locale: str | None) -> Language | None:
    """Return how a language writes numbers and dates, None without one. Raises InputError for an unknown one."""
    if locale is None:
        return None
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - takes long to load, and few imports name one
    from babel.numbers import get_decimal_symbol  # noqa: PLC0415

    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (ValueError, UnknownLocaleError) as error:
        message = f"--locale {locale}: there is no such language; write for example de, en_US or zh_CN"
        raise InputError(message) from error
    pattern = known.date_formats["short"].pattern
    decimal: DecimalSign = "," if get_decimal_symbol(known) == "," else "."
    order: DayOrder = "month" if pattern.lower().find("m") < pattern.lower().find("d") else "day"
    return Language(decimal, order)
