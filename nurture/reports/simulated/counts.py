"""Count the ledger of a simulation: mails by what they are, people by what they got, deferrals and delays.

Pure functions over `rows`; measures are shown by their present paths.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import DAY, HOUR, Instant, to_iso
from nurture.reports.simulated.rows import MailRow, PersonRow, SimulatedLedger

#: People that are named in a list of the most, and of the least.
_NAMED: Final = 10
#: Numbers of mails per person that have a row of their own; the last one means so many or more.
_MAILS_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class SimulationCounts:
    """The numbers of the page, as plain values."""

    # {"day", purpose: mails, ...} of each day from the first to the last.
    days: list[dict[str, Any]]
    # {"day", stage: people, ...}: where people stood at the end of each day.
    stages: list[dict[str, Any]]
    # Rows with `mails` (that left) and what they are counted by.
    by: dict[str, list[dict[str, Any]]]
    # {"mails", "people"}: how many people got so many mails.
    per_person: list[dict[str, int]]
    most: list[dict[str, Any]]
    least: list[dict[str, Any]]
    # Why people got no mail: {"reason", "people"}.
    nobody: list[dict[str, Any]]
    # {"reason", "mails", "times", "sent", "median_hours"}: what put mails off, and how much later they left.
    deferred: list[dict[str, Any]]
    # {"status", "reason", "mails"} of the mails that did not leave.
    unsent: list[dict[str, Any]]


def count_ledger(
    ledger: SimulatedLedger, names: MeasureNames, *, start: Instant, end: Instant
) -> SimulationCounts:
    """Return the numbers of a simulation from `start` to `end`."""
    sent = [mail for mail in ledger.mails if mail.sent_at is not None]
    return SimulationCounts(
        days=_days(sent, start, end),
        stages=_stages(ledger, start, end),
        by={
            "measure": _count(sent, lambda mail: {"measure": names.shown(mail.measure)}),
            "step": _count(sent, lambda mail: {"measure": names.shown(mail.measure), "step": mail.step}),
            "variant": _count(
                [mail for mail in sent if mail.variant],
                lambda mail: {"measure": names.shown(mail.measure), "variant": mail.variant},
            ),
            "language": _count(sent, lambda mail: {"language": mail.locale}),
            "stage": _count(sent, lambda mail: {"stage": mail.stage}),
            "purpose": _count(sent, lambda mail: {"purpose": mail.purpose}),
        },
        per_person=_per_person(sent, ledger.people),
        most=_named(sent, ledger.people, names, most=True),
        least=_named(sent, ledger.people, names, most=False),
        nobody=_nobody(ledger, sent),
        deferred=_deferred(ledger),
        unsent=_unsent(ledger.mails),
    )


def _day(at: Instant) -> str:
    return to_iso(at)[:10]


def _each_day(start: Instant, end: Instant) -> list[Instant]:
    return [start + number * DAY for number in range(max(1, -(-(end - start) // DAY)))]


def _days(sent: Iterable[MailRow], start: Instant, end: Instant) -> list[dict[str, Any]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for mail in sent:
        counts[_day(mail.sent_at or 0)][mail.purpose] += 1
    days = dict.fromkeys([*map(_day, _each_day(start, end)), *sorted(counts)])
    return [{"day": day, **counts[day]} for day in days]


def _stages(ledger: SimulatedLedger, start: Instant, end: Instant) -> list[dict[str, Any]]:
    """Return people by stage at the end of each day, without those who have not come yet."""
    first = {move.contact: move.before for move in sorted(ledger.moves, key=lambda move: -move.at)}
    arrivals = [
        (person.first_seen_at, person.id, first.get(person.id, person.stage)) for person in ledger.people
    ]
    changes = sorted(
        [*arrivals, *((move.at, move.contact, move.after) for move in ledger.moves)],
        key=lambda change: change[0],
    )
    stands: dict[int, str] = {}
    rows, place = list[dict[str, Any]](), 0
    for day in _each_day(start, end):
        while place < len(changes) and changes[place][0] < day + DAY:
            stands[changes[place][1]] = changes[place][2]
            place += 1
        rows.append({"day": _day(day), **Counter(stands.values())})
    return rows


def _count(mails: Iterable[MailRow], key: Callable[[MailRow], Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return how many mails have each key, and how many people got them; most mails first."""
    counts: Counter[tuple[tuple[str, str], ...]] = Counter()
    people: dict[tuple[tuple[str, str], ...], set[int]] = defaultdict(set)
    for mail in mails:
        name = tuple(key(mail).items())
        counts[name] += 1
        people[name].add(mail.contact)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{**dict(name), "mails": count, "people": len(people[name])} for name, count in ordered]


def _per_person(sent: Iterable[MailRow], people: Iterable[PersonRow]) -> list[dict[str, int]]:
    counts = Counter(mail.contact for mail in sent)
    numbers = Counter(min(counts[person.id], _MAILS_MAX) for person in people)
    return [{"mails": number, "people": numbers[number]} for number in range(_MAILS_MAX + 1)]


def _named(
    sent: Iterable[MailRow], people: Iterable[PersonRow], names: MeasureNames, *, most: bool
) -> list[dict[str, Any]]:
    """Return the people with the most mails, or with the fewest but one at least."""
    mails: dict[int, Counter[str]] = defaultdict(Counter)
    for mail in sent:
        mails[mail.contact][names.shown(mail.measure)] += 1
    known = [person for person in people if person.id in mails]
    sign = -1 if most else 1
    known.sort(key=lambda person: (sign * mails[person.id].total(), person.id))
    return [
        {
            "person": person.name,
            "stage": person.stage,
            "mails": mails[person.id].total(),
            "measures": dict(mails[person.id].most_common()),
        }
        for person in known[:_NAMED]
    ]


def _nobody(ledger: SimulatedLedger, sent: Iterable[MailRow]) -> list[dict[str, Any]]:
    """Return why people got no mail, by the most frequent reason of each; "" where nothing ever started."""
    mailed = {mail.contact for mail in sent}
    reasons: dict[int, Counter[str]] = defaultdict(Counter)
    for mail in ledger.mails:
        if mail.contact not in mailed:
            reasons[mail.contact][mail.reason or mail.status] += 1
    refused: dict[int, Counter[str]] = defaultdict(Counter)
    for (contact, _), (reason, _) in ledger.refusals.items():
        refused[contact][reason] += 1
    begun = {contact for contact, run in ledger.runs if run.status == "active"}
    counts: Counter[str] = Counter()
    for person in ledger.people:
        if person.id in mailed:
            continue
        own = reasons.get(person.id) or refused.get(person.id)
        if own:
            counts[min(own.items(), key=lambda item: (-item[1], item[0]))[0]] += 1
        else:
            counts["waits" if person.id in begun else ""] += 1
    return [
        {"reason": reason, "people": number}
        for reason, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _deferred(ledger: SimulatedLedger) -> list[dict[str, Any]]:
    """Return what put mails off, most mails first. A mail that several reasons put off counts for each."""
    sent = {mail.id: mail.sent_at for mail in ledger.mails if mail.sent_at is not None}
    times: Counter[str] = Counter()
    first: dict[tuple[str, int], Instant] = {}
    for row in ledger.deferrals:
        times[row.reason] += 1
        place = (row.reason, row.message)
        first[place] = min(first.get(place, row.judged_at), row.judged_at)
    rows = []
    for reason in times:
        mails = {message: at for (name, message), at in first.items() if name == reason}
        later = [(sent[message] - at) / HOUR for message, at in mails.items() if message in sent]
        rows.append(
            {
                "reason": reason,
                "mails": len(mails),
                "times": times[reason],
                "sent": len(later),
                "median_hours": round(median(later), 1) if later else None,
            }
        )
    return sorted(rows, key=lambda row: (-row["mails"], row["reason"]))


def _unsent(mails: Iterable[MailRow]) -> list[dict[str, Any]]:
    counts = Counter((mail.status, mail.reason) for mail in mails if mail.status not in ("sent", "waiting"))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"status": status, "reason": reason, "mails": count} for (status, reason), count in ordered]
