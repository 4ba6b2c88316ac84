"""/api/v1/orders: create, read, list, cancel, and the undocumented retry of a failed one."""

from __future__ import annotations

from paygate.wire import Response

from . import fulfilment, hooks, ordering, renewals, shapes, words
from .ordering import Line
from .pg import Pg
from .reading import INT64, Ask, Fields, unknown, wrong
from .shapes_orders import order as order_json
from .shapes_orders import order_row
from .state import Customer, Order

_COLUMNS = ("orderCode", "productName", "customerName", "phone", "email")


def create(pg: Pg, ask: Ask) -> Response:
    """Prepare an order. It carries no amount of its own: the price plan decides (documented)."""
    f = ask.fields()
    customer, lines = _customer(pg, f), [_line(pg, i) for i in f.every("items", 1)]
    currencies = {i.currency() for i in f.every("items", 1)}
    if len(currencies) > 1:
        raise wrong("all items must have the same currency")
    kind = "RECURRING_INITIAL" if any(line.price.recurring for line in lines) else "ONE_TIME"
    made = ordering.new(pg, kind, customer, currencies.pop(), lines, deadline=f.maybe_moment("purchaseDeadline"),
                        gateway=f.maybe_word("paymentGateway", words.GATEWAYS))
    return pg.created(order_json(pg, made, fine=True))


def _customer(pg: Pg, f: Fields) -> Customer:
    """One of the three is enough (documented); two that disagree are refused (assumed)."""
    named: list[Customer] = []
    if f.has("customerId"):
        named.append(pg.customer(f.whole("customerId", 0, INT64)))
    for name, key in (("customerCode", "code"), ("customerUuid", "uuid")):
        if f.has(name):
            text = f.text(name)
            named += [c for c in pg.customers.values() if getattr(c, key) == text]
            if not named or getattr(named[-1], key) != text:
                raise unknown("customer")
    if not named or any(c is not named[0] for c in named):
        raise wrong("one of customerId, customerCode and customerUuid is required")
    return named[0]


def _line(pg: Pg, f: Fields) -> Line:
    product = pg.product_by_code(f.text("productCode"))
    price = pg.price_by_code(product, f.text("priceCode"))
    if product.values["status"] != "SALE":
        raise wrong("the product is not on sale", "PRODUCT_NOT_ON_SALE")
    least = f.whole("minimumQuantity", 0, ordering.MOST, 0)
    most = f.whole("maximumQuantity", 0, ordering.MOST) or None if f.has("maximumQuantity") else None
    if most is not None and most < least:
        raise wrong("maximumQuantity is below minimumQuantity")
    return Line(product, price, least, most, tuple(f.numbers("productOption")), price.first_amount)


def read(pg: Pg, ask: Ask) -> Response:
    return pg.reply(order_json(pg, pg.order(ask.places[0])))


def listing(pg: Pg, ask: Ask) -> Response:
    """`type` names the column that `keyword` is looked for in; `status` is an item's (documented)."""
    column, word, status = (ask.query.get(n, "") for n in ("type", "keyword", "status"))
    if column and column not in _COLUMNS:
        raise wrong("type must name a column")

    def fits(o: Order) -> bool:
        texts = [o.code, o.title, o.customer.name, o.customer.phone or "", o.customer.email]
        if column:
            texts = [texts[_COLUMNS.index(column)]]
        return any(word in t for t in texts) and (not status or any(i.status == status for i in o.items))

    found = [o for o in pg.orders.values() if fits(o)]
    return pg.reply(shapes.page(pg, ask.query, found, lambda o: order_row(pg, o), lambda o: o.created))


def cancel(pg: Pg, ask: Ask) -> Response:
    """Refund a paid order, wholly or in part; cancel an unpaid one (documented)."""
    order, f = pg.order(ask.places[0]), ask.fields()
    amount = f.money("requestPrice", order.currency)
    f.maybe_text("reason")
    if order.payment.paid_at is not None:
        fulfilment.refund(pg, order.payment, amount)
    elif order.cancelled:
        raise wrong("the order is cancelled", "ORDER_CANCELLED")
    else:
        order.cancelled = True
        ordering.set_items(pg, order, words.CANCELLED, canceled=True)
        ordering.log(pg, order, "V1", "cancelled")
        hooks.order_event(pg, order, "updated")
    return pg.done()


def retry(pg: Pg, ask: Ask) -> Response:
    """Charge a failed renewal's order again now (in the specification, not in the guide)."""
    order = pg.order(ask.places[0])
    s = order.parent
    if s is None or s.unpaid is not order:
        raise wrong("the order is not a failed renewal", "ORDER_NOT_RETRYABLE")
    outcome = pg.charge_outcome() if pg.next_charges else pg.renewal_outcome()
    paid = renewals.attempt(pg, s, order, outcome)
    renewals.plan(pg, s)
    return pg.done(paid)
