"""The trail cannot be changed unseen: triggers refuse it, and where somebody gets round them, the check tells."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from shop import Shop, cancel, charge, schedule

from paygate import LedgerError, Money, Note, PaygateError
from paygate.ledger import audit, chain
from paygate.ledger.row import Book, Kind, Row, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.ledger.store import SqlLedger
from paygate.testing.emulator import FaultKind
from paygate.testing.ledger_races import note, opened, refund, row

LATER = 1e10
"""Long after everything in these ledgers."""
Tamper = Callable[..., None]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SqlLedger, Tamper]]:
    """A ledger, and how somebody with the administrator's rights changes it."""
    if request.param == "sqlite":
        path = tmp_path / "l.db"
        ledger: SqlLedger = SqliteLedger(path)
        yield ledger, lambda *statements, **said: _file(path, *statements, **said)
        ledger.close()
        return
    with pg_server.database() as url:
        from paygate.ledger.postgres import PostgresLedger

        ledger = PostgresLedger(url)
        yield ledger, lambda *statements, **said: _database(url, *statements, **said)
        ledger.close()


def _file(path: Path, *statements: str, triggers: bool = False) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        kept = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in () if triggers else kept:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, text in () if triggers else kept:
            db.execute(text)
    finally:
        db.close()


def _database(url: str, *statements: str, triggers: bool = False) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        if not triggers:
            db.execute("SET session_replication_role = replica")
        for statement in statements:
            db.execute(statement.encode())


def checked(ledger: SqlLedger, **said: Any) -> audit.Report:
    with ledger.snapshot() as ask:
        return audit.check(ask, LATER, **said)


def lived(ledger: SqlLedger) -> None:
    """A few orders, each with a life."""
    for n in range(5):
        held: Row | None
        held, = opened(ledger, row(f"o{n}"))
        held = ledger.change(evolve(held, state=State.UNKNOWN), note("doubt", at=6.0))
        assert held is not None
        ledger.change(evolve(held, state=State.ANSWERED, provider_id=f"p{n}"), note("paid", at=7.0))
    back, = opened(ledger, refund("c1", "o1", money=Money(60, "KRW"), state=State.SENT))
    ledger.change(evolve(back, state=State.ANSWERED), note("given back", at=8.0))
    opened(ledger, row("e1", kind=Kind.EVENT, state=State.ANSWERED), row("주문"))


def test_a_ledger_that_was_only_used_is_whole(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, _ = store
    assert checked(ledger).findings == []
    lived(ledger)
    report = checked(ledger)
    assert report.findings == []
    assert (report.rows, report.lines) == (8, 19)
    assert ledger.health() == []


def test_pages_of_the_walk_lose_nothing(store: tuple[SqlLedger, Tamper], monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, _ = store
    lived(ledger)
    whole = checked(ledger)
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(audit, "_PAGE", size)
        assert checked(ledger) == whole


@pytest.mark.parametrize("statement", [
    "UPDATE paygate_line SET note = 'x'", "UPDATE paygate_line SET at = 1 WHERE fence = 0", "DELETE FROM paygate_line",
    "DELETE FROM paygate_line WHERE id = 'o1'", "DELETE FROM paygate_row WHERE id = 'o1'", "TRUNCATE paygate_line",
    "TRUNCATE paygate_row"])
def test_the_database_itself_refuses_to_change_or_remove_what_was_written(
        store: tuple[SqlLedger, Tamper], statement: str) -> None:
    ledger, tamper = store
    lived(ledger)
    before = checked(ledger)
    with pytest.raises(Exception, match=r"ledger|TRUNCATE"):
        tamper(statement, triggers=True)
    assert checked(ledger) == before


TAMPERINGS = {
    "a note": "UPDATE paygate_line SET note = 'x' WHERE id = 'o1' AND fence = 1",
    "an instant": "UPDATE paygate_line SET at = 2 WHERE id = 'o1' AND fence = 0",
    "an actor": "UPDATE paygate_line SET actor = 'eve' WHERE id = 'o1' AND fence = 2",
    "a state in a line": "UPDATE paygate_line SET state = 'refused' WHERE id = 'o1' AND fence = 1",
    "a hash": "UPDATE paygate_line SET hash = content WHERE id = 'o1' AND fence = 2",
    "a line is gone": "DELETE FROM paygate_line WHERE id = 'o1' AND fence = 1",
    "the last line is gone": "DELETE FROM paygate_line WHERE id = 'o1' AND fence = 2",
    "the first line is gone": "DELETE FROM paygate_line WHERE id = 'o1' AND fence = 0",
    "the trail is gone": "DELETE FROM paygate_line WHERE id = 'o1' AND book = 'payment'",
    "the row is gone": "DELETE FROM paygate_row WHERE id = 'o1'",
    "the amount": "UPDATE paygate_row SET amount = 99 WHERE id = 'o1'",
    "the currency": "UPDATE paygate_row SET currency = 'USD' WHERE id = 'o1'",
    "the state": "UPDATE paygate_row SET state = 'refused' WHERE id = 'o1'",
    "the PG's id": "UPDATE paygate_row SET provider_id = 'p9' WHERE id = 'o1'",
    "the result": "UPDATE paygate_row SET result = '{}' WHERE id = 'o1'",
    "the digest": "UPDATE paygate_row SET digest = 'e' WHERE id = 'o1'",
    "an attention put aside": "UPDATE paygate_row SET attention = 'x' WHERE id = 'o1'",
    "the fence": "UPDATE paygate_row SET fence = 1 WHERE id = 'o1'",
    "the id": "UPDATE paygate_row SET id = 'o9' WHERE id = 'o1'",
    "a line of another row": "UPDATE paygate_line SET hash = (SELECT hash FROM paygate_line WHERE id = 'o2' AND "
                             "fence = 2) WHERE id = 'o1' AND fence = 2",
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_whatever_is_changed_behind_the_ledgers_back_is_found(store: tuple[SqlLedger, Tamper], what: str) -> None:
    ledger, tamper = store
    lived(ledger)
    tamper(TAMPERINGS[what])
    found = checked(ledger).findings
    assert found
    assert {f.id for f in found} <= {"o1", "o9"}
    assert all("\n" not in str(f) for f in found)


def test_a_row_that_cannot_be_read_is_named_and_keeps_no_other_from_its_look(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, tamper = store
    opened(ledger, *(row(f"o{n}", check_at=float(n), sealed="s", due_at=1.0, state=State.SCHEDULED) for n in range(3)))
    tamper("UPDATE paygate_row SET state = 'weird' WHERE id = 'o1'")
    assert [r.id for r in ledger.due("g", 9.0, 9)] == ["o0", "o2"]
    tamper("UPDATE paygate_row SET kind = 'charge', state = 'scheduled' WHERE id = 'o1'")
    assert [r.id for r in ledger.planned("g", 9.0, 9)] == ["o0", "o1", "o2"]
    tamper("UPDATE paygate_row SET kind = 'gift' WHERE id = 'o1'")
    assert [r.id for r in ledger.planned("g", 9.0, 9)] == ["o0", "o2"]
    assert [r.id for r in ledger.claim("g", 9.0, 9, 99.0, note())] == ["o0", "o2"]
    with pytest.raises(LedgerError, match="payment o1 of g cannot be read, as somebody has changed its row"):
        ledger.get("g", Book.PAYMENT, "o1")
    assert [str(f) for f in checked(ledger).findings] == [
        "payment o1 of g: its row cannot be read: 'gift' is not a valid Kind"]
    assert checked(ledger).rows == 3
    with ledger.snapshot() as ask, pytest.raises(LedgerError, match="payment o1 of g"):
        list(audit.export(ask))


def test_a_line_that_does_not_belong_is_found_and_stops_the_row(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, tamper = store
    held, = opened(ledger, row())
    tamper("INSERT INTO paygate_line SELECT gateway, book, id, 1, at, actor, 'answered', note, content, salt, hash "
           "FROM paygate_line")
    assert [f.id for f in checked(ledger).findings] == ["o1"]
    with pytest.raises(Exception, match="not its own"):
        ledger.change(evolve(held, state=State.ANSWERED), note("paid"))
    assert ledger.get("g", Book.PAYMENT, "o1") == held


def test_a_row_rewritten_with_its_whole_trail_is_found_by_an_earlier_seal(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, tamper = store
    lived(ledger)
    seal = audit.Seal.read(checked(ledger).seal)
    assert seal.rows == 8
    tamper("DELETE FROM paygate_line WHERE id = 'o3'", "DELETE FROM paygate_row WHERE id = 'o3'")
    assert checked(ledger).findings == []  # What is left is whole by itself.
    assert "8 rows were sealed, and 7 are left" in str(checked(ledger, sealed=seal).findings)
    (forged, _), = ledger.open([row("o3", money=Money(1, "KRW"))], note())
    assert "written anew" in str(checked(ledger, sealed=seal).findings)
    assert forged.fence == 0


def test_a_seal_holds_while_the_ledger_goes_on(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, _ = store
    lived(ledger)
    with ledger.snapshot() as ask:
        seal = audit.Seal.read(audit.check(ask, 6.5 + audit.SEALED_AFTER_S).seal)
    assert (seal.until, seal.rows) == (6, 8)
    held = ledger.get("g", Book.PAYMENT, "주문")
    assert held is not None
    ledger.change(evolve(held, state=State.ANSWERED), note("paid", at=9.0))
    ledger.open([row("new")], note(at=9.0))
    assert checked(ledger, sealed=seal).findings == []
    with ledger.snapshot() as ask:
        assert audit.Seal.read(audit.check(ask, 6.5 + audit.SEALED_AFTER_S).seal) == seal
        assert audit.Seal.read(audit.check(ask, 9.5 + audit.SEALED_AFTER_S).seal).rows == 9


def test_a_seal_says_how_much_it_covers_and_until_when(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, _ = store
    lived(ledger)
    with ledger.snapshot() as ask:
        report = audit.check(ask, 6.5 + audit.SEALED_AFTER_S)
        assert (report.sealed_rows, report.sealed_lines, report.sealed_until) == (8, 13, 6)
        young = audit.check(ask, 4.0 + audit.SEALED_AFTER_S)
        assert (young.sealed_rows, young.sealed_lines, young.is_as_sealed) == (0, 0, None)
    assert checked(ledger, sealed=audit.Seal.read(report.seal)).is_as_sealed


def test_after_a_clock_went_back_the_check_does_not_call_an_honest_ledger_rewritten(
        store: tuple[SqlLedger, Tamper]) -> None:
    ledger, _ = store
    lived(ledger)
    with ledger.snapshot() as ask:
        seal = audit.Seal.read(audit.check(ask, 9.0 + audit.SEALED_AFTER_S).seal)
    ledger.open([row("new")], note(at=3.0))
    report = checked(ledger, sealed=seal)
    assert not report.is_as_sealed
    said, = map(str, report.findings)
    assert "8 rows were sealed, and 9 say that they are as old" in said
    assert "a clock went back" in said
    assert "broken" not in said


@pytest.mark.parametrize("text", ["", "x", "paygate1:1:2", "paygate1:a:2:" + "0" * 64, "paygate2:1:2:" + "0" * 64,
                                  "paygate1:1:2:00", "paygate1:-1:2:" + "0" * 64])
def test_what_is_no_seal_is_refused(text: str) -> None:
    with pytest.raises(audit.BadSeal):
        audit.Seal.read(text)


def test_a_seal_reads_as_it_was_written() -> None:
    seal = audit.Seal(7, 3, "0" * 64)
    assert audit.Seal.read(f" {seal}\n") == seal


def test_more_given_back_than_was_paid_is_found(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, _ = store
    opened(ledger, row("o1"), row("o2"), row("o3"))
    for id, order, amount, currency in (("c1", "o1", 60, "KRW"), ("c2", "o1", 50, "KRW"), ("c3", "o2", 100, "KRW"),
                                        ("c4", "o3", 1, "USD"), ("c5", "nobody", 7, "KRW")):
        back, = opened(ledger, refund(id, order, money=Money(amount, currency), state=State.SENT))
        ledger.change(evolve(back, state=State.ANSWERED), note("given back"))
    found = {(f.id, f.what) for f in checked(ledger).findings}
    assert found == {("o1", "110 KRW of it were given back, and it was 100 KRW"),
                     ("o3", f"1 USD of it were given back, and it was {Money(100, 'KRW')}")}


def test_a_state_that_may_not_follow_is_found_even_in_an_unbroken_chain(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, tamper = store
    held, = opened(ledger, row(state=State.ANSWERED))
    made, line = chain.moved(evolve(held, state=State.SENT), note("again"))
    tamper("INSERT INTO paygate_line VALUES ('g', 'payment', 'o1', 1, 5.0, 'host:1', 'sent', 'again', "
           f"'{line.content}', '{line.salt}', '{line.hash}')",
           f"UPDATE paygate_row SET state = 'sent', fence = 1, hash = '{made.hash}'")
    assert [f.what for f in checked(ledger).findings] == ["it went from answered to sent (line 1)"]


@pytest.mark.parametrize("rule", ["paygate_row_provider", "paygate_row_one_cancel", "paygate_line_kept"])
def test_a_rule_that_was_dropped_is_missed(store: tuple[SqlLedger, Tamper], rule: str) -> None:
    ledger, tamper = store
    on = " ON paygate_line" if rule == "paygate_line_kept" and not isinstance(ledger, SqliteLedger) else ""
    tamper(f"DROP {'TRIGGER' if rule == 'paygate_line_kept' else 'INDEX'} {rule}{on}", triggers=True)
    assert ledger.health() == [f"the rule {rule} is gone"]


ANOTHER = {
    "sqlite": {
        "paygate_row_one_cancel": "CREATE INDEX {} ON paygate_row (order_id)",
        "paygate_row_provider": "CREATE UNIQUE INDEX {} ON paygate_row (gateway, provider_id) WHERE book = 'nothing'",
        "paygate_row_held": "CREATE TRIGGER {} BEFORE DELETE ON paygate_row WHEN 0 BEGIN SELECT 1; END",
        "paygate_line_kept": "CREATE TRIGGER {} BEFORE UPDATE ON paygate_line BEGIN SELECT 1; END",
    },
    "postgres": {
        "paygate_row_one_cancel": "CREATE INDEX {} ON paygate_row (gateway, order_id) WHERE book = 'cancel' AND state "
                                  "IN ('opened', 'sent', 'unknown')",
        "paygate_row_provider": "CREATE UNIQUE INDEX {} ON paygate_row (gateway, provider_id) WHERE book = 'nothing'",
        "paygate_row_held": "CREATE TRIGGER {} BEFORE DELETE ON paygate_row FOR EACH STATEMENT EXECUTE FUNCTION "
                            "paygate_refuse()",
        "paygate_line_kept": "CREATE TRIGGER {} BEFORE UPDATE OR DELETE OR TRUNCATE ON paygate_line FOR EACH STATEMENT "
                             "WHEN (false) EXECUTE FUNCTION paygate_refuse()",
    }}


@pytest.mark.parametrize("rule", ANOTHER["sqlite"])
def test_a_rule_that_was_made_again_as_another_one_is_noticed(store: tuple[SqlLedger, Tamper], rule: str) -> None:
    ledger, tamper = store
    dialect = "sqlite" if isinstance(ledger, SqliteLedger) else "postgres"
    text, kind = ANOTHER[dialect][rule], "INDEX" if rule in ("paygate_row_one_cancel", "paygate_row_provider") else \
        "TRIGGER"
    on = f" ON {rule.rpartition('_')[0]}" if dialect == "postgres" and kind == "TRIGGER" else ""
    tamper(f"DROP {kind} {rule}{on}", text.format(rule), triggers=True)
    assert ledger.health() == [f"the rule {rule} is another than paygate makes"]


def test_a_rule_whose_function_forbids_nothing_any_more_is_noticed() -> None:
    with pg_server.database() as url:
        from paygate.ledger.postgres import PostgresLedger

        ledger = PostgresLedger(url)
        _database(url, "CREATE OR REPLACE FUNCTION paygate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                       "RETURN NULL; END $$", triggers=True)
        assert ledger.health() == [f"the rule {rule} is another than paygate makes"
                                   for rule in ("paygate_line_kept", "paygate_row_held")]
        ledger.close()


def test_a_table_without_its_key_is_noticed(store: tuple[SqlLedger, Tamper]) -> None:
    ledger, tamper = store
    if isinstance(ledger, SqliteLedger):
        tamper("ALTER TABLE paygate_meta RENAME TO old", "CREATE TABLE paygate_meta (name TEXT, value TEXT NOT NULL)",
               "INSERT INTO paygate_meta SELECT * FROM old", "DROP TABLE old", triggers=True)
    else:
        tamper("ALTER TABLE paygate_meta DROP CONSTRAINT paygate_meta_pkey", triggers=True)
    assert ledger.health() == ["the table paygate_meta is another than paygate makes"]


def test_an_export_tells_everything_but_secrets_and_lets_the_chains_be_verified(
        store: tuple[SqlLedger, Tamper]) -> None:
    ledger, _ = store
    shop = Shop(ledger=ledger)
    shop.charge(charge("o1"))
    shop.cancel(cancel("c1", "o1"))
    shop.schedule(schedule(shop, "s1"))
    shop.pg.fault(FaultKind.DROP_BEFORE, "^POST /charges$")
    with pytest.raises(PaygateError):
        shop.charge(charge("o2"))
    with ledger.snapshot() as ask:
        said = list(audit.export(ask))
    text = json.dumps(said)
    assert {(s["book"], s["id"]) for s in said} >= {("payment", "o1"), ("cancel", "c1"), ("payment", "s1"),
                                                    ("payment", "o2")}
    for row_ in (shop.row("o1"), shop.row("s1")):
        assert row_.key_digest is not None
        assert row_.key_digest not in text
        assert row_.digest not in text
    assert "key-1" not in text
    one = next(s for s in said if s["id"] == "o1")
    assert (one["amount"], one["currency"], one["state"], one["result"]["status"]) == (
        14_000, "KRW", "answered", "partly_cancelled")
    for story in said:
        previous = ""
        for line in story["trail"]:
            about = [previous, story["gateway"], story["book"], story["id"], line["fence"], line["at"], line["by"],
                     line["state"], line["note"], line["content"], line["salt"]]
            assert chain._hash(about) == line["hash"]
            previous = line["hash"]
    shop.gate.close()


def test_who_and_when_stand_in_every_line_by_the_gateways_clock() -> None:
    with Shop() as shop:
        shop.pg.fault(FaultKind.DROP_BEFORE, "^POST /charges$")
        shop.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=9)
        with pytest.raises(PaygateError):
            shop.charge(charge())
        shop.clock.advance(1_000)
        shop.resolve("o1", "failed", by="kim", why="the bank said so")
        lines, now = shop.trail("o1"), shop.clock.now().timestamp()
        assert [now - 1_010 < line.at <= now - 1_000 for line in lines] == [True, True, False]
        assert lines[-1].at == now
        assert lines[-1].by == "kim"
        assert all(":" in line.by for line in lines[:-1])
        assert len({line.by for line in lines[:-1]}) == 1


def test_a_note_is_told_from_an_equal_one() -> None:
    one, other = (Note(text="x", at=1.0, by="y") for _ in range(2))
    assert one != other
    assert chain.begun(row(), one)[0].hash != chain.begun(row(), other)[0].hash
