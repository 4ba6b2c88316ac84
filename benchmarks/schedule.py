"""What falls due: whether a million dated charges that wait slow the claim, how fast the due ones are drained against
the PG's own latency, and how long a virtual year of subscriptions takes. Ratios within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from paygate import BillingKey, Interval, MemoryLedger, Money, SubscribeKey, connect, connect_async
from paygate.assemble import open_store
from paygate.keyvault import KeyVault, new_vault_key
from paygate.ledger.row import Kind, Note, Row, State
from paygate.ledger.sql import _LINES as LINE_COLUMNS
from paygate.ledger.sql import COLUMNS, Plan, Tell
from paygate.ledger.store import SqlLedger
from paygate.secret import Secret
from paygate.testing.emulator import VirtualClock
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport
from paygate.workers.loop import work

WON = Money(14_000, "KRW")
KEY = BillingKey("fakepg", "key-1")
NOW = 1_767_582_000.0
YEAR_S = 365 * 86_400.0
BATCH = 100


def dated(id: str, due_at: float) -> Row:
    return Row(gateway="fakepg/test", kind=Kind.CHARGE, id=id, order_id=id, digest="d" * 64, state=State.SCHEDULED,
               opened_at=NOW, money=WON, due_at=due_at, sealed="s" * 400, key_digest="k" * 64)


def fill(ledger: SqlLedger, count: int, prefix: str, due_at: Callable[[int], float]) -> float:
    """Write dated charges, five hundred in a transaction; how many a second."""
    began = time.perf_counter()
    for first in range(0, count, 500):
        ledger.open([dated(f"{prefix}{n}", due_at(n)) for n in range(first, min(first + 500, count))],
                    Note(text="scheduled", at=NOW, by="benchmark"))
    return count / (time.perf_counter() - began)


def multiply(ledger: SqlLedger, count: int) -> None:
    """Have the database itself copy one row and its line that often: writing a million by themselves takes minutes."""
    for first in range(0, count, 50_000):
        ledger.run(_copied(first, min(first + 50_000, count)))


def _copied(first: int, end: int) -> Plan[None]:
    numbers = "WITH RECURSIVE n(i) AS (SELECT ? + 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
    told: list[tuple[str, tuple[Any, ...]]] = []
    for table, columns in (("paygate_row", COLUMNS), ("paygate_line", LINE_COLUMNS)):
        name = "'more' || CAST(n.i AS TEXT)"
        made = {"id": name, "order_id": name, "due_at": "t.due_at + n.i"}
        told.append((f"INSERT INTO {table} ({', '.join(columns)}) {numbers}"
                     f"SELECT {', '.join(made.get(c, f't.{c}') for c in columns)} FROM {table} t, n "
                     "WHERE t.gateway = ? AND t.book = 'payment' AND t.id = ?", (first, end, "fakepg/test", "later0")))
    yield Tell(tuple(told))


def claims(ledgers: dict[str, SqlLedger], rounds: int) -> dict[str, float]:
    """Claims of a hundred, in turns: the median time of one in each ledger, in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in ledgers}
    for _ in range(rounds):
        for name, ledger in ledgers.items():
            began = time.perf_counter()
            rows = ledger.claim("fakepg/test", NOW, BATCH, NOW + 300, Note(text="claimed", at=NOW, by="benchmark"))
            taken[name].append(time.perf_counter() - began)
            assert len(rows) == BATCH
    return {name: median(times) for name, times in taken.items()}


def holding(place: Callable[[str], str], few: int, many: int, rounds: int) -> None:
    ledgers = {}
    for name, count in (("few", few), ("many", many)):
        ledgers[name] = ledger = open_store(place(name), upgrades=True)
        rate = fill(ledger, few, "later", lambda n: NOW + 86_400 + n)
        multiply(ledger, count - few)
        # What is due comes last, as a monthly charge does after the yearly ones.
        fill(ledger, (rounds + 5) * BATCH, "due", lambda n: NOW - n)
        print(f"  {count:>9,} wait, in batches of 500 written at {rate:,.0f} rows a second", flush=True)
    claims(ledgers, 5)
    times = claims(ledgers, rounds)
    print(f"  a claim of {BATCH}: {times['few'] * 1000:.1f} ms with {few:,} waiting, {times['many'] * 1000:.1f} ms "
          f"with {many:,}: ratio {times['many'] / times['few']:.2f} (bar 1.30)")
    for ledger in ledgers.values():
        ledger.close()


class Drawer:
    """A vault that costs nothing."""

    def seal(self, text: Secret, about: str) -> str:
        return text.reveal()

    def open(self, sealed: str, about: str) -> Secret:
        return Secret(sealed)


class Slow(EmulatorTransport):
    """A PG in this process that answers after a while."""

    latency_s = 0.3

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.latency_s)
        return await super().handle_async_request(request)


async def drain(ledger: Any, charges: int, concurrent: int, vault: Any) -> tuple[float, float]:
    """Charges a second of the worker, and of as many bare waits at a time."""
    from paygate import DatedCharge, Schedule

    pg = FakePG(VirtualClock())
    pg.issue_key(KEY.reveal())
    gate = connect_async(FAKEPG, pg.settings(), ledger=ledger, clock=pg.clock, http=Slow(pg), vault=vault)
    due_at = pg.clock.now() + timedelta(seconds=60)
    for first in range(0, charges, 50):
        await gate.schedule(Schedule(billing_key=KEY, run_by="paygate", charges=[
            DatedCharge(order_id=f"s{n}", due_at=due_at, money=WON, title="Tea") for n in range(first, first + 50)]))
    pg.clock.advance(61)
    began = time.perf_counter()
    tally = await work(gate, concurrent=concurrent, until_empty=True)
    took = time.perf_counter() - began
    assert tally.paid == charges == len(pg.journal.entries)
    await gate.close()
    turns = asyncio.Semaphore(concurrent)

    async def bare() -> None:
        async with turns:
            await asyncio.sleep(Slow.latency_s)

    began = time.perf_counter()
    await asyncio.gather(*[bare() for _ in range(charges)])
    return charges / took, charges / (time.perf_counter() - began)


class Quick(FakePG):
    """FakePG that knows an order id by its name instead of looking through every payment."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def _take(self, *args: Any, **said: Any) -> dict[str, Any]:
        payment = super()._take(*args, **said)
        self.used.add(payment["order_id"])
        return payment

    def is_used(self, order_id: str) -> bool:
        return order_id in self.used


def year(subscriptions: int) -> None:
    """Twelve months of monthly subscriptions on a virtual clock, in one process and one thread; nothing is durable."""
    pg = Quick()
    pg.issue_key(KEY.reveal())
    with connect(FAKEPG, pg.settings(), ledger=MemoryLedger(), clock=pg.clock, vault=Drawer(),
                 http=EmulatorTransport(pg)) as gate:
        began, cpu = time.perf_counter(), time.process_time()
        for n in range(subscriptions):
            gate.subscribe_key(SubscribeKey(order_id=f"sub{n}", billing_key=KEY, money=WON, every=Interval("month"),
                                            title="Tea", run_by="paygate"))
        for _ in range(364):
            pg.clock.advance(86_400)
            while gate.run_due(1000).taken_up:
                pass
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        charged = len(pg.journal.entries)
        assert charged == 12 * subscriptions == len({m.order_id for m in pg.journal.entries})
        print(f"  {subscriptions:,} monthly subscriptions: {charged:,} charges in {took:.0f} s, {cpu:.0f} s of CPU, "
              f"{cpu / charged * 1000:.2f} ms each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=1_000_000, help="dated charges that wait, against 10,000")
    parser.add_argument("--subscriptions", type=int, default=1_000, help="those of the virtual year")
    parser.add_argument("--charges", type=int, default=3_000, help="how many are drained")
    parser.add_argument("--postgres", metavar="ADDRESS", help="two empty databases, {} for few and many")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("claim, SQLite")
        holding(lambda name: str(Path(folder) / name), 10_000, asked.many, 30)
    if asked.postgres:
        print("claim, PostgreSQL")
        holding(asked.postgres.format, 10_000, asked.many, 30)
    print(f"drain, a PG that answers after {Slow.latency_s * 1000:.0f} ms, of what as many bare waits reach")
    for concurrent in (50, 200, 1000):
        for kind in ("memory", "SQLite"):
            with tempfile.TemporaryDirectory() as folder:
                ledger: Any = MemoryLedger() if kind == "memory" else open_store(Path(folder) / "ledger.db")
                ours, bare = asyncio.run(drain(ledger, asked.charges, concurrent, KeyVault(new_vault_key())))
                ledger.close()
                print(f"  {concurrent:>5} at a time, {kind}: {ours:,.0f} a second, {ours / bare:.2f}")
    print("a virtual year, ledger in memory")
    year(asked.subscriptions)


if __name__ == "__main__":
    main()
