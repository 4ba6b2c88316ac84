"""Many charges that are due, and a crew of worker processes that carry them out at a PG behind real sockets.

The PG's journal is the judge: each order once, and none lost.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import victims
from real_pg import LastingFakePG, RealPG
from trials import is_locked
from victims import Child, Nursery, open_ledger

from paygate import BillingKey, DatedCharge, Gateway, KeyVault, Money, Schedule, connect, connect_async, new_vault_key
from paygate.ledger.row import Book, Row
from paygate.testing.fakepg import FAKEPG
from paygate.testing.virtual_clock import VirtualClock


class TakesAll(LastingFakePG):
    """A PG that charges again whatever is asked for again: nothing of what is judged is its merit."""

    def is_used(self, order_id: str) -> bool:
        return False


_VAULT_KEY = new_vault_key().reveal()
_count = 0


class Crew:
    """`with Crew(where, nursery, folder) as crew:`, whose charges have all fallen due."""

    def __init__(self, where: str, nursery: Nursery, folder: Path, due: int = 24, **options: Any) -> None:
        global _count  # a gateway's name is its rows' scope: one for each crew, in one store
        _count += 1
        self.where, self.nursery, self.options = where, nursery, options
        self.folder = folder / f"crew-{_count}"
        self.name = f"crew{os.getpid()}-{_count}"
        self.orders = [f"o{n}" for n in range(due)]
        self.children: list[Child] = []
        self._stack = ExitStack()
        self._lock = threading.RLock()
        self.kills = 0

    def __enter__(self) -> Self:
        self.folder.mkdir()
        with ExitStack() as stack:
            self.pg = stack.enter_context(RealPG(TakesAll(VirtualClock(ticking=True))))
            self.clock = self.pg.emulator.clock
            self.pg.emulator.controls()["issue_key"](key="key-1")
            due_at = self.clock.now() - timedelta(minutes=1)
            with self.gate(self.where, VirtualClock(due_at - timedelta(minutes=1))) as gate:  # Written down in time.
                gate.schedule(Schedule(billing_key=BillingKey(self.name, "key-1"), run_by="paygate", charges=[
                    DatedCharge(order_id=order, due_at=due_at, money=Money(14_000, "KRW"), title="Tea")
                    for order in self.orders]))
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        for child in self.children:
            if not child.is_dead:
                child.kill()

    def gate(self, where: str, clock: VirtualClock | None = None) -> Gateway:
        """A gateway in this process, whose clock can be turned; it closes its ledger."""
        return connect(FAKEPG, self.pg.emulator.settings(), ledger=where, name=self.name, base_url=self.pg.base_url,
                       clock=clock or self.clock, vault=KeyVault(_VAULT_KEY))

    def start(self, count: int, verb: str = "work", where: str | None = None) -> list[Child]:
        """So many worker processes begin."""
        with self._lock:
            return self._started(count, verb, where)

    def _started(self, count: int, verb: str, where: str | None) -> list[Child]:
        made = [self.nursery.fork({
            "provider": "fakepg", "settings": self.pg.emulator.settings(), "base_url": self.pg.base_url,
            "ledger": where or self.where, "name": self.name, "verb": verb, "said": {}, "vault": _VAULT_KEY,
            "face": "async", "diary": str(self.folder / f"diary-{len(self.children) + n}"), **self.options})
            for n in range(count)]
        self.children += made
        return made

    def feed(self) -> None:
        """Make jobs of all that is due, as Procrastinate's periodic task does each second."""
        import procrastinate

        from paygate.workers.procrastinate import install

        async def fed() -> None:
            app = procrastinate.App(connector=procrastinate.PsycopgConnector(
                conninfo=self.where, min_size=1, max_size=2))
            async with app.open_async(), connect_async(
                    FAKEPG, self.pg.emulator.settings(), ledger=self.where, name=self.name, clock=self.clock,
                    base_url=self.pg.base_url, vault=KeyVault(_VAULT_KEY)) as gate:
                install(app, gate)
                if not await app.check_connection_async():
                    await app.schema_manager.apply_schema_async()
                await app.tasks[f"paygate.{self.name}.feed"](timestamp=0)

        asyncio.run(asyncio.wait_for(fed(), victims.PATIENCE_S))

    def kill_one_and_replace_it(self, verb: str = "work") -> None:
        """kill -9 for one of those that live, whoever it is; a new one takes its place."""
        with self._lock:
            living = [child for child in self.children if not child.is_dead]
            if living:
                random.choice(living).kill()
                self._started(1, verb, None)
                self.kills += 1

    def kill_all(self) -> None:
        """kill -9 for everybody."""
        with self._lock:
            for child in self.children:
                child.kill()

    def stop_all(self) -> None:
        """SIGSTOP for everybody who lives; nobody of them holds the file's lock then, which nobody could end."""
        end = time.monotonic() + victims.PATIENCE_S
        while True:
            for child in self.children:
                child.stop()
            if not is_locked(self.where):
                return
            assert time.monotonic() < end, "the ledger stays locked"
            for child in self.children:
                child.go_on()
            time.sleep(0.002)

    def until_charged(self, count: int) -> None:
        """Wait until the PG took so many."""
        self.until(lambda: len(self.pg.emulator.journal.entries) >= count, "the workers charge nothing")

    def until_taken_up(self, where: str | None = None) -> None:
        """Wait until somebody has claimed each charge, or made it."""
        with self.gate(where or self.where) as gate:
            self.until(lambda: all(row.lease_until for row in gate.planned(self.clock.now())), "not all is taken up")

    def until(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + victims.PATIENCE_S
        while not holds():
            assert time.monotonic() < end, otherwise
            time.sleep(0.002)

    def finish(self, where: str | None = None) -> None:
        """Turn the clock past every lease, and have this process do what is left. Nobody else may be at it any more."""
        self.until(lambda: self.pg.is_quiet, "the PG has not done all that was asked")
        with self.gate(where or self.where) as gate:
            for _ in range(6):
                self.clock.advance(700)
                assert gate.run_due(len(self.orders)).failed == {}
                gate.reconcile()
            assert gate.pending() == []
            assert gate.attention() == []
        assert self.charged() == dict.fromkeys(self.orders, 1)

    def charged(self) -> Counter[str]:
        """How often each order was charged, by the PG's journal."""
        with self.pg.lock:
            return Counter(moved.order_id for moved in self.pg.emulator.journal.entries)

    def row(self, order: str, where: str | None = None) -> Row | None:
        ledger = open_ledger(where or self.where)
        try:
            return ledger.get(f"{self.name}/test", Book.PAYMENT, order)
        finally:
            ledger.close()
