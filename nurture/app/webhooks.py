"""Process the webhooks of mail providers: verify the signature, translate the reports, record them, then answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.domain.counts import Counts
from nurture.domain.feedback import Report
from nurture.domain.inbound.verp import read_return_path
from nurture.feedback.record import record
from nurture.inbound.fetch import Fetcher
from nurture.inbound.providers import PROVIDERS, Call, Refusal
from nurture.inbound.providers.ses import confirmation
from nurture.reports.metrics import count, timed

#: Largest body; the largest batches of any provider are far smaller.
BODY_BYTES_MAX: Final = 2 * 1024 * 1024
#: Reports of one transaction.
BATCH: Final = 500

#: Reason of a refusal -> HTTP status and text. A refused call changes nothing but a counter.
ANSWERS: Final[dict[str, tuple[int, str]]] = {
    "off": (404, "Not found."),
    "unsigned": (401, "The call carries no signature."),
    "forged": (403, "The signature is not right."),
    "stale": (403, "The signature is too old."),
    "foreign": (403, "The call is not from an account of ours."),
    "oversized": (413, "The body is too large."),
    "unreadable": (400, "The body cannot be read."),
}


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The HTTP status and text of a response."""

    status: int
    text: str


class Webhooks:
    """The webhooks of one installation. A provider without a key in the settings is off."""

    def __init__(self, services: Services, *, fetch: Fetcher | None = None) -> None:
        """Read the keys from the settings. fetch: downloads Amazon's certificates."""
        self._services = services
        self._fetch = fetch or Fetcher()
        secrets = services.settings.webhook_secrets
        self._keys = {
            name: tuple(key for key in secret.get_secret_value().split("|") if key)
            for name, secret in secrets.items()
        }

    def is_on(self, provider: str) -> bool:
        """Tell whether the provider is known and has a key."""
        return provider in PROVIDERS and bool(self._keys.get(provider))

    def process_call(self, provider: str, call: Call) -> WebhookAnswer:
        """Verify, translate and record one call; returns once everything is committed.

        Raises SQLAlchemyError or Transient when the database is unavailable: the provider then retries.
        """
        if not self.is_on(provider):
            return self.refuse("off")
        services, chosen = self._services, PROVIDERS[provider]
        now = services.clock.now()
        refusal: Refusal = chosen.verify(call, self._keys[provider], now=now, fetch=self._fetch)
        if refusal:
            return self.refuse(refusal)
        reports = chosen.read(call, now=now)
        if reports is None:
            return self.refuse("unreadable")
        if (url := confirmation(call)) and self._fetch.fetch(url) is None:
            # Amazon sends the confirmation request again.
            return WebhookAnswer(503, "The confirmation could not be sent; try again.")
        record_reports(services, reports)
        return WebhookAnswer(200, "Taken.")

    def refuse(self, reason: str) -> WebhookAnswer:
        """Count a refused call and return its response."""
        count("feedback", {reason: 1})
        return WebhookAnswer(*ANSWERS[reason])


def record_reports(services: Services, reports: list[Report]) -> Counts:
    """Record verified reports in transactions of at most BATCH reports; returns the counts."""
    total = Counts()
    reports = [_resolve_message(services, report) for report in reports]
    for start in range(0, len(reports), BATCH):
        batch = reports[start : start + BATCH]
        with timed("feedback"):
            done = services.database.run(_record_batch(services, batch))
        count("feedback", done)
        total.add(done)
    return total


def _record_batch(services: Services, batch: list[Report]) -> Callable[[sa.Connection], Counts]:
    key = services.settings.suppression_secret
    return lambda connection: record(connection, batch, now=services.clock.now(), suppression_key=key)


def _resolve_message(services: Services, report: Report) -> Report:
    """Return the report with the message id from its signed return path."""
    if report.message is not None or not report.return_path:
        return report
    return replace(report, message=read_return_path(services.keys, report.return_path))
