"""Subscriptions as JSON: the REST answer names its id `id`, its rows spell their times differently (documented)."""

from __future__ import annotations

from typing import Any

from . import shapes
from .pg import Pg
from .state import SubItem, Subscription


def item(pg: Pg, i: SubItem) -> dict[str, Any]:
    """SubscriptionItemV1DTO."""
    return {
        "id": i.id, "code": i.code, "productName": i.product.values["name"], "productType": i.product.values["type"],
        "isOnetimePurchasable": i.product.values["isOnetimePurchasable"],
        "featuredImageUrl": i.product.values["featuredImageUrl"], "selectedProductOptionLabel": "",
        "selectedProductOptionIds": i.options, "selectedProductOptionPrice": 0, "plan": i.price.values["plan"],
        "price": pg.pointed(i.price.amount), "quantity": i.quantity, "isAdditional": False, "keepWhenRenew": True,
        "hasOptions": False, "maximumPurchaseQuantity": i.price.values["maximumPurchaseQuantity"],
        "productCode": i.product.code, "priceCode": i.price.code, "type": "SKU",
        "claimMethodType": i.price.values["claim"]["methodType"], "priceType": i.price.type,
        "selectedOptions": i.options, "parentSubscriptionItemCode": None}


def _method(s: Subscription) -> dict[str, Any] | None:
    return None if s.method is None else {"paymentGateway": s.method.gateway, "paymentInfo": s.method.info}


def _shared(pg: Pg, s: Subscription) -> dict[str, Any]:
    return {"id": s.id, "status": s.status, "items": [item(pg, i) for i in s.items], "interval": s.unit,
            "intervalCount": s.count, "endDate": pg.maybe_time(s.cancel_at or s.end),
            "price": shapes.price(pg, s.items[0].price)}


def subscription(pg: Pg, s: Subscription) -> dict[str, Any]:
    """SubscriptionV1DTO."""
    from .shapes_orders import order

    trial = None if s.trial_end is None else _period(pg, s.start, s.trial_end)
    return {
        **_shared(pg, s), "startDate": pg.time(s.start), "trialPeriod": trial, "currentPeriod": _period(pg, *s.period),
        "lastPaymentDate": pg.maybe_time(s.last_paid), "nextPaymentDate": pg.maybe_time(s.next_at),
        "originNextPaymentDate": pg.maybe_time(s.origin_next), "pausedDateTime": pg.maybe_time(s.paused),
        "parentOrder": order(pg, s.parent), "relatedOrders": [order(pg, o) for o in s.renewals],
        "customer": shapes.order_customer(pg, s.customer), "paymentMethod": _method(s), "shipping": None,
        "canceledVia": s.canceled_via, "recurringCount": s.recurring_count}


def row(pg: Pg, s: Subscription) -> dict[str, Any]:
    """SubscriptionListV1DTO."""
    return {
        **_shared(pg, s), "customerName": s.customer.name, "productName": s.parent.title,
        "startDateTime": pg.time(s.start), "lastPaymentDateTime": pg.time(s.last_paid or s.start),
        "nextPaymentDateTime": pg.maybe_time(s.next_at), "pausedDateTime": pg.maybe_time(s.paused),
        "expiredDateTime": pg.maybe_time(s.end if s.status == "EXPIRED" else None), "paymentMethod": _method(s)}


def order_subscription(pg: Pg, s: Subscription) -> dict[str, Any]:
    """OrderSubscriptionV1DTO."""
    return {**_shared(pg, s), "startDate": pg.time(s.start), "lastPaymentDate": pg.maybe_time(s.last_paid),
            "nextPaymentDate": pg.maybe_time(s.next_at), "trialEndDate": pg.maybe_time(s.trial_end)}


def customer_subscription(pg: Pg, s: Subscription) -> dict[str, Any]:
    """CustomerSubscriptionDTO."""
    used = None if s.method is None else {"id": s.method.id, "paymentInfo": s.method.info}
    return {"id": s.id, "code": s.code, "nextPaymentDateTime": pg.maybe_time(s.next_at),
            "items": [item(pg, i) for i in s.items], "status": s.status,
            "recurring": {"interval": s.unit, "intervalCount": s.count}, "paymentMethod": used,
            "endDate": pg.maybe_time(s.cancel_at or s.end), "lastPaymentDateTime": pg.maybe_time(s.last_paid)}


def _period(pg: Pg, start: Any, end: Any) -> dict[str, str]:
    return {"startDateTime": pg.time(start), "endDateTime": pg.time(end)}
