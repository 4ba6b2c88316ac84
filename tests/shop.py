"""A merchant's shop at FakePG: either face, either ledger, one clock. Most tests of the core begin with one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from paygate import (
    BillingKey,
    Cancel,
    CancelWhole,
    Charge,
    DatedCharge,
    Ledger,
    MemoryLedger,
    Money,
    Schedule,
    Unschedule,
    connect,
    connect_async,
)
from paygate.ledger.row import Book
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport

FACES = ("sync", "async")
STORES = ("memory", "sqlite")
KEY = BillingKey("fakepg", "key-1")
WON = Money(14_000, "KRW")


def won(amount: int) -> Money:
    return Money(amount, "KRW")


def store(kind: str, folder: Path) -> Ledger:
    return MemoryLedger() if kind == "memory" else SqliteLedger(folder / "ledger.db")


class Shop:
    """`shop.charge(...)` and every other verb run to their end, whichever face is behind them."""

    def __init__(self, face: str = "sync", ledger: Ledger | None = None, pg: FakePG | None = None, http: Any = None,
                 **options: Any) -> None:
        self.pg = pg or FakePG()
        self.pg.issue_key(KEY.reveal())
        self.clock = self.pg.clock
        self.ledger = MemoryLedger() if ledger is None else ledger
        make: Any = connect if face == "sync" else connect_async
        if not options.pop("own_connections", False):
            options["http"] = http or EmulatorTransport(self.pg)
        spec, said = options.pop("spec", FAKEPG), options.pop("settings", self.pg.settings())
        self.gate = make(spec, said, ledger=self.ledger, clock=options.pop("clock", self.clock),
                         **options)
        self._runner = None if face == "sync" else asyncio.Runner()

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self.gate, verb)
        if self._runner is None or not asyncio.iscoroutinefunction(method):
            return method
        runner = self._runner
        return lambda *args, **kwargs: runner.run(method(*args, **kwargs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def shut(self) -> None:
        """Close the gateway, the ledger and the event loop."""
        try:
            if self._runner is None:
                self.gate.close()
            else:
                self._runner.run(self.gate.close())
        finally:
            self.ledger.close()
            if self._runner is not None:
                self._runner.close()

    def settle(self) -> None:
        """The faults are over: turn the clock past lease and settle window, looking now and then."""
        self.pg.faults.clear()
        for _ in range(8):
            self.clock.advance(70)
            self.reconcile()

    def sent(self, call: str) -> int:
        """How many calls "METHOD /path" reached the PG."""
        return sum(f"{c.method} {c.path}" == call for c in self.pg.calls)

    def row(self, order_id: str) -> Any:
        """The payment's row."""
        return self.ledger.get(self.gate._account.scope, Book.PAYMENT, order_id)

    def refund(self, cancel_id: str) -> Any:
        """The refund's row."""
        return self.ledger.get(self.gate._account.scope, Book.CANCEL, cancel_id)


def charge(order_id: str = "o1", amount: int = 14_000, **said: Any) -> Charge:
    return Charge(**{"order_id": order_id, "billing_key": KEY, "money": won(amount), "title": "Tea", **said})


def cancel(cancel_id: str = "c1", order_id: str = "o1", amount: int = 4_000, **said: Any) -> Cancel:
    return Cancel(**{"cancel_id": cancel_id, "order_id": order_id, "money": won(amount), "reason": "returned", **said})


def cancel_whole(cancel_id: str = "c1", order_id: str = "o1") -> CancelWhole:
    return CancelWhole(cancel_id=cancel_id, order_id=order_id, reason="returned")


def schedule(shop: Shop, *order_ids: str, in_s: float = 3600.0, amount: int = 14_000) -> Schedule:
    due_at = shop.clock.now() + timedelta(seconds=in_s)
    return Schedule(billing_key=KEY, charges=[DatedCharge(order_id=o, due_at=due_at, money=won(amount), title="Tea")
                                              for o in order_ids or ("s1",)])


def unschedule(*order_ids: str) -> Unschedule:
    return Unschedule(billing_key=KEY, order_ids=order_ids or ("s1",))
