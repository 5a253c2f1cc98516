"""Values that are fixed when the first mail of a run passes the guard."""

from dataclasses import dataclass

from nurture.domain.conditions import Table
from nurture.domain.instant import Duration


@dataclass(frozen=True, slots=True)
class LetCoupon:
    """A coupon code of a named offer, created once per run."""

    offer: str


@dataclass(frozen=True, slots=True)
class LetEndOfMonth:
    """The end of the local month in which the first mail is sent.

    With fewer than `at_least` left, the mail waits for the 1st of the next month.
    """

    at_least: Duration = 0


@dataclass(frozen=True, slots=True)
class LetIn:
    """An instant this long after the first mail, at the end of that local day."""

    duration: Duration


@dataclass(frozen=True, slots=True)
class LetBusiness:
    """A time that the mail promises: so much open time of an owner's calendar after the mail leaves."""

    # Days of the calendar, and open time besides.
    days: int
    rest: Duration = 0
    # The owner, or `contact.FACT` that names one; "": the measure's sender.
    owner: str = ""
    # `event.PROPERTY` or `entity.FIELD`: an instant that is promised instead while it is still ahead; "": none.
    given: str = ""


@dataclass(frozen=True, slots=True)
class LetTable:
    """The value of a table; a duration is its number of days."""

    table: Table


Let = LetCoupon | LetEndOfMonth | LetIn | LetBusiness | LetTable
