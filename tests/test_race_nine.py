"""Nine races (T03): eight processes, threads and tasks at a barrier over one ledger and a PG behind real sockets.

One effect per intent; nothing is stuck; no error of the store reaches a caller. PAYGATE_TIMES=20 runs so many rounds
more. What is judged is the PG's journal, by the checker, and how often each thing was asked of the PG.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import victims
from pg_server import database
from real_pg import RealPG, emulator_of
from trials import TIMES
from victims import Nursery, open_ledger

from paygate import connect, connect_async
from paygate.errors import PaygateError
from paygate.ledger.row import Book, Ledger, State
from paygate.testing.asks import Asks
from paygate.testing.simulation.run import spec_of
from paygate.testing.simulation.world import plain

CROWDS = ("processes", "threads", "tasks")
MANY = 8
ROUNDS = {"processes": 3 * TIMES, "threads": 4 * TIMES, "tasks": 4 * TIMES}

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are watched through /proc")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with database() if request.param == "postgres" else nullcontext() as url:
        yield url or str(tmp_path_factory.mktemp("ledger") / "ledger.db")


Job = tuple[str, dict[str, Any]]
"""A verb and what it says."""


@define(eq=False)
class Race:
    """One shop, one PG, and crowds that run into each other."""

    provider: str
    where: str
    crowd: str
    nursery: Nursery
    folder: Path
    name: str
    pg: RealPG
    ledger: Ledger
    gate: Any = field(init=False)
    key: str = field(init=False)
    rounds: int = 0
    _calls: dict[str, int] = field(factory=dict)
    """A call about each intent that stands for its whole crowd: nobody sees whose requests arrive."""
    orders: set[str] = field(factory=set)
    refunds: set[str] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.gate = connect(self.spec, self.settings, **self.options)
        issued = self.pg.emulator.controls()["issue_key"](key="key-1")
        self.key = issued if isinstance(issued, str) else "key-1"
        self.pg.calling_of = self._calling

    @property
    def spec(self) -> Any:
        return spec_of(self.provider)

    @property
    def settings(self) -> dict[str, Any]:
        made: dict[str, Any] = self.pg.emulator.settings()
        return made

    @property
    def options(self) -> dict[str, Any]:
        return {"ledger": self.ledger, "name": self.name, "base_url": self.pg.base_url, "clock": self.pg.emulator.clock}

    def _calling(self, asks: Asks) -> int | None:
        named = [i for i in (asks.note, *asks.orders) if i in self._calls]
        return self._calls[named[0]] if named else None

    def charge(self, order: str, amount: int = 14_000) -> Job:
        return "charge", {"order": order, "amount": amount, "key": self.key, "gateway": self.name}

    def cancel(self, id: str, order: str, amount: int) -> Job:
        return "cancel", {"cancel": id, "order": order, "amount": amount}

    def schedule(self, order: str, seconds: float) -> Job:
        due = self.pg.emulator.clock.now() + timedelta(seconds=seconds)
        return "schedule", {"order": order, "amount": 14_000, "key": self.key, "gateway": self.name,
                            "due_at": due.isoformat()}

    def unschedule(self, order: str) -> Job:
        return "unschedule", {"order": order, "key": self.key, "gateway": self.name}

    def run(self, jobs: Sequence[Job], *, meanwhile: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
        """Everybody at once; returns what each was told, in the order of `jobs`."""
        self.rounds += 1
        calls = [self._ask(*job) for job in jobs]
        began = time.monotonic()
        told = {"processes": self._as_processes, "threads": self._as_threads, "tasks": self._as_tasks}[self.crowd](
            jobs, meanwhile)
        assert time.monotonic() - began < 90, "a deadlock"
        intents = [said.get("cancel", said.get("order")) for _, said in jobs]
        for (verb, said), call, line, intent in zip(jobs, calls, told, intents, strict=True):
            assert "database is locked" not in (line["text"] or "")
            assert line["said"] is not None or verb in ("reconcile", "receive"), line
            amount = said["amount"] if line["said"] == "paid" and "amount" in said else line["amount"]
            # A "no" was true when it was told; another caller may have asked the same again since.
            if call is not None and (line["said"] != "no" or intents.count(intent) == 1):
                with self.pg.lock:
                    self.pg.recorder.tell(call, line["said"], amount)
        return told

    def _ask(self, verb: str, said: dict[str, Any]) -> int | None:
        if "order" not in said:
            return None
        self.orders.add(said["order"])
        self.refunds |= {said["cancel"]} if "cancel" in said else set()
        intent = said.get("cancel", said["order"])
        words = {"cancel": "refund", "find": "look"}
        with self.pg.lock:
            def ask() -> int:
                return self.pg.recorder.ask(words.get(verb, verb), order=said["order"], intent=intent,
                                            amount=said.get("amount"))

            if intent not in self._calls:
                self._calls[intent] = ask()
            return ask()

    def _job(self, verb: str, said: dict[str, Any]) -> dict[str, Any]:
        return {"provider": self.provider, "verb": verb, "said": said}

    def _as_processes(self, jobs: Sequence[Job], meanwhile: Callable[[], None]) -> list[dict[str, Any]]:
        barrier = self.folder / f"go-{self.rounds}"
        children = [self.nursery.fork({
            **self._job(*job), "settings": self.settings, "base_url": self.pg.base_url, "ledger": self.where,
            "name": self.name, "diary": str(self.folder / f"diary-{self.rounds}-{n}"), "barrier": str(barrier),
            "face": "async" if n % 4 == 3 else "sync"}) for n, job in enumerate(jobs)]
        for n in range(len(jobs)):
            while not (self.folder / f"diary-{self.rounds}-{n}.ready").exists():
                time.sleep(0.001)
        barrier.touch()
        meanwhile()
        for child in children:
            child.wait()
        return [child.diary[0] for child in children]

    def _as_threads(self, jobs: Sequence[Job], meanwhile: Callable[[], None]) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = [{} for _ in jobs]
        barrier = threading.Barrier(len(jobs) + 1)

        def one(n: int, job: Job) -> None:
            barrier.wait(60)
            told[n] = _told(lambda: victims.do(self._job(*job), self.gate))
        crowd = [threading.Thread(target=one, args=(n, job)) for n, job in enumerate(jobs)]
        for thread in crowd:
            thread.start()
        barrier.wait(60)
        meanwhile()
        for thread in crowd:
            thread.join(120)
            assert not thread.is_alive()
        return told

    def _as_tasks(self, jobs: Sequence[Job], meanwhile: Callable[[], None]) -> list[dict[str, Any]]:
        async def one(gate: Any, job: Job) -> dict[str, Any]:
            try:
                return victims.outcome(await victims.do(self._job(*job), gate), None)
            except PaygateError as error:
                return victims.outcome(None, error)

        async def main() -> list[dict[str, Any]]:
            async with connect_async(self.spec, self.settings, **self.options) as gate:
                loop = asyncio.get_running_loop()
                beside = loop.run_in_executor(None, meanwhile)
                told = await asyncio.gather(*[one(gate, job) for job in jobs])
                await beside
                return list(told)
        return asyncio.run(main())

    def settled(self) -> None:
        """Time passes, reconcile walks, the checker judges."""
        clock, scope = self.pg.emulator.clock, f"{self.name}/test"
        for seconds in (400, 40, 130, 700, 4_000, *[86_410] * 8):
            clock.advance(seconds)
            assert self.gate.reconcile(limit=10_000).failed == {}
        with self.pg.lock:
            self.pg.recorder.sync()
            for book, ids in ((Book.PAYMENT, self.orders), (Book.CANCEL, self.refunds)):
                for id in ids:
                    if (row := self.ledger.get(scope, book, id)) is not None:
                        self.pg.recorder.note("row", **plain(row))
            found = self.pg.judge.end()
        assert found == [], "\n".join([*map(str, found), *(json.dumps(e, default=str) for e in
                                                           self.pg.recorder.history[-200:])])


def _told(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        return victims.outcome(call(), None)
    except PaygateError as error:
        return victims.outcome(None, error)
    except Exception as error:  # told by the assertion on what was said
        return {"said": None, "amount": None, "error": type(error).__name__, "text": str(error)}


_count = 0


@contextmanager
def race(provider: str, where: str, crowd: str, nursery: Nursery, folder: Path) -> Iterator[Race]:
    global _count  # a gateway's name is its rows' scope
    _count += 1
    with RealPG(emulator_of(provider)) as pg:
        ledger = open_ledger(where)
        try:
            made = Race(provider, where, crowd, nursery, folder, f"r{os.getpid()}-{_count}", pg, ledger)
            try:
                yield made
            finally:
                made.gate.close()
        finally:
            ledger.close()


PROVIDERS = pytest.mark.parametrize("provider", ["fakepg", "portone-naverpay"])
ALL = pytest.mark.parametrize("crowd", CROWDS)


def orders(crowd: str) -> list[str]:
    return [f"order-{n:03}" for n in range(ROUNDS[crowd])]


@PROVIDERS
@ALL
def test_the_same_order_asked_for_at_once_is_charged_once(provider: str, crowd: str, where: str, nursery: Nursery,
                                                         tmp_path: Path) -> None:
    with race(provider, where, crowd, nursery, tmp_path) as r:
        for order in orders(crowd):
            before = r.pg.count("charge")
            told = r.run([r.charge(order)] * MANY)
            assert {line["said"] for line in told} <= {"paid", "busy"}
            assert r.pg.count("charge") == before + 1
        r.settled()


@PROVIDERS
@ALL
def test_of_the_same_order_with_two_amounts_one_is_charged_and_the_other_conflicts(
        provider: str, crowd: str, where: str, nursery: Nursery, tmp_path: Path) -> None:
    with race(provider, where, crowd, nursery, tmp_path) as r:
        for order in orders(crowd):
            before = r.pg.count("charge")
            told = r.run([r.charge(order, 14_000 + n % 2 * 1_000) for n in range(MANY)])
            assert {line["said"] for line in told} <= {"paid", "busy", "bad"}
            assert {line["error"] for line in told if line["said"] == "bad"} == {"Conflict"}
            assert r.pg.count("charge") == before + 1
        r.settled()


@PROVIDERS
@ALL
def test_a_charge_and_its_refund_at_once_give_back_at_most_what_was_taken(
        provider: str, crowd: str, where: str, nursery: Nursery, tmp_path: Path) -> None:
    with race(provider, where, crowd, nursery, tmp_path) as r:
        for order in orders(crowd):
            r.run([r.charge(order) if n % 2 else r.cancel(f"{order}-r", order, 14_000) for n in range(MANY)])
        r.settled()
        assert all(r.pg.emulator.journal.given_back(o) in (0, 14_000) for o in orders(crowd))


@PROVIDERS
@ALL
def test_partial_refunds_at_once_never_exceed_the_charge(provider: str, crowd: str, where: str, nursery: Nursery,
                                                        tmp_path: Path) -> None:
    with race(provider, where, crowd, nursery, tmp_path) as r:
        for order in orders(crowd):
            r.run([r.charge(order)])
            told = r.run([r.cancel(f"{order}-r{n}", order, 4_000) for n in range(MANY)])
            done = sum(line["said"] == "done" for line in told)
            assert 1 <= done <= 3
            assert r.pg.emulator.journal.given_back(order) == 4_000 * done
        r.settled()


@ALL
def test_a_dated_charge_stopped_while_it_falls_due_is_told_as_it_is(crowd: str, where: str, nursery: Nursery,
                                                                   tmp_path: Path) -> None:
    with race("fakepg", where, crowd, nursery, tmp_path) as r:
        def falls_due() -> None:
            time.sleep(0.002)
            with r.pg.lock:
                r.pg.emulator.clock.advance(4_000)

        for order in orders(crowd):
            r.run([r.schedule(order, 3_600)])
            told = r.run([r.unschedule(order)] * MANY, meanwhile=falls_due)
            took = r.pg.emulator.journal.charges(order)
            assert {line["said"] for line in told} <= {"paid" if took else "no", "unknown"}
        r.settled()


@PROVIDERS
@ALL
def test_a_webhook_that_comes_before_the_answer_is_the_same_payment(provider: str, crowd: str, where: str,
                                                                   nursery: Nursery, tmp_path: Path) -> None:
    with race(provider, where, crowd, nursery, tmp_path) as r:
        hooks: list[Any] = []
        r.pg.emulator.on_hook = hooks.append
        for order in orders(crowd):
            heard: list[Any] = []

            def hear(order: str = order, heard: list[Any] = heard) -> None:
                """While the answer waits: the webhook, at another worker."""
                id = _theirs(r, order)
                body = json.dumps({"order_id": order, "payment_id": id} if r.provider == "fakepg" else
                                  {"imp" + "_uid": id, "merchant" + "_uid": order, "status": "paid"}).encode()
                with connect(r.spec, r.settings, **r.options) as other:
                    heard.append(other.receive({"content-type": "application/json"}, body))

            before = r.pg.count("charge")
            r.pg.at("charge", "done", hear)
            told = r.run([r.charge(order)] * MANY)
            assert [event.order_id for event in heard] == [order]
            assert heard[0].is_news
            assert {line["said"] for line in told} <= {"paid", "busy"}
            assert r.pg.count("charge") == before + 1
        r.settled()


def _theirs(r: Race, order: str) -> str:
    found = next(m for m in r.pg.emulator.journal.entries if m.order_id == order)
    return found.provider_id


@PROVIDERS
@ALL
def test_many_who_reconcile_at_once_settle_everything_once(provider: str, crowd: str, where: str, nursery: Nursery,
                                                          tmp_path: Path) -> None:
    with race(provider, where, crowd, nursery, tmp_path) as r:
        for order in orders(crowd):
            r.pg.at("charge", "done", lambda: r.pg.emulator.fault("error_500_before", "^GET ", times=6))
            r.pg.emulator.fault("error_500_after", "/charges$|/again$")
            assert r.run([r.charge(order)])[0]["said"] in ("unknown", "paid")
            r.pg.emulator.faults.clear()
            r.pg.emulator.clock.advance(10)
            r.run([("reconcile", {})] * MANY)
            assert r.ledger.get(f"{r.name}/test", Book.PAYMENT, order).state is State.ANSWERED  # type: ignore[union-attr]
            lines = [line.state for line in r.ledger.trail(f"{r.name}/test", order)]
            assert lines.count(State.ANSWERED) == 1
        r.settled()


@ALL
def test_a_token_that_everybody_lacks_is_fetched_once_by_each_process(crowd: str, where: str, nursery: Nursery,
                                                                     tmp_path: Path) -> None:
    with race("portone-naverpay", where, crowd, nursery, tmp_path) as r:
        for order in orders(crowd):
            r.gate._account.tokens.drop()
            before = r.pg.count("token")
            told = r.run([r.charge(f"{order}-{n}") for n in range(MANY)])
            assert [line["said"] for line in told] == ["paid"] * MANY
            assert r.pg.count("token") - before == (MANY if crowd == "processes" else 1)
        r.settled()


def test_children_forked_with_an_open_gateway_share_nothing_but_the_ledger(where: str, tmp_path: Path,
                                                                          nursery: Nursery) -> None:
    with race("portone-naverpay", where, "processes", nursery, tmp_path) as r:
        for order in orders("processes"):
            job = {**r._job(*r.charge(order)), "settings": r.settings, "base_url": r.pg.base_url, "ledger": r.where,
                   "name": r.name, "diary": str(tmp_path / f"{order}"), "forks": MANY,
                   "first": r.charge(f"{order}-a")[1]}
            calls = [r._ask(*r.charge(order)) for _ in range(MANY)]
            r._ask(*r.charge(f"{order}-a"))
            before = r.pg.count("charge")
            parent = r.nursery.fork(job)
            parent.wait()
            told = [line for line in parent.diary if "said" in line]
            assert len(told) == MANY + 1
            assert told[0]["said"] == "paid"
            assert Counter(line["said"] for line in told) .keys() <= {"paid", "busy"}
            assert r.pg.count("charge") == before + 2
            for call, line in zip(calls, told[1:], strict=True):
                r.pg.recorder.tell(call or 0, line["said"], line["amount"])
        r.settled()
