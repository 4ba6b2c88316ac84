"""Client processes that are killed, stopped or raced from outside. Run as a program it is their nursery: it has
everything imported, forks a child for each command it reads, and tells how each one ended.

A child does what any merchant's process does: it connects, makes one call, and writes down what it was told.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import evolve

from paygate import (
    BillingKey,
    Cancel,
    CancelWhole,
    Customer,
    DatedCharge,
    KeyVault,
    Money,
    Schedule,
    Unschedule,
    connect,
    connect_async,
)
from paygate.assemble import open_store
from paygate.errors import PaygateError
from paygate.ledger import move
from paygate.ledger.row import Ledger
from paygate.procedures.due import DueReport
from paygate.testing.simulation.run import spec_of
from paygate.testing.simulation.shop import said_by
from paygate.workers.loop import Tally, work

PATIENCE_S = 120.0


def open_ledger(where: str) -> Ledger:
    """The ledger at a path or a URL."""
    if where.startswith("postgresql:"):
        from paygate.ledger.postgres import PostgresLedger

        return PostgresLedger(where)
    from paygate.ledger.sqlite import SqliteLedger

    return SqliteLedger(where)


def command(provider: str, verb: str, said: Mapping[str, Any]) -> Any:
    """A command of the provider's story, with our ids and amounts."""
    story = spec_of(provider).load_emulator()().story()
    currency = story.pay.money.currency if story.pay is not None else "KRW"
    money = Money(said["amount"], currency) if "amount" in said else None
    key = BillingKey(said["gateway"], said["key"]) if "key" in said else None
    match verb:
        case "charge":
            assert story.charge is not None
            assert key is not None
            return evolve(story.charge(key, said["order"]), money=money, extra={})
        case "cancel":
            return Cancel(cancel_id=said["cancel"], order_id=said["order"], money=money, reason=said["cancel"])
        case "cancel_whole":
            return CancelWhole(cancel_id=said["cancel"], order_id=said["order"], reason=said["cancel"])
        case "schedule":
            assert key is not None
            assert money is not None
            dated = DatedCharge(order_id=said["order"], money=money, title="plan",
                                due_at=datetime.fromisoformat(said["due_at"]))
            return Schedule(billing_key=key, customer=story.pay.customer if story.pay else Customer(), charges=[dated],
                            run_by=said.get("run_by"))
        case "unschedule":
            assert key is not None
            return Unschedule(billing_key=key, order_ids=(said["order"],))
    raise ValueError(verb)


def outcome(result: object, error: BaseException | None) -> dict[str, Any]:
    """What a call told, as a line of a child's diary."""
    if isinstance(result, Tally):
        return {"said": "worked", "amount": None, "error": None, "text": repr(result)}
    if isinstance(result, DueReport):
        return {"said": "paid" if result.paid else "no" if result.declined else "unknown", "amount": None,
                "error": None, "text": repr(result)}
    said = said_by(result[0] if isinstance(result, tuple) else result, error)
    return {"said": None if said is None else said.word, "amount": said.amount if said else None,
            "error": type(error).__name__ if error else None, "text": str(error) if error else None}


def do(job: Mapping[str, Any], gate: Any) -> Any:
    """Make the one call of a job."""
    if job["verb"] == "work":
        return work(gate, concurrent=4, poll_s=0.01, stop=_told_to_stop(job))
    if job["verb"] == "procrastinate":
        return _on_procrastinate(job, gate)
    if job["verb"] in ("reconcile", "run_due"):
        return getattr(gate, job["verb"])()
    if job["verb"] == "receive":
        return gate.receive(job["said"]["headers"], job["said"]["body"].encode())
    if job["verb"] == "find":
        return gate.find(job["said"]["order"])
    return getattr(gate, job["verb"])(command(job["provider"], job["verb"], job["said"]))


def _told_to_stop(job: Mapping[str, Any]) -> asyncio.Event:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    Path(f"{job['diary']}.listens").touch()
    return stop


async def _on_procrastinate(job: Mapping[str, Any], gate: Any) -> Tally:
    """A worker of Procrastinate's on the ledger's own database; the tests feed it."""
    import procrastinate

    from paygate.workers.procrastinate import install

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=job["ledger"], min_size=1, max_size=4))
    install(app, gate)
    app.periodic_registry.periodic_tasks.clear()  # Its second is too long for a test.
    async with app.open_async():
        await app.run_worker_async(queues=["paygate"], concurrency=4, fetch_job_polling_interval=0.05)
    return Tally()


def _moves(job: Mapping[str, Any]) -> None:
    """`paygate ledger move` in a process that is killed at its step number `dies_at`."""
    steps = 0

    def heard(step: str, count: int) -> None:
        nonlocal steps
        if steps == job["dies_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1

    source, target = open_store(job["ledger"], upgrades=False), open_store(job["to"])
    if job["verb"] == "undo":
        move.undo(source, target)
    else:
        move.move(source, target, heard)


def options(job: Mapping[str, Any]) -> dict[str, Any]:
    vault = KeyVault(job["vault"]) if "vault" in job else None
    tls = ssl.create_default_context(cadata=job["trusts"]) if "trusts" in job else None
    return {"ledger": open_ledger(job["ledger"]), "name": job["name"], "base_url": job["base_url"], "vault": vault,
            "tls": tls, **{
        name: job[name] for name in ("deadline_s", "timeout_s", "settle_s") if name in job}}


def _live(job: Mapping[str, Any]) -> None:
    """A child's whole life."""
    if job["verb"] in ("move", "undo"):
        _moves(job)
        return
    diary = os.open(job["diary"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    spec = spec_of(job["provider"])

    def write(line: Mapping[str, Any]) -> None:
        os.write(diary, json.dumps(line).encode() + b"\n")

    def told(call: Any) -> None:
        try:
            line = outcome(call(), None)
        except PaygateError as error:
            line = outcome(None, error)
        except Exception as error:
            line = {"said": None, "amount": None, "error": type(error).__name__, "text": str(error)}
        write(line)

    if job.get("face") == "async":
        async def main() -> Any:
            async with connect_async(spec, job["settings"], **options(job)) as gate:
                await gate.pending()  # The ledger's thread is there before the race begins.
                _wait(job)
                return await do(job, gate)
        told(lambda: asyncio.run(main()))
    else:
        with connect(spec, job["settings"], **options(job)) as gate:
            gate.pending()
            if "forks" in job:
                told(lambda: do({**job, "said": job["first"]}, gate))  # Sockets, a token and the ledger are in use.
                _forked(job["forks"], lambda: told(lambda: do(job, gate)))
            else:
                _wait(job)
                told(lambda: do(job, gate))
    write({"returned": True})
    if job.get("lingers"):
        time.sleep(PATIENCE_S)


def _forked(times: int, each: Callable[[], None]) -> None:
    """Have `times` children do `each` with what they inherit, and wait for them."""
    children = []
    for _ in range(times):
        child = os.fork()
        if child == 0:
            try:
                each()
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def _wait(job: Mapping[str, Any]) -> None:
    """The barrier: everybody waits until the file is there."""
    if "barrier" in job:
        Path(f"{job['diary']}.ready").touch()
        end = time.monotonic() + PATIENCE_S
        while not os.path.exists(job["barrier"]) and time.monotonic() < end:
            time.sleep(0.0005)


def _nursery() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    import paygate.ledger.sqlite
    import paygate.transport.lines  # noqa: F401 (what is imported before the fork is not imported in each child)

    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _live(job)
                code = 0
            finally:
                os._exit(code)
        print(child, flush=True)


class Nursery:
    """`with Nursery() as nursery:` gives children to torment. They are children of another process, so that the tests'
    own threads are never forked.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def fork(self, job: Mapping[str, Any]) -> Child:
        """A child that does `job`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dict(job)) + "\n")
        self._process.stdin.flush()
        return Child(int(self._process.stdout.readline()), Path(job["diary"]))


class Child:
    """A client process. A dead one stays a zombie of the nursery, so its number is never another's."""

    def __init__(self, pid: int, diary: Path) -> None:
        self.pid, self._diary = pid, diary

    def kill(self) -> None:
        """kill -9, and wait until it is dead: nothing of it runs any more."""
        os.kill(self.pid, signal.SIGKILL)
        self._until("Z")

    @property
    def listens(self) -> bool:
        """Whether it would hear of SIGTERM."""
        return Path(f"{self._diary}.listens").exists()

    def terminate(self) -> None:
        """SIGTERM: it may end what it has begun."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """SIGSTOP, and wait until it stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        self._until("T", "t", "Z")

    def until_stopped(self) -> None:
        self._until("T", "t")

    def until_stopped_or_over(self) -> None:
        self._until("T", "t", "Z")

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> None:
        """Wait until it has ended by itself or was killed."""
        self._until("Z")

    @property
    def is_dead(self) -> bool:
        return self._state() == "Z"

    def _state(self) -> str:
        text = Path(f"/proc/{self.pid}/stat").read_text()
        return text.rpartition(")")[2].split()[0]

    def _until(self, *states: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while self._state() not in states:
            assert time.monotonic() < end, f"the child is {self._state()}, not {states}: {self.diary}"
            time.sleep(0.0005)

    @property
    def diary(self) -> list[dict[str, Any]]:
        """What it wrote down."""
        lines = self._diary.read_text().splitlines() if self._diary.exists() else []
        return [json.loads(line) for line in lines]

    def until_written(self, lines: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while len(self.diary) < lines:
            assert time.monotonic() < end, "the child writes nothing"
            assert not self.is_dead or len(self.diary) >= lines, "the child died"
            time.sleep(0.001)


def due_in(clock: Any, seconds: float) -> str:
    """An instant for a dated charge."""
    due: datetime = clock.now() + timedelta(seconds=seconds)
    return due.isoformat()


if __name__ == "__main__":
    _nursery()
