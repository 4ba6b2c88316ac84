"""The payment service: charge a key, read a receipt, give money back. It remembers no partner order id."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from paygate.money import Money
from paygate.wire import Response

from . import fulfilment, payments, words
from .pg import Outcome, Pg
from .reading import Ask, Fields, Rejected, unknown, wrong
from .shapes_orders import partner_id, receipt, seen, status
from .state import Payment


def _fields(f: Fields) -> tuple[tuple[str, str], dict[str, str], str, Money, Money]:
    """Partner ids, payer, title, amount and discount, as the SDK and the billing call both have them."""
    partner, product, customer = f.fields("partner"), f.fields("product"), f.fields("customer")
    currency = product.currency()
    product.whole("quantity", 0, loose=True)
    amount = product.money("amount", currency)
    discount = f.money("discount", currency) if f.has("discount") else Money(0, currency)
    free = f.money("taxFreeAmount", currency) if f.has("taxFreeAmount") else Money(0, currency)
    if discount > amount or free > amount:
        raise wrong("discount and taxFreeAmount may not be above the amount")
    payer = {n: customer.text_or(n, "", 300) for n in ("userName", "email", "phone")}
    ids = (partner.text("partnerOrderId", 300), partner.text("partnerUserId", 300))
    return ids, payer, product.text("itemName"), amount, discount


def prepare(pg: Pg, f: Fields, gateway: str, method: str) -> Payment:
    """A payment of its own, not yet attempted. Nothing stops two of them from carrying one partner order id.

    Raises: Rejected.
    """
    (order_id, user_id), payer, title, amount, discount = _fields(f)
    made = Payment(id=pg.ids.number("payment"), id_key=pg.ids.id_key(pg.now), ref=order_id, payment_only=True,
                   order_id=order_id, user_id=user_id, payer=payer, title=title, money=amount, discount=discount,
                   gateway=gateway, method=method, created=pg.now)
    pg.payments[made.id_key] = made
    return made


def charge(pg: Pg, ask: Ask) -> Response:
    """Charge a key. Sending it twice charges twice: no dedup is documented. The answer's shape is assumed."""
    f = ask.fields()
    key = pg.payments.get(f.text("idKey", 200))
    f.flag("isMobile")
    f.map_of_text("option")
    if key is None:
        raise unknown("payment")
    if not key.is_key or not (key.payment_only or pg.switches.billing_with_order_key):
        raise wrong("no billing key belongs to this idKey", "BILLING_KEY_NOT_FOUND")
    outcome = pg.next_charges[0] if pg.next_charges else Outcome()
    made = prepare(pg, f, key.gateway, key.method)
    if made.total.is_zero or outcome.word == "code":
        del pg.payments[made.id_key]
        if made.total.is_zero:
            raise wrong("the amount must be above 0")
        raise wrong(pg.charge_outcome().message, outcome.code)
    pg.charge_outcome()
    made.card = key.card
    if outcome.word == "failed":
        payments.fail(pg, made, outcome)
        if pg.switches.billing_failure == "error_body":
            raise wrong(outcome.message, outcome.code)
        return pg.reply(_envelope(_charged(pg, made), False, outcome.message))
    payments.take(pg, made, lag_s=pg.switches.billing_lag_s)
    made.is_key = False  # The key stays with the payment that issued it.
    top = {"idKey": made.id_key} if pg.switches.billing_id_key == "top" else {}
    return pg.reply(_envelope(_charged(pg, made)) | top)


def _charged(pg: Pg, p: Payment) -> dict[str, Any]:
    made: dict[str, Any] = {
        "idKey": p.id_key, "paymentStatus": status(pg, p), "partnerOrderId": partner_id(pg, p.order_id),
        "partnerUserId": partner_id(pg, p.user_id), "amount": pg.receipt_amount(p, p.money),
        "discount": pg.receipt_amount(p, p.discount)}
    if p.error_code and seen(pg, p):
        made |= {"errorCode": p.error_code, "errorMessage": p.error_message}
    if pg.switches.billing_id_key != "response":
        del made["idKey"]
    return made


def _envelope(response: Any, result: bool = True, message: str = "") -> dict[str, Any]:
    return {"result": result, "code": 200 if result else 400, "message": message, "id": None, "response": response}


def read_receipt(pg: Pg, ask: Ask) -> Response:
    """A payment by its idKey, managed or not. There is no other way to find one."""
    found = pg.payments.get(ask.places[0])
    if found is None:
        raise unknown("payment")
    return pg.reply(receipt(pg, found))


def cancel(pg: Pg, ask: Ask) -> Response:
    """Give back part or all of a payment. Sent twice, it gives back twice (assumed)."""
    f = ask.fields()
    found = pg.payments.get(f.text("idKey", 200))
    for name in ("refundAccount", "refundAccountBank", "refundAccountName"):
        f.maybe_text(name, 200)
    if found is None:
        raise unknown("payment")
    amount = f.money("requestPrice", found.money.currency)
    made = fulfilment.refund(pg, found, amount)
    return pg.reply(_envelope({
        "tid": made.tid, "paymentReceiptUrl": None,
        "cancelPayment": {"canceledAmount": pg.receipt_amount(found, made.money), "tid": made.tid, "errorReturn": None,
                          "option": None, "pgAuth": None, "paymentReturn": None, "paymentStatus": status(pg, found),
                          "canceledDate": pg.time(made.at)}}))


def issue_key(pg: Pg, id_key: str | None, gateway: str) -> Payment:
    """A payer registers a card with a 0-won *_BILL payment (assumed from the webhook word BILLKEY).

    Raises: Rejected for an idKey that exists.
    """
    if id_key is not None and (id_key in pg.payments or not 0 < len(id_key) <= 200):
        raise wrong("that idKey exists, or is none")
    number = pg.ids.number("issue")
    f = Fields({"partner": {"partnerOrderId": f"key-{number}", "partnerUserId": f"payer-{number}"}, "customer": {},
                "product": {"itemName": "Card registration", "amount": 0, "quantity": 1}}, 0)
    made = prepare(pg, f, gateway, "CARD_BILL")
    if id_key is not None:
        del pg.payments[made.id_key]
        made.id_key = id_key
        pg.payments[id_key] = made
    payments.take(pg, made)
    made.seen_at = made.created - timedelta(seconds=1)
    return made


def open_window(pg: Pg, f: Fields) -> Payment:
    """What the browser script's requestPay does with its parameters (documented list).

    Raises: Rejected, 403 for a wrong paymentKey.
    """
    if f.text("paymentKey") != pg.payment_key:
        raise Rejected(403, "FORBIDDEN", "the paymentKey is not valid")
    gateway = f.word("paymentGateway", words.GATEWAYS)
    method = f.word("paymentMethod", words.METHODS)
    made = prepare(pg, f, gateway, method)
    if made.total.is_zero and not method.endswith("_BILL"):
        del pg.payments[made.id_key]
        raise wrong("the amount must be above 0")
    return made
