"""A machine that is suspended (a paused virtual machine, a laptop asleep): its monotonic clock stands still with it."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from failure_rows import in_a_thread
from shop import FACES, Shop, charge
from test_failure_rows_storage import Standing

from paygate import PaygateError, State, connect, connect_async
from paygate.testing.fakepg import FAKEPG
from paygate.testing.transport import EmulatorTransport


class Suspended:
    """The clocks of a machine that stands still as a whole: the monotonic one does, the wall clock is set anew."""

    def __init__(self, real: Any) -> None:
        self._real, self.lag = real, 0.0

    def now(self) -> datetime:
        told: datetime = self._real.now()
        return told

    def monotonic(self) -> float:
        return float(self._real.monotonic()) - self.lag

    def sleep(self, seconds: float) -> None:
        self._real.sleep(seconds)


@pytest.mark.parametrize("face", FACES)
def test_a_machine_that_was_suspended_past_its_lease_does_not_send(face: str) -> None:
    with Shop() as other:
        other.pg.is_used = lambda order_id: False  # It would take a second payment for the same order.
        clock = Suspended(other.clock)

        def still() -> None:
            clock.lag += 600.0
            for _ in range(4):
                other.clock.advance(150)
                other.reconcile()
            other.pg.valid_tokens |= {f"token-{n}" for n in range(other.pg.tokens_given + 1)}
            assert other.charge(charge()).status == "paid"
            other.pg.valid_tokens |= {f"token-{n}" for n in range(other.pg.tokens_given + 1)}
        make: Any = connect if face == "sync" else connect_async
        shop = make(FAKEPG, other.pg.settings(), ledger=other.ledger, clock=clock,
                    http=Standing(EmulatorTransport(other.pg), in_a_thread(still), before=True))
        try:
            told = shop.charge(charge()) if face == "sync" else asyncio.run(shop.charge(charge()))
        except PaygateError as error:
            told = error
        finally:
            shop.close() if face == "sync" else asyncio.run(shop.close())
        assert isinstance(told, PaygateError)
        assert other.pg.journal.charges("o1") == 1
        assert other.row("o1").state is State.ANSWERED
