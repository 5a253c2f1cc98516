"""Process one received mail: a bounce, a complaint, an unsubscribe, a reply of a person, or an answer of our staff.

A bounce counts only at a return path that we signed: only recipients of that mail know it. A complaint needs such
a return path or our Message-ID. A reply needs no proof, because it changes nothing else. No mail is ever answered
automatically.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.services import Services
from nurture.domain.counts import Counts
from nurture.domain.errors import SettingsError, Transient, UserError
from nurture.domain.feedback import Report
from nurture.domain.identity import canonical_email
from nurture.domain.inbound.unsubscribe_words import asks_to_unsubscribe
from nurture.domain.inbound.verp import read_case_address, read_return_path, strip_tag
from nurture.domain.instant import Instant
from nurture.feedback.record import record
from nurture.feedback.replies import ReplySettings, record_answer, record_reply
from nurture.feedback.unsubscribe_replies import record_unsubscribe_reply
from nurture.inbound.inbound_mail import InboundMail, read
from nurture.playbook import LoadedPlaybook
from nurture.reports.metrics import count, timed
from nurture.runtime.log import get_logger

_log = get_logger("inbound")

#: SMTP replies. ACCEPTED takes responsibility for the mail; after TRY_LATER the sender keeps it and retries.
ACCEPTED: Final = "250 2.0.0 Taken"
TRY_LATER: Final = "451 4.3.0 Not now, try again later"
NO_SUCH_ADDRESS: Final = "550 5.1.1 There is no such address here"


def require_inbound(services: Services) -> None:
    """Raise SettingsError with every missing setting that inbound mail needs."""
    settings = services.settings
    faults = []
    if not settings.replies_to:
        faults.append("NURTURE_REPLIES_TO is not set: set it to the address of the person who reads replies")
    if not settings.bounce_address:
        faults.append("NURTURE_BOUNCE_ADDRESS is not set: set it to the address that bounces return to")
    if faults:
        raise SettingsError("\n".join(faults))


def build_reply_settings(services: Services, loaded: LoadedPlaybook) -> ReplySettings:
    """Return the addresses and times of the case handling, from settings and the active playbook."""
    settings = services.settings
    return ReplySettings(
        keys=services.keys,
        suppression_key=settings.suppression_secret,
        sender=loaded.playbook.senders["default"]["address"],
        replies_to=settings.replies_to,
        escalate_to=settings.escalate_to or settings.replies_to,
        within=settings.reply_time,
        bounce_address=settings.bounce_address,
        base_url=settings.public_url,
        playbook=loaded.playbook,
        sender_name=loaded.playbook.senders["default"].get("name", ""),
        only_to=frozenset(settings.only_to),
    )


class Inbound:
    """Receives mail for the addresses of this installation."""

    def __init__(self, services: Services) -> None:
        """Use these services, which must stay open until the last mail is processed."""
        self._services = services

    def is_ours(self, recipient: str) -> bool:
        """Tell whether mail to this address is for us: the bounce address (tagged or not) or a sender's address.

        Raises SQLAlchemyError when the database is unavailable.
        """
        plain = strip_tag(recipient)
        if plain == self._services.settings.bounce_address.lower():
            return True
        with self._services.database.read() as connection:
            try:
                playbook = self._services.playbooks.active(connection).playbook
            except UserError:
                return False
        addresses = (
            sender.get(key, "") for sender in playbook.senders.values() for key in ("address", "reply_to")
        )
        return plain in {address.lower() for address in addresses}

    def process_mail(self, sender: str, recipient: str, data: bytes) -> str:
        """Process one mail and return the SMTP reply: 250 once all its effects are committed.

        sender: the envelope sender, empty for `<>`. After any error the reply is 451, so the sender keeps the mail.
        """
        try:
            with timed("feedback"):
                mail = read(data, envelope_sender=sender)
                done = self._services.database.run(self._processing(mail, recipient, data))
        except (SQLAlchemyError, Transient, OSError) as error:
            count("feedback", {"inbound_later": 1})
            _log.warning("mail", outcome="inbound_later", error=type(error).__name__)
            return TRY_LATER
        count("feedback", done)
        # One line a mail, without a word of what the person wrote.
        outcome = ", ".join(sorted(name for name, number in done.items() if number))
        _log.info("mail", nature=mail.nature, outcome=outcome or "nothing", bytes=len(data))
        return ACCEPTED

    # ---- evidence and effects ----------------------------------------------------------------------------

    def _processing(
        self, mail: InboundMail, recipient: str, data: bytes
    ) -> Callable[[sa.Connection], Counts]:
        keys, now = self._services.keys, self._services.clock.now()
        tagged, case = read_return_path(keys, recipient), read_case_address(keys, recipient)

        def work(connection: sa.Connection) -> Counts:
            if mail.nature == "reply":
                return self._reply(connection, mail, data, tagged=tagged, case=case, now=now)
            report = self._report(mail, tagged, now)
            if report is None:
                return _count_only("automatic" if mail.nature == "automatic" else "unproven")
            key = self._services.settings.suppression_secret
            return record(connection, [report], now=now, suppression_key=key)

        return work

    def _report(self, mail: InboundMail, tagged: int | None, now: Instant) -> Report | None:
        """Return the report of an automatic mail; None without proof that its sender received a mail of ours."""
        report = Report(
            provider="mail",
            event_id=mail.key,
            kind="bounce",
            at=now,
            severity=mail.severity,
            message=tagged,
            detail={"diagnostic": mail.diagnostic, "code": mail.code},
        )
        match mail.nature:
            case "bounce" | "deferred" | "delivered":
                return replace(report, kind=mail.nature) if tagged is not None else None
            case "complaint" | "opt_out":
                paths = (read_return_path(self._services.keys, path) for path in mail.return_paths)
                number = next((path for path in paths if path is not None), tagged)
                about = mail.about[0] if mail.about else None
                if number is None and about is None:
                    return None
                kind: Final = "complaint" if mail.nature == "complaint" else "unsubscribe"
                return replace(report, kind=kind, message=number, header_id=about if number is None else None)
            case "automatic" | "reply":
                return None

    def _reply(
        self,
        connection: sa.Connection,
        mail: InboundMail,
        data: bytes,
        *,
        tagged: int | None,
        case: int | None,
        now: Instant,
    ) -> Counts:
        settings = build_reply_settings(self._services, self._services.playbooks.active(connection))
        staff = {canonical_email(settings.replies_to), canonical_email(settings.escalate_to)}
        if mail.author in staff:
            # Mail of our own staff is never a customer's reply. At a case's address it is the answer to one.
            return record_answer(connection, settings, case, mail, now=now) if case else _count_only("own")
        report = Report(
            provider="mail",
            event_id=mail.key,
            kind="reply",
            at=now,
            message=tagged,
            header_id=mail.about[0] if mail.about and tagged is None else None,
            address=mail.author,
            detail={"subject": mail.subject, "text": mail.text, "from": mail.author or ""},
        )
        if asks_to_unsubscribe(mail.subject, mail.text):
            return record_unsubscribe_reply(connection, settings, report, now=now)
        return record_reply(connection, settings, report, mail, data, now=now)


def _count_only(reason: str) -> Counts:
    return Counts({reason: 1})
