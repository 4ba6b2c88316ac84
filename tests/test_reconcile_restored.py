"""F43: a backup was restored, so the ledger has forgotten. What the PG knows beyond it is for a person, never sent.

A restored ledger is played by connecting to the same PG with another ledger that knows less.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from shop import FACES, Shop, cancel, cancel_whole, charge, store, won

from paygate import (
    BadCommand,
    CancelGuard,
    InProgress,
    MemoryLedger,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    State,
    assumed,
    connect,
)
from paygate.codec import dump, load
from paygate.ledger.row import Note
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def restored(face: str, before: Shop, *, knows_charge: bool = True, lists_refunds: bool = True) -> Shop:
    """The shop after its backup was restored: it knows the charge of o1 (or not even that), and no refund.

    `lists_refunds`: whether the PG tells each refund, or only how much was given back.
    """
    ledger = MemoryLedger()
    if knows_charge:
        row = before.row("o1")
        paid = load(row.result, Payment)
        ledger.open([evolve(row, result=dump(evolve(paid, status=PaymentStatus.PAID, cancelled=won(0),
                                                    cancellations=())))],
                    Note(text="from the backup", at=1.0, by="host:1"))
    if not lists_refunds:
        before.pg.payments["p1"]["refunds"] = []
    return Shop(face, ledger, pg=before.pg)


def refund_calls(shop: Shop) -> int:
    return sum(c.path.endswith("/refunds") for c in shop.pg.calls)


@pytest.mark.parametrize("knows_charge", [True, False])
@pytest.mark.parametrize("lists_refunds", [True, False])
def test_a_forgotten_refund_asked_for_again_is_not_given_again(face: str, lists_refunds: bool,
                                                               knows_charge: bool) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("c1", amount=4_000))
        with restored(face, first, knows_charge=knows_charge, lists_refunds=lists_refunds) as shop:
            sent = refund_calls(shop)
            for _ in range(3):
                with pytest.raises(OutcomeUnknown, match="4,000 KRW that this ledger knows nothing of") as caught:
                    shop.cancel(cancel("c1", amount=4_000))
            assert "resolve" in caught.value.next_step
            assert [(r.id, r.state) for r in shop.attention()] == [("c1", State.UNKNOWN)]
            for _ in range(8):
                shop.clock.advance(86_400)
                shop.reconcile()
            assert shop.refund("c1").state is State.UNKNOWN
            assert refund_calls(shop) == sent
            assert shop.pg.journal.given_back("o1") == 4_000


def test_a_refund_of_an_amount_that_the_pg_does_not_list_was_not_done_and_a_person_is_told(face: str) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("c1", amount=4_000))
        with restored(face, first) as shop:
            assert shop.cancel(cancel("c2", amount=3_000)).payment.cancelled == won(7_000)
            assert [(r.id, r.state) for r in shop.attention()] == [("c2", State.ANSWERED)]
            with pytest.raises(OutcomeUnknown):
                shop.cancel(cancel("c1", amount=4_000))  # The forgotten one, asked for again after another.
            assert shop.pg.journal.given_back("o1") == 7_000


def test_a_whole_refund_is_not_done_where_something_is_left(face: str) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("c1", amount=4_000))
        with restored(face, first) as shop:
            assert shop.cancel_whole(cancel_whole("c2")).money == won(10_000)
            assert [r.id for r in shop.attention()] == ["c2"]
            assert shop.pg.journal.given_back("o1") == 14_000


def test_a_console_refund_that_a_hook_has_told_needs_no_second_look(face: str) -> None:
    with Shop(face) as first, Shop(face, pg=first.pg) as shop:
        paid = shop.charge(charge())
        first.cancel(cancel("by-hand", amount=1_000))
        shop.receive({}, f'{{"order_id": "o1", "payment_id": "{paid.provider_id}"}}'.encode())
        assert shop.cancel(cancel("c1")).payment.cancelled == won(5_000)
        assert shop.attention() == []


@pytest.mark.parametrize("look", ["find", "lookup", "hook"])
def test_reading_the_record_first_does_not_make_the_forgotten_refund_known(face: str, look: str) -> None:
    with Shop(face) as first:
        paid = first.charge(charge())
        first.cancel(cancel("c1"))
        with restored(face, first) as shop:
            hook = f'{{"order_id": "o1", "payment_id": "{paid.provider_id}"}}'.encode()
            seen = {"find": lambda: shop.find("o1"), "lookup": lambda: shop.lookup(paid.provider_id),
                    "hook": lambda: shop.receive({}, hook).payment}[look]()
            assert seen.status is PaymentStatus.PARTLY_CANCELLED
            with pytest.raises(OutcomeUnknown):
                shop.cancel(cancel("c1"))
            assert shop.pg.journal.given_back("o1") == 4_000


def test_a_person_who_says_that_it_was_that_refund_ends_it_and_the_next_refund_goes_on(face: str) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("c1"))
        with restored(face, first) as shop:
            with pytest.raises(OutcomeUnknown):
                shop.cancel(cancel("c1"))
            shop.resolve("c1", "paid", by="kim", why="the console lists it")
            for _ in range(2):
                assert shop.cancel(cancel("c1")).money == won(4_000)
            assert shop.attention() == shop.pending() == []
            assert shop.cancel(cancel("c2", amount=3_000)).payment.left == won(7_000)
            assert shop.pg.journal.given_back("o1") == 7_000


def test_a_person_who_says_that_it_was_another_refund_lets_this_one_be_sent_once(face: str) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("by-hand", amount=1_000))
        with restored(face, first, lists_refunds=False) as shop:
            with pytest.raises(OutcomeUnknown):
                shop.cancel(cancel("c1"))
            shop.resolve("c1", "not_sent", by="kim", why="the console's own refund, not ours")
            assert shop.trail("c1")[-1].note.startswith("resolved as not_sent by kim")
            assert shop.cancel(cancel("c1")).payment.cancelled == won(5_000)
            assert shop.cancel(cancel("c1")).payment.cancelled == won(5_000)
            assert shop.cancel(cancel("c2", amount=2_000)).payment.cancelled == won(7_000)
            assert shop.pg.journal.given_back("o1") == 7_000
            assert shop.attention() == []


def test_what_a_person_decided_holds_for_that_balance_only(face: str) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("by-hand", amount=1_000))
        with restored(face, first, lists_refunds=False) as shop:
            with pytest.raises(OutcomeUnknown):
                shop.cancel(cancel("c1"))
            shop.resolve("c1", "not_sent", by="kim", why="the console's own refund, not ours")
            first.cancel(cancel("by-hand-again", amount=4_000))  # Of the same amount as ours.
            with pytest.raises(OutcomeUnknown, match="4,000 KRW that this ledger knows nothing of"):
                shop.cancel(cancel("c1"))
            assert shop.pg.journal.given_back("o1") == 5_000


def test_a_person_cannot_say_done_where_the_pg_gave_back_less_than_that(face: str) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("by-hand", amount=1_000))
        with restored(face, first, lists_refunds=False) as shop:
            with pytest.raises(OutcomeUnknown):
                shop.cancel(cancel("c1"))
            with pytest.raises(BadCommand, match="was not among it"):
                shop.resolve("c1", "paid", by="kim", why="guessed")
            assert shop.refund("c1").state is State.UNKNOWN


@pytest.mark.parametrize("since", [False, True], ids=["at once", "after the comparison"])
@pytest.mark.parametrize("make", [cancel_whole, lambda id: cancel(id, amount=14_000)], ids=["whole", "stated"])
def test_where_nothing_is_left_a_forgotten_refund_is_not_called_not_done(face: str, make: Any, since: bool) -> None:
    with Shop(face) as first:
        began = first.clock.now()
        first.clock.advance(1)
        first.charge(charge())
        first.cancel(cancel("before", amount=1_000)) if make is cancel_whole else None
        first.clock.advance(1)
        done = first.cancel_whole(cancel_whole("c1")) if make is cancel_whole else first.cancel(make("c1"))
        with restored(face, first) as shop:
            if since:
                shop.reconcile(since=began)
            if make is cancel_whole:
                with pytest.raises(OutcomeUnknown):
                    shop.cancel(cancel("before", amount=1_000))
                shop.resolve("before", "paid", by="kim", why="the console shows it")
            with pytest.raises(OutcomeUnknown, match="may be among it"):
                shop.cancel_whole(make("c1")) if make is cancel_whole else shop.cancel(make("c1"))
            assert "c1" in [r.id for r in shop.attention()]
            assert shop.resolve("c1", "paid", by="kim", why="it was that one").attention is None
            again = shop.cancel_whole(make("c1")) if make is cancel_whole else shop.cancel(make("c1"))
            assert again.money == done.money
            assert shop.pg.journal.given_back("o1") == 14_000


def test_a_stopped_refund_stops_every_other_refund_of_its_order(face: str, tmp_path: Path) -> None:
    with Shop(face) as first:
        first.charge(charge())
        first.cancel(cancel("c1"))
        with Shop(face, store("sqlite", tmp_path), pg=first.pg) as shop:
            for id, error in (("c1", OutcomeUnknown), ("c2", InProgress)):
                with pytest.raises(error):
                    shop.cancel(cancel(id))
            assert shop.pg.journal.given_back("o1") == 4_000


@pytest.mark.parametrize("amount", [14_000, 5_000], ids=["the same", "another amount"])
def test_a_forgotten_charge_that_the_comparison_found_is_not_sent_again_where_the_pg_would_take_it(
        face: str, amount: int) -> None:
    spec = evolve(FAKEPG, profile=evolve(FAKEPG.profile, refuses_reused_order_id=assumed(False, "for this test")))
    with Shop(face, spec=spec) as first:
        first.pg.is_used = lambda order_id: False  # type: ignore[method-assign]
        began = first.clock.now()
        first.clock.advance(1)
        first.charge(charge())
        first.clock.advance(1)
        with Shop(face, MemoryLedger(), pg=first.pg, spec=spec) as shop:
            assert shop.reconcile(since=began).orphans == ["p1"]
            if amount == 14_000:
                assert shop.charge(charge()).provider_id == "p1"
                assert [row.id for row in shop.attention()] == ["p1"]
            else:
                with pytest.raises(OutcomeUnknown, match="took 14,000 KRW, not 5,000"):
                    shop.charge(charge(amount=amount))
                assert {row.id for row in shop.attention()} == {"p1", "o1"}
            assert shop.sent("POST /charges") == 1
            assert shop.charge(charge("o2")).provider_id == "p2"


def test_a_pg_that_compares_nothing_is_not_asked_either() -> None:
    pg = FakePG()
    pg.issue_key("key-1")
    profile = evolve(FAKEPG.profile, cancel_guard=assumed(CancelGuard.COMPARE, "for this test"))

    def gate() -> Any:
        return connect(evolve(FAKEPG, profile=profile), pg.settings(), ledger=MemoryLedger(), clock=pg.clock,
                       http=EmulatorTransport(pg))

    first, shop = gate(), gate()
    first.charge(charge())
    first.cancel(cancel("c1"))
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c1"))
    assert pg.journal.given_back("o1") == 4_000
