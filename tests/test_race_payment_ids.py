"""One payment of the PG is one order's: whoever comes second is for a person, in whatever state its order is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, STORES, Shop, charge, store

from paygate import Declined, State


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", STORES)
def test_a_late_approval_that_names_another_orders_payment_is_for_a_person(face: str, kind: str,
                                                                          tmp_path: Path) -> None:
    with Shop(face, store(kind, tmp_path)) as shop:
        with pytest.raises(Declined):
            shop.charge(charge("o1", 10_001))
        shop.charge(charge("o2", 10_001 - 1))
        shop.pg.payments["p1"] |= {"id": "p2", "status": "paid"}
        shop.clock.advance(700)
        assert shop.reconcile().failed == {}
        assert shop.row("o1").state is State.REFUSED
        assert shop.row("o1").attention == "the PG's payment belongs to another order already"
        assert [row.id for row in shop.attention()] == ["o1"]
        assert shop.row("o2").attention is None
