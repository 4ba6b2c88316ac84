"""Wrong about what became of a charge: sent again, guessed, repeated from the command, or told as something else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import Conflict, Declined, NotSent, OutcomeUnknown, Refused
from ...flow import Flow
from ...model import Payment, PaymentStatus
from ...money import Money
from ...wire import Request
from ..contract.subject import Subject
from .bending import asks, bent, mutant, numbers, on_error, on_request, on_value, texts

C = Capability


def _paid(command: Any) -> Payment:
    return Payment(order_id=command.order_id, provider_id=command.order_id, status=PaymentStatus.PAID,
                   money=command.money)


def _again(right: Any, self: Any, *args: Any) -> Flow[Any]:
    """Whatever was not answered is asked once more."""
    flow = right(*args)
    try:
        request = next(flow)
        tries = 0
        while True:
            try:
                answer = yield request
            except OutcomeUnknown as error:
                tries += 1
                if tries > 1:
                    request = flow.throw(error)
            else:
                request = flow.send(answer)
    except StopIteration as stop:
        return stop.value


def _again_on(statuses: range) -> Any:
    def method(right: Any, self: Any, *args: Any) -> Flow[Any]:
        flow, tries = right(*args), 0
        try:
            request = next(flow)
            while True:
                answer = yield request
                tries += 1
                if answer.status in statuses and tries < 3:
                    continue
                request = flow.send(answer)
        except StopIteration as stop:
            return stop.value
    return method


@mutant(C.CHARGE)
def resends_a_charge_on_doubt(subject: Subject) -> Subject:
    """Asks again for a charge whose answer was lost."""
    return bent(subject, charge=_again)


@mutant(C.CHARGE)
def resends_a_charge_after_a_servers_error(subject: Subject) -> Subject:
    """Asks again for a charge that met a 5xx."""
    return bent(subject, charge=_again_on(range(500, 600)))


@mutant(C.CHARGE)
def follows_redirects_with_the_charge(subject: Subject) -> Subject:
    """Asks again for a charge that met a redirect."""
    return bent(subject, charge=_again_on(range(300, 400)))


@mutant(C.CHARGE)
def marks_the_charge_as_repeatable(subject: Subject) -> Subject:
    """Tells the core that a charge may be sent twice."""
    return bent(subject, charge=on_request(lambda r, *_: evolve(r, repeatable=True)))


@mutant(C.CHARGE)
def tells_a_timeout_as_declined(subject: Subject) -> Subject:
    """No answer is told as the payer's card being declined."""
    return bent(subject, charge=on_error(OutcomeUnknown, lambda *_: Declined("declined", reason=None)))


@mutant(C.CHARGE)
def tells_a_timeout_as_not_sent(subject: Subject) -> Subject:
    """No answer is told as nothing having been sent."""
    return bent(subject, charge=on_error(OutcomeUnknown, lambda *_: NotSent("it was not sent")))


@mutant(C.CHARGE)
def tells_a_timeout_as_refused(subject: Subject) -> Subject:
    """No answer is told as the PG having said no."""
    return bent(subject, charge=on_error(OutcomeUnknown, lambda *_: Refused("the PG refused")))


@mutant(C.CHARGE)
def tells_a_timeout_as_paid(subject: Subject) -> Subject:
    """No answer is told as success."""
    return bent(subject, charge=on_error(OutcomeUnknown, lambda error, self, command: _paid(command)))


@mutant(C.CHARGE)
def takes_http_200_for_paid(subject: Subject) -> Subject:
    """Any 200 is success, whatever the body says."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        flow = right(command)
        answer = yield next(flow)
        flow.close()
        if answer.status == 200:
            return _paid(command)
        raise OutcomeUnknown("no 200")
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def repeats_the_amount_that_was_asked_for(subject: Subject) -> Subject:
    """The amount told is the command's and not the answer's."""
    return bent(subject, charge=on_value(lambda p, self, c: evolve(p, money=c.money)))


@mutant(C.CHARGE)
def repeats_the_order_that_was_asked_for(subject: Subject) -> Subject:
    """The order told is the command's and not the answer's."""
    return bent(subject, charge=on_value(lambda p, self, c: evolve(p, order_id=c.order_id)))


@mutant(C.CHARGE)
def calls_every_charge_paid(subject: Subject) -> Subject:
    """Pending and failed are told as paid."""
    charge = on_value(lambda p, *_: evolve(p, status=PaymentStatus.PAID))

    def either(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            return (yield from charge(right, self, command))
        except Declined:
            return _paid(command)
    return bent(subject, charge=either)


@mutant(C.CHARGE)
def calls_a_decline_pending(subject: Subject) -> Subject:
    """A decline is told as a payment that is not finished."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        pending = Payment(order_id=command.order_id, provider_id="p-0", status=PaymentStatus.PENDING,
                          money=command.money)
        try:
            made = yield from right(command)
        except Declined:
            return pending
        return pending if made.status is PaymentStatus.FAILED else made
    return bent(subject, charge=charge, **({"find": on_value(lambda f, *_: ())} if subject.claims(C.FIND) else {}))


@mutant(C.CHARGE)
def calls_every_charge_declined_first(subject: Subject) -> Subject:
    """Every charge is told as declined, although the money was taken."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        yield from right(command)
        raise Declined("declined")
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def charges_a_hundredfold(subject: Subject) -> Subject:
    """Takes won for a currency with cents."""
    return bent(subject, charge=lambda right, self, c: right(evolve(c, money=Money(c.money.amount * 100, "KRW"))))


@mutant(C.CHARGE)
def charges_in_round_numbers(subject: Subject) -> Subject:
    """Rounds amounts to hundreds on their way, and tells the amount that was asked for."""
    def charge(right: Any, self: Any, c: Any) -> Flow[Any]:
        made = yield from right(evolve(c, money=Money(max(c.money.amount // 100, 1) * 100, c.money.currency)))
        return evolve(made, money=c.money)
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def writes_amounts_as_floats(subject: Subject) -> Subject:
    """Amounts leave as binary fractions."""
    return bent(subject, charge=on_request(lambda r, *_: evolve(r, json=numbers(r.json, float)) if asks(r) else r))


@mutant(C.CHARGE)
def cuts_order_ids(subject: Subject) -> Subject:
    """Sends the first twenty characters of an order id."""
    return bent(subject, charge=on_request(lambda r, self, c: evolve(r, json=texts(
        r.json, lambda t: t[:20] if t == c.order_id else t)) if asks(r) else r))


@mutant(C.CHARGE)
def lowers_order_ids(subject: Subject) -> Subject:
    """Writes order ids in small letters."""
    return bent(subject, charge=on_request(lambda r, self, c: evolve(r, json=texts(
        r.json, lambda t: t.lower() if t == c.order_id else t)) if asks(r) else r))


@mutant(C.CHARGE, C.FIND)
def takes_a_new_order_id_after_a_conflict(subject: Subject) -> Subject:
    """Where the PG knows the order already, charges under another one."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            return (yield from right(command))
        except Conflict:
            made = yield from right(evolve(command, order_id=f"{command.order_id[:37]}-2"))
            return evolve(made, order_id=command.order_id)
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def takes_a_new_order_id_on_doubt(subject: Subject) -> Subject:
    """Where no answer came, charges once more under another order id."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            return (yield from right(command))
        except OutcomeUnknown:
            made = yield from right(evolve(command, order_id=f"{command.order_id[:37]}-2"))
            return evolve(made, order_id=command.order_id)
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def waits_for_ever_for_an_end(subject: Subject) -> Subject:
    """Asks again and again until the PG says something else."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        made = yield from right(command)
        while made.provider_id:
            made = (yield from self.lookup(made.provider_id, command.order_id)) or made
        return made
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def charges_twice_to_be_sure(subject: Subject) -> Subject:
    """Charges, and charges again under another order id."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        made = yield from right(command)
        yield from right(evolve(command, order_id=f"{command.order_id[:37]}-b"))
        return made
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def charges_whoever_registered_last(subject: Subject) -> Subject:
    """Remembers a key, and charges that one instead of the one it was given."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        kept = getattr(self, "_kit_key", command.billing_key)
        self._kit_key = command.billing_key
        made = yield from right(evolve(command, billing_key=kept))
        return made
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def remembers_the_last_command(subject: Subject) -> Subject:
    """Keeps the command on itself, so that charges side by side mix."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        self._kit_last = command
        made = yield from right(command)
        return evolve(made, order_id=self._kit_last.order_id, money=self._kit_last.money)
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def swallows_interrupts(subject: Subject) -> Subject:
    """Catches everything, a KeyboardInterrupt too, and goes on."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            return (yield from right(command))
        except BaseException:
            return _paid(command)
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def asks_on_its_way_out(subject: Subject) -> Subject:
    """Sends something more when it is dropped."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        flow = right(command)
        request: Request = next(flow)
        try:
            answer = yield request
        except GeneratorExit:
            yield request
            raise
        try:
            while True:
                answer = yield flow.send(answer)
        except StopIteration as stop:
            return stop.value
    return bent(subject, charge=charge)


@mutant(C.CHARGE)
def raises_key_errors(subject: Subject) -> Subject:
    """Lets a bug out where an answer is not understood."""
    return bent(subject, charge=on_error(OutcomeUnknown, lambda *_: KeyError("status")))


@mutant(C.CHARGE)
def says_bad_command_after_sending(subject: Subject) -> Subject:
    """An answer that is not understood is told as a mistake of the merchant's."""
    from ...errors import BadCommand

    return bent(subject, charge=on_error(OutcomeUnknown, lambda *_: BadCommand("the amount is wrong")))


@mutant(C.CHARGE)
def tells_dollars_as_won(subject: Subject) -> Subject:
    """The currency told is always the story's."""
    return bent(subject, charge=on_value(lambda p, self, c: evolve(
        p, money=Money(p.money.amount, c.money.currency), cancelled=Money(p.cancelled.amount, c.money.currency))))


@mutant(C.CHARGE)
def makes_up_the_payments_id(subject: Subject) -> Subject:
    """The payment's id is made of the order's."""
    return bent(subject, charge=on_value(lambda p, self, c: evolve(p, provider_id=f"pay-{c.order_id}")))


@mutant(C.CHARGE, C.CANCEL)
def says_that_some_was_given_back(subject: Subject) -> Subject:
    """A charge just made is told as partly given back."""
    return bent(subject, charge=on_value(lambda p, *_: evolve(
        p, status=PaymentStatus.PARTLY_CANCELLED, cancelled=Money(1, p.money.currency))))


@mutant(C.CHARGE)
def counts_decimals_twice(subject: Subject) -> Subject:
    """Reads minor units as major ones."""
    def told(p: Payment, *_: Any) -> Payment:
        return evolve(p, money=Money.parse(Decimal(p.money.amount), p.money.currency))
    return bent(subject, charge=on_value(lambda p, *_: told(p) if p.money.currency != "KRW" else p)) \
        if len(subject.spec.profile.currencies.value) > 1 else bent(
            subject, charge=on_value(lambda p, *_: evolve(p, money=Money(p.money.amount // 100, p.money.currency))))
