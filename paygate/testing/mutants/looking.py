"""Wrong about what is there: doubt taken for absence, one record for all, an old one, another's, the asker's words."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import NotFound, OutcomeUnknown, PaygateError
from ...flow import Flow
from ...model import KeyInfo, Payment, PaymentStatus
from ...secret import Secret
from ...wire import Response
from ..contract.subject import Subject
from .bending import bent, mutant, on_error, on_value

C = Capability


def _absent_on_404(nothing: Any) -> Any:
    def method(right: Any, self: Any, *args: Any) -> Flow[Any]:
        flow = right(*args)
        try:
            request = next(flow)
            while True:
                answer: Response = yield request
                if answer.status == 404:
                    flow.close()
                    return nothing
                request = flow.send(answer)
        except StopIteration as stop:
            return stop.value
    return method


@mutant(C.FIND)
def finds_only_the_first_record(subject: Subject) -> Subject:
    """Of several records under one order, the oldest counts."""
    return bent(subject, find=on_value(lambda found, *_: found[:1]))


@mutant(C.FIND, only=("fakepg",))
def finds_only_the_last_record(subject: Subject) -> Subject:
    """Of several records under one order, the newest counts, though an older one took the money."""
    def find(right: Any, self: Any, order_id: str) -> Flow[Any]:
        found = yield from right(order_id)
        return tuple(sorted(found, key=lambda p: p.status is PaymentStatus.FAILED))[-1:]
    return bent(subject, find=find)


@mutant(C.FIND)
def finds_nothing_when_nobody_answers(subject: Subject) -> Subject:
    """A look that fails is told as nothing being there."""
    return bent(subject, find=on_error(OutcomeUnknown, lambda *_: ()))


@mutant(C.LOOKUP)
def looks_up_nothing_when_nobody_answers(subject: Subject) -> Subject:
    """A look that fails is told as nothing being there."""
    return bent(subject, lookup=on_error(OutcomeUnknown, lambda *_: None))


@mutant(C.LOOKUP)
def believes_every_404(subject: Subject) -> Subject:
    """A page of some machine with status 404 is told as nothing being there."""
    return bent(subject, lookup=_absent_on_404(None))


@mutant(C.FIND)
def believes_every_404_about_an_order(subject: Subject) -> Subject:
    """A page of some machine with status 404 is told as no payment under the order."""
    return bent(subject, find=_absent_on_404(()))


@mutant(C.FIND_SCHEDULE, C.SCHEDULE)
def loses_dated_charges_when_nobody_answers(subject: Subject) -> Subject:
    """A look that fails is told as no dated charge being held."""
    return bent(subject, find_schedule=on_error(OutcomeUnknown, lambda *_: None))


@mutant(C.LOOKUP)
def remembers_what_it_looked_up(subject: Subject) -> Subject:
    """Answers from memory the second time."""
    def lookup(right: Any, self: Any, provider_id: str, order_id: str | None = None) -> Flow[Any]:
        kept = self.__dict__.setdefault("_kit_seen", {})
        if provider_id not in kept:
            kept[provider_id] = yield from right(provider_id, order_id)
        return kept[provider_id]
    return bent(subject, lookup=lookup)


@mutant(C.LOOKUP)
def looks_up_the_same_one_always(subject: Subject) -> Subject:
    """Whatever id is asked for, the first one's record is told."""
    def lookup(right: Any, self: Any, provider_id: str, order_id: str | None = None) -> Flow[Any]:
        kept = self.__dict__.setdefault("_kit_first", provider_id)
        found = yield from right(kept, order_id)
        return found
    return bent(subject, lookup=lookup)


@mutant(C.LOOKUP, C.FIND)
def believes_the_asker_about_the_order(subject: Subject) -> Subject:
    """A payment belongs to whichever order it is looked up for."""
    def told(p: Any, self: Any, provider_id: str, order_id: str | None = None) -> Any:
        return p if p is None or order_id is None else evolve(p, order_id=order_id)
    return bent(subject, lookup=on_value(told))


@mutant(C.FIND)
def finds_the_latest_payment_of_anybody(subject: Subject) -> Subject:
    """Asks by the order id it was asked for first."""
    def find(right: Any, self: Any, order_id: str) -> Flow[Any]:
        kept = self.__dict__.setdefault("_kit_order", order_id)
        found = yield from right(kept)
        return found
    return bent(subject, find=find)


@mutant(C.FIND)
def calls_failed_payments_pending(subject: Subject) -> Subject:
    """A failed record is told as one that is not finished."""
    return bent(subject, find=on_value(lambda found, *_: tuple(
        evolve(p, status=PaymentStatus.PENDING, reason=None, message=None, code=None)
        if p.status is PaymentStatus.FAILED else p for p in found)))


@mutant(C.FIND)
def calls_failed_payments_paid(subject: Subject) -> Subject:
    """A failed record is told as paid."""
    return bent(subject, find=on_value(lambda found, *_: tuple(
        evolve(p, status=PaymentStatus.PAID) if p.status is PaymentStatus.FAILED else p for p in found)))


@mutant(C.PAY, C.LOOKUP)
def calls_open_windows_paid(subject: Subject) -> Subject:
    """A record that is not finished is told as paid."""
    def paid(p: Payment | None) -> Payment | None:
        return evolve(p, status=PaymentStatus.PAID) if p is not None and p.status is PaymentStatus.PENDING else p
    looks = {"lookup": on_value(lambda p, *_: paid(p))}
    if subject.claims(C.FIND):
        looks["find"] = on_value(lambda found, *_: tuple(map(paid, found)))
    return bent(subject, **looks)


@mutant(C.LOOKUP_KEY, C.REGISTER)
def knows_every_key(subject: Subject) -> Subject:
    """Whatever key is looked up, there is one."""
    def lookup_key(right: Any, self: Any, key: Secret, gateway: str) -> Flow[Any]:
        from ...model import BillingKey

        found = yield from right(key, gateway)
        return found or KeyInfo(billing_key=BillingKey(gateway, key))
    return bent(subject, lookup_key=lookup_key)


@mutant(C.LOOKUP_KEY, C.REGISTER)
def binds_keys_to_the_providers_name(subject: Subject) -> Subject:
    """A key looked up belongs to a gateway of the provider's name, whatever the gateway is called."""
    return bent(subject, lookup_key=lambda right, self, key, gateway: right(key, subject.name))


@mutant(C.KEYS, C.REGISTER)
def lists_no_saved_keys(subject: Subject) -> Subject:
    """A payer's saved keys are never there."""
    return bent(subject, keys=on_value(lambda found, *_: ()))


@mutant(C.SCHEDULES, C.SCHEDULE)
def reads_the_first_page_only(subject: Subject) -> Subject:
    """A long list ends after ten."""
    return bent(subject, schedules=on_value(lambda held, *_: held[:10]))


@mutant(C.LISTING)
def lists_nothing_when_nobody_answers(subject: Subject) -> Subject:
    """A listing that fails is an empty one."""
    return bent(subject, listing=on_error(PaygateError, lambda *_: ()))


@mutant(C.LOOKUP)
def raises_not_found_for_everything(subject: Subject) -> Subject:
    """Whatever is not understood is told as not found."""
    return bent(subject, lookup=on_error(OutcomeUnknown, lambda *_: NotFound("there is none")))
