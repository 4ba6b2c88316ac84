"""Every procedure, stopped after every one of its steps as a crash would stop it (T04, S0 to S9, without processes).

An effect is carried out, and then nothing more: no answer reaches the procedure, no handler of it writes anything.
A new gateway opens the same ledger, time passes, it reconciles, and the PG's journal is compared with the ledger.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import STORES, Shop, cancel, cancel_whole, charge, schedule, store, unschedule, won

from paygate import Ledger, Pay, PaygateError, Register, State
from paygate.procedures import cancel as _cancel
from paygate.procedures import charge as _charge
from paygate.procedures import checkout as _checkout
from paygate.procedures import reading as _reading
from paygate.procedures import receive as _receive
from paygate.procedures import reconcile as _reconcile
from paygate.procedures import schedule as _schedule
from paygate.procedures.account import Account
from paygate.procedures.steps import Alone, Entry, Send
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FakePG

PAY = Pay(order_id="o1", money=won(14_000), title="Tea", return_url="https://shop.example/back")
REGISTER = Register(order_id="o1", money=won(14_000), title="Tea", return_url="https://shop.example/back")


@frozen(kw_only=True)
class Story:
    """What happened before, the procedure under test, and the fault it meets."""

    steps: Callable[[Account, Shop], Any]
    before: Callable[[Shop], Any] = lambda shop: None
    fault: FaultKind | None = None
    on: str = "^POST /(charges|schedules|unschedule|payments/p1/refunds)$"


def _lost_charge(shop: Shop) -> None:
    shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
    shop.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=3)
    with pytest.raises(PaygateError):
        shop.charge(charge())
    shop.clock.advance(60)


def _lost_refund(shop: Shop) -> None:
    shop.charge(charge())
    shop.pg.fault(FaultKind.LATE, "^POST /payments/p1/refunds$")
    with pytest.raises(PaygateError):
        shop.cancel(cancel())
    shop.clock.advance(60)


def _paid_in_window(shop: Shop) -> None:
    shop.pay(PAY)
    shop.pg.payer("o1")


HOOK = b'{"order_id": "o1", "payment_id": "p1"}'
TWO = ("s1", "s2")
STORIES = {
    "charge": Story(steps=lambda a, s: _charge.charge(a, charge())),
    "charge, declined": Story(steps=lambda a, s: _charge.charge(a, charge(amount=101))),
    "charge, pending": Story(steps=lambda a, s: _charge.charge(a, charge(amount=102))),
    "charge, answer lost": Story(steps=lambda a, s: _charge.charge(a, charge()), fault=FaultKind.DROP_AFTER),
    "charge, request lost": Story(steps=lambda a, s: _charge.charge(a, charge()), fault=FaultKind.DROP_BEFORE),
    "charge, done late": Story(steps=lambda a, s: _charge.charge(a, charge()), fault=FaultKind.LATE),
    "charge, refused connection": Story(steps=lambda a, s: _charge.charge(a, charge()), fault=FaultKind.REFUSE),
    "charge, token spent": Story(steps=lambda a, s: _charge.charge(a, charge()), fault=FaultKind.UNAUTHORIZED),
    "charge again, in doubt": Story(steps=lambda a, s: _charge.charge(a, charge()), before=_lost_charge),
    "cancel": Story(steps=lambda a, s: _cancel.cancel(a, cancel()), before=lambda s: s.charge(charge())),
    "cancel, answer lost": Story(steps=lambda a, s: _cancel.cancel(a, cancel()), before=lambda s: s.charge(charge()),
                                 fault=FaultKind.RESET_AFTER),
    "cancel, request lost": Story(steps=lambda a, s: _cancel.cancel(a, cancel()), before=lambda s: s.charge(charge()),
                                  fault=FaultKind.RESET_BEFORE),
    "cancel whole": Story(steps=lambda a, s: _cancel.cancel(a, cancel_whole()), before=lambda s: s.charge(charge())),
    "cancel, another in doubt": Story(steps=lambda a, s: _cancel.cancel(a, cancel("c2", amount=2_000)),
                                      before=_lost_refund),
    "cancel, payment in doubt": Story(steps=lambda a, s: _cancel.cancel(a, cancel()), before=_lost_charge),
    "schedule": Story(steps=lambda a, s: _schedule.schedule(a, schedule(s, *TWO, in_s=40_000))),
    "schedule, answer lost": Story(steps=lambda a, s: _schedule.schedule(a, schedule(s, *TWO, in_s=40_000)),
                                   fault=FaultKind.HANG_AFTER),
    "schedule, request lost": Story(steps=lambda a, s: _schedule.schedule(a, schedule(s, *TWO, in_s=40_000)),
                                    fault=FaultKind.HANG_BEFORE),
    "unschedule": Story(steps=lambda a, s: _schedule.unschedule(a, unschedule("s1")),
                        before=lambda s: s.schedule(schedule(s, *TWO, in_s=40_000))),
    "pay": Story(steps=lambda a, s: _checkout.pay(a, PAY)),
    "pay again": Story(steps=lambda a, s: _checkout.pay(a, PAY), before=lambda s: s.pay(PAY)),
    "confirm": Story(steps=lambda a, s: _checkout.confirm(a, "o1", {"order_id": "o1", "payment_id": "p1"}),
                     before=_paid_in_window),
    "register": Story(steps=lambda a, s: _checkout.register(a, REGISTER)),
    "receive": Story(steps=lambda a, s: _receive.receive(a, {}, HOOK), before=_paid_in_window),
    "receive, charge in doubt": Story(steps=lambda a, s: _receive.receive(a, {}, HOOK), before=_lost_charge),
    "find, charge in doubt": Story(steps=lambda a, s: _reading.find(a, "o1"), before=_lost_charge),
    "reconcile a charge": Story(steps=lambda a, s: _reconcile.reconcile(a, 100), before=_lost_charge),
    "reconcile a refund": Story(steps=lambda a, s: _reconcile.reconcile(a, 100), before=_lost_refund),
}


def run(steps: Any, driver: Any, crash_after: int | None) -> tuple[int, list[Any]]:
    """Carry `steps` out, effect by effect; drop them right after effect number `crash_after`."""
    done: list[Any] = []
    stack, value, error = [steps], None, None
    while stack:
        try:
            effect = stack[-1].send(value) if error is None else stack[-1].throw(error)
        except StopIteration as stop:
            stack.pop()
            value, error = stop.value, None
            continue
        except PaygateError as raised:
            stack.pop()
            value, error = None, raised
            continue
        value = error = None
        if isinstance(effect, Alone):
            stack.append(effect.steps)
            continue
        try:
            value = driver._do(effect)
        except Exception as raised:
            error = raised
        done.append(effect)
        if len(done) == crash_after:
            for dropped in reversed(stack):
                dropped.close()  # Nothing may be yielded from here on: close() would say so.
            break
    return len(done), done


def begin(name: str, ledger: Ledger) -> Shop:
    shop = Shop(ledger=ledger, pg=FakePG())
    shop.pg.issue_key("key-1")
    STORIES[name].before(shop)
    if STORIES[name].fault is not None:
        shop.pg.fault(STORIES[name].fault, STORIES[name].on)
    return shop


def effects(name: str) -> list[Any]:
    """What the procedure does when nothing stops it."""
    from paygate import MemoryLedger

    with begin(name, MemoryLedger()) as shop:
        return run(STORIES[name].steps(shop.gate._account, shop), shop.gate._driver, None)[1]


def check_books(shop: Shop) -> None:
    """The PG's journal and the ledger say the same, and nothing happened twice."""
    journal = shop.pg.journal
    for order_id in ("o1", "s1", "s2"):
        assert journal.charges(order_id) <= 1
        row = shop.row(order_id)
        taken = order_id in shop.pg.items if order_id.startswith("s") else journal.charges(order_id) == 1
        if taken:
            assert row is not None, "the PG did what no ledger knows of"
            assert row.state is State.ANSWERED, row
        else:
            assert row is None or row.state is not State.ANSWERED, row
    asked = {"c1": 4_000, "c2": 2_000}
    rows = {id: shop.refund(id) for id in asked}
    whole = {id: r.money.amount for id, r in rows.items() if r is not None and r.state is State.ANSWERED}
    assert journal.given_back("o1") == sum(whole.values())
    assert journal.given_back("o1") <= journal.taken("o1")
    assert not [r
                for r in rows.values() if r is not None and r.state in (State.SENT, State.UNKNOWN, State.OPENED)], rows


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_after_any_step_loses_nothing_and_repeats_nothing(name: str, kind: str, tmp_path: Path) -> None:
    total = len(effects(name))
    assert total >= 2
    for crash_after in range(1, total + 1):
        folder = tmp_path / str(crash_after)
        folder.mkdir()
        ledger = store(kind, folder)
        shop = begin(name, ledger)
        ran, _ = run(STORIES[name].steps(shop.gate._account, shop), shop.gate._driver, crash_after)
        assert ran == crash_after
        shop.shut()
        with Shop(ledger=ledger if kind == "memory" else store(kind, folder), pg=shop.pg) as after:
            after.settle()
            after.settle()
            if name.startswith(("pay", "register")):
                assert shop.pg.journal.entries == []
                continue
            if not name.endswith("pending"):
                check_books(after)
                assert [r.id for r in after.pending()] == []
            assert after.attention() == []
            assert shop.sent("POST /charges") <= (2 if "token" in name or "connection" in name else 1)
            # And whoever asks again is told the truth, or gets it done now: once.
            try:
                run(STORIES[name].steps(after.gate._account, after), after.gate._driver, None)
            except PaygateError:
                pass
            if not name.endswith("pending"):
                after.settle()
                check_books(after)


@pytest.mark.parametrize("name", STORIES)
def test_nothing_that_moves_money_is_sent_before_it_is_written_down(name: str) -> None:
    written: set[str] = set()
    for effect in effects(name):
        if isinstance(effect, Entry) and effect.verb in ("open", "change"):
            rows = effect.args[0] if effect.verb == "open" else [effect.args[0]]
            written |= {r.id for r in rows if r.state is State.SENT}
            if effect.verb == "change" and effect.args[0].state is not State.SENT:
                written -= {effect.args[0].id}
        if isinstance(effect, Send) and not effect.request.repeatable and "token" not in str(effect.request.path):
            assert written & {"o1", "c1", "c2", "s1"}, effect


@pytest.mark.parametrize("name", [n for n in STORIES if n.startswith(("charge", "cancel", "schedule"))])
def test_a_procedure_that_is_only_made_does_nothing(name: str) -> None:
    from paygate import MemoryLedger

    with begin(name, MemoryLedger()) as shop:
        calls = len(shop.pg.calls)
        STORIES[name].steps(shop.gate._account, shop).close()
        assert len(shop.pg.calls) == calls
