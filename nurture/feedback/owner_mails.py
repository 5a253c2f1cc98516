"""Mails of measures to people of the house (`notify`): made from the newest state, and queued as notices, once each.

The action stays `waiting` until its mails are queued, in the same transaction; `notices` then sends each at least once,
with the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.action_queries import load_runs_of_actions, lock_notifications, settle_actions
from nurture.contacts.queries import load_contacts
from nurture.database.engine import decode
from nurture.domain.contact import Contact, Run
from nurture.domain.counts import Counts
from nurture.domain.facts import view
from nurture.domain.inbound.verp import build_case_address
from nurture.domain.instant import Instant
from nurture.domain.owners import Owner
from nurture.feedback import reply_queries
from nurture.feedback.answers import describe_words
from nurture.feedback.cases import Case, case_name
from nurture.feedback.replies import (
    ReplySettings,
    describe_contact,
    describe_person,
    may_mail,
    queue_notice,
)
from nurture.rendering.errors import TemplateFault
from nurture.rendering.owner_mail import OwnerMail, render_owner_mail
from nurture.rendering.templates import Templates
from nurture.transports.notice import Notice

_RULE: Final = "-" * 60


def tell_owners(
    connection: sa.Connection,
    settings: ReplySettings,
    templates: Templates,
    *,
    now: Instant,
    limit: int = 50,
) -> Counts:
    """Queue the mails of the oldest notifications that wait; counts `notified`, with `more` when more may wait."""
    rows = lock_notifications(connection, limit=limit)
    if not rows:
        return Counts()
    runs = load_runs_of_actions(connection, rows)
    living = reply_queries.living_of_many(connection, sorted({row.contact_id for row in rows}))
    people = load_contacts(connection, sorted(set(living.values())), settings.playbook)
    maker = _MailMaker(connection, settings, templates, now)
    settled = [maker.make(row, people[living[row.contact_id]], runs.get(row.id)) for row in rows]
    settle_actions(connection, [(row.id, *end, now) for row, end in zip(rows, settled, strict=True)])
    counts = Counts(notified=len(rows))
    counts.more = len(rows) == limit
    return counts


@dataclass(frozen=True, slots=True)
class _MailMaker:
    """Makes the mails of one batch."""

    connection: sa.Connection
    settings: ReplySettings
    templates: Templates
    now: Instant

    def make(self, row: Any, person: Contact, run: Run | None) -> tuple[str, str]:
        """Queue the mails of one notification; return its status and the reason."""
        data = decode(row.data)
        known = self.settings.playbook.owners
        owners = [owner for key in data["to"] if (owner := known.get(key)) is not None]
        allowed = [owner for owner in owners if may_mail(self.settings, owner.address)]
        if not allowed:
            return ("skipped", "only_to") if owners else ("failed", "no_owner")
        case = reply_queries.load_case(self.connection, data["case"]) if "case" in data else None
        names = view(person, self.settings.playbook, run, now=self.now)
        reason = ""
        for owner in allowed:
            mail, reason = self._render(row, data["mail"], names, owner)
            notice = self._notice(person, case, owner, mail, key=f"notify:{row.id}:{owner.key}")
            number = None if case is None else case.id
            queue_notice(self.connection, "notify", notice, case=number, contact=person.id, now=self.now)
        return "done", reason

    def _render(self, row: Any, mail: str, names: Mapping[str, Any], owner: Owner) -> tuple[OwnerMail, str]:
        """Return the mail to this owner; one that says why, with a reason, where its own text cannot be made."""
        playbook = self.settings.playbook
        measure = playbook.measures.get(row.measure)
        path = row.measure if measure is None else measure.path
        values = {**names, "owner": {"name": owner.name, "address": owner.address}}
        try:
            rendered = render_owner_mail(
                self.templates, measure=path, mail=mail, view=values, zone=playbook.default_zone
            )
        except TemplateFault as fault:
            text = f"The text of this mail could not be made: {fault.problem.what}. {fault.problem.change}."
            return OwnerMail(f"{path}: {row.step}", text), "not_rendered"
        return rendered, ""

    def _notice(self, person: Contact, case: Any, owner: Owner, mail: OwnerMail, *, key: str) -> Notice:
        subject, reply_to, lines = mail.subject, list[str](), [mail.text, "", _RULE, ""]
        if case is None:
            lines += describe_contact(self.connection, self.settings, person.id)
        else:
            about = Case(person.id, case.id, case.message_id, case.due_at, owner=case.owner)
            subject = f"[{case_name(case.id)}] {subject}"
            reply_to = self._addresses(person, case.id)
            lines.append(describe_person(self.connection, self.settings, about))
            lines += describe_words(self.connection, case.event_id)
        return Notice(
            sender=self.settings.sender,
            name="nurture",
            recipient=owner.address,
            reply_to=tuple(reply_to),
            subject=subject,
            text="\n".join([*lines, ""]),
            at=self.now,
            key=key,
        )

    def _addresses(self, person: Contact, case: int) -> list[str]:
        """Return the addresses that an answer to the mail about a case goes to: the person, and our own copy."""
        row = reply_queries.load_contact(self.connection, person.id)
        if row is None or not row.email:
            return []
        if not self.settings.bounce_address:
            return [row.email]
        return [row.email, build_case_address(self.settings.keys, self.settings.bounce_address, case)]
