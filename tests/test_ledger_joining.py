"""Joining a merchant's transaction: an intent is there after the commit, and only then; nothing is sent inside."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from attrs import define
from shop import KEY, Shop, cancel, cancel_whole, charge, schedule, won

from paygate import (
    BadCommand,
    BillingKey,
    Conflict,
    DeleteKey,
    InProgress,
    MemoryLedger,
    NotSent,
    Pay,
    Register,
    SetupError,
    State,
)
from paygate.assemble import open_store
from paygate.ledger import audit
from paygate.testing.emulator import FaultKind

PAY = Pay(order_id="w1", money=won(14_000), title="Tea", return_url="https://shop.example/back")
REGISTER = Register(order_id="k1", money=won(14_000), title="Tea", return_url="https://shop.example/back")
ORDER = "INSERT INTO shop_order (id) VALUES ('o1')"


class RolledBack(Exception):
    """The merchant's own mind was changed."""


@define
class Merchant:
    """A merchant's database, which holds the ledger too."""

    shop: Shop
    begin: Callable[[], Any]
    """A context manager that opens a transaction and gives (connection, execute); an exception rolls it back."""
    orders: Callable[[], int]


def _sqlite(path: Path, **said: Any) -> Callable[[], Any]:
    @contextmanager
    def begin() -> Iterator[Any]:
        db = sqlite3.connect(path, **said)
        db.row_factory = lambda cursor, row: {"a": "dict"}
        db.text_factory = str
        try:
            if db.isolation_level is None:
                db.execute("BEGIN")
            with db:
                yield db, db.execute
        finally:
            db.close()
    return begin


def _psycopg(url: str, **said: Any) -> Callable[[], Any]:
    @contextmanager
    def begin() -> Iterator[Any]:
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(url, row_factory=dict_row, **said) as db, db.transaction():
            yield db, db.execute
    return begin


def _sqlalchemy(url: str, *, session: bool) -> Callable[[], Any]:
    @contextmanager
    def begin() -> Iterator[Any]:
        from sqlalchemy import create_engine, text
        from sqlalchemy.orm import Session

        engine = create_engine(url)
        try:
            with (Session(engine) if session else engine.connect()) as db, db.begin():
                yield db, lambda statement: db.execute(text(statement))
        finally:
            engine.dispose()
    return begin


def _django(engine: str, **said: Any) -> Callable[[], Any]:
    @contextmanager
    def begin() -> Iterator[Any]:
        from site_of_frameworks import configured_django  # Django is set up once for a process.

        configured_django()
        from django.db import connections, transaction
        from django.db.utils import ConnectionHandler

        made = ConnectionHandler({"default": {"ENGINE": f"django.db.backends.{engine}", **said}})
        connections.settings["ledger"] = made.settings["default"]
        try:
            with transaction.atomic(using="ledger"):
                yield connections["ledger"], lambda statement: connections["ledger"].cursor().execute(statement)
        finally:
            connections["ledger"].close()
            del connections["ledger"], connections.settings["ledger"]
    return begin


KINDS = ("sqlite3", "sqlite3, begun by hand", "sqlite3, exclusive", "psycopg", "sqlalchemy connection, sqlite",
         "sqlalchemy session, sqlite", "sqlalchemy connection, psycopg", "sqlalchemy session, psycopg",
         "django, sqlite", "django, psycopg")


@pytest.fixture(params=KINDS)
def merchant(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Merchant]:
    with ExitStack() as stack:
        kind, path = request.param, tmp_path / "shop.db"
        if kind.endswith("psycopg"):
            url = stack.enter_context(pg_server.database())
            query = url.partition("://")[2]
            alchemy, folder = f"postgresql+psycopg://{query}", url.partition("?host=")[2]
            ways = {"psycopg": lambda: _psycopg(url),
                    "django": lambda: _django("postgresql", NAME=_name(url), USER="postgres", HOST=folder)}
        else:
            url, alchemy = str(path), f"sqlite:///{path}"
            ways = {"sqlite3": lambda: _sqlite(path), "sqlite3, begun by hand": lambda: _sqlite(
                path, isolation_level=None), "sqlite3, exclusive": lambda: _sqlite(path, isolation_level="EXCLUSIVE"),
                "django": lambda: _django("sqlite3", NAME=path)}
        ways |= {"sqlalchemy connection": lambda: _sqlalchemy(alchemy, session=False),
                 "sqlalchemy session": lambda: _sqlalchemy(alchemy, session=True)}
        begin = (ways.get(kind) or ways[kind.partition(",")[0]])()
        ledger = open_store(url)
        with begin() as (_, execute):
            execute("CREATE TABLE shop_order (id TEXT PRIMARY KEY)")
        shop = stack.enter_context(Shop(ledger=ledger))

        def orders() -> int:
            with ledger.snapshot() as ask:
                return int(ask("SELECT count(*) FROM shop_order", ())[0][0])
        yield Merchant(shop, begin, orders)


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def test_an_intent_is_there_with_the_merchants_rows_after_the_commit_and_the_command_sends_it(
        merchant: Merchant) -> None:
    shop = merchant.shop
    with merchant.begin() as (db, execute), shop.gate.joining(db) as joined:
        execute(ORDER)
        intent, = joined.record(charge("o1"))
        assert (intent.state, intent.lease_until, intent.sent_at) == (State.OPENED, None, None)
        assert shop.ledger.get(shop.gate._account.scope, intent.book, "o1") is None
        assert shop.pg.calls == []
    assert merchant.orders() == 1
    assert shop.row("o1") == intent
    assert shop.pending() == [intent]
    assert shop.charge(charge("o1")).status == "paid"
    assert shop.pg.journal.charges("o1") == 1
    assert [line.note for line in shop.trail("o1")] == ["opened", "taken up", "the PG's record says paid"]
    assert shop.pending() == []
    with shop.ledger.snapshot() as ask:
        assert audit.check(ask, 1e10).findings == []


def test_after_a_rollback_nothing_is_there_and_the_id_is_free(merchant: Merchant) -> None:
    shop = merchant.shop
    def story() -> None:
        with merchant.begin() as (db, execute), shop.gate.joining(db) as joined:
            execute(ORDER)
            joined.record(charge("o1"))
            raise RolledBack

    with pytest.raises(RolledBack):
        story()
    assert merchant.orders() == 0
    assert shop.row("o1") is None
    assert shop.trail("o1") == []
    assert shop.charge(charge("o1", amount=99_000)).status == "paid"


def test_nothing_is_asked_of_a_pg_inside(merchant: Merchant) -> None:
    shop, ask = merchant.shop, [
        lambda s: s.charge(charge("o9")), lambda s: s.find("o1"), lambda s: s.reconcile(), lambda s: s.pay(PAY),
        lambda s: s.receive({}, b"{}"), lambda s: s.delete_key(DeleteKey(billing_key=KEY, reason="x")),
        lambda s: s.pending()]
    with merchant.begin() as (db, execute):
        execute(ORDER)
        with shop.gate.joining(db) as joined:
            joined.record(charge("o1"))
            for one in ask:
                with pytest.raises(SetupError, match="joined"):
                    one(shop)
    assert shop.pg.calls == []
    assert [row.id for row in shop.pending()] == ["o1"]
    assert shop.charge(charge("o1")).status == "paid"


def test_what_cannot_be_recorded_leaves_the_merchants_transaction_as_it_was(merchant: Merchant) -> None:
    shop = merchant.shop
    shop.charge(charge("known"))
    shop.pg.fault(FaultKind.DROP_BEFORE, "^POST /charges$")
    shop.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=9)
    with pytest.raises(Exception, match="not known"):
        shop.charge(charge("doubt"))
    shop.pg.faults.clear()
    calls = len(shop.pg.calls)
    twice = schedule(shop, "s1", "known")
    with merchant.begin() as (db, execute), shop.gate.joining(db) as joined:
        execute(ORDER)
        theirs = charge(billing_key=BillingKey("other", "key-1"))
        for command, error in ((charge("known", amount=1_000), Conflict), (twice, Conflict), (theirs, BadCommand),
                               ("rubbish", BadCommand), (cancel("c1", "doubt"), SetupError)):
            with pytest.raises(error):
                joined.record(command)
        joined.record(charge("o2"))
    assert len(shop.pg.calls) == calls
    assert merchant.orders() == 1
    assert shop.row("s1") is None
    assert shop.row("o2").state is State.OPENED


def test_whatever_begins_can_be_recorded_and_is_sent_by_its_own_verb(merchant: Merchant) -> None:
    shop = merchant.shop
    shop.charge(charge("o1"))
    shop.charge(charge("o2"))
    planned = schedule(shop, "s1", "s2")
    with merchant.begin() as (db, execute), shop.gate.joining(db) as joined:
        execute(ORDER)
        joined.record(cancel("c1", "o1"))
        joined.record(cancel_whole("c2", "o2"))
        with pytest.raises(InProgress):
            joined.record(cancel("c3", "o1"))
        joined.record(PAY)
        joined.record(REGISTER)
        assert [row.id for row in joined.record(planned)] == ["s1", "s2"]
        assert joined.record(planned) == joined.record(planned)
    assert {row.id for row in shop.pending()} == {"c1", "c2", "w1", "k1", "s1", "s2"}
    assert shop.cancel(cancel("c1", "o1")).money == won(4_000)
    assert shop.cancel_whole(cancel_whole("c2", "o2")).money == won(14_000)
    assert shop.pay(PAY).order_id == "w1"
    assert shop.register(REGISTER).order_id == "k1"
    assert [s.order_id for s in shop.schedule(planned)] == ["s1", "s2"]
    shop.settle()
    with shop.ledger.snapshot() as ask:
        assert audit.check(ask, 1e10).findings == []


def test_a_recorded_intent_is_nobodys_until_it_is_taken_up_and_then_ones(merchant: Merchant) -> None:
    shop = merchant.shop
    with merchant.begin() as (db, execute), shop.gate.joining(db) as joined:
        execute(ORDER)
        joined.record(charge("o1"))
    shop.settle()  # Looking finds nothing to do: nobody has sent it.
    assert shop.row("o1").state is State.OPENED
    assert shop.pg.calls == []
    done: list[Any] = []

    def work() -> None:
        try:
            done.append(shop.charge(charge("o1")).status)
        except InProgress:
            done.append("in progress")
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(done) <= {"paid", "in progress"}
    assert shop.pg.journal.charges("o1") == 1


def test_a_connection_without_a_transaction_is_refused(tmp_path: Path) -> None:
    with Shop(ledger=open_store(tmp_path / "shop.db")) as shop:
        db = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
        with shop.gate.joining(db) as joined, pytest.raises(SetupError, match="no transaction"):
            joined.record(charge("o1"))
        db.close()
        db = sqlite3.connect(tmp_path / "shop.db")  # Python would begin before the first write: so does joining.
        with shop.gate.joining(db) as joined:
            joined.record(charge("o1"))
        assert db.in_transaction
        assert shop.row("o1") is None
        db.commit()
        assert shop.row("o1").state is State.OPENED
        db.close()


def test_a_postgres_connection_without_a_transaction_or_with_a_broken_one_is_refused() -> None:
    with pg_server.database() as url, Shop(ledger=open_store(url)) as shop:
        import psycopg

        with psycopg.connect(url, autocommit=True) as db, shop.gate.joining(db) as joined:
            with pytest.raises(SetupError, match="no transaction"):
                joined.record(charge("o1"))
        with psycopg.connect(url) as db, shop.gate.joining(db) as joined:
            with pytest.raises(psycopg.Error):
                db.execute("SELECT 1 / 0")
            with pytest.raises(SetupError, match="failed"):
                joined.record(charge("o1"))
            db.rollback()
            joined.record(charge("o1"))
            shop.ledger.run(iter_of_nothing())
        assert shop.row("o1").state is State.OPENED
        with psycopg.connect(url) as db, shop.gate.joining(db) as joined:
            db.close()
            with pytest.raises(NotSent, match="nothing was recorded"):
                joined.record(charge("o2"))


def iter_of_nothing() -> Any:
    """A plan without a step."""
    yield from ()


def test_a_connection_to_another_database_is_refused_and_left_usable(tmp_path: Path) -> None:
    with pg_server.database() as url, Shop(ledger=open_store(url)) as shop:
        import psycopg

        with pg_server.database() as other, psycopg.connect(other) as db, shop.gate.joining(db) as joined:
            db.execute("CREATE TABLE mine (x INT)")
            with pytest.raises(SetupError, match="does not lead"):
                joined.record(charge("o1"))
            db.execute("INSERT INTO mine VALUES (1)")
        open_store(tmp_path / "other.db").close()
        mine = sqlite3.connect(tmp_path / "other.db")
        with shop.gate.joining(mine) as joined, pytest.raises(SetupError, match="does not lead"):
            joined.record(charge("o1"))
        mine.close()


@pytest.mark.parametrize("thing", [None, "postgresql://", object(), 5])
def test_what_is_no_connection_is_refused(thing: object, tmp_path: Path) -> None:
    with Shop(ledger=open_store(tmp_path / "shop.db")) as shop, shop.gate.joining(thing) as joined:
        with pytest.raises(SetupError, match="cannot be joined"):
            joined.record(charge("o1"))


def test_a_ledger_in_memory_cannot_be_joined() -> None:
    with closing(sqlite3.connect(":memory:")) as db, Shop(ledger=MemoryLedger()) as shop:
        with pytest.raises(SetupError, match="MemoryLedger"):
            shop.gate.joining(db)


def test_recording_belongs_inside_the_block(tmp_path: Path) -> None:
    with Shop(ledger=open_store(tmp_path / "shop.db")) as shop:
        db = sqlite3.connect(tmp_path / "shop.db")
        with shop.gate.joining(db) as joined:
            pass
        with pytest.raises(SetupError, match="inside"):
            joined.record(charge("o1"))
        db.close()
        assert shop.charge(charge("o1")).status == "paid"


def test_another_gateway_and_an_inner_block_are_inside_too_and_another_thread_is_not(tmp_path: Path) -> None:
    ledger = open_store(tmp_path / "shop.db")
    with Shop(ledger=ledger) as shop, Shop(ledger=MemoryLedger()) as other:
        db, said = sqlite3.connect(tmp_path / "shop.db"), []
        with shop.gate.joining(db):
            with shop.gate.joining(db) as inner:
                inner.record(charge("o1"))
            with pytest.raises(SetupError, match="joined"):
                other.charge(charge("o2"))
            thread = threading.Thread(target=lambda: said.append(other.charge(charge("o3")).status))
            thread.start()
            thread.join()
        db.commit()
        db.close()
        assert said == ["paid"]
        assert other.charge(charge("o2")).status == "paid"


def test_while_the_merchants_transaction_is_open_the_same_order_is_not_sent_by_another(tmp_path: Path) -> None:
    with pg_server.database() as url:
        from paygate.ledger.postgres import PostgresLedger

        with Shop(ledger=PostgresLedger(url, patience_s=1.0)) as shop:
            import psycopg

            with psycopg.connect(url) as db:
                with shop.gate.joining(db) as joined:
                    joined.record(charge("o1"))
                with pytest.raises(NotSent, match="lock"):
                    shop.charge(charge("o1"))
                assert shop.pg.calls == []
            assert shop.charge(charge("o1")).status == "paid"


# What is awaited


@asynccontextmanager
async def _async_psycopg(url: str) -> AsyncIterator[Any]:
    import psycopg

    async with await psycopg.AsyncConnection.connect(url) as db, db.transaction():
        yield db, db.execute


@asynccontextmanager
async def _async_sqlalchemy(url: str, *, session: bool) -> AsyncIterator[Any]:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(f"postgresql+psycopg://{url.partition('://')[2]}")
    try:
        async with (AsyncSession(engine) if session else engine.connect()) as db, db.begin():
            async def execute(statement: str) -> None:
                await db.execute(text(statement))
            yield db, execute
    finally:
        await engine.dispose()


@asynccontextmanager
async def _not_awaited(url: str) -> AsyncIterator[Any]:
    import psycopg

    with psycopg.connect(url) as db:
        async def execute(statement: str) -> None:
            db.execute(statement.encode())
        yield db, execute


ASYNC: dict[str, Callable[[str], Any]] = {
    "psycopg": _async_psycopg, "sqlalchemy connection": lambda url: _async_sqlalchemy(url, session=False),
    "sqlalchemy session": lambda url: _async_sqlalchemy(url, session=True), "not awaited": _not_awaited}


@pytest.mark.parametrize("kind", ASYNC)
def test_the_asynchronous_face_joins_what_is_awaited_and_what_is_not(kind: str) -> None:
    async def rolled_back(gate: Any, url: str) -> None:
        async with ASYNC[kind](url) as (db, _), gate.joining(db) as joined:
            await joined.record(charge("o3"))
            raise RolledBack

    async def story(shop: Shop, url: str) -> None:
        gate = shop.gate
        async with ASYNC[kind](url) as (db, execute):
            await execute("CREATE TABLE shop_order (id TEXT PRIMARY KEY)")
        async with ASYNC[kind](url) as (db, execute):
            await execute(ORDER)
            async with gate.joining(db) as joined:
                intent, = await joined.record(charge("o1"))
                with pytest.raises(SetupError, match="joined"):
                    await gate.charge(charge("o1"))
                with pytest.raises(SetupError, match="joined"):
                    await asyncio.create_task(gate.find("o1"))
                after = asyncio.ensure_future(_later(gate))
        assert await gate.pending() == [intent]
        assert (await gate.charge(charge("o1"))).status == "paid"
        assert (await after).status == "paid"  # A task that was begun inside is no longer inside.
        with pytest.raises(RolledBack):
            await rolled_back(gate, url)
        assert await gate.trail("o3") == []

    with pg_server.database() as url, Shop("async", ledger=open_store(url)) as shop:
        assert shop._runner is not None
        shop._runner.run(story(shop, url))


async def _later(gate: Any) -> Any:
    await asyncio.sleep(0.3)
    return await gate.charge(charge("o2"))
