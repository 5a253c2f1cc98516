"""sizes: what a row of each table takes, indexes included, and with it a million people and a year of them."""

import json

import psycopg

from bench.crowd import Crowds
from bench.stage import Figure
from bench.table import SIZES_KEPT

#: Events and mails of one person in a year, for the estimate.
EVENTS_A_YEAR, MAILS_A_YEAR = 50, 40
#: Table -> what its rows grow with: people once, or each event or mail of every year.
GROWS = {
    **dict.fromkeys(("contacts", "contact_state", "identities", "consents"), "people"),
    **dict.fromkeys(("events", "transitions", "milestones", "runs", "non_entries"), "events"),
    **dict.fromkeys(("messages", "attempts", "coupons", "feedback"), "mails"),
}
#: Columns that retention empties in rows that stay: the context of mails, the text of reports.
_CONTENTS = {
    "messages": "coalesce(pg_column_size(context), 0) + coalesce(pg_column_size(verdict), 0)",
    "feedback": "pg_column_size(raw) + pg_column_size(detail)",
}
# Rows of smaller crowds are of the same size but for what is not yet filled of each table's last pages.
_SCALE_KEPT = 0.1


def measure(crowds: Crowds, scale: float) -> list[Figure]:
    """Return the bytes of a million people and a year of them, from 1,000,000 at scale 1."""
    found = table_sizes(crowds.of(max(200, int(1_000_000 * scale))).url)
    if scale >= _SCALE_KEPT:
        SIZES_KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    million = sum(size["bytes_a_million"] for size in found.values()) / 2**30
    year = sum(size["bytes_a_million_a_year"] for size in found.values()) / 2**30
    what = (
        f"tables and indexes, a million people, {EVENTS_A_YEAR} events and {MAILS_A_YEAR} mails each a year"
    )
    note = f"of {million + year:,.0f} GB after a year, {million:,.1f} GB do not grow with time"
    return [Figure("size", what, million + year, "GB", note=note)]


def table_sizes(url: str) -> dict[str, dict[str, float]]:
    """Return table -> rows, bytes a row (with TOAST and indexes), of them indexes and contents; and for a million.

    contents: what retention removes of rows that stay. `each`: rows for each person, event or mail.
    """
    sizes: dict[str, dict[str, float]] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        counts = {name: _one(connection, f"SELECT count(*) FROM {name}") for name in GROWS}
        bases = {"people": counts["contacts"], "events": counts["events"], "mails": counts["messages"]}
        a_year = {"people": 0, "events": EVENTS_A_YEAR, "mails": MAILS_A_YEAR}
        for name, grows in GROWS.items():
            rows = counts[name]
            if not rows:
                continue
            total = _one(connection, f"SELECT pg_total_relation_size('{name}')")
            indexes = _one(connection, f"SELECT pg_indexes_size('{name}')")
            contents = (
                _one(connection, f"SELECT sum({_CONTENTS[name]}) FROM {name}") if name in _CONTENTS else 0
            )
            each = rows / bases[grows]
            sizes[name] = {
                "rows": rows,
                "each": each,
                "bytes_a_row": total / rows,
                "index_bytes_a_row": indexes / rows,
                "contents_bytes_a_row": contents / rows,
                "bytes_a_million": 1_000_000 * total / rows * each if grows == "people" else 0,
                "bytes_a_million_a_year": 1_000_000 * a_year[grows] * total / rows * each,
            }
    return sizes


def _one(connection: psycopg.Connection[tuple[int]], statement: str) -> int:
    row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
    return int(row[0] or 0) if row else 0
