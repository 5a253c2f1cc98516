"""A person's own values for a mail of a measure, in place of its sample's."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from nurture.contacts.family_queries import members_of
from nurture.contacts.queries import load_contacts, resolve_contact, run_of
from nurture.database import schema as t
from nurture.delivery.load_objects import MailObjects, load_mail_objects
from nurture.domain.contact import Run
from nurture.domain.facts import view
from nurture.domain.instant import Instant
from nurture.domain.measure import Measure
from nurture.playbook import LoadedPlaybook


class PersonValues:
    """Somebody's own values for a measure's mail."""

    def __init__(
        self,
        connection: sa.Connection,
        loaded: LoadedPlaybook,
        measure: Measure,
        who: str,
        *,
        now: Instant,
    ) -> None:
        contact_id = resolve_contact(connection, who)
        contact = load_contacts(connection, [contact_id], loaded.playbook)[contact_id]
        self._run = _newest_run(connection, contact_id, measure)
        self._names = view(contact, loaded.playbook, self._run, now=now)
        self._measure = measure
        family = tuple(members_of(connection, [contact_id]))
        mail = MailObjects(measure, contact, self._run, family)
        load_mail_objects(connection, [mail], loaded.playbook, now=now)
        self._objects = mail.values

    def fill(self, sample: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the sample with the person's own values in place of the sample's, and what stays the sample's."""
        names, run, notes = self._names, self._run, list[str]()
        filled = {**sample, "contact": names["contact"]}
        if run is not None:
            filled |= {
                "event": names["event"] or sample.get("event", {}),
                "entity": names["entity"] or sample.get("entity", {}),
            }
            filled["let"] = {**sample.get("let", {}), **run.let}
        own = dict(self._objects)
        for name, rule in self._measure.lists.items():
            count = len(own.get(name, ()))
            if count < rule.at_least:
                del own[name]
                notes.append(
                    f"{name}: {count} of at least {rule.at_least}, so no mail; the sample's are shown"
                )
        filled["objects"] = {**sample.get("objects", {}), **own}
        return filled, tuple(notes)


def _newest_run(connection: sa.Connection, contact_id: int, measure: Measure) -> Run | None:
    statement = (
        sa.select(t.runs)
        .where(t.runs.c.contact_id == contact_id, t.runs.c.measure == measure.root)
        .order_by(t.runs.c.started_at.desc(), t.runs.c.id.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else run_of(row)
