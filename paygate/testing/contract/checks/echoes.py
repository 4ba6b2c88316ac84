"""Echoes: what is told is what the PG answered, and never a repetition of what was asked for."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from ....capability import Capability
from ....model import Payment, PaymentStatus, ScheduledCharge
from ....wire import Response
from ..bench import Bench
from ..registry import SYNC, check
from ..tales import here, listened
from ..tape import Tape, is_number_of, one_more, parsed, places, rewritten
from ..told import Told, expect
from .answers import ASKS, one, status_of, took

C = Capability


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid"), faces=SYNC)
def an_amount_that_is_no_amount_is_not_believed(bench: Bench, case: str) -> None:
    """NaN, infinity, half a won, less than nothing, true, text that is no number."""
    tape = listened(bench, case)
    money = _money(tape)
    if money is None or not any(is_number_of(money)(v) for a in tape.answers for _, v in places(parsed(a))):
        return
    for token in ("NaN", "Infinity", "-Infinity", "1e400", f"{money}.5", f"-{money}", "true", '""', '"zz"', "null",
                  "[]", f"{money}0000000000000000000"):
        made = [_raw(a, money, token) for a in tape.answers]
        told = tape.play(made)
        expect(not (took(told) or isinstance(one(told), ScheduledCharge)) or _money_of(told) != money,
               f"every amount {money} was written {token}, and the flow {told}")


def _raw(answer: Response, money: int, token: str) -> Response:
    made = rewritten(answer, is_number_of(money), lambda _: "zz-token")
    return evolve(made, body=made.body.replace(b'"zz-token"', token.encode()))


def _money_of(told: Told) -> int | None:
    money = getattr(one(told), "money", None)
    return None if money is None else money.amount


def _money(tape: Tape) -> int | None:
    return _money_of(tape.told)


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid", "find_schedule", "schedules", "subscription"), faces=SYNC)
def the_amount_told_is_the_pgs_and_not_what_was_asked_for(bench: Bench, case: str) -> None:
    """A provider that repeats the command instead of the answer hides every wrong amount from the core."""
    tape = listened(bench, case)
    money = _money(tape)
    expect(money is not None, f"the flow {tape.told}, and that names no amount")
    told, _ = tape.where(is_number_of(money or 0), one_more)
    if told.error is None and status_of(told) is not PaymentStatus.PENDING:
        expect(_money_of(told) != money, f"every answer said {(money or 0) + 1}, and the flow still {told}")


@check(cases=here("refund", "find_of_partly_back", "lookup_of_partly_back", "find_of_window_partly_back",
                  "lookup_of_window_partly_back", "lookup_of_dated_partly_back"), faces=SYNC)
def what_was_given_back_is_told_as_the_pg_has_it(bench: Bench, case: str) -> None:
    """A refund that is told as asked for, whatever the PG answers, is a refund nobody saw."""
    tape = listened(bench, case)
    payment = tape.told.value[0] if isinstance(tape.told.value, tuple) else tape.told.value
    back = payment.cancelled.amount
    told, _ = tape.where(is_number_of(back), one_more)
    now = one(told)
    if told.error is None and isinstance(now, Payment):
        expect(now.cancelled.amount != back, f"every answer said that {back + 1} were given back, and the flow {told}")


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid"), faces=SYNC)
def a_currency_that_the_pg_states_is_compared(bench: Bench, case: str) -> None:
    """14,000 dollars are not 14,000 won."""
    tape = listened(bench, case)
    ours = bench.currency
    told, there = tape.where(lambda v: v == ours, lambda _: "EUR" if ours != "EUR" else "USD")
    if there and told.error is None and status_of(told) is not PaymentStatus.PENDING:
        money = getattr(one(told), "money", None)
        expect(money is None or money.currency != ours, f"every answer said another currency, and the flow {told}")


@check(cases=here(*ASKS, "find_of_paid", "lookup_of_paid", "find_schedule", "schedules"), faces=SYNC)
def the_order_told_is_the_pgs_and_not_what_was_asked_for(bench: Bench, case: str) -> None:
    """The answer to another order's charge must show as one."""
    tape = listened(bench, case)
    order_id = one(tape.told).order_id
    told, there = tape.where(lambda v: v == order_id, lambda _: "kit-another")
    if there and told.error is None and status_of(told) is not PaymentStatus.PENDING:
        expect(getattr(one(told), "order_id", None) != order_id,
               f"every answer named another order than {order_id}, and the flow {told}")


@check(cases=here("charge", "refund", "renewal", "find_of_paid", "lookup_of_paid"), faces=SYNC)
def the_payments_id_is_the_pgs_own(bench: Bench, case: str) -> None:
    """An id that is made up, or copied from the order, leads nowhere when the payment is looked up or given back."""
    tape = listened(bench, case)
    payment = one(tape.told)
    mine = payment.provider_id
    expect(isinstance(mine, str) and mine, f"the flow {tape.told}, which names no payment of the PG")
    shown = any(str(v) == mine for a in tape.answers for _, v in places(parsed(a)) if not isinstance(v, (dict, list)))
    asked = case.startswith("lookup") or case == "refund"  # A look-up by the PG's id may answer without it.
    expect(shown or asked, f"the payment is told as {mine}, and no answer of the PG holds that")
    told, there = tape.where(lambda v: str(v) == mine, lambda v: v + 1 if isinstance(v, (int, Decimal)) else "zz-other")
    if there and told.error is None and status_of(told) is not PaymentStatus.PENDING:
        expect(asked or one(told).provider_id != mine, f"every answer named another payment, and the flow {told}")


@check(cases=here("lookup_of_paid", "lookup_of_failed", "find_schedule", "lookup_key"), faces=SYNC)
def the_record_of_another_is_not_taken_for_the_one_asked_about(bench: Bench, case: str) -> None:
    """A cache or a mixed-up connection may answer with somebody else's record."""
    tape = listened(bench, case)
    known = {"lookup_of_paid": "provider_id", "lookup_of_failed": "provider_id", "find_schedule": "order_id"}.get(case)
    value = tape.told.value
    ours = value.billing_key.reveal() if known is None else getattr(value, known)
    told, there = tape.where(lambda v: str(v) == ours, lambda v: v + 1 if isinstance(v, (int, Decimal)) else f"{v}9")
    if there and told.error is None:
        value = told.value
        now = value.billing_key.reveal() if known is None and value else getattr(value, known or "", None)
        expect(now != ours, f"the answer was the record of another, and the flow {told}")
