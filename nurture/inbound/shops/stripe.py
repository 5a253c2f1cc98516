"""Stripe: what its webhooks say.

https://docs.stripe.com/api/events. Calls come in no order, and one act makes several: a checkout, its payment, its
charge, its invoice. Orders are checkouts and invoices; payments and charges say only what failed and what went back.
Test mode is left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Call, Document, parse_json
from nurture.inbound.shops.consent import consent_events
from nurture.inbound.shops.statement import (
    Link,
    Profile,
    RefundProgress,
    ShopEvent,
    ShopOptions,
    Statement,
    Update,
)
from nurture.inbound.shops.stripe_event import StripeEvent
from nurture.inbound.shops.stripe_subscriptions import (
    read_invoice_failed,
    read_invoice_paid,
    read_subscription,
)
from nurture.inbound.shops.values import clock, filled, flag, from_minor, people, plain, whole

#: States of a checkout's payment in which nothing is owed any more.
_SETTLED: Final = frozenset({"paid", "no_payment_required"})
#: States of a refund whose money never arrived.
_FAILED: Final = frozenset({"failed", "canceled"})


def read(call: Call, *, now: Instant, options: ShopOptions) -> Statement | None:
    """Return what the call says; None when it cannot be read."""
    value = parse_json(call.body)
    if not isinstance(value, dict):
        return None
    body = Document(value)
    if body.text("object") == "v2.core.event":
        return Statement(ignored="thin")
    if not body.text("type") or not body.text("id"):
        return None
    if not flag(body, "livemode") and not options.tests:
        return Statement(ignored="test")
    event = StripeEvent(body, now, options)
    reader = _READERS.get(event.type)
    if reader is None:
        return Statement(ignored="ignored")
    return reader(event) if event.object.text("id") else None


# ---- checkouts -------------------------------------------------------------------------------------------


def _read_checkout(event: StripeEvent) -> Statement:
    session = event.object
    details = session.within("customer_details")
    identities = people(
        user_id=session.text("client_reference_id") if event.options.user_ids else "",
        emails=[details.text("email"), session.text("customer_email")],
        phones=[details.text("phone")],
    )
    payment, mode = session.text("payment_intent"), session.text("mode")
    order = _order_of(session) or payment or session.text("id")
    links = [Link(event.thing("payment", payment), event.at, identities, order)] if payment else []
    if mode != "payment":
        # An invoice tells the money of a subscription.
        kinds = ("subscription", "customer")
        links += [
            Link(event.thing(kind, session.text(kind)), event.at, identities)
            for kind in kinds
            if session.text(kind) and identities
        ]
    person = ShopEvent(
        event.thing("order", order),
        "",
        "",
        event.at,
        traits=filled(
            name=details.text("name"),
            country=details.within("address").text("country"),
            stripe_customer_id=session.text("customer"),
        ),
        context=filled(locale=session.text("locale")),
        identities=identities,
    )
    says: list[ShopEvent | Update] = []
    if mode == "payment" and session.text("payment_status") in _SETTLED:
        says.append(_completed(session, person, order))
    says += _consent(event, person)
    if not says and identities:
        customer = event.thing("checkout", session.text("id"))
        says.append(
            event.with_person(person, thing=customer, state="seen", name="Identified", kind="identify")
        )
    if not identities:
        return Statement(links=tuple(links), ignored="anonymous")
    return Statement(links=tuple(links), says=tuple(says))


def _order_of(document: Document) -> str:
    return document.within("metadata").text("order_id")


def _completed(session: Document, person: ShopEvent, order: str) -> ShopEvent:
    currency = session.text("currency").upper()
    details = session.within("total_details")
    total = whole(session, "amount_total")
    shipping, tax = whole(details, "amount_shipping"), whole(details, "amount_tax")
    properties = {
        "total": total,
        "revenue": total - shipping - tax,
        "shipping": shipping,
        "tax": tax,
        "discount": whole(details, "amount_discount"),
    }
    return StripeEvent.with_person(
        person,
        state="paid",
        name="Order Completed",
        properties=filled(
            order_id=order,
            checkout_id=session.text("id"),
            currency=currency,
            client_reference_id=session.text("client_reference_id"),
            **{name: plain(from_minor(value, currency)) for name, value in properties.items()},
        ),
    )


def _consent(event: StripeEvent, person: ShopEvent) -> list[ShopEvent]:
    states = {"opt_in": "subscribed", "opt_out": "unsubscribed"}
    state = states.get(event.object.within("consent").text("promotions"))
    if state is None or not person.identities:
        return []
    return consent_events(person, state=state, is_confirmed=False, at=event.at, options=event.options)


def _read_checkout_failed(event: StripeEvent) -> Statement:
    session = event.object
    details = session.within("customer_details")
    order = _order_of(session) or session.text("payment_intent") or session.text("id")
    return _failed(
        event,
        order=order,
        emails=[details.text("email"), session.text("customer_email")],
        amount=whole(session, "amount_total"),
        reason="",
    )


# ---- payments and refunds --------------------------------------------------------------------------------


def _read_payment_failed(event: StripeEvent) -> Statement:
    payment = event.object
    error = payment.within("last_payment_error")
    billing = error.within("payment_method").within("billing_details")
    return _failed(
        event,
        order=_order_of(payment) or payment.text("id"),
        emails=[payment.text("receipt_email"), billing.text("email")],
        amount=whole(payment, "amount"),
        reason=error.text("decline_code", "code"),
    )


def _failed(event: StripeEvent, *, order: str, emails: list[str], amount: int, reason: str) -> Statement:
    currency, customer = event.object.text("currency").upper(), event.object.text("customer")
    failed = ShopEvent(
        event.thing("order", order),
        f"failed {event.number}",
        "Payment Failed",
        event.at,
        properties=filled(
            order_id=order, total=plain(from_minor(amount, currency)), currency=currency, reason=reason
        ),
        identities=people(emails=emails),
        of=(event.thing("customer", customer),) if customer else (),
        needs="the failed payment names neither an address nor a known customer",
        remembered=False,
    )
    return Statement(says=(failed,))


def _read_charge_refunded(event: StripeEvent) -> Statement:
    charge = event.object
    payment = charge.text("payment_intent") or charge.text("id")
    progress = RefundProgress(
        _refund_of(event, payment), charge.text("currency").upper(), running=whole(charge, "amount_refunded")
    )
    return Statement(links=_order_link(event, payment), says=(progress,))


def _read_refund(event: StripeEvent) -> Statement:
    refund = event.object
    payment = refund.text("payment_intent") or refund.text("charge")
    has_failed = refund.text("status") in _FAILED
    if not payment or not (has_failed or refund.text("status") == "succeeded"):
        return Statement(ignored="ignored")
    progress = RefundProgress(
        _refund_of(event, payment),
        refund.text("currency").upper(),
        refund=refund.text("id"),
        amount=whole(refund, "amount"),
        failed_since=(clock(refund, "created") or event.at) if has_failed else None,
    )
    return Statement(links=_order_link(event, payment), says=(progress,))


def _read_dispute(event: StripeEvent) -> Statement:
    """Return what a dispute says: its money is gone once it is lost, and back where it is won after all."""
    dispute = event.object
    number, status = dispute.text("id"), dispute.text("status")
    payment = dispute.text("payment_intent") or dispute.text("charge")
    if not payment or status not in ("lost", "won"):
        return Statement(ignored="ignored")
    currency, lost = dispute.text("currency").upper(), f"dispute {number} lost"
    amount = whole(dispute, "amount") if status == "lost" else 0
    change = replace(
        _refund_of(event, payment),
        state=lost if status == "lost" else f"dispute {number} won {event.number}",
        after="" if status == "lost" else lost,
        properties={"refund_id": number, "total": plain(from_minor(amount, currency)), "currency": currency},
    )
    return Statement(links=_order_link(event, payment), says=(change,))


def _refund_of(event: StripeEvent, payment: str) -> ShopEvent:
    """Return the refund of a payment; the order and its person are known from the payment's checkout or invoice."""
    thing = event.thing("payment", payment)
    return ShopEvent(thing, "", "Order Refunded", event.at, of=(thing,), order_of=thing)


def _order_link(event: StripeEvent, payment: str) -> tuple[Link, ...]:
    """Return the order that the charge itself names."""
    thing, charge = event.thing("payment", payment), event.object
    order = _order_of(charge) or charge.text("invoice")
    billing = charge.within("billing_details")
    identities = people(emails=[billing.text("email"), charge.text("receipt_email")])
    return (Link(thing, 0, identities, order),) if order else ()


# ---- customers -------------------------------------------------------------------------------------------


def _read_customer(event: StripeEvent) -> Statement:
    customer = event.object
    identities = people(emails=[customer.text("email")], phones=[customer.text("phone")])
    if not identities:
        return Statement(ignored="anonymous")
    thing = event.thing("customer", customer.text("id"))
    profile = ShopEvent(
        thing,
        "",
        "Identified",
        event.at,
        kind="identify",
        traits=filled(
            name=customer.text("name"),
            country=customer.within("address").text("country"),
            stripe_customer_id=customer.text("id"),
        ),
        context=filled(locale=next(iter(customer.texts("preferred_locales")), "")),
        identities=identities,
    )
    return Statement(links=(Link(thing, event.at, identities),), says=(Profile(profile),))


_READERS: Final[Mapping[str, Callable[[StripeEvent], Statement]]] = {
    "checkout.session.completed": _read_checkout,
    "checkout.session.async_payment_succeeded": _read_checkout,
    "checkout.session.async_payment_failed": _read_checkout_failed,
    "payment_intent.payment_failed": _read_payment_failed,
    "charge.refunded": _read_charge_refunded,
    "refund.created": _read_refund,
    "refund.updated": _read_refund,
    "refund.failed": _read_refund,
    "charge.refund.updated": _read_refund,
    "charge.dispute.closed": _read_dispute,
    "charge.dispute.funds_reinstated": _read_dispute,
    "customer.created": _read_customer,
    "customer.updated": _read_customer,
    "customer.subscription.created": read_subscription,
    "customer.subscription.updated": read_subscription,
    "customer.subscription.deleted": read_subscription,
    "customer.subscription.paused": read_subscription,
    "customer.subscription.resumed": read_subscription,
    "invoice.paid": read_invoice_paid,
    "invoice.payment_succeeded": read_invoice_paid,
    "invoice.payment_failed": read_invoice_failed,
}
