"""`paygate worker` and `paygate due`: what they charge, what they print, to a person and to a program; exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import KEY, Shop, schedule, won
from test_cli_ledger import PLUGIN

from paygate import Customer, Interval, KeyVault, Schedule, SubscribeKey, Terms, new_vault_key
from paygate.cli import worker
from paygate.cli.due import Coming, by_day
from paygate.cli.group import group
from paygate.ledger.sqlite import SqliteLedger
from paygate.procedures.due import DueReport
from paygate.sandbox import Sandbox
from paygate.workers.loop import Tally

Run = Callable[..., Result]
VAULT_KEY = new_vault_key()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(ledger=SqliteLedger(tmp_path / "books.db"), vault=KeyVault(VAULT_KEY)) as made:
        yield made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Shop) -> Iterator[Run]:
    """Run `paygate` in the environment of a shop at FakePG, which is served over HTTP; its ledger is books.db."""
    site = tmp_path / "site"
    info = site / "fakepg_for_tests-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fakepg-for-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[paygate]\nfakepg = fakepg_for_tests\n")
    (site / "fakepg_for_tests.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(site))
    for name in [name for name in os.environ if name.startswith("PAYGATE_")]:
        monkeypatch.delenv(name)
    with Sandbox([shop.pg]) as box:
        for name, value in {"PROVIDER": "fakepg", "SETTINGS": '{"api_key": "any", "mode": "test"}',
                            "LEDGER": str(tmp_path / "books.db"), "VAULT_KEYS": VAULT_KEY.reveal(),
                            "BASE_URL": box.url("fakepg")}.items():
            monkeypatch.setenv(f"PAYGATE_{name}", value)
        yield lambda *arguments: CliRunner().invoke(group, [*arguments], catch_exceptions=False)


def owe(shop: Shop, *order_ids: str, amount: int = 14_000) -> None:
    """Write dated charges down that were due on 5 January 2026."""
    asked = schedule(shop, *order_ids, amount=amount)
    shop.schedule(Schedule(billing_key=KEY, charges=asked.charges, run_by="paygate"))


def subscribe(shop: Shop, **terms: Any) -> None:
    """5 January 2026, and every month from then on."""
    shop.subscribe_key(SubscribeKey(order_id="sub", billing_key=KEY, money=won(9_000), every=Interval("month"),
                                    title="Tea", run_by="paygate", terms=Terms(**terms),
                                    customer=Customer(id="payer-77", name="Kim Minji")))


def lines(told: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_the_worker_charges_what_is_due_and_ends_with_0(run: Run, shop: Shop) -> None:
    owe(shop, "s1", "s2", "s3")
    told = run("worker", "--once", "--concurrent", "2")
    assert told.exit_code == 0, told.output
    assert sorted(m.order_id for m in shop.pg.journal.entries) == ["s1", "s2", "s3"]
    last = lines(told)[-1]
    assert (last["event"], last["taken_up"], last["paid"], last["unknown"]) == ("done", 3, 3, 0)
    again = run("worker", "--once")
    assert (again.exit_code, lines(again)[-1]["taken_up"]) == (0, 0)
    assert len(shop.pg.journal.entries) == 3


def test_a_declined_charge_is_decided_and_has_a_line_of_its_own(run: Run, shop: Shop) -> None:
    owe(shop, "s1", amount=14_001)
    told = run("worker", "--once")
    assert told.exit_code == 0
    line, = [line for line in lines(told) if line["event"] == "declined"]
    assert (line["order_id"], line["declined"]) == ("s1", 1)


def test_what_is_not_decided_ends_with_4(run: Run, shop: Shop) -> None:
    owe(shop, "s1")
    shop.pg.fault("error_500_before", on="/payments", times=20)
    shop.pg.fault("error_500_after", on="POST /charges")
    told = run("worker", "--once")
    assert told.exit_code == 4
    line, = [line for line in lines(told) if line["event"] == "unknown"]
    assert line["order_id"] == "s1"
    assert shop.pg.journal.charges("s1") == 1


def test_what_cannot_even_be_opened_is_told_with_its_reason(run: Run, shop: Shop,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    owe(shop, "s1")
    monkeypatch.setenv("PAYGATE_VAULT_KEYS", new_vault_key().reveal())
    told = run("worker", "--once")
    assert told.exit_code == 3
    assert "paygate: charges cannot be carried out: what was sealed needs a key" in told.stderr
    line, = [line for line in lines(told) if line["event"] == "failed"]
    assert (line["order_id"], "a key that this vault does not have" in line["why"]) == ("s1", True)
    assert shop.pg.journal.entries == []


@pytest.mark.parametrize(("arguments", "lacks"), [
    ((), "PAYGATE_VAULT_KEYS"), ((), "PAYGATE_PROVIDER"), (("--concurrent", "0"), None),
    (("--ledger", "none.db"), None), (("--ledger", "postgresql://u@127.0.0.1:1/d?connect_timeout=2"), None)])
def test_a_worker_that_cannot_run_ends_with_2(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch,
                                              arguments: tuple[str, ...], lacks: str | None) -> None:
    owe(shop, "s1")
    if lacks is not None:
        monkeypatch.delenv(lacks)
    told = run("worker", "--once", *arguments)
    assert told.exit_code == 2
    assert lacks is None or lacks in told.stderr
    assert shop.pg.journal.entries == []


def test_a_signal_ends_a_worker_that_waits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def told_to_stop(*_: Any, stop: Any, **__: Any) -> Tally:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        return Tally()

    monkeypatch.setattr(worker, "work", told_to_stop)
    told = run("worker")
    assert (told.exit_code, lines(told)[-1]["event"]) == (0, "done")


def test_progress_on_a_terminal_says_how_far_it_is() -> None:
    with worker._Progress() as shown:
        shown.heard(Tally(taken_up=3, paid=2, declined=1, began=time.monotonic() - 1), DueReport())
        said, = [task.description for task in shown._bar.tasks]
    assert said.startswith("3 taken up · 2 paid · 1 declined · 0 unknown")


def test_a_worker_that_charges_nothing_says_how_late_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    log = worker._Log()
    log.looked(Tally(due=7, lag_s=90.0))
    log.looked(Tally(due=8, lag_s=95.0))  # Not ten seconds later.
    line, = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["event"], line["due"], line["lag_s"], line["paid"]) == ("working", 7, 90.0, 0)


@pytest.fixture
def in_january(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
    """The commands' time is the shop's."""
    monkeypatch.setattr("paygate.assemble.SystemClock", lambda: shop.clock)


@pytest.mark.usefixtures("in_january")
def test_due_lists_each_charge_to_come_and_their_sum(run: Run, shop: Shop) -> None:
    owe(shop, "s1")
    subscribe(shop)
    told = run("due", "--until", "2026-03-05T12:00+09:00")
    assert told.exit_code == 0, told.output
    rows = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert rows == ["due order payer amount", "2026-01-05 04:00:00Z s1 – 14,000 KRW",
                    "2026-02-05 03:00:00Z sub-2 payer-77 9,000 KRW", "2 charges: 23,000 KRW"]
    assert [m.order_id for m in shop.pg.journal.entries] == ["sub-1"]


@pytest.mark.usefixtures("in_january")
def test_due_as_json_is_for_programs(run: Run, shop: Shop) -> None:
    subscribe(shop)
    told = json.loads(run("due", "--dry-run", "--until", "2026-03-05", "--json").stdout)
    assert told == {"until": "2026-03-06T00:00:00+09:00", "sums": {"KRW": 18_000}, "charges": [
        {"due_at": f"2026-0{n}-05T03:00:00.000Z", "order_id": f"sub-{n}", "payer": "payer-77", "amount": 9_000,
         "currency": "KRW"} for n in (2, 3)]}


@pytest.mark.usefixtures("in_january")
@pytest.mark.parametrize(("catch_up", "periods"), [("latest", [4, 5]), ("all", [2, 3, 4, 5]), ("none", [5])])
def test_after_downtime_due_lists_what_the_terms_leave_of_the_missed_periods(
        run: Run, shop: Shop, catch_up: Any, periods: list[int]) -> None:
    subscribe(shop, catch_up=catch_up)
    shop.clock.advance(100 * 86_400)
    told = json.loads(run("due", "--until", "2026-05-06", "--json").stdout)
    assert [one["order_id"] for one in told["charges"]] == [f"sub-{n}" for n in periods]
    while shop.run_due().taken_up:
        pass
    assert [m.order_id for m in shop.pg.journal.entries] == ["sub-1", *(f"sub-{n}" for n in periods if n < 5)]


def test_a_payer_whom_no_key_opens_is_not_told(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    subscribe(shop)
    for keys in (new_vault_key().reveal(), ""):
        monkeypatch.setenv("PAYGATE_VAULT_KEYS", keys)
        told = run("due", "--until", "31d", "--json")
        assert told.exit_code == 0, told.output
        assert "payer-77" not in told.stdout


def test_a_day_of_the_drawing_is_one_in_seoul() -> None:
    coming = [Coming(at=datetime(2026, 1, 5, hour, tzinfo=UTC), order_id="s", payer=None, money=won(100))
              for hour in (14, 15, 16)]
    assert by_day(coming, "KRW") == {date(2026, 1, 5): 100, date(2026, 1, 6): 200}


def test_nothing_to_come_is_said_with_0(run: Run, shop: Shop) -> None:
    assert run("due", "--until", "2026-01-31").stdout.splitlines()[-1] == "0 charges: nothing"
    assert json.loads(run("due", "--json").stdout)["charges"] == []


def test_due_asks_no_pg_and_changes_nothing(run: Run, shop: Shop) -> None:
    owe(shop, "s1")
    before, calls = shop.row("s1"), len(shop.pg.calls)
    assert run("due", "--dry-run", "--until", "7d").exit_code == 0
    assert (shop.row("s1"), len(shop.pg.calls)) == (before, calls)


@pytest.mark.parametrize("until", ["tomorrow", "2026-02-30", "2026-02-01T00:00", "9999-12-31", "999999d", ""])
def test_an_instant_that_is_none_ends_with_2(run: Run, until: str) -> None:
    told = run("due", "--until", until)
    assert (told.exit_code, told.stdout) == (2, "")
    assert "--until" in told.stderr


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_forecast_is_drawn(run: Run, shop: Shop, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    subscribe(shop)
    file = tmp_path / f"sums.{ending}"
    assert run("due", "--until", "2026-06-01", "--plot", str(file)).exit_code == 0
    assert file.read_bytes()[:5] in (b"<?xml", b"\x89PNG\r")
    assert run("due", "--plot", str(tmp_path / "sums.txt")).exit_code == 2
