"""Previews: the exact mail of a measure, with its sample or with a person's own values; and test sends."""

from typing import Any

from nurture.app.services import Services


def preview(services: Services, target: str, *, who: str | None, locale: str | None) -> dict[str, Any]:
    raise NotImplementedError
def send_test(services: Services, measure: str, *, to: str, who: str | None) -> dict[str, Any]:
    raise NotImplementedError
