"""docs/scale.md: the arithmetic from one machine to a hundred million people, from what was measured."""

import json
import re
from collections.abc import Mapping
from typing import Any

from bench.sizes import EVENTS_A_YEAR, GROWS, MAILS_A_YEAR
from bench.stage import ROOT
from bench.table import SIZES_KEPT

PAGE = ROOT / "docs/scale.md"
_SECONDS_A_YEAR = 365 * 86_400
_PEOPLE = 100_000_000
#: A peak is so many times the mean.
_PEAK = 5
#: Each contact's alarm rings so often a year: twice in ten days, and some more in a journey.
_RINGS_A_YEAR = 100
_CAMPAIGN_HOURS = 4
#: Unit of work -> the row that measures it, and how often a year of one person needs it.
_KINDS = {
    "events in": ("ingest", EVENTS_A_YEAR),
    "events applied": ("advance", EVENTS_A_YEAR),
    "alarms rung": ("alarms", _RINGS_A_YEAR),
    "mails": ("bulk_send", MAILS_A_YEAR),
}
#: Days that contents of mails are kept in the reckoning.
_CONTENTS_DAYS = 90

Sizes = Mapping[str, Mapping[str, float]]


def write(rows: Mapping[str, Any]) -> None:
    """Write both reckonings into the page, between their marks; the rest is written by hand and stays."""
    text = PAGE.read_text("utf-8")
    if SIZES_KEPT.exists():
        text = between(text, "sizes", sizes_section(json.loads(SIZES_KEPT.read_text("utf-8"))))
    PAGE.write_text(between(text, "load", load_section(rows)), encoding="utf-8")


def between(text: str, name: str, section: str) -> str:
    """Return the page with this section between its two marks."""
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        message = f"docs/scale.md: no '{begin}' with its '{end}'"
        raise ValueError(message)
    return f"{before}{begin}\n\n{section}\n{end}{after}"


def sizes_section(sizes: Sizes) -> str:
    """Return what a person, an event and a mail take, and with it a million people and a hundred million."""
    units = {"people": "a person", "events": "an event", "mails": "a mail"}
    each = {grows: _each(sizes, grows) for grows in units}
    lines = ["| grows with | bytes a row, indexes included (rows each) | together |", "|---|---|---|"]
    for grows, unit in units.items():
        text = " · ".join(
            f"`{name}` {size['bytes_a_row']:,.0f} ({size['each']:.2g})"
            for name, size in sizes.items()
            if GROWS[name] == grows
        )
        lines.append(f"| {grows} | {text} | **{each[grows] / 1000:.2f} kB {unit}** |")
    stays, events, mails = each["people"], EVENTS_A_YEAR * each["events"], MAILS_A_YEAR * each["mails"]
    contents = MAILS_A_YEAR * sum(size["each"] * size["contents_bytes_a_row"] for size in sizes.values())
    held = contents * _CONTENTS_DAYS / 365
    lines += ["", "| | a million people | a hundred million |", "|---|---|---|"]
    for what, value in (
        ("stays", stays),
        (f"a year of events, {EVENTS_A_YEAR} a person", events),
        (f"a year of mails, {MAILS_A_YEAR} a person", mails),
        ("of that, what mails were made from, verdicts and words of reports", contents),
        (f"a year of mails whose contents are kept {_CONTENTS_DAYS} days", mails - contents),
        ("and those contents, at any moment", held),
    ):
        lines.append(f"| {what} | {_bytes(value * 1_000_000)} | {_bytes(value * _PEOPLE)} |")
    return "\n".join(lines) + "\n"


def load_section(rows: Mapping[str, Any]) -> str:
    """Return what a hundred million people ask of two cores as measured; empty cells where nothing was."""
    lines = [
        "| | a year | mean | peak | measured on 2 cores | cores at the peak |",
        "|---|---|---|---|---|---|",
    ]
    for what, (row, a_year) in _KINDS.items():
        year = a_year * _PEOPLE
        mean = year / _SECONDS_A_YEAR
        lines.append(_load(what, f"{year / 1e9:,.0f} billion", f"{mean:,.0f}/s", _PEAK * mean, rows.get(row)))
    campaign = _PEOPLE / (_CAMPAIGN_HOURS * 3600)
    words = f"one campaign to everybody in {_CAMPAIGN_HOURS} hours"
    lines.append(_load(words, f"{_PEOPLE / 1e6:,.0f} million", "", campaign, rows.get("bulk_send")))
    return "\n".join(lines) + "\n"


def _load(what: str, year: str, mean: str, peak: float, row: Mapping[str, Any] | None) -> str:
    measured, cores = "", ""
    if row is not None:
        rate = float(re.sub(r"[^\d.]", "", str(row["figures"][0][2]).split(" ")[0]))
        measured, cores = f"{rate:,.0f}/s", f"{2 * peak / rate:,.1f}"
    return f"| {what} | {year} | {mean} | {peak:,.0f}/s | {measured} | {cores} |"


def _each(sizes: Sizes, grows: str) -> float:
    return sum(size["each"] * size["bytes_a_row"] for name, size in sizes.items() if GROWS[name] == grows)


def _bytes(value: float) -> str:
    return f"{value / 1e12:,.1f} TB" if value >= 1e12 else f"{value / 1e9:,.1f} GB"
