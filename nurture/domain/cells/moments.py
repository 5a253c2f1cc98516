"""Dates and times as people and spreadsheets write them: a fixed list of forms, each read in full or not at all.

`01/02/2024` is two dates. The other cells of its column decide, or the file's language; else it is unread. A number is
no date, except eight digits (`19970101`) and a time in seconds or milliseconds since 1970 (10 or 13 digits).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final, Literal

from nurture.domain.instant import SECOND, Instant, from_datetime
from nurture.domain.timing import load_zone
from nurture.domain.values import SCALAR_TEXT_MAX, YEARS

#: Which of the first two numbers is the day.
DayOrder = Literal["day", "month"]

_CLOCK: Final = (
    r"(?:[T ,]+(?:(?:à|um|at|a las|alle|om) )?(?:(?P<first_half>[上下]午)\s*)?"
    r"(?P<hour>\d{1,2})(?::|h)(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?:(?P<half>[AaPp]\.?\s?[Mm]\.?)|Uhr|uur)?)?"
)
#: Go writes the zone's name behind its offset.
_ZONE: Final = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?(?:\s+(?P<zone_name>[A-Z]{3,5}))?"
#: Mail and HTTP begin with the day of the week.
_WEEKDAY: Final = r"(?:[^\W\d_]{2,10}\.?,? )?"
_FORMS: Final = (
    re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}}){_CLOCK}{_ZONE}"),
    re.compile(rf"(?P<year>\d{{4}})([/.])\s?(?P<month>\d{{1,2}})\2\s?(?P<day>\d{{1,2}})\.?{_CLOCK}{_ZONE}"),
    re.compile(rf"(?P<year>\d{{4}})年(?P<month>\d{{1,2}})月(?P<day>\d{{1,2}})日?{_CLOCK}"),
    re.compile(rf"(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.\s?(?P<year>\d{{4}}|\d{{2}}){_CLOCK}{_ZONE}"),
    re.compile(rf"(?P<day>\d{{1,2}})-(?P<month>\d{{1,2}})-(?P<year>\d{{4}}){_CLOCK}{_ZONE}"),
    re.compile(rf"(?P<first>\d{{1,2}})/(?P<other>\d{{1,2}})/(?P<year>\d{{4}}|\d{{2}}){_CLOCK}{_ZONE}"),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"),
    re.compile(
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})\.?[ -](?:de )?(?P<name>[^\W\d_]{{3,12}})\.?,?[ -](?:de )?"
        rf"(?P<year>\d{{4}}){_CLOCK}{_ZONE}"
    ),
    re.compile(
        rf"{_WEEKDAY}(?P<name>[^\W\d_]{{3,12}})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? "
        rf"(?P<year>\d{{4}}){_CLOCK}{_ZONE}"
    ),
)
#: Months as English, German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian languages and Polish write
#: them; each may be cut to three letters or more.
_MONTHS: Final = (
    ("january", "januar", "jänner", "janvier", "enero", "gennaio", "janeiro", "januari", "stycznia"),
    ("february", "februar", "février", "febrero", "febbraio", "fevereiro", "februari", "lutego"),
    ("march", "märz", "mrz", "mars", "marzo", "março", "maart", "mrt", "marts", "marca"),
    ("april", "avril", "abril", "aprile", "kwietnia"),
    ("may", "mai", "mayo", "maggio", "maio", "mei", "maj", "maja"),
    ("june", "juni", "juin", "junio", "giugno", "junho", "czerwca"),
    ("july", "juli", "juillet", "julio", "luglio", "julho", "lipca"),
    ("august", "août", "agosto", "augustus", "augusti", "sierpnia"),
    ("september", "septembre", "septiembre", "settembre", "setembro", "września"),
    ("october", "oktober", "octobre", "octubre", "ottobre", "outubro", "października"),
    ("november", "novembre", "noviembre", "novembro", "listopada"),
    ("december", "dezember", "décembre", "diciembre", "dicembre", "dezembro", "grudnia"),
)
_HALVES: Final = {"上午": "AM", "下午": "PM"}
_SLASHED: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(?:\d{4}|\d{2})(?!\d).*|(\d{1,2})/(\d{1,2})", re.DOTALL)
_YEARLESS: Final = (
    re.compile(r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.?"),
    re.compile(r"(?:--)?(?P<month>\d{1,2})-(?P<day>\d{1,2})"),
    re.compile(r"(?P<month>\d{1,2})月(?P<day>\d{1,2})日?"),
    re.compile(r"(?P<first>\d{1,2})/(?P<other>\d{1,2})"),
)
#: Digits of a Unix time -> seconds of its unit.
_EPOCH_UNITS: Final = {10: SECOND, 13: SECOND // 1000}
#: Numbers that a spreadsheet shows as dates of the years 1954 to 2064.
_SERIALS: Final = range(20_000, 60_001)
_SERIAL_DAY_ZERO: Final = date(1899, 12, 30)
_LEAP_YEAR: Final = 2000
#: A date without a time: noon is the same day in nearly every zone in which it may be shown.
_NOON: Final = time(12)


@dataclass(frozen=True, slots=True)
class DateRules:
    """The rules by which the dates of a column are read."""

    # The zone of times without one.
    zone: str
    # The year in which the file is read: a two-digit year is never later.
    this_year: int
    # Of dates such as 01/02/2024; None: such a date is unread.
    order: DayOrder | None = None
    # A strptime format for dates of a form of their own; tried first.
    format: str | None = None
    # Only ISO 8601 and `format`: the tool writes no other form.
    only_iso: bool = False
    # Five-digit numbers are a spreadsheet's days since 1900.
    serials: bool = False


def read_instant(text: str, rules: DateRules) -> Instant | None:
    """Return the instant that a cell names, None when it names none or could be read in two ways."""
    text = _plain(text)
    if text.isascii() and text.isdigit() and len(text) in _EPOCH_UNITS:
        return _usable(datetime.fromtimestamp(0, UTC) + _epoch(text))
    moment = _read(text, rules)
    if moment is None:
        return None
    return to_instant(moment, rules.zone)


def read_date(text: str, rules: DateRules) -> str | None:
    """Return a date as `YYYY-MM-DD`, a date without a year as `--MM-DD`; None when it is none."""
    text = _plain(text)
    moment = _read(text, rules)
    if moment is not None:
        return moment.date().isoformat()
    for form in _YEARLESS:
        if match := form.fullmatch(text):
            parts = match.groupdict()
            day_month = _day_and_month(parts, rules.order)
            is_day = day_month is not None and _date(_LEAP_YEAR, day_month[1], day_month[0]) is not None
            return f"--{day_month[1]:02}-{day_month[0]:02}" if day_month and is_day else None
    return None


def from_spreadsheet(moment: datetime) -> datetime:
    """Return the time of a date cell; a spreadsheet writes a date without a time as midnight."""
    return datetime.combine(moment.date(), _NOON) if moment.time() == time() else moment


def to_instant(moment: datetime, zone: str) -> Instant | None:
    """Return the instant of a time; one without an offset is local in the zone. None outside the years of rules."""
    return _usable(moment if moment.tzinfo is not None else moment.replace(tzinfo=load_zone(zone)))


def day_order_of(text: str) -> DayOrder | None:
    """Return which number of `13/02/2024` is the day, as the cell shows by itself; None where it does not."""
    match = _SLASHED.fullmatch(_plain(text))
    if match is None:
        return None
    first, other = (int(number) for number in match.groups() if number is not None)
    if first > 12 >= other:
        return "day"
    return "month" if other > 12 >= first else None


def is_two_dates(text: str) -> bool:
    """Tell whether day and month of a cell could be changed about."""
    match = _SLASHED.fullmatch(_plain(text))
    numbers = [int(number) for number in match.groups() if number is not None] if match else []
    return bool(numbers) and max(numbers) <= 12 and numbers[0] != numbers[1]


def column_order(orders: Iterable[DayOrder | None]) -> DayOrder | None:
    """Return the order of a column whose cells show these; None where they show none, or both."""
    shown = {order for order in orders if order is not None}
    return shown.pop() if len(shown) == 1 else None


def _plain(text: str) -> str:
    if len(text) > SCALAR_TEXT_MAX:
        return ""
    return text.strip() if text.isascii() else unicodedata.normalize("NFKC", text).strip()


def _read(text: str, rules: DateRules) -> datetime | None:
    if rules.format is not None:
        try:
            # Naive where the format has no %z: `to_instant` adds the zone.
            return _in_years(datetime.strptime(text, rules.format))  # noqa: DTZ007
        except ValueError:
            pass
    if rules.serials and text.replace(".", "", 1).isdigit() and text.isascii():
        return from_serial(float(text))
    for form in _FORMS[:1] if rules.only_iso else _FORMS:
        if match := form.fullmatch(text):
            return _build(match.groupdict(), rules)
    return None


def from_serial(number: float) -> datetime | None:
    """Return the local time that a spreadsheet shows for this number of days since 1900; None outside 1954 to 2064."""
    if int(number) not in _SERIALS:
        return None
    seconds = round((number - int(number)) * 86_400)
    day = _SERIAL_DAY_ZERO + timedelta(days=int(number))
    return (
        datetime.combine(day, time()) + timedelta(seconds=seconds)
        if seconds
        else datetime.combine(day, _NOON)
    )


def _build(parts: dict[str, str | None], rules: DateRules) -> datetime | None:
    day_month = _day_and_month(parts, rules.order)
    clock = _clock(parts)
    if day_month is None or clock is None:
        return None
    day = _date(_year(str(parts["year"]), rules.this_year), day_month[1], day_month[0])
    if day is None or day.year not in YEARS:
        return None
    if parts.get("zone"):
        offset = _offset(str(parts["zone"]))
        return datetime.combine(day, clock, offset) if offset else None
    moment, zone_name = datetime.combine(day, clock), parts.get("zone_name")
    # `14:05 PST` is a time of another zone, unless that is what the zone's own clocks say.
    is_local = not zone_name or moment.replace(tzinfo=load_zone(rules.zone)).tzname() == zone_name
    return moment if is_local else None


def _day_and_month(parts: dict[str, str | None], order: DayOrder | None) -> tuple[int, int] | None:
    """Return (day, month); None for numbers whose order is unknown and a name that no month has."""
    if name := parts.get("name"):
        known = [number for number, names in enumerate(_MONTHS, 1) if _is_month(name.lower(), names)]
        # `jui` is June or July.
        return (int(parts["day"] or 0), known[0]) if len(known) == 1 else None
    if parts.get("day") is not None:
        return int(parts["day"] or 0), int(parts["month"] or 0)
    first, other = int(parts["first"] or 0), int(parts["other"] or 0)
    if first > 12 or other > 12 or first == other:
        order = "month" if other > 12 else "day"
    if order is None:
        return None
    return (first, other) if order == "day" else (other, first)


def _is_month(name: str, names: Sequence[str]) -> bool:
    return any(known.startswith(name) for known in names)


def _year(text: str, this_year: int) -> int:
    if len(text) == 4:
        return int(text)
    year = this_year // 100 * 100 + int(text)
    return year if year <= this_year else year - 100


def _clock(parts: dict[str, str | None]) -> time | None:
    if parts.get("hour") is None:
        return _NOON
    hour = int(parts["hour"] or 0)
    if half := parts.get("half") or _HALVES.get(parts.get("first_half") or ""):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[0] in "Pp" else 0)
    part = (parts.get("part") or "")[:6].ljust(6, "0")
    try:
        return time(hour, int(parts["minute"] or 0), int(parts.get("second") or 0), int(part))
    except ValueError:
        return None


def _offset(text: str) -> timezone | None:
    if text[0] not in "+-":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if hours > 14 or minutes > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _epoch(text: str) -> timedelta:
    return timedelta(microseconds=int(text) * _EPOCH_UNITS[len(text)])


def _in_years(moment: datetime) -> datetime | None:
    return moment if moment.year in YEARS else None


def _usable(moment: datetime) -> Instant | None:
    return from_datetime(moment.astimezone(UTC)) if moment.year in YEARS else None
