"""Connections to PostgreSQL: how one is made, how long it may take to answer, and which are kept for the next call.

A connection keeps no state between transactions: no prepared statement, no setting, no lock. So it may as well lead
through PgBouncer in transaction mode.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Mapping
from math import ceil
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..secret import Secret
from . import forks
from .row import LedgerError, NoPlace

T = TypeVar("T")

_DEFAULTS: Mapping[str, Any] = {"application_name": "paygate", "client_encoding": "UTF8", "keepalives_idle": 30,
                                "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
_IDLE_S = 240.0
"""Balancers and firewalls drop what is silent for longer than some minutes, without a word."""


class Line(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for the server until `until`, and not a moment longer."""

    until: float = 0.0
    since: float = 0.0
    """When it was last used."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and monotonic() > self.until:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as stop:
            value: T = stop.value
            return value


class Lines:
    """Connections to one database."""

    def __init__(self, url: Secret) -> None:
        try:
            said = conninfo_to_dict(url.reveal())
        except psycopg.Error:
            said = {}
        if not said:
            raise NoPlace("this is no PostgreSQL address: postgresql://user:password@host/database")
        self.name = f"database {said.get('dbname') or said.get('user') or ''}".strip()
        self._url = Secret(make_conninfo(**{**_DEFAULTS, **said}))
        self._idle: list[Line] = []
        self._guard = threading.Lock()
        self._pid = os.getpid()
        self.is_closed = False
        forks.tell(self)

    def take(self, until: float) -> Line:
        """A connection: the one used last, or a new one.

        Raises: LedgerError.
        """
        with self._guard:
            if self._pid != os.getpid():
                self._abandon()
            old = [line for line in self._idle if monotonic() - line.since > _IDLE_S]
            self._idle = [line for line in self._idle if line not in old]
            line = self._idle.pop() if self._idle else None
        for one in old:
            one.close()
        if line is None:
            line = self._connect(until)
        line.until = until
        return line

    def give_back(self, line: Line) -> None:
        """Keep it for the next call, if it is fit for one."""
        if not self.is_closed and not line.closed and line.pgconn.transaction_status == 0:
            line.since = monotonic()
            with self._guard:
                self._idle.append(line)
        else:
            line.close()

    def drop(self) -> None:
        """Close what is kept: a connection broke, so the others lead to the same dead end."""
        with self._guard:
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    def _connect(self, until: float) -> Line:
        if self.is_closed:
            raise LedgerError("the ledger is closed")
        if until <= monotonic():
            raise LedgerError(f"{self.name} was busy for too long")
        wait = max(2, ceil(until - monotonic()))  # Less than two seconds libpq does not know.
        try:
            return Line.connect(self._url.reveal(), autocommit=True, prepare_threshold=None, connect_timeout=wait)
        except psycopg.Error as error:
            said = " ".join(str(error).split())
        # Outside of the handler: its frames hold the address, password and all.
        raise LedgerError(f"{self.name} cannot be reached: {said}")

    def close(self) -> None:
        """Close everything that is not in use, and whatever is as soon as it is given back."""
        self.is_closed = True
        self.drop()

    def before_fork(self) -> None:
        pass

    def after_fork(self, *, is_child: bool) -> None:
        if is_child:
            self._guard = threading.Lock()
            self._abandon()

    def _abandon(self) -> None:
        # To close one would tell the server that the parent leaves: so a child keeps them, and never uses them.
        _INHERITED.extend(self._idle)
        self._idle, self._pid = [], os.getpid()


_INHERITED: list[Line] = []
