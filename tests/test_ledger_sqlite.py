"""What only a SQLite file can be asked: durability, modes, full disks, locks, where it lies, and forks."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from paygate import LedgerError
from paygate.ledger import sqlite_place
from paygate.ledger.row import Book, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.ledger_races import note, opened, row


def raw(ledger: SqliteLedger, text: str) -> Any:
    """Ask the very connection that writes."""
    db = ledger._file._writer
    assert db is not None
    return db.execute(text).fetchone()


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


def test_the_connection_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    assert raw(ledger, "PRAGMA journal_mode") == ("wal",)
    assert raw(ledger, "PRAGMA synchronous") == (2,)
    assert raw(ledger, "PRAGMA foreign_keys") == (1,)
    assert raw(ledger, "PRAGMA fullfsync") == (1,)
    ledger.close()


def test_a_place_without_a_write_ahead_log_is_refused_and_leaves_no_file(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LedgerError, match="durable"):
        SqliteLedger(":memory:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", ["folder", "text", "newer", "other", "missing"])
def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "l.db"
    if spoil == "folder":
        path.mkdir()
    elif spoil == "text":
        path.write_text("this is not a database " * 100)
    elif spoil in ("newer", "other"):
        SqliteLedger(path).close()
        with sqlite3.connect(path) as db:
            db.execute("UPDATE paygate_migration SET number = 99 WHERE number = 1" if spoil == "newer" else
                       "UPDATE paygate_migration SET checksum = 'another'")
        db.close()
    else:
        path = tmp_path / "no" / "l.db"
    with pytest.raises(LedgerError) as caught:
        SqliteLedger(path)
    assert "\n" not in str(caught.value)
    if spoil == "text":
        assert path.read_text().startswith("this is not")


def test_many_callers_share_one_commit(tmp_path: Path) -> None:
    ledger, commits = SqliteLedger(tmp_path / "l.db"), [0]
    opened(ledger, row("before"))
    lane = ledger._file.writes
    assert lane.hold(10)  # Everybody queues behind this.
    threads = [threading.Thread(target=opened, args=(ledger, row(f"o{n}"))) for n in range(20)]
    for thread in threads:
        thread.start()
    while len(lane._jobs) < 20:
        threading.Event().wait(0.001)
    db = ledger._file._writer
    assert db is not None
    db.set_trace_callback(lambda text: commits.__setitem__(0, commits[0] + (text == "COMMIT")))
    lane.let_go()
    for thread in threads:
        thread.join()
    assert commits == [1]
    assert len(ledger.unresolved("g", 100)) == 21
    ledger.close()


def test_of_those_who_share_a_commit_one_that_fails_takes_nobody_with_it(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    lane, said = ledger._file.writes, {}
    assert lane.hold(10)

    def work(id: str) -> None:
        try:
            said[id] = ledger.open([row(f"{id}-first"), row(id)], note())
        except LedgerError as error:
            said[id] = error
    threads = [threading.Thread(target=work, args=(id,)) for id in ("a", "b\ud800", "c")]
    for thread in threads:
        thread.start()
    while len(lane._jobs) < 3:
        threading.Event().wait(0.001)
    lane.let_go()
    for thread in threads:
        thread.join()
    assert isinstance(said["b\ud800"], LedgerError)
    assert {r.id for r in ledger.unresolved("g", 100)} == {"a", "a-first", "c", "c-first"}
    ledger.close()


def test_a_lock_that_is_never_let_go_is_an_error_in_time_and_reading_goes_on(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db", patience_s=0.05)
    opened(ledger, row())
    other = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        ledger.open([row("o2")], note())
    assert ledger.get("g", Book.PAYMENT, "o1") == row()
    other.execute("ROLLBACK")
    other.close()
    opened(ledger, row("o2"))
    ledger.close()


def test_a_full_disk_is_an_error_and_takes_nothing_with_it(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    held, = opened(ledger, row())
    raw(ledger, f"PRAGMA max_page_count = {raw(ledger, 'PRAGMA page_count')[0]}")
    with pytest.raises(LedgerError, match="full"):
        ledger.open([row(f"f{n}", result="x" * 2000) for n in range(1000)], note())
    assert ledger.get("g", Book.PAYMENT, "o1") == row()
    assert ledger.get("g", Book.PAYMENT, "f0") is None
    raw(ledger, "PRAGMA max_page_count = 1000000")
    assert ledger.change(evolve(held, state=State.ANSWERED), note()) is not None
    ledger.close()


# Where it lies


@pytest.mark.parametrize(("kind", "ok"), [("ext4", True), ("overlay", True), ("tmpfs", True), ("nfs4", False),
                                          ("nfs", False), ("cifs", False), ("fuse.sshfs", False), ("9p", False),
                                          ("fuse.s3fs", False), ("ceph", False), ("fuse.ntfs-3g", True)])
def test_a_network_file_system_is_refused_before_the_file_is_made(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ok: bool) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    mounts = tmp_path / "mounts"
    named = str(folder).replace(" ", r"\040")
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {named} {kind} rw 0 0\nserver:/x /elsewhere nfs rw 0 0\n")
    monkeypatch.setattr(sqlite_place, "MOUNTS", mounts)
    if ok:
        SqliteLedger(folder / "l.db").close()
        return
    with pytest.raises(LedgerError, match="network"):
        SqliteLedger(folder / "l.db")
    assert list(folder.iterdir()) == []


def test_a_link_to_a_network_file_system_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far, mounts = tmp_path / "far", tmp_path / "mounts"
    far.mkdir()
    (tmp_path / "near").symlink_to(far)
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {far} nfs4 rw 0 0\n")
    monkeypatch.setattr(sqlite_place, "MOUNTS", mounts)
    with pytest.raises(LedgerError, match="network"):
        SqliteLedger(tmp_path / "near" / "l.db")


def test_a_system_that_does_not_tell_its_mounts_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_place, "MOUNTS", tmp_path / "nothing")
    SqliteLedger(tmp_path / "l.db").close()
    assert (tmp_path / "l.db").exists()


# Two processes

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/locks is Linux's")


def elsewhere(body: str, *arguments: object) -> str:
    """What another process prints, with a ledger open in this one."""
    import subprocess

    code = f"import os, sys\nfrom paygate.ledger.sqlite import SqliteLedger\n{body}"
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@linux
def test_a_second_process_is_warned_once_of_the_logs_fault(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    opened(ledger, row())
    said = elsewhere("""
from paygate.ledger import sqlite_place
sqlite_place._FAULTY = ((3, 7, 0), (9, 0, 0))
for _ in range(3):
    SqliteLedger(sys.argv[1])
""", tmp_path / "l.db")
    assert said.count("can corrupt the write-ahead log of l.db") == 1
    assert "\n" not in said.strip()
    ledger.close()


@linux
def test_one_process_alone_is_not_warned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, other = SqliteLedger(tmp_path / "l.db"), SqliteLedger(tmp_path / "l.db")
    assert caplog.records == []
    one.close()
    other.close()


@pytest.mark.parametrize(("version", "faulty"), [((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True),
                                                 ((3, 51, 2), True), ((3, 51, 3), False), ((4, 0, 0), False)])
def test_which_versions_have_the_logs_fault(version: tuple[int, ...], faulty: bool) -> None:
    assert sqlite_place.is_faulty(version) is faulty


@linux
def test_opening_a_ledger_again_does_not_drop_the_lock_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    one = SqliteLedger(path)
    opened(one, row())
    SqliteLedger(path).close()
    assert os.getpid() in (sqlite_place.shared_locks(path.stat().st_ino) or [])
    # So another process that comes and goes does not take the log for abandoned, and away.
    elsewhere("SqliteLedger(sys.argv[1]).close()", path)
    opened(one, row("o2"))
    one.close()
    again = SqliteLedger(path)
    assert len(again.unresolved("g", 10)) == 2
    again.close()


# Forks

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_a_child_commits_after_its_parent_closed_the_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    parent = SqliteLedger(path)
    opened(parent, row("o1"))
    (read, written), (go, went) = os.pipe(), os.pipe()
    if not (child := os.fork()):
        try:
            opened(parent, row("o2"))
            os.write(written, b"1")
            os.read(go, 1)
            opened(parent, row("o3"))
        finally:
            os._exit(0)
    assert os.read(read, 1) == b"1"
    opened(parent, row("o4"))
    parent.close()
    os.write(went, b"1")
    assert os.waitpid(child, 0)[1] == 0
    again = SqliteLedger(path)
    assert {r.id for r in again.unresolved("g", 10)} == {"o1", "o2", "o3", "o4"}
    again.close()


@forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_another_thread_writes_waits_for_it_and_the_child_goes_on(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    stop, count = threading.Event(), [0]

    def work() -> None:
        while not stop.is_set():
            opened(ledger, row(f"o{count[0]}"))
            count[0] += 1
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for n in range(10):
            if not (child := os.fork()):
                try:
                    opened(ledger, row(f"child-{n}"))
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
    assert len(ledger.unresolved("g", 100_000)) == count[0] + 10
    assert raw(ledger, "PRAGMA integrity_check") == ("ok",)
    ledger.close()


@forks
@linux
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_refuses_a_file_that_somebody_else_had_open_when_it_was_forked(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    SqliteLedger(path).close()
    mine = sqlite3.connect(path)  # A merchant's own connection: SQLite in the child takes its lock for held.
    mine.execute("SELECT * FROM paygate_row").fetchall()
    read, written = os.pipe()
    if not (child := os.fork()):
        try:
            SqliteLedger(path)
            os.write(written, b"opened")
        except LedgerError as error:
            os.write(written, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    said = os.read(read, 1000).decode()
    mine.close()
    assert "was open in this process's parent" in said


def test_a_process_forked_behind_pythons_back_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(LedgerError, match="forked"):
        opened(ledger, row())
    with pytest.raises(LedgerError, match="forked"):
        ledger.get("g", Book.PAYMENT, "o1")
    monkeypatch.undo()
    opened(ledger, row())
    ledger.close()
