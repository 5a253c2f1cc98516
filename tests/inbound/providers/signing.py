"""Signing as the providers do, each by means of its own, and never by the code under test."""

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from nurture.domain.instant import SECOND, Instant, to_datetime, to_iso
from nurture.inbound.providers.call import Call

TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail"
CERTIFICATE = (
    "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"
)
Sign = Callable[[Any, Instant], Call]


@dataclass(frozen=True)
class Signer:
    """How one provider signs: with the key of the settings, and with one that is not."""

    key: str
    sign: Sign
    forge: Sign
    # The signature does not cover the body; its protection against repetition has a test of its own.
    leaves_body_open: bool = False
    has_time: bool = True


def fetch(url: str) -> bytes | None:
    """Serve Amazon's certificate, and nothing else."""
    return certificate()[1] if url == CERTIFICATE else None


def _dumped(body: Any) -> bytes:
    return json.dumps(body).encode()


# ---- SendGrid --------------------------------------------------------------------------------------------


@cache
def _curve_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _sendgrid(key: ec.EllipticCurvePrivateKey) -> Sign:
    def sign(body: Any, now: Instant) -> Call:
        at, data = str(now // SECOND), _dumped(body)
        signature = base64.b64encode(key.sign(at.encode() + data, ec.ECDSA(hashes.SHA256()))).decode()
        names = ("x-twilio-email-event-webhook-timestamp", "x-twilio-email-event-webhook-signature")
        return Call(data, dict(zip(names, (at, signature), strict=True)))

    return sign


def _der(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


# ---- Mailgun ---------------------------------------------------------------------------------------------


def _mailgun(key: str) -> Sign:
    def sign(body: Any, now: Instant) -> Call:
        at, token = str(now // SECOND), body["signature"]["token"]
        proof = hmac.new(key.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest()
        return Call(_dumped(body | {"signature": {"timestamp": at, "token": token, "signature": proof}}))

    return sign


# ---- Postmark --------------------------------------------------------------------------------------------


def _postmark(login: str) -> Sign:
    return lambda body, _now: Call(
        _dumped(body), {"authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    )


# ---- Resend ----------------------------------------------------------------------------------------------


def _resend(key: str) -> Sign:
    def sign(body: Any, now: Instant) -> Call:
        data = _dumped(body).decode()
        number = "msg_" + hashlib.sha256(data.encode()).hexdigest()[:24]
        signature = Webhook(key).sign(number, to_datetime(now), data)
        return Call(
            data.encode(),
            {
                "svix-id": number,
                "svix-timestamp": str(now // SECOND),
                "svix-signature": f"v1a,xx {signature}",
            },
        )

    return sign


# ---- Amazon ----------------------------------------------------------------------------------------------


@cache
def _certificate(name: str) -> tuple[rsa.RSAPrivateKey, bytes]:
    """Return a key and its certificate, valid from 2026 to 2027."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA256())
    )
    return key, made.public_bytes(serialization.Encoding.PEM)


def certificate(name: str = "sns.amazonaws.com") -> tuple[rsa.RSAPrivateKey, bytes]:
    """Return the same key and certificate for a name, whoever asks."""
    return _certificate(name)


def amazon(
    name: str = "sns.amazonaws.com",
    digest: hashes.HashAlgorithm | None = None,
    **changes: Any,
) -> Sign:
    """Return a way to sign as SNS does; `changes` take the place of fields."""

    def sign(body: Any, now: Instant) -> Call:
        fields = {**body, "SigningCertURL": CERTIFICATE, "Timestamp": to_iso(now), **changes}
        if isinstance(fields["Message"], dict):
            fields["Message"] = json.dumps(fields["Message"]) + "\n"
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{field}\n{fields[field]}\n" for field in names if field in fields)
        signature = certificate(name)[0].sign(text.encode(), padding.PKCS1v15(), digest or hashes.SHA256())
        return Call(_dumped(fields | {"Signature": base64.b64encode(signature).decode()}))

    return sign


OURS, THEIRS = "a secret of twenty-four.", "another one, as long as it"


def _whsec(text: str) -> str:
    return "whsec_" + base64.b64encode(text.encode()).decode()


def signers() -> dict[str, Signer]:
    """Return how each provider signs."""
    return {
        "sendgrid": Signer(
            _der(_curve_key("ours")), _sendgrid(_curve_key("ours")), _sendgrid(_curve_key("theirs"))
        ),
        "mailgun": Signer(
            "key-of-mailgun", _mailgun("key-of-mailgun"), _mailgun("other"), leaves_body_open=True
        ),
        "postmark": Signer(
            "hook:a long password",
            _postmark("hook:a long password"),
            _postmark("hook:another"),
            leaves_body_open=True,
            has_time=False,
        ),
        "resend": Signer(_whsec(OURS), _resend(_whsec(OURS)), _resend(_whsec(THEIRS))),
        "ses": Signer(TOPIC, amazon(), amazon("somebody.example")),
    }
