"""kill -9 at every point of a call (T04), from outside: the PG's double kills the client's process, or a lock on the
ledger holds it while it is killed. After a restart and the looks of the timetable the checker finds nothing.

S0 before the intent · S1 intent durable · S2 marked as sent · S3 connected · S4 bytes out, PG not done · S5 PG done ·
S6 answer read, result not durable · S7 result durable · S9 returned. (S8, an event queued, is of webhooks' inbox.)
PAYGATE_TIMES=50 repeats everything so often.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from pg_server import database
from trials import TIMES, VERBS, lock, offered, trial
from victims import Nursery

from paygate.ledger.row import State

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are watched through /proc")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the ledger of every trial of this store is; each trial has a gateway name of its own."""
    with database() if request.param == "postgres" else nullcontext() as url:
        yield url or str(tmp_path_factory.mktemp("ledger") / "ledger.db")


ALL = pytest.mark.parametrize(("provider", "verb"), offered())
AGAIN = pytest.mark.parametrize("time_", range(TIMES))

@AGAIN
@ALL
def test_s0_killed_before_its_intent_is_durable_nothing_reached_the_pg(
        provider: str, verb: str, where: str, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    with trial(provider, verb, where, nursery, tmp_path) as t:
        with lock(where):
            child = t.begin(barrier=str(tmp_path / "go"))
            while not (t.folder / "diary.ready").exists():
                time.sleep(0.001)
            (tmp_path / "go").touch()
            time.sleep(random.random() * 0.05)  # Wherever it is by then, it cannot have written its intent.
            child.kill()
        assert t.pg.count(VERBS[verb]) == 0
        row = t.row()
        assert t.is_served or row is None or row.state is State.SCHEDULED
        t.recover()


@AGAIN
@pytest.mark.parametrize(("provider", "verb"), [(p, v) for p, v in offered() if v == "cancel" or "steppay" not in p])
def test_s1_killed_once_its_intent_is_durable_nothing_reached_the_pg(
        provider: str, verb: str, where: str, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    """It has asked for a token or looked at the balance; a provider that asks for neither has no such point."""
    with trial(provider, verb, where, nursery, tmp_path) as t:
        kind = "look" if verb == "cancel" else "token"
        t.pg.at(kind, "accepted", lambda: t.child and t.child.kill())
        child = t.begin()
        child.wait()
        row = t.row()
        assert row is not None
        assert row.state is (State.OPENED if verb == "cancel" else State.SENT)
        assert t.pg.count(VERBS[verb]) == 0
        t.recover()


@AGAIN
@ALL
def test_s3_killed_as_it_connects(provider: str, verb: str, where: str, nursery: Nursery, tmp_path: Path,
                                  time_: int) -> None:
    """It may have written a byte by then, or none."""
    with trial(provider, verb, where, nursery, tmp_path) as t:
        before = t.pg.connections
        # Its own requests before: a token; a look for a refund, and at one provider none of both.
        earlier = {"steppay-unmanaged": 0}.get(provider, 1) + (1 if verb == "cancel" else 0)
        t.pg.at_connection = before + earlier + 1, lambda: t.child and t.child.kill()
        t.begin().wait()
        assert t.row() is not None
        t.recover()


WORKING = [(point, goes_on) for point in ("accepted", "head", "body") for goes_on in (True, False)] + [
    (point, True) for point in ("done", "half", "answered", "read")]


@AGAIN
@ALL
@pytest.mark.parametrize(("point", "carries_on"), WORKING,
                         ids=[f"{point}-{'pg-goes-on' if goes_on else 'pg-gives-up'}" for point, goes_on in WORKING])
def test_s4_to_s6_killed_while_the_pg_works_and_answers(provider: str, verb: str, point: str, carries_on: bool,
                                                        where: str, nursery: Nursery, tmp_path: Path,
                                                        time_: int) -> None:
    with trial(provider, verb, where, nursery, tmp_path, carries_on=carries_on) as t:
        t.pg.at(VERBS[verb], point, lambda: t.child and t.child.kill())
        t.begin().wait()
        t.until_passed(VERBS[verb], point)
        row = t.row()
        assert row is not None
        if point in ("accepted", "head", "body", "done", "half"):
            assert row.state is State.SENT
        t.recover()


@AGAIN
@ALL
def test_s6_killed_with_the_answer_read_and_the_result_not_durable(
        provider: str, verb: str, where: str, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    with trial(provider, verb, where, nursery, tmp_path) as t:
        held = lock(where)
        t.pg.at(VERBS[verb], "half", lambda: held.__enter__())
        child = t.begin()
        try:
            t.until_passed(VERBS[verb], "read")
            time.sleep(random.random() * 0.02)
            child.kill()
        finally:
            held.__exit__(None, None, None)
        row = t.row()
        assert row is not None
        assert row.state is State.SENT or t.is_served
        assert child.diary == []
        t.recover()


@AGAIN
@ALL
def test_s7_killed_once_its_result_is_durable(provider: str, verb: str, where: str, nursery: Nursery,
                                              tmp_path: Path, time_: int) -> None:
    with trial(provider, verb, where, nursery, tmp_path) as t:
        child = t.begin(lingers=True)
        t.until(lambda row: row is not None and row.state is State.ANSWERED)
        child.kill()
        assert t.row() is not None
        t.recover()
        assert t.pg.count(VERBS[verb]) == 1


@AGAIN
@ALL
def test_s9_killed_after_it_returned(provider: str, verb: str, where: str, nursery: Nursery, tmp_path: Path,
                                     time_: int) -> None:
    with trial(provider, verb, where, nursery, tmp_path) as t:
        child = t.begin(lingers=True)
        child.until_written(2)
        child.kill()
        assert child.diary[0]["said"] == {"cancel": "done", "schedule": "pending"}.get(verb, "paid")
        t.recover()
        assert t.pg.count(VERBS[verb]) == 1


@pytest.mark.parametrize("number", range(4 * TIMES))
@ALL
def test_killed_at_any_moment(provider: str, verb: str, number: int, where: str, nursery: Nursery, tmp_path: Path
                              ) -> None:
    with trial(provider, verb, where, nursery, tmp_path) as t:
        child = t.begin(barrier=str(tmp_path / "go"))
        while not (t.folder / "diary.ready").exists():
            time.sleep(0.001)
        (tmp_path / "go").touch()
        time.sleep(random.random() ** 2 * 0.06)
        child.kill()
        t.recover()
