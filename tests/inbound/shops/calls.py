"""The sample calls of shops, and how a shop signs them, written from its documentation."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nurture.domain.instant import SECOND, Instant, parse_iso
from nurture.inbound.providers.call import Call

SAMPLES = Path(__file__).parent / "samples"
#: After every sample.
NOW: Instant = parse_iso("2027-02-01T00:00:00Z")
#: Header of the signature -> the shop.
HEADERS = {
    "shopify": "x-shopify-hmac-sha256",
    "woocommerce": "x-wc-webhook-signature",
    "stripe": "stripe-signature",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A call as the file of samples describes it."""

    file: str
    headers: dict[str, str]

    @property
    def shop(self) -> str:
        """Return the shop that sends it."""
        return self.file.partition("/")[0]

    @property
    def body(self) -> bytes:
        """Return the bytes to post."""
        return (SAMPLES / self.file).read_bytes()


@cache
def document() -> dict[str, Any]:
    """Return the file of samples: secrets, and headers by file."""
    found: dict[str, Any] = json.loads((SAMPLES / "calls.json").read_text())
    return found


def samples(shop: str = "") -> list[Sample]:
    """Return the signed samples of a shop, or of all, in their order; the ping has no signature."""
    return [
        Sample(case["file"], case["headers"])
        for case in document()["cases"]
        if case["file"].startswith(shop) and case["file"].endswith(".json")
    ]


def sample(number: str) -> Sample:
    """Return the sample of `shopify/02`."""
    return next(sample for sample in samples() if sample.file.startswith(number))


def secret(shop: str) -> str:
    """Return the secret that the samples are signed with."""
    return str(document()["secrets"][shop])


def signature(shop: str, body: bytes, *, key: str = "", now: Instant = NOW) -> str:
    """Return the value of the signature's header."""
    used = (key or secret(shop)).encode()
    if shop == "stripe":
        at = str(now // SECOND)
        return f"t={at},v1={hmac.new(used, at.encode() + b'.' + body, hashlib.sha256).hexdigest()}"
    return base64.b64encode(hmac.new(used, body, hashlib.sha256).digest()).decode()


def signed(sample: Sample, body: bytes | None = None, **headers: str) -> Call:
    """Return the sample as a signed call. body: another one. headers: further ones, `_` for `-`."""
    data = sample.body if body is None else body
    lowered = {name.lower(): value for name, value in sample.headers.items()}
    further = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(data, {**lowered, HEADERS[sample.shop]: signature(sample.shop, data), **further})
