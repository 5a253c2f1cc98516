"""Pictures of programmes and people: rows from playbooks and reports, drawn by `nurture.pictures`."""

from nurture.app.pictures.person import draw_person, timeline_page
from nurture.app.pictures.programme import (
    draw_measure_journey,
    draw_programme_map,
    journey_rows,
    write_pictures,
)

__all__ = [
    "draw_measure_journey",
    "draw_person",
    "draw_programme_map",
    "journey_rows",
    "timeline_page",
    "write_pictures",
]
