"""A managed merchant behind a wire that lies: whatever breaks, no payment is doubled, invented or lost, no refund is
paid twice. The emulator's journal is the truth; no client can write to it.

Each run is one seed. What went wrong in a run is printed with its seed and its last steps.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import httpx
import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator

from paygate.assemble import connect
from paygate.commands import Cancel, CancelWhole
from paygate.errors import PaygateError
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.ledger.row import Book, Kind, Row, State
from paygate.model import Event, PaymentStatus
from paygate.money import Money
from paygate.subscriptions import Interval, Renew
from paygate.testing.emulator import FaultKind, Hook
from paygate.testing.transport import EmulatorTransport

SPEC = next(s for s in paygate_providers() if s.name == "steppay-managed")
WON = Money(14_000, "KRW")
FEE = Money(9_900, "KRW")
ENDS = {"steppay-managed": {"ends_subscription": True}}
BREAKS = [k for k in FaultKind if k not in (FaultKind.WRONG_ORDER, FaultKind.WRONG_AMOUNT, FaultKind.LIE_FAILED)]
LIES = [FaultKind.WRONG_ORDER, FaultKind.WRONG_AMOUNT, FaultKind.LIE_FAILED]
MUTATIONS = ("POST .*/orders$", "POST .*/renew", "PATCH ", "POST .*/prices", "POST .*/customers", "POST ")


class Wire(EmulatorTransport):
    """Now and then the answer to an earlier question of the same kind comes back, or what a record was before.

    Not an earlier "no" to a command: that one proves that nothing was done (docs/adr/0006), and a command's connection
    is its own.
    """

    def __init__(self, pg: ManagedEmulator, chance: random.Random) -> None:
        super().__init__(pg)
        self._chance = chance
        self._said: dict[str, list[httpx.Response]] = defaultdict(list)
        self.share = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        kind = f"{request.method} {re.sub(r'[0-9]+|(order|price|product)_[A-Za-z0-9]+', '*', request.url.path)}"
        answer = super().handle_request(request)
        earlier = self._said[kind]
        earlier.append(answer)
        if len(earlier) > 1 and self._chance.random() < self.share:
            old = self._chance.choice(earlier[:-1])
            if request.method != "GET" and old.status_code >= 400:
                return answer
            return httpx.Response(old.status_code, headers=old.headers, content=old.content, request=request)
        return answer


class Run:
    """One merchant, one seed."""

    def __init__(self, seed: int) -> None:
        self.seed, self.chance = seed, random.Random(seed)
        self.pg = ManagedEmulator()
        self.control = self.pg.controls()
        self.control["switch"](name="payment_date_lag_s", value=self.chance.choice([0.0, 0.0, 40.0]))
        self.wire = Wire(self.pg, self.chance)
        self.ledger = MemoryLedger()
        self.gate = self.connect()
        self.steps: list[str] = []
        self.windows: dict[str, dict[str, object]] = {}
        self.returns: dict[str, dict[str, str]] = {}
        self.told: Counter[tuple[str, str]] = Counter()
        """How often a success was told as news, by order and by the PG's id."""
        self.events: list[Event] = []
        self.count = 0
        self.orders: list[str] = []
        self.subscriptions: list[str] = []
        self.renewals: list[str] = []
        self.waiting: list[Hook] = []
        self.pg.on_hook = self.waiting.append

    def connect(self) -> Gateway:
        return connect(SPEC, self.pg.settings(), ledger=self.ledger, http=self.wire, clock=self.pg.clock)

    def new(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}-{self.count}"

    def do(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            result = call()
        except PaygateError as error:
            self.steps.append(f"{what}: {type(error).__name__}: {error}")
            return None
        self.steps.append(f"{what}: {result}")
        return result

    # What may happen

    def pay(self) -> None:
        asked = self.pg.story().pay
        assert asked is not None
        again = bool(self.orders) and self.chance.random() < 0.3
        order_id = self.chance.choice(self.orders) if again else self.new("order")
        window = self.do(f"pay {order_id}", lambda: self.gate.pay(evolve(asked, order_id=order_id, money=WON)))
        self._opened(order_id, window, self.orders)

    def subscribe(self) -> None:
        asked = self.pg.story().subscribe
        assert asked is not None
        order_id = self.new("sub")
        window = self.do(f"subscribe {order_id}", lambda: self.gate.subscribe(
            evolve(asked, order_id=order_id, money=FEE, every=Interval("month"))))
        self._opened(order_id, window, self.subscriptions)

    def _opened(self, order_id: str, window: Any, into: list[str]) -> None:
        if order_id not in into:
            into.append(order_id)
        if window is not None:
            self.windows[order_id] = window.action.to_dict()

    def payer(self) -> None:
        if not self.windows:
            return
        order_id = self.chance.choice(list(self.windows))
        outcome = self.chance.choice(["approve", "approve", "approve", "decline", "close"])
        with suppress(ValueError):  # The page says that there is nothing to pay any more.
            self.returns[order_id] = self.pg.browse(self.windows[order_id], outcome)
            self.steps.append(f"payer of {order_id}: {outcome}")

    def come_back(self) -> None:
        known = [*self.orders, *self.subscriptions]
        if not known:
            return
        order_id = self.chance.choice(known)
        query = self.returns.get(order_id, {})
        if self.returns and self.chance.random() < 0.3:
            query = self.chance.choice(list(self.returns.values()))  # Forged, replayed, or its own after all.
        if self.chance.random() < 0.2:
            query = {**query, "status": "success", "paygate_outcome": "success"}
        verb = self.gate.confirm if order_id in self.orders else self.gate.confirm_subscription
        self.do(f"confirm {order_id} {query}", lambda: verb(order_id, query))

    def give_back(self) -> None:
        paid = [*self.orders, *self.subscriptions, *self.renewals]
        if not paid:
            return
        order_id, cancel_id = self.chance.choice(paid), f"c-{self.chance.randint(1, 12)}"
        part = Cancel(cancel_id=cancel_id, order_id=order_id, money=Money(self.chance.choice([3_000, 4_000]), "KRW"),
                      reason="asked", extra=ENDS)
        whole = CancelWhole(cancel_id=cancel_id, order_id=order_id, reason="asked", extra=ENDS)
        if self.chance.random() < 0.2:
            self.do(f"cancel_whole {whole.cancel_id} {order_id}", lambda: self.gate.cancel_whole(whole))
        else:
            self.do(f"cancel {cancel_id} {order_id}", lambda: self.gate.cancel(part))

    def renew(self) -> None:
        if not self.subscriptions:
            return
        again = bool(self.renewals) and self.chance.random() < 0.3
        order_id = self.chance.choice(self.renewals) if again else self.new("renew")
        subscription = self.chance.choice(self.subscriptions)
        if order_id not in self.renewals:
            self.renewals.append(order_id)
        self.do(f"renew {order_id} of {subscription}", lambda: self.gate.renew(
            Renew(order_id=order_id, subscription=subscription, money=FEE)))

    def hook(self) -> None:
        if not self.waiting:
            return
        hook = self.chance.choice(self.waiting)
        if self.chance.random() < 0.8:
            self.waiting.remove(hook)
        event = self.do("hook", lambda: self.gate.receive(hook.headers, hook.body))
        self._heard(event)

    def _heard(self, event: Event | None) -> None:
        if event is None:
            return
        self.events.append(event)
        if event.payment is not None and event.is_news and event.payment.status is PaymentStatus.PAID:
            self.told[str(event.order_id), str(event.payment.provider_id)] += 1

    def time(self) -> None:
        self.pg.clock.advance(self.chance.choice([1.0, 40.0, 130.0, 600.0, 86_400.0]))

    def settle(self) -> None:
        self.do("reconcile", lambda: self.gate.reconcile())

    def reopen(self) -> None:
        self.gate = self.connect()

    def trouble(self) -> None:
        kind = self.chance.choice(LIES if self.chance.random() < 0.15 else BREAKS)
        on = self.chance.choice([*MUTATIONS, "GET ", "."])
        self.steps.append(f"fault {kind} on {on}")
        self.pg.fault(kind, on=on, times=self.chance.choice([1, 1, 1, 3]))

    def decline_next(self) -> None:
        self.control[self.chance.choice(["next_charge", "renewals"])](outcome="failed", message="no")

    def go(self, steps: int) -> None:
        acts = [self.pay, self.pay, self.payer, self.payer, self.come_back, self.come_back, self.give_back,
                self.give_back, self.subscribe, self.renew, self.renew, self.hook, self.hook, self.time, self.settle,
                self.reopen, self.trouble, self.trouble, self.trouble, self.decline_next]
        self.subscribe()
        self.returns["sub-1"] = self.pg.browse(self.windows["sub-1"])
        self.wire.share = self.chance.choice([0.0, 0.0, 0.1])
        for _ in range(steps):
            self.chance.choice(acts)()
        self._heal()

    def _heal(self) -> None:
        """Everything works again, and time passes: what can be known has to be known now."""
        self.wire.share = 0.0
        self.pg.faults.clear()
        for hook in list(self.waiting):
            if hook.at.timestamp() > self.pg.clock.now().timestamp() - 250:
                self._heard(self.do("hook", lambda hook=hook: self.gate.receive(hook.headers, hook.body)))
        self.waiting.clear()
        for _ in range(3):
            self.pg.clock.advance(400)
            self.settle()
        for order_id in (*self.orders, *self.subscriptions):
            if order_id in self.windows:
                verb = self.gate.confirm if order_id in self.orders else self.gate.confirm_subscription
                self.do(f"confirm {order_id}", lambda verb=verb, order_id=order_id: verb(order_id, {}))

    # What must hold

    def row(self, id: str) -> Row | None:
        return self.ledger.get("steppay-managed/test", Book.PAYMENT, id)

    def faults(self) -> list[str]:
        return [*self._payments(), *self._renewals(), *self._refunds()]

    def _payments(self) -> list[str]:
        found: list[str] = []
        codes = {o.code: o for o in self.pg.pg.orders.values()}
        for order_id in (*self.orders, *self.subscriptions):
            row = self.row(order_id)
            if row is None:
                continue
            taken = self.pg.journal.taken(row.provider_id or "")
            if self.pg.journal.charges(row.provider_id or "") > 1:
                found.append(f"{order_id}: charged more than once")
            if row.state is State.ANSWERED and taken == 0:
                found.append(f"{order_id}: a phantom")
            if taken and row.state is not State.ANSWERED and row.attention is None:
                found.append(f"{order_id}: lost, {row.state}")
        bound = Counter(r.provider_id for r in map(self.row, (*self.orders, *self.subscriptions)) if r is not None)
        found += [f"{code} is bound to two orders" for code, n in bound.items() if code is not None and n > 1]
        paid = {m.order_id for m in self.pg.journal.entries if m.kind == "charge"}
        known = set(bound) | {r.provider_id for r in map(self.row, self.renewals) if r is not None}
        stray = [c for c in paid - known if codes[c].type != "RECURRING"]
        found += [f"{code} took money and no order of ours knows it" for code in stray]
        return found

    def _renewals(self) -> list[str]:
        """Every renewal that took money is told: by its own row, as one that the PG made, or as a doubt."""
        found: list[str] = []
        made = [o for o in self.pg.pg.orders.values() if o.type == "RECURRING" and self.pg.journal.taken(o.code)]
        rows = [r for r in map(self.row, self.renewals) if r is not None]
        answered = [r for r in rows if r.state is State.ANSWERED]
        for row in answered:
            if row.kind is not Kind.RENEW or row.provider_id not in {o.code for o in made}:
                found.append(f"{row.id}: a phantom renewal")
        twice = Counter(r.provider_id for r in answered)
        found += [f"{code}: told as two renewals" for code, n in twice.items() if n > 1]
        told_by_news = Counter(code for (_, code), n in self.told.items() for _ in range(n))
        found += [f"{code}: told as news {n} times" for code, n in told_by_news.items() if n > 1]
        own = {code for order, code in self.told if order in self.subscriptions}
        found += [f"{r.id}: told as the PG's own as well" for r in answered if r.provider_id in own]
        for subscription in self.subscriptions:
            began = self.row(subscription)
            open_ones = [r for r in rows if r.state is State.UNKNOWN and began is not None]
            if len({r.key_digest for r in open_ones}) != len(open_ones):
                found.append("two renewals of one subscription are in doubt")
        return found

    def _refunds(self) -> list[str]:
        found: list[str] = []
        given: Counter[str] = Counter()
        for move in self.pg.journal.entries:
            if move.kind == "refund":
                given[move.order_id] += move.money.amount
        for code, amount in given.items():
            if amount > self.pg.journal.taken(code):
                found.append(f"{code}: more given back than taken")
        for order_id in (*self.orders, *self.subscriptions, *self.renewals):
            row = self.row(order_id)
            if row is None or row.state is not State.ANSWERED:
                continue
            refunds = self.ledger.refunds("steppay-managed/test", order_id)
            sure = sum(r.money.amount for r in refunds if r.state is State.ANSWERED and r.money is not None)
            maybe = sum(r.money.amount for r in refunds if r.state is State.UNKNOWN and r.money is not None)
            back = given[row.provider_id or ""]
            if not sure <= back <= sure + maybe:
                found.append(f"{order_id}: {back} given back, {sure} known and {maybe} in doubt")
        return found


def run(seed: int, steps: int = 60) -> Run:
    made = Run(seed)
    made.go(steps)
    return made


@cache
def seen(seed: int) -> Counter[str]:
    """What happened in a run, after all that must hold was found to hold."""
    done = run(seed)
    assert done.faults() == [], (seed, done.steps[-25:])
    happened = Counter(move.kind for move in done.pg.journal.entries)
    happened["renewals"] = sum(r is not None and r.state is State.ANSWERED for r in map(done.row, done.renewals))
    happened["doubts"] = sum(r is not None and r.state is State.UNKNOWN
                             for r in map(done.row, [*done.orders, *done.renewals]))
    happened["events"] = len(done.events)
    return happened


@pytest.mark.parametrize("start", range(0, 60, 10))
def test_nothing_is_doubled_invented_or_lost_whatever_the_wire_does(start: int) -> None:
    assert all(seen(seed)["charge"] for seed in range(start, start + 10))


def test_enough_of_everything_happens_in_these_runs() -> None:
    total = sum((seen(seed) for seed in range(60)), Counter[str]())
    least = {"charge": 100, "refund": 40, "renewals": 10, "doubts": 3, "events": 100}
    assert {what: n for what, n in least.items() if total[what] < n} == {}
