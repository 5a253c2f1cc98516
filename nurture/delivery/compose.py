"""What a mail is made of, frozen at the chunk gate; and the letter made from it later, outside any transaction.

Enters: a message that passed the guard. Leaves: its context, a JSON document kept in messages.context from which
the bytes can be made again at any time; then the `Letter` for a transport.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import sqlalchemy as sa

from nurture.database.engine import decode
from nurture.delivery import coupons
from nurture.delivery.kept_bytes import bytes_of
from nurture.delivery.load_guard_input import ChunkScope, GuardItem
from nurture.delivery.types import Composer, Delivery, ReadyMessage
from nurture.domain.facts import view
from nurture.domain.guard.decide import zone_or_default
from nurture.domain.verp import return_path
from nurture.playbook import LoadedPlaybook
from nurture.rendering.context import MailContext, Recipient, freeze_context
from nurture.rendering.errors import TemplateFault
from nurture.rendering.headers import header_id
from nurture.rendering.images import Image, image_links
from nurture.rendering.links import PAGES, LinksWithImages, links_for
from nurture.rendering.render import render
from nurture.transports.types import OutgoingMail

#: Links that record what somebody did; left out where a measure, the person or the whole installation says so.
_TRACKING: Final = frozenset({"click", "open"})


class TemplateComposer:
    """Makes mails from the playbook's own templates."""

    def freeze(
        self, item: GuardItem, *, delivery: Delivery, loaded: LoadedPlaybook, given: ChunkScope
    ) -> dict[str, Any]:
        """Return the context of a mail (`nurture.rendering.context.MailContext`).

        Raises MissingValue when its call to action or calendar needs a value that is missing, TemplateFault
        when the template is broken.
        """
        due, contact, templates = item.due, item.person.contact, loaded.templates
        addressee = Recipient(
            address=item.address or "",
            locale=contact.locale,
            zone=zone_or_default(contact.zone, loaded.playbook),
            links=_links(item, delivery, templates.images),
            view=_view(item, loaded),
        )
        sender = templates.shared.sender(due.purpose)
        frozen = freeze_context(
            templates,
            addressee,
            measure=due.measure,
            step=due.step,
            mail=due.mail,
            variant=item.run.variant if item.run else "",
            purpose=due.purpose,
            topic=due.topic,
            header_id=item.row.header_id or _header_id(due.id, delivery, sender["address"]),
            date=given.now,
        )
        context = cast("dict[str, Any]", frozen)
        if delivery.bounce_address:
            context["return_path"] = return_path(delivery.keys, delivery.bounce_address, due.id)
        return context

    def letter(self, ready: ReadyMessage) -> OutgoingMail:
        """Render a frozen mail. Raises MissingValue or TemplateFault."""
        frozen = cast("MailContext", ready.context)
        return self.sealed(ready, render(ready.loaded.templates, frozen))

    def sealed(self, ready: ReadyMessage, data: bytes) -> OutgoingMail:
        """Address the bytes of a mail: from its sender, to its one recipient."""
        context = ready.context
        sender = context.get("return_path") or context["sender"]["address"]
        return OutgoingMail(ready.id, ready.attempt, sender, context["to"], data)


TEMPLATES: Final = TemplateComposer()


def get_composer(delivery: Delivery) -> Composer:
    """Return what makes this delivery's mails."""
    return delivery.composer or TEMPLATES


def freeze_contexts(
    connection: sa.Connection,
    items: Sequence[GuardItem],
    *,
    delivery: Delivery,
    loaded: LoadedPlaybook,
    given: ChunkScope,
) -> dict[int, dict[str, Any] | TemplateFault]:
    """Return message id -> context of mails that passed, or why there can be none.

    What their runs promise is fixed on the way. A mail that has been on the wire before keeps its bytes and
    its Message-ID.
    """
    coupons.fix(connection, items, keys=delivery.keys, playbook=loaded.playbook, now=given.now)
    composer = get_composer(delivery)
    contexts: dict[int, dict[str, Any] | TemplateFault] = {}
    for item in items:
        kept = _kept(item)
        try:
            contexts[item.due.id] = kept or composer.freeze(
                item, delivery=delivery, loaded=loaded, given=given
            )
        except TemplateFault as fault:
            contexts[item.due.id] = fault
    return contexts


def compose_mail(delivery: Delivery, ready: ReadyMessage) -> OutgoingMail:
    """Make the letter of a ready mail, or take the bytes of its earlier attempt.

    Raises MissingValue when a value its template needs is missing, TemplateFault when the template fails.
    """
    kept = bytes_of(ready.context)
    composer = get_composer(delivery)
    return composer.letter(ready) if kept is None else composer.sealed(ready, kept)


def _kept(item: GuardItem) -> dict[str, Any] | None:
    """Return the context of an earlier attempt that was on the wire, unless the person's address is another now."""
    if item.row.context is None:
        return None
    context: dict[str, Any] = decode(item.row.context)
    same = context.get("to") == item.address
    return context if same and bytes_of(context) is not None else None


def _header_id(message_id: int, delivery: Delivery, sender: str) -> str:
    """Return the Message-ID: the same for every attempt, and another in every other database."""
    tag = hmac.digest(delivery.suppression_key, b"nurture message: %d" % message_id, "sha256").hex()[:16]
    return header_id(message_id, tag, sender=sender)


def _links(item: GuardItem, delivery: Delivery, images: Mapping[str, Image]) -> Mapping[str, str]:
    properties = item.run.data.get("properties", {}) if item.run else {}
    asked, request = properties.get("topic"), properties.get("request")
    measured = item.measure is not None and item.measure.tracking
    tracked = measured and delivery.tracking and not item.person.preferences.untracked
    links = links_for(
        delivery.keys,
        delivery.base_url,
        contact_id=item.person.contact.id,
        message_id=item.due.id,
        topic=item.due.topic,
        asked=asked if isinstance(asked, str) else None,
        request=request if isinstance(request, int) else None,
        names=None if tracked else PAGES.keys() - _TRACKING,
    )
    return LinksWithImages(links, image_links(images, delivery.base_url)) if images else links


def _view(item: GuardItem, loaded: LoadedPlaybook) -> Mapping[str, Any]:
    """Return what templates may read: facts, the run's event and entity, what it fixed, and the objects."""
    names = view(item.person.contact, loaded.playbook, item.run)
    names["contact"]["email"] = item.address
    return {**names, **item.objects}
