"""Webhooks: whatever one claims, only the PG's own record changes anything, once, and only our order (F33-F36, S01)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, STORES, Shop, cancel, charge, schedule, store, won

from paygate import EventKind, Forged, OutcomeUnknown, Pay, PaygateError, State
from paygate.ledger.row import Book
from paygate.testing.emulator import FaultKind


@pytest.fixture(params=[(f, s) for f in FACES for s in STORES], ids="-".join)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    face, kind = request.param
    with Shop(face, store(kind, tmp_path)) as made:
        yield made


def hook(order_id: Any = "o1", payment_id: Any = "p1", **more: Any) -> bytes:
    return json.dumps({"order_id": order_id, "payment_id": payment_id, **more}).encode()


def pay(shop: Shop, order_id: str = "o1", amount: int = 14_000) -> None:
    shop.pay(Pay(order_id=order_id, money=won(amount), title="Tea", return_url="https://shop.example/back"))


def lost_charge(shop: Shop, order_id: str = "o1") -> None:
    shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
    shop.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge(order_id))
    shop.pg.faults.clear()


def rows(shop: Shop) -> list[Any]:
    return [shop.row(id) for id in ("o1", "o2", "s1")]


def test_a_true_hook_is_news_once_and_the_same_fact_ever_after(shop: Shop) -> None:
    pay(shop)
    shop.pg.payer("o1")
    first = shop.receive({}, hook())
    assert (first.kind, first.order_id, first.is_news, first.payment.money) == (EventKind.PAYMENT_PAID, "o1", True,
                                                                                won(14_000))
    assert shop.row("o1").state is State.ANSWERED
    for _ in range(3):
        shop.clock.advance(86_400)
        again = shop.receive({}, hook())
        assert (again.id, again.kind, again.is_news) == (first.id, first.kind, False)
    assert len([line for line in shop.trail("o1") if line.state is State.ANSWERED]) == 1


def test_a_hook_ends_a_doubt(shop: Shop) -> None:
    lost_charge(shop)
    assert shop.row("o1").state is State.UNKNOWN
    event = shop.receive({}, hook())
    assert (event.kind, event.is_news) == (EventKind.PAYMENT_PAID, True)
    assert shop.charge(charge()).status == "paid"
    assert shop.pending() == []
    assert shop.pg.journal.charges("o1") == 1


def test_a_hook_about_what_the_answer_told_already_is_no_news(shop: Shop) -> None:
    shop.charge(charge())
    assert shop.receive({}, hook()).is_news is False


def test_a_hook_that_overtakes_our_answer_is_believed_and_the_answer_changes_nothing() -> None:
    with Shop() as shop:
        really, seen = shop.pg.answer, []

        def hooked(call: Any) -> Any:
            answer = really(call)
            if call.path == "/charges":
                seen.append(shop.receive({}, hook()))
                assert shop.row("o1").state is State.ANSWERED
            return answer
        shop.pg.answer = hooked  # type: ignore[method-assign]
        payment = shop.charge(charge())
        assert [e.is_news for e in seen] == [True]
        assert (payment.status, payment.provider_id) == ("paid", "p1")
        assert len([line for line in shop.trail("o1") if line.state is State.ANSWERED]) == 1


def test_hooks_in_any_order_tell_what_is_true_now(shop: Shop) -> None:
    shop.charge(charge())
    shop.pg.payments["p1"]["given_back"] = 4_000  # In the PG's console.
    late = shop.receive({}, hook(status="paid"))
    assert (late.kind, late.payment.left, late.is_news) == (EventKind.PAYMENT_CANCELLED, won(10_000), True)
    assert shop.charge(charge()).left == won(10_000)
    assert shop.receive({}, hook(status="cancelled")).is_news is False
    shop.pg.payments["p1"]["given_back"] = 14_000
    assert shop.receive({}, hook()).id != late.id
    assert shop.row("o1").state is State.ANSWERED


def test_the_next_refund_is_taken_from_what_the_pg_says_is_left(shop: Shop) -> None:
    shop.charge(charge())
    shop.pg.payments["p1"] |= {"given_back": 12_000, "refunds": [{"id": "r1", "amount": 12_000, "reason": "by hand"}]}
    shop.receive({}, hook())
    with pytest.raises(ValueError, match="more than"):
        shop.cancel(cancel(amount=4_000))
    assert shop.cancel(cancel("c2", amount=2_000)).payment.status == "cancelled"


def test_a_decline_and_its_late_approval_are_both_told(shop: Shop) -> None:
    pay(shop)
    shop.pg.payer("o1", "decline")
    failed = shop.receive({}, hook())
    assert (failed.kind, failed.is_news) == (EventKind.PAYMENT_FAILED, True)
    assert shop.row("o1").state is State.REFUSED
    shop.pg.finish("o1")
    approved = shop.receive({}, hook())
    assert (approved.kind, approved.is_news) == (EventKind.PAYMENT_PAID, True)
    assert shop.row("o1").state is State.ANSWERED
    assert "late approval" in shop.row("o1").attention
    # The old hook once more: states never move back.
    assert shop.receive({}, hook(status="failed")).kind == EventKind.PAYMENT_PAID
    assert shop.row("o1").state is State.ANSWERED


def test_money_taken_back_by_the_record_after_success_is_for_a_person(shop: Shop) -> None:
    shop.charge(charge())
    shop.pg.payments["p1"]["status"] = "failed"
    shop.receive({}, hook())
    assert shop.row("o1").state is State.ANSWERED
    assert [r.id for r in shop.attention()] == ["o1"]


@pytest.mark.parametrize("body", [
    b"", b"{}", b"[]", b"null", b"rubbish", b"\xff\xfe", b'{"order_id": "o1"}', b"[" * 100_000, b'{"payment_id": NaN}',
    b'{"order_id": "o1", "order_id": "o2", "payment_id": "p1"}', hook(payment_id="p999"), hook(payment_id=""),
    hook(payment_id=".."), hook(payment_id="."), hook(payment_id="a" * 500), hook(payment_id="\x00"),
    hook(payment_id="p1\r\nX: y"), hook(payment_id="\ud800"), hook(payment_id="p1?include_sandbox=true"),
    hook(payment_id="../token"), hook(payment_id=None), hook(payment_id=5), hook(payment_id=["p1"]),
    hook(payment_id={"a": 1}),
    hook(order_id="\ud800"), hook(order_id=None), hook(order_id="o2"), hook(order_id="O1"), hook(order_id="o1 "),
])
def test_a_forged_hook_is_refused_and_changes_nothing(shop: Shop, body: bytes) -> None:
    lost_charge(shop)
    pay(shop, "o2")
    before, moved = rows(shop), len(shop.pg.journal.entries)
    with pytest.raises(Forged) as caught:
        shop.receive({}, body)
    assert "\n" not in str(caught.value)
    assert rows(shop) == before
    assert len(shop.pg.journal.entries) == moved
    assert shop.attention() == []


def test_the_payment_of_one_order_never_marks_another(shop: Shop) -> None:
    """Pay the cheap order, then tell the shop that this payment was for the dear one."""
    pay(shop, "o1", 100)
    pay(shop, "o2", 1_000_000)
    shop.pg.payer("o1")
    with pytest.raises(Forged):
        shop.receive({}, hook("o2", "p1"))
    assert shop.row("o2").state is State.SENT
    assert shop.row("o1").state is State.SENT
    assert shop.receive({}, hook("o1", "p1")).order_id == "o1"
    with pytest.raises(Forged):
        shop.receive({}, hook("o2", "p1"))
    assert shop.row("o2").state is State.SENT


def test_an_amount_that_is_not_ours_is_refused_and_shown_to_a_person(shop: Shop) -> None:
    pay(shop)
    shop.pg.windows["o1"]["amount"] = 100
    shop.pg.payer("o1")
    with pytest.raises(Forged):
        shop.receive({}, hook())
    assert shop.row("o1").state is State.UNKNOWN
    assert [r.id for r in shop.attention()] == ["o1"]


@pytest.mark.parametrize("change", [{"test": False}, {"currency": "USD"}, {"for_key": True}])
def test_a_record_that_cannot_be_what_we_asked_for_is_never_success(shop: Shop, change: dict[str, Any]) -> None:
    pay(shop)
    shop.pg.payer("o1")
    shop.pg.payments["p1"] |= change
    with pytest.raises((Forged, OutcomeUnknown)):
        shop.receive({}, hook())
    assert shop.row("o1").state is not State.ANSWERED


def test_a_record_under_another_id_than_the_one_asked_for_is_not_it(shop: Shop) -> None:
    pay(shop)
    shop.pg.payer("o1")
    shop.pg.payments["p2"] = {**shop.pg.payments["p1"]}  # Asked for p2, the PG shows p1.
    with pytest.raises(Forged):
        shop.receive({}, hook("o1", "p2"))
    assert shop.row("o1").state is State.SENT


@pytest.mark.parametrize("kind",
                         [FaultKind.DROP_BEFORE, FaultKind.HANG_BEFORE, FaultKind.ERROR_500_BEFORE, FaultKind.REFUSE,
                                  FaultKind.HTML_BEFORE, FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY,
                          FaultKind.LIE_FAILED,
                                  FaultKind.TRUNCATE_AFTER, FaultKind.REDIRECT_BEFORE])
@pytest.mark.parametrize("on", ["^GET ", "^POST /token$"])
def test_a_hook_that_cannot_be_checked_is_asked_for_again(shop: Shop, kind: FaultKind, on: str) -> None:
    pay(shop)
    shop.pg.payer("o1")
    shop.gate._account.tokens.drop()
    shop.pg.fault(kind, on, times=100)
    with pytest.raises(OutcomeUnknown):
        shop.receive({}, hook())
    assert shop.row("o1").state is State.SENT
    shop.pg.faults.clear()
    assert shop.receive({}, hook()).is_news is True


def test_money_under_an_order_we_never_sent_is_for_a_person_and_news_once(shop: Shop) -> None:
    shop.pg.windows["theirs"] = {"order_id": "theirs", "amount": 500, "currency": "KRW"}
    shop.pg.payer("theirs")
    event = shop.receive({}, hook("theirs"))
    assert (event.kind, event.is_news) == (EventKind.UNMATCHED, True)
    assert shop.receive({}, hook("theirs")).is_news is False
    assert [(r.book, r.order_id) for r in shop.attention()] == [(Book.STRAY, "theirs")]
    assert shop.row("theirs") is None
    shop.acknowledge("p1", by="Kim", why="a sale by telephone")
    assert shop.attention() == []


def test_a_payment_of_nobodys_order_that_took_no_money_is_news_once_and_for_nobody(shop: Shop) -> None:
    shop.pg.windows["theirs"] = {"order_id": "theirs", "amount": 500, "currency": "KRW"}
    shop.pg.payer("theirs", "decline")
    told = [shop.receive({}, hook("theirs")) for _ in range(3)]
    assert [(event.kind, event.is_news) for event in told] == [(EventKind.UNMATCHED, n == 0) for n in range(3)]
    assert len({event.id for event in told}) == 1
    assert shop.attention() == []


def test_a_dated_charge_is_told_when_the_pg_has_carried_it_out(shop: Shop) -> None:
    shop.schedule(schedule(shop, in_s=3600))
    with pytest.raises(Forged):
        shop.receive({}, hook("s1", "p1"))  # Nothing was carried out yet.
    shop.clock.advance(3601)
    sent = shop.pg.hooks[-1]
    event = shop.receive(sent.headers, sent.body)
    assert (event.kind, event.order_id, event.is_news) == (EventKind.PAYMENT_PAID, "s1", True)
    assert shop.receive(sent.headers, sent.body).is_news is False
    found = shop.find_schedule("s1")
    assert (found.status, found.payment_status) == ("executed", "paid")
    assert shop.pg.journal.charges("s1") == 1


def test_a_header_named_twice_is_no_webhook(shop: Shop) -> None:
    shop.charge(charge())
    with pytest.raises(Forged):
        shop.receive({"X-Signature": "a", "x-signature": "b"}, hook())


@given(st.binary(max_size=200) | st.builds(
    lambda o, p: json.dumps({"order_id": o, "payment_id": p}).encode(),
    st.text(max_size=10) | st.sampled_from(["o1", "o2"]) | st.integers() | st.none(),
    st.text(max_size=10) | st.sampled_from(["p1", "p2", "p%31", "p1/..", "p1?a"]) | st.integers() | st.none()))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_whatever_arrives_only_an_error_of_ours_comes_out_and_only_the_truth_goes_in(body: bytes) -> None:
    with Shop() as shop:
        lost_charge(shop)
        pay(shop, "o2")
        try:
            event = shop.receive({}, body)
        except PaygateError:
            assert shop.row("o1").state is State.UNKNOWN
        else:
            assert (event.order_id, event.payment.provider_id) == ("o1", "p1")
        assert shop.row("o2").state is State.SENT
        assert shop.pg.journal.charges("o1") == 1
