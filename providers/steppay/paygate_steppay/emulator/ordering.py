"""How an order comes about, what it costs, and how its items follow its payment. There is no order-level status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from attrs import frozen

from paygate.money import EXPONENT, Money

from . import hooks, payments, words
from .pg import Outcome, Pg
from .reading import money, wrong
from .state import Customer, Item, Method, Order, Payment, Price, Product, Subscription

MOST = 1_000_000
"""The largest quantity this emulator takes."""


@frozen
class Line:
    """A product to be ordered."""

    product: Product
    price: Price
    minimum: int = 0
    maximum: int | None = None
    options: tuple[int, ...] = ()
    unit: Decimal = Decimal(0)


def new(pg: Pg, kind: str, customer: Customer, currency: str, lines: Sequence[Line], *, title: str = "",
        deadline: datetime | None = None, gateway: str | None = None, parent: Subscription | None = None) -> Order:
    """Make an order; nothing is paid.

    Raises: Rejected for an amount that is none of the currency.
    """
    number = pg.ids.number("order")
    code = pg.ids.code("order", number)
    zero = Money(0, currency)
    payment = Payment(
        id=pg.ids.number("payment"), id_key=pg.ids.id_key(pg.now), ref=code, payment_only=False, order_id=str(number),
        user_id=str(customer.id), title=title or _title(lines[0]), money=zero, discount=zero, gateway=gateway or "NICE",
        payer={"userName": customer.name, "email": customer.email, "phone": customer.phone or ""},
        method="CARD" if kind == "ONE_TIME" else "CARD_BILL", created=pg.now)
    order = Order(id=number, code=code, type=kind, customer=customer, currency=currency, title=payment.title, items=[],
                  payment=payment, created=pg.now, modified=pg.now, deadline=deadline, gateway=gateway, parent=parent)
    for line in lines:
        money(line.price.amount, currency, "the price")
        order.items.append(_item(pg, order, line, "SKU", line.unit))
        setup = line.price.values["setupOption"]
        if setup is not None and (parent is None or setup["type"] == "PERIODIC"):
            order.items.append(_item(pg, order, line, "FEE", Decimal(setup["price"])))
    if lines and not pg.switches.vat_included:
        order.items.append(_item(pg, order, lines[0], "TAX", Decimal(0)))
    payment.money = price_up(pg, order, None)
    pg.orders[number] = order
    pg.payments[payment.id_key] = payment
    for line in lines:
        line.price.ordered = True
    hooks.order_event(pg, order, "created")
    return order


def for_method(pg: Pg, customer: Customer, gateway: str | None, subscriptions: list[Subscription]) -> Order:
    """An order of type PAYMENT_METHOD: nothing to pay, a method to register for the customer and `subscriptions`."""
    order = new(pg, "PAYMENT_METHOD", customer, "KRW", [], title="Payment method", gateway=gateway)
    order.switches_method_of = subscriptions
    return order


def new_method(pg: Pg, customer: Customer, gateway: str) -> Method:
    """Store what the payer registered."""
    number = pg.ids.number("method")
    made = Method(id=number, gateway=gateway, info=f"XX카드 {541600 + number % 1000}**********")
    customer.methods.append(made)
    return made


def _title(line: Line) -> str:
    return f"{line.product.values['name']} ({line.price.values['plan']['name']})"


def _item(pg: Pg, order: Order, line: Line, kind: str, unit: Decimal) -> Item:
    number = pg.ids.number("order_item")
    sku = kind == "SKU"
    return Item(id=number, code=pg.ids.code("order_item", number), product=line.product, price=line.price, type=kind,
                unit=unit, minimum=line.minimum if sku else 1, maximum=line.maximum if sku else 1,
                options=list(line.options), created=pg.now, modified=pg.now, paid=Money(0, order.currency))


def price_up(pg: Pg, order: Order, quantity: int | None) -> Money:
    """What the order costs with `quantity` of each product (default: the least that can be chosen).

    Raises: Rejected for a quantity outside the order's bounds, and for a total that is no amount of its currency.
    """
    total = Decimal(0)
    for item in order.items:
        if item.type == "TAX":
            step = Decimal(1).scaleb(-EXPONENT[order.currency])
            item.unit = (total * pg.switches.vat_rate / 100).quantize(step, ROUND_DOWN)
        total += item.unit * count_of(item, quantity)
    return money(total, order.currency, "the total")


def count_of(item: Item, quantity: int | None) -> int:
    """How many of an item the payer takes. Raises: Rejected for a number outside its bounds."""
    if item.type != "SKU":
        return 1
    count = max(item.minimum, 1) if quantity is None else quantity
    if not max(item.minimum, 1) <= count <= (MOST if item.maximum is None else item.maximum):
        raise wrong("the quantity is outside the order's bounds")
    return count


def mark_paid(pg: Pg, order: Order, quantity: int | None = None, *, lag_s: float = 0.0) -> None:
    """The order's payment goes through."""
    order.payment.money = price_up(pg, order, quantity)
    for item in order.items:
        item.quantity = count_of(item, quantity)
        item.paid = money(item.unit * item.quantity, order.currency, "an item")
        item.status, item.modified = words.ITEM_PAID, pg.now
    payments.take(pg, order.payment, lag_s=lag_s)
    log(pg, order, "RENEW" if order.parent else "CUSTOMER", "paid")
    hooks.order_event(pg, order, "payment_completed")


def mark_failed(pg: Pg, order: Order, outcome: Outcome) -> None:
    """The order's payment is declined; it may be tried again."""
    payments.fail(pg, order.payment, outcome)
    set_items(pg, order, words.PAYMENT_FAILURE)
    log(pg, order, "RENEW" if order.parent else "CUSTOMER", "payment failed")
    hooks.order_event(pg, order, "updated")


def set_items(pg: Pg, order: Order, status: str, *, canceled: bool = False) -> None:
    """Put every item into a status."""
    for item in order.items:
        item.status, item.modified = status, pg.now
        item.canceled = pg.now if canceled else item.canceled
    order.modified = pg.now


def log(pg: Pg, order: Order, actor: str, text: str) -> None:
    """Add to the order's log."""
    order.logs.append((pg.ids.number("log"), actor, text, pg.now))
    order.modified = pg.now
