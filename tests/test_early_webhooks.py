"""Webhooks that come before the PG's own record does, or while it cannot be asked: told later, never lost.

At a PG that cannot be asked by our order id, a payment that nobody told of is never found otherwise (row F34). Anybody
can post an unsigned webhook (S15).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, Shop, won

from paygate import Capability, Event, Flow, Forged, Hint, OutcomeUnknown, Pay, Payment, State
from paygate.procedures import early
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FAKEPG, FakeProvider
from paygate.web import AsyncInbox, Inbox

FOR_EVER = 1e12


class Late(FakeProvider):
    """FakePG, whose records may be behind, and whose webhooks may be signed."""

    behind = 0
    signs = False

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        found = yield from super().lookup(provider_id, order_id)
        if self.behind > 0:
            self.behind -= 1
            return None
        return found

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        hint = super().read_webhook(headers, body, now)
        return evolve(hint, is_signed=self.signs, identity=f"message of {hint.order_id}")


class Told:
    """A shop with an inbox."""

    def __init__(self, face: str, *, without: frozenset[Capability] = frozenset({Capability.FIND, Capability.LISTING}),
                 rate: float = 5.0) -> None:
        spec = evolve(FAKEPG, build=Late, capabilities=FAKEPG.capabilities - without)
        self.shop = Shop(face, spec=spec)
        self.events: list[Event] = []
        made: Any = Inbox if face == "sync" else AsyncInbox
        self.inbox = made(self.shop.gate, lookups_per_s=rate)
        self.inbox.on("payment_paid", "unmatched")(self.events.append)
        self.provider: Any = self.shop.gate._account.provider

    def pay(self, order_id: str = "o1") -> str:
        """The payer pays, and closes the browser: the payment's id."""
        self.shop.pay(Pay(order_id=order_id, money=won(14_000), title="Tea", return_url="https://shop.example/back"))
        return str(self.shop.pg.payer(order_id)["payment_id"])

    def hook(self, payment_id: str, order_id: str = "o1") -> None:
        self._run(self.inbox.receive, {}, json.dumps({"order_id": order_id, "payment_id": payment_id}).encode())

    def work(self, after_s: float = 0.0) -> None:
        self.shop.clock.advance(after_s)
        self._run(self.inbox.work)

    def _run(self, verb: Callable[..., Any], *args: Any) -> None:
        came = verb(*args)
        if asyncio.iscoroutine(came):
            assert self.shop._runner is not None
            self.shop._runner.run(came)

    def waiting(self) -> list[Any]:
        rows: list[Any] = self.shop.ledger.due(early.place(self.shop.gate._account), FOR_EVER, 1000)
        return rows

    def lookups(self) -> int:
        return sum(call.method == "GET" for call in self.shop.pg.calls)

    def state(self, order_id: str = "o1") -> State:
        return self.shop.row(order_id).state


@pytest.fixture(params=FACES)
def told(request: pytest.FixtureRequest) -> Iterator[Told]:
    made = Told(request.param)
    with made.shop:
        yield made


def test_an_unsigned_webhook_that_is_quicker_than_the_record_is_looked_up_again(told: Told) -> None:
    id = told.pay()
    told.provider.behind = 2

    with pytest.raises(Forged):
        told.hook(id)
    assert (told.state(), told.events) == (State.SENT, [])
    told.work(6)
    assert (told.state(), told.events) == (State.SENT, [])
    told.work(26)

    assert told.state() is State.ANSWERED
    assert [e.order_id for e in told.events] == ["o1"]
    assert told.waiting() == []
    told.hook(id)
    told.work(86_400)
    assert len(told.events) == 1


def test_a_signed_one_too_though_the_pg_is_asked_to_send_it_again(told: Told) -> None:
    id = told.pay()
    told.provider.behind, told.provider.signs = 1, True

    with pytest.raises(OutcomeUnknown):
        told.hook(id)
    told.work(6)

    assert (told.state(), [e.order_id for e in told.events]) == (State.ANSWERED, ["o1"])


@pytest.mark.parametrize("kind", [FaultKind.ERROR_500_BEFORE, FaultKind.REFUSE], ids=lambda kind: kind.value)
def test_a_pg_that_cannot_be_asked_when_its_webhook_comes_is_asked_later(told: Told, kind: FaultKind) -> None:
    id = told.pay()
    told.shop.pg.fault(kind, on="GET.*", times=9)
    with pytest.raises(OutcomeUnknown):
        told.hook(id)
    told.shop.pg.faults.clear()

    told.work(6)

    assert (told.state(), [e.order_id for e in told.events]) == (State.ANSWERED, ["o1"])


def test_what_a_webhook_names_does_not_stand_in_the_ledger_as_it_is(told: Told) -> None:
    # At some PGs it is a billing key.
    with pytest.raises(Forged):
        told.hook("p1-0000000000000000")

    row, = told.waiting()
    assert "p1-0000000000000000" not in repr(row)


def test_a_record_that_says_otherwise_changes_nothing_later_either(told: Told) -> None:
    other = told.pay("o2")
    told.pay()
    told.provider.behind = 1
    with pytest.raises(Forged):
        told.hook(other, "o1")

    told.work(6)

    assert (told.state("o1"), told.state("o2"), told.waiting()) == (State.SENT, State.SENT, [])


def test_it_is_given_up_after_six_hours_and_kept_again_when_it_comes_again(told: Told) -> None:
    with pytest.raises(Forged):
        told.hook("p9-0000000000000000")
    before = told.lookups()
    for _ in range(30):
        told.work(3600)
    assert (told.lookups() - before, told.waiting()) == (6, [])

    with pytest.raises(Forged):
        told.hook("p9-0000000000000000")

    assert len(told.waiting()) == 1


@pytest.mark.parametrize("face", FACES)
def test_where_reconciling_finds_our_orders_an_unsigned_one_is_not_kept(face: str) -> None:
    told = Told(face, without=frozenset())
    with told.shop, pytest.raises(Forged):
        told.hook("p9-0000000000000000")
    assert told.waiting() == []


def test_a_flood_of_invented_ones_is_bounded_and_a_true_one_is_still_found() -> None:
    told = Told("sync", rate=5.0)
    with told.shop:
        id = told.pay()
        began, asked = told.shop.clock.monotonic(), told.lookups()
        for n in range(500):
            told.shop.clock.advance(0.1)
            if n == 300:
                told.provider.behind = 1
                with pytest.raises(Forged):
                    told.hook(id)
            with pytest.raises((Forged, OutcomeUnknown)):
                told.hook(f"p1-{n:016d}", f"invented-{n}")
            if n % 100 == 0:
                told.work()

        assert told.lookups() - asked <= 7.5 * (told.shop.clock.monotonic() - began) + 155
        assert len(told.waiting()) <= early.MOST
        for _ in range(3):
            told.work(60)
        assert (told.state(), [e.order_id for e in told.events]) == (State.ANSWERED, ["o1"])


def test_what_came_first_and_was_looked_up_most_often_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "MOST", 3)
    told = Told("sync", rate=1000.0)
    with told.shop:
        for n in range(5):
            with pytest.raises(Forged):
                told.hook(f"p1-{n:016d}")
            told.work(6)
        assert len(told.waiting()) == 3
