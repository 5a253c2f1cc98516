"""Many people at once, written as rows: the starting point of sending benchmarks, not what they measure."""

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.contacts.state_codec import encode_memory
from nurture.database import bulk
from nurture.database import schema as t
from nurture.domain.instant import DAY, FOREVER, Instant, to_datetime
from nurture.domain.memory import ConversionRecord, Memory
from nurture.journey.replay import definitions

_PAGE = 5_000


def midday(now: Instant) -> str:
    """Return a zone in which it is about noon, so that no quiet hour stands in the way."""
    ahead = 12 - to_datetime(now).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/UTC"


def advocates(services: Services, people: int, topic: str, *, prefix: str = "p") -> None:
    """Make so many customers who bought twice, spoke well of it, and agreed to the topic."""
    now = services.clock.now()
    at = now - 40 * DAY
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
    known = Memory(definitions=definitions(playbook), conversions={"a": ConversionRecord(at)})
    memory = encode_memory(known, {})
    facts = {
        "first_seen_at": at,
        "orders": 2,
        "spoke_well": 1,
        "delights": 1,
        "satisfied": "yes",
        "first_name": "Ada",
        # By which a send finds exactly these.
        "company": prefix,
    }
    for start in range(0, people, _PAGE):
        numbers = range(start, min(start + _PAGE, people))
        contacts = [
            {
                "track": "customer", "stage": "advocate", "track_since": at, "stage_since": at, "first_seen_at": at,
                "email": f"{prefix}{n}@bench.example", "zone": midday(now), "locale": "en", "facts": facts, "clock": at,
                "wake_at": FOREVER, "version": 1, "adopted": playbook.rules_hash,
            }
            for n in numbers
        ]  # fmt: skip

        def work(connection: sa.Connection, contacts: list[bulk.Row] = contacts) -> None:
            rows = bulk.insert(connection, t.contacts, contacts, returning=["id", "email"])
            bulk.insert(
                connection, t.contact_state, [{"contact_id": row.id, "memory": memory} for row in rows]
            )
            names = [("email", row.email, row.id) for row in rows]
            bulk.insert(
                connection,
                t.identities,
                [
                    {"kind": k, "value": v, "contact_id": c, "since": at, "source": "bench"}
                    for k, v, c in names
                ],
            )
            consent = {"topic": topic, "state": "granted", "at": at, "source": "web", "evidence": "{}"}
            bulk.insert(connection, t.consents, [{"contact_id": row.id, **consent} for row in rows])

        services.database.run(work)
    if services.database.writer.dialect.name == "postgresql":
        with services.database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
