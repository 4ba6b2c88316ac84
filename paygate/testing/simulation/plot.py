"""What happens in a simulated world, drawn from its seed: who buys, who gives back, who lies, who dies, and when."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import define, field

from ...capability import Capability
from ..emulator import Hook
from .shop import Order
from .tasks import Fate, Job
from .world import GATES, World

AMOUNTS = 5
"""How many different prices a shop has."""


@define(eq=False)
class Plot:
    """Lets things happen in `world` until it has made `orders` orders."""

    world: World
    orders: int
    rng: Random = field(init=False)
    amounts: list[int] = field(init=False)
    steps: int = 0
    _wanted: list[tuple[Callable[[], Job | None], float]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rng = self.world.rng
        self.amounts = [self.rng.randrange(1_000, 50_000) for _ in range(AMOUNTS)]
        offers, story = self.world.offers, self.world.shop.story
        can_charge = self.world.can_charge_keys
        wanted: list[tuple[Callable[[], Job | None], float, bool]] = [
            (self.charge, 30, can_charge),
            (self.pay, 8 if can_charge else 16, offers(Capability.PAY) and story.pay is not None),
            (self.subscribe, 3, offers(Capability.SUBSCRIBE, Capability.RENEW) and story.subscribe is not None),
            (self.renew, 20, offers(Capability.RENEW) and story.subscribe is not None),
            (self.again, 8, True),
            (self.conflict, 2, can_charge),
            (self.payer_acts, 12 if can_charge else 24, True),
            (self.confirm, 8 if can_charge else 16, True),
            (self.give_back, 9, offers(Capability.CANCEL)),
            (self.give_back_again, 4, offers(Capability.CANCEL)),
            (self.schedule, 4, can_charge and offers(Capability.SCHEDULE) and story.schedule is not None),
            (self.unschedule, 3, offers(Capability.UNSCHEDULE) and story.schedule is not None),
            (self.true_hook, 14, offers(Capability.RECEIVE)),
            (self.forged_hook, 2, offers(Capability.RECEIVE)),
            (self.look, 4, True),
            (self.reconcile, 9, True),
            (self.time_passes, 9, True),
            (self.pg_decides, 3, True),
        ]
        self._wanted = [(do, weight) for do, weight, offered in wanted if offered]

    def play(self) -> None:
        """Everything, from the first order to the last."""
        self.world.weather.is_bad = True
        doings, weights = [d for d, _ in self._wanted], [w for _, w in self._wanted]
        while len(self.world.shop.orders) < self.orders:
            self.steps += 1
            together = 1 if self.rng.random() < 0.8 else self.rng.choice((2, 2, 3))
            jobs = [job for do in self.rng.choices(doings, weights, k=together) if (job := do()) is not None]
            if jobs:
                self._run(jobs)

    def _run(self, jobs: list[Job]) -> None:
        fate = self.rng.random()
        if fate < 0.06:
            self.world.run(jobs, Fate(dies_after=self.rng.randrange(0, 14), dies=jobs[0].gate))
        elif fate < 0.08:
            self.world.run(jobs, Fate(interrupts_at=self.rng.randrange(0, 8)))
        else:
            self.world.run(jobs, Fate(pause=0.04) if len(jobs) > 1 else None)

    # Each does or begins one thing; None where there is nothing to do it with, or it is over at once

    def _gate(self) -> int:
        return self.rng.randrange(GATES)

    def _one(self, fits: Callable[[Order], bool]) -> Order | None:
        """An order that fits, rather a recent one."""
        found = [o for o in list(self.world.shop.orders.values())[-12:] if fits(o)]
        return self.rng.choice(found) if found else None

    def charge(self) -> Job | None:
        declined = self._one(lambda o: o.verb == "charge" and o.told == "no")
        cart = declined.cart if declined is not None and self.rng.random() < 0.3 and self._is_last(declined) else None
        return self.world.charge(self.world.shop.new("charge", self.rng.choice(self.amounts), cart), self._gate())

    def _is_last(self, order: Order) -> bool:
        return not any(o.cart == order.cart and o.id > order.id for o in self.world.shop.orders.values())

    def again(self) -> Job | None:
        order = self._one(self._is_last)
        if order is None:
            return None
        if order.verb == "schedule":
            return self._schedule([order])
        verbs = {"charge": self.world.charge, "renew": self.world.renew}
        return verbs.get(order.verb, self.world.pay)(order, self._gate())

    def conflict(self) -> Job | None:
        order = self._one(lambda o: o.verb == "charge")
        return None if order is None else self.world.charge(order, self._gate(), amount=order.amount + 1)

    def pay(self) -> Job | None:
        return self.world.pay(self.world.shop.new("pay", self.rng.choice(self.amounts)), self._gate())

    def subscribe(self) -> Job | None:
        return self.world.pay(self.world.shop.new("subscribe", self.rng.choice(self.amounts)), self._gate())

    def renew(self) -> Job | None:
        """Renew a subscription that has begun."""
        orders = self.world.shop.orders.values()
        begun = [o for o in orders if o.verb == "subscribe" and o.told == "paid"]
        if not begun:
            return None
        sub = self.rng.choice(begun)
        order = self.world.shop.new("renew", sub.amount)
        order.renews = sub.id
        return self.world.renew(order, self._gate())

    def payer_acts(self) -> None:
        order = self._one(lambda o: o.checkout is not None)
        if order is None or order.checkout is None or self.world.recorder.taken.get(order.id):
            return  # A PG shows no window of an order that has been paid.
        if order.query is not None and not self.world.judge.rules.askable:
            return  # A second window of such an order is known to nobody if its return and its webhook are lost.
        try:
            order.query = self.world.emulator.browse(order.checkout.action.to_dict(), self.rng.choices(
                ("approve", "decline", "close"), (8, 1, 1))[0])
        except ValueError:
            pass  # The window is closed, or the order is paid: the PG says so to the payer.
        self.world.recorder.sync()

    def confirm(self) -> Job | None:
        order = self._one(lambda o: o.checkout is not None)
        if order is None:
            return None
        query = order.query or {}
        if self.rng.random() < 0.05:
            other = self._one(lambda o: o.query is not None)
            query = (other and other.query) or query
        return self.world.confirm(order, query, self._gate())

    def give_back(self) -> Job | None:
        order = self._one(lambda o: o.told in ("paid", "unknown", "pending") or self.rng.random() < 0.05)
        if order is None:
            return None
        partly = self.world.offers(Capability.CANCEL_PARTLY) and self.rng.random() < 0.75
        amount = self.rng.randrange(1, order.amount + 1) if partly else None
        return self.world.refund(self.world.shop.refund(order, amount), self._gate())

    def give_back_again(self) -> Job | None:
        order = self._one(lambda o: bool(o.refunds))
        return None if order is None else self.world.refund(self.rng.choice(order.refunds), self._gate())

    def schedule(self) -> Job | None:
        shop = self.world.shop
        made = [shop.new("schedule", self.rng.choice(self.amounts)) for _ in range(self.rng.choice((1, 1, 2, 3)))]
        for order in made:
            order.due_s = self.world.clock.monotonic() + self.rng.randrange(300, 20_000)
        return self.world.schedule(made, self._gate())

    def _schedule(self, orders: list[Order]) -> Job | None:
        if any((o.due_s or 0.0) <= self.world.clock.monotonic() for o in orders):
            return None
        return self.world.schedule(orders, self._gate())

    def unschedule(self) -> Job | None:
        order = self._one(lambda o: o.verb == "schedule")
        return None if order is None else self.world.unschedule([order], self._gate())

    def true_hook(self) -> Job | None:
        """A webhook that the PG sent arrives: rather the oldest, perhaps once more, perhaps never."""
        waiting, told = self.world.waiting_hooks, self.world.told_hooks
        if waiting and self.rng.random() < 0.1:
            waiting.pop(self.rng.randrange(len(waiting)))
            return None
        if waiting and (not told or self.rng.random() < 0.85):
            hook = waiting.pop(0 if self.rng.random() < 0.7 else self.rng.randrange(len(waiting)))
            told.append(hook)
        elif told:
            hook = self.rng.choice(told[-10:])
        else:
            return None
        return self.world.receive(hook, self._gate())

    def forged_hook(self) -> Job | None:
        hooks: list[Hook] = [*self.world.waiting_hooks, *self.world.told_hooks][-10:]
        one, other = self._one(lambda o: True), self._one(lambda o: True)
        if not hooks or one is None or other is None:
            return None
        hook = self.rng.choice(hooks)
        body = hook.body.replace(one.id.encode(), other.id.encode()).replace(b"failed", b"paid")
        return self.world.receive(hook, self._gate(), body=body)

    def look(self) -> Job | None:
        can_find = self.world.offers(Capability.FIND)
        order = self._one(lambda o: o.verb != "schedule" and (can_find or (
            o.checkout is not None and o.checkout.provider_id is not None)))
        return None if order is None else self.world.look(order, self._gate())

    def reconcile(self) -> Job:
        return self.world.reconcile(self._gate())

    def time_passes(self) -> None:
        self.world.clock.advance(self.rng.choice((1, 6, 31, 31, 70, 125, 125, 650, 4_000)))
        self.world.recorder.sync()

    def pg_decides(self) -> None:
        """The PG declines the next charge, or finishes one that it had left pending or declined."""
        controls = self.world.emulator.controls()
        if "next_charge" in controls:
            # A renewal that failed is tried again by the PG itself, days later: that is no charge of this merchant's.
            renews = self.world.offers(Capability.RENEW)
            controls["next_charge"]("code" if renews else self.rng.choice(("failed", "failed", "code")))
            return
        journal = self.world.emulator.journal
        order = self._one(lambda o: o.told in ("pending", "unknown", "no") and not journal.charges(o.id))
        if "finish" in controls and order is not None:
            controls["finish"](order.id, self.rng.choice(("paid", "failed")))
            self.world.recorder.sync()
