"""The ledger fails at its n-th call, for every n: before anything was sent, nothing is; afterwards, the truth is told.

F03: no request leaves without its intent written down. F41: what the PG answered reaches the caller, flagged
unrecorded; the row stays sent; nothing is sent again. A failed commit may have been written all the same: both ways
are played.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, cancel, cancel_whole, charge, schedule, unschedule, won

from paygate import Declined, LedgerError, MemoryLedger, NotSent, OutcomeUnknown, Pay, PaygateError, State
from paygate.ledger.row import Book
from paygate.testing.emulator import FaultKind

PAY = Pay(order_id="o1", money=won(14_000), title="Tea", return_url="https://shop.example/back")
FOREVER = 10**9


class Failing:
    """A ledger whose calls fail from the `at`-th on, `times` of them; `late` ones have done their work before."""

    blocking = False

    def __init__(self) -> None:
        self.inner = MemoryLedger()
        self.calls = 0
        self.at, self.times, self.late = FOREVER, 0, False

    def fail(self, at: int, times: int, *, late: bool) -> None:
        self.calls, self.at, self.times, self.late = 0, at, times, late

    def heal(self) -> None:
        self.at = FOREVER

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self.inner, verb)

        def call(*args: Any) -> Any:
            if verb == "close":
                return method(*args)
            self.calls += 1
            if not self.at <= self.calls < self.at + self.times:
                return method(*args)
            if self.late:
                method(*args)
            raise LedgerError("database or disk is full")
        return call


@frozen(kw_only=True)
class Story:
    ask: Callable[[Shop], Any]
    call: str
    done: Callable[[Shop], int]
    id: str = "o1"
    book: Book = Book.PAYMENT
    before: Callable[[Shop], Any] = lambda shop: None
    fault: FaultKind | None = None


def _moves(kind: str) -> Callable[[Shop], int]:
    return lambda shop: sum(m.kind == kind for m in shop.pg.journal.entries)


def _charge(fault: FaultKind | None = None, amount: int = 14_000) -> Story:
    return Story(ask=lambda s: s.charge(charge(amount=amount)), call="POST /charges", done=_moves("charge"),
                 fault=fault)


def _cancel(command: Any, fault: FaultKind | None = None) -> Story:
    return Story(ask=lambda s: getattr(s, "cancel" if hasattr(command, "money") else "cancel_whole")(command),
                 call="POST /payments/p1/refunds", done=_moves("refund"), id="c1", book=Book.CANCEL,
                 before=lambda s: s.charge(charge()), fault=fault)


def _schedule(fault: FaultKind | None = None) -> Story:
    return Story(before=lambda s: setattr(s, "asked", schedule(s, in_s=86_400)), ask=lambda s: s.schedule(s.asked),
                 call="POST /schedules", done=lambda s: len(s.pg.items), id="s1", fault=fault)


STORIES = {
    "charge": _charge(), "charge, answer lost": _charge(FaultKind.DROP_AFTER),
    "charge, lost": _charge(FaultKind.DROP_BEFORE),
    "charge, refused": _charge(FaultKind.REFUSE), "charge, wrong amount told": _charge(FaultKind.WRONG_AMOUNT),
    "cancel": _cancel(cancel()), "cancel, answer lost": _cancel(cancel(), FaultKind.DROP_AFTER),
    "cancel, lost": _cancel(cancel(), FaultKind.DROP_BEFORE), "cancel whole": _cancel(cancel_whole()),
    "schedule": _schedule(), "schedule, answer lost": _schedule(FaultKind.DROP_AFTER),
    "schedule, lost": _schedule(FaultKind.DROP_BEFORE),
}


def ledger_calls(story: Story) -> int:
    ledger = Failing()
    with Shop(ledger=ledger) as shop:  # type: ignore[arg-type]
        tell(story, shop, ledger)
        return ledger.calls


def tell(story: Story, shop: Shop, ledger: Failing, at: int = FOREVER, times: int = 0, *, late: bool = False) -> Any:
    """Play the story with a failing ledger; every request that moves money finds its intent in the ledger."""
    story.before(shop)
    if story.fault is not None:
        shop.pg.fault(story.fault, f"^{story.call}$")
    really = shop.pg.handle

    def watched(call: Any) -> Any:
        if f"{call.method} {call.path}" == story.call:
            row = ledger.inner.get(shop.gate._account.scope, story.book, story.id)
            assert row is not None, "sent without an intent"
            assert row.state is State.SENT
        return really(call)
    shop.pg.handle = watched  # type: ignore[method-assign]
    ledger.fail(at, times, late=late)
    try:
        return story.ask(shop)
    except PaygateError as error:
        return error


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("late", [False, True], ids=["not-written", "written-and-failed"])
@pytest.mark.parametrize("times", [1, 3, FOREVER], ids=["once", "thrice", "forever"])
@pytest.mark.parametrize("name", STORIES)
def test_whenever_the_ledger_fails_what_is_told_is_true_and_nothing_is_sent_unwritten_or_twice(
        name: str, times: int, late: bool, face: str) -> None:
    story = STORIES[name]
    for at in range(1, ledger_calls(story) + 1):
        ledger = Failing()
        with Shop(face, ledger) as shop:  # type: ignore[arg-type]
            answer = tell(story, shop, ledger, at, times, late=late)
            done, sent = story.done(shop), shop.sent(story.call)
            assert sent <= (3 if story.fault is FaultKind.REFUSE else 1)
            row = ledger.inner.get(shop.gate._account.scope, story.book, story.id)
            if not isinstance(answer, PaygateError):
                assert done == 1
                result = answer[0] if isinstance(answer, tuple) else answer
                assert row is not None
                assert result.unrecorded or row.state is State.ANSWERED
                assert not result.unrecorded or times > 1
                assert row.state in (State.SENT, State.UNKNOWN, State.ANSWERED)
            elif answer.moved is False:
                assert done == 0, answer
            else:
                assert isinstance(answer, OutcomeUnknown)
            if sent == 0:
                assert isinstance(answer, NotSent), answer
            # The disk has room again.
            ledger.heal()
            shop.settle()
            shop.settle()
            assert story.done(shop) == done
            row = ledger.inner.get(shop.gate._account.scope, story.book, story.id)
            if done:
                assert row is not None
                assert row.state is State.ANSWERED
            else:
                assert row is None or row.state is State.NOT_SENT
            again = story.ask(shop)
            assert (again[0] if isinstance(again, tuple) else again).unrecorded is False
            assert story.done(shop) == 1


@pytest.mark.parametrize("face", FACES)
def test_a_ledger_that_cannot_be_written_at_all_stops_every_verb_before_the_first_byte(face: str) -> None:
    for verb in ("charge", "cancel", "schedule", "pay", "whole"):
        ledger = Failing()
        with Shop(face, ledger) as shop:  # type: ignore[arg-type]
            ledger.fail(1, FOREVER, late=False)
            ask = {"charge": lambda s=shop: s.charge(charge()), "cancel": lambda s=shop: s.cancel(cancel()),
                   "whole": lambda s=shop: s.cancel_whole(cancel_whole()), "pay": lambda s=shop: s.pay(PAY),
                   "schedule": lambda s=shop: s.schedule(schedule(s))}[verb]
            with pytest.raises(NotSent, match="ledger") as caught:
                ask()
            assert caught.value.moved is False
            assert "\n" not in str(caught.value)
            assert shop.pg.calls == []


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("late", [False, True])
def test_a_decline_is_told_even_if_it_cannot_be_written(face: str, late: bool) -> None:
    ledger = Failing()
    with Shop(face, ledger) as shop:  # type: ignore[arg-type]
        ledger.fail(2, FOREVER, late=late)
        with pytest.raises(Declined) as caught:
            shop.charge(charge(amount=101))
        assert caught.value.unrecorded is True
        ledger.heal()
        shop.settle()
        assert shop.row("o1").state is State.REFUSED
        assert shop.sent("POST /charges") == 1


@pytest.mark.parametrize("face", FACES)
def test_an_unrecorded_charge_is_found_again_by_the_same_command(face: str) -> None:
    ledger = Failing()
    with Shop(face, ledger) as shop:  # type: ignore[arg-type]
        ledger.fail(2, FOREVER, late=False)
        payment = shop.charge(charge())
        assert (payment.status, payment.unrecorded) == ("paid", True)
        ledger.heal()
        shop.clock.advance(100)
        assert shop.charge(charge()).unrecorded is False
        assert shop.sent("POST /charges") == 1


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("late", [False, True])
def test_a_payers_window_is_shown_only_if_it_was_written_down(face: str, at: int, late: bool) -> None:
    ledger = Failing()
    with Shop(face, ledger) as shop:  # type: ignore[arg-type]
        ledger.fail(at, FOREVER, late=late)
        try:
            shown: Any = shop.pay(PAY)
        except NotSent as error:
            shown = error
        ledger.heal()
        row = shop.row("o1")
        if isinstance(shown, NotSent):
            assert row is None or row.state in (State.SENT, State.NOT_SENT)
        else:
            assert row.state is State.SENT
        shop.clock.advance(100)
        assert shop.pay(PAY).order_id == "o1"
        shop.pg.payer("o1")
        assert shop.confirm("o1", {"order_id": "o1"}).status == "paid"


@pytest.mark.parametrize("face", FACES)
def test_a_return_whose_outcome_cannot_be_written_is_a_doubt_and_confirming_again_ends_it(face: str) -> None:
    ledger = Failing()
    with Shop(face, ledger) as shop:  # type: ignore[arg-type]
        shop.pay(PAY)
        query = shop.pg.payer("o1")
        ledger.fail(2, FOREVER, late=False)
        with pytest.raises(OutcomeUnknown) as caught:
            shop.confirm("o1", query)
        assert caught.value.unrecorded is True
        ledger.heal()
        assert shop.confirm("o1", query).status == "paid"


@pytest.mark.parametrize("face", FACES)
def test_one_row_that_cannot_be_written_does_not_stop_the_walk(face: str) -> None:
    ledger = Failing()
    with Shop(face, ledger) as shop:  # type: ignore[arg-type]
        for order_id in ("o1", "o2", "o3"):
            shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
            shop.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=3)
            with pytest.raises(OutcomeUnknown):
                shop.charge(charge(order_id))
            shop.clock.advance(1)
        shop.pg.faults.clear()
        shop.clock.advance(60)
        ledger.fail(2, 4, late=False)  # due, then all the tries for the first row
        report = shop.reconcile()
        assert (report.checked, list(report.failed), report.settled) == (3, ["o1"], ["o2", "o3"])
        ledger.heal()
        shop.settle()
        assert shop.pending() == []


@pytest.mark.parametrize("face", FACES)
def test_stopping_dated_charges_needs_no_writing_and_tells_the_truth_all_the_same(face: str) -> None:
    for at in range(1, 12):
        ledger = Failing()
        with Shop(face, ledger) as shop:  # type: ignore[arg-type]
            shop.schedule(schedule(shop, in_s=86_400))
            ledger.fail(at, FOREVER, late=False)
            try:
                assert [s.status for s in shop.unschedule(unschedule())] == ["revoked"]
            except PaygateError as error:
                assert error.moved is not False or shop.pg.items["s1"]["status"] == "scheduled"  # noqa: PT017
            ledger.heal()
            assert [s.status for s in shop.unschedule(unschedule())] == ["revoked"]
