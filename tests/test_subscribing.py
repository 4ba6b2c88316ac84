"""Thirty-six months of one subscription on every provider: the PG's journal against a calendar made beforehand."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from drawer import Drawer

from paygate import MemoryLedger, SubscriptionStatus, connect
from paygate.plugins import load
from paygate.testing.transport import EmulatorTransport

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = sorted(file.stem for file in (EXAMPLES / "switching/settings").glob("*.json"))
HOUR = 3600.0
FIRST = datetime(2026, 1, 5, 3, tzinfo=UTC)

pytestmark = [pytest.mark.checkout]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("subscribing_script", EXAMPLES / "subscribing/script.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


def calendar(name: str) -> list[str]:
    """On which days the payer pays, written down without a look at what any program says."""
    days = {(year, month): f"{year}-{month:02}-05" for year in (2026, 2027, 2028) for month in range(1, 13)}
    days[2026, 6] = "2026-06-06"  # Declined, and tried again a day later.
    del days[2028, 1], days[2028, 2]  # Paused.
    if name == "steppay-unmanaged":  # Here paygate charges.
        days[2026, 12] = "2026-12-07"  # No worker until then.
        days[2027, 3] = "2027-03-07"  # The PG could not be reached until then.
        days[2027, 7] = "2027-06-20"  # Choosing another card took the coming period's money.
    if name == "steppay-managed":  # Of the period that the pause cut off 16 days were left, and are added to its end.
        days |= {(2028, month): f"2028-{month:02}-07" for month in range(3, 13)}
    return sorted(days.values())


class Life:
    """A merchant, a PG, and time that passes."""

    def __init__(self, name: str) -> None:
        self.pg: Any = load(name).load_emulator()()
        settings = json.loads((EXAMPLES / f"switching/settings/{name}.json").read_text(encoding="utf-8"))
        self.gate = connect(name, settings, ledger=MemoryLedger(), clock=self.pg.clock, vault=Drawer(),
                            http=EmulatorTransport(self.pg))

    def page(self, action: Mapping[str, Any]) -> Mapping[str, str]:
        brought: Mapping[str, str] = self.pg.browse(action)
        return brought

    def until(self, when: datetime, *, worker: bool = True) -> None:
        while self.pg.clock.now() < when:
            self.pg.clock.advance(min(6 * HOUR, (when - self.pg.clock.now()).total_seconds()))
            self.pg.clock.run_due()
            if worker:
                SCRIPT.work(self.gate)

    def decline_the_next(self) -> None:
        """The payer's card has no funds on the next date, whoever charges it."""
        controls = self.pg.controls()
        for charges_by in {"renewals", "next_charge"} & set(controls):
            controls[charges_by]("failed")

    def charged(self) -> list[tuple[str, int]]:
        return [(m.at.strftime("%Y-%m-%d"), m.money.amount) for m in self.pg.journal.entries if m.kind == "charge"]


@pytest.mark.parametrize("name", NAMES)
def test_three_years_of_a_subscription_charge_each_month_once(name: str) -> None:
    life = Life(name)
    SCRIPT.begin(life.gate, life.page, "tea-1")
    # June's charge is declined once, and made good by a retry.
    life.until(datetime(2026, 5, 20, tzinfo=UTC))
    life.decline_the_next()
    life.until(datetime(2026, 6, 5, 12, tzinfo=UTC))
    assert life.gate.subscription("tea-1").status is SubscriptionStatus.PAST_DUE
    life.until(datetime(2026, 6, 20, tzinfo=UTC))
    assert life.gate.subscription("tea-1").status is SubscriptionStatus.ACTIVE

    # In December no worker runs for three days around the due date; in March the PG cannot be reached for three.
    life.until(datetime(2026, 12, 4, tzinfo=UTC))
    life.until(datetime(2026, 12, 7, tzinfo=UTC), worker=False)
    life.until(datetime(2027, 3, 4, tzinfo=UTC))
    life.pg.fault("refuse", on=".", times=1_000_000)
    life.until(datetime(2027, 3, 7, tzinfo=UTC))
    life.pg.faults.clear()

    # A new card in June 2027.
    life.until(datetime(2027, 6, 20, tzinfo=UTC))
    SCRIPT.another_card(life.gate, life.page, "tea-1")

    # A pause over January and February 2028.
    life.until(datetime(2027, 12, 20, tzinfo=UTC))
    life.gate.pause("tea-1")
    life.until(datetime(2028, 2, 20, tzinfo=UTC))
    life.gate.resume("tea-1")
    life.until(FIRST + timedelta(days=1095))

    assert life.charged() == [(day, 14_000) for day in calendar(name)]
    assert life.gate.attention() == []
    assert life.gate.pending() == []


def test_the_example_runs_by_itself_and_charges_each_month_once_everywhere() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "subscribing/run.py")], capture_output=True, text=True,
                          timeout=120, check=True)
    told = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in told if line in NAMES] == NAMES
    assert told.count("the PG's journal: 4 charges of 14,000 KRW") == len(NAMES)
    assert told.count("after three months: active") == len(NAMES)
