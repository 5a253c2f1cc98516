"""The frozen values of a mail, and the mail made from them later, outside any transaction.

A message that passed the guard gets a context: a JSON document kept in messages.context, from which the same bytes
can be made at any time. `compose_mail` then makes the `OutgoingMail` for a transport.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import sqlalchemy as sa

from nurture.database.bulk import Row
from nurture.database.engine import decode
from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.coupons import fix_lets
from nurture.delivery.kept_bytes import read_kept_bytes
from nurture.delivery.load_guard_input import GuardItem
from nurture.delivery.object_queries import save_shown
from nurture.delivery.types import Composer, Delivery, ReadyMessage
from nurture.domain.consent.events import topic_in
from nurture.domain.facts import view
from nurture.domain.guard.decide import zone_or_default
from nurture.domain.inbound.verp import build_return_path
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.measure import MailStep
from nurture.domain.owners import owner_of_run
from nurture.playbook import LoadedPlaybook
from nurture.rendering.context import MailContext, Recipient, freeze_context
from nurture.rendering.errors import PromisePassed, TemplateFault
from nurture.rendering.headers import header_id
from nurture.rendering.images import Image, image_links
from nurture.rendering.links import PAGES, LinksWithImages, links_for
from nurture.rendering.render import render
from nurture.transports.types import OutgoingMail

#: Links that record clicks and opens; left out where the measure, the person or the installation switched it off.
_TRACKING: Final = frozenset({"click", "open"})


class TemplateComposer:
    """Makes mails from the playbook's own templates."""

    def freeze(
        self, item: GuardItem, *, delivery: Delivery, loaded: LoadedPlaybook, scope: ChunkScope
    ) -> dict[str, Any]:
        """Return the context of a mail (`nurture.rendering.context.MailContext`).

        Raises MissingValue when its call to action or calendar needs a value that is missing, TemplateFault
        when the template is broken.
        """
        due, contact, templates = item.due, item.family.contact, loaded.templates
        recipient = Recipient(
            address=item.address or "",
            locale=contact.locale,
            zone=zone_or_default(contact.zone, loaded.playbook),
            links=_links(item, delivery, templates.images),
            view=_view(item, loaded, scope.now),
        )
        sender = templates.shared.sender(due.purpose)
        step = item.measure.step(due.step) if item.measure is not None else None
        frozen = freeze_context(
            templates,
            recipient,
            # Files have the measure's present name, messages its first one.
            measure=item.measure.path if item.measure is not None else due.measure,
            step=due.step,
            mail=step.mail if isinstance(step, MailStep) else due.mail,
            variant=item.run.variant if item.run else "",
            purpose=due.purpose,
            topic=due.topic,
            header_id=item.row.header_id or _header_id(due.id, delivery, sender["address"]),
            date=scope.now,
        )
        context = cast("dict[str, Any]", frozen)
        if item.rankings:
            context["rankings"] = item.rankings
        if delivery.bounce_address:
            context["return_path"] = build_return_path(delivery.keys, delivery.bounce_address, due.id)
        return context

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Render a frozen mail. Raises MissingValue or TemplateFault."""
        frozen = cast("MailContext", ready.context)
        return self.address(ready, render(ready.loaded.templates, frozen))

    def address(self, ready: ReadyMessage, data: bytes) -> OutgoingMail:
        """Return the mail with these bytes and the envelope: its return path, its one recipient."""
        context = ready.context
        sender = context.get("return_path") or context["sender"]["address"]
        return OutgoingMail(ready.id, ready.attempt, sender, context["to"], data)


TEMPLATES: Final = TemplateComposer()


def get_composer(delivery: Delivery) -> Composer:
    """Return the composer of this delivery: its own, or the one for the playbook's templates."""
    return delivery.composer or TEMPLATES


def freeze_contexts(
    connection: sa.Connection,
    items: Sequence[GuardItem],
    *,
    delivery: Delivery,
    loaded: LoadedPlaybook,
    scope: ChunkScope,
) -> dict[int, dict[str, Any] | TemplateFault]:
    """Return message id -> the context of the mail, or the fault that stops it.

    The `let` values of their runs are fixed first. A mail that an earlier attempt put on the wire keeps its bytes and
    its Message-ID.
    """
    fix_lets(connection, items, keys=delivery.keys, playbook=loaded.playbook, now=scope.now)
    composer = get_composer(delivery)
    contexts: dict[int, dict[str, Any] | TemplateFault] = {}
    frozen: list[GuardItem] = []
    for item in items:
        kept = _context_with_bytes(item)
        try:
            if kept is not None and kept.get("true_until", FOREVER) <= scope.now:
                raise PromisePassed(item.due.measure)
            contexts[item.due.id] = kept or composer.freeze(
                item, delivery=delivery, loaded=loaded, scope=scope
            )
            if kept is None:
                frozen.append(item)
        except TemplateFault as fault:
            contexts[item.due.id] = fault
    _save_shown(connection, frozen)
    return contexts


def _save_shown(connection: sa.Connection, items: Iterable[GuardItem]) -> None:
    """Store what the fresh lists of these mails show."""
    fresh = [item for item in items if item.measure and any(r.fresh for r in item.measure.lists.values())]
    rows: list[Row] = [
        {"message_id": item.due.id, "kind": kind, "key": key}
        for item in fresh
        for kind, key in dict.fromkeys(item.shown)
    ]
    save_shown(connection, [item.due.id for item in fresh], rows)


def compose_mail(delivery: Delivery, ready: ReadyMessage) -> OutgoingMail:
    """Return the mail of a ready message, with the bytes of an earlier attempt where they were kept.

    Raises MissingValue when a value its template needs is missing, TemplateFault when the template fails.
    """
    kept = read_kept_bytes(ready.context)
    composer = get_composer(delivery)
    return composer.compose(ready) if kept is None else composer.address(ready, kept)


def _context_with_bytes(item: GuardItem) -> dict[str, Any] | None:
    """Return the context of an earlier attempt that kept its bytes, None when the mail now goes to another address."""
    if item.row.context is None:
        return None
    context: dict[str, Any] = decode(item.row.context)
    is_same_address = context.get("to") == item.address
    return context if is_same_address and read_kept_bytes(context) is not None else None


def _header_id(message_id: int, delivery: Delivery, sender: str) -> str:
    """Return the Message-ID: the same for every attempt, different in every database."""
    tag = hmac.digest(delivery.suppression_key, b"nurture message: %d" % message_id, "sha256").hex()[:16]
    return header_id(message_id, tag, sender=sender)


def _links(item: GuardItem, delivery: Delivery, images: Mapping[str, Image]) -> Mapping[str, str]:
    properties = item.run.origin.properties if item.run else {}
    asked, request = topic_in(properties), properties.get("request")
    # The old address gets the link to object, never the one that confirms.
    to_old = item.measure is not None and item.measure.to == "old_address"
    number = request if isinstance(request, int) else None
    measured = item.measure is not None and item.measure.tracking
    tracked = measured and delivery.tracking and not item.family.preferences.untracked
    links = links_for(
        delivery.keys,
        delivery.base_url,
        contact_id=item.family.contact.id,
        message_id=item.due.id,
        topic=item.due.topic,
        asked=asked or None,
        request=None if to_old else number,
        objection=number if to_old else None,
        names=None if tracked else PAGES.keys() - _TRACKING,
    )
    return LinksWithImages(links, image_links(images, delivery.base_url)) if images else links


def _view(item: GuardItem, loaded: LoadedPlaybook, now: Instant) -> Mapping[str, Any]:
    """Return the names templates may read: facts, the run's event and entity, its `let` values, and the objects."""
    names = view(item.family.contact, loaded.playbook, item.run, now=now)
    names["contact"]["email"] = item.address
    owner = owner_of_run(loaded.playbook.owners, names)
    return {**({} if owner is None else {"owner": owner}), **names, **item.objects}
