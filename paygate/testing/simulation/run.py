"""Many worlds, on all cores, from one seed: the same seed gives the same worlds on every machine and every store."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

from attrs import define, field, frozen

from ...ledger.memory import MemoryLedger
from ...ledger.row import Ledger
from ...plugins import find_providers, load
from ...provider import ProviderSpec
from .plot import Plot
from .tally import Tally
from .world import World

ORDERS = 25
"""Orders of one world: few, so that a failure is short to read."""
_CHUNK = 16
"""Worlds that share a ledger's file, and are one piece of work for a process."""
LEDGERS = ("memory", "sqlite", "postgres")


@frozen(kw_only=True)
class Plan:
    """What is simulated. `dsn` is the address of a "postgres" ledger, which may hold other worlds already."""

    provider: str
    ledger: str = "sqlite"
    seed: str = "1"
    dsn: str | None = field(default=None, repr=False)
    salt: str = field(factory=lambda: secrets.token_hex(4))
    """Keeps this run's rows apart from those of other runs; decides nothing."""

    def command(self, world: int) -> str:
        """How to see that very world again."""
        return (f"python -m paygate.testing.simulation --provider {self.provider} --ledger {self.ledger} "
                f"--seed {self.seed} --world {world}")


def providers() -> list[str]:
    """FakePG, and every installed provider that ships an emulator."""
    return ["fakepg", *sorted(p.name for p in find_providers() if spec_of(p.name).emulator is not None)]


def spec_of(name: str) -> ProviderSpec:
    """A provider by its name. Raises: UnknownProvider."""
    if name == "fakepg":
        from ..fakepg import FAKEPG

        return FAKEPG
    return load(name)


def play(plan: Plan, number: int, open_ledger: Callable[[int], Ledger], *, keep: bool = False) -> World:
    """World `number` of a plan, from its beginning to its judgement."""
    # One in eight lives in an event loop; with a store that blocks it would be served by threads, in any order.
    is_async = plan.ledger == "memory" and number % 8 == 7
    world = World(spec_of(plan.provider), f"world-{number}-{plan.salt}",
                  Random(f"{plan.seed}/{plan.provider}/{number}"), open_ledger, keep=keep, is_async=is_async)
    try:
        Plot(world, ORDERS).play()
        world.converge()
    finally:
        world.close()
    return world


@contextmanager
def ledgers(plan: Plan) -> Iterator[Callable[[], Callable[[int], Ledger]]]:
    """A store for some worlds. For each world it gives what opens the ledger for process 0 or 1."""
    if plan.ledger == "memory":
        yield _in_memory
        return
    folder = Path(tempfile.mkdtemp(prefix="paygate-simulation-", dir=_fast_folder()))
    make: Callable[[], Ledger]
    if plan.ledger == "postgres":
        if plan.dsn is None:
            raise ValueError("a postgres ledger needs --dsn")
        from ...ledger.postgres import PostgresLedger

        make = partial(PostgresLedger, plan.dsn)
    else:
        from ...ledger.sqlite import SqliteLedger

        make = partial(SqliteLedger, folder / "ledger.db")
    opened: dict[int, Ledger] = {}
    try:
        yield lambda: _Opener(make, opened)
    finally:
        for ledger in opened.values():
            ledger.close()
        shutil.rmtree(folder)


@define(eq=False)
class _Opener:
    """Opens a process's ledger: a new world goes on with the connection of the last, one that begins anew does not."""

    make: Callable[[], Ledger]
    opened: dict[int, Ledger]
    seen: set[int] = field(factory=set)

    def __call__(self, process: int) -> Ledger:
        if process in self.seen:
            self.opened.pop(process).close()
        self.seen.add(process)
        if process not in self.opened:
            self.opened[process] = self.make()
        return self.opened[process]


def _in_memory() -> Callable[[int], Ledger]:
    made = MemoryLedger()
    return lambda _: made


def _fast_folder() -> str | None:
    """Memory that looks like a disk: what is simulated is the order of writes, not how long they take."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (mkdtemp makes a name of its own)


def _some(plan: Plan, numbers: range) -> Tally:
    """Play some worlds, in a process of their own."""
    tally = Tally(plan.provider, plan.ledger)
    began = time.process_time()
    with ledgers(plan) as new_world:
        for number in numbers:
            tally.count(play(plan, number, new_world()), number)
    tally.seconds = time.process_time() - began
    return tally


def simulate(plan: Plan, charges: int, *, processes: int | None = None,
             progress: Callable[[Tally], object] = lambda tally: None) -> Tally:
    """Play worlds until there were `charges` orders; stops at the tenth world that violates something."""
    worlds = -(-charges // ORDERS)
    pieces = [range(n, min(n + _CHUNK, worlds)) for n in range(0, worlds, _CHUNK)]
    total = Tally(plan.provider, plan.ledger)
    processes = processes or os.cpu_count() or 1
    if processes == 1 or len(pieces) == 1:
        for piece in pieces:
            total.add(_some(plan, piece))
            progress(total)
            if len(total.failures) >= 10:
                break
        return total
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_some, plan, piece) for piece in pieces]):
            total.add(done.result())
            progress(total)
            if len(total.failures) >= 10:
                pool.shutdown(cancel_futures=True)
                break
    return total


def replay(plan: Plan, number: int) -> World:
    """One world with its whole history."""
    with ledgers(plan) as new_world:
        return play(plan, number, new_world(), keep=True)
