"""The grammar of `metric.expect`: the promise of a measure, in words that can be tested."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from nurture.domain.errors import InputError

#: points: difference of a rate, as a fraction (0.02 = two percentage points). relative: difference as a share of the
#: held-back value. amount: money per person. level, ceiling: a rate to reach, or to stay under.
ExpectKind = Literal["points", "relative", "amount", "level", "ceiling"]

_FORM: Final = re.compile(
    r"(?P<ceiling>at most )?(?P<sign>[+-])?(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?) ?"
    r"(?P<unit>%|pp|[A-Z]{3})(?P<relative> relative)?"
)
_ADVICE: Final = (
    'write "+2%" or "+2pp" (percentage points), "+20% relative", "+1.50 EUR" (per person), "25%" (a level to reach), '
    '"at most 3%" or "-1%" (should fall)'
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected change or level of a metric."""

    kind: ExpectKind
    # Signed for differences; rates and shares as fractions.
    size: float
    currency: str | None = None

    @property
    def needs_holdout(self) -> bool:
        """True for a difference, which only people without the measure can show."""
        return self.kind in ("points", "relative", "amount")

    @property
    def should_fall(self) -> bool:
        """True when less of the metric is better."""
        return self.kind == "ceiling" or self.size < 0


def parse_expect(text: str) -> Expectation:
    """Return the expectation that the text states. Raises InputError with the forms that can be written."""
    found = _FORM.fullmatch(text.strip())
    number = _number(found["number"]) if found else None
    if found is None or number is None:
        raise InputError(f"{text!r} is no expectation: {_ADVICE}")
    signed = float(number) * (-1 if found["sign"] == "-" else 1)
    unit = found["unit"]
    if found["ceiling"]:
        if found["sign"] or unit != "%" or found["relative"]:
            raise InputError(f'{text!r}: a level to stay under is a rate: "at most 3%"')
        return Expectation("ceiling", signed / 100)
    if not found["sign"]:
        if unit != "%" or found["relative"]:
            raise InputError(
                f'{text!r}: a difference has a sign ("+{text.strip()}"); a level is a rate: "25%"'
            )
        return Expectation("level", signed / 100)
    if found["relative"]:
        if unit != "%":
            raise InputError(f'{text!r}: a relative difference is in percent: "+20% relative"')
        return Expectation("relative", signed / 100)
    if unit in ("%", "pp"):
        return Expectation("points", signed / 100)
    return Expectation("amount", signed, unit)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
