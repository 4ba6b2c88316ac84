"""The stores of ours, each against the contract that every store has to keep; and stores that break it, against it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server

from paygate import Ledger, MemoryLedger
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing import LedgerContract


class TestMemoryLedger(LedgerContract):
    survives = False

    @pytest.fixture
    def opens(self) -> Callable[[], Ledger]:
        return MemoryLedger


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    def opens(self, tmp_path: Path) -> Callable[[], Ledger]:
        return lambda: SqliteLedger(tmp_path / "ledger.db")


class TestPostgresLedger(LedgerContract):
    @pytest.fixture
    def opens(self) -> Iterator[Callable[[], Ledger]]:
        with pg_server.database() as url:
            from paygate.ledger.postgres import PostgresLedger

            yield lambda: PostgresLedger(url)
