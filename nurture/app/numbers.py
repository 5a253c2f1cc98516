"""Numbers: the ledger and what the reports count."""

from typing import Any

from nurture.app.services import Services
from nurture.reports import ledger
from nurture.reports.person import family
from nurture.store.contacts import resolve_who


def messages(
    services: Services, *, who: str | None, measure: str | None, status: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the newest mails of the ledger."""
    with services.database.read() as connection:
        contacts = None if who is None else family(connection, resolve_who(connection, who))
        return ledger.messages(connection, contacts=contacts, measure=measure, status=status, limit=limit)


def measures(services: Services) -> list[dict[str, Any]]:
    """Return conservation per measure."""
    with services.database.read() as connection:
        return ledger.measures(connection)


def people(services: Services) -> list[dict[str, Any]]:
    """Return how many people stand where, in the playbook's order of stages."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        order = {(stage.track, stage.name): place for place, stage in enumerate(playbook.stages)}
        rows = ledger.people(connection)
        return sorted(rows, key=lambda row: order.get((row["track"], row["stage"]), len(order)))
