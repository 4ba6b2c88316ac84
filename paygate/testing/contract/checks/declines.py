"""What the PG says when it says no: told as a decline, with its words verbatim and a reason, or plainly without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....capability import Capability
from ....errors import Declined, PaygateError
from ....model import DeclineReason, Payment, PaymentStatus
from ..bench import Bench
from ..registry import SYNC, check
from ..tape import parsed, places, recorded
from ..told import NotHere, expect
from .claimed import looks

C = Capability
WORDS = {"korean": "잔액이 부족합니다.", "with a code": "결제수단 한도 초과 (E-1042)", "english": "Do not honour",
         "odd": "Sorry, “no” 🙏 & <b>never</b>  at all",
         "long": "카드사 점검 중입니다. 잠시 후 다시 시도해 주세요. " * 3 + "끝"}
NOBODYS = "zz 8841 quux frobnicated"


def _declined(bench: Bench, message: str | None = None) -> tuple[Any, Any]:
    command = bench.charge()
    since = len(bench.journal)
    bench.decline_next(message)
    told = bench.ask("charge", command)
    expect(bench.charges(since) == 0, "a declined charge took money")
    return command, told


@check(C.CHARGE)
def a_declined_charge_is_told_as_declined_and_takes_nothing(bench: Bench) -> None:
    """Whatever HTTP status the PG says it with."""
    command, told = _declined(bench)
    expect(isinstance(told.error, Declined), f"the PG declined, and the charge {told}")
    expect(told.is_no and told.error.order_id == command.order_id, "a decline names no order, or says that money moved")
    bench.settle()
    row = bench.row(command.order_id)
    expect(row is not None and row.state.value == "refused", f"after a decline the order is {row}")
    again = bench.ask("charge", command)
    expect(isinstance(again.error, Declined), f"asked again, the declined charge {again}")


@check(C.CHARGE)
def a_decline_has_a_reason_or_says_that_it_is_unmapped(bench: Bench) -> None:
    """None is neither."""
    _, told = _declined(bench)
    expect(isinstance(getattr(told.error, "reason", None), DeclineReason), f"its reason is {told.error!r}")


@check(C.CHARGE, faces=SYNC)
def words_that_stand_in_no_table_are_unmapped_and_not_guessed(bench: Bench) -> None:
    """A made-up reason sends the payer the wrong way."""
    _, told = _declined(bench, NOBODYS)
    expect(isinstance(told.error, Declined), f"the PG declined, and the charge {told}")
    expect(told.error.reason is DeclineReason.UNMAPPED, f"{NOBODYS!r} was taken for {told.error.reason}")


@check(C.CHARGE, faces=SYNC)
def every_word_for_a_decline_has_the_reason_that_the_pg_means_by_it(bench: Bench) -> None:
    """A wrong one sends the payer the wrong way: to another card, where only the balance is too small."""
    meant = bench.pg.decline_reasons
    if not isinstance(meant, Mapping):
        raise NotHere("the emulator does not say what its words for a decline mean")
    for words, reason in meant.items():
        _, told = _declined(bench, words)
        expect(isinstance(told.error, Declined), f"the PG declined with {words!r}, and the charge {told}")
        expect(told.error.reason is reason, f"by {words!r} the PG means {reason}; it is told as {told.error.reason}")
        command = bench.charge()
        bench.decline_next(words)
        alone = bench.say(bench.provider.charge(command))
        why = getattr(alone.error if isinstance(alone.error, Declined) else alone.value, "reason", None)
        expect(why is reason, f"by {words!r} the PG means {reason}; the flow tells {why}")


@check(C.CHARGE, cases=tuple(WORDS), faces=SYNC)
def the_pgs_words_come_through_verbatim(bench: Bench, case: str) -> None:
    """Some PGs require that the payer is shown exactly these."""
    command = bench.charge()
    words = WORDS[case]
    bench.decline_next(words)
    tape = recorded(bench, lambda: bench.provider.charge(command))
    told = tape.told.value if isinstance(tape.told.value, Payment) else tape.told.error
    said = getattr(told, "message", None)
    shown = {v for a in tape.answers for _, v in places(parsed(a)) if isinstance(v, str)}
    expect(words not in shown or said == words, f"the PG said {words!r}, told as {said!r}")
    expect(said is None or said in shown, f"told as {said!r}, which no answer says")


@check(C.CHARGE, faces=SYNC)
def the_pgs_code_is_its_own_and_verbatim(bench: Bench) -> None:
    """Support asks the PG about it."""
    command = bench.charge()
    bench.decline_next()
    tape = recorded(bench, lambda: bench.provider.charge(command))
    told = tape.told.value if isinstance(tape.told.value, Payment) else tape.told.error
    code = getattr(told, "code", None)
    shown = {str(v) for a in tape.answers for _, v in places(parsed(a)) if not isinstance(v, (dict, list))}
    expect(code is None or code in shown, f"the code is told as {code!r}, and no answer holds that")


@check(C.CHARGE)
def words_of_the_pg_stay_out_of_our_messages(bench: Bench) -> None:
    """A message of ours is one line in our words; theirs are in .message."""
    _, told = _declined(bench, "kanari 6617 no funds")
    expect("kanari 6617" not in str(told.error), "the PG's words stand in the error's own text")
    expect("\n" not in str(told.error) and "\r" not in str(told.error), "an error's text is more than one line")


@check(C.CHARGE)
def a_new_order_after_a_decline_is_charged(bench: Bench) -> None:
    """The next attempt is another order, and nothing of the first one sticks to it."""
    _declined(bench)
    since = len(bench.journal)
    payment = bench.do("charge", bench.charge())
    expect(payment.status.took_money and bench.charges(since) == 1, f"after a decline, the next order is {payment}")


@check(C.CHARGE, C.FIND)
def a_failed_payment_is_found_as_failed(bench: Bench) -> None:
    """Not as pending, not as absent, not as paid."""
    command, _ = _declined(bench)
    found = bench.say(bench.provider.find(command.order_id)).expected("find of a declined order")
    for payment in found:
        expect(payment.status is PaymentStatus.FAILED, f"a declined payment is found as {payment}")
        expect(payment.reason is not None, "a failed record has neither a reason nor the word that it is unmapped")


@check(C.CHARGE)
def a_refusal_without_a_record_is_not_a_payment(bench: Bench) -> None:
    """The PG says no and keeps nothing: no money moved, and nothing is invented."""
    command = bench.charge()
    since = len(bench.journal)
    bench.next_charge("code")
    told = bench.ask("charge", command)
    expect(isinstance(told.error, PaygateError) and bench.charges(since) == 0, f"the PG refused, and the charge {told}")
    bench.settle()
    again = bench.ask("charge", command)
    expect(bench.charges(since) <= 1, f"after a refusal the same order was charged more than once; it {again}")


@check(C.CHARGE)
def a_payment_that_is_pending_is_not_paid_and_not_failed(bench: Bench) -> None:
    """Pending is a value; only the PG ends it."""
    command = bench.charge()
    bench.next_charge("pending")
    since = len(bench.journal)
    told = bench.ask("charge", command)
    expect(told.is_yes and told.value.status is PaymentStatus.PENDING and bench.charges(since) == 0,
           f"the PG has not finished, and the charge {told}")
    for seen in looks(bench, told.value):
        expect(seen.status is PaymentStatus.PENDING, f"the PG has not finished, and looked at, it is {seen}")
