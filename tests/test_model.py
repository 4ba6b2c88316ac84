"""Results: what they may say, and that they contradict neither themselves nor the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate import (
    BadCommand,
    BillingKey,
    Cancellation,
    ClientCall,
    Money,
    Payment,
    PaymentStatus,
    Redirect,
    ScheduledCharge,
    ScheduleStatus,
    Secret,
)
from paygate.codec import dump, load
from paygate.model import mask_card

WON = Money(1000, "KRW")


def payment(**said: Any) -> Payment:
    return Payment(**{"order_id": "o1", "provider_id": "p1", "status": PaymentStatus.PAID, "money": WON, **said})


@given(st.sampled_from(PaymentStatus), st.integers(0, 1100))
@settings(max_examples=200, derandomize=True)
def test_a_payment_says_what_was_given_back_and_its_status_agrees(status: PaymentStatus, back: int) -> None:
    fits = {PaymentStatus.PARTLY_CANCELLED: 0 < back < 1000, PaymentStatus.CANCELLED: back == 1000}.get(status,
                                                                                                        back == 0)
    if not fits:
        with pytest.raises(BadCommand):
            payment(status=status, cancelled=Money(back, "KRW"))
        return
    made = payment(status=status, cancelled=Money(back, "KRW"))
    assert made.left + made.cancelled == made.money
    assert made.status.took_money is (status in ("paid", "partly_cancelled", "cancelled"))


def test_what_was_given_back_is_of_the_same_currency() -> None:
    for status in (PaymentStatus.PARTLY_CANCELLED, PaymentStatus.CANCELLED):
        with pytest.raises(BadCommand):
            payment(status=status, cancelled=Money(1000, "USD"))


def test_nothing_given_back_is_the_default_in_the_payments_own_currency() -> None:
    assert payment().cancelled == Money(0, "KRW")
    assert payment(money=Money(5, "USD")).left == Money(5, "USD")


def test_a_time_without_a_zone_is_refused_wherever_it_stands() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 (naive is the point)
    with pytest.raises(BadCommand):
        payment(paid_at=naive)
    with pytest.raises(BadCommand):
        ScheduledCharge(order_id="o1", due_at=naive, money=WON, status=ScheduleStatus.SCHEDULED)


@pytest.mark.parametrize(("number", "kept"), [
    (None, None), ("", ""), ("1234-5678-9012-3456", "123456******3456"), ("1234567890123456", "123456******3456"),
    ("1234-****-****-1234", "1234********1234"), ("1234", "1234"), ("card 1234567890123456!", "123456******3456"),
])
def test_of_a_card_number_at_most_six_and_four_digits_are_kept(number: str | None, kept: str | None) -> None:
    assert mask_card(number) == kept
    assert payment(card_number=number).card_number == kept


def test_a_billing_key_belongs_to_one_gateway_and_never_prints() -> None:
    key = BillingKey("shop", "canary")
    assert "canary" not in f"{key!r}{key}"
    assert key.reveal() == "canary"
    assert key == BillingKey("shop", Secret("canary"))
    assert key != BillingKey("other", "canary")


def test_results_do_not_change() -> None:
    for made in (payment(), BillingKey("a", "b"), Redirect("https://x.example")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            made.order_id = "o2"  # type: ignore[misc, union-attr]


def test_what_a_page_is_told_is_plain_data_with_secrets_revealed() -> None:
    call = ClientCall(script="https://pg.example/s.js", function="pg.pay", setup=("pg.init", "shop"),
                      params={"phone": Secret("010-1"), "nested": {"a": [Secret("b")]}})
    assert call.to_dict() == {"type": "client_call", "script": "https://pg.example/s.js", "function": "pg.pay",
                              "setup": {"function": "pg.init", "argument": "shop"},
                              "params": {"phone": "010-1", "nested": {"a": ["b"]}}, "returns": "callback"}
    assert "010-1" not in repr(call)
    method = ClientCall(script="https://pg.example/s.js", function="pay", params={}, returns="redirect",
                        through=(("PG", "shop"), ("of", {"payer": Secret("ann")})))
    assert method.to_dict()["through"] == [{"function": "PG", "argument": "shop"},
                                           {"function": "of", "argument": {"payer": "ann"}}]
    assert "ann" not in repr(method)
    assert Redirect("https://x.example/?token=t").to_dict() == {"type": "redirect", "url": "https://x.example/?token=t"}
    assert "token" not in repr(Redirect("https://x.example/?token=t"))


@given(st.integers(1, 10**12), st.sampled_from(["KRW", "USD", "KWD"]), st.text(max_size=20), st.booleans())
@settings(max_examples=100, derandomize=True)
def test_a_result_comes_back_from_ledger_text_as_it_was_but_for_its_secrets(amount: int, currency: str, words: str,
                                                                            test: bool) -> None:
    when = datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    made = payment(money=Money(amount, currency), message=words, test=test, paid_at=when, key="canary")
    text = dump(made)
    assert "canary" not in text
    assert load(text, Payment) == attrs.evolve(made, key=None)
    refund = Cancellation(cancel_id="c", order_id="o1", money=Money(amount, currency),
                          payment=attrs.evolve(made, key=None))
    assert load(dump(refund), Cancellation) == refund


def test_a_dated_charge_comes_back_from_ledger_text_as_it_was() -> None:
    made = ScheduledCharge(order_id="o1", due_at=datetime(2026, 1, 1, tzinfo=UTC), money=WON,
                           status=ScheduleStatus.EXECUTED,
                           payment_status=PaymentStatus.FAILED, provider_id="p1", code="x", message="y")
    assert load(dump(made), ScheduledCharge) == made
