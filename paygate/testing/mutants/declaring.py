"""Wrong in what it declares: claims without methods, methods without truth, a profile of another PG."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve

from ...capability import Absence, CancelGuard, Capability, Certainty, Fact
from ...errors import BadCommand
from ...flow import Flow
from ...money import Money
from ..contract.subject import Subject
from ..emulator import json_response
from .bending import bent, claiming, declared, mutant

C = Capability


@mutant(when=lambda s: not s.claims(C.SUBSCRIBE))
def claims_what_it_does_not_have(subject: Subject) -> Subject:
    """A capability is claimed, and its methods are missing."""
    return claiming(subject, {*subject.spec.capabilities, C.SUBSCRIBE, C.UNSUBSCRIBE})


@mutant(when=lambda s: not s.claims(C.SCHEDULE))
def claims_a_schedule_that_raises(subject: Subject) -> Subject:
    """A capability is claimed, and its method raises NotImplementedError."""
    def schedule(right: Any, self: Any, command: Any) -> Flow[Any]:
        raise NotImplementedError
        yield
    return bent(claiming(subject, {*subject.spec.capabilities, C.SCHEDULE, C.FIND_SCHEDULE, C.UNSCHEDULE}),
                schedule=schedule, find_schedule=schedule, unschedule=schedule)


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def claims_partial_refunds_and_refuses_them(subject: Subject) -> Subject:
    """A partial refund is claimed, and refused as unsupported when it is asked for."""
    def cancel(right: Any, self: Any, command: Any, payment: Any) -> Any:
        if command.money != payment.left:
            raise BadCommand("only whole refunds are taken")
        return right(command, payment)
    return bent(subject, cancel=cancel)


@mutant(C.FIND_SCHEDULE, C.SCHEDULE)
def claims_schedules_that_nobody_can_look_at(subject: Subject) -> Subject:
    """Dated charges are claimed, and looking at one is not."""
    return claiming(subject, subject.spec.capabilities - {C.FIND_SCHEDULE, C.UNSCHEDULE})


@mutant(C.CHARGE)
def claims_charges_that_nobody_can_look_up(subject: Subject) -> Subject:
    """Money is taken, and there is no way to ask about it."""
    return claiming(subject, subject.spec.capabilities - {C.FIND, C.LOOKUP, C.RECEIVE, C.CANCEL, C.CANCEL_PARTLY,
                                                          C.PAY, C.REGISTER, C.LISTING})


@mutant(C.CHARGE)
def denies_or_claims_deduplication(subject: Subject) -> Subject:
    """The profile says the opposite of what the PG does with a used order id."""
    held = subject.spec.profile.refuses_reused_order_id.value
    return declared(subject, refuses_reused_order_id=not held, refuses_concurrent_order_id=False)


@mutant(C.CANCEL, C.CANCEL_PARTLY)
def declares_another_guard(subject: Subject) -> Subject:
    """The profile says the opposite about what guards a repeated refund."""
    other = {CancelGuard.CHECKSUM: CancelGuard.COMPARE, CancelGuard.COMPARE: CancelGuard.CHECKSUM}
    return declared(subject, cancel_guard=other[subject.spec.profile.cancel_guard.value])


@mutant(C.REGISTER)
def declares_the_opposite_about_registrations(subject: Subject) -> Subject:
    """The profile says the opposite about whether registering takes money."""
    return declared(subject, register_takes_money=not subject.spec.profile.register_takes_money.value)


@mutant(C.CHARGE, C.FIND, when=lambda s: s.spec.profile.absence.value is not Absence.NOTHING)
def settles_too_early(subject: Subject) -> Subject:
    """Absence is believed after five seconds."""
    return declared(subject, settle_s=5.0)


@mutant(when=lambda s: not s.claims(C.FIND))
def declares_absence_without_a_way_to_see_it(subject: Subject) -> Subject:
    """'Not found' is said to prove something, and nothing can be found."""
    return declared(subject, absence=Absence.NEVER_HAPPENED_AFTER_SETTLING)


@mutant(C.CHARGE, when=lambda s: s.spec.profile.title_limit.value < 200)
def declares_a_longer_title(subject: Subject) -> Subject:
    """Titles are said to be taken that are not."""
    return declared(subject, title_limit=150)


@mutant(C.CHARGE, when=lambda s: s.spec.profile.minimum.value is None)
def declares_a_minimum_that_nobody_keeps(subject: Subject) -> Subject:
    """A smallest amount is declared, and less is taken."""
    currency = subject.spec.profile.currencies.value[0]
    return declared(subject, minimum=Money(5_000, currency))


@mutant(C.CHARGE, only=("fakepg",))
def declares_a_larger_maximum(subject: Subject) -> Subject:
    """A largest amount is declared that the PG does not take."""
    most = Money(2_000_000, subject.spec.profile.currencies.value[0])
    right = subject.make

    def make(clock: Any) -> Any:
        pg: Any = right(clock)
        answer = pg.answer

        def capped(call: Any) -> Any:
            said = json.loads(call.body) if call.body else {}
            if said.get("currency") == most.currency and said["amount"] > most.amount:
                return json_response(422, b'{"code": "too_much", "message": "over the limit"}')
            return answer(call)
        pg.answer = capped
        return pg
    return evolve(declared(subject, maximum=Money(most.amount * 5, most.currency)), make=make)


@mutant(C.CHARGE, when=lambda s: s.spec.profile.minimum.value is not None)
def declares_a_smaller_minimum(subject: Subject) -> Subject:
    """A smallest amount is declared that the PG does not take."""
    least = subject.spec.profile.minimum.value
    return declared(subject, minimum=Money(2, least.currency if least is not None else "KRW"))


@mutant(C.CHARGE)
def declares_a_currency_that_it_does_not_take(subject: Subject) -> Subject:
    """A currency is declared that the PG takes for its own."""
    def charge(right: Any, self: Any, command: Any) -> Any:
        return right(evolve(command, money=Money(command.money.amount, "KRW")))
    return bent(declared(subject, currencies=(*subject.spec.profile.currencies.value, "JPY")), charge=charge)


def _is_silent(subject: Subject) -> bool:
    """Whether its PG keeps quiet about something that the kit does."""
    from ..contract.bench import Bench
    from ..contract.checks.hooks import _acts
    from ..contract.told import NotHere

    with Bench(subject) as bench:
        for act, _, _ in _acts(bench):
            before = len(bench.pg.hooks)
            try:
                act()
            except NotHere:
                continue
            if len(bench.pg.hooks) == before:
                return True
    return False


@mutant(C.RECEIVE, C.CANCEL, when=_is_silent)
def admits_no_silence(subject: Subject) -> Subject:
    """The profile says that every event has its webhook."""
    return declared(subject, hooks_never_sent=())


@mutant()
def goes_to_a_host_of_somebody_elses(subject: Subject) -> Subject:
    """The PG's address is not on one of its own hosts."""
    return evolve(subject, spec=evolve(subject.spec, hosts=(*subject.spec.hosts, "*.example")))


@mutant()
def takes_five_hundreds_for_nothing_done(subject: Subject) -> Subject:
    """A server's error is declared to mean that the PG did not begin."""
    return evolve(subject, spec=evolve(subject.spec, unprocessed=frozenset({401, 429, 500, 502, 503})))


@mutant()
def takes_every_answer_for_nothing_done(subject: Subject) -> Subject:
    """Whatever comes back, the PG is said not to have begun."""
    return bent(subject, is_unprocessed=lambda right, self, response: True)


@mutant()
def has_facts_without_a_source(subject: Subject) -> Subject:
    """A fact of the profile says neither where it comes from nor how certain it is."""
    profile = evolve(subject.spec.profile, settle_s=Fact(120.0, Certainty.ASSUMED, ""))
    return evolve(subject, spec=evolve(subject.spec, profile=profile))


@mutant(C.SCHEDULE)
def says_that_we_run_its_schedule(subject: Subject) -> Subject:
    """Dated charges are claimed, and the profile says that the PG holds none."""
    return declared(subject, schedule_run_by="paygate")


@mutant(C.CHARGE)
def sends_something_when_it_checks(subject: Subject) -> Subject:
    """Checking a command crashes where a field is odd."""
    def check(right: Any, self: Any, command: Any) -> Any:
        if getattr(command, "extra", {}).get(subject.name):
            raise TypeError("extra is odd")
        return right(command)
    return bent(subject, check=check)
