"""The shipped state machine on every provider and every ledger, and that it notices what it is there for (T07)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from pg_server import database

from paygate.ledger.memory import MemoryLedger
from paygate.ledger.row import Ledger, Note, Row, State
from paygate.provider import ProviderSpec
from paygate.testing import shop_machine
from paygate.testing.fakepg import CAPTURING
from paygate.testing.simulation import run
from paygate.testing.simulation.run import Plan, providers, spec_of
from paygate.testing.state_machine import Ledgers


def play(provider: str | ProviderSpec, ledgers: Ledgers | None = None, examples: int = 40, *,
         shrinks: bool = True) -> None:
    spec = spec_of(provider) if isinstance(provider, str) else provider
    machine = shop_machine(spec) if ledgers is None else shop_machine(spec, ledgers)
    phases = (Phase.generate, Phase.shrink) if shrinks else (Phase.generate,)
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=30, deadline=None, derandomize=True, database=None, phases=phases,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]))


def stored(plan: Plan) -> Ledgers:
    """A store of the plan's kind, new for each example."""
    @contextmanager
    def opened() -> Iterator[Callable[[int], Ledger]]:
        with run.ledgers(plan) as new_world:
            yield new_world()
    return opened


@pytest.mark.parametrize("provider", providers())
def test_whatever_happens_to_a_shop_nothing_is_violated(provider: str) -> None:
    play(provider)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_whatever_happens_to_a_shop_with_a_store_that_lasts_nothing_is_violated(kind: str) -> None:
    made: AbstractContextManager[str | None] = database() if kind == "postgres" else nullcontext()
    with made as dsn:
        play("fakepg", stored(Plan(provider="fakepg", ledger=kind, dsn=dsn)), 20)


WINDOWS = evolve(CAPTURING, capabilities=CAPTURING.capabilities & {"pay", "capture", "find", "lookup", "receive"})
"""FakePG where the payer's approval alone moves nothing, and nobody pays in any other way."""


def test_whatever_happens_where_a_payers_approval_has_to_be_captured_nothing_is_violated() -> None:
    play(WINDOWS)


class Forgetful(MemoryLedger):
    """A ledger that never learns what a PG answered to a charge."""

    def change(self, row: Row, note: Note) -> Row | None:
        return row if row.state is State.ANSWERED else super().change(row, note)


def test_a_ledger_that_forgets_is_noticed() -> None:
    @contextmanager
    def forgetful() -> Iterator[Callable[[int], Ledger]]:
        made = Forgetful()
        yield lambda _: made

    with pytest.raises(AssertionError, match=r"double|lost|stuck|unsafe resend|false|told twice"):
        play("fakepg", forgetful, shrinks=False)


def test_a_state_that_may_not_follow_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paygate.testing.state_machine.FOLLOWS", {state: {state} for state in State})
    with pytest.raises(AssertionError, match=" went from "):
        play("fakepg", shrinks=False)
