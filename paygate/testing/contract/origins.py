"""Where a payment can come from: whatever is done with one, or told of one, holds for each of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from ...capability import Capability
from ...model import Payment
from ...money import Money
from .subject import Subject, why_not

if TYPE_CHECKING:
    from .bench import Bench

C = Capability
SLACK_S = 1_800
"""How long after its instant a PG may still be about to charge."""


def _charge(bench: Bench, money: Money) -> Payment:
    made: Payment = bench.do("charge", bench.charge(money=money))
    return made


def _window(bench: Bench, money: Money) -> Payment:
    return bench.paid_in_window(bench.pay(money=money))


def _dated(bench: Bench, money: Money) -> Payment:
    command = bench.schedule(bench.clock.now() + timedelta(days=2), money=money)
    bench.do("schedule", command)
    bench.clock.advance(2 * 86_400 + SLACK_S)
    made: Payment = bench.do("find", command.charges[0].order_id)
    return made


_ORIGINS: dict[str, tuple[tuple[Capability, ...], Callable[[Bench, Money], Payment]]] = {
    "charge": ((C.CHARGE,), _charge), "window": ((C.PAY,), _window),
    "dated": ((C.SCHEDULE, C.FIND_SCHEDULE, C.FIND), _dated),
}


def origins(subject: Subject) -> list[str]:
    """Where this provider's payments can come from, the plainest first."""
    return [name for name, (needs, _) in _ORIGINS.items() if why_not(subject, needs) is None]


def paid(bench: Bench, origin: str, money: Money) -> Payment:
    """An order that has been paid that way."""
    return _ORIGINS[origin][1](bench, money)
