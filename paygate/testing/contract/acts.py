"""Each mutating verb as something that can be prepared, done once, disturbed, and counted afterwards at the PG.

`ask` goes through the gateway, `flow` is the provider's own half of it. `done` counts, from the PG's journal or from an
undisturbed look at the PG, how often it was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from ...capability import Capability
from ...commands import Cancel, DeleteKey, Unschedule
from ...errors import PaygateError
from ...flow import Flow
from ...model import Payment, ScheduleStatus
from ...subscriptions import (
    ChangeInterval,
    ChangeMethod,
    Interval,
    MoveNext,
    Renew,
    Subscription,
    SubscriptionStatus,
    Unsubscribe,
)
from .act import Act as Act
from .act import Needs
from .bench import BACK, REASON, Bench
from .told import Told

C = Capability


class Pays(Act):
    verb, word = "pay", "payment_window"
    needs: ClassVar[Needs] = (C.PAY,)
    is_once = False

    def prepared(self) -> Any:
        return self.bench.pay()

    def done(self) -> int | None:
        return None


class Registers(Pays):
    verb, word = "register", "registration_window"
    needs: ClassVar[Needs] = (C.REGISTER,)

    def prepared(self) -> Any:
        return self.bench.register()


class Subscribes(Pays):
    verb, word = "subscribe", "subscription_window"
    needs: ClassVar[Needs] = (C.SUBSCRIBE,)

    def prepared(self) -> Any:
        return self.bench.subscribe()


class Captures(Act):
    """The payer has approved, and is back."""

    verb, word, moves = "capture", "capture", "charge"
    needs: ClassVar[Needs] = (C.CAPTURE, C.PAY)
    query: Mapping[str, str]

    def prepared(self) -> Any:
        command = self.bench.pay()
        self.query = self.bench.browse(self.bench.do("pay", command).action)
        return command

    def flow(self) -> Flow[Any]:
        hint = self.bench.provider.read_return(self.query)
        return self.bench.provider.capture(self.command.order_id, self.command.money, hint)

    def ask(self) -> Told:
        return self.bench.ask("confirm", self.command.order_id, self.query)

    def claims_done(self, value: Any) -> bool:
        return bool(value.status.took_money)


class Charges(Act):
    verb, word, moves = "charge", "charge", "charge"
    needs: ClassVar[Needs] = (C.CHARGE,)

    def claims_done(self, value: Any) -> bool:
        return bool(value.status.took_money)

    def prepared(self) -> Any:
        return self.bench.charge()


class Cancels(Act):
    verb, word, moves = "cancel", "partial_refund", "refund"
    needs: ClassVar[Needs] = (C.CANCEL, C.CANCEL_PARTLY)
    payment: Payment

    def prepared(self) -> Any:
        self.payment = self.bench.paid()
        part = self.bench.story.cancel_part or self.bench.won(self.payment.money.amount // 2)
        return self.bench.cancel(self.payment.order_id, part.amount)

    def context(self) -> tuple[Any, ...]:
        return (self.payment,)

    def claims_done(self, value: Any) -> bool:
        return bool(value.cancelled > self.payment.cancelled)


class CancelsWhole(Cancels):
    verb, word = "cancel_whole", "whole_refund"
    needs: ClassVar[Needs] = (C.CANCEL,)

    def prepared(self) -> Any:
        self.payment = self.bench.paid()
        return self.bench.cancel_whole(self.payment.order_id)

    def flow(self) -> Flow[Any]:
        stated = Cancel(cancel_id=self.command.cancel_id, order_id=self.command.order_id, money=self.payment.left,
                        reason=self.command.reason)
        return self.bench.provider.cancel(stated, self.payment)


class Schedules(Act):
    verb, word = "schedule", "dated_charge"
    needs: ClassVar[Needs] = (C.SCHEDULE, C.FIND_SCHEDULE)

    def prepared(self) -> Any:
        return self.bench.schedule(self.bench.clock.now() + timedelta(days=20))

    def done(self) -> int | None:
        found = self.bench.say(self.bench.provider.find_schedule(self.command.charges[0].order_id)).value
        return int(found is not None and found.status is ScheduleStatus.SCHEDULED)


class Unschedules(Act):
    verb, word = "unschedule", "stop_of_a_dated_charge"
    needs: ClassVar[Needs] = (C.UNSCHEDULE, C.FIND_SCHEDULE, C.SCHEDULE)
    is_once = False

    def prepared(self) -> Any:
        told = self.bench.schedule(self.bench.clock.now() + timedelta(days=20))
        self.bench.do("schedule", told)
        return Unschedule(billing_key=told.billing_key, order_ids=(told.charges[0].order_id,))

    def claims_done(self, value: Any) -> bool:
        return self.command.order_ids[0] in value

    def done(self) -> int | None:
        found = self.bench.say(self.bench.provider.find_schedule(self.command.order_ids[0])).value
        return int(found is None or found.status is not ScheduleStatus.SCHEDULED)


class DeletesKey(Act):
    verb, word = "delete_key", "deletion_of_a_key"
    needs: ClassVar[Needs] = (C.DELETE_KEY,)
    is_once = False

    def prepared(self) -> Any:
        return DeleteKey(billing_key=self.bench.key(), reason=REASON)

    def done(self) -> int | None:
        if not self.bench.claims(C.LOOKUP_KEY):
            return None
        told = self.bench.say(self.bench.provider.lookup_key(self.command.billing_key.value, self.bench.gate.name))
        return int(told.expected("an undisturbed lookup_key") is None)


class OfSubscription(Act):
    """Something done to a subscription that runs."""

    before: Subscription

    def prepared(self) -> Any:
        self.before = begun(self.bench)
        return self.asked(self.before.order_id)

    def asked(self, order_id: str) -> Any:
        """The verb's argument."""
        raise NotImplementedError

    def context(self) -> tuple[Any, ...]:
        return (self.before,)

    def now(self) -> Subscription:
        """The subscription, looked at without disturbance."""
        found: Subscription = self.bench.do("subscription", self.before.order_id)
        return found

    def is_so(self, now: Subscription) -> bool:
        """Whether `now` shows that it was done."""
        raise NotImplementedError

    def done(self) -> int | None:
        return int(self.is_so(self.now()))


class Unsubscribes(OfSubscription):
    verb, word = "unsubscribe", "end_of_a_subscription"
    needs: ClassVar[Needs] = (C.UNSUBSCRIBE, C.SUBSCRIBE)
    is_once = False

    def asked(self, order_id: str) -> Any:
        return Unsubscribe(order_id=order_id, when="now")

    def is_so(self, now: Subscription) -> bool:
        return now.status in (SubscriptionStatus.ENDING, SubscriptionStatus.ENDED)


class Pauses(OfSubscription):
    verb, word = "pause", "pause"
    needs: ClassVar[Needs] = (C.PAUSE, C.SUBSCRIBE)
    is_once = False

    def asked(self, order_id: str) -> Any:
        return order_id

    def flow(self) -> Flow[Any]:
        return self.bench.provider.pause(self.before)

    def is_so(self, now: Subscription) -> bool:
        return now.status is SubscriptionStatus.PAUSED


class Resumes(Pauses):
    verb, word = "resume", "resumption"
    needs: ClassVar[Needs] = (C.PAUSE, C.SUBSCRIBE)

    def prepared(self) -> Any:
        order_id = begun(self.bench).order_id
        self.before = self.bench.do("pause", order_id)
        return order_id

    def flow(self) -> Flow[Any]:
        return self.bench.provider.resume(self.before)

    def is_so(self, now: Subscription) -> bool:
        return now.status is SubscriptionStatus.ACTIVE


class MovesNext(OfSubscription):
    verb, word = "move_next", "move_of_the_next_charge"
    needs: ClassVar[Needs] = (C.MOVE_NEXT, C.SUBSCRIBE)
    is_once = False

    def asked(self, order_id: str) -> Any:
        due_at = (self.bench.clock.now() + timedelta(days=9)).replace(microsecond=0)
        return MoveNext(order_id=order_id, due_at=due_at)

    def is_so(self, now: Subscription) -> bool:
        return now.next_due_at is not None and abs((now.next_due_at - self.command.due_at).total_seconds()) < 1


class ChangesInterval(OfSubscription):
    verb, word = "change_interval", "change_of_interval"
    needs: ClassVar[Needs] = (C.CHANGE_INTERVAL, C.SUBSCRIBE)
    is_once = False

    def asked(self, order_id: str) -> Any:
        return ChangeInterval(order_id=order_id, every=Interval("week", 2))

    def is_so(self, now: Subscription) -> bool:
        return now.every == Interval("week", 2)


class ChangesMethod(OfSubscription):
    verb, word = "change_method", "change_of_means"
    needs: ClassVar[Needs] = (C.CHANGE_METHOD, C.SUBSCRIBE)
    is_once = False

    def asked(self, order_id: str) -> Any:
        return ChangeMethod(order_id=order_id, return_url=BACK)

    def done(self) -> int | None:
        return None


class Renews(OfSubscription):
    verb, word, moves = "renew", "renewal", "charge"
    needs: ClassVar[Needs] = (C.RENEW, C.SUBSCRIBE)

    def asked(self, order_id: str) -> Any:
        return Renew(order_id=self.bench.order("renew"), subscription=order_id, money=self.before.money)

    def claims_done(self, value: Any) -> bool:
        return bool(value.status.took_money)

    def done(self) -> int | None:
        return Act.done(self)


ACTS: tuple[type[Act], ...] = (Charges, Captures, Cancels, CancelsWhole, Schedules, Unschedules, DeletesKey, Renews,
                               Pays,
                               Registers, Subscribes, Unsubscribes, Pauses, Resumes, MovesNext, ChangesInterval,
                               ChangesMethod)


def begun(bench: Bench) -> Subscription:
    """A subscription that runs."""
    command = bench.subscribe()
    query = bench.browse(bench.do("subscribe", command).action)
    found: Subscription = bench.do("confirm_subscription", command.order_id, query)
    return found


def rehearsed(bench: Bench, act: Act) -> list[bool]:
    """Do it undisturbed; for each request that left: whether it is one that asks for something to be done."""
    told = act.ask()
    if told.error is not None:
        told.expected(f"{act.verb}, undisturbed,")
    sent = bench.sent(act.mark)
    if act.moves is not None:
        return [any(m.kind == act.moves for m in s.moved) for s in sent]
    return [s.call.method != "GET" for s in sent]


def is_error_of_ours(told: Told) -> bool:
    """Whether nothing else than an error of paygate's came out."""
    return told.error is None or isinstance(told.error, PaygateError)
