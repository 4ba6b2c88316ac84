"""What a payer approved and the PG does only when told to: captured once, for our money, and only by their return.

The PG here is `CAPTURING`: it knows no payment of an order before it was captured, and would take whatever it is told.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent))

from shop import FACES, STORES, Shop, store, won

from paygate import (
    BadCommand,
    Charge,
    Conflict,
    Declined,
    EventKind,
    Forged,
    InProgress,
    LedgerError,
    MemoryLedger,
    NotSent,
    OutcomeUnknown,
    Pay,
    PaygateError,
    PaymentStatus,
    Register,
    Secret,
    State,
)
from paygate.capability import Capability
from paygate.procedures import checkout
from paygate.procedures.facts import fact
from paygate.procedures.steps import Alone, Entry, Send
from paygate.testing.contract import run_all, subject_of
from paygate.testing.contract.registry import all_checks
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg.capturing import CAPTURING, CapturingPG, CapturingProvider
from paygate.testing.transport import EmulatorTransport

BACK = "https://shop.example/back"
PAY = Pay(order_id="o1", money=won(14_000), title="Tea", return_url=BACK)
CAPTURE = "POST /captures"
HERE = "^POST /captures$"


def shop_at(pg: Any = None, face: str = "sync", **options: Any) -> Shop:
    return Shop(face, pg=pg or CapturingPG(), spec=CAPTURING, **options)


@pytest.fixture(params=FACES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    with shop_at(face=request.param) as made:
        yield made


def approved(shop: Shop, order_id: str = "o1", **changes: Any) -> dict[str, str]:
    """What the browser of a payer brings who has approved; nothing is taken yet."""
    shop.pay(Pay(**{"order_id": order_id, "money": PAY.money, "title": "Tea", "return_url": BACK, **changes}))
    came = shop.pg.payer(order_id)
    assert came is not None
    assert shop.pg.journal.charges(order_id) == 0
    return came


def is_taken_once(shop: Shop, order_id: str = "o1") -> bool:
    return (shop.pg.journal.charges(order_id), shop.pg.journal.taken(order_id)) == (1, 14_000)


# The payer comes back

def test_a_return_is_captured_once_however_often_it_comes(shop: Shop) -> None:
    came = approved(shop)
    first = shop.confirm("o1", came)

    assert first.status is PaymentStatus.PAID
    assert [shop.confirm("o1", came) for _ in range(3)] == [first] * 3
    assert shop.confirm("o1", {}) == first
    assert is_taken_once(shop)
    assert shop.sent(CAPTURE) == 1


def test_the_intent_is_a_doubt_that_is_written_before_the_first_byte(shop: Shop) -> None:
    came, seen = approved(shop), []
    real = shop.pg.answer

    def answer(call: Any) -> Any:
        if call.path == "/captures":
            seen.append(shop.row("o1"))
        return real(call)
    shop.pg.answer = answer
    shop.confirm("o1", came)

    (row,) = seen
    assert (row.state, row.money) == (State.UNKNOWN, won(14_000))
    assert row.lease_until > shop.clock.now().timestamp()


def test_what_is_captured_is_the_ledgers_money_whatever_the_browser_says(shop: Shop) -> None:
    came = {**approved(shop), "amount": "1", "money": "1"}
    shop.confirm("o1", came)

    (asked,) = [json.loads(c.body) for c in shop.pg.calls if c.path == "/captures"]
    assert (asked["order_id"], asked["amount"], asked["currency"]) == ("o1", 14_000, "KRW")


@pytest.mark.parametrize("query", [{}, {"order_id": "o1"}, {"order_id": "o1", "payment_id": "a1"}])
def test_without_the_approval_nothing_is_captured(shop: Shop, query: dict[str, str]) -> None:
    approved(shop)

    assert shop.confirm("o1", query).status is PaymentStatus.PENDING
    assert shop.sent(CAPTURE) == 0


def test_a_webhook_and_a_look_up_capture_nothing(shop: Shop) -> None:
    approved(shop)
    with pytest.raises(Forged):
        shop.receive({}, b'{"order_id": "o1", "payment_id": "a1", "approval": "approval-of-a1"}')
    for _ in range(3):
        shop.clock.advance(400)
        shop.reconcile()

    assert shop.sent(CAPTURE) == 0


def test_a_payer_who_never_comes_back_has_not_paid_once_the_window_is_over(shop: Shop) -> None:
    came = approved(shop)
    for _ in range(14):
        shop.clock.advance(86_400)
        shop.reconcile()

    assert shop.row("o1").state is State.NOT_SENT
    assert shop.pending() == []
    assert shop.attention() == []
    assert shop.pg.journal.entries == []
    with pytest.raises(PaygateError):  # Much too late: at this PG an approval is good for ten minutes.
        shop.confirm("o1", came)
    shop.settle()
    assert shop.row("o1").state is State.NOT_SENT
    assert shop.pg.journal.entries == []


# Forged returns

def test_the_approval_of_another_order_or_amount_takes_nothing_and_stays_good_for_its_own(shop: Shop) -> None:
    cheap = approved(shop, "cheap", money=won(100))
    approved(shop, "dear", money=won(90_000))
    for forged in (cheap, {**cheap, "order_id": "dear"}, {"approval": cheap["approval"]}):
        with pytest.raises(PaygateError):
            shop.confirm("dear", forged)
    assert shop.pg.journal.entries == []

    assert shop.confirm("cheap", cheap).status is PaymentStatus.PAID
    shop.settle()
    assert (shop.pg.journal.taken("cheap"), shop.pg.journal.taken("dear")) == (100, 0)
    assert shop.row("dear").state is State.NOT_SENT


class Trusting(CapturingPG):
    """A PG that takes what an approval says, whatever order and amount it is told."""

    def _capture(self, id: str, body: dict[str, Any]) -> Any:
        window = self.approvals[id].window
        return super()._capture(id, {**body, "order_id": window["order_id"], "amount": window["amount"]})


def test_a_pg_that_captured_another_order_is_not_believed() -> None:
    with shop_at(Trusting()) as shop:
        cheap = approved(shop, "cheap", money=won(100))
        approved(shop, "dear", money=won(90_000))
        with pytest.raises(OutcomeUnknown):
            shop.confirm("dear", {**cheap, "order_id": "dear"})
        assert shop.row("dear").state is State.UNKNOWN
        assert shop.row("dear").attention == "the PG's answer names another order"


# Doubts

def test_a_lost_answer_is_looked_up_and_never_sent_again(shop: Shop) -> None:
    came = approved(shop)
    shop.pg.fault(FaultKind.DROP_AFTER, HERE)

    assert shop.confirm("o1", came).status is PaymentStatus.PAID
    assert (shop.sent(CAPTURE), is_taken_once(shop)) == (1, True)


def lost(shop: Shop, kind: FaultKind) -> None:
    """The capture meets trouble, and nobody can ask afterwards."""
    shop.pg.fault(kind, HERE)
    real = shop.pg.handle

    def handle(call: Any) -> Any:
        if call.path == "/captures":
            shop.pg.fault("drop_before", "^GET /payments", times=9)
        return real(call)
    shop.pg.handle = handle


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.LATE])
def test_in_doubt_nothing_is_captured_again_and_no_window_is_shown_until_it_is_settled(
        kind: FaultKind, shop: Shop) -> None:
    came = approved(shop)
    lost(shop, kind)
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            shop.confirm("o1", came)
        with pytest.raises(Conflict, match="do not use a new order_id"):
            shop.pay(PAY)
    assert shop.sent(CAPTURE) == 1
    shop.settle()

    is_done = kind is not FaultKind.DROP_BEFORE
    assert shop.row("o1").state is (State.ANSWERED if is_done else State.NOT_SENT)
    assert shop.sent(CAPTURE) == 1
    assert is_taken_once(shop) is is_done
    assert (shop.attention(), shop.pending()) == ([], [])


def test_what_is_proven_not_captured_may_be_captured_when_the_payer_is_back_again(shop: Shop) -> None:
    came = approved(shop)
    shop.pg.fault(FaultKind.DROP_BEFORE, HERE)
    with pytest.raises(OutcomeUnknown):
        shop.confirm("o1", came)
    shop.settle()
    assert shop.row("o1").state is State.NOT_SENT

    shop.pg.approvals["a1"].until = shop.clock.now() + timedelta(days=400)  # A PG whose approvals last.
    assert shop.confirm("o1", came).status is PaymentStatus.PAID
    assert (shop.sent(CAPTURE), is_taken_once(shop)) == (2, True)


def test_after_a_proven_miss_the_window_is_shown_again_and_its_own_approval_counts(shop: Shop) -> None:
    came = approved(shop)
    shop.pg.fault(FaultKind.DROP_BEFORE, HERE)
    with pytest.raises(OutcomeUnknown):
        shop.confirm("o1", came)
    shop.settle()
    again = approved(shop)

    assert shop.confirm("o1", again).provider_id == "a2"
    assert shop.confirm("o1", came).provider_id == "a2"
    assert is_taken_once(shop)


@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.TOO_MANY, FaultKind.UNAUTHORIZED])
def test_what_never_left_is_told_as_not_sent_and_the_same_return_captures_it(kind: FaultKind, shop: Shop) -> None:
    came = approved(shop)
    shop.pg.fault(kind, HERE, times=5)
    with pytest.raises(PaygateError) as no:
        shop.confirm("o1", came)
    assert no.value.moved is False
    assert shop.row("o1").state is State.NOT_SENT
    shop.pg.faults.clear()

    assert shop.confirm("o1", came).status is PaymentStatus.PAID
    assert is_taken_once(shop)


@pytest.mark.parametrize("end", ["declined", "late"])
def test_a_decline_at_the_capture_ends_the_order(end: str, shop: Shop) -> None:
    came = approved(shop, f"o1-{end}")
    for _ in range(2):
        with pytest.raises(Declined):
            shop.confirm(f"o1-{end}", came)

    assert shop.row(f"o1-{end}").state is State.REFUSED
    assert shop.sent(CAPTURE) == 1
    assert shop.pg.journal.entries == []


def test_an_earlier_decline_in_the_window_does_not_end_what_was_approved_after_it(shop: Shop) -> None:
    shop.pay(PAY)
    shop.pg.payer("o1", "decline")
    came = shop.pg.payer("o1")
    lost(shop, FaultKind.LATE)
    with pytest.raises(OutcomeUnknown):
        shop.confirm("o1", came)
    shop.pg.faults.clear()
    shop.clock.advance(30)
    for query in (came, {}):
        with pytest.raises(OutcomeUnknown):  # The PG knows the failed one alone, and is still at work.
            shop.confirm("o1", query)
    shop.clock.advance(60)

    assert shop.confirm("o1", came).status is PaymentStatus.PAID
    assert is_taken_once(shop)


def test_a_capture_that_the_pg_does_not_finish_stays_a_doubt_until_it_does(shop: Shop) -> None:
    came = approved(shop, "o1-pending")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            shop.confirm("o1-pending", came)
    shop.settle()
    assert shop.row("o1-pending").state is State.UNKNOWN
    shop.pg.finish("o1-pending")
    shop.clock.advance(4_000)
    shop.reconcile()

    assert shop.row("o1-pending").state is State.ANSWERED
    assert shop.sent(CAPTURE) == 1


def test_what_is_never_told_is_left_to_a_person(shop: Shop) -> None:
    came = approved(shop, "o1-pending")
    with pytest.raises(OutcomeUnknown):
        shop.confirm("o1-pending", came)
    for _ in range(14):
        shop.clock.advance(86_400)
        shop.reconcile()

    (row,) = shop.attention()
    assert (row.id, row.state) == ("o1-pending", State.UNKNOWN)


def test_in_doubt_no_event_tells_of_a_payment_that_no_record_of_the_pg_names(shop: Shop) -> None:
    came = approved(shop)
    lost(shop, FaultKind.DROP_AFTER)
    with pytest.raises(OutcomeUnknown):
        shop.confirm("o1", came)
    assert fact(shop.gate._account, shop.row("o1")) is None
    shop.settle()

    told = fact(shop.gate._account, shop.row("o1"))
    assert told is not None
    assert told.kind is EventKind.PAYMENT_PAID


# At the same time

def test_a_second_return_while_the_first_is_captured_sends_nothing() -> None:
    pg = CapturingPG()
    arrived, go = threading.Event(), threading.Event()

    class Slow(EmulatorTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/captures":
                arrived.set()
                assert go.wait(60)
            return super().handle_request(request)

    with shop_at(pg, http=Slow(pg)) as shop:
        came, told = approved(shop), []
        first = threading.Thread(target=lambda: told.append(shop.confirm("o1", came)))
        first.start()
        try:
            assert arrived.wait(60)
            with shop_at(pg, ledger=shop.ledger) as other:
                for gate in (shop, other):
                    with pytest.raises((InProgress, OutcomeUnknown)):
                        gate.confirm("o1", came)
                    with pytest.raises((Conflict, InProgress)):
                        gate.pay(PAY)
                with pytest.raises(BadCommand):
                    other.resolve("o1", "not_sent", by="ann", why="it hangs")
                other.reconcile()
        finally:
            go.set()
            first.join(60)

    assert [p.status for p in told] == [PaymentStatus.PAID]
    assert is_taken_once(shop)


def test_of_two_who_looked_at_once_one_captures(tmp_path: Path) -> None:
    pg = CapturingPG()
    ledger = store("memory", tmp_path)
    with shop_at(pg, ledger=ledger) as one, shop_at(pg, ledger=ledger) as two:
        came = approved(one)
        steps = [checkout.confirm(s.gate._account, "o1", came) for s in (one, two)]
        ends = [Stepwise(s, shop.gate._driver) for s, shop in zip(steps, (one, two), strict=True)]
        for end in ends:
            end.until(lambda e: isinstance(e, Entry) and e.verb == "change" and e.args[0].state is State.UNKNOWN)
        for end in ends:
            end.finish()

        assert [type(e.came) for e in ends].count(InProgress) == 1
        assert is_taken_once(one)


def test_a_webhook_that_is_quicker_than_the_answer_is_believed(shop: Shop) -> None:
    came, told = approved(shop), []
    real = shop.pg.answer

    def answer(call: Any) -> Any:
        answered = real(call)
        if call.path == "/captures":
            with shop_at(shop.pg, ledger=shop.ledger) as other:
                hook = shop.pg.hooks[-1]
                told.append(other.receive(hook.headers, hook.body))
        return answered
    shop.pg.answer = answer

    assert shop.confirm("o1", came).status is PaymentStatus.PAID
    assert [e.payment.status for e in told] == [PaymentStatus.PAID]
    assert shop.row("o1").state is State.ANSWERED


# Crashes

class Stepwise:
    """Carries a procedure out, effect by effect; `came` is what became of it."""

    def __init__(self, steps: Any, driver: Any) -> None:
        self._stack, self._driver, self._ready = [steps], driver, None
        self._value: Any = None
        self._error: BaseException | None = None
        self.came: Any = None
        self.done = 0

    def _next(self) -> Any:
        """The next effect, not carried out yet; None at the end."""
        while self._stack and self._ready is None:
            try:
                top = self._stack[-1]
                effect = top.send(self._value) if self._error is None else top.throw(self._error)
            except StopIteration as stop:
                self._stack.pop()
                self.came = self._value = stop.value
                self._error = None
                continue
            except PaygateError as raised:
                self._stack.pop()
                self._value, self.came = None, raised
                self._error = raised
                continue
            self._value = self._error = None
            if isinstance(effect, Alone):
                self._stack.append(effect.steps)
                continue
            self._ready = effect
        return self._ready

    def step(self) -> bool:
        effect = self._next()
        if effect is None:
            return False
        self._ready, self.done = None, self.done + 1
        try:
            self._value = self._driver._do(effect)
        except Exception as raised:
            self._error = raised
        return True

    def until(self, fits: Any) -> None:
        while not fits(self._next()):
            assert self.step(), "it ended before"

    def finish(self) -> None:
        while self.step():
            pass

    def crash(self) -> None:
        for dropped in reversed(self._stack):
            dropped.close()


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("fault", [None, FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE, FaultKind.LATE])
def test_a_crash_after_any_step_takes_the_money_once_or_never(fault: FaultKind | None, kind: str,
                                                              tmp_path: Path) -> None:
    crash_after, is_over = 0, False
    while not is_over:
        crash_after += 1
        folder = tmp_path / str(crash_after)
        folder.mkdir()
        shop = shop_at(ledger=store(kind, folder))
        came = approved(shop)
        if fault is not None:
            shop.pg.fault(fault, HERE)
        run = Stepwise(checkout.confirm(shop.gate._account, "o1", came), shop.gate._driver)
        while run.done < crash_after and not is_over:
            is_over = not run.step()
        run.crash()
        ledger = shop.ledger if kind == "memory" else None
        if ledger is None:
            shop.shut()
        with shop_at(shop.pg, ledger=ledger or store(kind, folder)) as after:
            shop.pg.approvals["a1"].until = shop.clock.now() + timedelta(days=400)
            for _ in range(2):
                try:
                    after.confirm("o1", came)  # The payer reloads the page at once, and once more.
                except PaygateError:
                    pass
                after.settle()
            assert is_taken_once(after)
            assert after.row("o1").state is State.ANSWERED
            assert (after.attention(), after.pending()) == ([], [])
    assert crash_after > 8


def dies_capturing(shop: Shop, came: dict[str, str], kind: FaultKind = FaultKind.LATE) -> None:
    """The process ends when it has just asked for the capture, which the PG does late or never hears of."""
    shop.pg.fault(kind, HERE)
    run = Stepwise(checkout.confirm(shop.gate._account, "o1", came), shop.gate._driver)
    run.until(lambda e: isinstance(e, Send) and "captures" in str(e.request.path))
    run.step()
    run.crash()


def test_absence_proves_nothing_before_the_settle_window_of_the_capture_itself_is_over() -> None:
    with shop_at(deadline_s=5.0) as shop:
        came = approved(shop)
        shop.clock.advance(300)
        dies_capturing(shop, came)
        for _ in range(2):
            shop.clock.advance(31)
            shop.reconcile()
            assert shop.row("o1").state is State.UNKNOWN
        shop.settle()

        assert shop.row("o1").state is State.ANSWERED
        assert is_taken_once(shop)


def test_a_miss_of_an_earlier_doubt_is_no_miss_of_this_one() -> None:
    with shop_at() as shop:
        came = approved(shop)
        shop.pg.fault(FaultKind.DROP_BEFORE, HERE)
        with pytest.raises(OutcomeUnknown):
            shop.confirm("o1", came)
        shop.settle()
        assert shop.row("o1").state is State.NOT_SENT
        dies_capturing(shop, came, FaultKind.DROP_BEFORE)
        shop.clock.advance(300)
        shop.reconcile()

        assert shop.row("o1").state is State.UNKNOWN
        shop.settle()
        assert shop.row("o1").state is State.NOT_SENT


def test_a_pg_that_is_asked_by_its_own_ids_alone_is_asked_about_what_was_to_be_captured() -> None:
    without = evolve(CAPTURING, capabilities=CAPTURING.capabilities - {"find"})
    with Shop("sync", pg=CapturingPG(), spec=without) as shop:
        came = approved(shop)
        lost(shop, FaultKind.DROP_AFTER)
        with pytest.raises(OutcomeUnknown):
            shop.confirm("o1", came)
        shop.settle()

        assert shop.row("o1").state is State.ANSWERED
        assert is_taken_once(shop)


def test_what_contradicts_before_the_capture_is_not_captured() -> None:
    with shop_at() as shop:
        came = approved(shop)
        shop.pg._take(shop.pg.windows["o1"], "pending")["test"] = False
        for query in (came, {"approval": came["approval"]}):
            with pytest.raises(Forged, match="test and live"):
                shop.confirm("o1", query)
        assert shop.sent(CAPTURE) == 0


def test_nothing_is_captured_before_it_is_written_down(shop: Shop) -> None:
    came = approved(shop)
    run = Stepwise(checkout.confirm(shop.gate._account, "o1", came), shop_at(shop.pg, ledger=shop.ledger).gate._driver)
    run.until(lambda e: isinstance(e, Send) and "captures" in str(e.request.path))

    assert shop.row("o1").state is State.UNKNOWN


class Full(MemoryLedger):
    """A ledger that takes no intent of a capture."""

    def change(self, row: Any, note: Any) -> Any:
        if row.state is State.UNKNOWN:
            raise LedgerError("the disk is full")
        return super().change(row, note)


def test_nothing_is_captured_where_the_intent_cannot_be_written() -> None:
    with shop_at(ledger=Full()) as shop:
        came = approved(shop)
        with pytest.raises(NotSent, match="the disk is full"):
            shop.confirm("o1", came)
        assert shop.sent(CAPTURE) == 0


# Registrations

REGISTER = Register(order_id="r1", money=won(14_000), title="Tea", return_url=BACK)


def test_an_approved_registration_yields_its_key_once_and_tells_it_again(shop: Shop) -> None:
    shop.register(REGISTER)
    came = shop.pg.payer("r1")
    assert "issued-a1" not in shop.pg.keys
    key = shop.confirm_key("r1", came)

    assert key.reveal() == "issued-a1"
    assert [shop.confirm_key("r1", q) for q in (came, {}, came)] == [key] * 3
    assert shop.sent(CAPTURE) == 1
    assert shop.pg.journal.entries == []
    shop.charge(Charge(order_id="c1", billing_key=key, money=won(9_900), title="Tea"))
    assert shop.pg.journal.taken("c1") == 9_900


def test_a_registration_is_not_captured_again_in_doubt(shop: Shop) -> None:
    shop.register(REGISTER)
    came = shop.pg.payer("r1")
    lost(shop, FaultKind.DROP_AFTER)
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            shop.confirm_key("r1", came)
    shop.settle()

    assert shop.confirm_key("r1", {}).reveal() == "issued-a1"
    assert shop.sent(CAPTURE) == 1


class Told(CapturingPG):
    """A PG that no look-up tells of a registration, as some do: the answer to the capture alone names the key."""

    def _route(self, method: str, parts: list[str], body: dict[str, Any], query: dict[str, str]) -> Any:
        answer = super()._route(method, parts, body, query)
        said = json.loads(answer.body)
        if parts == ["payments"]:
            said["items"] = [p for p in said["items"] if not p["for_key"]]
        return type(answer)(answer.status, answer.headers, json.dumps(said).encode())


class Naming(CapturingProvider):
    """Names payers, as some PGs repeat them, and can tell a key by the id that its registration was given."""

    return_keys = (*CapturingProvider.return_keys, "payer")

    def payer_of(self, command: Any) -> Any:
        return Secret("ann") if isinstance(command, Register) else None

    def read_return(self, query: Any) -> Any:
            return evolve(super().read_return(query), payer=query.get("payer"))

    def issued_key(self, payment: Any, note: Any = None, is_told: Any = None) -> Any:
        yield from ()
        return Secret(f"issued-{payment.provider_id}")


def test_a_key_that_no_look_up_tells_is_found_by_the_id_of_its_registration() -> None:
    spec = evolve(CAPTURING, build=Naming, capabilities=CAPTURING.capabilities - {"lookup"})
    with Shop("sync", pg=Told(), spec=spec) as shop:
        shop.register(REGISTER)
        key = shop.confirm_key("r1", {**(shop.pg.payer("r1") or {}), "payer": "ann"})

        assert key.reveal() == "issued-a1"
        assert shop.confirm_key("r1", {}) == key


def test_the_return_of_another_payer_issues_no_key() -> None:
    with Shop("sync", pg=CapturingPG(), spec=evolve(CAPTURING, build=Naming)) as shop:
        shop.register(REGISTER)
        came = shop.pg.payer("r1") or {}
        with pytest.raises(Forged):
            shop.confirm_key("r1", {**came, "payer": "bob"})
        assert shop.sent(CAPTURE) == 0
        assert shop.row("r1").state is State.SENT

        assert shop.confirm_key("r1", {**came, "payer": "ann"}).reveal() == "issued-a1"


# The contract

def test_the_contract_of_windows_registrations_and_captures_holds() -> None:
    about = {Capability.PAY, Capability.REGISTER, Capability.CAPTURE}
    results = list(run_all(subject_of(CAPTURING), [c for c in all_checks() if about & set(c.needs)]))

    assert [f"{r.run}: {r.why}" for r in results if r.verdict == "broken"] == []
    assert sum(r.verdict == "holds" for r in results) > 150


class OfTheWindow(CapturingProvider):
    """Captures what the window was opened for, whatever it is told to capture."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.opened: dict[str, Any] = {}

    def pay(self, command: Pay, prepared: str | None = None) -> Any:
        self.opened[command.order_id] = command.money
        return super().pay(command, prepared)

    def capture(self, order_id: str, money: Any, hint: Any) -> Any:
        return super().capture(order_id, self.opened.get(order_id, money), hint)


class OfTheReturn(CapturingProvider):
    """Captures for the order that the browser names."""

    def capture(self, order_id: str, money: Any, hint: Any) -> Any:
        return super().capture(hint.order_id or order_id, money, hint)


class Eager(CapturingProvider):
    """Reads an approval out of every return."""

    def read_return(self, query: Any) -> Any:
        hint = super().read_return(query)
        return evolve(hint, approval=hint.approval or Secret("approval-of-" + (hint.provider_id or "a1")))


class Deaf(CapturingProvider):
    """Loses the approval."""

    def read_return(self, query: Any) -> Any:
        return evolve(super().read_return(query), approval=None)


class InALookUp(CapturingProvider):
    """Captures whatever it has seen approved when it is asked about its order."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.seen: dict[str, Any] = {}

    def pay(self, command: Pay, prepared: str | None = None) -> Any:
        self.seen[command.order_id] = command.money
        return super().pay(command, prepared)

    def find(self, order_id: str) -> Any:
        if order_id in self.seen:
            yield from super().capture(order_id, self.seen.pop(order_id), self.read_return(
                {"order_id": order_id, "payment_id": "a1", "approval": "approval-of-a1"}))
        return (yield from super().find(order_id))


class Again(CapturingProvider):
    """Captures again when the answer is lost."""

    def capture(self, order_id: str, money: Any, hint: Any) -> Any:
        try:
            return (yield from super().capture(order_id, money, hint))
        except OutcomeUnknown:
            return (yield from super().capture(order_id, money, hint))


BROKEN = {
    OfTheWindow: "the_flow_of_a_capture_asks_for_the_money_it_is_given_and_no_other",
    OfTheReturn: "the_flow_of_a_capture_asks_for_the_order_it_is_given_and_no_other",
    Eager: "a_return_claims_an_approval_exactly_where_the_payer_approved",
    Deaf: "a_return_claims_an_approval_exactly_where_the_payer_approved",
    InALookUp: "an_approval_that_no_payer_brings_back_is_never_captured",
    Again: "the_flow_of_a_capture_claims_nothing_it_was_not_told",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda k: k.__name__)
def test_the_kit_notices_a_capture_that_is_wrong(kind: Any) -> None:
    check = next(c for c in all_checks() if c.name == BROKEN[kind])

    assert [r.verdict for r in run_all(subject_of(evolve(CAPTURING, build=kind)), [check])].count("broken") > 0
    assert [r.verdict for r in run_all(subject_of(CAPTURING), [check])].count("broken") == 0


class Generous(CapturingPG):
    """A PG that takes one approval as often as it is handed on."""

    def is_used(self, order_id: str) -> bool:
        return False

    def _capture(self, id: str, body: dict[str, Any]) -> Any:
        self.approvals[id].is_used = False
        return super()._capture(id, body)


def test_the_kit_notices_a_pg_that_takes_an_approval_twice() -> None:
    check = next(c for c in all_checks() if c.name == "an_approval_is_good_for_one_capture")

    assert [r.verdict for r in run_all(subject_of(CAPTURING, emulator=Generous), [check])] == ["broken"]
