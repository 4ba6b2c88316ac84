"""What is left alone: a charge that another worker has on its way, what a dead worker may have sent at the last moment
of its lease, and a charge that was turned away where the PG would not notice a second one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from paygate import BillingKey, Charge, Gateway, MemoryLedger, Money, NotFound, OutcomeUnknown, PaygateError, connect
from paygate.capability import assumed
from paygate.ledger.row import Book, Ledger
from paygate.provider import ProviderSpec
from paygate.testing import EmulatorTransport
from paygate.testing.emulator import Answer, Call
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.wire import Response

LEASE_S, STOOD_S, LATE_S = 99.0, 80.0, 100.0


class Blind(FakePG):
    """Notices no second charge under one order id, and lets no token end."""

    def is_used(self, order_id: str) -> bool:
        return False

    def answer(self, call: Call) -> Response:
        if (token := call.headers.get("authorization", "").removeprefix("Bearer ")).startswith("token"):
            self.valid_tokens.add(token)
        return super().answer(call)


class Died(GeneratorExit):
    """The process is gone: nothing more is carried out, and nothing is written down."""


class OnTheWay(EmulatorTransport):
    """Does something once, as the first charge is about to arrive."""

    def __init__(self, pg: FakePG, do: Callable[[Call], None]) -> None:
        super().__init__(pg)
        self._do: Callable[[Call], None] | None = do

    def exchange(self, call: Call, request: Any) -> Answer:
        if call.path == "/charges" and self._do is not None:
            do, self._do = self._do, None
            do(call)
        return super().exchange(call, request)


def _gate(pg: FakePG, ledger: Ledger, http: EmulatorTransport | None = None,
          spec: ProviderSpec = FAKEPG) -> Gateway:
    return connect(spec, pg.settings(), ledger=ledger, http=http or EmulatorTransport(pg), clock=pg.clock)


def _command(pg: FakePG) -> Charge:
    return Charge(order_id="o1", billing_key=BillingKey("fakepg", pg.issue_key("k1")), money=Money(1_000, "KRW"),
                  title="plan")


def test_who_looks_at_a_charge_that_is_on_its_way_leaves_it_to_the_worker_that_holds_it() -> None:
    pg, ledger = FakePG(), MemoryLedger()
    other = _gate(pg, ledger)

    def look(_: Call) -> None:
        with pytest.raises((NotFound, OutcomeUnknown)):
            other.find("o1")

    with other, _gate(pg, ledger, OnTheWay(pg, look)) as gate:
        assert gate.charge(_command(pg)).status == "paid"
        assert [line.note for line in gate.trail("o1") if line.state.value == "unknown"] == []
    assert pg.journal.charges("o1") == 1


def test_what_a_dead_worker_may_have_sent_counts_from_the_end_of_its_lease() -> None:
    pg, ledger = Blind(), MemoryLedger()

    def die(call: Call) -> None:
        pg.clock.advance(STOOD_S)  # Between the intent and the first byte; then the PG takes its time as well.
        pg.clock.at(pg.clock.now() + timedelta(seconds=LATE_S), lambda: pg.answer(call) and None)
        raise Died

    with pytest.raises(Died), _gate(pg, ledger, OnTheWay(pg, die)) as gate:
        gate.charge(_command(pg))
    with _gate(pg, ledger) as other:
        opened_at = _row(other, ledger).opened_at
        for _ in range(12):
            pg.clock.advance(17)
            other.reconcile()
            try:
                other.charge(_command(pg))
            except PaygateError:
                pass
            row = _row(other, ledger)
            assert row.lease_until is not None or (row.sent_at or 0.0) >= opened_at + LEASE_S
    assert pg.journal.charges("o1") == 1


def _row(gate: Gateway, ledger: MemoryLedger) -> Any:
    row = ledger.get(gate._account.scope, Book.PAYMENT, "o1")
    assert row is not None
    return row


def test_a_charge_turned_away_is_not_sent_again_where_the_pg_would_not_notice_a_second_one() -> None:
    pg = FakePG()
    pg.fault("too_many", on="^POST /charges$", times=2)
    blind = evolve(FAKEPG, profile=evolve(FAKEPG.profile, refuses_reused_order_id=assumed(False, "of this test")))
    with _gate(pg, MemoryLedger(), spec=blind) as gate, pytest.raises(PaygateError):
        gate.charge(_command(pg))
    assert [call.path for call in pg.calls].count("/charges") == 1
