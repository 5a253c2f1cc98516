"""Stripe's subscriptions and invoices.

A subscription starts once, whichever of its events comes first. An invoice is the order of each period; invoice.paid
and invoice.payment_succeeded are two names of one thing. Since API 2025-03-31 an invoice names its subscription in
`parent`, and a subscription its periods in its items; both shapes are read.
"""

from typing import Any, Final

from nurture.domain.event import Identity
from nurture.domain.instant import Instant, to_iso
from nurture.inbound.providers.call import Document
from nurture.inbound.shops.statement import Cancellation, Link, Resumption, ShopEvent, Statement, Update
from nurture.inbound.shops.stripe_event import StripeEvent
from nurture.inbound.shops.values import (
    LINES_MAX,
    clock,
    filled,
    flag,
    from_minor,
    people,
    plain,
    unit_price,
    whole,
)

#: States in which a subscription has begun and been paid for. Paused is one whose trial ended without a means to pay.
_STARTED: Final = frozenset({"active"})
#: States of a payment that failed: of a subscription without a trial, an earlier payment did not.
_OVERDUE: Final = frozenset({"past_due", "unpaid"})
#: Event -> whether the subscription is paused since. Collecting of payments is paused without an event of its own.
_PAUSES: Final = {"customer.subscription.paused": True, "customer.subscription.resumed": False}
_ENDED: Final = "canceled"


def read_subscription(event: StripeEvent) -> Statement:
    """Return what a subscription says: trial, start, change, cancellation, cancellation taken back."""
    subscription = event.object
    number, customer = subscription.text("id"), subscription.text("customer")
    thing = event.thing("subscription", number)
    # A payment's checkout may name somebody else for the same customer, so the subscription's own link comes first.
    of = (thing, event.thing("customer", customer)) if customer else (thing,)
    person = ShopEvent(thing, "", "", event.at, of=of, traits=filled(stripe_customer_id=customer))
    says: list[ShopEvent | Update] = [*_began(event, person)]
    if event.before.value.keys() & {"items", "plan", "quantity"}:
        says.append(_event(event, person, f"changed {event.number}", "Subscription Changed", event.at))
    if flag(event.before, "cancel_at_period_end") and not flag(subscription, "cancel_at_period_end"):
        says += [
            Resumption(thing, event.at),
            _event(event, person, f"resumed {event.number}", "Subscription Changed", event.at, resumed=True),
        ]
    if (paused := _pause_of(event)) is not None:
        state = f"{'paused' if paused else 'unpaused'} {event.number}"
        says.append(_event(event, person, state, "Subscription Changed", event.at, paused=paused))
    if subscription.text("status") == _ENDED or flag(subscription, "cancel_at_period_end"):
        ends_at = clock(subscription, "ended_at", "cancel_at") or _period_end(subscription)
        cancelled_at = min(clock(subscription, "canceled_at") or event.at, event.at)
        cancelled = _event(
            event, person, "cancelled", "Subscription Cancelled", cancelled_at, ends_at=_iso(ends_at)
        )
        says.append(Cancellation(cancelled))
    return Statement(says=tuple(says)) if says else Statement(ignored="ignored")


def _pause_of(event: StripeEvent) -> bool | None:
    """Return whether the subscription has just been paused (True) or continued; None where neither."""
    if event.type in _PAUSES:
        return _PAUSES[event.type]
    if "pause_collection" in event.before.value:
        return bool(event.object.value.get("pause_collection"))
    return None


def _began(event: StripeEvent, person: ShopEvent) -> list[ShopEvent]:
    subscription = event.object
    status, trial_end = subscription.text("status"), clock(subscription, "trial_end")
    start = clock(subscription, "start_date", "created") or event.at
    if status == "trialing":
        trial = _event(event, person, "trial", "Trial Started", start, trial_ends_at=_iso(trial_end))
        return [trial]
    if status not in _STARTED and (status not in _OVERDUE or trial_end is not None):
        return []
    began = trial_end if trial_end is not None and start < trial_end <= event.at else start
    return [_event(event, person, "started", "Subscription Started", began)]


def _event(
    event: StripeEvent, person: ShopEvent, state: str, name: str, at: Instant, **properties: Any
) -> ShopEvent:
    subscription = event.object
    item = next(subscription.within("items").all("data"), Document(None))
    price = item.within("price")
    currency = price.text("currency") or subscription.text("currency")
    amount = whole(price, "unit_amount")
    named = filled(
        subscription_id=subscription.text("id"),
        plan=price.text("nickname", "lookup_key", "id") or subscription.within("plan").text("nickname", "id"),
        product_id=price.text("product"),
        price=plain(from_minor(amount, currency)) if amount else None,
        quantity=whole(item, "quantity") or None,
        currency=currency.upper(),
        interval=price.within("recurring").text("interval"),
        period_ends_at=_iso(_period_end(subscription)),
        **properties,
    )
    return event.with_person(person, state=state, name=name, at=at, properties=named)


def _period_end(subscription: Document) -> Instant | None:
    item = next(subscription.within("items").all("data"), Document(None))
    return clock(item, "current_period_end") or clock(subscription, "current_period_end")


def _iso(at: Instant | None) -> str | None:
    return None if at is None else to_iso(at)


# ---- invoices --------------------------------------------------------------------------------------------


def read_invoice_paid(event: StripeEvent) -> Statement:
    """Return what a paid invoice says: an order, and with a new period the renewal of the subscription."""
    invoice = event.object
    identities, links = _people_of(event)
    number, subscription = invoice.text("id"), _subscription_of(invoice)
    links += [
        Link(event.thing("payment", payment), event.at, identities, number) for payment in _payments(invoice)
    ]
    total = whole(invoice, "total") or whole(invoice, "amount_paid")
    if total <= 0:
        # The invoice of a trial, or a credit: nobody bought anything.
        return Statement(links=tuple(links), ignored="ignored")
    person = _person(event, identities, subscription)
    at = clock(invoice.within("status_transitions"), "paid_at") or event.at
    says = [
        event.with_person(
            person, state="paid", name="Order Completed", at=at, properties=_order(invoice, total)
        )
    ]
    if subscription and invoice.text("billing_reason") == "subscription_cycle":
        renewed = filled(
            subscription_id=subscription, order_id=number, period_ends_at=_iso(_paid_until(invoice))
        )
        says.append(
            event.with_person(person, state="renewed", name="Subscription Renewed", at=at, properties=renewed)
        )
    return Statement(links=tuple(links), says=tuple(says))


def read_invoice_failed(event: StripeEvent) -> Statement:
    """Return what an unpaid invoice says."""
    invoice = event.object
    identities, links = _people_of(event)
    subscription, currency = _subscription_of(invoice), invoice.text("currency").upper()
    attempts, next_attempt = whole(invoice, "attempt_count"), clock(invoice, "next_payment_attempt")
    failed = event.with_person(
        _person(event, identities, subscription),
        state=f"failed {attempts or event.number}",
        name="Payment Failed",
        at=event.at,
        properties=filled(
            order_id=invoice.text("id"),
            subscription_id=subscription,
            total=plain(from_minor(whole(invoice, "amount_due"), currency)),
            currency=currency,
            attempt_count=attempts,
            next_payment_attempt=_iso(next_attempt),
            url=invoice.text("hosted_invoice_url"),
        ),
    )
    return Statement(links=tuple(links), says=(failed,))


def _person(event: StripeEvent, identities: tuple[Identity, ...], subscription: str) -> ShopEvent:
    invoice = event.object
    kinds = {"subscription": subscription, "customer": invoice.text("customer")}
    return ShopEvent(
        event.thing("order", invoice.text("id")),
        "",
        "",
        event.at,
        traits=filled(name=invoice.text("customer_name"), stripe_customer_id=invoice.text("customer")),
        identities=identities,
        of=tuple(event.thing(kind, number) for kind, number in kinds.items() if number),
    )


def _people_of(event: StripeEvent) -> tuple[tuple[Identity, ...], list[Link]]:
    """Return whom an invoice names, and the things whose person that is."""
    invoice = event.object
    identities = people(emails=[invoice.text("customer_email")], phones=[invoice.text("customer_phone")])
    things = {"subscription": _subscription_of(invoice), "customer": invoice.text("customer")}
    if not identities:
        return (), []
    return identities, [
        Link(event.thing(kind, number), event.at, identities) for kind, number in things.items() if number
    ]


def _subscription_of(invoice: Document) -> str:
    parent = invoice.within("parent").within("subscription_details").text("subscription")
    return parent or invoice.text("subscription")


def _payments(invoice: Document) -> list[str]:
    """Return the payments of an invoice, by both shapes."""
    inside = invoice.within("payments").all("data")
    named = [
        invoice.text("payment_intent"),
        *(payment.within("payment").text("payment_intent") for payment in inside),
    ]
    return list(dict.fromkeys(name for name in named if name))


def _paid_until(invoice: Document) -> Instant | None:
    ends = [clock(line.within("period"), "end") for line in invoice.within("lines").all("data")]
    return max((end for end in ends if end is not None), default=None)


def _order(invoice: Document, total: int) -> dict[str, Any]:
    currency = invoice.text("currency").upper()
    taxes = [*invoice.all("total_taxes"), *invoice.all("total_tax_amounts")]
    tax = sum(whole(part, "amount") for part in taxes) or whole(invoice, "tax")
    discount = sum(whole(part, "amount") for part in invoice.all("total_discount_amounts"))
    amounts = {"total": total, "revenue": total - tax, "tax": tax, "discount": discount}
    lines = list(invoice.within("lines").all("data"))
    return filled(
        order_id=invoice.text("id"),
        order_number=invoice.text("number"),
        subscription_id=_subscription_of(invoice),
        currency=currency,
        products=[_line(line, currency) for line in lines[:LINES_MAX]],
        **{name: plain(from_minor(amount, currency)) for name, amount in amounts.items()},
    )


def _line(line: Document, currency: str) -> dict[str, Any]:
    price = line.within("pricing").within("price_details")
    quantity = whole(line, "quantity")
    amount = from_minor(whole(line, "amount"), currency)
    return filled(
        product_id=price.text("product") or line.within("price").text("product"),
        sku=price.text("price") or line.within("price").text("id"),
        name=line.text("description"),
        price=plain(unit_price(amount, quantity)),
        quantity=quantity,
    )
