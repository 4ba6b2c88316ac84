"""A merchant's code that both type checkers must accept. Never run."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime

from paygate import (
    BillingKey,
    Cancel,
    Charge,
    Customer,
    Declined,
    Flow,
    MemoryLedger,
    Money,
    OutcomeUnknown,
    PaygateError,
    Payment,
    Provider,
    Request,
    Response,
    Secret,
    connect,
    new_order_id,
    path,
)

price: Money = Money(14_000, "KRW")
total: Money = price + price - Money(1_000, "KRW")
cheaper: bool = price < total
order_id: str = new_order_id("sub-")
key: BillingKey = BillingKey("shop", Secret("bk"))

charge = Charge(order_id=order_id, billing_key=key, money=price, title="One month", customer=Customer(name="Kim"))


class Mine(Provider):
    """A provider is generators of requests."""

    def charge(self, command: Charge) -> Flow[Payment]:
        asked = Request("POST", path("/charges/{}", command.order_id), json={"amount": command.money.amount})
        reply: Response = yield asked
        status: int = reply.status
        raise OutcomeUnknown(f"status {status}", order_id=command.order_id)


def drive(flow: Flow[Payment]) -> Generator[Request, Response, Payment]:
    payment = yield from flow
    return payment


def advise(error: PaygateError) -> str:
    if isinstance(error, Declined):
        return f"{error.reason}"
    moved: bool | None = error.moved
    return "look" if moved is None else "safe"


def due() -> datetime:
    return datetime.now(UTC)


with connect("fakepg", {"api_key": "k", "mode": "test"}, ledger=MemoryLedger()) as gateway:
    payment: Payment = gateway.charge(charge)
    failed: dict[str, str] = gateway.reconcile().failed

unused = (cheaper, charge, Cancel(cancel_id=new_order_id(), order_id=order_id, money=price, reason="returned"))
