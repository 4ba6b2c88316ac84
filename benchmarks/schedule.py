"""What falls due: whether a million dated charges that wait slow the claim, and how long a virtual year of
subscriptions takes. Ratios within one run. How fast what is due is drained: drain.py.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from paygate import BillingKey, Interval, MemoryLedger, Money, SubscribeKey, connect
from paygate.assemble import open_store
from paygate.ledger.row import Kind, Note, Row, State
from paygate.ledger.sql import COLUMNS, LINES, Plan, Tell
from paygate.ledger.store import SqlLedger
from paygate.secret import Secret
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport

WON = Money(14_000, "KRW")
KEY = BillingKey("fakepg", "key-1")
NOW = 1_767_582_000.0
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
    for table, columns in (("paygate_row", COLUMNS), ("paygate_line", LINES)):
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


def year(merchant: int, subscriptions: int) -> tuple[int, float]:
    """Twelve months of one merchant's monthly subscriptions on a virtual clock; nothing is durable.

    How many charges, and how many seconds of CPU.
    """
    pg = FakePG()
    pg.issue_key(KEY.reveal())
    began = time.process_time()
    with connect(FAKEPG, pg.settings(), ledger=MemoryLedger(), clock=pg.clock, vault=Drawer(),
                 http=EmulatorTransport(pg)) as gate:
        for n in range(subscriptions):
            gate.subscribe_key(SubscribeKey(order_id=f"m{merchant}s{n}", billing_key=KEY, money=WON,
                                            every=Interval("month"), title="Tea", run_by="paygate"))
        for _ in range(364):
            pg.clock.advance(86_400)
            while gate.run_due(1000).taken_up:
                pass
    charged = len(pg.journal.entries)
    assert charged == 12 * subscriptions == len({m.order_id for m in pg.journal.entries})
    return charged, time.process_time() - began


def years(subscriptions: int, merchants: int) -> None:
    """A virtual year of that many merchants, each in a process of its own."""
    began = time.perf_counter()
    each = [subscriptions // merchants + (n < subscriptions % merchants) for n in range(merchants)]
    with get_context("spawn").Pool(merchants) as pool:
        played = pool.starmap(year, list(enumerate(each)))
    took, charged, cpu = time.perf_counter() - began, sum(c for c, _ in played), sum(s for _, s in played)
    print(f"  {subscriptions:,} monthly subscriptions of {merchants} merchants, each in a process of its own: "
          f"{charged:,} charges in {took:.0f} s; CPU {cpu:.0f} s, at most {max(s for _, s in played):.0f} s of one "
          f"process, {cpu / charged * 1000:.2f} ms a charge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=1_000_000, help="dated charges that wait, against 10,000")
    parser.add_argument("--subscriptions", type=int, default=1_000, help="those of the virtual year")
    parser.add_argument("--merchants", type=int, default=2, help="whose they are, each simulated in its own process")
    parser.add_argument("--only-year", action="store_true", help="fill no ledgers")
    parser.add_argument("--postgres", metavar="ADDRESS", help="two empty databases, {} for few and many")
    asked = parser.parse_args()
    if not asked.only_year:
        with tempfile.TemporaryDirectory() as folder:
            print("claim, SQLite")
            holding(lambda name: str(Path(folder) / name), 10_000, asked.many, 30)
    if asked.postgres:
        print("claim, PostgreSQL")
        holding(asked.postgres.format, 10_000, asked.many, 30)
    print("a virtual year, ledger in memory")
    years(asked.subscriptions, asked.merchants)


if __name__ == "__main__":
    main()
