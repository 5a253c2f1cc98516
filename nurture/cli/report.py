"""`nurture report`: counts of mails, people and replies."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation
from nurture.domain.errors import InputError

app = typer.Typer(help="Show counts of mails, people and replies.", no_args_is_help=True)

_COUNTS = ["planned", "sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting"]


@app.command()
def measures(*, as_json: Json = False) -> None:
    """Count the mails of each measure by state. The columns after `planned` add up to it.

    Example: nurture report measures
    """
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.measures(services)
    output.print_rows(rows, ["measure", *_COUNTS, "skips", "expiries", "asked_for"], as_json=as_json)


@app.command()
def stages(*, as_json: Json = False) -> None:
    """Count the people at each stage.

    Example: nurture report stages
    """
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.stages(services)
    output.print_rows(rows, ["track", "stage", "people"], as_json=as_json)


@app.command()
def replies(
    *,
    days: Annotated[int, typer.Option(help="Count replies of the last DAYS days.", min=1)] = 30,
    as_json: Json = False,
) -> None:
    """Show how people's replies to our mails were answered: how many, how fast, how many late.

    Example: nurture report replies --days 7
    """
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.replies(services, days=days)
    output.print_rows(rows, list(rows[0]), as_json=as_json)


@app.command()
def lift(
    file: Annotated[Path, typer.Argument(help="CSV or JSON lines with one row for each person.")],
    *,
    arm: Annotated[str, typer.Option(help="The column with the person's arm.")],
    control: Annotated[str, typer.Option(help="The arm that the others are compared with.")],
    metric: Annotated[
        list[str],
        typer.Option(help="A column with outcomes; `spend:mean` or `visit:rate` says of which kind."),
    ],
    segment: Annotated[list[str] | None, typer.Option(help="A column to compare the lift within.")] = None,
    share: Annotated[
        list[str] | None, typer.Option(help="ARM=WEIGHT: the share that an arm was meant to have.")
    ] = None,
    tau: Annotated[
        float | None, typer.Option(help="The expected effect, in the metric's unit.", min=0)
    ] = None,
    alpha: Annotated[float, typer.Option(help="The share of false verdicts.", min=0.0001, max=0.5)] = 0.05,
    as_json: Json = False,
) -> None:
    """Judge any experiment by the statistics that judge measures.

    `low` and `high` hold however often one looks; `fixed_low` and `fixed_high` hold for a single look.

    Example: nurture report lift test.csv --arm group --control none --metric visit --metric spend:mean
    """
    from nurture.app.files.lift_file import LiftQuestion, compare_file

    question = LiftQuestion(
        arm, control, tuple(map(_metric, metric)), tuple(segment or ()), tau, alpha, _shares(share or [])
    )
    found = compare_file(file, question)
    if as_json:
        output.print_json(found)
        return
    output.print_rows(list(map(_lift_row, found["results"])), _LIFT_COLUMNS, as_json=False)
    for check in found["srm"]:
        if check["alarm"]:
            output.print_text(f"{check['arm']}: the arms are not split as meant, so no lift can be trusted")
    for part in found["segments"]:
        name = part["segment"]
        rows = [{**_lift_row(row), name: row["value_of_segment"]} for row in part["results"]]
        output.print_rows(rows, [name, *_LIFT_COLUMNS], as_json=False, title=f"by {name}")
        tests = [{**row, "q": _short(row["q"]), "p": _short(row["p"])} for row in part["heterogeneity"]]
        output.print_rows(
            tests, ["arm", "metric", "q", "df", "p"], as_json=False, title=f"does {name} matter?"
        )


_LIFT_COLUMNS = ["arm", "metric", "people", "value", "control", "lift", "at any time", "verdict"]


def _metric(text: str) -> Any:
    from nurture.app.files.lift_file import MetricColumn

    column, _, kind = text.rpartition(":")
    if not column or kind not in ("rate", "mean"):
        return MetricColumn(text)
    return MetricColumn(column, "rate" if kind == "rate" else "mean")


def _shares(texts: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for text in texts:
        name, _, weight = text.rpartition("=")
        try:
            shares[name] = float(weight)
        except ValueError:
            shares[name] = 0.0
        if not name or not 0 < shares[name] < 1e9:
            raise InputError(f"--share {text}: write ARM=WEIGHT, such as --share none=10")
    return shares


def _lift_row(result: dict[str, Any]) -> dict[str, Any]:
    low, high = (_short(result[name]) for name in ("low", "high"))
    return {
        "arm": result["arm"],
        "metric": result["metric"],
        "people": f"{result['n']:,} and {result['n_control']:,}",
        "value": _short(result["value"]),
        "control": _short(result["value_control"]),
        "lift": _short(result["lift"]),
        "at any time": f"{low} to {high}",
        "verdict": result["verdict"],
    }


def _short(value: float | None) -> str:
    return "open" if value is None else f"{value:.4g}"
