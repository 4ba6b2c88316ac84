"""/api/v1/subscriptions: read, pause, resume, move, change, renew, end. Which status allows what is documented."""

from __future__ import annotations

from paygate.wire import Response

from . import hooks, ordering, renewals, shapes, times, words
from .pg import Pg
from .reading import INT64, Ask, Fields, Rejected, money, unknown, wrong
from .shapes_orders import order as order_json
from .shapes_subscriptions import row
from .shapes_subscriptions import subscription as detail
from .state import SubItem, Subscription


def listing(pg: Pg, ask: Ask) -> Response:
    found = list(pg.subscriptions.values())
    return pg.reply(shapes.page(pg, ask.query, found, lambda s: row(pg, s), lambda s: s.start))


def read(pg: Pg, ask: Ask) -> Response:
    return pg.reply(detail(pg, pg.subscription(ask.number(0))))


def _in_status(s: Subscription, *statuses: str) -> None:
    if s.status not in statuses:
        raise wrong(f"a subscription that is {s.status} cannot do this", "SUBSCRIPTION_STATUS_INVALID")


def _changed(pg: Pg, s: Subscription) -> None:
    renewals.plan(pg, s)
    hooks.subscription_event(pg, s, "updated")


def cancel(pg: Pg, ask: Ask) -> Response:
    """End now, at the period's end or at an instant. Nothing is given back (documented)."""
    s, f = pg.subscription(ask.number(0)), ask.fields()
    when = f.word("whenToCancel", ("NOW", "END_OF_PERIOD", "SPECIFIC_DATE_TIME"))
    moment = f.moment("when") if when == "SPECIFIC_DATE_TIME" else s.period[1]
    _in_status(s, words.ACTIVE, words.PAUSE, words.UNPAID)
    s.canceled_via = "V1"
    if when == "NOW" or (when == "END_OF_PERIOD" and moment <= pg.now):
        renewals.finish(pg, s, words.SUB_CANCELED, "V1")
        return pg.done()
    if moment <= pg.now:
        s.canceled_via = None
        raise wrong("when must be in the future")
    s.cancel_at = moment
    s.status = s.status if s.status == words.UNPAID else words.PENDING_CANCEL
    _changed(pg, s)
    return pg.done()


def pause(pg: Pg, ask: Ask) -> Response:
    """From ACTIVE only (documented). Without a body: at once, until resumed."""
    s, f = pg.subscription(ask.number(0)), ask.fields() if ask.call.body.strip() else Fields({}, ask.hours)
    until = f.word("whenToResume", ("NOTHING", "PAUSED_UNTIL"), "NOTHING")
    lazy = f.word("whenToPause", ("IMMEDIATE", "LAZY"), "IMMEDIATE") == "LAZY"
    unit, count = _interval(f.fields("until")) if until == "PAUSED_UNTIL" else ("", 0)
    _in_status(s, words.ACTIVE)
    begins = s.period[1] if lazy else pg.now
    s.resume_at = times.after(begins, unit, count) if unit else None
    if lazy:
        s.status = words.PENDING_PAUSE
        _changed(pg, s)
    else:
        renewals.pause(pg, s)
        renewals.plan(pg, s)
    return pg.done()


def _interval(f: Fields) -> tuple[str, int]:
    unit = f.word("interval", words.UNITS)
    return unit, f.whole("intervalCount", 1, times.LONGEST[unit])


def resume(pg: Pg, ask: Ask) -> Response:
    """From PAUSE and from what is pending; 201 as the specification has it."""
    s = pg.subscription(ask.number(0))
    _in_status(s, words.PAUSE, words.PENDING_PAUSE, words.PENDING_CANCEL)
    s.canceled_via = None
    renewals.resume(pg, s)
    renewals.plan(pg, s)
    return pg.created({"message": "OK", "body": None})


def move(pg: Pg, ask: Ask) -> Response:
    """The next charge happens at another instant, which is UTC and in the future (documented)."""
    s, when = pg.subscription(ask.number(0)), ask.fields().moment("when")
    _in_status(s, words.ACTIVE)
    if when <= pg.now:
        raise wrong("when must be in the future")
    s.origin_next, s.next_at, s.anchor = None, when, when.day
    s.period = (s.period[0], when)
    _changed(pg, s)
    return pg.done()


def change_interval(pg: Pg, ask: Ask) -> Response:
    """A new interval, counted from the next charge on (assumed)."""
    s, (unit, count) = pg.subscription(ask.number(0)), _interval(ask.fields())
    _in_status(s, words.ACTIVE, words.PAUSE, words.UNPAID, words.PENDING_PAUSE)
    s.unit, s.count = unit, count
    _changed(pg, s)
    return pg.done()


def renew(pg: Pg, ask: Ask) -> Response:
    """Charge now and begin a new period. A decline is 400 and leaves the subscription UNPAID (assumed)."""
    s = pg.subscription(ask.number(0))
    _in_status(s, words.ACTIVE, words.UNPAID)
    outcome = pg.charge_outcome() if pg.next_charges else pg.renewal_outcome()
    if outcome.word == "code":
        raise wrong(outcome.message, outcome.code)
    order = s.unpaid or renewals.renewal_order(pg, s)
    paid = renewals.attempt(pg, s, order, outcome, by_hand=True)
    renewals.plan(pg, s)
    if not paid:
        raise wrong(order.payment.error_message or outcome.message, order.payment.error_code or outcome.code)
    return pg.done({"orderId": order.id})


def change_method(pg: Pg, ask: Ask) -> Response:
    """An order that the payer fulfils on the hosted page; then this subscription uses the new method (documented)."""
    s = pg.subscription(ask.number(0))
    f = ask.fields() if ask.call.body.strip() else Fields({}, ask.hours)
    _in_status(s, words.ACTIVE, words.PAUSE, words.UNPAID, words.PENDING_PAUSE, words.PENDING_CANCEL)
    gateway = f.maybe_word("paymentGateway", words.GATEWAYS)
    return pg.created(order_json(pg, ordering.for_method(pg, s.customer, gateway, [s]), fine=True))


# Items

def _item(s: Subscription, number: int) -> SubItem:
    for item in s.items:
        if item.id == number:
            return item
    raise unknown("subscription item")


def _set_quantities(pg: Pg, s: Subscription, wanted: list[tuple[SubItem, int]]) -> Response:
    _in_status(s, words.ACTIVE, words.PAUSE, words.UNPAID, words.PENDING_PAUSE, words.PENDING_CANCEL)
    old = [(i, i.quantity) for i, _ in wanted]
    for item, quantity in wanted:
        item.quantity = quantity
    try:
        renewals.check_amount(pg, s)
    except Rejected:
        for item, quantity in old:
            item.quantity = quantity
        raise
    hooks.subscription_event(pg, s, "updated")
    return pg.reply(detail(pg, s))


def replace_items(pg: Pg, ask: Ask) -> Response:
    """What is named stays, with its new quantity; the rest goes (assumed from "replace")."""
    s, rows = pg.subscription(ask.number(0)), ask.json()
    if not isinstance(rows, list) or not 1 <= len(rows) <= 100:
        raise wrong("the body must be a list of 1 to 100 items")
    wanted = []
    for f in (Fields(r, ask.hours, "an item") for r in rows):
        f.numbers("selectedProductOptionIds")
        item = _item(s, f.whole("id", 0, INT64))
        wanted.append((item, f.whole("quantity", 1, ordering.MOST, item.quantity)))
    answer = _set_quantities(pg, s, wanted)
    kept = [i for i in s.items if any(i is w for w, _ in wanted)]
    if len(kept) == len(s.items):
        return answer
    s.items = kept
    return pg.reply(detail(pg, s))


def add_item(pg: Pg, ask: Ask) -> Response:
    """Another product in the same subscription, charged from the next renewal on (assumed)."""
    s, f = pg.subscription(ask.number(0)), ask.fields()
    product = pg.product_by_code(f.text("productCode"))
    price = pg.price_by_code(product, f.text("priceCode"))
    f.word("type", words.ITEM_TYPES, "SKU")
    quantity, options = f.whole("quantity", 1, ordering.MOST, 1), f.numbers("selectedProductOptions")
    money(price.amount, s.currency, "the price")
    number = pg.ids.number("subscription_item")
    made = SubItem(id=number, code=pg.ids.code("subscription_item", number), product=product, price=price,
                   quantity=quantity, options=options)
    s.items.append(made)
    try:
        return _set_quantities(pg, s, [(made, quantity)])
    except Rejected:
        s.items.remove(made)
        raise


def options(pg: Pg, ask: Ask) -> Response:
    """This emulator's products have no options."""
    _item(pg.subscription(ask.number(0)), ask.number(1))
    return pg.reply([])


def change_item(pg: Pg, ask: Ask) -> Response:
    s = pg.subscription(ask.number(0))
    item, f = _item(s, ask.number(1)), ask.fields()
    f.numbers("selectedProductOptions")
    return _set_quantities(pg, s, [(item, f.whole("quantity", 1, ordering.MOST, item.quantity))])


def delete_item(pg: Pg, ask: Ask) -> Response:
    s = pg.subscription(ask.number(0))
    item = _item(s, ask.number(1))
    if len(s.items) == 1:
        raise wrong("a subscription keeps at least one item")
    s.items.remove(item)
    hooks.subscription_event(pg, s, "updated")
    return pg.reply(detail(pg, s))


def calculate(pg: Pg, ask: Ask) -> Response:
    """What the running period is expected to cost."""
    s = pg.subscription(ask.number(0))
    lines = [{"subscriptionItemId": i.id, "count": i.quantity, "amount": pg.bare(i.price.amount * i.quantity),
              "name": i.product.values["name"], "type": "SKU", "unit": i.price.values["unit"],
              "additionalBillings": None, "usageFormula": None} for i in s.items]
    return pg.reply({"amount": pg.bare(s.amount), "items": lines, "startDate": pg.time(s.period[0]),
                     "endDate": pg.time(s.period[1])})
