"""One mail of the ledger: its state, its attempts, and the mail itself, made again from its frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final, cast

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database.engine import decode
from nurture.delivery.kept_bytes import hash_mail, read_kept_bytes
from nurture.delivery.verdicts import read_checks
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import to_iso
from nurture.domain.values import read_row_id
from nurture.playbook import LoadedPlaybook
from nurture.playbook.measure_names import load_measure_names
from nurture.rendering.context import MailContext
from nurture.rendering.errors import TemplateFault
from nurture.rendering.links import PAGES
from nurture.rendering.render import render
from nurture.reports import ledger

#: The end of a link in a mail that staff look at: no page accepts it as a token.
_NOT_VALID: Final = "shown-to-staff"
_PAGES: Final = tuple(PAGES.values())


@dataclass(frozen=True, slots=True)
class _SentMail:
    """The mail of a message as far as it can be made, and a sentence on how true it is."""

    proof: str
    note: str
    mail: EmailMessage | None = None


def show(services: Services, number: str) -> dict[str, Any]:
    """Return a message of the ledger: its state, attempts and checks, and the mail with both parts.

    `proof` says how true the mail is: `same` (its bytes have the hash that was recorded when it left), `differs`
    (they have not; `note` says why), `unsent` (it has not left: the mail as it stands now), `none` (there is no mail;
    `note` says why). Links to personal pages are replaced, so that looking at a mail unsubscribes nobody.
    Raises NotFoundError.
    """
    with services.database.read() as connection:
        row_id = read_row_id(number)
        row = None if row_id is None else ledger.load_message(connection, row_id)
        if row is None:
            raise NotFoundError(f"there is no message {number!r}; list them with: nurture messages")
        attempts = ledger.load_attempts(connection, row.id)
        context = None if row.context is None else decode(row.context)
        loaded = _playbook_of(services, connection, row)
        names = load_measure_names(services.playbooks, connection)
    sent = _make(row, context, loaded)
    return {
        "message": row.id,
        "contact": row.contact_id,
        "to": context.get("to") if context else None,
        "measure": names.shown(row.measure),
        "step": row.step,
        "key": row.run_key,
        "status": row.status,
        "reason": row.reason,
        "purpose": row.purpose,
        "lane": row.lane,
        "decided": to_iso(row.decided_at),
        "due": to_iso(row.due_at),
        "sent": to_iso(row.sent_at) if row.sent_at else None,
        "attempts": attempts,
        "checks": read_checks(row.verdict),
        "rankings": context.get("rankings", {}) if context else {},
        "proof": sent.proof,
        "note": sent.note,
        **_parts(sent.mail, context or {}),
    }


def _playbook_of(services: Services, connection: sa.Connection, row: sa.Row[Any]) -> LoadedPlaybook | None:
    """Return the playbook that the message was guarded by, else the active one, else None."""
    number = row.playbook_id
    if number is None:
        number = services.playbooks.active_id(connection)
    return None if number is None else services.playbooks.of(connection, number)


def _make(row: sa.Row[Any], context: Mapping[str, Any] | None, loaded: LoadedPlaybook | None) -> _SentMail:
    if context is None or loaded is None:
        return _SentMail("none", _why_without_values(row))
    kept = read_kept_bytes(context)
    try:
        # A simulation keeps no bytes of most mails.
        data = kept or render(loaded.templates, cast("MailContext", context))
    except TemplateFault as fault:
        return _SentMail("none", f"the mail cannot be made again: {fault}")
    mail = message_from_bytes(data, policy=policy.default)
    if row.content_hash is None:
        return _SentMail("unsent", "it has not left; this is what would leave now", mail)
    if hash_mail(data) == row.content_hash:
        return _SentMail("same", "these are the bytes that left", mail)
    return _SentMail(
        "differs",
        "the bytes differ from those that left: another release of nurture made that mail, "
        "or its stored values were changed since",
        mail,
    )


def _why_without_values(row: sa.Row[Any]) -> str:
    if row.status == "waiting":
        return "the mail is made when it is due; see the measure's mail with: nurture preview"
    if row.sent_at is None:
        return "no mail was made"
    return "the mail's values were deleted, with the person or after the time that NURTURE_RETENTION gives `contents`"


def _parts(mail: EmailMessage | None, context: Mapping[str, Any]) -> dict[str, Any]:
    if mail is None:
        return {"subject": None, "from": None, "text": None, "html": None}
    return {
        "subject": str(mail["Subject"]),
        "from": str(mail["From"]),
        "text": _without_tokens(_content(mail, "plain"), context),
        "html": _without_tokens(_content(mail, "html"), context),
    }


def _content(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body((kind,))
    return None if part is None else part.get_content()


def _without_tokens(text: str | None, context: Mapping[str, Any]) -> str | None:
    """Return the text with links that act on nobody; the call to action leads straight to its target."""
    if text is None:
        return None
    for url in context.get("links", {}).values():
        page = url[: url.rfind("/") + 1]
        if page.endswith(PAGES["click"]):
            text = text.replace(url, context["target"])
        elif page.endswith(_PAGES):
            text = text.replace(url, f"{page}{_NOT_VALID}")
    return text


def html_of(message: Mapping[str, Any]) -> str:
    """Return the HTML part of a shown message. Raises InputError with the reason when it has none."""
    if message["html"] is None:
        raise InputError(f"message {message['message']} has no HTML part to show: {message['note']}")
    return str(message["html"])
