"""`nurture report stages`."""

from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation
from nurture.cli.reports.days import Since, Until


def stages(
    *,
    since: Since = None,
    until: Until = None,
    stalled: Annotated[
        int | None,
        typer.Option(
            help="List so many people who stay longer than nine of ten do, the longest stay first.",
            min=1,
            max=10_000,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the people at each stage, how long they stay, where they go, and how many stay longer than is usual.

    Moves are those of the last 30 days, or of --from to --to. `usual days` is the time within which nine of ten leave,
    worked out from all stays, also those that are not over. `on` is the share that goes on within 60 days, with its
    95 % interval. A person who stays longer counts as stalled; `measures` are those for this stage, or for it and later
    ones.

    Example: nurture report stages --stalled 20
    """
    from nurture.app import reports

    with open_installation() as services:
        found = reports.stages(services, since=since, until=until, stalled=stalled or 0)
    if as_json:
        output.print_json(found.stalled if stalled else found.stages_with_moves())
        return
    output.print_table(
        [_stage_shown(row) for row in found.stages], _STAGE, empty="nobody is known yet; hand in events"
    )
    output.print_table(
        found.moves, ["from", "to", "direction", "people"], title="moves", empty="nobody moved in this time"
    )
    if stalled:
        output.print_table(
            [{**row, "measures": _measures_of(row)} for row in found.stalled],
            ["contact", "email", "stage", "since_local", "days", "measures"],
            title="longer than usual",
            empty="nobody, as far as the usual time is known",
        )


_STAGE = [
    "track",
    "stage",
    "people",
    "stays",
    "ended",
    "median days",
    "usual days",
    "on",
    "stalled",
    "measures",
]


def _stage_shown(row: dict[str, Any]) -> dict[str, Any]:
    on = row["on"]
    interval = "" if on is None else f"{_rate(on['value'])} ({_rate(on['low'])} to {_rate(on['high'])})"
    return {
        **row,
        "median days": "open" if row["median_days"] is None else row["median_days"],
        "usual days": _usual_days(row),
        "on": interval,
        "stalled": "" if row["usual_days"] is None else row["stalled"],
        "measures": len(row["addressed_by"]) or "none",
    }


def _usual_days(row: dict[str, Any]) -> str:
    """Return the bound in days, or what it still needs and when that may be there."""
    if row["usual_days"] is not None:
        return str(row["usual_days"])
    if not row["ended_missing"]:
        return "open: too many are still there"
    words = f"needs {row['ended_missing']} more to leave"
    return words if row["weeks_missing"] is None else f"{words}, about {row['weeks_missing']:g} weeks"


def _measures_of(row: dict[str, Any]) -> str:
    if row["in_measures"]:
        return "is in " + ", ".join(row["in_measures"])
    return "for this stage: " + ", ".join(row["addressed_by"]) if row["addressed_by"] else "none"


def _rate(value: float) -> str:
    return f"{100 * value:.2f} %"
