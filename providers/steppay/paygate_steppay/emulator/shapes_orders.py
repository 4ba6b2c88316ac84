"""Orders and payments as JSON. What has happened is shown only once its time has come (`Payment.seen_at`)."""

from __future__ import annotations

from typing import Any

from paygate.money import Money

from . import shapes, words
from .pg import Pg, plain
from .state import Item, Order, Payment, Refund


def seen(pg: Pg, payment: Payment) -> bool:
    """False while look-ups still lag behind what has happened."""
    return payment.seen_at is None or pg.now >= payment.seen_at


def status(pg: Pg, payment: Payment) -> str:
    """The payment's status as look-ups show it."""
    if not seen(pg, payment):
        return words.STANDBY
    return words.CANCEL_PROGRESS if under_way(pg, payment) else payment.status


def under_way(pg: Pg, payment: Payment) -> list[Refund]:
    """The refunds that look-ups do not show yet."""
    return [r for r in payment.refunds if r.seen_at > pg.now]


def _returned(pg: Pg, payment: Payment) -> Money:
    """What was given back as look-ups show it."""
    hidden = sum(r.money.amount for r in under_way(pg, payment))
    return payment.returned - Money(hidden, payment.money.currency)


def order(pg: Pg, o: Order, *, fine: bool = False) -> dict[str, Any]:
    """OrderV1DTO and ProductOrderdto in one."""
    from .shapes_subscriptions import order_subscription

    shown = seen(pg, o.payment)
    zero = Money(0, o.currency)
    paid = o.payment.total if shown and o.payment.status in words.TOOK_MONEY else zero
    p = o.payment
    back = _returned(pg, p) if shown else zero
    return {
        "id": o.id, "orderId": o.id, "orderCode": o.code, "code": o.code, "type": o.type, "paidAmount": pg.bare(paid),
        "returnedAmount": pg.pointed(back), "leftAmount": pg.pointed(paid - back),
        "discountedAmount": 0, "productName": o.title, "items": [item(pg, o, i, fine=fine) for i in o.items],
        "customer": shapes.order_customer(pg, o.customer), "paymentDate": pg.maybe_time(p.paid_at) if shown else None,
        "paymentDueDate": None, "purchaseDeadline": pg.maybe_time(o.deadline), "shipping": None,
        "createdAt": pg.time(o.created, fine=fine), "modifiedAt": pg.time(o.modified, fine=fine),
        "payment": order_payment(pg, o) if shown else None,
        "orderLogs": [{"id": n, "type": kind, "content": text, "createdAt": pg.time(at)}
                      for n, kind, text, at in o.logs],
        "idKey": p.id_key, "subscriptions": [order_subscription(pg, s) for s in o.subscriptions] if shown else [],
        "parentSubscription": None if o.parent is None else order_subscription(pg, o.parent), "relatedOrders": [],
        "calculateStartDate": None, "calculateEndDate": None, "childOrders": [], "invoiceId": None,
        "currency": o.currency}


def item(pg: Pg, o: Order, i: Item, *, fine: bool = False) -> dict[str, Any]:
    """OrderItemV1DTO and ProductOrderitemdto in one."""
    shown = seen(pg, o.payment)
    sku = i.type == "SKU"
    return {
        "id": i.id, "code": i.code, "paidAmount": pg.bare(i.paid) if shown else 0, "currency": o.currency,
        "quantity": i.quantity if shown else 0, "price": shapes.price(pg, i.price) if sku else None,
        "product": shapes.product(pg, i.product) if sku else None, "type": i.type,
        "status": _item_status(pg, o, i) if shown else words.CREATED,
        "featuredImageUrl": i.product.values["featuredImageUrl"],
        "selectedProductOptionLabel": "", "selectedProductOptionIds": i.options,
        "createdAt": pg.time(i.created, fine=fine), "canceledDateTime": pg.maybe_time(i.canceled),
        "orderItemCode": i.code, "modifiedAt": pg.time(i.modified, fine=fine),
        "orderedProductType": i.product.values["type"], "orderedProductName": i.product.values["name"],
        "orderedPlanName": i.price.values["plan"]["name"], "discountName": None, "relatedOrderItemId": None,
        "priceSetupType": None, "demoCycle": None, "usedCount": None, "usageFormula": None, "deliveryCode": None,
        "histories": None, "minimumQuantity": i.minimum, "maximumQuantity": i.maximum, "parentOrderItemCode": None,
        "unitChangeHistory": None, "unitCount": None}


def _item_status(pg: Pg, o: Order, i: Item) -> str:
    refunded = i.status in (words.REFUNDED, words.REFUNDED_PARTIALLY)
    return words.REFUNDING if refunded and under_way(pg, o.payment) else i.status


def order_payment(pg: Pg, o: Order) -> dict[str, Any] | None:
    """OrderPaymentV1DTO, or null before an attempt."""
    p = o.payment
    if not p.attempted and not pg.switches.payment_before_attempt:
        return None
    payer = {"name": o.customer.name, "email": o.customer.email, "phone": o.customer.phone}
    return {
        "paymentMethod": p.method if p.attempted else None, "paymentDate": pg.maybe_time(p.paid_at),
        "amount": plain(p.money.decimal), "discount": plain(p.discount.decimal), "paymentReturn": {},
        "paymentReceiptUrl": _receipt_url(p), "paymentGateway": p.gateway if p.attempted else "UNKNOWN",
        "cardNumber": p.card, "vbankDTO": _virtual_account(pg, p), "niceCmsDTO": None,
        "customerDTO": payer if p.attempted else None,
        "errorCode": p.error_code, "errorMessage": p.error_message}


def order_row(pg: Pg, o: Order) -> dict[str, Any]:
    """OrderListV1DTO."""
    whole = order(pg, o)
    names = ("id", "code", "type", "productName", "items", "paymentDate", "purchaseDeadline", "createdAt", "modifiedAt",
             "paidAmount", "returnedAmount", "leftAmount")
    return {**{n: whole[n] for n in names}, "customerName": o.customer.name,
            "price": int(o.payment.total.decimal), "claimMethodType": _claim(o)}


def customer_order(pg: Pg, o: Order) -> dict[str, Any]:
    """CustomerOrderDTO."""
    return {"id": o.id, "type": o.type, "productName": o.title, "amount": pg.bare(o.payment.left),
            "claimMethodType": _claim(o), "createdAt": pg.time(o.created)}


def receipt(pg: Pg, p: Payment) -> dict[str, Any]:
    """What GET /api/payment/receipt/{idKey} answers (fields partly documented, partly observed, see each)."""
    word = status(pg, p)
    if pg.switches.status_words == "2023":
        word = words.OLD_STATUS_WORDS.get(word, word)
    shown = seen(pg, p)
    made: dict[str, Any] = {
        "idKey": p.id_key, "paymentStatus": word, "paymentMethod": p.method, "paymentGateway": p.gateway,
        "partnerOrderId": partner_id(pg, p.order_id), "partnerUserId": partner_id(pg, p.user_id),
        "amount": pg.receipt_amount(p, p.money), "discount": pg.receipt_amount(p, p.discount), "cardNumber": p.card,
        "paymentDate": pg.maybe_time(p.paid_at) if shown else None, "paymentReceiptUrl": _receipt_url(p),
        "paymentReturn": {}, "vbankDTO": _virtual_account(pg, p), "niceCmsDTO": None,
        "customerDTO": {"name": p.payer["userName"], "email": p.payer["email"], "phone": p.payer["phone"]},
        "errorCode": p.error_code if shown else None, "errorMessage": p.error_message if shown else None}
    if pg.switches.receipt_cancels:
        refunds = [r for r in p.refunds if r.seen_at <= pg.now]
        made["cancel"] = {"canceledAmount": pg.receipt_amount(p, _returned(pg, p)),
                          "lastCanceledDate": pg.maybe_time(refunds[-1].at if refunds else None)}
        made["cancelHistory"] = [
            {"canceledAmount": pg.receipt_amount(p, r.money), "tid": r.tid, "canceledDate": pg.time(r.at)}
            for r in refunds]
    return made


def partner_id(pg: Pg, text: str) -> str | int:
    """A partner's id as a receipt writes it."""
    number = pg.switches.partner_ids == "number" and text.isascii() and text.isdigit() and len(text) < 19
    return int(text) if number else text


def deposit_account(pg: Pg, p: Payment) -> dict[str, Any]:
    """VBankDTO, with an account that does not exist."""
    return {"bankCode": "004", "bankName": "KB", "accountNumber": f"9000{p.id:010d}", "accountName": "StepPay emulator",
            "bankDate": pg.time(p.created)}


def _virtual_account(pg: Pg, p: Payment) -> dict[str, Any] | None:
    return deposit_account(pg, p) if p.method == "VBANK" and p.attempted else None


def _receipt_url(p: Payment) -> str | None:
    return f"https://receipt.example.invalid/{p.id_key}" if p.paid_at else None


def _claim(o: Order) -> str:
    return "POST" if o.items and o.items[0].price.postpaid else "PRE"
