"""A small run of the simulation on every provider and store, and that a seed means the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from paygate.ledger.memory import MemoryLedger
from paygate.ledger.row import Row
from paygate.testing.simulation.__main__ import main
from paygate.testing.simulation.faults import Odd, Weather
from paygate.testing.simulation.run import ORDERS, Plan, play, providers, replay, simulate
from paygate.testing.simulation.tally import Tally, table
from paygate.testing.simulation.world import World

PROVIDERS = providers()


def test_fakepg_and_the_shipped_providers_are_simulated() -> None:
    assert {"fakepg", "portone-naverpay", "steppay-managed", "steppay-unmanaged"} <= set(PROVIDERS)


@pytest.mark.parametrize("ledger", ["memory", "sqlite"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_is_violated(provider: str, ledger: str) -> None:
    plan = Plan(provider=provider, ledger=ledger, seed="tests")
    tally = simulate(plan, 500, processes=1)
    assert [(plan.command(f.world), f.violations) for f in tally.failures] == []
    assert tally.orders >= 500
    assert tally.said["paid"] > 50
    assert tally.taken > 100
    assert tally.deaths > 5
    assert tally.faults("look") > 50


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_seed_is_one_history_whatever_the_store(provider: str) -> None:
    for number in range(3):
        told = [_history(Plan(provider=provider, ledger=ledger, seed="same"), number)
                for ledger in ("memory", "memory", "sqlite")]
        assert len(told[0]) > 100
        assert told[0] == told[1] == told[2]


def _history(plan: Plan, number: int) -> list[Any]:
    made = [json.loads(json.dumps(event, default=str)) for event in replay(plan, number).recorder.history]
    return made


def test_another_seed_is_another_history() -> None:
    plans = [Plan(provider="fakepg", ledger="memory", seed=seed) for seed in ("1", "2")]
    assert _history(plans[0], 0) != _history(plans[1], 0)


def test_every_kind_of_trouble_is_met() -> None:
    met: set[str] = set()
    tally = simulate(Plan(provider="fakepg", ledger="memory", seed="all"), 1_500, processes=1)
    met |= {name for _, name in tally.met}
    never = {"html_after"} - met
    assert never == set()
    assert {odd.value for odd in Odd} <= met
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
        if world.name == "world-1":
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
