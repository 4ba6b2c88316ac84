"""A ledger that is moved to another store: nothing is lost or charged twice, and nobody goes on with the old one.

Kills are real: the process that moves is killed by signal 9 at each of its steps.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from attrs import evolve
from crew import Crew
from drawer import Drawer
from shop import KEY, Shop, cancel, charge, schedule, won
from victims import Nursery

from paygate import BadSettings, Interval, NotSent, OutcomeUnknown, Schedule, SubscribeKey, connect_async
from paygate.assemble import open_store
from paygate.cli.group import group
from paygate.errors import PaygateError
from paygate.ledger import audit, move
from paygate.ledger.row import Closed, Kind, LedgerError, Note, Row, State
from paygate.ledger.store import SqlLedger
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport
from paygate.workers.loop import work

WAYS = ("sqlite-postgres", "postgres-sqlite", "sqlite-sqlite", "postgres-postgres")
New = Callable[[str], str]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[New]:
    """The place of a new, empty store."""
    count = itertools.count()
    with ExitStack() as stack:
        yield lambda kind: (stack.enter_context(pg_server.database()) if kind == "postgres"
                            else str(tmp_path / f"ledger-{next(count)}.db"))


@pytest.fixture(params=WAYS)
def ways(request: pytest.FixtureRequest, place: New) -> tuple[str, str]:
    source, target = request.param.split("-")
    return place(source), place(target)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


def shop_at(where: str, pg: FakePG | None = None) -> Shop:
    return Shop(ledger=open_store(where), pg=pg, vault=Drawer())


def fill(shop: Shop) -> None:
    """One of everything that a ledger holds."""
    shop.charge(charge("paid"))
    shop.cancel(cancel("given-back", "paid"))
    with pytest.raises(PaygateError):
        shop.charge(charge("declined", 14_001))
    shop.pg.fault("wrong_amount", "^POST /charges$")
    shop.charge(charge("flagged"))
    shop.pg.fault("drop_before", "^POST /charges$")
    shop.pg.fault("error_500_before", "^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge("unknown"))
    shop.pg.faults.clear()
    shop.ledger.change(shop.row("unknown"), Note(text="결제 'x' \\N \\ \t\r\n%s ? {}", at=1 / 3, by="kim"))
    shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "a-held", "free").charges, run_by="paygate"))
    shop.subscribe_key(SubscribeKey(order_id="sub", billing_key=KEY, money=won(9_000), every=Interval("month"),
                                    title="Tea", run_by="paygate"))
    shop.clock.advance(3_600)
    shop.claim_due(1)


def told(where: str) -> tuple[list[Any], list[Any]]:
    """Every row and every line as it stands."""
    store = open_store(where, upgrades=False)
    try:
        with store.snapshot() as ask:
            rows, lines = ask("SELECT * FROM paygate_row ORDER BY gateway, book, id", ()), ask(
                "SELECT * FROM paygate_line ORDER BY gateway, book, id, fence", ())
            assert audit.check(ask, time.time()).is_whole
            return rows, lines
    finally:
        store.close()


def moved(source: str, target: str, heard: move.Heard = lambda step, count: None) -> audit.Report:
    with both(source, target) as (here, there):
        return move.move(here, there, heard)


def undone(source: str, target: str) -> None:
    with both(source, target) as (here, there):
        move.undo(here, there)


@contextmanager
def both(source: str, target: str) -> Iterator[tuple[SqlLedger, SqlLedger]]:
    with ExitStack() as stack:
        here = open_store(source, upgrades=False)
        stack.callback(here.close)
        there = open_store(target)
        stack.callback(there.close)
        yield here, there


def test_everything_is_there_as_it_stood_and_goes_on_there_alone(ways: tuple[str, str]) -> None:
    source, target = ways
    with shop_at(source) as old:
        fill(old)
        before = told(source)
        seal = seal_of(source)
        report = moved(source, target)
        assert (report.rows, report.lines) == (len(before[0]), len(before[1]))
        assert told(target) == told(source) == before
        assert audit_of(target, seal).is_whole
        with shop_at(target, old.pg) as new:
            assert new.charge(charge("paid")).order_id == "paid"
            assert [row.id for row in new.attention()] == ["flagged"]
            assert {row.id for row in new.planned(new.clock.now())} == {"a-held", "free"}
            with pytest.raises(OutcomeUnknown):
                old.run_due()
            new.run_due()
            assert charged(old.pg) == ["flagged", "free", "paid", "sub-1"]
            new.clock.advance(31 * 86_400)
            new.reconcile()
            new.run_due()
            with pytest.raises(OutcomeUnknown):
                old.run_due()
            assert charged(old.pg) == ["a-held", "flagged", "free", "paid", "sub-1", "sub-2"]
            assert told(source) == before
            assert new.trail("paid")[: len(old.trail("paid"))] == old.trail("paid")


def charged(pg: FakePG) -> list[str]:
    return sorted(entry.order_id for entry in pg.journal.entries if entry.kind == "charge")


def seal_of(where: str) -> audit.Seal:
    store = open_store(where, upgrades=False)
    try:
        with store.snapshot() as ask:
            return audit.Seal.read(audit.check(ask, time.time()).seal)
    finally:
        store.close()


def audit_of(where: str, seal: audit.Seal) -> audit.Report:
    store = open_store(where, upgrades=False)
    try:
        with store.snapshot() as ask:
            return audit.check(ask, time.time(), sealed=seal)
    finally:
        store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("face", ["sync", "async"])
def test_on_the_old_one_whatever_would_send_fails_aloud_before_it_sends(kind: str, face: str, place: New) -> None:
    source, target = place(kind), place("sqlite")
    with Shop(face, ledger=open_store(source), vault=Drawer()) as shop:
        shop.charge(charge("paid"))
        shop.pg.fault("refuse", "^POST /charges$", times=9)
        with pytest.raises(NotSent):
            shop.charge(charge("again"))
        shop.pg.faults.clear()
        moved(source, target)
        sent = shop.sent("POST /charges")
        for call in (lambda: shop.charge(charge("new")), lambda: shop.charge(charge("again")),
                     lambda: shop.cancel(cancel("c1", "paid")),
                     lambda: shop.schedule(schedule(shop, "dated")),
                     lambda: shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "a-held").charges,
                                                    run_by="paygate"))):
            with pytest.raises(NotSent, match="this ledger is closed: it was moved to"):
                call()
        with pytest.raises(OutcomeUnknown, match="closed"):
            shop.run_due()
        assert shop.sent("POST /charges") == sent
        assert not [c for c in shop.pg.calls if "refund" in c.path or "schedule" in c.path]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_worker_that_is_left_on_the_old_one_ends_and_says_where_the_ledger_is(kind: str, place: New) -> None:
    source, target = place(kind), place("sqlite")

    async def scene() -> None:
        ledger, pg = open_store(source), FakePG()
        try:
            async with connect_async(FAKEPG, pg.settings(), ledger=ledger, clock=pg.clock, vault=Drawer(),
                                     http=EmulatorTransport(pg)) as gate:
                left = asyncio.create_task(work(gate, poll_s=0.001))
                await asyncio.to_thread(moved, source, target)
                with pytest.raises(BadSettings, match=r"closed: it was moved to ledger-.*, which is the ledger now"):
                    await asyncio.wait_for(left, 60)
        finally:
            ledger.close()

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_being_sent_is_waited_for_and_its_answer_kept(kind: str, place: New) -> None:
    source, target = place(kind), place("sqlite")
    store = open_store(source)
    row = Row(gateway="g", kind=Kind.CHARGE, id="o1", order_id="o1", digest="d", state=State.SENT, opened_at=1.0,
              lease_until=time.time() + 600)
    note = Note(text="by another process", at=2.0, by="host:1")
    sent, _ = store.open([row, evolve(row, id="o2", lease_until=time.time() - 1)], note)[0]
    waits = store.open([evolve(row, id="o3", state=State.SCHEDULED)], note)[0][0]
    steps: list[str] = []

    def heard(step: str, count: int) -> None:
        steps.append(step)
        if step == "under way":
            assert count == 1  # Not o2, whose worker's time is over.
            with pytest.raises(Closed):
                store.open([evolve(row, id="new")], note)
            with pytest.raises(Closed):
                store.change(evolve(waits, state=State.SENT), note)
            assert store.change(evolve(sent, state=State.ANSWERED, lease_until=None), note) is not None

    try:
        moved(source, target, heard)
    finally:
        store.close()
    new = open_store(target)
    try:
        assert [(r.id, r.state) for r in (new.get("g", row.book, id) for id in ("o1", "o2", "o3")) if r] == [
            ("o1", State.ANSWERED), ("o2", State.SENT), ("o3", State.SCHEDULED)]
    finally:
        new.close()
    assert [step for step in steps if step in ("under way", "closed")] == ["under way", "closed"]


STEPS = 7
"""At how many steps somebody is told of a small move, at most."""


@pytest.mark.parametrize("way", WAYS[:2])
def test_killed_at_any_step_the_same_command_comes_to_the_same_end(way: str, place: New, nursery: Nursery,
                                                                   tmp_path: Path) -> None:
    """And at no step is the new one open before it holds everything, or the old one once it does."""
    deaths = 0
    for dies_at in range(STEPS):
        source, target = (place(kind) for kind in way.split("-"))
        with shop_at(source) as old:
            fill(old)
        before = told(source)
        child = nursery.fork({"verb": "move", "provider": "fakepg", "ledger": source, "to": target, "dies_at": dies_at,
                              "diary": str(tmp_path / f"diary-{dies_at}")})
        child.wait()
        states = [is_open(place_) for place_ in (source, target)]
        assert states != [True, True]
        deaths += states != [False, True]
        if states == [True, False]:
            pytest.fail("it was killed before anything was closed")
        moved(source, target)
        assert [is_open(place_) for place_ in (source, target)] == [False, True]
        assert told(target) == told(source) == before
    assert deaths >= 5


def is_open(where: str) -> bool:
    store = open_store(where)
    try:
        return store.closed is None
    finally:
        store.close()


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_move_that_was_not_ended_can_be_undone_and_one_that_was_cannot(way: str, place: New, nursery: Nursery,
                                                                         tmp_path: Path) -> None:
    source, target = (place(kind) for kind in way.split("-"))
    with shop_at(source) as old:
        fill(old)
        before = told(source)
        for dies_at in (0, 1, 2):
            nursery.fork({"verb": "move", "provider": "fakepg", "ledger": source, "to": target, "dies_at": dies_at,
                          "diary": str(tmp_path / "diary")}).wait()
            undone(source, target)
            assert [is_open(where) for where in (source, target)] == [True, True]
            assert told(target) == ([], [])
            with pytest.raises(move.CannotMove, match="is not being moved"):
                undone(source, target)
        assert told(source) == before
        old.charge(charge("after"))
        moved(source, target)
        with pytest.raises(move.CannotMove, match="all of it is in"):
            undone(source, target)
        assert [is_open(where) for where in (source, target)] == [False, True]


@pytest.mark.parametrize("is_begun_anew", [False, True])
def test_an_undone_move_is_not_ended_by_the_process_that_began_it(is_begun_anew: bool, place: New) -> None:
    """It stood still meanwhile, and wakes before it copies; another move may wait for what is being sent by then."""
    source, target = place("sqlite"), place("postgres")

    def broken_off(step: str, count: int) -> None:
        raise KeyboardInterrupt

    def heard(step: str, count: int) -> None:
        if step == "closed":
            undone(source, target)
            if is_begun_anew:
                with pytest.raises(KeyboardInterrupt):
                    moved(source, target, broken_off)

    with shop_at(source) as old:
        fill(old)
        with pytest.raises(move.CannotMove, match="undone"):
            moved(source, target, heard)
        assert told(target) == ([], [])
        if not is_begun_anew:
            old.charge(charge("after"))
    moved(source, target)
    assert told(target) == told(source)


def test_what_is_not_the_same_in_the_end_is_not_opened(place: New, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = place("sqlite"), place("sqlite")
    with shop_at(source) as old:
        fill(old)
    monkeypatch.setattr("paygate.ledger.sqlite.Session.fill", Spoilt.fill)
    with pytest.raises(LedgerError, match="not the same"):
        moved(source, target)
    assert [is_open(where) for where in (source, target)] == [False, False]
    assert told(target) == ([], [])
    monkeypatch.undo()
    moved(source, target)
    assert told(target) == told(source)


class Spoilt:
    """A store that loses a row."""

    def fill(self: Any, table: str, columns: Any, rows: Any) -> None:
        marks = ", ".join("?" * len(columns))
        self._db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", list(rows)[1:])


def test_only_a_new_place_is_moved_to(place: New) -> None:
    source, target, third = place("sqlite"), place("postgres"), place("sqlite")
    for where in (source, third):
        with shop_at(where) as shop:
            shop.charge(charge("paid"))
    with pytest.raises(move.CannotMove, match="holds a ledger already"):
        moved(source, third)
    with pytest.raises(move.CannotMove, match="to itself"):
        moved(source, source)
    assert is_open(source)
    assert is_open(third)
    moved(source, target)
    with pytest.raises(move.CannotMove, match="closed already: it was moved to database"):
        moved(source, place("sqlite"))
    with pytest.raises(move.CannotMove, match="is closed: it was moved to database"):
        moved(third, source)


def test_stores_whose_clocks_disagree_are_not_moved(place: New, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = place("sqlite"), place("postgres")
    open_store(source).close()
    monkeypatch.setattr(move.time, "time", lambda now=time.time: now() + 90)
    with pytest.raises(move.CannotMove, match=r"\d\d s apart"):
        moved(source, target)
    assert is_open(source)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are watched through /proc")
@pytest.mark.parametrize("way", ["sqlite-postgres", "postgres-sqlite"])
def test_with_workers_on_the_old_one_each_due_charge_is_made_once(way: str, place: New, nursery: Nursery,
                                                                  tmp_path: Path) -> None:
    source, target = (place(kind) for kind in way.split("-"))
    with Crew(source, nursery, tmp_path, due=40) as crew:
        left = crew.start(2)
        crew.until_charged(3)
        moved(source, target)
        for child in left:
            child.wait()
            assert child.diary[0]["error"] == "BadSettings", child.diary
            assert "which is the ledger now" in child.diary[0]["text"]
        new = crew.start(2, where=target)
        crew.until_taken_up(target)
        for child in new:
            child.terminate()
            child.wait()
            assert all(line.get("said", "worked") == "worked" for line in child.diary), child.diary
        crew.finish(target)


# The command.

def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, [*arguments], catch_exceptions=False)


def test_one_command_moves_it_and_says_so(place: New) -> None:
    source, target = place("sqlite"), place("postgres")
    with shop_at(source) as shop:
        fill(shop)
    rows, lines = told(source)
    done = run("ledger", "move", source, "--to", target)
    assert done.exit_code == 0, done.output
    assert f"{len(rows)} rows and {len(lines)} lines are in database test_" in done.stdout
    assert "ledger-0.db is closed" in done.stderr
    assert json.loads(run("ledger", "move", source, "--to", target, "--json").stdout)["rows"] == len(rows)
    assert "closed: it was moved to database" in run("ledger", "check", source).stdout
    assert json.loads(run("ledger", "check", target, "--json").stdout)["closed"] is None
    left = CliRunner(env={"PAYGATE_PROVIDER": "portone-naverpay", "PAYGATE_LEDGER": source, "PAYGATE_SETTINGS": (
        '{"imp_key": "k", "imp_secret": "s", "mode": "test"}')}).invoke(group, ["pending"])
    assert left.exit_code == 2
    assert "which is the ledger now" in left.stderr
    assert "postgres@" not in done.output  # No address, no password.


def test_the_command_that_cannot_run_exits_with_2_and_the_ledger_stays_open(place: New, tmp_path: Path) -> None:
    source, target = place("sqlite"), place("sqlite")
    for where in (source, target):
        with shop_at(where) as shop:
            shop.charge(charge("paid"))
    for arguments in ((source, "--to", target), (source, "--to", source), (str(tmp_path / "none.db"), "--to", target),
                      (source, "--to", "postgresql://kim:canary@127.0.0.1:1/books"),
                      (source, "--to", target, "--undo")):
        failed = run("ledger", "move", *arguments)
        assert failed.exit_code == 2, failed.output
        assert "canary" not in failed.output
        assert is_open(source)
    assert not (tmp_path / "none.db").exists()
