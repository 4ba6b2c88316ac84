"""A ledger's file that is moved, deleted or replaced under a running process: nothing is sent from then on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, cancel, charge

from paygate import LedgerError, NotSent, OutcomeUnknown
from paygate.ledger.sqlite import SqliteLedger

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows does not let an open file be moved or deleted")
AROUND = ("", "-wal", "-shm")


def moved(path: Path) -> None:
    for end in AROUND:
        if os.path.exists(f"{path}{end}"):
            os.rename(f"{path}{end}", f"{path}.old{end}")


def deleted(path: Path) -> None:
    for end in AROUND:
        Path(f"{path}{end}").unlink(missing_ok=True)


def replaced(path: Path) -> None:
    SqliteLedger(f"{path}.new").close()
    deleted(path)
    os.rename(f"{path}.new", path)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("happens", [moved, deleted, replaced])
def test_nothing_is_sent_once_the_file_is_moved_deleted_or_replaced(
        happens: Callable[[Path], None], face: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Shop(face, ledger=SqliteLedger(path)) as shop:
        shop.charge(charge("o1"))
        calls = len(shop.pg.calls)
        happens(path)
        for attempt in (lambda: shop.charge(charge("o2")), lambda: shop.cancel(cancel("c1", "o1"))):
            with pytest.raises(NotSent, match="moved, deleted or replaced"):
                attempt()
        with pytest.raises(OutcomeUnknown, match="moved, deleted or replaced"):
            shop.pending()
        with pytest.raises(LedgerError, match="moved, deleted or replaced"), shop.ledger.snapshot():
            pass
        assert len(shop.pg.calls) == calls
        assert path.exists() is (happens is replaced)  # None is made in its place.


def test_the_next_worker_is_the_only_one_that_charges(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Shop(ledger=SqliteLedger(path)) as left:
        left.charge(charge("o1"))
        replaced(path)
        with pytest.raises(NotSent):
            left.charge(charge("o2"))
        with Shop(pg=left.pg, ledger=SqliteLedger(path)) as begun:
            assert begun.charge(charge("o2")).status == "paid"
        with pytest.raises(NotSent):
            left.charge(charge("o2"))
        assert left.pg.journal.charges("o2") == 1


def test_a_file_that_is_put_back_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Shop(ledger=SqliteLedger(path)) as shop:
        shop.charge(charge("o1"))
        moved(path)
        with pytest.raises(NotSent):
            shop.charge(charge("o2"))
        for end in AROUND:
            if os.path.exists(f"{path}.old{end}"):
                os.rename(f"{path}.old{end}", f"{path}{end}")
        assert shop.charge(charge("o2")).status == "paid"
        assert shop.row("o1").id == "o1"


def test_a_file_that_goes_while_an_intent_is_written_lets_nothing_be_sent(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the path and the commit: the look after the commit sees it."""
    path = tmp_path / "shop.db"
    with Shop(ledger=SqliteLedger(path)) as shop:
        shop.charge(charge("o1"))
        looks = []
        real = os.stat

        def stat(of: object, *given: object, **named: object) -> os.stat_result:
            if of == path:
                looks.append(of)
                if len(looks) == 2:  # The first look, before the write, saw the file still there.
                    moved(path)
            return real(of, *given, **named)  # type: ignore[call-overload]
        monkeypatch.setattr(os, "stat", stat)
        calls = len(shop.pg.calls)
        with pytest.raises(NotSent, match="moved, deleted or replaced"):
            shop.charge(charge("o2"))
        assert len(shop.pg.calls) == calls
