"""Every fault at every call that matters, both faces, both ledgers: what is told is true, and nothing happens twice.

Each story: one call goes wrong, the merchant is told something, the faults end, time passes, the rows settle.
The PG's own journal is the judge.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, STORES, Shop, cancel, cancel_whole, charge, schedule, store, unschedule, won

from paygate import OutcomeUnknown, PaygateError, ScheduleStatus, State
from paygate.codec import dump
from paygate.testing.emulator import Call, Fault, FaultKind, json_response

UNPROCESSED = {FaultKind.REFUSE, FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY}
"""After these the PG has provably not begun, so the same request may go out again."""


class DeafAfter(Fault):
    """Once `call` was made, the PG answers no question any more, until the faults end."""

    def __init__(self, shop: Shop, call: str) -> None:
        super().__init__(FaultKind.DROP_BEFORE, times=100_000)
        self._shop, self._call = shop, call

    def fits(self, call: Call) -> bool:
        return call.method == "GET" and self._shop.sent(self._call) > 0


@frozen(kw_only=True)
class Story:
    """`ask` is the call under test; `call` the request that goes wrong; `done` how often the PG did it."""

    prepare: Callable[[Shop], object]
    ask: Callable[[Shop], Any]
    call: str
    done: Callable[[Shop], int]
    row: Callable[[Shop], Any]
    once: bool = True
    """Whether the PG must not be asked twice."""


def _moves(kind: str) -> Callable[[Shop], int]:
    return lambda shop: sum(m.kind == kind for m in shop.pg.journal.entries)


def _held(status: str) -> Callable[[Shop], int]:
    return lambda shop: sum(i["status"] == status for i in shop.pg.items.values())


STORIES = {
    "charge": Story(prepare=lambda shop: None, ask=lambda shop: shop.charge(charge()), call="POST /charges",
                    done=_moves("charge"), row=lambda shop: shop.row("o1")),
    "cancel": Story(prepare=lambda shop: shop.charge(charge()), ask=lambda shop: shop.cancel(cancel()),
                    call="POST /payments/p1/refunds", done=_moves("refund"), row=lambda shop: shop.refund("c1")),
    "cancel_whole": Story(prepare=lambda shop: shop.charge(charge()),
                          ask=lambda shop: shop.cancel_whole(cancel_whole()),
                          call="POST /payments/p1/refunds", done=_moves("refund"), row=lambda shop: shop.refund("c1")),
    "schedule": Story(prepare=lambda shop: setattr(shop, "asked", schedule(shop, in_s=86_400)),
                      ask=lambda shop: shop.schedule(shop.asked), call="POST /schedules", done=_held("scheduled"),
                      row=lambda shop: shop.row("s1")),
    "unschedule": Story(prepare=lambda shop: shop.schedule(schedule(shop, in_s=86_400)),
                        ask=lambda shop: shop.unschedule(unschedule()), call="POST /unschedule", done=_held("revoked"),
                        row=lambda shop: shop.row("s1"), once=False),
}


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    face, kind = request.param
    with Shop(face, store(kind, tmp_path)) as made:
        yield made


SHOPS = pytest.mark.parametrize("shop", [(f, s) for f in FACES for s in STORES], indirect=True, ids="-".join)


TWO_SHOPS = pytest.mark.parametrize("shop", [("sync", "memory"), ("async", "sqlite")], indirect=True, ids="-".join)


def told(story: Story, shop: Shop) -> Any:
    """What the merchant is told: a result or an error of ours; nothing else ever comes out."""
    try:
        return story.ask(shop)
    except PaygateError as raised:
        error = raised
    assert "\n" not in str(error)
    assert error.unrecorded is False
    return error


def facts(result: Any) -> list[str]:
    """What a result says, but for the secrets in it, which no ledger keeps."""
    return [dump(r) for r in (result if isinstance(result, tuple) else (result,))]


def check_told(answer: Any, done: int, kind: FaultKind) -> None:
    """A result means that it happened; "no" means that it did not; a doubt means neither."""
    if not isinstance(answer, PaygateError):
        assert done == 1, f"told done, but the PG did it {done} times"
    elif answer.moved is False:
        assert done == 0, f"told {answer!r}, but the PG did it"
        assert kind is not FaultKind.LATE
    else:
        assert isinstance(answer, OutcomeUnknown)


@SHOPS
@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("kind", FaultKind)
def test_what_is_told_is_true_nothing_moves_twice_and_everything_settles(kind: FaultKind, name: str,
                                                                         shop: Shop) -> None:
    play(shop, kind, STORIES[name])


@TWO_SHOPS
@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("kind", FaultKind)
def test_the_same_holds_where_the_pg_cannot_be_asked_until_the_faults_end(kind: FaultKind, name: str,
                                                                          shop: Shop) -> None:
    play(shop, kind, STORIES[name], deaf=True)


def play(shop: Shop, kind: FaultKind, story: Story, *, deaf: bool = False) -> None:
    """One call goes wrong, the faults end, time passes; then the same command is given again."""
    story.prepare(shop)
    shop.pg.fault(kind, f"^{story.call}$")
    if deaf:
        shop.pg.faults.append(DeafAfter(shop, story.call))
    answer = told(story, shop)
    check_told(answer, story.done(shop), kind)
    tries = shop.sent(story.call)
    assert tries == 1 or kind in UNPROCESSED or not story.once, f"{kind} was answered by another try"
    assert tries <= 3

    shop.settle()
    done, row = story.done(shop), story.row(shop)
    assert done <= 1
    if story is STORIES["unschedule"]:
        assert shop.find_schedule("s1").status is (ScheduleStatus.REVOKED if done else ScheduleStatus.SCHEDULED)
        again = shop.unschedule(unschedule())
        assert [s.status for s in again] == [ScheduleStatus.REVOKED]
        return
    assert row.state is (State.ANSWERED if done else State.NOT_SENT), row
    assert shop.pending() == []
    assert shop.attention() == [] or kind in (FaultKind.WRONG_ORDER, FaultKind.WRONG_AMOUNT), shop.attention()
    if isinstance(answer, OutcomeUnknown):
        assert shop.sent(story.call) == tries, "a doubt was answered by sending again"

    # The same command now tells the same fact, or does it for the first time; never for the second.
    again = story.ask(shop)
    assert story.done(shop) == 1
    assert facts(story.ask(shop)) == facts(again)
    assert story.done(shop) == 1


@TWO_SHOPS
@pytest.mark.parametrize("kind", [k for k in FaultKind if k not in UNPROCESSED])
def test_while_a_charge_is_in_doubt_its_order_is_frozen(kind: FaultKind, shop: Shop) -> None:
    shop.pg.fault(kind, "^POST /charges$")
    shop.pg.fault(FaultKind.HANG_BEFORE, "^GET ", times=1000)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    assert shop.row("o1").state is State.UNKNOWN
    calls = shop.sent("POST /charges")
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge())
        with pytest.raises(OutcomeUnknown):
            shop.cancel_whole(cancel_whole())
        shop.clock.advance(3600)
        shop.reconcile()
    assert shop.row("o1").state is State.UNKNOWN
    assert shop.sent("POST /charges") == calls == 1
    assert not [c for c in shop.pg.calls if "refunds" in c.path]
    shop.pg.faults.clear()
    for _ in range(3):
        shop.clock.advance(86_400)
        shop.reconcile()
    assert shop.row("o1").state is (State.ANSWERED if shop.pg.journal.charges("o1") else State.NOT_SENT)


@TWO_SHOPS
@pytest.mark.parametrize("kind", FaultKind)
def test_a_token_that_cannot_be_fetched_means_that_nothing_was_sent(kind: FaultKind, shop: Shop) -> None:
    shop.pg.fault(kind, "^POST /token$", times=10)
    answer = told(STORIES["charge"], shop)
    assert shop.pg.journal.charges("o1") == (0 if isinstance(answer, PaygateError) else 1)
    if isinstance(answer, PaygateError):
        assert answer.moved is False
        assert shop.sent("POST /charges") == 0
        assert shop.row("o1").state is State.NOT_SENT
    shop.pg.faults.clear()
    assert shop.charge(charge()).order_id == "o1"
    assert shop.pg.journal.charges("o1") == 1


@TWO_SHOPS
@pytest.mark.parametrize("kind", [k for k in FaultKind if k not in UNPROCESSED])
def test_a_decline_is_told_as_one_only_when_the_pgs_record_says_so(kind: FaultKind, shop: Shop) -> None:
    shop.pg.fault(kind, "^POST /charges$")
    declined = charge(amount=101)
    with pytest.raises(PaygateError) as caught:
        shop.charge(declined)
    assert shop.pg.journal.entries == []
    shop.settle()
    failed = any(p["status"] == "failed" for p in shop.pg.payments.values())
    assert shop.row("o1").state is (State.REFUSED if failed else State.NOT_SENT)
    assert caught.value.moved is None or failed
    assert shop.sent("POST /charges") == 1
    assert shop.pg.journal.entries == []


@SHOPS
def test_the_pg_approves_late_what_it_had_declined_and_a_person_is_told(shop: Shop) -> None:
    with pytest.raises(PaygateError):
        shop.charge(charge(amount=101))
    shop.pg.finish("o1")
    shop.clock.advance(86_400)
    shop.reconcile()
    row = shop.row("o1")
    assert row.state is State.ANSWERED
    assert "late approval" in row.attention
    assert [r.id for r in shop.attention()] == ["o1"]
    assert shop.charge(charge(amount=101)).status == "paid"
    assert shop.pg.journal.charges("o1") == 1


@SHOPS
def test_look_ups_that_lag_are_not_believed_before_the_settle_window_is_over(shop: Shop) -> None:
    shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
    hidden: dict[str, Any] = {}
    really = shop.pg.answer

    def lagging(call: Any) -> Any:
        if call.method == "GET":
            hidden.update(shop.pg.payments)
            shop.pg.payments.clear()
        try:
            return really(call)
        finally:
            shop.pg.payments.update(hidden)
    shop.pg.answer = lagging  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    for _ in range(3):
        shop.clock.advance(35)
        shop.reconcile()
        assert shop.row("o1").state is State.UNKNOWN
    shop.pg.answer = really  # type: ignore[method-assign]
    shop.settle()
    assert shop.row("o1").state is State.ANSWERED
    assert shop.sent("POST /charges") == 1


@SHOPS
def test_a_pg_that_never_answers_again_leaves_a_doubt_for_a_person_and_never_a_verdict(shop: Shop) -> None:
    shop.pg.fault(FaultKind.HANG_BEFORE, "^(POST /charges|GET .*)$", times=100_000)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    for _ in range(40):
        shop.clock.advance(43_200)
        shop.reconcile()
    assert shop.row("o1").state is State.UNKNOWN
    assert [r.id for r in shop.attention()] == ["o1"]
    shop.pg.faults.clear()
    for _ in range(2):  # Even then a later look may end it.
        shop.clock.advance(86_400)
        shop.reconcile()
    with pytest.raises(PaygateError):
        shop.find("o1")
    assert shop.row("o1").state is State.NOT_SENT
    assert shop.attention() == []
    assert shop.sent("POST /charges") == 1


@SHOPS
def test_asking_often_does_not_use_the_timetable_up(shop: Shop) -> None:
    shop.pg.fault(FaultKind.DROP_BEFORE, "^POST /charges$")
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    planned = shop.row("o1").check_at
    for _ in range(50):
        with pytest.raises(OutcomeUnknown):
            shop.find("o1")
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge())
    assert shop.row("o1").check_at == planned
    assert len(shop.trail("o1")) < 6
    assert shop.attention() == []
    shop.settle()
    assert shop.row("o1").state is State.NOT_SENT


@SHOPS
def test_a_payment_that_stays_pending_is_handed_to_a_person_in_the_end(shop: Shop) -> None:
    assert shop.charge(charge(amount=102)).status == "pending"
    for _ in range(40):
        shop.clock.advance(43_200)
        shop.reconcile()
    assert shop.row("o1").state in (State.SENT, State.UNKNOWN)
    assert [r.id for r in shop.attention()] == ["o1"]
    shop.pg.finish("o1")
    assert shop.find("o1").status == "paid"
    assert shop.row("o1").state is State.ANSWERED
    assert shop.attention() == []


@TWO_SHOPS
@pytest.mark.parametrize("lie", [
    {"given_back": 0}, {"given_back": 3_999}, {"given_back": 14_000}, {"amount": 4_000, "given_back": 4_000},
    {"amount": 14_001}, {"id": "p9"}, {"order_id": "another"}, {"currency": "USD"},
])
@pytest.mark.parametrize("happens", [True, False])
def test_a_refund_is_believed_only_if_the_record_shows_exactly_it(shop: Shop, lie: dict[str, Any],
                                                                  happens: bool) -> None:
    shop.charge(charge())
    really = shop.pg.answer

    def lying(call: Call) -> Any:
        if not call.path.endswith("/refunds"):
            return really(call)
        if happens:
            really(call)
        return json_response(200, json.dumps(shop.pg.payments["p1"] | lie).encode())
    shop.pg.answer = lying  # type: ignore[method-assign]
    answer = told(STORIES["cancel"], shop)
    if happens:  # The balance, asked for again, tells it.
        assert answer.money == won(4_000)
        assert (answer.payment.left, answer.payment.money, answer.payment.order_id) == (won(10_000), won(14_000), "o1")
    else:
        assert isinstance(answer, OutcomeUnknown)
        shop.settle()
        assert shop.refund("c1").state is State.NOT_SENT
    assert len([c for c in shop.pg.calls if c.path.endswith("/refunds")]) == 1
    assert shop.row("o1").money == won(14_000)
    assert shop.find("o1").money == won(14_000)
