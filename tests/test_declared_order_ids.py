"""The order ids that a provider's profile declares are the ones that leave: the core refuses the others by itself."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent))

from shop import FACES, KEY, WON, Shop

from paygate import (
    BadCommand,
    Cancel,
    Charge,
    DatedCharge,
    Money,
    NotFound,
    Pay,
    Register,
    Schedule,
    documented,
)
from paygate.testing.fakepg import FAKEPG

SIX = evolve(FAKEPG, profile=evolve(FAKEPG.profile, order_id_pattern=documented(r"[A-Za-z0-9_-]{6,40}", "made up")))
BOUGHT: dict[str, Any] = {"money": WON, "title": "Tea"}
PAGE: dict[str, Any] = {**BOUGHT, "return_url": "https://shop.example/done"}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("verb", ["pay", "register", "charge", "schedule"])
def test_an_order_id_outside_the_declared_pattern_is_refused_and_nothing_leaves(face: str, verb: str) -> None:
    with Shop(face, spec=SIX) as shop:
        due_at = shop.clock.now() + timedelta(days=1)
        made: dict[str, Any] = {
            "pay": lambda id: Pay(order_id=id, **PAGE), "register": lambda id: Register(order_id=id, **PAGE),
            "charge": lambda id: Charge(order_id=id, billing_key=KEY, **BOUGHT),
            "schedule": lambda id: Schedule(billing_key=KEY, charges=[
                DatedCharge(order_id=id, due_at=due_at, **BOUGHT)])}
        before = len(shop.pg.calls)

        with pytest.raises(BadCommand, match="takes order ids like"):
            getattr(shop, verb)(made[verb]("five5"))
        assert len(shop.pg.calls) == before
        getattr(shop, verb)(made[verb]("six-66"))
        assert len(shop.pg.calls) > before


def test_a_refund_may_name_a_payment_by_the_pgs_own_id_whatever_the_pattern() -> None:
    with Shop(spec=SIX) as shop, pytest.raises(NotFound):
        shop.cancel(Cancel(cancel_id="b1", order_id="p-1", money=Money(1, "KRW"), reason="back"))
