"""A merchant's mistakes: both type checkers must refuse exactly the lines marked `# error`. Never run."""

from __future__ import annotations

from paygate import (
    AsyncGateway,
    BillingKey,
    Cancel,
    CancelWhole,
    Charge,
    Flow,
    Gateway,
    Money,
    PaygateError,
    Payment,
    Provider,
    Request,
    Secret,
    new_order_id,
    path,
)
from paygate.web import AsyncInbox, Inbox, Receiver

won = Money(14_000, "KRW")
key = BillingKey("shop", Secret("bk"))

Money(14_000.0, "KRW")  # error
Money("14000", "KRW")  # error
Money(14_000)  # error
won + 1_000  # error
won < 15_000  # error
won.amount = 1  # error

Charge(order_id=new_order_id(), billing_key=key, money=14_000, title="One month")  # error
Charge(order_id=new_order_id(), billing_key="bk", money=won, title="One month")  # error
Charge(order_id=new_order_id(), billing_key=key, title="One month")  # error
Charge(new_order_id(), key, won, "One month")  # error
Cancel(cancel_id=new_order_id(), order_id="o1", reason="returned")  # error
CancelWhole(cancel_id=new_order_id(), order_id="o1", reason="returned", money=won)  # error

Request("GET", "/payments/1")  # error
Request("FETCH", path("/payments/{}", "1"))  # error
path("/payments/{}", 1)  # error
text: str = Secret("token")  # error


class Eager(Provider):
    """Answers at once, where a flow of requests is due."""

    def charge(self, command: Charge) -> Payment:  # error
        raise NotImplementedError


class WrongAnswer(Provider):
    """Ends in something else than a payment."""

    def charge(self, command: Charge) -> Flow[Payment]:
        yield Request("GET", path("/payments"))
        return "paid"  # error


def endpoints(gate: Gateway, many: AsyncGateway) -> None:
    inbox = Inbox(many)  # error
    AsyncInbox(gate)  # error
    inbox.on("payment_paid")(lambda: None)  # error
    inbox.on(5)  # error
    Receiver(inbox, url="https://shop.example", secret="s", order=lambda visit: 5, done=lambda visit, _: "/")  # error
    Receiver(inbox, url="https://shop.example", secret="s", order=lambda visit: "/", done=lambda visit: "/")  # error


def did_it_move(error: PaygateError) -> bool:
    return error.moved  # error
