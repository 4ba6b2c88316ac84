"""/api/v1/products and their price plans."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from paygate.wire import Response

from . import hooks, shapes, times, words
from .pg import Pg
from .reading import INT32, Ask, Fields, wrong
from .state import Price, Product

_TEXTS = ("subTitle", "featuredImageUrl", "description")
_MAYBE_TEXTS = ("summary", "sku", "notice")
_WIDGET = ("useDemo", "useEventBadge", "useOnetimePurchasable", "useNotice")


def _values(f: Fields, old: dict[str, Any]) -> dict[str, Any]:
    """A product's own fields; what is not sent stays as it was."""
    for b in f.every("eventBadge"):
        b.maybe_moment("startDateTime"), b.maybe_moment("endDateTime")
    badges = [{"event": b.text("event"), "startDateTime": b.maybe_text("startDateTime", 40),
               "endDateTime": b.maybe_text("endDateTime", 40)} for b in f.every("eventBadge")]
    widget = f.maybe_fields("useWidget")
    return {
        "type": f.word("type", words.PRODUCT_TYPES, old["type"]),
        "status": f.word("status", words.PRODUCT_STATUSES, old["status"]), "name": f.text_or("name", old["name"], 1000),
        **{n: f.text_or(n, old[n]) for n in _TEXTS}, **{n: f.maybe_text(n) or old[n] for n in _MAYBE_TEXTS},
        "imageUrls": f.texts("imageUrls") if f.has("imageUrls") else old["imageUrls"],
        "quantity": f.whole("quantity", 0) if f.has("quantity") else old["quantity"],
        "enabledDemo": f.flag("enabledDemo", old["enabledDemo"]),
        "demoPeriod": f.whole("demoPeriod", 0, 3650, old["demoPeriod"]),
        "demoPeriodUnit": f.word("demoPeriodUnit", words.UNITS, old["demoPeriodUnit"]),
        "useCombination": f.flag("useCombination", old["useCombination"]),
        "productOrder": f.whole("productOrder", 0, INT32, old["productOrder"]),
        "isOnetimePurchasable": f.flag("isOnetimePurchasable", old["isOnetimePurchasable"]),
        "eventBadge": badges or old["eventBadge"],
        "useWidget": {n: widget.flag(n) for n in _WIDGET} if widget else old["useWidget"]}


_FRESH: dict[str, Any] = {
    "type": "SOFTWARE", "status": "SALE", "name": "", "subTitle": "", "featuredImageUrl": "", "description": "",
    "summary": None, "sku": None, "notice": None, "imageUrls": [], "quantity": None, "enabledDemo": False,
    "demoPeriod": 7, "demoPeriodUnit": "DAY", "useCombination": False, "productOrder": 0, "isOnetimePurchasable": False,
    "eventBadge": [], "useWidget": dict.fromkeys(_WIDGET, False)}


def create(pg: Pg, ask: Ask) -> Response:
    f = ask.fields()
    f.text("name"), f.text("type"), f.text("status")
    made = add(pg, _values(f, _FRESH))
    hooks.product_event(pg, made, "created")
    return pg.created(shapes.product(pg, made, fine=True))


def add(pg: Pg, values: dict[str, Any] | None = None, name: str = "") -> Product:
    """A new product."""
    number = pg.ids.number("product")
    made = Product(id=number, code=pg.ids.code("product", number), uuid=pg.ids.uuid("vendor", 0), created=pg.now,
                   modified=pg.now, values=values or {**_FRESH, "name": name})
    pg.products[number] = made
    return made


def listing(pg: Pg, ask: Ask) -> Response:
    word, status = ask.query.get("keyword", ""), ask.query.get("status", "")
    if status and status not in words.PRODUCT_STATUSES:
        raise wrong("status is not one of its values")
    found = [p for p in pg.products.values() if word in p.values["name"] and status in ("", p.values["status"])]
    if ask.query.get("categoryId"):
        found = []
    return pg.reply(shapes.page(pg, ask.query, found, lambda p: shapes.product_row(pg, p), lambda p: p.created))


def read(pg: Pg, ask: Ask) -> Response:
    """By code, unlike all that changes a product (documented)."""
    return pg.reply(shapes.product(pg, pg.product_by_code(ask.places[0])))


def update(pg: Pg, ask: Ask) -> Response:
    found = pg.product(ask.number(0))
    found.values = _values(ask.fields(), found.values)
    found.modified = pg.now
    hooks.product_event(pg, found, "updated")
    return pg.reply(shapes.product(pg, found))


def delete(pg: Pg, ask: Ask) -> Response:
    found = pg.product(ask.number(0))
    del pg.products[found.id]
    hooks.product_event(pg, found, "deleted")
    return pg.done()


def set_status(pg: Pg, ask: Ask) -> Response:
    found = pg.product(ask.number(0))
    if ask.query.get("status") not in words.SETTABLE_STATUSES:
        raise wrong("status must be SALE, OUT_OF_STOCK or UNSOLD")
    found.values = {**found.values, "status": ask.query["status"]}
    hooks.product_event(pg, found, "updated")
    return pg.done()


# Price plans

def _plan(f: Fields) -> dict[str, Any]:
    p = f.fields("plan")
    if not isinstance(p.raw.get("description"), str):
        raise wrong("plan.description is required")
    return {"name": p.text("name"), "description": p.text_or("description", ""),
            "detailDescription": p.maybe_text("detailDescription"), "isHiddenFromShop": p.flag("isHiddenFromShop"),
            "adminName": p.maybe_text("adminName")}


def _claim(f: Fields) -> dict[str, Any]:
    c = f.maybe_fields("claim")
    if c is None:
        return {"methodType": "PRE", "whenToClaimType": "FIRST_PAYMENT", "billingDate": 0, "provideStartDay": None}
    return {"methodType": c.word("methodType", words.CLAIMS, "PRE"),
            "whenToClaimType": c.word("whenToClaimType", words.CLAIM_STARTS, "FIRST_PAYMENT"),
            "billingDate": c.whole("billingDate", 0, 31, 0),
            "provideStartDay": c.whole("provideStartDay", 0, 31) if c.has("provideStartDay") else None}


def _price_values(pg: Pg, f: Fields) -> dict[str, Any]:
    sale, setup = f.maybe_fields("firstSale"), f.maybe_fields("setupOption")
    limit = 10**12
    return {
        "unit": f.text("unit"), "plan": _plan(f), "claim": _claim(f),
        "firstSale": {"enabled": bool(sale and sale.flag("enabled")),
                      "price": sale.whole("price", 0, limit, 0) if sale else 0},
        "setupOption": None if setup is None else {
            "id": pg.ids.number("setup"), "name": setup.text("name"), "type": setup.word("type", words.SETUPS),
            "price": setup.whole("price", 0, limit, 0),
            "claimMethodType": setup.word("claimMethodType", words.CLAIMS, "PRE")},
        "maximumPurchaseQuantity": f.whole("maximumPurchaseQuantity", 0, INT32, 0),
        "membershipExpirationDate": f.whole("membershipExpirationDate", 0, 3650, 0),
        "membershipExpirationDateType": f.maybe_word("membershipExpirationDateType", words.UNITS),
        "expiryRecurringCount": f.whole("expiryRecurringCount", 0, INT32, 0),
        "basicServing": f.whole("basicServing", 0, INT32, 0),
        "onetimeBundlePrice": f.amount("onetimeBundlePrice", Decimal(0))}


def _recurring(pg: Pg, f: Fields) -> dict[str, Any]:
    r = f.fields("recurring")
    unit = r.word("interval", words.UNITS)
    return {"id": pg.ids.number("recurring"), "interval": unit,
            "intervalCount": r.whole("intervalCount", 1, times.LONGEST[unit]),
            "aggregateUsageType": r.word("aggregateUsageType", words.AGGREGATES, "SUM"),
            "usageType": r.word("usageType", words.USAGES, "LICENSED")}


def prices(pg: Pg, ask: Ask) -> Response:
    return pg.reply(shapes.prices(pg, pg.product(ask.number(0)), "list"))


def create_price(pg: Pg, ask: Ask) -> Response:
    product, f = pg.product(ask.number(0)), ask.fields()
    kind = f.word("type", words.PRICE_TYPES)
    values = _price_values(pg, f)
    recurring = None if kind == "ONE_TIME" else _recurring(pg, f)
    amount, number = f.amount("price", Decimal(0)), pg.ids.number("price")
    made = Price(id=number, code=pg.ids.code("price", number), product=product, type=kind, amount=amount, values=values,
                 recurring=recurring, created=pg.now, modified=pg.now)
    product.prices.append(made)
    hooks.price_event(pg, made, "created")
    return pg.created(shapes.price(pg, made, fine=True))


def read_price(pg: Pg, ask: Ask) -> Response:
    return pg.reply(shapes.price(pg, pg.price(pg.product(ask.number(0)), ask.number(1))))


def update_price(pg: Pg, ask: Ask) -> Response:
    """Once an order names the plan, only its name and description change (documented)."""
    found, f = pg.price(pg.product(ask.number(0)), ask.number(1)), ask.fields()
    if found.ordered:
        found.values = {**found.values, "plan": _plan(f)}
    else:
        values, amount = _price_values(pg, f), f.amount("price", found.amount)
        if f.has("recurring") and found.recurring is not None:
            found.recurring = _recurring(pg, f)
        found.values, found.amount = values, amount
    found.modified = pg.now
    hooks.price_event(pg, found, "updated")
    return pg.reply(shapes.price(pg, found))


def delete_price(pg: Pg, ask: Ask) -> Response:
    found = pg.price(pg.product(ask.number(0)), ask.number(1))
    found.product.prices.remove(found)
    hooks.price_event(pg, found, "deleted")
    return pg.done()
