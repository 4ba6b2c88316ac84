"""The merchant of a simulated world: what it sells, what it was told, and its commands after a provider's story."""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

from attrs import define, evolve, field, frozen

from ...commands import Cancel, CancelWhole, Charge, Pay, Schedule, Unschedule
from ...errors import Conflict, Forged, InProgress, OutcomeUnknown, PaygateError, SetupError
from ...model import BillingKey, Cancellation, Checkout, Event, Payment, PaymentStatus, ScheduledCharge, ScheduleStatus
from ...money import Money
from ...subscriptions import Renew, Subscribe, Subscription
from ..story import Story


@define(eq=False)
class Order:
    """One attempt to be paid. `told` is what was said of it last; `cart` is what it is to pay for."""

    id: str
    verb: str
    amount: int
    cart: str
    told: str = ""
    checkout: Checkout | None = None
    query: dict[str, str] | None = None
    due_s: float | None = None
    renews: str = ""
    """The order that began the subscription which this one renews."""
    subscription: str | None = None
    """The PG's id of the subscription that this order began."""
    refunds: list[Cancel | CancelWhole] = field(factory=list)


@define(eq=False)
class Shop:
    """Its orders by id, in the order in which they were made."""

    story: Story
    key: BillingKey | None = None
    orders: dict[str, Order] = field(factory=dict)

    def new(self, verb: str, amount: int, cart: str | None = None) -> Order:
        """A new order; ids are of one length, so that none is part of another."""
        id = f"order-{len(self.orders):05}"
        made = self.orders[id] = Order(id, verb, amount, cart or f"cart-{len(self.orders):05}")
        return made

    @property
    def currency(self) -> str:
        return self.story.pay.money.currency if self.story.pay is not None else "KRW"

    def money(self, amount: int) -> Money:
        return Money(amount, self.currency)

    def key_of(self, order: Order) -> str | None:
        """What an order is to be charged to: the billing key, or the PG's id of its subscription."""
        if order.verb in ("charge", "schedule") and self.key is not None:
            return self.key.reveal()
        return self.orders[order.renews].subscription if order.renews else None

    def charge(self, order: Order, *, amount: int | None = None) -> Charge:
        assert self.story.charge is not None
        assert self.key is not None
        return evolve(self.story.charge(self.key, order.id), money=self.money(amount or order.amount))

    def pay(self, order: Order) -> Pay:
        assert self.story.pay is not None
        return evolve(self.story.pay, order_id=order.id, money=self.money(order.amount))

    def subscribe(self, order: Order) -> Subscribe:
        assert self.story.subscribe is not None
        return evolve(self.story.subscribe, order_id=order.id, money=self.money(order.amount))

    def renew(self, order: Order) -> Renew:
        return Renew(order_id=order.id, subscription=order.renews, money=self.money(order.amount))

    def schedule(self, orders: list[Order], due_at: Any) -> Schedule:
        assert self.story.schedule is not None
        assert self.key is not None
        example = self.story.schedule(self.key)
        return evolve(example, charges=[evolve(example.charges[0], order_id=o.id, money=self.money(o.amount),
                                               due_at=due_at(o)) for o in orders])

    def unschedule(self, orders: list[Order]) -> Unschedule:
        assert self.key is not None
        return Unschedule(billing_key=self.key, order_ids=tuple([o.id for o in orders]))

    def refund(self, order: Order, amount: int | None) -> Cancel | CancelWhole:
        """A new refund of `amount`, or of all that is left. Its reason is its id."""
        id = f"{order.id}-r{len(order.refunds)}"
        made: Cancel | CancelWhole = CancelWhole(cancel_id=id, order_id=order.id, reason=id) if amount is None else \
            Cancel(cancel_id=id, order_id=order.id, money=self.money(amount), reason=id)
        order.refunds.append(made)
        return made


@frozen
class Said:
    """What the merchant was told: a word of the judge's, and the amount it names."""

    word: str
    amount: int | None = None


def said_by(result: object, error: BaseException | None, order_id: str | None = None) -> Said | None:
    """What a result or an error tells; None for one that may never come out of the library.

    `order_id` is the order it is asked of: an error that names another one tells nothing of this one.
    """
    if error is not None:
        return _said_by_error(error, order_id)
    match result:
        case Payment(status=status, money=money):
            said = {PaymentStatus.PENDING: "pending", PaymentStatus.FAILED: "no"}.get(status, "paid")
            return Said(said, money.amount if said == "paid" else None)
        case Subscription(money=money):
            return Said("paid", money.amount)
        case Cancellation(money=money):
            return Said("done", money.amount)
        case ScheduledCharge(status=ScheduleStatus.REVOKED):
            return Said("no")
        case ScheduledCharge(payment_status=paid, money=money) if paid is not None and paid.took_money:
            return Said("paid", money.amount)
        case Event(payment=Payment(status=status, money=money)) if status.took_money:
            return Said("paid", money.amount)
    return Said("pending")


def _said_by_error(error: BaseException, order_id: str | None) -> Said | None:
    if isinstance(error, (KeyboardInterrupt, CancelledError)):
        return Said("unknown")
    if not isinstance(error, PaygateError):
        return None
    if isinstance(error, (SetupError, Conflict, Forged)):
        return Said("bad")
    if isinstance(error, InProgress):
        return Said("busy")
    if isinstance(error, OutcomeUnknown) or (order_id is not None and error.order_id not in (None, order_id)):
        return Said("unknown")
    return Said("no")
