"""Customers and their saved means of payment: found by e-mail address, made where there is none.

Source: V1 specification, customers (documented).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from paygate.codec import Unreadable
from paygate.commands import Customer
from paygate.errors import BadCommand
from paygate.flow import Flow
from paygate.model import BillingKey, KeyInfo
from paygate.secret import Secret
from paygate.wire import path

from . import fields
from .answers import accepted, understood
from .asking import Asking
from .fields import Record

PAGE_SIZE = "100"
MOST_PAGES = 20
_SAVING = ("PAYMENT_METHOD", "RECURRING_INITIAL")
_NOTE = re.compile(r"([0-9a-f]{32}):([0-9a-f,]*):([0-9,]*)")
_KEY = re.compile(r"([0-9]{1,19}):([0-9]{1,19})")
_CARD = re.compile(r"[0-9*-]{8,}")


def find(asking: Asking, payer: Customer) -> Flow[int | None]:
    """The number of the customer with the payer's e-mail address, the lowest of several; None where there is none.

    The address goes into the query as a Secret, so that nothing shows it.

    Raises: Refused, OutcomeUnknown. Nothing here moves money.
    """
    assert payer.email is not None  # checks.py asks for it
    found: list[int] = []
    for number in range(MOST_PAGES):
        reply = yield asking.get(path("/api/v1/customers"), ("keyword", payer.email), ("size", PAGE_SIZE),
                                 ("page", str(number)))
        numbers, more = understood(_named, accepted(reply), payer.email)
        found += numbers
        if not more:
            break
    return min(found, default=None)


def find_or_create(asking: Asking, payer: Customer) -> Flow[int]:
    """As `find`, and a new customer where there is none.

    Raises: Refused, OutcomeUnknown. Nothing here moves money.
    """
    found = yield from find(asking, payer)
    if found is not None:
        return found
    assert payer.email is not None  # checks.py asks for it
    return understood(_made, accepted((yield asking.send("POST", path("/api/v1/customers"), body(payer)))), payer.email)


def body(payer: Customer) -> dict[str, Any]:
    """A new customer. No username: the guide omits it, one list calls it required."""
    made: dict[str, Any] = {"name": payer.name, "email": payer.email, "attributes": {}, "marketingSms": False,
                            "marketingEmail": False, "marketingKakao": False}
    return made if payer.phone is None else {**made, "phone": payer.phone}


def number_of(content: Any) -> int:
    """The number of a customer or an order in a list of a customer's.

    Raises: Unreadable.
    """
    return fields.number(fields.record(content).get("id"), "the customer's id")


def saved(content: Any) -> frozenset[int]:
    """The numbers of a customer's saved means of payment.

    Raises: Unreadable.
    """
    return frozenset(number for number, _ in _methods(content))


@frozen
class Before:
    """What is written down before a payer is shown a window in which to save a means of payment.

    Fingerprints, because the ledger keeps no billing key.
    """

    customer: str
    methods: frozenset[str]
    """The means of payment that were saved by then."""
    finished: frozenset[int]
    """The numbers of the orders that had saved theirs by then; any other may still be open in another window."""

    def __str__(self) -> str:
        return ":".join((self.customer, ",".join(sorted(self.methods)), ",".join(map(str, sorted(self.finished)))))


def before(customer: int, methods: Iterable[int], finished: frozenset[int]) -> Before:
    """What a customer has, as it may be written down."""
    return Before(mark(str(customer)), frozenset(mark(key_of(customer, m).reveal()) for m in methods), finished)


def noted(text: str | None, customer: int) -> Before:
    """A `Before` of this customer from its text.

    Raises: Unreadable where there is none, or it is another customer's.
    """
    match = _NOTE.fullmatch(text or "")
    if match is None or match.group(1) != mark(str(customer)):
        raise Unreadable("it was not noted which means of payment this customer had before")
    methods, finished = (frozenset(filter(None, match.group(n).split(","))) for n in (2, 3))
    return Before(match.group(1), methods, frozenset(map(int, finished)))


def mark(text: str) -> str:
    """A fingerprint that is short and tells two customers, or two of their means of payment, apart."""
    return hashlib.sha256(f"steppay:{text}".encode()).hexdigest()[:32]


def saving_orders(content: Any) -> frozenset[int]:
    """The numbers of a customer's orders in which the payer may save a means of payment.

    Raises: Unreadable.
    """
    listed = fields.rows(fields.record(content).get("orders") or [], "orders")
    return frozenset(number_of(o) for o in listed if o.get("type") in _SAVING)


def key_info(content: Any, key: Secret, gateway: str) -> KeyInfo | None:
    """What a customer's record says of one saved means of payment.

    Raises: Unreadable.
    """
    _, wanted = parts(key)
    info = next((text for number, text in _methods(content) if str(number) == wanted), None)
    return None if info is None else _info(info, key, gateway)


def key_infos(content: Any, customer: int, gateway: str) -> tuple[KeyInfo, ...]:
    """What a customer's record says of all their saved means of payment.

    Raises: Unreadable.
    """
    if number_of(content) != customer:
        raise Unreadable("it is another customer's record")
    return tuple(_info(text, key_of(customer, number), gateway) for number, text in _methods(content))


def _info(text: str, key: Secret, gateway: str) -> KeyInfo:
    """One text tells it: a card's brand and number (documented sample), or something else, of which the first word."""
    card, first = _CARD.search(text), text.partition(" ")[0] or None
    is_card = card is not None or (first or "").endswith("카드")
    return KeyInfo(billing_key=BillingKey(gateway, key), method=None if is_card else first,
                   card_name=first if is_card else None, card_number=card.group() if card else None)


def key_of(customer: int, method: int) -> Secret:
    """The value of a billing key: "customer:method"."""
    return Secret(f"{customer}:{method}")


def parts(key: Secret) -> tuple[str, str]:
    """Customer and method of a billing key.

    Raises: BadCommand.
    """
    match = _KEY.fullmatch(key.reveal())
    if match is None:
        raise BadCommand("this is no billing key of a saved means of payment; nothing was sent")
    customer, method = match.groups()
    return customer, method


def _methods(content: Any) -> list[tuple[int, str]]:
    saved = fields.rows(fields.record(content).get("paymentMethods"), "paymentMethods")
    return [(fields.number(m.get("id"), "a payment method"), str(m.get("paymentInfo") or "")) for m in saved]


def _named(content: Any, email: Secret) -> tuple[list[int], bool]:
    page = fields.record(content)
    rows = fields.rows(page.get("content"), "content")
    if type(page.get("last")) is not bool:
        raise Unreadable("the page does not say whether it is the last one")
    wanted = email.reveal().strip().casefold()
    return [number_of(row) for row in rows if _email(row) == wanted], not page["last"]


def _made(content: Any, email: Secret) -> int:
    made = fields.record(content)
    if made.get("email") is not None and _email(made) != email.reveal().strip().casefold():
        raise Unreadable("it is another customer")
    return number_of(made)


def _email(row: Record) -> str:
    value = row.get("email")
    return value.strip().casefold() if isinstance(value, str) else ""

