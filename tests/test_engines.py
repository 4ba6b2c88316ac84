"""One suite for whatever carries out what is due: jobs delivered twice, in any order, late, or to a worker that died.

Each due charge has one effect, and none is lost. The PG's journal is the judge.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from drawer import Drawer
from real_pg import LastingFakePG
from shop import KEY, Shop, schedule, won

from paygate import AsyncGateway, BadSettings, Interval, Schedule, SubscribeKey, connect_async
from paygate.assemble import open_store
from paygate.testing.fakepg import FAKEPG
from paygate.testing.transport import EmulatorTransport

LEASE_S = 600.0
T = TypeVar("T")
Job = tuple[str, int]


class Engine(Protocol):
    """What a suite asks of an adapter."""

    def feed(self) -> None:
        """Claim what is due, and make jobs of it."""
        ...

    def take(self) -> list[Job]:
        """Every job that waits; from here on they are in the hands of a worker."""
        ...

    def carry_out(self, jobs: list[Job]) -> None:
        """Have the adapter's own task carry them out, one after another."""
        ...


class Embedded:
    """The loop's two halves: `claim_due` and `execute`."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.jobs: list[Job] = []

    def feed(self) -> None:
        self.jobs += [(row.id, row.fence) for row in self.shop.claim_due()]

    def take(self) -> list[Job]:
        jobs, self.jobs = self.jobs, []
        return jobs

    def carry_out(self, jobs: list[Job]) -> None:
        for id, fence in jobs:
            self.shop.execute(id, fence)


class OnCelery:
    """Messages of a broker in memory, handed to Celery's own tasks."""

    def __init__(self, shop: Shop) -> None:
        celery = pytest.importorskip("celery")
        from paygate.workers.celery import install

        self.app: Any = celery.Celery("tests", broker="memory://", set_as_current=False)
        self.queue = f"q{uuid4().hex}"
        self.app.conf.task_default_queue = self.queue
        install(self.app, shop.gate)

    def feed(self) -> None:
        self.app.tasks["paygate.fakepg.feed"]()

    def settle(self) -> None:
        self.app.tasks["paygate.fakepg.reconcile"]()

    def take(self) -> list[Job]:
        found: list[Job] = []
        with self.app.connection_for_read() as connection, connection.SimpleQueue(self.queue) as queue:
            while queue.qsize():
                message = queue.get_nowait()
                message.ack()
                assert message.headers["task"] == "paygate.fakepg.execute"
                assert message.headers["eta"] is None
                found.append(tuple(message.payload[0]))
        return found

    def carry_out(self, jobs: list[Job]) -> None:
        for id, fence in jobs:
            self.app.tasks["paygate.fakepg.execute"](id, fence)


class OnProcrastinate:
    """Jobs in a real database, handed to Procrastinate's own tasks by its own worker."""

    def __init__(self, shop: Shop, address: str) -> None:
        procrastinate = pytest.importorskip("procrastinate")
        from paygate.workers.procrastinate import install

        self.runner = asyncio.Runner()
        self.app: Any = procrastinate.App(connector=procrastinate.PsycopgConnector(
            conninfo=address, min_size=1, max_size=4))
        self.gate: AsyncGateway = connect_async(FAKEPG, shop.pg.settings(), ledger=shop.ledger, clock=shop.clock,
                                                vault=Drawer(), http=EmulatorTransport(shop.pg))
        install(self.app, self.gate)
        self.run(self.app.open_async())
        self.run(self.app.schema_manager.apply_schema_async())

    def run(self, made: Awaitable[T]) -> T:
        async def bounded() -> T:
            return await asyncio.wait_for(made, 60)
        return self.runner.run(bounded())

    def feed(self) -> None:
        self.run(self.app.tasks["paygate.fakepg.feed"](timestamp=0))

    def settle(self) -> None:
        self.run(self.app.tasks["paygate.fakepg.reconcile"](timestamp=0))

    def take(self) -> list[Job]:
        found: list[Job] = []
        while (job := self.run(self.app.job_manager.fetch_job(queues=["paygate"], worker_id=None))) is not None:
            if job.task_name == "paygate.fakepg.execute":  # Beside them stand those that its own worker is fed by.
                found.append((job.task_kwargs["id"], job.task_kwargs["fence"]))
        return found  # They stay in `doing` for ever, as those of a worker that was killed do.

    def carry_out(self, jobs: list[Job]) -> None:
        if jobs:
            task = self.app.tasks["paygate.fakepg.execute"]
            self.run(task.batch_defer_async(*[{"id": id, "fence": fence} for id, fence in jobs]))
        self.run(self.app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False,
                                           queues=["paygate"], concurrency=4))

    def close(self) -> None:
        self.run(self.gate.close())
        self.run(self.app.close_async())
        self.runner.close()


@pytest.fixture(params=["embedded", "celery", "procrastinate"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Shop, Engine]]:
    """A shop, and an engine that carries out what is due there."""
    with ExitStack() as stack:
        is_pg = request.param == "procrastinate"
        address = stack.enter_context(pg_server.database()) if is_pg else str(tmp_path / "ledger.db")
        open_store(address, upgrades=True).close()
        shop = stack.enter_context(Shop(ledger=open_store(address), pg=LastingFakePG(), vault=Drawer()))
        if is_pg:
            engine = OnProcrastinate(shop, address)
            stack.callback(engine.close)
            yield shop, engine
        else:
            made: Callable[[Shop], Engine] = Embedded if request.param == "embedded" else OnCelery
            yield shop, made(shop)


def owe(shop: Shop, count: int = 4) -> list[str]:
    """Dated charges and a subscription that are due; the order ids that must be charged once each."""
    ids = [f"s{n}" for n in range(count)]
    shop.subscribe_key(SubscribeKey(order_id="sub", billing_key=KEY, money=won(9_000), every=Interval("month"),
                                    title="Tea", run_by="paygate"))
    shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, *ids).charges, run_by="paygate"))
    shop.clock.advance(31 * 86_400.0)
    return sorted([*ids, "sub-1", "sub-2"])


def charged(shop: Shop) -> list[str]:
    return sorted(m.order_id for m in shop.pg.journal.entries)


def test_what_is_due_is_charged_once(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    ids = owe(shop)
    for _ in range(3):
        engine.feed()
        engine.carry_out(engine.take())
    assert charged(shop) == ids


def test_what_is_not_due_is_no_job(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "s1").charges, run_by="paygate"))
    engine.feed()
    assert engine.take() == []
    assert shop.planned(shop.clock.now().replace(year=2030))[0].lease_until is None


def test_jobs_delivered_twice_and_in_any_order_charge_once(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    ids = owe(shop)
    engine.feed()
    jobs = engine.take() * 3
    random.Random(7).shuffle(jobs)
    engine.carry_out(jobs)
    engine.carry_out(jobs[:4])
    assert charged(shop) == ids


def test_feeding_twice_makes_no_second_job(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    owe(shop)
    engine.feed()
    engine.feed()
    assert len(engine.take()) == 5


def test_a_worker_that_dies_between_claim_and_charge_loses_nothing(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    ids = owe(shop)
    engine.feed()
    lost = engine.take()  # And the worker is gone.
    engine.feed()
    assert engine.take() == []
    shop.clock.advance(LEASE_S)
    engine.feed()
    again = engine.take()
    assert sorted(id for id, _ in again) == sorted(id for id, _ in lost)
    engine.carry_out(again)
    engine.carry_out(lost)  # It was only frozen, and comes back.
    assert charged(shop) == ids


def test_a_frozen_worker_that_comes_back_first_has_lost_its_turn(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    ids = owe(shop)
    engine.feed()
    frozen = engine.take()
    shop.clock.advance(LEASE_S)
    engine.feed()
    again = engine.take()
    engine.carry_out(frozen)
    assert charged(shop) == ["sub-1"]
    engine.carry_out(again)
    assert charged(shop) == ids


def test_a_worker_that_dies_after_the_charge_was_sent_charges_nothing_again(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    ids = owe(shop, 1)
    shop.pg.fault("drop_after", on="POST /charges", times=2)
    shop.pg.fault("error_500_before", on="GET /payments", times=20)
    engine.feed()
    jobs = engine.take()
    engine.carry_out(jobs)
    shop.pg.faults.clear()
    for _ in range(6):
        shop.clock.advance(LEASE_S)
        engine.feed()
        engine.carry_out([*jobs, *engine.take()])
        shop.reconcile()
    assert charged(shop) == ids
    assert shop.sent("POST /charges") == 3
    assert shop.pending() == []


@pytest.mark.parametrize("bench", ["celery", "procrastinate"], indirect=True)
def test_outcomes_and_lag_stand_in_the_log_with_fields(bench: tuple[Shop, Any],
                                                       caplog: pytest.LogCaptureFixture) -> None:
    shop, engine = bench
    caplog.set_level("INFO", logger="paygate.workers")
    owe(shop, 2)
    engine.settle()
    engine.feed()
    shop.pg.fault("drop_after", on="POST /charges")
    shop.pg.fault("error_500_before", on="GET /payments", times=20)
    engine.carry_out(engine.take())
    records = [vars(record) for record in caplog.records if record.name == "paygate.workers"]
    behind = records[0]
    assert (behind["gateway"], behind["due"], round(behind["lag_s"])) == ("fakepg", 3, 31 * 86_400 - 3600)
    assert sorted(one["outcome"] for one in records if "outcome" in one) == ["paid", "paid", "unknown"]
    assert KEY.reveal() not in caplog.text


@pytest.mark.parametrize("bench", ["procrastinate"], indirect=True)
def test_where_the_jobs_cannot_be_written_nothing_is_claimed(bench: tuple[Shop, OnProcrastinate]) -> None:
    shop, engine = bench
    ids = owe(shop)
    engine.run(engine.app.connector.execute_query_async("ALTER TABLE procrastinate_jobs RENAME TO gone"))
    with pytest.raises(Exception, match="Database error"):
        engine.feed()
    engine.run(engine.app.connector.execute_query_async("ALTER TABLE gone RENAME TO procrastinate_jobs"))
    assert all(row.lease_until is None for row in shop.planned(shop.clock.now()))
    engine.feed()
    engine.carry_out(engine.take())
    assert charged(shop) == ids


@pytest.mark.parametrize("bench", ["procrastinate"], indirect=True)
def test_where_the_claim_is_not_committed_there_is_no_job(bench: tuple[Shop, OnProcrastinate]) -> None:
    shop, engine = bench
    owe(shop)
    tell = engine.app.connector.execute_query_async
    engine.run(tell("CREATE FUNCTION boom() RETURNS trigger AS 'BEGIN RAISE ''boom''; END' LANGUAGE plpgsql"))
    engine.run(tell("CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON paygate_line DEFERRABLE INITIALLY DEFERRED "
                    "FOR EACH ROW EXECUTE FUNCTION boom()"))
    with pytest.raises(Exception, match="boom"):
        engine.feed()
    assert engine.take() == []
    engine.run(tell("DROP TRIGGER at_commit ON paygate_line"))
    engine.feed()
    assert len(engine.take()) == 5


@pytest.mark.parametrize("bench", ["procrastinate"], indirect=True)
def test_no_more_jobs_wait_than_said_and_the_rest_stays_unclaimed(bench: tuple[Shop, OnProcrastinate]) -> None:
    from paygate.workers.procrastinate import install

    shop, engine = bench
    ids = owe(shop)
    engine.app = type(engine.app)(connector=engine.app.connector)
    install(engine.app, engine.gate, most_waiting=2)
    engine.feed()
    engine.feed()
    assert sum(row.lease_until is not None for row in shop.planned(shop.clock.now())) == 2
    for _ in range(3):
        engine.carry_out(engine.take())
        engine.feed()
    assert charged(shop) == ids


@pytest.mark.parametrize("bench", ["procrastinate"], indirect=True)
def test_it_is_fed_each_second_and_what_is_in_doubt_is_settled_each_minute(bench: tuple[Shop, OnProcrastinate]) -> None:
    _, engine = bench
    tasks = engine.app.periodic_registry.periodic_tasks.values()
    assert {one.task.name: one.croniter.get_next(float, start_time=120.0) for one in tasks} == {
        "paygate.fakepg.feed": 121.0, "paygate.fakepg.reconcile": 180.0}
    assert {one.task.lock for one in tasks} == {None}  # A worker that is killed would hold it for ever.


@pytest.mark.parametrize("bench", ["celery", "procrastinate"], indirect=True)
def test_no_more_are_fed_than_the_pg_allows_whoever_else_feeds(bench: tuple[Shop, Any]) -> None:
    shop, engine = bench
    ids = owe(shop)
    if isinstance(engine, OnProcrastinate):
        from paygate.workers.procrastinate import install

        engine.app = type(engine.app)(connector=engine.app.connector)
        install(engine.app, engine.gate, per_s=2)
    else:
        import celery

        from paygate.workers.celery import install as install_celery

        engine.app = celery.Celery("paced", broker="memory://", set_as_current=False)
        engine.app.conf.task_default_queue = engine.queue
        install_celery(engine.app, shop.gate, per_s=2)
    fed = []
    for _ in range(4):
        engine.feed()
        engine.feed()  # Another beat, in the same second.
        fed.append(len(jobs := engine.take()))
        engine.carry_out(jobs)
        shop.clock.advance(1)
    assert fed == [2, 2, 1, 0]
    shop.run_due()  # The subscription's second period.
    assert charged(shop) == ids


def test_what_makes_no_sense_is_refused_at_once(bench: tuple[Shop, Engine]) -> None:
    shop, engine = bench
    if isinstance(engine, OnProcrastinate):
        import procrastinate
        from procrastinate.testing import InMemoryConnector

        from paygate.workers import procrastinate as ours

        with pytest.raises(BadSettings, match="PsycopgConnector"):
            ours.install(procrastinate.App(connector=InMemoryConnector()), engine.gate)
        with pytest.raises(BadSettings, match="most_waiting"):
            ours.install(engine.app, engine.gate, most_waiting=0)
    elif isinstance(engine, OnCelery):
        from paygate.workers import celery as theirs

        with pytest.raises(BadSettings, match="at_once"):
            theirs.install(engine.app, shop.gate, at_once=0)
        assert set(engine.app.conf.beat_schedule) == {"paygate.fakepg.feed", "paygate.fakepg.reconcile"}
    else:
        with pytest.raises(ValueError, match="limit"):
            shop.claim_due(0)
