"""Rows of each picture: those of the golden files, and any rows that hypothesis draws."""

from collections.abc import Callable
from datetime import date, timedelta

from hypothesis import strategies as st

from nurture.pictures import (
    AreaRow,
    CalibrationRow,
    CohortRow,
    DayRow,
    FlowRow,
    FunnelRow,
    IntervalRow,
    JourneyRow,
    MapRow,
    OfferRow,
    Picture,
    PointRow,
    SpanRow,
    StageColumn,
    draw_areas,
    draw_bars,
    draw_calendar,
    draw_calibration,
    draw_flow,
    draw_funnel,
    draw_interval,
    draw_journey,
    draw_ladder,
    draw_lift,
    draw_map,
    draw_series,
    draw_sparkline,
    draw_timeline,
    draw_triangle,
)

WORDS = {"title": "A picture", "description": "Of made-up rows", "expected": "expected", "break": "break"}
COLUMNS = [StageColumn("lead", "aware"), StageColumn("lead", "convert"), StageColumn("customer", "excite")]

_LIFT = [PointRow(f"day {day}", 2 + 9 / day, 2 - 20 / day, 6 + 30 / day) for day in range(1, 40)]
_SERIES = [
    PointRow(f"{day} Nov", 30 - (12 if day > 20 else 0) + day % 3, 26, 35, is_break=day == 21)
    for day in range(1, 29)
]
_DAYS = [
    DayRow(date(2026, 11, 1) + timedelta(days=day), 2_400 if day == 26 else 40 * (day % 9))
    for day in range(30)
]

GOLDEN: dict[str, Callable[[], Picture]] = {
    "sparkline": lambda: draw_sparkline(_SERIES, WORDS, id_="s"),
    "interval": lambda: draw_interval(IntervalRow(4.6, 0.3, 9.1, "good"), WORDS, id_="i", bound=10),
    "lift": lambda: draw_lift(_LIFT, WORDS, id_="l", expected=3),
    "series": lambda: draw_series(_SERIES, WORDS, id_="b"),
    "calendar": lambda: draw_calendar(_DAYS, WORDS, id_="c", year=2026, month=11),
    "triangle": lambda: draw_triangle(
        [
            CohortRow(f"2026-{month:02d}", 1_200 + month, tuple(0.9**period for period in range(8 - month)))
            for month in range(1, 7)
        ],
        WORDS,
        id_="t",
    ),
    "funnel": lambda: draw_funnel(
        [
            FunnelRow("visited", 12_400),
            FunnelRow("identified", 4_410),
            FunnelRow("subscribed", 890),
            FunnelRow("bought", 77),
        ],
        WORDS,
        id_="f",
    ),
    "flow": lambda: draw_flow(
        [
            FlowRow("subscribe", "subscribe", 4_410),
            FlowRow("subscribe", "excite", 310),
            FlowRow("excite", "ascend", 120),
            FlowRow("excite", "lapsed", 80),
        ],
        WORDS,
        id_="w",
    ),
    "timeline": lambda: draw_timeline(
        [
            SpanRow("events", "Order Completed", 3, when="3 Jun"),
            SpanRow("lead/any/welcome_series", "run", 0, 9, "span", "1 to 9 Jun"),
            SpanRow("mails", "guide", 4, kind="sent", when="4 Jun"),
            SpanRow("mails", "offer", 8, kind="withheld", when="8 Jun"),
        ],
        WORDS,
        id_="p",
        ends=("1 Jun", "9 Jun"),
    ),
    "journey": lambda: draw_journey(
        [
            JourneyRow("trigger", "when an open cart was left alone for 2h", people=12),
            JourneyRow("mail", "left", "Tue at 10:00", people=5),
            JourneyRow("branch", "branch1"),
            JourneyRow("case", "orders >= 1", level=1),
            JourneyRow("mail", "thanks", level=2),
            JourneyRow("case", "else", level=1),
            JourneyRow("wait", "2d", level=2, people=3),
            JourneyRow("mail", "last", "when days_until(deadline) >= 2"),
            JourneyRow("goal", "a first small order", "+3% Order Completed in 7d"),
        ],
        WORDS,
        id_="j",
    ),
    "areas": lambda: draw_areas(
        [AreaRow(f"{day} Nov", (40.0 + day, 3.0 * day, day**1.5, None)) for day in range(1, 29)],
        ["aware", "subscribe", "excite", "promote"],
        WORDS,
        id_="a",
    ),
    "bars": lambda: draw_bars(
        [FunnelRow("no mail", 120), FunnelRow("1 mail", 410), FunnelRow("12 or more", 3)], WORDS, id_="r"
    ),
    "ladder": lambda: draw_ladder(
        [
            OfferRow("no offer", 0.8, -0.4, 2.0, "EUR 0"),
            OfferRow("10 %", 2.9, 1.1, 4.7, "EUR 1.20 a buyer", is_best=True),
            OfferRow("25 %", 3.3, 1.4, 5.2, "EUR 3.10 a buyer"),
        ],
        {**WORDS, "best": "cheapest of the good"},
        id_="o",
    ),
    "calibration": lambda: draw_calibration(
        [
            CalibrationRow(share, share * 0.9 + 0.01, share * 0.8, share + 0.05, 200)
            for share in (0.02, 0.05, 0.11, 0.2, 0.34)
        ],
        {**WORDS, "predicted": "predicted", "observed": "what came"},
        id_="k",
    ),
    "map": lambda: draw_map(
        [
            MapRow("confirm", 0, 2),
            MapRow("abandoned_cart_with_a_long_name", 1, 1),
            MapRow("first_cup", 2, 2, note="41"),
        ],
        COLUMNS,
        WORDS,
        id_="m",
    ),
}

_NUMBERS = st.one_of(st.none(), st.floats(), st.floats(-1e4, 1e4), st.integers(-5, 5_000).map(float))
_NAMES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["<script>alert(1)</script>", "订单已完成，谢谢", "a" * 300, "]]>&amp;\x00\ud800"]),
)
_POINTS = st.lists(st.builds(PointRow, _NAMES, _NUMBERS, _NUMBERS, _NUMBERS, st.booleans()), max_size=40)
_WORDS = st.dictionaries(
    st.sampled_from(["title", "description", "expected", "break", "nothing", "others", "end"]), _NAMES
)
_DAY_ROWS = st.lists(st.builds(DayRow, st.dates(date(2026, 1, 1), date(2026, 3, 31)), _NUMBERS), max_size=40)
_COHORTS = st.lists(
    st.builds(CohortRow, _NAMES, st.integers(0, 10**9), st.lists(_NUMBERS, max_size=20).map(tuple)),
    max_size=30,
)
_KINDS = st.sampled_from(["trigger", "mail", "wait", "branch", "case", "action", "end", "goal", "other"])
_SPANS = st.builds(
    SpanRow,
    _NAMES,
    _NAMES,
    st.floats(),
    _NUMBERS,
    st.sampled_from(["span", "event", "sent", "withheld"]),
    _NAMES,
)
_STAGES = st.lists(st.builds(StageColumn, st.sampled_from(["lead", "customer"]), _NAMES), max_size=10)
_MAP_ROWS = st.lists(
    st.builds(MapRow, _NAMES, st.integers(-2, 9), st.integers(-2, 9), _NAMES, _NAMES), max_size=20
)

#: Any picture of any rows.
ANY_PICTURE: st.SearchStrategy[Picture] = st.one_of(
    *(st.builds(draw, _POINTS, _WORDS, id_=_NAMES) for draw in (draw_sparkline, draw_series)),
    st.builds(draw_lift, _POINTS, _WORDS, id_=_NAMES, expected=_NUMBERS),
    st.builds(
        draw_interval,
        st.builds(IntervalRow, _NUMBERS, _NUMBERS, _NUMBERS, _NAMES),
        _WORDS,
        id_=_NAMES,
        bound=st.floats(),
    ),
    st.builds(draw_calendar, _DAY_ROWS, _WORDS, id_=_NAMES, year=st.just(2026), month=st.integers(1, 3)),
    st.builds(draw_triangle, _COHORTS, _WORDS, id_=_NAMES),
    *(
        st.builds(draw, st.lists(st.builds(FunnelRow, _NAMES, _NUMBERS), max_size=40), _WORDS, id_=_NAMES)
        for draw in (draw_funnel, draw_bars)
    ),
    st.builds(
        draw_flow, st.lists(st.builds(FlowRow, _NAMES, _NAMES, _NUMBERS), max_size=30), _WORDS, id_=_NAMES
    ),
    st.builds(
        draw_timeline, st.lists(_SPANS, max_size=40), _WORDS, id_=_NAMES, ends=st.tuples(_NAMES, _NAMES)
    ),
    st.builds(
        draw_journey,
        st.lists(st.builds(JourneyRow, _KINDS, _NAMES, _NAMES, st.integers(-1, 9), _NUMBERS), max_size=40),
        _WORDS,
        id_=_NAMES,
    ),
    st.builds(draw_map, _MAP_ROWS, _STAGES, _WORDS, id_=_NAMES),
    st.builds(
        draw_areas,
        st.lists(st.builds(AreaRow, _NAMES, st.lists(_NUMBERS, max_size=12).map(tuple)), max_size=30),
        st.lists(_NAMES, max_size=12),
        _WORDS,
        id_=_NAMES,
    ),
    st.builds(
        draw_ladder,
        st.lists(
            st.builds(OfferRow, _NAMES, _NUMBERS, _NUMBERS, _NUMBERS, _NAMES, st.booleans()), max_size=30
        ),
        _WORDS,
        id_=_NAMES,
    ),
    st.builds(
        draw_calibration,
        st.lists(
            st.builds(CalibrationRow, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS, st.integers(0, 9)), max_size=50
        ),
        _WORDS,
        id_=_NAMES,
    ),
)
