"""What is done to a subscription that runs, each as an act."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from ...capability import Capability
from ...flow import Flow
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
from .act import Act, Needs
from .bench import BACK, Bench

C = Capability


def begun(bench: Bench, **changes: Any) -> Subscription:
    """A subscription that runs."""
    command = bench.subscribe(**changes)
    query = bench.browse(bench.do("subscribe", command).action)
    found: Subscription = bench.do("confirm_subscription", command.order_id, query)
    return found


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
