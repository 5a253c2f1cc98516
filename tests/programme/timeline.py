"""A person's timeline under the rules of the shipped programme: events in, mails with their local time out.

Every mail leaves when it is due; consent, caps, holds and quiet hours belong to the guard and are not played here.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar

from nurture.domain.contact import Advance, Contact, Run
from nurture.domain.event import Event, EventKind
from nurture.domain.facts import empty, view
from nurture.domain.guard.decide import compute_let_instants
from nurture.domain.instant import Instant, from_datetime, to_datetime
from nurture.domain.journey.advance import advance
from nurture.domain.measure import MailStep, Measure
from nurture.domain.message import PlannedMessage, Settled
from nurture.rendering.calendar import calendar_bytes
from nurture.rendering.context import Recipient, freeze_context
from tests.programme.samples import LINKS, loaded, templates

ZONE = "Europe/Berlin"


def instant(local: str) -> Instant:
    """Return the instant of a local time such as `2026-06-01 10:00`."""
    return from_datetime(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(ZONE)))


@dataclass
class Life:
    """One person. Contact ids decide holdout and variant: 2 is in no holdout of the programme."""

    start: str = "2026-06-01 10:00"
    contact_id: int = 2
    # "2026-06-01 12:00 lead/any/abandoned_cart left"
    mails: list[str] = field(default_factory=list)
    waiting: list[PlannedMessage] = field(default_factory=list)
    # The calendar entries of these mails, as a calendar program reads them.
    entries: list[Any] = field(default_factory=list)
    # The values that the templates of the last mail may read.
    view: dict[str, Any] = field(default_factory=dict)
    # Runs that a mail was decided for, by (measure, key): a run that is done waits for its last mail.
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = instant(self.start)
        self.contact: Contact = empty(self.contact_id, first_seen_at=self.now, playbook=loaded().playbook)
        self.seq = 0

    def does(self, local: str, event: str, /, **properties: Any) -> "Life":
        """Live until then, and let the person do something."""
        return self._happens(local, event, "track", properties)

    def does_late(self, local: str, occurred: str, event: str, /, **properties: Any) -> "Life":
        """Live until then, and be told only then what the person did earlier."""
        return self._happens(local, event, "track", properties, occurred_at=instant(occurred))

    def tells(self, local: str, **traits: Any) -> "Life":
        """Live until then, and let the person give traits."""
        return self._happens(local, "Identified", "identify", {}, traits)

    def hears_of(self, local: str, event: str, /, **properties: Any) -> "Life":
        """Live until then, and let an object that the person watches change."""
        return self._happens(local, event, "object", {"object_kind": "product", **properties})

    def is_sent(self, local: str, measure: str) -> "Life":
        """Live until then, and let ops send a measure."""
        return self._happens(
            local, "Ops Sent", "ops", {"measure": measure, "request": f"request-{local}", "occasion": local}
        )

    def until(self, local: str) -> list[str]:
        """Live until then and return every mail so far."""
        self._live(instant(local))
        return self.mails

    # ---- underneath ------------------------------------------------------------------------------------

    def _happens(
        self,
        local: str,
        name: str,
        kind: EventKind,
        properties: dict[str, Any],
        traits: dict[str, Any] | None = None,
        *,
        occurred_at: Instant | None = None,
    ) -> "Life":
        self._live(instant(local))
        self.seq += 1
        event = Event(
            seq=self.seq,
            source="test",
            message_id=f"m{self.seq}",
            kind=kind,
            name=name,
            occurred_at=self.now if occurred_at is None else occurred_at,
            received_at=self.now,
            properties=properties,
            traits=traits or {},
        )
        self._take(advance(self.contact, [event], now=self.now, playbook=loaded().playbook))
        return self

    def _live(self, until: Instant) -> None:
        while (at := min([self.contact.wake_at, *(mail.due_at for mail in self.waiting)])) <= until:
            self.now = max(at, self.now)
            leaving = [mail for mail in self.waiting if mail.due_at <= self.now]
            if leaving:
                self._send(leaving[0])
            else:
                self._take(advance(self.contact, [], now=self.now, playbook=loaded().playbook))
        self.now = until

    def _send(self, mail: PlannedMessage) -> None:
        self.waiting.remove(mail)
        playbook = loaded().playbook
        measure = playbook.measures[mail.measure]
        run = self.contact.runs.get((mail.measure, mail.run_key)) or self.runs[mail.measure, mail.run_key]
        names = partial(view, self.contact, playbook, run, now=self.now)
        run.let.update(
            compute_let_instants(
                measure, run.let, now=self.now, zone=ZONE, owners=playbook.owners, names=names
            )
        )
        self.view = names()
        wall = to_datetime(self.now).astimezone(ZoneInfo(ZONE))
        self.mails.append(f"{wall:%Y-%m-%d %H:%M} {measure.path} {mail.mail}")
        step = measure.step(mail.step)
        if isinstance(step, MailStep) and step.calendar is not None:
            self._read_entry(measure, mail)
        outcome = Settled(1, mail.measure, mail.run_key, mail.step, "sent", self.now)
        self._take(advance(self.contact, [outcome], now=self.now, playbook=loaded().playbook))

    def _read_entry(self, measure: Measure, mail: PlannedMessage) -> None:
        context = freeze_context(
            templates(),
            Recipient("anna@example.com", "en", ZONE, links=LINKS, view=self.view),
            measure=measure.path,
            step=mail.step,
            mail=mail.mail,
            variant="",
            purpose=measure.purpose,
            topic=measure.topic,
            header_id="<m1.t@larkandkettle.example>",
            date=self.now,
        )
        entry = Calendar.from_ical(calendar_bytes(context))
        [event] = entry.walk("VEVENT")
        names = ("uid", "sequence", "status", "organizer")
        self.entries.append({"method": str(entry["method"]), **{name: event[name] for name in names}})

    def _take(self, result: Advance) -> None:
        self.contact = result.contact
        self.runs.update(result.runs)
        for gone in result.cancellations:
            self.waiting = [mail for mail in self.waiting if not gone.covers(mail, self.runs)]
        self.waiting += [mail for mail in result.messages if not mail.cancelled]
