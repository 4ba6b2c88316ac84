"""One shop and one PG, driven by Hypothesis: commands, faults, hooks, crashes and time in any order (T07).

After every step the PG's journal is compared with what the ledger says and with what the merchant was told.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import KEY, Shop, cancel, cancel_whole, charge, store, unschedule, won

from paygate import (
    BadCommand,
    Conflict,
    DatedCharge,
    Declined,
    Forged,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Pay,
    PaygateError,
    Schedule,
    State,
)
from paygate.ledger.row import Book
from paygate.ledger.rules import FOLLOWS
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FakePG

ORDERS = tuple(f"o{n}" for n in range(4))
PLANNED = tuple(f"s{n}" for n in range(3))
WINDOWS = tuple(f"w{n}" for n in range(2))
REFUNDS = tuple(f"c{n}" for n in range(6))
AMOUNTS = {"o0": 10_000, "o1": 500, "o2": 101, "o3": 102}
"""At FakePG an amount that ends in 1 is declined, one that ends in 2 stays pending."""
UNPROCESSED = (FaultKind.REFUSE, FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY)
CALLS = ("^POST /charges$", "^POST /payments/", "^POST /schedules$", "^POST /unschedule$", "^POST /token$",
         "^POST /windows$",
         "^GET ", "")


class Shopping(RuleBasedStateMachine):
    """What a merchant, a payer, a bad network and a forger do to one ledger and one PG."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.pg = FakePG()
        self.pg.issue_key(KEY.reveal())
        self.told: dict[str, Any] = {}
        self.states: dict[tuple[Book, str], State] = {}
        self.asked: dict[str, Any] = {}
        self.sends: dict[str, int] = {}

    @initialize(kind=st.sampled_from(("memory", "sqlite")), face=st.sampled_from(("sync", "async")))
    def open_shop(self, kind: str, face: str) -> None:
        self.kind, self.face = kind, face
        self.approved_late: set[str] = set()
        self.shop = Shop(face, store(kind, Path(self.folder.name)), self.pg)

    def teardown(self) -> None:
        try:
            if hasattr(self, "shop"):
                self.everything_settles()
        finally:
            if hasattr(self, "shop"):
                self.shop.shut()
            self.folder.cleanup()

    def everything_settles(self) -> None:
        """Liveness: once the faults are over, no doubt is left but those that a person was told of."""
        for _ in range(3):
            self.shop.settle()
        for _ in range(3):
            self.shop.clock.advance(86_400)
            self.shop.reconcile()
        self.books_agree()
        unsettled = [r.id for r in self.shop.pending() if r.attention is None]
        assert [id for id in unsettled if not self.waits_for_somebody(id)] == []

    def waits_for_somebody(self, order_id: str) -> bool:
        """A payer who may still come, or a PG that itself says "pending"."""
        return order_id in WINDOWS or any(
            p["order_id"] == order_id and p["status"] == "pending" for p in self.pg.payments.values())

    # What a merchant does

    def ask(self, what: str, do: Any) -> Any:
        """Only errors of ours come out, and "no" is true when it is said."""
        moved = len(self.pg.journal.entries)
        try:
            return do()
        except PaygateError as raised:
            error = raised
        assert "\n" not in str(error)
        if error.moved is False:
            assert not [m for m in self.pg.journal.entries[moved:] if m.kind == what], error
        return error

    @rule(order_id=st.sampled_from(ORDERS), other=st.booleans())
    def charge(self, order_id: str, other: bool) -> None:
        command = charge(order_id, AMOUNTS[order_id] + (1000 if other else 0))
        first = self.asked.setdefault(order_id, command)
        said = self.ask("charge", lambda: self.shop.charge(command))
        if command != first:
            assert isinstance(said, (Conflict, NotSent)), said
            if isinstance(said, NotSent):  # Nothing was written of the first one either.
                self.asked.pop(order_id) if self.shop.row(order_id) is None else None
            return
        assert not isinstance(said, (BadCommand, NotFound, Forged)), said
        if not isinstance(said, PaygateError):
            assert said.money == command.money
            assert said.order_id == order_id
            if said.status.took_money:
                assert self.pg.journal.charges(order_id) == 1
        elif isinstance(said, Declined) and order_id not in self.approved_late:
            # What the PG approves after it declined is told once somebody looks again, with an attention.
            assert self.pg.journal.charges(order_id) == 0

    @rule(order_id=st.sampled_from(ORDERS), kind=st.sampled_from(FaultKind), can_ask=st.booleans())
    def charge_that_goes_wrong(self, order_id: str, kind: FaultKind, can_ask: bool) -> None:
        """The fault meets this very charge; without an answer it is sent once only."""
        self.pg.faults.clear()
        self.pg.fault(kind, "^POST /charges$")
        if not can_ask:
            self.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=3)
        before = self.shop.sent("POST /charges")
        self.charge(order_id, other=False)
        assert self.shop.sent("POST /charges") - before <= (1 if kind not in UNPROCESSED else 3)

    @rule(order_id=st.sampled_from((*ORDERS, *PLANNED, *WINDOWS)), cancel_id=st.sampled_from(REFUNDS),
          amount=st.sampled_from((1, 100, 400, 5_000, 10_000)))
    def cancel(self, order_id: str, cancel_id: str, amount: int) -> None:
        self.refund(cancel_id, cancel(cancel_id, order_id, amount))

    @rule(order_id=st.sampled_from((*ORDERS, *PLANNED, *WINDOWS)), cancel_id=st.sampled_from(REFUNDS))
    def cancel_whole(self, order_id: str, cancel_id: str) -> None:
        self.refund(cancel_id, cancel_whole(cancel_id, order_id))

    def refund(self, cancel_id: str, command: Any) -> None:
        row = self.shop.refund(cancel_id)
        verb = "cancel" if hasattr(command, "money") else "cancel_whole"
        said = self.ask("refund", lambda: getattr(self.shop, verb)(command))
        assert not isinstance(said, Forged), said
        if not isinstance(said, PaygateError):
            assert said.cancel_id == cancel_id
            assert verb == "cancel_whole" or said.money == command.money
            assert row is None or row.state is not State.ANSWERED or said.money == row.money

    @rule(order_ids=st.lists(st.sampled_from(PLANNED), min_size=1, max_size=3, unique=True), hours=st.integers(1, 3))
    def schedule(self, order_ids: list[str], hours: int) -> None:
        due = self.pg.clock.now() + timedelta(hours=hours)
        wanted = Schedule(billing_key=KEY, charges=[
            self.asked.setdefault(o, DatedCharge(order_id=o, due_at=due, money=won(700), title="Tea"))
            for o in order_ids])
        said = self.ask("charge", lambda: self.shop.schedule(wanted))
        assert not isinstance(said, (Conflict, Forged)), said
        if not isinstance(said, PaygateError):
            assert [s.order_id for s in said] == order_ids
            assert all(o in self.pg.items for o in order_ids)

    @rule(order_ids=st.lists(st.sampled_from(PLANNED), min_size=1, max_size=3, unique=True))
    def unschedule(self, order_ids: list[str]) -> None:
        said = self.ask("charge", lambda: self.shop.unschedule(unschedule(*order_ids)))
        if not isinstance(said, PaygateError):
            assert [s.status.value for s in said] == [self.pg.items[o]["status"] for o in order_ids]
            assert "scheduled" not in {self.pg.items[o]["status"] for o in order_ids}

    @rule(order_id=st.sampled_from(WINDOWS))
    def pay(self, order_id: str) -> None:
        command = Pay(order_id=order_id, money=won(3_000), title="Tea", return_url="https://shop.example/back")
        said = self.ask("charge", lambda: self.shop.pay(command))
        assert not isinstance(said, Forged), said

    @precondition(lambda self: self.pg.windows)
    @rule(data=st.data(), action=st.sampled_from(("approve", "decline", "close")), comes_back=st.booleans())
    def payer(self, data: st.DataObject, action: str, comes_back: bool) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.pg.windows)))
        if any(p["order_id"] == order_id and p["status"] == "paid" for p in self.pg.payments.values()):
            return  # A PG shows no window of an order that has been paid.
        query = self.pg.payer(order_id, action)
        if comes_back:
            self.confirm(order_id, query)

    @rule(order_id=st.sampled_from(WINDOWS), query=st.sampled_from(({}, {"status": "paid"}, {"payment_id": "p1"},
                                                                   {"order_id": "w0", "payment_id": "p2"})))
    def confirm(self, order_id: str, query: dict[str, str]) -> None:
        said = self.ask("charge", lambda: self.shop.confirm(order_id, query))
        if not isinstance(said, PaygateError) and said.status.took_money:
            assert self.pg.journal.charges(order_id) == 1

    @rule(order_id=st.sampled_from((*ORDERS, *WINDOWS)))
    def find(self, order_id: str) -> None:
        said = self.ask("charge", lambda: self.shop.find(order_id))
        if not isinstance(said, PaygateError):
            assert said.status.took_money is (self.pg.journal.charges(order_id) == 1)

    # What others do

    @precondition(lambda self: self.pg.payments)
    @rule(data=st.data(), times=st.integers(1, 3))
    def true_hook(self, data: st.DataObject, times: int) -> None:
        id = data.draw(st.sampled_from(sorted(self.pg.payments)))
        body = json.dumps({"order_id": self.pg.payments[id]["order_id"], "payment_id": id}).encode()
        news = [self.ask("charge", lambda: self.shop.receive({}, body)) for _ in range(times)]
        told = [n for n in news if not isinstance(n, PaygateError)]
        assert sum(n.is_news for n in told) <= 1
        assert len({n.id for n in told}) <= 1

    @rule(order_id=st.sampled_from((*ORDERS, *WINDOWS, "zz")), number=st.integers(1, 9),
          status=st.sampled_from(("paid", "failed")))
    def forged_hook(self, order_id: str, number: int, status: str) -> None:
        held = self.pg.payments.get(f"p{number}")
        body = json.dumps({"order_id": order_id, "payment_id": f"p{number}", "status": status}).encode()
        said = self.ask("charge", lambda: self.shop.receive({}, body))
        if held is None or held["order_id"] != order_id:
            assert isinstance(said, (Forged, OutcomeUnknown)), said

    @rule(order_id=st.sampled_from(ORDERS), status=st.sampled_from(("paid", "failed")))
    def pg_finishes(self, order_id: str, status: str) -> None:
        if self.pg.journal.charges(order_id) == 0:
            self.pg.finish(order_id, status)
            self.approved_late.add(order_id)

    @rule(kind=st.sampled_from(FaultKind), on=st.sampled_from(CALLS), times=st.sampled_from((1, 1, 2, 5)))
    def fault(self, kind: FaultKind, on: str, times: int) -> None:
        self.pg.fault(kind, on, times)

    @rule()
    def faults_end(self) -> None:
        self.pg.faults.clear()

    @rule(seconds=st.sampled_from((1, 40, 130, 4_000, 90_000)))
    def time_passes(self, seconds: int) -> None:
        self.pg.clock.advance(seconds)

    @rule()
    def reconcile(self) -> None:
        self.shop.reconcile()

    @rule()
    def restart(self) -> None:
        """Another process: the same ledger, nothing else remembered."""
        self.shop.shut()
        ledger = store("sqlite", Path(self.folder.name)) if self.kind == "sqlite" else self.shop.ledger
        self.shop = Shop(self.face, ledger, self.pg)

    # What must hold

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "shop"):
            return
        journal = self.pg.journal
        for order_id in (*ORDERS, *PLANNED, *WINDOWS):
            assert journal.charges(order_id) <= 1, f"{order_id} was charged twice"
            assert journal.given_back(order_id) <= journal.taken(order_id)
            row = self.shop.row(order_id)
            if journal.charges(order_id) and order_id not in PLANNED:
                assert row is not None, "money was taken that no row knows of"
                assert row.state is not State.OPENED
            if row is not None and row.state is State.ANSWERED and order_id not in PLANNED:
                assert journal.charges(order_id) == 1, f"{order_id} is recorded as paid"
                assert row.money.amount == journal.taken(order_id)
            if row is not None and row.state is State.ANSWERED and order_id in PLANNED:
                assert order_id in self.pg.items, f"{order_id} is recorded as scheduled"
            self.only_forward(Book.PAYMENT, order_id, row)
        refunds = [self.shop.refund(id) for id in REFUNDS]
        for row in filter(None, refunds):
            self.only_forward(Book.CANCEL, row.id, row)
        for order_id in (*ORDERS, *WINDOWS):
            mine = [r for r in refunds if r is not None and r.order_id == order_id]
            done = sum(r.money.amount for r in mine if r.state is State.ANSWERED)
            maybe = sum(r.money.amount for r in mine if r.state in (State.SENT, State.UNKNOWN))
            assert done <= journal.given_back(order_id) <= done + maybe, "the ledger and the PG disagree about refunds"
            assert sum(r.state in (State.OPENED, State.SENT, State.UNKNOWN) for r in mine) <= 1

    def only_forward(self, book: Book, id: str, row: Any) -> None:
        if row is None:
            assert (book, id) not in self.states
            return
        before = self.states.get((book, id), row.state)
        # Several steps may lie between two looks: whatever follows what follows.
        reached, todo = {before}, [before]
        while todo:
            todo += (new := [s for s in FOLLOWS[todo.pop()] if s not in reached])
            reached |= set(new)
        assert row.state in reached
        assert before is not State.ANSWERED or row.state is State.ANSWERED
        self.states[book, id] = row.state

    @invariant()
    def no_doubt_is_sent_again(self) -> None:
        """What reached the PG and was not provably unprocessed is never sent a second time."""
        if not hasattr(self, "shop"):
            return
        for order_id in ORDERS:
            paid = [p for p in self.pg.payments.values() if p["order_id"] == order_id]
            assert len(paid) <= 1, f"{order_id} reached the PG twice"


TestShopping = Shopping.TestCase
TestShopping.settings = settings(max_examples=100, stateful_step_count=30, deadline=None, derandomize=True,
                                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
                                                        HealthCheck.filter_too_much])
