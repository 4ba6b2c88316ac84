"""Wrong about giving money back: too much, too often, from the wrong payment, or told without having been seen."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import OutcomeUnknown, PaygateError, Refused
from ...flow import Flow
from ...model import Payment, PaymentStatus
from ..contract.subject import Subject
from .bending import asks, bent, mutant, on_error, on_request, on_value, without_numbers
from .outcomes import _again

C = Capability


def _given(payment: Payment, money: Any) -> Payment:
    """The payment as it would be if the refund had been made."""
    back = payment.cancelled + money
    whole = back == payment.money
    return evolve(payment, cancelled=back,
                  status=PaymentStatus.CANCELLED if whole else PaymentStatus.PARTLY_CANCELLED)


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def gives_everything_back_when_part_was_asked_for(subject: Subject) -> Subject:
    """Every refund is a refund of all that is left."""
    return bent(subject, cancel=lambda right, self, c, p: right(evolve(c, money=p.left), p))


@mutant(C.CANCEL)
def leaves_the_amount_out_of_a_whole_refund(subject: Subject) -> Subject:
    """Where all is given back, no amount is stated: at many PGs that means everything, whatever is left by then."""
    def change(request: Any, self: Any, c: Any, p: Payment) -> Any:
        if c.money != p.left or not asks(request):
            return request
        return evolve(request, json=without_numbers(request.json, c.money.amount))
    return bent(subject, cancel=on_request(change))


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def gives_one_unit_less_back(subject: Subject) -> Subject:
    """Off by one, and told as asked for."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Payment]:
        less = evolve(c.money, amount=max(1, c.money.amount - 1))
        yield from right(evolve(c, money=less), p)
        return _given(p, c.money)
    return bent(subject, cancel=cancel)


@mutant(C.CANCEL)
def resends_a_refund_on_doubt(subject: Subject) -> Subject:
    """Asks again for a refund whose answer was lost."""
    return bent(subject, cancel=_again)


@mutant(C.CANCEL)
def marks_the_refund_as_repeatable(subject: Subject) -> Subject:
    """Tells the core that a refund may be sent twice."""
    return bent(subject, cancel=on_request(lambda r, *_: evolve(r, repeatable=True)))


@mutant(C.CANCEL)
def tells_a_lost_refund_as_refused(subject: Subject) -> Subject:
    """No answer is told as the PG having said no."""
    return bent(subject, cancel=on_error(OutcomeUnknown, lambda *_: Refused("the PG refused")))


@mutant(C.CANCEL)
def tells_a_lost_refund_as_done(subject: Subject) -> Subject:
    """No answer is told as success."""
    return bent(subject, cancel=on_error(OutcomeUnknown, lambda e, self, c, p: _given(p, c.money)))


@mutant(C.CANCEL)
def tells_a_refused_refund_as_done(subject: Subject) -> Subject:
    """The PG's no is told as success."""
    return bent(subject, cancel=on_error(PaygateError, lambda e, self, c, p: _given(p, c.money)))


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def takes_http_200_for_given_back(subject: Subject) -> Subject:
    """What is told after a refund is what was asked for, whatever the PG answered with its 200."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Payment]:
        flow = right(c, p)
        try:
            request = next(flow)
            while True:
                answer = yield request
                if asks(request) and answer.status == 200:
                    flow.close()
                    return _given(p, c.money)
                request = flow.send(answer)
        except StopIteration as stop:
            made: Payment = stop.value
            return made
    return bent(subject, cancel=cancel)


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def gives_back_from_the_first_payment(subject: Subject) -> Subject:
    """Remembers a payment, and gives back from that one."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Payment]:
        kept = self.__dict__.setdefault("_kit_first", p)
        made: Payment = yield from right(c, evolve(kept, cancelled=p.cancelled, status=p.status, money=p.money))
        return evolve(made, order_id=p.order_id, provider_id=p.provider_id)
    return bent(subject, cancel=cancel)


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def gives_back_twice(subject: Subject) -> Subject:
    """Asks for every refund two times."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Payment]:
        after: Payment = yield from right(c, p)
        if c.money <= after.left:
            yield from right(c, after)
        return after
    return bent(subject, cancel=cancel)


@mutant(C.CANCEL, only=("fakepg",))
def states_the_balance_that_it_has_just_read(subject: Subject) -> Subject:
    """Defeats the PG's guard: reads the balance again right before, so that a refund asked for twice is made twice."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Payment]:
        now = yield from self.lookup(p.provider_id)
        made: Payment = yield from right(c, now or p)
        return made
    return bent(bent(subject, cancel=on_request(lambda r, *_: evolve(r, repeatable=True))), cancel=cancel)


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def forgets_refunds_in_its_records(subject: Subject) -> Subject:
    """What was given back is not read."""
    def plain(p: Any) -> Any:
        if not isinstance(p, Payment) or not p.status.took_money:
            return p
        return evolve(p, status=PaymentStatus.PAID, cancelled=evolve(p.money, amount=0), cancellations=())
    looks = {"lookup": on_value(lambda p, *_: plain(p))}
    if subject.claims(C.FIND):
        looks["find"] = on_value(lambda found, *_: tuple(map(plain, found)))
    return bent(subject, **looks)
