"""A PG that keeps no id of ours: the ledger's binding decides, never a browser. And what hooks tell beside payments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from attrs import evolve

from paygate import (
    BillingKey,
    Capability,
    Charge,
    Checkout,
    EventKind,
    Flow,
    Forged,
    Hint,
    MemoryLedger,
    Money,
    NotSent,
    OutcomeUnknown,
    Pay,
    Payment,
    PaymentStatus,
    Refused,
    Request,
    Response,
    connect,
    path,
)
from paygate.ledger.row import Book, Note
from paygate.testing.emulator import Call
from paygate.testing.fakepg import FAKEPG, FakePG, FakeProvider
from paygate.testing.transport import EmulatorTransport

WON = Money(14_000, "KRW")


class Nameless(FakeProvider):
    """FakePG as if it had never heard of our order ids: its orders have codes, and aliases for them."""

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        made = yield from super().pay(command)
        return evolve(made, provider_id=f"code-{command.order_id}")

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        code = provider_id.replace("alias-", "code-")
        found = yield from self.find(code.removeprefix("code-"))
        name = order_id or f"nameless:{code}"
        if not found:
            return Payment(order_id=name, provider_id=code, status=PaymentStatus.PENDING, money=WON)
        return evolve(found[0], order_id=name, provider_id=code)

    def read_return(self, query: Mapping[str, str]) -> Hint:
        return Hint(provider_id=query.get("code"))

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        return Hint(**json.loads(body))

    def look_at(self, hint: Hint) -> Flow[Hint | None]:
        yield Request("GET", path("/payments"), query=(("order_id", "x"),), auth=True)
        return evolve(hint, claim="seen", identity="seen") if hint.provider_id == "s1" else None

    def is_unprocessed(self, response: Response) -> bool:
        return response.status == 403 and response.body == b"{}"


class Shop:
    def __init__(self) -> None:
        self.pg = FakePG()
        spec = evolve(FAKEPG, build=Nameless, capabilities=FAKEPG.capabilities - {Capability.FIND})
        self.ledger = MemoryLedger()
        self.gate = connect(spec, self.pg.settings(), ledger=self.ledger, http=EmulatorTransport(self.pg),
                            clock=self.pg.clock)

    def pay(self, order_id: str, outcome: str = "approve") -> None:
        checkout = self.gate.pay(Pay(order_id=order_id, money=WON, title="Tea", return_url="https://shop.example/back"))
        self.pg.browse(checkout.action.to_dict(), outcome)

    def hook(self, **hint: Any) -> Any:
        return self.gate.receive({}, json.dumps(hint).encode())


def test_an_order_is_confirmed_by_the_code_that_the_ledger_bound_to_it() -> None:
    shop = Shop()
    shop.pay("o1")
    paid = shop.gate.confirm("o1", {"code": "code-o1"})
    assert (paid.order_id, paid.provider_id, paid.status) == ("o1", "code-o1", PaymentStatus.PAID)
    assert shop.gate.find("o1") == paid
    assert shop.gate.lookup("code-o1").order_id == "o1"


def test_the_code_of_another_paid_order_confirms_nothing() -> None:
    shop = Shop()
    shop.pay("o1")
    shop.pay("o2", "close")
    with pytest.raises(Forged):
        shop.gate.confirm("o2", {"code": "code-o1"})
    assert shop.gate.confirm("o2", {"code": "code-o2"}).status is PaymentStatus.PENDING


def test_a_browser_never_binds_a_code_to_an_order_that_has_none() -> None:
    shop = Shop()
    shop.pay("o1")
    shop.pay("o2", "close")
    row = shop.ledger.get(shop.gate._account.scope, Book.PAYMENT, "o2")
    assert row is not None
    died = Note(text="as if the worker had died before writing it", at=1.0, by="host:1")
    assert shop.ledger.change(evolve(row, provider_id=None), died) is not None
    with pytest.raises(Forged):
        shop.gate.confirm("o2", {"code": "code-o1"})


def test_what_the_ledger_does_not_know_belongs_to_no_order_of_ours() -> None:
    shop = Shop()
    assert shop.gate.lookup("code-o9").order_id == "nameless:code-o9"
    event = shop.hook(provider_id="code-o9")
    assert event.kind is EventKind.UNMATCHED
    assert shop.gate.attention() == []  # Nothing was paid under it.


def test_a_webhook_may_name_a_payment_by_another_of_the_pgs_ids() -> None:
    shop = Shop()
    shop.pay("o1")
    event = shop.hook(alias="alias-o1")
    assert (event.kind, event.order_id) == (EventKind.PAYMENT_PAID, "o1")
    assert shop.gate.find("o1").status is PaymentStatus.PAID


@pytest.mark.parametrize(("kind", "told"), [
    ("subscription", EventKind.SUBSCRIPTION_CHANGED), ("invoice", EventKind.INVOICE_CHANGED),
    ("customer", EventKind.CUSTOMER_CHANGED), ("product", EventKind.PRODUCT_CHANGED), ("other", EventKind.OTHER)])
def test_what_is_signed_and_concerns_no_payment_is_told_once_and_marked_as_not_looked_up(kind: str,
                                                                                       told: EventKind) -> None:
    shop = Shop()
    shop.pay("o1")
    calls = len(shop.pg.calls)
    said = {"kind": kind, "provider_id": "s1", "event": "its.word", "is_signed": True, "began_by": "code-o1"}
    first, again = shop.hook(**said), shop.hook(**said)
    assert (first.kind, first.order_id, first.payment, first.verified_by) == (told, "o1", None, "signature")
    assert (first.subject.kind, first.subject.provider_id, first.subject.event) == (kind, "s1", "its.word")
    assert (first.is_news, again.is_news, first.id) == (True, False, again.id)
    assert len(shop.pg.calls) == calls
    assert shop.gate.find("o1").status is PaymentStatus.PAID  # and changed nothing about any payment


def test_what_is_not_signed_must_be_in_the_pgs_own_record() -> None:
    shop = Shop()
    event = shop.hook(kind="subscription", provider_id="s1", claim="CLAIMED")
    assert (event.verified_by, event.order_id, event.is_news) == ("lookup", None, True)
    assert not shop.hook(kind="subscription", provider_id="s1", claim="ANOTHER").is_news
    with pytest.raises(Forged):
        shop.hook(kind="subscription", provider_id="s2")
    shop.pg.fault("hang_before", times=9)
    with pytest.raises(OutcomeUnknown):
        shop.hook(kind="subscription", provider_id="s1")


def test_a_header_that_comes_twice_is_forged() -> None:
    with pytest.raises(Forged):
        Shop().gate.receive({"Signature": "a", "signature": "b"}, b'{"provider_id": "code-o1"}')


@pytest.mark.parametrize(("body", "moved"), [(b"{}", False), (b'{"x": 1}', None)])
def test_only_an_answer_the_provider_vouches_for_proves_that_nothing_began(body: bytes, moved: bool | None) -> None:
    class Guarded(FakePG):
        def answer(self, call: Call) -> Response:
            if call.path == "/charges":
                return Response(403, {"content-type": "application/json"}, body)
            return super().answer(call)

    shop = Shop()
    pg = Guarded(shop.pg.clock)
    pg.issue_key("key-1")
    gate = connect(evolve(FAKEPG, build=Nameless), pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg),
                   clock=pg.clock)
    with pytest.raises((NotSent, OutcomeUnknown, Refused)) as caught:
        gate.charge(Charge(order_id="o1", billing_key=BillingKey("fakepg", "key-1"), money=WON, title="Tea"))
    assert caught.value.moved is moved
