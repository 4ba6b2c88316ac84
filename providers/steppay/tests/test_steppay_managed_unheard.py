"""Renewals of managed subscriptions whose webhooks never came, or came too late to be believed: told once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator

from paygate.assemble import connect
from paygate.errors import Forged
from paygate.ledger import MemoryLedger
from paygate.ledger.row import Book, State
from paygate.model import Event, EventKind
from paygate.money import Money
from paygate.subscriptions import Interval, Unsubscribe
from paygate.testing.emulator import FaultKind
from paygate.testing.transport import EmulatorTransport
from paygate.web import Inbox

SPEC = next(s for s in paygate_providers() if s.name == "steppay-managed")
FEE = Money(9_900, "KRW")
DAY = 86_400.0


class Shop:
    """A merchant with one subscription whose webhooks go nowhere, and whose inbox works every hour."""

    def __init__(self) -> None:
        self.pg = ManagedEmulator()
        self.ledger = MemoryLedger()
        self.gate = connect(SPEC, self.pg.settings(), ledger=self.ledger, http=EmulatorTransport(self.pg),
                            clock=self.pg.clock)
        self.inbox = Inbox(self.gate)
        self.heard: list[Event] = []
        self.inbox.on("subscription_renewed", "renewal_failed", "unmatched")(self.heard.append)
        story = self.pg.story().subscribe
        assert story is not None
        window = self.gate.subscribe(evolve(story, order_id="sub-1", money=FEE, every=Interval("month")))
        self.gate.confirm_subscription("sub-1", self.pg.browse(window.action.to_dict()))

    def days(self, days: float, each_s: float = 21_600.0) -> None:
        for _ in range(int(days * DAY / each_s)):
            self.pg.clock.advance(each_s)
            self.inbox.work()

    def kinds(self) -> list[tuple[EventKind, str | None]]:
        return [(event.kind, event.order_id) for event in self.heard]

    def reads(self) -> int:
        return sum("/subscriptions/" in call.path for call in self.pg.calls)


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.gate.close()
    made.ledger.close()


def test_a_renewal_that_no_webhook_told_is_heard_of_once(shop: Shop) -> None:
    shop.days(40)
    assert shop.kinds() == [(EventKind.SUBSCRIPTION_RENEWED, "sub-1")]
    shop.days(62)
    assert shop.kinds() == [(EventKind.SUBSCRIPTION_RENEWED, "sub-1")] * 3
    assert len({event.id for event in shop.heard}) == 3
    assert {str(event.payment and event.payment.money) for event in shop.heard} == {"9,900 KRW"}
    assert shop.gate.attention() == []


def test_the_pg_is_asked_about_a_subscription_once_a_period(shop: Shop) -> None:
    shop.days(2)
    before = shop.reads()
    shop.days(25)
    assert shop.reads() == before
    shop.days(10)
    assert 1 <= shop.reads() - before <= 4


def test_a_signed_webhook_that_was_refused_as_too_old_is_made_up_for(shop: Shop) -> None:
    shop.days(29)
    before = len(shop.pg.hooks)
    shop.pg.clock.advance(4 * DAY)
    late = shop.pg.hooks[before:]
    assert late
    for hook in late:
        with pytest.raises(Forged):
            shop.inbox.receive(hook.headers, hook.body)
    assert shop.kinds() == []

    shop.inbox.work()

    assert shop.kinds() == [(EventKind.SUBSCRIPTION_RENEWED, "sub-1")]


def test_a_renewal_that_was_told_is_not_told_again(shop: Shop) -> None:
    shop.pg.on_hook = lambda hook: shop.inbox.receive(hook.headers, hook.body)
    shop.days(40)
    assert shop.kinds() == [(EventKind.SUBSCRIPTION_RENEWED, "sub-1")]


def test_a_pg_that_cannot_be_asked_is_asked_again(shop: Shop) -> None:
    shop.days(28)
    shop.pg.fault(FaultKind.ERROR_500_BEFORE, on="GET.*", times=10_000)
    shop.days(7)
    assert shop.kinds() == []
    shop.pg.faults.clear()
    shop.days(1)
    assert shop.kinds() == [(EventKind.SUBSCRIPTION_RENEWED, "sub-1")]


def test_one_that_has_ended_is_left_alone(shop: Shop) -> None:
    shop.gate.unsubscribe(Unsubscribe(order_id="sub-1", when="now"))
    shop.days(35)
    before = len(shop.pg.calls)
    shop.days(70, each_s=DAY)
    assert len(shop.pg.calls) == before
    assert shop.kinds() == []


def test_one_that_never_began_is_forgotten_after_a_month(shop: Shop) -> None:
    story = shop.pg.story().subscribe
    assert story is not None
    shop.gate.subscribe(evolve(story, order_id="sub-2", money=FEE, every=Interval("month")))
    shop.days(40, each_s=DAY)
    row = shop.ledger.get(f"{shop.gate._account.scope}/periods", Book.EVENT, "sub-2")
    assert row is not None
    assert (row.state, row.check_at) == (State.NOT_SENT, None)
