"""Close a measure to new people, and begin again: a new trial where a verdict had stopped the one before."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent.switch_queries import end_pauses, open_pause
from nurture.domain.instant import Instant
from nurture.playbook import PlaybookSource
from nurture.playbook.epoch_queries import Reason, change_in_force, load_in_force
from nurture.playbook.in_force import InForce
from nurture.playbook.queries import lock_active

#: The actor of pauses and of audit rows that follow from a verdict.
ACTOR: Final = "measurement"


def close_entries(
    connection: sa.Connection,
    playbooks: PlaybookSource,
    root: str,
    *,
    reason: str,
    actor: str,
    now: Instant,
) -> None:
    """Let nobody enter the measure (its identity) any more; whoever is in it finishes."""
    open_pause(connection, root, mode="entries", reason=reason, actor=actor, now=now)
    _change(connection, playbooks, root, now=now, is_closed=True)


def restart(
    connection: sa.Connection, playbooks: PlaybookSource, root: str, *, modes: Sequence[str], now: Instant
) -> None:
    """Open the measure (its identity) to new people and end its pauses of these modes (all, entries).

    Where a verdict was the reason, a new trial begins: arms are drawn anew, with the share that the file declares
    first, and the evidence of before says nothing about it.
    """
    ended = end_pauses(connection, root, modes=modes, now=now)
    before = load_in_force(connection).get(root, InForce())
    if ACTOR in ended:
        _change(
            connection,
            playbooks,
            root,
            now=now,
            is_closed=False,
            trial=before.trial + 1,
            holdout=None,
            ended=(),
        )
    elif before.is_closed:
        _change(connection, playbooks, root, now=now, is_closed=False)


def shrink_holdout(
    connection: sa.Connection, playbooks: PlaybookSource, root: str, share: int, *, now: Instant
) -> None:
    """Keep this smaller share (hundredths of a percent) of new people without the measure: the next epoch."""
    _change(connection, playbooks, root, now=now, holdout=share)


def end_variants(
    connection: sa.Connection, playbooks: PlaybookSource, root: str, names: Sequence[str], *, now: Instant
) -> None:
    """Give these variants to nobody more, whoever has one finishes with it: the next epoch."""
    before = load_in_force(connection).get(root, InForce())
    ended = tuple(dict.fromkeys((*before.ended, *names)))
    _change(connection, playbooks, root, now=now, ended=ended)


def _change(
    connection: sa.Connection, playbooks: PlaybookSource, root: str, *, now: Instant, **values: Any
) -> None:
    active = lock_active(connection)
    if active is None:
        return
    before = load_in_force(connection).get(root, InForce())
    change = replace(before, **values)
    as_written = playbooks.of(connection, active.id)
    reason: Reason = "ended" if change.ended != before.ended else "shrunk"
    reason = "resumed" if change.trial != before.trial else reason
    change_in_force(connection, as_written, root, change, now=now, reason=reason)
