"""Builders for tests of the rules: a small programme, contacts and events, as plain values."""

from typing import Any

from nurture.domain.conditions import ALWAYS, Condition, Term, Vocabulary, parse
from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.facts import empty
from nurture.domain.instant import DAY, HOUR, Instant, parse_iso
from nurture.domain.measure import Action, MailStep, Measure, OnEvent
from nurture.domain.playbook import (
    Conversion,
    EntityKind,
    EventMatch,
    FoldFact,
    Hold,
    LineRule,
    Milestone,
    ObjectKind,
    Playbook,
    Stage,
    TraitFact,
    VerdictFact,
)

NOON = parse_iso("2026-03-02T12:00:00Z")

PROPERTIES = Vocabulary(
    {
        "score": Term("score", "integer", "unknown"),
        "revenue": Term("revenue", "decimal", "unknown", scale=2),
        "full": Term("full", "bool", "unknown"),
        "starts_at": Term("starts_at", "instant", "unknown"),
        "order_id": Term("order_id", "text", "unknown"),
    }
)

VOCABULARY = Vocabulary(
    {
        "orders": Term("orders", "integer", "zero", grows=True),
        "spent": Term("spent", "decimal", "zero", scale=2),
        "trials": Term("trials", "integer", "zero", grows=True),
        "topics": Term("topics", "integer", "zero", grows=True),
        "delights": Term("delights", "integer", "zero", grows=True),
        "views": Term("views", "window", "zero", within=7 * DAY),
        "engaged": Term("engaged", "bool", "no", grows=True),
        "interests": Term("interests", "set", "empty"),
        "plan": Term("plan", "text", "unknown"),
        "first_name": Term("first_name", "text", "unknown"),
        "birthday": Term("birthday", "text", "unknown"),
        "renewal_at": Term("renewal_at", "instant", "unknown"),
        "satisfied": Term("satisfied", "verdict", "unknown"),
        "satisfied.yes_at": Term("satisfied.yes_at", "instant", "never"),
        "cart.open": Term("cart.open", "integer", "zero"),
        "cart.ever": Term("cart.ever", "integer", "zero", grows=True),
        "cart.last_at": Term("cart.last_at", "instant", "never"),
        "first_seen_at": Term("first_seen_at", "instant", "unknown"),
    }
)


def on(*names: str, where: str | None = None) -> EventMatch:
    """Return a match of events, with a condition over their properties."""
    return EventMatch(names, parse(where, PROPERTIES) if where else None)


def when(text: str) -> Condition:
    """Return a condition over the small programme's facts."""
    return parse(text, VOCABULARY)


FACTS = (
    FoldFact("orders", "count", "integer", (on("Order Completed"),)),
    FoldFact("spent", "sum", "decimal", (on("Order Completed"),), property="revenue"),
    FoldFact("trials", "count", "integer", (on("Trial Started"),)),
    FoldFact("topics", "count", "integer", (on("Topic Confirmed"),)),
    FoldFact("delights", "count", "integer", (on("Survey Answered", where="score >= 9"),)),
    FoldFact("views", "window", "window", (on("Product Viewed"),), within=7 * DAY, keep=20),
    FoldFact("engaged", "ever", "bool", (on("Article Read"),), at_least=2, within=30 * DAY),
    FoldFact("interests", "set", "set", (on("Article Read"),), property="category", keep=3),
    FoldFact("plan", "latest", "text", (on("Plan Changed"),), property="plan"),
    TraitFact("first_name", "firstName", "text"),
    TraitFact("birthday", "birthday", "date"),
    TraitFact("renewal_at", "renewalAt", "instant"),
    VerdictFact(
        "satisfied",
        yes=(on("Survey Answered", where="score >= 9"),),
        no=(on("Survey Answered", where="score <= 6"), on("Return Requested")),
        open_no=("case",),
    ),
)

ENTITIES = (
    EntityKind(
        "cart",
        ("cart_id",),
        (on("Product Added", "Product Removed"),),
        closed_by={"Order Completed": "key"},
        lines=LineRule(("product_id",), added_by=("Product Added",), removed_by=("Product Removed",)),
    ),
    EntityKind("case", ("case_id",), (on("Support Case Opened"),), closed_by={"Support Case Closed": "key"}),
    EntityKind(
        "appointment",
        ("appointment_id",),
        (on("Appointment Booked", "Appointment Changed"),),
        closed_by={"Appointment Cancelled": "key"},
    ),
)

STAGES = (
    Stage("aware", "lead", ALWAYS, frozenset({"read"})),
    Stage("engage", "lead", when("engaged == True"), frozenset({"read"})),
    Stage("subscribe", "lead", when("topics >= 1"), frozenset({"read"})),
    Stage("convert", "lead", when("trials >= 1 or cart.ever >= 1"), frozenset({"try"})),
    Stage("excite", "customer", ALWAYS, frozenset({"use"})),
    Stage("ascend", "customer", when("delights >= 1"), frozenset({"buy"})),
)


def a_measure(path: str, **given: Any) -> Measure:
    """Return a measure; track and stage follow from the path, the rest is a transactional one-mail default."""
    track, *middle = path.split("/")[:-1]
    values: dict[str, Any] = {
        "path": path,
        "track": track,
        "stage": middle[0] if middle else "any",
        "goal": "a goal",
        "audience": ALWAYS,
        "form": "notice",
        "action": Action("read", "https://shop.example/"),
        "kind": "service",
        "purpose": "service",
        "topic": None,
        "trigger": OnEvent(("Nothing",)),
        "steps": (MailStep("mail", "mail"),),
        "rules_hash": "1",
    }
    return Measure(**(values | given))


def a_playbook(*measures: Measure, rules_hash: str = "r1", **given: Any) -> Playbook:
    """Return the small programme with these measures."""
    values: dict[str, Any] = {
        "name": "small",
        "brand": {},
        "senders": {"default": {"name": "Shop", "address": "shop@shop.example"}},
        "locales": ("en",),
        "default_locale": "en",
        "default_zone": "UTC",
        "facts": {fact.name: fact for fact in FACTS},
        "entities": {kind.name: kind for kind in ENTITIES},
        "stages": STAGES,
        "conversion": Conversion(
            by=(on("Order Completed"),),
            key="order_id",
            reversed_by=(on("Order Cancelled"),),
            hold="after_return",
        ),
        "measures": {measure.path: measure for measure in measures},
        "vocabulary": VOCABULARY,
        "properties": PROPERTIES,
        "milestones": (
            Milestone("first_order", on("Order Completed"), nth=1),
            Milestone("delivered", on("Order Delivered"), per="order_id"),
        ),
        "holds": {
            "open_case": Hold(
                "open_case",
                frozenset({"sales"}),
                "support",
                30 * DAY,
                (on("Support Case Opened"),),
                (on("Support Case Closed"),),
                "case_id",
            ),
            "after_return": Hold("after_return", frozenset({"sales"}), "support", 30 * DAY),
        },
        "objects": {
            "product": ObjectKind(
                "product",
                "product_id",
                ("Product Updated", "Product Back In Stock"),
                ("Waitlist Joined",),
                ("Waitlist Left",),
                ("Product Back In Stock",),
            )
        },
        "requests": (on("Waitlist Joined", "Quote Requested"),),
        "rules_hash": rules_hash,
    }
    return Playbook(**(values | given))


def an_event(
    name: str,
    at: Instant = NOON,
    *,
    received: Instant | None = None,
    id: str = "",  # noqa: A002 - reads as it is said
    **given: Any,
) -> Event:
    """Return an event; keyword arguments that are no fields of an event are its properties."""
    known = {k: given.pop(k) for k in ("traits", "context", "historic", "kind", "source") if k in given}
    return Event(
        seq=0,
        source=known.pop("source", "test"),
        message_id=id or f"{name}@{at}",
        kind=known.pop("kind", "track"),
        name=name,
        occurred_at=at,
        received_at=at if received is None else received,
        properties=given,
        **known,
    )


def a_contact(playbook: Playbook, *, at: Instant = NOON - 365 * DAY) -> Contact:
    """Return somebody known since `at` of whom nothing has happened."""
    return empty(1, first_seen_at=at, playbook=playbook)


__all__ = ["DAY", "HOUR", "NOON", "a_contact", "a_measure", "a_playbook", "an_event", "on", "when"]
