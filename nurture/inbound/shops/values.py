"""Values as shops write them: people's identities, money, instants, and the keys of things."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email, canonical_phone, canonical_user_id
from nurture.domain.instant import Instant
from nurture.domain.placeholders import without_placeholders
from nurture.domain.values import read_clock, read_decimal
from nurture.inbound.providers.call import Document

#: Longest part of a thing's key or state: a message id of three of them fits into its column.
_KEY_MAX: Final = 80
#: Products of one event; its 32 KB hold about so many.
LINES_MAX: Final = 50
#: Digits of a currency's minor unit as Stripe sends amounts; all others have two. ISK and UGX have no minor unit and
#: are sent with two noughts.
_NO_DIGITS: Final = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a table of codes
)
_THREE_DIGITS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def join_key(*parts: str) -> str:
    """Return the parts as one key, without the empty ones; each is cut to a bound."""
    return ":".join(part[:_KEY_MAX] for part in parts if part)


def people(
    *, user_id: str = "", emails: Iterable[str] = (), phones: Iterable[str] = ()
) -> tuple[Identity, ...]:
    """Return the canonical identities of a person, strongest first: of addresses and telephones the first valid one."""
    identities: list[Identity] = []
    if user_id and (known := canonical_user_id(user_id)) is not None:
        identities.append(Identity("user_id", known))
    if email := next(filter(None, map(canonical_email, emails)), None):
        identities.append(Identity("email", email))
    if phone := next(filter(None, map(canonical_phone, phones)), None):
        identities.append(Identity("phone", phone))
    return without_placeholders(identities)


def money(document: Document, name: str) -> Decimal:
    """Return an amount of decimal text or a number; 0 when it is missing or no number."""
    return read_decimal(document.value.get(name)) or Decimal(0)


def plain(amount: Decimal) -> int | float:
    """Return an amount as a JSON number."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def from_minor(amount: int, currency: str) -> Decimal:
    """Return an amount in minor units as Stripe sends it in units of the currency."""
    code = currency.upper()
    digits = 0 if code in _NO_DIGITS else 3 if code in _THREE_DIGITS else 2
    return Decimal(amount).scaleb(-digits)


def whole(document: Document, name: str) -> int:
    """Return a whole number within bounds; 0 for anything else."""
    value = document.value.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15 else 0


def flag(document: Document, name: str) -> bool:
    """Tell whether an entry is true; text and numbers are not."""
    return document.value.get(name) is True


def clock(document: Document, *names: str) -> Instant | None:
    """Return the first of these entries that is a time."""
    for name in names:
        value = document.value.get(name)
        instant = read_clock(value) if isinstance(value, str | int) else None
        if instant is not None:
            return instant
    return None


def filled(**values: Any) -> dict[str, Any]:
    """Return the values that are neither None nor empty."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], ())}


def unit_price(total: Decimal, quantity: int) -> Decimal:
    """Return the price of one, to a hundredth of a cent."""
    return (total / quantity).quantize(Decimal("0.0001")).normalize() if quantity > 0 else total


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts as one; the later wins."""
    return {name: value for part in parts for name, value in part.items()}
