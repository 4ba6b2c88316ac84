"""An answer that names another order binds nothing: the other payment would be taken for this order's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import UnmanagedEmulator

from paygate.assemble import connect
from paygate.errors import OutcomeUnknown
from paygate.ledger import MemoryLedger
from paygate.ledger.row import Book, State
from paygate.model import BillingKey
from paygate.testing.emulator import Answer, Call
from paygate.testing.transport import EmulatorTransport
from paygate.wire import Response

SPEC = next(spec for spec in paygate_providers() if spec.name == UnmanagedEmulator.name)


class Swapping(EmulatorTransport):
    """The PG charges, and the answer to the charge before arrives; look-ups go unanswered."""

    before: Response | None = None
    swaps = False

    def exchange(self, call: Call, request: Any) -> Answer:
        answer = super().exchange(call, request)
        if call.path == "/api/payment/billing" and isinstance(answer, Response):
            answer, self.before = (self.before if self.swaps and self.before else answer), answer
        elif self.swaps:
            return Response(500)
        return answer


@pytest.mark.parametrize("place", ["response", "top"])
def test_the_answer_to_another_charge_is_a_doubt_without_a_payment(place: str) -> None:
    pg = UnmanagedEmulator()
    pg.controls()["switch"](name="billing_id_key", value=place)
    ledger, http, charge = MemoryLedger(), Swapping(pg), pg.story().charge
    assert charge is not None
    with connect(SPEC, pg.settings(), ledger=ledger, clock=pg.clock, http=http, name="another-shop") as gate:
        gate.charge(charge(BillingKey(gate.name, pg.controls()["issue_key"]()), "order-1"))
    with connect(SPEC, pg.settings(), ledger=ledger, clock=pg.clock, http=http) as gate:
        key = BillingKey(gate.name, pg.controls()["issue_key"]())
        http.swaps = True
        with pytest.raises(OutcomeUnknown):
            gate.charge(charge(key, "order-2"))
        row = ledger.get(f"{gate.name}/test", Book.PAYMENT, "order-2")
        assert row is not None
        assert (row.state, row.provider_id) == (State.UNKNOWN, None)
        assert json.loads((http.before or Response(500)).body)["response"]["partnerOrderId"] == "order-2"
