"""Pictures of numbers and programmes: pure functions from rows to SVG text.

A picture comes wide (720 px) and narrow (288 px), with a table of the same rows. Colours are classes (`palette`), words
are passed in. Every function takes an `id` that differs for each picture of a page. A label that finds no room is left
out of the picture; the table has every value.
"""

from nurture.pictures.areas import AreaRow, draw_areas
from nurture.pictures.calendar import DayRow, draw_calendar
from nurture.pictures.cohorts import CohortRow, FunnelRow, draw_bars, draw_funnel, draw_triangle
from nurture.pictures.flow import FlowRow, draw_flow
from nurture.pictures.journey import JourneyRow, draw_journey
from nurture.pictures.ladder import CalibrationRow, OfferRow, draw_calibration, draw_ladder
from nurture.pictures.lines import (
    IntervalRow,
    PointRow,
    draw_interval,
    draw_lift,
    draw_series,
    draw_sparkline,
)
from nurture.pictures.palette import stylesheet
from nurture.pictures.person_timeline import SpanRow, draw_timeline
from nurture.pictures.picture import Picture, Table, page_part, standalone
from nurture.pictures.programme_map import MapRow, StageColumn, draw_map

__all__ = [
    "AreaRow",
    "CalibrationRow",
    "CohortRow",
    "DayRow",
    "FlowRow",
    "FunnelRow",
    "IntervalRow",
    "JourneyRow",
    "MapRow",
    "OfferRow",
    "Picture",
    "PointRow",
    "SpanRow",
    "StageColumn",
    "Table",
    "draw_areas",
    "draw_bars",
    "draw_calendar",
    "draw_calibration",
    "draw_flow",
    "draw_funnel",
    "draw_interval",
    "draw_journey",
    "draw_ladder",
    "draw_lift",
    "draw_map",
    "draw_series",
    "draw_sparkline",
    "draw_timeline",
    "draw_triangle",
    "page_part",
    "standalone",
    "stylesheet",
]
