"""Small playbooks, contacts and messages for the tests of the guard and the delivery."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nurture.domain.conditions import ALWAYS, Reading, Term, Vocabulary
from nurture.domain.contact import Contact, Run
from nurture.domain.guard.decide import DueMessage, GuardInput
from nurture.domain.instant import DAY, HOUR, Instant, parse_iso
from nurture.domain.measure import Action, MailStep, Measure, OnOps, Track
from nurture.domain.playbook import Conversion, Hold, Playbook, QuietHours, Stage, Topic

#: Wednesday noon in Berlin.
NOON: Instant = parse_iso("2026-05-13T10:00:00Z")
BERLIN = "Europe/Berlin"
PATH = "customer/any/offer"
#: The terms that conditions of the tests may name.
WORDS = Vocabulary(
    {
        "orders": Term("orders", "integer", absent="zero"),
        "plan": Term("plan", "text"),
        "product.stock": Term("product.stock", "integer"),
        "deadline": Term("deadline", "instant"),
    }
)


def a_measure(path: str = PATH, **changes: Any) -> Measure:
    """Return a sales measure with one mail, `offer`; `changes` replace fields."""
    track, stage, _name = path.split("/")
    measure = Measure(
        path=path,
        track=track,  # type: ignore[arg-type]
        stage=stage,
        goal="a second order",
        audience=ALWAYS,
        form="coupon",
        action=Action("buy", "{{ brand.shop_url }}"),
        kind="accelerator",
        purpose="sales",
        topic="offers",
        trigger=OnOps(),
        steps=(MailStep("offer", "offer"),),
    )
    return replace(measure, **changes)


def a_playbook(*measures: Measure, **changes: Any) -> Playbook:
    """Return a playbook of these measures (one sales measure when none is given)."""
    playbook = Playbook(
        name="shop",
        brand={"name": "Shop", "shop_url": "https://shop.example", "address": "1 Street"},
        senders={
            "default": {"name": "Shop", "address": "hello@shop.example", "reply_to": "hello@shop.example"}
        },
        locales=("en",),
        default_locale="en",
        default_zone=BERLIN,
        facts={},
        stages=(
            Stage("aware", "lead", ALWAYS, frozenset({"read"})),
            Stage("excite", "customer", ALWAYS, frozenset({"use"})),
        ),
        conversion=Conversion((), "order_id"),
        measures={measure.path: measure for measure in measures or (a_measure(),)},
        vocabulary=WORDS,
        topics={"offers": Topic("offers"), "news": Topic("news")},
        quiet_hours=QuietHours(),
        holds={"open_case": Hold("open_case", frozenset({"sales", "advocacy"}), "support", 30 * DAY)},
        arbitration=4 * HOUR,
    )
    return replace(playbook, **changes)


def a_contact(
    number: int = 1, *, track: Track = "customer", stage: str = "excite", **changes: Any
) -> Contact:
    """Return a customer in Berlin."""
    contact = Contact(id=number, track=track, stage=stage, first_seen_at=NOON - 100 * DAY, zone=BERLIN)
    for name, value in changes.items():
        setattr(contact, name, value)
    return contact


def a_run(measure: str = PATH, key: str = "", **changes: Any) -> Run:
    """Return a run standing at its mail `offer`."""
    run = Run(
        measure=measure,
        key=key,
        entity_key=key,
        track="customer",
        started_at=NOON - HOUR,
        step="offer",
        step_since=NOON - HOUR,
        mailing=True,
        decided=["offer"],
    )
    for name, value in changes.items():
        setattr(run, name, value)
    return run


def a_due(number: int = 1, measure: str = PATH, **changes: Any) -> DueMessage:
    """Return a due sales mail of contact 1."""
    due = DueMessage(
        id=number,
        contact_id=1,
        measure=measure,
        run_key="",
        step="offer",
        mail="offer",
        track="customer",
        purpose="sales",
        topic="offers",
        lane="main",
        priority=50,
        due_at=NOON,
        valid_until=NOON + 3 * DAY,
    )
    return replace(due, **changes)


def a_guard_input(**changes: Any) -> GuardInput:
    """Return a guard input that passes every check."""
    guard_input = GuardInput(
        message=a_due(),
        contact=a_contact(),
        address="ada@example.com",
        run=a_run(),
        consents={"offers": "granted"},
    )
    return replace(guard_input, **changes)


def a_reading(facts: Mapping[str, Any], *, now: Instant = NOON) -> Reading:
    """Return what conditions read."""
    return Reading(facts=facts, now=now, zone=BERLIN)
