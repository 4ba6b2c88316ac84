"""F24: a call is torn down at any step, by Ctrl-C or a cancelled task: its row stays true, the interrupt goes on."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import STORES, Shop, cancel, charge, schedule, store, unschedule, won

from paygate import LedgerError, MemoryLedger, Pay, State
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FakePG
from paygate.testing.transport import EmulatorTransport

PAY = Pay(order_id="o1", money=won(14_000), title="Tea", return_url="https://shop.example/back")


class Torn(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport at which the interrupt strikes: before the request leaves, or after the PG did its work."""

    emits_trace = True

    def __init__(self, inner: EmulatorTransport, path: str, error: BaseException, *, before: bool) -> None:
        self._inner, self._path, self._error, self._before = inner, path, error, before
        self.armed = True

    def _strikes(self, request: httpx.Request) -> bool:
        return self.armed and request.url.path == self._path

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self._strikes(request):
            return self._inner.handle_request(request)
        if not self._before:
            self._inner.handle_request(request)
        raise self._error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._strikes(request):
            return await self._inner.handle_async_request(request)
        if not self._before:
            await self._inner.handle_async_request(request)
        raise self._error


class TearingLedger:
    """A ledger in which the interrupt strikes at the n-th call, before or after it did its work."""

    blocking = False

    def __init__(self, inner: Any) -> None:
        self._inner, self.calls, self.at = inner, 0, 0
        self.error: BaseException = KeyboardInterrupt()
        self.late = False

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._inner, verb)

        def call(*args: Any) -> Any:
            self.calls += verb != "close"
            if self.calls != self.at or verb == "close":
                return method(*args)
            self.at = 0
            if self.late:
                method(*args)
            raise self.error
        return call


ASKS: dict[str, tuple[Callable[[Shop], Any], Callable[[Shop], Any], str, Callable[[Shop], Any]]] = {
    "charge": (lambda s: None, lambda s: s.charge(charge()), "/charges", lambda s: s.row("o1")),
    "cancel": (lambda s: s.charge(charge()), lambda s: s.cancel(cancel()), "/payments/p1/refunds",
               lambda s: s.refund("c1")),
    "schedule": (lambda s: setattr(s, "asked", schedule(s, in_s=86_400)), lambda s: s.schedule(s.asked), "/schedules",
                 lambda s: s.row("s1")),
}


def done(shop: Shop, name: str) -> int:
    if name == "schedule":
        return len(shop.pg.items)
    return sum(m.kind == ("charge" if name == "charge" else "refund") for m in shop.pg.journal.entries)


def settles(shop: Shop, name: str) -> None:
    """In the end the ledger says what the PG did, and the same command does it once at most."""
    ask, row = ASKS[name][1], ASKS[name][3]
    happened = done(shop, name)
    shop.settle()
    shop.settle()
    assert row(shop) is None or row(shop).state is (State.ANSWERED if happened else State.NOT_SENT)
    assert done(shop, name) == happened
    ask(shop)
    assert done(shop, name) == 1
    assert shop.pending() == []


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("before", [True, False], ids=["before-it-leaves", "after-the-pg-did-it"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ASKS)
def test_an_interrupt_while_sending_leaves_a_doubt_and_goes_on(name: str, error: type[BaseException], before: bool,
                                                              kind: str, tmp_path: Path) -> None:
    pg = FakePG()
    prepare, ask, path, row = ASKS[name]
    http = Torn(EmulatorTransport(pg), path, error("stop"), before=before)
    with Shop(ledger=store(kind, tmp_path), pg=pg, http=http) as shop:
        prepare(shop)
        with pytest.raises(error, match="stop"):
            ask(shop)
        assert row(shop).state is State.UNKNOWN
        assert row(shop).lease_until is None
        http.armed = False
        settles(shop, name)


@pytest.mark.parametrize("name", ASKS)
def test_an_interrupt_while_fetching_the_token_leaves_nothing_in_doubt(name: str) -> None:
    pg = FakePG()
    prepare, ask, _, row = ASKS[name]
    http = Torn(EmulatorTransport(pg), "/token", KeyboardInterrupt(), before=True)
    with Shop(pg=pg, http=http) as shop:
        http.armed = False
        prepare(shop)
        shop.gate._account.tokens.drop()
        http.armed = True
        with pytest.raises(KeyboardInterrupt):
            ask(shop)
        assert row(shop).state is State.NOT_SENT
        http.armed = False
        ask(shop)
        assert done(shop, name) == 1


def test_an_interrupt_while_looking_up_leaves_the_doubt() -> None:
    pg = FakePG()
    pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
    http = Torn(EmulatorTransport(pg), "/payments", KeyboardInterrupt(), before=True)
    with Shop(pg=pg, http=http) as shop:
        with pytest.raises(KeyboardInterrupt):
            shop.charge(charge())
        assert shop.row("o1").state is State.UNKNOWN
        http.armed = False
        settles(shop, "charge")


@pytest.mark.parametrize("face", ["sync", "async"])
@pytest.mark.parametrize("late", [False, True], ids=["not-written", "written"])
@pytest.mark.parametrize("fault", [None, FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE, FaultKind.WRONG_ORDER])
@pytest.mark.parametrize("name", ASKS)
def test_an_interrupt_at_any_write_loses_nothing_and_repeats_nothing(name: str, fault: FaultKind | None, late: bool,
                                                                    face: str) -> None:
    prepare, ask, path, _ = ASKS[name]
    error: Any = KeyboardInterrupt if face == "sync" else asyncio.CancelledError
    for at in range(1, 12):
        ledger = TearingLedger(MemoryLedger())
        with Shop(face, ledger) as shop:  # type: ignore[arg-type]
            prepare(shop)
            if fault is not None:
                shop.pg.fault(fault, f"^POST {path}$")
            ledger.calls, ledger.at, ledger.late, ledger.error = 0, at, late, error()
            try:
                ask(shop)
            except error:
                struck = True
            except Exception:
                struck = ledger.at == 0
                assert not struck, "the interrupt was swallowed"
            else:
                struck = False
            assert struck is (ledger.at == 0)
            ledger.at = 0
            settles(shop, name)


def test_an_interrupt_goes_on_even_if_the_ledger_is_full() -> None:
    class Full(TearingLedger):
        def __getattr__(self, verb: str) -> Any:
            if verb == "change" and self.late:
                raise LedgerError("full")
            return getattr(self._inner, verb)

    for path in ("/token", "/charges", "/payments"):
        pg = FakePG()
        pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
        ledger = Full(MemoryLedger())
        http = Torn(EmulatorTransport(pg), path, KeyboardInterrupt(), before=True)
        with Shop(ledger=ledger, pg=pg, http=http) as shop:  # type: ignore[arg-type]
            ledger.late = True
            with pytest.raises(KeyboardInterrupt):
                shop.charge(charge())
            assert shop.row("o1").state is State.SENT
            ledger.late, http.armed = False, False
            settles(shop, "charge")


class Waiting(httpx.AsyncBaseTransport):
    """Does what the PG does, then waits to be cancelled."""

    emits_trace = True

    def __init__(self, inner: EmulatorTransport, path: str) -> None:
        self._inner, self._path, self.reached = inner, path, asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if request.url.path == self._path:
            self.reached.set()
            await asyncio.Event().wait()
        return answer


@pytest.mark.parametrize("kind", STORES)
def test_a_task_cancelled_while_it_waits_for_the_answer_leaves_a_doubt_that_ends(kind: str, tmp_path: Path) -> None:
    pg = FakePG()
    http = Waiting(EmulatorTransport(pg), "/charges")
    ledger = store(kind, tmp_path)

    async def story(shop: Shop) -> None:
        task = asyncio.create_task(shop.gate.charge(charge()))
        await http.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    with Shop("async", ledger, pg, http=http) as shop:
        shop._runner.run(story(shop))  # type: ignore[union-attr]
        assert shop.row("o1").state is State.UNKNOWN
        settles_at_once = shop.find("o1")
        assert settles_at_once.status == "paid"
        assert shop.row("o1").state is State.ANSWERED
        assert pg.journal.charges("o1") == 1


def test_a_task_that_runs_out_of_time_is_told_so_and_its_row_is_in_doubt() -> None:
    pg = FakePG()
    http = Waiting(EmulatorTransport(pg), "/charges")

    async def story(shop: Shop) -> None:
        async with asyncio.timeout(0.01):
            await shop.gate.charge(charge())

    with Shop("async", pg=pg, http=http) as shop:
        with pytest.raises(TimeoutError):
            shop._runner.run(story(shop))  # type: ignore[union-attr]
        assert shop.row("o1").state is State.UNKNOWN


def test_a_task_cancelled_while_the_ledger_writes_lets_the_write_end_first(tmp_path: Path) -> None:
    release, writing = threading.Event(), threading.Event()

    class Slow:
        blocking = True

        def __init__(self) -> None:
            self._inner = store("sqlite", tmp_path)

        def __getattr__(self, verb: str) -> Any:
            method = getattr(self._inner, verb)

            def call(*args: Any) -> Any:
                if verb == "change":
                    writing.set()
                    release.wait(10)
                return method(*args)
            return call

    async def story(shop: Shop) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(shop.gate.charge(charge()))
        await loop.run_in_executor(None, writing.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()  # It waits for its own write.
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Shop("async", Slow()) as shop:  # type: ignore[arg-type]
        shop._runner.run(story(shop))  # type: ignore[union-attr]
        assert shop.row("o1").state is State.ANSWERED
        assert shop.charge(charge()).status == "paid"
        assert shop.sent("POST /charges") == 1


@pytest.mark.parametrize("kind", STORES)
def test_a_coroutine_that_is_dropped_in_the_middle_leaves_the_row_as_it_stands(kind: str, tmp_path: Path) -> None:
    pg = FakePG()
    http = Waiting(EmulatorTransport(pg), "/charges")
    ledger = store(kind, tmp_path)
    shop = Shop("async", ledger, pg, http=http)

    async def story() -> None:
        # Driven by hand until it waits for the PG, then dropped, as an interpreter that exits drops it.
        call = shop.gate.charge(charge())
        while True:
            waits_for = call.send(None)
            if http.reached.is_set():
                break
            waits_for._asyncio_future_blocking = False
            await asyncio.wait([waits_for])
        call.close()

    shop._runner.run(story())  # type: ignore[union-attr]
    gc.collect()
    shop.shut()
    with Shop(ledger=ledger if kind == "memory" else store(kind, tmp_path), pg=pg) as after:
        assert after.row("o1").state is State.SENT
        settles(after, "charge")


def test_an_interrupt_while_a_window_is_prepared_shows_nothing_and_can_be_asked_again() -> None:
    for before in (True, False):
        pg = FakePG()
        http = Torn(EmulatorTransport(pg), "/windows", KeyboardInterrupt(), before=before)
        with Shop(pg=pg, http=http) as shop:
            with pytest.raises(KeyboardInterrupt):
                shop.pay(PAY)
            assert shop.row("o1").state is State.NOT_SENT
            http.armed = False
            assert shop.pay(PAY).order_id == "o1"
            # Shown once, it may be paid at any time: an interrupt of the second showing takes nothing back.
            shop.clock.advance(100)
            http.armed = True
            with pytest.raises(KeyboardInterrupt):
                shop.pay(PAY)
            assert shop.row("o1").state is State.SENT
            pg.payer("o1")
            assert shop.confirm("o1", {"order_id": "o1"}).status == "paid"
            assert shop.attention() == []


def test_an_interrupted_unschedule_is_asked_again() -> None:
    pg = FakePG()
    http = Torn(EmulatorTransport(pg), "/unschedule", KeyboardInterrupt(), before=False)
    with Shop(pg=pg, http=http) as shop:
        shop.schedule(schedule(shop))
        with pytest.raises(KeyboardInterrupt):
            shop.unschedule(unschedule())
        http.armed = False
        assert [s.status for s in shop.unschedule(unschedule())] == ["revoked"]
