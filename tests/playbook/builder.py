"""A small complete playbook to break in tests: two tracks, five measures, two languages."""

import json
from collections.abc import Mapping

PLAYBOOK = """\
name: little-shop
brand: {name: Little Shop, shop_url: https://shop.example, address: "Main Street 1, Town", color: "#1f5a4c"}
senders: {default: {name: Little Shop, address: hello@shop.example}}
locales: [en, zh-CN]
default_zone: Europe/Berlin
quiet_hours: {from: "21:00", to: "08:00", except: [transactional]}
default_send_at: "10:00"
properties: {order_id: text, appointment_id: text, score: integer, revenue: decimal, stock: integer, starts_at: instant}
conversion: {by: Order Completed, key: order_id, reversed_by: Order Taken Back, hold: after_return}
facts:
  orders: {count: Order Completed}
  spent: {sum: revenue, of: Order Completed}
  trials: {count: Trial Started}
  first_name: {trait: firstName}
  birthday: {trait: birthday, type: date}
  views: {count: Page Viewed, within: 7d}
  cart: {entity: cart_id, of: [Product Added, Cart Viewed], closed_by: {Order Completed: all}}
  appointment: {entity: appointment_id, of: [Appointment Booked, Appointment Changed]}
  case: {entity: case_id, of: Case Opened, closed_by: {Case Closed: key}}
  satisfied:
    verdict:
      "yes": {event: Survey Answered, where: score >= 9}
      "no": [{event: Survey Answered, where: score <= 6}, Return Requested]
      open_no: [case]
stages:
  lead:
    aware: {when: "True", may_ask: [confirm, read, subscribe]}
    convert: {when: trials >= 1 or cart.ever >= 1, may_ask: [confirm, read, try, buy]}
  customer:
    excite: {when: "True", may_ask: [confirm, use]}
    ascend: {when: orders >= 2, may_ask: [confirm, use, buy]}
milestones:
  delivered: {of: Order Delivered, per: order_id}
holds:
  after_return: {from: Return Requested, at_most: 30d, owner: support, stops: [sales]}
topics: {news: {}, offers: {}}
caps: {sales: {purposes: [sales], at_most: 1, within: 14d}}
objects:
  product: {key: product_id, of: [Product Updated, Product Back In Stock], wakes: [Product Back In Stock]}
# Touchpoints would stand here.
personas: {office: {event: Survey Answered, where: score >= 0}}
offers: {again_25: {percent: 25, prefix: AGAIN}}
actions:
  confirm: {sells: false}
  read: {sells: false}
  subscribe: {sells: false}
  try: {sells: false}
  use: {sells: false}
  buy: {sells: true}
  resume: {sells: true, of: [cart, watch]}
forms: [notice, guide, reminder, coupon]
"""

CONFIRM = """\
goal: a yes that was really given
audience: "True"
form: notice
call_to_action: {kind: confirm, link: "{{ links.confirm }}"}
kind: service
purpose: transactional
trigger: {event: Topic Requested}
once: per event
steps:
  - mail: confirm
audience_source: people who ticked a box
metric: {event: Topic Confirmed, within: 2d, expect: "70%"}
"""

GUIDE = """\
goal: readers who find what they need
audience: known(first_name) and views >= 1
form: guide
call_to_action: {kind: read, link: "{{ brand.shop_url }}/guide"}
kind: accelerator
purpose: nurture
topic: news
metric: {event: Topic Requested, within: 14d, expect: "20%"}
trigger: {stage: aware}
exit: [Order Completed]
steps:
  - mail: guide
  - wait: 2d
  - mail: more
    when: silent_days("Page Viewed") >= 1
audience_source: visitors
other_track: "none: customers know it"
"""

CART = """\
goal: an order that was almost there
audience: cart.open >= 1
form: reminder
call_to_action: {kind: buy, link: "{{ brand.shop_url }}/cart/{{ entity.cart_id }}"}
kind: connector
purpose: sales
topic: offers
trigger: {quiet: 2h, entity: cart}
objects: {product: {kind: product, key: entity.product_id}}
exit: [Order Completed]
variants: {a: 50, b: 50}
steps:
  - mail: left
    send_if: product.stock >= 1
audience_source: people with a cart
metric: {event: Order Completed, within: 7d, expect: "5%"}
other_track: "none: a shop of first orders"
"""

COUPON = """\
goal: a second order
audience: orders == 1 and silent_days("Order Completed") > 30 and satisfied is not no
form: coupon
call_to_action: {kind: buy, link: "{{ brand.shop_url }}?code={{ code }}"}
kind: accelerator
purpose: sales
topic: offers
trigger: {condition: audience}
exit: [Order Completed, {event: Case Opened, reason: case_opened}]
holdout: 10%
let: {deadline: {end_of_month: local, at_least: 7d}, code: {coupon: again_25}}
steps:
  - mail: offer
    send_at: {local_time: "10:00", weekdays: [tue, wed, thu]}
  - wait: {for: Signed In, at_most: 5d}
  - mail: reminder
    when: days_until(deadline) >= 2
audience_source: people who bought once
metric: {event: Order Completed, within: 30d, expect: "20%"}
other_track: "none: leads have bought nothing"
early: once, after a month of silence
"""

APPOINTMENT = """\
goal: a visit that happens
audience: "True"
form: reminder
call_to_action: {kind: confirm, link: "{{ brand.shop_url }}/visits/{{ entity.appointment_id }}"}
kind: service
purpose: service
trigger: {event: Appointment Booked}
entity: appointment
once: {per: appointment_id, again_on: [Appointment Changed]}
exit: [{event: Appointment Cancelled, key: appointment_id, reason: cancelled}]
handover: customer/any/visit
steps:
  - wait: {date: entity.starts_at, offset: -1d, local_time: "10:00"}
  - mail: reminder
audience_source: people with an appointment
metric: {event: Visit Made, within: 60d, expect: "80%"}
other_track: "none: each track has its own words"
"""

BASE = """\
<mjml><mj-body><mj-section><mj-column>
{% block content %}{% endblock %}
<mj-text>{{ brand.address }}
{% if links.unsubscribe is defined %}<a href="{{ links.unsubscribe }}">{{ strings.leave }}</a>{% endif %}</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
BASE_TEXT = """\
{% block content %}{% endblock %}
{{ brand.address }}{% if links.unsubscribe is defined %}
{{ strings.leave }}: {{ links.unsubscribe }}{% endif %}
"""

TEXTS = {
    "en": {"subject": "Good to know", "body": "Something useful."},
    "zh-CN": {"subject": "值得一看", "body": "有用的内容。"},
}


def a_mail(locale: str, *, subject: str = "", body: str = "") -> str:
    """Return an MJML part; line 2 is the subject, line 7 the body."""
    words = TEXTS[locale]
    return (
        f'---\nsubject: "{subject or words["subject"]}"\npreheader: "{words["subject"]}"\n---\n'
        '{% extends "base" %}\n{% block content %}\n'
        f"<mj-text>{body or words['body']}</mj-text>\n"
        '<mj-button href="{{ links.call_to_action }}">Go</mj-button>\n{% endblock %}\n'
    )


def a_text(locale: str, *, body: str = "") -> str:
    """Return a text part; line 3 is the body."""
    return (
        '{% extends "base.txt" %}\n{% block content %}\n'
        f"{body or TEXTS[locale]['body']}\n{{{{ links.call_to_action }}}}\n{{% endblock %}}\n"
    )


def a_playbook() -> dict[str, str]:
    """Return the files of a playbook without faults."""
    files = {"playbook.yaml": PLAYBOOK, "_layout/base.mjml": BASE, "_layout/base.txt": BASE_TEXT}
    for locale in TEXTS:
        files[f"_layout/strings.{locale}.yaml"] = (
            "leave: Unsubscribe\ntopic_news: News\ntopic_offers: Offers\n"
        )
    _add(files, "any/confirm", CONFIRM, ["confirm"], {})
    _add(files, "lead/aware/guide", GUIDE, ["guide", "more"], {"contact": {"first_name": "Anna"}})
    entity = {"cart_id": "c1", "product_id": "p1"}
    sample = {"entity": entity, "objects": {"product": {"stock": 4}}}
    _add(files, "lead/convert/cart", CART, ["left", "left@b"], sample)
    lets = {"deadline": "2026-06-30T21:59:59Z", "code": "AGAIN-7KQ4MX"}
    _add(files, "customer/any/coupon", COUPON, ["offer", "reminder"], {"let": lets})
    appointment = {"entity": {"appointment_id": "a1", "starts_at": "2026-05-06T08:00:00Z"}}
    _add(files, "lead/any/visit", APPOINTMENT, ["reminder"], appointment)
    _add(
        files,
        "customer/any/visit",
        APPOINTMENT.replace("handover: customer/any/visit\n", ""),
        ["reminder"],
        appointment,
    )
    return files


def _add(
    files: dict[str, str], path: str, measure: str, mails: list[str], sample: Mapping[str, object]
) -> None:
    files[f"{path}/measure.yaml"] = measure
    files[f"{path}/sample.json"] = json.dumps(sample)
    for mail in mails:
        for locale in TEXTS:
            files[f"{path}/{mail}.{locale}.mjml"] = a_mail(locale)
            files[f"{path}/{mail}.{locale}.txt"] = a_text(locale)


def with_essentials(path: str, measure: str) -> str:
    """Return the text of a measure with the essentials that it leaves out, for tests of something else."""
    lines = {
        "audience_source": "people in a test",
        "metric": '{event: Answered, within: 14d, expect: "25%"}',
        "other_track": '"none: this test has one track"',
    }
    for key, value in lines.items():
        if f"\n{key}:" not in f"\n{measure}" and not (key == "other_track" and path.startswith("any/")):
            measure = f"{measure.rstrip()}\n{key}: {value}\n"
    return measure


def changed(path: str, old: str, new: str, files: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the playbook with one passage of one file replaced; it must be there exactly once."""
    copy = dict(files or a_playbook())
    assert copy[path].count(old) == 1, f"{old!r} stands {copy[path].count(old)} times in {path}"
    copy[path] = copy[path].replace(old, new)
    return copy
