"""Send one mail to the operator's own address, marked as a test. It is no run and is counted nowhere."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from nurture.app.previews.compose import NO_OPTIONS, PreviewMail, PreviewOptions, compose_preview
from nurture.app.previews.source import PreviewSource
from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.errors import InputError
from nurture.domain.identity import canonical_email
from nurture.domain.instant import SECOND
from nurture.rendering.errors import TemplateFault
from nurture.rendering.render import render
from nurture.runtime.clock import SystemClock
from nurture.runtime.settings import Settings
from nurture.transports.registry import open_lanes, open_transport
from nurture.transports.types import OutgoingMail


def send_test(
    source: PreviewSource,
    target: str,
    options: PreviewOptions = NO_OPTIONS,
    *,
    to: str,
    actor: str,
    settings: Settings,
) -> dict[str, Any]:
    """Send the mail of a preview to an address, through the lane of its measure; audited where there is a database.

    Raises InputError for an invalid address, or when the mail server refuses the mail.
    """
    address = canonical_email(to)
    if address is None:
        message = f"--test {to}: this is not an e-mail address"
        raise InputError(message)
    mail = compose_preview(source, target, options)
    now = SystemClock().now() if source.services is None else source.services.clock.now()
    frozen = mail.frozen
    frozen["to"] = address
    frozen["date"] = now // SECOND * SECOND
    frozen["header_id"] = f"<test.{now}@{frozen['sender']['address'].rpartition('@')[2]}>"
    try:
        data = _mark_as_test(render(mail.loaded.templates, frozen))
    except TemplateFault as fault:
        raise InputError(f"{target}: {fault}") from fault
    if source.services is not None:
        _audit(source.services, mail, now=now, actor=actor)
    lanes = open_lanes(settings.mail_url)
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


def _audit(services: Services, mail: PreviewMail, *, now: int, actor: str) -> None:
    detail = {"measure": mail.measure.path, "step": mail.step.id}
    services.database.run(
        lambda connection: record(connection, at=now, actor=actor, action="send.test", detail=detail)
    )


def _mark_as_test(data: bytes) -> bytes:
    """Prefix the subject with [test], and remove the unsubscribe headers, which have no valid token."""
    mail: EmailMessage = message_from_bytes(data, policy=policy.SMTP)
    subject = str(mail["Subject"])
    del mail["Subject"], mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"]
    mail["Subject"] = f"[test] {subject}"
    return mail.as_bytes()
