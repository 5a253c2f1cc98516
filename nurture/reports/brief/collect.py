"""Collect what a brief tells: figures of a week beside the week before, what was stopped, and what needs a person."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.experiment.programme import PROGRAMME
from nurture.domain.figures.thanks import all_thanks
from nurture.domain.instant import DAY, MINUTE, Instant, parse_iso
from nurture.domain.playbook import Playbook
from nurture.domain.timing import start_of_day
from nurture.feedback.cases import case_name
from nurture.feedback.reply_queries import load_case_times
from nurture.measurement.restart import ACTOR
from nurture.measurement.trials import measure_trials
from nurture.reports.brief import queries
from nurture.reports.brief.queries import Pair, Week
from nurture.reports.day_table import Days, sum_mails
from nurture.reports.experiments import experiment_row

#: Rows of each list at most; the mail says how many there are in all.
LISTED_MAX: Final = 8
#: Answers that are searched for words of thanks.
_WORDS_MAX: Final = 2_000


class Moved(NamedTuple):
    """One figure of the week, and of the week before. currency: of an amount in hundredths; "": it is a number."""

    name: str
    now: int
    earlier: int
    currency: str = ""
    # A stage.
    about: str = ""


class Verdict(NamedTuple):
    """A verdict on a measure that is new, or had a consequence: its figures and how many people they are of."""

    measure: str
    verdict: str
    action: str
    treated: int
    control: int
    # The difference of rates as a fraction, or of amounts in hundredths of the currency; None where none is compared.
    difference: float | None
    currency: str
    is_amount: bool
    # The guard that was broken, with its count and the mails that it is of; "" for none.
    guard: str = ""
    guarded: int = 0
    mails: int = 0


class Stop(NamedTuple):
    """Something that a person paused: `measure`, `lane` or `all` by its name."""

    name: str
    entries_only: bool
    since: Instant
    actor: str
    reason: str


class LateCase(NamedTuple):
    """An overdue case: its name, its owner's name, and whether that owner gets this brief."""

    case: str
    owner: str
    is_mine: bool
    due_at: Instant


class Thanked(NamedTuple):
    """A customer's sentence that thanks somebody of the house."""

    name: str
    quote: str
    contact: int


class Replies(NamedTuple):
    """Cases of the week: opened, answered, late, and the median time to the answer in minutes."""

    opened: int
    answered: int
    late: int
    median_minutes: int | None


class Compared(NamedTuple):
    """The measures that are compared: how many, and the nearest that has something to say."""

    measures: int
    first_figures: Instant | None
    first_measure: str
    weeks: int | None
    weeks_measure: str


@dataclass(frozen=True, slots=True)
class Brief:
    """All that a brief tells."""

    week: Week
    zone: str
    brand: str
    # The name of the person who gets it; "" where only an address is known.
    recipient: str
    moved: list[Moved]
    stages: list[Moved]
    verdicts: list[Verdict]
    stopped: list[Verdict]
    pauses: list[Stop]
    open_pauses: list[Stop]
    open_cases: int
    overdue: int
    late: list[LateCase]
    approvals: int
    problems: int
    replies: Replies
    thanks: list[Thanked]
    compared: Compared
    # Names of owners of the house, by key.
    owners: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs(self) -> int:
        """Return how many things need a person."""
        return self.overdue + len(self.open_pauses) + self.approvals + self.problems

    @property
    def stops(self) -> int:
        """Return how many things were stopped in the week."""
        return len(self.stopped) + len(self.pauses)


def week_before(end: Instant, zone: str) -> Week:
    """Return the seven local days that end at a midnight, and the seven before."""
    noon = end + DAY // 2
    return Week(start_of_day(noon, zone, days=-14), start_of_day(noon, zone, days=-7), end)


def collect(
    connection: sa.Connection,
    playbook: Playbook,
    week: Week,
    *,
    now: Instant,
    recipient: str,
    orders: Collection[str],
    problems: int,
) -> Brief:
    """Return the brief. recipient: key of the owner who gets it; orders: entities that are purchases.

    problems: how many findings of the installation need a person, beside cases, pauses and approvals.
    """
    names = MeasureNames(playbook.measures)
    owners = {key: owner.name for key, owner in playbook.owners.items()}
    moves = queries.count_moves(connection, week)
    verdicts = [_verdict(row, names) for row in queries.load_verdicts(connection, week)]
    open_cases, overdue, late = queries.load_cases(connection, now=now, limit=100)
    thanks = all_thanks(queries.load_words(connection, week, limit=_WORDS_MAX), owners, limit=LISTED_MAX)
    return Brief(
        week=week,
        zone=playbook.default_zone,
        brand=str(playbook.brand.get("name", "")),
        recipient=owners.get(recipient, ""),
        moved=_moved(connection, playbook, week, moves, orders),
        stages=[
            Moved("stage", *moves[place], about=stage.name)
            for stage in playbook.stages
            if (place := ("stage", stage.name)) in moves
        ],
        verdicts=[row for row in verdicts if not _is_stop(row)],
        stopped=[row for row in verdicts if _is_stop(row)],
        pauses=[
            Stop(_shown(row.name, names), row.mode == "entries", row.since, row.actor, row.reason)
            for row in queries.load_new_pauses(connection, week)
            if row.actor != ACTOR
        ],
        open_pauses=[
            Stop(
                _shown(row.name, names), entries_only=False, since=row.at, actor=row.actor, reason=row.reason
            )
            for row in queries.load_open_pauses(connection)
        ],
        open_cases=open_cases,
        overdue=overdue,
        late=sorted(
            (
                LateCase(
                    case_name(row.id), owners.get(row.owner, row.owner), row.owner == recipient, row.due_at
                )
                for row in late
            ),
            key=lambda case: (not case.is_mine, case.due_at),
        )[:LISTED_MAX],
        approvals=queries.count_approvals(connection, now=now),
        problems=problems,
        replies=_replies(connection, week, now=now),
        thanks=[Thanked(owners[thanks.owner], thanks.quote, contact) for contact, thanks in thanks],
        compared=_compared(connection, playbook, names, now=now),
        owners=owners,
    )


def _moved(
    connection: sa.Connection,
    playbook: Playbook,
    week: Week,
    moves: Mapping[tuple[str, str], Pair],
    orders: Collection[str],
) -> list[Moved]:
    nothing = Pair(0, 0)
    sums = queries.sum_orders(connection, orders, week)
    number = Pair(
        sum(count.now for count, _ in sums.values()), sum(count.earlier for count, _ in sums.values())
    )
    amounts = [
        Moved("amount", *amount, currency=currency) for currency, (_, amount) in sums.items() if currency
    ]
    return [
        Moved("people", *queries.count_people(connection, week)),
        Moved("customers", *moves.get(("track", "customer"), nothing)),
        Moved("orders", *number),
        *amounts,
        Moved("mails", *_count_sent(connection, playbook.default_zone, week)),
        Moved("withdrawals", *queries.count_withdrawals(connection, week)),
        Moved("complaints", *queries.count_complaints(connection, week)),
    ]


def _count_sent(connection: sa.Connection, zone: str, week: Week) -> Pair:
    parts = []
    for since, until in ((week.since, week.until), (week.before, week.since)):
        day = Days(zone).day_of
        sums = sum_mails(connection, Days(zone, day(since), day(until - 1)))
        # The sixth part of the key is the state.
        parts.append(sum(count for key, count in sums.items() if key[5] == "sent"))
    return Pair(*parts)


def _verdict(row: Mapping[str, Any], names: MeasureNames) -> Verdict:
    figures = row["figures"]
    guard = _guard(figures) if row["verdict"] == "harms" else ""
    return Verdict(
        measure=PROGRAMME if row["measure"] == PROGRAMME else names.shown(row["measure"]),
        verdict=row["verdict"],
        action=row["action"],
        treated=row["treated"],
        control=row["control"],
        difference=figures.get("difference") if row["control"] else None,
        currency=row["currency"],
        is_amount=row["is_amount"],
        guard=guard,
        guarded=figures.get("guarded", {}).get(guard, 0),
        mails=figures.get("mails", 0),
    )


def _guard(figures: Mapping[str, Any]) -> str:
    """Return the guard whose evidence is greater than that of the difference; "" for none."""
    guards = figures.get("guards", {})
    name = max(guards, key=lambda guard: guards[guard], default="")
    is_broken = name and guards[name] > figures.get("log_e_harm", 0) and figures["guarded"].get(name)
    return name if is_broken else ""


def _is_stop(row: Verdict) -> bool:
    return row.action in ("stopped", "sent_back") or row.action.startswith("ended:")


def _shown(name: str, names: MeasureNames) -> str:
    return names.shown(name) if "/" in name else name


def _replies(connection: sa.Connection, week: Week, *, now: Instant) -> Replies:
    rows = [row for row in load_case_times(connection, since=week.since) if row.opened_at < week.until]
    took = sorted((row.answered_at - row.opened_at) // MINUTE for row in rows if row.answered_at is not None)
    late = sum((row.answered_at if row.answered_at is not None else now) > row.due_at for row in rows)
    return Replies(len(rows), len(took), late, took[(len(took) - 1) // 2] if took else None)


def _compared(
    connection: sa.Connection, playbook: Playbook, names: MeasureNames, *, now: Instant
) -> Compared:
    running = {measure.root for measure in playbook.measures.values()}
    rows = {
        names.shown(root): experiment_row(trial)
        for root, trial in measure_trials(connection, now=now, only=running).items()
        if trial.newest.arms[0].share
    }
    entered = {name: row for name, row in rows.items() if row["enrolled"]}
    first = min(
        (
            (row["next_figures"], name)
            for name, row in entered.items()
            if not row["n"] and row["next_figures"]
        ),
        default=("", ""),
    )
    weeks = min(
        ((row["weeks_to_go"], name) for name, row in entered.items() if row["weeks_to_go"]),
        default=(None, ""),
    )
    return Compared(len(entered), parse_iso(first[0]) if first[0] else None, first[1], *weeks)
