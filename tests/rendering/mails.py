"""A small playbook with one measure, and builders of its templates, recipients and contexts."""

from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from nurture.domain.instant import Instant, parse_iso
from nurture.domain.signing import SigningKeys
from nurture.rendering.context import MailContext, Recipient, freeze_context
from nurture.rendering.links import links_for
from nurture.rendering.shared_values import SharedValues
from nurture.rendering.templates import Templates

KEYS = SigningKeys((b"a secret of more than sixteen bytes",))
BASE_URL = "https://mail.shop.test"
MEASURE = "customer/any/thanks"
NOON: Instant = parse_iso("2026-07-06T12:00:00Z")

BASE = """<mjml lang="{{ locale }}"><mj-head><mj-title>{{ subject }}</mj-title><mj-preview>{{ preheader }}</mj-preview>
<mj-style>a { color: {{ brand.color }}; }</mj-style></mj-head><mj-body>
<mj-section><mj-column>{% block content %}{% endblock %}</mj-column></mj-section>
<mj-section><mj-column><mj-text>{{ brand.address }}{% if links.unsubscribe is defined %}
<a href="{{ links.unsubscribe }}">{{ strings.stop }}</a>{% endif %}</mj-text></mj-column></mj-section>
</mj-body></mjml>
"""
BASE_TXT = """{% block content %}{% endblock %}
{{ brand.address }}
{% if links.unsubscribe is defined %}{{ strings.stop }}: {{ links.unsubscribe }}{% endif %}
"""
PARTS = """{% macro line(name, price, currency) %}
<mj-text>{{ name }}: {{ price | money(currency) }}</mj-text>{% endmacro %}
"""
FRONT = """---
subject: "Thanks, {{ contact.first_name | default('friend') }}"
preheader: "In short"
---
"""
BODY = """{% extends "base" %}{% from "parts" import line %}
{% block content %}<mj-text>Hello {{ contact.first_name | default("friend") }}</mj-text>
{% for each in entity.lines %}{{ line(each.name, each.price, "EUR") }}{% endfor %}
<mj-button href="{{ links.call_to_action }}">Look</mj-button>{% endblock %}
"""
BODY_TXT = """{% extends "base" %}{% block content %}
Hello {{ contact.first_name | default("friend") }}
{% for each in entity.lines %}- {{ each.name }}: {{ each.price | money("EUR") }}
{% endfor %}{{ links.call_to_action }}{% endblock %}
"""
FILES = {
    "_layout/base.mjml": BASE,
    "_layout/base.txt": BASE_TXT,
    "_layout/parts.mjml": PARTS,
    "_layout/strings.en.yaml": "stop: Unsubscribe\n",
    "_layout/strings.zh-CN.yaml": "stop: 退订\n",
    f"{MEASURE}/mail.en.mjml": FRONT + BODY,
    f"{MEASURE}/mail.en.txt": BODY_TXT,
    f"{MEASURE}/mail.zh-CN.mjml": FRONT.replace("Thanks", "谢谢") + BODY,
    f"{MEASURE}/mail.zh-CN.txt": BODY_TXT,
}
LINES = [{"name": "Guji & co", "price": 13.5}, {"name": "Kettle", "price": 89}]


def some_shared_values(**changes: Any) -> SharedValues:
    """Return the shared values of a shop that sells kettles."""
    given: dict[str, Any] = {
        "name": "shop",
        "brand": {
            "name": "Shop",
            "address": "Weg 1, Berlin",
            "color": "#224466",
            "shop_url": "https://shop.test",
        },
        "senders": {"default": {"name": "Mira", "address": "mira@shop.test", "reply_to": "help@shop.test"}},
        "locales": ("en", "zh-CN"),
        "default_locale": "en",
        "links": {MEASURE: "{{ brand.shop_url }}/cart?code={{ code | default('none') }}"},
        "names": {MEASURE: ("code", "deadline")},
    }
    return SharedValues(**given | changes)


def some_templates(files: Mapping[str, str | None] | None = None, **shared: Any) -> Templates:
    """Return the playbook's templates, with some files changed (None: taken away)."""
    merged = {path: text for path, text in {**FILES, **(files or {})}.items() if text is not None}
    return Templates(merged, some_shared_values(**shared))


def templates_of(body: str, text: str = "Hello", *, front: str = FRONT, **shared: Any) -> Templates:
    """Return templates whose mail has this MJML inside its card, and this text."""
    markup = '{% extends "base" %}{% block content %}' + body + "{% endblock %}"
    return some_templates(
        {f"{MEASURE}/mail.en.mjml": front + markup, f"{MEASURE}/mail.en.txt": text}, **shared
    )


def a_recipient(
    view: Mapping[str, Any] | None = None,
    *,
    address: str = "anna@x.test",
    locale: str | None = "en",
    zone: str = "Europe/Berlin",
    topic: str | None = "offers",
    tracking: bool = True,
) -> Recipient:
    """Return a recipient with two things in the cart."""
    links = dict(links_for(KEYS, BASE_URL, contact_id=1, message_id=2, topic=topic))
    if not tracking:
        del links["click"], links["open"]
    given = {"contact": {"first_name": "Anna"}, "entity": {"lines": LINES}} if view is None else view
    return Recipient(address, locale, zone, links, given)


def some_context(
    templates: Templates,
    view: Mapping[str, Any] | None = None,
    *,
    purpose: str = "sales",
    topic: str | None = "offers",
    step: str = "mail",
    variant: str = "",
    **recipient: Any,
) -> MailContext:
    """Return the frozen context of the playbook's one mail."""
    return freeze_context(
        templates,
        a_recipient(view, topic=topic, **recipient),
        measure=MEASURE,
        step=step,
        mail="mail",
        variant=variant,
        purpose=purpose,
        topic=topic,
        header_id="<m2.test@shop.test>",
        date=NOON,
    )


def read(data: bytes) -> EmailMessage:
    """Return a mail as the standard library reads it."""
    return message_from_bytes(data, policy=policy.default)


def content(mail: EmailMessage, kind: str) -> str:
    """Return the decoded body of the first part of this content type, line ends as LF."""
    part = next(part for part in mail.walk() if part.get_content_type() == kind)
    return str(part.get_content()).replace("\r\n", "\n")
