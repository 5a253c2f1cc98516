"""Check that runs are about the right kind of entity, and that what is told twice counts once."""

from nurture.domain.measure import OnEvent
from nurture.domain.playbook import Playbook
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Document
from nurture.playbook.fault import Faults


def check_kinds(playbook: Playbook, document: Document, faults: Faults) -> None:
    """Warn of refunds that have no key."""
    for kind in playbook.entities.values():
        for reversal in kind.reversed_by:
            if reversal.amount is not None and reversal.key is None:
                (event,) = reversal.match.names
                loc = ("entities", kind.name, "reversed_by", event)
                what = f"`{event}` has no key: the same refund told twice counts twice"
                faults.warn(document, loc, what, "add `key: refund_id`, the property that names the refund")


def check_part(check: MeasureCheck) -> None:
    """Warn of runs about a whole, such as an order, that an event of its parts starts: several parcels are usual."""
    measure, trigger = check.measure, check.measure.trigger
    kind = check.playbook.entities.get(measure.entity or "")
    if kind is None or not isinstance(trigger, OnEvent) or measure.once.per in kind.keys:
        return
    for part in check.playbook.entities.values():
        if part.within != kind.name:
            continue
        names = {name for match in part.of for name in match.names}
        shared = [name for name in trigger.names if name in names]
        if shared:
            what = f"two `{shared[0]}` per {kind.name} are usual: did you mean {part.name}?"
            change = (
                f"write `entity: {part.name}`, or `once: per {kind.key}` where one per {kind.name} is meant"
            )
            check.warn(("entity",), what, change)
