"""One call of a client process that is cut short from outside, and what becomes of it; for the tests of kills, pauses
and races. Everything is judged by the checker, from the PG's journal and what each process was told.
"""

from __future__ import annotations

import json
import os
import sqlite3
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import victims
from real_pg import RealPG, emulator_of
from victims import Child, Nursery, due_in, open_ledger

from paygate import Capability, Gateway, KeyVault, connect, new_vault_key
from paygate.capability import Absence
from paygate.errors import PaygateError
from paygate.ledger.row import Book, Ledger, Row
from paygate.testing.simulation.run import spec_of
from paygate.testing.simulation.world import plain

TIMES = int(os.environ.get("PAYGATE_TIMES", "1"))
"""How often to repeat everything that is a matter of chance."""
VERBS = {"charge": "charge", "cancel": "refund", "schedule": "schedule", "run_due": "charge"}
"""Verb → what its request asks the PG for."""
_NEEDS = {"charge": Capability.CHARGE, "cancel": Capability.CANCEL, "schedule": Capability.SCHEDULE,
          "run_due": Capability.CHARGE}
PROVIDERS = ("fakepg", "portone-naverpay", "steppay-unmanaged")
AMOUNT = 14_000
_VAULT_KEY = new_vault_key().reveal()


def offered(*providers: str) -> list[tuple[str, str]]:
    """Every (provider, verb) that is on offer."""
    return [(p, v) for p in providers or PROVIDERS for v in VERBS if _NEEDS[v] in spec_of(p).capabilities]


@contextmanager
def lock(where: str) -> Iterator[None]:
    """Nobody can write the ledger; everybody can read it."""
    if where.startswith("postgresql:"):
        import psycopg

        with psycopg.connect(where) as connection:
            connection.execute("LOCK TABLE paygate_row IN SHARE MODE")
            yield
            connection.rollback()
        return
    connection = sqlite3.connect(where, isolation_level=None, timeout=60, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def is_locked(where: str) -> bool:
    """Whether somebody holds what others have to wait for to write the ledger."""
    if where.startswith("postgresql:"):
        import psycopg

        with psycopg.connect(where, autocommit=True) as server:
            for _ in range(20):
                (busy,), = server.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                                          "AND xact_start IS NOT NULL AND pid <> pg_backend_pid()").fetchall()
                if busy == 0:
                    return False
                time.sleep(0.01)
        return True
    connection = sqlite3.connect(where, isolation_level=None, timeout=0.2)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False


@define(eq=False)
class Trial:
    """One call that is cut, and what becomes of it."""

    provider: str
    verb: str
    where: str
    nursery: Nursery
    folder: Path
    name: str
    pg: RealPG
    ledger: Ledger
    tls: ssl.SSLContext | None = None
    gate: Gateway = field(init=False)
    child: Child | None = None
    said: dict[str, Any] = field(factory=dict)
    call: int = 0
    childs_call: int = 0

    def __attrs_post_init__(self) -> None:
        self.gate = self.connect()
        order = "order-1"
        self.said = {"order": order, "amount": AMOUNT, "gateway": self.name}
        self.said["key"] = self._key()
        if self.verb == "cancel":
            self._ask("charge", order, order)
            self.told(lambda: self.gate.charge(victims.command(self.provider, "charge", self.said)))
            self.said |= {"cancel": "refund-1", "amount": 4_000}
        if self.verb == "schedule":
            self.said["due_at"] = due_in(self.pg.emulator.clock, 7 * 86_400)
        if self.verb == "run_due":
            self._ask("schedule", order, order)
            self.said |= {"due_at": due_in(self.pg.emulator.clock, 0.2), "run_by": "paygate"}
            self.told(lambda: self.gate.schedule(victims.command(self.provider, "schedule", self.said)))
            time.sleep(0.3)  # Until it is due by every process's own clock.

    @property
    def spec(self) -> Any:
        return spec_of(self.provider)

    def connect(self) -> Gateway:
        return connect(self.spec, self.pg.emulator.settings(), ledger=self.ledger, name=self.name,
                       base_url=self.pg.base_url, clock=self.pg.emulator.clock, vault=KeyVault(_VAULT_KEY),
                       tls=self.tls)

    def _key(self) -> str:
        issued = self.pg.emulator.controls()["issue_key"](**(
            {} if self.provider == "steppay-unmanaged" else {"key": "key-1"}))
        return issued if isinstance(issued, str) else "key-1"

    def _ask(self, verb: str, order: str, intent: str) -> None:
        with self.pg.lock:
            self.call = self.pg.calling = self.pg.recorder.ask(verb, order=order, intent=intent,
                                                              amount=self.said["amount"])

    def told(self, call: Callable[[], Any]) -> PaygateError | Any:
        """Make a call in this process and write down what it tells."""
        result, error = None, None
        try:
            result = call()
        except PaygateError as raised:
            error = raised
        said = victims.outcome(result, error)
        assert said["said"] is not None, said
        self.tell(said)
        return error or result

    def tell(self, said: dict[str, Any], call: int | None = None) -> None:
        """Write down what a process was told."""
        amount = self.said["amount"] if said["said"] == "paid" else said["amount"]
        with self.pg.lock:
            self.pg.recorder.tell(call or self.call, said["said"], amount)

    @property
    def is_served(self) -> bool:
        """Whether a server keeps the ledger: it may carry out what a client asked that is dead by then."""
        return self.where.startswith("postgresql:")

    @property
    def intent(self) -> str:
        return self.said.get("cancel", self.said["order"])

    def begin(self, **more: Any) -> Child:
        """A child begins the call."""
        self.ask()
        self.childs_call = self.call
        self.child = self.nursery.fork({
            "provider": self.provider, "settings": self.pg.emulator.settings(), "base_url": self.pg.base_url,
            "ledger": self.where, "name": self.name, "verb": self.verb, "said": self.said, "vault": _VAULT_KEY,
            "diary": str(self.folder / "diary"), **more})
        return self.child

    def stands_still(self) -> None:
        """Wait until the child has stopped, and holds no lock in the ledger, which nobody could end."""
        assert self.child is not None
        self.child.until_stopped()
        end = time.monotonic() + victims.PATIENCE_S
        while is_locked(self.where):
            assert time.monotonic() < end, "the ledger stays locked"
            self.child.go_on()
            time.sleep(0.002)
            self.child.stop()

    def ask(self) -> None:
        """The merchant asks for the trial's call."""
        self._ask({"cancel": "refund", "run_due": "charge"}.get(self.verb, self.verb), self.said["order"], self.intent)

    def make(self) -> Any:
        """The trial's call, in this process."""
        job = {"provider": self.provider, "verb": self.verb, "said": self.said}
        return victims.do(job, self.gate)

    def row(self) -> Row | None:
        book = Book.CANCEL if self.verb == "cancel" else Book.PAYMENT
        return self.ledger.get(f"{self.name}/test", book, self.intent)

    def until(self, holds: Callable[[Row | None], bool]) -> None:
        end = time.monotonic() + victims.PATIENCE_S
        while not holds(self.row()):
            assert time.monotonic() < end, f"the row stays {self.row()}"
            time.sleep(0.001)

    def until_passed(self, kind: str, point: str) -> None:
        end = time.monotonic() + victims.PATIENCE_S
        while self.pg.count(kind, point) == 0:
            assert time.monotonic() < end, f"{kind} never came to {point}"
            time.sleep(0.001)

    def recover(self) -> None:
        """Another process: reconcile to the timetable's end, ask the same again, and let the checker judge."""
        assert self.child is not None
        for line in self.child.diary:
            if line.get("said"):
                self.tell(line, self.childs_call)
            assert line.get("said") or "returned" in line, line
        self.gate.close()
        self.gate = self.connect()
        clock = self.pg.emulator.clock
        for seconds in (100, 40, 130, 700, 4_000):
            clock.advance(seconds)
            assert self.gate.reconcile().failed == {}
        self.ask()
        again = self.told(self.make)
        if (self.pg.askable or self.verb == "cancel") and self.verb != "run_due":
            assert not isinstance(again, PaygateError), again
        for _ in range(9):
            clock.advance(86_410)
            self.gate.reconcile()
        self.judged()

    def judged(self) -> None:
        recorder, scope = self.pg.recorder, f"{self.name}/test"
        rows = [self.ledger.get(scope, Book.PAYMENT, self.said["order"]),
                self.ledger.get(scope, Book.CANCEL, self.said.get("cancel", "-"))]
        with self.pg.lock:
            recorder.sync()
            for row in filter(None, rows):
                recorder.note("row", **plain(row))
            found = self.pg.judge.end()
        assert found == [], "\n".join([*map(str, found), *(json.dumps(e, default=str) for e in recorder.history)])


_count = 0


@contextmanager
def trial(provider: str, verb: str, where: str, nursery: Nursery, folder: Path, *, carries_on: bool = True,
          tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None) -> Iterator[Trial]:
    """A trial with a PG of its own; `tls` are its context and one that trusts it."""
    global _count  # a gateway's name is its rows' scope: one for each trial, in one store
    _count += 1
    spec = spec_of(provider)
    emulator = emulator_of(provider)
    askable = Capability.FIND in spec.capabilities and spec.profile.absence.value is not Absence.NOTHING
    home = folder / str(_count)
    home.mkdir()
    with RealPG(emulator, askable=askable, carries_on=carries_on, tls=tls[0] if tls else None) as pg:
        ledger = open_ledger(where)
        try:
            made = Trial(provider, verb, where, nursery, home, f"t{os.getpid()}-{_count}", pg, ledger,
                         tls[1] if tls else None)
            try:
                yield made
            finally:
                made.gate.close()
        finally:
            if made.child is not None and not made.child.is_dead:
                made.child.kill()
            ledger.close()
