"""Reports on orders and answers: retention by cohort, time to the second order, and the net promoter score."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from nurture.app.models.learn import order_names
from nurture.app.reports import asked_days
from nurture.app.services import Services
from nurture.domain.errors import InputError
from nurture.domain.figures.nps import ANSWERS_MIN, count_answers, is_score, net_promoter_score
from nurture.domain.figures.retention import COHORT_MIN, cohorts
from nurture.domain.figures.shares import Share
from nurture.domain.figures.time_in_stage import ENDED_MIN, estimate
from nurture.domain.inbound.answers import SURVEY_ANSWERED
from nurture.domain.instant import WEEK, Instant
from nurture.domain.playbook import Playbook
from nurture.domain.timing import at_local_time, start_of_day, start_of_next_month, to_local
from nurture.domain.values import read_decimal
from nurture.reports.figures.queries import SECOND, count_cohorts, load_answers, load_second_orders

#: Cohorts without --from; answers of so many days.
_MONTHS: Final = 12
_DAYS: Final = 365
#: The share with a second order is given after so many days.
WITHIN: Final = (30, 90, 180)


def retention(services: Services, *, since: str | None, until: str | None) -> dict[str, Any]:
    """Return the cohorts by month of the first order, and the time to the second order, in months that are over.

    since, until: a day of the first and of the last month; default: the last 12. Raises InputError for text that is no
    day, and for months that are not over.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        zone = playbook.default_zone
        asked_days(zone, since, until)
        months = _months(zone, now, since, until)
        names = order_names(playbook)
        cells = count_cohorts(connection, names, months) if names else []
        first, end = months[0][0], months[-1][1]
        stays = load_second_orders(connection, names, since=first, until=end) if names else []
    found, second = cohorts(cells, len(months)), estimate(stays)
    labels = [f"{to_local(begin, zone):%Y-%m}" for begin, _ in months]
    return {
        "cohorts": [
            {
                "month": labels[cohort.place],
                "people": cohort.people,
                "shown": cohort.is_shown,
                "months": [_share(share) for share in cohort.shares],
            }
            for cohort in found
        ],
        "second_order": {
            "people": second.people,
            "with_second": second.ended,
            "median_days": second.days_until(0.5),
            "shares": {str(days): _share(second.share_left(SECOND, days)) for days in WITHIN}
            if second.ended >= ENDED_MIN
            else {},
        },
        "needs": _needs(playbook, [cohort.people for cohort in found], now, zone),
        "from": labels[0],
        "to": labels[-1],
    }


def _months(zone: str, now: Instant, since: str | None, until: str | None) -> list[tuple[Instant, Instant]]:
    """Return begin and end of the months asked for; the last one is over."""
    this = _begin_of_month(to_local(now, zone).date(), zone)
    last = this if until is None else start_of_next_month(_begin(until, zone), zone)
    if last > this:
        raise InputError(
            f"--to {until}: that month is not over; the last one that is ended before {_day(this, zone)}"
        )
    if since is not None:
        begin = _begin_of_month(date.fromisoformat(since), zone)
    else:
        day = to_local(last, zone).date()
        begin = at_local_time(date(day.year - _MONTHS // 12, day.month, 1), 0, zone)
    months = []
    while begin < last:
        end = start_of_next_month(begin, zone)
        months.append((begin, end))
        begin = end
    if not months:
        raise InputError(f"--from {since}: that month is not over")
    return months


def _begin(day: str, zone: str) -> Instant:
    return _begin_of_month(date.fromisoformat(day), zone)


def _begin_of_month(day: date, zone: str) -> Instant:
    return at_local_time(day.replace(day=1), 0, zone)


def _day(at: Instant, zone: str) -> str:
    return to_local(at, zone).date().isoformat()


def _needs(playbook: Playbook, people: list[int], now: Instant, zone: str) -> str:
    """Return what is missing for the first share; "" when there is one."""
    if not order_names(playbook):
        return "the playbook has no entity with an amount; declare the orders under `entities`"
    most = max(people, default=0)
    if any(number >= COHORT_MIN for number in people[:-1]):
        return ""
    next_month = _day(start_of_next_month(now, zone), zone)
    if most >= COHORT_MIN:
        return f"the month after the first orders must be over; there may be figures from {next_month} on"
    return (
        f"a cohort of {COHORT_MIN} people who first bought in one month, and the month after it;"
        f" the largest has {most};"
        f" the next month is over on {next_month}"
    )


def nps(
    services: Services, *, since: str | None, until: str | None, survey: str | None
) -> list[dict[str, Any]]:
    """Return one row for each survey: the newest answer of each person in the days, default the last 365.

    survey: only this one; default: those whose name holds `nps`. Raises InputError for text that is no day.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        zone = playbook.default_zone
        days = asked_days(zone, since, until)
        end = now if days.last is None else min(_midnight(days.last, zone, 1), now)
        begin = start_of_day(end, zone, days=-_DAYS) if days.first is None else _midnight(days.first, zone)
        if begin >= end:
            raise InputError(f"--from {since}: that day has not begun")
        answers = load_answers(connection, SURVEY_ANSWERED, since=begin, until=end)
    surveys: dict[str, list[int]] = {}
    for answer in answers:
        is_asked = answer.survey == survey if survey is not None else "nps" in answer.survey.lower()
        score = _whole(answer.score)
        if is_asked and score is not None:
            surveys.setdefault(answer.survey, []).append(score)
    wanted = surveys or {survey or "": []}
    weeks = (end - begin) / WEEK
    return [_nps_row(name, scores, playbook, weeks) for name, scores in sorted(wanted.items())]


def _whole(value: Any) -> int | None:
    """Return an answer from 0 to 10; None for any other value. Forms send numbers as text."""
    number = read_decimal(value)
    whole = int(number) if number is not None and number == number.to_integral_value() else None
    return whole if whole is not None and is_score(whole) else None


def _nps_row(survey: str, scores: list[int], playbook: Playbook, weeks: float) -> dict[str, Any]:
    answers = count_answers(scores)
    score, missing = net_promoter_score(answers), max(ANSWERS_MIN - answers.number, 0)
    benchmark = read_decimal(playbook.brand.get("nps_benchmark"))
    return {
        "survey": survey,
        "answers": answers.number,
        **answers._asdict(),
        "nps": None if score is None else round(score.value, 1),
        "low": None if score is None else round(score.low, 1),
        "high": None if score is None else round(score.high, 1),
        "benchmark": None if benchmark is None else float(benchmark),
        "benchmark_source": str(playbook.brand.get("nps_benchmark_source", "")),
        "against_benchmark": "" if score is None or benchmark is None else _against(score, benchmark),
        "answers_missing": missing,
        "weeks_missing": round(missing * weeks / answers.number, 1) if missing and answers.number else None,
    }


def _against(score: Any, benchmark: Decimal) -> str:
    """Return whether the whole interval lies above or below the benchmark."""
    if score.low > benchmark:
        return "above"
    return "below" if score.high < benchmark else "not told apart"


def _midnight(day: str, zone: str, days: int = 0) -> Instant:
    return at_local_time(date.fromisoformat(day) + timedelta(days=days), 0, zone)


def _share(share: Share | None) -> dict[str, float] | None:
    return None if share is None else {name: round(value, 4) for name, value in share._asdict().items()}
