"""Money, numbers, dates and times, in the language and zone of the mail."""

from typing import Any

import pytest

from nurture.domain.instant import parse_iso
from nurture.rendering.images import picture
from nurture.rendering.render import render_parts
from tests.rendering.mails import some_context, templates_of

INSTANT = parse_iso("2026-07-06T22:30:00Z")


def shown(expression: str, value: Any, *, locale: str = "en", zone: str = "Europe/Berlin") -> str:
    templates = templates_of("", expression)
    source = templates.files["customer/any/thanks/mail.en.txt"]
    files = {**templates.files, "customer/any/thanks/mail.zh-CN.txt": source}
    templates = type(templates)(files, templates.shared)
    context = some_context(
        templates, {"contact": {}, "event": {"x": value}, "entity": {"lines": []}}, locale=locale, zone=zone
    )
    return render_parts(templates, context).text.strip().replace("\u202f", " ")


@pytest.mark.parametrize(
    ("expression", "value", "locale", "zone", "text"),
    [
        ("{{ event.x | date }}", INSTANT, "en", "Europe/Berlin", "July 7, 2026"),
        ("{{ event.x | date }}", INSTANT, "en", "America/New_York", "July 6, 2026"),
        ("{{ event.x | date }}", INSTANT, "zh-CN", "Asia/Shanghai", "2026年7月7日"),
        ('{{ event.x | date("full") }}', INSTANT, "en", "UTC", "Monday, July 6, 2026"),
        ('{{ event.x | date("short") }}', INSTANT, "en", "UTC", "7/6/26"),
        ("{{ event.x | date }}", "2026-07-06T22:30:00Z", "en", "Europe/Berlin", "July 7, 2026"),
        ("{{ event.x | date }}", "2026-07-06T22:30:00+02:00", "en", "Europe/Berlin", "July 6, 2026"),
        ("{{ event.x | date }}", str(INSTANT), "en", "Europe/Berlin", "July 7, 2026"),
        # A day is a day: no zone moves it.
        ("{{ event.x | date }}", "2026-07-06", "en", "Pacific/Auckland", "July 6, 2026"),
        ("{{ event.x | date }}", "02-29", "en", "UTC", "February 29"),
        ("{{ event.x | date }}", "06-10", "zh-CN", "UTC", "6月10日"),
        ("{{ event.x | time }}", INSTANT, "en", "Europe/Berlin", "12:30 AM"),
        ("{{ event.x | time }}", INSTANT, "zh-CN", "Asia/Shanghai", "06:30"),
        ('{{ event.x | time("long") }}', INSTANT, "en", "Europe/Berlin", "12:30:00 AM +0200"),
        ("{{ event.x | datetime }}", INSTANT, "en", "UTC", "July 6, 2026, 10:30 PM"),
        ('{{ event.x | datetime("medium") }}', INSTANT, "zh-CN", "UTC", "2026年7月6日 22:30"),
        # Either side of the change to summer time.
        ("{{ event.x | time }}", "2026-03-29T00:59:00Z", "zh-CN", "Europe/Berlin", "01:59"),
        ("{{ event.x | time }}", "2026-03-29T01:00:00Z", "zh-CN", "Europe/Berlin", "03:00"),
        ('{{ event.x | money("EUR") }}', 13.5, "en", "UTC", "€13.50"),
        ('{{ event.x | money("eur") }}', "1234.5", "en", "UTC", "€1,234.50"),
        ('{{ event.x | money("CNY") }}', 89, "zh-CN", "UTC", "¥89.00"),
        ('{{ event.x | money("JPY") }}', 1200, "en", "UTC", "¥1,200"),
        ('{{ event.x | money("EUR") }}', 0.1 + 0.2, "en", "UTC", "€0.30"),
        ("{{ event.x | number }}", 1234567, "en", "UTC", "1,234,567"),
        ("{{ event.x | number(2) }}", 2.5, "en", "UTC", "2.50"),
        ("{{ event.x | percent }}", 25, "en", "UTC", "25%"),
        ("{{ event.x | discount }}", 25, "en", "UTC", "25%"),
        ("{{ event.x | discount }}", 25, "zh-CN", "UTC", "七五折"),
        ("{{ event.x | discount }}", "20", "zh-CN", "UTC", "八折"),
        ("{{ event.x | discount }}", 5, "zh-CN", "UTC", "九五折"),
        ("{{ event.x | discount }}", 95, "zh-CN", "UTC", "零点五折"),
        ("{{ event.x | discount }}", 12.5, "zh-CN", "UTC", "8.75 折"),
        ("{{ event.x | discount }}", 100, "zh-CN", "UTC", "100%"),
        # The time of a place is shown in its zone, wherever the reader is.
        ('{{ event.x | time("HH:mm", "Europe/Berlin") }}', INSTANT, "en", "Asia/Shanghai", "00:30"),
        ('{{ event.x | date("long", "Europe/Berlin") }}', INSTANT, "en", "UTC", "July 7, 2026"),
        ('{{ event.x | datetime("long", "UTC") }}', INSTANT, "en", "Asia/Shanghai", "July 6, 2026, 10:30 PM"),
        ('{{ event.x | time("HH:mm", event.no_zone) }}', INSTANT, "en", "UTC", "22:30"),
        ("{{ event.x | city }}", "Europe/Berlin", "en", "UTC", "Berlin"),
        ("{{ event.x | city }}", "Europe/Berlin", "zh-CN", "UTC", "柏林"),
        ("{{ event.x | city }}", "America/New_York", "en", "UTC", "New York"),
        # As `money` takes text, so does the line's total.
        ('{{ event.x | times(2) | money("EUR") }}', "13.50", "en", "UTC", "€27.00"),
        ('{{ 13.5 | times(event.x) | money("EUR") }}', "2", "en", "UTC", "€27.00"),
        ('{{ 0.1 | times(event.x) | money("EUR") }}', 3, "en", "UTC", "€0.30"),
    ],
)
def test_values_are_written_as_people_write_them(
    expression: str, value: Any, locale: str, zone: str, text: str
) -> None:
    assert shown(expression, value, locale=locale, zone=zone) == text


def test_macros_without_context_format_in_the_mails_locale() -> None:
    # `parts` is imported without context in these files; the filter still knows locale and zone.
    from tests.rendering.mails import some_templates

    templates = some_templates({"_layout/strings.de.yaml": "stop: Abmelden\n"})
    assert "€13.50" in render_parts(templates, some_context(templates)).html
    files = {
        path.replace(".zh-CN.", ".de."): text for path, text in templates.files.items() if "zh-CN" in path
    }
    german = type(templates)({**templates.files, **files}, templates.shared)
    assert "13,50\u00a0€" in render_parts(german, some_context(german, locale="de")).html


PLACES = ["shop.test", "cdn.example"]


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [
        ("https://shop.test/a.png", True),
        ("https://img.cdn.example/a.png", True),
        (" https://SHOP.test/a.png ", True),
        ("http://shop.test/a.png", False),
        ("https://eviltracker.test/a.png", False),
        ("https://evilshop.test/a.png", False),
        ("https://shop.test.evil.example/a.png", False),
        ("https://shop.test@evil.example/a.png", False),
        ("https://user@shop.test/a.png", False),
        ("javascript:alert(1)", False),
        ("//shop.test/a.png", False),
        ("https://[shop.test/a.png", False),
        ("", False),
        (17, False),
        ([], False),
        (None, False),
    ],
)
def test_a_picture_comes_from_a_named_host_or_is_the_drawn_one(url: Any, is_shown: bool) -> None:
    assert picture(url, PLACES, "DRAWN") == (url.strip() if is_shown else "DRAWN")


def test_a_picture_that_is_not_given_is_the_drawn_one() -> None:
    assert shown("{{ event.image_url | picture(brand.name, 'DRAWN') }}", 1) == "DRAWN"
