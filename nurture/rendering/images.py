"""Images of a playbook's mails: files `_layout/images/NAME.png.b64`, shown as `{{ links.image_NAME }}`.

A playbook is text, so an image stands in it as base64 (`base64 logo.png > logo.png.b64`). Its address is the
hash of its bytes: it may be kept for ever by whoever has it, and another image has another address.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

FOLDER: Final = "_layout/images/"
#: Larger ones make mails that nobody waits for.
BYTES_MAX: Final = 200_000
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
    """Return the image of a file under FOLDER. Raises ValueError saying what is wrong with it."""
    named = _NAME.fullmatch(path)
    if named is None:
        message = "an image's name is wrong; write images/NAME.png.b64, .jpg.b64 or .gif.b64 in small letters"
        raise ValueError(message)
    kind, magic = _TYPES[named[2]]
    try:
        data = b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        message = "not base64; make it with `base64 FILE`"
        raise ValueError(message) from None
    if not data.startswith(magic) or len(data) > BYTES_MAX:
        message = f"not a {named[2]} of at most {BYTES_MAX} bytes; save it as one"
        raise ValueError(message)
    return Image(sha256(data).hexdigest()[:32], kind, data)


def read_images(files: Mapping[str, str]) -> dict[str, Image]:
    """Return name -> image, of those files that are images; the playbook's check speaks of the others."""
    found: dict[str, Image] = {}
    for path, text in files.items():
        named = _NAME.fullmatch(path) if path.startswith(FOLDER) else None
        if named is not None:
            try:
                found[named[1]] = read_image(path, text)
            except ValueError:
                continue
    return found


def image_links(images: Mapping[str, Image], base_url: str) -> dict[str, str]:
    """Return link name -> URL, for templates: `image_logo`."""
    return {f"image_{name}": f"{base_url}/a/{image.hash}" for name, image in images.items()}
