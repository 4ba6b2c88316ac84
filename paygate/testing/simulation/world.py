"""One simulated world: a PG, a merchant with two processes over one ledger, and whatever happens to them.

Every action begins a real call of a real `Gateway`; `run` carries several out at once, effect by effect. Who decides
what happens is not here: a seeded plot (plot.py) or Hypothesis (state_machine.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from attrs import define, field

from ... import assemble
from ...capability import Absence, Capability
from ...commands import Cancel
from ...errors import NotFound
from ...ledger.row import Book, Kind, Ledger, Row, State
from ...model import BillingKey, Event
from ...provider import ProviderSpec
from ...subscriptions import Subscription
from ..emulator import Hook
from ..virtual_clock import VirtualClock
from .checker import Judge
from .faults import Weather
from .network import Network
from .notes import Rules
from .recorder import CALLING, Recorder
from .shop import Order, Said, Shop, said_by
from .tasks import Carrier, Fate, Job, Loop, Stepping

TIMETABLE_S = (70, 70, 130, 700, 4_000, *(86_410,) * 9)
"""Turns of the clock that pass every look of the timetable, counted from the last fault."""
GATES = 2


@define(eq=False)
class World:
    """`open_ledger(n)` opens the merchant's ledger for process `n`; it is asked again after that process has died."""

    spec: ProviderSpec
    name: str
    rng: Random
    open_ledger: Callable[[int], Ledger]
    keep: bool = False
    is_async: bool = False
    timeout_s: float = 60.0
    make_weather: Callable[[Random], Weather] = Weather
    shop: Shop = field(init=False)
    recorder: Recorder = field(init=False)
    weather: Weather = field(init=False)
    gates: list[Any] = field(init=False)
    waiting_hooks: list[Hook] = field(factory=list)
    told_hooks: list[Hook] = field(factory=list)
    deaths: int = 0
    said: Counter[str] = field(factory=Counter)
    """What the merchant was told, by the judge's word."""
    news: Counter[str] = field(factory=Counter)
    """How often a webhook was the first to tell a fact."""
    ended: list[Row] = field(factory=list)
    """Every row in the end."""

    def __attrs_post_init__(self) -> None:
        kind = self.spec.load_emulator()
        story = kind().story()
        self.emulator = kind(VirtualClock(story.start))
        self.clock = self.emulator.clock
        profile = self.spec.profile
        self.judge = Judge(Rules(settle_s=profile.settle_s.value, askable=Capability.FIND in self.spec.capabilities
                                 and profile.absence.value is not Absence.NOTHING))
        self.recorder = Recorder(self.emulator, self.judge, self.keep)
        self.weather = self.make_weather(self.rng)
        self.weather.is_bad = False
        self.network = Network(self.recorder, self.weather, self.rng, timeout_s=self.timeout_s)
        self.carrier = (Loop if self.is_async else Stepping)(self.rng, self.clock)
        self.shop = Shop(story)
        self.emulator.on_hook = self.waiting_hooks.append
        self.ledgers = [self.open_ledger(n) for n in range(GATES)]
        self.gates = [self._connect(n) for n in range(GATES)]
        self._get_key()

    emulator: Any = field(init=False)
    clock: VirtualClock = field(init=False)
    judge: Judge = field(init=False)
    network: Network = field(init=False)
    ledgers: list[Ledger] = field(init=False)
    carrier: Carrier = field(init=False)

    def _connect(self, n: int) -> Any:
        make: Any = assemble.connect_async if self.is_async else assemble.connect
        return self.carrier.prepare(make(self.spec, self.emulator.settings(), ledger=self.ledgers[n], name=self.name,
                                         clock=self.clock, http=self.network, timeout_s=self.timeout_s))

    @property
    def can_charge_keys(self) -> bool:
        return self.shop.key is not None and self.offers(Capability.CHARGE)

    def offers(self, *capabilities: Capability) -> bool:
        return self.spec.capabilities.issuperset(capabilities)

    def _get_key(self) -> None:
        """The payer registers a billing key, while nothing goes wrong; the emulator issues one where none can be."""
        example = self.shop.story.register
        if self.shop.story.charge is None or not self.offers(Capability.CHARGE):
            return
        if example is None or not self.offers(Capability.REGISTER):
            if (issue := self.emulator.controls().get("issue_key")) is not None:
                self.shop.key = BillingKey(self.gates[0].name, str(issue("key-of-the-shops-payer")))
            return
        call = self.recorder.ask("pay", order=example.order_id, amount=example.money.amount)
        CALLING.set(call)
        checkout = self.carrier.whole(self.gates[0].register(example))
        self.recorder.bind(checkout.provider_id, example.order_id)
        query = self.emulator.browse(checkout.action.to_dict())
        self.shop.key = self.carrier.whole(self.gates[0].confirm_key(example.order_id, query))
        assert self.shop.key is not None
        # From here on the judge watches: a registration that takes money is not what is simulated.
        self.recorder.sync()
        self.judge.forget(example.order_id)

    # Calls of the merchant

    def _job(self, gate: int, call: int, task: Any, tell: Callable[[Any, BaseException | None], object]) -> Job:
        return Job(task, call, tell, gate)

    def _tell(self, call: int, order: Order | None, result: Any, error: BaseException | None,
              told_order: str | None = None) -> Said | None:
        said = said_by(result, error, order.id if order else None)
        if said is None:
            self.judge.found("raised", order.id if order else "call", f"{type(error).__name__}: {error}")
            return None
        self.said[said.word] += 1
        self.recorder.tell(call, said.word, said.amount, told_order)
        if order is not None and said.word not in ("bad", "busy"):
            order.told = said.word
        return said

    def _ask(self, verb: str, order: Order, amount: int | None = None) -> int:
        """The merchant asks to be paid: until it is told otherwise it does not know what became of the order."""
        order.told = ""
        return self.recorder.ask(verb, order=order.id, amount=amount or order.amount, cart=order.cart,
                                 currency=self.shop.currency, key=self.shop.key_of(order), due=order.due_s)

    def charge(self, order: Order, gate: int = 0, *, amount: int | None = None) -> Job:
        """Charge, or repeat a charge; with another `amount` it is a conflict."""
        verb = "charge" if amount is None else "conflict"
        call = self._ask(verb, order, amount)
        return self._job(gate, call, self.gates[gate].charge(self.shop.charge(order, amount=amount)),
                         lambda result, error: self._tell(call, order, result, error))

    def renew(self, order: Order, gate: int = 0) -> Job:
        """Charge a subscription's next period, or repeat that."""
        call = self._ask("charge", order)
        return self._job(gate, call, self.gates[gate].renew(self.shop.renew(order)),
                         lambda result, error: self._tell(call, order, result, error))

    def pay(self, order: Order, gate: int = 0) -> Job:
        """Ask for a window, of a payment or of a subscription's first one."""
        call = self._ask("pay", order)

        def tell(result: Any, error: BaseException | None) -> None:
            if error is None:
                order.checkout = result
                self.recorder.bind(result.provider_id, order.id)
            self._tell(call, order, result, error)

        asked = self.gates[gate]
        task = asked.pay(self.shop.pay(order)) if order.verb == "pay" else asked.subscribe(self.shop.subscribe(order))
        return self._job(gate, call, task, tell)

    def confirm(self, order: Order, query: dict[str, str], gate: int = 0) -> Job:
        """The browser comes back with `query`."""
        call, asked = self.recorder.ask("confirm", order=order.id), self.gates[gate]
        confirm = asked.confirm if order.verb == "pay" else asked.confirm_subscription

        def tell(result: Any, error: BaseException | None) -> None:
            if isinstance(result, Subscription):
                order.subscription = result.provider_id
            self._tell(call, order, result, error)

        return self._job(gate, call, confirm(order.id, query), tell)

    def refund(self, command: Any, gate: int = 0) -> Job:
        """Give back what `command` says."""
        amount = command.money.amount if isinstance(command, Cancel) else None
        call = self.recorder.ask("refund", order=command.order_id, intent=command.cancel_id, amount=amount,
                                 currency=self.shop.currency)
        verb = self.gates[gate].cancel if isinstance(command, Cancel) else self.gates[gate].cancel_whole
        return self._job(gate, call, verb(command),
                         lambda result, error: self._tell(call, None, result, error))

    def schedule(self, orders: list[Order], gate: int = 0) -> Job:
        """Have the PG hold dated charges; each order's `due_s` says when, counted from the story's start."""
        calls = {o.id: self._ask("schedule", o) for o in orders}
        start = self.shop.story.start
        command = self.shop.schedule(orders, lambda o: start + timedelta(seconds=o.due_s))
        return self._job(gate, calls[orders[0].id], self.gates[gate].schedule(command), self._tell_each(calls, orders))

    def unschedule(self, orders: list[Order], gate: int = 0) -> Job:
        """Stop dated charges."""
        calls = {o.id: self.recorder.ask("unschedule", order=o.id) for o in orders}
        return self._job(gate, calls[orders[0].id], self.gates[gate].unschedule(self.shop.unschedule(orders)),
                         self._tell_each(calls, orders, stops=True))

    def _tell_each(self, calls: dict[str, int], orders: list[Order], *, stops: bool = False
                   ) -> Callable[[Any, BaseException | None], None]:
        def tell(result: Any, error: BaseException | None) -> None:
            for n, order in enumerate(orders):
                if error is not None and stops:
                    said = said_by(None, error, order.id)
                    self.judge.found("raised", order.id, repr(error)) if said is None else None
                    continue  # A dated charge that could not be stopped stands as it stood.
                self._tell(calls[order.id], order, None if error else result[n], error)
        return tell

    def look(self, order: Order, gate: int = 0) -> Job:
        """Read an order: by our id where the PG can, else by its own."""
        call = self.recorder.ask("look", order=order.id)
        asked = self.gates[gate]
        theirs = order.checkout.provider_id if order.checkout is not None else None
        task = asked.find(order.id) if theirs is None or self.offers(Capability.FIND) else asked.lookup(theirs)
        return self._job(gate, call, task, lambda result, error: self._tell(
            call, None, result, None if isinstance(error, NotFound) else error))

    def receive(self, hook: Hook, gate: int = 0, *, body: bytes | None = None) -> Job:
        """A webhook arrives, true or with a `body` of somebody else's making."""
        call = self.recorder.ask("hook")

        def tell(result: Any, error: BaseException | None) -> None:
            named = isinstance(result, Event) and result.order_id in self.shop.orders
            if isinstance(result, Event) and result.is_news:
                self.news[result.id] += 1
                if self.news[result.id] > 1:
                    self.judge.found("told twice", result.id, "one fact was news more than once")
            self._tell(call, None, result, error, result.order_id if named else None)

        return self._job(gate, call, self.gates[gate].receive(hook.headers, hook.body if body is None else body), tell)

    def reconcile(self, gate: int = 0, limit: int = 100) -> Job:
        """The timetable's job runs."""
        call = self.recorder.ask("reconcile")
        return self._job(gate, call, self.gates[gate].reconcile(limit),
                         lambda result, error: self._tell(call, None, None, error))

    # Carrying calls out

    def run(self, jobs: Sequence[Job], fate: Fate | None = None) -> None:
        """Carry `jobs` out at once, to their end or that of their process."""
        if (dead := self.carrier.carry(jobs, fate or Fate())) is not None:
            self.restart(dead)
            self.deaths += 1

    def restart(self, n: int) -> None:
        """Process `n` begins anew: the same ledger, nothing else remembered."""
        self._leave(n)
        self.ledgers[n] = self.open_ledger(n)
        self.gates[n] = self._connect(n)

    def _leave(self, n: int) -> None:
        left = self.gates[n].close()
        if left is not None:
            self.carrier.whole(left)

    # The end

    def converge(self) -> None:
        """The faults are over: whatever is in doubt must be settled, or surfaced, by the timetable's end."""
        self.weather.is_bad = False
        for n in range(GATES):
            self.restart(n)
        for seconds in TIMETABLE_S:
            self.clock.advance(seconds)
            self.run([self.reconcile(limit=10_000)])
        self.recorder.sync()
        self.ended = self.rows()
        for row in self.ended:
            self.recorder.note("row", **plain(row))
        self.judge.end()

    def rows(self) -> list[Row]:
        """What the ledger says of every order and refund."""
        ledger, scope = self.ledgers[0], self.gates[0]._account.scope
        ids = [(Book.PAYMENT, o.id) for o in self.shop.orders.values()] + [
            (Book.CANCEL, r.cancel_id) for o in self.shop.orders.values() for r in o.refunds]
        return [row for book, id in ids if (row := ledger.get(scope, book, id)) is not None]

    def close(self) -> None:
        """Close both gateways. The ledgers are their owner's."""
        for n in range(GATES):
            self._leave(n)
        self.carrier.close()


def plain(row: Row) -> dict[str, Any]:
    """A row as the judge reads it."""
    held = json.loads(row.result) if row.result else {}
    paid = row.state is State.ANSWERED and (
        row.kind is not Kind.SCHEDULE or held.get("payment_status") in ("paid", "partly_cancelled", "cancelled"))
    return {"book": row.book.value, "id": row.id, "order": row.order_id, "state": row.state.value,
            "amount": row.money.amount if row.money is not None else None, "paid": paid and row.book is Book.PAYMENT,
            "attention": row.attention}
