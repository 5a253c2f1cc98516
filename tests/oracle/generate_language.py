"""Draw what the language got later: segments, tables, moments, business time, branches, actions, dates of entities.

They are drawn apart from the rest, so that they change nothing else in it.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

from .draw import Draw
from .generate_measures import (
    AUDIENCES,
    DAYS,
    MAIL_TIMES,
    ZONES,
    Spec,
    base,
    finish,
    mail,
    place,
    steps,
    wait,
)

PROPERTIES = {"points": "integer", "grant": "text"}
SEGMENT_AUDIENCES = [
    "reader",
    "not reader and views >= 1",
    'tier == "champion"',
    'tier != "buyer"',
    'tier in ["buyer", "champion"]',
    "known(tier) and views >= 1",
    "views >= table(least)",
    "days_since(last_order_at) >= table(pause) and orders >= 1",
    'depth == "early"',
    'depth != "late" and reader',
    "points >= 10",
]


def has_language(seed: int) -> bool:
    """Whether a seed draws these constructs."""
    return seed >= 21


def tells_early(seed: int) -> bool:
    """Whether parcels of a seed are told before their orders, and measures announce them."""
    return seed >= 31


def add_language(draw: Draw, spec: Spec, start: dt.date) -> None:
    """Add to playbook.yaml what the measures below read."""
    spec["properties"] = {**spec["properties"], **PROPERTIES}
    spec["facts"] |= {
        "points": {"sum": "points", "of": "Points Granted", "type": "integer"},
        "keeper": {"latest": "answer", "of": "Survey Answered", "type": "text"},
        "depth": {
            "label": {"late": [{"event": "Survey Answered", "where": "score >= 5"}, "Quote Sent"]},
            "else": "depth_of_stage",
        },
    }
    spec["segments"] = {
        "reader": draw.pick(['reads >= 1 and silent_days("Signed In") >= 1', "reads >= 2 or score >= 8"]),
        "tier": [
            {"champion": "orders >= 2"},
            {
                "buyer": draw.pick(
                    ["orders >= 1 and days_since(last_order_at) < 3", "orders >= 1 or score > 7"]
                )
            },
            *([{"else": "guest"}] if draw.share(50) else []),
        ],
    }
    spec["tables"] = {
        "least": {"by": draw.pick(["tier", "stage"]), "rows": {}, "else": 2},
        "pause": {"by": "plan", "rows": {"basic": "1d", "team": "2d"}, "else": "3d"},
        "rest": {"by": draw.pick(["category", "answer"]), "rows": {}, "else": "12h"},
        "depth_of_stage": {"by": "stage", "rows": {"aware": "early", "excite": "early"}, "else": "middle"},
    }
    tables = spec["tables"]
    tables["least"]["rows"] = (
        {"buyer": 1, "champion": 3} if tables["least"]["by"] == "tier" else {"engage": 3}
    )
    by_category = tables["rest"]["by"] == "category"
    tables["rest"]["rows"] = {"beans": "2h", "tools": "1d"} if by_category else {"home": "5h", "office": "1d"}
    spec["moments"] = moments(draw, start)
    spec["calendars"] = {"office": calendar(draw), "shop": calendar(draw)}
    spec["owners"] = {
        "support": {"name": "Nora", "address": "nora@shop.example", "calendar": "office"},
        "sales": {"name": "Mira", "address": "mira@shop.example", "calendar": "shop"},
        "home": {"name": "Hana", "address": "hana@shop.example", "calendar": "shop"},
    }
    kinds: Spec = spec["entities" if "entities" in spec else "facts"]
    kinds["appointment"]["remember"] = "800d"
    if "entities" in spec:
        spec["entities"]["order"]["restored_by"] = "Order Restored"


def moments(draw: Draw, start: dt.date) -> Spec:
    """Named days, some of them within the history."""
    near = start + dt.timedelta(days=draw.between(1, 18))
    other = [start + dt.timedelta(days=draw.between(0, 20)) for _ in range(2)]
    weekday = start + dt.timedelta(days=draw.between(3, 17))
    return {
        "feast": {"fixed": near.strftime("%m-%d")},
        "good_friday": {"easter": -2},
        "fair": {"dates": sorted({day.isoformat() for day in other})},
        "market": {
            "nth": draw.pick([(weekday.day - 1) // 7 + 1, -1]),
            "weekday": DAYS[weekday.weekday()],
            "month": weekday.month,
        },
    }


def calendar(draw: Draw) -> Spec:
    """The hours of an owner."""
    return {
        "zone": draw.pick(ZONES),
        "weekdays": draw.pick([DAYS[:5], DAYS, ["mon", "wed", "sat"]]),
        "from": draw.pick(["08:00", "09:30"]),
        "to": draw.pick(["12:00", "17:00"]),
        "closed": draw.some(["feast", "good_friday", "fair", "market", "12-24", "2026-03-20"], 3),
    }


def language_measures(draw: Draw, measures: dict[str, Spec]) -> dict[str, Spec]:
    """Some of the measures drawn before, and one of each of these."""
    kept = draw.some(sorted(path for path in measures if not path.endswith("appointment")), 3)
    result = {path: measures[path] for path in sorted(kept)}
    for builder in draw.some(BUILDERS, 8):
        result.update(builder(draw))
    if draw.share(80):
        result.update(on_runs(draw, sorted(path for path in result if path.count("/") == 2)))
    for path in draw.some(sorted(result), 2):
        if result[path]["purpose"] != "transactional":
            result[path]["holdout"] = draw.pick(["30%", "60%"])
    return result


def on_parcel(draw: Draw) -> dict[str, Spec]:
    """A parcel is announced to customers."""
    spec = base(draw, {"event": "Order Shipped"})
    spec["entity"] = "shipment"
    spec["once"] = draw.pick(["per entity", "per entity", "per order_id", "per contact", "per event"])
    if draw.share(50):
        spec["while"] = "open"
    spec["steps"] = steps(draw)
    return {draw.pick(["customer/any/on_parcel", "customer/excite+/on_parcel"]): spec}


def on_segment(draw: Draw) -> dict[str, Spec]:
    """A segment or a table in an audience."""
    path, _ = place(draw, "on_segment")
    trigger = draw.pick(
        [{"condition": "audience"}, {"condition": "audience"}, {"event": ["Signed In", "Page Viewed"]}]
    )
    spec = base(draw, trigger)
    spec["audience"] = draw.pick(SEGMENT_AUDIENCES)
    spec["once"] = draw.pick(["per contact", {"per": "contact", "again_after": "2d"}, "per day"])
    result = finish(draw, spec)
    if draw.share(40):
        result.setdefault("exit", []).append({"when": 'tier == "champion" and score < 5', "reason": "calm"})
    return {path: result}


def on_branch(draw: Draw) -> dict[str, Spec]:
    """Branches, by what became of a mail and of a wait."""
    path, _ = place(draw, "on_branch")
    spec = base(
        draw, {"event": draw.pick(["Survey Answered", "Quote Sent", "Plan Changed", "Product Added"])}
    )
    spec["once"] = draw.pick(["per event", {"per": "contact", "again_after": "1d"}])
    by_wait = {"when": 'steps.sign.outcome == "event"', "steps": [mail(draw, "welcome")]}
    inner = {"when": "orders >= 1", "steps": [mail(draw, "inner")]}
    by_mail = {
        "when": draw.pick(
            [
                'steps.value.outcome == "sent"',
                'steps.value.outcome in ["skipped", "expired"]',
                'steps.value.reason == "no_consent"',
            ]
        ),
        "steps": [wait(draw), {"branch": [inner]}, mail(draw, "last")],
    }
    cases: list[Spec] = [by_wait, by_mail] if draw.share(50) else [by_mail, by_wait]
    if draw.share(60):
        cases.append({"else": draw.pick([[], [mail(draw, "other")], [{"wait": "1d"}, mail(draw, "other")]])})
    spec["steps"] = [
        mail(draw, "value"),
        {
            "wait": {"for": ["Signed In", "Article Read"], "at_most": draw.pick(["5h", "1d", "3d"])},
            "id": "sign",
        },
        {"branch": cases},
    ]
    if draw.share(50):
        spec["steps"] += [{"wait": "2h"}, {**mail(draw, "end"), "when": 'steps.sign.outcome == "timeout"'}]
    return {path: spec}


def on_entity_date(draw: Draw) -> dict[str, Spec]:
    """The date of an entity, which may move."""
    path, _ = place(draw, "on_entity_date")
    trigger: Spec = {"date": "appointment.starts_at", "offset": draw.pick(["-1d", "-2h", "5h", "0s"])}
    if draw.share(50):
        trigger["local_time"] = draw.pick(MAIL_TIMES)
    spec = base(draw, trigger)
    if draw.share(40):
        spec["while"] = "any"
    return {path: finish(draw, spec)}


def on_need(draw: Draw) -> dict[str, Spec]:
    """Goods that somebody will need again."""
    spec = base(draw, {"date": "supply.due_at", "offset": draw.pick(["-1d", "2h"])})
    return {"customer/any/on_need": finish(draw, spec, mails=1)}


def on_moment(draw: Draw) -> dict[str, Spec]:
    """A named day."""
    path, _ = place(draw, "on_moment")
    trigger: Spec = {"moment": draw.pick(["feast", "good_friday", "fair", "market"])}
    if draw.share(70):
        trigger["local_time"] = draw.pick(MAIL_TIMES)
    spec = base(draw, trigger)
    spec["audience"] = draw.pick(AUDIENCES)
    return {path: finish(draw, spec, mails=draw.between(1, 2))}


def waits(draw: Draw) -> dict[str, Spec]:
    """Waits for a moment, for business time, and for what a table gives."""
    path, _ = place(draw, "waits")
    spec = base(draw, {"event": draw.pick(["Survey Answered", "Article Read", "Order Completed"])})
    spec["once"] = draw.pick(["per event", "per day"])
    if spec["trigger"]["event"] == "Order Completed" and draw.share(60):
        spec |= {"entity": "order", "once": "per order_id"}
    choices: list[Any] = [
        {"moment": draw.pick(["feast", "fair", "market"]), "local_time": draw.pick(MAIL_TIMES)},
        {
            "business": draw.pick(["1d", "5h", "1d 2h"]),
            "of": draw.pick(["support", "sales", "contact.keeper"]),
        },
        {"business": draw.pick(["2h", "30m", "2d"]), "of": draw.pick(["support", "sales"])},
        "table(rest)",
        "table(pause)",
    ]
    first, second = draw.some(choices, 2)
    spec["steps"] = [
        mail(draw, "first"),
        {"wait": first},
        mail(draw, "second"),
        {"wait": second},
        mail(draw, "third"),
    ]
    return {path: spec}


def promise(draw: Draw) -> dict[str, Spec]:
    """A promise in business time."""
    path, _ = place(draw, "promise")
    spec = base(draw, {"event": draw.pick(["Quote Sent", "Support Case Opened"])}, "service")
    spec["once"] = "per event"
    span = {"business": draw.pick(["4h", "1d", "2d"])}
    spec["let"] = {"reply_by": {"in": span, "of": draw.pick(["support", "sales"])}}
    until = {"date": "reply_by", "offset": draw.pick(["-1h", "3h"])}
    spec["steps"] = [mail(draw, "first"), {"wait": until}, {"mail": "second"}]
    return {path: spec}


def actions(draw: Draw) -> dict[str, Spec]:
    """Points that a measure grants, and a mail that these start."""
    path, _ = place(draw, "grant")
    spec = base(draw, {"event": draw.pick(["Article Read", "Survey Answered", "Goal Reached"])}, "service")
    spec["once"] = draw.pick(["per event", "per contact", {"per": "contact", "again_after": "1d"}])
    points = draw.pick([5, 10, 25])
    grant = {"emit": {"event": "Points Granted", "properties": {"points": points, "grant": "run_id"}}}
    later = [{**grant, "when": "score >= 5"}, {"wait": "1h"}]
    spec["steps"] = draw.pick([[grant], [{"wait": "2h"}, grant], later])
    if "wait" in spec["steps"][-1] or draw.share(50):
        spec["steps"].append(mail(draw, "granted"))
    thanks_path, _ = place(draw, "thanks")
    thanks = base(draw, {"event": "Points Granted", "where": "points >= 10"})
    thanks["once"] = draw.pick(["per event", "per day"])
    return {path: spec, thanks_path: finish(draw, thanks)}


def goodbye(draw: Draw) -> dict[str, Spec]:
    """A last mail, and the end of the topic."""
    path, _ = place(draw, "goodbye")
    spec = base(draw, {"event": draw.pick(["Quote Sent", "Article Read", "Plan Changed"])}, "nurture")
    spec["once"] = {"per": "contact", "again_after": "2d"}
    spec["steps"] = [
        {"mail": "goodbye"},
        *([{"wait": {"for": "Signed In", "at_most": "1d"}, "id": "back"}] if draw.share(60) else []),
        {"end_topic": spec["topic"], "when": 'steps.goodbye.outcome == "sent"'},
    ]
    return {path: spec}


def on_taken_back(draw: Draw) -> dict[str, Spec]:
    """An order that is taken back, perhaps twice."""
    spec = base(draw, {"event": "Order Cancelled"}, draw.pick(["transactional", "service"]))
    spec |= {"entity": "order", "once": "per order_id"}
    del spec["other_track"]
    spec["steps"] = steps(draw, 1)
    return {"any/taken_back": spec}


def on_runs(draw: Draw, paths: list[str]) -> dict[str, Spec]:
    """An audience that asks for the runs and the mails of another measure."""
    other = draw.pick(paths)
    path = f"{other.rpartition('/')[0]}/on_runs"
    if draw.share(50):
        spec = base(draw, {"event": ["Signed In", "Page Viewed"]})
        spec["audience"] = draw.pick(
            [
                f'not in_measure("{other}") and days_since(last_sent("{other}")) >= 1',
                f'in_measure("{other}") or last_sent("{other}") > first_order_at',
            ]
        )
    else:
        spec = base(draw, {"condition": "audience"})
        spec["audience"] = draw.pick([f'in_measure("{other}")', f'not in_measure("{other}") and views >= 2'])
    spec["once"] = draw.pick(["per day", {"per": "contact", "again_after": "1d"}])
    return {path: finish(draw, spec, mails=1)}


BUILDERS: list[Callable[[Draw], dict[str, Spec]]] = [
    on_segment,
    on_branch,
    on_entity_date,
    on_need,
    on_moment,
    waits,
    promise,
    actions,
    goodbye,
    on_taken_back,
]
