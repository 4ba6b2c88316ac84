"""Tokens belong to the core: one for all, fetched alone, renewed early or after one 401, never with a wrong secret."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, cancel, charge, schedule, unschedule

from paygate import NotSent, OutcomeUnknown, PaygateError, Secret, State, Token, Unauthorized
from paygate.procedures.account import TokenShelf
from paygate.testing.emulator import FaultKind, VirtualClock
from paygate.testing.fakepg import FakePG
from paygate.testing.transport import EmulatorTransport

FACE = pytest.mark.parametrize("face", FACES)


def token(lifetime_s: float) -> Token:
    return Token(headers={"authorization": Secret("t")}, lifetime_s=lifetime_s)


@pytest.mark.parametrize(("lifetime_s", "held_s"), [(1800, 1740), (600, 540), (100, 90), (1, 0.9)])
def test_a_token_is_let_go_a_minute_early_or_a_tenth_of_a_short_life(lifetime_s: float, held_s: float) -> None:
    clock, shelf = VirtualClock(), TokenShelf()
    kept = token(lifetime_s)
    shelf.keep(kept, clock)
    clock.advance(held_s * 0.999)
    assert shelf.held(clock) is kept
    clock.advance(held_s * 0.002)
    assert shelf.held(clock) is None


@pytest.mark.parametrize("lifetime_s", [0, -5])
def test_a_token_that_is_dead_on_arrival_is_never_held(lifetime_s: float) -> None:
    clock, shelf = VirtualClock(), TokenShelf()
    shelf.keep(token(lifetime_s), clock)
    assert shelf.held(clock) is None


def test_a_dropped_token_is_gone_and_never_shown() -> None:
    clock, shelf = VirtualClock(), TokenShelf()
    shelf.keep(Token(headers={"authorization": Secret("canary")}, lifetime_s=60), clock)
    assert "canary" not in repr(shelf)
    shelf.drop()
    assert shelf.held(clock) is None


@FACE
def test_one_token_serves_every_verb_until_it_is_old(face: str) -> None:
    with Shop(face) as shop:
        shop.charge(charge())
        shop.cancel(cancel())
        shop.schedule(schedule(shop))
        shop.unschedule(unschedule())
        shop.find("o1")
        assert shop.pg.tokens_given == 1
        shop.clock.advance(1739)
        shop.find("o1")
        assert shop.pg.tokens_given == 1
        shop.clock.advance(2)
        shop.find("o1")
        assert shop.pg.tokens_given == 2


@FACE
def test_a_wall_clock_that_jumps_does_not_change_a_tokens_life(face: str) -> None:
    class Jumping(VirtualClock):
        jump = 0.0

        def now(self) -> Any:
            return super().now() + timedelta(seconds=self.jump)

    pg = FakePG(Jumping())
    with Shop(face, pg=pg) as shop:
        shop.charge(charge())
        for jump in (86_400.0, -86_400.0, 3600.0):
            pg.clock.jump = jump  # type: ignore[attr-defined]
            shop.find("o1")
        assert pg.tokens_given == 1


@FACE
@pytest.mark.parametrize("verb", ["charge", "cancel", "schedule", "unschedule", "find"])
def test_a_token_revoked_in_the_middle_is_renewed_once_and_the_call_sent_once_more(face: str, verb: str) -> None:
    with Shop(face) as shop:
        shop.charge(charge())
        shop.schedule(schedule(shop))
        given = shop.pg.tokens_given
        shop.pg.valid_tokens.clear()
        {"charge": lambda: shop.charge(charge("o2")), "cancel": lambda: shop.cancel(cancel()),
         "schedule": lambda: shop.schedule(schedule(shop, "s2")), "unschedule": lambda: shop.unschedule(unschedule()),
         "find": lambda: shop.find("o1")}[verb]()
        assert shop.pg.tokens_given == given + 1
        assert shop.pg.journal.charges("o2") == (verb == "charge")


@FACE
@pytest.mark.parametrize("times", [2, 50])
def test_a_token_refused_again_means_that_nothing_was_sent(face: str, times: int) -> None:
    with Shop(face) as shop:
        shop.pg.fault(FaultKind.UNAUTHORIZED, "^POST /charges$", times=times)
        with pytest.raises(Unauthorized) as caught:
            shop.charge(charge())
        assert caught.value.moved is False
        assert caught.value.order_id == "o1"
        assert shop.sent("POST /charges") == 2
        assert shop.pg.tokens_given == 2
        assert shop.row("o1").state is State.NOT_SENT
        shop.pg.faults.clear()
        assert shop.charge(charge()).status == "paid"
        assert shop.pg.journal.charges("o1") == 1


@FACE
def test_a_wrong_secret_is_told_as_one_at_once_and_never_tried_again(face: str) -> None:
    with Shop(face, settings={"api_key": "wrong", "mode": "test"}) as shop:
        for verb in (lambda: shop.charge(charge()), lambda: shop.schedule(schedule(shop))):
            with pytest.raises(Unauthorized) as caught:
                verb()
            assert caught.value.moved is False
            assert "wrong" not in str(caught.value)
        assert shop.sent("POST /token") == 2
        assert shop.sent("POST /charges") == 0
        with pytest.raises(NotSent):
            shop.cancel(cancel())
        assert shop.row("o1").state is State.NOT_SENT


@FACE
def test_credentials_that_stop_working_leave_a_doubt_a_doubt(face: str) -> None:
    """The money may have moved before the PG stopped listening to us: a refused question is no answer."""
    with Shop(face) as shop:
        shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
        shop.pg.fault(FaultKind.UNAUTHORIZED, "^GET ", times=1000)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown) as caught:
                shop.charge(charge())
            assert caught.value.moved is None
        for verb in (lambda: shop.cancel(cancel()), lambda: shop.find("o1"), lambda: shop.lookup("p1")):
            with pytest.raises(PaygateError) as other:
                verb()
            assert other.value.moved is None
        shop.clock.advance(3600)
        assert shop.reconcile().failed == {
                "o1": "the PG could not be asked about order o1 (the PG does not accept the credentials)"}
        assert shop.row("o1").state is State.UNKNOWN
        assert shop.row("o1").attention is None
        shop.pg.faults.clear()
        assert shop.find("o1").status == "paid"
        assert shop.pg.journal.charges("o1") == 1


@FACE
@pytest.mark.parametrize("kind", [FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY])
def test_a_refused_balance_says_nothing_about_a_refund_in_doubt(face: str, kind: FaultKind) -> None:
    with Shop(face) as shop:
        shop.charge(charge())
        shop.pg.fault(FaultKind.LATE, "^POST /payments/p1/refunds$")
        with pytest.raises(OutcomeUnknown):
            shop.cancel(cancel())
        shop.pg.fault(kind, "^GET ", times=1000)
        shop.clock.advance(10)
        shop.reconcile()
        with pytest.raises(OutcomeUnknown):
            shop.cancel(cancel())
        assert shop.refund("c1").state is State.UNKNOWN
        assert shop.refund("c1").attention is None
        shop.settle()
        assert shop.pg.journal.given_back("o1") in (0, 4_000)
        assert shop.refund("c1").state is (State.ANSWERED if shop.pg.journal.given_back("o1") else State.NOT_SENT)


class Together(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Holds every token request until nobody else comes: a second one beside it would be seen."""

    emits_trace = True

    def __init__(self, inner: EmulatorTransport) -> None:
        self._inner, self.fetching, self.most = inner, 0, 0
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            self.fetching += 1
            self.most = max(self.most, self.fetching)
            threading.Event().wait(0.05)
            self.fetching -= 1
        with self._lock:
            return self._inner.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            self.fetching += 1
            self.most = max(self.most, self.fetching)
            for _ in range(20):
                await asyncio.sleep(0)
            self.fetching -= 1
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize("spent", [False, True], ids=["none-yet", "revoked"])
def test_eight_threads_that_need_a_token_fetch_one(spent: bool) -> None:
    pg = FakePG()
    http = Together(EmulatorTransport(pg))
    with Shop(pg=pg, http=http) as shop:
        if spent:
            shop.charge(charge("o0"))
            pg.valid_tokens.clear()
        given, barrier, paid = pg.tokens_given, threading.Barrier(8), []

        def work(n: int) -> None:
            barrier.wait()
            paid.append(shop.charge(charge(f"t{n}")).status)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert paid == ["paid"] * 8
        assert http.most == 1
        assert pg.tokens_given == given + 1
        assert [pg.journal.charges(f"t{n}") for n in range(8)] == [1] * 8


@pytest.mark.parametrize("spent", [False, True], ids=["none-yet", "revoked"])
def test_eight_tasks_that_need_a_token_fetch_one(spent: bool) -> None:
    pg = FakePG()
    http = Together(EmulatorTransport(pg))

    async def story(shop: Shop) -> list[Any]:
        return await asyncio.gather(*[shop.gate.charge(charge(f"t{n}")) for n in range(8)])

    with Shop("async", pg=pg, http=http) as shop:
        if spent:
            shop.charge(charge("o0"))
            pg.valid_tokens.clear()
        given = pg.tokens_given
        assert [p.status for p in shop._runner.run(story(shop))] == ["paid"] * 8  # type: ignore[union-attr]
        assert http.most == 1
        assert pg.tokens_given == given + 1
        assert [pg.journal.charges(f"t{n}") for n in range(8)] == [1] * 8


def test_a_refresh_that_is_cancelled_lets_the_next_task_fetch() -> None:
    pg = FakePG()

    class Stuck(Together):
        stuck = True

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/token" and self.stuck:
                await asyncio.Event().wait()
            return await self._inner.handle_async_request(request)

    http = Stuck(EmulatorTransport(pg))

    async def story(shop: Shop) -> None:
        first = asyncio.create_task(shop.gate.charge(charge("t1")))
        second = asyncio.create_task(shop.gate.charge(charge("t2")))
        for _ in range(20):
            await asyncio.sleep(0)
        http.stuck = False
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await second).status == "paid"

    with Shop("async", pg=pg, http=http) as shop:
        shop._runner.run(story(shop))  # type: ignore[union-attr]
        assert shop.row("t1").state is State.NOT_SENT


@FACE
def test_a_pg_that_says_too_many_is_given_the_time_it_asks_for_and_then_left_alone(face: str) -> None:
    with Shop(face) as shop:
        shop.pg.fault(FaultKind.TOO_MANY, "^POST /charges$", times=2)
        before = shop.clock.monotonic()
        assert shop.charge(charge()).status == "paid"
        assert shop.clock.monotonic() - before == pytest.approx(2.0)
        shop.pg.fault(FaultKind.TOO_MANY, "^POST /charges$", times=100)
        with pytest.raises(PaygateError) as caught:
            shop.charge(charge("o2"))
        assert caught.value.moved is False
        assert shop.sent("POST /charges") == 3 + 3
        assert shop.row("o2").state is State.NOT_SENT


@FACE
def test_a_status_that_does_not_prove_that_nothing_was_done_is_not_answered_by_another_try(face: str) -> None:
    from attrs import evolve

    from paygate import connect, connect_async
    from paygate.testing.fakepg import FAKEPG
    spec = evolve(FAKEPG, unprocessed=frozenset())
    for kind in (FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY):
        with Shop(face) as shop:
            make: Any = connect if face == "sync" else connect_async
            shop.gate = make(spec, shop.pg.settings(), ledger=shop.ledger, clock=shop.clock,
                             http=EmulatorTransport(shop.pg))
            shop.pg.fault(kind, "^POST /charges$")
            with pytest.raises(OutcomeUnknown):
                shop.charge(charge())
            assert shop.sent("POST /charges") == 1
