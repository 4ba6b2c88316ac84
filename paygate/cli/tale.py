"""The steps of `paygate demo`: one provider's story, told call by call. What one step learns, the next ones use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..capability import Capability
from ..commands import Cancel, CancelWhole, Charge, DeleteKey, Unschedule
from ..errors import OutcomeUnknown
from ..gateway import Gateway
from ..model import BillingKey, Checkout, Payment, PaymentStatus, ScheduledCharge, ScheduleStatus
from ..sandbox import Sandbox
from ..subscriptions import Renew, Subscription, SubscriptionStatus, Unsubscribe
from ..testing.story import Story
from .brief import Doubted

Step = tuple[str, tuple[Capability, ...], Callable[[], Any]]


class Failed(Exception):
    """A step did not end as it must."""


class Tale:
    """The steps of one provider's demo. What one step learns, the next ones use."""

    def __init__(self, gate: Gateway, box: Sandbox, story: Story) -> None:
        self.gate, self.box, self.story = gate, box, story
        self.emulator = box.emulator(gate.provider)
        self.key: BillingKey | None = None
        self.asked: object = None
        """The command of the step that runs."""
        self.expected: dict[str, int] = {}
        """Minor units that must have stayed with the merchant, by order id."""
        self.theirs: dict[str, str] = {}
        """Our order id by the PG's: a PG that keeps no id of ours writes its own into its journal."""

    def steps(self) -> Iterator[Step]:
        """Every step: title, what it needs, what it does."""
        c = Capability
        yield "Register a billing key (빌링키 발급)", (c.REGISTER,), self.register
        yield "The payer approves; confirm by look-up", (c.REGISTER,), self.confirm_key
        yield "Charge the key", (c.CHARGE,), self.charge
        yield "The same charge again: the recorded result, nothing sent", (c.CHARGE,), self.charge_again
        yield "The answer is lost after the PG took the money: never sent again", (c.CHARGE,), self.lose_answer
        yield "Schedule dated charges (예약결제)", (c.SCHEDULE,), self.schedule
        yield "Stop all but the first", (c.UNSCHEDULE,), self.unschedule
        yield "Time passes; the PG charges on the date", (c.SCHEDULE,), self.time_passes
        yield "A one-off payment (일반결제)", (c.PAY,), self.pay
        yield "The payer approves; confirm by look-up", (c.PAY,), self.confirm
        yield "Cancel a part (부분취소)", (c.CANCEL, c.CANCEL_PARTLY), self.cancel
        yield "Cancel the rest (전액취소)", (c.CANCEL,), self.cancel_whole
        yield "Read the payment back; the ledger knows the PG's id of it", (c.LOOKUP,), self.find
        yield "Begin a subscription (정기결제)", (c.SUBSCRIBE,), self.subscribe
        yield "The payer approves; confirm by look-up", (c.SUBSCRIBE,), self.confirm_subscription
        yield "Time passes; the PG renews it by itself", (c.SUBSCRIBE, c.RECEIVE), self.renewed
        yield "Renew it now, at exactly what it costs", (c.RENEW,), self.renew
        yield "Stop it at the end of the paid period", (c.UNSUBSCRIBE,), self.unsubscribe
        yield "Delete the billing key", (c.DELETE_KEY,), self.delete_key
        yield "Compare with the PG's own journal of money moved", (), self.compare

    def register(self) -> Checkout:
        assert self.story.register is not None
        self.asked = self.story.register
        self.checkout = self.gate.register(self.story.register)
        return self.checkout

    def confirm_key(self) -> BillingKey:
        key = self.gate.confirm_key(self.checkout.order_id, self._browse())
        if key is None:
            raise Failed("the registration is not finished")
        self.key = key
        if self.checkout.takes_money:
            self._paid(self.gate.find(self.checkout.order_id))
        return key

    def _browse(self) -> dict[str, str]:
        with self.box.lock:
            return self.emulator.browse(self.checkout.action.to_dict(), "approve")

    def _charge(self, order_id: str) -> Charge:
        assert self.key is not None
        assert self.story.charge is not None
        self.asked = command = self.story.charge(self.key, order_id)
        return command

    def _paid(self, payment: Payment) -> Payment:
        if payment.status is not PaymentStatus.PAID:
            raise Failed(f"expected a paid payment, got {payment.status.value}")
        self._keeps(payment)
        return payment

    def _keeps(self, payment: Payment) -> None:
        """The merchant keeps what is left of this payment. A renewal is one more payment of the same order."""
        name = payment.order_id if payment.renews is None else f"{payment.order_id}/{payment.provider_id}"
        self.expected[name] = payment.left.amount
        if payment.provider_id is not None:
            self.theirs[payment.provider_id] = name

    def charge(self) -> Payment:
        return self._paid(self.gate.charge(self._charge(self.story.charge_order_id)))

    def charge_again(self) -> Payment:
        before = len(self.box.stations[self.gate.provider].calls)
        payment = self._paid(self.gate.charge(self._charge(self.story.charge_order_id)))
        if len(self.box.stations[self.gate.provider].calls) != before:
            raise Failed("something was sent for an order that is settled")
        return payment

    def lose_answer(self) -> Payment | str:
        with self.box.lock:
            self.emulator.fault("drop_after", on="^POST ")
            told = len(self.emulator.hooks)
        try:
            return self._paid(self.gate.charge(self._charge("story-lost-answer")))
        except OutcomeUnknown as doubt:
            if self.gate.supports(Capability.FIND):
                raise
            unknown = f"{type(doubt).__name__}: this PG finds nothing by our id"
        # Where nothing can be found by our id, only the PG's own word ends the doubt.
        self._received(told, "story-lost-answer")
        return Doubted(f"{unknown}; its webhook told, and its record confirms: paid")

    def _received(self, since: int, order_id: str) -> Any:
        """Take the webhooks sent since then until one tells of a payment of that order."""
        with self.box.lock:
            hooks = self.emulator.hooks[since:]
        for hook in hooks:
            event = self.gate.receive(hook.headers, hook.body)
            if event.payment is not None and event.order_id == order_id and event.payment.status.took_money:
                self._paid(event.payment)
                return event
        raise Failed("no webhook told of it")

    def schedule(self) -> tuple[ScheduledCharge, ...]:
        assert self.key is not None
        assert self.story.schedule is not None
        self.asked = command = self.story.schedule(self.key)
        self.held = self.gate.schedule(command)
        return self.held

    def unschedule(self) -> tuple[ScheduledCharge, ...]:
        assert self.key is not None
        self.asked = command = Unschedule(billing_key=self.key, order_ids=tuple(s.order_id for s in self.held[1:]))
        stopped = self.gate.unschedule(command)
        if any(s.status is not ScheduleStatus.REVOKED for s in stopped):
            raise Failed("a dated charge was not stopped")
        return stopped

    def time_passes(self) -> Any:
        first = self.held[0]
        self.box.advance((first.due_at - self.box.clock.now()).total_seconds() + 60)
        with self.box.lock:
            hook = next((h for h in reversed(self.emulator.hooks) if first.order_id.encode() in h.body), None)
        if hook is not None and self.gate.supports(Capability.RECEIVE):
            event = self.gate.receive(hook.headers, hook.body)
            if event.payment is None:
                raise Failed("the webhook tells of no payment")
            self._paid(event.payment)
            return event
        return self._paid(self.gate.find(first.order_id))

    def pay(self) -> Checkout:
        assert self.story.pay is not None
        self.asked = self.story.pay
        self.checkout = self.gate.pay(self.story.pay)
        return self.checkout

    def confirm(self) -> Payment:
        return self._paid(self.gate.confirm(self.checkout.order_id, self._browse()))

    def cancel(self) -> Any:
        assert self.story.cancel_part is not None
        self.asked = command = Cancel(cancel_id="story-cancel-1", order_id=self.checkout.order_id,
                                      money=self.story.cancel_part, reason="customer asked")
        done = self.gate.cancel(command)
        self._keeps(done.payment)
        return done

    def cancel_whole(self) -> Any:
        self.asked = command = CancelWhole(cancel_id="story-cancel-2", order_id=self.checkout.order_id,
                                           reason="customer asked")
        done = self.gate.cancel_whole(command)
        self._keeps(done.payment)
        return done

    def find(self) -> Payment:
        payment = self.gate.find(self.checkout.order_id)
        if payment.left.amount != self.expected[payment.order_id]:
            raise Failed("the PG and the ledger disagree")
        return payment

    def subscribe(self) -> Checkout:
        assert self.story.subscribe is not None
        self.asked = self.story.subscribe
        self.checkout = self.gate.subscribe(self.story.subscribe)
        return self.checkout

    def confirm_subscription(self) -> Subscription:
        begun = self.gate.confirm_subscription(self.checkout.order_id, self._browse())
        if begun is None or begun.status is not SubscriptionStatus.ACTIVE:
            raise Failed("the subscription has not begun")
        self._paid(self.gate.find(self.checkout.order_id))
        self.begun = begun
        return begun

    def renewed(self) -> Any:
        if self.begun.next_due_at is None:
            raise Failed("nothing is due")
        with self.box.lock:
            told = len(self.emulator.hooks)
        self.box.advance((self.begun.next_due_at - self.box.clock.now()).total_seconds() + 60)
        return self._received(told, self.begun.order_id)

    def renew(self) -> Payment:
        self.asked = command = Renew(order_id="story-renewal", subscription=self.begun.order_id, money=self.begun.money)
        payment = self.gate.renew(command)
        if payment.status is not PaymentStatus.PAID or payment.order_id != command.order_id:
            raise Failed("the renewal is not paid")
        self.expected[payment.order_id] = payment.left.amount
        self.theirs[str(payment.provider_id)] = payment.order_id
        return payment

    def unsubscribe(self) -> Subscription:
        self.asked = command = Unsubscribe(order_id=self.begun.order_id)
        ended = self.gate.unsubscribe(command)
        if ended.status not in (SubscriptionStatus.ENDING, SubscriptionStatus.ENDED):
            raise Failed("the subscription goes on")
        return ended

    def delete_key(self) -> None:
        assert self.key is not None
        self.asked = command = DeleteKey(billing_key=self.key, reason="customer left")
        self.gate.delete_key(command)

    def compare(self) -> str:
        """Every won of the PG's journal must be one that this demo asked for, and none may be missing."""
        with self.box.lock:
            journal = self.emulator.journal
            ids = {m.order_id for m in journal.entries}
            kept = {self.theirs.get(i, i): journal.taken(i) - journal.given_back(i) for i in ids}
            twice = [i for i in ids if journal.charges(i) > 1]
        if kept != self.expected or twice:
            raise Failed(f"the journal says {kept}, we expected {self.expected}")
        return f"{len(ids)} orders, {sum(kept.values()):,} kept by the merchant, nothing twice, nothing lost"
