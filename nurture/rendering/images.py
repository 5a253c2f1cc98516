"""Images of a playbook's mails: files `_layout/images/NAME.png.b64`, shown as `{{ links.image_NAME }}`.

A playbook holds text only, so an image is stored as base64 (`base64 logo.png > logo.png.b64`). The URL of an image
contains the hash of its bytes, so caches may keep it for ever: a changed image has another URL.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

FOLDER: Final = "_layout/images/"
#: Larger images make mails that load too slowly.
BYTES_MAX: Final = 200_000
#: Of all pictures of one mail together.
MAIL_BYTES_MAX: Final = 60_000
_NAME: Final = re.compile(r"_layout/images/([a-z][a-z0-9_]{0,39})\.(png|jpg|gif)\.b64")
_TYPES: Final[Mapping[str, tuple[str, bytes]]] = {
    "png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "jpg": ("image/jpeg", b"\xff\xd8\xff"),
    "gif": ("image/gif", b"GIF8"),
}


@dataclass(frozen=True, slots=True)
class Image:
    """One image; `hash` is 32 hex digits of its SHA-256."""

    hash: str
    type: str
    data: bytes


def read_image(path: str, text: str) -> Image:
    """Return the image of a file under FOLDER. Raises ValueError with the fault and what to change."""
    match = _NAME.fullmatch(path)
    if match is None:
        message = "an image's name is wrong; write images/NAME.png.b64, .jpg.b64 or .gif.b64 in small letters"
        raise ValueError(message)
    kind, magic = _TYPES[match[2]]
    try:
        data = b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        message = "not base64; make it with `base64 FILE`"
        raise ValueError(message) from None
    if not data.startswith(magic) or len(data) > BYTES_MAX:
        message = f"not a {match[2]} of at most {BYTES_MAX} bytes; save it as one"
        raise ValueError(message)
    return Image(sha256(data).hexdigest()[:32], kind, data)


def read_images(files: Mapping[str, str]) -> dict[str, Image]:
    """Return name -> image for the files that are valid images; the playbook check reports the others."""
    images: dict[str, Image] = {}
    for path, text in files.items():
        match = _NAME.fullmatch(path) if path.startswith(FOLDER) else None
        if match is not None:
            try:
                images[match[1]] = read_image(path, text)
            except ValueError:
                continue
    return images


def image_links(images: Mapping[str, Image], base_url: str) -> dict[str, str]:
    """Return link name (`image_logo`) -> URL."""
    return {f"image_{name}": f"{base_url}/a/{image.hash}" for name, image in images.items()}


def embed_images(html: str, images: Mapping[str, Image], base_url: str) -> str:
    """Return the HTML with these images inside, for a page that is read without a network."""
    for image in images.values():
        data = f"data:{image.type};base64,{b64encode(image.data).decode()}"
        html = html.replace(f"{base_url}/a/{image.hash}", data)
    return html


def picture(url: Any, hosts: Any, fallback: Any) -> str:
    """Return a picture's URL if it is https and of one of the hosts (or below one), else the fallback.

    URLs of products come from outside: any other one may be broken, or tell a stranger of the reading.
    """
    named = [hosts] if isinstance(hosts, str) else hosts if isinstance(hosts, list) else []
    if isinstance(url, str):
        try:
            parts = urlsplit(url.strip())
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return str(fallback)
        known = (str(name).lower() for name in named)
        has_account = parts.username is not None
        if (
            parts.scheme == "https"
            and not has_account
            and any(host == name or host.endswith(f".{name}") for name in known if name)
        ):
            return url.strip()
    return str(fallback)
