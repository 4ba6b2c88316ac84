"""A worker that is stopped past its lease (T05, F44): SIGSTOP at every point of a call, another worker takes over,
SIGCONT. The one that wakes sends nothing and changes nothing, and claims nothing that is not so.

Its deadline is three seconds, by the machine's own clock; the worker that takes over lives by one that is turned.
"""

from __future__ import annotations

import os
import random
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
import trustme

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from pg_server import database
from trials import TIMES, VERBS, Trial, lock, offered, trial
from victims import Nursery

from paygate.ledger.row import Row, State

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are stopped by signals")

DEADLINE_S = 6.0
CA = trustme.CA()
POINTS = ("connected", "dropped", "body", "done", "half", "answered", "read")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with database() if request.param == "postgres" else nullcontext() as url:
        yield url or str(tmp_path_factory.mktemp("ledger") / "ledger.db")


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    CA.configure_trust(client)
    return server, client


def stop_at(t: Trial, point: str) -> None:
    """Begin the call, and stop its process at that point."""
    def stop() -> str | None:
        assert t.child is not None
        t.child.stop()
        return "drop" if point == "dropped" else None

    if point == "connected":
        # With TLS: the connection stands, and not a byte of the request can have left.
        earlier = {"steppay-unmanaged": 0}.get(t.provider, 1) + (1 if t.verb == "cancel" else 0)
        t.pg.at_connection = t.pg.connections + earlier + 1, stop
    else:
        t.pg.at(VERBS[t.verb], "body" if point == "dropped" else point, stop)
    t.begin(deadline_s=DEADLINE_S, timeout_s=DEADLINE_S, trusts=CA.cert_pem.bytes().decode())
    assert t.child is not None
    for _ in range(3):
        t.child.until_stopped_or_over()
        if not t.child.is_dead or t.pg.count(VERBS[t.verb]):
            break
        # It gave up before it came to that point (the ledger was busy, time was over), and nothing was sent.
        t.begin(deadline_s=DEADLINE_S, timeout_s=DEADLINE_S, trusts=CA.cert_pem.bytes().decode())
    t.stands_still()


def take_over(t: Trial) -> Row:
    """What another worker does once the lease is over: it looks, and asks again what is proven not sent."""
    for seconds in (400, 40, 130, 130):
        t.pg.emulator.clock.advance(seconds)
        assert t.gate.reconcile().failed == {}
    t.ask()
    t.told(t.make)
    row = t.row()
    assert row is not None
    return row


@pytest.mark.parametrize("time_", range(TIMES))
def test_a_worker_stopped_past_its_lease_sends_and_writes_nothing_when_it_wakes(
        where: str, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    with ExitStack() as stack:
        trials: list[tuple[Trial, str]] = []
        for provider, verb in offered("fakepg", "portone-naverpay"):
            for point in POINTS:
                t = stack.enter_context(trial(provider, verb, where, nursery, tmp_path,
                                              tls=contexts() if point == "connected" else None))
                stop_at(t, point)
                trials.append((t, point))
        time.sleep(DEADLINE_S * 1.2)
        for t, point in trials:
            assert t.child is not None
            before = t.pg.count(VERBS[t.verb])
            row = take_over(t)
            sent = t.pg.count(VERBS[t.verb])
            assert row.state is State.ANSWERED, (t.provider, t.verb, point)
            t.child.go_on()
            t.child.wait()
            assert t.pg.count(VERBS[t.verb]) == sent, f"{t.provider} {t.verb} sent after {point}"
            assert sent - before == (point in ("connected", "dropped"))
            after = t.row()
            assert after == row, f"{t.provider} {t.verb} wrote after {point}"
            assert t.child.diary[0]["said"] is not None, t.child.diary
            if point == "connected":
                assert t.child.diary[0]["said"] in ("busy", "unknown", "paid", "done", "pending")
            t.recover()


@pytest.mark.parametrize("time_", range(TIMES))
def test_a_worker_stopped_before_its_intent_is_written_sends_nothing_when_it_wakes(
        where: str, nursery: Nursery, tmp_path: Path, time_: int) -> None:
    """Its write waits for a lock while others take, send and settle the order; then it finds the order settled.

    A server carries the write out while its client stands still: that client wakes too late to send.
    """
    with ExitStack() as stack:
        trials = []
        for provider, verb in offered("fakepg"):
            if verb == "run_due":
                continue
            t = stack.enter_context(trial(provider, verb, where, nursery, tmp_path))
            with lock(where):
                child = t.begin(barrier=str(t.folder / "go"), deadline_s=DEADLINE_S, timeout_s=DEADLINE_S)
                while not (t.folder / "diary.ready").exists():
                    time.sleep(0.001)
                (t.folder / "go").touch()
                time.sleep(random.random() * 0.05)
                child.stop()
            t.stands_still()
            trials.append((t, child))
        time.sleep(DEADLINE_S * 1.2)
        for t, child in trials:
            row = take_over(t)
            sent = t.pg.count(VERBS[t.verb])
            child.go_on()
            child.wait()
            assert t.pg.count(VERBS[t.verb]) == sent
            assert t.row() == row
            t.recover()
