"""The embedded worker: how much it takes up, what it counts, and what makes it stop. The PG's journal is the judge."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from drawer import Drawer
from pg_server import database
from shop import KEY, STORES, schedule, store, won

from paygate import BadCommand, DatedCharge, DueReport, Ledger, MemoryLedger, Schedule, connect_async
from paygate.assemble import open_store
from paygate.ledger.row import LedgerError, Note, Row, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport
from paygate.workers import loop
from paygate.workers.loop import Tally, work
from paygate.workers.pace import Pace

LATE = 3600.0


class Line(EmulatorTransport):
    """A line to the PG that takes a turn of the event loop, counts who is on it, and tells of each charge."""

    def __init__(self, pg: FakePG, heard: Callable[[], object] = lambda: None) -> None:
        super().__init__(pg)
        self.under_way = self.most = 0
        self.heard = heard

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/charges":
            return await super().handle_async_request(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.heard()
        for _ in range(20):
            await asyncio.sleep(0)
        self.under_way -= 1
        return await super().handle_async_request(request)


class Shop:
    """A merchant whose dated charges paygate runs."""

    def __init__(self, ledger: Ledger | None = None, pg: FakePG | None = None,
                 heard: Callable[[], object] = lambda: None) -> None:
        self.pg = pg or FakePG()
        self.pg.issue_key(KEY.reveal())
        self.clock = self.pg.clock
        self.line = Line(self.pg, heard)
        self.ledger = ledger or MemoryLedger()
        self.gate = connect_async(FAKEPG, self.pg.settings(), ledger=self.ledger, clock=self.clock, vault=Drawer(),
                                  http=self.line)

    async def __aenter__(self) -> Shop:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gate.close()

    async def owe(self, count: int, amount: Callable[[int], int] = lambda _: 14_000) -> None:
        """Write down charges, and let them become due."""
        asked = schedule(self, "s1")  # type: ignore[arg-type]
        await self.gate.schedule(Schedule(billing_key=KEY, run_by="paygate", charges=[
            DatedCharge(order_id=f"s{n}", due_at=asked.charges[0].due_at, money=won(amount(n)), title="Tea")
            for n in range(count)]))
        self.clock.advance(LATE)

    @property
    def taken(self) -> list[str]:
        return sorted(m.order_id for m in self.pg.journal.entries)


def ids(count: int) -> list[str]:
    return sorted(f"s{n}" for n in range(count))


@pytest.mark.parametrize("kind", STORES)
def test_all_that_is_due_is_charged_once_and_no_more_at_a_time_than_said(kind: str, tmp_path: Path) -> None:
    ledger = store(kind, tmp_path)

    async def scene() -> None:
        async with Shop(ledger) as shop:
            await shop.owe(23)
            tally = await work(shop.gate, concurrent=4, until_empty=True)
            assert (tally.taken_up, tally.paid) == (23, 23)
            assert shop.taken == ids(23)
            assert 1 < shop.line.most <= 4
            assert (await work(shop.gate, until_empty=True)).taken_up == 0

    asyncio.run(scene())
    ledger.close()


@pytest.mark.parametrize("kind", STORES)
def test_two_workers_at_once_charge_each_once(kind: str, tmp_path: Path) -> None:
    ledger, pg = store(kind, tmp_path), FakePG()

    async def scene() -> None:
        async with Shop(ledger, pg) as one, Shop(ledger, pg) as two:
            await one.owe(20)
            tallies = await asyncio.gather(*[work(shop.gate, concurrent=3, until_empty=True) for shop in (one, two)])
            assert sum(tally.paid for tally in tallies) == 20
            assert one.taken == ids(20)

    asyncio.run(scene())
    ledger.close()


def test_what_became_of_each_is_counted_and_told() -> None:
    async def scene() -> None:
        async with Shop() as shop:
            await shop.owe(3, lambda n: 14_001 if n == 1 else 14_000)
            heard: list[tuple[int, DueReport]] = []
            await work(shop.gate, concurrent=1, until_empty=True, heard=lambda tally, report: heard.append(
                (tally.taken_up, report)))
            assert [count for count, _ in heard] == [1, 2, 3]
            assert [report.declined for _, report in heard] == [[], ["s1"], []]

    asyncio.run(scene())


@pytest.mark.parametrize(("fault", "count"), [("drop_before", "unknown"), ("refuse", "waiting")])
def test_what_is_not_certain_is_not_counted_as_paid(fault: str, count: str) -> None:
    async def scene() -> None:
        async with Shop() as shop:
            await shop.owe(1)
            shop.pg.fault(fault, on="POST /charges", times=9)
            shop.pg.fault("error_500_before", on="GET /payments", times=9)
            tally = await work(shop.gate, until_empty=True)
            assert (tally.taken_up, tally.paid, getattr(tally, count)) == (1, 0, 1)

    asyncio.run(scene())


def test_told_to_stop_it_finishes_what_it_began_and_takes_up_nothing_more() -> None:
    async def scene() -> None:
        stop = asyncio.Event()
        async with Shop(heard=stop.set) as shop:
            await shop.owe(9)
            tally = await work(shop.gate, concurrent=2, stop=stop)
            assert tally.paid == tally.taken_up == len(shop.taken) == 2
            assert len(await shop.gate.claim_due()) == 7

    asyncio.run(scene())


@pytest.mark.parametrize("kind", STORES)
def test_told_to_stop_it_gives_back_what_it_had_claimed_ahead(kind: str, tmp_path: Path) -> None:
    ledger = store(kind, tmp_path)

    async def scene() -> None:
        stop = asyncio.Event()
        async with Shop(ledger, heard=stop.set) as shop:
            await shop.owe(30)
            tally = await work(shop.gate, concurrent=8, stop=stop)
            assert tally.paid == tally.taken_up == len(shop.taken) <= 8
            assert len(await shop.gate.claim_due()) == 30 - tally.paid

    asyncio.run(scene())
    ledger.close()


def test_a_doubt_that_takes_long_to_settle_holds_no_charge_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_RECONCILE_S", 0.0)

    async def scene() -> None:
        asked, stop = asyncio.Event(), asyncio.Event()
        async with Shop(heard=lambda: asked.set()) as shop:

            async def settled(*_: object) -> None:
                await asked.wait()  # Until a charge that falls due meanwhile is on its way.

            monkeypatch.setattr(loop, "_settled", settled)
            running = asyncio.create_task(work(shop.gate, poll_s=0.001, stop=stop, heard=lambda *_: stop.set()))
            await asyncio.sleep(0.01)
            await shop.owe(1)
            assert (await asyncio.wait_for(running, 60)).paid == 1

    asyncio.run(scene())


def test_it_waits_for_what_falls_due_later() -> None:
    async def scene() -> None:
        stop = asyncio.Event()
        async with Shop() as shop:
            running = asyncio.create_task(work(shop.gate, poll_s=0.001, stop=stop, heard=lambda *_: stop.set()))
            await asyncio.sleep(0.01)
            assert not running.done()
            await shop.owe(1)
            assert (await asyncio.wait_for(running, 60)).paid == 1

    asyncio.run(scene())


class Trouble(MemoryLedger):
    """A ledger that cannot be reached for a while."""

    def __init__(self, verb: str, times: int) -> None:
        super().__init__()
        self.verb, self.times = verb, times

    def _fail(self, verb: str) -> None:
        if verb == self.verb and self.times:
            self.times -= 1
            raise LedgerError("not reachable")

    def claim(self, gateway: str, now: float, limit: int, until: float, note: Note) -> list[Row]:
        self._fail("claim")
        return super().claim(gateway, now, limit, until, note)

    def change(self, row: Row, note: Note) -> Row | None:
        if row.state is State.SENT:
            self._fail("change")
        return super().change(row, note)


def test_a_ledger_that_cannot_be_reached_is_waited_for() -> None:
    async def scene() -> None:
        stop = asyncio.Event()
        async with Shop(Trouble("claim", 3)) as shop:
            await shop.owe(1)
            worked = work(shop.gate, poll_s=0.001, stop=stop, heard=lambda *_: stop.set())
            assert (await asyncio.wait_for(worked, 60)).paid == 1

    asyncio.run(scene())


def test_where_the_ledger_fails_in_the_middle_nothing_is_sent_and_the_worker_goes_on() -> None:
    async def scene() -> None:
        async with Shop(Trouble("change", 3)) as shop:
            await shop.owe(2)
            tally = await work(shop.gate, concurrent=1, until_empty=True)
            assert (tally.taken_up, tally.paid) == (2, 1)
            assert len(shop.taken) == 1
            shop.clock.advance(LATE)
            assert (await work(shop.gate, until_empty=True)).paid == 1
            assert shop.taken == ids(2)

    asyncio.run(scene())


def test_what_is_in_doubt_is_settled_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_RECONCILE_S", 0.0)

    async def scene() -> None:
        stop = asyncio.Event()
        async with Shop() as shop:
            await shop.owe(1)
            shop.pg.fault("drop_after", on="POST /charges")
            shop.pg.fault("error_500_before", on="GET /payments", times=9)
            assert (await work(shop.gate, until_empty=True)).unknown == 1
            shop.pg.faults.clear()
            shop.clock.advance(LATE)
            running = asyncio.create_task(work(shop.gate, poll_s=0.001, stop=stop))
            for _ in range(30_000):
                if not await shop.gate.pending():
                    break
                await asyncio.sleep(0.001)
            stop.set()
            await asyncio.wait_for(running, 60)
            assert await shop.gate.pending() == []
            assert shop.taken == ids(1)

    asyncio.run(scene())


def test_it_says_how_far_behind_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_RECONCILE_S", 0.0)

    async def scene() -> None:
        stop = asyncio.Event()
        async with Shop() as shop:
            await shop.owe(3)
            shop.clock.advance(500)
            await shop.gate.claim_due()  # Another worker, which is gone.
            said: list[tuple[int, float]] = []

            def looked(tally: Tally) -> None:
                said.append((tally.due, tally.lag_s))
                stop.set()

            tally = await asyncio.wait_for(work(shop.gate, poll_s=0.001, stop=stop, looked=looked), 60)
            assert (tally.taken_up, tally.due, tally.lag_s) == (0, 3, 500.0)
            assert said[0] == (3, 500.0)
            once = await work(shop.gate, until_empty=True)  # Too short to look in between.
            assert (once.taken_up, once.due, once.lag_s) == (0, 3, 500.0)

    asyncio.run(scene())


def test_a_pace_is_kept_whatever_the_number_at_a_time() -> None:
    async def scene() -> float:
        async with Shop() as shop:
            await shop.owe(11)
            began = time.monotonic()
            assert (await work(shop.gate, concurrent=11, per_s=100.0, until_empty=True)).paid == 11
            return time.monotonic() - began

    assert asyncio.run(scene()) >= 0.099


@pytest.mark.parametrize("kind", STORES)
def test_told_to_stop_it_lets_go_of_what_waits_for_its_turn(kind: str, tmp_path: Path) -> None:
    ledger = store(kind, tmp_path)

    async def scene() -> None:
        stop = asyncio.Event()
        async with Shop(ledger, heard=stop.set) as shop:
            await shop.owe(9)
            tally = await asyncio.wait_for(work(shop.gate, concurrent=9, per_s=0.01, stop=stop), 60)
            assert tally.paid == tally.taken_up == len(shop.taken) == 1
            assert len(await shop.gate.claim_due()) == 8

    asyncio.run(scene())
    ledger.close()


def test_a_pace_is_kept_by_all_workers_of_a_ledger_together(tmp_path: Path) -> None:
    """Each of their turns was taken from the ledger, and no two are the same."""
    pg, count, per_s = FakePG(), 40, 200.0
    began = pg.clock.now().timestamp() + LATE

    async def one() -> Tally:
        ledger = SqliteLedger(tmp_path / "ledger.db")  # As other processes have it: only the file is shared.
        try:
            async with Shop(ledger, pg) as shop:
                return await work(shop.gate, concurrent=5, per_s=per_s, until_empty=True)
        finally:
            ledger.close()

    async def scene() -> list[Tally]:
        ledger = SqliteLedger(tmp_path / "ledger.db")
        async with Shop(ledger, pg) as shop:
            await shop.owe(count)
            tallies = await asyncio.gather(*[asyncio.to_thread(asyncio.run, one()) for _ in range(4)])
            first, _ = ledger.perform("turns", ("pace fakepg/test", began, 1, per_s, 1e12))
        ledger.close()
        assert first - began >= count / per_s * 0.999
        return tallies

    assert sum(tally.paid for tally in asyncio.run(scene())) == count


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_turns_are_given_once_evenly_and_from_now_on(kind: str, tmp_path: Path) -> None:
    with nullcontext(str(tmp_path / "ledger.db")) if kind == "sqlite" else database() as where:
        ledgers = [open_store(where) for _ in range(2)]
        def take(now: float, most: int, until: float = 1e9, n: int = 0) -> tuple[float, int]:
            told: tuple[float, int] = ledgers[n].perform("turns", ("pace", now, most, 10.0, until))
            return told

        assert [take(100.0, 5, n=0), take(100.0, 5, n=1), take(100.2, 5, n=0)] == [(100.0, 5), (100.5, 5), (101.0, 5)]
        assert take(100.3, 5, until=101.0) == (101.5, 0)  # None before that.
        assert take(101.3, 9, until=101.75) == (101.5, 3)
        assert take(200.0, 1) == (200.0, 1)  # What nobody used is lost.
        assert take(5_000.0, 1) == (5_000.0, 1)
        assert take(210.0, 1) == (210.0, 1)  # A clock was wrong.
        for ledger in ledgers:
            ledger.close()


def test_without_a_pace_nobody_waits() -> None:
    assert asyncio.run(asyncio.wait_for(Pace().wait(asyncio.Event()), 60))
    assert Tally(began=time.monotonic() - 2, taken_up=4).per_s == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize("said", [{"concurrent": 0}, {"concurrent": 10_001}, {"concurrent": True}, {"per_s": 0.0},
                                  {"per_s": 10_001.0}])
def test_what_makes_no_sense_is_refused_before_anything_is_sent(said: dict[str, Any]) -> None:
    async def scene() -> None:
        async with Shop() as shop:
            await shop.owe(1)
            with pytest.raises(BadCommand, match="nothing was sent"):
                await work(shop.gate, until_empty=True, **said)
            assert shop.pg.calls == []

    asyncio.run(scene())
