"""Pause, resume and cancel mail that has not passed the send gate."""

from typing import Any

import sqlalchemy as sa

from nurture.app import journals
from nurture.app.sends.hand_in import find_measure
from nurture.app.services import Services
from nurture.consent import record as consents
from nurture.database.audit import record
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.measure import MARKETING_SWITCH
from nurture.measurement.restart import close_entries, restart
from nurture.transports.registry import open_lanes


def find_switch(services: Services, connection: sa.Connection, name: str) -> str:
    """Return the switch of `all`, of a lane or of a measure of the active playbook. Raises NotFoundError.

    `LANE:marketing` is the switch of a lane's marketing mail. A measure's switch has the measure's identity, as its
    messages have.
    """
    if name == "all" or name.removesuffix(MARKETING_SWITCH) in open_lanes(services.settings.mail_url):
        return name
    if "/" in name:
        return find_measure(services.playbooks.active(connection).playbook, name).root
    lanes = ", ".join(sorted(open_lanes(services.settings.mail_url)))
    message = f"{name!r} is not a measure (track/stage/name), a lane ({lanes}), LANE:marketing or all"
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
        switch = find_switch(services, connection, name)
        now = services.clock.now()
        if not paused and "/" in switch and not after_restore:
            restart(connection, services.playbooks, switch, modes=("all", "entries"), now=now)
        if after_restore:
            journals.accept_restored_database(connection, services, actor=actor)
            revived = 0
        else:
            revived = consents.set_switch(
                connection, switch, paused=paused, reason=reason, actor=actor, now=now
            )
        detail = {"name": name, "paused": paused, "reason": reason}
        record(connection, at=now, actor=actor, action="pause" if paused else "resume", detail=detail)
        return {"name": name, "paused": paused, "revived": revived} | (
            {"journals": folded} if after_restore else {}
        )

    return services.database.run(work)


def set_entries(services: Services, path: str, *, closed: bool, actor: str, reason: str) -> dict[str, Any]:
    """Close a measure to new people, or open it again; whoever is in it finishes.

    Opening one that a verdict closed begins a new trial. Raises NotFoundError for an unknown measure, and InputError
    for a lane or `all`, which nobody enters.
    """
    if "/" not in path:
        raise InputError(
            f"--entries {path}: only a measure has entries; name one, such as customer/any/birthday"
        )

    def work(connection: sa.Connection) -> dict[str, Any]:
        root, now = find_switch(services, connection, path), services.clock.now()
        if closed:
            close_entries(connection, services.playbooks, root, reason=reason, actor=actor, now=now)
        else:
            restart(connection, services.playbooks, root, modes=("entries",), now=now)
        detail = {"name": path, "entries": True, "paused": closed, "reason": reason}
        record(connection, at=now, actor=actor, action="pause" if closed else "resume", detail=detail)
        return {"name": path, "entries": True, "paused": closed}

    return services.database.run(work)


def cancel(services: Services, measure: str, *, actor: str) -> dict[str, Any]:
    """Pause a measure, then end its active runs and unsent mails batch by batch; returns their numbers."""

    def pause(connection: sa.Connection) -> str:
        switch = find_switch(services, connection, measure)
        now = services.clock.now()
        consents.set_switch(connection, switch, paused=True, reason="cancelled by ops", actor=actor, now=now)
        record(connection, at=now, actor=actor, action="cancel", detail={"measure": measure})
        return switch

    switch = services.database.run(pause)
    runs = messages = 0
    while True:
        done = services.database.run(
            lambda connection: consents.cancel_measure(connection, switch, now=services.clock.now())
        )
        runs, messages = runs + done.runs, messages + done.messages
        if done.contacts == 0:
            return {"measure": measure, "runs": runs, "messages": messages, "paused": True}
