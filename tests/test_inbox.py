"""The inbox: in whatever order things are heard, the same end; and nothing that happened is lost to its handlers.

Rows F33-F36, F60, F61 of the failure table.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, STORES, Shop, cancel, charge, schedule, store, won

from paygate import (
    BadCommand,
    BadSettings,
    Declined,
    Event,
    EventKind,
    Forged,
    MemoryLedger,
    OutcomeUnknown,
    Pay,
    State,
)
from paygate.ledger.row import Book, Kind, LedgerError, Note, Row
from paygate.ledger.sqlite import SqliteLedger
from paygate.procedures.inbox import adopt
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FakePG
from paygate.web import AsyncInbox, Inbox

KINDS = ("payment_paid", "payment_failed", "payment_cancelled", "key_registered", "payment_pending", "unmatched")


def hook(order_id: str = "o1", payment_id: str = "p1") -> bytes:
    return json.dumps({"order_id": order_id, "payment_id": payment_id}).encode()


def pay(shop: Shop, order_id: str = "o1", amount: int = 14_000) -> None:
    shop.pay(Pay(order_id=order_id, money=won(amount), title="Tea", return_url="https://shop.example/back"))


class Told:
    """An inbox on a shop, and what its handler was told. It fails as often as it is asked to."""

    def __init__(self, shop: Shop, **options: Any) -> None:
        self.shop = shop
        self.events: list[Event] = []
        self.failures = 0
        made: Any = Inbox if shop._runner is None else AsyncInbox
        self.inbox = made(shop.gate, lookups_per_s=1000.0, **options)
        self.inbox.on(*KINDS)(self.hear)

    def hear(self, event: Event) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("the shop's own bug, about Kim Payer")
        self.events.append(event)

    def _run(self, made: Any) -> Any:
        return made if self.shop._runner is None else self.shop._runner.run(made)

    def receive(self, body: bytes) -> Any:
        return self._run_now(self.inbox.receive, {}, body)

    def work(self) -> Any:
        return self._run_now(self.inbox.work)

    def replay(self, id: str) -> Any:
        return self._run_now(self.inbox.replay, id)

    def _run_now(self, verb: Callable[..., Any], *args: Any) -> Any:
        return self._run(verb(*args))

    @property
    def kinds(self) -> list[str]:
        return [e.kind.value for e in self.events]


@pytest.fixture(params=[(f, s) for f in FACES for s in STORES], ids="-".join)
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    face, kind = request.param
    with Shop(face, store(kind, tmp_path)) as shop:
        yield Told(shop)


def test_a_handler_is_told_once_after_the_ledger_was_written(told: Told) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    states: list[State] = []
    told.inbox.on("payment_paid")(lambda _: states.append(told.shop.row("o1").state))
    for _ in range(3):
        event = told.receive(hook())
    assert states == [State.ANSWERED]
    assert [(e.id, e.kind, e.order_id) for e in told.events] == [(event.id, EventKind.PAYMENT_PAID, "o1")]


def test_only_handlers_of_that_kind_are_called(told: Told) -> None:
    paid: list[str] = []
    told.inbox.on("payment_paid")(lambda e: paid.append(e.id))
    pay(told.shop)
    told.shop.pg.payer("o1", "decline")
    told.receive(hook())
    assert (paid, told.kinds) == ([], ["payment_failed"])


def test_a_kind_that_nobody_wants_is_not_kept(told: Told) -> None:
    told.inbox._handlers.clear()
    told.shop.gate._account.listens.clear()
    pay(told.shop)
    told.shop.pg.payer("o1")
    told.receive(hook())
    assert told.shop.row("o1").state is State.ANSWERED
    assert told.work().told == []
    assert _noted(told.shop) == []


@pytest.mark.parametrize("kinds", [(), ("paid",), ("payment_paid", "PAYMENT_PAID")])
def test_a_kind_of_event_that_there_is_none_is_refused_when_it_is_registered(kinds: tuple[str, ...]) -> None:
    with Shop() as shop, pytest.raises(BadCommand):
        Inbox(shop.gate).on(*kinds)


def test_an_inbox_is_for_gateways_that_can_be_told_apart() -> None:
    with Shop() as one, Shop() as other:
        for gates in ((), (one.gate, other.gate)):
            with pytest.raises(BadSettings):
                Inbox(*gates)
        with pytest.raises(BadSettings):
            Inbox(one.gate, lookups_per_s=0)
        with pytest.raises(BadCommand):
            Inbox(one.gate).receive({}, b"", gateway="other")


def test_an_inbox_of_several_gateways_wants_to_know_whose_webhook_it_is() -> None:
    with Shop(name="one") as one, Shop(name="two") as two:
        inbox = Inbox(one.gate, two.gate)
        seen: list[str] = []
        inbox.on("payment_paid")(lambda e: seen.append(e.gateway))
        pay(two)
        two.pg.payer("o1")
        with pytest.raises(BadCommand, match="one, two"):
            inbox.receive({}, hook())
        inbox.receive({}, hook(), gateway="two")
        assert seen == ["two"]


# Whatever the order

def _walks() -> list[tuple[str, ...]]:
    """Every order of what the PG does (in its own order) and of what we hear of it (a hook after what it tells)."""
    steps = ("pay", "refund", "hook of pay", "hook again", "hook of refund", "back", "work")
    after = {"refund": "pay", "hook of pay": "pay", "hook again": "pay", "hook of refund": "refund"}
    return [w for w in permutations(steps) if all(w.index(a) > w.index(b) for a, b in after.items())]


def _walk(told: Told, walk: tuple[str, ...]) -> None:
    shop = told.shop
    for step in walk:
        match step:
            case "pay":
                shop.pg.payer("o1")
            case "refund":
                shop.pg.payments["p1"]["given_back"] = 4_000  # In the PG's console.
            case "back":
                shop.confirm("o1", {"order_id": "o1"})
                told._run_now(_tell, told, "o1")
            case "work":
                shop.clock.advance(100)
                told.work()
            case _:
                told.receive(hook())


def _tell(told: Told, order_id: str) -> Any:
    """What the receiver does after it has confirmed an order."""
    from paygate.web.run import carry_out, carry_out_async

    steps = told.inbox.tell_order_steps(told.shop.gate, order_id)
    return carry_out(steps) if told.shop._runner is None else carry_out_async(steps)


def test_every_order_of_deliveries_ends_in_the_same_state() -> None:
    walks, ends = _walks(), set()
    for walk in walks:
        with Shop() as shop:
            told = Told(shop)
            pay(shop)
            _walk(told, walk)
            row = shop.row("o1")
            result = json.loads(row.result)
            del result["paid_at"]  # The instant differs: some walks work before the payer pays.
            ends.add((row.state, json.dumps(result), row.attention, row.provider_id))
            assert told.kinds in (["payment_cancelled"], ["payment_paid", "payment_cancelled"]), walk
            assert len({e.id for e in told.events}) == len(told.events), walk
            assert shop.pg.journal.charges("o1") == 1
    assert len(walks) > 300
    assert len(ends) == 1


def test_every_order_of_a_decline_and_its_late_approval_ends_in_paid() -> None:
    steps = ("decline", "approve", "hook of decline", "hook of approval", "back", "work")
    after = {"approve": "decline", "hook of decline": "decline", "hook of approval": "approve"}
    ends = set()
    for walk in permutations(steps):
        if not all(walk.index(a) > walk.index(b) for a, b in after.items()):
            continue
        with Shop() as shop:
            told = Told(shop)
            pay(shop)
            for step in walk:
                if step == "decline":
                    shop.pg.payer("o1", "decline")
                elif step == "approve":
                    shop.pg.finish("o1")
                elif step == "back":
                    try:
                        shop.confirm("o1", {"order_id": "o1"})
                    except Declined:
                        pass
                    _tell(told, "o1")
                elif step == "work":
                    shop.clock.advance(700)
                    told.work()
                else:
                    told.receive(hook())
            row = shop.row("o1")
            ends.add((row.state, row.provider_id))
            assert told.kinds in (["payment_paid"], ["payment_failed", "payment_paid"]), walk
            # A person is asked exactly where the shop had been told of the decline.
            assert (row.attention is not None) == ("payment_failed" in told.kinds), walk
    assert ends == {(State.ANSWERED, "p1")}


@pytest.mark.parametrize("when", ["before the PG has done it", "after the PG has done it", "after our answer"])
def test_a_hook_at_any_moment_of_a_charge_is_told_once(when: str) -> None:
    with Shop() as shop:
        told = Told(shop)
        really = shop.pg.answer

        def hooked(call: Any) -> Any:
            if call.path == "/charges" and when.startswith("before"):
                with pytest.raises(Forged):
                    told.receive(hook())
            answer = really(call)
            if call.path == "/charges" and when == "after the PG has done it":
                told.receive(hook())
            return answer
        shop.pg.answer = hooked  # type: ignore[method-assign]
        assert shop.charge(charge()).status == "paid"
        shop.clock.advance(31)  # What the PG denied is asked again.
        told.receive(hook())
        assert told.kinds == ["payment_paid"]
        assert shop.row("o1").state is State.ANSWERED
        assert shop.pg.journal.charges("o1") == 1


@contextmanager
def _shared(kind: str, folder: Path) -> Iterator[Any]:
    """A ledger that several processes may use."""
    if kind == "sqlite":
        yield SqliteLedger(folder / "ledger.db")
        return
    import pg_server

    from paygate.ledger.postgres import PostgresLedger

    with pg_server.database() as url:
        yield PostgresLedger(url)


@pytest.mark.parametrize("rounds", range(3))
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_deliveries_at_the_same_time_end_in_one_state_and_one_event(tmp_path: Path, kind: str, rounds: int) -> None:
    with _shared(kind, tmp_path) as ledger, Shop(ledger=ledger) as shop:
        told = Told(shop)
        pay(shop)
        shop.pg.payer("o1")
        barrier, wrong = threading.Barrier(8), []

        def deliver(number: int) -> None:
            barrier.wait(30)
            try:
                if number % 4 == 3:
                    shop.confirm("o1", {})
                    _tell(told, "o1")
                else:
                    told.receive(hook())
            except OutcomeUnknown:
                pass  # Another is being looked up: the PG is told to send again.
            except Exception as error:
                wrong.append(error)
        threads = [threading.Thread(target=deliver, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert wrong == []
        assert shop.row("o1").state is State.ANSWERED
        assert told.kinds == ["payment_paid"]
        told.receive(hook())
        assert told.kinds == ["payment_paid"]


def test_deliveries_at_the_same_time_in_one_loop_end_alike() -> None:
    with Shop("async") as shop:
        told = Told(shop)
        pay(shop)
        shop.pg.payer("o1")

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*(told.inbox.receive({}, hook()) for _ in range(20)), return_exceptions=True)
        answers = told._run(all_at_once())
        assert {type(a) for a in answers} <= {Event, OutcomeUnknown}
        assert told.kinds == ["payment_paid"]


# What failed is told again

def test_a_handler_that_fails_is_told_again_after_a_while(told: Told) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    told.failures = 3
    with pytest.raises(ValueError, match="bug"):
        told.receive(hook())
    waits = []
    while not told.events:
        told.shop.clock.advance(1)
        waits.append(told.work().failed)
    assert [w for w in waits if w] == [{told.events[0].id: "ValueError"}] * 2
    assert 5 + 25 <= len(waits) <= 160
    assert told.work().told == []


def test_a_handler_that_fails_for_ever_is_shown_to_a_person_and_goes_on_being_told(told: Told) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    told.failures = 10_000
    with pytest.raises(ValueError, match="bug"):
        told.receive(hook())
    for _ in range(20):
        told.shop.clock.advance(86_400)
        told.work()
    scope = told.shop.gate._account.scope
    row, = told.shop.ledger.flagged(f"{scope}/events", 10)
    assert "handler" in row.attention
    assert told.shop.attention() == []
    told.failures = 0
    told.shop.clock.advance(86_400)
    assert told.work().told == [row.id]
    assert told.shop.ledger.flagged(f"{scope}/events", 10) == []


def test_why_a_handler_failed_is_not_written_down_in_its_own_words(told: Told) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    told.failures = 1
    with pytest.raises(ValueError, match="Kim"):
        told.receive(hook())
    event = told.receive(hook())
    scope = f"{told.shop.gate._account.scope}/events"
    notes = [line.note for line in told.shop.ledger.trail(scope, event.id)]
    assert "its handler failed: ValueError" in notes
    assert "Kim" not in "".join(notes)


def test_an_event_survives_the_process_that_could_not_tell_it(tmp_path: Path) -> None:
    pg = FakePG()
    with Shop(ledger=SqliteLedger(tmp_path / "ledger.db"), pg=pg) as shop:
        told = Told(shop)
        pay(shop)
        pg.payer("o1")
        told.failures = 1
        with pytest.raises(ValueError, match="bug"):
            told.receive(hook())
    pg.clock.advance(10)
    with Shop(ledger=SqliteLedger(tmp_path / "ledger.db"), pg=pg) as shop:
        told = Told(shop)
        assert told.work().told == [e.id for e in told.events]
        assert told.kinds == ["payment_paid"]


@pytest.mark.parametrize("face", FACES)
def test_a_process_that_dies_in_a_handler_leaves_the_event_to_the_next_one(tmp_path: Path, face: str) -> None:
    class Died(BaseException):
        pass

    pg = FakePG()

    def dies(_: Event) -> None:
        raise Died
    with Shop(face, SqliteLedger(tmp_path / "ledger.db"), pg=pg) as shop:
        told = Told(shop)
        told.inbox._handlers.clear()
        told.inbox.on("payment_paid")(dies)
        pay(shop)
        pg.payer("o1")
        with pytest.raises(Died):
            told.receive(hook())
    with Shop(face, SqliteLedger(tmp_path / "ledger.db"), pg=pg) as shop:
        told = Told(shop)
        told.receive(hook())
        assert told.kinds == []  # It may still be at it.
        pg.clock.advance(301)
        told.work()
        assert told.kinds == ["payment_paid"]


def test_an_event_is_told_again_by_hand(told: Told) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    event = told.receive(hook())
    again = told.replay(event.id)
    assert [e.id for e in told.events] == [event.id, event.id]
    assert (again.kind, again.payment.money) == (EventKind.PAYMENT_PAID, won(14_000))
    with pytest.raises(BadCommand, match="no event"):
        told.replay("fakepg:p9:paid:0")


# What nobody sends a webhook for

def test_what_we_did_ourselves_is_told_too(told: Told) -> None:
    told.shop.charge(charge())
    told.shop.cancel(cancel())
    with pytest.raises(Declined):
        told.shop.charge(charge("o2", amount=14_001))
    told.work()
    assert told.kinds == ["payment_paid", "payment_cancelled", "payment_failed"]
    told.work()
    assert len(told.events) == 3
    told.receive(hook())
    assert len(told.events) == 3


def test_a_dated_charge_is_told_when_its_day_has_passed(told: Told) -> None:
    told.shop.schedule(schedule(told.shop, in_s=3600))
    told.shop.clock.advance(3600 + 7200)
    told.work()
    assert [(e.kind, e.order_id) for e in told.events] == [(EventKind.PAYMENT_PAID, "s1")]
    sent = told.shop.pg.hooks[-1]
    told.receive(sent.body)
    assert len(told.events) == 1


def test_a_payer_who_never_comes_back_is_found_by_asking(told: Told) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    told.shop.clock.advance(100)
    told.work()
    assert told.kinds == ["payment_paid"]


def test_a_doubt_that_ends_is_told(told: Told) -> None:
    told.work()
    told.shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
    told.shop.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        told.shop.charge(charge())
    told.work()
    assert told.kinds == []
    told.shop.pg.faults.clear()
    told.shop.clock.advance(200)
    told.work()
    assert told.kinds == ["payment_paid"]


def test_what_another_process_finds_out_is_told_by_the_one_that_listens(tmp_path: Path) -> None:
    pg = FakePG()
    with Shop(ledger=SqliteLedger(tmp_path / "ledger.db"), pg=pg) as shop:
        Told(shop).work()
        pay(shop)
        pg.payer("o1")
    with Shop(ledger=SqliteLedger(tmp_path / "ledger.db"), pg=pg) as other:
        other.gate._run(adopt(other.gate._account))  # As `paygate reconcile` does.
        pg.clock.advance(100)
        other.reconcile()
        assert other.row("o1").state is State.ANSWERED
    with Shop(ledger=SqliteLedger(tmp_path / "ledger.db"), pg=pg) as shop:
        told = Told(shop)
        told.work()
        assert told.kinds == ["payment_paid"]


def test_an_inbox_leaves_what_it_has_no_handler_for_to_others(tmp_path: Path) -> None:
    ledger, pg = SqliteLedger(tmp_path / "ledger.db"), FakePG()
    with Shop(ledger=ledger, pg=pg) as shop:
        told, deaf = Told(shop), Inbox(shop.gate)
        shop.charge(charge())
        assert deaf.work().told == []
        assert told.work().told == ["fakepg:p1:paid:0"]


def test_what_no_webhook_tells_is_found_in_the_pgs_list_once_an_hour(told: Told) -> None:
    told.shop.charge(charge())
    told.work()
    told.shop.clock.advance(60)
    told.shop.pg.payments["p1"]["given_back"] = 4_000  # In the PG's console, and its webhook is lost.
    told.shop.pg.payments["p1"]["refunds"] = [{"id": "r1", "amount": 4_000, "reason": "telephone"}]
    asked = _listings(told)
    for _ in range(50):
        told.work()
        told.shop.clock.advance(60)
    assert (_listings(told) - asked, told.kinds) == (0, ["payment_paid"])
    for _ in range(80):
        told.work()
        told.shop.clock.advance(60)
    assert told.kinds == ["payment_paid", "payment_cancelled"]
    assert 1 <= _listings(told) - asked <= 3


def test_a_list_that_could_not_be_had_is_asked_for_again(told: Told) -> None:
    told.shop.pg.fault(FaultKind.ERROR_500_BEFORE, _LISTING, times=99)
    assert told.work().reports["fakepg"].failed
    told.shop.pg.faults.clear()
    told.shop.charge(charge())
    asked = _listings(told)
    report = told.work().reports["fakepg"]
    assert (report.failed, _listings(told) - asked) == ({}, 1)
    told.work()
    assert _listings(told) - asked == 1


def test_a_pg_that_tells_everything_or_lists_nothing_is_not_asked_for_its_list() -> None:
    from attrs import evolve

    from paygate import Capability
    from paygate.capability import assumed
    from paygate.testing.fakepg import FAKEPG

    profile = evolve(FAKEPG.profile, hooks_never_sent=assumed((), "this test"))
    for spec in (evolve(FAKEPG, profile=profile),
                 evolve(FAKEPG, capabilities=FAKEPG.capabilities - {Capability.LISTING})):
        with Shop() as shop:
            shop.gate._account.spec = spec
            told = Told(shop)
            told.work()
            assert _listings(told) == 0


# A crash at any moment

class Crash(BaseException):
    pass


@pytest.mark.parametrize("moment", range(12))
def test_a_crash_between_any_two_writes_loses_no_event(tmp_path: Path, moment: int) -> None:
    pg = FakePG()
    ledger = SqliteLedger(tmp_path / "ledger.db")
    with Shop(ledger=ledger, pg=pg) as shop:
        told = Told(shop)
        told.work()
        pay(shop)
        pg.payer("o1")
        really, left = ledger.change, [moment]
        opened = ledger.open

        def crashes(verb: Any) -> Any:
            def write(*args: Any) -> Any:
                if left[0] == 0:
                    raise Crash
                left[0] -= 1
                return verb(*args)
            return write
        ledger.change, ledger.open = crashes(really), crashes(opened)  # type: ignore[method-assign]
        try:
            told.receive(hook())
        except Crash:
            pass
        heard = list(told.events)
    with Shop(ledger=SqliteLedger(tmp_path / "ledger.db"), pg=pg) as shop:
        told = Told(shop)
        for _ in range(40):  # No webhook comes again.
            pg.clock.advance(60)
            told.work()
        assert shop.row("o1").state is State.ANSWERED
        assert "payment_paid" in [e.kind for e in (*heard, *told.events)]
        assert {e.id for e in (*heard, *told.events)} == {"fakepg:p1:paid:0"}
        assert _noted(shop) == []


def test_what_was_noted_and_never_came_true_is_not_told() -> None:
    with Shop() as shop:
        told = Told(shop)
        pay(shop)
        shop.pg.payer("o1")
        really = shop.ledger.change
        shop.ledger.change = lambda row, note: None if row.id == "o1" else really(row, note)  # type: ignore[method-assign]
        assert shop.confirm("o1", {}).status == "pending"
        assert len(_noted(shop)) == 1
        for _ in range(20):
            told.work()
            shop.clock.advance(60)
        assert told.kinds == []
        assert _noted(shop) == []
        shop.ledger.change = really  # type: ignore[method-assign]
        told.receive(hook())
        assert told.kinds == ["payment_paid"]


def test_a_note_that_cannot_be_written_does_not_stop_the_money(told: Told) -> None:
    from paygate import LedgerError

    really = told.shop.ledger.open

    def full(rows: Any, note: Any) -> Any:
        if rows[0].gateway.endswith("/events"):
            raise LedgerError("full")
        return really(rows, note)
    told.shop.ledger.open = full  # type: ignore[method-assign]
    assert told.shop.charge(charge()).status == "paid"
    assert told.shop.row("o1").state is State.ANSWERED


# What is not verified

@pytest.mark.parametrize("body", [b"", b"{}", b"rubbish", hook("o1", "p999"), hook("o2", "p1"), hook("o1", ".."),
                                  hook("nothing", "p999")])
def test_what_is_not_verified_never_becomes_an_event(told: Told, body: bytes) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    before = _everything(told.shop)
    for _ in range(3):
        with pytest.raises(Forged):
            told.receive(body)
    assert _everything(told.shop) == before
    assert told.events == []


_LISTING = "^GET /moved$"


def _listings(told: Told) -> int:
    return told.shop.sent("GET /moved")


def _noted(shop: Shop) -> list[Any]:
    return shop.ledger.due(f"{shop.gate._account.scope}/events", 1e12, 99)


def _everything(shop: Shop) -> list[Any]:
    scope = shop.gate._account.scope
    ids = ["o1", "o2", "nothing", "p1", "p999"]
    return [*(shop.ledger.get(scope, book, id) for book in Book for id in ids), *shop.ledger.due(scope, 1e12, 99),
            *shop.ledger.due(f"{scope}/events", 1e12, 99), shop.attention()]


def test_a_pg_that_cannot_be_asked_has_told_nothing(told: Told) -> None:
    pay(told.shop)
    told.shop.pg.payer("o1")
    told.shop.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=9)
    with pytest.raises(OutcomeUnknown):
        told.receive(hook())
    assert told.events == []
    told.shop.pg.faults.clear()
    told.receive(hook())
    assert told.kinds == ["payment_paid"]


def test_money_that_nobody_asked_for_is_told_too(told: Told) -> None:
    told.shop.pg.windows["theirs"] = {"order_id": "theirs", "amount": 500, "currency": "KRW"}
    told.shop.pg.payer("theirs")
    told.receive(hook("theirs"))
    told.receive(hook("theirs"))
    assert told.kinds == ["unmatched"]


def test_a_ledger_in_memory_is_an_inbox_too() -> None:
    with Shop(ledger=MemoryLedger()) as shop:
        told = Told(shop)
        pay(shop)
        shop.pg.payer("o1")
        told.receive(hook())
        assert told.kinds == ["payment_paid"]


__all__ = ["cancel", "schedule"]


def test_events_that_nobody_here_handles_stand_in_nobodys_way() -> None:
    with Shop() as shop:
        earlier, heard = Inbox(shop.gate), list[str | None]()
        earlier.on("payment_failed")(lambda _: None)
        earlier.work()
        for n in range(120):
            shop.pg.next_charge("failed")
            with pytest.raises(Declined):
                shop.charge(charge(f"f{n}"))
        later = Inbox(shop.gate)
        later.on("payment_paid")(lambda e: heard.append(e.order_id))
        later.work()
        shop.clock.advance(5)
        shop.charge(charge("good"))
        later.work()
        assert heard == ["good"]


def test_a_note_that_the_ledger_refused_once_is_written_all_the_same() -> None:
    class Busy(MemoryLedger):
        failed = 0

        def open(self, rows: Sequence[Row], note: Note) -> list[tuple[Row, bool]]:
            if rows[0].kind is Kind.EVENT and rows[0].order_id and not self.failed:
                self.failed += 1
                raise LedgerError("busy")
            return super().open(rows, note)

    ledger, heard = Busy(), list[str | None]()
    with Shop(ledger=ledger) as shop:
        inbox = Inbox(shop.gate)
        inbox.on("payment_paid")(lambda e: heard.append(e.order_id))
        inbox.work()
        shop.charge(charge("o9"))
        inbox.work()
        assert (heard, ledger.failed) == (["o9"], 1)
