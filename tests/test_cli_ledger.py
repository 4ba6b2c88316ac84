"""`paygate pending | attention | reconcile | trace | resolve | acknowledge`: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from attrs import evolve
from shop import WON, Shop, cancel, charge

from paygate import BadCommand, OutcomeUnknown, Pay
from paygate.cli import reconcile as reconcile_command
from paygate.cli.group import group
from paygate.cli.trace import kind_of
from paygate.ledger.row import Book, Line, Note, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.sandbox import Sandbox
from paygate.testing.fakepg import FakePG

Run = Callable[..., Result]
Serve = Callable[[], FakePG]
PLUGIN = """
from paygate.plugins import hookimpl
from paygate.testing.fakepg import FAKEPG

@hookimpl
def paygate_providers():
    return [FAKEPG]
"""
HOSTILE = "\x1b[31mred\x1b[0m\r\nand more\u202e"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(ledger=SqliteLedger(tmp_path / "books.db")) as made:
        yield made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Shop) -> Run:
    """Run `paygate` with the environment of a shop at FakePG, whose ledger is books.db."""
    site = tmp_path / "site"
    info = site / "fakepg_for_tests-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fakepg-for-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[paygate]\nfakepg = fakepg_for_tests\n")
    (site / "fakepg_for_tests.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(site))
    for name in [name for name in os.environ if name.startswith("PAYGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAYGATE_PROVIDER", "fakepg")
    monkeypatch.setenv("PAYGATE_SETTINGS", '{"api_key": "any", "mode": "test"}')
    monkeypatch.setenv("PAYGATE_LEDGER", str(tmp_path / "books.db"))
    return lambda *arguments: CliRunner().invoke(group, [*arguments], catch_exceptions=False)


def in_doubt(shop: Shop, order_id: str = "o1", kind: str = "drop_before") -> None:
    shop.pg.fault(kind, "^POST /charges$")
    shop.pg.fault("hang_before", "^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge(order_id))
    shop.pg.faults.clear()


def flagged(shop: Shop, order_id: str = "o2") -> None:
    shop.pg.fault("wrong_amount", "^POST /charges$")
    shop.charge(charge(order_id))


@pytest.fixture
def serve(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """From the call on, the shop's PG is served over HTTP, where the commands find it."""
    with ExitStack() as stack:
        def start() -> FakePG:
            box = stack.enter_context(Sandbox([shop.pg]))
            monkeypatch.setenv("PAYGATE_BASE_URL", box.url("fakepg"))
            return shop.pg
        yield start


def test_a_quiet_shop_has_nothing_open_and_exits_with_0(run: Run, shop: Shop) -> None:
    shop.charge(charge())
    for command, said in (("pending", "nothing is open"), ("attention", "nothing needs a person")):
        told = run(command)
        assert (told.exit_code, told.stdout) == (0, said + "\n")
        assert json.loads(run(command, "--json").stdout) == {"rows": []}


def test_what_is_open_is_listed_and_exits_with_4(run: Run, shop: Shop) -> None:
    in_doubt(shop)
    told = run("pending")
    assert told.exit_code == 4
    assert told.stdout.splitlines()[1].split()[:4] == ["charge", "o1", "o1", "14,000"]
    assert "2026-01-05 03:00:05Z" in told.stdout  # The next look.
    assert run("attention").exit_code == 0


def test_what_was_recorded_and_not_sent_is_listed_as_such_and_ended_by_resolve(run: Run, shop: Shop) -> None:
    with closing(sqlite3.connect(shop.ledger.path)) as db:
        with shop.gate.joining(db) as joined:
            joined.record(charge())
        db.commit()
    told = run("pending")
    assert told.exit_code == 4
    assert told.stdout.splitlines()[1].split()[-2:] == ["recorded", "–"]
    assert "its command sends it, nothing else does" in run("trace", "o1").stdout
    assert run("resolve", "o1", "not_sent", "--by", "kim", "--why", "the customer left").exit_code == 0
    assert run("pending").exit_code == 0


def test_what_needs_a_person_is_told_apart_and_exits_with_3(run: Run, shop: Shop) -> None:
    flagged(shop)
    assert run("pending").exit_code == 0
    told = run("attention", "--json")
    assert told.exit_code == 3
    row, = json.loads(told.stdout)["rows"]
    assert (row["id"], row["state"], row["is_open"], row["amount"], row["currency"]) == (
        "o2", "answered", False, 14_000, "KRW")
    assert row["attention"].startswith("the PG took 14,001")
    assert row["opened_at"] == "2026-01-05T03:00:00.000Z"


def test_an_open_row_that_needs_a_person_weighs_more_than_one_that_does_not(run: Run, shop: Shop) -> None:
    in_doubt(shop, "o1")
    shop.charge(charge("o2"))
    shop.pg.payments["p1"]["refunds"] = []
    shop.pg.payments["p1"]["given_back"] = 4_000
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c1", "o2"))
    told = run("pending", "--json")
    assert told.exit_code == 3
    assert [(r["kind"], r["id"], r["order_id"]) for r in json.loads(told.stdout)["rows"]] == [
        ("charge", "o1", "o1"), ("cancel", "c1", "o2")]


def test_a_person_is_needed_however_many_rows_are_older(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from paygate.cli import pending

    in_doubt(shop, "o1")
    in_doubt(shop, "o2")
    shop.ledger.change(evolve(shop.row("o2"), attention="look"), Note(text="look", at=1.0, by="host:1"))
    monkeypatch.setattr(pending, "MOST_ROWS", 1)
    told = run("pending")
    assert "o2" not in told.stdout
    assert told.exit_code == 3


def test_reconcile_settles_what_is_due_and_says_so(run: Run, shop: Shop, serve: Serve) -> None:
    in_doubt(shop, kind="drop_after")
    serve()
    told = run("reconcile")
    assert (told.exit_code, told.stdout) == (0, "looked at 1: 1 settled, 0 still open, 0 could not be asked about\n")
    assert shop.row("o1").state is State.ANSWERED
    assert run("pending").exit_code == 0


def test_reconcile_leaves_a_person_the_rest(run: Run, shop: Shop, serve: Serve) -> None:
    flagged(shop, "o2")
    serve()
    told = run("reconcile", "--json")
    assert told.exit_code == 3
    said = json.loads(told.stdout)
    assert (said["checked"], [row["id"] for row in said["attention"]], said["pending"]) == (0, ["o2"], 0)
    assert "the PG took 14,001" in run("reconcile").stdout


def test_reconcile_that_cannot_ask_exits_with_4_and_names_what_it_could_not_ask_about(
        run: Run, shop: Shop, serve: Serve) -> None:
    in_doubt(shop)
    serve().fault("error_500_before", "^GET ", times=100)
    told = run("reconcile")
    assert told.exit_code == 4
    assert "could not be asked about: o1: the PG could not be asked" in told.stdout
    assert shop.row("o1").state is State.UNKNOWN


def test_reconcile_walks_until_nothing_is_due(run: Run, shop: Shop, serve: Serve) -> None:
    for n in range(5):
        in_doubt(shop, f"o{n}", "drop_after")
    serve()
    assert "looked at 5: 5 settled" in run("reconcile", "--limit", "2").stdout


def test_reconcile_since_finds_what_a_restored_ledger_has_forgotten(run: Run, shop: Shop, serve: Serve) -> None:
    with Shop(pg=shop.pg) as lost:
        theirs = lost.charge(charge("forgotten"))
    serve()
    told = run("reconcile", "--since", (shop.clock.now() - timedelta(hours=1)).isoformat(), "--json")
    assert told.exit_code == 3
    said = json.loads(told.stdout)
    assert (said["orphans"], said["attention"][0]["order_id"]) == ([theirs.provider_id], "forgotten")
    assert "1 that this ledger never asked for" in run("reconcile", "--since", "2026-01-05T12:00+09:00").stdout


@pytest.mark.parametrize(("text", "ago"), [("90m", 90 * 60), ("36h", 36 * 3600), ("7d", 7 * 86_400)])
def test_since_may_be_so_long_ago(text: str, ago: int) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert reconcile_command.instant(text, now) == now - timedelta(seconds=ago)
    assert reconcile_command.instant("2026-02-28T09:00+09:00", now) == now - timedelta(days=1)


@pytest.mark.parametrize("text", ["yesterday", "", "7", "d7", "-7d", "2026-01-05", "2026-01-05T09:00", "999999d", "٧d"])
def test_since_is_refused_where_its_instant_is_not_certain(text: str, run: Run) -> None:
    with pytest.raises(BadCommand, match="--since"):
        reconcile_command.instant(text, datetime(2026, 3, 1, tzinfo=UTC))
    assert run("reconcile", f"--since={text}").exit_code == 2


def test_trace_tells_intent_answer_look_up_hook_and_person_in_their_order(run: Run, shop: Shop) -> None:
    in_doubt(shop, kind="drop_after")
    shop.clock.advance(60)
    shop.receive({}, b'{"order_id": "o1", "payment_id": "p1"}')
    shop.cancel(cancel("c1"))
    shop.pg.fault("drop_before", "refunds")
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c2", amount=1_000))
    shop.clock.advance(200)
    shop.resolve("c2", "not_sent", by="kim", why="the PG knows nothing")
    told = run("trace", "o1", "--json")
    assert told.exit_code == 0
    said = json.loads(told.stdout)
    assert [(row["kind"], row["id"], row["state"]) for row in said["rows"]] == [
        ("charge", "o1", "answered"), ("cancel", "c1", "answered"), ("cancel", "c2", "not_sent")]
    lines = [(line["id"], line["what"], line["state"]) for line in said["timeline"]]
    assert lines[:3] == [("o1", "intent", "sent"), ("o1", "answer", "unknown"), ("o1", "hook", "answered")]
    assert [line for line in lines if line[0] == "c1"] == [
        ("c1", "intent", "opened"), ("c1", "attempt", "sent"), ("c1", "answer", "answered")]
    assert ("c2", "person", "not_sent") in lines
    assert {line["by"] for line in said["timeline"] if line["what"] == "person"} == {"kim"}
    assert said["verdicts"] == ["charge o1: answered", "cancel c1: answered", "cancel c2: not_sent"]
    assert json.loads(run("trace", "c2", "--json").stdout)["order_id"] == "o1"


@pytest.mark.parametrize(("zone", "shows"), [
    ("Asia/Seoul", "+09:00"), ("America/New_York", ("-05:00", "-04:00")), ("UTC", "+00:00")])
def test_trace_tells_the_time_in_utc_and_in_the_merchants_zone(zone: str, shows: str | tuple[str, ...], run: Run,
                                                               shop: Shop) -> None:
    shop.charge(charge())
    line = json.loads(run("trace", "o1", "--zone", zone, "--json").stdout)["timeline"][0]
    assert line["at"].endswith("Z")
    assert line["local"].endswith(shows)
    assert datetime.fromisoformat(line["local"]) == datetime.fromisoformat(line["at"])
    head = run("trace", "o1", "--zone", zone).stdout.splitlines()[3]
    assert head.split()[:2] == ["UTC", zone]


def test_trace_says_what_is_to_be_done(run: Run, shop: Shop) -> None:
    in_doubt(shop, "o1")
    told = run("trace", "o1")
    assert told.exit_code == 4
    assert "charge o1: unknown; paygate looks again at 2026-01-05 03:00:05Z" in told.stdout
    flagged(shop, "o2")
    told = run("trace", "o2")
    assert told.exit_code == 3
    assert "needs a person: the PG took 14,001 KRW, not 14,000 KRW (paygate acknowledge o2 …)" in told.stdout
    assert run("trace", "nobody").exit_code == 2


def test_trace_of_an_orphan_is_asked_for_by_the_pgs_id(run: Run, shop: Shop) -> None:
    with Shop(pg=shop.pg) as lost:
        theirs = lost.charge(charge("forgotten"))
    shop.clock.advance(60)
    shop.reconcile(since=shop.clock.now() - timedelta(hours=1))
    told = run("trace", theirs.provider_id)
    assert told.exit_code == 3
    assert "order forgotten" in told.stdout
    assert f"paygate acknowledge {theirs.provider_id}" in told.stdout


def test_what_the_pg_said_of_a_payer_is_left_out_of_a_trace(run: Run, shop: Shop) -> None:
    shop.pg.decline_message = "kim@example.com, 010-1234-5678: limit"
    with pytest.raises(Exception, match="declined"):
        shop.charge(charge(amount=101))
    said = "outcome unknown: the PG said E17: call kim@example.com or 010-1234-5678 now"
    shop.ledger.change(shop.row("o1"), Note(text=said, at=1.0, by="host:1"))
    for told in (run("trace", "o1"), run("trace", "o1", "--json")):
        assert "example.com" not in told.stdout
        assert "5678" not in told.stdout
    assert "the PG said E17: call …@… or … now" in run("trace", "o1").stdout


def test_text_from_outside_cannot_steer_the_terminal(run: Run, shop: Shop) -> None:
    in_doubt(shop, "o1")
    row = shop.row("o1")
    shop.ledger.change(evolve(row, attention=HOSTILE), Note(text=f"note {HOSTILE}", at=1.0, by=HOSTILE))
    for command in (("pending",), ("attention",), ("trace", "o1"), ("pending", "--json"), ("trace", "o1", "--json"),
                    ("trace", HOSTILE), ("resolve", HOSTILE, "paid", "--by", "kim", "--why", "because"),
                    ("resolve", "o1", "paid", "--by", HOSTILE, "--why", "because"),
                    ("pending", "--ledger", HOSTILE), ("trace", "o1", "--zone", HOSTILE)):
        told = run(*command)
        assert not set("\x1b\r\u202e") & set(told.output), command
        assert "and more" in told.output or "control character" in told.output


def test_resolve_ends_a_doubt_and_leaves_who_and_why_in_the_trail(run: Run, shop: Shop) -> None:
    in_doubt(shop)
    told = run("resolve", "o1", "not_sent", "--by", "kim", "--why", "the PG knows nothing", "--json")
    assert (told.exit_code, json.loads(told.stdout)["state"]) == (0, "not_sent")
    assert shop.trail("o1")[-1].note == "resolved as not_sent by kim: the PG knows nothing"
    assert run("pending").exit_code == 0


def test_acknowledge_puts_an_attention_aside(run: Run, shop: Shop) -> None:
    flagged(shop, "o2")
    assert run("acknowledge", "o2", "--by", "kim", "--why", "compared with the console").exit_code == 0
    assert run("attention").exit_code == 0
    again = run("acknowledge", "o2", "--by", "kim", "--why", "once more")
    assert again.exit_code == 2
    assert "nothing to acknowledge" in again.stderr


@pytest.mark.parametrize("arguments", [
    ("resolve", "o1", "paid", "--by", "kim"), ("resolve", "o1", "paid", "--why", "because"),
    ("resolve", "o1", "paid", "--by", " ", "--why", "because"), ("resolve", "o1", "done", "--by", "kim", "--why", "x"),
    ("resolve", "other", "paid", "--by", "kim", "--why", "x"), ("acknowledge", "o1", "--by", "kim", "--why", "x"),
    ("trace", "o1", "--zone", "Nowhere/Land"), ("reconcile", "--limit", "0"),
])
def test_what_cannot_be_done_exits_with_2_and_changes_nothing(arguments: tuple[str, ...], run: Run, shop: Shop) -> None:
    in_doubt(shop)
    before = shop.row("o1")
    assert run(*arguments).exit_code == 2
    assert shop.row("o1") == before


@pytest.mark.parametrize("command", [("pending",), ("attention",), ("reconcile",), ("trace", "o1")])
def test_a_ledger_that_is_not_there_is_not_made(command: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    told = run(*command, "--ledger", str(tmp_path / "typo.db"))
    assert told.exit_code == 2
    assert "there is no ledger at" in told.stderr
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.parametrize("address", ["postgresql://kim:canary@127.0.0.1:1/books",
                                     "host=127.0.0.1 port=1 user=kim password=canary dbname=books"])
def test_a_database_that_is_not_there_is_told_without_its_password(address: str, run: Run) -> None:
    pytest.importorskip("psycopg")
    told = run("pending", "--ledger", address)
    assert told.exit_code == 2
    assert "canary" not in told.output
    assert "the ledger cannot be used" in told.stderr


def test_a_ledger_that_cannot_be_read_exits_with_2_and_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_bytes(b"not a database" * 100)
    told = run("pending", "--ledger", str(tmp_path / "garbage.db"))
    assert told.exit_code == 2
    assert len(told.stderr.splitlines()) == 1


def test_settings_come_from_the_environment_and_a_missing_one_is_named(run: Run,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAYGATE_PROVIDER")
    told = run("pending")
    assert (told.exit_code, told.stderr) == (2, "paygate: PAYGATE_PROVIDER is not set\n")
    monkeypatch.delenv("PAYGATE_SETTINGS")
    told = run("pending")
    assert told.stderr == "paygate: PAYGATE_PROVIDER, PAYGATE_SETTINGS are not set\n"


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_gateway_with_a_name_of_its_own_is_found_by_it(how: str, run: Run, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    with Shop(ledger=SqliteLedger(tmp_path / "named.db"), name="books") as named:
        named.pay(Pay(order_id="w1", money=WON, title="book", return_url="https://shop.example/done"))
    monkeypatch.setenv("PAYGATE_LEDGER", str(tmp_path / "named.db"))
    for command in (("pending",), ("attention",), ("reconcile",), ("trace", "w1")):
        told = run(*command)  # Nothing is open under the provider's name, and that would be no answer.
        assert told.exit_code == 2
        assert "holds nothing of gateway fakepg/test, but of books/test; say which with --name" in told.stderr
    if how == "environment":
        monkeypatch.setenv("PAYGATE_NAME", "books")
    told = run("pending", *(("--name", "books") if how == "option" else ()))
    assert told.exit_code == 4
    assert "w1" in told.stdout


def test_a_gateway_that_is_named_and_has_no_rows_yet_is_told_of_the_others(run: Run, shop: Shop) -> None:
    shop.charge(charge())
    told = run("pending", "--name", "boks", "--json")
    assert (told.exit_code, json.loads(told.stdout)) == (0, {"rows": []})
    assert told.stderr == "paygate: the ledger holds nothing of gateway boks/test, but of fakepg/test\n"


def test_a_ledger_without_a_row_belongs_to_every_gateway(run: Run) -> None:
    told = run("pending")
    assert (told.exit_code, told.stderr) == (0, "")


@pytest.mark.parametrize("command", [("pending",), ("attention",), ("reconcile",), ("trace", "o1"), ("due",)])
def test_a_database_without_a_ledger_is_refused_and_left_empty(command: tuple[str, ...], run: Run,
                                                              tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE customers (name TEXT)")
        db.commit()
        told = run(*command, "--ledger", str(tmp_path / "other.db"))
        assert told.exit_code == 2
        assert "holds no ledger" in told.stderr
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]


def test_an_empty_postgres_database_is_refused_and_left_empty(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from base64 import urlsafe_b64encode

    import psycopg

    monkeypatch.setenv("PAYGATE_VAULT_KEYS", urlsafe_b64encode(bytes(32)).decode())
    with pg_server.database() as url:
        for command in (("pending",), ("attention",), ("reconcile",), ("trace", "o1"), ("worker", "--once")):
            told = run(*command, "--ledger", url)
            assert told.exit_code == 2, command
            assert "holds no ledger" in told.stderr
        with psycopg.connect(url) as db:
            assert db.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_what_could_not_be_compared_needs_a_person_to_run_it_again(run: Run, shop: Shop, serve: Serve) -> None:
    with Shop(pg=shop.pg) as lost:
        lost.charge(charge("forgotten"))
    shop.clock.advance(60)
    serve()
    since = (shop.clock.now() - timedelta(hours=1)).isoformat()
    shop.pg.fault("error_500_before", "^GET /moved$", times=3)
    told = run("reconcile", "--since", since)
    assert told.exit_code == 3
    assert told.stdout.splitlines()[-1].startswith("not compared: 1 of these; run it again with --since 2026-01-05T")
    assert json.loads(run("reconcile", "--since", since, "--json").stdout)["uncompared"] == []


@pytest.mark.parametrize(("note", "what"), [
    ("opened", "intent"), ("sent again after it was proven not sent", "attempt"), ("webhook: checked", "hook"),
    ("return: late approval", "return"), ("reconcile: not found yet", "look-up"), ("acknowledged by kim: x", "person"),
    ("outcome unknown: no answer", "answer"), ("the PG's record says paid", "answer"),
])
def test_every_line_says_what_it_is(note: str, what: str) -> None:
    assert kind_of(Line(at=0.0, gateway="g", book=Book.PAYMENT, id="o1", fence=0, state=State.SENT, note=note)) == what


def test_the_commands_stand_in_the_list(run: Run) -> None:
    shown: Any = run("--help").stdout
    for command in ("pending", "attention", "reconcile", "trace", "resolve", "acknowledge"):
        assert f"  {command}" in shown
