"""`nurture report churn|value|score`: what models say of people, and how right they were before."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation

To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day that is read.")]
Weeks = Annotated[int | None, typer.Option("--weeks", help="Forecast so many weeks.", min=1, max=104)]
Person = Annotated[str | None, typer.Option("--who", help="Show only this person.", metavar="WHO")]
Top = Annotated[int, typer.Option("--top", help="Show so many people.", min=0, max=1000)]
Language = Annotated[str, typer.Option("--locale", help="The language of reasons: en or zh-CN.")]


def churn(
    *,
    weeks: Weeks = None,
    to: To = None,
    who: Person = None,
    top: Top = 10,
    locale: Language = "en",
    as_json: Json = False,
) -> None:
    """Show which customers will probably not buy again, and how right that was before.

    A customer's number is the probability that they buy nothing in the next 13 weeks. The model is fitted to the weeks
    before, judged by what came since, and compared with recency: the rule that who bought last buys next.

    Example: nurture report churn --weeks 26
    """
    _show("churn", to=to, weeks=weeks, who=who, top=top, locale=locale, as_json=as_json)


def value(
    *,
    weeks: Weeks = None,
    to: To = None,
    who: Person = None,
    top: Top = 10,
    locale: Language = "en",
    as_json: Json = False,
) -> None:
    """Show how much each customer will probably spend, and how right that was before.

    A customer's number is the amount of the next 39 weeks, from how often they buy and for how much. `of nine in ten
    less` and `more` are the range in which the amounts of eight in ten people of a group lay.

    Example: nurture report value --who ada@shop.example
    """
    _show("value", to=to, weeks=weeks, who=who, top=top, locale=locale, as_json=as_json)


def score(
    *,
    weeks: Weeks = None,
    to: To = None,
    who: Person = None,
    top: Top = 10,
    locale: Language = "en",
    as_json: Json = False,
) -> None:
    """Show which leads will probably become customers, and how right that was before.

    A lead's number is the probability that they become a customer in the next 4 weeks, learnt from those who did, by
    what was known of them before. It orders work; nobody is dropped by it.

    Example: nurture report score --top 50
    """
    _show("score", to=to, weeks=weeks, who=who, top=top, locale=locale, as_json=as_json)


def _show(
    name: Any,
    *,
    to: str | None,
    weeks: int | None,
    who: str | None,
    top: int,
    locale: str,
    as_json: bool,
) -> None:
    from nurture.app.models import learn
    from nurture.domain.errors import InputError
    from nurture.learning.words import LANGUAGES

    if locale not in LANGUAGES:
        raise InputError(f"--locale {locale}: write {' or '.join(LANGUAGES)}")
    with open_installation() as services:
        found = learn.report(services, name, to=to, weeks=weeks, who=who, top=top)
    if as_json:
        output.print_json(found)
    elif not found["learnt"]:
        words = "not learnt yet" if found["refused"] == "needs" else "refused"
        output.print_text(f"{name}: {words}: {found['reason']}")
    else:
        _print(found, locale)


def _print(found: dict[str, Any], locale: str) -> None:
    test = found["back_test"]
    is_amount = found["model"] == "value"
    number = _amount if is_amount else _percent
    output.print_fields(
        {
            "people": found["people"],
            "forecast": f"{found['horizon_days']:.0f} days from {found['until'][:10]} on",
            "rule": _RULES[found["rule"]],
            **({"total": f"{found['total']:,.2f} {found['currency']}".strip()} if is_amount else {}),
        },
        title=found["model"],
    )
    period = f"{test['since'][:10]} to {test['until'][:10]}"
    if is_amount:
        output.print_fields(_amount_fields(test), title=f"back-test: {period}")
    else:
        rows = [_ranking_row(part, test[part]) for part in ("all", "repeaters") if part in test]
        output.print_table(rows, list(rows[0]), title=f"back-test: {period}")
        output.print_text(_calibration_words(test))
    output.print_table(
        [_group(group, number, with_range=is_amount) for group in test["calibration"]],
        ["people", "forecast", "came", *(["nine in ten more than", "nine in ten less than"] if is_amount else [])],
        title="tenths of the people, by forecast",
    )  # fmt: skip
    output.print_table(
        [_contact(row, number, locale) for row in found["contacts"]],
        ["contact", "number", "reasons"],
        title="people",
    )


_RULES = {
    "model": "the model: better than recency on the newest period",
    "recency": "recency: the model was no better on the newest period",
}


def _ranking_row(part: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "people": part,
        "n": row["people"],
        "with the end": _percent(row["share"]),
        "area": _area(row["area"]),
        "area by recency": _area(row["area_recency"]),
        "in the highest tenth": _percent(row["highest_tenth"]),
        "by recency": _percent(row["highest_tenth_recency"]),
    }


def _calibration_words(test: dict[str, Any]) -> str:
    if test["calibration_error"] is None:
        return (
            "The history is too short for two such periods: this back-test was fitted to"
            f" {test['fitted_days']:.0f} days, so it shows the order of people and not how high the numbers are."
        )
    return f"On average the forecast of a tenth was off by {100 * test['calibration_error']:.1f} points."


def _amount_fields(test: dict[str, Any]) -> dict[str, Any]:
    return {
        "people": test["people"],
        "forecast": f"{test['forecast']:,.2f}",
        "came": f"{test['came']:,.2f} (the forecast was {_percent(test['ratio'])} of it)",
        "the best tenth spent": f"{_percent(test['top_tenth'])} of all by the model,"
        f" {_percent(test['top_tenth_by_spent'])} by what they had spent,"
        f" {_percent(test['top_tenth_recency'])} by recency",
        "off per person": f"{test['mean_error']:,.2f}",
    }


def _group(group: dict[str, Any], number: Callable[[float], str], *, with_range: bool) -> dict[str, Any]:
    row = {"people": group["people"], "forecast": number(group["forecast"]), "came": number(group["came"])}
    if with_range:
        row |= {
            "nine in ten more than": number(group["low"]),
            "nine in ten less than": number(group["high"]),
        }
    return row


def _contact(row: dict[str, Any], number: Callable[[float], str], locale: str) -> dict[str, Any]:
    return {
        "contact": row["contact"],
        "number": "unknown" if row["number"] is None else number(row["number"]),
        "reasons": "; ".join(row["reasons"][locale]),
    }


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _amount(value: float) -> str:
    return f"{value:,.2f}"


def _area(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
