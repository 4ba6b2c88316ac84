"""What this PG holds, for a person who looks at a sandbox. Reads a Pg and changes nothing."""

from __future__ import annotations

from urllib.parse import quote

from paygate.errors import BadCommand
from paygate.money import Money
from paygate.testing.overview import Dated, Held, Key, Overview, Running, Waiting, last

from . import checkout, fulfilment, words
from .hosted import WINDOWS
from .pg import Pg
from .reading import Rejected
from .state import Order, Payment, Subscription


def overview(pg: Pg, most: int) -> Overview:
    """What there is, oldest first."""
    orders, subscriptions = last(most, pg.orders.values()), last(most, pg.subscriptions.values())
    own = last(most, [p for p in pg.payments.values() if p.payment_only])
    waiting = [*(_order_waits(o) for o in orders if o.parent is None and _is_open(pg, o)),
               *(_window_waits(p) for p in own if not p.attempted and p.status == words.STANDBY)]
    late = [Dated(at=when, what="late approval 늦은 승인", order_id=name, money=None, status="", is_due=True)
            for when, name in pg.late.values()]
    renewals = [d for s in subscriptions for d in _dated(s)]
    keys = [*(Key(value=p.id_key, about=f"{p.gateway} {p.card or p.method}", at=p.paid_at) for p in own if p.is_key),
            *(Key(value=f"{c.id}/{m.id}", about=f"{m.gateway} {m.info}", at=None)
              for c in pg.customers.values() for m in c.methods)]
    return Overview(
        waiting=tuple(sorted(waiting, key=lambda w: w.opened_at)),
        held=tuple(sorted([*map(_order, orders), *map(_payment, own)], key=lambda h: h.at)),
        keys=tuple(keys), dated=tuple(sorted([*renewals, *late], key=lambda d: d.at)),
        running=tuple(map(_running, subscriptions)), webhook_urls=tuple(pg.hook_urls.items()),
        totals=(("held", len(pg.orders) + sum(p.payment_only for p in pg.payments.values())), ("keys", len(keys)),
                ("dated", len(renewals) + len(late))))


def _is_open(pg: Pg, order: Order) -> bool:
    try:
        fulfilment.open_for_payment(pg, order)
    except Rejected:
        return False
    return order.payment.status not in words.WAITS_FOR_DEPOSIT.values()


def _order_waits(order: Order) -> Waiting:
    return Waiting(handle=order.code, order_id=order.code, title=order.title, money=order.payment.money,
                   opened_at=order.created, takes_money=order.type != "PAYMENT_METHOD",
                   page=f"{checkout.PAGE}{quote(order.code, safe='')}")


def _window_waits(payment: Payment) -> Waiting:
    return Waiting(handle=payment.id_key, order_id=payment.order_id, title=payment.title, money=payment.total,
                   opened_at=payment.created, takes_money=True, page=f"{WINDOWS}/{quote(payment.id_key, safe='')}")


def _order(order: Order) -> Held:
    payment = order.payment
    status = order.items[0].status if order.items else payment.status
    return Held(at=order.created, order_id=order.code, provider_id=payment.id_key, title=f"{order.title}, {order.type}",
                money=payment.total, returned=payment.returned, status="CANCELLED" if order.cancelled else status,
                takes_money=order.type != "PAYMENT_METHOD", note=payment.error_message)


def _payment(payment: Payment) -> Held:
    return Held(at=payment.created, order_id=payment.order_id, provider_id=payment.id_key, title=payment.title,
                money=payment.total, returned=payment.returned, status=payment.status, note=payment.error_message)


def _amount(subscription: Subscription) -> Money:
    try:
        return Money.parse(subscription.amount, subscription.currency)
    except BadCommand:
        return Money.parse(subscription.amount.to_integral_value(), subscription.currency)


def _running(s: Subscription) -> Running:
    title = ", ".join(str(i.product.values["name"]) for i in s.items)
    return Running(number=str(s.id), order_id=s.parent.code, title=title, money=_amount(s),
                   every=f"{s.count} {s.unit}", status=s.status, began_at=s.start,
                   next_at=None if s.status in words.FINAL else s.next_at, renewals=len(s.renewals))


def _dated(s: Subscription) -> list[Dated]:
    """Its renewals so far, and what comes next."""
    done = [Dated(at=o.created, what="renewal 정기결제", order_id=o.code, money=o.payment.total,
                  status=o.payment.status, is_due=False, note=o.payment.error_message) for o in s.renewals]
    if s.status in words.FINAL:
        return done
    next_charge = "retry of a failed renewal 재시도" if s.unpaid else "renewal 정기결제"
    coming = [(s.next_at if s.status != words.PAUSE else None, next_charge, _amount(s)),
              (s.resume_at, "subscription resumes 재개", None), (s.cancel_at or s.end, "subscription ends 종료", None)]
    return done + [Dated(at=when, what=what, order_id=s.parent.code, money=amount, status=s.status, is_due=True)
                   for when, what, amount in coming if when is not None]
