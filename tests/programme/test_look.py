"""The look of the mails: readable colours in both modes, light pictures at twice the size, one family of four looks."""

import re
import struct
from pathlib import Path

import pytest

from nurture.rendering.images import MAIL_BYTES_MAX
from tests.programme.samples import Mail, loaded, mails, parts, sample, templates

LOOKS = {"base", "letter", "offer", "celebration"}
HOWTO = Path(__file__).parents[2] / "docs/howto/brand-the-mails.md"
CARD_DARK, INK_ON_DARK, FOOT = "#1c2421", "#10231d", "#5c625b"


def luminance(colour: str) -> float:
    parts_of = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts_of]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_brands_colours_can_be_read_in_both_modes() -> None:
    brand = loaded().playbook.brand
    for colour in (brand["color"], brand["warm"]):
        assert contrast(colour, "#ffffff") >= 4.5
    assert contrast(brand["color_dark"], CARD_DARK) >= 4.5
    assert contrast(brand["color_dark"], INK_ON_DARK) >= 4.5
    papers = re.findall(r'brand\.paper\w* \| default\("(#\w{6})"\)', "\n".join(loaded().files.values()))
    assert len(set(papers)) == len(LOOKS)
    for paper in (brand["paper"], *papers):
        assert contrast(paper, FOOT) >= 4.5


def test_the_greys_of_the_frame_can_be_read() -> None:
    base = loaded().files["_layout/base.mjml"]
    for light in set(
        re.findall(r'[ ;"]color(?:=\"|: ?)(#\w{6})', base.partition("prefers-color-scheme")[0])
    ) - {"#ffffff"}:
        assert contrast(light, "#ffffff") >= 4.5, light
    dark = base.partition("prefers-color-scheme: dark")[2].partition("</mj-style>")[0]
    for colour in set(re.findall(r"[ ;]color: (#\w{6})", dark)) - {INK_ON_DARK, "#ffffff"}:
        assert contrast(colour, CARD_DARK) >= 4.5, colour


def test_pictures_are_twice_the_size_that_they_are_shown_at() -> None:
    sizes = {}
    for name, image in templates().images.items():
        assert len(image.data) <= MAIL_BYTES_MAX / 2
        sizes[name] = struct.unpack(">II", image.data[16:24])
    wide = {name: size for name, size in sizes.items() if name.startswith("hero_")}
    assert {size[0] for size in wide.values()} == {1200}
    assert (sizes["mark"], sizes["portrait"], sizes["stamp"]) == ((88, 88), (112, 112), (132, 156))
    assert {sizes[name] for name in sizes.keys() - wide.keys() - {"mark", "portrait", "stamp"}} == {
        (128, 128)
    }
    assert all(f"`{name}`" in HOWTO.read_text("utf-8") for name in sizes)


@pytest.mark.parametrize("mail", mails(), ids=str)
def test_each_mail_names_a_look_and_shows_the_mark(mail: Mail) -> None:
    looks = re.findall(r'\{% extends "(\w+)" %\}', loaded().files[f"{mail}.mjml"])
    assert len(looks) == 1
    assert looks[0] in LOOKS
    assert f"/a/{templates().images['mark'].hash}" in parts(mail).html


def test_goods_show_the_line_total_and_a_picture_of_a_named_host_alone() -> None:
    mail = Mail("customer/any/order_confirmation", "receipt", "", "en")
    values = sample(mail.measure)
    ours, other = "https://shop.larkandkettle.example/p.png", "https://tracker.example/p.png"
    values["event"]["products"] = [
        {"product_id": "a", "name": "A", "price": "13.50", "quantity": "2", "image_url": ours},
        {"product_id": "b", "name": "B", "price": 4, "image_url": other},
    ]
    read = parts(mail, values)
    assert "€27.00" in read.text
    assert "2 × €13.50" in re.sub(r"\s+", " ", read.html)
    assert ours in read.html
    assert other not in read.html
    assert templates().images["goods"].hash in read.html


def test_a_programme_without_pictures_of_its_own_still_shows_its_name() -> None:
    base = loaded().files["_layout/base.mjml"] + loaded().files["_layout/letter.mjml"]
    for picture in ("mark", "stamp"):
        assert f"if links.image_{picture} is defined" in base


def test_every_look_ships() -> None:
    used = {
        look
        for path, text in loaded().files.items()
        if path.endswith(".mjml") and not path.startswith("_layout/")
        for look in re.findall(r'\{% extends "(\w+)" %\}', text)
    }
    assert used == LOOKS
