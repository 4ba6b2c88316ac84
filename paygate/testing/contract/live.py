"""The safe part of the contract against a PG's real test mode: small amounts, no payer, all given back at the end.

Only test credentials are taken. Without a billing key no money moves at all; with one (a test key of yours), one
small charge is made, looked at and given back, and one dated charge is put off and stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field, frozen

from ...assemble import connect
from ...capability import Capability
from ...clock import Clock
from ...commands import CancelWhole, Unschedule, new_order_id
from ...errors import BadSettings, NotFound, PaygateError
from ...gateway import Gateway
from ...ledger.row import Ledger
from ...model import BillingKey, Payment, PaymentStatus, ScheduleStatus
from ...money import EXPONENT, Money
from ...provider import ProviderSpec
from ..story import Story
from .told import Broke, NotHere, expect

C = Capability
REASON = "paygate contract --live"


@frozen(kw_only=True)
class Step:
    """How one step ended: "holds", "broken" or "not here", and why."""

    sentence: str
    verdict: str
    why: str | None = None


@define
class Live:
    """A run against one account. `left` names what could not be given back or stopped: for a person, now."""

    gate: Gateway
    story: Story
    key: BillingKey | None
    money: Money
    clock: Clock
    steps: list[Step] = field(factory=list)
    paid: list[Payment] = field(factory=list)
    dated: list[str] = field(factory=list)
    left: list[str] = field(factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing was broken and nothing is left behind."""
        return not self.left and all(step.verdict != "broken" for step in self.steps)


def run(spec: ProviderSpec, settings: Mapping[str, Any], *, ledger: str | os.PathLike[str] | Ledger,
        key: str | None = None, cap: int | None = None, base_url: str | None = None, clock: Clock | None = None,
        story: Story | None = None) -> Live:
    """Run the safe part against a real test account. `cap` is the most that is charged, in minor units.

    Raises: BadSettings for credentials that are not said to be for testing; where the smallest amount is above `cap`.
    """
    if settings.get("mode", "live") != "test":
        raise BadSettings("a contract run takes test credentials only: settings say mode 'test', or nothing is sent")
    told = story or spec.load_emulator()().story()
    with connect(spec, settings, ledger=ledger, base_url=base_url, clock=clock) as gate:
        if not gate.is_test:
            raise BadSettings("a contract run takes test credentials only; nothing was sent")
        live = Live(gate, told, None if key is None else BillingKey(gate.name, key), _amount(spec, told, cap),
                    gate._account.clock)
        try:
            for sentence, needs, step in _STEPS:
                _take(live, sentence, needs, step)
        finally:
            _give_everything_back(live)
    return live


def _amount(spec: ProviderSpec, story: Story, cap: int | None) -> Money:
    """A small amount: the declared minimum, or a hundred of the smallest coins, and never above the cap."""
    currency = next((c.money.currency for c in (story.pay, story.register) if c is not None), "KRW")
    least = spec.profile.minimum.value
    usual = 1_000 if EXPONENT[currency] == 0 else 10 ** EXPONENT[currency]
    amount = max(usual, least.amount if least is not None and least.currency == currency else 0)
    limit = usual * 10 if cap is None else cap
    if least is not None and least.currency == currency and least.amount > limit:
        raise BadSettings(f"the smallest amount is {least}, which is above the cap; nothing was sent")
    return Money(min(amount, limit), currency)


def _take(live: Live, sentence: str, needs: tuple[Capability, ...], step: Callable[[Live], None]) -> None:
    lacking = [c.value for c in needs if not live.gate.supports(c)]
    if lacking:
        live.steps.append(Step(sentence=sentence, verdict="not here", why=f"not claimed: {', '.join(lacking)}"))
        return
    try:
        step(live)
    except NotHere as reason:
        live.steps.append(Step(sentence=sentence, verdict="not here", why=str(reason)))
    except (Broke, PaygateError) as error:
        live.steps.append(Step(sentence=sentence, verdict="broken", why=f"{type(error).__name__}: {error}"))
    else:
        live.steps.append(Step(sentence=sentence, verdict="holds"))


@contextmanager
def _absent(what: str) -> Iterator[None]:
    try:
        yield
    except NotFound:
        return
    raise Broke(f"{what} that never was is there")


def _asks(live: Live) -> None:
    if live.gate.supports(C.FIND):
        with _absent("an order"):
            live.gate.find(new_order_id("kit-"))
    elif live.gate.supports(C.LOOKUP):
        with _absent("a payment"):
            live.gate.lookup("zz-kit-never-was")
    else:
        raise NotHere("nothing can be looked up")


def _prepares(live: Live) -> None:
    assert live.story.pay is not None
    live.gate.pay(evolve(live.story.pay, order_id=new_order_id("kit-"), money=live.money, tax_free=None))


def _registers(live: Live) -> None:
    assert live.story.register is not None
    live.gate.register(evolve(live.story.register, order_id=new_order_id("kit-"), money=live.money, extra={}))


def _key(live: Live) -> BillingKey:
    if live.key is None:
        raise NotHere("no billing key was given (--billing-key)")
    return live.key


def _charges(live: Live) -> None:
    key = _key(live)
    assert live.story.charge is not None
    command = evolve(live.story.charge(key, new_order_id("kit-")), money=live.money, tax_free=None, extra={})
    payment = live.gate.charge(command)
    if payment.status.took_money:
        live.paid.append(payment)
    expect(payment.status is PaymentStatus.PAID and (payment.order_id, payment.money) == (
        command.order_id, live.money), f"a charge of {live.money} is told as {payment}")
    expect(payment.test is not False, "the PG says that this was a live payment")
    again = live.gate.charge(command)
    expect(again.provider_id == payment.provider_id, "asked for again, the charge is another payment")


def _looks(live: Live) -> None:
    if not live.paid:
        raise NotHere("nothing was charged")
    payment = live.paid[0]
    seen: list[Payment] = []
    if live.gate.supports(C.FIND):
        seen.append(live.gate.find(payment.order_id))
    if live.gate.supports(C.LOOKUP) and payment.provider_id is not None:
        seen.append(live.gate.lookup(payment.provider_id))
    for one in seen:
        expect((one.order_id, one.money, one.status.took_money) == (payment.order_id, payment.money, True),
               f"charged as {payment}, looked at: {one}")


def _knows_key(live: Live) -> None:
    info = live.gate.lookup_key(_key(live))
    expect(info.billing_key == live.key, "looked up, the key is another one")


def _dates(live: Live) -> None:
    key = _key(live)
    assert live.story.schedule is not None
    told = live.story.schedule(key)
    order_id = new_order_id("kit-")
    item = evolve(told.charges[0], order_id=order_id, money=live.money, extra={}, tax_free=None,
                  due_at=(live.clock.now() + timedelta(days=30)).replace(microsecond=0))
    live.dated.append(order_id)
    held = live.gate.schedule(evolve(told, charges=[item]))
    expect(held[0].status is ScheduleStatus.SCHEDULED, f"a dated charge is told as {held[0].status.value}")
    stopped = live.gate.unschedule(Unschedule(billing_key=key, order_ids=(order_id,)))
    expect(stopped[0].status is ScheduleStatus.REVOKED, f"a stopped charge is told as {stopped[0].status.value}")
    live.dated.remove(order_id)


def _gives_back(live: Live) -> None:
    if not live.paid:
        raise NotHere("nothing was charged")
    payment = live.paid[0]
    done = live.gate.cancel_whole(CancelWhole(cancel_id=new_order_id("kit-"), order_id=payment.order_id, reason=REASON))
    expect(done.payment.left.is_zero, f"after a whole refund {done.payment.left} are left")
    live.paid.remove(payment)


_STEPS: tuple[tuple[str, tuple[Capability, ...], Callable[[Live], None]], ...] = (
    ("The credentials are accepted, and what never was is not there.", (), _asks),
    ("A payment window can be prepared; no money moves.", (C.PAY,), _prepares),
    ("A registration window can be prepared; no money moves.", (C.REGISTER,), _registers),
    ("The billing key is known.", (C.LOOKUP_KEY,), _knows_key),
    ("A small charge is taken once and told rightly.", (C.CHARGE, C.CANCEL), _charges),
    ("The charge is found as it was told.", (C.CHARGE, C.CANCEL), _looks),
    ("A dated charge is held and stopped again.", (C.SCHEDULE, C.UNSCHEDULE, C.FIND_SCHEDULE), _dates),
    ("All of it is given back.", (C.CHARGE, C.CANCEL), _gives_back),
)


def _give_everything_back(live: Live) -> None:
    """Whatever went wrong: nothing stays charged, nothing stays dated; and what does is named."""
    for payment in live.paid:
        try:
            live.gate.cancel_whole(CancelWhole(cancel_id=new_order_id("kit-"), order_id=payment.order_id,
                                               reason=REASON))
        except PaygateError as error:
            live.left.append(f"order {payment.order_id}: {payment.money} were charged and not given back ({error})")
    for row in live.gate.pending():
        if row.kind.value == "charge":
            live.left.append(f"order {row.order_id}: it is not known whether {row.money} were charged; look at the PG")
    for order_id in live.dated:
        try:
            live.gate.unschedule(Unschedule(billing_key=_key(live), order_ids=(order_id,)))
        except (PaygateError, NotHere) as error:
            live.left.append(f"dated charge {order_id} may still be held ({error})")
