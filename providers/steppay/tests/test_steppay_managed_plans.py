"""Price plans of a managed account: one per amount, however the PG shows them, and nothing is ordered with a doubt."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator

from paygate.assemble import connect
from paygate.commands import Pay
from paygate.errors import NotSent
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.model import PaymentStatus
from paygate.money import Money
from paygate.subscriptions import Interval, Subscribe
from paygate.testing.emulator import Call
from paygate.testing.transport import EmulatorTransport

SPEC = next(s for s in paygate_providers() if s.name == "steppay-managed")
BACK = "https://shop.example/done"


class Shop:
    """A merchant whose every worker is a process of its own: a new gateway over one ledger."""

    def __init__(self, **switches: Any) -> None:
        self.pg = ManagedEmulator()
        self.ledger = MemoryLedger()
        for name, value in switches.items():
            self.pg.controls()["switch"](name=name, value=value)

    def worker(self) -> Gateway:
        return connect(SPEC, self.pg.settings(), ledger=self.ledger, http=EmulatorTransport(self.pg),
                       clock=self.pg.clock)

    def pay(self, order_id: str, won: int = 14_000, gate: Gateway | None = None) -> None:
        gate = gate or self.worker()
        checkout = gate.pay(self.command(order_id, won))
        assert gate.confirm(order_id, self.pg.browse(checkout.action.to_dict())).status is PaymentStatus.PAID

    def command(self, order_id: str, won: int = 14_000) -> Pay:
        asked = self.pg.story().pay
        assert asked is not None
        return evolve(asked, order_id=order_id, money=Money(won, "KRW"))

    @property
    def plans(self) -> list[Any]:
        return self.pg.product.prices

    def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        token = {"secret-token": self.pg.settings()["secret_token"]}
        return self.pg.answer(Call(method, path, token, body))


@pytest.mark.parametrize("shown", ["everywhere", "list", "product"])
@pytest.mark.parametrize("echo", [False, True])
def test_an_amount_is_one_plan_wherever_the_pg_shows_hidden_plans_and_with_a_set_up_fee_of_nothing(
        shown: str, echo: bool) -> None:
    shop = Shop(hidden_plans=shown, setup_echo=echo)
    for number in range(4):
        shop.pay(f"order-{number}")
    assert len(shop.plans) == 1
    assert {o["items"][0]["price"]["code"] for o in shop.pg.controls()["orders"]()} == {shop.plans[0].code}


def test_a_plan_that_the_pg_lists_nowhere_is_made_once_and_nothing_is_ordered_until_it_is_shown() -> None:
    shop = Shop(hidden_plans="nowhere")
    gate = shop.worker()
    for number in range(3):
        with pytest.raises(NotSent, match="let the shop show it") as caught:
            gate.pay(shop.command(f"order-{number}"))
        assert shop.plans[0].code in str(caught.value)
    assert len(shop.plans) == 1
    assert shop.pg.controls()["orders"]() == []
    shop.plans[0].values["plan"]["isHiddenFromShop"] = False  # What the message asked for, done in the portal.
    for worker in (gate, shop.worker()):
        shop.pay(f"shown-{id(worker)}", gate=worker)
    assert len(shop.plans) == 1


@pytest.mark.parametrize("terms", [
    {"firstSale": {"enabled": True, "price": 100}}, {"membershipExpirationDate": 3},
    {"setupOption": {"id": 1, "name": "fee", "type": "INITIALLY", "price": 500, "claimMethodType": "PRE"}}])
@pytest.mark.parametrize("when", ["before", "while it is made"])
def test_a_plan_of_ours_with_other_terms_is_for_a_person_and_never_made_again(
        terms: dict[str, Any], when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    if when == "before":
        shop.pay("order-0")
        shop.plans[0].values = {**shop.plans[0].values, **terms}
    else:
        answer = shop.pg.answer

        def with_other_terms(call: Call) -> Any:
            made = answer(call)
            for plan in shop.plans:
                plan.values = {**plan.values, **terms}
            return made

        monkeypatch.setattr(shop.pg, "answer", with_other_terms)
    orders = len(shop.pg.controls()["orders"]())
    for number in range(1, 4):
        with pytest.raises(NotSent, match="put its terms right in the portal, or rename it"):
            shop.worker().pay(shop.command(f"order-{number}"))
    assert len(shop.plans) == 1
    assert len(shop.pg.controls()["orders"]()) == orders


def test_a_price_that_a_person_changed_in_the_portal_is_not_worked_around() -> None:
    shop = Shop()
    shop.pay("order-0")
    shop.plans[0].amount += 1000
    with pytest.raises(NotSent, match="14,000 KRW"):
        shop.worker().pay(shop.command("order-1"))
    assert len(shop.plans) == 1
    shop.plans[0].values["plan"]["name"] = "15,000 KRW"  # Renamed: the amount may have a plan of its own again.
    shop.pay("order-1")
    assert len(shop.plans) == 2


def test_two_workers_that_make_the_same_plan_leave_one_too_many_and_everybody_uses_the_first(
        monkeypatch: pytest.MonkeyPatch) -> None:
    shop, answer, other = Shop(), None, []
    answer = shop.pg.answer

    def overtaken(call: Call) -> Any:
        if call.method == "POST" and call.path.endswith("/prices") and not other:
            other.append(True)  # Another worker, which has seen no plan either, is quicker.
            answer(call)
        return answer(call)

    monkeypatch.setattr(shop.pg, "answer", overtaken)
    shop.pay("order-0")
    shop.pay("order-1")
    assert len(shop.plans) == 2
    first = min(shop.plans, key=lambda p: p.id).code
    assert {o["items"][0]["price"]["code"] for o in shop.pg.controls()["orders"]()} == {first}


def test_a_recurring_plan_of_the_same_amount_is_another_plan_and_reused_as_well() -> None:
    shop = Shop(hidden_plans="list", setup_echo=True)
    shop.pay("order-0")
    for number in range(3):
        for every in (Interval("month"), Interval("week", 2)):
            shop.worker().subscribe(Subscribe(
                order_id=f"sub-{number}-{every.unit}", money=Money(14_000, "KRW"), every=every, title="plan",
                return_url=BACK, customer=shop.command("x").customer))
    assert [(p.type, p.recurring and p.recurring["interval"]) for p in shop.plans] == [
        ("ONE_TIME", None), ("FLAT", "MONTH"), ("FLAT", "WEEK")]


def test_a_product_without_its_list_of_prices_is_asked_for_the_list() -> None:
    shop = Shop(nulls="absent")
    answer = shop.pg.answer
    shop.pay("order-0")
    calls = len(shop.pg.calls)
    shop.pg.controls()["switch"](name="hidden_plans", value="list")
    shop.pay("order-1")
    assert [c.path.rpartition("/")[2] for c in shop.pg.calls[calls:] if c.method == "GET"][1:3] == [
        shop.pg.product.code, "prices"]
    assert answer is not None
    assert len(shop.plans) == 1
