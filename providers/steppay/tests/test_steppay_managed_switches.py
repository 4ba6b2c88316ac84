"""Both sides of what StepPay leaves open, dialled in the emulator, as a managed merchant meets them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve, fields
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator, Switches

from paygate.assemble import connect
from paygate.errors import BadCommand, Forged, Refused
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.model import PaymentStatus
from paygate.money import Money
from paygate.subscriptions import SubscriptionStatus
from paygate.testing.emulator import Call
from paygate.testing.transport import EmulatorTransport

SPEC = next(s for s in paygate_providers() if s.name == "steppay-managed")


class Shop:
    def __init__(self, switches: dict[str, Any], **settings: Any) -> None:
        self.pg = ManagedEmulator()
        self.control = self.pg.controls()
        for name, value in switches.items():
            self.control["switch"](name=name, value=value)
        self.gate: Gateway = connect(SPEC, {**self.pg.settings(), **settings}, ledger=MemoryLedger(),
                                     http=EmulatorTransport(self.pg), clock=self.pg.clock)

    def pay(self, won: int = 14_000, order_id: str = "order-1") -> PaymentStatus:
        asked = self.pg.story().pay
        assert asked is not None
        window = self.gate.pay(evolve(asked, order_id=order_id, money=Money(won, "KRW")))
        return self.gate.confirm(order_id, self.pg.browse(window.action.to_dict())).status

    def subscribe(self) -> None:
        asked = self.pg.story().subscribe
        assert asked is not None
        window = self.gate.subscribe(evolve(asked, order_id="sub-1"))
        assert self.gate.confirm_subscription("sub-1", self.pg.browse(window.action.to_dict())) is not None

    def taken(self) -> int:
        return sum(m.money.amount for m in self.pg.journal.entries if m.kind == "charge")


EITHER_WAY: list[dict[str, Any]] = [
    {"create_status": 200}, {"amounts": "int"}, {"amounts": "decimal"}, {"nulls": "absent"}, {"return_order_id": False},
    {"return_on_cancel": True}, {"payment_before_attempt": True}, {"hidden_plans": "list"}, {"hidden_plans": "product"},
    {"setup_echo": True}, {"hook_copies": 2}, {"hook_order": "reversed"}, {"hooks": ("v1",)}, {"hooks": ("v1", "v2")}]


@pytest.mark.parametrize("switches", EITHER_WAY, ids=str)
def test_a_merchant_notices_nothing_of_it(switches: dict[str, Any]) -> None:
    shop = Shop(switches)
    heard = []
    shop.pg.on_hook = lambda hook: heard.append(shop.gate.receive(hook.headers, hook.body))
    assert shop.pay() is PaymentStatus.PAID
    shop.subscribe()
    assert shop.gate.find("order-1").status is PaymentStatus.PAID
    assert shop.taken() == 14_000 + 9_900
    assert shop.gate.attention() == []
    news = [e.payment.provider_id for e in heard if e.payment is not None and e.is_news
            and e.payment.status is PaymentStatus.PAID]
    assert len(news) == len(set(news))


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_the_settings_fault_and_moves_nothing(status: int) -> None:
    shop = Shop({"unauthorized_status": status}, secret_token="wrong")
    with pytest.raises(Refused, match="token"):
        shop.pay()
    assert shop.pg.journal.entries == []


def test_a_customer_without_a_username_is_refused_where_the_pg_wants_one_and_nothing_is_tried_again() -> None:
    shop = Shop({"username_required": True})
    with pytest.raises(Refused) as caught:
        shop.pay()
    assert caught.value.moved is False
    assert len([c for c in shop.pg.calls if c.method == "POST"]) == 1


@pytest.mark.parametrize("rate", [3, 7, 10, 20])
def test_tax_of_any_rate_is_part_of_what_the_merchant_asked_for(rate: int) -> None:
    shop = Shop({"vat_included": False, "vat_rate": rate}, vat_percent=rate)
    paid = 0
    for won in range(14_000, 14_012):
        try:
            assert shop.pay(won, f"order-{won}") is PaymentStatus.PAID
            paid += won
        except BadCommand:
            pass  # No price makes exactly this with that tax: told before anything was sent.
    assert paid > 0
    assert shop.taken() == paid


def test_tax_of_another_rate_than_the_settings_say_is_found_out() -> None:
    shop = Shop({"vat_included": False, "vat_rate": 20}, vat_percent=10)
    with pytest.raises(Forged):
        shop.pay(11_000)


def test_the_days_on_which_a_failed_renewal_is_tried_again_are_the_pgs() -> None:
    shop = Shop({"retry_days": (2,)})
    shop.subscribe()
    shop.control["renewals"](outcome="failed", times=2)
    due = shop.gate.subscription("sub-1").next_due_at
    assert due is not None
    shop.pg.clock.advance((due - shop.pg.clock.now()).total_seconds())
    assert shop.gate.subscription("sub-1").status is SubscriptionStatus.PAST_DUE
    assert shop.gate.subscription("sub-1").next_due_at == due + timedelta(days=2)
    shop.pg.clock.advance(2 * 86_400)
    assert shop.gate.subscription("sub-1").status is SubscriptionStatus.ENDED


@pytest.mark.parametrize("served", [False, True])
def test_whether_the_id_key_of_an_order_can_be_charged_is_a_switch_that_no_provider_uses(served: bool) -> None:
    shop = Shop({"billing_with_order_key": served})
    shop.subscribe()
    key = shop.control["orders"]()[0]["idKey"]
    body = (b'{"idKey":"%s","partner":{"partnerOrderId":"a","partnerUserId":"b"},"customer":{},'
            b'"product":{"itemName":"x","amount":100,"quantity":1}}' % key.encode())
    token = {"secret-token": shop.pg.settings()["secret_token"], "content-type": "application/json"}
    assert (shop.pg.answer(Call("POST", "/api/payment/billing", token, body)).status == 200) is served
    assert not shop.gate.supports("charge")


def test_no_switch_takes_a_value_that_is_not_on_offer() -> None:
    for switch in fields(Switches):
        with pytest.raises(ValueError):
            Switches().set(switch.name, object())
    with pytest.raises(ValueError):
        Switches().set("no_such_switch", True)
