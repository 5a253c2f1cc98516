"""A small vocabulary with every type and every absence, and strategies for conditions and facts over it."""

from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st

from nurture.domain.conditions import Condition, Reading, SegmentText, Term, Vocabulary, parse
from nurture.domain.instant import DAY, HOUR, Instant, parse_iso

NOW = parse_iso("2026-11-22T10:00:00Z")

VOCABULARY = Vocabulary(
    {
        term.name: term
        for term in (
            Term("orders", "integer", "zero", grows=True),
            Term("trials", "integer", "zero", grows=True),
            Term("cart.open", "integer", "zero"),
            Term("nps", "integer"),
            Term("spent", "decimal", "zero", scale=2),
            Term("spent.EUR", "decimal", "zero", scale=2),
            Term("rate", "decimal", scale=1),
            Term("plan", "text"),
            Term("city", "text", "empty"),
            Term("vip", "bool"),
            Term("engaged", "bool", "no", grows=True),
            Term("satisfied", "verdict"),
            Term("interests", "set", "empty"),
            Term("tags", "set"),
            Term("views_7d", "window", "zero", within=7 * DAY),
            Term("clicks_1d", "window", within=DAY),
            Term("renewal_at", "instant"),
            Term("first_order_at", "instant", "never"),
        )
    },
    segments={
        segment.name: segment
        for segment in (
            SegmentText("quiet", (("", 'orders == 1 and silent_days("Signed In") > 3'),)),
            SegmentText("regular", (("", "orders >= 2 or quiet is unknown"),)),
            SegmentText(
                "tier",
                (
                    ("gold", "regular and days_since(first_order_at) >= 2"),
                    ("warm", "nps >= 4"),
                    ("close", "vip"),
                ),
                "standard",
                is_ladder=True,
            ),
            SegmentText("depth", (("deep", "spent > 5"), ("looks", "views_7d >= 2")), is_ladder=True),
        )
    },
)

#: Offsets of +14 and -12 hours, half and quarter hours, daylight saving by one and by half an hour.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Santiago",
)

#: Instants just before something happens to the calendars of those zones, and one quiet one.
EVES = tuple(
    parse_iso(text)
    for text in (
        "2026-03-28T22:30:00Z",  # Berlin springs forward the night after
        "2026-10-24T23:59:59Z",  # and falls back
        "2026-04-04T14:45:00Z",  # Lord Howe, by half an hour
        "2026-09-06T03:30:00Z",  # Santiago skips midnight
        "2026-02-14T00:00:00Z",  # Casablanca, Ramadan
        "2026-12-31T09:00:00Z",  # a year ends
        "2028-02-28T12:00:00Z",  # a leap day
        "2026-06-15T12:34:56.789012Z",
    )
)

#: A failure names its condition and facts; making a whole contact smaller would take minutes.
unshrunk = settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])

_TEXTS = ("pro", "free", "Köln", "北京", "a \"b\" 'c'", "", "yes", "5")
_EVENTS = ("Order Completed", "Signed In", "已下单")


def a_condition(text: str) -> Condition:
    """Return the condition of a text over the sample vocabulary."""
    return parse(text, VOCABULARY)


def a_reading(*, now: Instant = NOW, zone: str = "UTC", **facts: Any) -> Reading:
    """Return a reading of these facts for a contact first seen 90 days ago."""
    return Reading({"first_seen_at": now - 90 * DAY, **facts}, now, zone)


# ---- conditions ------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """Return a text in quotes that it does not contain; a text with both kinds of quotes is not generated."""
    return f"'{text}'" if '"' in text else f'"{text}"'


_written = st.sampled_from([quoted(text) for text in _TEXTS if not ('"' in text and "'" in text)])
_events = st.sampled_from([quoted(event) for event in _EVENTS])
_small = st.integers(-3, 12)
_signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def _made(pattern: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: pattern.format(*found))


_instants = st.recursive(
    st.one_of(
        st.sampled_from(["renewal_at", "first_order_at", "first_seen_at"]),
        _made("last({})", _events),
        _made("first({})", _events),
    ),
    lambda inner: st.one_of(
        _made("max({}, {})", inner, inner),
        _made("min({}, {})", inner, inner),
        _made("({} or {})", inner, inner),
    ),
    max_leaves=3,
)
_still_integers = st.one_of(
    st.sampled_from(["orders", "trials", "cart.open", "nps", "(nps or 7)", "(nps or orders)"]),
    _made("count({})", _events),
)
_still_numbers = st.one_of(_still_integers, st.sampled_from(["spent", "spent.EUR", "rate", "(rate or 1.5)"]))
_moving = st.one_of(
    st.sampled_from(
        ["views_7d", "clicks_1d", "(clicks_1d or 3)", "local_hour()", "local_day()", "local_month()"]
    ),
    _made("days_since({})", _instants),
    _made("days_until({})", _instants),
    _made("(days_since({}) or 4)", _instants),
    _made("(days_since({}) or days_until({}))", _instants, _instants),
    _made("silent_days({})", _events),
    _made("silent_days({}, {})", _events, _events),
)
_texts = st.sampled_from(
    [
        "plan",
        "city",
        "track",
        "stage",
        "locale",
        "zone",
        '(plan or "free")',
        "(plan or city)",
        "local_weekday()",
    ]
)
_dates = st.sampled_from(['"2026-06-15"', '"2026-11-01T12:00:00+02:00"'])
_leaves = st.one_of(
    st.sampled_from(["True", "False", "vip", "engaged", "satisfied", "vip == True", "engaged != True"]),
    st.sampled_from(
        [
            *(
                "quiet",
                "regular",
                "regular is unknown",
                'tier == "gold"',
                'tier != "standard"',
                "known(depth)",
            ),
            *('tier in ["warm", "close"]', 'depth not in ["deep"]', '"looks" == depth', "known(tier)"),
        ]
    ),
    st.sampled_from(["satisfied is not no", "satisfied is yes", "vip is unknown", "vip is not unknown"]),
    _made("{} {} {}", _still_integers, _signs, _small),
    _made("{} {} {}", _small, _signs, _moving),
    _made("{} {} {}", _moving, _signs, _small),
    _made(
        "{} {} {}.5", _still_numbers.filter(lambda text: "rate" in text or text == "spent"), _signs, _small
    ),
    _made("{} {} {}", _still_numbers, _signs, _still_numbers),
    _made("{} {} {}", _moving, _signs, _still_numbers),
    _made("{} + {} - {} {} {}", _still_numbers, _still_numbers, _small, _signs, _small),
    _made("{} - {} {} {}", _moving, _still_numbers, _signs, _small),
    _made("{} <= {} < {}", _small, st.one_of(_still_integers, _moving), _small),
    _made("{} in [{}, {}]", st.one_of(_still_integers, _moving), _small, _small),
    _made("{} not in [{}, {}]", _texts, _written, _written),
    _made("{} {} {}", _texts, st.sampled_from(["==", "!="]), _written),
    _made("{} {} {}", st.sampled_from(["plan", "locale", "city"]), st.sampled_from(["==", "!="]), _texts),
    _made('{} in ["sat", "sun"]', st.just("local_weekday()")),
    _made("{} in {}", _written, st.sampled_from(["interests", "tags", "(tags or interests)"])),
    _made("{} not in {}", _texts, st.sampled_from(["interests", "tags", "(tags or interests)"])),
    _made("{} {} {}", _instants, _signs, _instants),
    _made("{} {} {}", _instants, _signs, _dates),
    _made("{} {} now", _instants, _signs),
    _made("now {} {}", _signs, st.one_of(_instants, _dates)),
    _made("({} or now) {} {}", _instants, _signs, _dates),
    _made(
        "known({})", st.one_of(_still_numbers, _moving, _texts, _instants, st.sampled_from(["tags", "vip"]))
    ),
    _made("known({} + {})", _still_numbers, _still_numbers),
)

#: Texts of conditions, each of which parses over VOCABULARY.
conditions = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        _made("({} and {})", inner, inner),
        _made("({} or {})", inner, inner),
        _made("({} and {} and {})", inner, inner, inner),
        _made("not {}", inner.map(lambda text: f"({text})")),
        _made("({}) is {}", inner, st.sampled_from(["yes", "no", "unknown", "not yes", "not no"])),
    ),
    max_leaves=5,
)

_moving_leaves = st.one_of(
    st.sampled_from(['tier == "gold"', 'depth == "looks"', "known(depth)", "quiet"]),
    _made("{} {} {}", _moving, _signs, _small),
    _made("{} {} {}", _moving, _signs, _still_integers),
    _made("{} in [{}, {}]", _moving, _small, _small),
    _made("{} {} now", _instants, _signs),
    _made("(renewal_at or now) {} {}", _signs, _dates),
    _made("local_weekday() in [{}, {}]", *[st.sampled_from(['"mon"', '"sat"', '"sun"'])] * 2),
)

#: The same where every comparison moves with time.
moving_conditions = st.recursive(
    _moving_leaves,
    lambda inner: st.one_of(
        _made("({} and {})", inner, inner), _made("({} or {})", inner, inner), _made("not ({})", inner)
    ),
    max_leaves=4,
)


# ---- facts -----------------------------------------------------------------------------------------------


@st.composite
def instants(draw: st.DrawFn, now: Instant) -> Instant:
    """Draw an instant that is, or nearly is, a whole number of days or hours from now."""
    unit = draw(st.sampled_from([DAY, DAY, HOUR, 1]))
    return now + draw(st.integers(-12, 12)) * unit + draw(st.sampled_from([0, 0, -1, 1, 12_345_678]))


@st.composite
def facts(draw: st.DrawFn, now: Instant, *, complete: bool = False) -> dict[str, Any]:
    """Draw the facts of one contact, near the values that conditions compare with.

    Some are missing and some of a wrong type, unless they are to be complete.
    """
    text, number, instant = st.sampled_from(_TEXTS), st.integers(-3, 12), instants(now)
    values: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("orders", "trials", "cart.open", "nps"), number),
        **dict.fromkeys(
            ("spent", "spent.EUR"),
            st.one_of(st.integers(-300, 1250), number.map(lambda units: units * 100)),
        ),
        "rate": st.integers(-30, 125),
        **dict.fromkeys(("plan", "city"), text),
        **dict.fromkeys(("vip", "engaged"), st.booleans()),
        "satisfied": st.sampled_from(["yes", "no", "unknown"]),
        **dict.fromkeys(("interests", "tags"), st.lists(text, max_size=4)),
        "views_7d": st.lists(instant, max_size=4).map(sorted),
        "clicks_1d": st.lists(st.integers(-30, 2).map(lambda hours: now + hours * HOUR), max_size=4).map(
            sorted
        ),
        **dict.fromkeys(("renewal_at", "first_order_at"), instant),
        **{f"count:{event}": number for event in _EVENTS},
        **{f"{which}:{event}": instant for which in ("first", "last") for event in _EVENTS},
        "track": st.sampled_from(["lead", "customer"]),
        "stage": st.sampled_from(["aware", "ascend", "pro"]),
    }
    wrong = st.sampled_from([True, 7, "text", ["text"], [3]])
    found: dict[str, Any] = {"first_seen_at": draw(instant)}
    kinds = draw(st.lists(st.integers(0, 9), min_size=len(values), max_size=len(values)))
    for (name, strategy), kind in zip(values.items(), kinds, strict=True):
        if complete or name in {"track", "stage"} or kind > 2:
            found[name] = draw(strategy)
        elif kind == 0:
            found[name] = draw(wrong)
    found["locale"] = draw(st.sampled_from([None, "en", "zh-CN"]))
    found["zone"] = draw(st.sampled_from([None, *ZONES, "Mars/Base"]))
    return found
