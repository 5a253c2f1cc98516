"""The parts of a mail that a person reads, and the picture that records an open."""

from collections.abc import Mapping
from typing import NamedTuple


class MailParts(NamedTuple):
    """Subject, preheader, HTML part and text part of one mail."""

    subject: str
    preheader: str
    html: str
    text: str


def open_picture(links: Mapping[str, str]) -> str:
    """Return the `<img>` tag that records an open, or "" when the mail has no such link."""
    url = links.get("open")
    return f'<img src="{url}" width="1" height="1" alt="" style="display:block" />' if url else ""


def add_picture(html: str, picture: str) -> str:
    """Return the HTML with the picture in front of `</body>`."""
    head, end, tail = html.rpartition("</body>")
    return f"{head}{picture}{end}{tail}"
