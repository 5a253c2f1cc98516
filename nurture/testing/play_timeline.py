"""Play one timeline, and compare the mails that came with those that it expects."""

from dataclasses import dataclass, field
from typing import Any, cast

from nurture.domain.consent.requests import RequestAct
from nurture.domain.errors import UserError
from nurture.domain.instant import DAY, Instant
from nurture.playbook.schema.timelines import ExpectedFile, HappeningFile, PersonFile
from nurture.testing.instants import parse_time
from nurture.testing.mails import Mail
from nurture.testing.person import Person
from nurture.testing.programme import TestProgramme
from nurture.testing.reasons import describe_absence, describe_mail, load_reasons
from nurture.testing.timeline_file import Timeline, find_step

#: How long a timeline goes on after the last time that it names.
_REST = 30 * DAY


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that was not met: where it stands, what was expected and what came, and why."""

    line: int
    expected: str
    got: str
    why: tuple[str, ...] = ()


@dataclass(slots=True)
class Result:
    """One timeline that was played."""

    path: str
    line: int
    name: str
    failures: list[Failure] = field(default_factory=list)
    # The happenings and the mails sent, a line each, in order.
    story: list[str] = field(default_factory=list)
    mails: int = 0

    @property
    def passed(self) -> bool:
        """True when every expectation was met."""
        return not self.failures


def play_timeline(timeline: Timeline, programme: TestProgramme) -> Result:
    """Return the result of a timeline whose names were checked. programme: a new one that starts with it."""
    return _Play(timeline, programme).run()


@dataclass(slots=True)
class _Play:
    """A timeline while it is played."""

    timeline: Timeline
    programme: TestProgramme
    people: dict[str, Person] = field(default_factory=dict)
    # (instant, line) of all that happened.
    events: list[tuple[Instant, str]] = field(default_factory=list)
    # By person, the mails that came and that no expectation has claimed.
    unclaimed: dict[str, list[Mail]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def run(self) -> Result:
        timeline, model = self.timeline, self.timeline.model
        result = Result(timeline.path, timeline.line(), model.name, self.failures)
        if self._play():
            self.unclaimed = {name: person.mailbox for name, person in self.people.items()}
            for number, expected in enumerate(model.expect):
                self._compare(number, expected)
            self._refuse_others()
            for number in range(len(model.expect_not)):
                self._compare_absence(number)
        result.mails = len(self.programme.mails())
        result.story = self._story()
        return result

    # ---- what happens --------------------------------------------------------------------------------------

    def _play(self) -> bool:
        """Play to the end; return False after a part that could not be done, which is a failure."""
        model, last = self.timeline.model, self.programme.start
        loc: tuple[str | int, ...] = ("people",) if model.people else ("person",)
        try:
            for name, details in self.timeline.people.items():
                self.people[name] = self._person(name, details)
            for at, number, happening in self._in_order():
                loc, last = ("happens", number), at
                self.programme.run_until(at)
                self._happen(happening)
            loc = ("until",)
            self.programme.run_until(self._end(last))
        except (UserError, ValueError) as error:
            self.failures.append(Failure(self.timeline.line(*loc), "this can be played", str(error)))
            return False
        return True

    def _person(self, name: str, details: PersonFile) -> Person:
        start = self.programme.start
        zone = details.zone or self.programme.zone
        history = [
            (past.event, parse_time(past.at).instant(start=start, before=start, zone=zone), past.properties)
            for past in details.history
        ]
        return self.programme.person(
            details.email or f"{name}@people.example",
            user_id=details.user_id,
            locale=details.locale,
            zone=details.zone,
            traits=details.traits,
            persona=details.persona,
            consent=details.consent,
            history=history,
        )

    def _in_order(self) -> list[tuple[Instant, int, HappeningFile]]:
        """Return the instant, place and content of all that happens, by time; of the same instant as in the file.

        Raises ValueError for an instant before the start.
        """
        start, entries = self.programme.start, list[tuple[Instant, int, HappeningFile]]()
        at = start
        for number, happening in enumerate(self.timeline.model.happens):
            if happening.at is not None:
                at = parse_time(happening.at).instant(start=start, before=at, zone=self.programme.zone)
            if at < start:
                raise ValueError(f"{happening.at!r} is before the start, {self.programme.show(start)}")
            entries.append((at, number, happening))
        return sorted(entries, key=lambda entry: entry[:2])

    def _end(self, last: Instant) -> Instant:
        start, zone, until = self.programme.start, self.programme.zone, self.timeline.model.until
        if until is not None:
            time = parse_time(until)
            end = time.instant(start=start, before=last, zone=zone)
            end = time.end_of_day(start=start, zone=zone) if time.is_whole_day else end
            if end < last:
                raise ValueError(
                    f"{until!r} is before {self.programme.show(last)}, the last thing that happens"
                )
            return end
        named = [expected.at or expected.on for expected in self.timeline.model.expect]
        times = [parse_time(text).instant(start=start, before=start, zone=zone) for text in named if text]
        return max([last, *times]) + _REST

    def _happen(self, happening: HappeningFile) -> None:
        person = self.people[happening.who] if happening.who else next(iter(self.people.values()))
        if happening.event is not None:
            occurred = None
            if happening.occurred is not None:
                time, now = parse_time(happening.occurred), self.programme.now
                occurred = time.instant(start=self.programme.start, before=now, zone=person.zone)
            person.does(happening.event, occurred=occurred, **happening.properties)
            self._note(person, f"{happening.event}{_shown(happening.properties)}")
        elif happening.object is not None:
            self.programme.happens(happening.object, **happening.properties)
            self.events.append((self.programme.now, f"{happening.object}{_shown(happening.properties)}"))
        elif happening.identify is not None:
            person.tells(**happening.identify)
            self._note(person, f"gives{_shown(happening.identify)}")
        else:
            self._act(person, happening)

    def _act(self, person: Person, happening: HappeningFile) -> None:
        if happening.confirms is not None:
            person.confirms(happening.confirms)
            self._note(person, f"confirms the topic {happening.confirms}")
        elif happening.unsubscribes is not None:
            person.unsubscribes(happening.unsubscribes)
            self._note(person, f"unsubscribes from {happening.unsubscribes}")
        elif happening.asks_for is not None:
            person.asks_for(cast("RequestAct", happening.asks_for), address=happening.address)
            self._note(person, f"asks for {happening.asks_for} {happening.address or ''}".rstrip())
        elif happening.sends is not None:
            person.is_sent(happening.sends, occasion=happening.occasion or "")
            self._note(person, f"ops send {happening.sends}")
        else:
            person.confirms_request()
            self._note(person, "confirms the request")

    def _note(self, person: Person, text: str) -> None:
        self.events.append((self.programme.now, f"{self._name(person)}{text}"))

    def _name(self, person: Person) -> str:
        """Return the name of the person where there are several."""
        if len(self.people) == 1:
            return ""
        return next((f"{name}: " for name, other in self.people.items() if other is person), "")

    # ---- what came -----------------------------------------------------------------------------------------

    def _compare(self, number: int, expected: ExpectedFile) -> None:
        name = expected.to or next(iter(self.people))
        person, wanted = self.people[name], _Wanted(self, expected, self.people[name])
        came = [mail for mail in self.unclaimed[name] if wanted.is_of(mail)]
        mail = next((mail for mail in came if wanted.is_in_time(mail)), None)
        line = self.timeline.line("expect", number)
        if mail is None:
            got = ", ".join(f"{mail.name} at {self._show(mail.sent_at, person)}" for mail in came)
            why = describe_mail(self.programme, came[0], person) if came else self._absence(wanted)
            if came:
                self.unclaimed[name].remove(came[0])
            self.failures.append(Failure(line, wanted.text(), got or "no such mail", why))
            return
        self.unclaimed[name].remove(mail)
        for expectation, got, why in wanted.wrong_words(mail):
            self.failures.append(Failure(line, f"{wanted.text()} {expectation}", got, why))

    def _absence(self, wanted: "_Wanted") -> tuple[str, ...]:
        """Return why a mail did not come; where it may come later, also how to play on."""
        why = wanted.absence()
        is_open = any(words in line for line in why for words in ("may next change", "is due at"))
        if self.timeline.model.until is not None or not is_open:
            return why
        ended = self.programme.show(self.programme.now)
        return (*why, f"the timeline ended at {ended}; write `until: day 60` in it to play on")

    def _refuse_others(self) -> None:
        """Refuse mails that no expectation names: of the measures expected, or with `only` of all."""
        model = self.timeline.model
        for name, person in self.people.items():
            expected = {
                found[0].path
                for entry in model.expect
                if (entry.to or next(iter(self.people))) == name
                and (found := find_step(self.programme.loaded.playbook, entry.mail)) is not None
            }
            for mail in self.unclaimed[name]:
                if model.only or mail.measure in expected:
                    wanted = (
                        "no mail but those listed" if model.only else f"no further mail of {mail.measure}"
                    )
                    got = f"{mail.name} at {self._show(mail.sent_at, person)}"
                    why = describe_mail(self.programme, mail, person)
                    self.failures.append(Failure(self.timeline.line("expect"), wanted, got, why))

    def _compare_absence(self, number: int) -> None:
        entry = self.timeline.model.expect_not[number]
        found = find_step(self.programme.loaded.playbook, entry.mail)
        person = self.people[entry.to or next(iter(self.people))]
        if found is None:
            return
        measure, step = found
        line = self.timeline.line("expect_not", number)
        came = [mail for mail in person.mailbox if mail.measure == measure.path and step in ("", mail.step)]
        for mail in came:
            got = f"{mail.name} at {self._show(mail.sent_at, person)}"
            why = describe_mail(self.programme, mail, person)
            self.failures.append(Failure(line, f"no mail of {entry.mail}", got, why))
        if entry.because is not None and not came:
            reasons = load_reasons(self.programme, person, measure, step)
            if entry.because not in reasons:
                got = f"because of {', '.join(sorted(reasons))}" if reasons else "no decision about it"
                why = describe_absence(self.programme, person, measure, step)
                expected = f"no mail of {entry.mail} because of {entry.because}"
                self.failures.append(Failure(line, expected, got, why))

    def _show(self, at: Instant, person: Person) -> str:
        return self.programme.show(at, person.zone)

    def _story(self) -> list[str]:
        """Return what happened and what was sent, in the order of time."""
        lines = [(at, 0, text) for at, text in self.events]
        for person in self.people.values():
            who = self._name(person)
            mails = person.mailbox
            lines += [(mail.sent_at, 1, f"{who}mail {mail.name}: {mail.subject}") for mail in mails]
        return [
            f"{self.programme.show(at)}  {text}" for at, _, text in sorted(lines, key=lambda line: line[:2])
        ]


def _shown(properties: dict[str, Any]) -> str:
    text = ", ".join(f"{name} {value}" for name, value in properties.items())
    return f" ({text})" if text else ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One expected mail of one person."""

    play: _Play
    expected: ExpectedFile
    person: Person

    def is_of(self, mail: Mail) -> bool:
        """Tell whether the mail is of the expected measure and step."""
        return self.expected.mail in (mail.measure, mail.name)

    def is_in_time(self, mail: Mail) -> bool:
        """Tell whether the mail came at the expected minute, or on the expected day."""
        programme, zone = self.play.programme, self.person.zone
        if (text := self.expected.at or self.expected.on) is None:
            return True
        time = parse_time(text)
        at = time.instant(start=programme.start, before=programme.start, zone=zone)
        if self.expected.at is not None and not time.is_whole_day:
            return programme.show(mail.sent_at, zone) == programme.show(at, zone)
        return at <= mail.sent_at < time.end_of_day(start=programme.start, zone=zone)

    def text(self) -> str:
        """Return the expectation in words."""
        expected = self.expected
        when = f" at {expected.at}" if expected.at else f" on {expected.on}" if expected.on else ""
        return f"{expected.mail}{when}"

    def absence(self) -> tuple[str, ...]:
        """Return why no such mail came."""
        found = find_step(self.play.programme.loaded.playbook, self.expected.mail)
        return () if found is None else describe_absence(self.play.programme, self.person, *found)

    def wrong_words(self, mail: Mail) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return (expectation, what came, more) of each wrong word, address or golden file."""
        expected, wrong = self.expected, list[tuple[str, str, tuple[str, ...]]]()
        if expected.subject is not None and expected.subject != mail.subject:
            wrong.append((f"with the subject {expected.subject!r}", f"the subject {mail.subject!r}", ()))
        text = tuple(mail.golden_text().splitlines())
        wrong += [
            (f"with the words {words!r}", "a mail without them:", text)
            for words in expected.contains
            if not mail.has_words(words)
        ]
        wrong += [
            (f"without the words {words!r}", "a mail that has them:", text)
            for words in expected.lacks
            if mail.has_words_anywhere(words)
        ]
        if expected.address is not None and expected.address != mail.to:
            wrong.append((f"to {expected.address}", f"a mail to {mail.to}", ()))
        if expected.golden is not None:
            lines = self.play.programme.golden.difference(mail, expected.golden)
            if lines:
                wrong.append((f"like the golden file {expected.golden}", "another text:", tuple(lines)))
        return wrong
