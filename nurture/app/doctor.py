"""The doctor: every invariant asked of the whole database, and stored state compared with a replay. Reads only.

The same checks run after every fault scenario of the test suite.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from nurture.access.sessions import oldest_transaction
from nurture.app import complaints, journals
from nurture.app.feedback import find_unsent_notices
from nurture.app.invariants import CHECKS, CheckContext
from nurture.app.privacy import find_overdue_data, find_unfinished_erasures
from nurture.app.services import Services
from nurture.database import schema as t
from nurture.journey.replay import verify_replay

#: Contacts whose state is compared with a replay of their events; the newest ones.
_REPLAYED = 500
#: Nothing of ours takes so long; a report or a forgotten shell that does lets dead rows pile up.
TRANSACTION_SECONDS_MAX = 15 * 60
#: Findings shown of one check.
_SHOWN = 5


def examine(services: Services, *, replayed: int = _REPLAYED) -> list[dict[str, Any]]:
    """Run every check; each answers with ok and, when not, what it found."""
    findings = []
    with services.database.read() as connection:
        loaded = services.playbooks.active(connection)
        look = CheckContext(
            loaded.playbook, loaded.id, services.clock.now(), services.settings.suppression_secret
        )
        for name, check in CHECKS.items():
            findings.append(_finding(name, list(check(connection, look))))
        findings.append(_finding("old transactions", list(_old_transactions(connection))))
        findings.append(_finding("complaints", list(complaints.find_excess(connection, now=look.now))))
        ids = [
            int(row.id)
            for row in connection.execute(
                sa.select(t.contacts.c.id)
                .where(t.contacts.c.survivor.is_(None), t.contacts.c.erased_at.is_(None))
                .order_by(t.contacts.c.id.desc())
                .limit(replayed)
            )
        ]
    differing = [
        f"contact:{contact}: {what}"
        for contact in ids
        for what in verify_replay(services.database, contact, loaded.playbook)
    ]
    findings.append(_finding("replay", differing))
    findings.append(_finding("retention", list(find_overdue_data(services))))
    findings.append(_finding("erasures", list(find_unfinished_erasures(services))))
    findings.append(_finding("answers", list(find_unsent_notices(services))))
    findings.append(_finding("delivery journals", list(journals.find_faults(services))))
    return findings


def _old_transactions(connection: sa.Connection) -> Iterator[str]:
    """Nobody holds a transaction open for long: nothing that died meanwhile can be cleared away."""
    oldest = oldest_transaction(connection)
    if oldest is not None and oldest.seconds > TRANSACTION_SECONDS_MAX:
        yield (
            f"session {oldest.pid} ({oldest.name or 'nameless'}, {oldest.state}) has held a transaction open for "
            f"{oldest.seconds / 60:.0f} minutes; end it, or let reports read a replica"
        )


def _finding(name: str, found: list[str]) -> dict[str, Any]:
    shown = "; ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    return {"check": name, "ok": not found, "detail": shown}
