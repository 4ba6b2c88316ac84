"""The books: after everything, the ledger, what was told and the PG's journal agree; test money is not live money."""

from __future__ import annotations

from typing import Any

from ....capability import Capability
from ....ledger.row import Row
from ....model import Payment
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..told import NotHere, expect
from ..troubles import CASES, FAULTS, Trouble

C = Capability


def _takes(subject: Subject) -> str | None:
    return None if subject.claims(C.CHARGE) or subject.claims(C.PAY) else "it takes no one-off money"


@check(C.CHARGE, cases=tuple(t.name for t in FAULTS))
def every_doubt_about_a_charge_ends_in_what_the_pg_did(bench: Bench, case: str) -> None:
    """Once the trouble is over: done is answered, not done is not sent; where nobody can be asked, a person is told."""
    command = bench.charge()
    bench.warm()
    since = len(bench.journal)
    bench.wire.plan(CASES[case][0])
    bench.ask("charge", command)
    bench.settle()
    row, done = bench.row(command.order_id), bench.charges(since)
    expect(done <= 1, f"{case}: charged {done} times")
    expect(row is not None, "the charge was never written down")
    state = row.state.value if row is not None else ""
    if state == "unknown":
        expect(not bench.claims(C.FIND), f"{case}: {done} charges, and long after the settle window the row is {row}")
        return
    expect((state == "answered") is (done == 1), f"{case}: {done} charges, and the row is {row}")
    mark = bench.mark
    again = bench.ask("charge", command)
    expect(bench.charges(since) == 1 or not again.is_yes, f"{case}: asked again, the charge {again}")
    if done == 1:
        expect(again.is_yes, f"{case}: it was charged, and asked again the charge {again}")
        bench.silent(mark, f"{case}: the charge is known")


@check(C.CANCEL, C.CANCEL_PARTLY, cases=tuple(t.name for t in FAULTS), faces=SYNC)
def every_doubt_about_a_refund_ends_in_what_the_pg_did(bench: Bench, case: str) -> None:
    """By comparing the balance; and asked for again it is never given twice."""
    payment = bench.paid()
    command = bench.cancel(payment.order_id, payment.money.amount // 4)
    bench.warm()
    since = len(bench.journal)
    hits = _asking(bench)
    bench.wire.plan(CASES[case][0], skip=hits)
    bench.ask("cancel", command)
    bench.settle()
    row, done = bench.refund_row(command.cancel_id), bench.refunds(since)
    expect(done <= 1, f"{case}: given back {done} times")
    state = row.state.value if row is not None else "gone"
    expect(state != "answered" or done == 1, f"{case}: {done} refunds, and the row is {row}")
    expect(state not in ("not_sent", "refused") or done == 0, f"{case}: {done} refunds, and the row is {row}")
    bench.ask("cancel", command)
    expect(bench.refunds(since) <= 1, f"{case}: asked again, it was given back {bench.refunds(since)} times")


def _asking(bench: Bench) -> int:
    """Which of a refund's requests asks for it."""
    with bench.fresh() as shop:
        payment = shop.paid()
        mark = shop.mark
        shop.do("cancel", shop.cancel(payment.order_id, payment.money.amount // 4))
        return next(n for n, s in enumerate(shop.sent(mark)) if any(m.kind == "refund" for m in s.moved))


@check(when=_takes)
def the_ledger_and_the_journal_balance(bench: Bench) -> None:
    """A day at a shop: everything that is written down as money moved, and nothing else, moved."""
    told: list[Payment] = []
    for n in range(4):
        told.append(bench.paid(bench.another_money(n)))
    if bench.claims(C.CANCEL, C.CANCEL_PARTLY):
        bench.do("cancel", bench.cancel(told[0].order_id, bench.money.amount // 7))
        bench.do("cancel", bench.cancel(told[0].order_id, bench.money.amount // 14))
    if bench.claims(C.CANCEL):
        bench.do("cancel_whole", bench.cancel_whole(told[1].order_id))
    bench.settle()
    rows = [bench.row(p.order_id) for p in told]
    written = sum(_money(r) for r in rows if r is not None and r.state.value == "answered")
    extra = bench.taken() - written
    keys = sum(m.money.amount for m in bench.journal if m.kind == "charge" and not _is_of(m, told))
    expect(extra == keys, f"the ledger holds {written} as taken, the PG {bench.taken()}")
    kept = sum(p.money.amount for p in told) - bench.given_back()
    now = sum(_left(bench, p) for p in told)
    expect(kept == now, f"of what was told, {kept} should be left; looked at, {now} is")


def _money(row: Row) -> int:
    return 0 if row.money is None else row.money.amount


def _is_of(movement: Any, told: list[Payment]) -> bool:
    names = {p.order_id for p in told} | {p.provider_id for p in told}
    return movement.order_id in names or movement.provider_id in names


def _left(bench: Bench, payment: Payment) -> int:
    if bench.claims(C.FIND):
        left: int = bench.do("find", payment.order_id).left.amount
        return left
    if bench.claims(C.LOOKUP):
        left = bench.do("lookup", str(payment.provider_id)).left.amount
        return left
    raise NotHere("nothing can be looked at")


@check(C.CHARGE)
def money_of_test_mode_is_never_believed_in_live_mode(bench: Bench) -> None:
    """A record that says of itself that it is a test is no payment of a live shop."""
    if bench.do("charge", bench.charge()).test is None:
        raise NotHere("this PG's records do not say their mode")
    with bench.another(mode="live") as live:
        key = bench.key()
        live._key = key
        told = live.ask("charge", live.charge(key))
        expect(not told.is_yes or not told.value.status.took_money, f"a test payment, in live mode: the charge {told}")
        expect(not told.is_no or live.charges() <= 1, f"in live mode the charge {told}")


@check(C.CHARGE, faces=SYNC)
def a_reused_order_id_is_charged_again_exactly_where_the_profile_says_so(bench: Bench) -> None:
    """The very same request arrives once more: what the PG does then is declared."""
    command = bench.charge()
    since = len(bench.journal)
    bench.do("charge", command)
    asking = next((s for s in bench.sent() if any(m.kind == "charge" for m in s.moved) and s.call.body), None)
    asking = next((s for s in reversed(bench.sent()) if any(m.kind == "charge" for m in s.moved)), asking)
    if asking is None:
        raise NotHere("a charge is made by no single request")
    bench.wire.truth(asking.call)
    again = bench.charges(since) - 1
    refuses = bench.subject.spec.profile.refuses_reused_order_id.value
    expect((again == 0) is refuses, f"refuses_reused_order_id is {refuses}, and the PG charged {again} times more")


@check(C.CHARGE)
def nobody_is_charged_twice_however_often_and_however_badly_it_is_asked(bench: Bench) -> None:
    """Ten tries of one order, each meeting another trouble."""
    command = bench.charge()
    bench.warm()
    since = len(bench.journal)
    names = ("error_500_after", "drop_before", "html_after", "too_many", "hang_after", "unauthorized", "lie_failed",
             "wrong_order", "late", "refuse")
    troubles: list[Trouble] = [CASES[name][0] for name in names]
    for trouble in troubles:
        bench.wire.plan(trouble)
        bench.ask("charge", command)
        bench.clock.advance(61)
    bench.settle()
    bench.ask("charge", command)
    expect(bench.charges(since) <= 1, f"one order was charged {bench.charges(since)} times")
