"""A second payment under an order is shown with it, and once given back whole it is in nobody's way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, KEY, Shop, cancel, cancel_whole, charge, won

from paygate import BadCommand, EventKind, NotSent, OutcomeUnknown, PaymentStatus


@pytest.fixture(params=FACES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(request.param) as made:
        yield made


def paid_twice(shop: Shop) -> dict[str, Any]:
    """The order "o1" is paid, and once more by a payment that only the PG knows of; its webhook comes."""
    shop.charge(charge("o1"))
    second = shop.pg._take({"order_id": "o1", "amount": 14_000, "currency": "KRW", "key": KEY.reveal()}, "paid")
    shop.pg._tell(second)
    hook = shop.pg.hooks[-1]
    assert shop.receive(hook.headers, hook.body).kind is EventKind.UNMATCHED
    return second


def test_the_order_is_given_back_after_the_second_payment_was(shop: Shop) -> None:
    second = paid_twice(shop)
    with pytest.raises(NotSent):
        shop.cancel(cancel("early"))
    assert shop.cancel_whole(cancel_whole("c2", second["id"])).money == won(14_000)

    assert shop.find("o1").provider_id == "p1"
    assert shop.cancel(cancel("c1")).payment.provider_id == "p1"
    assert shop.cancel_whole(cancel_whole("c3")).money == won(10_000)
    assert shop.pg.journal.given_back("o1") == 28_000
    assert shop.find("o1").status is PaymentStatus.CANCELLED


def test_a_trace_shows_the_second_payment_until_it_is_acknowledged(shop: Shop) -> None:
    second = paid_twice(shop)
    found = shop.trace("o1")
    assert [(row.kind, row.id) for row in found.rows] == [("charge", "o1"), ("stray", second["id"])]
    assert {line.id for line in found.lines} == {"o1", second["id"]}
    assert [row.id for row in shop.trace(second["id"]).rows] == [second["id"], "o1"]
    shop.acknowledge(second["id"], by="kim", why="given back in the console")
    assert [row.id for row in shop.trace("o1").rows] == ["o1"]


def test_a_trace_tells_of_an_order_of_which_there_is_nothing_but_a_stray_payment(shop: Shop) -> None:
    paid = shop.pg._take({"order_id": "forgotten", "amount": 14_000, "currency": "KRW", "key": KEY.reveal()}, "paid")
    shop.pg._tell(paid)
    hook = shop.pg.hooks[-1]
    shop.receive(hook.headers, hook.body)
    found = shop.trace("forgotten")
    assert (found.order_id, [row.id for row in found.rows]) == ("forgotten", [paid["id"]])
    with pytest.raises(BadCommand):
        shop.trace("unheard-of")


def test_a_refund_whose_answer_is_lost_settles_beside_a_second_payment_given_back(shop: Shop) -> None:
    shop.cancel_whole(cancel_whole("c2", paid_twice(shop)["id"]))
    shop.pg.fault("drop_after", "^POST .*refunds$")
    shop.pg.fault("error_500_before", "^GET ", times=0)
    assert shop.cancel(cancel("c1")).payment.cancelled == won(4_000)
    assert shop.pg.journal.given_back("o1") == 18_000


def test_a_second_payment_of_which_something_is_left_stays_with_a_person(shop: Shop) -> None:
    shop.cancel(cancel("c2", paid_twice(shop)["id"]))
    with pytest.raises(NotSent, match="more than one paid record"):
        shop.cancel(cancel("c1"))
    with pytest.raises(OutcomeUnknown, match="more than one paid record"):
        shop.find("o1")


def test_the_orders_own_payment_given_back_does_not_hide_the_second(shop: Shop) -> None:
    paid_twice(shop)
    shop.pg._refund(shop.pg.payments["p1"], {"left": 14_000, "amount": 14_000, "reason": "console"})
    with pytest.raises(OutcomeUnknown, match="more than one paid record"):
        shop.find("o1")
    with pytest.raises(NotSent):
        shop.cancel(cancel("c1"))
