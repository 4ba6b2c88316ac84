"""A small run of the simulation on every provider and store, and that a seed means the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from pg_server import database

from paygate.ledger.memory import MemoryLedger
from paygate.ledger.row import Row
from paygate.testing.emulator import FaultKind
from paygate.testing.simulation.__main__ import main
from paygate.testing.simulation.faults import Odd, Weather
from paygate.testing.simulation.run import LEDGERS, ORDERS, Plan, play, providers, replay, simulate
from paygate.testing.simulation.tally import Tally, table
from paygate.testing.simulation.world import World

PROVIDERS = providers()


def test_fakepg_and_the_shipped_providers_are_simulated() -> None:
    assert {"fakepg", "portone-naverpay", "steppay-managed", "steppay-unmanaged"} <= set(PROVIDERS)


@pytest.mark.parametrize("ledger", LEDGERS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_is_violated(provider: str, ledger: str) -> None:
    with plan_of(provider, ledger, "tests") as plan:
        tally = simulate(plan, {"memory": 300, "sqlite": 300, "postgres": 100}[ledger], processes=1)
    assert [(plan.command(f.world), f.violations) for f in tally.failures] == []
    assert tally.orders >= 100
    assert tally.said["paid"] > 20
    assert tally.taken > 20
    assert tally.deaths > 1
    assert tally.faults("look") > 10


@contextmanager
def plan_of(provider: str, ledger: str, seed: str) -> Iterator[Plan]:
    with database() if ledger == "postgres" else nullcontext() as dsn:
        yield Plan(provider=provider, ledger=ledger, seed=seed, dsn=dsn)


@pytest.mark.parametrize("ledger", LEDGERS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_seed_is_one_history_whatever_the_store(provider: str, ledger: str) -> None:
    with plan_of(provider, ledger, "same") as plan:
        for number in range(2):
            told = _history(plan, number)
            assert len(told) > 100
            assert told == _history(Plan(provider=provider, ledger="memory", seed="same"), number)


def _history(plan: Plan, number: int) -> list[Any]:
    made = [json.loads(json.dumps(event, default=str)) for event in replay(plan, number).recorder.history]
    return made


def test_another_seed_is_another_history() -> None:
    plans = [Plan(provider="fakepg", ledger="memory", seed=seed) for seed in ("1", "2")]
    assert _history(plans[0], 0) != _history(plans[1], 0)


def test_every_kind_of_trouble_is_met() -> None:
    tally = simulate(Plan(provider="fakepg", ledger="memory", seed="all"), 1_000, processes=1)
    rare = {FaultKind.HUGE_AFTER, FaultKind.DEEP_JSON_AFTER}
    assert {k.value for k in (*Odd, *FaultKind) if k not in rare} <= {name for _, name in tally.met}
    assert tally.faults("charge") / max(1, tally.met.total()) > 0.2


def test_the_rates_are_those_of_the_programme() -> None:
    class Asked:
        def __init__(self, kind: str) -> None:
            self.kind = kind

    weather = Weather(Random(1))
    for kind, rate in (("charge", 0.45), ("refund", 0.45), ("look", 0.15), ("token", 0.10)):
        met = sum(weather.draw(Asked(kind)) is not None for _ in range(4_000))  # type: ignore[arg-type]
        assert abs(met / 4_000 - rate) < 0.03


class Forgetful(MemoryLedger):
    """A ledger whose every tenth answer of the PG is lost: what a simulation is for."""

    changes = 0

    def change(self, row: Row, note: str) -> Row | None:
        self.changes += 1
        return row if self.changes % 10 == 0 else super().change(row, note)


def test_a_ledger_that_forgets_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(provider="fakepg", ledger="memory", seed="tests")
    found: set[str] = set()
    for number in range(20):
        made = Forgetful()
        found |= {v.kind for v in play(plan, number, lambda _, made=made: made).judge.violations}  # type: ignore[misc]
    assert found & {"stuck", "lost", "double", "unsafe resend", "phantom", "false decline", "raised"}


def test_a_failure_names_the_command_that_shows_it_again(capsys: pytest.CaptureFixture[str],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    honest = World.converge

    def converge(world: World) -> None:
        honest(world)
        if world.name.startswith("world-1-"):
            world.judge.found("double", "o1", "charged 2 times")

    monkeypatch.setattr(World, "converge", converge)
    asked = ["--charges", "50", "--seed", "x", "--provider", "fakepg", "--ledger", "memory"]
    assert main([*asked, "--processes", "1"]) == 1
    said = capsys.readouterr().out
    assert "fakepg, world 1:\n  double: o1: charged 2 times" in said
    command = "python -m paygate.testing.simulation --provider fakepg --ledger memory --seed x --world 1"
    assert f"reproduce: {command}" in said
    assert main(command.split()[3:]) == 1
    assert '"what": "asked"' in capsys.readouterr().out


def test_the_command_prints_its_seed_and_a_table() -> None:
    done = subprocess.run([sys.executable, "-m", "paygate.testing.simulation", "--charges", "30", "--provider",
                           "fakepg", "--processes", "2"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("seed ")
    assert lines[1].split() == ["provider", "ledger", "charges", "calls", "faults", "deaths", "paid", "no", "unknown",
                                "for", "a", "person", "violations", "charges/s"]
    cells = lines[2].split()
    assert cells[:2] == ["fakepg", "sqlite"]
    assert int(cells[2]) >= 2 * ORDERS
    assert cells[-2] == "0"


def test_tallies_of_several_processes_add_up() -> None:
    plan = Plan(provider="fakepg", ledger="memory", seed="sum")
    whole, halves = simulate(plan, 100, processes=1), Tally("fakepg", "memory")
    for number in range(4):
        made = MemoryLedger()
        halves.count(play(plan, number, lambda _, made=made: made), number)  # type: ignore[misc]
    whole.seconds = halves.seconds = 0.0
    assert whole == halves
    assert table([whole]) == table([halves])


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paygate.testing.simulation.run._fast_folder", lambda: str(tmp_path))
    simulate(Plan(provider="fakepg", seed="x"), 30, processes=1)
    assert list(tmp_path.iterdir()) == []
