"""Which means of payment a payer saved in the window of an order: no order names the one it saved.

So what there was before is noted before the window is shown, and exactly one new one is taken for it. Where the payer
saved another one as well meanwhile, nobody can tell which is whose: none is taken.
"""

from __future__ import annotations

from collections.abc import Callable

from paygate.errors import OutcomeUnknown
from paygate.flow import Flow
from paygate.model import Payment
from paygate.secret import Secret

from . import customers
from .answers import unclear, understood
from .looking import Looking


def before(look: Looking, customer: int, number: int) -> Flow[customers.Before]:
    """What a customer has before the window of order `number` is shown.

    The means are read last: what an order that is finished by now has saved is among them.
    """
    record = yield from look.customer(customer)
    others = understood(customers.saving_orders, record) - {number}
    finished = yield from look.finished(others)
    if others:
        record = yield from look.customer(customer)
    return customers.before(customer, understood(customers.saved, record), finished)


def issued_key(look: Looking, payment: Payment, note: str | None, is_told: Callable[[Secret], bool] | None
               ) -> Flow[Secret | None]:
    """The key of the means that was saved in the window of `payment`; None where it does not show yet.

    Another order that saves one may have been finished since, in another window or tab, and its means may show before
    ours: then the only new one need not be ours.

    Raises: OutcomeUnknown where it cannot be told.
    """
    assert payment.provider_id is not None
    order = yield from look.order(payment.provider_id, payment.order_id)
    if order.customer is None:
        raise unclear("its order names no customer", payment.order_id)
    record = yield from look.customer(order.customer)
    held = understood(customers.saved, record, order_id=payment.order_id)
    keys = [customers.key_of(order.customer, number) for number in held]
    if is_told is not None:
        return next(filter(is_told, keys), None)
    noted = understood(customers.noted, note, order.customer, order_id=payment.order_id)
    new = [key for key in keys if customers.mark(key.reveal()) not in noted.methods]
    if not new:
        return None
    others = understood(customers.saving_orders, record) - noted.finished - {order.number}
    if len(new) > 1 or (yield from look.finished(others)):
        raise OutcomeUnknown(
            f"the payer of order {payment.order_id} saved another means of payment as well, and the PG does not tell "
            "which is whose; register again under a new order_id", order_id=payment.order_id,
            next_step="register again under a new order_id, in one window only; never use a guessed key")
    return new[0]
