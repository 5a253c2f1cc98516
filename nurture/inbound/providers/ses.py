"""Amazon SES through SNS: RSA over named fields, by a certificate from Amazon. Key: the topic's ARN.

Anybody may have an SNS topic, so the signature alone proves nothing about the account: only topics of the
settings are accepted, with SignatureVersion 2 (SHA-256) and a certificate from SNS's own hosts.
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.inbound.refusals import judge_refusal
from nurture.domain.instant import Instant, to_datetime
from nurture.inbound.providers.call import (
    FRESH_REPEATED,
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    decode_base64,
    is_fresh,
    iso_instant,
    matches_any,
    parse_json,
    without_empty,
)

#: Hosts of Amazon's certificates and confirmations; nothing else is fetched.
_HOST: Final = r"https://sns\.[a-z]{2}(?:-[a-z]{2,12}){1,3}-\d\.amazonaws\.com(?:\.cn)?"
CERTIFICATE_URL: Final = re.compile(_HOST + r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
CONFIRM_URL: Final = re.compile(_HOST + r"/\?Action=ConfirmSubscription&[A-Za-z0-9&=%:._-]{1,2000}")

_SIGNED: Final[dict[str, tuple[str, ...]]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]

#: Event -> kind, the object that describes it, and the list of recipients in that object.
_KINDS: Final[dict[str, tuple[ReportKind, str, str]]] = {
    "Delivery": ("delivered", "delivery", "recipients"),
    "DeliveryDelay": ("deferred", "deliveryDelay", "delayedRecipients"),
    "Bounce": ("bounce", "bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complaint", "complainedRecipients"),
    "Open": ("open", "open", ""),
    "Click": ("click", "click", ""),
    "Subscription": ("unsubscribe", "subscription", ""),
    # Never sent: SES found a virus, or its template could not be filled in.
    "Reject": ("bounce", "reject", ""),
    "Rendering Failure": ("bounce", "failure", ""),
}


# ---- verifying -------------------------------------------------------------------------------------------


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:
    """Return why the call is not from a topic of ours, "" when it is; the certificate is fetched last."""
    envelope = Document(parse_json(call.body))
    signature = decode_base64(envelope.text("Signature"))
    if not signature or envelope.text("Type") not in _SIGNED:
        return "unsigned"
    url = envelope.text("SigningCertURL")
    ours = matches_any(envelope.text("TopicArn"), keys) and envelope.text("SignatureVersion") == "2"
    if not ours or not CERTIFICATE_URL.fullmatch(url):
        return "foreign"
    pem = fetch(url)
    if pem is None or not _is_signed(envelope, signature, pem, now):
        return "forged"
    at = iso_instant(envelope.text("Timestamp"), otherwise=0)
    return "" if is_fresh(at, now=now, within=FRESH_REPEATED) else "stale"


def _is_signed(envelope: Document, signature: bytes, pem: bytes, now: Instant) -> bool:
    loaded = _public_key(pem)
    if loaded is None:
        return False
    key, since, until = loaded
    if not since <= to_datetime(now).timestamp() <= until:
        return False
    try:
        key.verify(signature, _signed_text(envelope), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _signed_text(envelope: Document) -> bytes:
    """Return the signed text: name and value of each signed field that exists, a line each."""
    names = [name for name in _SIGNED[envelope.text("Type")] if name in envelope.value]
    lines = [line for name in names for line in (name, envelope.text(name))]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


@lru_cache(maxsize=8)
def _public_key(pem: bytes) -> tuple[rsa.RSAPublicKey, float, float] | None:
    try:
        certificate = load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except Exception:  # noqa: BLE001 - every parsing error means the same
        return None
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    return key, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def confirmation(call: Call) -> str | None:
    """Return the URL that confirms the subscription of a verified call; None when the call asks for none."""
    envelope = Document(parse_json(call.body))
    url = envelope.text("SubscribeURL")
    asked = envelope.text("Type") == "SubscriptionConfirmation" and CONFIRM_URL.fullmatch(url)
    return url if asked else None


# ---- reading ---------------------------------------------------------------------------------------------


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Return a report for each recipient of one event."""
    envelope = Document(parse_json(call.body))
    if envelope.text("Type") in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return []
    value = parse_json(envelope.text("Message").encode("utf-8", "replace"))
    if not isinstance(value, dict):
        return None
    event = Document(value)
    meaning = _KINDS.get(event.text("eventType", "notificationType"))
    if meaning is None:
        return []
    kind, name, recipients = meaning
    outcome, mail = event.within(name), event.within("mail")
    if kind == "complaint" and outcome.text("complaintFeedbackType") == "not-spam":
        return []
    people = _people(outcome, recipients, mail)
    at = outcome.text("timestamp") or envelope.text("Timestamp")
    event_id = outcome.text("feedbackId") or envelope.text("MessageId")
    return [
        Report(
            provider="ses",
            event_id=f"{event_id}:{person.text('emailAddress')}",
            kind=kind,
            at=iso_instant(at, otherwise=now),
            severity=_severity(name, outcome, person) if kind == "bounce" else "",
            header_id=_header_id(mail),
            return_path=mail.text("source") or None,
            address=address(person.text("emailAddress")),
            detail=_detail(outcome, person, mail),
            raw=event.raw(),
        )
        for person in people
    ]


def _people(outcome: Document, recipients: str, mail: Document) -> list[Document]:
    people = list(outcome.all(recipients))
    if not people or not any(person.value for person in people):
        names = outcome.texts(recipients) or mail.texts("destination")
        people = [Document({"emailAddress": name}) for name in names[:100]]
    return people[:100]


def _severity(name: str, outcome: Document, person: Document) -> Severity:
    if name in ("reject", "failure"):
        # A fault of ours, which counts against nobody.
        return "policy"
    refusal = judge_refusal(person.text("status"), person.text("diagnosticCode"))
    if refusal.severity == "policy" or refusal.full:
        return refusal.severity
    match outcome.text("bounceType"), outcome.text("bounceSubType"):
        case "Permanent", _:
            return "hard"
        case "Transient", "MessageTooLarge" | "AttachmentRejected":
            return "undetermined"
        case "Transient", "ContentRejected":
            return "policy"
        case "Transient", _:
            return "soft"
        case _:
            return "undetermined"


def _header_id(mail: Document) -> str | None:
    """Return the Message-ID that we wrote; SES replaces it with its own before delivery."""
    for header in mail.all("headers"):
        if header.text("name").lower() == "message-id":
            return header.text("value")
    return mail.within("commonHeaders").text("messageId") or None


def _detail(outcome: Document, person: Document, mail: Document) -> dict[str, str]:
    return without_empty(
        diagnostic=person.text("diagnosticCode")
        or outcome.text("smtpResponse", "complaintFeedbackType", "reason", "errorMessage"),
        code=person.text("status") or outcome.text("bounceSubType"),
        url=outcome.text("link"),
        user_agent=outcome.text("userAgent"),
        subject=mail.within("commonHeaders").text("subject"),
    )
