"""One shop and one PG, driven by Hypothesis: commands, faults, webhooks, deaths and time in any order, shrunk.

One model for every provider and every ledger. What may happen to a simulated world stands in simulation/world.py, and
who judges it in simulation/checker.py; here is only what Hypothesis may choose. Needs the extra `testing`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ..capability import Capability
from ..ledger.memory import MemoryLedger
from ..ledger.row import Book, Ledger, State
from ..ledger.rules import FOLLOWS
from ..provider import ProviderSpec
from .emulator import FaultKind
from .simulation.duty import hear
from .simulation.faults import Odd, Script
from .simulation.shop import Order
from .simulation.tasks import Fate, Job
from .simulation.world import GATES, World

Ledgers = Callable[[], AbstractContextManager[Callable[[int], Ledger]]]
"""For each example: what opens the ledger of process 0 or 1, and closes everything afterwards."""

_TROUBLES = sorted([*FaultKind, *Odd], key=lambda trouble: trouble.value)
_KINDS = ("charge", "refund", "schedule", "unschedule", "look", "token", "other", "")
_SLOTS = range(3)
_AMOUNTS = (10_000, 5_003, 1_210)
_PARTS = (400, 1, 5_000, None, 10_000)
_RARELY = st.sampled_from((False, False, False, True))
_SECONDS = (1, 40, 130, 700, 4_000, 90_000)


@contextmanager
def in_memory() -> Iterator[Callable[[int], Ledger]]:
    """One ledger in memory for both processes."""
    made = MemoryLedger()
    yield lambda _: made


def shop_machine(spec: ProviderSpec, ledgers: Ledgers = in_memory) -> type[ShopMachine]:
    """The machine of a provider that ships an emulator; its `.TestCase` is a test.

    After every step no money has been charged, lost or given back that should not have been, nothing was sent that may
    not be, nothing untrue was told, and states have only moved forward; in the end every doubt is settled or told to a
    person.

    Raises: CannotJudge where the emulator's `asks` does not say what is asked of it, so that nothing would be judged.
    """
    hear(spec)
    return type(f"Shop_{spec.name.replace('-', '_')}", (ShopMachine,), {"spec": spec, "ledgers": staticmethod(ledgers)})


class ShopMachine(RuleBasedStateMachine):
    """What a merchant with two processes, a payer, a bad network and a forger do to one ledger and one PG."""

    spec: ProviderSpec
    ledgers: Ledgers

    def __init__(self) -> None:
        super().__init__()
        self._slots: dict[tuple[str, int], Order] = {}
        self._states: dict[tuple[Book, str], State] = {}
        self._opened = ExitStack()
        self.world: World

    @initialize(seed=st.integers(0, 2**16), is_async=st.booleans())
    def open_shop(self, seed: int, is_async: bool) -> None:
        """Two processes of one merchant connect; a ledger that blocks is used by the blocking face alone."""
        opened = self._opened.enter_context(self.ledgers())
        # The name keeps the rows of this example apart where the ledger holds those of others; it decides nothing.
        self.world = World(self.spec, f"shop-{secrets.token_hex(4)}", Random(seed), opened, keep=True,
                           make_weather=Script, is_async=is_async and self.ledgers is in_memory)
        self._opened.callback(self.world.close)
        self.world.weather.is_bad = True

    def teardown(self) -> None:
        with self._opened:
            if hasattr(self, "world"):
                self.world.converge()
                self.nothing_is_violated()

    # The merchant

    def _order(self, verb: str, slot: int) -> Order:
        """The order of a slot: made the first time, repeated from then on."""
        if (verb, slot) not in self._slots:
            self._slots[verb, slot] = self.world.shop.new(verb, _AMOUNTS[slot])
        return self._slots[verb, slot]

    def _offers(self, *capabilities: Capability) -> bool:
        return self.world.offers(*capabilities)

    def _run(self, *jobs: Job | None, fate: Fate | None = None) -> None:
        """Carry calls out; those that could not be begun are None."""
        if begun := [job for job in jobs if job is not None]:
            self.world.run(begun, fate)

    def _charge(self, slot: int, gate: int, *, other: bool = False) -> Job | None:
        """A charge of a key, or a renewal where the PG has subscriptions instead; `other` changes the amount."""
        if self.world.shop.key is not None and self._offers(Capability.CHARGE):
            again = ("charge", slot) in self._slots
            order = self._order("charge", slot)
            return self.world.charge(order, gate, amount=order.amount + 1 if other and again else None)
        return self._renew(slot, gate)

    def _renew(self, slot: int, gate: int) -> Job | None:
        begun = self._slots.get(("subscribe", slot))
        if begun is None or begun.told != "paid" or not self._offers(Capability.RENEW):
            return None
        order = self._order("charge", slot)
        order.verb, order.renews = "renew", begun.id
        return self.world.renew(order, gate)

    def _paid(self, slot: int) -> Order | None:
        """A slot's order that may have been paid: charged if there is one, else through the window."""
        return self._slots.get(("charge", slot)) or self._slots.get(("pay", slot))

    def _refund(self, slot: int, part: int | None, gate: int) -> Job | None:
        order = self._paid(slot)
        needed = Capability.CANCEL if part is None else Capability.CANCEL_PARTLY
        if order is None or not self._offers(needed) or len(order.refunds) > 3:
            return None
        return self.world.refund(self.world.shop.refund(order, part), gate)

    @rule(slot=st.sampled_from(_SLOTS), other=_RARELY, gate=st.integers(0, GATES - 1))
    def charge(self, slot: int, other: bool, gate: int) -> None:
        """The first time, again, or with another amount."""
        self._run(self._charge(slot, gate, other=other))

    @rule(slot=st.sampled_from(_SLOTS), trouble=st.sampled_from(_TROUBLES), times=st.sampled_from((1, 1, 2)),
          kind=st.sampled_from(("charge", "charge", "look", "token")))
    def charge_that_goes_wrong(self, slot: int, trouble: FaultKind | Odd, times: int, kind: str) -> None:
        """The trouble meets this very charge, or its look-up."""
        self._dial(kind, trouble, times)
        self._run(self._charge(slot, 0))

    @rule(slot=st.sampled_from(_SLOTS), part=st.sampled_from(_PARTS), trouble=st.sampled_from(_TROUBLES),
          kind=st.sampled_from(("refund", "refund", "look")))
    def refund_that_goes_wrong(self, slot: int, part: int | None, trouble: FaultKind | Odd, kind: str) -> None:
        self._dial(kind, trouble, 1)
        self._run(self._refund(slot, part, 0))

    @rule(slot=st.sampled_from(_SLOTS), gate=st.integers(0, GATES - 1), verb=st.sampled_from(("pay", "subscribe")),
          action=st.sampled_from(("approve", "approve", "decline", "close", "")), comes_back=st.booleans())
    def window(self, slot: int, gate: int, verb: str, action: str, comes_back: bool) -> None:
        """A window is asked for, perhaps again, and the payer does something there, or nothing yet."""
        story = self.world.shop.story
        if verb == "subscribe" and (story.subscribe is None or not self._offers(Capability.SUBSCRIBE)):
            verb = "pay"
        if verb == "subscribe" or (story.pay is not None and self._offers(Capability.PAY)):
            self._run(self.world.pay(self._order(verb, slot), gate))
            self._acts(verb, slot, action, comes_back)

    @rule(slot=st.sampled_from(_SLOTS), verb=st.sampled_from(("pay", "subscribe")), comes_back=st.booleans(),
          action=st.sampled_from(("approve", "decline", "close")))
    def payer(self, slot: int, verb: str, action: str, comes_back: bool) -> None:
        self._acts(verb, slot, action, comes_back)

    def _acts(self, verb: str, slot: int, action: str, comes_back: bool) -> None:
        order = self._slots.get((verb, slot))
        if not action or order is None or order.checkout is None or self.world.recorder.taken.get(order.id):
            return  # A PG shows no window of an order that has been paid.
        if order.query is not None and not self.world.judge.rules.askable:
            return  # Of a second window nobody hears if its return and its webhook are lost.
        try:
            order.query = query = self.world.emulator.browse(order.checkout.action.to_dict(), action)
        except ValueError:
            return  # The window is closed, or the order is paid: the PG says so to the payer.
        self.world.recorder.sync()
        if comes_back:
            self._run(self.world.confirm(order, query))

    @rule(slot=st.sampled_from(_SLOTS), other=st.sampled_from(_SLOTS), verb=st.sampled_from(("pay", "subscribe")),
          gate=st.integers(0, GATES - 1))
    def confirm(self, slot: int, other: int, verb: str, gate: int) -> None:
        """With the browser's own query, or with another payer's."""
        order, brought = self._slots.get((verb, slot)), self._slots.get((verb, other))
        if order is not None and order.checkout is not None:
            self._run(self.world.confirm(order, (brought and brought.query) or {}, gate))

    @rule(slot=st.sampled_from(_SLOTS), part=st.sampled_from(_PARTS), gate=st.integers(0, GATES - 1))
    def give_back(self, slot: int, part: int | None, gate: int) -> None:
        self._run(self._refund(slot, part, gate))

    @rule(slot=st.sampled_from(_SLOTS), number=st.integers(0, 3))
    def give_back_again(self, slot: int, number: int) -> None:
        order = self._paid(slot)
        if order is not None and number < len(order.refunds):
            self._run(self.world.refund(order.refunds[number]))

    @rule(slots=st.lists(st.sampled_from(_SLOTS), min_size=1, max_size=3, unique=True), hours=st.integers(1, 3))
    def schedule(self, slots: list[int], hours: int) -> None:
        if self.world.shop.key is None or self.world.shop.story.schedule is None \
                or not self._offers(Capability.SCHEDULE):
            return
        orders = [self._order("schedule", slot) for slot in slots]
        now = self.world.clock.monotonic()
        for order in orders:
            order.due_s = order.due_s or now + 3_600.0 * hours
        if all((order.due_s or 0.0) > now for order in orders):
            self._run(self.world.schedule(orders))

    @rule(slots=st.lists(st.sampled_from(_SLOTS), min_size=1, max_size=3, unique=True))
    def unschedule(self, slots: list[int]) -> None:
        orders = [self._slots["schedule", slot] for slot in slots if ("schedule", slot) in self._slots]
        if orders and self._offers(Capability.UNSCHEDULE):
            self._run(self.world.unschedule(orders))

    @rule(verb=st.sampled_from(("charge", "pay")), slot=st.sampled_from(_SLOTS), gate=st.integers(0, GATES - 1))
    def look(self, verb: str, slot: int, gate: int) -> None:
        order = self._slots.get((verb, slot))
        if order is not None and (self._offers(Capability.FIND) or (order.checkout and order.checkout.provider_id)):
            self._run(self.world.look(order, gate))

    @rule(gate=st.integers(0, GATES - 1))
    def reconcile(self, gate: int) -> None:
        self._run(self.world.reconcile(gate))

    @rule(slot=st.sampled_from(_SLOTS), part=st.sampled_from((400, None)), other=_RARELY,
          both=st.sampled_from(("charge twice", "charge and refund", "two refunds", "charge and reconcile")),
          dies_after=st.none() | st.integers(0, 12), stands_still=st.booleans())
    def at_once(self, slot: int, part: int | None, other: bool, both: str, dies_after: int | None,
                stands_still: bool) -> None:
        """Two processes at once, effect by effect; one may die, or both stand still for minutes."""
        first = self._refund(slot, part, 0) if both == "two refunds" else self._charge(slot, 0)
        match both:
            case "charge twice":
                second = self._charge(slot, 1, other=other)
            case "charge and reconcile":
                second = self.world.reconcile(1)
            case _:
                second = self._refund(slot, 400, 1)
        self._run(first, second, fate=Fate(dies_after=dies_after, pause=0.2 if stands_still else 0.0))

    # Others

    @precondition(lambda self: self.world.waiting_hooks)
    @rule(place=st.integers(0, 5), times=st.integers(1, 3), gate=st.integers(0, GATES - 1))
    def true_hook(self, place: int, times: int, gate: int) -> None:
        """In any order, perhaps several times."""
        if not self._offers(Capability.RECEIVE):
            return
        hook = self.world.waiting_hooks.pop(place % len(self.world.waiting_hooks))
        self.world.told_hooks.append(hook)
        for _ in range(times):
            self._run(self.world.receive(hook, gate))

    @precondition(lambda self: self.world.told_hooks or self.world.waiting_hooks)
    @rule(place=st.integers(0, 5), one=st.integers(0, 7), other=st.integers(0, 7))
    def false_hook(self, place: int, one: int, other: int) -> None:
        """One that names another order, or says paid where it was not."""
        orders = list(self.world.shop.orders.values())
        if not orders or not self._offers(Capability.RECEIVE):
            return
        hooks = [*self.world.told_hooks, *self.world.waiting_hooks]
        hook = hooks[place % len(hooks)]
        named, forged = (orders[n % len(orders)].id.encode() for n in (one, other))
        self._run(self.world.receive(hook, body=hook.body.replace(named, forged).replace(b"failed", b"paid")))

    @rule(outcome=st.sampled_from(("failed", "code")))
    def pg_declines_the_next(self, outcome: str) -> None:
        if "next_charge" in (controls := self.world.emulator.controls()):
            # A renewal that failed is tried again by the PG itself, days later: that is no charge of this merchant's.
            controls["next_charge"]("code" if self._offers(Capability.RENEW) else outcome)

    @rule(slot=st.sampled_from(_SLOTS), status=st.sampled_from(("paid", "failed")))
    def pg_finishes(self, slot: int, status: str) -> None:
        """What the PG left pending or declined is decided after all."""
        order, controls = self._slots.get(("charge", slot)), self.world.emulator.controls()
        if order is not None and "finish" in controls and not self.world.recorder.taken.get(order.id):
            controls["finish"](order.id, status)
            self.world.recorder.sync()

    def _dial(self, kind: str, trouble: FaultKind | Odd, times: int) -> None:
        assert isinstance(self.world.weather, Script)
        self.world.weather.dialled += [(kind, trouble)] * times

    @rule(kind=st.sampled_from(_KINDS), trouble=st.sampled_from(_TROUBLES), times=st.sampled_from((1, 1, 2, 5)))
    def trouble(self, kind: str, trouble: FaultKind | Odd, times: int) -> None:
        self._dial(kind, trouble, times)

    @rule()
    def calm(self) -> None:
        assert isinstance(self.world.weather, Script)
        self.world.weather.dialled.clear()

    @rule(seconds=st.sampled_from(_SECONDS))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.advance(seconds)
        self.world.recorder.sync()

    @rule(gate=st.integers(0, GATES - 1))
    def restart(self, gate: int) -> None:
        """Another process: the same ledger, nothing else remembered."""
        self.world.restart(gate)

    # What must hold

    @invariant()
    def nothing_is_violated(self) -> None:
        """No double, lost, phantom, stuck or unsafe resend, no over-refund; nothing untrue was told."""
        if hasattr(self, "world"):
            found = self.world.judge.violations
            assert not found, "\n".join(map(str, found))

    @invariant()
    def states_only_move_forward(self) -> None:
        if not hasattr(self, "world"):
            return
        for row in self.world.rows():
            before = self._states.get((row.book, row.id), row.state)
            assert row.state in _reached(before), f"{row.id} went from {before} to {row.state}"
            self._states[row.book, row.id] = row.state


def _reached(state: State) -> set[Any]:
    """What may follow a state in any number of steps."""
    reached, todo = {state}, [state]
    while todo:
        todo += (new := [s for s in FOLLOWS[todo.pop()] if s not in reached])
        reached |= set(new)
    return reached
