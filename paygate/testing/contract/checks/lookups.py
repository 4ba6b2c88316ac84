"""Looking: by our order, by the PG's id. What is there is told as it is now, what is not is told as not there."""

from __future__ import annotations

from datetime import timedelta

from ....capability import Absence, Capability
from ....errors import NotFound, PaygateError
from ....model import BillingKey, Hint, PaymentStatus, SubjectKind
from ..bench import Bench
from ..registry import SYNC, check
from ..told import NotHere, Told, expect
from ..troubles import CASES
from .claimed import looks

C = Capability
ABSENT = "zz-kit-never-was"
IDS = ("p1?mode=live&all=1", "../users", "..", ".", "a/b", "a%2Fb", "a b", "a#b", "\u200b", "가나다", "x" * 500,
       "", "a\x00b", "a\r\nHost: evil.example", "\ud800", "1;2", "*", "{}")


@check(C.FIND)
def an_order_that_never_was_is_told_as_not_there(bench: Bench) -> None:
    """And by our own errors: a merchant asks before they send again."""
    told = bench.ask("find", bench.order())
    expect(isinstance(told.error, NotFound), f"find of an order that never was {told}")
    flow = bench.say(bench.provider.find(ABSENT))
    expect(flow.is_yes and flow.value == (), f"the flow of find of an order that never was {flow}")


@check(C.LOOKUP)
def a_payment_that_never_was_is_told_as_not_there(bench: Bench) -> None:
    """By the PG's own words for it, at whatever status."""
    told = bench.ask("lookup", ABSENT)
    expect(isinstance(told.error, NotFound), f"lookup of a payment that never was {told}")
    flow = bench.say(bench.provider.lookup(ABSENT, None))
    expect(flow.is_yes and flow.value is None, f"the flow of lookup of a payment that never was {flow}")


@check(C.FIND_SCHEDULE)
def a_dated_charge_that_never_was_is_told_as_not_there(bench: Bench) -> None:
    """Otherwise it could never be scheduled again after a lost answer."""
    flow = bench.say(bench.provider.find_schedule(ABSENT))
    expect(flow.is_yes and flow.value is None, f"find_schedule of a dated charge that never was {flow}")


@check(C.LOOKUP_KEY, C.REGISTER)
def a_key_that_never_was_is_told_as_not_there(bench: Bench) -> None:
    """No key is made up."""
    shape = bench.key().reveal()
    for text in {f"{shape[:-1]}{'0' if shape[-1] != '0' else '7'}", f"9{shape}"}:
        told = bench.ask("lookup_key", BillingKey(bench.gate.name, text))
        expect(not told.is_yes, f"lookup_key of a key that never was {told}")


@check(C.FIND, C.CHARGE)
def every_order_is_found_under_its_own_id_and_no_other(bench: Bench) -> None:
    """Not the last one, not the first one."""
    paid = [bench.paid(bench.another_money(n)) for n in range(3)]
    for payment in (paid[1], paid[2], paid[0]):
        found = bench.say(bench.provider.find(payment.order_id)).expected("find of a paid order")
        expect([(p.order_id, p.money) for p in found] == [(payment.order_id, payment.money)],
               f"{payment.order_id} was asked for; found: {[str(p) for p in found]}")
    expect(bench.say(bench.provider.find(paid[0].order_id[:-1])).value == (), "half an order id finds an order")


@check(C.LOOKUP)
def every_payment_is_looked_up_under_its_own_id_and_no_other(bench: Bench) -> None:
    """The PG's id as the payment told it leads back to that payment."""
    paid = [bench.paid(bench.another_money(n)) for n in range(3)]
    for payment in (paid[1], paid[2], paid[0]):
        seen = bench.do("lookup", str(payment.provider_id))
        expect((seen.order_id, seen.provider_id, seen.money) == (payment.order_id, payment.provider_id, payment.money),
               f"{payment.provider_id} was asked for; told: {seen}")


@check(C.LOOKUP, C.FIND)
def our_order_is_read_from_the_record_and_not_from_whoever_asks(bench: Bench) -> None:
    """Where the PG names our order, nothing else may: a browser could name another one."""
    payment = bench.paid()
    for claimed in (None, "kit-another"):
        seen = bench.say(bench.provider.lookup(str(payment.provider_id), claimed)).expected("lookup of a payment")
        expect(seen is not None and seen.order_id == payment.order_id,
               f"looked up with order_id={claimed}, the payment of {payment.order_id} is told as {seen}")


@check(C.LOOKUP, when=lambda subject: "the PG names our orders" if subject.claims(C.FIND) else None)
def a_payment_that_belongs_to_no_order_of_ours_is_not_given_one(bench: Bench) -> None:
    """Only the ledger's own binding may name an order at a PG that keeps none."""
    payment = bench.paid()
    seen = bench.say(bench.provider.lookup(str(payment.provider_id), None)).expected("lookup of a payment")
    if seen is None or seen.order_id == payment.order_id:
        return  # This PG tells it, though it cannot be asked by it.
    from ....commands import ORDER_ID

    expect(not ORDER_ID.fullmatch(seen.order_id), f"a payment of nobody's is told as order {seen.order_id}")


@check(C.CHARGE, C.CANCEL)
def a_look_tells_what_is_so_now_and_asks_each_time(bench: Bench) -> None:
    """A remembered answer is an old answer."""
    payment = bench.paid()
    for _ in range(2):
        for verb, needs, asked in (("find", C.FIND, payment.order_id), ("lookup", C.LOOKUP, payment.provider_id)):
            if bench.claims(needs):
                mark = bench.mark
                bench.do(verb, asked)
                expect(bench.mark > mark, f"{verb} told something and asked nobody")
    bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
    for seen in looks(bench, payment):
        expect(seen.status is PaymentStatus.CANCELLED, f"given back a moment ago, and the look tells {seen}")


@check(C.LOOKUP, faces=SYNC)
def hostile_ids_reach_the_pg_as_one_segment_or_not_at_all(bench: Bench) -> None:
    """An id from a webhook is anybody's text: it must not become another path or another query."""
    payment = bench.paid()
    mark = bench.mark
    bench.do("lookup", str(payment.provider_id))
    shape = [s for s in bench.sent(mark) if s.call.method == "GET"]
    parts, names = {s.call.path.count("/") for s in shape}, {_names(s.call.query) for s in shape}
    for text in IDS:
        mark = bench.mark
        told = bench.ask("lookup", text)
        expect(isinstance(told.error, PaygateError), f"a look-up of {text[:30]!r} {told}")
        for sent in bench.sent(mark):
            expect(sent.call.path.count("/") in parts, f"{text[:30]!r} was sent as {sent.call.path}")
            expect(_names(sent.call.query) in names, f"{text[:30]!r} was sent with the query {sent.call.query}")
            expect(not {".", ".."} & set(sent.call.path.split("/")), f"{text[:30]!r} was sent as {sent.call.path}")


def _names(query: str) -> frozenset[str]:
    return frozenset(part.partition("=")[0] for part in query.split("&") if part)


@check(C.FIND, C.LOOKUP, cases=("find", "lookup"), faces=SYNC)
def a_look_that_fails_is_never_absence_and_never_a_verdict(bench: Bench, case: str) -> None:
    """Through the gateway: while the PG cannot be asked, nothing is told about the order."""
    payment = bench.paid()
    asked = payment.order_id if case == "find" else str(payment.provider_id)
    bench.warm()
    for trouble in (t for name in CASES for t in CASES[name] if not t.is_answer):
        bench.wire.plan(trouble, lambda call: call.method == "GET", times=50)
        told = bench.ask(case, asked)
        bench.wire.calm()
        expect(told.in_doubt, f"{case} of a paid order met {trouble.name}: it {told}")


@check(C.CHARGE, C.FIND)
def absence_is_believed_after_the_settle_window_and_as_the_profile_says(bench: Bench) -> None:
    """The declared meaning of 'not found', tried: a charge that never arrived."""
    command = bench.charge()
    told = _lost(bench, command)
    expect(told.in_doubt, f"a charge whose request was lost {told}")
    row = bench.row(command.order_id)
    expect(row is not None and row.state.value == "unknown", "a lost charge is not written down as unknown")
    early = bench.ask("charge", command)
    expect(not early.is_no, f"asked for again within the settle window, the charge {early}")
    bench.settle()
    row = bench.row(command.order_id)
    proves = bench.subject.spec.profile.absence.value is not Absence.NOTHING
    expect(row is not None and (row.state.value == "not_sent") is proves,
           f"the profile says that absence proves {bench.subject.spec.profile.absence.value}; after the settle window "
           f"the order is {row.state.value if row is not None else 'gone'}")
    if proves:
        bench.do("charge", command)
        expect(bench.charges() == 1, "sent again after its absence was proven, it was to be taken once")


def _lost(bench: Bench, command: object) -> Told:
    bench.warm()
    bench.wire.plan(CASES["drop_before"][0])
    told = bench.ask("charge", command)
    bench.wire.calm()
    return told


@check(C.CHARGE, when=lambda subject: None if not subject.claims(C.FIND) else "it can be found by our order")
def a_charge_that_nobody_can_look_up_stays_a_doubt_until_a_person_decides(bench: Bench) -> None:
    """Nothing proves that it did not happen, so nothing may say so."""
    command = bench.charge()
    told = _lost(bench, command)
    expect(told.in_doubt, f"a charge whose request was lost {told}")
    for _ in range(12):
        bench.clock.advance(86_400)
        bench.do("reconcile")
    row = bench.row(command.order_id)
    expect(row is not None and row.state.value == "unknown" and row.attention is not None,
           f"after twelve days the order is {row}")


@check(C.SCHEDULES, C.SCHEDULE)
def a_list_longer_than_a_page_and_than_a_quarter_is_read_to_its_end(bench: Bench) -> None:
    """Page by page, and however the PG cuts time into pieces."""
    from ....commands import SchedulesOf

    now = bench.clock.now()
    many = bench.schedule(*(now + timedelta(days=2 + 8 * n) for n in range(26)))
    bench.do("schedule", many)
    wanted = {c.order_id for c in many.charges}
    listed = bench.do("schedules", SchedulesOf(billing_key=many.billing_key, start=now, end=now + timedelta(days=400)))
    expect({s.order_id for s in listed} == wanted and len(listed) == len(wanted),
           f"{len(wanted)} dated charges are held, and {len(listed)} are listed")
    some = bench.do("schedules", SchedulesOf(billing_key=many.billing_key, start=many.charges[3].due_at,
                                             end=many.charges[7].due_at))
    expect({s.order_id for s in some} == {c.order_id for c in many.charges[3:7]},
           "start belongs to the list and end does not")


@check(C.SCHEDULES, C.SCHEDULE, C.REGISTER, faces=SYNC)
def the_dated_charges_of_one_key_are_not_told_as_anothers(bench: Bench) -> None:
    """A payer is shown their own."""
    from ....commands import SchedulesOf
    from .keys import plain_registration

    mine, yours = (bench.new_key(plain_registration(bench, word)) for word in ("a", "b"))
    if mine == yours:
        raise NotHere("this PG has one key for both registrations")
    now = bench.clock.now()
    command = bench.schedule(now + timedelta(days=3), key=mine)
    bench.do("schedule", command)
    listed = bench.do("schedules", SchedulesOf(billing_key=yours, start=now, end=now + timedelta(days=30)))
    expect(listed == (), f"another payer's dated charges are listed: {len(listed)}")


@check(faces=SYNC)
def a_webhook_about_what_never_was_is_not_confirmed_by_a_look(bench: Bench) -> None:
    """An unsigned one about a subscription, a customer or a product counts only where the PG's own record agrees."""
    kinds: tuple[SubjectKind, ...] = ("subscription", "invoice", "customer", "product", "other")
    for kind in kinds:
        for theirs in ("999999999", "zz-kit-never-was", None):
            told = bench.say(bench.provider.look_at(Hint(kind=kind, provider_id=theirs, claim="ACTIVE")))
            expect(told.error is not None or told.value is None, f"a {kind} that never was: look_at {told}")


@check(C.LISTING, C.CHARGE)
def a_listing_holds_every_payment_of_its_time_and_nobody_elses_time(bench: Bench) -> None:
    """What was taken or given back between two instants, whoever asked for it."""
    start = bench.clock.now()
    first = bench.paid()
    bench.clock.advance(7_200)
    middle = bench.clock.now()
    second = bench.paid()
    bench.clock.advance(60)
    told = bench.say(bench.provider.listing(start, bench.clock.now())).expected("a listing of today")
    expect({p.provider_id for p in told} >= {first.provider_id, second.provider_id}, "a payment of today is not listed")
    for payment in told:
        if payment.provider_id in (first.provider_id, second.provider_id):
            expect(payment.money == bench.money and payment.status.took_money, f"listed as {payment}")
    later = bench.say(bench.provider.listing(middle - timedelta(seconds=1), bench.clock.now())).expected("a listing")
    expect(second.provider_id in {p.provider_id for p in later}, "a payment of the last minutes is not listed")


@check(C.LISTING, faces=SYNC)
def a_listing_that_fails_is_not_an_empty_one(bench: Bench) -> None:
    """Otherwise a payment that the ledger has lost would never be missed."""
    bench.paid()
    bench.warm()
    for trouble in (t for name in CASES for t in CASES[name] if not t.is_answer and t.name != "list_after"):
        bench.wire.plan(trouble, times=50)
        told = bench.say(bench.provider.listing(bench.story.start, bench.clock.now() + timedelta(minutes=1)))
        bench.wire.calm()
        expect(isinstance(told.error, PaygateError), f"a listing met {trouble.name}, and it {told}")

