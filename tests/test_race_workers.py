"""Worker processes that are killed, frozen or lose their database while they charge what is due, with both runners.

The crew are real processes, the PG answers behind real sockets, and its journal is the judge: each due charge is made
once, none is lost. What is left over when the workers are gone is done once the clock is past every claim.
PAYGATE_TIMES=50 repeats everything so often.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from crew import Crew
from pg_server import Server, database, own_server
from real_pg import POINTS
from trials import TIMES
from victims import PATIENCE_S, Nursery

from paygate.ledger.row import State

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are watched through /proc")
__all__ = ["own_server"]

AGAIN = pytest.mark.parametrize("time_", range(TIMES))
DEADLINE_S = 3.0


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        yield str(tmp_path / "ledger.db") if request.param == "sqlite" else stack.enter_context(database())


def begin(crew: Crew, verb: str, count: int) -> None:
    if verb == "procrastinate":
        pytest.importorskip("procrastinate")
        crew.feed()
    crew.start(count, verb)


@AGAIN
@pytest.mark.parametrize(("where", "verb", "count"), [
    ("sqlite", "work", 2), ("postgres", "work", 8), ("postgres", "procrastinate", 2), ("postgres", "procrastinate", 8),
], indirect=["where"])
def test_workers_killed_at_every_point_of_a_charge_leave_each_charged_once(
        where: str, verb: str, count: int, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    with Crew(where, nursery, tmp_path, due=40) as crew:
        points = POINTS[:-1]
        for point in points:
            crew.pg.at("charge", point, lambda: crew.kill_one_and_replace_it(verb))
        begin(crew, verb, count)
        crew.until(lambda: crew.kills == len(points), "not everybody came to be killed")
        crew.kill_all()
        crew.finish()


@AGAIN
@pytest.mark.parametrize(("where", "verb"), [
    ("sqlite", "work"), ("postgres", "work"), ("postgres", "procrastinate")], indirect=["where"])
def test_workers_frozen_past_their_leases_charge_nothing_again_when_they_wake(
        where: str, verb: str, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    with Crew(where, nursery, tmp_path, deadline_s=DEADLINE_S, timeout_s=DEADLINE_S) as crew:
        begin(crew, verb, 2)
        # Not so many charged: where the machine is busy, a second is soon over, and what was late is done below.
        crew.until(lambda: crew.pg.count("charge", "accepted") >= 4, "the workers ask the PG for nothing")
        crew.stop_all()
        time.sleep(DEADLINE_S * 1.1)  # Theirs is the machine's clock: past the lease of whatever they hold.
        crew.finish()
        for child in crew.children:
            child.go_on()
        for child in crew.children:
            child.terminate()
            child.wait()
        assert crew.charged() == dict.fromkeys(crew.orders, 1)
        crew.finish()


@AGAIN
@pytest.mark.parametrize("verb", ["work", "procrastinate"])
def test_a_database_that_crashes_in_the_middle_costs_no_charge_and_makes_none_twice(
        verb: str, own_server: Server, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    is_there, is_over = threading.Event(), threading.Event()

    def wait() -> None:
        is_there.set()
        is_over.wait(PATIENCE_S)

    with own_server.database() as where, Crew(where, nursery, tmp_path) as crew:
        crew.pg.at("charge", "done", wait)  # The PG has taken the money, and nobody has read of it.
        begin(crew, verb, 2)
        assert is_there.wait(PATIENCE_S)
        own_server.stop(signal.SIGQUIT)  # In this thread: a server goes with the thread that started it.
        own_server.start()
        is_over.set()
        if verb == "work":
            crew.until_taken_up()  # The workers go on by themselves.
        crew.kill_all()
        crew.finish()


@AGAIN
@pytest.mark.parametrize("where", ["sqlite", "postgres"], indirect=True)
def test_workers_told_to_stop_end_what_they_began_and_leave_no_doubt(where: str, nursery: Nursery, tmp_path: Path,
                                                                     time_: int) -> None:
    with Crew(where, nursery, tmp_path) as crew:
        crew.start(2)
        crew.until_charged(3)
        crew.until(lambda: all(child.listens for child in crew.children), "a worker does not begin")
        for child in crew.children:
            child.terminate()
            child.wait()
            assert child.diary[0]["said"] == "worked", child.diary
        states = {order: crew.row(order) for order in crew.charged()}
        assert {row.state for row in states.values() if row} == {State.ANSWERED}
        crew.finish()
