"""What a ledger costs: beside a charge without one, beside bare durable commits, and with a million rows in it.

Everything that is compared is measured in the same run, in blocks that take turns, on the same disk.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _stub import Stub
from attrs import evolve, frozen
from gateway import command, connected

from paygate import BillingKey, Charge, Ledger, MemoryLedger, Money, OutcomeUnknown, connect
from paygate.ledger.row import State
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing import EmulatorTransport
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.ledger_races import note, row

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import pg_server

WORKERS = (1, 8)
RESULT = '{"payment":"' + "x" * 600 + '"}'
NUMBER = itertools.count()

Work = Callable[[], None]


@frozen
class Store:
    """A kind of store on this machine. `opens` opens one and the same; `commits` gives a worker's bare commit."""

    name: str
    opens: Callable[[], Ledger]
    commits: Callable[[], Work]


def per_second(works: list[Work], times: int) -> float:
    """How often in a second all of `works` are done, each in a thread of its own, `times` times."""
    barrier = threading.Barrier(len(works) + 1)

    def repeat(work: Work) -> None:
        barrier.wait()
        for _ in range(times):
            work()

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return len(works) * times / (time.perf_counter() - began)


def spread(values: list[float], digits: int = 2) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:,.{digits}f} [{low:,.{digits}f} {high:,.{digits}f}]"


def pair(ledger: Ledger) -> None:
    """What a charge writes: that it may be sent, and what came of it."""
    id = f"bench-{os.getpid()}-{next(NUMBER)}"
    (held, _), = ledger.open([row(id, digest="d" * 64, lease_until=1.0, check_at=1e12)], note())
    done = evolve(held, state=State.ANSWERED, lease_until=None, check_at=None, provider_id=f"pg-{id}", result=RESULT)
    assert ledger.change(done, note("paid")) is not None


def costs(store: Store, stub: Stub, size: int) -> None:
    """Charges with the ledger and without, and the ledger alone, beside the store's own bare commits."""
    ledger = store.opens()
    without, with_it = connected(stub, MemoryLedger()), connected(stub, ledger)
    for workers in WORKERS:
        bare = [store.commits() for _ in range(workers)]
        rates: dict[str, list[float]] = {"bare": [], "pair": [], "without": [], "with": []}
        times = max(3, 40 * size // workers)
        for _ in range(7):
            rates["bare"].append(per_second(bare, 4 * times))
            rates["pair"].append(per_second([lambda: pair(ledger)] * workers, 2 * times))
            rates["without"].append(per_second([lambda: void(without.charge(command()))] * workers, times))
            rates["with"].append(per_second([lambda: void(with_it.charge(command()))] * workers, times))
        of = {a + b: [x / y for x, y in zip(rates[a], rates[b], strict=True)] for a, b in
              (("with", "without"), ("pair", "bare"))}
        print(f"{store.name:<11} {workers:>7}  {statistics.median(rates['bare']):>9,.0f}  "
              f"{spread([2 * r for r in of['pairbare']]):<17}  {statistics.median(rates['without']):>7,.0f}  "
              f"{statistics.median(rates['with']):>7,.0f}  {spread([1 / r for r in of['withwithout']])}", flush=True)
    with_it.close()
    without.close()
    ledger.close()


def void(_: object) -> None:
    pass


def growth(store: Store, sizes: list[int], size: int) -> None:
    """The same few writes and questions, with ever more rows beside them."""
    ledger = store.opens()
    first: list[float] = []
    filled = 0
    for rows in sizes:
        while filled < rows:
            ledger.open([row(f"old-{n}", state=State.ANSWERED, digest="d" * 64, provider_id=f"pg-old-{n}",
                             opened_at=float(n), key_digest=f"key-{n % 5_000}", result=RESULT)
                         for n in range(filled, min(filled + 1_000, rows))], note())
            filled = min(filled + 1_000, rows)
        asks: list[Work] = [lambda: pair(ledger), lambda: void(ledger.by_provider_id("g", "pg-old-77")),
                            lambda: void(ledger.due("g", 1e9, 100)), lambda: void(ledger.unresolved("g", 100))]
        per_second([asks[0]], 20 * size)
        seconds = [1 / statistics.median([per_second([ask], 40 * size) for _ in range(5)]) for ask in asks]
        first = first or seconds
        told = "  ".join(f"{s * 1e6:>7,.0f} us {s / f:>5.2f}" for s, f in zip(seconds, first, strict=True))
        print(f"{store.name:<11} {rows:>9,}  {told}", flush=True)
    ledger.close()


def reconciled(store: Store, size: int) -> None:
    """Rows in doubt, settled by one `reconcile()`, beside the look-ups alone."""
    pg = FakePG()
    key = BillingKey("fakepg", pg.issue_key("key-1"))
    ratios, rates = [], []
    ledger = store.opens()
    gate = connect(FAKEPG, pg.settings(), ledger=ledger, http=EmulatorTransport(pg), clock=pg.clock)
    for number in range(5):
        orders = [f"doubt-{number}-{n}" for n in range(60 * size)]
        pg.fault("drop_after", "^POST /charges$", times=len(orders))
        pg.fault("drop_before", "^GET ", times=10 * len(orders))
        for order in orders:
            try:
                gate.charge(Charge(order_id=order, billing_key=key, money=Money(14_000, "KRW"), title="Slim plan"))
            except OutcomeUnknown:
                continue
            raise AssertionError("it should be in doubt")
        pg.faults.clear()
        pg.clock.advance(20)
        began = time.perf_counter()
        told = gate.reconcile(len(orders))
        seconds = time.perf_counter() - began
        assert len(told.settled) == len(orders), told
        began = time.perf_counter()
        for order in orders:
            gate.find(order)
        rates.append(len(orders) / seconds)
        ratios.append(seconds / (time.perf_counter() - began))
    gate.close()
    ledger.close()
    print(f"{store.name:<11} {statistics.median(rates):>9,.0f}  {spread(ratios)}", flush=True)


@contextmanager
def stores() -> Iterator[list[Store]]:
    """SQLite, and PostgreSQL where it is installed: a server of its own, as durable as one for customers."""
    with tempfile.TemporaryDirectory() as folder:
        made = [Store("SQLite", lambda: SqliteLedger(Path(folder) / f"{os.getpid()}.db"),
                      lambda: _sqlite_commits(Path(folder) / "bare.db"))]
        if pg_server.programs() is None:
            print("PostgreSQL is not installed here: nothing is said of it")
            yield made
            return
        from paygate.ledger.postgres import PostgresLedger

        server = pg_server.Server(is_durable=True)
        try:
            with server.database() as url:
                yield [*made, Store("PostgreSQL", lambda: PostgresLedger(url), lambda: _postgres_commits(url))]
        finally:
            server.remove()


def _sqlite_commits(path: Path) -> Work:
    db = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS t (text TEXT)")

    def commit() -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (?)", (RESULT,))
        db.execute("COMMIT")
    return commit


def _postgres_commits(url: str) -> Work:
    import psycopg

    db = psycopg.connect(url, autocommit=True)
    db.execute("CREATE TABLE IF NOT EXISTS t (text TEXT)")
    return lambda: void(db.execute("INSERT INTO t VALUES (%s)", (RESULT,)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2, help="how much in a block, relative to a quick run (1)")
    parser.add_argument("--rows", default="10000,100000,1000000", help="how many rows to grow through")
    asked: Any = parser.parse_args()
    sizes = [int(n) for n in asked.rows.split(",")]
    with Stub() as stub, stores() as found:
        print("\ncharge with the ledger, of one without; the ledger's two commits alone, of the store's bare commits")
        print("store       workers  commits/s  ledger of bare     without/s   with/s  time with, of without")
        for store in found:
            costs(store, stub, asked.size)
        print("\nwhat a row costs when there are many: two commits, and three questions; times the first line's")
        print("store            rows  write            by the PG's id    due               unresolved")
        for store in found:
            growth(store, sizes, asked.size)
        print("\nreconcile: rows in doubt settled in a second; time, of the look-ups alone")
        for store in found:
            reconciled(store, asked.size)


if __name__ == "__main__":
    main()
