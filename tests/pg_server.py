"""A PostgreSQL server of the machine's own, started for this process's tests on a socket of its own; gone with it.

`with database() as url` gives the address of a new, empty database. Where there is no PostgreSQL, what needs it is
skipped, unless CI=true: then that is a failure. PostgreSQL refuses to run as root, so then it runs as user postgres.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

USER = "postgres"
_PATIENCE_S = 120.0


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs."""
    found = [Path(f).parent for f in (shutil.which("postgres"), shutil.which("initdb")) if f]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -float(p.parent.name))
    return next((p for p in found if (p / "postgres").exists() and (p / "initdb").exists()), None)


def _as_postgres() -> dict[str, Any]:
    if os.geteuid():
        return {}
    user = pwd.getpwnam(USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Server:
    """One server; `stop` and `start` are there for tests of a restart. `is_durable` ones are for benchmarks."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self._is_durable = is_durable
        where = programs()
        assert where is not None
        self.programs = where
        self.folder = Path(tempfile.mkdtemp(prefix="paygate-pg-"))
        if not os.geteuid():
            os.chown(self.folder, pwd.getpwnam(USER).pw_uid, -1)
        self.data = self.folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        self._owner = os.getpid()
        atexit.register(self.remove)
        self.start()

    def url(self, database: str = USER) -> str:
        """The address of a database."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-h", "", "-k", str(self.folder), "-c",
                   "max_connections=200", "-c", "shared_buffers=32MB", "-c", "max_wal_size=256MB"]
        if not self._is_durable:  # Its crashes are the process's, never the machine's: nothing has to reach the disk.
            command += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        if shutil.which("setpriv"):  # It goes with this process, even if that is killed.
            command = ["setpriv", "--pdeathsig", "INT", *command]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as_postgres())
        end = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert time.monotonic() < end, "the server does not start"
            assert self._process.poll() is None, (self.folder / "log").read_text(errors="replace")
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop it: SIGINT throws everybody out, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def pause(self) -> None:
        """Have it stand still: it accepts nobody. `go_on` ends that."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End what `pause` began."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new, empty database, which is gone afterwards."""
        name = f"test_{os.getpid()}_{next(self._names)}"
        self.tell(f"CREATE DATABASE {name}")
        yield self.url(name)
        if self._process is not None:
            self.tell(f"DROP DATABASE {name} WITH (FORCE)")

    def tell(self, command: str) -> list[Any]:
        """Carry out one statement as the superuser, outside of every test's database; its rows."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            done = connection.execute(command.encode())
            return done.fetchall() if done.description else []

    def remove(self) -> None:
        """Stop it and remove its files."""
        if os.getpid() == self._owner:  # not a forked child's
            self.stop(signal.SIGQUIT)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([str(self.programs / program), *arguments], cwd=self.folder, check=False,
                              capture_output=True, text=True, timeout=_PATIENCE_S, **_as_postgres())
        assert done.returncode == 0, done.stderr


_shared: list[Server] = []


def server() -> Server:
    """The server of this process, shared by all its tests: leave it as you found it."""
    lacks = "PostgreSQL is not installed" if programs() is None else ""
    try:
        import psycopg  # noqa: F401
    except ModuleNotFoundError:
        lacks = "psycopg is not installed"
    if lacks and os.environ.get("CI") == "true":
        pytest.fail(f"{lacks}, and CI=true")
    if lacks:
        pytest.skip(f"!!! {lacks}: nothing about it was tested !!!")
    if not _shared:
        _shared.append(Server())
    return _shared[0]


@contextmanager
def database() -> Iterator[str]:
    """The address of a new, empty database on the shared server."""
    with server().database() as url:
        yield url


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server for one test, which may stop and kill it."""
    server()  # skips, or fails
    made = Server()
    yield made
    made.remove()
