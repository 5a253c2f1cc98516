"""Published values: the bands of numbers, and which numbers are announced to a person."""

from bisect import bisect_right
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, Final

from nurture.domain.contact import Contact
from nurture.domain.event import BY_MODEL, Event
from nurture.domain.instant import Instant
from nurture.domain.playbook import BandFact, PublishedValue
from nurture.domain.playbook.published_values import Bands

#: A number is stored in millionths, and has at most nine digits before the point.
_MILLION: Final = 1_000_000
_NUMBER_MAX: Final = 999_999_999 * _MILLION
#: Characters of a number that is written as text.
_TEXT_MAX: Final = 32


def read_number(value: object) -> int | None:
    """Return a number or a percentage in millionths (`0.71`, `71%`); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > _TEXT_MAX:
        return None
    text = str(value).strip()
    is_percentage = text.endswith("%")
    try:
        number = Decimal(text.removesuffix("%").strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) > _NUMBER_MAX:
        return None
    millionths = int((number * _MILLION / (100 if is_percentage else 1)).to_integral_value(ROUND_HALF_EVEN))
    return millionths if abs(millionths) <= _NUMBER_MAX else None


def write_number(millionths: int | None) -> str:
    """Return a number as people read it, "" for none."""
    if millionths is None:
        return ""
    return f"{Decimal(millionths).scaleb(-6).normalize():f}"


# ---- bands -----------------------------------------------------------------------------------------------


def band_of(bands: Bands, number: int) -> str:
    """Return the band of a number; one below the first bound is in the first band."""
    return bands[_place(bands, number)][0]


def _place(bands: Bands, number: int) -> int:
    return max(0, bisect_right([bound for _, bound in bands], number) - 1)


def is_news(rule: PublishedValue, announced: int | None, before: int | None, number: int | None) -> bool:
    """Tell whether a person's number is to be announced by an event.

    announced: the number that was announced last. before: the person's number before this one. None: there is none.
    A number in another band counts at once when it is at least the margin beyond the edge of the present band; nearer
    to the edge only when the number before it was beyond the same edge.
    """
    if announced is None or number is None:
        return announced != number
    place, mine = _place(rule.bands, announced), _place(rule.bands, number)
    if mine == place:
        return False
    rises = mine > place
    edge = rule.bands[place + 1 if rises else place][1]
    if abs(number - edge) >= rule.margin:
        return True
    return (
        before is not None
        and (_place(rule.bands, before) > place) is rises
        and (_place(rule.bands, before) != place)
    )


def default_margin(bands: Bands) -> int:
    """Return a tenth of the smallest distance between two bounds."""
    bounds = [bound for _, bound in bands]
    return min((high - low for low, high in pairwise(bounds)), default=0) // 10


def published_event_body(name: str, number: int | None, version: int) -> dict[str, Any]:
    """Return the properties of the event that tells a person a number."""
    return {"name": name, "value": write_number(number), "version": version}


def value_message_id(name: str, version: int, contact: int) -> str:
    """Return the message id of the event that tells a contact a number."""
    return f"{name}:{version}:{contact}"


def announced_version(contact: Contact, name: str) -> tuple[int, Instant] | None:
    """Return the version of the number that decides on a person's band, and when it was published; None for none."""
    stamp = contact.memory.latest.get(name)
    if stamp is None or stamp[1] != BY_MODEL:
        return None
    _, _, rest = stamp[2].partition(":")
    version = rest.partition(":")[0]
    # A simulation plays recorded publications, under ids of their own.
    return (int(version) if version.isdecimal() else 0), stamp[0]


def fold_band(contact: Contact, event: Event, fact: BandFact) -> None:
    """Fold an event that tells a number into the fact of its band, in place, if it is the newest."""
    if event.source != BY_MODEL or event.properties.get("name") != fact.name:
        return
    stamp = (event.occurred_at, event.source, event.message_id)
    latest = contact.memory.latest
    if fact.name in latest and stamp <= latest[fact.name]:
        return
    latest[fact.name] = stamp
    number = read_number(event.properties.get("value"))
    if number is None:
        contact.facts.pop(fact.name, None)
    else:
        contact.facts[fact.name] = band_of(fact.bands, number)
