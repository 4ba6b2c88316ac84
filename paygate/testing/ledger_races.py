"""The part of LedgerContract that lets several come at once: threads, tasks of an event loop, processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from attrs import evolve

from ..ledger.row import Book, Kind, Ledger, LedgerError, Note, Row, State
from ..money import Money

CROWD = 8


def note(text: str = "opened", **said: Any) -> Note:
    """What is said of a change."""
    return Note(**{"text": text, "at": 5.0, "by": "host:1", **said})


def row(id: str = "o1", **said: Any) -> Row:
    """A charge that may have been sent."""
    return Row(**{"gateway": "g", "kind": Kind.CHARGE, "id": id, "order_id": id, "digest": "d", "state": State.SENT,
                  "opened_at": 1.0, "money": Money(100, "KRW"), **said})


def refund(id: str = "c1", order_id: str = "o1", **said: Any) -> Row:
    """A refund that was begun."""
    return row(id, **{"kind": Kind.CANCEL, "order_id": order_id, "state": State.OPENED, **said})


def opened(ledger: Ledger, *rows: Row) -> list[Row]:
    """New rows, written down."""
    found = ledger.open(rows, note())
    assert all(is_new for _, is_new in found)
    return [stored for stored, _ in found]


def crowd(do: Callable[[int], Any]) -> list[Any]:
    """What `do` gave each of eight threads that began at the same moment; an exception counts as an answer."""
    barrier, results = threading.Barrier(CROWD), [None] * CROWD

    def work(n: int) -> None:
        barrier.wait()
        try:
            results[n] = do(n)
        except Exception as error:
            results[n] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def kinds(answers: list[Any]) -> list[str]:
    """The answers' types, by name."""
    return sorted(type(answer).__name__ for answer in answers)


class LedgerRaces:
    """Checks of what only one of many may get."""

    survives = True

    def test_of_eight_threads_one_opens_a_row_one_changes_it_and_one_takes_an_id(self, ledger: Ledger) -> None:
        for n in range(12):
            order = f"o{n}"
            won = crowd(lambda _, order=order: ledger.open([row(order)], note())[0][1])  # type: ignore[misc]
            assert won.count(True) == 1
            held = ledger.get("g", Book.PAYMENT, order)
            assert held is not None
            changed = crowd(lambda t, held=held: ledger.change(evolve(held, checks=t), note()))  # type: ignore[misc]
            assert kinds(changed) == [*["NoneType"] * 7, "Row"]
            rivals = opened(ledger, *[row(f"{order}-{t}") for t in range(CROWD)])
            taken = crowd(lambda t, rivals=rivals, id=f"p{n}": ledger.change(  # type: ignore[misc]
                evolve(rivals[t], provider_id=id), note()))
            assert kinds(taken) == ["Row", *["Taken"] * 7]
            won = crowd(lambda t, order=order: ledger.open(  # type: ignore[misc]
                [refund(f"{order}-c{t}", order)], note())[0][1])
            assert won.count(True) == 1

    def test_the_same_rows_in_any_order_are_opened_once_each_and_nobody_waits_for_ever(self, ledger: Ledger) -> None:
        ids = [f"o{n}" for n in range(20)]
        found = crowd(lambda t: [is_new for _, is_new in ledger.open(
            [row(id) for id in (ids if t % 2 else reversed(ids))], note())])
        assert sum(sum(answer) for answer in found) == len(ids)

    def test_many_threads_reading_and_writing_at_once_never_fail(self, ledger: Ledger) -> None:
        def work(n: int) -> None:
            for i in range(15):
                id = f"o{n}-{i}"
                held, = opened(ledger, row(id, provider_id=f"p{n}-{i}", check_at=1.0, attention="x", key_digest="k"))
                assert ledger.by_provider_id("g", f"p{n}-{i}") == held
                assert ledger.get("g", Book.PAYMENT, id) == held
                assert ledger.due("g", 2.0, 5)
                assert ledger.unresolved("g", 5)
                assert ledger.flagged("g", 5)
                assert held in ledger.of_key("g", "k")
                assert ledger.change(evolve(held, state=State.ANSWERED), note("answered")) is not None
                assert len(ledger.trail("g", id)) == 2

        assert crowd(work) == [None] * CROWD

    def test_of_many_tasks_one_opens_each_row_and_one_changes_it(self, ledger: Ledger) -> None:
        perform = getattr(ledger, "aperform", None)
        if perform is None:
            pytest.skip("this store has no asynchronous face of its own: gateways call it in a thread")

        async def one(n: int, threads: ThreadPoolExecutor) -> tuple[bool, Row | None]:
            (held, is_new), = await perform("open", ([row(f"o{n % 40}")], note()), None, threads)
            wanted = evolve(held, checks=n, state=State.ANSWERED)
            return is_new, await perform("change", (wanted, note()), None, threads)

        async def all_of_them() -> list[tuple[bool, Row | None]]:
            with ThreadPoolExecutor(getattr(ledger, "threads", 1)) as threads:
                return list(await asyncio.gather(*(one(n, threads) for n in range(200))))

        found = asyncio.run(all_of_them())
        assert sum(is_new for is_new, _ in found) == 40
        # Five tasks share an order: each change is made by whoever read the row as it then stood.
        for n in range(40):
            held = ledger.get("g", Book.PAYMENT, f"o{n}")
            assert held is not None
            assert held.fence == sum(changed is not None and changed.id == held.id for _, changed in found)
            assert len(ledger.trail("g", held.id)) == held.fence + 1

    def test_a_cancelled_task_leaves_nothing_half_done(self, ledger: Ledger) -> None:
        perform = getattr(ledger, "aperform", None)
        if perform is None:
            pytest.skip("this store has no asynchronous face of its own: gateways call it in a thread")

        async def race() -> list[str]:
            with ThreadPoolExecutor(getattr(ledger, "threads", 1)) as threads:
                tasks = [asyncio.ensure_future(perform("open", ([row(f"o{n}"), row(f"p{n}")], note()), None, threads))
                         for n in range(100)]
                await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                return kinds(list(await asyncio.gather(*tasks, return_exceptions=True)))

        said = asyncio.run(race())
        assert set(said) <= {"CancelledError", "list"}
        assert said.count("list") >= 50
        for n in range(100):
            assert len({ledger.get("g", Book.PAYMENT, f"{which}{n}") is None for which in "op"}) == 1
        opened(ledger, row("after"))

    @pytest.mark.parametrize("way", ["opened after the fork", "opened before"])
    def test_processes_open_each_row_once_and_change_it_once(self, opens: Callable[[], Ledger], way: str) -> None:
        if not self.survives or "fork" not in multiprocessing.get_all_start_methods():
            pytest.skip("several processes cannot share this store, or this system does not fork")
        parent = opens()
        before, = opened(parent, row("before"))
        context: Any = multiprocessing.get_context("fork")
        results = context.Queue()
        children = [context.Process(target=_in_a_process, args=(parent if way == "opened before" else opens, results))
                    for _ in range(3)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Threads of earlier tests may be about.
            for child in children:
                child.start()
        _in_a_process(parent, results)
        found = [results.get(timeout=120) for _ in range(4)]
        assert [f for f in found if isinstance(f, LedgerError)] == []
        for child in children:
            child.join(120)
            assert child.exitcode == 0
        assert sorted(n for new, _, _ in found for n in new) == list(range(30))
        assert sorted(n for _, changed, _ in found for n in changed) == list(range(30))
        assert sum(took for _, _, took in found) == 1
        assert parent.get("g", Book.PAYMENT, "before") == before
        parent.close()
        again = opens()
        assert len(again.unresolved("g", 100)) == 32
        again.close()


def _in_a_process(opens: Callable[[], Ledger] | Ledger, results: Any) -> None:
    """Open every id and say which were new; change every row; take the refund if it is free."""
    try:
        mine = opens() if callable(opens) else opens
        new = [n for n in range(30) if mine.open([row(f"o{n}")], note(f"by {os.getpid()}"))[0][1]]
        changed = [n for n in range(30) if _moved_first(mine, f"o{n}")]
        took = mine.open([refund(f"c{os.getpid()}")], note())[0][1]
        results.put((new, changed, took))
        if callable(opens):
            mine.close()
    except LedgerError as error:
        results.put(error)


def _moved_first(ledger: Ledger, id: str) -> bool:
    held = ledger.get("g", Book.PAYMENT, id)
    assert held is not None
    return held.fence == 0 and ledger.change(evolve(held, checks=1), note()) is not None
