"""Draw the measures of a playbook: every trigger, wait, exit and form of `once` over a few seeds."""

from collections.abc import Callable
from typing import Any

from .draw import Draw

Spec = dict[str, Any]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TIMES = ["07:30", "09:00", "10:00", "12:30", "16:00", "20:30"]
MAIL_TIMES = TIMES[:-1]  # the check refuses a time of day in the quiet hours
MARKETING = ["nurture", "sales", "advocacy", "survey"]
TOPICS = ["news", "offers", "surveys"]
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Sydney", "UTC"]
CATEGORIES = ["beans", "tools", "water"]


def choose_measures(draw: Draw, modern: bool) -> dict[str, Spec]:
    """Ten measures, each with a path of its own; a pair for the hand-over counts as two."""
    builders = list(CLASSIC) + (list(MODERN) if modern else [])
    result: dict[str, Spec] = {}
    for builder in draw.some(builders, len(builders)):
        made = builder(draw)
        if len(result) + len(made) <= 10:
            result.update(made)
    return result


def place(draw: Draw, name: str) -> tuple[str, str]:
    """A path and the track of it."""
    places = ["lead/any", "customer/any", "lead/aware", "lead/engage", "lead/convert", "customer/excite"]
    places += ["lead/aware+", "lead/engage+", "customer/ascend+"]
    result = draw.pick(places)
    return f"{result}/{name}", result.split("/")[0]


def base(draw: Draw, trigger: Any, purpose: str | None = None) -> Spec:
    """The keys that every measure has."""
    purpose = purpose or draw.pick(["transactional", "service", "service", *MARKETING])
    spec: Spec = {
        "goal": "a made-up goal",
        "audience": "True",
        "audience_source": "made-up people",
        "form": "letter",
        "call_to_action": {"kind": "read", "link": "{{ brand.shop_url }}"},
        "kind": "service" if purpose in {"transactional", "service"} else "accelerator",
        "purpose": purpose,
        "metric": {"event": "Order Completed", "within": "7d", "expect": "25%"},
        "other_track": "none: made-up people",
        "trigger": trigger,
        "priority": draw.between(1, 9) * 10,
        "valid_for": draw.pick(["6h", "12h", "1d", "3d"]),
    }
    if purpose in MARKETING:
        spec["topic"] = draw.pick(TOPICS)
    if draw.share(30):
        spec["horizon"] = draw.pick(["2h", "1d", "10d"])
    if draw.share(40):
        spec["on_stage_change"] = "continue"
    if purpose == "service" and draw.share(30):
        spec["holdable"] = False
    return spec


AUDIENCES = [
    "True",
    "orders >= 1",
    "satisfied is not no",
    "known(plan)",
    'plan == "basic" or views >= 2',
    'count("Page Viewed") >= 2',
    '"beans" in interests',
    "turnover > 20 and largest < 500",
    'not (plan in ["team", "basic"])',
    "case.open == 0",
    'persona == "home"',
]


def slot(draw: Draw) -> Any:
    """When a mail may leave."""
    return draw.pick(
        [
            {"local_time": draw.pick(MAIL_TIMES)},
            {"local_time": draw.pick(MAIL_TIMES), "weekdays": draw.some(DAYS, 3)},
            {"weekdays": draw.some(DAYS, 4)},
        ]
    )


def mail(draw: Draw, name: str) -> Spec:
    """One mail."""
    step: Spec = {"mail": name}
    if draw.share(35):
        step["send_at"] = slot(draw)
    if draw.share(25):
        step["valid_for"] = draw.pick(["3h", "1d", "5d"])
    if draw.share(25):
        step["when"] = draw.pick(
            [
                "orders >= 0",
                "known(plan)",
                "views >= 1",
                'satisfied is not no and days_since(last("Page Viewed")) >= 1',
                "local_hour() >= 9",
                'first_name == "Anna" or score > 3',
            ]
        )
    return step


def wait(draw: Draw) -> Spec:
    """One wait."""
    return {
        "wait": draw.pick(
            [
                draw.pick(["30m", "3h", "1d", "1d 12h"]),
                {
                    "for": draw.pick(["Signed In", "Article Read", "Page Viewed"]),
                    "at_most": draw.pick(["2h", "1d", "4d"]),
                },
                {"until": slot(draw), **({"at_least": draw.pick(["1h", "1d"])} if draw.share(60) else {})},
            ]
        ),
        **({"when": draw.pick(["views >= 1", "orders == 0", "known(score)"])} if draw.share(15) else {}),
    }


def steps(draw: Draw, mails: int | None = None) -> list[Spec]:
    """One to three mails with waits between them."""
    result: list[Spec] = [wait(draw)] if draw.share(30) else []
    for number in range(mails or draw.between(1, 3)):
        if number and draw.share(80):
            result.append(wait(draw))
        result.append(mail(draw, f"mail{number + 1}"))
    return result


EXITS: list[Any] = [
    "Goal Reached",
    {"event": "Return Requested", "reason": "returned"},
    {"event": "Quote Accepted", "reason": "converted"},
]


def exits(draw: Draw) -> list[Any]:
    """Some exits."""
    return draw.some(EXITS, draw.between(0, 2))


def finish(draw: Draw, spec: Spec, *, mails: int | None = None) -> Spec:
    """Add exits and steps."""
    trigger = spec["trigger"]
    started_by = trigger.get("event") if isinstance(trigger, dict) else None
    # The check refuses an exit by the event that starts the run.
    result = [
        entry
        for entry in exits(draw)
        if started_by is None or (entry if isinstance(entry, str) else entry.get("event")) != started_by
    ]
    if result:
        spec["exit"] = result
    spec["steps"] = steps(draw, mails)
    return spec


def on_event(draw: Draw) -> dict[str, Spec]:
    """An event, with one of the ways of `once`."""
    path, _ = place(draw, "on_event")
    spec = base(draw, {"event": draw.pick(["Signed In", "Article Read", "Page Viewed"])})
    spec["audience"] = draw.pick(AUDIENCES)
    spec["once"] = draw.pick(
        [
            "per event",
            "per contact",
            "per day",
            "per month",
            {"per": "contact", "again_after": "2d"},
            {"per": "event", "gap": "1d"},
        ]
    )
    return {path: finish(draw, spec)}


def on_event_where(draw: Draw) -> dict[str, Spec]:
    """An event with a condition over its properties."""
    path, _ = place(draw, "on_where")
    trigger = draw.pick(
        [
            {"event": "Survey Answered", "where": "score >= 7"},
            {
                "event": ["Article Read", "Survey Answered"],
                "where": 'category == "beans" or answer == "office"',
            },
        ]
    )
    spec = base(draw, trigger)
    spec["once"] = draw.pick(
        ["per event", "per day", {"per": "category", "again_after": "1d"}, "per category"]
    )
    return {path: finish(draw, spec)}


def on_any_event(draw: Draw) -> dict[str, Spec]:
    """For both tracks."""
    spec = base(draw, {"event": "Goal Reached"}, draw.pick(["transactional", "service"]))
    del spec["other_track"]
    spec["once"] = "per event"
    spec["steps"] = steps(draw)
    return {"any/any_event": spec}


def on_condition(draw: Draw) -> dict[str, Spec]:
    """A condition, by events or by time."""
    path, _ = place(draw, "on_condition")
    spec = base(draw, {"condition": "audience"})
    spec["audience"] = draw.pick(
        [
            'silent_days("Signed In", "Page Viewed") >= 2',
            "orders == 0 and views >= 2",
            "days_since(last_order_at) >= 1 and orders >= 1",
            'local_weekday() in ["tue", "fri"] and count("Page Viewed") >= 1',
            "known(score) and score >= 5",
            'days_since(last("Article Read")) >= 1 and days_since(last("Article Read")) < 4',
            "local_hour() == 3",
            "days_until(renews_at) <= 3",
        ]
    )
    spec["once"] = draw.pick(
        ["per contact", {"per": "contact", "again_after": "3d"}, "per day", {"per": "day", "gap": "2d"}]
    )
    return {path: finish(draw, spec)}


def on_quiet(draw: Draw) -> dict[str, Spec]:
    """A silent cart."""
    path, _ = place(draw, "on_quiet")
    spec = base(draw, {"quiet": draw.pick(["30m", "2h", "1d"]), "entity": "cart"})
    spec["audience"] = "cart.open >= 1"
    spec["once"] = draw.pick(
        ["per entity", {"per": "cart_id", "gap": "1d"}, {"per": "cart_id", "again_after": "1d"}, "per day"]
    )
    spec = finish(draw, spec)
    spec.setdefault("exit", []).append({"event": "Cart Emptied", "key": "cart_id", "reason": "emptied"})
    return {path: spec}


def on_milestone(draw: Draw) -> dict[str, Spec]:
    """A milestone."""
    path, _ = place(draw, "on_milestone")
    name = draw.pick(["first_read", "shipped", "third_visit"])
    spec = base(draw, {"milestone": name})
    spec["once"] = "per order_id" if name == "shipped" else "per contact"
    return {path: finish(draw, spec)}


def on_stage(draw: Draw) -> dict[str, Spec]:
    """A stage that is entered."""
    stage = draw.pick(["lead/engage", "lead/convert", "lead/aware", "customer/excite", "customer/ascend"])
    track, name = stage.split("/")
    spec = base(draw, {"stage": name})
    spec["once"] = draw.pick(["per contact", {"per": "contact", "again_after": "1d"}])
    return {f"{stage if draw.share(60) else track + '/any'}/on_stage": finish(draw, spec)}


def on_birthday(draw: Draw) -> dict[str, Spec]:
    """A date of every year."""
    path, _ = place(draw, "on_birthday")
    spec = base(draw, {"date": "birthday", "yearly": True, "local_time": draw.pick(TIMES)})
    if draw.share(40):
        spec["trigger"]["offset"] = draw.pick(["-1d", "2d"])
    spec["audience"] = "known(birthday)"
    spec["once"] = "per year"
    return {path: finish(draw, spec, mails=1)}


def on_date(draw: Draw) -> dict[str, Spec]:
    """So long before a date that may move."""
    path, _ = place(draw, "on_date")
    spec = base(draw, {"date": "renews_at", "offset": draw.pick(["-2d", "-3h", "6h"])})
    if draw.share(40):
        spec["trigger"]["local_time"] = draw.pick(TIMES)
    spec["once"] = draw.pick(["per contact", "per day", "per month"])
    return {path: finish(draw, spec)}


def on_schedule(draw: Draw) -> dict[str, Spec]:
    """A time that repeats."""
    path, _ = place(draw, "on_schedule")
    when = draw.pick(
        [
            {"weekdays": draw.some(DAYS, 2), "local_time": draw.pick(TIMES)},
            {"month_day": draw.pick([1, 15, 31]), "local_time": draw.pick(TIMES)},
            {"local_time": draw.pick(TIMES)},
        ]
    )
    spec = base(draw, {"schedule": when})
    spec["audience"] = draw.pick(AUDIENCES)
    spec["once"] = draw.pick(["per day", "per contact", "per month", {"per": "day", "gap": "2d"}])
    return {path: finish(draw, spec, mails=draw.between(1, 2))}


def on_object(draw: Draw) -> dict[str, Spec]:
    """A product that is back."""
    path, _ = place(draw, "on_object")
    spec = base(draw, {"object": "product", "event": ["Product Back In Stock"]})
    spec["once"] = draw.pick(["per product_id", "per event", {"per": "product_id", "again_after": "2d"}])
    spec["objects"] = {"product": {"kind": "product", "key": "product_id"}}
    spec["steps"] = steps(draw)
    for step in spec["steps"]:
        if "mail" in step and draw.share(60):
            step["send_if"] = "product.stock >= 3"
    return {path: spec}


def on_watchers(draw: Draw) -> dict[str, Spec]:
    """A product that is back, for people on lists with names."""
    path, _ = place(draw, "on_watchers")
    watchers = draw.pick([["looked"], ["asked"], ["asked", "looked"]])
    spec = base(draw, {"object": "product", "event": ["Product Back In Stock"], "watchers": watchers})
    if draw.share(60):
        spec["once"] = draw.pick(["per event", {"per": "product_id", "again_after": "2d"}])
    spec["steps"] = steps(draw)
    return {path: spec}


def appointment_steps(draw: Draw, rename: bool) -> list[Spec]:
    """A confirmation, a wait for the date, a reminder."""
    until: Spec = {"date": "entity.starts_at", "offset": draw.pick(["-1d", "-2h"])}
    if draw.share(50):
        until["local_time"] = draw.pick(TIMES)
    result: list[Spec] = [
        {"mail": "booked"},
        {"wait": until, "id": "other_wait" if rename else "before"},
        {"mail": "reminder"},
    ]
    if draw.share(50):
        result.append(
            {"wait": {"for": "Appointment Cancelled", "key": "appointment_id", "at_most": "1d"}, "id": "gone"}
        )
        result.append({"mail": "after"})
    return result


def on_appointment(draw: Draw) -> dict[str, Spec]:
    """An appointment that moves, handed over on conversion."""
    result = {}
    again = draw.share(70)
    priority = draw.between(1, 9) * 10
    for track in ("lead", "customer"):
        spec = base(
            draw,
            {"event": ["Appointment Booked", "Appointment Changed"]},
            draw.pick(["transactional", "service"]),
        )
        spec["priority"] = priority
        spec["entity"] = "appointment"
        spec["once"] = {"per": "appointment_id", **({"again_on": ["Appointment Changed"]} if again else {})}
        spec["exit"] = [{"event": "Appointment Cancelled", "key": "appointment_id", "reason": "cancelled"}]
        spec["steps"] = appointment_steps(draw, track == "customer" and draw.share(30))
        if any(step.get("id") == "gone" for step in spec["steps"]):
            spec["exit"] = [{"event": "Goal Reached", "reason": "reached"}]
        if track == "lead":
            spec["handover"] = "customer/any/appointment"
        result[f"{track}/any/appointment"] = spec
    return result


def series(draw: Draw) -> dict[str, Spec]:
    """Two series that wait for each other."""
    result = {}
    for number, trigger in enumerate([{"event": "Plan Changed"}, {"event": "Quote Sent"}]):
        spec = base(draw, trigger)
        spec["series"] = True
        spec["once"] = draw.pick(["per event", "per contact"])
        track = draw.pick(["lead", "customer"])
        result[f"{track}/any/series{number + 1}"] = finish(draw, spec, mails=2)
    return result


def deadline(draw: Draw) -> dict[str, Spec]:
    """Values that the first mail fixes."""
    path, _ = place(draw, "deadline")
    spec = base(draw, {"event": "Survey Answered"})
    spec["let"] = {
        "deadline": draw.pick(
            [{"end_of_month": "local", "at_least": "7d"}, {"in": "4d"}, {"end_of_month": "local"}]
        )
    }
    spec["once"] = "per event"
    spec["steps"] = [
        mail(draw, "first"),
        {"wait": draw.pick(["1d", "2d"])},
        {"mail": "second", "when": "days_until(deadline) >= 2"},
    ]
    if draw.share(50):
        spec["steps"] += [{"wait": {"date": "deadline", "offset": "-1d"}}, {"mail": "third"}]
    return {path: spec}


CLASSIC: list[Callable[[Draw], dict[str, Spec]]] = [
    on_event,
    on_event_where,
    on_any_event,
    on_condition,
    on_quiet,
    on_milestone,
    on_stage,
    on_birthday,
    on_date,
    on_schedule,
    on_object,
    on_appointment,
    series,
    deadline,
]


def on_consent(draw: Draw) -> dict[str, Spec]:
    """A consent that counts for the first time."""
    path, _ = place(draw, "on_consent")
    spec = base(draw, {"consent": draw.pick(TOPICS)})
    if "topic" in spec:
        spec["topic"] = spec["trigger"]["consent"]
    if draw.share(40):
        spec["once"] = {"per": "contact", "again_after": "1d"}
    return {path: finish(draw, spec)}


def on_order(draw: Draw) -> dict[str, Spec]:
    """An order that may be reversed."""
    spec = base(draw, {"event": "Order Completed"}, draw.pick(["transactional", "service"]))
    spec["entity"] = "order"
    spec["once"] = "per order_id"
    spec["exit"] = [{"when": draw.pick(["case.open >= 1", "satisfied is no"]), "reason": "calm"}]
    spec["steps"] = steps(draw)
    return {"customer/any/on_order": spec}


def on_line(draw: Draw) -> dict[str, Spec]:
    """A silent cart whose run ends when one of its goods is bought or gone."""
    path, _ = place(draw, "on_line")
    spec = base(draw, {"quiet": draw.pick(["1h", "3h"]), "entity": "cart"})
    spec["audience"] = "cart.open >= 1"
    spec["while"] = draw.pick(["open", "any"])
    spec["exit"] = [{"event": "Product Removed", "key": "product_id", "reason": "changed"}]
    spec["steps"] = steps(draw)
    return {path: spec}


def on_second_order(draw: Draw) -> dict[str, Spec]:
    """A milestone over entities."""
    spec = base(draw, {"milestone": "second_order"})
    return {f"customer/{draw.pick(['any', 'ascend', 'excite'])}/second_order": finish(draw, spec)}


def on_rhythm(draw: Draw) -> dict[str, Spec]:
    """Silent by the person's own measure."""
    if draw.share(50):
        spec = base(draw, {"date": "lapsed_at"})
    else:
        spec = base(draw, {"condition": "audience"})
        spec["audience"] = "days_since(lapsed_at) >= 0"
    spec["once"] = draw.pick(["per contact", "per day"])
    return {"customer/any/on_rhythm": finish(draw, spec)}


MODERN_AUDIENCES = [
    "spent.EUR > 20",
    "spent.USD >= 75 or spent.EUR == 0",
    'sort == "home"',
    'sort != "office" and known(sort)',
    "large_orders >= 1",
    '"p1" in bought',
    "pieces >= 3",
    "days_since(lapsed_at) < 0",
    "order.ever >= 2 and shipment.open == 0",
    "shipment.ever >= 2",
    "order.open >= 1 and days_since(order.last_at) >= 0",
]


def on_modern_fact(draw: Draw) -> dict[str, Spec]:
    """Facts over entities, asked by the clock and by events."""
    path, _ = place(draw, "on_modern_fact")
    spec = base(
        draw,
        draw.pick(
            [
                {"event": ["Signed In", "Page Viewed", "Order Refunded"]},
                {"schedule": {"local_time": draw.pick(TIMES)}},
                {"condition": "audience"},
            ]
        ),
    )
    if path.startswith("customer/") and isinstance(spec["trigger"].get("event"), list):
        # A refund in full makes a lead of its reader: the check refuses it.
        spec["trigger"]["event"].remove("Order Refunded")
    spec["audience"] = draw.pick(MODERN_AUDIENCES)
    spec["once"] = "per day"
    return {path: finish(draw, spec, mails=1)}


def asked_for(draw: Draw) -> dict[str, Spec]:
    """A mail for which the person asked."""
    path, _ = place(draw, "asked_for")
    spec = base(draw, {"event": "Quote Sent"}, draw.pick(MARKETING))
    spec["asked_for"] = True
    spec["once"] = "per event"
    if draw.share(50):
        spec["trigger"] = {"object": "product", "event": ["Product Back In Stock"]}
        spec["once"] = "per product_id"
        if draw.share(50):
            spec["trigger"]["watchers"] = ["asked"]
            spec["once"] = "per event"
    spec["steps"] = steps(draw, 2)
    spec["steps"][-1].pop("when", None)
    return {path: spec}


def coupon(draw: Draw) -> dict[str, Spec]:
    """A code, which a cap of offers counts."""
    spec = base(draw, {"event": draw.pick(["Goal Reached", "Survey Answered", "Order Completed"])}, "sales")
    spec["call_to_action"] = {"kind": "buy", "link": "{{ brand.shop_url }}?code={{ code }}"}
    spec["let"] = {"code": {"coupon": "again"}}
    spec["once"] = draw.pick(["per event", {"per": "contact", "again_after": "1d"}])
    stage = draw.pick(["any", "excite"])
    if stage == "any":
        # It sells to customers of every stage.
        spec["early"] = "thanks for what they did"
    result = finish(draw, spec, mails=draw.between(1, 2))
    if "exit" in result:
        # The event that starts a run does not end it.
        result["exit"] = [rule for rule in result["exit"] if rule != spec["trigger"]["event"]]
    return {f"customer/{stage}/coupon": result}


MODERN: list[Callable[[Draw], dict[str, Spec]]] = [
    on_consent,
    on_order,
    on_line,
    on_second_order,
    on_rhythm,
    on_modern_fact,
    on_watchers,
    asked_for,
    coupon,
]


def by_hand(draw: Draw) -> dict[str, Spec]:
    """A measure that only people of the house send."""
    path, _ = place(draw, "by_hand")
    spec = base(draw, "ops")
    spec["audience"] = draw.pick(AUDIENCES)
    spec["once"] = draw.pick(["per contact", "per occasion"])
    return {path: finish(draw, spec)}


def more_measures(draw: Draw, measures: dict[str, Spec]) -> None:
    """Add a measure that is sent by hand, and give one of the others a former name."""
    renamed = draw.pick(sorted(path for path in measures if path.count("/") == 2))
    measures[renamed]["was"] = f"{renamed.rpartition('/')[0]}/{draw.pick(['a', 'z'])}_before"
    measures.update(by_hand(draw))
