"""A PG that quotes a billing key back in its words does not thereby put it into errors, results or the ledger."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, charge

from paygate import BillingKey, Declined, OutcomeUnknown
from paygate.ledger.sqlite import SqliteLedger


@pytest.mark.parametrize("face", FACES)
def test_a_key_quoted_in_a_refusal_is_hidden(face: str, tmp_path: Path) -> None:
    with Shop(face, SqliteLedger(tmp_path / "ledger.db")) as shop:
        lost = BillingKey("fakepg", "key-nobody-knows")
        with pytest.raises(OutcomeUnknown) as caught:
            shop.charge(charge(billing_key=lost))
        assert caught.value.message == "no such key: ***"
    assert not any(b"key-nobody-knows" in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("face", FACES)
def test_a_key_quoted_in_a_failed_record_is_hidden(face: str, tmp_path: Path) -> None:
    with Shop(face, SqliteLedger(tmp_path / "ledger.db")) as shop:
        shop.pg.issue_key("key-with-no-funds")
        shop.pg.decline_message = "no funds on key-with-no-funds"
        with pytest.raises(Declined) as caught:
            shop.charge(charge(amount=14_001, billing_key=BillingKey("fakepg", "key-with-no-funds")))
        assert caught.value.message == "no funds on ***"
    assert not any(b"key-with-no-funds" in file.read_bytes() for file in tmp_path.iterdir())
