"""What an emulator owes the judge: to say what a call asks for. Under one that says nothing, nothing is judged."""

from __future__ import annotations

from random import Random

from ...capability import Capability
from ...ledger.memory import MemoryLedger
from ...provider import ProviderSpec
from .shop import Order
from .world import World

C = Capability


class CannotJudge(ValueError):
    """The emulator does not say what is asked of the PG, so a simulation at it would prove nothing."""


def hear(spec: ProviderSpec) -> list[str]:
    """Play one calm day at the provider's emulator, and see that the judge hears of what is sent.

    Returns what is claimed and cannot be played. Raises: CannotJudge; Unsupported where there is no emulator.
    """
    ledger = MemoryLedger()
    world = World(spec, "duty", Random("duty"), lambda _: ledger, keep=True)
    try:
        _live(world)
    finally:
        world.close()
    heard = {(e["kind"], order) for e in world.recorder.history if e["what"] == "request" for order in e["orders"]}
    for order in world.shop.orders.values():
        missing = _unheard(world, order, heard)
        if missing:
            raise CannotJudge(
                f"{spec.name}: {type(world.emulator).__name__}.asks(call) does not say of {missing} that it is one: "
                "without it nothing that is sent can be judged")
    if C.CHARGE in spec.capabilities and not world.can_charge_keys:
        return [f"{spec.name}: no charge of a key is played: keys are not registered through the provider, and the "
                "emulator has no control issue_key"]
    return []


def _live(world: World) -> None:
    shop = world.shop
    if world.can_charge_keys:
        world.run([world.charge(shop.new("charge", 10_000))])
    elif shop.story.pay is not None and world.offers(C.PAY):
        _window(world, shop.new("pay", 10_000))
    if shop.story.subscribe is not None and world.offers(C.SUBSCRIBE, C.RENEW):
        _window(world, first := shop.new("subscribe", 10_000))
        if first.told == "paid":
            world.clock.advance(3_600)
            again = shop.new("renew", 10_000)
            again.renews = first.id
            world.run([world.renew(again)])
    for order in list(shop.orders.values()):
        if order.told == "paid" and order.verb != "subscribe" and world.offers(C.CANCEL):
            world.run([world.refund(shop.refund(order, None))])
    if world.can_charge_keys and shop.story.schedule is not None and world.offers(C.SCHEDULE):
        dated = shop.new("schedule", 10_000)
        dated.due_s = world.clock.monotonic() + 7_200
        world.run([world.schedule([dated])])


def _window(world: World, order: Order) -> None:
    world.run([world.pay(order)])
    if order.checkout is not None:
        query = world.emulator.browse(order.checkout.action.to_dict(), "approve")
        world.recorder.sync()
        world.run([world.confirm(order, query)])


def _unheard(world: World, order: Order, heard: set[tuple[str, str]]) -> str:
    """Which of the requests of an order the judge has not heard of, though what it asked for was done."""
    sends = {"charge": "charge", "renew": "charge", "schedule": "schedule"}.get(order.verb)
    done = order.told == "pending" if order.verb == "schedule" else bool(world.recorder.taken.get(order.id))
    if sends is not None and done and (sends, order.id) not in heard:
        return f"a {sends}"
    if world.recorder.given_back.get(order.id) and ("refund", order.id) not in heard:
        return "a refund"
    return ""
