"""Two hundred thousand mails and alarms are due at once: memory and statements are those of five thousand."""

import json
import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.deliver import CHUNK_MAILS
from nurture.domain.instant import HOUR
from nurture.journey.drain import BATCH
from tests.architecture.sources import ROOT
from tests.faults.installation import Installation, people
from workers import loops
from workers.context import make_context

pytestmark = [pytest.mark.faults, pytest.mark.long]

FEW, MANY = 5_000, 200_000
#: Each room works for so long: a few batches.
SECONDS = 3
#: More than this above the peak with few due is memory that grows with what is due.
SLACK = 24 * 1024 * 1024
#: The row of a person who is in a run and has mail waiting.
_COPIED = ("contacts", "contact_state", "identities", "consents", "runs", "messages")


def test_due_work_is_not_held_in_memory(postgresql_installation: Installation, seed: int) -> None:
    installation = postgresql_installation
    installation.hand_in_all(people(120, seed=seed))
    context = make_context(installation.services)
    loops.apply(context)
    loops.wake(context)
    context.end_deliveries()
    cast = _due(installation.database, installation.now)
    multiply(installation.database, FEW // cast, first=1, now=installation.now)
    few = measured(installation)
    # Some are sent meanwhile.
    multiply(installation.database, MANY // cast + FEW, first=FEW // cast + 1, now=installation.now)
    assert _due(installation.database, installation.now) >= MANY
    many = measured(installation)
    sys.stdout.write(f"few due: {few}\nmany due: {many}\n")
    assert min(few["claimed"], many["claimed"]) >= CHUNK_MAILS, "too little was done to tell"
    assert min(few["rung"], many["rung"]) >= BATCH, "too little was done to tell"
    assert many["peak"] < few["peak"] + SLACK
    # No statement brings or changes more rows than a batch has.
    assert max(few["most"], many["most"]) <= 2 * BATCH


def _due(database: Database, now: int) -> int:
    m = t.messages.c
    with database.read() as connection:
        found = connection.scalar(
            sa.select(sa.func.count()).where(m.status == "waiting", m.due_at <= now + HOUR)
        )
        return found or 0


def measured(installation: Installation) -> dict[str, Any]:
    """Let a worker of its own work for a few seconds; returns what it says of itself."""
    command = [
        sys.executable,
        "-m",
        "tests.faults.measured",
        str(installation.folder / "clock"),
        str(SECONDS),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=installation.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    return dict(json.loads(done.stdout))


def multiply(database: Database, last: int, *, first: int, now: int) -> None:
    """Copy the people there were at first, with their runs and waiting mail, as copies `first` to `last`.

    Everybody's alarm is due. Copies keep every value but ids, names and addresses.
    """
    with database.write() as connection:
        for name in _COPIED:
            table = t.metadata.tables[name]
            if first == 1:
                connection.exec_driver_sql(f"CREATE TABLE cast_{name} AS SELECT * FROM {name}")
            values = ", ".join(_value(table, column.name) for column in table.columns)
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            connection.exec_driver_sql(
                f"INSERT INTO {name} ({names}) SELECT {values} FROM generate_series({first}, {last}) AS k "
                f"CROSS JOIN cast_{name}"
            )
        connection.execute(sa.update(t.contacts).values(wake_at=now - 1))
    with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _value(table: sa.Table, name: str) -> str:
    """Return what stands in a column of copy `k`."""
    if name == "id":
        return "id + k * 1000000::bigint"
    if name in {"contact_id", "survivor", "learnt_for"}:
        return f"{name} + k * 1000000::bigint"
    if (table.name, name) in {("contacts", "email"), ("identities", "value")}:
        return f"regexp_replace({name}, '(@|$)', '.' || k || '\\1')"
    return f'"{name}"'
