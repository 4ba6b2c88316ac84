"""What a PG's record says of the payer and of the billing key: it must be ours, and an id that is a key is hidden."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, STORES, Shop, charge, store, won

from paygate import Customer, Forged, OutcomeUnknown, PaygateError, Payment, ProviderSpec, Register, Secret, State
from paygate.capability import assumed
from paygate.errors import RateLimited
from paygate.secret import opened, sealed
from paygate.testing.fakepg import FAKEPG, FakeProvider
from paygate.wire import Response

UNDER = Secret("under")
Change = Callable[[Payment], Payment]


class Told(FakeProvider):
    """FakePG, whose records say what a test wants, and whose payment ids are keys."""

    change: Change = staticmethod(lambda payment: payment)

    def payer_of(self, command: Any) -> Secret | None:
        customer = getattr(command, "customer", None)
        return None if customer is None or customer.id is None else Secret(customer.id)

    def hide_key(self, payment: Payment) -> Payment:
        id = str(payment.provider_id)
        return payment if id.startswith("key:") else evolve(payment, provider_id="key:" + sealed(Secret(id), UNDER))

    def find(self, order_id: str) -> Any:
        found = yield from super().find(order_id)
        return tuple([self.change(p) for p in found])

    def lookup(self, provider_id: str, order_id: str | None = None) -> Any:
        is_hidden = provider_id.startswith("key:")
        id = opened(provider_id.removeprefix("key:"), UNDER) if is_hidden else Secret(provider_id)
        assert id is not None
        found = yield from super().lookup(id.reveal(), order_id)
        return None if found is None else self.hide_key(self.change(found)) if is_hidden else self.change(found)

    def charge(self, command: Any) -> Any:
        return self.change((yield from super().charge(command)))


def spec(change: Change, **profile: Any) -> ProviderSpec:
    def build(settings: Any) -> Told:
        made = Told(settings)
        made.change = change  # type: ignore[method-assign]
        return made
    # Without find, so that the PG is asked by its own ids.
    return evolve(FAKEPG, build=build, profile=evolve(FAKEPG.profile, **profile),
                  capabilities=frozenset(c for c in FAKEPG.capabilities if c != "find"))


@pytest.fixture(params=[(f, s) for f in FACES for s in STORES], ids="-".join)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    made: list[Shop] = []

    def shop(change: Change = lambda payment: payment, **profile: Any) -> Shop:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Shop(request.param[0], store(request.param[1], folder), spec=spec(change, **profile)))
        return made[-1]
    yield shop
    for each in made:
        each.shut()


def register(customer: str | None = "ours") -> Register:
    return Register(order_id="k1", money=won(14_000), title="Tea", return_url="https://shop.example/back",
                    customer=Customer(id=customer))


@pytest.mark.parametrize(("told", "ours", "fits"), [
    ("ours", "ours", True), (None, "ours", True), ("theirs", "ours", False), ("theirs", None, True)])
def test_a_charge_of_another_payer_is_unknown_and_for_a_person(
        make: Callable[..., Shop], told: str | None, ours: str | None, fits: bool) -> None:
    shop = make(lambda p: evolve(p, payer=told))
    command = charge(customer=Customer(id=ours))
    if fits:
        assert shop.charge(command).status == "paid"
        return
    with pytest.raises(OutcomeUnknown, match="another payer"):
        shop.charge(command)
    assert shop.row("o1").state is State.UNKNOWN
    assert [row.id for row in shop.attention()] == ["o1"]
    assert shop.pg.journal.charges("o1") == 1


def test_the_payer_is_in_no_ledger_text(make: Callable[..., Shop]) -> None:
    shop = make(lambda p: evolve(p, payer="canary-payer"))
    paid = shop.charge(charge(customer=Customer(id="canary-payer")))
    assert "canary-payer" not in repr(paid)
    assert "canary-payer" not in repr(shop.row("o1"))
    assert shop.row("o1").payer_digest is not None


@pytest.mark.parametrize("keyed", [None, True, False])
def test_a_record_without_a_billing_key_settles_neither_a_charge_nor_a_registration(
        make: Callable[..., Shop], keyed: bool | None) -> None:
    shop = make(lambda p: evolve(p, keyed=keyed))
    shop.register(register())
    back = shop.pg.payer("k1")
    if keyed is not False:
        assert shop.charge(charge()).status == "paid"
        assert shop.confirm_key("k1", back) is not None
        return
    with pytest.raises(OutcomeUnknown, match="without a billing key"):
        shop.charge(charge())
    with pytest.raises(Forged, match="without a billing key"):
        shop.confirm_key("k1", back)
    assert {row.id for row in shop.attention()} == {"o1", "k1"}


@pytest.mark.parametrize("takes_money", [True, False])
def test_a_bare_key_settles_a_registration_only_where_registering_takes_no_money(
        make: Callable[..., Shop], takes_money: bool) -> None:
    shop = make(lambda p: evolve(p, for_key=True, money=won(0)), register_takes_money=assumed(takes_money, "a test"))
    shop.register(register())
    back = shop.pg.payer("k1")
    if not takes_money:
        assert shop.confirm_key("k1", back) is not None
        return
    with pytest.raises(Forged, match="took 0 KRW"):
        shop.confirm_key("k1", back)
    assert (shop.row("k1").state, shop.row("k1").provider_id) == (State.UNKNOWN, None)


def test_the_id_of_a_registration_is_hidden_and_still_asked_by_and_that_of_a_charge_is_not(
        make: Callable[..., Shop]) -> None:
    shop = make()
    shop.register(register())
    back = shop.pg.payer("k1")
    assert shop.confirm_key("k1", back) is not None
    hidden = shop.row("k1").provider_id
    assert hidden.startswith("key:")
    assert back["payment_id"] not in repr(shop.row("k1"))
    assert shop.find("k1").provider_id == shop.lookup(hidden).provider_id == hidden
    assert shop.lookup(back["payment_id"]).provider_id == hidden
    assert shop.charge(charge()).provider_id == "p2"
    assert shop.find("o1").provider_id == shop.lookup("p2").provider_id == "p2"


def test_what_nobody_asked_for_is_kept_under_its_hidden_id(make: Callable[..., Shop]) -> None:
    shop = make()
    shop.register(register())
    back = shop.pg.payer("k1")
    other = make()
    other.pg.payments, other.pg.keys = shop.pg.payments, shop.pg.keys
    for stranger in (other.lookup(back["payment_id"]),
                     other.receive({}, f'{{"order_id": "k1", "payment_id": "{back["payment_id"]}"}}'.encode()).payment):
        assert stranger.provider_id.startswith("key:")


@pytest.mark.parametrize(("notices", "calls"), [(True, 3), (False, 1)])
def test_too_many_is_no_reason_to_charge_again_where_the_pg_would_not_notice(
        make: Callable[..., Shop], notices: bool, calls: int) -> None:
    shop = make(refuses_reused_order_id=assumed(notices, "a test"))
    shop.pg.fault("too_many", "^POST /charges$", times=9)
    with pytest.raises(RateLimited) as caught:
        shop.charge(charge())
    assert (caught.value.moved, shop.sent("POST /charges")) == (False, calls)
    shop.pg.faults.clear()
    assert shop.charge(charge()).status == "paid"
    assert shop.pg.journal.charges("o1") == 1


def test_a_look_up_is_repeated_after_too_many_wherever_it_is_asked(make: Callable[..., Shop]) -> None:
    shop = make(refuses_reused_order_id=assumed(False, "a test"))
    shop.charge(charge())
    shop.pg.fault("too_many", "^GET ", times=1)
    assert shop.find("o1").status == "paid"


def test_a_key_quoted_as_the_pgs_code_is_not_shown(make: Callable[..., Shop]) -> None:
    shop = make()
    really = shop.pg.answer
    shop.pg.answer = lambda call: Response(  # type: ignore[method-assign]
        400, {"content-type": "application/json"}, b'{"code": "key-1", "message": "key-1 is closed"}') \
        if call.path == "/charges" else really(call)
    with pytest.raises(PaygateError) as caught:
        shop.charge(charge())
    assert "key-1" not in f"{caught.value} {caught.value.code} {caught.value.message} {shop.row('o1')}"
