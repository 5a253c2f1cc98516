"""Images of the mails: named by their bytes, kept for ever by whoever has them, checked before they are published."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import httpx
import pytest

from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.playbook import PublishedPlaybooks, find_faults, publish
from nurture.rendering.images import BYTES_MAX, image_links, read_image, read_images
from nurture.rendering.links import LinksWithImages
from tests.playbook.builder import a_playbook
from tests.web.live import NOW, a_service

LOGO = b"\x89PNG\r\n\x1a\n" + b"a picture of a lark" * 9
OTHER = b"GIF89a" + b"a kettle" * 9
PATH = "_layout/images/logo.png.b64"


def encoded(data: bytes) -> str:
    text = b64encode(data).decode()
    return "\n".join(text[place : place + 40] for place in range(0, len(text), 40)) + "\n"


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:32]


def release(database: Database, **images: bytes) -> None:
    files = dict(a_playbook())
    for name, data in images.items():
        stem, _, kind = name.rpartition("_")
        files[f"_layout/images/{stem}.{kind}.b64"] = encoded(data)
    publish(database, files, now=NOW, actor="test", backlog="none")


@pytest.fixture
def services(database: Database) -> Services:
    return replace(a_service(database), playbooks=PublishedPlaybooks())


def test_an_image_is_found_under_the_hash_of_its_bytes_for_ever(
    services: Services, open_browser: Callable[[Services], httpx.Client]
) -> None:
    client = open_browser(services)
    release(services.database, logo_png=LOGO)
    for method in ("GET", "HEAD"):
        answer = client.request(method, f"/a/{digest(LOGO)}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        assert answer.content == (LOGO if method == "GET" else b"")
    # Mails sent before are still shown whole after another image has taken its place.
    release(services.database, logo_gif=OTHER)
    assert client.get(f"/a/{digest(OTHER)}").content == OTHER
    assert client.get(f"/a/{digest(LOGO)}").content == LOGO
    for wrong in ("x", digest(b"never"), digest(LOGO)[:-1], digest(LOGO).upper() + "/.."):
        assert client.get(f"/a/{wrong}").status_code == 404


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("logo.png.b64", "not base64 at all!", "not base64"),
        ("logo.gif.b64", encoded(LOGO), "not a gif"),
        ("logo.png.b64", encoded(LOGO + bytes(BYTES_MAX)), "not a png of at most"),
        ("logo.svg.b64", encoded(b"<svg onload=alert(1)>"), "an image's name is wrong"),
        ("../logo.png.b64", encoded(LOGO), "an image's name is wrong"),
    ],
)
def test_a_file_that_is_no_image_is_a_fault_and_never_served(name: str, text: str, what: str) -> None:
    path = f"_layout/images/{name}"
    assert read_images({path: text}) == {}
    with pytest.raises(ValueError, match=what):
        read_image(path, text)
    if not name.startswith(".."):
        (fault,) = find_faults({**a_playbook(), path: text}, render=False)
        assert str(fault).startswith(f"{path}:1: {what}")


def test_templates_show_it_by_its_name() -> None:
    images = read_images({PATH: encoded(LOGO)})
    links = image_links(images, "https://mail.shop.example")
    assert links == {"image_logo": f"https://mail.shop.example/a/{digest(LOGO)}"}
    both = LinksWithImages({"unsubscribe": "https://mail.shop.example/u/x"}, links)
    assert dict(both) == {"unsubscribe": "https://mail.shop.example/u/x", **links}
    assert ("image_logo" in both, "image_other" in both, len(both)) == (True, False, 2)


def test_a_mail_with_an_image_loads_and_is_rendered_with_it() -> None:
    files = dict(a_playbook())
    mail = next(path for path in sorted(files) if path.endswith(".en.mjml") and not path.startswith("_"))
    shown = files[mail].rstrip("\n") + '\n{# #}<mj-image src="{{ links.image_logo }}" alt="" />\n'
    if "{% endblock %}" in files[mail]:
        shown = files[mail].replace(
            "{% endblock %}", '<mj-image src="{{ links.image_logo }}" alt="" />{% endblock %}'
        )
    assert find_faults({**files, mail: shown, PATH: encoded(LOGO)}) == []
    # Without the file the name is unknown, and the mail does not load.
    assert any("image_logo" in str(fault) for fault in find_faults({**files, mail: shown}))
