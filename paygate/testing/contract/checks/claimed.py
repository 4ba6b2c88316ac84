"""Every claimed verb works, and what it says equals what the PG's own journal holds."""

from __future__ import annotations

from ....capability import Capability
from ..bench import Bench
from ..registry import check
from ..told import expect

C = Capability


@check(C.CHARGE)
def a_charge_takes_exactly_its_money_once(bench: Bench) -> None:
    """What is told is what the journal holds: this order, this amount, once."""
    command = bench.charge()
    since = len(bench.journal)
    payment = bench.do("charge", command)
    expect(payment.status.took_money, f"the charge is told as {payment.status.value}")
    expect((payment.order_id, payment.money) == (command.order_id, command.money),
           f"{command.money} were charged for {command.order_id}, and the result says {payment}")
    expect((bench.charges(since), bench.taken(since)) == (1, command.money.amount),
           f"{command.money} were to be taken once; the PG took {bench.taken(since)} in {bench.charges(since)} charges")
