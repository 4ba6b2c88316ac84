"""What only a PostgreSQL server can be asked: connections lost, commits unanswered, restarts, its clock, rights."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from pg_server import Server, own_server
from pg_wire import Wire
from shop import FACES, Shop, cancel, charge

from paygate import BadSettings, LedgerError, NotSent, PaygateError, connect
from paygate.ledger import audit
from paygate.ledger.row import Book, State
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.ledger_races import note, opened, row
from paygate.testing.transport import EmulatorTransport

assert own_server  # a fixture


@pytest.fixture
def url() -> Iterator[str]:
    with pg_server.database() as url:
        yield url


def ledger_at(url: str, **said: Any) -> Any:
    from paygate.ledger.postgres import PostgresLedger

    return PostgresLedger(url, **said)


def thrown_out(url: str) -> int:
    """End every connection of the ledger's; how many there were."""
    return len(pg_server.server().tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                       f"application_name = 'paygate' AND datname = '{name(url)}'"))


def name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


# Connections that are lost


def test_a_connection_that_the_server_ended_meanwhile_is_replaced_unseen(url: str) -> None:
    ledger = ledger_at(url)
    for n in range(3):
        held, = opened(ledger, row(f"o{n}"))
        assert thrown_out(url) > 0
        assert ledger.get("g", Book.PAYMENT, f"o{n}") == held
        assert thrown_out(url) > 0
        assert ledger.change(evolve(held, state=State.ANSWERED), note("paid")) is not None
        assert thrown_out(url) > 0
        assert [line.fence for line in ledger.trail("g", f"o{n}")] == [0, 1]
        assert thrown_out(url) > 0
    ledger.close()


@pytest.fixture
def wire(url: str, tmp_path: Path) -> Iterator[tuple[str, Wire]]:
    """The database through a wire that can be cut."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pgw-") as folder, Wire(pg_server.server().folder, Path(folder)) as wire:
        yield f"{url.partition('?')[0]}?host={folder}", wire


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_nobody_answered_is_found_to_be_done_or_is_done_again_and_once(
        wire: tuple[str, Wire], when: Any) -> None:
    address, cutting = wire
    ledger = ledger_at(address)
    cutting.cut(1, when)
    held, = opened(ledger, row())
    assert cutting.cuts == 1
    cutting.cut(1, when)
    changed = ledger.change(evolve(held, state=State.ANSWERED), note("paid"))
    assert cutting.cuts == 1
    assert changed == evolve(held, state=State.ANSWERED, fence=1)
    assert [line.fence for line in ledger.trail("g", "o1")] == [0, 1]
    with ledger.snapshot() as ask:
        assert audit.check(ask, 1e10).findings == []
    ledger.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_is_cut_again_and_again_is_an_error_or_the_truth_and_so_is_telling_it_again(
        wire: tuple[str, Wire], when: Any) -> None:
    address, cutting = wire
    ledger = ledger_at(address)
    said, told = note(), None
    cutting.cut(1, when, times=2)
    with suppress(LedgerError):
        told = ledger.open([row()], said)
    # The second time the server may say that the row stands, before there is a COMMIT that could be cut.
    assert told is None or (when == "after" and told == [(row(), True)])
    assert (ledger.get("g", Book.PAYMENT, "o1") is None) is (when == "before")
    assert ledger.open([row()], said) == [(row(), True)]
    assert ledger.open([row()], note()) == [(row(), False)]
    assert len(ledger.trail("g", "o1")) == 1
    ledger.close()


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("times", [1, 2, 10**6], ids=["once", "twice", "for ever"])
def test_wherever_the_wire_is_cut_nothing_is_sent_unwritten_or_twice_and_the_truth_is_told(
        wire: tuple[str, Wire], face: str, when: Any, times: int) -> None:
    address, cutting = wire
    ledger, pg = ledger_at(address, patience_s=10.0), FakePG()
    for nth in range(1, 7):
        with Shop(face, ledger_at(address), pg, deadline_s=10.0) as shop:
            order, told = f"o{nth}", []
            cutting.cut(nth, when, times)
            for ask in (lambda: shop.charge(charge(order)), lambda: shop.cancel(cancel(f"c{nth}", order))):  # noqa: B023
                try:
                    told.append(ask())
                except PaygateError as error:
                    told.append(error)
            if nth <= 4:  # Two commits for a charge, three for a refund: it was cut in the middle.
                assert cutting.cuts
            cutting.cut(-1, "before", 0)
            taken, given = (sum(m.order_id == order and m.kind == kind for m in pg.journal.entries)
                            for kind in ("charge", "refund"))
            assert taken <= 1
            assert given <= 1
            if taken:
                assert ledger.get(shop.gate._account.scope, Book.PAYMENT, order) is not None
            for moved, answer in ((taken, told[0]), (given, told[1])):
                assert not (moved and isinstance(answer, PaygateError) and answer.moved is False), answer
                assert moved or isinstance(answer, PaygateError), answer
            shop.settle()
            shop.settle()
            assert shop.charge(charge(order)).status in ("paid", "partly_cancelled")
            assert shop.cancel(cancel(f"c{nth}", order)).money.amount == 4_000
            assert [m.kind for m in pg.journal.entries if m.order_id == order] == ["charge", "refund"]
    with ledger.snapshot() as ask:
        assert audit.check(ask, 1e12).findings == []
    ledger.close()


def test_a_restart_between_two_calls_is_not_noticed_and_one_during_a_call_ends_it_in_time(own_server: Server) -> None:
    with own_server.database() as url:
        ledger = ledger_at(url, patience_s=5.0)
        held, = opened(ledger, row())
        for how in (signal.SIGINT, signal.SIGQUIT):  # fast, and a crash
            own_server.stop(how)
            with pytest.raises(LedgerError, match="cannot be reached"):
                ledger.get("g", Book.PAYMENT, "o1")
            with pytest.raises(LedgerError, match="cannot be reached") as caught:
                ledger.open([row("o2")], note())
            assert "\n" not in str(caught.value)
            own_server.start()
            assert ledger.get("g", Book.PAYMENT, "o1") == held
        opened(ledger, row("o2"))
        ledger.close()


def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_the_call_may_take(own_server: Server) -> None:
    with own_server.database() as url:
        ledger = ledger_at(url, patience_s=1.0)
        opened(ledger, row())
        backends = [pid for pid, in own_server.tell(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'paygate'")]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        own_server.pause()
        try:
            with pytest.raises(LedgerError):
                ledger.open([row("o2")], note())
            with pytest.raises(LedgerError):
                ledger.get("g", Book.PAYMENT, "o1")
        finally:
            own_server.go_on()
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        opened(ledger, row("o3"))  # Whether o2 was written is not known, and nobody said so.
        ledger.close()


def test_a_lock_on_the_row_is_waited_for_no_longer_than_the_call_may_take(url: str) -> None:
    import psycopg

    ledger = ledger_at(url, patience_s=0.5)
    held, = opened(ledger, row())
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM paygate_row FOR UPDATE")
        with pytest.raises(LedgerError, match="lock"):
            ledger.change(evolve(held, state=State.ANSWERED), note("paid"))
        assert ledger.get("g", Book.PAYMENT, "o1") == held
        opened(ledger, row("o2"))
    assert ledger.change(evolve(held, state=State.ANSWERED), note("paid")) is not None
    ledger.close()


# Settings and rights


WATCH = """
CREATE TABLE seen (what TEXT);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen VALUES (current_setting('synchronous_commit') || ' ' || current_setting('transaction_isolation'));
    RETURN NEW; END $$;
CREATE TRIGGER look BEFORE INSERT OR UPDATE ON paygate_row FOR EACH ROW EXECUTE FUNCTION look();
"""


def test_every_write_is_flushed_whatever_the_merchant_set_for_the_whole_database(url: str) -> None:
    import psycopg

    ledger_at(url).close()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(WATCH)
        for setting in ("synchronous_commit = off", "default_transaction_isolation = serializable",
                        "default_transaction_read_only = on"):
            db.execute(f"ALTER DATABASE {name(url)} SET {setting}".encode())
    ledger = ledger_at(url)
    held, = opened(ledger, row())
    ledger.change(evolve(held, checks=1), note())
    with ledger.snapshot() as ask:
        assert set(ask("SELECT what FROM seen", ())) == {("on read committed",)}
    ledger.close()


def test_a_connection_keeps_nothing_from_one_transaction_to_the_next(url: str) -> None:
    ledger = ledger_at(url)
    for n in range(20):
        opened(ledger, row(f"o{n}"))
        ledger.get("g", Book.PAYMENT, f"o{n}")
    with ledger._line(1e12) as line:
        assert line.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]
        assert line.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
                            ).fetchall() == [(0,)]
        assert line.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
                            ).fetchall() == [("0", "0")]
    ledger.close()


def test_a_role_that_may_only_read_insert_and_update_is_enough(url: str) -> None:
    import psycopg

    ledger_at(url).close()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE ROLE shop LOGIN")
        try:
            db.execute("GRANT SELECT, INSERT, UPDATE ON paygate_row TO shop")
            db.execute("GRANT SELECT, INSERT ON paygate_line TO shop")
            db.execute("GRANT SELECT ON paygate_meta, paygate_migration TO shop")
            ledger = ledger_at(url.replace("postgres@", "shop@"))
            held, = opened(ledger, row())
            assert ledger.change(evolve(held, state=State.ANSWERED), note("paid")) is not None
            with ledger.snapshot() as ask:
                assert audit.check(ask, 1e10).findings == []
            assert ledger.health() == []
            db.execute("REVOKE INSERT ON paygate_line FROM shop")
            with pytest.raises(LedgerError, match="permission denied"):
                ledger.open([row("o2")], note())
            assert ledger.get("g", Book.PAYMENT, "o2") is None
            with Shop(ledger=ledger) as shop:
                with pytest.raises(NotSent, match="permission denied"):
                    shop.charge(charge())
                assert shop.pg.calls == []
        finally:
            db.execute("DROP OWNED BY shop")
            db.execute("DROP ROLE shop")


def test_rows_of_one_instant_come_letter_by_letter_whatever_the_databases_language(url: str) -> None:
    import psycopg

    english = f"{name(url)}_english"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {english} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'".encode())
        try:
            ledger = ledger_at(url.replace(name(url), english))
            opened(ledger, *[row(id, check_at=1.0, attention="look") for id in ("b", "B", "a", "a-", "aa")])
            wanted = ["B", "a", "a-", "aa", "b"]
            for found in (ledger.due("g", 1.0, 9), ledger.flagged("g", 9), ledger.unresolved("g", 9)):
                assert [r.id for r in found] == wanted
            ledger.close()
        finally:
            db.execute(f"DROP DATABASE {english} WITH (FORCE)".encode())


@pytest.mark.parametrize(("address", "kind"), [
    ("postgresql://kim:hidden@/x?host=/nowhere", LedgerError), ("postgresql://kim:hidden@[::1/x", BadSettings),
    ("host=/nowhere user=kim password=hidden", LedgerError), ("postgresql://kim:hidden@/x?nonsense=1", BadSettings)])
def test_an_address_that_leads_nowhere_is_told_without_its_password(address: str, kind: type[Exception]) -> None:
    pg = FakePG()
    with pytest.raises(kind, match="ledger") as caught:
        connect(FAKEPG, pg.settings(), ledger=address, http=EmulatorTransport(pg), clock=pg.clock)
    told: BaseException | None = caught.value
    while told is not None:
        assert "hidden" not in repr(told) + str(told)
        told = told.__cause__ or told.__context__
    assert "\n" not in str(caught.value)


# The database's clock


def test_machines_that_share_a_database_share_its_clock_and_not_their_own(
        url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    pg = FakePG()
    gate = connect(FAKEPG, pg.settings(), ledger=url, http=EmulatorTransport(pg))
    real = datetime.now(UTC)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert abs(gate._account.clock.now() - real) < timedelta(minutes=1)
    assert gate._account.clock is gate._driver.ledger.clock  # type: ignore[attr-defined]
    gate.close()
    own = connect(FAKEPG, pg.settings(), ledger=url, http=EmulatorTransport(pg), clock=pg.clock)
    assert own._account.clock is pg.clock
    own.close()


def test_the_clock_follows_the_database_and_believes_the_quickest_answer() -> None:
    from paygate.ledger.postgres import DatabaseClock

    pytest.importorskip("psycopg")
    clock = DatabaseClock()
    began = clock.monotonic()
    clock.seen(1_000_000.0, began, began + 8.0)  # Somewhere within eight seconds.
    clock.seen(1_000_004.0, began + 7.9, began + 7.91)  # Now it is known.
    exact = clock.now()
    clock.seen(1_000_400.0, began + 8.0, began + 16.0)  # A slow answer tells less than what is known.
    assert abs(clock.now() - exact) < timedelta(seconds=5)
    clock.seen(1_086_400.0, began + 17.0, began + 17.001)  # The database's clock was set.
    assert abs(clock.now() - exact) > timedelta(hours=23)


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_comes_and_goes_leaves_the_parents_connection_alone(url: str) -> None:
    ledger = ledger_at(url)
    opened(ledger, row("o1"))
    mine = ledger._lines._idle[-1].info.backend_pid
    child = os.fork()
    if not child:
        try:
            signal.alarm(60)
            opened(ledger, row("o2"))
            ok = ledger._lines._idle[-1].info.backend_pid != mine
            ledger.close()
            os._exit(0 if ok else 2)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    opened(ledger, row("o3"))
    assert ledger._lines._idle[-1].info.backend_pid == mine
    assert {r.id for r in ledger.unresolved("g", 9)} == {"o1", "o2", "o3"}
    ledger.close()


def test_many_callers_share_transactions_and_one_that_clashes_takes_nobody_with_it(url: str) -> None:
    ledger = ledger_at(url)
    rivals = opened(ledger, *[row(f"o{n}") for n in range(30)])
    holding = [ledger.writes.hold(10) for _ in range(ledger.writes.width)]
    assert all(holding)
    said: dict[int, Any] = {}

    def work(n: int) -> None:
        try:
            said[n] = ledger.change(evolve(rivals[n], provider_id=f"p{n // 2}"), note())
        except LedgerError as error:
            said[n] = error
    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(30)]
    for thread in threads:
        thread.start()
    end = monotonic() + 60
    while len(ledger.writes._jobs) < 30:
        assert monotonic() < end, said
        threading.Event().wait(0.001)
    for _ in holding:
        ledger.writes.let_go()
    for thread in threads:
        thread.join(60)
    assert sorted(type(answer).__name__ for answer in said.values()) == ["Row"] * 15 + ["Taken"] * 15
    with ledger.snapshot() as ask:
        assert audit.check(ask, 1e10).findings == []
    ledger.close()
