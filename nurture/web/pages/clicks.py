"""What a mail's own links load or follow: the click, which leads on, the picture that tells of an open, the referral.

The first two are GETs, so they are telemetry: a touch is kept and judged later , and nothing waits for
it or depends on it. The way on is read from the mail; nothing in a request can name it.
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
from nurture.web.pages.page_request import nowhere, plain
from nurture.web.pages.public_dispatch import Gate, add_view, counted, language_of

#: A transparent GIF of one pixel.
PIXEL: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


#: Earlier versions of the programme whose images are still shown.
VERSIONS_MAX: Final = 20
#: An image is named by its bytes: whoever has it may keep it for ever, and every page may show it.
IMAGE_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class Follow:
    """The click, the picture and the referral."""

    def __init__(self, gate: Gate) -> None:
        """Keep the way in."""
        self._gate = gate
        # The active playbook's id, and hash -> image.
        self._images: tuple[int | None, Mapping[str, Image]] | None = None

    def add(self, router: APIRouter) -> None:
        """Add them."""
        add_view(router, "/c/{token}", self.click, "Go where a mail's link leads")
        add_view(router, "/o/{token}", self.open, "The picture of a mail that was opened")
        add_view(router, "/a/{digest}", self.image, "An image of the mails")
        add_view(
            router, "/r/{code}", self.refer, "Go where a friend was sent, with the code of who sent them"
        )

    def click(self, token: str, request: Request) -> Response:
        """Redirect to where the mail's own call to action leads, and to nothing that a request could name."""
        message = self._message("click", token)
        language = language_of(request)
        if message is None:
            return counted("invalid", nowhere(language))
        try:
            target = self._gate.read(lambda connection: clicks.target_of(connection, message))
        except SQLAlchemyError:
            return counted("away", plain("away", language, status=503))
        if target is None or urlsplit(target).scheme not in ("http", "https"):
            return counted("invalid", nowhere(language))
        self._gate.touched(message, "click", "", request)
        return counted("followed", RedirectResponse(target, status_code=302, headers=PUBLIC_HEADERS))

    def open(self, token: str, request: Request) -> Response:
        """Return the one transparent pixel, the same for everybody."""
        message = self._message("open", token)
        if message is not None:
            self._gate.touched(message, "open", "", request)
        picture = Response(PIXEL, media_type="image/gif", headers=PUBLIC_HEADERS)
        return counted("followed" if message is not None else "invalid", picture)

    def image(self, digest: str) -> Response:
        """Return an image of this programme's mails, or of an earlier version's: mails are kept for long."""
        try:
            found = self._gate.read(self._all_images).get(digest)
        except SQLAlchemyError:
            return counted("away", Response(status_code=503, headers={"Retry-After": "30"}))
        if found is None:
            return counted("invalid", Response(status_code=404, headers=PUBLIC_HEADERS))
        return counted("followed", Response(found.data, media_type=found.type, headers=IMAGE_HEADERS))

    def _all_images(self, connection: sa.Connection) -> Mapping[str, Image]:
        """Return hash -> image of the active version and of the newest before it; read once for each version."""
        active = self._gate.services.playbooks.active_id(connection)
        if self._images is None or self._images[0] != active:
            loaded = active_playbook(self._gate.services, connection)
            versions = [dict(loaded.files)] if loaded else []
            versions += newest_files(connection, limit=VERSIONS_MAX)
            found = {one.hash: one for files in reversed(versions) for one in read_images(files).values()}
            self._images = (active, found)
        return self._images[1]

    def refer(self, code: str, request: Request) -> Response:
        """Redirect to the brand's page for friends with the code: no cookie, nothing kept, nobody named.

        Whoever follows it is a stranger to us: they give their address there, if they like, by an act of their
        own. The page is `brand.referral_url`, else `brand.shop_url`; the property added is `code`.
        """
        payload = self._gate.payload("referral", code)
        contact = payload.get("c") if payload else None
        language = language_of(request)
        if not isinstance(contact, int):
            return counted("invalid", nowhere(language))
        try:
            target = self._gate.read(lambda connection: self._page_for_friends(connection, contact, code))
        except SQLAlchemyError:
            return counted("away", plain("away", language, status=503))
        if target is None:
            return counted("gone", plain("over", language, status=410))
        return counted("followed", RedirectResponse(target, status_code=302, headers=PUBLIC_HEADERS))

    def _page_for_friends(self, connection: sa.Connection, contact: int, code: str) -> str | None:
        """Return where friends go; None when who sent them is gone or the programme has no such page."""
        loaded = active_playbook(self._gate.services, connection)
        brand = loaded.playbook.brand if loaded else {}
        parts = urlsplit(str(brand.get("referral_url") or brand.get("shop_url") or ""))
        if parts.scheme not in ("http", "https") or from_pages.find_page_contact(connection, contact) is None:
            return None
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("code", code)])
        return urlunsplit(parts._replace(query=query))

    def _message(self, purpose: str, token: str) -> int | None:
        payload = self._gate.payload(purpose, token)
        message = payload.get("m") if payload else None
        return message if isinstance(message, int) else None
