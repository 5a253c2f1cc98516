"""Read what a simulation has done since the last look: mails that left, runs of the holdout, names of people."""

from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.bulk import any_of
from nurture.domain.event import IDENTITY_KINDS, Identity

_M, _A, _R, _I = t.messages.c, t.attempts.c, t.runs.c, t.identities.c
#: Attempts are appended, so new ones have the highest ids.
_SENT: Final = (
    sa.select(
        _M.id,
        _M.contact_id,
        _M.measure,
        _M.run_key,
        _M.step,
        _M.topic,
        _M.purpose,
        _A.id.label("attempt_id"),
    )
    .join(t.attempts, _A.message_id == _M.id)
    .where(_A.id > sa.bindparam("after", type_=sa.BigInteger), _A.outcome == "sent")
)
_RUNS: Final = sa.select(_R.id, _R.contact_id, _R.measure, _R.key, _R.holdout).where(
    _R.id > sa.bindparam("after", type_=sa.BigInteger)
)


def load_sent_mails(connection: sa.Connection, after: int) -> list[sa.Row[Any]]:
    """Return the mails of the attempts above this id that left, by message."""
    rows: list[sa.Row[Any]] = list(connection.execute(_SENT, {"after": after}))
    return sorted(rows, key=lambda row: int(row.id))


def load_new_runs(connection: sa.Connection, after: int) -> list[sa.Row[Any]]:
    """Return the runs above this id, the oldest first; `holdout` says which get no mail."""
    rows: list[sa.Row[Any]] = list(connection.execute(_RUNS, {"after": after}))
    return sorted(rows, key=lambda row: int(row.id))


def load_names(connection: sa.Connection, contact_ids: Iterable[int]) -> dict[int, Identity]:
    """Return the strongest identity of each of these contacts that has one."""
    ids = sorted(set(contact_ids))
    rows = connection.execute(
        sa.select(_I.contact_id, _I.kind, _I.value).where(any_of(_I.contact_id, ids, connection))
    )
    names: dict[int, Identity] = {}
    for row in sorted(rows, key=lambda row: (IDENTITY_KINDS.index(row.kind), str(row.value))):
        names.setdefault(row.contact_id, Identity(row.kind, row.value))
    return names
