"""Mail providers whose webhooks are read: one module each, all with the same two functions.

Both are pure: `verify` tells whether a call comes from the provider, `read` translates it into the vocabulary of
`domain.feedback`. Neither raises, whatever the call contains. Keys, time and a function that fetches Amazon's
certificates are arguments. `docs/howto/add-a-provider.md` describes how to add one; the conformance suite in
`tests/inbound/providers/test_providers.py` tests every entry of PROVIDERS.
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
    #: Returns why the call is refused, "" when it is accepted. keys: of the settings; one of them must match.
    verify: _Verify
    #: Returns the reports, none when the event does not concern us; None when the call cannot be read.
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
