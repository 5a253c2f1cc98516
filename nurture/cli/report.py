"""`nurture report`: counts of mails, people and replies."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation
from nurture.cli.reports import brief, buyers, models, offers, stages
from nurture.cli.reports.days import Since, Until
from nurture.domain.errors import CheckFailed, InputError

app = typer.Typer(help="Show counts of mails, people and replies, and what models say.", no_args_is_help=True)
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(models.churn, models.value, models.score, stages.stages, offers.offers, brief.brief),
    *(buyers.retention, buyers.nps),
)
for command in _COMMANDS:
    app.command()(command)

_COUNTS = ["planned", "sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting"]


@app.command()
def measures(
    *,
    since: Since = None,
    until: Until = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the counts with the mails and the people themselves.")
    ] = False,
    correct: Annotated[
        bool, typer.Option("--correct", help="Compare, and add to the counts what they lack.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show of each measure its mails by state, and whether it works.

    The columns after `planned` add up to it; measures without a mail are in the second table only. `people` are
    those whose time for an outcome is over, with and without the measure; `at any time` holds however often one looks.

    With --from or --to the first table shows what changed in these days: the mails that were planned, and how many more
    are in each state at the end, so `waiting` may have fallen.

    Counts come from the day table. --verify compares it with the ledger and exits with 1 where they differ.

    Example: nurture report measures --from 2026-11-01 --to 2026-11-30
    """
    from nurture.app import reports

    if verify or correct:
        _verify(correct=correct, as_json=as_json)
        return
    with open_installation() as services:
        rows = reports.measures(services, since=since, until=until)
    if as_json:
        output.print_json(rows)
        return
    with_mails = [row for row in rows if row["planned"]]
    columns = ["measure", *_COUNTS, "skips", "expiries", "asked_for"]
    output.print_table(with_mails, columns, title="mails", empty="no measure has planned any")
    output.print_table([_shown(row) for row in rows], _SHOWN, title="effect")
    for line in _words_about_many(rows):
        output.print_text(line)


def _verify(*, correct: bool, as_json: bool) -> None:
    from nurture.app import reports

    with open_installation() as services:
        faults = reports.verify_counts(services)
        added = reports.correct_counts(services, actor=current_actor()) if correct else None
    if as_json:
        output.print_json({"differences": faults, "added": added})
    else:
        output.print_text("\n".join(faults) or "the counts match the ledger")
    if added is not None and not as_json:
        output.print_notice(f"{added} changes were added to the counts")
    if faults and added is None:
        raise CheckFailed(f"the day table differs in {len(faults)} places; --correct adds what it lacks")


@app.command()
def measure(
    path: Annotated[str, typer.Argument(metavar="MEASURE", help="track/stage/name of a measure.")],
    *,
    as_json: Json = False,
) -> None:
    """Show what one measure does: its arms, its effect, its guards, and every decision about it.

    Example: nurture report measure customer/any/second_order_coupon
    """
    from nurture.app import experiments

    with open_installation() as services:
        found = experiments.one_measure(services, path)
    if as_json:
        output.print_json(found)
        return
    words = {name: value for name, value in _shown(found).items() if name != "measure"}
    output.print_fields(
        {"goal": found["goal"], "metric": _metric_words(found), **words}, title=found["measure"]
    )
    arms = [
        {**row, "rate": "" if row["rate"] is None else _rate(row["rate"])}
        for row in found["arms"]
        if row["share_percent"] or row["entered"]
    ]
    output.print_table(
        arms, ["epoch", "since", "arm", "share_percent", "entered", "mature", "events", "rate"]
    )
    output.print_table(
        found["decisions"],
        ["day", "verdict", "action", "n", "n_control"],
        title="decisions",
        empty="none yet",
    )


@app.command()
def variants(
    path: Annotated[
        str | None, typer.Argument(metavar="[MEASURE]", help="track/stage/name of a measure; default: all.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show the variants of measures: the people, outcomes and state of each.

    A variant that is shown to be worse than another one, or than no mail, ends by itself. When the cheapest (the first
    in the file) is as good as each other one, it stays alone. `at any time` is the difference to the best one.

    Example: nurture report variants lead/any/abandoned_cart
    """
    from nurture.app import experiments

    with open_installation() as services:
        rows = experiments.list_variants(services, path)
    if as_json:
        output.print_json(rows)
        return
    output.print_table([_variant(row) for row in rows], _VARIANTS, empty="no measure has variants")


_VARIANTS = [
    "measure",
    "variant",
    "state",
    "share",
    "people",
    "with outcome",
    "value",
    "against",
    "at any time",
]


def _variant(row: dict[str, Any]) -> dict[str, Any]:
    """Return a variant's figures in people's units."""
    show = _short if row["unit"] == "amount" else _rate
    low, high = (_bound(row[name], row["unit"]) for name in ("low", "high"))
    is_open = row["low"] is None and row["high"] is None
    return {
        "measure": row["measure"],
        "variant": row["variant"],
        "state": row["state"],
        "share": f"{row['share_percent']:g} %",
        "people": f"{row['n']:,}",
        "with outcome": f"{row['events']:,}",
        "value": "" if row["value"] is None else show(row["value"]),
        "against": row["against"] or "",
        "at any time": "" if row["against"] is None else "open" if is_open else f"{low} to {high}",
    }


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


_SHOWN = ["measure", "expect", "people", "with", "without", "effect", "at any time", "verdict", "to go"]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a measure's figures in people's units: percentages and points, or money."""
    if row["unit"] is None:
        return {**dict.fromkeys(_SHOWN, ""), "measure": row["measure"], "verdict": row["verdict"]}
    show = _short if row["unit"] == "amount" else _rate
    is_compared = row["holdout_percent"] > 0
    low, high = (_bound(row[name], row["unit"]) for name in ("low", "high"))
    return {
        "measure": row["measure"],
        "expect": row["expect"],
        "people": f"{row['n']:,} and {row['n_control']:,}" if is_compared else f"{row['n']:,}",
        "with": "" if row["value"] is None else show(row["value"]),
        "without": "" if row["value_control"] is None else show(row["value_control"]),
        "effect": _effect(row),
        "at any time": "open" if row["low"] is None and row["high"] is None else f"{low} to {high}",
        "verdict": row["verdict"],
        "to go": _to_go(row),
    }


def _words_about_many(rows: list[dict[str, Any]]) -> list[str]:
    """Return what many verdicts at a time mean; nothing where no measure is compared."""
    if not rows or not rows[0]["compared"]:
        return []
    compared, by_chance = rows[0]["compared"], rows[0]["by_chance"]
    works = [row["measure"] for row in rows if row["works_together"]]
    names = ", ".join(works) or "none yet"
    return [
        f"measures compared: {compared}; if none changed anything, up to {by_chance:g} of them would work or do harm",
        f"work beside all others (at most one in ten of these by chance): {names}",
    ]


def _metric_words(row: dict[str, Any]) -> str:
    return "" if row["unit"] is None else f"{row['metric']} within {row['within_days']:g} days"


def _effect(row: dict[str, Any]) -> str:
    if row["lift"] is None:
        return ""
    return f"{row['lift']:+.2f}" if row["unit"] == "amount" else f"{100 * row['lift']:+.2f} points"


def _bound(value: float | None, unit: str) -> str:
    """Return one end of the interval: of a level a rate, of a difference points, a share or money."""
    if value is None:
        return "open"
    words = {"level": f"{100 * value:.2f} %", "amount": f"{value:+.2f}", "relative": f"{100 * value:+.1f} %"}
    return words.get(unit, f"{100 * value:+.2f} points")


def _to_go(row: dict[str, Any]) -> str:
    """Return when there is more to say: the first figures, or how long a verdict takes."""
    if not row["enrolled"]:
        return "nobody has entered"
    if not row["n"] and row["next_figures"] is not None:
        return f"first figures {row['next_figures'][:10]}"
    return "" if row["weeks_to_go"] is None else f"about {row['weeks_to_go']} weeks"


def _rate(value: float) -> str:
    return f"{100 * value:.2f} %"


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
