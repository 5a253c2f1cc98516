"""What a mail is made of, frozen at the chunk gate; and the letter made from it later, outside any transaction.

Enters: a message that passed the guard. Leaves: its context, a JSON document kept in messages.context from which
the bytes can be made again at any time; then the `Letter` for a transport.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.flow import mint
from nurture.flow.cases import Circumstances, Item
from nurture.flow.delivery import Composer, Delivery, Ready
from nurture.flow.seal import bytes_of
from nurture.mail.letter import Letter
from nurture.playbook import LoadedPlaybook
from nurture.store.database import decode


def freeze_all(
    connection: sa.Connection,
    items: Sequence[Item],
    *,
    delivery: Delivery,
    loaded: LoadedPlaybook,
    given: Circumstances,
) -> dict[int, dict[str, Any]]:
    """Return message id -> context of mails that passed; what their runs promise is fixed on the way.

    A mail that has been on the wire before keeps its bytes and its Message-ID.
    """
    mint.fix(connection, items, keys=delivery.keys, playbook=loaded.playbook, now=given.now)
    composer = composer_of(delivery)
    return {
        item.due.id: _kept(item) or composer.freeze(item, delivery=delivery, loaded=loaded, given=given)
        for item in items
    }


def make_letter(delivery: Delivery, ready: Ready) -> Letter:
    """Make the letter of a ready mail, or take the bytes of its earlier attempt.

    Raises MissingValue when a value its template needs is missing, TemplateFault when the template fails.
    """
    kept = bytes_of(ready.context)
    composer = composer_of(delivery)
    return composer.letter(ready) if kept is None else composer.sealed(ready, kept)


def composer_of(delivery: Delivery) -> Composer:
    """Return what makes this delivery's mails."""
    if delivery.composer is None:
        raise NotImplementedError
    return delivery.composer


def _kept(item: Item) -> dict[str, Any] | None:
    """Return the context of an earlier attempt that was on the wire, unless the person's address is another now."""
    if item.row.context is None:
        return None
    context: dict[str, Any] = decode(item.row.context)
    same = context.get("to") == item.person.address
    return context if same and bytes_of(context) is not None else None
