"""Wrong about amounts and origins: decimals, digits and taxes lost on the way, windows treated unlike charges."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import OutcomeUnknown, PaygateError, Refused
from ...flow import Flow
from ...model import Payment, PaymentStatus, ScheduledCharge
from ...money import EXPONENT, Money
from ..contract.origins import origins
from ..contract.subject import Subject
from .bending import asks, bent, mutant, numbers, on_request, on_value
from .outcomes import _again
from .refunding import _given

C = Capability


def _has_cents(subject: Subject) -> bool:
    return any(EXPONENT[c] for c in subject.spec.profile.currencies.value)


def _has_windows_beside(subject: Subject) -> bool:
    return "window" in origins(subject)[1:]


def _times(money: Money, factor: int) -> Money:
    return Money(money.amount * factor, money.currency) if EXPONENT[money.currency] else money


def _over(money: Money, factor: int) -> Money:
    return Money(money.amount // factor, money.currency) if EXPONENT[money.currency] else money


@mutant(C.SCHEDULE, C.FIND_SCHEDULE, when=_has_cents)
def holds_a_hundredfold(subject: Subject) -> Subject:
    """Dated charges of a currency with cents are held a hundredfold, and read back a hundredth."""
    def schedule(right: Any, self: Any, c: Any) -> Flow[Any]:
        more = evolve(c, charges=[evolve(d, money=_times(d.money, 100)) for d in c.charges])
        told = yield from right(more)
        return tuple([evolve(s, money=_over(s.money, 100)) for s in told])
    return bent(subject, schedule=schedule, find_schedule=on_value(
        lambda s, *_: None if s is None else evolve(s, money=_over(s.money, 100))))


@mutant(C.PAY, when=_has_cents)
def shows_a_hundredfold(subject: Subject) -> Subject:
    """A window of a currency with cents takes a hundredfold, and its payment is read as a hundredth."""
    def pay(right: Any, self: Any, c: Any, prepared: str | None = None) -> Any:
        return right(evolve(c, money=_times(c.money, 100)), prepared)

    def plain(p: Any) -> Any:
        taken = isinstance(p, Payment) and p.key is None
        return evolve(p, money=_over(p.money, 100), cancelled=_over(p.cancelled, 100)) if taken else p
    return bent(subject, pay=pay, lookup=on_value(lambda p, *_: plain(p)),
                find=on_value(lambda found, *_: tuple(map(plain, found))))


@mutant(C.CANCEL, C.CANCEL_PARTLY, C.FIND, when=_has_cents)
def gives_a_hundredth_back(subject: Subject) -> Subject:
    """Of a currency with cents a hundredth is given back, and told as what was asked for."""
    def read(p: Any) -> Any:
        if not isinstance(p, Payment) or p.cancelled.is_zero:
            return p
        back = _times(p.cancelled, 100)
        whole = back >= p.money
        return evolve(p, cancelled=back if not whole else p.money, cancellations=(),
                      status=PaymentStatus.CANCELLED if whole else PaymentStatus.PARTLY_CANCELLED)

    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Any]:
        less = evolve(c, money=evolve(_over(c.money, 100), amount=max(1, _over(c.money, 100).amount)))
        true = evolve(p, cancelled=_over(p.cancelled, 100))
        return read((yield from right(less, true)))
    return bent(subject, cancel=cancel, lookup=on_value(lambda p, *_: read(p)),
                find=on_value(lambda found, *_: tuple(map(read, found))))


@mutant(C.CHARGE)
def counts_through_fractions(subject: Subject) -> Subject:
    """Amounts take a way through binary fractions: 0.29 becomes 0.28."""
    return bent(subject, charge=on_request(lambda r, self, c: evolve(r, json=numbers(
        r.json, lambda n: int(n / 100 * 100) if n == c.money.amount else n)) if asks(r) else r))


@mutant(C.CHARGE)
def keeps_seven_digits(subject: Subject) -> Subject:
    """Amounts keep as many digits as a short float has."""
    return bent(subject, charge=on_request(lambda r, self, c: evolve(r, json=numbers(
        r.json, lambda n: int(float(f"{n:.7g}")) if n == c.money.amount else n)) if asks(r) else r))


@mutant(C.CHARGE)
def puts_the_tax_free_part_on_top(subject: Subject) -> Subject:
    """What is free of tax is charged beside the amount instead of within it, and told as asked for."""
    def charge(right: Any, self: Any, c: Any) -> Flow[Any]:
        if c.tax_free is None:
            return (yield from right(c))
        made = yield from right(evolve(c, money=c.money + c.tax_free))
        return evolve(made, money=c.money)
    return bent(subject, charge=charge)


@mutant(C.SCHEDULE)
def takes_the_tax_free_part_off_dated_charges(subject: Subject) -> Subject:
    """A dated charge's tax-free part is subtracted and told to nobody."""
    def schedule(right: Any, self: Any, c: Any) -> Flow[Any]:
        less = [evolve(d, money=d.money - d.tax_free, tax_free=None) if d.tax_free else d for d in c.charges]
        told = yield from right(evolve(c, charges=less))
        return tuple([evolve(s, money=d.money) for s, d in zip(told, c.charges, strict=True)])
    return bent(subject, schedule=schedule)


def _of_window(self: Any, payment: Payment) -> Flow[bool]:
    """Whether a payment was made without a key."""
    seen = yield from self.lookup(payment.provider_id, payment.order_id)
    return seen is None or seen.key is None


@mutant(C.CANCEL, C.CANCEL_PARTLY, C.LOOKUP, when=_has_windows_beside, only=("fakepg",))
def gives_all_of_a_windows_payment_back(subject: Subject) -> Subject:
    """A partial refund of what was paid in a window gives all of it back, and is told as the part."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Any]:
        if not (yield from _of_window(self, p)):
            return (yield from right(c, p))
        yield from right(evolve(c, money=p.left), p)
        return _given(p, c.money)
    return bent(subject, cancel=cancel)


@mutant(C.CANCEL, C.CANCEL_PARTLY, C.LOOKUP, when=_has_windows_beside, only=("fakepg",))
def resends_refunds_of_windows_on_doubt(subject: Subject) -> Subject:
    """What was paid in a window is given back again where no answer came."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Any]:
        if not (yield from _of_window(self, p)):
            return (yield from right(c, p))
        return (yield from _again(right, self, c, p))
    return bent(subject, cancel=cancel)


@mutant(C.CANCEL, C.FIND, when=_has_windows_beside, only=("fakepg",))
def forgets_refunds_of_windows(subject: Subject) -> Subject:
    """What was given back of a window's payment is not read."""
    def plain(p: Any) -> Any:
        if not isinstance(p, Payment) or p.key is not None or not p.status.took_money:
            return p
        return evolve(p, status=PaymentStatus.PAID, cancelled=Money(0, p.money.currency), cancellations=())
    return bent(subject, lookup=on_value(lambda p, *_: plain(p)),
                find=on_value(lambda found, *_: tuple(map(plain, found))))


@mutant(C.CANCEL, C.LOOKUP, only=("fakepg",))
def asks_again_at_the_new_balance(subject: Subject) -> Subject:
    """A refund that the PG refuses for its balance is asked for at the balance as it is now."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Flow[Any]:
        try:
            return (yield from right(c, p))
        except Refused:
            now = yield from self.lookup(p.provider_id)
            if now is None or now.left < c.money:
                raise
            return (yield from right(c, now))
    return bent(subject, cancel=cancel)


@mutant(C.CANCEL)
def crashes_where_the_shop_asks_for_a_refund(subject: Subject) -> Subject:
    """Only refunds that the customer asked for are thought of."""
    def cancel(right: Any, self: Any, c: Any, p: Payment) -> Any:
        {"customer": 1}[c.requested_by]
        return right(c, p)
    return bent(subject, cancel=cancel)


# Lists

@mutant(C.SCHEDULES, C.SCHEDULE)
def lists_nothing_where_the_list_fails(subject: Subject) -> Subject:
    """A list of dated charges that cannot be read is an empty one."""
    def schedules(right: Any, self: Any, *args: Any) -> Flow[Any]:
        try:
            return (yield from right(*args))
        except (OutcomeUnknown, Refused):
            return ()
    return bent(subject, schedules=schedules)


def _held(s: ScheduledCharge) -> ScheduledCharge:
    from ...model import ScheduleStatus

    return evolve(s, status=ScheduleStatus.SCHEDULED, payment_status=None)


@mutant(C.SCHEDULES, C.SCHEDULE)
def lists_every_dated_charge_as_held(subject: Subject) -> Subject:
    """What was taken or stopped is listed as still to come."""
    return bent(subject, schedules=on_value(lambda told, *_: tuple(map(_held, told))))


@mutant(C.LISTING)
def lists_no_refunds(subject: Subject) -> Subject:
    """A listed payment never shows what was given back of it."""
    return bent(subject, listing=on_value(lambda told, *_: tuple([evolve(
        p, status=PaymentStatus.PAID, cancelled=Money(0, p.money.currency), cancellations=())
        if p.status.took_money else p for p in told])))


@mutant(C.LISTING)
def lists_by_the_day_of_payment(subject: Subject) -> Subject:
    """A refund of an older payment is not listed."""
    return bent(subject, listing=on_value(lambda told, self, start, end: tuple([
        p for p in told if p.paid_at is not None and start.replace(microsecond=0) <= p.paid_at < end])))


@mutant(C.LISTING)
def lists_everything_that_ever_was(subject: Subject) -> Subject:
    """The two instants are not looked at."""
    from datetime import timedelta

    return bent(subject, listing=lambda right, self, start, end: right(start - timedelta(days=30),
                                                                       end + timedelta(days=30)))


@mutant(C.FIND, C.PAY)
def finds_the_first_two_records(subject: Subject) -> Subject:
    """Of the records under an order two are read."""
    return bent(subject, find=on_value(lambda found, *_: found[:2]))


@mutant(C.FIND_SCHEDULE, C.SCHEDULE, only=("fakepg",))
def calls_what_did_not_fail_paid(subject: Subject) -> Subject:
    """Whatever word but "failed" stands beside a dated charge, it was paid."""
    from ...wire import Response
    from ..contract.tape import parsed, with_json
    from .bending import on_answer

    def change(answer: Response) -> Response:
        said = parsed(answer)
        if isinstance(said, dict) and said.get("payment_status") not in (None, "failed"):
            return with_json(answer, {**said, "payment_status": "paid"})
        return answer
    return bent(subject, find_schedule=on_answer(change))


# Machines in between

def _page_is_no(statuses: tuple[int, ...]) -> Any:
    def method(right: Any, self: Any, *args: Any) -> Flow[Any]:
        flow = right(*args)
        try:
            request = next(flow)
            while True:
                try:
                    answer = yield request
                except PaygateError as error:
                    request = flow.throw(error)
                    continue
                if answer.status in statuses:
                    flow.close()
                    raise Refused("the PG refused")
                request = flow.send(answer)
        except StopIteration as stop:
            return stop.value
    return method


@mutant(C.CHARGE)
def takes_a_firewalls_page_for_a_refusal(subject: Subject) -> Subject:
    """Status 403 and 413 are the PG's no, whoever sends them."""
    return bent(subject, charge=_page_is_no((403, 413)))


@mutant(C.CANCEL)
def takes_an_api_gateways_error_for_a_refusal(subject: Subject) -> Subject:
    """Status 502, 503, 504 and 524 are the PG's no to a refund."""
    return bent(subject, cancel=_page_is_no((502, 503, 504, 524)))


@mutant()
def takes_every_403_for_nothing_done(subject: Subject) -> Subject:
    """Status 403, whoever sends it, is said to mean that the PG did not begin: the core asks again."""
    return bent(subject, is_unprocessed=lambda right, self, response: response.status == 403)


@mutant()
def declares_403_for_nothing_done(subject: Subject) -> Subject:
    """Status 403 is declared to mean that the PG did not begin."""
    return evolve(subject, spec=evolve(subject.spec, unprocessed=subject.spec.unprocessed | {403}))
