"""One-off payments and registrations: the return is a hint, the PG's record for our own order decides (F60-F62)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, cancel_whole, charge, won

from paygate import (
    BadCommand,
    Charge,
    Conflict,
    Declined,
    Forged,
    NotSent,
    OutcomeUnknown,
    Pay,
    PaygateError,
    Register,
    State,
    Unauthorized,
)
from paygate.testing.emulator import FaultKind

BACK = "https://shop.example/back"


def pay(order_id: str = "o1", amount: int = 14_000, title: str = "Tea") -> Pay:
    return Pay(order_id=order_id, money=won(amount), title=title, return_url=BACK)


def register(order_id: str = "k1") -> Register:
    return Register(order_id=order_id, money=won(14_000), title="Tea", return_url=BACK)


@pytest.fixture(params=FACES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(request.param) as made:
        yield made


def test_preparing_moves_no_money_and_says_what_to_show(shop: Shop) -> None:
    shown = shop.pay(pay())
    assert shown.order_id == "o1"
    assert shown.action.to_dict() == {"type": "redirect", "url": "https://fakepg.example/o1"}
    assert shop.pg.journal.entries == []
    assert shop.row("o1").state is State.SENT


def test_a_payer_who_pays_is_confirmed_once_and_for_all(shop: Shop) -> None:
    shop.pay(pay())
    query = shop.pg.payer("o1")
    payment = shop.confirm("o1", query)
    assert (payment.status, payment.money, payment.provider_id) == ("paid", won(14_000), "p1")
    assert shop.row("o1").state is State.ANSWERED
    assert shop.confirm("o1", query).provider_id == "p1"
    assert shop.confirm("o1", {}).provider_id == "p1"
    assert shop.pg.journal.charges("o1") == 1


def test_a_payer_who_does_nothing_or_closes_the_window_is_still_expected(shop: Shop) -> None:
    shop.pay(pay())
    assert shop.confirm("o1", {}).status == "pending"
    closed = shop.confirm("o1", shop.pg.payer("o1", "close"))
    assert (closed.status, closed.message) == ("pending", "closed")
    assert shop.row("o1").state is State.SENT
    shop.pg.payer("o1")
    assert shop.confirm("o1", {}).status == "paid"


def test_a_payer_who_is_declined_is_told_so_and_the_order_is_spent(shop: Shop) -> None:
    shop.pay(pay())
    with pytest.raises(Declined) as caught:
        shop.confirm("o1", shop.pg.payer("o1", "decline"))
    assert caught.value.order_id == "o1"
    assert caught.value.message == "no funds"
    with pytest.raises(Declined):
        shop.confirm("o1", {})
    with pytest.raises(Conflict):
        shop.pay(pay())
    assert shop.pg.journal.entries == []


@pytest.mark.parametrize("query", [
    {"status": "success"}, {"status": "paid", "order_id": "o1"},
    {"success": "true", "imp_success": "true", "code": "0"},
    {"order_id": "o1", "payment_id": "p999"}, {"order_id": "o1", "payment_id": ""},
])
def test_a_forged_success_delivers_nothing(shop: Shop, query: dict[str, str]) -> None:
    shop.pay(pay())
    try:
        assert shop.confirm("o1", query).status == "pending"
    except Forged:
        pass
    assert shop.row("o1").state is State.SENT
    shop.pg.payer("o1")
    assert shop.confirm("o1", {}).status == "paid"


@pytest.mark.parametrize("payment_id",
                         ["..", ".", "a" * 500, "\x00", "p1\r\nX: y", "\ud800", "p1?include_sandbox=true", "../token",
                                        "p1/../p2", "%2e%2e", "p1#"])
def test_what_is_no_id_of_a_payment_is_never_asked_for(shop: Shop, payment_id: str) -> None:
    shop.pay(pay("o2"))
    shop.pg.payer("o2")
    shop.pay(pay())
    try:
        assert shop.confirm("o1", {"order_id": "o1", "payment_id": payment_id}).status == "pending"
    except Forged:
        pass
    for call in shop.pg.calls:
        assert call.method == "POST" or call.target == "/payments?order_id=o1" or (
            call.target.startswith("/payments/") and call.target.isascii() and not set("/?#&=") & set(call.target[10:]))
    assert shop.row("o1").state is State.SENT


def test_the_payment_of_another_order_confirms_nothing(shop: Shop) -> None:
    shop.pay(pay("cheap", 100))
    cheap = shop.pg.payer("cheap")
    shop.pay(pay("dear", 1_000_000))
    for query in (cheap, {**cheap, "order_id": "dear"}, {"payment_id": cheap["payment_id"]}, {"order_id": "cheap"}):
        with pytest.raises(Forged) as caught:
            shop.confirm("dear", query)
        assert caught.value.order_id == "dear"
    assert shop.row("dear").state is State.SENT
    assert shop.confirm("dear", {}).status == "pending"
    assert shop.confirm("cheap", cheap).status == "paid"


def test_an_old_success_is_not_replayed_for_a_new_order(shop: Shop) -> None:
    shop.pay(pay("first"))
    first = shop.pg.payer("first")
    assert shop.confirm("first", first).status == "paid"
    shop.pay(pay("second"))
    with pytest.raises(Forged):
        shop.confirm("second", {**first, "order_id": "second"})
    assert shop.row("second").state is State.SENT
    assert shop.confirm("first", first).status == "paid"  # A reload of the first page changes nothing.


@pytest.mark.parametrize("with_id", [True, False])
def test_an_amount_tampered_with_in_the_browser_is_never_success(shop: Shop, with_id: bool) -> None:
    shop.pay(pay())
    shop.pg.windows["o1"]["amount"] = 100
    query = shop.pg.payer("o1")
    with pytest.raises((Forged, OutcomeUnknown)):
        shop.confirm("o1", query if with_id else {})
    assert shop.row("o1").state is State.UNKNOWN
    assert [r.id for r in shop.attention()] == ["o1"]
    assert "100 KRW" in shop.row("o1").attention
    with pytest.raises((Forged, OutcomeUnknown)):
        shop.confirm("o1", {})


def test_a_currency_tampered_with_is_never_success(shop: Shop) -> None:
    shop.pay(pay())
    shop.pg.windows["o1"]["currency"] = "USD"
    with pytest.raises(Forged):
        shop.confirm("o1", shop.pg.payer("o1"))
    assert shop.row("o1").state is State.UNKNOWN


def test_a_payment_of_the_other_mode_is_never_success(shop: Shop) -> None:
    shop.pay(pay())
    query = shop.pg.payer("o1")
    shop.pg.payments["p1"]["test"] = False
    with pytest.raises(Forged):
        shop.confirm("o1", query)
    assert shop.row("o1").state is not State.ANSWERED


def test_a_record_that_only_registers_a_key_pays_for_nothing(shop: Shop) -> None:
    shop.pay(pay())
    query = shop.pg.payer("o1")
    shop.pg.payments["p1"]["for_key"] = True
    with pytest.raises(Forged):
        shop.confirm("o1", query)
    assert shop.row("o1").state is not State.ANSWERED


def test_only_an_order_that_was_begun_is_confirmed(shop: Shop) -> None:
    shop.pg.issue_key("key-1")
    shop.charge(charge("charged"))
    shop.register(register())
    for order_id in ("nobody", "charged", "k1", "", "\ud800", "x" * 5000):
        with pytest.raises((BadCommand, PaygateError)) as caught:
            shop.confirm(order_id, {})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200
    with pytest.raises(BadCommand):
        shop.confirm_key("charged", {})


def test_the_same_window_is_handed_out_again_and_another_command_is_a_conflict(shop: Shop) -> None:
    shown = shop.pay(pay())
    assert shop.pay(pay()) == shown
    assert shop.confirm("o1", {}).status == "pending"
    assert shop.pay(pay()) == shown
    with pytest.raises(Conflict):
        shop.pay(pay(amount=1))
    with pytest.raises(Conflict):
        shop.register(register("o1"))
    shop.pg.payer("o1")
    with pytest.raises(Conflict):
        shop.pay(pay())  # Paid meanwhile: it is not shown a second time.
    assert shop.row("o1").state is State.ANSWERED


@pytest.mark.parametrize("kind", [k for k in FaultKind if k not in (FaultKind.WRONG_ORDER, FaultKind.WRONG_AMOUNT)])
def test_a_window_that_could_not_be_prepared_took_no_money(shop: Shop, kind: FaultKind) -> None:
    shop.pg.fault(kind, "^POST /windows$", times=10)
    with pytest.raises(PaygateError) as caught:
        shop.pay(pay())
    assert caught.value.moved is False
    assert shop.row("o1").state is State.NOT_SENT
    shop.pg.faults.clear()
    shop.pay(pay())
    shop.pg.payer("o1")
    assert shop.confirm("o1", {}).status == "paid"
    assert shop.attention() == []


@pytest.mark.parametrize("kind",
                         [FaultKind.DROP_BEFORE, FaultKind.ERROR_500_AFTER, FaultKind.LIE_FAILED, FaultKind.REFUSE,
                                  FaultKind.UNAUTHORIZED])
@pytest.mark.parametrize("call", ["^POST /windows$", "^GET /payments$"])
def test_a_window_that_cannot_be_shown_again_may_still_be_paid_in(shop: Shop, kind: FaultKind, call: str) -> None:
    shop.pay(pay())
    shop.pg.fault(kind, call, times=10)
    with pytest.raises(OutcomeUnknown) as caught:
        shop.pay(pay())
    assert caught.value.order_id == "o1"
    assert shop.row("o1").state is State.SENT
    shop.pg.faults.clear()
    shop.pg.payer("o1")
    shop.clock.advance(3600)
    shop.reconcile()
    assert shop.row("o1").state is State.ANSWERED
    assert shop.attention() == []


@pytest.mark.parametrize("kind",
                         [FaultKind.DROP_BEFORE, FaultKind.HANG_AFTER, FaultKind.ERROR_500_BEFORE, FaultKind.REFUSE,
                                  FaultKind.HTML_AFTER, FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY,
                          FaultKind.LIE_FAILED])
@pytest.mark.parametrize("by_id", [True, False])
def test_a_pg_that_cannot_be_asked_leaves_the_return_open(shop: Shop, kind: FaultKind, by_id: bool) -> None:
    shop.pay(pay())
    query = shop.pg.payer("o1")
    shop.pg.fault(kind, "^GET ", times=1000)
    with pytest.raises(OutcomeUnknown) as caught:
        shop.confirm("o1", query if by_id else {})
    assert caught.value.moved is None
    assert shop.row("o1").state is State.SENT
    shop.pg.faults.clear()
    assert shop.confirm("o1", query).status == "paid"


def test_a_page_that_asks_every_second_does_not_give_the_payer_up(shop: Shop) -> None:
    shop.pay(pay())
    for _ in range(100):
        assert shop.confirm("o1", {}).status == "pending"
        shop.clock.advance(1)
    assert shop.row("o1").state is State.SENT
    shop.pg.payer("o1")
    shop.clock.advance(3600)
    shop.reconcile()
    assert shop.row("o1").state is State.ANSWERED


def test_a_payer_who_never_comes_back_is_found_by_reconciling(shop: Shop) -> None:
    shop.pay(pay("paid"))
    shop.pay(pay("left"))
    shop.pg.payer("paid")
    for _ in range(40):
        shop.clock.advance(43_200)
        shop.reconcile()
    assert shop.row("paid").state is State.ANSWERED
    assert shop.row("left").state is State.NOT_SENT
    assert shop.attention() == []
    with pytest.raises(NotSent):
        shop.confirm("left", {})


def test_a_window_paid_in_after_it_was_given_up_is_still_seen(shop: Shop) -> None:
    shop.pay(pay())
    for _ in range(40):
        shop.clock.advance(43_200)
        shop.reconcile()
    assert shop.row("o1").state is State.NOT_SENT
    query = shop.pg.payer("o1")
    assert shop.confirm("o1", query).status == "paid"
    assert shop.row("o1").state is State.ANSWERED
    assert "late approval" in shop.row("o1").attention


def test_a_one_off_payment_can_be_given_back(shop: Shop) -> None:
    shop.pay(pay())
    query = shop.pg.payer("o1")
    assert shop.cancel_whole(cancel_whole()).payment.status == "cancelled"
    assert shop.pg.journal.given_back("o1") == 14_000
    assert shop.confirm("o1", query).status == "cancelled"


def test_two_paid_records_under_one_order_are_for_a_person(shop: Shop) -> None:
    shop.pay(pay())
    shop.pg.payer("o1")
    shop.pg.payer("o1")
    with pytest.raises(OutcomeUnknown):
        shop.confirm("o1", {})
    assert [r.id for r in shop.attention()] == ["o1"]


# Billing keys


def test_a_registered_key_is_handed_over_and_charges(shop: Shop) -> None:
    assert shop.register(register()).takes_money is False
    assert shop.confirm_key("k1", {}) is None
    key = shop.confirm_key("k1", shop.pg.payer("k1"))
    assert key is not None
    assert key.gateway == "fakepg"
    assert shop.confirm_key("k1", {}) == key
    assert shop.pg.journal.entries == []
    paid = shop.charge(Charge(order_id="o1", billing_key=key, money=won(100), title="Tea"))
    assert paid.status == "paid"


def test_a_payer_who_closes_or_is_declined_yields_no_key(shop: Shop) -> None:
    shop.register(register("k1"))
    assert shop.confirm_key("k1", shop.pg.payer("k1", "close")) is None
    with pytest.raises(Declined):
        shop.confirm_key("k1", shop.pg.payer("k1", "decline"))
    assert shop.row("k1").state is State.REFUSED


def test_the_key_of_another_registration_is_not_handed_over(shop: Shop) -> None:
    shop.register(register("mine"))
    shop.register(register("theirs"))
    theirs = shop.pg.payer("theirs")
    for query in (theirs, {**theirs, "order_id": "mine"}, {"payment_id": theirs["payment_id"]}):
        with pytest.raises(Forged):
            shop.confirm_key("mine", query)
    assert shop.confirm_key("mine", {}) is None
    assert shop.row("mine").state is State.SENT


def test_a_record_that_names_another_key_is_a_contradiction(shop: Shop) -> None:
    shop.register(register())
    query = shop.pg.payer("k1")
    shop.pg.payments["p1"]["key"] = "key-of-somebody-else"
    with pytest.raises(Forged):
        shop.confirm_key("k1", query)
    assert shop.row("k1").state is State.UNKNOWN


def test_a_key_that_the_pg_does_not_know_is_not_handed_over(shop: Shop) -> None:
    shop.register(register())
    query = shop.pg.payer("k1")
    shop.pg.keys.clear()
    assert shop.confirm_key("k1", query) is None


@pytest.mark.parametrize("call", ["^GET /payments", "^GET /keys"])
@pytest.mark.parametrize("kind",
                         [FaultKind.DROP_BEFORE, FaultKind.UNAUTHORIZED, FaultKind.REFUSE, FaultKind.LIE_FAILED])
def test_a_key_that_cannot_be_asked_about_is_not_known_yet(shop: Shop, kind: FaultKind, call: str) -> None:
    shop.register(register())
    query = shop.pg.payer("k1")
    shop.pg.fault(kind, call, times=1000)
    with pytest.raises(OutcomeUnknown):
        shop.confirm_key("k1", query)
    shop.pg.faults.clear()
    assert shop.confirm_key("k1", query) is not None


def test_a_registration_that_took_no_money_has_none_to_give_back(shop: Shop) -> None:
    shop.register(register())
    shop.confirm_key("k1", shop.pg.payer("k1"))
    with pytest.raises(BadCommand):
        shop.cancel_whole(cancel_whole("c1", "k1"))
    assert shop.pg.journal.entries == []


def test_a_wrong_secret_is_told_when_the_window_is_prepared() -> None:
    with Shop(settings={"api_key": "wrong", "mode": "test"}) as shop, pytest.raises(Unauthorized):
        shop.pay(pay())


def test_live_and_test_never_meet_even_in_one_ledger() -> None:
    with Shop() as test:
        live: Any = Shop(ledger=test.ledger, settings={"api_key": "any", "mode": "live"}, pg=test.pg)
        test.pay(pay())
        query = test.pg.payer("o1")
        with pytest.raises(BadCommand):
            live.confirm("o1", query)
        live.pay(pay())
        with pytest.raises(Forged):
            live.confirm("o1", query)  # Paid with play money.
        assert live.row("o1").state is not State.ANSWERED
        assert test.confirm("o1", query).status == "paid"
