"""A row that somebody has changed in the store: what became of its order is not known, and nothing is sent for it."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, cancel, charge, store

from paygate import OutcomeUnknown

DAMAGE = {"amount": "'abc'", "state": "'weird'", "kind": "'weird'", "result": "'{}'"}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("column", DAMAGE)
def test_a_damaged_row_is_never_taken_for_an_order_that_was_not_sent(face: str, column: str, tmp_path: Path) -> None:
    with Shop(face, store("sqlite", tmp_path)) as shop:
        shop.charge(charge("a"))
        shop.charge(charge("b"))
        pg = shop.pg
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        db.execute(f"UPDATE paygate_row SET {column} = {DAMAGE[column]} WHERE id = 'a'")
    with Shop(face, store("sqlite", tmp_path), pg=pg) as shop:
        asked = len([c for c in pg.calls if c.method == "POST" and c.path != "/token"])
        with pytest.raises(OutcomeUnknown, match="somebody has changed") as caught:
            shop.charge(charge("a"))
        assert caught.value.moved is None
        assert len([c for c in pg.calls if c.method == "POST" and c.path != "/token"]) == asked
        assert shop.cancel(cancel("c1", "b")).money == cancel().money
        assert pg.journal.charges("a") == 1
