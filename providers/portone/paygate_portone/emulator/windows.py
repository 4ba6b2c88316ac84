"""The payment window: what the browser SDK opens, and what the payer does in it.

A browser's parameters come in, a browser's hints go out; none of the hints proves anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from .bodies import Fields, currency_of, identity, money, required, text, truth
from .charging import check_use_day, custom_data, fail, new_payment, settle
from .keys import issue
from .records import BUYER, Card, Json, Order, Payment, number
from .shop import Outcome, Shop, Window
from .words import LIMIT_EXCEEDED, PAYER_CLOSED, USED, Refusal, bad, missing


def open_window(shop: Shop, params: Mapping[str, Any]) -> Window:
    """Open the window on what `IMP.request_pay` would be given; with `customer_uid` it registers a billing key.

    A record is kept as `ready` from now on; a window that is left stays so.

    Raises: Refusal for what the window would refuse: a used merchant_uid, an amount other than the one prepared,
    an amount that is no number, a missing parameter.
    """
    fields: Fields = dict(params)
    merchant_uid = required(fields, "merchant_uid", 40)
    if isinstance(fields.get("amount"), str):
        raise bad("amount")  # a number type since 2024-03-15 (documented)
    currency = currency_of(fields)
    amount = money(fields, "amount", currency)
    if amount is None:
        raise missing("amount")
    customer_uid = identity(fields, "customer_uid", 80)
    name = text(fields, "name", 40)
    if not name:
        raise missing("name")
    channel = shop.channel(text(fields, "channelKey", 55), text(fields, "pg", 80), by_api=False)
    redirect_url = text(fields, "m_redirect_url", 2000)
    if channel.is_naver:
        if customer_uid and shop.switches.window_needs_tel and not fields.get("buyer_tel"):
            raise missing("buyer_tel")
        if shop.switches.window_needs_redirect and not redirect_url and not truth(fields, "naverPopupMode"):
            raise missing("m_redirect_url")
        check_use_day(fields.get("naverUseCfm"), shop.now())
    if redirect_url is not None:
        _check_url(redirect_url)
    if shop.is_used(merchant_uid):
        raise Refusal(USED, code=shop.switches.duplicate_code)
    prepared = shop.prepared.get(merchant_uid)
    if prepared and (prepared.amount != number(amount) or prepared.currency not in (None, currency)):
        raise bad("사전등록된 금액과 결제금액이 일치하지 않습니다.")
    order = Order(merchant_uid=merchant_uid, money=amount, name=name,
                  buyer={field: text(fields, field, limit) for field, limit in BUYER},
                  custom_data=custom_data(fields.get("custom_data")),
                  notice_url=text(fields, "notice_url", 2000))
    payment = new_payment(shop, order, channel, via="pc", card=Card(), key=customer_uid,
                          usage="issue" if customer_uid else None)
    window = Window(f"window-{len(shop.windows) + 1}", payment, customer_uid, redirect_url)
    shop.windows.append(window)
    return window


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise bad("m_redirect_url") from None
    if not parts.scheme or not url.isprintable():
        raise bad("m_redirect_url")


def act(shop: Shop, order_id: str, action: str, message: str | None, points: int, after_s: float) -> Json | None:
    """The payer acts in the newest open window of `order_id`, or in the open one of that id (see `decide`).

    Raises: ValueError where no such window is open, or for another action.
    """
    window = next((w for w in reversed(shop.windows)
                   if w.is_open and order_id in (w.id, w.payment.order.merchant_uid)), None)
    if window is None:
        raise ValueError("no open window for this order_id")
    return decide(shop, window, action, message, points, after_s)


def decide(shop: Shop, window: Window, action: str, message: str | None, points: int = 0,
           after_s: float = 600) -> Json | None:
    """The payer acts in an open window. Returns the browser's hints; None where the browser is gone ("late": the
    approval arrives `after_s` seconds on).

    Raises: ValueError for another action.
    """
    if action not in ("approve", "decline", "close", "late"):
        raise ValueError("action is approve, decline, close or late")
    if isinstance(after_s, bool) or not isinstance(after_s, (int, float)) or not 0 <= after_s <= 10**9:
        raise ValueError("after_s is a number of seconds from now")
    window.is_open = False
    if action == "late":
        window.late_at = shop.clock.now() + timedelta(seconds=after_s)
        shop.clock.at(window.late_at, lambda: _arrive(shop, window, points))
        return None
    if action == "close":
        window.came = left(window, message)
        return window.came
    if action == "decline":
        fail(shop, window.payment, message or LIMIT_EXCEEDED)
    else:
        _approve(shop, window, points)
    window.came = hints(window, window.payment.fail_reason)
    return window.came


def left(window: Window, message: str | None = None) -> Json:
    """The hints of a window that the payer closes."""
    return hints(window, message or PAYER_CLOSED, code="USER_CANCEL")


def _arrive(shop: Shop, window: Window, points: int) -> None:
    window.late_at = None
    _approve(shop, window, points)


def _approve(shop: Shop, window: Window, points: int) -> None:
    payment = window.payment
    if shop.is_paid(payment.order.merchant_uid):
        fail(shop, payment, USED)
        return
    settle(shop, payment, Outcome("paid"))
    if payment.status != "paid":
        return
    if window.customer_uid is None:
        if points:
            payment.points = min(points, payment.order.money.amount)
            payment.pay_method = "point" if payment.points == payment.order.money.amount else payment.pay_method
        shop.tell(payment)
        return
    buyer = payment.order.buyer
    issue(shop, window.customer_uid, payment.channel, payment.card or Card(),
          {name.replace("buyer", "customer"): buyer.get(name) for name, _ in BUYER}, None)
    if shop.switches.registration_hook:
        shop.tell(payment)


def hints(window: Window, error: str | None, code: str = "PAYMENT_FAILED") -> Json:
    """What the browser is told: `callback` in a pop-up, `query` and `redirect_url` where the page is left.

    Source: JavaScript SDK V1 pages (documented); `imp_success` and the payment's fields are older SDKs' (documented).
    """
    payment = window.payment
    query = {"imp_uid": payment.imp_uid, "merchant_uid": payment.order.merchant_uid,
             "imp_success": "false" if error else "true"}
    if error:
        query |= {"error_code": code, "error_msg": error}
    return {"callback": _callback(payment, error, code), "query": query,
            "redirect_url": with_query(window.redirect_url, query) if window.redirect_url else None}


def _callback(payment: Payment, error: str | None, code: str) -> Json:
    order = payment.order
    return {
        "success": not error, "imp_success": not error, "imp_uid": payment.imp_uid,
        "merchant_uid": order.merchant_uid, "error_code": code if error else None, "error_msg": error,
        "paid_amount": 0 if error else number(order.money), "currency": order.money.currency,
        "status": payment.status, "pay_method": payment.pay_method, "pg_provider": payment.channel.provider,
        "pg_tid": payment.pg_tid, "apply_num": payment.apply_num, "name": order.name,
        **{name: order.buyer.get(name) for name, _ in BUYER}, "custom_data": order.custom_data,
        "customer_uid": payment.key, "paid_at": payment.paid,
        "receipt_url": f"https://receipt.example.invalid/{payment.imp_uid}" if payment.paid else None,
    }


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Add to a URL's query, which may be there already, and keep its fragment last."""
    base, mark, fragment = url.partition("#")
    return f"{base}{'&' if '?' in base else '?'}{urlencode(query, errors='replace')}{mark}{fragment}"
