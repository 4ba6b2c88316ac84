"""Rows F40 to F46: the process dies, the ledger fails, a worker stands still, two work at once, a process forks."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import frozen
from failure_rows import EVERYWHERE, STORES, Bench, Failing, bench, in_a_thread, row, served, while_the_pg_works
from shop import KEY, Shop, cancel, charge, schedule

from paygate import (
    InProgress,
    OutcomeUnknown,
    PaygateError,
    State,
)
from paygate.ledger.row import Book, Note
from paygate.ledger.sqlite import SqliteLedger
from paygate.procedures import cancel as cancelling
from paygate.procedures import charge as charging
from paygate.procedures import schedule as scheduling
from paygate.testing.transport import EmulatorTransport

__all__ = ["bench"]
CHARGES = "POST /charges"


@frozen(kw_only=True)
class Deed:
    """`ask` is what is asked; `steps` the same as a procedure, one effect at a time; `done` how often the PG did it."""

    before: Callable[[Shop], Any]
    ask: Callable[[Shop], Any]
    steps: Callable[[Shop], Any]
    done: Callable[[Shop], int]
    row: Callable[[Shop], Any]
    call: str


def _moves(kind: str) -> Callable[[Shop], int]:
    return lambda shop: sum(m.kind == kind for m in shop.pg.journal.entries)


def _dated(shop: Shop) -> Any:
    return shop.pg.__dict__.setdefault("asked", schedule(shop, in_s=86_400))


DEEDS = {
    "charge": Deed(before=lambda shop: None, ask=lambda shop: shop.charge(charge()),
                   steps=lambda shop: charging.charge(shop.gate._account, charge()), done=_moves("charge"),
                   row=lambda shop: shop.row("o1"), call=CHARGES),
    "cancel": Deed(before=lambda shop: shop.charge(charge()), ask=lambda shop: shop.cancel(cancel()),
                   steps=lambda shop: cancelling.cancel(shop.gate._account, cancel()), done=_moves("refund"),
                   row=lambda shop: shop.refund("c1"), call="POST /payments/p1/refunds"),
    "schedule": Deed(before=_dated, ask=lambda shop: shop.schedule(_dated(shop)),
                     steps=lambda shop: scheduling.schedule(shop.gate._account, _dated(shop)),
                     done=lambda shop: len(shop.pg.items), row=lambda shop: shop.row("s1"), call="POST /schedules"),
}


def die_after(shop: Shop, steps: Any, effects: int) -> bool:
    """Carry out so many effects, then drop everything, as kill -9 would. False where it was over before."""
    driver = shop.gate._driver
    value: Any = None
    error: BaseException | None = None
    for _ in range(effects):
        try:
            effect = steps.send(value) if error is None else steps.throw(error)
        except (StopIteration, PaygateError):
            return False
        value = error = None
        try:
            carried_out = driver._do(effect, driver._end())
            value = carried_out if shop._runner is None else shop._runner.run(carried_out)
        except Exception as raised:
            error = raised
    steps.close()
    return True


@EVERYWHERE
@pytest.mark.parametrize("name", DEEDS)
@pytest.mark.parametrize("fault", [None, "drop_after", "drop_before"])
@row("F40")
def test_f40_whenever_the_process_dies_the_ledger_comes_to_agree_with_the_pg(name: str, fault: str | None,
                                                                            bench: Bench) -> None:
    for effects in itertools.count():
        with ExitStack() as stack:
            again = Bench(bench.face, bench.kind, bench._folder / str(effects), stack)
            if not lives_on(again, DEEDS[name], fault, effects):
                break
    assert effects > 4


def lives_on(bench: Bench, deed: Deed, fault: str | None, effects: int) -> bool:
    """Die after so many effects, begin anew, and let time pass. False where the deed was over before."""
    first = bench.shop()
    deed.before(first)
    if fault is not None:
        bench.pg.fault(fault, deed.call)
    was_alive = die_after(first, deed.steps(first), effects)
    done = deed.done(first)
    bench.pg.faults.clear()
    second = bench.shop()  # After the restart.
    for _ in range(3):
        second.settle()
    found = deed.row(second)
    assert deed.done(second) == done
    assert found is None or found.state is (State.ANSWERED if done else State.NOT_SENT), (effects, found)
    assert found is not None or not done
    deed.ask(second)
    assert deed.done(second) == 1
    assert second.pending() == second.attention() == []
    return was_alive


@EVERYWHERE
@pytest.mark.parametrize("name", DEEDS)
@pytest.mark.parametrize("late", [False, True], ids=["not-written", "written-and-failed"])
@row("F41")
def test_f41_what_cannot_be_written_after_it_was_sent_is_told_and_looked_up_later(name: str, late: bool,
                                                                                 bench: Bench) -> None:
    deed, shop = DEEDS[name], bench.shop(ledger=Failing)
    deed.before(shop)
    while_the_pg_works(bench, deed.call, lambda: shop.ledger.fail(late=late))
    told = deed.ask(shop)
    assert (told[0] if isinstance(told, tuple) else told).unrecorded is True
    shop.ledger.heal()
    assert deed.row(shop).state in ((State.SENT, State.ANSWERED) if late else (State.SENT,))
    for _ in range(2):
        shop.settle()
    assert deed.row(shop).state is State.ANSWERED
    again = deed.ask(shop)
    assert (again[0] if isinstance(again, tuple) else again).unrecorded is False
    assert (deed.done(shop), shop.sent(deed.call)) == (1, 1)


@pytest.mark.parametrize("face", ["sync", "async"])
@row("F42")
def test_f42_the_intent_is_on_the_disk_before_the_first_byte(face: str, tmp_path: Path) -> None:
    """The file and its log are copied while the PG works, whole and torn: what a machine finds after power was lost."""
    ledger = SqliteLedger(tmp_path / "books.db")
    with Shop(face, ledger) as shop:
        shop.charge(charge("o0"))
        modes = {connection.execute("PRAGMA synchronous").fetchone()[0] for connection in _connections(ledger)}
        modes |= {connection.execute("PRAGMA journal_mode").fetchone()[0] for connection in _connections(ledger)}
        assert modes == {2, "wal"}
        truly = shop.pg.handle

        def copied(call: Any) -> Any:
            if call.path == "/charges":
                for name in ("books.db", "books.db-wal"):
                    shutil.copy(tmp_path / name, tmp_path / f"copy-{name}")
            return truly(call)
        shop.pg.handle = copied  # type: ignore[method-assign]
        shop.charge(charge("o1"))
        scope = shop.gate._account.scope
    log = (tmp_path / "copy-books.db-wal").read_bytes()
    found = {}
    for size in (len(log), len(log) - 1, len(log) - 4096, len(log) // 2, 40, 0):
        folder = tmp_path / str(size)
        folder.mkdir()
        shutil.copy(tmp_path / "copy-books.db", folder / "books.db")
        (folder / "books.db-wal").write_bytes(log[:max(0, size)])
        torn = SqliteLedger(folder / "books.db")
        row = torn.get(scope, Book.PAYMENT, "o1")
        torn.close()
        check = sqlite3.connect(folder / "books.db")
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        check.close()
        found[size] = None if row is None else row.state
    assert found[len(log)] is State.SENT
    assert set(found.values()) <= {None, State.SENT}


def _connections(ledger: Any) -> list[Any]:
    return [ledger._file._writer]


@EVERYWHERE
@row("F43")
def test_f43_what_a_restored_backup_has_forgotten_is_found_and_not_given_back_twice(bench: Bench) -> None:
    lost = Shop(pg=bench.pg)
    lost.charge(charge("o1"))
    shop = bench.shop()
    shop.ledger.open([lost.row("o1")], Note(text="from the backup", at=1.0, by="host:1"))
    lost.charge(charge("o2"))
    lost.cancel(cancel("c1"))
    shop.clock.advance(60)
    with pytest.raises(OutcomeUnknown, match="knows nothing of"):
        shop.cancel(cancel("c1"))
    report = shop.reconcile(since=shop.clock.now().replace(hour=0))
    assert [(r.kind.value, r.order_id) for r in shop.attention()] == [
        ("charge", "o1"), ("cancel", "o1"), ("stray", "o2")]
    assert report.orphans == ["p2"]
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c1"))
    assert bench.pg.journal.given_back("o1") == 4_000


class Standing(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport at which the worker stands still: before it speaks, or before it reads the answer."""

    emits_trace = True

    def __init__(self, inner: EmulatorTransport, still: Callable[[], None], *, before: bool) -> None:
        self._inner, self._still, self._before = inner, still, before
        self._armed = True

    def _stand(self, request: httpx.Request, *, before: bool) -> None:
        if self._armed and before is self._before and request.url.path == "/charges":
            self._armed = False
            self._still()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._stand(request, before=True)
        answer = self._inner.handle_request(request)
        self._stand(request, before=False)
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._stand(request, before=True)
        answer = await self._inner.handle_async_request(request)
        self._stand(request, before=False)
        return answer


@EVERYWHERE
@pytest.mark.parametrize("before", [True, False], ids=["before-it-speaks", "before-it-reads"])
@row("F44")
def test_f44_a_worker_that_stood_still_past_its_lease_does_not_send_and_cannot_write(before: bool,
                                                                                    bench: Bench) -> None:
    other = bench.shop("sync")
    seen: list[Any] = []

    def still() -> None:
        bench.pg.clock.advance(250)  # The lease is over, the settle window too.
        try:
            seen.append(other.charge(charge()).status)
        except OutcomeUnknown as error:
            seen.append(error)
        seen.append(other.row("o1"))
        # A token of another worker's must not be what keeps this one from speaking.
        bench.pg.valid_tokens |= {f"token-{n}" for n in range(bench.pg.tokens_given + 1)}
    shop = bench.shop(http=Standing(EmulatorTransport(bench.pg), in_a_thread(still), before=before))
    try:
        told: Any = shop.charge(charge())
    except PaygateError as error:
        told = error
    taken = other.row("o1")
    assert bench.pg.journal.charges("o1") == (0 if before else 1)
    if before:
        assert isinstance(told, PaygateError)
        assert isinstance(seen[0], OutcomeUnknown)
        assert taken == seen[1]  # What the second worker wrote stands.
        for _ in range(2):
            other.settle()
        assert other.row("o1").state is State.NOT_SENT
    else:
        assert seen[0] == "paid"
        assert (told.status, taken) == ("paid", seen[1])
    assert other.charge(charge()).status == "paid"
    assert bench.pg.journal.charges("o1") == 1


@EVERYWHERE
@row("F45")
def test_f45_of_workers_that_take_up_the_same_orders_one_sends_each(bench: Bench) -> None:
    orders = [f"o{n}" for n in range(6)]
    shops = [bench.shop() for _ in range(4)]
    start, told, answers = threading.Barrier(len(shops), timeout=60), [], []
    truly = bench.pg.answer

    def noted(call: Any) -> Any:
        answer = truly(call)
        answers.extend([answer.status] if call.path == "/charges" else [])
        return answer
    bench.pg.answer = noted  # type: ignore[method-assign]

    def work(shop: Shop) -> None:
        start.wait()
        for order in orders:
            try:
                told.append(shop.charge(charge(order)).status)
            except (InProgress, OutcomeUnknown) as error:
                told.append(error)
    workers = [threading.Thread(target=work, args=(shop,)) for shop in shops]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert len(told) == len(shops) * len(orders)
    assert [bench.pg.journal.charges(order) for order in orders] == [1] * len(orders)
    assert [status for status in answers if status != 401] == [200] * len(orders)  # Each new token ends the one before.
    assert {shops[0].row(order).state for order in orders} == {State.ANSWERED}


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="no fork on this system")
@pytest.mark.parametrize("bench", [("sync", kind) for kind in STORES if kind != "memory"], indirect=True, ids="-".join)
@row("F46")
def test_f46_a_forked_process_opens_connections_of_its_own(bench: Bench) -> None:
    """In a process of its own, because one that has threads does not fork."""
    import subprocess

    bench.pg.issue_key(KEY.reveal())
    with served(bench.pg) as server:
        code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from shop import charge
from paygate import connect, NotFound
from paygate.testing.fakepg import FAKEPG
gate = connect(FAKEPG, {{"api_key": "k", "mode": "test"}}, ledger={bench.address!r}, base_url={server.base_url!r})
def ask(order):
    try: gate.find(order)
    except NotFound: pass
ask("before")
gate.charge(charge("o1"))
child = os.fork()
ask("child" if child == 0 else "parent")
gate.charge(charge("o2" if child == 0 else "o3"))
if child == 0: os._exit(0)
assert os.waitpid(child, 0)[1] == 0
ask("after")
gate.charge(charge("o4"))
gate.close()
"""
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == 0, ran.stderr
        shop = bench.shop()
        assert [bench.pg.journal.charges(f"o{n}") for n in range(1, 5)] == [1] * 4
        assert {shop.row(f"o{n}").state for n in range(1, 5)} == {State.ANSWERED}
        # Four connections for charges, the token's, the parent's kept one, and the child's own.
        assert server.connections >= 7
