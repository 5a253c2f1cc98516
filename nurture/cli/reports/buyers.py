"""`nurture report retention|nps`."""

from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation
from nurture.cli.reports.days import Since, Until

#: Months that the table shows; --json has all.
_SHOWN = 6


def retention(*, since: Since = None, until: Until = None, as_json: Json = False) -> None:
    """Show of the people who first bought in a month how many bought in the months after it.

    Each share has its 95 % interval (Wilson). A month that is not over is left out, and a month with fewer than 50 new
    buyers is not shown. --from and --to choose the months by any of their days; default: the last 12. Cancelled orders
    do not count. The second table is the share with a second order (Kaplan-Meier: the others have none so far).

    Example: nurture report retention --from 2026-01-01
    """
    from nurture.app.figures import buyers

    with open_installation() as services:
        found = buyers.retention(services, since=since, until=until)
    if as_json:
        output.print_json(found)
        return
    most = max((len(row["months"]) for row in found["cohorts"]), default=0)
    columns = [f"after {number}" for number in range(1, min(most, _SHOWN) + 1)]
    rows = [
        {"month": row["month"], "people": row["people"], **_cells(row, columns)} for row in found["cohorts"]
    ]
    title = f"first orders, {found['from']} to {found['to']}"
    output.print_table(rows, ["month", "people", *columns], title=title, empty="no orders")
    second = found["second_order"]
    output.print_fields(
        {
            "people": second["people"],
            "with a second order": second["with_second"],
            "half have one after": "open"
            if second["median_days"] is None
            else f"{second['median_days']} days",
            **{f"within {days} days": _interval(share) for days, share in second["shares"].items()},
        },
        title="second order",
    )
    if found["needs"]:
        output.print_text(f"for shares it needs {found['needs']}")


def _cells(row: dict[str, Any], columns: list[str]) -> dict[str, str]:
    if not row["shown"]:
        return {columns[0]: "fewer than 50 people"} if columns else {}
    return {name: _interval(share) for name, share in zip(columns, row["months"], strict=False)}


def _interval(share: dict[str, float] | None) -> str:
    if share is None:
        return ""
    value, low, high = (100 * share[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def nps(
    *,
    since: Since = None,
    until: Until = None,
    survey: Annotated[
        str | None, typer.Option("--survey", help="Only this survey; default: those with `nps` in the name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the net promoter score of surveys with its 95 % interval.

    Of each person the newest answer in the days counts (default: the last 365). Promoters answer 9 or 10, detractors 0
    to 6. A score needs 20 answers. The benchmark is `brand: {nps_benchmark: 41, nps_benchmark_source: ...}` in
    playbook.yaml; only a score whose whole interval lies beside it is above or below.

    Example: nurture report nps --from 2026-07-01
    """
    from nurture.app.figures import buyers

    with open_installation() as services:
        rows = buyers.nps(services, since=since, until=until, survey=survey)
    if as_json:
        output.print_json(rows)
        return
    columns = ["survey", "answers", "promoters", "passives", "detractors", "nps", "interval", "benchmark"]
    output.print_table([_nps_shown(row) for row in rows], columns)


def _nps_shown(row: dict[str, Any]) -> dict[str, Any]:
    benchmark = "" if row["benchmark"] is None else f"{row['benchmark']:g}"
    against = f"{benchmark}: {row['against_benchmark']}" if row["against_benchmark"] else benchmark
    return {
        **row,
        "survey": row["survey"] or "none",
        "nps": _needs(row) if row["nps"] is None else f"{row['nps']:+.1f}",
        "interval": "" if row["nps"] is None else f"{row['low']:+.1f} to {row['high']:+.1f}",
        "benchmark": f"{against} ({row['benchmark_source']})" if row["benchmark_source"] else against,
    }


def _needs(row: dict[str, Any]) -> str:
    words = f"needs {row['answers_missing']} more answers"
    return words if row["weeks_missing"] is None else f"{words}, about {row['weeks_missing']:g} weeks"
