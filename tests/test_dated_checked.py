"""A dated charge that the PG says it carried out counts only where its payment is what was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, charge, schedule, won

from paygate import Forged, NotFound, OutcomeUnknown, PaymentStatus, ScheduleStatus, State

WRONG: dict[str, dict[str, Any]] = {
    "amount": {"amount": 5_000}, "currency": {"currency": "USD"}, "mode": {"test": False}, "key": {"key": "another"}}
SAYS = {"amount": "the PG took 5,000 KRW", "currency": "the PG took", "mode": "test and live",
        "key": "another billing key"}
HOUR = 3600.0


@pytest.fixture(params=FACES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(request.param) as made:
        yield made


def taking(shop: Shop, **wrong: Any) -> None:
    """What the PG takes from now on differs from what it was asked for; its schedule's record does not."""
    truly: Callable[..., dict[str, Any]] = shop.pg._take

    def take(body: dict[str, Any], *said: Any, **more: Any) -> dict[str, Any]:
        payment = truly({**body, **{k: v for k, v in wrong.items() if k in ("amount", "currency")}}, *said, **more)
        payment |= {k: v for k, v in wrong.items() if k not in ("amount", "currency")}
        return payment
    shop.pg._take = take


def carried_out(shop: Shop) -> None:
    """The charge "s1" of 1,000 won is scheduled, and its date goes by."""
    shop.schedule(schedule(shop, "s1", in_s=HOUR, amount=1_000))
    shop.clock.advance(HOUR + 1)


def flagged(shop: Shop) -> list[tuple[str, str]]:
    return [(row.id, row.attention) for row in shop.attention()]


def by_reconcile(shop: Shop) -> None:
    shop.clock.advance(HOUR)
    assert shop.reconcile().attention == ["s1"]


def by_find_schedule(shop: Shop) -> None:
    with pytest.raises(OutcomeUnknown, match="needs a person"):
        shop.find_schedule("s1")


def by_find(shop: Shop) -> None:
    with pytest.raises(OutcomeUnknown, match="needs a person"):
        shop.find("s1")


def by_lookup(shop: Shop) -> None:
    with pytest.raises(OutcomeUnknown):
        shop.lookup("p1")


def by_webhook(shop: Shop) -> None:
    hook = shop.pg.hooks[-1]
    with pytest.raises(Forged):
        shop.receive(hook.headers, hook.body)


def by_comparing(shop: Shop) -> None:
    shop.reconcile(since=shop.clock.now() - timedelta(hours=2))


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("learn", [by_reconcile, by_find_schedule, by_find, by_lookup, by_webhook])
def test_what_was_taken_otherwise_is_told_to_a_person_and_never_called_paid(
        shop: Shop, learn: Callable[[Shop], None], wrong: str) -> None:
    taking(shop, **WRONG[wrong])
    carried_out(shop)
    learn(shop)
    (id, said), = flagged(shop)
    assert id == "s1"
    assert SAYS[wrong] in said
    for _ in range(3):
        shop.clock.advance(86_400)
        shop.reconcile()
    row = shop.row("s1")
    assert row.attention == said
    assert '"payment_status": "paid"' not in row.result
    with pytest.raises(OutcomeUnknown):
        shop.find_schedule("s1")


def test_what_was_taken_otherwise_is_told_by_the_comparison_with_the_pgs_list(shop: Shop) -> None:
    taking(shop, amount=5_000)
    carried_out(shop)
    by_comparing(shop)
    assert flagged(shop) == [("s1", "the PG took 5,000 KRW, not 1,000 KRW")]


def test_a_lost_answer_to_the_scheduling_does_not_hide_what_was_taken(shop: Shop) -> None:
    taking(shop, amount=5_000)
    shop.pg.fault("drop_after", on="^POST /schedules$")
    shop.pg.fault("error_500_before", on="^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        shop.schedule(schedule(shop, "s1", in_s=HOUR, amount=1_000))
    assert shop.row("s1").state is State.UNKNOWN
    shop.clock.advance(HOUR + 1)
    shop.reconcile()
    assert flagged(shop) == [("s1", "the PG took 5,000 KRW, not 1,000 KRW")]
    assert shop.row("s1").state is State.UNKNOWN


def test_a_right_payment_is_paid_and_asked_about_once(shop: Shop) -> None:
    carried_out(shop)
    told = shop.find_schedule("s1")
    assert (told.status, told.payment_status, told.money) == (ScheduleStatus.EXECUTED, PaymentStatus.PAID, won(1_000))
    asked = shop.sent("GET /payments")
    assert shop.find_schedule("s1") == told
    assert shop.sent("GET /payments") == asked == 1
    assert flagged(shop) == []


def test_a_success_without_a_payment_is_not_believed_until_there_is_one(shop: Shop) -> None:
    carried_out(shop)
    hidden = dict(shop.pg.payments)
    shop.pg.payments.clear()
    assert shop.find_schedule("s1").payment_status is PaymentStatus.PENDING
    assert flagged(shop) == []
    shop.pg.payments.update(hidden)
    shop.clock.advance(2 * HOUR)
    shop.reconcile()
    assert shop.find_schedule("s1").payment_status is PaymentStatus.PAID


def test_a_success_whose_payment_never_appears_is_told_to_a_person(shop: Shop) -> None:
    carried_out(shop)
    shop.pg.payments.clear()
    for _ in range(24 + 9):
        shop.clock.advance(2 * HOUR)
        shop.reconcile()
    for _ in range(9):
        shop.clock.advance(86_401)
        shop.reconcile()
    assert flagged(shop) == [("s1", "unresolved: the PG never finished it")]
    assert shop.row("s1").check_at is None


def test_a_failed_attempt_that_the_pg_repeats_by_hand_is_no_second_payment(shop: Shop) -> None:
    shop.pg.next_charge("failed")
    carried_out(shop)
    assert shop.find_schedule("s1").payment_status is PaymentStatus.FAILED
    item = shop.pg.items["s1"]
    item["status"] = "scheduled"
    shop.pg._execute(item)
    hook = shop.pg.hooks[-1]
    assert shop.receive(hook.headers, hook.body).kind == "payment_paid"
    assert shop.find_schedule("s1").payment_status is PaymentStatus.PAID
    assert all("second payment" not in said for _, said in flagged(shop))


def test_a_second_payment_beside_the_one_that_was_carried_out_is_told(shop: Shop) -> None:
    carried_out(shop)
    assert shop.find_schedule("s1").payment_status is PaymentStatus.PAID
    shop.pg._take({"order_id": "s1", "amount": 1_000, "currency": "KRW", "key": "key-1"}, "paid")
    with pytest.raises(OutcomeUnknown, match="more than one paid record"):
        shop.find("s1")
    assert flagged(shop) == [("s1", "the PG has more than one paid record for this order")]


def test_an_order_that_is_no_dated_charge_is_found_as_before(shop: Shop) -> None:
    shop.charge(charge("o1"))
    assert shop.find("o1").status is PaymentStatus.PAID
    with pytest.raises(NotFound):
        shop.find("o2")
