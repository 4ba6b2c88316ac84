"""Charging a billing key or a card now: POST /subscribe/payments/again and /onetime, and the engine under both,
which dated charges and windows use as well.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from .bodies import Asked, Fields, currency_of, identity, money, required, section, text, whole
from .keys import issue, masked_card
from .records import BUYER, Card, Channel, Key, Order, Payment
from .shop import Outcome, Shop
from .words import BELOW_MINIMUM, LIMIT_EXCEEDED, NOT_BY_API, UNKNOWN_BUYER, USED, Refusal, bad, missing

_SEOUL = timedelta(hours=9)


def read_order(shop: Shop, fields: Fields, *, dated: bool = False) -> Order:
    """The order in a body. Raises: Refusal for what is missing or of the wrong kind; zero is no amount to charge."""
    merchant_uid = required(fields, "merchant_uid", 40)
    currency = currency_of(fields)
    amount = money(fields, "amount", currency)
    if amount is None:
        raise missing("amount")
    if amount.is_zero:
        raise bad("amount")
    tax_free = money(fields, "tax_free", currency)
    if tax_free is not None and tax_free > amount:
        raise bad("tax_free")
    if shop.switches.names_required:
        for name in ("name", "currency") if dated else ("name",):
            if not fields.get(name):
                raise missing(name)
    quota = whole(fields, "card_quota", most=99) or 0
    if quota >= 2 and currency == "KRW" and amount.amount < 50_000:
        raise bad("card_quota")
    whole(fields, "product_count", most=10**9)
    check_use_day(section(fields, "extra").get("naverUseCfm"), whole(fields, "schedule_at") or shop.now())
    return Order(merchant_uid=merchant_uid, money=amount, name=text(fields, "name", 40) or "",
                 buyer={name: text(fields, name, limit) for name, limit in BUYER},
                 custom_data=custom_data(fields.get("custom_data")), notice_url=text(fields, "notice_url", 2000),
                 quota=quota, promotion_id=text(fields, "promotion_id", 100))


def custom_data(value: Any) -> str | None:
    """Kept as text; a client that sends an object gets its JSON back."""
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        raise bad("custom_data") from None


def check_use_day(value: Any, at: int) -> None:
    """`naverUseCfm` is yyyyMMdd, the day of payment or later in Korean time (documented; the zone is assumed).

    Raises: Refusal.
    """
    if value is None:
        return
    # The manual writes it as text; a client that sends the same digits as a number is understood.
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not re.fullmatch("[0-9]{8}", str(value)):
        raise bad("naverUseCfm")
    try:
        datetime.strptime(str(value), "%Y%m%d")
    except ValueError:
        raise bad("naverUseCfm") from None
    if str(value) < seoul_day(at):
        raise bad("naverUseCfm")


def seoul_day(at: int) -> str:
    day = datetime.fromtimestamp(at, UTC) + _SEOUL
    return f"{day.year:04}{day.month:02}{day.day:02}"


def new_payment(shop: Shop, order: Order, channel: Channel, *, via: str, card: Card | None, key: str | None,
                usage: str | None) -> Payment:
    """A record, kept, not yet paid. Ids: imp_ from a window, imps_ from a server's call (observed)."""
    kind = "imps_" if via == "api" else "imp_"
    method = shop.switches.pay_method if channel.is_naver else "card"
    imp_uid = kind + shop.digits(kind, 12)
    return shop.keep(Payment(imp_uid=imp_uid, number=len(shop.payments) + 1, order=order, channel=channel, via=via,
                             started=shop.now(), updated=shop.now(), pay_method=method, card=card, key=key,
                             usage=usage))


def fail(shop: Shop, payment: Payment, reason: str) -> None:
    payment.status, payment.fail_reason = "failed", reason
    payment.failed = payment.updated = shop.now()


def settle(shop: Shop, payment: Payment, outcome: Outcome) -> None:
    """Take the money, or decline. A registration takes none."""
    order = payment.order
    least = shop.switches.minimum_won
    if payment.usage != "issue" and payment.channel.is_naver and order.money.currency == "KRW" \
            and order.money.amount < least:
        fail(shop, payment, BELOW_MINIMUM)
        return
    if outcome.kind != "paid":
        fail(shop, payment, outcome.message or LIMIT_EXCEEDED)
        return
    payment.status = "paid"
    payment.paid = payment.updated = shop.now()
    payment.pg_tid = f"{seoul_day(shop.now())}{'NP' if payment.channel.is_naver else 'CD'}{shop.digits('tid', 10)}"
    if payment.usage == "issue":
        return
    payment.apply_num = shop.digits("apply", 8)
    if payment.pay_method == "point":
        payment.points = order.money.amount
    shop.move("charge", order.merchant_uid, payment.imp_uid, order.money)


def next_outcome(shop: Shop) -> Outcome:
    return shop.outcomes.popleft() if shop.outcomes else Outcome("paid")


def charge(shop: Shop, order: Order, channel: Channel, card: Card, key: str | None, usage: str | None) -> Payment:
    """Charge now, by API. A decline is a record too, and silent; only a success sends a webhook (documented).

    Raises: Refusal where the test asked for a `code` other than 0.
    """
    outcome = next_outcome(shop)
    if outcome.kind == "code":
        raise Refusal(outcome.message or LIMIT_EXCEEDED, code=-1)
    payment = new_payment(shop, order, channel, via="api", card=card, key=key, usage=usage)
    settle(shop, payment, outcome)
    if payment.status == "paid" or shop.switches.failed_hooks:
        shop.tell(payment)
    return payment


def refuse_used(shop: Shop, merchant_uid: str) -> None:
    if shop.is_used(merchant_uid):
        raise Refusal(USED, code=shop.switches.duplicate_code)


def again(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /subscribe/payments/again. The duplicate check comes before the key is looked at (inferred)."""
    fields = asked.body
    customer_uid = required(fields, "customer_uid", 80)
    order = read_order(shop, fields)
    refuse_used(shop, order.merchant_uid)
    key = shop.keys.get(customer_uid)
    if key is None:
        raise Refusal(UNKNOWN_BUYER)
    made = charge(shop, for_key(order, key), key.channel, key.card, customer_uid, "payment")
    return made.shown(shop.switches.sandbox)


def for_key(order: Order, key: Key) -> Order:
    """Buyer fields a charge leaves out come from the key (documented for dated charges; assumed for immediate ones)."""
    for name, _ in BUYER:
        if order.buyer.get(name) is None:
            order.buyer[name] = (key.customer.get(name.replace("buyer", "customer")) or "")[:dict(BUYER)[name]] or None
    return order


def onetime(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /subscribe/payments/onetime: card data by API, which NaverPay does not take (documented)."""
    fields = asked.body
    order = read_order(shop, fields)
    customer_uid = identity(fields, "customer_uid", 80)
    channel = shop.channel(text(fields, "channel_key", 55), text(fields, "pg", 80), by_api=True)
    refuse_used(shop, order.merchant_uid)
    if channel.is_naver:
        raise Refusal(NOT_BY_API)
    card = masked_card(fields)
    made = charge(shop, order, channel, card, customer_uid, "payment" if customer_uid else None)
    if customer_uid and made.status == "paid":
        issue(shop, customer_uid, channel, card, {n.replace("buyer", "customer"): v for n, v in order.buyer.items()},
              None)
    return made.shown(shop.switches.sandbox)
