"""Write a whole playbook folder from a seed: ten measures that between them use every construct."""

import json
from pathlib import Path

from .draw import Draw, first_day, has_more
from .generate_language import add_language, has_language, language_measures, on_parcel, tells_early
from .generate_measures import TOPICS, ZONES, Spec, choose_measures, more_measures

MAIL = """---
subject: "A word"
preheader: "A few words."
---
{% extends "base" %}{% block content %}<mj-text><a href="{{ links.call_to_action }}">On</a></mj-text>{% endblock %}
"""
TEXT = '{% extends "base.txt" %}{% block content %}On: {{ links.call_to_action }}{% endblock %}\n'
FRAME = """<mjml><mj-body><mj-section><mj-column>{% block content %}{% endblock %}
<mj-text>{% if links.unsubscribe is defined %}<a href="{{ links.unsubscribe }}">Off</a>{% endif %}</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
FRAME_TEXT = """{% block content %}{% endblock %}
{% if links.unsubscribe is defined %}{{ links.unsubscribe }}{% endif %}
"""

PROPERTIES = {
    "answer": "text",
    "appointment_id": "text",
    "cart_id": "text",
    "case_id": "text",
    "category": "text",
    "order_id": "text",
    "plan": "text",
    "price": "decimal",
    "product_id": "text",
    "quantity": "integer",
    "renews_at": "instant",
    "revenue": "decimal",
    "score": "integer",
    "starts_at": "instant",
    "stock": "integer",
    "topic": "text",
}


def write_playbook(folder: Path, seed: int, *, modern: bool = True) -> None:
    """Write a complete folder; `modern` adds what entities, labels and their like bring."""
    draw = Draw("playbook", seed)
    folder.mkdir(parents=True, exist_ok=True)
    measures = choose_measures(draw, modern)
    if has_more(seed):
        more_measures(Draw("more measures", seed), measures)
    spec = playbook(draw, modern)
    if has_language(seed):
        own = Draw("language", seed)
        measures = language_measures(own, measures)
        if tells_early(seed):
            measures |= on_parcel(own)
        add_language(own, spec, first_day(seed))
    write_layout(folder)
    write_yaml(folder / "playbook.yaml", spec)
    for path, spec in measures.items():
        write_measure(folder / path, spec)


def write_yaml(file: Path, spec: Spec) -> None:
    """Write YAML that means the same to every reader."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in spec.items()]
    file.write_text("".join(lines), "utf-8")


def write_layout(folder: Path) -> None:
    """Write the frame of all mails."""
    layout = folder / "_layout"
    layout.mkdir(exist_ok=True)
    (layout / "base.mjml").write_text(FRAME, "utf-8")
    (layout / "base.txt").write_text(FRAME_TEXT, "utf-8")
    write_yaml(layout / "strings.en.yaml", {f"topic_{name}": name for name in TOPICS})


def write_measure(folder: Path, spec: Spec) -> None:
    """Write one measure with its mails and its sample."""
    write_yaml(folder / "measure.yaml", spec)
    codes = {name: "AGAIN1" for name, value in spec.get("let", {}).items() if "coupon" in value}
    sample = {"contact": {}, "event": {}, "entity": {}, "let": codes}
    (folder / "sample.json").write_text(json.dumps(sample), "utf-8")
    for name in mails_in(spec["steps"]):
        (folder / f"{name}.en.mjml").write_text(MAIL, "utf-8")
        (folder / f"{name}.en.txt").write_text(TEXT, "utf-8")


def mails_in(steps: list[Spec]) -> list[str]:
    """The mails of these steps, those in branches too."""
    result = [step["mail"] for step in steps if "mail" in step]
    for step in steps:
        for case in step.get("branch", ()):
            result += mails_in(case.get("steps", case.get("else", [])))
    return result


# ---- playbook.yaml


def playbook(draw: Draw, modern: bool) -> Spec:
    """The file about the company."""
    spec: Spec = {
        "name": "generated",
        "brand": {"name": "Made Up", "shop_url": "https://shop.example", "address": "Street 1, Berlin"},
        "senders": {"default": {"name": "Made Up", "address": "hello@shop.example"}},
        "locales": ["en"],
        "default_zone": draw.pick(ZONES),
        "quiet_hours": {
            "from": draw.pick(["20:00", "21:00", "22:30"]),
            "to": draw.pick(["06:00", "08:00"]),
            "except": draw.pick([["transactional"], [], ["transactional", "service"]]),
        },
        "arbitration": draw.pick(["1h", "4h"]),
        "properties": PROPERTIES,
        "conversion": conversion(draw, modern),
        "facts": facts(draw, modern),
        "stages": stages(draw),
        "milestones": milestones(modern),
        "holds": holds(draw),
        "topics": {
            "news": {"double_opt_in": True},
            "offers": {"double_opt_in": False},
            "surveys": {"double_opt_in": draw.share(50)},
        },
        "caps": caps(draw, modern),
        "objects": objects(draw, modern),
        "personas": {
            "home": {"event": "Article Read", "where": 'category == "beans"'},
            "office": "Quote Sent",
        },
        "offers": {"again": {"percent": 10, "prefix": "AGAIN"}},
        "actions": {"read": {"sells": False}, "buy": {"sells": True}},
        "forms": ["letter"],
    }
    if modern:
        spec["brand"]["currencies"] = ["EUR", "USD"]
        spec["entities"] = entities(draw)
        spec["requests"] = ["Back In Stock Requested", "Quote Sent"]
    return spec


def conversion(draw: Draw, modern: bool) -> Spec:
    """The rule that makes a lead a customer."""
    if modern and draw.share(70):
        return {"by": ["order"], **({"hold": "in_talks"} if draw.share(40) else {})}
    result: Spec = {"by": ["Order Completed"], "key": "order_id"}
    if draw.share(60):
        result["reversed_by"] = ["Order Cancelled"]
    return result


def facts(draw: Draw, modern: bool) -> Spec:
    """Every fold of the page."""
    result: Spec = {
        "orders": {"count": "Order Completed"},
        "views": {"count": "Page Viewed", "within": draw.pick(["12h", "2d", "7d"]), "keep": 50},
        "turnover": {"sum": "revenue", "of": "Order Completed"},
        "largest": {"max": "revenue", "of": "Order Completed"},
        "smallest_score": {"min": "score", "of": "Survey Answered", "type": "integer"},
        "first_order_at": {"first": "Order Completed"},
        "last_order_at": {"last": "Order Completed"},
        "plan": {"latest": "plan", "of": ["Plan Changed"], "type": "text"},
        "renews_at": {"latest": "renews_at", "of": "Plan Changed", "type": "instant"},
        "score": {"latest": "score", "of": "Survey Answered", "type": "integer"},
        "interests": {"set": "category", "of": ["Article Read"], "keep": 2},
        "engaged": {"ever": ["Article Read", "Signed In"], "at_least": 2, "within": draw.pick(["6h", "3d"])},
        "reads": {"count": "Article Read"},
        "birthday": {"trait": "birthday", "type": "date"},
        "first_name": {"trait": "firstName", "type": "text"},
        "size": {"trait": "size", "type": "integer"},
        "satisfied": {
            "verdict": {
                "yes": [{"event": "Survey Answered", "where": "score >= 9"}, "Goal Reached"],
                "no": [{"event": "Survey Answered", "where": "score <= 6"}, "Return Requested"],
                "open_no": ["case"],
            }
        },
    }
    if modern:
        result.update(modern_facts(draw))
    else:
        result.update(old_entities(draw))
    return result


def old_entities(draw: Draw) -> Spec:
    """Entities in the form of facts."""
    cart: Spec = {
        "entity": "cart_id",
        "of": ["Product Added", "Product Removed", "Cart Viewed"],
        "closed_by": {"Order Completed": draw.pick(["key", "all"]), "Cart Emptied": "key"},
        "keep": 20,
        "remember": "100d",
    }
    if draw.share(70):
        cart["lines"] = {
            "key": "product_id",
            "added_by": ["Product Added"],
            "removed_by": ["Product Removed"],
        }
    return {
        "cart": cart,
        "order": {
            "entity": "order_id",
            "of": ["Order Completed"],
            "closed_by": {"Order Cancelled": "key"},
            "remember": "100d",
        },
        "appointment": {
            "entity": "appointment_id",
            "of": ["Appointment Booked", "Appointment Changed"],
            "closed_by": {"Appointment Cancelled": "key"},
        },
        "case": {
            "entity": "case_id",
            "of": ["Support Case Opened"],
            "closed_by": {"Support Case Closed": "key"},
        },
    }


def entities(draw: Draw) -> Spec:
    """Entities with reversal and lines."""
    return {
        "order": {
            "key": "order_id",
            "of": ["Order Completed", "Order Updated"],
            "counts_from": "Order Completed",
            "amount": "revenue",
            "lines": {"in": "products", "key": "product_id"},
            "reversed_by": {
                "Order Cancelled": "full",
                "Order Refunded": {"amount": "total", "key": "refund_id"},
            },
            "keep": 200,
            "remember": "800d",
        },
        "shipment": {
            "key": ["shipment_id", "tracking_number"],
            "within": "order",
            "of": ["Order Shipped", "Order Delivered"],
            "closed_by": {"Order Delivered": "key"},
        },
        "cart": {
            "key": "cart_id",
            "of": ["Product Added", "Product Removed", "Cart Viewed"],
            "lines": {
                "key": "product_id",
                "added_by": ["Product Added"],
                "removed_by": ["Product Removed", *(["order.lines"] if draw.share(60) else [])],
            },
            "closed_by": {"Cart Emptied": "key", **({"Order Completed": "key"} if draw.share(50) else {})},
            "remember": "2d",
        },
        "appointment": {
            "key": "appointment_id",
            "of": ["Appointment Booked", "Appointment Changed"],
            "closed_by": {"Appointment Cancelled": "key"},
        },
        "case": {
            "key": "case_id",
            "of": ["Support Case Opened"],
            "closed_by": {"Support Case Closed": "key"},
        },
        "supply": {"key": "product_id", "of": "order.lines", "due": {"usual": "3d", "weight": 2}},
    }


def modern_facts(draw: Draw) -> Spec:
    """Facts over entities, labels and rhythms."""
    return {
        "orders": {"count": "order"},
        "spent": {"sum": "amount", "of": "order"},
        "last_order_at": {"last": "order"},
        "bought": {"set": "product_id", "of": "order.lines"},
        "pieces": {
            "sum": "quantity",
            "of": {"lines": "order", "where": 'category == "beans"'},
            "type": "integer",
        },
        "large_orders": {"count": {"entity": "order", "where": "revenue >= 50"}},
        "sort": {
            "label": {
                "office": [
                    {"event": "Survey Answered", "where": 'answer == "office"', "strength": 3},
                    {"event": "Article Read", "where": 'category == "tools"'},
                ],
                "home": [{"event": "Article Read", "where": 'category == "beans"'}],
            },
            **({"else": "home"} if draw.share(50) else {}),
        },
        "lapsed_at": {
            "rhythm": "order",
            "times": draw.pick([1, 2]),
            "usual": draw.pick(["2d", "4d"]),
            "weight": 3,
        },
    }


def stages(draw: Draw) -> Spec:
    """The stages of both tracks."""
    ask = ["read", "buy"]
    return {
        "lead": {
            "aware": {"when": "True", "may_ask": ask},
            "engage": {"when": draw.pick(["engaged == True", "reads >= 2"]), "may_ask": ask},
            "convert": {
                "when": draw.pick(["cart.ever >= 1", "cart.ever >= 2 or appointment.ever >= 1"]),
                "may_ask": ask,
            },
        },
        "customer": {
            "excite": {"when": "True", "may_ask": ask},
            "ascend": {"when": draw.pick(["orders >= 2", "orders + appointment.ever >= 3"]), "may_ask": ask},
        },
    }


def milestones(modern: bool) -> Spec:
    """One of each kind."""
    result: Spec = {
        "first_read": {"of": "Article Read"},
        "shipped": {"of": "Order Shipped", "per": "order_id"},
        "third_visit": {"of": "Signed In", "nth": 3},
    }
    if modern:
        result["second_order"] = {"of": "order", "nth": 2}
    return result


def holds(draw: Draw) -> Spec:
    """One with a key, one without."""
    return {
        "open_case": {
            "from": "Support Case Opened",
            "until": "Support Case Closed",
            "key": "case_id",
            "at_most": draw.pick(["1d", "3d"]),
            "owner": "support",
            "stops": ["sales", "survey"],
        },
        "in_talks": {
            "from": ["Quote Sent", "Return Requested"],
            "until": ["Quote Accepted", "Order Completed"],
            "at_most": draw.pick(["20h", "5d"]),
            "owner": "sales",
            "stops": draw.pick([["nurture"], ["sales", "service"], ["nurture", "advocacy"]]),
        },
    }


def caps(draw: Draw, modern: bool) -> Spec:
    """Caps with and without a gap, by runs and by mails."""
    result: Spec = {
        "sales": {"purposes": ["sales"], "at_most": draw.between(1, 2), "within": draw.pick(["1d", "3d"])},
        "all": {
            "purposes": draw.pick([["nurture"], ["nurture", "sales"], ["nurture", "survey", "service"]]),
            "at_most": draw.between(1, 3),
            "within": draw.pick(["1d", "2d", "7d"]),
            "gap": draw.pick(["30m", "6h", "12h"]),
        },
    }
    if modern:
        if draw.share(50):
            result["all"] |= {"count": "mails", "gap": "1h", "at_most": 3, "within": "1d"}
        result["discount"] = {"offers": "any", "at_most": 1, "within": "4d"}
    return result


def objects(draw: Draw, modern: bool) -> Spec:
    """Products, and who watches them."""
    lists: Spec = {
        "asked": {"from": "Back In Stock Requested", "until": ["Watch Ended"], "asked_for": True},
        "looked": {"from": ["Product Viewed"]},
    }
    for entry in lists.values():
        entry["for"] = draw.pick(["1d", "20d"])
    named = {"watchers": lists} if modern else {}
    return {
        "product": {
            **named,
            "key": "product_id",
            "of": ["Product Stock Changed", "Product Back In Stock"],
            "watched_from": ["Back In Stock Requested"],
            "watched_until": ["Watch Ended"],
            "wakes": ["Product Back In Stock"],
            "watch_for": draw.pick(["2d", "30d"]),
        }
    }


# ---- measures
