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
from .act import Act as Act
from .act import Needs
from .acts_of_subscriptions import ChangesInterval, ChangesMethod, MovesNext, Pauses, Renews, Resumes, Unsubscribes
from .bench import REASON, Bench
from .subject import Subject, why_not
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


class CancelsOfWindow(Cancels):
    word, is_main, origin = "partial_refund_of_a_window", False, "window"


class CancelsWholeOfWindow(CancelsWhole):
    word, is_main, origin = "whole_refund_of_a_window", False, "window"


class CancelsOfDated(Cancels):
    word, is_main, origin = "partial_refund_of_a_dated_charge", False, "dated"


class Schedules(Act):
    verb, word = "schedule", "dated_charge"
    needs: ClassVar[Needs] = (C.SCHEDULE, C.FIND_SCHEDULE)

    def prepared(self) -> Any:
        return self.bench.schedule(self.bench.clock.now() + timedelta(days=20))

    def done(self) -> int | None:
        found = self.bench.say(self.bench.provider.find_schedule(self.command.charges[0].order_id)).value
        return int(found is not None and found.status is ScheduleStatus.SCHEDULED)


class SchedulesSeveral(Schedules):
    """Three at once: all of them or none."""

    word, is_main = "dated_charge_of_several", False

    def prepared(self) -> Any:
        now = self.bench.clock.now()
        return self.bench.schedule(*(now + timedelta(days=d) for d in (20, 22, 24)))

    def partly(self) -> str | None:
        held = [c.order_id for c in self.command.charges
                if (found := self.bench.say(self.bench.provider.find_schedule(c.order_id)).value) is not None
                and found.status is ScheduleStatus.SCHEDULED]
        return None if len(held) in (0, 3) else f"of three dated charges the PG holds {len(held)}"


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


ACTS: tuple[type[Act], ...] = (Charges, Captures, Cancels, CancelsWhole, CancelsOfWindow, CancelsWholeOfWindow,
                               CancelsOfDated, Schedules, SchedulesSeveral, Unschedules, DeletesKey, Renews, Pays,
                               Registers, Subscribes, Unsubscribes, Pauses, Resumes, MovesNext, ChangesInterval,
                               ChangesMethod)


def acts_of(subject: Subject) -> list[type[Act]]:
    """The acts of what `subject` claims."""
    return [kind for kind in ACTS if why_not(subject, kind.needs) is None and kind.why_not(subject) is None]


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
