"""Pause, resume and cancel mail that has not passed the send gate."""

from typing import Any

import sqlalchemy as sa

from nurture.app import journals
from nurture.app.sends import find_measure
from nurture.app.services import Services
from nurture.consent import record as consents
from nurture.database.audit import record
from nurture.domain.errors import NotFoundError
from nurture.transports.registry import open_lanes


def require_switch_name(services: Services, connection: sa.Connection, name: str) -> None:
    """Raise NotFoundError unless `name` is `all`, a lane or a measure of the active playbook."""
    if name == "all" or name in open_lanes(services.settings.mail_url):
        return
    if "/" in name:
        find_measure(services.playbooks.active(connection).playbook, name)
        return
    lanes = ", ".join(sorted(open_lanes(services.settings.mail_url)))
    message = f"{name!r} is not a measure (track/stage/name), a lane ({lanes}) or all"
    raise NotFoundError(message)


def set_switch(
    services: Services, name: str, *, paused: bool, actor: str, reason: str, after_restore: bool = False
) -> dict[str, Any]:
    """Pause or resume a measure, a lane or `all`. When it returns, no further mail passes the send gate.

    after_restore: first read this machine's journals (`journals` counts the outcomes that were new), then end the
    stop after a restored backup, whatever `name` is. Raises NotFoundError for an unknown name.
    """
    folded = (
        {name: number for name, number in journals.recover_from_journals(services).items() if number}
        if after_restore
        else {}
    )

    def work(connection: sa.Connection) -> dict[str, Any]:
        require_switch_name(services, connection, name)
        now = services.clock.now()
        if after_restore:
            journals.accept_restored_database(connection, services, actor=actor)
            revived = 0
        else:
            revived = consents.set_switch(
                connection, name, paused=paused, reason=reason, actor=actor, now=now
            )
        detail = {"name": name, "paused": paused, "reason": reason}
        record(connection, at=now, actor=actor, action="pause" if paused else "resume", detail=detail)
        return {"name": name, "paused": paused, "revived": revived} | (
            {"journals": folded} if after_restore else {}
        )

    return services.database.run(work)


def cancel(services: Services, measure: str, *, actor: str) -> dict[str, Any]:
    """Pause a measure, then end its active runs and unsent mails batch by batch; returns their numbers."""

    def pause(connection: sa.Connection) -> None:
        require_switch_name(services, connection, measure)
        now = services.clock.now()
        consents.set_switch(connection, measure, paused=True, reason="cancelled by ops", actor=actor, now=now)
        record(connection, at=now, actor=actor, action="cancel", detail={"measure": measure})

    services.database.run(pause)
    runs = messages = 0
    while True:
        done = services.database.run(
            lambda connection: consents.cancel_measure(connection, measure, now=services.clock.now())
        )
        runs, messages = runs + done.runs, messages + done.messages
        if done.contacts == 0:
            return {"measure": measure, "runs": runs, "messages": messages, "paused": True}
