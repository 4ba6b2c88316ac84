"""What a payer approved and the PG does only when told to: for whom it is good, for how much, and how often."""

from __future__ import annotations

from ....capability import Capability
from ....model import Hint, Payment
from ..bench import Bench
from ..registry import SYNC, check
from ..told import Told, expect

C = Capability


def _approved(bench: Bench, order_id: str | None = None) -> tuple[str, Hint]:
    """An order whose payer has approved, and what their return claims."""
    command = bench.pay(**({} if order_id is None else {"order_id": order_id}))
    query = bench.browse(bench.do("pay", command).action)
    return command.order_id, bench.provider.read_return(query)


def _took(told: Told) -> bool:
    return isinstance(told.value, Payment) and told.value.status.took_money


@check(C.CAPTURE, C.PAY, faces=SYNC)
def a_return_claims_an_approval_exactly_where_the_payer_approved(bench: Bench) -> None:
    """What is not approved is never captured, and what is approved must be."""
    _, hint = _approved(bench)
    expect(hint.approval, "the payer approved, and their return is read as no approval")
    for outcome in ("decline", "close"):
        hint = bench.provider.read_return(bench.browse(bench.do("pay", bench.pay()).action, outcome))
        expect(not hint.approval, f"the window ended with {outcome}, and its return is read as an approval")
    expect(not bench.journal, "money moved in the window, before anything was captured")


@check(C.CAPTURE, C.PAY, faces=SYNC)
def the_flow_of_a_capture_asks_for_the_money_it_is_given_and_no_other(bench: Bench) -> None:
    """The ledger's amount is what is asked for; the PG refuses it where the payer approved another one."""
    for amount in (bench.money.amount + 1_000, bench.money.amount - 1_000):
        order_id, hint = _approved(bench)
        told = bench.say(bench.provider.capture(order_id, bench.won(amount), hint))
        expect(not bench.journal, f"{bench.won(amount)} were to be captured where {bench.money} were approved, and the "
                                  f"PG took {bench.taken()}")
        expect(not _took(told), f"{bench.won(amount)} were to be captured where {bench.money} were approved: it {told}")


@check(C.CAPTURE, C.PAY, faces=SYNC)
def the_flow_of_a_capture_asks_for_the_order_it_is_given_and_no_other(bench: Bench) -> None:
    """An approval of another order, of the same amount, is not good for this one."""
    _, hint = _approved(bench)
    other, _ = _approved(bench)
    told = bench.say(bench.provider.capture(other, bench.money, hint))
    expect(not bench.journal, f"another order's approval was captured for {other}, and the PG took {bench.taken()}")
    expect(not _took(told), f"another order's approval was captured for {other}: it {told}")


@check(C.CAPTURE, C.PAY, faces=SYNC)
def an_approval_is_good_for_one_capture(bench: Bench) -> None:
    """Whoever lost the ledger and is told the same return again takes nothing more."""
    order_id, hint = _approved(bench)
    for _ in range(2):
        bench.say(bench.provider.capture(order_id, bench.money, hint))
    expect(bench.charges() == 1, f"captured twice, one approval took money {bench.charges()} times")


@check(C.CAPTURE, C.PAY)
def an_approval_that_no_payer_brings_back_is_never_captured(bench: Bench) -> None:
    """Neither a question nor a reconciliation nor a webhook captures it; the window ends unpaid."""
    order_id, _ = _approved(bench)
    for query in ({}, {"order_id": order_id}):
        expect(not _took(bench.ask("confirm", order_id, query)), "without the approval an order was confirmed as paid")
    for hook in bench.pg.hooks:
        bench.ask("receive", hook.headers, hook.body)
    for _ in range(16):
        bench.clock.advance(86_400.0)
        bench.do("reconcile")
    expect(not bench.journal, "nobody brought the approval back, and it was captured")
    row = bench.row(order_id)
    expect(row is not None and row.state.value in ("not_sent", "refused"),
           f"nobody brought the approval back, and after the whole timetable the order is {row and row.state.value}")


@check(C.CAPTURE, C.REGISTER)
def an_approved_registration_issues_its_key_only_when_it_is_captured(bench: Bench) -> None:
    """Another order's approval issues no key for it; its own does, and tells the same one again."""
    mine, yours = bench.register(), bench.register()
    back = {c.order_id: bench.browse(bench.do("register", c).action) for c in (mine, yours)}
    expect(bench.ask("confirm_key", mine.order_id, {}).value is None, "without the approval there is a key")
    key = bench.do("confirm_key", mine.order_id, back[mine.order_id])
    expect(key is not None, "a registration that the payer approved yields no billing key")
    told = bench.ask("confirm_key", yours.order_id, back[mine.order_id])
    expect(told.value is None, "an approval that was used for another order yields a key again")
    again = bench.do("confirm_key", mine.order_id, back[mine.order_id])
    expect(again == key, "confirmed again, the registration yields another key")
