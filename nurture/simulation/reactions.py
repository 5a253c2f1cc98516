"""Draw the reactions of made-up people to the mails they got, by the rates of a file (`reaction_rates`).

A confirmation, an unsubscribe and a complaint use the code that real ones use; a click and what a mail asks for are
events. People of the holdout do by themselves, less often, what the withheld mail asks for. Random numbers come from
the seed and the message, so the same seed gives the same reactions.
"""

import random  # noqa: TID251 - seeded, so the same seed reacts alike
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent import from_pages
from nurture.contacts.accept import NewEvent
from nurture.database.engine import Database
from nurture.domain.event import Identity
from nurture.domain.feedback import EVENTS, SOURCE, Report
from nurture.domain.instant import DAY, Instant
from nurture.domain.measure import MARKETING, Measure
from nurture.feedback.record import record
from nurture.playbook.publishing import PlaybookSource
from nurture.simulation.play import Act, Input
from nurture.simulation.queries import load_names, load_new_runs, load_sent_mails
from nurture.simulation.reaction_rates import MeasureRates, ReactionRates, shipped_rates

#: The source of what people do after a mail.
BY_REACTION: Final = "simulation"
#: How long after the begin of a withheld run a person may act by themselves.
_BY_ITSELF_WITHIN: Final = 3 * DAY


@dataclass(slots=True)
class Reactions:
    """Reads the mails sent since the last call and draws the reactions to them."""

    seed: int
    # Hashes the addresses of unsubscribes.
    suppression_key: bytes
    playbooks: PlaybookSource
    rates: ReactionRates = field(default_factory=shipped_rates)
    # The highest ids of attempts and of runs that were read.
    _attempt: int = 0
    _run: int = 0
    # Contact -> when the marketing mails of the last window left.
    _mailed: dict[int, deque[Instant]] = field(default_factory=dict)

    def __call__(self, database: Database, now: Instant) -> Iterable[Input]:
        """Return the reactions to mail sent since the last call."""
        with database.look() as connection:
            sent = load_sent_mails(connection, self._attempt)
            runs = load_new_runs(connection, self._run)
            self._attempt = max((row.attempt_id for row in sent), default=self._attempt)
            self._run = max((row.id for row in runs), default=self._run)
            held = [row for row in runs if row.holdout]
            if not sent and not held:
                return []
            names = load_names(connection, (row.contact_id for row in (*sent, *held)))
            measures = {
                measure.root: measure
                for measure in self.playbooks.active(connection).playbook.measures.values()
            }
        reactions = [
            reaction
            for row in sent
            if row.contact_id in names and row.measure in measures
            for reaction in self._to_mail(row, measures[row.measure], names[row.contact_id], now)
        ]
        reactions += [
            reaction
            for row in held
            if row.contact_id in names and row.measure in measures
            for reaction in self._without_mail(row, measures[row.measure], names[row.contact_id], now)
        ]
        return reactions

    def _to_mail(self, row: Any, measure: Measure, name: Identity, now: Instant) -> Iterator[Input]:
        rng, key = self._draws(row, row.run_key, row.step)
        begin, end = self.rates.delay.span
        at = now + begin + int(rng.random() * (end - begin))
        draw = rng.random()
        if measure.action.kind == "confirm":
            if draw < self.rates.confirm:
                yield Input(at, act=self._confirmation(row))
            return
        rates = self._rates(measure, row.purpose)
        interest, annoyance = self._tired(row, now)
        unsubscribe, complain = _share(rates.unsubscribe) * annoyance, _share(rates.complain) * annoyance
        if row.topic is not None and draw < unsubscribe:
            yield Input(at, act=self._unsubscribe(row))
        elif draw < unsubscribe + complain:
            yield Input(at, act=self._complaint(row))
        elif rng.random() < _share(rates.click) * interest:
            yield Input(at, event=_click(row, measure, name, at))
            if rates.event and rng.random() < _share(rates.rate):
                yield self._deed(rates.event, measure, name, rng, key=key, at=at + begin)

    def _without_mail(self, row: Any, measure: Measure, name: Identity, now: Instant) -> Iterator[Input]:
        """Give what a person of the holdout does by themselves."""
        rng, key = self._draws(row, row.key, "")
        rates = self._rates(measure, measure.purpose)
        share = _share(rates.click) * _share(rates.rate) * self.rates.by_itself
        if rates.event and rng.random() < share:
            at = now + int(rng.random() * _BY_ITSELF_WITHIN)
            yield self._deed(rates.event, measure, name, rng, key=key, at=at)

    def _draws(self, row: Any, run_key: str, step: str) -> tuple[random.Random, str]:
        """Return the random numbers of a mail or a run, and a text that differs for each."""
        text = f"{self.seed}:{row.contact_id}:{row.measure}:{run_key}:{step}"
        # S311: made-up people, no secret.
        return random.Random(text), blake2b(text.encode(), digest_size=6).hexdigest()  # noqa: S311

    def _rates(self, measure: Measure, purpose: str) -> MeasureRates:
        return self.rates.of_mail(path=measure.path, purpose=purpose, action=measure.action.kind)

    def _tired(self, row: Any, now: Instant) -> tuple[float, float]:
        """Note a mail; return the factors by which mails before it change interest and annoyance."""
        fatigue = self.rates.fatigue
        if row.purpose not in MARKETING:
            return 1.0, 1.0
        mailed = self._mailed.setdefault(row.contact_id, deque())
        while mailed and mailed[0] <= now - fatigue.span:
            mailed.popleft()
        mailed.append(now)
        beyond = max(0, len(mailed) - fatigue.free)
        return fatigue.interest**beyond, fatigue.annoyance**beyond

    def _deed(
        self, event: str, measure: Measure, name: Identity, rng: random.Random, *, key: str, at: Instant
    ) -> Input:
        texts = {"{key}": key, "{measure}": measure.path.rpartition("/")[2]}
        properties = {
            prop: _drawn(value, rng, texts) for prop, value in self.rates.events.get(event, {}).items()
        }
        return Input(at, event=_event(event, name, properties, at=at, message_id=f"deed-{key}"))

    # ---- acts on pages -----------------------------------------------------------------------------------

    def _confirmation(self, row: Any) -> Act:
        def confirm(connection: sa.Connection, person: from_pages.PageContact, at: Instant) -> None:
            topic = from_pages.find_requested_topic(connection, row.id)
            if topic is None:
                return
            page_act = from_pages.PageAct(at, {"message": row.id}, self.suppression_key)
            from_pages.confirm_topic(connection, person, topic, page_act)
            # The confirmation page offers both beside the topic.
            for other_topic in ("reminders", "surveys"):
                again = from_pages.find_page_contact(connection, row.contact_id)
                if again is not None:
                    from_pages.confirm_topic(connection, again, other_topic, page_act)

        return _act_of(row, confirm)

    def _unsubscribe(self, row: Any) -> Act:
        def withdraw(connection: sa.Connection, person: from_pages.PageContact, at: Instant) -> None:
            page_act = from_pages.PageAct(at, {"message": row.id}, self.suppression_key)
            from_pages.withdraw_topic(connection, person, row.topic, page_act)

        return _act_of(row, withdraw)

    def _complaint(self, row: Any) -> Act:
        def complain(connection: sa.Connection, _person: from_pages.PageContact, at: Instant) -> None:
            report = Report("mail", f"complaint:{row.id}", "complaint", at, message=row.id)
            record(connection, [report], now=at, suppression_key=self.suppression_key)

        return _act_of(row, complain)


def _act_of(row: Any, work: Callable[[sa.Connection, from_pages.PageContact, Instant], None]) -> Act:
    def act(connection: sa.Connection, at: Instant) -> None:
        person = from_pages.find_page_contact(connection, row.contact_id)
        if person is not None:
            work(connection, person, at)

    return act


def _share(value: float | None) -> float:
    return value or 0.0


def _click(row: Any, measure: Measure, name: Identity, at: Instant) -> NewEvent:
    """Return the event that a judged click of a person becomes."""
    properties = {"provider": "web", "message": row.id, "measure": measure.path, "purpose": row.purpose}
    return _event(EVENTS["click"], name, properties, at=at, message_id=f"web:click:{row.id}", source=SOURCE)


def _event(
    event: str,
    name: Identity,
    properties: dict[str, Any],
    *,
    at: Instant,
    message_id: str,
    source: str = BY_REACTION,
) -> NewEvent:
    return NewEvent(
        source=source,
        message_id=message_id,
        kind="track",
        name=event,
        occurred_at=at,
        received_at=at,
        identities=(name,),
        properties=properties,
    )


def _drawn(value: Any, rng: random.Random, texts: dict[str, str]) -> Any:
    """Return a property of the file: of a list one value, with the texts filled in."""
    if isinstance(value, list):
        value = rng.choice(value) if value else None
    if isinstance(value, str):
        for mark, text in texts.items():
            value = value.replace(mark, text)
    return value
