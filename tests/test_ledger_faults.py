"""Real storage faults under a gateway: a file that may not grow, a disk that may not be written, a lock never let go.

F03 and F41 with nothing in between that only plays a fault: rlimits, another user, another process.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, charge

from paygate import NotSent, OutcomeUnknown
from paygate.ledger import audit
from paygate.ledger.row import State
from paygate.ledger.sqlite import SqliteLedger

unix = pytest.mark.skipif(os.name != "posix", reason="limits and users as Unix has them")
HERE = Path(__file__).parent


@unix
@pytest.mark.parametrize("face", FACES)
def test_a_file_that_may_not_grow_stops_charges_before_anything_is_sent(tmp_path: Path, face: str) -> None:
    """Charge until the limit is reached, in a process of its own; then raise it, and all goes on."""
    story = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
from shop import Shop, charge
from paygate import NotSent, PaygateError
from paygate.ledger.sqlite import SqliteLedger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Shop(sys.argv[3], SqliteLedger(sys.argv[2])) as shop:
    shop.charge(charge("before"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    told = []
    for n in range(60):
        sent = len(shop.pg.calls)
        try:
            told.append("recorded" if not shop.charge(charge(f"o{n}")).unrecorded else "unrecorded")
        except NotSent as error:
            assert len(shop.pg.calls) == sent and "ledger" in str(error), error
            told.append("not sent")
    assert "recorded" in told and told[-3:] == ["not sent"] * 3, told
    assert {m.order_id for m in shop.pg.journal.entries} == {"before", *(f"o{n}" for n, t in enumerate(told)
                                                                        if t != "not sent")}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    shop.settle()
    assert shop.pending() == [], shop.pending()
    for n in range(60):
        assert shop.charge(charge(f"o{n}")).unrecorded is False
    assert len(shop.pg.journal.entries) == 61
print("done")
"""
    done = subprocess.run([sys.executable, "-c", story, str(HERE), str(tmp_path / "l.db"), face], capture_output=True,
                          text=True, check=False, timeout=300)
    assert done.stdout == "done\n", done.stderr
    ledger = SqliteLedger(tmp_path / "l.db")
    with ledger.snapshot() as ask:
        assert audit.check(ask, 1e12).findings == []
    assert ledger.health() == []
    ledger.close()


@unix
def test_a_file_that_may_not_be_written_stops_the_gateway_at_connect_or_the_charge_before_it_is_sent(
        tmp_path: Path) -> None:
    """As a user who may read the file and not write it; root may write everything, so root becomes somebody else."""
    with tempfile.TemporaryDirectory(prefix="paygate-") as made:  # Nobody else may look into pytest's own folders.
        folder = Path(made)
        SqliteLedger(folder / "l.db").close()
        for path in (*folder.iterdir(), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            said = _as_somebody_else(folder, tmp_path)
        finally:
            folder.chmod(0o755)
    assert said.stdout == "refused\n", said.stderr


def _as_somebody_else(folder: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    story = """
import os, sys
sys.path.insert(0, sys.argv[1])
from shop import Shop, charge
from paygate import LedgerError, NotSent, connect
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport
from paygate.ledger.sqlite import SqliteLedger
with Shop(ledger=SqliteLedger(sys.argv[3])) as shop:
    shop.charge(charge())  # Whatever is imported late is imported now: the other user may not read it.
if not os.geteuid():
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
pg = FakePG()
pg.issue_key("key-1")
try:
    gate = connect(FAKEPG, pg.settings(), ledger=sys.argv[2], http=EmulatorTransport(pg), clock=pg.clock)
    gate.charge(charge())
except (LedgerError, NotSent) as error:
    assert "ledger" in str(error), error
    assert pg.calls == []
    print("refused")
"""
    return subprocess.run([sys.executable, "-c", story, str(HERE), str(folder / "l.db"), str(tmp_path / "other.db")],
                          capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the file's lock."""
    holder = subprocess.Popen([sys.executable, "-c", "import sqlite3, sys\n"
                               "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                               "db.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()\n", path],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        yield
    finally:
        holder.stdin.close()
        holder.wait(60)
        holder.stdout.close()


@pytest.mark.parametrize("face", FACES)
def test_a_lock_that_another_process_holds_never_outlasts_the_call(tmp_path: Path, face: str) -> None:
    with Shop(face, SqliteLedger(tmp_path / "l.db"), deadline_s=0.5) as shop:
        shop.charge(charge("before"))
        with locked(tmp_path / "l.db"):
            began = time.monotonic()
            with pytest.raises(NotSent, match="locked"):
                shop.charge(charge())
            assert time.monotonic() - began < 15  # Its own patience is 30 s.
            assert shop.sent("POST /charges") == 1
            assert shop.row("before").state is State.ANSWERED  # Reading goes on.
            assert [line.note for line in shop.trail("before")][-1] == "the PG's record says paid"
        assert shop.charge(charge()).unrecorded is False


@pytest.mark.parametrize("face", FACES)
def test_a_lock_that_comes_while_the_pg_works_leaves_the_outcome_told_and_the_row_to_be_looked_up(
        tmp_path: Path, face: str) -> None:
    with Shop(face, SqliteLedger(tmp_path / "l.db"), deadline_s=1.0) as shop:
        really = shop.pg.handle
        with ExitStack() as until_then:
            def handle(call: Any) -> Any:
                if call.path == "/charges":
                    until_then.enter_context(locked(tmp_path / "l.db"))
                return really(call)
            shop.pg.handle = handle  # type: ignore[method-assign]
            payment = shop.charge(charge())
        assert (payment.status, payment.unrecorded) == ("paid", True)
        assert shop.row("o1").state is State.SENT
        shop.settle()
        assert shop.row("o1").state is State.ANSWERED
        assert shop.sent("POST /charges") == 1


@pytest.mark.parametrize("face", FACES)
def test_a_table_that_vanishes_under_the_gateway_is_no_licence_to_send(tmp_path: Path, face: str) -> None:
    with Shop(face, SqliteLedger(tmp_path / "l.db")) as shop:
        shop.charge(charge("before"))
        db = sqlite3.connect(tmp_path / "l.db")
        db.executescript("DROP TRIGGER paygate_line_kept; DROP TRIGGER paygate_line_held; DROP TABLE paygate_line;")
        db.close()
        with pytest.raises(NotSent, match="ledger"):
            shop.charge(charge())
        with pytest.raises(OutcomeUnknown, match="ledger"):
            shop.trail("before")
        assert shop.sent("POST /charges") == 1
