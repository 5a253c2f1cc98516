"""Match reports to the message, the living contact and the address that they are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import sqlalchemy as sa

from nurture.contacts.accept import clean
from nurture.database.engine import decode
from nurture.domain.feedback import EVENTS, Report, read_message_id
from nurture.feedback import queries as feedback_queries
from nurture.feedback.queries import ReportedMessage

_EVENT_ID_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class MatchedReport:
    """A report with its message, living contact and address, as far as they are known."""

    report: Report
    message: ReportedMessage | None
    contact: int | None
    address: str | None

    @property
    def key(self) -> tuple[str, str]:
        """Provider and event id: the primary key of `feedback`."""
        return self.report.provider, bounded_event_id(self.report)

    @property
    def mailed_contact(self) -> int | None:
        """The contact whose mail it is about; without a known mail, the owner of the address."""
        return self.message.owner_id if self.message else self.contact

    @property
    def event_name(self) -> str | None:
        """Name of the event on the contact's timeline; None when the report is only stored."""
        return None if self.report.machine else EVENTS.get(self.report.kind)

    @property
    def waits(self) -> bool:
        """True when its event waits until a contact matches."""
        names_somebody = self.address is not None or self.report.message is not None or self.report.header_id
        return self.event_name is not None and self.contact is None and bool(names_somebody)


def bounded_event_id(report: Report) -> str:
    """Return the report's id within its provider; an empty or long one is replaced by its hash."""
    text = clean(report.event_id)
    if 0 < len(text) <= _EVENT_ID_MAX:
        return text
    return "b2:" + blake2b(text.encode(), digest_size=16).hexdigest()


def match_reports(connection: sa.Connection, reports: Sequence[Report]) -> list[MatchedReport]:
    """Return the reports in their order, each matched; a constant number of statements."""
    numbers = [_message_number(report) for report in reports]
    known = feedback_queries.load_messages(
        connection, sorted({number for number in numbers if number is not None})
    )
    messages = [
        _verified_message(report, known.get(number or 0))
        for report, number in zip(reports, numbers, strict=True)
    ]
    unmatched = {
        report.address
        for report, message in zip(reports, messages, strict=True)
        if message is None and report.address
    }
    owners = feedback_queries.load_owners(connection, sorted(unmatched))
    contacts = sorted({message.contact for message in messages if message})
    present = feedback_queries.load_addresses(connection, contacts)
    mailed_to = _load_mailed_addresses(connection, reports, messages)
    matched = []
    for report, message in zip(reports, messages, strict=True):
        contact = message.contact if message else owners.get(report.address or "")
        address = report.address
        if address is None and message is not None:
            address = mailed_to.get(message.id) or present.get(message.contact)
        matched.append(MatchedReport(report, message, contact, address))
    return matched


def _message_number(report: Report) -> int | None:
    return report.message if report.message is not None else read_message_id(report.header_id)


def _verified_message(report: Report, message: ReportedMessage | None) -> ReportedMessage | None:
    """Return the message, or None when the report shows only a Message-ID and it is not the message's own."""
    if message is None or report.message is not None:
        return message
    header_id = (report.header_id or "").strip().strip("<>")
    return message if (message.header_id or "").strip("<>") == header_id else None


def _load_mailed_addresses(
    connection: sa.Connection, reports: Sequence[Report], messages: Sequence[ReportedMessage | None]
) -> dict[int, str]:
    """Return message id -> address in its frozen context, for bounces and complaints that name no address."""
    wanted = {
        message.id
        for report, message in zip(reports, messages, strict=True)
        if message and report.address is None and report.kind in ("bounce", "complaint")
    }
    contexts = feedback_queries.load_contexts(connection, sorted(wanted))
    recipients = {number: decode(text).get("to") for number, text in contexts.items()}
    return {number: address for number, address in recipients.items() if isinstance(address, str)}
