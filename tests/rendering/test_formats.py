"""Money, numbers, dates and times, in the language and zone of the mail."""

from typing import Any

import pytest

from nurture.domain.instant import parse_iso
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
