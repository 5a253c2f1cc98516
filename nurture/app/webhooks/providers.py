"""Process the webhooks of mail providers: verify the signature, translate the reports, record them, then answer.

Those of shops are handed to `app.webhooks.shops`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.webhooks.answers import WebhookAnswer, refuse
from nurture.app.webhooks.shops import ROOM as SHOP_ROOM
from nurture.app.webhooks.shops import ShopWebhooks
from nurture.domain.counts import Counts
from nurture.domain.feedback import Report
from nurture.domain.inbound.verp import read_return_path
from nurture.feedback.record import record
from nurture.inbound.fetch import Fetcher
from nurture.inbound.providers import PROVIDERS, Call, Refusal
from nurture.inbound.providers.ses import confirmation
from nurture.reports.metrics import count, timed

#: Reports of one transaction.
BATCH: Final = 500


class Webhooks:
    """The webhooks of one installation. A provider without a key in the settings is off."""

    def __init__(self, services: Services, *, fetch: Fetcher | None = None) -> None:
        """Read the keys from the settings. fetch: downloads Amazon's certificates."""
        self._services = services
        self._fetch = fetch or Fetcher()
        self._keys = {
            name: tuple(secret.get_secret_value() for secret in secrets)
            for name, secrets in services.settings.webhook_secrets.items()
        }
        self._shops = ShopWebhooks(services)

    def is_on(self, provider: str) -> bool:
        """Tell whether the provider or shop is known and has a key."""
        return self._shops.is_on(provider) or (provider in PROVIDERS and bool(self._keys.get(provider)))

    def process_call(self, provider: str, call: Call) -> WebhookAnswer:
        """Verify, translate and record one call; returns once everything is committed.

        Raises SQLAlchemyError or Transient when the database is unavailable: the provider then retries.
        """
        if not self.is_on(provider):
            return self.refuse("off", provider)
        if self._shops.is_on(provider):
            return self._shops.process_call(provider, call)
        services, chosen = self._services, PROVIDERS[provider]
        now = services.clock.now()
        refusal: Refusal = chosen.verify(call, self._keys[provider], now=now, fetch=self._fetch)
        if refusal:
            return self.refuse(refusal, provider)
        reports = chosen.read(call, now=now)
        if reports is None:
            return self.refuse("unreadable", provider)
        if (url := confirmation(call)) and self._fetch.fetch(url) is None:
            # Amazon sends the confirmation request again.
            return WebhookAnswer(503, "The confirmation could not be sent; try again.")
        record_reports(services, reports)
        return WebhookAnswer(200, "Taken.")

    def refuse(self, reason: str, provider: str) -> WebhookAnswer:
        """Count a refused call and return its response."""
        return refuse(reason, room=SHOP_ROOM if self._shops.is_on(provider) else "feedback")


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
