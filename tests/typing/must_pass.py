"""A merchant's code that both type checkers must accept. Never run."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime

from paygate import (
    AsyncGateway,
    BillingKey,
    Cancel,
    Charge,
    Customer,
    Declined,
    Event,
    EventKind,
    Flow,
    Gateway,
    MemoryLedger,
    Money,
    OutcomeUnknown,
    Pay,
    PaygateError,
    Payment,
    Provider,
    Register,
    Report,
    Request,
    Response,
    Secret,
    connect,
    new_order_id,
    path,
)
from paygate.web import AsyncInbox, Inbox, Outcome, Receiver, Status, Visit

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


def endpoints(gate: Gateway, many: AsyncGateway) -> tuple[Receiver, Receiver]:
    """A shop in threads and one in an event loop."""
    inbox, later = Inbox(gate), AsyncInbox(many)

    @inbox.on("payment_paid", EventKind.PAYMENT_FAILED)
    def told(event: Event) -> None:
        amount: Money | None = None if event.payment is None else event.payment.money
        print(event.id, amount)

    @later.on("payment_paid")
    async def told_later(event: Event) -> None:
        told(event)

    def order(visit: Visit) -> Pay | str:
        return visit.return_url(visit.form["order"])

    async def order_later(visit: Visit) -> Pay | Register:
        raise LookupError(visit.request)

    def done(visit: Visit, outcome: Outcome) -> str:
        key: BillingKey | None = outcome.billing_key
        return "/thanks" if outcome.status is Status.PAID else f"/sorry?{key is None}"

    async def done_later(visit: Visit, outcome: Outcome) -> str:
        return done(visit, outcome)

    report: Report = inbox.work().reports["acme"]
    print(report.checked)
    return (Receiver(inbox, url="https://shop.example/pay", secret="s", order=order, done=done),
            Receiver(later, url="https://shop.example/pay", secret=Secret("s"), order=order_later, done=done_later))


with connect("fakepg", {"api_key": "k", "mode": "test"}, ledger=MemoryLedger()) as gateway:
    payment: Payment = gateway.charge(charge)
    failed: dict[str, str] = gateway.reconcile().failed

unused = (cheaper, charge, Cancel(cancel_id=new_order_id(), order_id=order_id, money=price, reason="returned"))
