"""Published values: numbers that are computed elsewhere, and the bands of people."""

from nurture.domain.published_values.bands import (
    announced_version,
    band_of,
    default_margin,
    fold_band,
    is_news,
    published_event_body,
    read_number,
    value_message_id,
    write_number,
)

__all__ = [
    "announced_version",
    "band_of",
    "default_margin",
    "fold_band",
    "is_news",
    "published_event_body",
    "read_number",
    "value_message_id",
    "write_number",
]
