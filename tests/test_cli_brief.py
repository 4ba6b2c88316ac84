"""Commands and results in one line, as `paygate demo` shows them."""

from __future__ import annotations

import pytest

from paygate import Checkout, Interval, Money, Payment, PaymentStatus, Subscribe, Terms
from paygate.cli.brief import Doubted, brief, ended
from paygate.model import Cancellation, ClientCall, Redirect

PAID = Payment(order_id="o1", provider_id="p1", status=PaymentStatus.PAID, money=Money(14_000, "KRW"))
WINDOW = ClientCall(script="https://pg.example/s.js", function="Pg.pay", params={}, returns="chain")


def test_terms_are_shown_where_they_were_asked_for_and_not_where_the_pg_has_its_own() -> None:
    asked = {"order_id": "tea-1", "money": Money(9_900, "KRW"), "every": Interval("month"), "title": "Tea",
             "return_url": "https://shop.example/back"}
    assert "terms" not in brief(Subscribe(**asked))
    assert "terms=Terms(zone=UTC)" in brief(Subscribe(**asked, terms=Terms(zone="UTC")))


@pytest.mark.parametrize(("result", "cell"), [
    (Checkout(order_id="o1", action=Redirect("https://pg.example/o1"), takes_money=False), "redirect"),
    (Checkout(order_id="o1", action=WINDOW, takes_money=True), "window, takes money"),
    (PAID, "paid"),
    (Cancellation(cancel_id="c1", order_id="o1", money=Money(4_000, "KRW"), payment=PAID), "4,000 KRW back"),
    (Doubted("told by its webhook"), "unknown, then its webhook"), ("4 orders", "yes"), (None, "yes"), ((), "yes")])
def test_a_cell_says_what_differs_between_gateways(result: object, cell: str) -> None:
    assert ended(result) == cell
