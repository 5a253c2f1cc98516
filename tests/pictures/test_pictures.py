"""Pictures: any rows give well-formed SVG whose labels lie inside and apart; the palette keeps its contrast."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings

import nurture
from nurture.pictures import Picture, page_part, standalone, stylesheet
from nurture.pictures.canvas import fit, text_width, wrap
from nurture.pictures.palette import BAND, DARK, LIGHT, blend, contrast, step_colours
from tests.pictures.rows import ANY_PICTURE, GOLDEN
from tests.rig.examples import examples

SVG = "{http://www.w3.org/2000/svg}"
GOLDEN_FILES = Path(__file__).parent / "golden"


def boxes_of(svg: str) -> tuple[float, float, list[tuple[float, float, float, float]]]:
    """Return width, height and the estimated box of each label."""
    root = ET.fromstring(svg)
    boxes = []
    for text in root.iter(f"{SVG}text"):
        x, y, size = (float(text.attrib[name]) for name in ("x", "y", "font-size"))
        width = text_width(text.text or "", size)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[text.attrib["text-anchor"]]
        boxes.append((left, y - size * 0.8, left + width, y + size * 0.25))
    return float(root.attrib["width"]), float(root.attrib["height"]), boxes


def check(svg: str) -> None:
    root = ET.fromstring(svg)
    assert " style=" not in svg
    assert "<style" not in svg
    assert "nan" not in re.sub(r"<(text|title|desc)[^>]*>.*?</\1>", "", svg).lower().replace("finance", "")
    assert root.attrib["role"] == "img"
    for element in root.iter():
        assert element.attrib.get("class", "p-").startswith("p-")
    width, height, boxes = boxes_of(svg)
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left >= -0.6
        assert top >= -0.6
        assert right <= width + 0.6
        assert bottom <= height + 0.6
        for other in boxes[:number]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] + 0.1 or other[3] <= top + 0.1


@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_PICTURE)
def test_any_rows_give_a_picture_with_labels_inside_and_apart(picture: Picture) -> None:
    for svg in (picture.wide, picture.narrow):
        check(svg)
    html = page_part(picture, summary="Numbers")
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert all(len(row) <= len(picture.table.columns) + 13 for row in picture.table.rows)


@pytest.mark.parametrize("name", sorted(GOLDEN))
@pytest.mark.parametrize("side", ["wide", "narrow"])
def test_the_same_rows_give_the_same_text(name: str, side: str) -> None:
    svg = getattr(GOLDEN[name](), side)
    path = GOLDEN_FILES / f"{name}.{side}.svg"
    assert svg.replace("><", ">\n<") + "\n" == path.read_text("utf-8"), (
        f"look at the picture, then write {path}"
    )


def test_pictures_show_what_their_rows_say() -> None:
    assert "+" not in GOLDEN["funnel"]().wide
    assert "36%" in GOLDEN["funnel"]().wide
    assert GOLDEN["funnel"]().table.rows[1] == ("identified", "4,410", "36%")
    calendar = GOLDEN["calendar"]()
    # One far day does not take the shade from all others.
    assert {f"p-s{step}" in calendar.wide for step in (2, 3, 4, 5)} == {True}
    assert GOLDEN["lift"]().wide.count("stroke-dasharray") == 1
    assert GOLDEN["timeline"]().wide.count('fill="none"') == 0
    assert GOLDEN["series"]().wide.count('<circle class="p-bad"') == 1


@pytest.mark.parametrize(("theme", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_text_and_marks_have_contrast(theme: str, colours: dict[str, str]) -> None:
    for fill, text in step_colours(theme):
        assert contrast(fill, text) >= 4.5, (fill, text)
    for name in ("ink", "soft", "a", "b", "good", "bad"):
        assert contrast(colours[name], colours["card"]) >= 4.5, name
    band = blend(colours["a"], colours["card"], BAND)
    for name in ("ink", "b", "bad"):
        assert contrast(colours[name], band) >= 4.5, name
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_every_class_of_the_pictures_has_a_rule_in_both_themes() -> None:
    sheet = stylesheet()
    used = {name for draw in GOLDEN.values() for name in re.findall(r'class="(p-[a-z0-9-]+)"', draw().wide)}
    for name in used - {"p-wide"}:
        assert sheet.count(f".{name} {{") == 2, name


def test_a_file_that_stands_alone_has_its_colours_and_its_ground() -> None:
    svg = standalone(GOLDEN["map"]().narrow)
    assert ET.fromstring(svg).tag == f"{SVG}svg"
    assert "prefers-color-scheme: dark" in svg
    assert 'p-narrow"' not in svg.split("<style>")[0]


def test_long_texts_are_cut_and_wrapped_by_their_width() -> None:
    assert fit("short", 200) == "short"
    assert fit("Order Completed in 30 d", 60).endswith("…")
    assert text_width(fit("订单已完成，谢谢你的支持", 60)) <= 60
    assert fit("word", 5) == ""
    lines = wrap("one two three four five six seven", 80, lines=2)
    assert len(lines) == 2
    assert all(text_width(line) <= 80 for line in lines)


def test_the_sheet_of_the_console_has_the_rules_of_the_pictures() -> None:
    sheet = Path(nurture.__file__).parent / "web" / "static" / "nurture.css"
    assert stylesheet().strip() in sheet.read_text("utf-8"), "copy nurture.pictures.stylesheet() into it"
