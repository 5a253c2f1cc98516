"""One process of advance's floor: the drain with a rule that decides nothing, until the inbox is empty."""

import sys
from collections.abc import Sequence

from nurture.app.installation import open_existing
from nurture.domain.contact import Advance, Contact
from nurture.domain.journey.advance import Happening
from nurture.domain.playbook import Playbook
from nurture.journey.drain import drain
from nurture.runtime import gc_tuning


def empty(
    contact: Contact, happenings: Sequence[Happening], *, now: int, playbook: Playbook, in_place: bool
) -> Advance:
    """Decide nothing: what is left is claiming, loading and writing."""
    del happenings, playbook, in_place
    contact.clock = max(now, 1)
    contact.version += 1
    return Advance(contact)


def main() -> None:
    """Drain whatever shard is free, until there is nothing."""
    services = open_existing()
    with services.database.read() as connection:
        services.playbooks.active(connection)
    gc_tuning.settle()
    print("ready", flush=True)
    sys.stdin.readline()
    idle = 0
    while idle < 20:
        counts = drain(
            services.database, shard=None, clock=services.clock, playbooks=services.playbooks, rule=empty
        )
        idle = 0 if sum(counts.values()) else idle + 1
    services.close()


main()
