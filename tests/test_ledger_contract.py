"""What every ledger must do, one body for all stores; then what only a file can be asked: durability, modes, forks."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import STORES, store

from paygate import Ledger, LedgerError, Money
from paygate.ledger.row import Book, Kind, Row, State, Taken
from paygate.ledger.sqlite import SqliteLedger


@pytest.fixture(params=STORES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made = store(request.param, tmp_path)
    yield made
    made.close()


def row(id: str = "o1", **said: Any) -> Row:
    return Row(**{"gateway": "g", "kind": Kind.CHARGE, "id": id, "order_id": id, "digest": "d", "state": State.SENT,
                  "opened_at": 1.0, "money": Money(100, "KRW"), **said})


def refund(id: str = "c1", order_id: str = "o1", **said: Any) -> Row:
    return row(id, **{"kind": Kind.CANCEL, "order_id": order_id, "state": State.OPENED, **said})


def opened(ledger: Ledger, *rows: Row) -> list[Row]:
    found = ledger.open(rows, "opened")
    assert all(is_new for _, is_new in found)
    return [stored for stored, _ in found]


def test_a_new_row_is_written_as_it_is_and_read_back_equal(ledger: Ledger) -> None:
    full = row(fence=0, lease_until=2.5, sent_at=3.25, check_at=4.125, checks=2, missed_at=5.5, attention="주의",
               provider_id="p1",
               due_at=6.75, before=7, key_digest="k", result='{"a":"차"}', refusal="{}")
    assert ledger.open([full, row("o2", money=None)], "opened") == [(full, True), (row("o2", money=None), True)]
    assert ledger.get("g", Book.PAYMENT, "o1") == full
    assert ledger.get("g", Book.PAYMENT, "o2") == row("o2", money=None)


def test_an_id_is_opened_once_and_the_second_comer_is_shown_the_row(ledger: Ledger) -> None:
    opened(ledger, row())
    assert ledger.open([row(digest="other", money=Money(5, "USD"))], "again") == [(row(), False)]
    assert len(ledger.trail("g", "o1")) == 1


def test_of_many_rows_each_is_new_or_known_by_itself(ledger: Ledger) -> None:
    opened(ledger, row("o2"))
    assert [is_new for _, is_new in ledger.open([row("o1"), row("o2"), row("o3")], "opened")] == [True, False, True]


def test_the_same_id_at_another_gateway_or_in_another_book_is_another_row(ledger: Ledger) -> None:
    opened(ledger, row(), row(gateway="h"), refund("o1", "o9"), row(kind=Kind.STRAY, state=State.ANSWERED))
    assert ledger.get("h", Book.PAYMENT, "o1") == row(gateway="h")
    assert ledger.get("g", Book.CANCEL, "o1") == refund("o1", "o9")
    assert ledger.get("i", Book.PAYMENT, "o1") is None


def test_a_change_needs_the_fence_it_was_read_at_and_raises_it(ledger: Ledger) -> None:
    first, = opened(ledger, row())
    second = ledger.change(evolve(first, state=State.ANSWERED), "answered")
    assert second == evolve(first, state=State.ANSWERED, fence=1)
    assert ledger.change(evolve(first, state=State.UNKNOWN), "late") is None
    assert ledger.get("g", Book.PAYMENT, "o1") == second
    assert [(line.fence, line.state, line.note) for line in ledger.trail("g", "o1")] == [
        (0, State.SENT, "opened"), (1, State.ANSWERED, "answered")]


def test_a_row_that_does_not_exist_is_not_changed_into_being(ledger: Ledger) -> None:
    assert ledger.change(row(), "answered") is None
    assert ledger.get("g", Book.PAYMENT, "o1") is None
    assert ledger.trail("g", "o1") == []


def test_a_row_is_changed_alone(ledger: Ledger) -> None:
    opened(ledger, row(), row("o2"), row(gateway="h"), refund("o1", "o2"))
    ledger.change(row(state=State.ANSWERED), "answered")
    assert ledger.get("g", Book.PAYMENT, "o2") == row("o2")
    assert ledger.get("h", Book.PAYMENT, "o1") == row(gateway="h")
    assert ledger.get("g", Book.CANCEL, "o1") == refund("o1", "o2")


def test_of_one_order_one_refund_is_open_at_a_time(ledger: Ledger) -> None:
    opened(ledger, refund("c1"))
    for state in (State.OPENED, State.SENT, State.UNKNOWN):
        held = ledger.get("g", Book.CANCEL, "c1")
        assert held is not None
        if state is not State.OPENED:
            held = ledger.change(evolve(held, state=state), "moved")
        assert ledger.open([refund("c2")], "opened") == [(held, False)]
        assert ledger.get("g", Book.CANCEL, "c2") is None
    opened(ledger, refund("c3", "o2"), refund("c4", gateway="h"))


@pytest.mark.parametrize("state", [State.ANSWERED, State.REFUSED, State.NOT_SENT])
def test_a_settled_refund_makes_room_for_the_next(ledger: Ledger, state: State) -> None:
    held, = opened(ledger, refund("c1"))
    ledger.change(evolve(held, state=state), "settled")
    opened(ledger, refund("c2"))


def test_a_settled_refund_does_not_come_to_life_beside_another(ledger: Ledger) -> None:
    held, = opened(ledger, refund("c1"))
    settled = ledger.change(evolve(held, state=State.NOT_SENT), "settled")
    assert settled is not None
    opened(ledger, refund("c2"))
    assert ledger.change(evolve(settled, state=State.OPENED), "again") is None
    assert ledger.get("g", Book.CANCEL, "c1") == settled


def test_a_known_refund_is_shown_even_while_another_is_open(ledger: Ledger) -> None:
    held, = opened(ledger, refund("c1"))
    settled = ledger.change(evolve(held, state=State.ANSWERED), "settled")
    opened(ledger, refund("c2"))
    assert ledger.open([refund("c1")], "again") == [(settled, False)]


def test_a_payment_id_of_the_pg_belongs_to_one_order(ledger: Ledger) -> None:
    first, second, other, back = opened(ledger, row("o1"), row("o2"), row("o1", gateway="h"), refund("c1"))
    taken = ledger.change(evolve(first, provider_id="p1"), "answered")
    assert taken is not None
    with pytest.raises(Taken):
        ledger.change(evolve(second, provider_id="p1"), "answered")
    assert ledger.get("g", Book.PAYMENT, "o2") == second
    assert len(ledger.trail("g", "o2")) == 1
    assert ledger.change(evolve(taken, state=State.ANSWERED), "again") is not None  # Its own it keeps.
    assert ledger.change(evolve(other, provider_id="p1"), "answered") is not None
    assert ledger.change(evolve(back, provider_id="p1"), "refunded") is not None


def test_a_payment_is_found_by_the_pgs_id(ledger: Ledger) -> None:
    opened(ledger, row("o1", provider_id="p1"), refund("c1", provider_id="p2"))
    assert ledger.by_provider_id("g", "p1") == row("o1", provider_id="p1")
    assert ledger.by_provider_id("g", "p2") is None
    assert ledger.by_provider_id("h", "p1") is None


def test_what_is_due_is_listed_by_when_it_is_due(ledger: Ledger) -> None:
    opened(ledger, row("o1", check_at=30.0), row("o2", check_at=10.0), row("o3", check_at=None),
           row("o4", check_at=20.0),
           row("o5", check_at=31.0), row("o6", check_at=1.0, gateway="h"), refund("c1", check_at=15.0))
    assert [r.id for r in ledger.due("g", 30.0, 10)] == ["o2", "c1", "o4", "o1"]
    assert [r.id for r in ledger.due("g", 30.0, 2)] == ["o2", "c1"]
    assert ledger.due("g", 0.5, 10) == []


def test_what_is_unresolved_flagged_of_a_key_or_of_an_order_is_listed_oldest_first(ledger: Ledger) -> None:
    states = dict(zip(("o7", "o6", "o5", "o4", "o3", "o2", "o1"), State, strict=True))
    opened(ledger, *[row(id, state=state, opened_at=float(id[1]), key_digest="k" if id < "o4" else None,
                         attention="look" if state in (State.ANSWERED, State.UNKNOWN) else None) for id,
                     state in states.items()])
    opened(ledger, row("x", gateway="h", attention="look", key_digest="k"))
    open_ones = sorted(id for id, s in states.items() if s in (State.OPENED, State.SENT, State.UNKNOWN))
    assert [r.id for r in ledger.unresolved("g", 10)] == open_ones
    assert [r.id for r in ledger.unresolved("g", 1)] == open_ones[:1]
    assert {r.state for r in ledger.flagged("g", 10)} == {State.ANSWERED, State.UNKNOWN}
    assert len(ledger.flagged("g", 1)) == 1
    assert [r.id for r in ledger.of_key("g", "k")] == ["o1", "o2", "o3"]
    opened(ledger, refund("c2", opened_at=5.0, state=State.ANSWERED), refund("c1", opened_at=9.0),
           refund("c3", "o2", opened_at=1.0))
    assert [r.id for r in ledger.refunds("g", "o1")] == ["c2", "c1"]


def test_the_trail_keeps_every_line_of_an_id_in_order(ledger: Ledger) -> None:
    held: Row | None
    held, = opened(ledger, row())
    for n in range(5):
        assert held is not None
        held = ledger.change(evolve(held, checks=n), f"look {n}")
    opened(ledger, row("o2"))
    lines = ledger.trail("g", "o1")
    assert [line.note for line in lines] == ["opened", *[f"look {n}" for n in range(5)]]
    assert [line.fence for line in lines] == [0, 1, 2, 3, 4, 5]
    assert all(line.at > 1.7e9 for line in lines)


@pytest.mark.parametrize("id", ["'; DROP TABLE paygate_row; --", "%", "주문", "a\x00b", "x" * 5000])
def test_any_text_is_only_ever_text(ledger: Ledger, id: str) -> None:
    opened(ledger, row(id), row("other"))
    assert ledger.get("g", Book.PAYMENT, id) == row(id)
    assert [r.id for r in ledger.unresolved("g", 10)] in ([id, "other"], ["other", id])


def test_text_that_cannot_be_written_is_an_error_of_the_ledger_or_written(ledger: Ledger) -> None:
    opened(ledger, row("before"))
    for do in (lambda: ledger.open([row("\ud800")], "x"), lambda: ledger.get("g", Book.PAYMENT, "\ud800"),
               lambda: ledger.change(row("before", result="\ud800"), "x")):
        try:
            do()
        except LedgerError:
            pass
    opened(ledger, row("after"))  # And it goes on working.


def _eight(do: Callable[[int], Any]) -> list[Any]:
    barrier, results = threading.Barrier(8), [None] * 8

    def work(n: int) -> None:
        barrier.wait()
        try:
            results[n] = do(n)
        except Exception as error:
            results[n] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_eight_threads_one_opens_a_row_one_changes_it_and_one_takes_an_id(ledger: Ledger) -> None:
    for n in range(20):
        order = f"o{n}"
        won = _eight(lambda _, order=order: ledger.open([row(order)], "opened")[0][1])  # type: ignore[misc]
        assert won.count(True) == 1
        changed = _eight(lambda t, order=order: ledger.change(row(order, checks=t), "changed"))  # type: ignore[misc]
        assert sorted(type(c).__name__ for c in changed) == [*["NoneType"] * 7, "Row"]
        rivals = opened(ledger, *[row(f"{order}-{t}", provider_id=None) for t in range(8)])
        taken = _eight(lambda t, rivals=rivals, id=f"p{n}": ledger.change(  # type: ignore[misc]
            evolve(rivals[t], provider_id=id), "answered"))
        assert sorted(type(x).__name__ for x in taken) == ["Row", *["Taken"] * 7]
        won = _eight(lambda t, order=order: ledger.open(  # type: ignore[misc]
            [refund(f"{order}-c{t}", order)], "opened")[0][1])
        assert won.count(True) == 1


def test_many_threads_reading_and_writing_at_once_never_fail(ledger: Ledger) -> None:
    def work(n: int) -> None:
        for i in range(30):
            opened(ledger, row(f"o{n}-{i}", provider_id=f"p{n}-{i}", check_at=1.0, attention="x", key_digest="k"))
            ledger.by_provider_id("g", f"p{n}-{i}")
            ledger.due("g", 2.0, 5)
            ledger.unresolved("g", 5)
            ledger.flagged("g", 5)
            ledger.of_key("g", "k")
            ledger.trail("g", f"o{n}-{i}")
            ledger.get("g", Book.PAYMENT, f"o{n}-{i}")

    assert _eight(work) == [None] * 8


# What only a file can be asked


def test_a_file_holds_what_was_written_when_it_is_opened_again(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    held, = opened(ledger, row())
    changed = ledger.change(evolve(held, state=State.UNKNOWN, attention="look"), "doubt")
    ledger.close()
    with pytest.raises(LedgerError):
        ledger.get("g", Book.PAYMENT, "o1")
    again = SqliteLedger(tmp_path / "l.db")
    assert again.get("g", Book.PAYMENT, "o1") == changed
    assert [line.note for line in again.trail("g", "o1")] == ["opened", "doubt"]
    assert again.flagged("g", 5) == [changed]
    again.close()


def test_what_was_written_is_there_even_if_the_file_was_never_closed(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    opened(ledger, row())
    for name in ("l.db", "l.db-wal"):
        (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
    ledger.close()
    copy = SqliteLedger(tmp_path / "copy-l.db")
    assert copy.get("g", Book.PAYMENT, "o1") == row()
    copy.close()


def test_a_torn_last_write_takes_nothing_else_with_it(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    opened(ledger, row("o1"))
    whole = (tmp_path / "l.db-wal").read_bytes()
    opened(ledger, row("o2"))
    torn = (tmp_path / "l.db-wal").read_bytes()
    (tmp_path / "copy-l.db").write_bytes((tmp_path / "l.db").read_bytes())
    (tmp_path / "copy-l.db-wal").write_bytes(torn[: (len(whole) + len(torn)) // 2])
    ledger.close()
    copy = SqliteLedger(tmp_path / "copy-l.db")
    assert copy.get("g", Book.PAYMENT, "o1") == row("o1")
    assert copy.get("g", Book.PAYMENT, "o2") is None
    opened(copy, row("o2"))
    copy.close()


def test_the_file_and_what_belongs_to_it_are_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ledger = SqliteLedger(tmp_path / "l.db")
        opened(ledger, row())
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    finally:
        os.umask(before)
    ledger.close()
    assert modes == {"l.db": 0o600, "l.db-wal": 0o600, "l.db-shm": 0o600}


def test_every_connection_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    with ledger._use(write=False) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    ledger.close()


def test_a_place_without_a_write_ahead_log_is_refused_and_leaves_no_file(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LedgerError, match="durable"):
        SqliteLedger(":memory:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", ["folder", "text", "newer", "missing"])
def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "l.db"
    if spoil == "folder":
        path.mkdir()
    elif spoil == "text":
        path.write_text("this is not a database " * 100)
    elif spoil == "newer":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path = tmp_path / "no" / "l.db"
    with pytest.raises(LedgerError) as caught:
        SqliteLedger(path)
    assert "\n" not in str(caught.value)
    if spoil == "text":
        assert path.read_text().startswith("this is not")


def test_a_full_disk_and_a_lock_that_is_never_let_go_are_errors_of_the_ledger(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db", busy_timeout_s=0.05)
    opened(ledger, row())
    other = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        ledger.open([row("o2")], "opened")
    assert ledger.get("g", Book.PAYMENT, "o1") == row()  # Reading goes on.
    other.execute("ROLLBACK")
    other.close()
    with ledger._use(write=False) as db:
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(LedgerError, match="full"):
        ledger.open([row(f"f{n}", result="x" * 2000) for n in range(1000)], "opened")
    assert ledger.get("g", Book.PAYMENT, "o1") == row()
    ledger.close()


def _child(path: Path, ledger: SqliteLedger | None, results: Any) -> None:
    """In another process: open every id and say which were new; take the refund if it is free."""
    mine = ledger or SqliteLedger(path)
    new = [n for n in range(40) if mine.open([row(f"o{n}")], f"by {os.getpid()}")[0][1]]
    changed = [n for n in range(40) if mine.change(row(f"o{n}", checks=7), "changed") is not None]
    results.put((new, changed, mine.open([refund(f"c{os.getpid()}")], "x")[0][1]))
    if ledger is None:
        mine.close()


@pytest.mark.parametrize("way", ["spawned", "forked"])
def test_processes_on_one_file_open_each_row_once_and_change_it_once(tmp_path: Path, way: str) -> None:
    path = tmp_path / "l.db"
    parent = SqliteLedger(path)
    opened(parent, row("before"))
    context: Any = multiprocessing.get_context("fork")
    results = context.Queue()
    # "spawned" opens a ledger of its own, "forked" uses the one that was opened before the fork.
    children = [context.Process(target=_child, args=(path, parent if way == "forked" else None, results))
                for _ in range(2)]
    for child in children:
        child.start()
    _child(path, parent, results)
    found = [results.get(timeout=60) for _ in range(3)]
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert sorted(n for new, _, _ in found for n in new) == list(range(40))
    assert sorted(n for _, changed, _ in found for n in changed) == list(range(40))
    assert sum(took for _, _, took in found) == 1
    assert parent.get("g", Book.PAYMENT, "before") == row("before")
    parent.close()
    again = SqliteLedger(path)
    assert len(again.unresolved("g", 100)) == 42
    with again._use(write=False) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again.close()
