"""The links and pictures of a mail: click redirects, the open pixel, images, and referral links.

Clicks and opens are recorded and judged later; nothing else depends on them. A redirect's target is read from the
mail, never from the request.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import SQLAlchemyError

from nurture.consent import from_pages
from nurture.feedback import clicks
from nurture.playbook.queries import newest_files
from nurture.rendering.images import Image, read_images
from nurture.web.brand import active_playbook
from nurture.web.html import PUBLIC_HEADERS
from nurture.web.pages.page_request import invalid_link_page, notice_page
from nurture.web.pages.public_dispatch import PublicDispatcher, accept_language, add_get_route, count_outcome

#: A transparent GIF of one pixel.
PIXEL: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)

#: How many earlier versions of the programme still have their images served.
VERSIONS_MAX: Final = 20
#: An image's URL is a digest of its bytes, so it may be cached for ever, and any page may show it.
IMAGE_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class MailLinks:
    """The endpoints behind a mail's links and pictures."""

    def __init__(self, dispatcher: PublicDispatcher) -> None:
        """Use this dispatcher's services and tokens."""
        self._dispatcher = dispatcher
        # The active playbook's id, and hash -> image.
        self._images: tuple[int | None, Mapping[str, Image]] | None = None

    def add(self, router: APIRouter) -> None:
        """Add the endpoints to a router."""
        add_get_route(router, "/c/{token}", self.click, "Redirect to the target of a mail's link")
        add_get_route(router, "/o/{token}", self.open, "The pixel that records an open")
        add_get_route(router, "/a/{digest}", self.image, "An image of the mails")
        add_get_route(
            router,
            "/r/{code}",
            self.refer,
            "Redirect a referral link to the brand's page, with the referrer's code",
        )

    def click(self, token: str, request: Request) -> Response:
        """Redirect to the target of the mail's call to action, which no request can change."""
        message = self._message("click", token)
        language = accept_language(request)
        if message is None:
            return count_outcome("invalid", invalid_link_page(language))
        try:
            target = self._dispatcher.read(lambda connection: clicks.load_target(connection, message))
        except SQLAlchemyError:
            return count_outcome("away", notice_page("away", language, status=503))
        if target is None or urlsplit(target).scheme not in ("http", "https"):
            return count_outcome("invalid", invalid_link_page(language))
        self._dispatcher.record_click(message, "click", "", request)
        return count_outcome("followed", RedirectResponse(target, status_code=302, headers=PUBLIC_HEADERS))

    def open(self, token: str, request: Request) -> Response:
        """Record an open and return the transparent pixel, also for an invalid token."""
        message = self._message("open", token)
        if message is not None:
            self._dispatcher.record_click(message, "open", "", request)
        picture = Response(PIXEL, media_type="image/gif", headers=PUBLIC_HEADERS)
        return count_outcome("followed" if message is not None else "invalid", picture)

    def image(self, digest: str) -> Response:
        """Return an image of the active programme or of an earlier version, because people keep mails."""
        try:
            image = self._dispatcher.read(self._all_images).get(digest)
        except SQLAlchemyError:
            return count_outcome("away", Response(status_code=503, headers={"Retry-After": "30"}))
        if image is None:
            return count_outcome("invalid", Response(status_code=404, headers=PUBLIC_HEADERS))
        return count_outcome("followed", Response(image.data, media_type=image.type, headers=IMAGE_HEADERS))

    def _all_images(self, connection: sa.Connection) -> Mapping[str, Image]:
        """Return digest -> image of the active version and of the newest earlier ones; read once per version."""
        active = self._dispatcher.services.playbooks.active_id(connection)
        if self._images is None or self._images[0] != active:
            loaded = active_playbook(self._dispatcher.services, connection)
            versions = [dict(loaded.files)] if loaded else []
            versions += newest_files(connection, limit=VERSIONS_MAX)
            images = {
                image.hash: image for files in reversed(versions) for image in read_images(files).values()
            }
            self._images = (active, images)
        return self._images[1]

    def refer(self, code: str, request: Request) -> Response:
        """Redirect to the brand's referral page with the referrer's code. Sets no cookie and stores nothing.

        The page is `brand.referral_url`, else `brand.shop_url`; the code is the query parameter `code`.
        """
        payload = self._dispatcher.read_token("referral", code)
        contact = payload.get("c") if payload else None
        language = accept_language(request)
        if not isinstance(contact, int):
            return count_outcome("invalid", invalid_link_page(language))
        try:
            target = self._dispatcher.read(lambda connection: self._referral_url(connection, contact, code))
        except SQLAlchemyError:
            return count_outcome("away", notice_page("away", language, status=503))
        if target is None:
            return count_outcome("gone", notice_page("over", language, status=410))
        return count_outcome("followed", RedirectResponse(target, status_code=302, headers=PUBLIC_HEADERS))

    def _referral_url(self, connection: sa.Connection, contact: int, code: str) -> str | None:
        """Return the referral page's URL; None when the referrer was erased or the programme has no such page."""
        loaded = active_playbook(self._dispatcher.services, connection)
        brand = loaded.playbook.brand if loaded else {}
        parts = urlsplit(str(brand.get("referral_url") or brand.get("shop_url") or ""))
        if parts.scheme not in ("http", "https") or from_pages.find_page_contact(connection, contact) is None:
            return None
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("code", code)])
        return urlunsplit(parts._replace(query=query))

    def _message(self, purpose: str, token: str) -> int | None:
        payload = self._dispatcher.read_token(purpose, token)
        message = payload.get("m") if payload else None
        return message if isinstance(message, int) else None
