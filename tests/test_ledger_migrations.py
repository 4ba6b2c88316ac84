"""The ledger's tables: made once, brought forward from the first version on, never back, by whoever comes first."""

from __future__ import annotations

import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server

from paygate import LedgerError, Money
from paygate.ledger import audit, chain, migrate
from paygate.ledger.row import Book, Kind, Row, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.ledger_races import note, opened, row

FIRST = """
CREATE TABLE paygate_row (
    gateway TEXT NOT NULL, book TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, order_id TEXT NOT NULL,
    digest TEXT NOT NULL, state TEXT NOT NULL, opened_at REAL NOT NULL, amount INTEGER, currency TEXT,
    fence INTEGER NOT NULL, lease_until REAL, sent_at REAL, check_at REAL, checks INTEGER NOT NULL, missed_at REAL,
    attention TEXT, provider_id TEXT, due_at REAL, before INTEGER, key_digest TEXT, result TEXT, refusal TEXT,
    PRIMARY KEY (gateway, book, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX paygate_row_provider ON paygate_row (gateway, provider_id)
    WHERE book = 'payment' AND provider_id IS NOT NULL;
CREATE UNIQUE INDEX paygate_row_one_cancel ON paygate_row (gateway, order_id)
    WHERE book = 'cancel' AND state IN ('opened', 'sent', 'unknown');
CREATE INDEX paygate_row_refunds ON paygate_row (gateway, order_id) WHERE book = 'cancel';
CREATE INDEX paygate_row_check ON paygate_row (gateway, check_at) WHERE check_at IS NOT NULL;
CREATE INDEX paygate_row_attention ON paygate_row (gateway, opened_at) WHERE attention IS NOT NULL;
CREATE INDEX paygate_row_key ON paygate_row (gateway, key_digest) WHERE key_digest IS NOT NULL;
CREATE INDEX paygate_row_unresolved ON paygate_row (gateway, opened_at) WHERE state IN ('opened', 'sent', 'unknown');
CREATE TABLE paygate_line (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, gateway TEXT NOT NULL, book TEXT NOT NULL, id TEXT NOT NULL,
    fence INTEGER NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL
);
CREATE INDEX paygate_line_id ON paygate_line (gateway, id, seq);
PRAGMA user_version = 1;
"""
"""What the first version made, before migrations had numbers."""


def first_version(path: Path) -> None:
    """A ledger file of the first version: a charge that was paid, one in doubt, a refund under way."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript(FIRST)
    rows = [("payment", "o1", "charge", "o1", "answered", 1, "p1", '{"a":1}'), ("payment", "o2", "charge", "o2",
            "unknown", 2, None, None), ("cancel", "c1", "cancel", "o1", "opened", 0, None, None)]
    for book, id, kind, order_id, state, fence, provider_id, result in rows:
        db.execute("INSERT INTO paygate_row (gateway, book, id, kind, order_id, digest, state, opened_at, amount,"
                   " currency, fence, checks, provider_id, result) VALUES ('g', ?, ?, ?, ?, 'd', ?, 1, 100, 'KRW', ?,"
                   " 0, ?, ?)", (book, id, kind, order_id, state, fence, provider_id, result))
    lines = [("payment", "o1", 0, "sent"), ("payment", "o2", 0, "sent"), ("payment", "o1", 1, "answered"),
             ("payment", "o2", 1, "unknown"), ("cancel", "c1", 0, "opened"), ("payment", "o2", 2, "unknown")]
    for at, line in enumerate(lines):
        db.execute("INSERT INTO paygate_line (at, gateway, book, id, fence, state, note) VALUES"
                   f" ({at}, 'g', ?, ?, ?, ?, 'note {at}')", line)
    db.commit()
    db.close()


def test_a_file_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    first_version(tmp_path / "l.db")
    ledger = SqliteLedger(tmp_path / "l.db")
    assert [m.number for m in ledger.applied] == [m.number for m in migrate.migrations()][1:]
    paid = ledger.get("g", Book.PAYMENT, "o1")
    assert paid == Row(gateway="g", kind=Kind.CHARGE, id="o1", order_id="o1", digest="d", state=State.ANSWERED,
                       opened_at=1.0, money=Money(100, "KRW"), fence=1, provider_id="p1", result='{"a":1}')
    assert [(line.fence, line.state.value, line.note) for line in ledger.trail("g", "o2")] == [
        (0, "sent", "note 1"), (1, "unknown", "note 3"), (2, "unknown", "note 5")]
    with ledger.snapshot() as ask:
        report = audit.check(ask, 10_000.0)
    assert (report.rows, report.lines, report.findings) == (3, 6, [])
    assert ledger.health() == []
    held = ledger.get("g", Book.CANCEL, "c1")
    assert held is not None
    assert ledger.change(held, note("goes on")) is not None
    assert ledger.open([row("o1", digest="other")], note())[0][1] is False
    ledger.close()
    again = SqliteLedger(tmp_path / "l.db")
    assert again.applied == ()
    again.close()


def test_the_first_version_may_be_left_as_it_is(tmp_path: Path) -> None:
    first_version(tmp_path / "l.db")
    before = (tmp_path / "l.db").read_bytes()
    with pytest.raises(LedgerError, match="ledger upgrade"):
        SqliteLedger(tmp_path / "l.db", upgrades=False)
    assert (tmp_path / "l.db").read_bytes() == before


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_version(tmp_path / "l.db")
    ours = migrate.migrations()
    broken = (*ours[:-1], migrate.Migration(ours[-1].number, "broken", "CREATE TABLE x (y);\nNO SUCH STATEMENT;\n"))
    monkeypatch.setattr(migrate, "migrations", lambda: broken)
    with pytest.raises(LedgerError):
        SqliteLedger(tmp_path / "l.db")
    monkeypatch.undo()
    ledger = SqliteLedger(tmp_path / "l.db")
    assert len(ledger.trail("g", "o2")) == 3
    assert ledger.health() == []
    ledger.close()


def test_an_older_paygate_cannot_write_into_a_newer_file(tmp_path: Path) -> None:
    first_version(tmp_path / "l.db")
    SqliteLedger(tmp_path / "l.db").close()
    old = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
    old.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.Error):  # What the first version's open() did.
        old.execute("INSERT INTO paygate_line (at, gateway, book, id, fence, state, note)"
                    " VALUES (1, 'g', 'payment', 'o9', 0, 'sent', 'opened')")
    old.close()


def test_files_of_migrations_are_numbered_without_a_gap_and_end_with_a_line_break() -> None:
    found = migrate.migrations()
    assert [m.number for m in found] == list(range(1, len(found) + 1))
    assert all(m.text.endswith("\n") and m.text.startswith("-- ") for m in found)
    assert all("REAL" not in m.text and "INTEGER" not in m.text for m in found), "REAL has 24 bits in PostgreSQL"


def test_each_store_gets_its_own_part() -> None:
    one = migrate.Migration(1, "x", "A TEXT) WITHOUT ROWID;\n-- only sqlite\nB;\n-- only postgres\nC;\n-- both\nD;\n")
    assert one.for_("sqlite").split() == ["A", "TEXT)", "WITHOUT", "ROWID;", "B;", "D;"]
    assert one.for_("postgres").split() == ["A", "TEXT", "COLLATE", '"C");', "C;", "D;"]


def test_of_eight_that_find_no_tables_one_makes_them(tmp_path: Path) -> None:
    with pg_server.database() as url:
        from paygate.ledger.postgres import PostgresLedger

        for opens in (lambda: SqliteLedger(tmp_path / "l.db"), lambda: PostgresLedger(url)):
            made: list[Any] = []

            def work(opens: Any = opens, made: list[Any] = made) -> None:
                try:
                    made.append(opens())
                except Exception as error:
                    made.append(error)
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [m for m in made if isinstance(m, Exception)] == []
            opened(made[0], row())
            assert made[7].get("g", Book.PAYMENT, "o1") == row()
            for ledger in made:
                ledger.close()


def test_a_database_of_an_older_paygate_waits_for_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with pg_server.database() as url:
        from paygate.ledger.postgres import PostgresLedger

        ours = migrate.migrations()
        monkeypatch.setattr(migrate, "migrations", lambda: ours[:2])
        monkeypatch.setattr(migrate, "_AFTER", {})
        with pytest.raises(LedgerError):  # The code is newer than these tables; they are made all the same.
            opened(PostgresLedger(url), row())
        monkeypatch.undo()
        with pytest.raises(LedgerError, match="ledger upgrade"):
            PostgresLedger(url)
        ledger = PostgresLedger(url, upgrades=True)
        assert [m.number for m in ledger.applied] == [m.number for m in ours[2:]]
        opened(ledger, row())
        ledger.close()
        PostgresLedger(url).close()


@pytest.mark.parametrize("upgrades", [True, False])
def test_a_newer_database_and_one_with_other_migrations_are_refused(upgrades: bool) -> None:
    with pg_server.database() as url:
        import psycopg

        from paygate.ledger.postgres import PostgresLedger

        PostgresLedger(url).close()
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("UPDATE paygate_migration SET checksum = 'another' WHERE number = 2")
        with pytest.raises(LedgerError, match="migration 2 was another"):
            PostgresLedger(url, upgrades=upgrades)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("INSERT INTO paygate_migration VALUES (99, 'x', 'y', 1)")
            db.execute("UPDATE paygate_migration SET checksum = %s WHERE number = 2",
                       (migrate.migrations()[1].checksum,))
        with pytest.raises(LedgerError, match="newer"):
            PostgresLedger(url, upgrades=upgrades)


def test_a_database_without_a_ledger_may_be_left_without_one() -> None:
    with pg_server.database() as url:
        from paygate.ledger.postgres import PostgresLedger

        with pytest.raises(LedgerError, match="holds no ledger"):
            PostgresLedger(url, upgrades=False)


def test_text_is_ordered_by_its_bytes_in_the_database_whatever_its_locale() -> None:
    with pg_server.database() as url:
        from paygate.ledger.postgres import PostgresLedger

        ledger = PostgresLedger(url)
        with ledger.snapshot() as ask:
            columns = ask("SELECT table_name, column_name, collation_name FROM information_schema.columns WHERE "
                          "left(table_name, 8) = 'paygate_' AND data_type = 'text'", ())
        ledger.close()
        assert len(columns) > 20
        assert {collation for _, _, collation in columns} == {"C"}


def test_the_hash_of_a_row_does_not_change_when_rows_say_more_one_day() -> None:
    """Written down once; if this fails, every ledger out there would be called tampered with."""
    made = Row(gateway="g", kind=Kind.CHARGE, id="o1", order_id="o1", digest="d", state=State.SENT, opened_at=1.0,
               money=Money(100, "KRW"), lease_until=2.5, checks=3)
    assert chain.content(made) == "db988e5422cfa53e4c601129c027fd06c203eeb36259481705d515ccf706885e"
    assert chain.begun(made, note(salt="s"))[1].hash == \
        "d550fdfe19be915968920202338c97054039f405ce9dc74c6edfdd8aaaa72873"
