"""Look-ups of a managed account: orders, customers and subscriptions, each compared with what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paygate.errors import NotFound
from paygate.flow import Flow
from paygate.model import Payment
from paygate.wire import Path, path

from . import customers, orders, recurring, words
from .answers import known, unclear, understood
from .asking import Asking
from .orders import Order
from .settings import ManagedSettings


class Looking:
    """Asks, and believes nothing that is not about what was asked for. Nothing here changes anything."""

    def __init__(self, asking: Asking, settings: ManagedSettings) -> None:
        self._asking = asking
        self._settings = settings

    def maybe_order(self, code: str) -> Flow[Order | None]:
        """An order by its code or its number; None where the PG knows none.

        Source: V1 specification, GET /api/v1/orders/{orderIdOrCode} (documented).
        """
        found = yield from self._found(path("/api/v1/orders/{}", code), None)
        order = None if found is None else self.read(found)
        if order is not None and code not in (order.code, str(order.number)):
            raise unclear("it is another order", None)
        return order

    def order(self, code: str, order_id: str) -> Flow[Order]:
        """An order that was made for `order_id`.

        Raises: NotFound where the PG has it no more.
        """
        order = yield from self.maybe_order(code)
        if order is None:
            raise NotFound(f"the PG has no order any more for {order_id}; nothing was sent", order_id=order_id)
        return order

    def read(self, content: Any) -> Order:
        """An order as the account's settings make it read.

        Raises: OutcomeUnknown.
        """
        return understood(orders.read, content, self._settings.utc_offset_hours, self._settings.vat_percent)

    def payment(self, order: Order, order_id: str | None) -> Flow[Payment]:
        """The payment of an order, with the order that began the subscription which it renews, if it renews one."""
        renews = None
        if order.renewed is not None:
            renewed = yield from self.subscription(str(order.renewed), order_id)
            renews = understood(recurring.known, renewed, order_id=order_id).began_by
        # No id of ours holds a colon, so an order that the ledger did not bind can be taken for none of ours.
        return understood(orders.payment, order, order_id or f"{words.MANAGED}:{order.code}", renews, order_id=order_id)

    def subscription(self, number: str, order_id: str | None) -> Flow[Any]:
        """A subscription's own record.

        Raises: NotFound where the PG has it no more.

        Source: V1 specification, GET /api/v1/subscriptions/{id} (documented).
        """
        found = yield from self._found(path("/api/v1/subscriptions/{}", number), order_id)
        if found is None:
            raise NotFound("the PG has no such subscription any more; nothing was sent", order_id=order_id)
        if str(understood(recurring.known, found, order_id=order_id).number) != number:
            raise unclear("it is another subscription", order_id)
        return found

    def customer(self, number: int) -> Flow[Any]:
        """A customer's own record, with what the customer saved.

        Raises: OutcomeUnknown, also where the PG has it no more.

        Source: V1 specification, GET /api/v1/customers/{id} (documented).
        """
        found = yield from self._found(path("/api/v1/customers/{}", str(number)), None)
        if found is None or understood(customers.number_of, found) != number:
            raise unclear("it is not that customer", None)
        return found

    def finished(self, numbers: Iterable[int]) -> Flow[frozenset[int]]:
        """Those of some orders that the payer has finished."""
        finished: set[int] = set()
        for number in sorted(numbers):
            order = yield from self.maybe_order(str(number))
            if order is not None and order.paid_at is not None:
                finished.add(number)
        return frozenset(finished)

    def _found(self, where: Path, order_id: str | None) -> Flow[Any | None]:
        return known((yield self._asking.get(where)), order_id)
