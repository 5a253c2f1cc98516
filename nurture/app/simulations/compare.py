"""Simulate the same people under two programmes: the differences in mails and people, with the rule that made each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nurture.app.playbook_changes import describe_changes
from nurture.app.simulations.run import Played
from nurture.contacts.queries import load_contacts
from nurture.domain.contact import Run
from nurture.domain.measure import MailStep, Measure
from nurture.playbook.diff import compare as compare_playbooks
from nurture.reports.simulated.rows import MailRow, PersonRow, SimulatedLedger
from nurture.reports.why import explain_measure

#: People of one measure about whom the rules are asked one by one; the others have the reason `not looked at`.
_ASKED_MAX: Final = 60
#: People that are named for each reason.
_NAMED: Final = 5

#: (person's name, identity of the measure, run key, step)
_MailKey = tuple[str, str, str, str]


def compare_played(mine: Played, other: Played) -> dict[str, Any]:
    """Return what the other programme does otherwise: mails by measure, people who lose or gain one, and why."""
    sent = {row["measure"]: row["sent"] for row in mine.summary["measures"]}
    sent_against = {row["measure"]: row["sent"] for row in other.summary["measures"]}
    differences = [
        {
            "measure": name,
            "mails": sent.get(name, 0),
            "mails_against": sent_against.get(name, 0),
            "difference": sent_against.get(name, 0) - sent.get(name, 0),
        }
        for name in sorted({*sent, *sent_against})
    ]
    lost, gained = _lost(mine, other), _lost(other, mine)
    changes = describe_changes(compare_playbooks(mine.loaded, other.loaded), mine.loaded, other.loaded)
    return {
        "mails": mine.summary["mails"],
        "mails_against": other.summary["mails"],
        "differences": differences,
        "changes": changes,
        "people": [
            *({"change": "lost", **row} for row in lost),
            *({"change": "gained", **row} for row in gained),
        ],
        "people_otherwise": _people_otherwise(mine, other),
    }


def _people_otherwise(mine: Played, other: Played) -> int:
    """Return how many people get other mails."""
    before, after = _mails_by_person(mine.ledger), _mails_by_person(other.ledger)
    return sum(before.get(name) != after.get(name) for name in before.keys() | after.keys())


def _mails_by_person(ledger: SimulatedLedger) -> dict[str, set[_MailKey]]:
    mails: dict[str, set[_MailKey]] = defaultdict(set)
    for key in _sent_keys(ledger):
        mails[key[0]].add(key)
    return mails


def _sent_keys(ledger: SimulatedLedger) -> dict[_MailKey, MailRow]:
    names = {person.id: person.name for person in ledger.people}
    return {
        (names.get(mail.contact, ""), mail.measure, mail.key, mail.step): mail
        for mail in ledger.mails
        if mail.sent_at is not None
    }


def _lost(one: Played, other: Played) -> list[dict[str, Any]]:
    """Return the mails that only `one` sent, by measure and step, with the reasons that `other` had."""
    theirs = _sent_keys(other.ledger)
    missing: dict[tuple[str, str], list[_MailKey]] = defaultdict(list)
    for key in _sent_keys(one.ledger):
        if key not in theirs:
            missing[key[1], key[3]].append(key)
    reasons = _Reasons(other)
    rows = []
    for (root, step), keys in sorted(missing.items()):
        measure = one.loaded.playbook.measures.get(root)
        rows.append(
            {
                "measure": root if measure is None else measure.path,
                "step": step,
                "mails": len(keys),
                "people": len({key[0] for key in keys}),
                "reasons": reasons.of(root, step, keys),
            }
        )
    return rows


@dataclass(frozen=True, slots=True)
class _Trace:
    """The traces of a mail in the ledger of a programme."""

    mails: Mapping[_MailKey, MailRow]
    runs: Mapping[tuple[str, str, str], Run]
    people: Mapping[str, PersonRow]


class _Reasons:
    """Says why a programme did not send a mail that another one sent."""

    def __init__(self, played_: Played) -> None:
        ledger = played_.ledger
        names = {person.id: person.name for person in ledger.people}
        self._played = played_
        self._trace = _Trace(
            {(names.get(m.contact, ""), m.measure, m.key, m.step): m for m in ledger.mails},
            {(names.get(contact, ""), run.measure, run.key): run for contact, run in ledger.runs},
            {person.name: person for person in ledger.people},
        )

    def of(self, root: str, step: str, keys: Iterable[_MailKey]) -> list[dict[str, Any]]:
        """Return the reasons with the number of people and some of their names, the most frequent first."""
        measure = self._played.loaded.playbook.measures.get(root)
        people: dict[str, dict[str, None]] = defaultdict(dict)
        asked = 0
        for key in sorted(keys):
            reason = _reason(self._played, self._trace, measure, step, key)
            if reason is None and measure is not None:
                asked += 1
                reason = self._ask(measure, key[0]) if asked <= _ASKED_MAX else "not looked at"
            people[reason or "the measure is gone"][key[0]] = None
        counts = Counter({reason: len(names) for reason, names in people.items()})
        return [
            {"reason": reason, "people": count, "names": list(people[reason])[:_NAMED]}
            for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]

    def _ask(self, measure: Measure, name: str) -> str:
        """Return the first condition that keeps a person out of a measure at the end of the simulation."""
        person = self._trace.people.get(name)
        if person is None:
            return "the person is not known"
        services, playbook = self._played.services, self._played.loaded.playbook
        with services.database.read() as connection:
            contact = load_contacts(connection, [person.id], playbook)[person.id]
            why = explain_measure(connection, contact, measure, playbook=playbook, now=self._played.end)
        missed = next((finding for finding in why.findings if not finding.met), None)
        return f"{missed.check}: {_without_instants(missed.value)}" if missed else "it began at another time"


def _without_instants(text: str) -> str:
    """Return the text up to what differs from person to person."""
    return text.partition("; ")[0].partition(" at 2")[0]


def _reason(other: Played, trace: _Trace, measure: Measure | None, step: str, key: _MailKey) -> str | None:
    """Return the reason that the ledger, the run or the refusal of a programme names; None where none does."""
    if measure is None:
        return "the measure is gone"
    mail = trace.mails.get(key)
    if mail is not None:
        return f"{mail.status}: {mail.reason}" if mail.reason else mail.status
    place = measure.step(step)
    if place is None:
        return f"the step {step} is gone"
    run = trace.runs.get(key[:3])
    if run is not None:
        return _reason_of_run(run, place if isinstance(place, MailStep) else None)
    person = trace.people.get(key[0])
    refusal = None if person is None else other.ledger.refusals.get((person.id, measure.root))
    if refusal is None:
        return None
    # The detail has the person's own values, so people of one rule would not be counted together.
    rule = measure.audience.text if refusal[0] == "audience" else refusal[0].replace("_", " ")
    return f"audience: {rule} is not yes" if refusal[0] == "audience" else f"refused: {rule}"


def _reason_of_run(run: Run, step: MailStep | None) -> str:
    outcome = run.outcomes.get(step.id) if step is not None else None
    if outcome is not None and step is not None and step.when is not None:
        return f"when: {step.when.text}"
    if run.status == "active":
        return f"still at {run.step}"
    return f"{run.status}: {run.reason}" if run.reason else "another way through the measure"
