"""Mail providers whose webhooks are understood: one file each, all of the same shape.

A provider is two pure functions: `verify` says whether a call really comes from it, `read` translates it into
the one vocabulary of `domain.feedback`. Neither ever raises, whatever the call holds. Keys, time and (for
Amazon's certificates) a way to fetch are arguments. `docs/howto/add-a-provider.md` tells how to add one; the
conformance suite in `tests/inbound/providers/test_providers.py` takes up whatever stands in PROVIDERS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from nurture.domain.feedback import Report
from nurture.domain.instant import Instant
from nurture.inbound.providers import mailgun, postmark, resend, sendgrid, ses
from nurture.inbound.providers.call import Call, Fetch, Refusal

__all__ = ["PROVIDERS", "Call", "Fetch", "Provider", "Refusal"]


class _Verify(Protocol):
    def __call__(self, call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal: ...


class _Read(Protocol):
    def __call__(self, call: Call, *, now: Instant) -> list[Report] | None: ...


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. Its name is the last part of `/webhooks/NAME`, and the `provider` of its reports."""

    name: str
    #: Why the call is not believed; empty: it is. keys: those of the settings, any may fit.
    verify: _Verify
    #: What it reports, empty when that is nothing to us; None when it cannot be read.
    read: _Read


PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {
        "ses": Provider("ses", ses.verify, ses.read),
        "sendgrid": Provider("sendgrid", sendgrid.verify, sendgrid.read),
        "mailgun": Provider("mailgun", mailgun.verify, mailgun.read),
        "postmark": Provider("postmark", postmark.verify, postmark.read),
        "resend": Provider("resend", resend.verify, resend.read),
    }
)
