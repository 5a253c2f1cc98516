"""Turn the statements of shops into events: each state of a thing once, in whatever order and however often it is told.

A thing remembers the states it told, its person and its order's number. An event of a person who is not known yet
waits at the thing until a later call names them. Pure: the caller loads the things, and stores those that changed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

import msgspec

from nurture.domain.event import Identity
from nurture.domain.instant import NEVER, Instant, to_iso
from nurture.inbound.shops.statement import (
    Cancellation,
    CartContents,
    Link,
    OrderStanding,
    Profile,
    RefundList,
    RefundProgress,
    Resumption,
    ShopEvent,
    Statement,
    Update,
)
from nurture.inbound.shops.values import from_minor, plain

#: States that a thing remembers, and events that wait at it; more than any order has.
_STATES_MAX: Final = 500
_WAITING_MAX: Final = 100
_CANCELLED: Final = "cancelled"


class Thing(msgspec.Struct, omit_defaults=True):
    """The known state of a thing. Stored as JSON: keys never change their meaning, new ones are added."""

    identities: list[tuple[str, str]] = []
    identities_at: Instant = NEVER
    order_id: str = ""
    order_at: Instant = NEVER
    muted: bool = False
    # Nobody has been named so far.
    anonymous: bool = False
    states: list[str] = []
    # Events that wait for the person or the order of this thing, and for a state of it.
    waiting: list[ShopEvent] = []
    # Refund -> amount told; goods of a cart; figures of a payment.
    amounts: dict[str, Any] = {}
    lines: list[str] = []
    # The instant of the newest list that was read.
    version: Instant = NEVER
    refunded: int = 0
    running: int = 0
    # Sums that a payment stated, with their instants; refund that failed -> made at, failed at, amount.
    sums: list[tuple[Instant, int]] = []
    failed: dict[str, tuple[Instant, Instant, int]] = {}
    resumed: list[Instant] = []
    # The newest word about whether the order is cancelled.
    standing_at: Instant = NEVER
    is_cancelled: bool = False
    profile: str = ""

    @property
    def person(self) -> tuple[Identity, ...]:
        """The person's identities, strongest first; empty when nobody is known."""
        return tuple(Identity(kind, value) for kind, value in self.identities)  # type: ignore[arg-type]

    @property
    def is_silent(self) -> bool:
        """Whether events about the thing are left out."""
        return self.muted or self.anonymous


@dataclass(slots=True)
class FoldResult:
    """The events to accept, those to quarantine with their reasons, and counts."""

    events: list[ShopEvent] = field(default_factory=list)
    rejected: list[tuple[ShopEvent, str]] = field(default_factory=list)
    # States told before; events that wait; events left out because their thing is silent.
    repeated: int = 0
    waiting: int = 0
    muted: int = 0


def keys_of(statement: Statement) -> set[str]:
    """Return the keys of all things that a statement is about."""
    keys = {link.thing for link in statement.links}
    for part in statement.says:
        if isinstance(part, Resumption):
            keys.add(part.thing)
        else:
            event = event_of(part)
            keys |= {event.thing, *event.of, *([event.order_of] if event.order_of else [])}
    return keys


def event_of(part: ShopEvent | Update) -> ShopEvent:
    """Return the event that a part of a statement is, or that it has as its model."""
    match part:
        case ShopEvent():
            return part
        case RefundList():
            return part.order
        case RefundProgress():
            return part.payment
        case CartContents():
            return part.cart
        case OrderStanding() | Cancellation() | Profile():
            return part.event
        case Resumption():
            message = "a resumption tells no event"
            raise TypeError(message)


def fold(statement: Statement, things: Mapping[str, Thing]) -> FoldResult:
    """Fold one statement into its things, in place, and return the events that follow.

    things: at least those of `keys_of`.
    """
    result = FoldResult()
    for link in statement.links:
        _learn(link, things[link.thing])
    for part in statement.says:
        if isinstance(part, ShopEvent):
            _tell(part, things, result)
        else:
            for event in _UPDATES[type(part)](part, things):
                _tell(event, things, result)
    for key in [link.thing for link in statement.links]:
        _release(things[key], things, result)
    return result


def _learn(link: Link, thing: Thing) -> None:
    thing.muted = thing.muted or link.muted
    # An older copy without a person does not silence an order whose person is known.
    thing.anonymous = (thing.anonymous or link.anonymous) and not (link.identities or thing.identities)
    if link.identities and link.at >= thing.identities_at:
        thing.identities = [(name.kind, name.value) for name in link.identities]
        thing.identities_at = link.at
    if link.order_id and link.at >= thing.order_at:
        thing.order_id, thing.order_at = link.order_id, link.at


# ---- events ----------------------------------------------------------------------------------------------


def _tell(event: ShopEvent, things: Mapping[str, Thing], result: FoldResult) -> None:
    """Tell an event, keep it at its thing until more is known, or leave it out."""
    thing = things[event.thing]
    if event.state in thing.states:
        result.repeated += 1
        return
    if any(things[key].is_silent for key in (event.thing, *event.of)):
        result.muted += 1
        return
    if event.after and event.after not in thing.states:
        _wait(event, [thing], result)
        return
    complete = _completed(event, things)
    if complete is not None:
        _remember(event, thing)
        result.events.append(complete)
        for waiting in [kept for kept in thing.waiting if kept.after == event.state]:
            thing.waiting.remove(waiting)
            _tell(waiting, things, result)
    elif event.needs:
        result.rejected.append((event, event.needs))
    else:
        _remember(event, thing)
        _wait(event, [things[key] for key in dict.fromkeys((*event.of, event.order_of)) if key], result)


def _remember(event: ShopEvent, thing: Thing) -> None:
    if event.remembered:
        thing.states = [*thing.states, event.state][-_STATES_MAX:]


def _wait(event: ShopEvent, places: Collection[Thing], result: FoldResult) -> None:
    for place in places:
        if event not in place.waiting:
            place.waiting = [*place.waiting, event][-_WAITING_MAX:]
    result.waiting += 1


def _completed(event: ShopEvent, things: Mapping[str, Thing]) -> ShopEvent | None:
    """Return the event with its person and its order's number; None where one is not known."""
    identities = event.identities
    if not identities:
        known = (things[key].person for key in event.of if key in things)
        identities = next((person for person in known if person), ())
    if not identities:
        return None
    if not event.order_of:
        return replace(event, identities=identities)
    order = things.get(event.order_of, Thing()).order_id
    if not order:
        return None
    properties = {"order_id": order, **event.properties}
    return replace(event, identities=identities, properties=properties)


def _release(thing: Thing, things: Mapping[str, Thing], result: FoldResult) -> None:
    """Tell the events that waited for this thing's person or order; a copy at another thing is recognised by its id."""
    if thing.is_silent:
        result.muted += len(thing.waiting)
        # Told again once the person is named, they are no repetition.
        forgotten = {event.state for event in thing.waiting}
        thing.states = [state for state in thing.states if state not in forgotten]
        thing.waiting = []
    for event in list(thing.waiting):
        if event.after:
            continue
        complete = _completed(event, things)
        if complete is not None:
            for place in {id(place): place for place in (thing, *things.values())}.values():
                place.waiting = [kept for kept in place.waiting if kept != event]
            result.events.append(complete)


# ---- things with a memory of their own -------------------------------------------------------------------


def _refund_list(part: RefundList, things: Mapping[str, Thing]) -> Iterator[ShopEvent]:
    """Yield the refunds that are new, and those that were taken back; an older list adds nothing."""
    order = part.order
    thing = things[order.thing]
    if order.at < thing.version:
        return
    gone = [] if order.at == thing.version else [name for name in thing.amounts if name not in part.amounts]
    thing.version = order.at
    new = {name: amount for name, amount in part.amounts.items() if name not in thing.amounts}
    thing.amounts = {name: amount for name, amount in thing.amounts.items() if name not in gone} | new
    for name, amount in new.items():
        yield _refund(order, f"refund {name}", name, amount)
    for name in gone:
        yield _refund(order, f"refund {name} taken back {to_iso(order.at)}", name, 0)


def _refund(order: ShopEvent, state: str, name: str, amount: Any) -> ShopEvent:
    return replace(order, state=state, properties={**order.properties, "refund_id": name, "total": amount})


def _refund_progress(part: RefundProgress, things: Mapping[str, Thing]) -> Iterator[ShopEvent]:
    """Yield what went back beyond what was told, and what of it came back because a refund failed.

    The running sum of a charge and the sum of its refunds are the same money, each of them perhaps incomplete: the
    greater one counts. Each sum that was reached names the share between it and the sum reached before.
    """
    payment = part.payment
    thing = things[payment.thing]
    _learn_refund(part, thing)
    standing = sum(amount for name, amount in thing.amounts.items() if name not in thing.failed)
    before, thing.refunded = thing.refunded, max(_running_sum(thing), standing)
    shares = sorted({int(state.split(" ")[1]) for state in thing.states if state.startswith("refunded ")})
    if thing.refunded > max(shares, default=0):
        yield _share(part, thing.refunded, thing.refunded - max(shares, default=0), payment.at)
    for below, reached in pairwise([0, *shares]):
        share, was = (max(0, min(reached, refunded) - below) for refunded in (thing.refunded, before))
        if share != was:
            # The newest word about a share counts.
            thing.version = max(payment.at, thing.version + 1)
            yield _share(part, reached, share, thing.version, again=f" again {to_iso(thing.version)}")
    thing.version = max(thing.version, payment.at)


def _learn_refund(part: RefundProgress, thing: Thing) -> None:
    at = part.payment.at
    if part.failed_since is not None:
        thing.failed = {**thing.failed, part.refund: (part.failed_since, at, part.amount)}
    elif part.refund:
        thing.amounts = {**thing.amounts, part.refund: part.amount}
    thing.running = max(thing.running, part.running)
    if part.running and not any(known >= at and sum_ >= part.running for known, sum_ in thing.sums):
        thing.sums = [*thing.sums, (at, part.running)]


def _running_sum(thing: Thing) -> int:
    """Return the greatest sum that the payment stated, each less the refunds in it that failed since."""
    failed = thing.failed.values()
    sums = [sum_ - sum(f[2] for f in failed if f[0] <= at <= f[1]) for at, sum_ in thing.sums]
    if thing.running > max((sum_ for _, sum_ in thing.sums), default=0):
        # An earlier release kept no instants: any refund may be in its sum.
        sums.append(thing.running - sum(f[2] for f in failed))
    return max(sums, default=0)


def _share(part: RefundProgress, reached: int, share: int, at: Instant, *, again: str = "") -> ShopEvent:
    payment = part.payment
    properties = {
        "refund_id": f"{payment.thing.rpartition(':')[2]}:{reached}",
        "total": plain(from_minor(share, part.currency)),
        "currency": part.currency,
    }
    return replace(payment, state=f"refunded {reached}{again}", at=at, properties=properties)


def _cart_contents(part: CartContents, things: Mapping[str, Thing]) -> Iterator[ShopEvent]:
    """Yield the goods that came into the cart and those that left it; older contents say nothing."""
    cart = part.cart
    thing = things[cart.thing]
    if cart.at <= thing.version:
        return
    before = set(thing.lines)
    thing.version, thing.lines = cart.at, sorted(part.lines)
    for product in sorted(before.symmetric_difference(part.lines)):
        is_added = product in part.lines
        yield replace(
            cart,
            state=f"{'added' if is_added else 'removed'} {product} {to_iso(cart.at)}",
            name="Product Added" if is_added else "Product Removed",
            properties={**cart.properties, **part.lines.get(product, {"product_id": product})},
            remembered=False,
        )


def _order_standing(part: OrderStanding, things: Mapping[str, Thing]) -> Iterator[ShopEvent]:
    """Yield the cancellation, or that the order is restored, where the newest word about it changes.

    Of two words of one instant the cancellation counts.
    """
    event, thing = part.event, things[part.event.thing]
    # A thing of an earlier release has no instant of its word.
    was_cancelled = thing.is_cancelled or (thing.standing_at == NEVER and _CANCELLED in thing.states)
    is_news = part.is_cancelled != was_cancelled
    if (event.at, part.is_cancelled) > (thing.standing_at, was_cancelled):
        thing.standing_at, thing.is_cancelled = event.at, part.is_cancelled
    else:
        # The deletion of an order that was never paid waits, and says nothing to the person.
        is_news = part.is_cancelled and was_cancelled and not any(map(_is_cancellation, thing.states))
    if is_news:
        yield replace(event, state=f"{event.state} {to_iso(event.at)}")


def _is_cancellation(state: str) -> bool:
    return state.startswith(_CANCELLED)


def _cancellation(part: Cancellation, things: Mapping[str, Thing]) -> Iterator[ShopEvent]:
    """Yield the cancellation, with the number of times that an earlier one was taken back."""
    resumed = sum(at < part.event.at for at in things[part.event.thing].resumed)
    yield replace(part.event, state=f"{part.event.state} {resumed}" if resumed else part.event.state)


def _resumption(part: Resumption, things: Mapping[str, Thing]) -> Iterator[ShopEvent]:
    thing = things[part.thing]
    thing.resumed = sorted({*thing.resumed, part.at})
    return iter(())


def _profile(part: Profile, things: Mapping[str, Thing]) -> Iterator[ShopEvent]:
    """Yield the profile when it differs from the one told last: shops repeat it without any change."""
    event = part.event
    thing = things[event.thing]
    content = msgspec.json.encode((event.identities, event.traits, event.context), order="deterministic")
    digest = blake2b(content, digest_size=8).hexdigest()
    if digest == thing.profile:
        return
    thing.profile = digest
    yield replace(event, state=f"profile {to_iso(event.at)} {digest}", remembered=False)


_UPDATES: Final[Mapping[type, Callable[[Any, Mapping[str, Thing]], Iterator[ShopEvent]]]] = {
    RefundList: _refund_list,
    RefundProgress: _refund_progress,
    CartContents: _cart_contents,
    OrderStanding: _order_standing,
    Cancellation: _cancellation,
    Resumption: _resumption,
    Profile: _profile,
}
