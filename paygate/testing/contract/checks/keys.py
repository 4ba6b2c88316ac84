"""Billing keys: got by registering, good for the payer who gave them, looked up, deleted."""

from __future__ import annotations

from attrs import evolve

from ....capability import Capability
from ....commands import DeleteKey, KeysOf, Register
from ....errors import BadCommand, Declined, NotFound, PaygateError
from ....model import BillingKey
from ..bench import REASON, Bench
from ..registry import SYNC, check
from ..told import NotHere, expect

C = Capability


@check(C.REGISTER)
def a_registration_that_is_approved_yields_a_key_of_this_gateway(bench: Bench) -> None:
    """Bound to the gateway's own name, which is not always the provider's."""
    with bench.another(name="shop-2") as shop:
        command = shop.register()
        key = shop.new_key(command)
        expect(key.gateway == "shop-2", f"the gateway is shop-2, the key's is {key.gateway}")
        expect(len(key.reveal()) > 0, "the key is empty")
        again = shop.do("confirm_key", command.order_id, {})
        expect(again is None or again == key, "confirmed again, the registration yields another key")
        if shop.claims(C.LOOKUP_KEY):
            info = shop.do("lookup_key", key)
            expect(info.billing_key == key, "looked up, the key is another one, or of another gateway")


@check(C.REGISTER)
def a_registration_takes_money_exactly_where_the_profile_and_the_checkout_say_so(bench: Bench) -> None:
    """The payer is told by it; both ways."""
    command, declared = bench.register(), bench.subject.spec.profile.register_takes_money.value
    checkout = bench.do("register", command)
    expect(checkout.takes_money is declared, f"the profile says {declared}, the checkout {checkout.takes_money}")
    bench.do("confirm_key", command.order_id, bench.browse(checkout.action))
    expect((bench.charges() > 0) is declared, f"the profile says {declared}, and the PG took {bench.taken()}")
    expect(bench.taken() in ((0, command.money.amount)), f"{command.money} were shown, {bench.taken()} were taken")
    if not declared:
        _is_no_payment(bench, command.order_id)


def _is_no_payment(bench: Bench, order_id: str) -> None:
    """What moved no money must not look like money: neither in a record nor as something to give back."""
    if bench.claims(C.FIND):
        for payment in bench.say(bench.provider.find(order_id)).expected("find of a registration"):
            expect(payment.for_key or not payment.status.took_money or payment.money.is_zero,
                   f"a registration that took nothing is found as {payment}")
    if bench.claims(C.CANCEL):
        since = len(bench.journal)
        told = bench.ask("cancel_whole", bench.cancel_whole(order_id))
        expect(not told.is_yes and len(bench.journal) == since, f"giving a registration back {told}")


@check(C.REGISTER)
def a_registration_that_is_closed_or_declined_yields_no_key(bench: Bench) -> None:
    """And takes nothing."""
    for outcome in ("close", "decline"):
        command = bench.register()
        query = bench.browse(bench.do("register", command).action, outcome)
        told = bench.ask("confirm_key", command.order_id, query)
        expect(not told.is_yes or told.value is None, f"the payer's window ended with {outcome}, and a key came out")
        expect(told.is_yes or isinstance(told.error, Declined) or told.in_doubt, f"after {outcome}, confirm_key {told}")
    expect(not bench.journal, "a registration that failed took money")


@check(C.CHARGE, faces=SYNC)
def each_payer_has_a_key_of_their_own_and_a_charge_names_the_one_it_was_given(bench: Bench) -> None:
    """Not the last one registered: two payers, charged in turn."""
    mine, yours = _two_keys(bench)
    expect(mine != yours, "two payers registered, and both have one key")
    for key, other in ((mine, yours), (yours, mine), (mine, yours)):
        mark = bench.mark
        payment = bench.do("charge", bench.charge(key))
        said = "".join(s.call.target + s.call.body.decode("utf-8", "replace") for s in bench.sent(mark)
                       if any(m.kind == "charge" for m in s.moved))
        expect(key.reveal() in said and other.reveal() not in said, "a charge named another payer's key")
        expect(payment.key is None or payment.key == key.value, "a charge is told as of another payer's key")


def _two_keys(bench: Bench) -> tuple[BillingKey, BillingKey]:
    if not bench.claims(C.REGISTER):
        return bench.given_key("a"), bench.given_key("b")
    try:
        return bench.new_key(plain_registration(bench, "a")), bench.new_key(plain_registration(bench, "b"))
    except BadCommand:
        raise NotHere("a second payer cannot be registered without this PG's own fields") from None


def plain_registration(bench: Bench, word: str) -> Register:
    """A registration without this PG's own fields, where it takes such a one, so that each payer gets their own key."""
    command = bench.register(order_id=bench.order(f"key{word}"))
    try:
        plain = evolve(command, extra={})
        bench.provider.check(plain)
    except PaygateError:
        return command
    return plain


@check(C.KEYS, C.REGISTER)
def the_keys_of_a_payer_are_listed_and_nobody_elses(bench: Bench) -> None:
    """Each as registered, and of this gateway; a payer who saved nothing has none."""
    command = bench.register()
    listed = KeysOf(customer=command.customer, extra=command.extra)
    try:
        bench.provider.check(listed)
    except PaygateError:
        raise NotHere("this PG's payers are not told apart by what a registration says of them") from None
    expect(bench.do("keys", listed) == (), "a payer who has saved nothing has keys")
    key = bench.new_key(command)
    expect([i.billing_key for i in bench.do("keys", listed)] == [key], "the one key of a payer is not what is listed")
    other = evolve(listed, customer=evolve(listed.customer, email="nobody-yet@mail.example"))
    customers = bench.ask("keys", other)
    expect(customers.value == () or listed.extra, f"a payer unknown to the PG: keys {customers}")


@check(C.CHARGE, faces=SYNC)
def a_key_that_the_pg_does_not_know_charges_nobody(bench: Bench) -> None:
    """Refused or unknown, never paid."""
    known, since = bench.key(), len(bench.journal)
    text = known.reveal()
    stranger = BillingKey(bench.gate.name, f"{text[:-1]}{'0' if text[-1] != '0' else '7'}")
    told = bench.ask("charge", bench.charge(stranger))
    expect(not told.is_yes and bench.charges(since) == 0, f"a charge of a key that never was {told}")


@check(C.CHARGE, faces=SYNC)
def a_key_of_another_gateway_is_refused_and_nothing_is_sent(bench: Bench) -> None:
    """Keys do not travel."""
    command = bench.charge(BillingKey("another-gateway", bench.key().reveal()))
    mark = bench.mark
    told = bench.ask("charge", command)
    expect(isinstance(told.error, BadCommand), f"a key of another gateway {told}")
    bench.silent(mark, "the key is another gateway's")


@check(C.DELETE_KEY, C.REGISTER)
def a_deleted_key_is_gone_and_deleting_it_again_changes_nothing(bench: Bench) -> None:
    """Looked up it is not there, charged it is refused."""
    key = bench.key()
    command = DeleteKey(billing_key=key, reason=REASON)
    since = len(bench.journal)
    for _ in range(2):
        told = bench.ask("delete_key", command)
        expect(told.is_yes, f"deleting a key {told}")
    if bench.claims(C.LOOKUP_KEY):
        told = bench.ask("lookup_key", key)
        expect(isinstance(told.error, NotFound), f"a deleted key, looked up, {told}")
    if bench.claims(C.CHARGE):
        told = bench.ask("charge", bench.charge(key))
        expect(not told.is_yes, f"a charge of a deleted key {told}")
    expect(len(bench.journal) == since, "deleting a key moved money")


@check(C.DELETE_KEY, C.LOOKUP_KEY, C.REGISTER, faces=SYNC)
def deleting_one_key_leaves_another_payers_alone(bench: Bench) -> None:
    """Named one by one."""
    try:
        mine, yours = (bench.new_key(plain_registration(bench, word)) for word in ("a", "b"))
    except BadCommand:
        raise NotHere("a second payer cannot be registered without this PG's own fields") from None
    if mine == yours:
        raise NotHere("this PG has one key for both registrations")
    bench.do("delete_key", DeleteKey(billing_key=mine, reason=REASON))
    info = bench.do("lookup_key", yours)
    expect(info.billing_key == yours, "another payer's key is gone as well")


@check(C.DELETE_KEY, C.SCHEDULE)
def a_key_with_dated_charges_is_not_deleted_by_accident(bench: Bench) -> None:
    """They would fail when they fall due."""
    command = bench.schedule()
    bench.do("schedule", command)
    told = bench.ask("delete_key", DeleteKey(billing_key=command.billing_key, reason=REASON))
    expect(isinstance(told.error, BadCommand), f"a key with a dated charge, deleted without force, {told}")
    if bench.claims(C.LOOKUP_KEY):
        expect(bench.ask("lookup_key", command.billing_key).is_yes, "the key is gone all the same")
