"""NaverPay (결제형) through PortOne V1: what the PG wants said, verb by verb, one-off and recurring.

Only flows live here. Bodies are built in bodies.py, answers read in answers.py and records.py, returns and webhooks in
hints.py, limits checked in checks.py; the PG's words are tables in words.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import Any

from paygate.commands import Cancel, Charge, DatedCharge, DeleteKey, Pay, Register, Schedule, Unschedule
from paygate.errors import BadCommand, Conflict, NotFound
from paygate.flow import Flow
from paygate.model import Checkout, Hint, KeyInfo, Payment, PaymentStatus, ScheduledCharge, ScheduleStatus
from paygate.money import Money
from paygate.provider import Provider
from paygate.secret import Secret
from paygate.wire import Method, Path, Request, Token, path

from . import answers, bodies, checks, hints, records, words
from .answers import accepted, known, unclear, understood
from .settings import Settings

FIND_LIMIT = 100
LIST_LIMIT = 1000
MOST_PAGES = 50
PIECE = timedelta(days=88)
"""Dated charges are listed for at most three months at a time (documented); no three months are shorter than this."""


class NaverPay(Provider):
    """One NaverPay channel of one PortOne account."""

    return_keys = hints.RETURN_KEYS

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._headers = {} if settings.tier is None else {"Tier": settings.tier}

    def token(self) -> Flow[Token]:
        """Fetch the access token; asked early, the PG gives the same one again, so this is repeatable.

        Source: PortOne V1 REST, POST /users/getToken (documented).
        """
        reply = yield Request("POST", path("/users/getToken"), repeatable=True,
                              json={"imp_key": self._settings.imp_key, "imp_secret": self._settings.imp_secret})
        return answers.token(reply)

    def check(self, command: Any) -> None:
        """Refuse what NaverPay or PortOne could not take.

        `naverUseCfm` must be a real date; whether it is past in Korea is left to the PG, as a flow has no clock.
        """
        checks.check(command, self._settings.tier)

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        """Register the amount, so that a page cannot change it, and say how to open the window.

        Asked again, it shows the same window: the PG has no id for one, so `prepared` is always None.

        Raises: Conflict where the order id was prepared before with another amount.

        Source: PortOne V1 REST, POST and GET /payments/prepare; NaverPay guide, request_pay (documented).
        """
        stated = (command.order_id, command.money)
        reply = yield self._ask("POST", path("/payments/prepare"), repeatable=True, json={
            "merchant_uid": command.order_id, "amount": bodies.won(command.money), "currency": command.money.currency})
        try:
            held = understood(records.prepared, accepted(reply, command.order_id), order_id=command.order_id)
        except Conflict as before:
            reply = yield self._ask("GET", path("/payments/prepare/{}", command.order_id))
            held = understood(records.prepared, known(reply, command.order_id), order_id=command.order_id)
            if held != stated:
                raise before from None
        if held != stated:
            raise unclear("another amount was prepared", command.order_id)
        return bodies.pay_window(self._settings, command)

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        """Say how to open the registration window; nothing is sent, because its amount is only shown.

        The window takes an ordinary payment if customer_uid is missing, so it is always stated.

        Source: NaverPay recurring guide, section 2 (documented).
        """
        yield from ()
        return bodies.key_window(self._settings, command)

    def key_value(self, command: Register) -> Secret:
        """customer_uid, the merchant's own name for the key: stated in `extra`, else `key_of`."""
        return bodies.key_value(self._settings, command)

    def key_of(self, order_id: str) -> Secret:
        """A customer_uid that nobody can guess: who guesses another payer's could register their own card under it."""
        return bodies.derived_key(self._settings, order_id)

    def charge(self, command: Charge) -> Flow[Payment]:
        """Charge a billing key now.

        A decline arrives as HTTP 200, code 0, status "failed", and is returned as that; the core compares the record
        with what was asked for.

        Raises: Conflict (merchant_uid used before), NotFound (customer_uid unknown), Refused, OutcomeUnknown.

        Source: PortOne V1 REST, POST /subscribe/payments/again (documented).
        """
        reply = yield self._ask("POST", path("/subscribe/payments/again"), json={
            "customer_uid": command.billing_key.value, **bodies.charge(self._settings, command, command.customer)})
        made = understood(records.payment, accepted(reply, command.order_id), order_id=command.order_id)
        if made.status not in (PaymentStatus.PAID, PaymentStatus.PENDING, PaymentStatus.FAILED):
            raise unclear("a charge just made cannot be given back already", command.order_id)
        return made

    def cancel(self, command: Cancel, payment: Payment) -> Flow[Payment]:
        """Give money back. Always sends amount (none or 0 would be a full refund) and checksum (what we think is left).

        Source: PortOne V1 REST, POST /payments/cancel (documented); reason and extra.requester: NaverPay's review.
        """
        if payment.provider_id is None or command.money > payment.left:
            raise BadCommand(f"only {payment.left} is left to give back; nothing was sent", order_id=command.order_id)
        reply = yield self._ask("POST", path("/payments/cancel"), json=bodies.cancel(command, payment))
        after = self._payment(accepted(reply, command.order_id), payment.order_id)
        if (after.provider_id, after.money) != (payment.provider_id, payment.money) \
                or after.cancelled != payment.cancelled + command.money:
            raise unclear("the balance after it is not what was asked for", command.order_id)
        return after

    def schedule(self, command: Schedule) -> Flow[tuple[ScheduledCharge, ...]]:
        """Have the PG hold dated charges, all in one call; the PG refuses all or takes all (all: observed).

        `due_at` is sent as unix seconds, a fraction cut off; name and currency always, as sources disagree on who needs
        them.

        Source: PortOne V1 REST, POST /subscribe/payments/schedule (documented).
        """
        key, one = command.billing_key.value, command.charges[0].order_id if len(command.charges) == 1 else None
        reply = yield self._ask("POST", path("/subscribe/payments/schedule"), json={
            "customer_uid": key,
            "schedules": [bodies.dated(self._settings, c, command.customer) for c in command.charges]})
        items = understood(records.array, accepted(reply, one), order_id=one)
        held = {c.order_id: c for c in (self._scheduled(item, key) for item in items)}
        if len(items) != len(held) or {_terms(c) for c in held.values()} != {_terms(c) for c in command.charges} \
                or any(c.status is ScheduleStatus.REVOKED for c in held.values()):
            raise unclear("it does not list the dated charges asked for", one)
        return tuple(held[c.order_id] for c in command.charges)

    def unschedule(self, command: Unschedule) -> Flow[tuple[str, ...]]:
        """Stop dated charges by their ids. Never sent without ids: that would stop everything of the billing key.

        "Nothing to revoke" is an empty result: a look-up says whether they were stopped before or have been charged.

        Source: PortOne V1 REST, POST /subscribe/payments/unschedule (documented; the empty case: observed).
        """
        if not command.order_ids:
            raise BadCommand("unschedule needs the order_ids to stop; nothing was sent")
        key, one = command.billing_key.value, command.order_ids[0] if len(command.order_ids) == 1 else None
        reply = yield self._ask("POST", path("/subscribe/payments/unschedule"), repeatable=True, json={
            "customer_uid": key, "merchant_uid": list(command.order_ids)})
        try:
            items = understood(records.array, accepted(reply, one), order_id=one)
        except NotFound:
            return ()
        stopped = {c.order_id for c in (self._scheduled(item, key) for item in items)
                   if c.status is ScheduleStatus.REVOKED}
        if not stopped <= set(command.order_ids):
            raise unclear("it stopped a dated charge that was not named", one)
        return tuple(order_id for order_id in command.order_ids if order_id in stopped)

    def find(self, order_id: str) -> Flow[tuple[Payment, ...]]:
        """Every record under merchant_uid: one that failed and one that was paid may both be there.

        Oldest first, so that a record made meanwhile lands on the last page.

        Source: PortOne V1 REST, GET /payments/findAll/{merchant_uid} (documented; no status segment: observed).
        """
        items = yield from self._pages(path("/payments/findAll/{}", order_id), order_id,
                                       ("sorting", "started"), ("limit", str(FIND_LIMIT)))
        return tuple(self._payment(item, order_id) for item in items)

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        """The payment under imp_uid. Test payments look absent unless asked for, so they are, in test mode only.

        Source: PortOne V1 REST, GET /payments/{imp_uid}, include_sandbox since 2026-01-26 (documented).
        """
        content = known((yield self._ask("GET", path("/payments/{}", provider_id),
                                         query=(("include_sandbox", "true"),) if self._settings.is_test else ())))
        if content is None:
            return None
        found = self._payment(content, None)
        if found.provider_id != provider_id:
            raise unclear("it is the record of another payment", None)
        return found

    def listing(self, start: datetime, end: datetime) -> Flow[tuple[Payment, ...]]:
        """NaverPay payments paid, or last given back, within the period; asked for in pieces of 88 days.

        Source: PortOne V1 REST, GET /payments/status/{payment_status}: at most 90 days, both ends within; the time
        compared depends on the status (documented).
        """
        found: dict[str | None, Payment] = {}
        for since, until in _pieces(start, end):
            between = ("from", str(floor(since.timestamp()))), ("to", str(ceil(until.timestamp())))
            for status in ("paid", "cancelled"):
                items = yield from self._pages(path("/payments/status/{}", status), None, *between,
                                               ("sorting", "paid"), ("limit", str(LIST_LIMIT)))
                ours = (self._payment(item, None) for item in items if records.is_through(item, words.PG))
                found |= {payment.provider_id: payment for payment in ours}
        return tuple(found.values())

    def find_schedule(self, order_id: str) -> Flow[ScheduledCharge | None]:
        """The dated charge under merchant_uid.

        Source: PortOne V1 REST, GET /subscribe/payments/schedule/{merchant_uid} (documented).
        """
        content = known((yield self._ask("GET", path("/subscribe/payments/schedule/{}", order_id))), order_id)
        if content is None:
            return None
        found = self._scheduled(content, None)
        if found.order_id != order_id:
            raise unclear("it is another dated charge", order_id)
        return found

    def schedules(self, key: Secret, start: datetime, end: datetime) -> Flow[tuple[ScheduledCharge, ...]]:
        """The dated charges of a billing key, in whatever state, earliest first; asked for in pieces of 88 days.

        Source: PortOne V1 REST, GET /subscribe/customers/{customer_uid}/schedules (documented; its shape: both read).
        """
        found: dict[str, ScheduledCharge] = {}
        for since, until in _pieces(start, end):
            between = ("from", str(floor(since.timestamp()))), ("to", str(ceil(until.timestamp())))
            items = yield from self._pages(path("/subscribe/customers/{}/schedules", key), None, *between)
            held = (self._scheduled(item, key) for item in items)
            found |= {c.order_id: c for c in held if since <= c.due_at < until}
        return tuple(sorted(found.values(), key=lambda c: c.due_at))

    def lookup_key(self, key: Secret, gateway: str) -> Flow[KeyInfo | None]:
        """What the PG knows of a billing key.

        Source: PortOne V1 REST, GET /subscribe/customers/{customer_uid}; none: 404 (documented), code 1 (observed).
        """
        content = known((yield self._ask("GET", path("/subscribe/customers/{}", key))))
        return None if content is None else self._key(content, key, gateway)

    def delete_key(self, command: DeleteKey) -> Flow[None]:
        """Delete a billing key; one that is gone already is deleted. NaverPay's review wants the reason and who asked.

        Source: PortOne V1 REST, DELETE /subscribe/customers/{customer_uid} (documented).
        """
        key = command.billing_key
        reply = yield self._ask("DELETE", path("/subscribe/customers/{}", key.value), repeatable=True, query=(
            ("reason", command.reason), ("extra[requester]", command.requested_by)))
        try:
            self._key(accepted(reply, None), key.value, key.gateway)
        except NotFound:
            return

    def read_return(self, query: Mapping[str, str]) -> Hint:
        return hints.read_return(query)

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        return hints.read_webhook(headers, body)

    # What the verbs share

    def _ask(self, method: Method, where: Path, **more: Any) -> Request:
        return Request(method, where, auth=True, headers=self._headers, **more)

    def _pages(self, where: Path, order_id: str | None, *query: tuple[str, str]) -> Flow[list[Any]]:
        found: list[Any] = []
        for number in range(1, MOST_PAGES + 1):
            content = known((yield self._ask("GET", where, query=(*query, ("page", str(number))))), order_id)
            if content is None and number == 1:
                return []
            items, more = understood(records.page, content, number, order_id=order_id)
            if isinstance(content, list) and items == found[-len(items):]:
                return found  # Plain arrays may come unpaged: the same one again, whatever page is asked for.
            found += items
            if not more:
                return found
        raise unclear(f"it goes on after {MOST_PAGES} pages", order_id)

    def _payment(self, content: Any, order_id: str | None) -> Payment:
        made = understood(records.payment, content, order_id=order_id)
        if order_id is not None and made.order_id != order_id:
            raise unclear("it is the record of another order", order_id)
        return made

    def _scheduled(self, content: Any, key: Secret | None) -> ScheduledCharge:
        whose, made = understood(records.scheduled, content)
        if key is not None and whose != key:
            raise unclear("it is a dated charge of another billing key", made.order_id)
        return made

    def _key(self, content: Any, key: Secret, gateway: str) -> KeyInfo:
        info = understood(records.key_info, content, gateway)
        if info.billing_key.value != key:
            raise unclear("it is another billing key", None)
        return info


def _terms(charge: DatedCharge | ScheduledCharge) -> tuple[str, int, Money]:
    """What the PG holds of a dated charge: its instant in whole seconds."""
    return charge.order_id, int(charge.due_at.timestamp()), charge.money


def _pieces(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    start = start.astimezone(UTC)
    while start < end:
        yield start, min(start + PIECE, end)
        start += PIECE
