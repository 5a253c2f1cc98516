"""The guard: the checks of a due mail, in their order, on the state of that minute."""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import clock
from .rules import MARKETING, Cap, Hold
from .state import Mail, Run, hold_spans, withdrawn_since
from .values import DAY, TRUSTED, key_of, seconds

if TYPE_CHECKING:
    from .runs import Running

HOURS = 3600
LATE = 4 * HOURS  # a mail may leave so long after its step's time of day

# A verdict: what becomes of the mail, why, and for a deferral when it is judged again.
Verdict = tuple[str, str, int]


class Guard:
    """Judges the mails of one person."""

    def __init__(self, person: "Running") -> None:
        self.person = person
        self.book = person.book
        self.sent: list[Mail] = []
        self.checks: list[Callable[[Mail, int], Verdict | None]] = [
            self.address,
            self.suppression,
            self.track,
            self.stage,
            self.entity,
            self.consent,
            self.own_pause,
            self.holds,
            self.valid_for,
            self.quiet_hours,
            self.send_window,
            self.let_rules,
            self.cap,
            self.gap,
            self.own_cap,
            self.series,
            self.arbitration,
            self.when,
            self.send_if,
            self.holdout,
        ]

    def judge(self, mail: Mail, now: int) -> None:
        """Send a mail, end it, or set when it is judged again."""
        is_later = mail.run.in_holdout and any(
            other.run is mail.run and other.number < mail.number for other in self.person.mails
        )
        for check in self.checks:
            verdict = check(mail, now)
            # Only the first mail of a run that is held back is deferred.
            if verdict is not None and not (is_later and verdict[0] == "deferred"):
                self.apply(mail, now, verdict)
                return
        self.fix_lets(mail.run, now)
        self.person.settle(mail, "sent", "", now)
        self.sent.append(mail)

    def apply(self, mail: Mail, now: int, verdict: Verdict) -> None:
        """The effect of a check that failed on the mail."""
        status, reason, until = verdict
        if status != "deferred":
            self.person.settle(mail, status, reason, now)
        elif now >= mail.valid_until:
            self.person.settle(mail, "expired", reason, now)
        else:
            mail.reason = reason
            mail.due = min(self.allowed_from(mail, until), mail.valid_until)

    def allowed_from(self, mail: Mail, moment: int) -> int:
        """An instant moved out of the quiet hours and into the step's slot."""
        zone = self.person.zone
        for _ in range(10):
            result = self.quiet_end(mail, moment) or moment
            if mail.step.slot is not None and not self.in_window(mail, result):
                result = mail.step.slot.next(zone, result)
            if result == moment:
                break
            moment = result
        return moment

    # ---- the checks

    def address(self, _: Mail, now: int) -> Verdict | None:
        """An address is known."""
        return None if self.person.address else ("skipped", "no_address", now)

    def suppression(self, mail: Mail, now: int) -> Verdict | None:
        """The address is suppressed neither for all mail nor, for marketing, for that."""
        scopes = {"all", "marketing"} if mail.run.measure.purpose in MARKETING else {"all"}
        return ("skipped", "suppressed", now) if scopes & self.person.suppressed else None

    def own_pause(self, mail: Mail, now: int) -> Verdict | None:
        """The person wants no marketing before an instant."""
        until = self.person.paused_until
        waits = mail.run.measure.purpose in MARKETING and now < until
        return ("deferred", "own_pause", until) if waits else None

    def own_cap(self, mail: Mail, now: int) -> Verdict | None:
        """No other marketing mail left within the time that the person wants between two."""
        least = self.person.least_gap
        if mail.run.measure.purpose not in MARKETING or mail.asked_for or not least:
            return None
        times = [
            other.at
            for other in self.sent
            if other.run.measure.purpose in MARKETING and not other.asked_for and other.at > now - least
        ]
        return ("deferred", "own_cap", min(times) + least) if times else None

    def track(self, mail: Mail, now: int) -> Verdict | None:
        """The mail was written for the present track."""
        return None if mail.run.measure.track in {"any", self.person.track} else ("cancelled", "track", now)

    def stage(self, mail: Mail, now: int) -> Verdict | None:
        """The measure is for the present stage, or goes on when it changes."""
        measure = mail.run.measure
        if measure.forwards or measure.stages & {"any", self.person.stage}:
            return None
        return "cancelled", "stage", now

    def entity(self, mail: Mail, now: int) -> Verdict | None:
        """The run's entity is not reversed; nor closed or empty, where that matters."""
        run = mail.run
        thing = self.person.thing_of(run)
        if thing is not None and thing.reversed and not self.person.reverses(run.measure, run.event):
            return "cancelled", "entity_reversed", now
        closed = run.entity and run.measure.while_open and (thing is None or not thing.is_open())
        return ("cancelled", "entity_closed", now) if closed else None

    def consent(self, mail: Mail, now: int) -> Verdict | None:
        """Marketing: the topic is granted."""
        if mail.run.measure.purpose not in MARKETING:
            return None
        topic, request = mail.run.measure.topic, mail.run.request
        state = self.person.consent(topic)
        if mail.asked_for and request is not None and request.source in TRUSTED:
            state = (
                "granted"
                if not withdrawn_since(self.book, self.person.history, topic, request.occurred)
                else state
            )
        reasons = {"none": "no_consent", "pending": "consent_pending", "withdrawn": "consent_withdrawn"}
        return None if state == "granted" else ("skipped", reasons[state], now)

    def holds(self, mail: Mail, now: int) -> Verdict | None:
        """No hold stops the purpose."""
        measure = mail.run.measure
        if measure.purpose == "transactional" or not measure.holdable:
            return None
        for hold in self.book.holds:
            if measure.purpose in hold.stops:
                until = self.held_until(hold, now)
                if until is not None:
                    return "deferred", "hold", min(now + LATE, until)
        return None

    def held_until(self, hold: Hold, now: int) -> int | None:
        """When a hold that stands ends by itself; None where it does not stand."""
        standing = [
            start + hold.at_most
            for start, end in hold_spans(hold, self.person.history, self.person.reversals(hold.name))
            if start <= now < end
        ]
        return max(standing) if standing else None

    def valid_for(self, mail: Mail, now: int) -> Verdict | None:
        """Not later than the mail's own schedule allows; the limit that still holds then is the reason."""
        if now < mail.valid_until:
            return None
        for check in (
            self.own_pause,
            self.holds,
            self.quiet_hours,
            self.send_window,
            self.cap,
            self.gap,
            self.own_cap,
            self.series,
            self.arbitration,
        ):
            verdict = check(mail, now)
            if verdict is not None:
                return "expired", verdict[1], now
        return "expired", "too_late", now

    def quiet_hours(self, mail: Mail, now: int) -> Verdict | None:
        """It is not night where the person is."""
        until = self.quiet_end(mail, now)
        return None if until is None else ("deferred", "quiet_hours", until)

    def quiet_end(self, mail: Mail, moment: int) -> int | None:
        """When the quiet hours end that hold a mail back at an instant."""
        if mail.run.measure.purpose in self.book.quiet_except:
            return None
        return clock.quiet_until(self.person.zone, moment, *self.book.quiet)

    def in_window(self, mail: Mail, moment: int) -> bool:
        """Whether it is the step's day, and at most four hours past its time of day."""
        slot = mail.step.slot
        if slot is None:
            return True
        zone = self.person.zone
        day = zone.day(moment)
        if not slot.allows(day):
            return False
        return slot.time is None or 0 <= zone.wall(moment) % DAY - slot.time <= LATE

    def send_window(self, mail: Mail, now: int) -> Verdict | None:
        """It is the step's weekday and time of day."""
        if self.in_window(mail, now) or mail.step.slot is None:
            return None
        return "deferred", "send_window", mail.step.slot.next(self.person.zone, now)

    def let_rules(self, mail: Mail, now: int) -> Verdict | None:
        """Enough of the month is left for a promise that ends with it."""
        for name, spec in mail.run.measure.let.items():
            if "end_of_month" not in spec or name in mail.run.let or "at_least" not in spec:
                continue
            if self.end_of_month(now) - now < seconds(spec["at_least"]):
                zone = self.person.zone
                first = clock.last_of_month(zone.day(now)) + dt.timedelta(days=1)
                until = self.allowed_from(mail, zone.instant_of(first, 0))
                mail.valid_until = until + mail.step.valid_for
                return "deferred", "end_of_month", until
        return None

    def places(self, cap: Cap, now: int) -> dict[Any, int]:
        """The runs that have a place in a cap, and since when for the last time; mails where these are counted."""
        result: dict[Any, int] = {}
        for mail in self.sent:
            if self.counts(cap, mail) and mail.at > now - cap.within:
                result[id(mail) if cap.mails else mail.run.line] = mail.at
        return result

    def counts(self, cap: Cap, mail: Mail) -> bool:
        """Whether a mail is one of a cap's."""
        measure = mail.run.measure
        if mail.asked_for:
            return False
        if cap.offers and not any("coupon" in spec for spec in measure.let.values()):
            return False
        return measure.purpose in cap.purposes if cap.purposes else measure.purpose != "transactional"

    def cap(self, mail: Mail, now: int) -> Verdict | None:
        """Fewer runs, or mails, than the cap allows wrote in its window."""
        if mail.run.measure.purpose == "transactional" or mail.asked_for:
            return None
        for cap in self.book.caps:
            places = self.places(cap, now) if self.counts(cap, mail) else {}
            if mail.run.line not in places and len(places) >= cap.at_most:
                return "deferred", "cap", min(places.values()) + cap.within
        return None

    def gap(self, mail: Mail, now: int) -> Verdict | None:
        """The last mail of the cap's purposes left longer ago than the gap."""
        if mail.run.measure.purpose == "transactional" or mail.asked_for:
            return None
        for cap in self.book.caps:
            if cap.gap and self.counts(cap, mail):
                others = [
                    other.at
                    for other in self.sent
                    if self.counts(cap, other) and (cap.mails or other.run.line != mail.run.line)
                ]
                last = max(others, default=None)
                if last is not None and now - last < cap.gap:
                    return "deferred", "gap", last + cap.gap
        return None

    def series(self, mail: Mail, now: int) -> Verdict | None:
        """No other series of the person began before this one."""
        run = mail.run
        if not run.measure.series:
            return None
        before = [
            other
            for other in self.person.runs
            if other.measure.series
            and other is not run
            and other.active()
            and not other.in_holdout
            and other.created < run.created
        ]
        return ("deferred", "series", now + LATE) if before else None

    def arbitration(self, mail: Mail, now: int) -> Verdict | None:
        """No mail of higher priority, due soon, needs the same slot."""
        measure = mail.run.measure
        if measure.purpose == "transactional" or mail.asked_for:
            return None
        waits = [until for cap in self.book.caps if (until := self.gives_way(cap, mail, now)) is not None]
        if not waits:
            return None
        first = min(waits)
        return "deferred", "arbitration", first + 1 if first > now else now + 60

    def gives_way(self, cap: Cap, mail: Mail, now: int) -> int | None:
        """When the mail is due that goes first in a cap that both need; None where there is none."""
        if not self.counts(cap, mail):
            return None
        places = self.places(cap, now)
        ahead = [
            other
            for other in self.person.waiting
            if other.run.line != mail.run.line
            and self.counts(cap, other)
            and order(other) < order(mail)
            and not other.run.in_holdout
        ]
        near = sorted((other for other in ahead if abs(other.due - now) <= self.book.arbitration), key=order)
        needing = [other for other in near if other.run.line not in places]
        wanted = len(places) + len({other.run.line for other in needing})
        if mail.run.line not in places and wanted >= cap.at_most and needing:
            return needing[0].due
        return next((other.due for other in near if other.due - now < cap.gap), None)

    def when(self, mail: Mail, now: int) -> Verdict | None:
        """The step's condition still holds."""
        if mail.step.when is None:
            return None
        answer = mail.step.when.answer(self.person.view(now, mail.run))
        if answer is True:
            return None
        return "skipped", "when_unknown" if answer is None else "when", now

    def send_if(self, mail: Mail, now: int) -> Verdict | None:
        """The promise of the mail still holds."""
        if mail.step.send_if is None:
            return None
        extra = {name: self.object_of(mail.run, spec) for name, spec in mail.run.measure.objects.items()}
        answer = mail.step.send_if.answer(self.person.view(now, mail.run, extra))
        if answer is True:
            return None
        return "skipped", "send_if_unknown" if answer is None else "send_if", now

    def holdout(self, mail: Mail, now: int) -> Verdict | None:
        """The run is held back to measure the effect."""
        return ("skipped", "holdout", now) if mail.run.in_holdout else None

    def object_of(self, run: Run, spec: dict[str, Any]) -> dict[str, Any]:
        """The fields of the object that a measure reads."""
        name = spec["key"]
        first, _, field = name.partition(".")
        view = self.person.view(0, run)
        if first == "contact" and field:
            key = view.facts.get(field)
        elif field:
            key = view.scope.get(first, {}).get(field)
        else:
            key = view.scope["event"].get(name)
        result = self.person.objects[spec["kind"]].get(key_of(key) or "", {})
        return self.book.type_properties(result)

    # ---- what the first mail fixes

    def fix_lets(self, run: Run, now: int) -> None:
        """Fix the values of `let` when a run's first mail leaves."""
        for name, spec in run.measure.let.items():
            if name in run.let:
                continue
            if "end_of_month" in spec:
                run.let[name] = self.end_of_month(now)
            elif "in" in spec and isinstance(spec["in"], str):
                run.let[name] = self.end_of_day(self.person.zone.day(now + seconds(spec["in"])))
            elif "in" in spec:
                calendar = self.person.calendar_of(run, spec.get("of"))
                if calendar is not None:
                    run.let[name] = calendar.after(now, spec["in"]["business"])
            else:
                run.let[name] = "code"

    def end_of_month(self, now: int) -> int:
        """The last minute of the local month."""
        return self.end_of_day(clock.last_of_month(self.person.zone.day(now)))

    def end_of_day(self, day: dt.date) -> int:
        """The last minute of a local day."""
        return self.person.zone.instant_of(day + dt.timedelta(days=1), 0) - 60


def order(mail: Mail) -> tuple[int, int, int]:
    """Which of two mails goes first: the one of higher priority, then the one due first, then the one decided first."""
    return -mail.run.measure.priority, mail.due, mail.number
