"""One mail that comes to us: who may send what to which address, and what becomes of it.

A bounce counts only at a return path that we signed: nobody else has it but whoever got the mail. A complaint
needs the same, or our own Message-ID. A reply needs nothing, for it does no harm. Nothing is ever answered.
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
from nurture.domain.instant import Instant
from nurture.domain.verp import dialogue_of, message_of, without_tag
from nurture.feedback.record import Recorded, record
from nurture.feedback.replies import Desk, take_answer, take_reply
from nurture.inbound.inbound_mail import Arrival, read
from nurture.playbook import LoadedPlaybook
from nurture.reports.metrics import count, timed
from nurture.runtime.log import get_logger

_log = get_logger("inbound")

#: SMTP replies. Only the first takes the mail; after the second the sender keeps it and comes again.
ACCEPTED: Final = "250 2.0.0 Taken"
TRY_LATER: Final = "451 4.3.0 Not now, try again later"
NO_SUCH_ADDRESS: Final = "550 5.1.1 There is no such address here"


def require_inbound(services: Services) -> None:
    """Raise SettingsError that lists what inbound mail needs and the settings do not say."""
    settings = services.settings
    faults = []
    if not settings.replies_to:
        faults.append(
            "NURTURE_REPLIES_TO is not set: give the address of the human who reads what people answer"
        )
    if not settings.bounce_address:
        faults.append("NURTURE_BOUNCE_ADDRESS is not set: give the address that bounces come back to")
    if faults:
        raise SettingsError("\n".join(faults))


def desk_of(services: Services, loaded: LoadedPlaybook) -> Desk:
    """Return where answers go."""
    settings = services.settings
    return Desk(
        keys=services.keys,
        suppression_key=settings.suppression_secret,
        sender=loaded.playbook.senders["default"]["address"],
        replies_to=settings.replies_to,
        escalate_to=settings.escalate_to or settings.replies_to,
        within=settings.reply_time,
        bounce_address=settings.bounce_address,
        base_url=settings.public_url,
        playbook=loaded.playbook,
    )


class Inbound:
    """Takes mail for the addresses of this installation."""

    def __init__(self, services: Services) -> None:
        """Work with these services; they stay open until the last mail is taken."""
        self._services = services

    def is_ours(self, recipient: str) -> bool:
        """Tell whether mail to this address is for us: the bounce address, tagged or not, or a sender's.

        Raises SQLAlchemyError when the database is away.
        """
        plain = without_tag(recipient)
        if plain == self._services.settings.bounce_address.lower():
            return True
        with self._services.database.read() as connection:
            try:
                playbook = self._services.playbooks.active(connection).playbook
            except UserError:
                return False
        written = (each.get(key, "") for each in playbook.senders.values() for key in ("address", "reply_to"))
        return plain in {address.lower() for address in written}

    def take(self, sender: str, recipient: str, data: bytes) -> str:
        """Take one mail and return the SMTP reply: 250 once all that follows is committed.

        sender: of the envelope, empty for `<>`. Whatever goes wrong here, the mail stays with who sent it.
        """
        try:
            with timed("feedback"):
                arrival = read(data, envelope_sender=sender)
                done = self._services.database.run(self._work(arrival, recipient, data))
        except (SQLAlchemyError, Transient, OSError) as error:
            count("feedback", {"inbound_later": 1})
            _log.warning("a mail was put off", error=type(error).__name__)
            return TRY_LATER
        count("feedback", done.counts)
        for shard in done.shards:
            self._services.bells.ring("inbox", str(shard))
        if done.counts["reply"]:
            self._services.bells.ring("feedback", "")
        return ACCEPTED

    # ---- what it proves and what follows -----------------------------------------------------------------

    def _work(self, arrival: Arrival, recipient: str, data: bytes) -> Callable[[sa.Connection], Recorded]:
        keys, now = self._services.keys, self._services.clock.now()
        tagged, dialogue = message_of(keys, recipient), dialogue_of(keys, recipient)

        def work(connection: sa.Connection) -> Recorded:
            if arrival.nature == "reply":
                return self._reply(connection, arrival, data, tagged=tagged, dialogue=dialogue, now=now)
            report = self._report(arrival, tagged, now)
            if report is None:
                return _counted("automatic" if arrival.nature == "automatic" else "unproven")
            key = self._services.settings.suppression_secret
            return record(connection, [report], now=now, suppression_key=key)

        return work

    def _report(self, arrival: Arrival, tagged: int | None, now: Instant) -> Report | None:
        """Return what a machine's mail reports, None when nothing proves that it has seen a mail of ours."""
        report = Report(
            provider="mail",
            event_id=arrival.key,
            kind="bounce",
            at=now,
            severity=arrival.severity,
            message=tagged,
            detail={"diagnostic": arrival.diagnostic, "code": arrival.code},
        )
        match arrival.nature:
            case "bounce" | "deferred" | "delivered":
                return replace(report, kind=arrival.nature) if tagged is not None else None
            case "complaint" | "left":
                paths = (message_of(self._services.keys, path) for path in arrival.return_paths)
                number = next((path for path in paths if path is not None), tagged)
                about = arrival.about[0] if arrival.about else None
                if number is None and about is None:
                    return None
                kind: Final = "complaint" if arrival.nature == "complaint" else "unsubscribe"
                return replace(report, kind=kind, message=number, header_id=about if number is None else None)
            case "automatic" | "reply":
                return None

    def _reply(
        self,
        connection: sa.Connection,
        arrival: Arrival,
        data: bytes,
        *,
        tagged: int | None,
        dialogue: int | None,
        now: Instant,
    ) -> Recorded:
        desk = desk_of(self._services, self._services.playbooks.active(connection))
        ours = {canonical_email(desk.replies_to), canonical_email(desk.escalate_to)}
        if arrival.author in ours:
            # Our own people's mail is never a customer's answer; at a case's address it is theirs.
            return take_answer(connection, desk, dialogue, arrival, now=now) if dialogue else _counted("own")
        report = Report(
            provider="mail",
            event_id=arrival.key,
            kind="reply",
            at=now,
            message=tagged,
            header_id=arrival.about[0] if arrival.about and tagged is None else None,
            address=arrival.author,
            detail={"subject": arrival.subject, "text": arrival.text, "from": arrival.author or ""},
        )
        return take_reply(connection, desk, report, arrival, data, now=now)


def _counted(reason: str) -> Recorded:
    return Recorded(Counts({reason: 1}))
