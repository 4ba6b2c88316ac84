"""Subscriptions in the stores that last: a file and a database keep what the memory keeps, for many workers at once."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from drawer import Drawer
from real_pg import LastingFakePG
from shop import KEY, Shop, schedule, won

from paygate import ChangeMoney, Interval, Schedule, SetupError, SubscribeKey, SubscriptionStatus, Unsubscribe
from paygate.assemble import open_store

DAY = 86_400.0
Open = Callable[[], Shop]


@pytest.fixture(params=["sqlite", "postgres"])
def open_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Shops at one PG with one ledger, each with a connection of its own to it."""
    with ExitStack() as stack:
        address = stack.enter_context(pg_server.database()) if request.param == "postgres" else str(tmp_path / "l.db")
        open_store(address, upgrades=True).close()
        pg = LastingFakePG()
        yield lambda: stack.enter_context(Shop(ledger=open_store(address), pg=pg, vault=Drawer()))


def begin(shop: Shop, order_id: str = "sub", run_by: Any = "paygate") -> None:
    shop.subscribe_key(SubscribeKey(order_id=order_id, billing_key=KEY, money=won(14_000), every=Interval("month"),
                                    title="Tea", run_by=run_by))


def charged(shop: Shop) -> list[str]:
    return sorted(m.order_id for m in shop.pg.journal.entries)


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_a_subscription_lives_through_months_changes_and_its_end(open_shop: Open, run_by: Any) -> None:
    begin(open_shop(), run_by=run_by)
    shop = open_shop()  # Another process: all that there is, is in the store.
    for _ in range(4):
        shop.clock.advance(31 * DAY)
        shop.clock.run_due()
        shop.run_due()
    shop.change_money(ChangeMoney(order_id="sub", money=won(9_000)))
    shop.clock.advance(31 * DAY)
    shop.clock.run_due()
    shop.run_due()
    assert charged(shop) == [f"sub-{n}" for n in range(1, 6)] + ["sub-6" if run_by else "sub-6c1"]
    assert shop.pg.journal.entries[-1].money == won(9_000)
    shop.unsubscribe(Unsubscribe(order_id="sub", when="now"))
    assert open_shop().subscription("sub").status is SubscriptionStatus.ENDED
    assert shop.planned(shop.clock.now() + timedelta(days=400)) == []


def test_a_claim_that_ran_out_is_worth_nothing_any_more(open_shop: Open) -> None:
    one, two = open_shop(), open_shop()
    begin(one)
    one.clock.advance(31 * DAY)
    (frozen,) = one.claim_due()
    assert two.claim_due() == []
    one.clock.advance(3600)
    (again,) = two.claim_due()
    assert two.execute(again.id, again.fence).paid == ["sub-2"]
    assert one.execute(frozen.id, frozen.fence).taken_up == 0
    assert charged(one) == ["sub-1", "sub-2"]


def test_what_is_due_is_taken_up_by_its_date_and_by_nobody_twice(open_shop: Open) -> None:
    one, two = open_shop(), open_shop()
    for n, in_s in enumerate((300, 100, 200)):
        asked = schedule(one, f"s{n}", in_s=in_s)
        one.schedule(Schedule(billing_key=KEY, charges=asked.charges, run_by="paygate"))
    one.clock.advance(250)
    assert [row.id for row in one.claim_due(1)] == ["s1"]
    assert [row.id for row in two.claim_due()] == ["s2"]
    assert one.claim_due() == []


def test_eight_workers_charge_each_period_once(open_shop: Open) -> None:
    shops = [open_shop() for _ in range(8)]
    for n in range(12):
        begin(shops[0], f"sub{n}")
    shops[0].clock.advance(31 * DAY)
    failed: list[BaseException] = []

    def worker(shop: Shop) -> None:
        try:
            while shop.run_due(2).taken_up:
                pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=worker, args=(shop,)) for shop in shops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert failed == []
    assert charged(shops[0]) == sorted(f"sub{n}-{period}" for n in range(12) for period in (1, 2))


@pytest.mark.parametrize("face", ["sync", "async"])
@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_a_claim_in_a_transaction_of_yours_holds_if_you_commit(tmp_path: Path, face: str, ends: str) -> None:
    path = tmp_path / "ledger.db"
    with Shop(face, open_store(path), LastingFakePG(), vault=Drawer()) as shop, \
            closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as db:
        shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "s1").charges, run_by="paygate"))
        shop.clock.advance(3600)
        db.execute("BEGIN IMMEDIATE")
        joining = shop.gate.joining(db)
        if face == "sync":
            with joining:
                rows = joining.claim(5)
        else:
            rows = shop._runner.run(_claimed(joining))  # type: ignore[union-attr]
        assert [row.id for row in rows] == ["s1"]
        db.execute(ends)
        with pytest.raises(SetupError, match="with"):
            shop._runner.run(joining.claim()) if shop._runner else joining.claim()
        claimed_anew = shop.claim_due()
        assert [row.id for row in claimed_anew] == ([] if ends == "COMMIT" else ["s1"])
        current, = claimed_anew or rows
        assert shop.execute(current.id, current.fence).paid == ["s1"]


async def _claimed(joining: Any) -> Any:
    async with joining as joined:
        return await joined.claim(5)
