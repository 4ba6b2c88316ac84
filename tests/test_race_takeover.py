"""A worker that stood still past its lease finds its row in other hands: it sends nothing, writes nothing, claims
nothing. Two workers here are two gateways over one ledger; the transport is where one of them stands still.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import STORES, Shop, cancel, charge, schedule, store, won

from paygate import BadCommand, InProgress, NotSent, OutcomeUnknown, Pay, State
from paygate.testing.fakepg import FakePG
from paygate.testing.simulation.tasks import step_by_step
from paygate.testing.transport import EmulatorTransport

PAY = Pay(order_id="o1", money=won(14_000), title="Tea", return_url="https://shop.example/back")


class Standing(httpx.BaseTransport):
    """Stands still right before it would send to `path`; `meanwhile` is what others do in that time."""

    emits_trace = True

    def __init__(self, pg: FakePG, path: str, meanwhile: Callable[[], None]) -> None:
        self._inner, self._path, self._meanwhile = EmulatorTransport(pg), path, meanwhile
        self.stood = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == self._path and not self.stood:
            self.stood += 1
            self._meanwhile()
        return self._inner.handle_request(request)


ASKS: dict[str, tuple[str, Callable[[Shop], Any], Callable[[Shop], Any], str]] = {
    "charge": ("/charges", lambda s: s.charge(charge()), lambda s: s.row("o1"), "charge"),
    "cancel": ("/payments/p1/refunds", lambda s: s.cancel(cancel()), lambda s: s.refund("c1"), "refund"),
    "schedule": ("/schedules", lambda s: s.schedule(schedule(s, "o1", in_s=86_400 - s.clock.monotonic())),
                 lambda s: s.row("o1"), "charge"),
}


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("name", ASKS)
def test_a_worker_that_wakes_right_before_it_sends_sends_nothing_and_claims_nothing(name: str, kind: str,
                                                                                  tmp_path: Path) -> None:
    path, ask, row, _ = ASKS[name]
    pg = FakePG()
    with Shop(ledger=store(kind, tmp_path), pg=pg) as other:
        if name == "cancel":
            other.charge(charge())

        def take_over() -> None:
            for _ in range(5):
                pg.clock.advance(130)
                other.reconcile()
            assert row(other).state is State.NOT_SENT
            ask(other)
            assert row(other).state is State.ANSWERED

        http = Standing(pg, path, take_over)
        with Shop(ledger=other.ledger, pg=pg, http=http) as stale:
            with pytest.raises(InProgress):
                ask(stale)
            assert http.stood == 1
            assert other.sent(f"POST {path}") == 1
            fence = row(other).fence
            assert row(other).state is State.ANSWERED
            ask(stale)
            assert row(other).fence == fence
            assert other.sent(f"POST {path}") == 1


@pytest.mark.parametrize("kind", STORES)
def test_a_window_whose_row_was_taken_meanwhile_is_not_shown(kind: str, tmp_path: Path) -> None:
    pg = FakePG()
    with Shop(ledger=store(kind, tmp_path), pg=pg) as one:
        with Shop(ledger=one.ledger, pg=pg) as other:
            stale, new = step_by_step(one.gate).pay(PAY), step_by_step(other.gate).pay(PAY)
            while one.row("o1") is None:
                stale.step()
            assert one.row("o1").state is State.SENT
            pg.clock.advance(130)
            while other.sent("POST /windows") == 0:
                new.step()
            while not stale.is_over:  # It wakes past its deadline and gives up.
                stale.step()
            while not new.is_over:
                new.step()
            assert isinstance(stale.error, NotSent)
            assert one.row("o1").state is State.NOT_SENT
            assert isinstance(new.error, InProgress), "a window was shown that the ledger is not bound to"


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("how", ["asked again", "reconciled"])
@pytest.mark.parametrize("lists", [True, False], ids=["refunds-listed", "balance-only"])
def test_a_refund_is_not_taken_for_a_later_one_of_the_same_amount(lists: bool, how: str, kind: str,
                                                                 tmp_path: Path) -> None:
    with Shop(ledger=store(kind, tmp_path)) as shop:
        shop.charge(charge())
        shop.pg.fault("drop_before", "^POST /payments/p1/refunds$")
        with pytest.raises(OutcomeUnknown):
            shop.cancel(cancel("c1", amount=14_000))
        shop.clock.advance(40)
        shop.reconcile()
        shop.clock.advance(130)
        shop.reconcile()
        assert shop.refund("c1").state is State.NOT_SENT
        shop.cancel(cancel("c2", amount=14_000))
        if not lists:
            shop.pg.payments["p1"]["refunds"].clear()
        if how == "asked again":
            with pytest.raises(BadCommand, match="everything was given back"):
                shop.cancel(cancel("c1", amount=14_000))
        shop.clock.advance(4_000)
        shop.reconcile()
        assert shop.refund("c1").state is State.NOT_SENT
        assert shop.refund("c2").state is State.ANSWERED
        assert shop.attention() == []


@pytest.mark.parametrize("kind", STORES)
def test_one_odd_answer_about_a_dated_charge_does_not_end_the_looks(kind: str, tmp_path: Path) -> None:
    with Shop(ledger=store(kind, tmp_path)) as shop:
        shop.schedule(schedule(shop, "o1", in_s=3_600))
        shop.pg.fault("wrong_amount", "^GET /schedules/")
        with pytest.raises(OutcomeUnknown):
            shop.find_schedule("o1")
        assert shop.row("o1").attention is not None
        shop.clock.advance(8_000)
        shop.reconcile()
        assert '"payment_status":"paid"' in shop.row("o1").result
