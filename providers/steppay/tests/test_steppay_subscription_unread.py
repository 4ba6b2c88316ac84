"""A subscription that cannot be read is a doubt, never a "no": its first payment was taken."""

from __future__ import annotations

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator

from paygate.assemble import connect
from paygate.errors import OutcomeUnknown, Unauthorized
from paygate.ledger import MemoryLedger
from paygate.testing.emulator import FaultKind
from paygate.testing.transport import EmulatorTransport

SPEC = next(spec for spec in paygate_providers() if spec.name == ManagedEmulator.name)


@pytest.mark.parametrize("fault", [FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY, FaultKind.REFUSE,
                                   FaultKind.ERROR_500_BEFORE])
def test_a_subscription_that_began_and_cannot_be_read_is_never_told_as_refused(fault: FaultKind) -> None:
    pg = ManagedEmulator()
    example = pg.story().subscribe
    assert example is not None
    with connect(SPEC, pg.settings(), ledger=MemoryLedger(), clock=pg.clock, http=EmulatorTransport(pg)) as gate:
        checkout = gate.subscribe(evolve(example, order_id="order-1"))
        query = pg.browse(checkout.action.to_dict())
        pg.fault(fault, "^GET /api/v1/subscriptions/", times=99)
        with pytest.raises(OutcomeUnknown) as told:
            gate.confirm_subscription("order-1", query)
        assert told.value.moved is None
        assert (fault is FaultKind.UNAUTHORIZED) is isinstance(told.value.__cause__, Unauthorized)
        assert len(pg.journal.entries) == 1
        pg.faults.clear()
        begun = gate.confirm_subscription("order-1", query)
        assert begun is not None
