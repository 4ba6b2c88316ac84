"""Customers, products, prices and pages as JSON, with every field that the published V1 specification requires."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from .pg import Pg, plain
from .reading import INT32, wrong
from .state import Customer, Price, Product
from .times import read

T = TypeVar("T")
_NO_SETUP = {"id": 0, "name": "", "type": "INITIALLY", "price": 0, "claimMethodType": "PRE"}
MARKETING = ("marketingSms", "marketingEmail", "marketingKakao")


def price(pg: Pg, p: Price, *, fine: bool = False) -> dict[str, Any]:
    """PriceV1DTO and ProductPricedto in one."""
    v = p.values
    return {
        "id": p.id, "code": p.code, "price": pg.pointed(p.amount), "unit": v["unit"],
        "planName": v["plan"]["name"], "planDescription": v["plan"]["description"], "type": p.type,
        "enabledFirstSalePrice": v["firstSale"]["enabled"], "firstSalePrice": v["firstSale"]["price"],
        "claimMethodType": v["claim"]["methodType"], "whenToClaimType": v["claim"]["whenToClaimType"],
        "billingDate": v["claim"]["billingDate"], "maximumPurchaseQuantity": v["maximumPurchaseQuantity"],
        "membershipExpirationDate": v["membershipExpirationDate"],
        "membershipExpirationDateType": v["membershipExpirationDateType"],
        "setupOption": v["setupOption"] or (_NO_SETUP if pg.switches.setup_echo else None),
        "options": [], "volumes": [], "additionalBilling": None, "recurring": p.recurring,
        "createdAt": pg.time(p.created, fine=fine), "modifiedAt": pg.time(p.modified, fine=fine), "plan": v["plan"],
        "firstSale": v["firstSale"], "claim": v["claim"], "basicServing": v["basicServing"], "bundlePrices": [],
        "onetimeBundlePrice": plain(v["onetimeBundlePrice"]), "order": 0}


def prices(pg: Pg, p: Product, where: str) -> list[dict[str, Any]]:
    """The price plans of a product, as the price "list" or the "product" itself shows them."""
    hidden = pg.switches.hidden_plans in ("everywhere", where)
    return [price(pg, each) for each in p.prices if hidden or not each.values["plan"]["isHiddenFromShop"]]


def product(pg: Pg, p: Product, *, fine: bool = False) -> dict[str, Any]:
    """ProductV1DTO and ProductProductdto in one."""
    return {
        "id": p.id, "code": p.code, "reasonOfReject": None, "combinedProducts": [], "optionGroups": [],
        "optionCombinations": [], "categories": [], "vendorUuid": p.uuid, "groupId": None, "countrySetting": None,
        "prices": prices(pg, p, "product"), "createdAt": pg.time(p.created, fine=fine),
        "modifiedAt": pg.time(p.modified, fine=fine), **p.values}


def product_row(pg: Pg, p: Product) -> dict[str, Any]:
    """ProductListDTO."""
    whole = product(pg, p)
    names = ("id", "code", "type", "status", "name", "quantity", "featuredImageUrl", "prices", "createdAt",
             "modifiedAt", "description", "categories", "vendorUuid", "enabledDemo",
             "isOnetimePurchasable", "productOrder", "countrySetting")
    return {n: whole[n] for n in names}


def customer(pg: Pg, c: Customer, *, fine: bool = False) -> dict[str, Any]:
    """CustomerV1DTO."""
    return {"id": c.id, "username": c.username, "name": c.name, "email": c.email, "phone": c.phone, "code": c.code,
            **c.marketing, "createdAt": pg.time(c.created, fine=fine)}


def methods(c: Customer) -> list[dict[str, Any]]:
    """A customer's saved payment methods."""
    return [{"id": m.id, "paymentInfo": m.info} for m in c.methods]


def customer_row(pg: Pg, c: Customer) -> dict[str, Any]:
    """CustomerListDTO."""
    return {**customer(pg, c), "status": "NORMAL", "paymentMethods": methods(c), "dormantAt": None,
            "orderCount": sum(o.customer is c for o in pg.orders.values()),
            "activeSubscriptionCount": sum(s.customer is c and s.status == "ACTIVE" for s in pg.subscriptions.values()),
            "customFields": c.attributes, "countryCode": "KR"}


def order_customer(pg: Pg, c: Customer) -> dict[str, Any]:
    """OrderCustomerDTO and SubscriptionCustomerV1DTO in one."""
    return {**customer(pg, c), "uuid": c.uuid, "status": "NORMAL", "shipping": _shipping(c), "attributes": c.attributes}


def _shipping(c: Customer) -> dict[str, str | None] | None:
    if c.shipping is None or not c.phone:
        return None
    return {"name": c.name, "phone": c.phone, **c.shipping}


def customer_full(pg: Pg, c: Customer) -> dict[str, Any]:
    """ProductCustomerdto."""
    from .shapes_orders import customer_order
    from .shapes_subscriptions import customer_subscription

    orders = [o for o in pg.orders.values() if o.customer is c]
    subscriptions = [s for s in pg.subscriptions.values() if s.customer is c]
    spent = sum((o.payment.left.decimal for o in orders), start=Decimal(0))
    return {**customer(pg, c), "status": "NORMAL", "orderCount": len(orders), "totalPurchasedPrice": plain(spent),
            "shipping": _shipping(c), "orders": [customer_order(pg, o) for o in orders],
            "subscriptions": [customer_subscription(pg, s) for s in subscriptions], "paymentMethods": methods(c),
            "attributes": c.attributes, "additionalRecipients": []}


def page(pg: Pg, query: Mapping[str, str], things: Sequence[T], write: Callable[[T], Any],
         created: Callable[[T], Any]) -> dict[str, Any]:
    """A page of a list, newest first unless asked otherwise (documented).

    Raises: Rejected for a page, size, direction or date that is none.
    """
    number, size = _whole(query, "page", 0, 0), _whole(query, "size", 20, 1)
    direction = query.get("sortDir", "DESC")
    if direction not in ("ASC", "DESC"):
        raise wrong("sortDir must be ASC or DESC")
    start, end = (_date(pg, query, n) for n in ("startDate", "endDate"))
    kept = [t for t in things if (start is None or created(t) >= start) and (end is None or created(t) <= end)]
    if direction == "DESC":
        kept = kept[::-1]
    shown = kept[number * size:(number + 1) * size]
    pages = -(-len(kept) // size)
    sort = {"empty": False, "sorted": True, "unsorted": False}
    return {
        "content": [write(t) for t in shown], "empty": not shown, "first": number == 0, "last": number + 1 >= pages,
        "number": number, "numberOfElements": len(shown), "size": size, "sort": sort, "totalElements": len(kept),
        "totalPages": pages, "pageable": {"offset": min(number * size, INT32), "pageNumber": number, "pageSize": size,
                                          "paged": True, "unpaged": False, "sort": sort}}


def _whole(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, "")
    if text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least):
        raise wrong(f"{name} must be a whole number from {least}")
    return int(text)


def _date(pg: Pg, query: Mapping[str, str], name: str) -> Any:
    if not query.get(name):
        return None
    try:
        return read(query[name], pg.switches.zone_hours)
    except ValueError:
        raise wrong(f"{name} must be an ISO 8601 time") from None
