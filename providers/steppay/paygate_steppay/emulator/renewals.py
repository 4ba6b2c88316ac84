"""Subscriptions on the clock: begin, renew, dun, pause, end. The clock calls `due`; every change calls `plan`."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from . import hooks, ordering, words
from .ordering import Line
from .pg import Outcome, Pg
from .reading import money
from .state import Item, Method, Order, SubItem, Subscription
from .times import after


def begin(pg: Pg, order: Order, method: Method | None) -> None:
    """The payer has paid a RECURRING_INITIAL order: its subscriptions come into being, one per group of items."""
    items = [i for i in order.items if i.type == "SKU" and i.price.recurring is not None]
    for _, group in groupby(sorted(items, key=_group), _group):
        order.subscriptions.append(_begin(pg, order, list(group), method))


def _group(item: Item) -> tuple[object, ...]:
    """What items of one subscription share (documented list)."""
    v, r = item.price.values, item.price.recurring or {}
    claim, demo = v["claim"], item.product.values
    trial = (demo["demoPeriodUnit"], demo["demoPeriod"]) if demo["enabledDemo"] else ("", 0)
    return (r["interval"], r["intervalCount"], v["membershipExpirationDate"], str(v["membershipExpirationDateType"]),
            claim["provideStartDay"] or 0, claim["billingDate"], trial, v["expiryRecurringCount"], claim["methodType"])


def _begin(pg: Pg, order: Order, items: list[Item], method: Method | None) -> Subscription:
    price, product = items[0].price, items[0].product.values
    assert price.recurring is not None
    unit, count, start = price.recurring["interval"], price.recurring["intervalCount"], pg.now
    trial = after(start, product["demoPeriodUnit"], product["demoPeriod"]) if product["enabledDemo"] else None
    until = trial or after(start, unit, count)
    kind, most = price.values["membershipExpirationDateType"], price.values["membershipExpirationDate"]
    number = pg.ids.number("subscription")
    made = Subscription(
        id=number, code=pg.ids.code("subscription", number), customer=order.customer, parent=order, unit=unit,
        count=count, currency=order.currency, start=start, period=(start, until), next_at=until, method=method,
        trial_end=trial,
        anchor=(trial or start).day, end=after(start, kind, most) if kind and most else None,
        last_paid=None if order.payment.total.is_zero else start, recurring_count=0 if price.postpaid else 1,
        expiry_count=price.values["expiryRecurringCount"] or None, items=[_sub_item(pg, i) for i in items])
    pg.subscriptions[number] = made
    _expire_by_count(made)
    hooks.subscription_event(pg, made, "created")
    plan(pg, made)
    return made


def _sub_item(pg: Pg, item: Item) -> SubItem:
    number = pg.ids.number("subscription_item")
    return SubItem(id=number, code=pg.ids.code("subscription_item", number), product=item.product, price=item.price,
                   quantity=item.quantity, options=item.options)


def check_amount(pg: Pg, s: Subscription) -> None:
    """Raises: Rejected where a renewal would cost more than any amount may be."""
    money(s.amount * (100 + pg.switches.vat_rate) // 100, s.currency, "the renewal's amount")


# The clock

def plan(pg: Pg, s: Subscription) -> None:
    """Have the clock call for the next thing that happens to `s`; what was planned before is void."""
    s.version += 1
    version = s.version
    if s.status in words.FINAL:
        return
    own = s.resume_at if s.status == words.PAUSE else s.next_at
    if instants := [t for t in (own, s.cancel_at, s.end) if t is not None]:
        when = min(instants)
        pg.at(when, lambda: due(pg, s, when) if s.version == version else None)


def due(pg: Pg, s: Subscription, when: datetime) -> None:
    """The clock has reached `when`."""
    now = max(pg.now, when)
    if s.cancel_at is not None and s.cancel_at <= now:
        finish(pg, s, words.SUB_CANCELED)
    elif s.end is not None and s.end <= now:
        finish(pg, s, words.EXPIRED)
    elif s.status == words.PAUSE:
        resume(pg, s)
    elif s.status == words.PENDING_PAUSE:
        pause(pg, s)
    elif s.status == words.UNPAID and s.unpaid is not None:
        attempt(pg, s, s.unpaid, pg.renewal_outcome())
    else:
        attempt(pg, s, renewal_order(pg, s), pg.renewal_outcome())
    plan(pg, s)


def renewal_order(pg: Pg, s: Subscription) -> Order:
    """The RECURRING order of the period that begins now."""
    lines = [Line(i.product, i.price, i.quantity, i.quantity, tuple(i.options), i.price.amount) for i in s.items]
    order = ordering.new(pg, "RECURRING", s.customer, s.currency, lines, parent=s,
                         gateway=s.method.gateway if s.method else None)
    s.renewals.append(order)
    return order


def attempt(pg: Pg, s: Subscription, order: Order, outcome: Outcome, *, by_hand: bool = False) -> bool:
    """Charge the saved method for `order`. A failure makes the subscription UNPAID at once (documented)."""
    if s.method is None:
        outcome = Outcome("failed", "PAYMENT_METHOD_NOT_FOUND", "there is no saved payment method")
    if outcome.word == "paid":
        ordering.mark_paid(pg, order)
        _roll(pg, s, pg.now if by_hand else s.origin_next or s.next_at or pg.now, by_hand)
    else:
        ordering.mark_failed(pg, order, outcome)
        _dun(pg, s, order)
    if s.status not in words.FINAL:
        hooks.subscription_event(pg, s, "updated")
    return outcome.word == "paid"


def _roll(pg: Pg, s: Subscription, start: datetime, by_hand: bool) -> None:
    if by_hand:
        s.anchor = start.day
    end = after(start, s.unit, s.count, s.anchor)
    if end <= pg.now:
        start, end = pg.now, after(pg.now, s.unit, s.count)
        s.anchor = start.day
    s.period, s.next_at, s.last_paid = (start, end), end, pg.now
    s.recurring_count += 1
    if s.status == words.UNPAID:
        s.status = words.PENDING_CANCEL if s.cancel_at else words.ACTIVE
    s.unpaid = s.first_failure = s.origin_next = None
    s.tries = 0
    _expire_by_count(s)


def _expire_by_count(s: Subscription) -> None:
    if s.expiry_count is not None and s.recurring_count >= s.expiry_count:
        s.end = min(s.end or s.period[1], s.period[1])


def _dun(pg: Pg, s: Subscription, order: Order) -> None:
    """Plan the next try: 1, 3, 5, 10 and 14 days after the first failure, then EXPIRED (documented)."""
    if s.first_failure is None:
        s.first_failure, s.origin_next, s.unpaid, s.status = pg.now, s.next_at, order, words.UNPAID
    if s.tries < len(pg.switches.retry_days):
        s.next_at = s.first_failure + timedelta(days=pg.switches.retry_days[s.tries])
        s.tries += 1
    else:
        finish(pg, s, words.EXPIRED)


def pause(pg: Pg, s: Subscription) -> None:
    s.status, s.paused = words.PAUSE, pg.now
    hooks.subscription_event(pg, s, "updated")


def resume(pg: Pg, s: Subscription) -> None:
    """Go on; the time that was left of the period is still left (assumed)."""
    if s.status == words.PAUSE and s.paused is not None:
        rest = pg.now - s.paused
        s.period = (s.period[0], s.period[1] + rest)
        s.next_at = s.next_at + rest if s.next_at else None
        s.anchor = s.next_at.day if s.next_at else s.anchor
    s.status, s.paused, s.resume_at, s.cancel_at = words.ACTIVE, None, None, None
    hooks.subscription_event(pg, s, "updated")


def finish(pg: Pg, s: Subscription, status: str, via: str = "SYSTEM") -> None:
    """End for good. A postpaid subscription makes one last RECURRING order (documented)."""
    if s.status in words.FINAL:
        return
    if s.postpaid and s.status != words.UNPAID and s.amount > Decimal(0):
        last, outcome = renewal_order(pg, s), pg.renewal_outcome()
        if outcome.word == "paid" and s.method is not None:
            ordering.mark_paid(pg, last)
        else:
            ordering.mark_failed(pg, last, outcome)
    s.status, s.end, s.next_at, s.canceled_via = status, pg.now, None, s.canceled_via or via
    s.version += 1
    hooks.subscription_event(pg, s, "updated")
