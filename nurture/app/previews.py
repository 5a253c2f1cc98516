"""Previews: the exact mail of a measure, from its sample or with a person's own values; and test mails.

With a person's values, values of a run (the event that started it, its coupon) come from the person's newest run of
the measure, or from the sample when there is none. Links in a preview have no valid token.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import sqlalchemy as sa

from nurture.app.sends.hand_in import find_measure
from nurture.app.services import Services
from nurture.contacts.family_queries import members_of
from nurture.contacts.queries import load_contacts, resolve_contact, run_of
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.delivery.load_objects import MailObjects, load_mail_objects
from nurture.domain.contact import Run
from nurture.domain.errors import InputError
from nurture.domain.facts import view
from nurture.domain.identity import canonical_email
from nurture.domain.instant import SECOND, Instant
from nurture.domain.measure import MailStep, Measure, NotifyStep
from nurture.playbook import LoadedPlaybook
from nurture.rendering.context import MailContext
from nurture.rendering.errors import TemplateFault
from nurture.rendering.owner_mail import owner_sample_view, render_owner_mail
from nurture.rendering.render import render, render_parts
from nurture.rendering.sample import sample_context
from nurture.transports.registry import open_lanes, open_transport
from nurture.transports.types import OutgoingMail


@dataclass(frozen=True, slots=True)
class PreviewMail:
    """A mail ready to be rendered for a preview."""

    loaded: LoadedPlaybook
    measure: Measure
    step: MailStep
    frozen: MailContext
    # Names whose values are the sample's although a person's were asked for, and why.
    notes: tuple[str, ...] = ()


def preview(services: Services, target: str, *, who: str | None, locale: str | None) -> dict[str, Any]:
    """Return subject, preheader, text and HTML of a measure's mail.

    target: MEASURE or MEASURE/STEP; without a step the first mail. Raises NotFoundError or InputError.
    """
    owner_mail = _preview_owner_mail(services, target, who=who)
    if owner_mail is not None:
        return owner_mail
    mail = compose_preview(services, target, who=who, locale=locale)
    try:
        parts = render_parts(mail.loaded.templates, mail.frozen)
    except TemplateFault as fault:
        message = f"{target}: {fault}"
        raise InputError(message) from fault
    return {
        "measure": mail.measure.path,
        "step": mail.step.id,
        "locale": mail.frozen["locale"],
        "subject": parts.subject,
        "preheader": parts.preheader,
        "text": parts.text,
        "html": parts.html,
        "notes": list(mail.notes),
    }


def send_test(services: Services, target: str, *, to: str, who: str | None, actor: str) -> dict[str, Any]:
    """Send one mail to the operator's own address, marked as a test. It is not counted anywhere.

    Raises InputError for an invalid address, or when the mail server refuses the mail.
    """
    address = canonical_email(to)
    if address is None:
        message = f"--test {to}: this is not an e-mail address"
        raise InputError(message)
    mail = compose_preview(services, target, who=who, locale=None)
    frozen = mail.frozen
    frozen["to"] = address
    frozen["date"] = services.clock.now() // SECOND * SECOND
    frozen["header_id"] = f"<test.{services.clock.now()}@{frozen['sender']['address'].rpartition('@')[2]}>"
    data = _mark_as_test(render(mail.loaded.templates, frozen))
    detail = {"measure": mail.measure.path, "step": mail.step.id}
    services.database.run(
        lambda connection: record(
            connection, at=services.clock.now(), actor=actor, action="send.test", detail=detail
        )
    )
    lanes = open_lanes(services.settings.mail_url)
    transport = open_transport(lanes.get(mail.measure.lane, next(iter(lanes.values()))))
    try:
        outgoing = OutgoingMail(0, 1, frozen["sender"]["address"], address, data)
        outcome = next(iter(transport.send([outgoing])))
    finally:
        transport.close()
    if outcome.outcome != "sent":
        message = f"the mail server refused the mail ({outcome.stage}): {outcome.code} {outcome.reply}"
        raise InputError(message)
    return {"measure": mail.measure.path, "step": mail.step.id, "to": address, "reply": outcome.reply}


def _preview_owner_mail(services: Services, target: str, *, who: str | None) -> dict[str, Any] | None:
    """Return a mail to owners as `preview` does, without HTML; None where the target is a mail to people."""
    with services.database.read() as connection:
        loaded = services.playbooks.active(connection)
        measure, step = _find_step(loaded, target)
        if not isinstance(step, NotifyStep):
            return None
        sample, _ = _sample(connection, services, loaded, measure, who)
    templates, playbook = loaded.templates, loaded.playbook
    try:
        mail = render_owner_mail(
            templates,
            measure=measure.path,
            mail=step.mail,
            view=owner_sample_view(templates, sample),
            zone=playbook.default_zone,
        )
    except TemplateFault as fault:
        message = f"{target}: {fault}"
        raise InputError(message) from fault
    return {
        "measure": measure.path,
        "step": step.id,
        "locale": playbook.default_locale,
        "to": ", ".join(step.to),
        "subject": mail.subject,
        "preheader": "",
        "text": mail.text,
        "html": "",
        "notes": [],
    }


def compose_preview(services: Services, target: str, *, who: str | None, locale: str | None) -> PreviewMail:
    """Return a measure's mail, frozen from its sample or a person's values. Raises NotFoundError or InputError."""
    with services.database.read() as connection:
        loaded = services.playbooks.active(connection)
        measure, step = _find_step(loaded, target)
        if not isinstance(step, MailStep):
            message = f"{target} mails owners and no person; show it with: nurture preview {target}"
            raise InputError(message)
        sample, notes = _sample(connection, services, loaded, measure, who)
    wanted = locale or str(sample.get("contact", {}).get("locale") or loaded.playbook.default_locale)
    frozen = sample_context(
        loaded.templates,
        measure=measure.path,
        step=step.id,
        mail=step.mail,
        variant=measure.variants[0].name if measure.variants else "",
        locale=wanted,
        purpose=measure.purpose,
        topic=measure.topic,
        sample=sample,
    )
    return PreviewMail(loaded, measure, step, frozen, notes)


def warm_templates(services: Services) -> dict[str, tuple[str, ...]]:
    """Render each transactional mail once, so that the process's first one finds its template compiled.

    It sends and writes nothing. Returns measure -> locales rendered; a mail that fails to render is left out.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
    rendered: dict[str, tuple[str, ...]] = {}
    for path, measure in playbook.measures.items():
        if measure.purpose == "transactional":
            rendered[path] = tuple(
                locale for locale in playbook.locales if _can_render(services, path, locale)
            )
    return rendered


def _can_render(services: Services, path: str, locale: str) -> bool:
    try:
        mail = compose_preview(services, path, who=None, locale=locale)
        render(mail.loaded.templates, mail.frozen)
    except (TemplateFault, InputError):
        return False
    return True


def _sample(
    connection: sa.Connection, services: Services, loaded: LoadedPlaybook, measure: Measure, who: str | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the values of the measure's sample; with a person theirs in its place, and what stays the sample's."""
    sample: dict[str, Any] = json.loads(loaded.files.get(f"{measure.path}/sample.json", "{}"))
    if who is None:
        return sample, ()
    return _Person(connection, loaded, measure, who, now=services.clock.now()).fill(sample)


def _find_step(loaded: LoadedPlaybook, target: str) -> tuple[Measure, MailStep | NotifyStep]:
    """Return the measure and the step of a mail that MEASURE[/STEP] names, mails to people before those to owners.

    Raises NotFoundError or InputError.
    """
    measures = loaded.playbook.measures
    path, _, step_id = target.rpartition("/")
    if target in measures or path not in measures:
        path, step_id = target, ""
    measure = find_measure(loaded.playbook, path)
    mails: list[MailStep | NotifyStep] = [step for step in measure.steps if isinstance(step, MailStep)]
    mails += [step for step in measure.steps if isinstance(step, NotifyStep)]
    for step in mails:
        if step_id in ("", step.id):
            return measure, step
    message = f"{path} has no mail step {step_id!r}; it has {', '.join(step.id for step in mails)}"
    raise InputError(message)


class _Person:
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


def _mark_as_test(data: bytes) -> bytes:
    """Prefix the subject with [test], and remove the unsubscribe headers, which have no valid token."""
    mail: EmailMessage = message_from_bytes(data, policy=policy.SMTP)
    subject = str(mail["Subject"])
    del mail["Subject"], mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"]
    mail["Subject"] = f"[test] {subject}"
    return mail.as_bytes()
