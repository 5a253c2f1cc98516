"""Amazon SES through SNS: RSA over named fields, by a certificate from Amazon. Key: the topic's ARN.

Anybody may have an SNS topic, so the signature alone proves nothing about the account: only topics of the
settings are heard. Only SignatureVersion 2 (SHA-256) counts, and a certificate only from SNS's own hosts.
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
from nurture.domain.instant import Instant, to_datetime
from nurture.inbound.providers.call import (
    FRESH_REPEATED,
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    decoded,
    filled,
    fits,
    is_fresh,
    iso_instant,
    unbase64,
)
from nurture.transports.smtp.replies import severity_of

#: Where Amazon serves certificates and takes confirmations; nothing else is ever fetched.
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

#: Event -> kind, the object that tells about it, and the list in it of those concerned.
_KINDS: Final[dict[str, tuple[ReportKind, str, str]]] = {
    "Delivery": ("delivered", "delivery", "recipients"),
    "DeliveryDelay": ("deferred", "deliveryDelay", "delayedRecipients"),
    "Bounce": ("bounce", "bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complaint", "complainedRecipients"),
    "Open": ("open", "open", ""),
    "Click": ("click", "click", ""),
    "Subscription": ("unsubscribe", "subscription", ""),
}


# ---- whose call it is ------------------------------------------------------------------------------------


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:
    """Say why the call is not from a topic of ours. The cheap checks come first: nobody makes us fetch."""
    said = Document(decoded(call.body))
    signature = unbase64(said.text("Signature"))
    if not signature or said.text("Type") not in _SIGNED:
        return "unsigned"
    url = said.text("SigningCertURL")
    ours = fits(said.text("TopicArn"), keys) and said.text("SignatureVersion") == "2"
    if not ours or not CERTIFICATE_URL.fullmatch(url):
        return "foreign"
    pem = fetch(url)
    if pem is None or not _is_signed(said, signature, pem, now):
        return "forged"
    at = iso_instant(said.text("Timestamp"), otherwise=0)
    return "" if is_fresh(at, now=now, within=FRESH_REPEATED) else "stale"


def _is_signed(said: Document, signature: bytes, pem: bytes, now: Instant) -> bool:
    loaded = _public_key(pem)
    if loaded is None:
        return False
    key, since, until = loaded
    if not since <= to_datetime(now).timestamp() <= until:
        return False
    try:
        key.verify(signature, _signed_text(said), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _signed_text(said: Document) -> bytes:
    """Return name and value of each signed field, a line each; a field that is not there is left out."""
    names = [name for name in _SIGNED[said.text("Type")] if name in said.value]
    lines = [line for name in names for line in (name, said.text(name))]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


@lru_cache(maxsize=8)
def _public_key(pem: bytes) -> tuple[rsa.RSAPublicKey, float, float] | None:
    try:
        certificate = load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except Exception:  # noqa: BLE001 - a parser's every complaint means the same
        return None
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    return key, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def confirmation(call: Call) -> str | None:
    """Return the URL that a verified call asks to visit before it subscribes; None when it asks nothing."""
    said = Document(decoded(call.body))
    url = said.text("SubscribeURL")
    asked = said.text("Type") == "SubscriptionConfirmation" and CONFIRM_URL.fullmatch(url)
    return url if asked else None


# ---- what it says ----------------------------------------------------------------------------------------


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Translate one event: a report for everybody it is about."""
    said = Document(decoded(call.body))
    if said.text("Type") in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return []
    value = decoded(said.text("Message").encode("utf-8", "replace"))
    if not isinstance(value, dict):
        return None
    event = Document(value)
    meaning = _KINDS.get(event.text("eventType", "notificationType"))
    if meaning is None:
        return []
    kind, name, concerned = meaning
    told, mail = event.within(name), event.within("mail")
    if kind == "complaint" and told.text("complaintFeedbackType") == "not-spam":
        return []
    people = _people(told, concerned, mail)
    at = told.text("timestamp") or said.text("Timestamp")
    event_id = told.text("feedbackId") or said.text("MessageId")
    return [
        Report(
            provider="ses",
            event_id=f"{event_id}:{person.text('emailAddress')}",
            kind=kind,
            at=iso_instant(at, otherwise=now),
            severity=_severity(told, person) if kind == "bounce" else "",
            header_id=_header_id(mail),
            return_path=mail.text("source") or None,
            address=address(person.text("emailAddress")),
            detail=_detail(told, person, mail),
            raw=event.raw(),
        )
        for person in people
    ]


def _people(told: Document, concerned: str, mail: Document) -> list[Document]:
    people = list(told.all(concerned))
    if not people or not any(person.value for person in people):
        names = told.texts(concerned) or mail.texts("destination")
        people = [Document({"emailAddress": name}) for name in names[:100]]
    return people[:100]


def _severity(told: Document, person: Document) -> Severity:
    said = severity_of(person.text("status"), person.text("diagnosticCode"))
    if said == "policy":
        return said
    match told.text("bounceType"), told.text("bounceSubType"):
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
    """Return the Message-ID we wrote; SES gives the mail one of its own on the way."""
    for header in mail.all("headers"):
        if header.text("name").lower() == "message-id":
            return header.text("value")
    return mail.within("commonHeaders").text("messageId") or None


def _detail(told: Document, person: Document, mail: Document) -> dict[str, str]:
    return filled(
        diagnostic=person.text("diagnosticCode") or told.text("smtpResponse", "complaintFeedbackType"),
        code=person.text("status") or told.text("bounceSubType"),
        url=told.text("link"),
        user_agent=told.text("userAgent"),
        subject=mail.within("commonHeaders").text("subject"),
    )
