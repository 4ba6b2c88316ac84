"""Wrong about subscriptions: charged twice, never stopped, at another time, at another price, told as asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import OutcomeUnknown
from ...flow import Flow
from ...model import PaymentStatus
from ...subscriptions import Interval, SubscriptionStatus, Unsubscribe
from ..contract.subject import Subject
from .bending import asks, bent, mutant, on_error, on_request, on_value
from .outcomes import _again

C = Capability


def _nothing(right: Any, self: Any, *args: Any) -> Flow[None]:
    """Asks nobody."""
    yield from ()


def _read_as(change: Any) -> Any:
    return on_value(lambda s, *_: None if s is None else change(s))


@mutant(C.RENEW)
def resends_a_renewal_on_doubt(subject: Subject) -> Subject:
    """Asks again for a renewal whose answer was lost."""
    return bent(subject, renew=_again)


@mutant(C.RENEW)
def marks_the_renewal_as_repeatable(subject: Subject) -> Subject:
    """Tells the core that a renewal may be sent twice."""
    return bent(subject, renew=on_request(lambda r, *_: evolve(r, repeatable=True) if asks(r) else r))


@mutant(C.RENEW)
def renews_twice(subject: Subject) -> Subject:
    """Every renewal is asked for two times."""
    def renew(right: Any, self: Any, command: Any, subscription: Any) -> Flow[Any]:
        made = yield from right(command, subscription)
        try:
            yield from right(command, subscription)
        except Exception:
            return made
        return made
    return bent(subject, renew=renew)


@mutant(C.RENEW)
def tells_a_lost_renewal_as_paid(subject: Subject) -> Subject:
    """No answer is told as success."""
    from ...model import Payment

    return bent(subject, renew=on_error(OutcomeUnknown, lambda e, self, c, s: Payment(
        order_id=c.order_id, provider_id="renewed", status=PaymentStatus.PAID, money=c.money)))


@mutant(C.UNSUBSCRIBE, C.SUBSCRIBE)
def stops_nothing(subject: Subject) -> Subject:
    """A subscription is told as stopped, and goes on."""
    return bent(subject, unsubscribe=_nothing, subscription=_read_as(
        lambda s: evolve(s, status=SubscriptionStatus.ENDED)))


@mutant(C.UNSUBSCRIBE, C.SUBSCRIBE)
def stops_at_the_end_when_now_was_asked_for(subject: Subject) -> Subject:
    """Whenever it is asked for, a subscription is stopped at the end of the period."""
    return bent(subject, unsubscribe=lambda right, self, c, s: right(Unsubscribe(order_id=c.order_id), s))


@mutant(C.PAUSE, C.SUBSCRIBE)
def pauses_nothing(subject: Subject) -> Subject:
    """A subscription is told as paused, and is charged on."""
    return bent(subject, pause=_nothing, resume=_nothing)


@mutant(C.PAUSE, C.UNSUBSCRIBE)
def ends_what_should_pause(subject: Subject) -> Subject:
    """A pause is an end."""
    def pause(right: Any, self: Any, subscription: Any) -> Any:
        return self.unsubscribe(Unsubscribe(order_id=subscription.order_id, when="now"), subscription)
    return bent(subject, pause=pause)


@mutant(C.MOVE_NEXT, C.SUBSCRIBE)
def moves_the_next_charge_nine_hours_off(subject: Subject) -> Subject:
    """The wall time is taken for UTC, whatever zone it was written in."""
    from datetime import UTC

    return bent(subject, move_next=lambda right, self, c, s: right(evolve(
        c, due_at=c.due_at.replace(tzinfo=UTC)), s))


@mutant(C.CHANGE_INTERVAL, C.SUBSCRIBE)
def forgets_how_many(subject: Subject) -> Subject:
    """Every two weeks becomes every week."""
    return bent(subject, change_interval=lambda right, self, c, s: right(evolve(c, every=Interval(c.every.unit)), s))


@mutant(C.SUBSCRIBE)
def tells_the_next_charge_nine_hours_off(subject: Subject) -> Subject:
    """The next date is read in another zone."""
    return bent(subject, subscription=_read_as(lambda s: evolve(
        s, next_due_at=None if s.next_due_at is None else s.next_due_at + timedelta(hours=9))))


@mutant(C.SUBSCRIBE)
def reads_the_first_subscription_always(subject: Subject) -> Subject:
    """Whatever subscription is asked for, the first one is read."""
    def subscription(right: Any, self: Any, order_id: str, prepared: str) -> Flow[Any]:
        kept = self.__dict__.setdefault("_kit_first", prepared)
        found = yield from right(order_id, kept)
        return found
    return bent(subject, subscription=subscription)


@mutant(C.SUBSCRIBE)
def subscribes_at_another_price(subject: Subject) -> Subject:
    """A subscription of another price is begun, and told at the price that was asked for."""
    def subscribe(right: Any, self: Any, command: Any, prepared: Any = None) -> Any:
        return right(evolve(command, money=evolve(command.money, amount=command.money.amount + 100)), prepared)
    return bent(subject, subscribe=subscribe)


@mutant(C.SUBSCRIBE)
def calls_every_subscription_active(subject: Subject) -> Subject:
    """Whatever the PG says of a subscription, it runs."""
    return bent(subject, subscription=_read_as(lambda s: evolve(s, status=SubscriptionStatus.ACTIVE)))


@mutant(C.CHANGE_METHOD, C.SUBSCRIBE)
def says_that_choosing_a_card_takes_money(subject: Subject) -> Subject:
    """The checkout tells the payer that money will be taken."""
    return bent(subject, change_method=on_value(lambda checkout, *_: evolve(checkout, takes_money=True)))
