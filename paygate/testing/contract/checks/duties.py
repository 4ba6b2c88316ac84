"""What the emulator owes: a PG that cannot say no, or is never heard of, lets every claim about that pass unseen."""

from __future__ import annotations

from ....capability import Capability
from ..bench import Bench
from ..registry import SYNC, check
from ..told import Broke, NotHere, expect
from .hooks import true_hooks
from .signatures import signed, signs

C = Capability


@check(C.CHARGE, faces=SYNC)
def the_emulator_can_decline_a_charge(bench: Bench) -> None:
    """By the control next_charge; and what it declines takes no money."""
    command, since = bench.charge(), len(bench.journal)
    try:
        bench.decline_next()
    except NotHere as lacking:
        raise Broke(f"charge is claimed, and {lacking}") from None
    bench.say(bench.provider.charge(command))
    expect(bench.sent(), "a charge asks the PG for nothing")
    expect(len(bench.journal) == since, "the emulator was told to decline the next charge, and took the money")


@check(C.PAY, faces=SYNC)
def the_emulator_lets_a_payer_decline(bench: Bench) -> None:
    """Otherwise nobody sees what a provider makes of it."""
    for outcome in ("decline", "close"):
        bench.browse(bench.do("pay", bench.pay()).action, outcome)
        expect(not bench.journal, f"the payer's window ended with {outcome}, and the emulator took the money")


@check(C.RECEIVE, faces=SYNC)
def the_emulator_sends_at_least_one_webhook(bench: Bench) -> None:
    """At least one, of a payment, of a refund or of a subscription."""
    try:
        true_hooks(bench)
    except NotHere as lacking:
        raise Broke(f"receive is claimed, and {lacking}") from None


@check(C.RECEIVE, when=signs, faces=SYNC)
def the_emulator_signs_the_webhooks_that_are_said_to_be_signed(bench: Bench) -> None:
    """A claim about signatures that nothing bears cannot be checked."""
    try:
        signed(bench)
    except NotHere as lacking:
        raise Broke(f"the profile says how webhooks are signed, and {lacking}") from None


@check(faces=SYNC)
def the_emulator_says_of_each_request_that_moves_money_what_it_asks_for(bench: Bench) -> None:
    """By `asks`: the simulation and `shop_machine` count and compare what it names, and nothing else."""
    if bench.claims(C.CHARGE):
        bench.do("charge", bench.charge())
    if bench.claims(C.CANCEL):
        bench.do("cancel_whole", bench.cancel_whole(bench.paid().order_id))
    for sent in bench.sent():
        said = bench.pg.asks(sent.call)
        for moved in sent.moved:
            expect(said.kind == moved.kind,
                   f"{sent.line} moved money by a {moved.kind}, and asks() names it {said.kind}")
            expect(said.amount in (None, moved.money.amount), f"{sent.line} moved {moved.money}, and asks() names "
                   f"{said.amount}")
