"""/api/v1/customers and its payment methods."""

from __future__ import annotations

from paygate.wire import Response

from . import hooks, ordering, shapes, words
from .pg import Pg
from .reading import Ask, Fields, Rejected, unknown, wrong
from .shapes_orders import order as order_json
from .state import Customer


def create(pg: Pg, ask: Ask) -> Response:
    f = ask.fields()
    made = add(pg, f.text("name"), f.text("email"),
               f.text("username") if pg.switches.username_required else f.maybe_text("username", 1000))
    try:
        _fill(made, f)
    except Rejected:
        del pg.customers[made.id]
        raise
    hooks.customer_event(pg, made, "created")
    return pg.created(shapes.customer(pg, made, fine=True))


def add(pg: Pg, name: str, email: str, username: str | None = None) -> Customer:
    """A new customer."""
    number = pg.ids.number("customer")
    made = Customer(id=number, uuid=pg.ids.uuid("customer", number), code=pg.ids.code("customer", number), name=name,
                    email=email, username=username, phone=None, shipping=None, created=pg.now, attributes={},
                    marketing=dict.fromkeys(shapes.MARKETING, False))
    pg.customers[number] = made
    return made


def _fill(c: Customer, f: Fields) -> None:
    phone = f.maybe_text("phone", 40)
    if phone is not None and not (phone.isascii() and 7 <= sum(map(str.isdigit, phone)) <= 15
                                  and set(phone) <= set("0123456789+-() ")):
        raise wrong("phone must be a telephone number")
    c.phone = "".join(p for p in phone if p.isdigit() or p == "+") if phone else None
    address = f.maybe_fields("shipping")
    c.shipping = None
    if address is not None:
        c.shipping = {**{n: address.text(n) for n in ("postcode", "address1", "address2")},
                      **{n: address.maybe_text(n) for n in ("state", "city", "countryCode")}}
    c.marketing = {n: f.flag(n) for n in shapes.MARKETING}
    c.attributes = f.map_of_text("attributes")


def listing(pg: Pg, ask: Ask) -> Response:
    word = ask.query.get("keyword", "")
    found = [c for c in pg.customers.values() if word in c.name or word in c.email]
    return pg.reply(shapes.page(pg, ask.query, found, lambda c: shapes.customer_row(pg, c), lambda c: c.created))


def read(pg: Pg, ask: Ask) -> Response:
    return pg.reply(shapes.customer_full(pg, pg.customer(ask.number(0))))


def update(pg: Pg, ask: Ask) -> Response:
    found = pg.customer(ask.number(0))
    f = ask.fields()
    name, email = f.text("name"), f.text_or("email", found.email)
    _fill(found, f)
    found.name, found.email = name, email
    hooks.customer_event(pg, found, "updated")
    return pg.reply(shapes.customer(pg, found))


def delete(pg: Pg, ask: Ask) -> Response:
    """Remove a customer. One with a living subscription stays (assumed: nothing is published)."""
    found = pg.customer(ask.number(0))
    if any(s.customer is found and s.status not in words.FINAL for s in pg.subscriptions.values()):
        raise wrong("the customer has a subscription", "CUSTOMER_HAS_SUBSCRIPTION")
    del pg.customers[found.id]
    hooks.customer_event(pg, found, "deleted")
    return pg.reply({"success": True, "message": "OK"})


def session(pg: Pg, ask: Ask) -> Response:
    """A key for the self-service widget, as bare text in JSON (documented)."""
    found = pg.customer(ask.number(0))
    return pg.reply(pg.ids.uuid("session", found.id))


# Payment methods



def register_method(pg: Pg, ask: Ask) -> Response:
    """An order that the payer fulfils on the hosted page; then the method is stored (documented)."""
    order = ordering.for_method(pg, pg.customer(ask.number(0)), None, [])
    return pg.created(order_json(pg, order, fine=True))


def replace_methods(pg: Pg, ask: Ask) -> Response:
    """The same; when fulfilled, all the customer's subscriptions use the new method (documented)."""
    found = pg.customer(ask.number(0))
    theirs = [s for s in pg.subscriptions.values() if s.customer is found and s.status not in words.FINAL]
    return pg.created(order_json(pg, ordering.for_method(pg, found, None, theirs), fine=True))


def delete_method(pg: Pg, ask: Ask) -> Response:
    """Forget a saved method. Subscriptions that used it fail at their next renewal (assumed)."""
    found, number = pg.customer(ask.number(0)), ask.number(1)
    kept = [m for m in found.methods if m.id != number]
    if len(kept) == len(found.methods):
        raise unknown("payment method")
    found.methods = kept
    for s in pg.subscriptions.values():
        if s.method is not None and s.method.id == number:
            s.method = None
    return pg.done()
