"""Billing keys: /subscribe/customers and what hangs on one."""

from __future__ import annotations

import re
from typing import Any

from .bodies import Asked, Fields, clean_id, identities, text
from .pages import page_of
from .records import CUSTOMER, Card, Channel, Key
from .shop import Shop
from .words import BAD_CARD, BAD_EXPIRY, NOT_BY_API, Refusal, Some, bad, missing

_CARD_NUMBER = re.compile(r"(?:[0-9][ -]?){13,19}")


def masked_card(fields: Fields) -> Card:
    """The card in a body, masked at once. Numbers are checked for digits only, so that test numbers pass.

    Raises: Refusal.
    """
    number, expiry = text(fields, "card_number", 40), text(fields, "expiry", 20)
    if number is None:
        raise missing("card_number")
    if expiry is None:
        raise missing("expiry")
    if not _CARD_NUMBER.fullmatch(number):
        raise Refusal(BAD_CARD, code=-1)
    if not re.fullmatch(r"[0-9]{4}-?(0[1-9]|1[0-2])", expiry):
        raise Refusal(BAD_EXPIRY, code=-1)
    digits = re.sub("[^0-9]", "", number)
    return Card(number=f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}")


def customer_fields(fields: Fields) -> dict[str, str | None]:
    return {name: text(fields, name, limit) for name, limit in CUSTOMER}


def issue(shop: Shop, customer_uid: str, channel: Channel, card: Card, customer: dict[str, str | None],
          customer_id: str | None) -> Key:
    """Register a key; under a name in use the name is re-pointed to the new one (documented)."""
    before = shop.keys.get(customer_uid)
    key = Key(customer_uid=customer_uid, channel=channel, card=card, customer=customer, customer_id=customer_id,
              inserted=before.inserted if before else shop.now(), updated=shop.now())
    shop.keys[customer_uid] = key
    return key


def unknown_key(shop: Shop, customer_uid: str) -> Refusal:
    """Code 1 and the text: observed; the HTTP status is a switch."""
    return Refusal(f"요청하신 customer_uid({customer_uid})로 등록된 정보를 찾을 수 없습니다.",
                   status=shop.switches.unknown_key_status)


def _key(shop: Shop, asked: Asked) -> Key:
    customer_uid = asked.ids[0]
    if customer_uid not in shop.keys:
        raise unknown_key(shop, customer_uid)
    return shop.keys[customer_uid]


def get_key(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /subscribe/customers/{customer_uid}."""
    return _key(shop, asked).shown(shop.switches.sandbox)


def get_keys(shop: Shop, asked: Asked) -> Some:
    """GET /subscribe/customers?customer_uid[]=…"""
    wanted = identities(asked.query, "customer_uid", 80)
    if not wanted:
        raise missing("customer_uid")
    if len(wanted) > 100:
        raise bad("customer_uid")
    found = [shop.keys[uid].shown(shop.switches.sandbox) for uid in wanted if uid in shop.keys]
    if not found:
        raise unknown_key(shop, wanted[0])
    return Some(found, partial=len(found) < len(wanted))


def post_key(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /subscribe/customers/{customer_uid}: card data by API, which NaverPay does not take (documented)."""
    fields = asked.body
    channel = shop.channel(text(fields, "channel_key", 55), text(fields, "pg", 80), by_api=True)
    if channel.is_naver:
        raise Refusal(NOT_BY_API)
    customer_uid = clean_id(asked.ids[0], "customer_uid", 80)
    key = issue(shop, customer_uid, channel, masked_card(fields), customer_fields(fields),
                text(fields, "customer_id", 80))
    return key.shown(shop.switches.sandbox)


def delete_key(shop: Shop, asked: Asked) -> dict[str, Any]:
    """DELETE /subscribe/customers/{customer_uid}; gone for good. Dated charges stay, and fail when due (assumed)."""
    key = _key(shop, asked)
    waiting = any(p.status == "scheduled" and p.customer_uid == key.customer_uid for p in shop.plans.values())
    if waiting and shop.switches.key_with_schedules_stays:
        raise Refusal("예약결제가 남아 있는 빌링키는 삭제할 수 없습니다.")
    del shop.keys[key.customer_uid]
    return key.shown(shop.switches.sandbox)


def key_payments(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /subscribe/customers/{customer_uid}/payments."""
    customer_uid = asked.ids[0]
    made = [p for p in shop.payments.values() if p.key == customer_uid]
    if not made and customer_uid not in shop.keys:
        raise unknown_key(shop, customer_uid)
    made.sort(key=lambda p: (p.started, p.number), reverse=True)
    return page_of([p.shown(shop.switches.sandbox) for p in made], asked.query)
