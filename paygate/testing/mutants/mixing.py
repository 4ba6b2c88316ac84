"""Wrong about who is who and what was said: other merchants, batches, claims of browsers, words of acceptance."""

from __future__ import annotations

import pathlib
import tempfile
import threading
from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import Conflict, Declined, OutcomeUnknown
from ...flow import Flow
from ...model import DeclineReason, Payment
from ...provider import Provider
from ...wire import Response
from ..contract.acts import CancelsWhole
from ..contract.bench import Bench
from ..contract.subject import Subject
from ..contract.tape import parsed, recorded, with_json
from .bending import bent, mutant, on_answer, on_error, on_value

C = Capability


@mutant()
def acts_as_the_first_merchant(subject: Subject) -> Subject:
    """Settings are kept where every gateway of the process finds them: the first merchant's."""
    right, kept = subject.spec.build, []

    def build(settings: Any) -> Provider:
        kept.append(settings)
        return right(kept[0])
    return subject.built_by(build)


@mutant(C.SCHEDULE, C.FIND)
def takes_a_new_id_for_a_dated_charge(subject: Subject) -> Subject:
    """Where the PG knows the order id already, a dated charge is held under another one, and told as asked for."""
    def schedule(right: Any, self: Any, c: Any) -> Flow[Any]:
        try:
            return (yield from right(c))
        except Conflict:
            other = [evolve(d, order_id=f"{d.order_id[:37]}-2") for d in c.charges]
            told = yield from right(evolve(c, charges=other))
            return tuple([evolve(s, order_id=d.order_id) for s, d in zip(told, c.charges, strict=True)])
    return bent(subject, schedule=schedule)


@mutant(C.SCHEDULE)
def holds_dated_charges_one_by_one(subject: Subject) -> Subject:
    """Each dated charge is asked for by itself; a no to one is told as a no to all."""
    def schedule(right: Any, self: Any, c: Any) -> Flow[Any]:
        told: list[Any] = []
        for one in c.charges:
            told += yield from right(evolve(c, charges=[one]))
        return tuple(told)
    return bent(subject, schedule=schedule)


def _unread(answer: Response) -> Response:
    said = parsed(answer)
    if isinstance(said, dict) and "deleted" in said:
        return with_json(answer, {**said, "deleted": True})
    return answer


@mutant(C.DELETE_KEY, only=("fakepg",))
def reads_no_flag_of_a_deletion(subject: Subject) -> Subject:
    """Whatever object comes back, the key is told as deleted."""
    return bent(subject, delete_key=on_answer(_unread))


@mutant(C.PAY)
def takes_every_return_for_a_claim_of_success(subject: Subject) -> Subject:
    """Whatever the browser brings, it is said to claim that the order was paid."""
    return bent(subject, read_return=lambda right, self, query: evolve(right(query), says_paid=True))


def _returns_claim(subject: Subject) -> bool:
    """Whether a payer who has paid comes back with a claim that says so."""
    with Bench(subject) as bench:
        query = bench.browse(bench.do("pay", bench.pay()).action)
        return bench.provider.read_return(query).says_paid


@mutant(C.PAY, when=_returns_claim)
def hears_no_claim_of_success(subject: Subject) -> Subject:
    """A return that says success is read as one that says nothing: the order ends with an earlier failure."""
    return bent(subject, read_return=lambda right, self, query: evolve(right(query), says_paid=False))


def _saying(accepted: bool) -> Any:
    def instead(error: OutcomeUnknown, *_: Any) -> OutcomeUnknown:
        error.accepted = accepted
        return error
    return on_error(OutcomeUnknown, instead)


@mutant(C.CANCEL)
def says_accepted_whatever_happened(subject: Subject) -> Subject:
    """Every doubt about a refund is told as one that the PG has accepted."""
    return bent(subject, cancel=_saying(True))


def _looks_after_a_refund(subject: Subject) -> bool:
    """Whether what is told after a refund is read by a request of its own."""
    with Bench(subject) as bench:
        tape = recorded(bench, CancelsWhole(bench).flow)
        return tape.requests[-1].method == "GET"


@mutant(C.CANCEL, when=_looks_after_a_refund)
def never_says_accepted(subject: Subject) -> Subject:
    """Where the PG said that it gave the money back and the record cannot be read, nothing is said of the first."""
    return bent(subject, cancel=_saying(False))


@mutant(C.CHARGE, only=("fakepg",))
def says_payer_and_key_in_a_decline(subject: Subject) -> Subject:
    """The message of a decline names the billing key and the payer's phone."""
    def instead(error: Declined, self: Any, c: Any) -> Declined:
        phone = c.customer.phone
        said = f"declined for {phone.reveal() if phone else 'nobody'}, {c.billing_key.value.reveal()}"
        return Declined(said, reason=error.reason, code=error.code, pg_message=error.message)
    return bent(subject, charge=on_error(Declined, instead))


@mutant(C.SCHEDULES)
def says_the_key_where_a_list_fails(subject: Subject) -> Subject:
    """The error of a list of dated charges names the billing key."""
    return bent(subject, schedules=on_error(OutcomeUnknown, lambda error, self, key, *_: OutcomeUnknown(
        f"no list for {key.reveal()}")))


@mutant(C.CHARGE)
def waits_for_an_event(subject: Subject) -> Subject:
    """A flow stands still in the standard library instead of sleeping."""
    def charge(right: Any, self: Any, c: Any) -> Flow[Any]:
        threading.Event().wait(0.0001)
        return (yield from right(c))
    return bent(subject, charge=charge)


@mutant(C.LOOKUP)
def writes_what_it_looks_up_to_a_file(subject: Subject) -> Subject:
    """A look-up leaves a file behind."""
    def lookup(right: Any, self: Any, *args: Any) -> Flow[Any]:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "seen.txt").write_text("seen", encoding="utf-8")
        return (yield from right(*args))
    return bent(subject, lookup=lookup)


@mutant(C.CHARGE)
def mixes_up_the_reasons_of_declines(subject: Subject) -> Subject:
    """Every known reason is told as another."""
    known = [r for r in DeclineReason if r is not DeclineReason.UNMAPPED]

    def other(reason: Any) -> Any:
        return known[(known.index(reason) + 1) % len(known)] if reason in known else reason

    def instead(error: Declined, *_: Any) -> Declined:
        return Declined("declined", reason=other(error.reason), code=error.code, pg_message=error.message)

    def told(payment: Payment, *_: Any) -> Payment:
        return evolve(payment, reason=other(payment.reason))
    charge = on_error(Declined, instead)
    return bent(subject, charge=lambda right, self, c: charge(lambda one: on_value(told)(right, self, one), self, c))


@mutant(C.CHARGE)
def has_an_emulator_that_never_declines(subject: Subject) -> Subject:
    """The emulator cannot be told to decline: whatever is made of a decline, nobody sees it."""
    def dumb(pg: Any) -> None:
        controls = pg.controls
        pg.controls = lambda: {k: v for k, v in controls().items() if k != "next_charge"}
    return _with(subject, dumb)


@mutant(C.RECEIVE)
def has_an_emulator_that_sends_no_webhook(subject: Subject) -> Subject:
    """The emulator tells of nothing: whatever is made of webhooks, nobody sees it."""
    def mute(pg: Any) -> None:
        pg.hooks = _Unheard()
    return _with(subject, mute)


class _Unheard(list[Any]):
    """Keeps nothing."""

    def append(self, _: Any) -> None:
        pass


def _with(subject: Subject, change: Any) -> Subject:
    right = subject.make

    def make(clock: Any) -> Any:
        pg = right(clock)
        change(pg)
        return pg
    return evolve(subject, make=make)
