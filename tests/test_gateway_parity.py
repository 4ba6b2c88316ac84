"""`Gateway` and `AsyncGateway` have the same verbs, and one story told through both has the same end."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, KEY, STORES, Shop, cancel, cancel_whole, charge, schedule, store, unschedule, won

import paygate
from paygate import AsyncGateway, DeleteKey, Gateway, Pay, PaygateError, Register, SchedulesOf
from paygate.testing.emulator import FaultKind

PLAIN = {"name", "provider", "is_test", "supports", "require", "joining"}
"""What asks nobody, and so needs no await."""


def verbs(kind: type) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}


def test_both_faces_have_the_same_verbs() -> None:
    assert set(verbs(Gateway)) == set(verbs(AsyncGateway))
    assert set(verbs(Gateway)) >= PLAIN | {"pay", "confirm", "charge", "cancel", "cancel_whole", "schedule",
                                           "unschedule",
                                           "find", "lookup", "receive", "reconcile", "pending", "attention", "trail",
                                           "resolve", "close"}


@pytest.mark.parametrize("name", sorted(set(verbs(Gateway)) - PLAIN))
def test_each_verb_is_asked_for_in_the_same_way_and_says_the_same_of_itself(name: str) -> None:
    sync, coroutine = getattr(Gateway, name), getattr(AsyncGateway, name)
    assert inspect.signature(sync) == inspect.signature(coroutine)
    assert not inspect.iscoroutinefunction(sync)
    assert inspect.iscoroutinefunction(coroutine)
    assert sync.__doc__ == coroutine.__doc__
    assert sync.__doc__


def test_both_are_made_in_the_same_way() -> None:
    sync, coroutine = inspect.signature(paygate.connect), inspect.signature(paygate.connect_async)
    assert list(sync.parameters) == list(coroutine.parameters)
    for name, one in sync.parameters.items():
        other = coroutine.parameters[name]
        assert (one.kind, one.default) == (other.kind, other.default)
        assert name == "http" or one.annotation == other.annotation


def told(ask: Any, *args: Any, **kwargs: Any) -> str:
    try:
        return repr(ask(*args, **kwargs))
    except (PaygateError, TypeError) as error:
        return f"{type(error).__name__}: {error} {getattr(error, 'code', None)} {getattr(error, 'message', None)}"


def story(shop: Shop) -> list[str]:
    """Everything a merchant may do, with some of it going wrong."""
    said: list[str] = [repr((shop.gate.name, shop.gate.provider, shop.gate.is_test, shop.gate.supports("charge")))]

    def do(verb: str, *args: Any, **kwargs: Any) -> None:
        shop.clock.advance(1)
        said.append(f"{verb}: {told(getattr(shop, verb), *args, **kwargs)}")

    back = "https://shop.example/back"
    pay = Pay(order_id="w1", money=won(5_000), title="Tea", return_url=back)
    register = Register(order_id="k1", money=won(5_000), title="Tea", return_url=back)
    do("pay", pay)
    do("confirm", "w1", {})
    do("confirm", "w1", shop.pg.payer("w1"))
    do("confirm", "w1", {"order_id": "other"})
    do("register", register)
    do("confirm_key", "k1", {})
    do("confirm_key", "k1", shop.pg.payer("k1"))
    do("charge", charge())
    do("charge", charge())
    do("charge", charge(amount=99))
    do("charge", charge("o2", 101))
    do("charge", charge("o3", 102))
    for kind in FaultKind:
        shop.pg.fault(kind, "^POST /charges$")
        do("charge", charge(f"f-{kind.value}"))
        shop.pg.faults.clear()
    do("cancel", cancel())
    do("cancel", cancel("c2", amount=20_000))
    do("cancel_whole", cancel_whole("c3"))
    do("cancel_whole", cancel_whole("c4"))
    planned = schedule(shop, "s1", "s2")
    do("schedule", planned)
    do("schedule", planned)
    do("find_schedule", "s1")
    do("find_schedule", "nothing")
    do("schedules",
       SchedulesOf(billing_key=KEY, start=planned.charges[0].due_at, end=shop.clock.now().replace(year=2027)))
    do("delete_key", DeleteKey(billing_key=KEY, reason="left"))
    do("unschedule", unschedule("s1"))
    shop.clock.advance(4_000)
    do("receive", shop.pg.hooks[-1].headers, shop.pg.hooks[-1].body)
    do("receive", {}, b"rubbish")
    do("receive", {}, b'{"order_id": "o1", "payment_id": "p999"}')
    do("reconcile")
    do("find", "o1")
    do("find", "nobody")
    do("lookup", "p1")
    do("lookup", "p999")
    do("lookup_key", KEY)
    do("delete_key", DeleteKey(billing_key=KEY, reason="left", force=True))
    do("lookup_key", KEY)
    do("resolve", "f-drop_before", "failed", by="Kim", why="the bank said so")
    do("resolve", "o1", "paid", by="", why="")
    shop.settle()
    do("pending")
    do("attention")
    said += [repr([(line.fence, line.state, line.note) for line in shop.trail(id)])
             for id in ("o1", "o2", "s1", "c1", "w1")]
    return said


def test_one_story_has_one_end_whichever_face_and_ledger_it_is_told_through(tmp_path: Path) -> None:
    ends: dict[tuple[str, str], list[str]] = {}
    for face in FACES:
        for kind in STORES:
            folder = tmp_path / f"{face}-{kind}"
            folder.mkdir()
            with Shop(face, store(kind, folder)) as shop:
                ends[face, kind] = [line.replace("AsyncGateway", "Gateway") for line in story(shop)]
    first = ends["sync", "memory"]
    for end in ends.values():
        for one, other in zip(first, end, strict=True):
            assert other == one


def test_a_gateway_closes_what_it_holds_and_says_who_it_is(tmp_path: Path) -> None:
    for face in FACES:
        folder = tmp_path / face
        folder.mkdir()
        ledger = store("sqlite", folder)
        with Shop(face, ledger) as shop:
            shop.charge(charge(f"o-{face}"))
            assert "fakepg" in repr(shop.gate)
        with pytest.raises(paygate.LedgerError):
            ledger.get("fakepg", paygate.ledger.row.Book.PAYMENT, "o1")  # type: ignore[attr-defined]


def test_what_is_not_offered_is_refused_by_name_before_a_byte_is_sent() -> None:
    from attrs import evolve

    from paygate import Capability, Unsupported, connect
    from paygate.testing.fakepg import FAKEPG
    from paygate.testing.transport import EmulatorTransport
    with Shop() as shop:
        shop.gate = connect(evolve(FAKEPG, capabilities=frozenset({Capability.PAY})), shop.pg.settings(),
                            ledger=shop.ledger,
                            http=EmulatorTransport(shop.pg), clock=shop.clock)
        assert shop.gate.supports("pay")
        assert not shop.gate.supports("pay", "charge")
        with pytest.raises(Unsupported, match="charge"):
            shop.gate.require("pay", "charge")
        with pytest.raises(ValueError, match="fly"):
            shop.gate.supports("fly")
        for ask in (lambda: shop.charge(charge()), lambda: shop.cancel(cancel()),
                    lambda: shop.cancel_whole(cancel_whole()),
                    lambda: shop.schedule(schedule(shop)), lambda: shop.unschedule(unschedule()),
                    lambda: shop.find("o1"),
                    lambda: shop.lookup("p1"), lambda: shop.lookup_key(KEY), lambda: shop.receive({}, b"{}"),
                    lambda: shop.find_schedule("s1"), lambda: shop.delete_key(DeleteKey(billing_key=KEY, reason="x"))):
            with pytest.raises(Unsupported) as caught:
                ask()
            assert caught.value.moved is False
        assert shop.pg.calls == []
        assert shop.pending() == []
