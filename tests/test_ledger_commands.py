"""`paygate ledger upgrade | check | export`: what they say, to a person and to a program, and their exit codes."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server
from test_ledger_migrations import first_version

from paygate.assemble import open_store
from paygate.cli.group import group
from paygate.ledger import migrate
from paygate.ledger.sqlite import SqliteLedger
from paygate.testing.ledger_races import note, opened, row

Run = Callable[..., Result]
NEWEST = len(migrate.migrations())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PAYGATE_LEDGER", raising=False)
    return lambda *arguments, **environ: CliRunner().invoke(group, ["ledger", *map(str, arguments)], env=environ)


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A ledger with one order in it."""
    if request.param == "postgres":
        with pg_server.database() as url:
            _used(url)
            yield url
    else:
        _used(str(tmp_path / "shop.db"))
        yield str(tmp_path / "shop.db")


def _used(address: str) -> None:
    ledger = open_store(address)
    held, = opened(ledger, row(attention="look\x1b[31m"))
    ledger.change(held, note("again", at=6.0))
    ledger.close()


def test_check_finds_nothing_wrong_and_prints_a_seal(run: Run, address: str) -> None:
    told = run("check", address)
    assert told.exit_code == 0, told.output
    first, second, third = told.stdout.splitlines()
    assert first == "1 rows, 2 lines, 0 found to be wrong"
    assert third.startswith("it covers 1 rows and 2 lines, up to 20")
    again = run("check", address, "--seal", second.removeprefix("seal "))
    assert again.exit_code == 0
    assert again.stdout.splitlines()[1].startswith("what was sealed still stands: 1 rows as of 20")
    said = json.loads(run("check", address, "--json").stdout)
    assert (said["rows"], said["lines"], said["findings"], said["found"]) == (1, 2, [], 0)
    assert second.removeprefix("seal ").split(":")[2:] == said["seal"].split(":")[2:]


def test_a_seal_of_what_is_too_young_is_announced_as_none_and_refused_as_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    ledger = open_store(str(path))
    ledger.open([row()], note(at=time()))
    ledger.close()
    told = run("check", path)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[1:] == ["no seal yet: it would cover nothing, as nothing is older than ten minutes"]
    said = json.loads(run("check", path, "--json").stdout)
    assert (said["seal"], said["sealed"]["rows"], said["sealed"]["lines"]) == (None, 0, 0)
    of_nothing = run("check", path, "--seal", f"paygate1:{int(time())}:0:{sha256().hexdigest()}")
    assert of_nothing.exit_code == 2
    assert "covers no row" in of_nothing.stderr


def test_the_ledger_may_come_from_the_environment(run: Run, address: str) -> None:
    assert run("check", PAYGATE_LEDGER=address).exit_code == 0


def test_upgrade_of_what_is_up_to_date_changes_nothing(run: Run, address: str) -> None:
    assert run("upgrade", address).stdout == f"the ledger is at version {NEWEST}\n"
    assert json.loads(run("upgrade", address, "--json").stdout) == {"applied": [], "version": NEWEST}


def test_export_prints_one_line_for_each_row(run: Run, address: str) -> None:
    told = run("export", address)
    assert told.exit_code == 0
    line, = told.stdout.splitlines()
    said = json.loads(line)
    assert (said["id"], said["state"], [one["note"] for one in said["trail"]]) == ("o1", "sent", ["opened", "again"])
    assert "\x1b" not in told.stdout


def test_an_old_file_is_upgraded_by_the_command_and_by_nothing_else_of_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    first_version(path)
    for verb in ("check", "export"):
        told = run(verb, path)
        assert told.exit_code == 2
        assert "run `paygate ledger upgrade`" in told.stderr
    told = run("upgrade", path)
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [*[f"applied {m.number:04} {m.name}" for m in migrate.migrations()[1:]],
                                        f"the ledger is at version {NEWEST}"]
    assert run("check", path).exit_code == 0


def _tampered(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    _used(str(path))
    db = sqlite3.connect(path)
    db.execute("UPDATE paygate_row SET amount = 1, id = 'o1\x1b[31m'")
    db.commit()
    db.close()
    return path


def test_check_ends_with_one_where_something_is_wrong_and_cannot_be_steered_by_it(run: Run, tmp_path: Path) -> None:
    path = _tampered(tmp_path)
    told = run("check", path)
    assert told.exit_code == 1
    assert told.stdout.startswith("wrong: payment o1")
    assert "\x1b" not in told.stdout
    said = json.loads(run("check", path, "--json").stdout)
    assert said["found"] == len(said["findings"]) == 2


def test_a_broken_seal_ends_with_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    _used(str(path))
    told = run("check", path, "--seal", "paygate1:9999999999:2:" + "0" * 64)
    assert told.exit_code == 1
    assert "wrong: the seal is broken: 2 rows were sealed, and 1 are left" in told.stdout


@pytest.mark.parametrize("arguments", [("check", "nothing.db"), ("export", "nothing.db"), ("upgrade", "nothing.db"),
                                       ("check", "shop.db", "--seal", "rubbish"), ("check", "."),
                                       ("check", "mysql://u:hidden@h/d"), ("check", "postgresql://u:hidden@[/d"),
                                       ("check", "postgresql://u:hidden@127.0.0.1:1/d?connect_timeout=2"), ("check",)])
def test_what_cannot_run_ends_with_two_and_makes_and_shows_nothing(
        run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    SqliteLedger("shop.db").close()
    before = sorted(p.name for p in tmp_path.iterdir())
    told = run(*arguments)
    assert told.exit_code == 2
    assert "hidden" not in told.output
    assert told.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_check_and_export_of_an_empty_database_say_that_there_is_no_ledger(run: Run) -> None:
    with pg_server.database() as url:
        for verb in ("check", "export"):
            told: Any = run(verb, url)
            assert told.exit_code == 2
            assert "holds no ledger" in told.stderr
        assert run("upgrade", url).exit_code == 0
        assert run("check", url).exit_code == 0
